"""TaggedTransactionQueue: what the pool asks the runtime, and papi before it submits.

Upstream: sp_transaction_pool::runtime_api, sp_runtime::transaction_validity
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from chain.executive import Executive
from chain.pallets import system
from chain.runtime.apis import Api
from chain.runtime.runtime import Runtime
from chain.runtime.state import State
from chain.runtime.type_registry import Rows, TypeRegistry
from chain.runtime.types import UncheckedExtrinsic
from chain.runtime.validity import Invalid, InvalidTransaction, UnknownTransaction
from ganglion.scale import (
    Codec,
    DecodeError,
    Enumeration,
    alias_codec,
    scale_type,
    u8,
    u64,
    variant,
)
from ganglion.units import BlockNumber, Hash

VALIDITY = "sp_runtime::transaction_validity"


@scale_type(f"{VALIDITY}::TransactionSource")
class TransactionSource(IntEnum):
    """Where an extrinsic comes from; it makes no difference here."""

    InBlock = 0
    Local = 1
    External = 2


@scale_type(f"{VALIDITY}::ValidTransaction")
@dataclass(frozen=True, slots=True)
class ValidTransaction:
    """What the pool needs to order an extrinsic."""

    priority: u64
    requires: tuple[bytes, ...]
    provides: tuple[bytes, ...]
    longevity: u64
    propagate: bool


class InvalidReason:
    """`InvalidTransaction` as metadata shows it; the exception of that name encodes itself."""

    @staticmethod
    def __registry__(registry: TypeRegistry) -> int:
        rows: Rows = [
            (kind.name, kind, [("_0", u8)] if kind is Invalid.Custom else [], "")
            for kind in Invalid
        ]
        path = f"{VALIDITY}::InvalidTransaction"
        return registry.add(InvalidReason, path, lambda: registry.variants(rows))


def _encode_reason(error: InvalidTransaction) -> bytes:
    return error.encode()


def _read_reason(data: bytes, at: int) -> tuple[InvalidTransaction, int]:
    size = 2 if data[at : at + 1] == bytes((Invalid.Custom,)) else 1
    try:
        kind, *custom = data[at : at + size]
        return InvalidTransaction(Invalid(kind), *custom), at + size
    except ValueError:
        raise DecodeError("InvalidTransaction: no such reason") from None


alias_codec(InvalidReason, Codec("InvalidTransaction", _encode_reason, _read_reason))


@scale_type(f"{VALIDITY}::UnknownTransaction")
class UnknownReason(Enumeration):
    """Why validity cannot be told."""


@variant(0)
class CannotLookup(UnknownReason):
    """The sender could not be looked up."""


@variant(1)
class NoUnsignedValidator(UnknownReason):
    """Nobody vouches for an unsigned extrinsic."""


@variant(2)
class Custom(UnknownReason):
    """A reason of a pallet's own."""

    _0: u8


@scale_type(f"{VALIDITY}::TransactionValidityError")
class TransactionValidityError(Enumeration):
    """Why an extrinsic cannot be taken."""


@variant(0, "Invalid")
class InvalidError(TransactionValidityError):
    """It cannot be applied."""

    _0: InvalidReason


@variant(1, "Unknown")
class UnknownError(TransactionValidityError):
    """It cannot be told."""

    _0: UnknownReason


@scale_type("Result")
class TransactionValidity(Enumeration):
    """Either of the two."""

    scale_params = (("T", ValidTransaction), ("E", TransactionValidityError))


@variant(0, "Ok")
class Good(TransactionValidity):
    """The pool may take it."""

    _0: ValidTransaction


@variant(1, "Err")
class Bad(TransactionValidity):
    """It may not."""

    _0: TransactionValidityError


def pool_api(runtime: Callable[[], Runtime]) -> Api:
    """The API, on the runtime that the function returns once it exists."""
    api = Api("TaggedTransactionQueue", 3)

    @cache
    def executive(genesis: Hash) -> Executive:
        return Executive(runtime(), genesis)

    @api.method
    def validate_transaction(
        s: State, source: TransactionSource, tx: UncheckedExtrinsic, block_hash: Hash
    ) -> TransactionValidity:
        """Validate the transaction, on the state of the block with the given hash."""
        assert isinstance(tx, bytes)
        s[system.BlockHash, s[system.Number]] = block_hash
        try:
            found = executive(s[system.BlockHash, BlockNumber(0)]).validate_transaction(s, tx)
        except InvalidTransaction as error:
            return Bad(InvalidError(error))  # type: ignore[arg-type]
        except UnknownTransaction:
            return Bad(UnknownError(NoUnsignedValidator()))
        return Good(
            ValidTransaction(
                found.priority, found.requires, found.provides, found.longevity, found.propagate
            )
        )

    return api
