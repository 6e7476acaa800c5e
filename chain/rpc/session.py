"""One WebSocket connection as its methods see it: subscriptions and a bounded outbox.

The outbox holds only pushed notifications. A client that does not read them is dropped once
`MAX_QUEUED` frames or `MAX_QUEUED_BYTES` wait, so that memory stays bounded; replies are never
queued here, they hold back the reading of the next request instead.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable

from chain.rpc.errors import TOO_MANY_SUBSCRIPTIONS, RpcError

MAX_QUEUED = 4096
MAX_QUEUED_BYTES = 8 << 20


class Subscription:
    """A stream of notifications to one client, under one id."""

    __slots__ = ("_closers", "_head", "_held", "id", "session")

    def __init__(self, session: Session, push_method: str) -> None:
        self.session = session
        self.id = secrets.token_urlsafe(12)
        self._head = b'{"jsonrpc":"2.0","method":"%b","params":{"subscription":"%b","result":' % (
            push_method.encode(),
            self.id.encode(),
        )
        self._closers: list[Callable[[], None]] = []
        self._held: list[bytes] | None = None

    def hold(self) -> None:
        """Keep notifications back until `release`: the reply with the id must come first."""
        self._held = []

    def release(self) -> None:
        """The reply is on its way: send what was kept back, and everything after it."""
        held, self._held = self._held or [], None
        for frame in held:
            self.session.enqueue(frame)

    def push(self, result: bytes) -> None:
        """Queue one notification; `result` is JSON."""
        frame = b"%b%b}}" % (self._head, result)
        if self._held is None:
            self.session.enqueue(frame)
        else:
            self._held.append(frame)

    def on_close(self, closer: Callable[[], None]) -> None:
        """Run `closer` when the client unsubscribes, leaves, or the stream ends."""
        self._closers.append(closer)

    def end(self) -> None:
        """Forget this stream; the client hears no more of it."""
        self.session.subscriptions.pop(self.id, None)
        closers, self._closers = self._closers, []
        for closer in closers:
            closer()


class Topic:
    """Subscriptions that receive the same notifications."""

    def __init__(self) -> None:
        self._subscribers: dict[str, Subscription] = {}

    def __len__(self) -> int:
        return len(self._subscribers)

    def add(self, subscription: Subscription) -> None:
        self._subscribers[subscription.id] = subscription
        subscription.on_close(lambda: self._remove(subscription))

    def _remove(self, subscription: Subscription) -> None:
        self._subscribers.pop(subscription.id, None)

    def publish(self, result: bytes) -> None:
        """Push one JSON value to every subscriber."""
        for subscription in list(self._subscribers.values()):
            subscription.push(result)


class Session:
    """State of one connection; owned by the event loop."""

    def __init__(self, max_subscriptions: int) -> None:
        self.subscriptions: dict[str, Subscription] = {}
        self.outbox: deque[bytes] = deque()
        self.wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.follows = 0
        self.broadcasts: dict[str, Callable[[], object]] = {}
        self.overflowed = False
        self.on_overflow: Callable[[], None] | None = None
        self._queued_bytes = 0
        self._max_subscriptions = max_subscriptions

    def open(self, push_method: str) -> Subscription:
        """A new subscription; RpcError when the client holds as many as it may."""
        if len(self.subscriptions) >= self._max_subscriptions:
            raise RpcError(
                TOO_MANY_SUBSCRIPTIONS,
                "Too many subscriptions on the connection",
                f"Exceeded max limit of {self._max_subscriptions}",
            )
        subscription = Subscription(self, push_method)
        self.subscriptions[subscription.id] = subscription
        return subscription

    def enqueue(self, frame: bytes) -> None:
        """Queue a frame for the writer; past the bound the connection is marked for dropping."""
        if self.overflowed:
            return
        if len(self.outbox) >= MAX_QUEUED or self._queued_bytes + len(frame) > MAX_QUEUED_BYTES:
            self.overflowed = True
            self.outbox.clear()
            if self.on_overflow is not None:
                self.on_overflow()
            return
        self.outbox.append(frame)
        self._queued_bytes += len(frame)
        self._empty.clear()
        self.wake.set()

    def take(self) -> bytes:
        """The oldest queued frame."""
        frame = self.outbox.popleft()
        self._queued_bytes -= len(frame)
        if not self.outbox:
            self._empty.set()
        return frame

    async def drained(self) -> None:
        """Wait until the client has taken what was queued, or has left."""
        await self._empty.wait()

    def close(self) -> None:
        """End every subscription and broadcast."""
        self._empty.set()
        for stop in self.broadcasts.values():
            stop()
        for subscription in list(self.subscriptions.values()):
            subscription.end()
