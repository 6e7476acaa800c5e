"""The pool's rules: who enters, who replaces whom, who leaves when a block comes.

Everything that happens to a transaction is appended to the news; `take_news` hands it over.
A block's life in the pool is `enact` (or `retract` and `enact` after a reorganisation),
`expire`, `revalidate`, and later `finalize`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from chain.pool import errors
from chain.pool.bans import Bans
from chain.pool.errors import PoolError
from chain.pool.queues import Future, Ready, Selection
from chain.pool.transaction import Status, Transaction, TxEvent, transaction_hash
from chain.runtime.validity import InvalidTransaction, UnknownTransaction, Validity
from ganglion.scale import DecodeError

FOREVER = (1 << 64) - 1
NEVER = -1
FINALITY_TIMEOUT = 512
"""Blocks after which a transaction that is in a block is no longer followed."""

Validate = Callable[[bytes], Validity]
"""Checks bytes against the best state; raises InvalidTransaction, UnknownTransaction or
DecodeError."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Transactions and bytes that may wait; the future queue gets a tenth of both."""

    count: int = 8192
    size: int = 20480 * 1024
    ban_seconds: int = 1800


class Pool:
    """Ready and future transactions, and what became of those that left for a block."""

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008 (frozen)
        self.limits = limits
        self.ready, self.future = Ready(), Future()
        self._bans = Bans(limits.ban_seconds, 2 * limits.count)
        self._order = 0
        self._news: list[TxEvent] = []
        self._placed: dict[bytes, bytes] = {}
        self._blocks: dict[bytes, tuple[int, list[bytes]]] = {}

    def __len__(self) -> int:
        return len(self.ready) + len(self.future)

    def __contains__(self, tx_hash: bytes) -> bool:
        return tx_hash in self.ready.by_hash or tx_hash in self.future.by_hash

    def take_news(self) -> list[TxEvent]:
        """What happened since the last call, in order."""
        news, self._news = self._news, []
        return news

    # -- entering ---------------------------------------------------------------------------

    def submit(self, raw: bytes, validate: Validate, number: int, now: float) -> bytes:
        """Take in a transaction; returns its hash. Raises PoolError with upstream's code.

        `number` is the best block's, `now` is in seconds of any steady clock.
        """
        tx_hash = transaction_hash(raw)
        left = self._bans.left(tx_hash, now)
        if left:
            raise errors.banned(round(left))
        if tx_hash in self:
            raise errors.already_imported(tx_hash)
        tx = self._validated(tx_hash, raw, validate, number, now)
        self._import(tx)
        self._enforce_limits()
        if tx_hash not in self:
            raise errors.immediately_dropped()
        return tx_hash

    def _validated(
        self, tx_hash: bytes, raw: bytes, validate: Validate, number: int, now: float
    ) -> Transaction:
        try:
            validity = validate(raw)
        except InvalidTransaction as error:
            self._bans.add(tx_hash, now)
            raise errors.invalid(error) from None
        except UnknownTransaction as error:
            raise errors.unknown(error) from None
        except DecodeError as error:
            raise errors.bad_format(str(error)) from None
        if not validity.provides:
            raise errors.no_tags()
        if set(validity.provides) & set(validity.requires):
            raise errors.cycle()
        self._order += 1
        return Transaction(
            hash=tx_hash,
            raw=raw,
            priority=validity.priority,
            requires=tuple(validity.requires),
            provides=tuple(validity.provides),
            valid_till=min(number + validity.longevity, FOREVER),
            propagate=validity.propagate,
            order=self._order,
            checked_at=number,
        )

    def _import(self, tx: Transaction) -> None:
        missing = {tag for tag in tx.requires if tag not in self.ready.provider}
        if missing:
            self.future.add(tx, missing)
            self._tell(tx, "future")
        else:
            self._promote(tx)
            self._free(tx.provides)

    def _free(self, tags: Iterable[bytes]) -> None:
        """Promote what waited for these tags, and what waited for that."""
        queue = self.future.satisfy(tags)
        while queue:
            tx = queue.pop(0)
            try:
                self._promote(tx)
            except PoolError:
                self._tell(tx, "invalid")
            else:
                queue.extend(self.future.satisfy(tx.provides))

    def _promote(self, tx: Transaction) -> None:
        """Make it ready, in place of those with the same tags if it outranks them."""
        ready = self.ready
        rivals = {r.hash: r for t in tx.provides if (r := ready.provider.get(t)) is not None}
        if rivals:
            old = min(sum(r.priority for r in rivals.values()), FOREVER)
            if tx.priority <= old:
                raise errors.too_low_priority(old, tx.priority)
        orphans = []
        for rival in rivals.values():
            kept = set(tx.provides)
            orphans += [d for d in ready.dependents(rival) if not set(d.requires).issubset(kept)]
            ready.remove(rival)
            self._tell(rival, "usurped", tx.hash)
        ready.add(tx)
        self._tell(tx, "ready")
        for orphan in ready.remove_tree(
            o for o in orphans if any(t not in ready.provider for t in o.requires)
        ):
            self._tell(orphan, "invalid")

    def _enforce_limits(self) -> None:
        limits, ready, future = self.limits, self.ready, self.future
        while len(ready) > limits.count or ready.size > limits.size:
            for tx in ready.remove_tree([ready.worst()]):
                self._tell(tx, "dropped")
        while len(future) > limits.count // 10 or future.size > limits.size // 10:
            last = future.last()
            future.remove(last)
            self._tell(last, "dropped")

    # -- leaving ----------------------------------------------------------------------------

    def select(self) -> Selection:
        """Ready transactions in a block's order; the pool must not change meanwhile."""
        return Selection(self.ready)

    def reject(self, hashes: Iterable[bytes], now: float) -> None:
        """Drop what a block could not apply, with all that depends on it, and ban it."""
        for tx_hash in hashes:
            tx = self.ready.by_hash.get(tx_hash)
            if tx is not None:
                self._invalidate(tx, now)

    def _invalidate(self, tx: Transaction, now: float) -> None:
        self._bans.add(tx.hash, now)
        if tx.hash in self.future.by_hash:
            self.future.remove(tx)
            self._tell(tx, "invalid")
            return
        for gone in self.ready.remove_tree([tx]):
            self._tell(gone, "invalid")

    def clear(self) -> None:
        """Forget all transactions and bans (their watchers hear "dropped")."""
        for tx in [*self.ready.by_hash.values(), *self.future.by_hash.values()]:
            self._tell(tx, "dropped")
        self.ready, self.future = Ready(), Future()
        self._bans.clear()
        self._placed.clear()
        self._blocks.clear()

    # -- blocks -----------------------------------------------------------------------------

    def enact(self, block_hash: bytes, number: int, extrinsics: Sequence[bytes]) -> None:
        """A block joined the best chain: what it holds leaves the pool."""
        placed: list[bytes] = []
        tags: list[bytes] = []
        for raw in extrinsics:
            tx_hash = transaction_hash(raw)
            tx = self.ready.by_hash.get(tx_hash)
            if tx is not None:
                self.ready.remove(tx)
            else:
                tx = self.future.by_hash.get(tx_hash)
                if tx is not None:
                    self.future.remove(tx)
                elif tx_hash not in self._placed:
                    continue
            if tx is not None:
                tags += tx.provides
            placed.append(tx_hash)
            self._placed[tx_hash] = block_hash
            self._news.append(TxEvent(tx_hash, "inBlock", block_hash))
        if placed:
            self._blocks[block_hash] = (number, placed)
        for tag in tags:
            rival = self.ready.provider.get(tag)
            if rival is not None:
                self.ready.remove(rival)
                self._tell(rival, "invalid")
        self._free(tags)

    def retract(self, block_hash: bytes) -> None:
        """A block left the best chain; what it held must be submitted again by the caller."""
        for tx in self.ready.by_hash.values():
            tx.checked_at = NEVER  # it may need now what the block had brought
        _, placed = self._blocks.pop(block_hash, (0, []))
        for tx_hash in placed:
            self._news.append(TxEvent(tx_hash, "retracted", block_hash))

    def resubmit(self, raw: bytes, validate: Validate, number: int, now: float) -> None:
        """Take a retracted transaction back, unless it is in the pool or no longer valid."""
        tx_hash = transaction_hash(raw)
        if tx_hash in self or self._placed.get(tx_hash) in self._blocks:
            return
        known = self._placed.pop(tx_hash, None) is not None
        try:
            self._import(self._validated(tx_hash, raw, validate, number, now))
        except PoolError:
            if known:
                self._news.append(TxEvent(tx_hash, "invalid"))
        self._enforce_limits()

    def finalize(self, block_hash: bytes) -> None:
        """A block of the best chain cannot be undone any more."""
        _, placed = self._blocks.pop(block_hash, (0, []))
        for tx_hash in placed:
            self._placed.pop(tx_hash, None)
            self._news.append(TxEvent(tx_hash, "finalized", block_hash))

    def expire(self, number: int, now: float) -> None:
        """Drop what is past its era, and stop following what finality does not reach."""
        late = [
            tx
            for queue in (self.ready, self.future)
            for tx in queue.by_hash.values()
            if tx.valid_till <= number
        ]
        for tx in late:
            if tx.hash in self:
                self._invalidate(tx, now)
        for block_hash, (height, placed) in list(self._blocks.items()):
            if height + FINALITY_TIMEOUT > number:
                break
            del self._blocks[block_hash]
            for tx_hash in placed:
                self._placed.pop(tx_hash, None)
                self._news.append(TxEvent(tx_hash, "finalityTimeout", block_hash))

    def revalidate(self, validate: Validate, number: int, now: float, budget: int) -> None:
        """Check up to `budget` transactions of each queue again, the longest unchecked first."""
        for tx in list(self.ready.by_hash.values())[:budget]:
            if tx.checked_at >= number or tx.hash not in self.ready.by_hash:
                continue
            validity = self._still_valid(tx, validate, now)
            if validity is None:
                continue
            requires = tuple(validity.requires)
            if all(tag in self.ready.provider for tag in requires):
                self.ready.touch(tx, requires, number)
            else:
                self._demote(tx, requires)
        for tx in list(self.future.by_hash.values())[:budget]:
            if tx.hash not in self.future.by_hash:
                continue
            validity = self._still_valid(tx, validate, now)
            if validity is None:
                continue
            missing = {tag for tag in validity.requires if tag not in self.ready.provider}
            self.future.remove(tx)
            tx.requires, tx.checked_at = tuple(validity.requires), number
            if missing:
                self.future.add(tx, missing)
            else:
                self._import_again(tx)

    def _demote(self, tx: Transaction, requires: tuple[bytes, ...]) -> None:
        """The chain went back: what `tx` needs is gone, so it waits with all that follow it."""
        tree = self.ready.remove_tree([tx])
        tx.requires = requires
        for waiting in tree:
            self._import_again(waiting)

    def _import_again(self, tx: Transaction) -> None:
        try:
            self._import(tx)
        except PoolError:
            self._tell(tx, "invalid")

    def _still_valid(self, tx: Transaction, validate: Validate, now: float) -> Validity | None:
        try:
            return validate(tx.raw)
        except (InvalidTransaction, UnknownTransaction, DecodeError):
            self._invalidate(tx, now)
            return None

    # -- reading ----------------------------------------------------------------------------

    def next_nonce(self, who: bytes, nonce: int) -> int:
        """The account's nonce after its ready transactions, `nonce` being the chain's."""
        while who + nonce.to_bytes(4, "little") in self.ready.provider:
            nonce += 1
        return nonce

    def _tell(self, tx: Transaction, status: Status, value: bytes | None = None) -> None:
        self._news.append(TxEvent(tx.hash, status, value))
