"""Attacks that never reach the judge, tried against a real miner's server over loopback.

Each try says what came of it and whether that is what must come of it: a refusal for requests
that are not properly signed, an end for connections that dribble, no gain for a stream that is
held back.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import orjson

from ganglion import btauth
from ganglion.wire.call import Caller, Target
from ganglion.wire.text import PATH
from localnet.adversaries import GENESIS, MINER, NETUID, VALIDATOR
from neurons.engine.load import Loaded
from neurons.engine.worker import Worker
from neurons.http import IDLE_SECONDS, READ_SECONDS, Gate, Server
from neurons.identity import Identity
from neurons.miner.server import MinerApp
from neurons.miner.textgen import Event, Order, TextService
from subnets.textgen.probe import draw_probe

GRACE = 3.0
"""Seconds that a timer may be late."""
HEAD = b"POST /v1/generate HTTP/1.1\r\nHost: miner\r\n"


@dataclass(frozen=True, slots=True)
class Try:
    """One attack: what came of it, and whether it had to."""

    name: str
    outcome: str
    held: bool


class HeldBack(TextService):
    """Keeps its tokens until the last one is made, then sends them in one burst."""

    async def answer(self, order: Order) -> AsyncIterator[Event]:
        events = [event async for event in super().answer(order)]
        for event in events:
            yield event


@asynccontextmanager
async def served(loaded: Loaded, kind: type[TextService] = TextService) -> AsyncIterator[Target]:
    """A miner's server on a free port."""
    worker = Worker(loaded.model, pages=256)
    worker.start()
    service = kind(worker, loaded.tokenizer, Identity(MINER, GENESIS, NETUID))
    app = MinerApp(Gate(MINER.address), lambda _: 1.0, service)
    server = Server(app.app, "127.0.0.1", 0)
    await server.start()
    try:
        yield Target(MINER.address, "127.0.0.1", server.port)
    finally:
        await server.stop()
        worker.stop()


async def asked(target: Target, *headers: dict[str, str]) -> list[tuple[int, str]]:
    """Status and reason of every request to /status with these headers, one after the other."""
    found = []
    async with aiohttp.ClientSession() as session:
        for given in headers:
            async with session.get(target.url + "/status", headers=given) as reply:
                value = orjson.loads(await reply.read())
                found.append((reply.status, str(value.get("reason", "ok"))))
    return found


async def signatures(target: Target) -> list[Try]:
    """Requests that are unsigned, forged, replayed, stale or meant for another."""

    def signed(nonce: int | None = None, receiver: str = target.hotkey) -> dict[str, str]:
        return btauth.sign(VALIDATOR, "GET", "/status", receiver=receiver, nonce=nonce)

    good, old = signed(), signed(time.time_ns() - 60 * 10**9)
    forged = signed() | {btauth.HEADER_HOTKEY: MINER.address}
    cases: dict[str, tuple[list[dict[str, str]], str]] = {
        "unsigned request": ([{}], "unsigned"),
        "forged signature": ([forged], "bad-signature"),
        "replayed request": ([good, good], "replayed"),
        "stale request": ([old], "stale"),
        "request for another": ([signed(receiver=VALIDATOR.address)], "wrong-receiver"),
    }
    tries = []
    for name, (headers, reason) in cases.items():
        status, said = (await asked(target, *headers))[-1]
        tries.append(Try(name, f"status {status}, {said}", (status, said) == (401, reason)))
    return tries


async def dribbled(target: Target, name: str, first: bytes, drip: bytes, most: float) -> Try:
    """Send a beginning, then a drip a second; how long the server puts up with it."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    started, end = time.monotonic(), asyncio.ensure_future(reader.read())
    writer.write(first)
    while not end.done() and time.monotonic() - started < most + GRACE:
        await asyncio.wait([end], timeout=1.0)
        if not end.done():
            writer.write(drip)
    lasted = time.monotonic() - started
    held = end.done()
    said = b""
    if held and end.exception() is None:
        said = end.result().partition(b"\r\n")[0]
    end.cancel()
    writer.close()
    outcome = f"cut after {lasted:.0f} s" if held else f"still open after {lasted:.0f} s"
    return Try(name, f"{outcome} {said.decode('latin-1')}".strip(), held)


async def slow_requests(target: Target) -> list[Try]:
    """Slow-loris in three ways, at once."""
    body = btauth.sign(VALIDATOR, "POST", PATH, b"", receiver=target.hotkey)
    lines = "".join(f"{name}: {value}\r\n" for name, value in body.items())
    head = HEAD + f"Content-Length: 1000\r\n{lines}\r\n".encode()
    return list(
        await asyncio.gather(
            dribbled(target, "silent connection", b"", b"", IDLE_SECONDS),
            dribbled(target, "slow-loris, head", HEAD, b"X-A: b\r\n", IDLE_SECONDS),
            dribbled(target, "slow-loris, body", head, b"x", READ_SECONDS),
        )
    )


async def bursts(loaded: Loaded, rounds: int = 8) -> Try:
    """What a stream that is held back gains in the speed that is scored: nothing. By the best of
    its rounds, because a busy machine slows some of either."""
    speeds: dict[type[TextService], float] = {}
    for kind in (TextService, HeldBack):
        best = 0.0
        async with served(loaded, kind) as target, Caller(VALIDATOR) as caller:
            rng = random.Random(3)
            for _ in range(rounds):
                timed = await caller.text(target, draw_probe(rng, loaded.entry.name, 128))
                best = max(best, 1000 * len(timed.answer.tokens) / max(1, timed.total_ms))
        speeds[kind] = best
    streamed, held = speeds[TextService], speeds[HeldBack]
    outcome = f"scored at {held:.0f} tokens/s, {streamed:.0f} when streamed"
    return Try("burst streaming", outcome, held < 1.3 * streamed)


async def tries(loaded: Loaded) -> list[Try]:
    """All of them."""
    steps: list[Callable[[Target], Awaitable[list[Try]]]] = [signatures, slow_requests]
    async with served(loaded) as target:
        found = [one for step in steps for one in await step(target)]
    return [*found, await bursts(loaded)]
