"""Rows as the chain stores them: the SCALE bytes of Vec<(u16, u16)>, uid and value.

The body is contiguous little-endian u16 pairs after a compact length, so a row becomes an array
without a copy and without a Python object per entry.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

EMPTY = b"\x00"
"""The stored form of a row without entries."""

Pairs = list[tuple[int, int]]


def compact(n: int) -> bytes:
    """The SCALE compact form of a length below 2^30."""
    if n < 1 << 6:
        return bytes((n << 2,))
    if n < 1 << 14:
        return (n << 2 | 1).to_bytes(2, "little")
    return (n << 2 | 2).to_bytes(4, "little")


def body(row: bytes) -> tuple[int, int]:
    """Where the pairs of a stored row begin and how many there are.

    ValueError when the bytes are no such row: an absent value is `EMPTY`, never b"".
    """
    if not row:
        raise ValueError("a stored row has at least its length byte; an empty row is 00")
    mode = row[0] & 3
    offset = (1, 2, 4, 0)[mode]
    if not offset or len(row) < offset:
        raise ValueError(f"row length prefix {row[:4].hex()} is not a compact number below 2^30")
    count = int.from_bytes(row[:offset], "little") >> 2
    if len(row) != offset + 4 * count:
        raise ValueError(f"row announces {count} pairs but carries {len(row) - offset} bytes")
    return offset, count


def decode_row(row: bytes) -> Pairs:
    """The (uid, value) pairs of a stored row, in stored order."""
    offset, _ = body(row)
    return list(struct.iter_unpack("<HH", memoryview(row)[offset:]))


def encode_row(pairs: Iterable[Sequence[int]]) -> bytes:
    """The stored form of (uid, value) pairs, in the given order."""
    flat = [x for uid, value in pairs for x in (uid, value)]
    return compact(len(flat) // 2) + struct.pack(f"<{len(flat)}H", *flat)


def view_row(row: bytes) -> NDArray[np.uint16]:
    """The pairs of a stored row as a read-only (k, 2) array of little-endian u16, no copy."""
    offset, count = body(row)
    return np.frombuffer(row, dtype="<u2", offset=offset, count=2 * count).reshape(count, 2)


def without_uid(row: bytes, uid: int) -> bytes:
    """The stored row with every entry for `uid` taken out (a bonds reset)."""
    return encode_row(pair for pair in decode_row(row) if pair[0] != uid)
