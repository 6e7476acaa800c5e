"""JSON-RPC 2.0 bookkeeping without a socket: ids, pending requests, subscriptions.

The driver (`ganglion.rpc`) sends the text of frames and feeds back what arrives. Ids are unique
for the life of a connection's owner, so a frame can be sent again after a reconnect as it is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ganglion.errors import (
    GanglionError,
    NodeUnreachable,
    RpcError,
    SubscriptionLost,
    TransactionRejected,
)

MAX_EARLY = 256
"""Updates kept for subscriptions whose confirmation has not arrived yet, all together."""

_POOL_CODES = range(1010, 1020)
"""Error codes by which a Substrate node's transaction pool refuses a transaction."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What goes over the wire in one piece, and the requests that are in it."""

    text: str
    ids: tuple[int, ...]
    method: str

    @property
    def repeatable(self) -> bool:
        """False for submissions: sent twice they could mean two transactions."""
        return not self.method.startswith("author_submit")


class Subscription:
    """A stream of updates; iterate over it, and close it when done.

    Waiting updates are bounded: a reader that falls too far behind gets SubscriptionLost.
    """

    def __init__(self, core: Core, method: str, params: Sequence[Any], unsubscribe: str) -> None:
        self.method, self.params, self.unsubscribe = method, params, unsubscribe
        self.id: Any = None
        self._core = core
        self._updates: asyncio.Queue[Any] = asyncio.Queue(core.queue_size)
        self._ended: GanglionError | None = None

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Any:
        return await self.next()

    async def next(self) -> Any:
        """The next update; raises SubscriptionLost or NodeUnreachable when there are no more."""
        if self._updates.empty() and self._ended is not None:
            raise self._ended
        update = await self._updates.get()
        if update is _END:
            assert self._ended is not None
            raise self._ended
        return update

    @property
    def is_over(self) -> bool:
        """True once no further update will be delivered, though some may still be waiting."""
        return self._ended is not None

    def put(self, update: Any) -> None:
        """Hand over an update; ends the subscription when the reader is too far behind."""
        if self._ended is not None:
            return
        if self._updates.qsize() >= self._core.queue_size - 1:
            self.end(
                SubscriptionLost(
                    f"{self.method}: {self._core.queue_size} updates are waiting unread"
                )
            )
            self._core.forget(self)
            return
        self._updates.put_nowait(update)

    def end(self, reason: GanglionError) -> None:
        """Let the reader finish what is waiting, then raise `reason`."""
        if self._ended is None:
            self._ended = reason
            self._updates.put_nowait(_END)  # `put` always leaves a place for it


_END = object()


@dataclass(slots=True)
class _Pending:
    frame: Frame
    reply: asyncio.Future[Any]
    subscription: Subscription | None = None


@dataclass(slots=True)
class Core:
    """The requests and subscriptions of one client."""

    queue_size: int = 1024
    _next_id: int = 1
    _pending: dict[int, _Pending] = field(default_factory=dict)
    _live: dict[Any, Subscription] = field(default_factory=dict)
    _early: list[tuple[Any, Any]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._pending)

    def request(
        self, method: str, params: Sequence[Any], subscription: Subscription | None = None
    ) -> tuple[Frame, asyncio.Future[Any]]:
        """A new request and the future of its result."""
        body = self._body(method, params)
        frame = Frame(json.dumps(body), (body["id"],), method)
        return frame, self._expect(body["id"], frame, subscription)

    def batch(
        self, requests: Sequence[tuple[str, Sequence[Any]]]
    ) -> tuple[Frame, list[asyncio.Future[Any]]]:
        """Several requests in one frame, and the futures of their results."""
        bodies = [self._body(method, params) for method, params in requests]
        submits = [m for m, _ in requests if m.startswith("author_submit")]
        name = submits[0] if submits else f"batch of {len(bodies)}"
        frame = Frame(json.dumps(bodies), tuple(b["id"] for b in bodies), name)
        return frame, [self._expect(b["id"], frame, None) for b in bodies]

    def _body(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": list(params)}
        self._next_id += 1
        return body

    def _expect(
        self, number: int, frame: Frame, subscription: Subscription | None
    ) -> asyncio.Future[Any]:
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[number] = _Pending(frame, reply, subscription)
        return reply

    def abandon(self, frame: Frame) -> None:
        """Stop waiting for a frame's replies."""
        for number in frame.ids:
            self._pending.pop(number, None)

    def is_waiting(self, frame: Frame) -> bool:
        """True while a reply to the frame is missing."""
        return any(number in self._pending for number in frame.ids)

    def forget(self, subscription: Subscription) -> bool:
        """Stop delivering to a subscription; True if the node still has to be told."""
        return self._live.pop(subscription.id, None) is not None

    def receive(self, text: str | bytes) -> None:
        """Take in what the node sent; raises NodeUnreachable if it is not JSON-RPC."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as e:
            raise NodeUnreachable("the other side does not speak JSON-RPC: is it a node?") from e
        for message in found if isinstance(found, list) else [found]:
            if not isinstance(message, dict):
                raise NodeUnreachable("the other side does not speak JSON-RPC: is it a node?")
            if "method" in message:
                self._on_update(message.get("params"))
            else:
                self._on_reply(message)

    def _on_reply(self, message: dict[str, Any]) -> None:
        number = message.get("id")
        if number is None and "error" in message:
            self._on_nameless_error(message["error"])
            return
        pending = self._pending.pop(number, None) if isinstance(number, int) else None
        if pending is None or pending.reply.done():
            return  # abandoned, or an answer to nothing
        result = message.get("result")
        if "error" in message:
            self._refuse(pending, rpc_error(message["error"], pending.frame.method))
        elif pending.subscription is None:
            pending.reply.set_result(result)
        elif isinstance(result, str | int):
            self._attach(pending.subscription, result)
            pending.reply.set_result(result)
        else:
            self._refuse(pending, RpcError(0, f"{pending.frame.method} gave no subscription id"))

    def _refuse(self, pending: _Pending, error: GanglionError) -> None:
        _fail(pending.reply, error)
        if pending.subscription is not None:  # it may be a renewal that nobody awaits
            pending.subscription.end(error)

    def _on_nameless_error(self, error: Any) -> None:
        """An error without id answers a frame the node could not read; only a batch can be it."""
        batches = {p.frame for p in self._pending.values() if len(p.frame.ids) > 1}
        if len(batches) != 1:
            return
        for number in batches.pop().ids:
            pending = self._pending.pop(number, None)
            if pending is not None:
                self._refuse(pending, rpc_error(error, pending.frame.method))

    def _attach(self, subscription: Subscription, number: str | int) -> None:
        if subscription.is_over:
            return
        subscription.id = number
        self._live[number] = subscription
        waiting = [update for n, update in self._early if n == number]
        self._early = [(n, update) for n, update in self._early if n != number]
        for update in waiting:
            subscription.put(update)

    def _on_update(self, params: Any) -> None:
        if not isinstance(params, dict) or not isinstance(params.get("subscription"), str | int):
            return
        number = params["subscription"]
        subscription = self._live.get(number)
        if subscription is None:
            # Nodes may send the first update before they confirm the subscription.
            if any(p.subscription for p in self._pending.values()):
                self._early = [*self._early[1 - MAX_EARLY :], (number, params.get("result"))]
        elif "error" in params:
            self._live.pop(number)
            subscription.end(SubscriptionLost(f"{subscription.method}: {params['error']}"))
        else:
            subscription.put(params.get("result"))

    def disconnected(self, reason: str) -> None:
        """The connection broke: end what must not be repeated, mark the rest for sending again."""
        for number, pending in list(self._pending.items()):
            if not pending.frame.repeatable:
                del self._pending[number]
                _fail(pending.reply, NodeUnreachable(f"{reason} {_UNSURE}"))
        self._early.clear()
        for subscription in list(self._live.values()):
            if subscription.method.startswith("author_submit"):
                subscription.end(SubscriptionLost(f"{reason} {_UNSURE}"))
            else:
                self.request(subscription.method, subscription.params, subscription)
        self._live.clear()

    def unsent(self) -> list[Frame]:
        """Every frame with an open request, to be sent on a new connection."""
        return list(dict.fromkeys(p.frame for p in self._pending.values()))

    def end(self, error: GanglionError) -> None:
        """Fail everything that is still waiting."""
        pending, self._pending = self._pending, {}
        live, self._live = self._live, {}
        for p in pending.values():
            self._refuse(p, error)
        for subscription in live.values():
            subscription.end(error)


_UNSURE = "while a transaction was under way: look at the account's nonce before sending it again"


def _fail(reply: asyncio.Future[Any], error: Exception) -> None:
    if not reply.done():
        reply.set_exception(error)
        reply.exception()  # nobody may be waiting any more; that is no fault


def result_bytes(result: Any) -> bytes:
    """The bytes of a 0x hex result; raises NodeUnreachable when it is something else."""
    try:
        return bytes.fromhex(result.removeprefix("0x"))
    except (AttributeError, ValueError) as e:
        raise NodeUnreachable("the node sent something else where hexadecimal belongs") from e


def rpc_error(error: Any, method: str) -> RpcError:
    """The exception of a JSON-RPC error object; pool refusals get their own class."""
    if not isinstance(error, dict):
        return RpcError(0, str(error))
    code, message, data = error.get("code", 0), str(error.get("message", "")), error.get("data")
    pool = method.startswith("author_submit") and code in _POOL_CODES
    return (TransactionRejected if pool else RpcError)(code, message, data)
