"""The root over an ordered list: the extrinsics root of a header.

Only the root is wanted, so nodes are encoded as they are met and never kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from chain.trie.nibbles import nibbles, packed_tail, shared_length
from chain.trie.node import EMPTY_ROOT, branch_head, leaf_head
from ganglion.scale import compact_encode


def ordered_root(values: Sequence[bytes]) -> bytes:
    """The root over compact index -> value, in layout V0 as upstream."""
    if not values:
        return EMPTY_ROOT
    order = sorted((compact_encode(i), i) for i in range(len(values)))
    keys = [key for key, _ in order]
    return _digest(_Rows(keys, [values[i] for _, i in order]).node(0, len(keys), 0))


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=32).digest()


class _Rows:
    """Sorted keys and their values."""

    def __init__(self, keys: list[bytes], values: list[bytes]) -> None:
        self._keys = keys
        self._paths = [nibbles(key) for key in keys]
        self._values = [compact_encode(len(value)) + value for value in values]

    def node(self, lo: int, hi: int, depth: int) -> bytes:
        """The encoding of the node of rows `lo` to `hi`, which agree above `depth`."""
        if hi - lo == 1:
            tail = packed_tail(self._keys[lo], depth)
            return leaf_head(2 * len(tail) - (depth & 1)) + tail + self._values[lo]
        paths = self._paths
        first = paths[lo]
        end = depth + shared_length(first[depth:], paths[hi - 1][depth:])
        value = None
        if len(first) == end:
            value = self._values[lo]
            lo += 1
        bitmap = 0
        references: list[bytes] = []
        while lo < hi:
            nibble = paths[lo][end]
            after = lo + 1
            while after < hi and paths[after][end] == nibble:
                after += 1
            bitmap |= 1 << nibble
            encoding = self.node(lo, after, end + 1)
            if len(encoding) < 32:
                references += bytes((len(encoding) << 2,)), encoding
            else:
                references += b"\x80", _digest(encoding)
            lo = after
        head = branch_head(first[depth:end], value is not None) + bitmap.to_bytes(2, "little")
        return head + (value or b"") + b"".join(references)
