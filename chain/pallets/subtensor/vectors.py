"""Per-neuron vectors: packed bytes with one little-endian number per uid.

Reading past the end gives 0, writing past the end changes nothing: both as upstream.
"""

from __future__ import annotations

from struct import iter_unpack

FLAG = 1
"""Width of a boolean."""
U16 = 2
U64 = 8

_FORMATS = {FLAG: "<B", U16: "<H", U64: "<Q"}


def item(packed: bytes, width: int, uid: int) -> int:
    """The number of one uid."""
    return int.from_bytes(packed[uid * width : (uid + 1) * width], "little")


def with_item(packed: bytes, width: int, uid: int, value: int) -> bytes:
    """The vector with another number for one uid."""
    at = uid * width
    if at >= len(packed):
        return packed
    return packed[:at] + value.to_bytes(width, "little") + packed[at + width :]


def extended(packed: bytes, width: int, value: int) -> bytes:
    """The vector with one more number."""
    return packed + value.to_bytes(width, "little")


def padded(packed: bytes, width: int, count: int) -> bytes:
    """The vector with zeros up to `count` numbers."""
    return packed.ljust(count * width, b"\0")


def picked(packed: bytes, width: int, uids: list[int]) -> bytes:
    """The numbers of these uids, in this order."""
    return b"".join(packed[u * width : (u + 1) * width].ljust(width, b"\0") for u in uids)


def values(packed: bytes, width: int) -> list[int]:
    """All numbers."""
    return [v for (v,) in iter_unpack(_FORMATS[width], packed)]


def pairs(packed: bytes) -> list[tuple[int, int]]:
    """A row of weights or bonds: (uid, value)."""
    return list(iter_unpack("<HH", packed))


def packed_pairs(row: list[tuple[int, int]]) -> bytes:
    """The row as storage keeps it."""
    return b"".join(u.to_bytes(2, "little") + v.to_bytes(2, "little") for u, v in row)


def with_value_for(row: bytes, uid: int, value: int) -> bytes:
    """The row with another value for one uid; unchanged if the uid is not in it."""
    wanted = uid.to_bytes(2, "little")
    at = row.find(wanted)
    while at >= 0:
        if at % 4 == 0:
            row = row[: at + 2] + value.to_bytes(2, "little") + row[at + 4 :]
        at = row.find(wanted, at + 1)
    return row
