"""Weights as the chain takes them: 16-bit values, and the hash that commits to them.

Rule of the hash: pallets/subtensor, `get_commit_hash` - blake2b-256 of the SCALE tuple (hotkey,
netuid index, uids, values, salt, version key). The index is `mechanism * 4096 + netuid`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from ganglion.errors import EncodeError
from ganglion.hashing import blake2_256
from ganglion.scale import codec, u16, u64
from ganglion.units import AccountId

MAX_WEIGHT = 65_535
MECHANISM_STRIDE = 4_096

_COMMITTED = codec(
    tuple[AccountId, u16, tuple[u16, ...], tuple[u16, ...], tuple[u16, ...], u64]  # type: ignore[valid-type]
)


def to_u16(weights: Mapping[int, Fraction | int | str]) -> tuple[list[int], list[int]]:
    """Uids in order and their weights scaled so that the largest is 65,535; zeros are left out.

    Values are exact: whole numbers, fractions or decimal text. Raises EncodeError.
    """
    exact = {uid: _fraction(value) for uid, value in weights.items()}
    top = max(exact.values(), default=Fraction(0))
    if top <= 0 or min(exact.values()) < 0:
        raise EncodeError("weights must not be negative, and at least one must be above zero")
    scaled = {uid: round(value * MAX_WEIGHT / top) for uid, value in sorted(exact.items())}
    kept = {uid: value for uid, value in scaled.items() if value > 0}
    return list(kept), list(kept.values())


def _fraction(value: Fraction | int | str) -> Fraction:
    if isinstance(value, Fraction | int):
        return Fraction(value)
    try:
        number = Decimal(value)
    except InvalidOperation as e:
        raise EncodeError(f"{value!r} is not a weight: write digits, as in 0.25") from e
    if not number.is_finite() or abs(number.adjusted()) > 30:
        raise EncodeError(f"{value!r} is not a weight: write digits, as in 0.25")
    return Fraction(number)


def new_salt(length: int = 8) -> list[int]:
    """Random 16-bit numbers that keep a commit from being guessed."""
    return [secrets.randbelow(1 << 16) for _ in range(length)]


def commit_hash(
    hotkey: bytes,
    netuid: int,
    uids: list[int],
    values: list[int],
    salt: list[int],
    version_key: int = 0,
    mechanism: int = 0,
) -> bytes:
    """The 32 bytes to commit to; revealing needs exactly these arguments again."""
    index = mechanism * MECHANISM_STRIDE + netuid
    try:
        return blake2_256(
            _COMMITTED.encode(
                (AccountId(hotkey), index, tuple(uids), tuple(values), tuple(salt), version_key)
            )
        )
    except (OverflowError, ValueError) as e:
        raise EncodeError("uids, weights and salt must be below 65536") from e
