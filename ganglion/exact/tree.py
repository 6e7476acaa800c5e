"""Hash trees over a power of two of places, and one proof for any set of leaves.

Places behind the last leaf hold `NOTHING`. Leaves and inner nodes are hashed with different first
bytes, so that neither passes for the other. A tree can be opened several levels at a time: the
hashes of a node's descendants so many levels below it fold to the node's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ganglion.hashing import blake2_256

NOTHING = bytes(32)


def leaf(content: bytes) -> bytes:
    """The hash of a leaf with this content."""
    return blake2_256(b"\0" + content)


def node(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return blake2_256(b"\1" + left + right)


def depth_of(leaves: int) -> int:
    """Levels between the root and that many leaves."""
    return (leaves - 1).bit_length()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The node above a power of two of hashes."""
    level = list(hashes)
    while len(level) > 1:
        level = [node(a, b) for a, b in zip(level[::2], level[1::2])]
    return level[0]


class Tree:
    """All hashes of a tree over leaf hashes."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        if not leaves:
            raise ValueError("a tree needs one leaf at the least")
        self.levels = [list(leaves)]
        empty = NOTHING
        for _ in range(depth_of(len(leaves))):
            below = self.levels[-1]
            if len(below) % 2:
                below = [*below, empty]
            self.levels.append([node(a, b) for a, b in zip(below[::2], below[1::2])])
            empty = node(empty, empty)

    @property
    def depth(self) -> int:
        """Levels below the root."""
        return len(self.levels) - 1

    @property
    def root(self) -> bytes:
        """The hash of all."""
        return self.levels[-1][0]

    def at(self, height: int, index: int) -> bytes:
        """The hash of a node `height` levels above the leaves."""
        level = self.levels[height]
        return level[index] if index < len(level) else empty_at(height)

    def below(self, height: int, index: int, levels: int) -> tuple[bytes, ...]:
        """The descendants of a node, so many levels below it, from left to right."""
        first = index << levels
        return tuple(self.at(height - levels, first + i) for i in range(1 << levels))

    def proof(self, indices: Sequence[int]) -> tuple[bytes, ...]:
        """The hashes that lead from these leaves to the root, as `root_from` takes them."""
        known, found = sorted(set(indices)), []
        for height in range(self.depth):
            have = set(known)
            for index in known:
                if index ^ 1 not in have:
                    found.append(self.at(height, index ^ 1))
            known = sorted({index >> 1 for index in known})
        return tuple(found)


def empty_at(height: int) -> bytes:
    """The node above 2**height places that hold nothing."""
    found = NOTHING
    for _ in range(height):
        found = node(found, found)
    return found


def root_from(leaves: Mapping[int, bytes], count: int, hashes: Sequence[bytes]) -> bytes | None:
    """The root of `count` leaves to which leaf hashes by index and a proof lead.

    None unless every index is a leaf's and the proof has the right length.
    """
    if not leaves or not all(0 <= index < count for index in leaves):
        return None
    level, rest = dict(leaves), iter(hashes)
    for _ in range(depth_of(count)):
        above = {}
        for index in sorted(level):
            if index >> 1 in above:
                continue
            other = level.get(index ^ 1) or next(rest, None)
            if other is None:
                return None
            pair = (other, level[index]) if index & 1 else (level[index], other)
            above[index >> 1] = node(*pair)
        level = above
    return level[0] if next(rest, None) is None else None
