"""One hash for many receipts, and short proofs that a receipt is among them.

Whoever holds receipts (a gateway, a miner) commits the root on chain, `Commitments.set_commitment`
with a `BlakeTwo256` field. A state proof of that commitment (`state_getReadProof`) and the path
made here then show a receipt to whoever trusts a block header, another chain say; see docs/sdk.md.

A binary tree over the receipts' signing hashes in order; an odd last node moves up as it is.
Leaves and inner nodes are hashed with different first bytes, so that neither passes for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ganglion.hashing import blake2_256

Path = tuple[tuple[bool, bytes], ...]
"""From the leaf up: whether the neighbour stands to the left, and its hash."""


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over the signing hashes of one receipt at the least; ValueError for none."""
    if not hashes:
        raise ValueError("a tree needs one receipt at the least")
    level = [_leaf(one) for one in hashes]
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path_of(hashes: Sequence[bytes], index: int) -> Path:
    """What leads from the receipt at `index` to the root; IndexError if there is none."""
    if not 0 <= index < len(hashes):
        raise IndexError(f"there is no receipt {index} among {len(hashes)}")
    level, path = [_leaf(one) for one in hashes], []
    while len(level) > 1:
        neighbour = index ^ 1
        if neighbour < len(level):
            path.append((neighbour < index, level[neighbour]))
        level, index = _above(level), index // 2
    return tuple(path)


def leads_to(signing_hash: bytes, path: Path, root: bytes) -> bool:
    """Whether the path leads from a receipt's signing hash to this root."""
    node = _leaf(signing_hash)
    for is_left, neighbour in path:
        node = _inner(neighbour, node) if is_left else _inner(node, neighbour)
    return node == root


def _leaf(signing_hash: bytes) -> bytes:
    return blake2_256(b"\0" + signing_hash)


def _inner(left: bytes, right: bytes) -> bytes:
    return blake2_256(b"\1" + left + right)


def _above(level: list[bytes]) -> list[bytes]:
    pairs = [_inner(a, b) for a, b in zip(level[::2], level[1::2])]
    return pairs + level[2 * len(pairs) :]


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree that grows: enough of it to add a leaf and to tell the root, not to make paths.

    `peaks` are the roots of the complete trees it consists of, the largest first; their sizes are
    the ones in the binary form of `count`.
    """

    count: int = 0
    peaks: tuple[bytes, ...] = ()

    def add(self, signing_hash: bytes) -> Frontier:
        """With one more receipt."""
        peaks, node, count = list(self.peaks), _leaf(signing_hash), self.count
        while count & 1:
            node, count = _inner(peaks.pop(), node), count >> 1
        return Frontier(self.count + 1, (*peaks, node))

    def root(self) -> bytes:
        """As `root_of` all of them; ValueError for none."""
        if not self.peaks:
            raise ValueError("a tree needs one receipt at the least")
        *rest, node = self.peaks
        for peak in reversed(rest):
            node = _inner(peak, node)
        return node
