"""Nibbles: trie keys as byte strings in which every byte is 0..15.

Two forms of the same key part occur. *Nibbles* hold one half-byte per byte and can be sliced
and compared anywhere. *Packed* is what stands in an encoded node: two nibbles a byte, and when
their count is odd the first one alone in a byte.
"""

from __future__ import annotations

_UNHEX = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))
_TOHEX = bytes.maketrans(bytes(range(16)), b"0123456789abcdef")


def nibbles(key: bytes) -> bytes:
    """The nibbles of a whole-byte key, high half first."""
    return key.hex().encode().translate(_UNHEX)


def pack(part: bytes) -> bytes:
    """Nibbles to packed form."""
    text = part.translate(_TOHEX).decode()
    return bytes.fromhex("0" + text if len(text) & 1 else text)


def unpack(packed: bytes, odd: int) -> bytes:
    """Packed form to nibbles; `odd` is 1 when the first byte holds one nibble only."""
    return nibbles(packed)[odd:]


def packed_tail(key: bytes, depth: int) -> bytes:
    """What is left of a whole-byte key below `depth` nibbles, in packed form."""
    half = depth >> 1
    if depth & 1:
        return bytes((key[half] & 15,)) + key[half + 1 :]
    return key[half:]


def join_key(path: bytes, packed: bytes, odd: int) -> bytes:
    """The whole-byte key made of the nibbles of `path` and a packed rest."""
    if odd:
        return pack(path + packed[:1]) + packed[1:]
    return pack(path) + packed


def shared_length(one: bytes, other: bytes) -> int:
    """How many leading bytes two strings have in common."""
    n = min(len(one), len(other))
    if one[:n] == other[:n]:
        return n
    for i in range(n):
        if one[i] != other[i]:
            return i
    return n
