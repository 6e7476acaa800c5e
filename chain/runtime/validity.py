"""Whether an extrinsic may enter the pool or a block: upstream's error texts and codes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Invalid(IntEnum):
    """`InvalidTransaction` by variant index."""

    Call = 0
    Payment = 1
    Future = 2
    Stale = 3
    BadProof = 4
    AncientBirthBlock = 5
    ExhaustsResources = 6
    Custom = 7
    BadMandatory = 8
    MandatoryValidation = 9
    BadSigner = 10
    IndeterminateImplicit = 11
    UnknownOrigin = 12


TEXT = {
    Invalid.Call: "Transaction call is not expected",
    Invalid.Payment: "Inability to pay some fees (e.g. account balance too low)",
    Invalid.Future: "Transaction will be valid in the future",
    Invalid.Stale: "Transaction is outdated",
    Invalid.BadProof: "Transaction has a bad signature",
    Invalid.AncientBirthBlock: "Transaction has an ancient birth block",
    Invalid.ExhaustsResources: "Transaction would exhaust the block limits",
    Invalid.Custom: "InvalidTransaction custom error",
    Invalid.BadMandatory: "A call was labelled as mandatory, but resulted in an Error.",
    Invalid.MandatoryValidation: "Transaction dispatch is mandatory; transactions must not be "
    "validated.",
    Invalid.BadSigner: "Invalid signing address",
    Invalid.IndeterminateImplicit: "The implicit data was unable to be calculated",
    Invalid.UnknownOrigin: "The transaction extension did not authorize any origin",
}
"""Texts of sp-runtime; clients look for words in them."""


class InvalidTransaction(Exception):
    """The extrinsic cannot be applied here and now."""

    def __init__(self, kind: Invalid, custom: int = 0) -> None:
        super().__init__(f"Custom error: {custom}" if kind is Invalid.Custom else TEXT[kind])
        self.kind = kind
        self.custom = custom

    def encode(self) -> bytes:
        """`InvalidTransaction` in SCALE."""
        head = bytes((self.kind,))
        return head + bytes((self.custom,)) if self.kind is Invalid.Custom else head


class UnknownTransaction(Exception):
    """Validity cannot be told (an unsigned extrinsic that nobody vouches for)."""

    def __init__(self) -> None:
        super().__init__("Could not find an unsigned validator for the unsigned transaction")


@dataclass(slots=True)
class Validity:
    """`ValidTransaction`: what the pool needs to order an extrinsic.

    `longevity` counts blocks; tags in `requires` must be provided by others first.
    """

    priority: int = 0
    requires: tuple[bytes, ...] = ()
    provides: tuple[bytes, ...] = ()
    longevity: int = (1 << 64) - 1
    propagate: bool = True
