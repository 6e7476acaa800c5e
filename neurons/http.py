"""The HTTP side of a neuron: signed requests in, clear refusals out.

Every request is authenticated before anything reads it: no route is open. A request signed
before this server started is refused, so that a restart forgets no replay.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any, cast

import orjson
from aiohttp import HttpVersion11, web

from ganglion import btauth
from ganglion.btauth import AuthError, MemoryReplayStore, Verifier
from ganglion.wire.fields import MAX_BODY

log = logging.getLogger(__name__)

PHRASES = {status.value: status.phrase for status in HTTPStatus}

READ_SECONDS = 10.0
"""How long a caller may take to deliver a whole request."""


@lru_cache(maxsize=1)
def date(seconds: int) -> str:
    """A time as HTTP writes it, in English whatever the locale."""
    return formatdate(seconds, usegmt=True)


@dataclass(frozen=True, slots=True)
class Signed:
    """A request whose signature holds: the caller's public key and the raw body."""

    caller: bytes
    body: bytes


IDLE_SECONDS = 20.0
"""How long a connection may stand without a complete request head."""

YOUNG = 20_000
"""New objects after which the garbage collector looks at them; 700 is Python's default."""

OPTIONS: dict[str, Any] = {
    "handler_cancellation": True,
    "keepalive_timeout": IDLE_SECONDS,
    "lingering_time": 1.0,  # seconds that the rest of a refused body is read, then the end
}


class Reply:
    """A whole reply that leaves in one write.

    It stands in for aiohttp's response, of whose methods the server calls these two; a small
    answer spends more time in aiohttp's headers than in the rest of its making.
    """

    __slots__ = ("body", "headers", "keep_alive", "status")

    def __init__(self, body: bytes, status: int = 200, headers: str = "") -> None:
        self.body, self.status, self.headers, self.keep_alive = body, status, headers, True

    async def prepare(self, request: web.BaseRequest) -> None:
        """Send it all; the connection stays open if the caller wants that."""
        self.keep_alive = request.keep_alive
        stay = "" if self.keep_alive else "Connection: close\r\n"
        if self.keep_alive and request.version < HttpVersion11:
            stay = "Connection: keep-alive\r\n"
        head = (
            f"HTTP/1.1 {self.status} {PHRASES[self.status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(self.body)}\r\nDate: {date(int(time.time()))}\r\n"
            f"{self.headers}{stay}\r\n"
        )
        if request.transport is None:
            raise ConnectionResetError("the caller left before its answer")
        request.transport.write(head.encode() + (b"" if request.method == "HEAD" else self.body))

    async def write_eof(self) -> None:
        """Nothing is left to send."""


Answer = web.StreamResponse | Reply
Handler = Callable[[web.BaseRequest, Signed], Awaitable[Answer]]
Dispatch = Callable[[web.BaseRequest], Awaitable[Answer]]


class Refusal(Exception):
    """A request is turned away: status, reason code and a sentence."""

    def __init__(self, status: int, reason: str, message: str, retry_after: int = 0) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message
        self.retry_after = retry_after

    def response(self) -> Reply:
        """As JSON, with Retry-After where waiting helps."""
        headers = f"Retry-After: {self.retry_after}\r\n" if self.retry_after else ""
        body: dict[str, Any] = {"reason": self.reason, "message": self.message}
        return Reply(orjson.dumps(body), self.status, headers)


def json_response(value: object) -> Reply:
    """JSON by orjson."""
    return Reply(orjson.dumps(value))


class Gate:
    """Checks signatures for one receiver."""

    def __init__(self, receiver: str) -> None:
        self._verifier = Verifier(receiver, MemoryReplayStore())
        self._started_ns = time.time_ns()

    async def admit(self, request: web.BaseRequest) -> Signed:
        """Read and authenticate a request; Refusal if it is unsigned, slow, large or replayed."""
        try:
            if not request.body_exists:
                body = b""
            elif request.content.is_eof():  # all of it is here: nothing to wait for
                body = await request.read()
            else:
                async with asyncio.timeout(READ_SECONDS):
                    body = await request.read()
        except TimeoutError as e:
            raise Refusal(408, "slow", f"a request must arrive within {READ_SECONDS:g} s") from e
        except web.HTTPRequestEntityTooLarge as e:
            raise Refusal(413, "too-large", f"a request has at most {MAX_BODY} bytes") from e
        if btauth.HEADER_SIGNATURE not in request.headers:
            raise Refusal(
                401,
                "unsigned",
                "requests to this server are signed: add btauth/1 "
                f"headers ({btauth.HEADER_HOTKEY}, {btauth.HEADER_NONCE}, "
                f"{btauth.HEADER_SIGNATURE})",
            )
        try:
            caller = self._verifier.verify(request.headers, request.method, request.raw_path, body)
        except AuthError as e:
            raise Refusal(401, _code(e), str(e)) from e
        if caller.nonce < self._started_ns:
            raise Refusal(401, "stale", "signed before this server started: sign a new nonce")
        return Signed(caller.public_key, body)


def _code(error: AuthError) -> str:
    names = {
        btauth.MalformedAuth: "malformed-auth",
        btauth.WrongReceiver: "wrong-receiver",
        btauth.StaleRequest: "stale",
        btauth.BadSignature: "bad-signature",
        btauth.ReplayedRequest: "replayed",
        btauth.StoreFull: "busy",
    }
    return names.get(type(error), "refused")


class Server:
    """An aiohttp application, or one handler, on one port. Port 0 picks a free one; see `port`.

    A handler that looks at the path itself is spared aiohttp's router, a seventh of a small
    request's time.
    """

    def __init__(self, app: web.Application | Dispatch, host: str, port: int) -> None:
        self._runner: web.BaseRunner
        if isinstance(app, web.Application):
            self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=3.0, **OPTIONS)
        else:
            handler = cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", app)
            server = web.Server(handler, request_factory=plain_request, access_log=None, **OPTIONS)
            self._runner = web.ServerRunner(server, shutdown_timeout=3.0)
        self.host, self.port = host, port

    async def start(self) -> None:
        """Listen; OSError, with a way out, if that is not possible."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, reuse_address=True)
        try:
            await site.start()
        except OSError as e:
            await self._runner.cleanup()
            raise OSError(f"cannot listen on {self.host} port {self.port}: {unheard(e)}") from e
        sockets = getattr(site._server, "sockets", ())  # uvloop's server is no asyncio.Server
        self.port = sockets[0].getsockname()[1] if sockets else self.port

    async def stop(self) -> None:
        """Close the socket, let answers in progress end for a moment, then cut them."""
        await self._runner.cleanup()


def unheard(e: OSError) -> str:
    """Why a port cannot be listened on, and the way out."""
    if isinstance(e, socket.gaierror) or e.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address; 127.0.0.1 is itself, 0.0.0.0 all it has"
    if e.errno == errno.EADDRINUSE:
        return "it is in use; stop what listens there, or choose another port"
    if e.errno == errno.EACCES:
        return "ports below 1024 are for root; choose a higher one"
    return f"{e.strerror}; choose another port"


def plain_request(
    message: Any, payload: Any, protocol: Any, writer: Any, task: asyncio.Task[None]
) -> web.BaseRequest:
    """A request of at most `MAX_BODY` bytes that knows no routes."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)


def settle_memory() -> None:
    """Keep the garbage collector from walking, again and again, what was loaded to stay.

    For programs, once, when they are ready: the pauses are what the slowest requests wait for.
    What a request makes is gone with it, so new objects need looking at less often too.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)


def application(gate: Gate, routes: Mapping[tuple[str, str], Handler]) -> Dispatch:
    """A handler that authenticates every request, then looks for its (method, path)."""

    async def dispatch(request: web.BaseRequest) -> Answer:
        try:
            signed = await gate.admit(request)
            handler = routes.get((request.method, request.path))
            if handler is None:
                known = ", ".join(f"{method} {path}" for method, path in routes)
                raise Refusal(404, "not-found", f"this server knows only {known}")
            return await handler(request, signed)
        except Refusal as refusal:
            return refusal.response()

    return dispatch
