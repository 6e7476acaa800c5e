"""Reading a chain store: blocks, states, forks, and where the chain stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from chain.blocks import Header
from chain.store.blocks import BlockTable, Justifications
from chain.store.errors import StateDiscarded, StoreCorrupt
from chain.store.forks import Forks
from chain.store.kv import Column
from chain.store.opening import Opened
from chain.store.states import States, StateView
from consensus.fork_choice import Route, Tip, choose_best, find_route
from ganglion.units import Hash


class ChainReader:
    """Everything that a store tells; `ChainStore` adds what changes it."""

    def __init__(self, opened: Opened, keep_nodes: int) -> None:
        self.database = self._kv = opened.kv
        self._beacon = opened.beacon
        self._head = opened.head
        self._blocks = BlockTable(opened.kv)
        self._states = States(opened.kv, opened.head.sequence, keep_nodes)
        self._forks = Forks(opened.kv)
        self._pins: Counter[Hash] = Counter()
        self.genesis_hash = opened.genesis
        self.pruning = opened.pruning
        """How many finalised states are kept; None for all."""
        self._check_head()
        self._states.flat_at = self._head.best

    def _check_head(self) -> None:
        """Raise StoreCorrupt unless what the head names is there."""
        head = self._head
        for block, number in (
            (self.genesis_hash, 0),
            (head.finalized, head.finalized_number),
            (head.best, head.best_number),
        ):
            record = self._blocks.find(block)
            if record is None or record.header.number != number:
                raise StoreCorrupt(f"block {number} is missing: restore a copy or sync again")
            if self.hash_of(number) != block:
                raise StoreCorrupt(f"block {number} is not on the best chain: sync again")
        self.state_at(head.best).trie()

    # -- blocks -----------------------------------------------------------------------------

    def best(self) -> tuple[Hash, int]:
        """The best block and its number."""
        head = self._head
        return head.best, head.best_number

    def finalized(self) -> tuple[Hash, int]:
        """The last finalised block and its number."""
        head = self._head
        return head.finalized, head.finalized_number

    def header(self, block: Hash) -> Header | None:
        """The header of a block, or None."""
        record = self._blocks.find(block)
        return None if record is None else record.header

    def body(self, block: Hash) -> list[bytes] | None:
        """The extrinsics of a block, each with its length prefix, or None."""
        return self._blocks.body(block)

    def justifications(self, block: Hash) -> Justifications:
        """Engine id and justification, for every engine that gave one."""
        return self._blocks.justifications(block)

    def hash_of(self, number: int) -> Hash | None:
        """The block with a number on the best chain, or None."""
        return self._blocks.hash_of(number)

    # -- the tree ---------------------------------------------------------------------------

    def is_canonical(self, block: Hash) -> bool:
        """Whether a block is known and on the best chain."""
        record = self._blocks.find(block)
        return record is not None and self.hash_of(record.header.number) == block

    def children(self, block: Hash) -> list[Hash]:
        """The children of a block: the one on the best chain first."""
        found = self._forks.children(block)
        record = self._blocks.find(block)
        if record is not None and self.hash_of(record.header.number) == block:
            main = self.hash_of(record.header.number + 1)
            if main is not None:
                found.insert(0, main)
        return found

    def leaves(self) -> list[Hash]:
        """The blocks without children, the best one first."""
        return [self._head.best, *self._forks.tips()]

    def forked(self) -> list[Hash]:
        """All blocks off the best chain."""
        return self._forks.blocks()

    def is_descendant(self, ancestor: Hash, block: Hash) -> bool:
        """Whether `ancestor` is `block` itself or above it; raises UnknownBlock."""
        number = self._blocks.record(ancestor).header.number
        while (fork := self._forks.get(block)) is not None and fork.number > number:
            block = fork.parent
        if block == ancestor:
            return True
        if block in self._forks or ancestor in self._forks:
            return False
        return self._blocks.record(block).header.number > number

    def route(self, old: Hash, new: Hash) -> Route:
        """The way from one block to another; raises UnknownBlock."""

        def number_of(block: bytes) -> int:
            return self._blocks.record(Hash(block)).header.number

        def parent_of(block: bytes) -> bytes:
            return self._blocks.record(Hash(block)).header.parent_hash

        return find_route(old, new, number_of, parent_of)

    def choose_best(self, above: Hash | None = None) -> Hash:
        """What fork choice picks among the chains with `above` (default: the last finalised)."""
        base = self._head.finalized if above is None else above
        tips = []
        for leaf in self.leaves():
            if self.is_descendant(base, leaf):
                record = self._blocks.record(leaf)
                tips.append(Tip(leaf, record.header.number, record.sequence))
        return Hash(choose_best(tips).hash)

    # -- states -----------------------------------------------------------------------------

    def has_state(self, block: Hash) -> bool:
        """Whether the state after a block is kept."""
        record = self._blocks.find(block)
        return record is not None and record.header.number >= self._head.first_state

    def state_at(self, block: Hash) -> StateView:
        """The state after a block; raises UnknownBlock or StateDiscarded."""
        record = self._blocks.record(block)
        if record.header.number < self._head.first_state:
            raise StateDiscarded(block)
        return StateView(self._states, block, record)

    def pin(self, block: Hash) -> None:
        """Keep a block and its state until it is unpinned as often; raises as `state_at`."""
        self.state_at(block)
        self._pins[block] += 1

    def unpin(self, block: Hash) -> None:
        """Take back one `pin`."""
        self._pins[block] -= 1
        if self._pins[block] <= 0:
            del self._pins[block]

    def root_link(self, block: Hash) -> bytes:
        """Where the trie of a block's state begins in the database."""
        return self._blocks.record(block).root_link

    # -- notes ------------------------------------------------------------------------------

    def aux_get(self, key: bytes) -> bytes | None:
        """A note that somebody keeps here."""
        return self._kv.get(Column.AUX, key)

    def aux_items(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Notes whose keys begin with `prefix`, ascending."""
        for key, value in self._kv.items(Column.AUX, prefix):
            if not key.startswith(prefix):
                return
            yield key, value
