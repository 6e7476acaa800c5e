"""The chain store: every block the node keeps, the states after them, and which block is best.

Invariants, after every batch and so after every crash:

* the best chain reaches from genesis to `best`, and the number map holds exactly its numbers;
* the last finalised block is on the best chain;
* the flat copy holds the state after `best`;
* the state after every block from `first_state` on is whole.

One writer at a time; readers may run beside it. A write is one batch: first the disk, then the
fields of this object, so that nobody hears of a block that a crash could take back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from chain.blocks import Header
from chain.store.errors import NotPossible, StoreCorrupt
from chain.store.forks import Fork, ForkChanges, Forks
from chain.store.head import Beacon, Head
from chain.store.kv import Batch, Column
from chain.store.opening import HEAD, Pruning, open_database
from chain.store.reader import ChainReader
from chain.store.states import Prepared
from chain.trie.trie import Trie
from consensus.fork_choice import Route
from ganglion.units import Hash

KEEP_NODES = 200_000
"""How many trie nodes stay in memory: some 80 MB."""

PRUNE_AT_ONCE = 1024
"""Most states that one finalisation discards; what is left over waits for the next."""


@dataclass(slots=True)
class Change:
    """One batch in the making, and what memory takes over once it is written."""

    batch: Batch
    head: Head
    forks: ForkChanges = field(default_factory=dict)
    gone: list[Hash] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Finalized:
    """What a finalisation did.

    `blocks` are newly final, oldest first; `stale` were discarded with their states; `route` is
    there when the best block had to change.
    """

    blocks: tuple[Hash, ...]
    stale: tuple[Hash, ...]
    route: Route | None


class ChainStore(ChainReader):
    """See the module's docstring. Made by `ChainStore.open`."""

    _sync = True

    @classmethod
    def open(
        cls,
        path: Path | str | None,
        genesis: Mapping[bytes, bytes] | None = None,
        *,
        pruning: Pruning = None,
        sync: bool = True,
        throwaway: bool = False,
        cache_mib: int = 32,
        keep_nodes: int = KEEP_NODES,
    ) -> ChainStore:
        """The store in a folder (None: in memory), begun from a genesis state if it is new.

        `pruning` is how many finalised states to keep: None for all, "kept" for what the folder
        was last opened with. With `sync` every batch is on the disk before it counts; a
        `throwaway` store is quicker, and lost when the process dies. Raises StoreLocked,
        WrongChain or StoreCorrupt.
        """
        folder = None if path is None else Path(path)
        opened = open_database(folder, genesis, pruning, cache_mib, throwaway)
        try:
            store = cls(opened, keep_nodes)
        except StoreCorrupt:
            opened.kv.close()
            raise
        store._sync = sync and not throwaway
        return store

    def close(self) -> None:
        """Let go of the database."""
        self._kv.close()

    def aux_put(self, notes: Mapping[bytes, bytes | None]) -> None:
        """Write notes, all or none, and wait for the disk; None deletes."""
        batch = self._kv.batch()
        batch.put_all(Column.AUX, notes)
        self._kv.write(batch, self._sync)

    # -- importing --------------------------------------------------------------------------

    def prepare(self, parent: Hash, changes: Mapping[bytes, bytes | None]) -> Prepared:
        """The state that changes to the state of `parent` make: its `root` goes into the header.

        Raises UnknownBlock or StateDiscarded.
        """
        return self._states.prepare(self.state_at(parent), changes)

    def import_block(
        self,
        header: Header,
        body: Iterable[bytes],
        prepared: Prepared,
        *,
        best: bool,
        final: bool = False,
        justification: tuple[bytes, bytes] | None = None,
        notes: Mapping[bytes, bytes | None] | None = None,
    ) -> Route | None:
        """Write a block and its state; the route from the old best block if it becomes the best.

        With `final` the new best block is final at once, if all below it is and there are no
        forks to discard: one write then does what `finalize` would need another for.

        The caller has verified the block; what the store itself relies on is checked again and
        raises NotPossible. `notes` go to the auxiliary keys in the same batch.
        """
        parent, block = Hash(header.parent_hash), header.hash
        self._check_import(header, prepared)
        change = self._change()
        record = self._states.put(change.batch, header, prepared, self.pruning is not None)
        self._blocks.put(change.batch, record, body)
        if justification is not None:
            self._blocks.put_justification(change.batch, block, *justification)
        if notes:
            change.batch.put_all(Column.AUX, notes)
        route = None
        if best:
            way = self.route(self._head.best, parent)
            route = Route(way.retracted, way.common, (*way.enacted, block))
            self._move_best(change, route, header.number, prepared)
            if final and parent == self._head.finalized and not self._forks.blocks():
                ahead = {"finalized": block, "finalized_number": header.number}
                change.head = replace(change.head, **ahead)  # type: ignore[arg-type]
                self._prune(change, (block,))
        else:
            change.forks[block] = Fork(parent, header.number, prepared.sequence)
        self._commit(change)
        self._blocks.remember(block, record)
        self._states.published(block, prepared)
        if self._head.finalized == block:
            self._light_beacon(self._head)
        return route

    def _check_import(self, header: Header, prepared: Prepared) -> None:
        name = f"block 0x{header.hash.hex()}"
        parent = self._blocks.record(Hash(header.parent_hash))
        if self._blocks.find(header.hash) is not None:
            raise NotPossible(f"{name} has been imported before")
        if prepared.parent != header.parent_hash or header.number != parent.header.number + 1:
            raise NotPossible(f"{name} does not follow the block its state was prepared on")
        if prepared.root != header.state_root:
            raise NotPossible(f"{name} has another state root than the state prepared for it")
        self._ensure_above_final(Hash(header.parent_hash), name)

    def _ensure_above_final(self, block: Hash, name: str) -> None:
        if not self.is_descendant(self._head.finalized, block):
            raise NotPossible(
                f"{name} is not on a chain with the last finalised block "
                f"0x{self._head.finalized.hex()}, and finalised blocks are never reverted"
            )

    # -- which block is best ------------------------------------------------------------------

    def set_best(self, block: Hash) -> Route:
        """Make another block the best; raises UnknownBlock, or NotPossible below the final one."""
        self._ensure_above_final(block, f"block 0x{block.hex()}")
        change = self._change()
        route = self.route(self._head.best, block)
        self._move_best(change, route, self._blocks.record(block).header.number, None)
        self._commit(change)
        return route

    def _move_best(
        self, change: Change, route: Route, number: int, prepared: Prepared | None
    ) -> None:
        """Lead the best chain along a route, whose last block may be new and only `prepared`."""
        old = self.state_at(self._head.best)
        best = Hash(route.enacted[-1] if route.enacted else route.common)
        for i, block in enumerate(route.enacted, number - len(route.enacted) + 1):
            self._blocks.put_number(change.batch, i, Hash(block))
            if Hash(block) in self._forks:
                change.forks[Hash(block)] = None
        for i in range(number + 1, old.number + 1):
            self._blocks.put_number(change.batch, i, None)
        for block in route.retracted:
            record = self._blocks.record(Hash(block))
            parent = Hash(record.header.parent_hash)
            change.forks[Hash(block)] = Fork(parent, record.header.number, record.sequence)
        if prepared is not None and prepared.parent == old.block:
            change.batch.put_all(Column.FLAT, prepared.changes)
        else:
            trie: Trie = self.state_at(best).trie() if prepared is None else prepared.trie
            self._states.move_flat(change.batch, old, trie)
        change.head = replace(change.head, best=best, best_number=number)

    def revert(self, count: int) -> int:
        """Take back up to `count` blocks of the best chain, never finalised ones; how many."""
        best, number = self.best()
        target = max(number - count, self._head.finalized_number)
        block = self.hash_of(target)
        assert block is not None
        self.rewind(block)
        return number - target

    def rewind(self, block: Hash) -> tuple[Hash, ...]:
        """Make a block of the best chain the last one there is; what was discarded.

        For development tools: this takes back finality too. Raises StateDiscarded if the
        block's state is not kept, NotPossible if it is not on the best chain.
        """
        target = self.state_at(block)
        if not self.is_canonical(block):
            raise NotPossible(f"block 0x{block.hex()} is not on the best chain")
        change = self._change()
        route = self.route(self._head.best, block)
        self._states.move_flat(change.batch, self.state_at(self._head.best), target.trie())
        for i in range(target.number + 1, self._head.best_number + 1):
            self._blocks.put_number(change.batch, i, None)
        gone = [Hash(b) for b in route.retracted]
        for main in (block, *list(gone)):
            gone += self._forks.below(main)
        self._discard(change, gone)
        change.head = replace(change.head, best=block, best_number=target.number)
        if target.number < self._head.finalized_number:
            final = {"finalized": block, "finalized_number": target.number}
            change.head = replace(change.head, **final)  # type: ignore[arg-type]
            self._light_beacon(change.head)
        self._commit(change)
        return tuple(gone)

    # -- finality -----------------------------------------------------------------------------

    def finalize(self, block: Hash, justification: tuple[bytes, bytes] | None = None) -> Finalized:
        """Make a block final, with all above it; discard forks and states no longer needed.

        When the best chain does not hold the block, the best block changes to the best one that
        does. Raises UnknownBlock, or NotPossible for a block beside or above the last final one.
        """
        record = self._blocks.record(block)
        change = self._change()
        if justification is not None:
            self._blocks.put_justification(change.batch, block, *justification)
        if block == self._head.finalized:
            self._commit(change)
            return Finalized((), (), None)
        self._ensure_above_final(block, f"block 0x{block.hex()}")
        blocks = self.route(self._head.finalized, block).enacted
        route = None
        if not self.is_canonical(block):
            best = self.choose_best(above=block)
            route = self.route(self._head.best, best)
            self._move_best(change, route, self._blocks.record(best).header.number, None)
        stale = self._stale_forks(change, block)
        self._discard(change, stale)
        number = record.header.number
        change.head = replace(change.head, finalized=block, finalized_number=number)
        self._prune(change, blocks)
        self._commit(change)
        self._light_beacon(change.head)
        return Finalized(tuple(Hash(b) for b in blocks), tuple(stale), route)

    def _stale_forks(self, change: Change, block: Hash) -> list[Hash]:
        """Forks that a block, once final, rules out, except those that somebody has pinned."""
        pinned = {block for pin in self._pins for block in self._fork_of(change, pin)[1:]}
        candidates = [*self._forks.blocks(), *(b for b, f in change.forks.items() if f)]
        return [
            fork
            for fork in candidates
            if fork not in pinned
            and change.forks.get(fork, fork) is not None
            and not self.is_descendant(block, fork)
        ]

    def _prune(self, change: Change, blocks: tuple[bytes, ...]) -> None:
        """Discard states that have fallen out of the window; `blocks` are about to be final."""
        if self.pruning is None:
            return
        head = change.head
        first = head.finalized_number - len(blocks) + 1
        end = min(head.finalized_number - self.pruning + 1, head.first_state + PRUNE_AT_ONCE)
        end = min(end, *self._pinned_numbers(change), end)
        for number in range(head.first_state, end):
            ahead = number + 1 - first
            old, new = self.hash_of(number), self.hash_of(number + 1)
            if ahead >= 1:
                old = Hash(blocks[ahead - 1])
            if ahead >= 0:
                new = Hash(blocks[ahead])
            assert old is not None
            assert new is not None
            self._states.discard_old(change.batch, old, new)
        change.head = replace(head, first_state=max(head.first_state, end))

    def _pinned_numbers(self, change: Change) -> list[int]:
        """Numbers of the best chain's blocks on whose states pinned ones rest."""
        roots = [self._fork_of(change, pin)[0] for pin in self._pins]
        return [self._blocks.record(root).header.number for root in roots]

    def _fork_of(self, change: Change, block: Hash) -> list[Hash]:
        """From the block that a fork grows from, up to one of the fork's blocks."""
        path = [block]
        while (fork := change.forks.get(path[-1]) or self._forks.get(path[-1])) is not None:
            path.append(fork.parent)
        return path[::-1]

    def _discard(self, change: Change, blocks: Iterable[Hash]) -> None:
        """Delete blocks and what only their states hold."""
        for block in blocks:
            self._states.discard_new(change.batch, block, self._blocks.record(block))
            self._blocks.delete(change.batch, block)
            change.forks[block] = None
            change.gone.append(block)

    def _light_beacon(self, head: Head) -> None:
        if self._beacon is not None:
            self._beacon.write(Beacon(head.finalized_number, head.finalized))

    # -- writing ----------------------------------------------------------------------------

    def _change(self) -> Change:
        head = replace(self._head, sequence=self._states.sequence)
        return Change(self._kv.batch(), head)

    def _commit(self, change: Change) -> None:
        """Write a change; memory follows only then. Raises StoreError and changes nothing."""
        states, head = self._states, change.head
        change.batch.put(Column.META, HEAD, head.encode())
        Forks.write(change.batch, change.forks)
        # While the flat copy moves, readers go through the tries.
        states.flat_at = None if head.best != self._head.best else head.best
        try:
            self._kv.write(change.batch, self._sync)
            self._head = head
        finally:
            states.flat_at = self._head.best
        self._forks.apply(change.forks)
        self._blocks.forget(change.gone)
