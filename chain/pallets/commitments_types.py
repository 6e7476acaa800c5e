"""What a commitment holds. Upstream: pallets/commitments/src/types.rs.

Raw data of n bytes, n up to 128, has a variant of its own (`Raw0` .. `Raw128`): the length is
in the variant's number and no prefix travels.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any

from ganglion.scale import AtMost, Enumeration, Fixed, scale_type, u64, variant
from ganglion.units import BlockNumber, Rao

MAX_RAW = 128
Digest32 = Annotated[bytes, Fixed(32)]
Sealed = Annotated[bytes, AtMost(1024)]


@scale_type("pallet_commitments::types::Data")
class Data(Enumeration):
    """One field of a commitment."""


@variant(0, "None")
class Nothing(Data):
    """No data."""


def _raw(size: int) -> type[Data]:
    body: dict[str, Any] = {
        "__annotations__": {"_0": Annotated[bytes, Fixed(size)]},
        "__doc__": f"{size} bytes.",
        "__module__": __name__,
    }
    return variant(size + 1, f"Raw{size}")(type(f"Raw{size}", (Data,), body))


RAWS: tuple[Any, ...] = tuple(_raw(size) for size in range(MAX_RAW + 1))
"""The classes Raw0 .. Raw128."""


def raw(data: bytes) -> Data:
    """Raw data; ValueError for more than 128 bytes."""
    if len(data) > MAX_RAW:
        raise ValueError(f"raw data has at most {MAX_RAW} bytes, not {len(data)}")
    made: Data = RAWS[len(data)](data)
    return made


@variant(130)
class BlakeTwo256(Data):
    """A hash of something off chain."""

    _0: Digest32


@variant(131)
class Sha256(Data):
    """A hash of something off chain."""

    _0: Digest32


@variant(132)
class Keccak256(Data):
    """A hash of something off chain."""

    _0: Digest32


@variant(133)
class ShaThree256(Data):
    """A hash of something off chain."""

    _0: Digest32


@variant(134)
class TimelockEncrypted(Data):
    """Opens by itself once the beacon has reached a round."""

    encrypted: Sealed
    reveal_round: u64


@variant(135)
class ResetBondsFlag(Data):
    """Asks to reset the bonds of this hotkey."""


@variant(136)
class BigRaw(Data):
    """Up to 512 bytes."""

    _0: Annotated[bytes, AtMost(512)]


@variant(137)
class TimelockRevealFailed(Data):
    """A timelocked field that its round did not open; written by the chain alone."""

    encrypted: Sealed
    reveal_round: u64


def space(data: Data) -> int:
    """Bytes that count against the space limit."""
    match data:
        case BlakeTwo256() | Sha256() | Keccak256() | ShaThree256():
            return 32
        case TimelockEncrypted(sealed, _) | TimelockRevealFailed(sealed, _) | BigRaw(sealed):
            return len(sealed)
        case Nothing() | ResetBondsFlag():
            return 0
        case _:
            return data.variant_index - 1


@scale_type("pallet_commitments::types::CommitmentInfo")
@dataclass(frozen=True, slots=True)
class CommitmentInfo:
    """The fields of a commitment, at most three."""

    fields: Annotated[tuple[Data, ...], AtMost(3)]


@scale_type("pallet_commitments::types::Registration")
@dataclass(frozen=True, slots=True)
class Registration:
    """A commitment, when it was made and what is reserved for it."""

    deposit: Rao
    block: BlockNumber
    info: CommitmentInfo


@scale_type("pallet_commitments::types::UsageTracker")
@dataclass(frozen=True, slots=True)
class UsageTracker:
    """Bytes that an account committed in an epoch."""

    last_epoch: u64 = 0
    used_space: u64 = 0


@scale_type("pallet_commitments::types::RevealFailure")
class RevealFailure(IntEnum):
    """Why a timelocked field could not be opened."""

    SignatureDeserialize = 0
    CiphertextDeserialize = 1
    Decrypt = 2
    EmptyPlaintext = 3
    PulseExpired = 4
    RoundMismatch = 5
