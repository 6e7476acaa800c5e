"""Rows of weights and bonds: u16 uid and u16 value, four little-endian bytes a pair.

This is the body of a stored Vec<(u16, u16)> after its length prefix, so a row becomes an array
without a copy and without a Python object per entry.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

EMPTY = b""
"""A row without entries."""

Pairs = list[tuple[int, int]]


def checked(row: bytes) -> bytes:
    """The row itself; ValueError when it is not made of whole pairs."""
    if len(row) % 4:
        raise ValueError(f"a row of {len(row)} bytes is not made of four-byte pairs")
    return row


def decode_row(row: bytes) -> Pairs:
    """The (uid, value) pairs of a row, in stored order."""
    return list(struct.iter_unpack("<HH", checked(row)))


def encode_row(pairs: Iterable[Sequence[int]]) -> bytes:
    """A row from (uid, value) pairs, in the given order."""
    flat = [x for uid, value in pairs for x in (uid, value)]
    return struct.pack(f"<{len(flat)}H", *flat)


def view_row(row: bytes) -> NDArray[np.uint16]:
    """The pairs of a row as a read-only (k, 2) array of little-endian u16, no copy."""
    return np.frombuffer(checked(row), dtype="<u2").reshape(-1, 2)


def without_uid(row: bytes, uid: int) -> bytes:
    """The row with every entry for `uid` taken out (a bonds reset)."""
    return encode_row(pair for pair in decode_row(row) if pair[0] != uid)
