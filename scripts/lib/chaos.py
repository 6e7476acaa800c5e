"""What callers notice when miners misbehave; see scripts/chaos.

`kills` is about whole processes: four miners, a gateway, a steady load, and SIGKILL for one miner
after the other. Every answer must be, byte for byte, the one that an undisturbed network gave.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from benchmark import Row, table
from chaos_routing import stalls, turns

from ganglion.keys import Keypair
from localnet.node_process import NodeProcess, free_port

LIB = Path(__file__).resolve().parent
URIS = ("//Bob", "//Charlie", "//Dave", "//Eve")
ASKS = 40
TOKENS = 64
AT_ONCE = 6
DOWN_SECONDS = 5.0


@dataclass
class Tally:
    """What callers saw."""

    firsts: list[float] = field(default_factory=list)
    silences: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    wrong: int = 0
    kills: int = 0

    @property
    def asked(self) -> int:
        """Requests that have ended."""
        return len(self.firsts) + len(self.failed)


def server(script: str, *flags: str) -> NodeProcess:
    port = free_port()
    command = [sys.executable, str(LIB / script), str(port)]
    return NodeProcess(*flags, port=port, command=command)


def ask(number: int) -> bytes:
    """One of the streamed requests, its seed fixed so that its answer is."""
    content = f"{number}: explain json.dumps in a few words"
    return orjson.dumps(
        {
            "model": "ganglion/tiny",
            "messages": [{"role": "user", "content": content}],
            "max_tokens": TOKENS,
            "stream": True,
            "stream_options": {"include_usage": True},
            "seed": number,
        }
    )


async def read(http: aiohttp.ClientSession, url: str, body: bytes) -> tuple[str, list[float]]:
    """The text of a streamed answer with its usage, and when its pieces came; ValueError if cut."""
    start, times, raw = time.perf_counter(), [], b""
    async with http.post(url, data=body) as reply:
        reply.raise_for_status()
        async for piece in reply.content.iter_any():
            times.append(time.perf_counter() - start)
            raw += piece
    if not raw.endswith(b"data: [DONE]\n\n"):
        raise ValueError(f"the stream was cut: {raw[-120:]!r}")
    events = [orjson.loads(line[6:]) for line in raw.split(b"\n\n") if line.startswith(b"data: {")]
    text = "".join(c["delta"].get("content") or "" for e in events for c in e["choices"])
    usage = events[-1]["usage"]
    usage.pop("prompt_tokens_details")  # what is in whose cache changes from time to time
    return f"{text}\0{usage}", times


async def callers(url: str, wanted: list[str], requests: int, tally: Tally) -> None:
    """Keep AT_ONCE requests open until so many have ended."""
    bodies, given = [ask(i) for i in range(ASKS)], iter(range(requests))

    async def one(http: aiohttp.ClientSession) -> None:
        for number in given:
            try:
                text, times = await read(http, url, bodies[number % ASKS])
            except (aiohttp.ClientError, TimeoutError, ValueError) as e:
                tally.failed.append(f"{type(e).__name__}: {e}")
                continue
            tally.wrong += text != wanted[number % ASKS]
            tally.firsts.append(times[0])
            tally.silences.append(max(b - a for a, b in zip(times, [*times[1:], times[-1]])))

    patience = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=patience) as http:
        await asyncio.gather(*(one(http) for _ in range(AT_ONCE)))


async def killer(miners: list[NodeProcess], every: float, tally: Tally) -> None:
    """SIGKILL one miner after the other; each is back a few seconds later."""
    down = min(DOWN_SECONDS, every / 2)
    while True:
        await asyncio.sleep(every - down)
        victim = miners[tally.kills % len(miners)]
        await asyncio.to_thread(victim.kill)
        tally.kills += 1
        await asyncio.sleep(down)
        victim.start()
        await asyncio.to_thread(victim.wait)


async def watch(tally: Tally, requests: int) -> None:
    """Say how far it is."""
    while True:
        line = f"  {tally.asked} of {requests} requests, {tally.kills} miners killed"
        print(line, end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)
        await asyncio.sleep(2 if sys.stderr.isatty() else 30)


async def under_fire(
    url: str, miners: list[NodeProcess], requests: int, every: float, tally: Tally
) -> float:
    """Seconds that it took."""
    async with aiohttp.ClientSession() as http:
        wanted = [(await read(http, url, ask(i)))[0] for i in range(ASKS)]
    start = time.monotonic()
    around = [
        asyncio.create_task(watch(tally, requests)),
        asyncio.create_task(killer(miners, every, tally)),
    ]
    try:
        await callers(url, wanted, requests, tally)
    finally:
        for task in around:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    return time.monotonic() - start


def share(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else 0.0


def kills(options: argparse.Namespace) -> tuple[Row, bool]:
    """Four miners, one killed every so often; the row, and whether it meets its goal."""
    tally = Tally()
    with ExitStack() as stack:
        miners = [stack.enter_context(server("miner_server.py", uri)) for uri in URIS]
        listed = [f"{Keypair.from_uri(u).address}={m.port}" for u, m in zip(URIS, miners)]
        gateway = stack.enter_context(server("gateway_server.py", *listed))
        url = f"http://127.0.0.1:{gateway.port}/v1/chat/completions"
        seconds = asyncio.run(under_fire(url, miners, options.requests, options.every, tally))
    for sentence in tally.failed[:5]:
        print(f"  failed: {sentence}", file=sys.stderr)
    good = len(tally.firsts) - tally.wrong
    row: Row = {
        "requests": tally.asked,
        "seconds": round(seconds, 1),
        "miners killed": tally.kills,
        "failed": len(tally.failed),
        "other bytes": tally.wrong,
        "success, %": 100 * good / tally.asked,
        "goal, %": 99.9,
        "first token p50, ms": share(tally.firsts, 0.5) * 1e3,
        "p99, ms": share(tally.firsts, 0.99) * 1e3,
        "longest silence, ms": max(tally.silences, default=0.0) * 1e3,
    }
    return row, good >= 0.999 * tally.asked and tally.kills > 0


EXPERIMENTS: dict[str, Callable[[argparse.Namespace], tuple[Row, bool]]] = {
    "kills": kills,
    "stalls": lambda options: stalls(max(200, options.requests // 5)),
    "turns": lambda options: turns(),
}


def main() -> int:
    """Run what was asked for; 1 if a figure misses its goal."""
    parser = argparse.ArgumentParser(prog="scripts/chaos")
    parser.add_argument("experiment", nargs="*", choices=[*EXPERIMENTS, []])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two kills")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    missed = []
    for name in options.experiment or EXPERIMENTS:
        print(f"{name}: {EXPLAINED[name]}", file=sys.stderr, flush=True)
        row, met = EXPERIMENTS[name](options)
        found[name] = row
        missed += [] if met else [name]
        if not options.json:
            print(table([row]), flush=True)
    if options.json:
        print(json.dumps(found))
    if missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


EXPLAINED = {
    "kills": "four miners behind a gateway, one killed with SIGKILL every so often",
    "stalls": "one miner of four stalls for 2 s in 5 % of its answers; with and without rivals",
    "turns": "24 conversations of 8 turns over four miners, by affinity and in turns",
}

if __name__ == "__main__":
    sys.exit(main())
