"""HTTP and WebSocket on one port, around a `Dispatcher`.

Limits: connections, request and response size, calls in flight and queued pushes per
connection. Large replies are compressed where the client offers permessage-deflate and is not
on this machine. A page of another origin gets no answer unless `cors` names it: a browser
would otherwise lend it the developer's node.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp._websocket.writer import WebSocketWriter
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from chain.rpc.jsonrpc import Dispatcher, oversized_request
from chain.rpc.session import Session

log = logging.getLogger("rpc")

MIB = 1 << 20
COMPRESS_FROM = 4096
INBOX = 1 << 16
"""Bytes of unread frames at which we stop reading from a client."""
MAX_IN_FLIGHT = 16
_CONTENT = (WSMsgType.TEXT, WSMsgType.BINARY)
TRY_AGAIN_LATER = 1013
DROP_AFTER = 5.0
"""Seconds a client that does not read has to take its close frame."""

_WELCOME = (
    "A Ganglion node: JSON-RPC 2.0 by POST to http://{host} or WebSocket to ws://{host}; "
    "the method rpc_methods lists what it serves.\n"
    "To look at the chain in a browser: https://polkadot.js.org/apps/?rpc=ws://{host}"
)

Page = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class RpcConfig:
    """Where and for whom the server listens. `cors` None admits pages of every origin.

    Who is silent for `heartbeat` seconds is pinged, and dropped if as much silence follows.
    """

    host: str = "127.0.0.1"
    ports: tuple[int, ...] = (9944,)
    cors: tuple[str, ...] | None = None
    max_connections: int = 2048
    max_request: int = 15 * MIB
    max_response: int = 15 * MIB
    max_subscriptions: int = 1024
    heartbeat: float = 30.0


class RpcServer:
    """Listens until `stop`; `pages` are served for GET by path."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        config: RpcConfig,
        pages: Mapping[str, Page] | None = None,
    ) -> None:
        self._dispatcher, self._config = dispatcher, config
        self._pages = dict(pages or {})
        self._sockets: set[_Socket] = set()
        self._open = 0
        self._runner: web.ServerRunner | None = None
        self._heart: asyncio.Task[None] | None = None
        self.ports: tuple[int, ...] = ()

    async def start(self) -> None:
        """Listen; `ports` then holds the real port numbers. Raises OSError when one is taken."""
        server = web.Server(self._handle, request_factory=self._request, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        for port in self._config.ports:
            site = web.TCPSite(self._runner, self._config.host, port)
            await site.start()
        self._heart = asyncio.create_task(self._beat())
        self.ports = tuple(address[1] for address in self._runner.addresses)

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        if self._heart is not None:
            self._heart.cancel()
        closing = [ws.close(code=1001, message=b"the node is stopping") for ws in self._sockets]
        await asyncio.gather(*closing)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._config.heartbeat)
            for ws in list(self._sockets):
                ws.beat()

    @property
    def connections(self) -> int:
        """Requests and WebSockets being served."""
        return self._open

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        return web.BaseRequest(
            message,
            payload,
            protocol,
            writer,
            task,
            asyncio.get_running_loop(),
            client_max_size=self._config.max_request,
        )

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._admits(request.headers.get("Origin")):
            return _text(403, "This origin is not allowed: start the node with --rpc-cors.")
        if self._open >= self._config.max_connections:
            return _text(429, "Too many connections. Please try again later.")
        self._open += 1
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._websocket(request)
            return await self._http(request)
        finally:
            self._open -= 1

    def _admits(self, origin: str | None) -> bool:
        if origin is None or self._config.cors is None:
            return True
        return any(_same_origin(origin, allowed) for allowed in self._config.cors)

    # -- HTTP -------------------------------------------------------------------------------

    async def _http(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = _cors_headers(request.headers.get("Origin"))
        if request.method == "POST":
            return await self._post(request, headers)
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=headers)
        page = self._pages.get(request.path) if request.method in ("GET", "HEAD") else None
        if page is not None:
            return await page(request)
        if request.method in ("GET", "HEAD") and request.path == "/":
            return _text(200, _WELCOME.format(host=request.host))
        return _text(405, "Used HTTP Method is not allowed. POST is required")

    async def _post(self, request: web.BaseRequest, headers: dict[str, str]) -> web.Response:
        # A form post needs no consent of the browser's user, so only JSON is read.
        if request.content_type != "application/json":
            return _text(415, "Supplied content type is not allowed. Use application/json.")
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _json(oversized_request(self._config.max_request), headers, 413)
        answer = self._dispatcher.handle(body, None)
        reply = answer if answer is None or isinstance(answer, bytes) else await answer
        return _json(reply or b"", headers)

    # -- WebSocket --------------------------------------------------------------------------

    async def _websocket(self, request: web.BaseRequest) -> web.WebSocketResponse:
        ws = _Socket(
            compress=_is_remote(request),
            max_msg_size=self._config.max_request,
            decode_text=False,
        )
        await ws.prepare(request)
        session = Session(self._config.max_subscriptions)
        connection = _Connection(ws, session, request, self._dispatcher)
        self._sockets.add(ws)
        try:
            await connection.serve()
        finally:
            self._sockets.discard(ws)
            connection.close()
        return ws


class _Inbox(WebSocketDataQueue):
    """Messages on their way from the parser to whoever reads; a quick one is answered here.

    `answer` says whether it has dealt with a message. Only one that finds the inbox empty is
    offered to it, so that messages keep their order.
    """

    answer: Callable[[bytes], bool] | None = None
    unread = 0

    def feed_data(self, data: Any, size: int) -> None:
        """The parser has a whole message."""
        answer = self.answer
        if answer is not None and self.unread == 0 and data.type in _CONTENT and answer(data.data):
            return
        self.unread += 1
        super().feed_data(data, size)

    async def read(self) -> Any:
        """The oldest message."""
        message = await super().read()
        self.unread -= 1
        return message


class _Socket(web.WebSocketResponse):
    """aiohttp's WebSocket with such an inbox: no task has to wake up for a quick answer.

    It leaves the heartbeat to the server, which has one timer for all clients.
    """

    inbox: _Inbox
    _silent = 0

    def _post_start(
        self, request: web.BaseRequest, protocol: str | None, writer: WebSocketWriter
    ) -> None:
        self._ws_protocol, self._writer = protocol, writer
        loop = asyncio.get_running_loop()
        self.inbox = self._reader = _Inbox(request.protocol, INBOX, loop=loop)
        self._parser = WebSocketReader(
            self.inbox,
            self._max_msg_size,
            compress=bool(self._compress),
            decode_text=False,
        )
        request.protocol.set_parser(self._parser, data_received_cb=self._hear)
        request.protocol.keep_alive(False)

    def _hear(self) -> None:
        self._silent = 0

    def write_now(self, frame: bytes, kind: WSMsgType) -> None:
        """Send a frame, to be buffered if it must."""
        assert self._writer is not None
        if not self._writer.transport.is_closing():
            self._writer._write_websocket_frame(frame, kind, 0)

    def is_behind(self) -> bool:
        """Whether the client leaves unread what was sent."""
        assert self._writer is not None
        return self._writer.protocol._paused

    def beat(self) -> None:
        """Ping a client that has been silent since the last beat; drop it if it stays so."""
        assert self._writer is not None
        self._silent += 1
        if self._silent == 2:
            self.write_now(b"", WSMsgType.PING)
        elif self._silent > 2:
            self.abort()

    def abort(self) -> None:
        """Drop the connection."""
        assert self._writer is not None
        self._writer.transport.abort()


class _Connection:
    """One WebSocket: reads frames in order, sends replies as they are ready."""

    def __init__(
        self,
        ws: _Socket,
        session: Session,
        request: web.BaseRequest,
        dispatcher: Dispatcher,
    ) -> None:
        self._ws, self._session, self._request = ws, session, request
        self._dispatcher = dispatcher
        self._idle = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._pump = asyncio.create_task(self._push())
        session.on_overflow = self._overflow
        self._deflate = 15 if ws.compress else None
        if ws._writer is not None:
            # aiohttp would deflate every frame; small ones cost more than they save.
            ws._writer.compress = 0
        ws.inbox.answer = self._answer

    async def serve(self) -> None:
        """Until the client leaves."""
        ws, session = self._ws, self._session
        while True:
            self._idle = True
            message = await ws.receive()
            self._idle = False
            if message.type not in _CONTENT:
                return
            answer = self._dispatcher.handle(message.data, session)
            if answer is None:
                continue
            if isinstance(answer, bytes):
                if not await self._send(answer):
                    return
                continue
            if len(self._tasks) >= MAX_IN_FLIGHT:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            self._start(answer)

    def _answer(self, frame: bytes) -> bool:
        """Deal with a message at once; False while `serve` is at one or the client is behind."""
        ws = self._ws
        if not self._idle or len(self._tasks) >= MAX_IN_FLIGHT or ws.closed or ws.is_behind():
            return False
        failed = True
        try:
            answer = self._dispatcher.handle(frame, self._session)
            failed = False
        finally:
            if failed:  # a bug: the parser only prints it, and the client waits for its answer
                ws.abort()
        if not isinstance(answer, bytes):
            if answer is not None:
                self._start(answer)
        elif len(answer) < COMPRESS_FROM:
            ws.write_now(answer, WSMsgType.TEXT)
        else:
            self._start(answer)
        return True

    def _start(self, answer: bytes | Awaitable[bytes | None]) -> None:
        task = asyncio.create_task(self._send_later(answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_later(self, answer: bytes | Awaitable[bytes | None]) -> None:
        reply = answer if isinstance(answer, bytes) else await answer
        if reply is not None:
            await self._send(reply)

    async def _send(self, frame: bytes) -> bool:
        """Write a frame, waiting while the client is behind; False when it has gone."""
        deflate = self._deflate if len(frame) >= COMPRESS_FROM else None
        try:
            await self._ws.send_frame(frame, WSMsgType.TEXT, deflate)
        except ConnectionError:
            return False
        return True

    async def _push(self) -> None:
        session = self._session
        while True:
            await session.wake.wait()
            session.wake.clear()
            while session.outbox:
                if not await self._send(session.take()):
                    return

    def _overflow(self) -> None:
        # The pump may hang in a full socket, so it cannot be the one to close it.
        task = asyncio.create_task(self._drop())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drop(self) -> None:
        log.warning("slow client dropped peer=%s", self._request.remote)
        transport = self._request.transport
        if transport is not None:
            asyncio.get_running_loop().call_later(DROP_AFTER, transport.abort)
        await self._ws.close(
            code=TRY_AGAIN_LATER, message=b"too many unread notifications", drain=False
        )

    def close(self) -> None:
        """End subscriptions and what still runs for this client."""
        self._session.close()
        self._pump.cancel()
        for task in self._tasks:
            task.cancel()


def _is_remote(request: web.BaseRequest) -> bool:
    """Whether bytes are dear: the peer is on another machine, or behind a proxy."""
    return (
        request.remote not in ("127.0.0.1", "::1", "::ffff:127.0.0.1")
        or "X-Forwarded-For" in request.headers
    )


def _same_origin(origin: str, allowed: str) -> bool:
    """`allowed` may end in `:*` for any port."""
    if not allowed.endswith(":*"):
        return origin == allowed
    host, _, port = origin.rpartition(":")
    return allowed[:-2] in (origin, host if port.isdecimal() else origin)


def _cors_headers(origin: str | None) -> dict[str, str]:
    if origin is None:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "content-type",
        "Vary": "Origin",
    }


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n")


def _json(body: bytes, headers: dict[str, str], status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")
