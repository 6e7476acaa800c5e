"""The two halves of the pool: ready transactions and those that wait for others.

A transaction is ready when every tag it requires is provided by a ready transaction (or was
provided by the chain, which validation tells by leaving the tag out). Removing a ready
transaction takes its dependents along.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from chain.pool.transaction import Transaction


class Ready:
    """Transactions whose requirements are met, by hash in the order of their last check."""

    def __init__(self) -> None:
        self.by_hash: dict[bytes, Transaction] = {}
        self.provider: dict[bytes, Transaction] = {}
        self._needed_by: dict[bytes, set[bytes]] = {}
        self._worst: list[tuple[int, int, bytes]] = []
        self.size = 0

    def __len__(self) -> int:
        return len(self.by_hash)

    def add(self, tx: Transaction) -> None:
        self.by_hash[tx.hash] = tx
        self.size += len(tx.raw)
        for tag in tx.provides:
            self.provider[tag] = tx
        for tag in tx.requires:
            self._needed_by.setdefault(tag, set()).add(tx.hash)
        heapq.heappush(self._worst, (tx.priority, -tx.order, tx.hash))
        if len(self._worst) > 64 + 2 * len(self.by_hash):
            self._worst = [(t.priority, -t.order, h) for h, t in self.by_hash.items()]
            heapq.heapify(self._worst)

    def remove(self, tx: Transaction) -> None:
        """Take out one transaction; its dependents stay."""
        del self.by_hash[tx.hash]
        self.size -= len(tx.raw)
        for tag in tx.provides:
            if self.provider.get(tag) is tx:
                del self.provider[tag]
        for tag in tx.requires:
            needing = self._needed_by[tag]
            needing.discard(tx.hash)
            if not needing:
                del self._needed_by[tag]

    def dependents(self, tx: Transaction) -> list[Transaction]:
        """Ready transactions that need what `tx` provides, directly."""
        hashes = {h for tag in tx.provides for h in self._needed_by.get(tag, ())}
        return sorted((self.by_hash[h] for h in hashes), key=lambda t: t.order)

    def remove_tree(self, roots: Iterable[Transaction]) -> list[Transaction]:
        """Take out transactions with all that depend on them; returns them, roots first."""
        removed: list[Transaction] = []
        queue = list(roots)
        while queue:
            tx = queue.pop(0)
            if tx.hash in self.by_hash:
                queue.extend(self.dependents(tx))
                self.remove(tx)
                removed.append(tx)
        return removed

    def worst(self) -> Transaction:
        """Lowest priority; among equals the newest. The queue must not be empty."""
        while True:
            tx = self.by_hash.get(self._worst[0][2])
            if tx is not None and tx.order == -self._worst[0][1]:
                return tx
            heapq.heappop(self._worst)

    def touch(self, tx: Transaction, requires: tuple[bytes, ...], checked_at: int) -> None:
        """Note a check, which may have found other requirements: last in the order of checks."""
        self.remove(tx)
        tx.requires, tx.checked_at = requires, checked_at
        self.add(tx)


class Future:
    """Transactions that wait for tags."""

    def __init__(self) -> None:
        self.by_hash: dict[bytes, Transaction] = {}
        self._missing: dict[bytes, set[bytes]] = {}
        self._wanted: dict[bytes, set[bytes]] = {}
        self.size = 0

    def __len__(self) -> int:
        return len(self.by_hash)

    def add(self, tx: Transaction, missing: set[bytes]) -> None:
        self.by_hash[tx.hash] = tx
        self._missing[tx.hash] = missing
        self.size += len(tx.raw)
        for tag in missing:
            self._wanted.setdefault(tag, set()).add(tx.hash)

    def remove(self, tx: Transaction) -> None:
        del self.by_hash[tx.hash]
        self.size -= len(tx.raw)
        for tag in self._missing.pop(tx.hash):
            wanting = self._wanted[tag]
            wanting.discard(tx.hash)
            if not wanting:
                del self._wanted[tag]

    def satisfy(self, tags: Iterable[bytes]) -> list[Transaction]:
        """Mark tags as provided; returns the transactions that wait no more, taken out."""
        freed = []
        for tag in tags:
            for tx_hash in self._wanted.pop(tag, ()):
                missing = self._missing[tx_hash]
                missing.discard(tag)
                if not missing:
                    freed.append(self.by_hash[tx_hash])
        freed.sort(key=lambda t: t.order)
        for tx in freed:
            self.remove(tx)
        return freed

    def last(self) -> Transaction:
        """The newest; the queue must not be empty."""
        return next(reversed(self.by_hash.values()))


class Selection:
    """Ready transactions in the order a block takes them.

    `take` gives the best whose providers have been accepted; `accept` sets its dependents
    free. What is not accepted (too long, invalid by now) keeps its dependents back.
    """

    def __init__(self, ready: Ready) -> None:
        self._ready = ready
        self._waiting: dict[bytes, int] = {}
        self._heap: list[tuple[tuple[int, int, int], bytes]] = []
        for tx in ready.by_hash.values():
            providers = {ready.provider[t].hash for t in tx.requires if t in ready.provider}
            if providers:
                self._waiting[tx.hash] = len(providers)
            else:
                self._heap.append((tx.rank, tx.hash))
        heapq.heapify(self._heap)

    def take(self) -> Transaction | None:
        """The next candidate, or None when there is no more."""
        if not self._heap:
            return None
        return self._ready.by_hash[heapq.heappop(self._heap)[1]]

    def accept(self, tx: Transaction) -> None:
        """The block has it: what waited for it may follow."""
        for follower in self._ready.dependents(tx):
            left = self._waiting[follower.hash] - 1
            self._waiting[follower.hash] = left
            if left == 0:
                heapq.heappush(self._heap, (follower.rank, follower.hash))
