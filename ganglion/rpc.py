"""JSON-RPC to a node, over WebSocket or HTTP.

    async with open_rpc("ws://127.0.0.1:9944") as rpc:
        name = await rpc.call("system_chain")
        heads = await rpc.subscribe("chain_subscribeNewHeads", [], "chain_unsubscribeNewHeads")
        async for head in heads: ...

Every request has a time limit. A WebSocket that breaks is opened again: requests are repeated and
subscriptions renewed, except submissions of transactions, which fail with a clear word instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import WSMsgType

from ganglion.errors import (
    GanglionError,
    NodeUnreachable,
    RequestTimeout,
    RpcError,
    SubscriptionLost,
)
from ganglion.rpc_core import Core, Frame, Subscription

DEFAULT_URL = "ws://127.0.0.1:9944"
_POLICY_CLOSE = 1008
_REFUSED_STATUS = (401, 403, 429)


@dataclass(frozen=True, slots=True)
class RpcOptions:
    """Limits of a connection, times in seconds.

    `reconnect_s` is how long a broken connection is tried again before everything waiting on it
    fails; 0 gives up at once.
    """

    timeout_s: float = 30.0
    connect_timeout_s: float = 10.0
    reconnect_s: float = 60.0
    heartbeat_s: float = 20.0
    queue_size: int = 1024
    max_pending: int = 4096
    max_frame: int = 1 << 28


class Rpc(AbstractAsyncContextManager["Rpc"]):
    """What every connection to a node can do."""

    def __init__(self, url: str, options: RpcOptions | None = None) -> None:
        self.url = url
        self.options = options or RpcOptions()

    async def connect(self) -> None:
        """Open the connection; raises NodeUnreachable."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close it; what is still waiting fails."""
        raise NotImplementedError

    async def call(self, method: str, params: Sequence[Any] = (), timeout_s: float = 0) -> Any:
        """The result of one request.

        Raises RpcError (the node's refusal), RequestTimeout or NodeUnreachable.
        """
        raise NotImplementedError

    async def batch(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The results of several requests sent as one, in order; the first failure is raised."""
        raise NotImplementedError

    async def subscribe(self, method: str, params: Sequence[Any], unsubscribe: str) -> Subscription:
        """Begin a subscription; raises as `call` does."""
        raise NotImplementedError

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; never fails."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def open_rpc(url: str = DEFAULT_URL, options: RpcOptions | None = None) -> Rpc:
    """The connection for a ws://, wss://, http:// or https:// address, not yet opened."""
    scheme = url.partition("://")[0].lower()
    if scheme in ("ws", "wss"):
        return WsRpc(url, options)
    if scheme in ("http", "https"):
        return HttpRpc(url, options)
    raise NodeUnreachable(f"{url!r} is no node address: write ws://HOST:PORT or http://HOST:PORT")


class WsRpc(Rpc):
    """A WebSocket to a node that survives interruptions."""

    def __init__(self, url: str, options: RpcOptions | None = None) -> None:
        super().__init__(url, options)
        self._core = Core(self.options.queue_size)
        self._http: aiohttp.ClientSession | None = None
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._task: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def connect(self) -> None:
        """Open the connection, or open it again after it was given up; raises NodeUnreachable."""
        async with self._opening:
            if self._closed:
                raise NodeUnreachable(f"this connection to {self.url} was closed")
            if self._task is not None and not self._task.done():
                return
            if self._http is None:
                self._http = aiohttp.ClientSession()
            try:
                first = await self._dial(self._http)
            except NodeUnreachable:
                await self._http.close()
                self._http = None
                raise
            self._task = asyncio.create_task(self._run(self._http, first))

    async def close(self) -> None:
        """Close the connection; requests and subscriptions still waiting fail."""
        self._closed = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if self._http is not None:
            await self._http.close()
            self._http = None
        self._core.end(SubscriptionLost("the connection was closed"))

    async def call(self, method: str, params: Sequence[Any] = (), timeout_s: float = 0) -> Any:
        """See Rpc.call."""
        await self._ready()
        frame, reply = self._core.request(method, params)
        return await self._exchange(frame, reply, timeout_s or self.options.timeout_s)

    async def batch(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """See Rpc.batch."""
        if not requests:
            return []
        await self._ready()
        frame, replies = self._core.batch(requests)
        together = asyncio.gather(*replies)
        found: list[Any] = await self._exchange(frame, together, self.options.timeout_s)
        return found

    async def subscribe(self, method: str, params: Sequence[Any], unsubscribe: str) -> Subscription:
        """See Rpc.subscribe."""
        await self._ready()
        made = Subscription(self._core, method, params, unsubscribe)
        frame, reply = self._core.request(method, params, made)
        await self._exchange(frame, reply, self.options.timeout_s)
        return made

    async def unsubscribe(self, subscription: Subscription) -> None:
        """See Rpc.unsubscribe."""
        told = self._core.forget(subscription)
        subscription.end(SubscriptionLost(f"{subscription.method}: closed"))
        if not told or self._ws is None:
            return
        try:
            await self.call(subscription.unsubscribe, [subscription.id], timeout_s=5)
        except GanglionError:
            return  # the node ended it first, or is gone: either way it is over

    async def _ready(self) -> None:
        if self._task is None or self._task.done():
            await self.connect()
        if len(self._core) >= self.options.max_pending:
            raise NodeUnreachable(
                f"{self.options.max_pending} requests to {self.url} are unanswered: it is stuck"
            )

    async def _exchange(self, frame: Frame, reply: asyncio.Future[Any], limit: float) -> Any:
        try:
            async with asyncio.timeout(limit):
                await self._send(frame)
                return await reply
        except TimeoutError:
            raise RequestTimeout(
                f"{self.url} did not answer {frame.method} within {limit:g} seconds"
            ) from None
        finally:
            self._core.abandon(frame)
            reply.cancel()

    async def _send(self, frame: Frame) -> None:
        if self._ws is None:
            return  # sent as soon as the connection stands again
        try:
            await self._ws.send_str(frame.text)
        except ConnectionError:
            return  # the reader notices too, and sends again what may be sent again

    async def _dial(self, http: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        try:
            async with asyncio.timeout(self.options.connect_timeout_s):
                return await http.ws_connect(
                    self.url,
                    heartbeat=self.options.heartbeat_s,
                    max_msg_size=self.options.max_frame,
                    compress=15,
                )
        except aiohttp.WSServerHandshakeError as e:
            raise _Refused(f"{self.url} refused the connection: HTTP {e.status}", e.status) from e
        except TimeoutError as e:
            raise NodeUnreachable(f"{self.url} did not answer: is the node running?") from e
        except (aiohttp.ClientError, OSError, ValueError) as e:
            raise NodeUnreachable(f"cannot connect to {self.url}: is the node running?") from e

    async def _run(self, http: aiohttp.ClientSession, ws: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            reason = await self._serve(ws)
            self._core.disconnected(reason)
            try:
                if ws.close_code == _POLICY_CLOSE:
                    raise NodeUnreachable(f"{self.url} turned this client away")
                ws = await self._redial(http)
            except NodeUnreachable as e:
                self._core.end(e)
                return

    async def _serve(self, ws: aiohttp.ClientWebSocketResponse) -> str:
        """Send what is waiting and read until the connection breaks; the reason in words."""
        reason = f"the connection to {self.url} was lost"
        waiting = self._core.unsent()
        self._ws = ws
        try:
            for frame in waiting:
                await self._send(frame)
            async for message in ws:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self._core.receive(message.data)
        except NodeUnreachable as e:
            reason = f"{self.url}: {e}"
        finally:
            self._ws = None
            await ws.close()
        return reason

    async def _redial(self, http: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        deadline = asyncio.get_running_loop().time() + self.options.reconnect_s
        pause = 0.05
        while True:
            try:
                return await self._dial(http)
            except NodeUnreachable as e:
                final = isinstance(e, _Refused) and e.status in _REFUSED_STATUS
                if final or asyncio.get_running_loop().time() + pause > deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, 5.0)


class _Refused(NodeUnreachable):
    """The handshake was answered, with a refusal."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class HttpRpc(Rpc):
    """Requests by HTTP POST, each on its own; there are no subscriptions."""

    def __init__(self, url: str, options: RpcOptions | None = None) -> None:
        super().__init__(url, options)
        self._core = Core()
        self._http: aiohttp.ClientSession | None = None

    async def connect(self) -> None:
        """Prepare for requests; whether the node is there shows with the first one."""
        if self._http is None:
            self._http = aiohttp.ClientSession()

    async def close(self) -> None:
        """Close the connections kept for further requests."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def call(self, method: str, params: Sequence[Any] = (), timeout_s: float = 0) -> Any:
        """See Rpc.call."""
        frame, reply = self._core.request(method, params)
        return await self._post(frame, reply, timeout_s or self.options.timeout_s)

    async def batch(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """See Rpc.batch."""
        if not requests:
            return []
        frame, replies = self._core.batch(requests)
        found: list[Any] = await self._post(frame, asyncio.gather(*replies), self.options.timeout_s)
        return found

    async def subscribe(self, method: str, params: Sequence[Any], unsubscribe: str) -> Subscription:
        """Always refused: HTTP has no way back."""
        raise NodeUnreachable(f"subscriptions need a WebSocket: use ws:// instead of {self.url}")

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Nothing to end: there are no subscriptions over HTTP."""

    async def _post(self, frame: Frame, reply: asyncio.Future[Any], limit: float) -> Any:
        await self.connect()
        assert self._http is not None
        try:
            async with asyncio.timeout(limit):
                headers = {"Content-Type": "application/json"}
                async with self._http.post(self.url, data=frame.text, headers=headers) as answer:
                    body = await answer.read()
                    if answer.status in _REFUSED_STATUS:
                        raise RpcError(answer.status, f"{self.url} refused the request")
                    self._core.receive(body)
                    if self._core.is_waiting(frame):
                        raise NodeUnreachable(
                            f"{self.url} left {frame.method} without an answer: is this a node?"
                        )
                    return await reply
        except TimeoutError:
            raise RequestTimeout(
                f"{self.url} did not answer {frame.method} within {limit:g} seconds"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as e:
            if isinstance(e, GanglionError):
                raise
            raise NodeUnreachable(f"cannot connect to {self.url}: is the node running?") from e
        finally:
            self._core.abandon(frame)
            reply.cancel()
