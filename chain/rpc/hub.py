"""Who is told what when the chain moves. Lives on the event loop.

Header subscriptions get each new header once; storage subscriptions get what differs from what
they heard last, so a reorganisation needs no special case; transaction watchers get the pool's
events and end with the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import orjson

from chain.pool.transaction import FINAL, TxEvent
from chain.rpc.follow import Followers
from chain.rpc.session import Subscription, Topic

Read = Callable[[bytes], bytes | None]


class StorageWatch:
    """Subscriptions to raw keys, with the values last reported."""

    def __init__(self) -> None:
        self._subscribers: dict[str, tuple[Subscription, dict[bytes, bytes | None]]] = {}

    def __len__(self) -> int:
        return len(self._subscribers)

    def add(
        self, subscription: Subscription, keys: list[bytes], read: Read, block_hash: bytes
    ) -> None:
        """Report all values now, later only changes."""
        values = {key: read(key) for key in keys}
        self._subscribers[subscription.id] = subscription, values
        subscription.on_close(lambda: self._remove(subscription))
        subscription.push(change_set(block_hash, values.items()))

    def _remove(self, subscription: Subscription) -> None:
        self._subscribers.pop(subscription.id, None)

    def publish(self, block_hash: bytes, read: Read) -> None:
        """Compare every watched key with the new best block; each key is read once."""
        seen: dict[bytes, bytes | None] = {}
        for subscription, values in list(self._subscribers.values()):
            changed = []
            for key, old in values.items():
                if key not in seen:
                    seen[key] = read(key)
                if seen[key] != old:
                    changed.append((key, seen[key]))
            if changed:
                values.update(changed)
                subscription.push(change_set(block_hash, changed))


def change_set(block_hash: bytes, changes: Iterable[tuple[bytes, bytes | None]]) -> bytes:
    """`StorageChangeSet` as JSON."""
    return orjson.dumps(
        {
            "block": "0x" + block_hash.hex(),
            "changes": [
                ["0x" + key.hex(), None if value is None else "0x" + value.hex()]
                for key, value in changes
            ],
        }
    )


def status_json(event: TxEvent) -> bytes:
    """A transaction's status as clients read it: a word, or a word with a hash."""
    if event.value is None:
        return orjson.dumps(event.status)
    value = "0x" + event.value.hex() if isinstance(event.value, bytes) else list(event.value)
    return orjson.dumps({event.status: value})


class Watcher(Protocol):
    """Somebody who follows one transaction."""

    subscription: Subscription

    def __call__(self, event: TxEvent) -> None:
        """Hear of an event."""


class _LegacyWatcher:
    """author_submitAndWatchExtrinsic's form of events."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription

    def __call__(self, event: TxEvent) -> None:
        self.subscription.push(status_json(event))


class Hub:
    """Every topic of the node."""

    def __init__(self) -> None:
        self.all_heads, self.new_heads, self.finalized_heads = Topic(), Topic(), Topic()
        self.runtime_versions = Topic()
        self.storage = StorageWatch()
        self.followers = Followers()
        self._watchers: dict[bytes, list[Watcher]] = {}

    def watch(self, tx_hash: bytes, subscription: Subscription) -> None:
        """Send the transaction's events to this subscription, in the legacy form."""
        self.observe(tx_hash, _LegacyWatcher(subscription))

    def observe(self, tx_hash: bytes, watcher: Watcher) -> None:
        """Call `watcher` with the transaction's events until its subscription ends."""
        self._watchers.setdefault(tx_hash, []).append(watcher)
        watcher.subscription.on_close(lambda: self._unwatch(tx_hash, watcher))

    def _unwatch(self, tx_hash: bytes, watcher: Watcher) -> None:
        watchers = self._watchers.get(tx_hash)
        if watchers is not None and watcher in watchers:
            watchers.remove(watcher)
            if not watchers:
                del self._watchers[tx_hash]

    def publish_transactions(self, events: Iterable[TxEvent]) -> None:
        """Pass the pool's news on."""
        for event in events:
            watchers = self._watchers.get(event.tx)
            if watchers is None:
                continue
            for watcher in list(watchers):
                watcher(event)
                if event.status in FINAL:
                    watcher.subscription.end()
