"""What a seal costs: the same orders to one miner, plain and sealed in turn."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from benchmark import Row, median_ms, run

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, Target
from ganglion.wire.sealed import KeyRing, Opener, padded
from ganglion.wire.sealed_call import SealedCaller
from ganglion.wire.text import Sampling, TextRequest
from localnet.node_process import NodeProcess, free_port

LIB = Path(__file__).resolve().parents[1] / "lib"
GENESIS, NETUID = b"\7" * 32, 2
ALICE, BOB = Keypair.from_uri("//Alice"), Keypair.from_uri("//Bob")
PROMPT = "import json\n" * 50
LIMIT_MS = 1.0

CACHE = bytes(8)
"""What both ways name, so that both find the prompt in the miner's cache."""
Ask = Callable[[TextRequest], AsyncIterator[tuple[str, bytes]]]


def order(tokens: int) -> TextRequest:
    """A fresh order of so many tokens, of one seed."""
    return TextRequest(
        os.urandom(16), "ganglion/tiny", Sampling(b"\5" * 32), tokens, prompt=PROMPT, cache=CACHE
    )


async def timed(events: AsyncIterator[tuple[str, bytes]]) -> tuple[float, float]:
    """Milliseconds to the first event and to the end."""
    start, first = time.perf_counter(), 0.0
    async for _ in events:
        first = first or time.perf_counter() - start
    return first * 1e3, (time.perf_counter() - start) * 1e3


async def measured(target: Target, tokens: int, times: int) -> list[list[tuple[float, float]]]:
    """Times of plain and of sealed orders, one after the other, in turn."""
    found: list[list[tuple[float, float]]] = [[], []]
    async with Caller(ALICE) as caller:
        seals = SealedCaller(caller, GENESIS, NETUID)
        await seals.key(target)
        for _ in range(times):
            request = order(tokens)
            found[0].append(await timed(caller.events(target, request.to_bytes())))
            request = order(tokens)
            body = padded(request.to_bytes())
            found[1].append(await timed(seals.events(target, request, body)))
    return [half[times // 10 :] for half in found]


def asked(target: Target, tokens: int, times: int) -> list[Row]:
    """Rows on the first event and on whole answers of so many tokens."""
    plain, sealed = asyncio.run(measured(target, tokens, times))
    rows = []
    for part, what in enumerate(("first event", "whole answer")):
        before, after = (statistics.median(t[part] for t in half) for half in (plain, sealed))
        rows.append(
            {
                "what": f"{what}, {tokens} tokens, one caller",
                "plain p50, ms": before,
                "sealed p50, ms": after,
                "overhead, ms": after - before,
                "goal, ms": LIMIT_MS if tokens == 1 else None,
            }
        )
    return rows


def alone() -> Row:
    """Both sides' work on one order of 4 KB, without a network."""
    ring = KeyRing(BOB, GENESIS, NETUID, time.time)
    key, body = ring.announced().key, padded(b'{"prompt":"' + b"x" * 4000 + b'"}')
    spent = median_ms(lambda: ring.open(Opener(key, "ganglion/tiny", 64, body).envelope))
    return {
        "what": "an order of 4 KB, sealed and opened",
        "plain p50, ms": None,
        "sealed p50, ms": spent,
        "overhead, ms": spent,
        "goal, ms": LIMIT_MS,
    }


def rows(quick: bool) -> list[Row]:
    port, times = free_port(), 40 if quick else 400
    command = [sys.executable, str(LIB / "miner_server.py"), str(port)]
    with NodeProcess(port=port, command=command):
        target = Target(BOB.address, "127.0.0.1", port)
        made = asked(target, 1, times) + asked(target, 32, times // 2)[1:]
    return [*made, alone()]


run(
    "sealed",
    "The same orders to one miner (exact engine, tiny model), plain and sealed in turn, one at a "
    "time. The overhead is the difference of the medians, both sides' work on the same cores.",
    rows,
)
