"""A light HTTP load generator: requests signed beforehand, one in flight a connection.

Run as `http_load.py PORT ROUTE CONNECTIONS SECONDS` it prints one JSON line. Signing happens
before the clock starts, so that the server is what is measured. ROUTE is `status`,
`generate:TOKENS`, or `sdk`: /status by the SDK's own caller, which signs as it goes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator

import uvloop

from ganglion import btauth
from ganglion.keys import Keypair
from ganglion.wire.call import Caller, Target
from ganglion.wire.text import PATH, Sampling, TextRequest

KEY, RECEIVER = Keypair.from_uri("//Alice"), Keypair.from_uri("//Bob").address
MOST = 12_000  # requests a second that are signed ahead
AHEAD_NS = 1_500_000_000  # within the skew that servers allow


def route_of(route: str) -> tuple[str, str, bytes]:
    """Method, path and body of one request; every call of `generate` is a fresh order."""
    if route == "status":
        return "GET", "/status", b""
    tokens = int(route.partition(":")[2])
    sampling = Sampling(os.urandom(32), 1.0)
    return (
        "POST",
        PATH,
        TextRequest(
            os.urandom(16), "default", sampling, tokens, prompt="import json\n\n"
        ).to_bytes(),
    )


def signed_request(key: Keypair, receiver: str, route: str, nonce: int) -> bytes:
    """One request as it goes over the wire."""
    method, path, body = route_of(route)
    headers = btauth.sign(key, method, path, body, receiver=receiver, nonce=nonce)
    lines = [f"{method} {path} HTTP/1.1", "Host: miner", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection(asyncio.Protocol):
    """Sends the next request when the last reply is whole."""

    def __init__(self, requests: Iterator[bytes], found: list[float], until: float) -> None:
        self.requests, self.found, self.until = requests, found, until
        self.buffer, self.started = b"", 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        request = next(self.requests, None) if time.perf_counter() < self.until else None
        if request is None:
            self.transport.close()
            return
        self.started = time.perf_counter()
        self.transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not is_whole(self.buffer):
            return
        if not self.buffer.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self.buffer.decode("utf-8", "replace")[:500]))
            self.transport.close()
            return
        self.found.append(time.perf_counter() - self.started)
        self.buffer = b""
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def is_whole(buffer: bytes) -> bool:
    """Whether the buffer holds a complete reply."""
    head, gap, body = buffer.partition(b"\r\n\r\n")
    if not gap:
        return False
    if b"Transfer-Encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    at = head.lower().find(b"content-length:")
    return len(body) >= int(head[at + 15 :].split(b"\r\n", 1)[0])


def sign_ahead(route: str, seconds: float) -> list[bytes]:
    """Requests for a run of `seconds`; signing takes no longer, because signatures grow old."""
    first, requests, end = time.time_ns() + AHEAD_NS, [], time.perf_counter() + seconds
    while len(requests) < MOST * seconds and time.perf_counter() < end:
        requests.append(signed_request(KEY, RECEIVER, route, first + len(requests)))
    return requests


async def load(port: int, route: str, connections: int, seconds: float) -> None:
    """Send what was signed ahead."""
    queue, found = iter(sign_ahead(route, seconds)), list[float]()
    started = time.perf_counter()
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(
            lambda: Connection(queue, found, started + seconds), "127.0.0.1", port
        )
        for _ in range(connections)
    ]
    await asyncio.gather(*(connection.done for _, connection in made))
    elapsed = time.perf_counter() - started
    report(found, elapsed, connections)


def report(found: list[float], elapsed: float, connections: int) -> None:
    """One line for the benchmark; the first request of a connection is left out of latencies."""
    print(
        json.dumps(
            {
                "requests": len(found),
                "seconds": elapsed,
                "failed": 0,
                "latencies": found[connections:] or found,
            }
        )
    )


async def sdk_load(port: int, connections: int, seconds: float) -> None:
    """The same by the SDK's caller, which signs every request when it is sent."""
    target, found = Target(RECEIVER, "127.0.0.1", port), list[float]()
    started = time.perf_counter()

    async def ask(caller: Caller) -> None:
        while (now := time.perf_counter()) < started + seconds:
            await caller.fetch(target, "GET", "/status")
            found.append(time.perf_counter() - now)

    async with Caller(KEY) as caller:
        await asyncio.gather(*(ask(caller) for _ in range(connections)))
    report(found, time.perf_counter() - started, connections)


if __name__ == "__main__":
    at, kind, width, span = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    uvloop.run(sdk_load(at, width, span) if kind == "sdk" else load(at, kind, width, span))
