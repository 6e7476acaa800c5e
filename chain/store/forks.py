"""The fork tree: blocks above the last finalised one that are not on the best chain.

The best chain itself needs no tree, because the database maps its numbers to hashes; so memory
and start-up follow the length of the forks, not of the chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chain.store.kv import Batch, Column, KeyValues
from ganglion.units import Hash

PREFIX = b"fork/"


@dataclass(frozen=True, slots=True)
class Fork:
    """A block off the best chain; `sequence` orders by arrival."""

    parent: Hash
    number: int
    sequence: int

    def encode(self) -> bytes:
        """The form in the database."""
        return self.parent + self.number.to_bytes(4, "big") + self.sequence.to_bytes(4, "big")

    @classmethod
    def decode(cls, data: bytes) -> Fork:
        """The fork of a record."""
        numbers = data[32:]
        return cls(
            Hash(data[:32]), int.from_bytes(numbers[:4], "big"), int.from_bytes(numbers[4:], "big")
        )


ForkChanges = dict[Hash, Fork | None]
"""Blocks that leave the best chain, and blocks (None) that join it or are gone."""


class Forks:
    """All blocks off the best chain."""

    def __init__(self, kv: KeyValues) -> None:
        self._blocks: dict[Hash, Fork] = {}
        self._children: dict[Hash, list[Hash]] = {}
        for key, data in kv.items(Column.META, PREFIX):
            if not key.startswith(PREFIX):
                break
            self._add(Hash(key[len(PREFIX) :]), Fork.decode(data))

    def __contains__(self, block: Hash) -> bool:
        return block in self._blocks

    def __len__(self) -> int:
        return len(self._blocks)

    def blocks(self) -> list[Hash]:
        """All blocks off the best chain."""
        return list(self._blocks)

    def get(self, block: Hash) -> Fork | None:
        """A block off the best chain."""
        return self._blocks.get(block)

    @staticmethod
    def write(batch: Batch, changes: ForkChanges) -> None:
        """Put changes into a batch."""
        for block, fork in changes.items():
            if fork is None:
                batch.delete(Column.META, PREFIX + block)
            else:
                batch.put(Column.META, PREFIX + block, fork.encode())

    def apply(self, changes: ForkChanges) -> None:
        """Follow changes that have been written."""
        for block, fork in changes.items():
            if fork is not None:
                self._add(block, fork)
            elif block in self._blocks:
                siblings = self._children[self._blocks.pop(block).parent]
                siblings.remove(block)
        self._children = {parent: kids for parent, kids in self._children.items() if kids}

    def _add(self, block: Hash, fork: Fork) -> None:
        self._blocks[block] = fork
        siblings = self._children.setdefault(fork.parent, [])
        siblings.append(block)
        siblings.sort(key=lambda kid: self._blocks[kid].sequence)

    def children(self, block: Hash) -> list[Hash]:
        """The children of any block that are off the best chain, in order of arrival."""
        return list(self._children.get(block, ()))

    def tips(self) -> list[Hash]:
        """Blocks without children, in order of arrival."""
        found = [block for block in self._blocks if not self._children.get(block)]
        return sorted(found, key=lambda block: self._blocks[block].sequence)

    def below(self, block: Hash) -> Iterator[Hash]:
        """All forks that grow from a block, parents before children."""
        waiting = self.children(block)
        while waiting:
            found = waiting.pop()
            yield found
            waiting += self.children(found)
