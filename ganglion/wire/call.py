"""Asking a neuron: one signed request out, its answer in.

Every failure is a `CallFailed` with a reason, so that callers can tell a neuron that is down from
one that is wrong, and both from their own trouble.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import orjson

from ganglion import btauth
from ganglion.errors import GanglionError
from ganglion.keys import Keypair
from ganglion.subnet_views import Neuron
from ganglion.wire.fields import MAX_BODY, BadMessage
from ganglion.wire.sse import Decoder, StreamError
from ganglion.wire.text import PATH, Reported, TextAnswer, TextRequest

KEEP_SECONDS = 18.0
"""How long an idle connection is kept; neurons close theirs after 20 s."""

NEEDLESS = ("Accept", "Accept-Encoding", "User-Agent")
"""Headers of aiohttp's that say nothing to a neuron."""

ENOUGH, ENOUGH_A_TOKEN = 1 << 18, 1 << 11
"""Bytes that the events of an answer have at most: its frame, and for every token asked for."""

ANY_HOST = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Target:
    """A neuron as the chain publishes it: address of its hotkey, host and port."""

    hotkey: str
    host: str
    port: int

    @classmethod
    def of(cls, neuron: Neuron) -> Target:
        """Where the chain says that a neuron listens; the address 0 means this machine."""
        host = "127.0.0.1" if neuron.axon.host in ANY_HOST else neuron.axon.host
        return cls(neuron.hotkey, host, neuron.axon.port)

    @property
    def url(self) -> str:
        """Base URL of the neuron's server."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


class CallFailed(GanglionError):
    """A call brought no usable answer.

    `reason` is unreachable, timeout, busy, refused or bad-format; `status` is the HTTP status if
    there was one, `said` the neuron's own sentence if it gave one.
    """

    def __init__(self, reason: str, message: str, status: int = 0, said: str = "") -> None:
        super().__init__(message)
        self.reason, self.status, self.said = reason, status, said


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for a connection, for the first byte, between bytes, and altogether."""

    connect: float = 3.0
    idle: float = 15.0
    total: float = 120.0

    def timeout(self) -> aiohttp.ClientTimeout:
        """As aiohttp understands it."""
        return aiohttp.ClientTimeout(
            total=self.total, sock_connect=self.connect, sock_read=self.idle
        )


class Caller:
    """Signs with one hotkey and keeps connections open. Use as an async context manager."""

    def __init__(self, hotkey: Keypair, patience: Patience | None = None) -> None:
        self.hotkey, self.patience = hotkey, patience or Patience()
        self._timeout = self.patience.timeout()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Caller:
        connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=KEEP_SECONDS)
        self._session = aiohttp.ClientSession(connector=connector, skip_auto_headers=NEEDLESS)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _headers(self, target: Target, method: str, path: str, body: bytes) -> dict[str, str]:
        signed = btauth.sign(self.hotkey, method, path, body, receiver=target.hotkey)
        if body:
            signed["Content-Type"] = "application/json"
        return signed

    async def pieces(
        self,
        target: Target,
        method: str,
        path: str,
        body: bytes = b"",
        patience: Patience | None = None,
        most: int = 16 * MAX_BODY,
    ) -> AsyncIterator[bytes]:
        """The body of the reply as it arrives; CallFailed for anything but status 200, and for
        one of more than `most` bytes. `patience` replaces the caller's own. Redirections are not
        followed: a neuron must not choose where its callers' machines look."""
        try:
            async with await self._asked(target, method, path, body, patience) as reply:
                async for piece in bounded(reply, most):
                    yield piece
        except (aiohttp.ClientError, OSError) as e:
            raise _broken(target, e) from e

    async def fetch(
        self,
        target: Target,
        method: str,
        path: str,
        body: bytes = b"",
        patience: Patience | None = None,
        most: int = 16 * MAX_BODY,
    ) -> bytes:
        """The whole reply of a short call, as `pieces` would give it."""
        found: list[bytes] = []
        try:
            async with await self._asked(target, method, path, body, patience) as reply:
                while piece := await reply.content.readany():
                    most -= len(piece)
                    if most < 0:
                        raise CallFailed("bad-format", "the answer is larger than anyone needs")
                    found.append(piece)
        except (aiohttp.ClientError, OSError) as e:
            raise _broken(target, e) from e
        return b"".join(found)

    async def _asked(
        self, target: Target, method: str, path: str, body: bytes, patience: Patience | None
    ) -> aiohttp.ClientResponse:
        """The beginning of a good reply."""
        if self._session is None:
            raise RuntimeError("use Caller in an `async with` block")
        reply = await self._session.request(
            method,
            target.url + path,
            data=body or None,
            headers=self._headers(target, method, path, body),
            timeout=self._timeout if patience is None else patience.timeout(),
            allow_redirects=False,
        )
        if reply.status != 200:
            async with reply:
                raise await _refusal(reply)
        return reply

    async def events(
        self, target: Target, body: bytes, path: str = PATH
    ) -> AsyncIterator[tuple[str, bytes]]:
        """The events of a text request's answer."""
        async for event in events_of(self.pieces(target, "POST", path, body)):
            yield event

    async def text(self, target: Target, request: TextRequest) -> TimedAnswer:
        """A whole answer to a text request with the times the caller saw."""
        body = request.to_bytes()
        return await timed(self.events(target, body), request, body)


async def bounded(reply: aiohttp.ClientResponse, most: int) -> AsyncIterator[bytes]:
    """The body of a reply as it arrives; CallFailed if it has more than `most` bytes."""
    async for piece in reply.content.iter_any():
        most -= len(piece)
        if most < 0:
            raise CallFailed("bad-format", "the answer is larger than anyone needs")
        yield piece


async def events_of(pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, bytes]]:
    """The events that a stream is made of; CallFailed if it is none."""
    decoder = Decoder()
    async for piece in pieces:
        try:
            events = decoder.feed(piece)
        except StreamError as e:
            raise CallFailed("bad-format", str(e)) from e
        for event in events:
            yield event


async def timed(
    events: AsyncIterator[tuple[str, bytes]], request: TextRequest, body: bytes
) -> TimedAnswer:
    """The answer that the events of a request's stream make up; CallFailed if it is none.

    Nobody gets to send much more than was asked for: whoever asks many at once has to hold it.
    """
    answer, started, size = TextAnswer(), time.monotonic(), 0
    arrivals: list[float] = []
    most = request.max_tokens - len(request.resume)
    try:
        async for name, data in events:
            complete = answer.take(name, data)
            size += len(data)
            if len(answer.tokens) > most:
                raise BadMessage(f"more tokens came than the {most} that were asked for")
            if size > ENOUGH + ENOUGH_A_TOKEN * most:
                raise BadMessage(f"{size} bytes are more than an answer of {most} tokens needs")
            arrivals.append(time.monotonic() - started)
            if complete:
                return TimedAnswer(answer, body, tuple(arrivals))
    except Reported as e:
        raise CallFailed("refused", str(e)) from e
    except BadMessage as e:
        raise CallFailed("bad-format", str(e)) from e
    raise CallFailed("unreachable", "the stream ended before the answer was complete")


@dataclass(frozen=True, slots=True)
class TimedAnswer:
    """An answer, the body that was sent, and the seconds after which each event arrived."""

    answer: TextAnswer
    body: bytes
    arrivals: tuple[float, ...]

    @property
    def first_token_ms(self) -> int:
        """Milliseconds to the first event."""
        return round(self.arrivals[0] * 1000)

    @property
    def total_ms(self) -> int:
        """Milliseconds to the last event."""
        return round(self.arrivals[-1] * 1000)


def _broken(target: Target, e: Exception) -> CallFailed:
    """What it means that a connection failed; TimeoutError is an OSError too."""
    if isinstance(e, aiohttp.ClientConnectorError):
        return CallFailed("unreachable", f"{target.url} cannot be reached: {e}")
    if isinstance(e, TimeoutError):
        return CallFailed("timeout", f"{target.url} did not answer in time")
    return CallFailed("unreachable", f"{target.url} broke the connection: {e}")


async def _refusal(reply: aiohttp.ClientResponse) -> CallFailed:
    """What a status other than 200 means, with the neuron's own sentence if it gave one."""
    try:
        raw = await asyncio.wait_for(reply.content.read(4096), 2.0)
        value = orjson.loads(raw)
        said = str(value["message"])[:300]
    except (TimeoutError, aiohttp.ClientError, orjson.JSONDecodeError, KeyError, TypeError):
        said = "no reason given"
    reason = "busy" if reply.status in (429, 503) else "refused"
    return CallFailed(reason, f"status {reply.status}: {said}", reply.status, said)
