"""What a gateway adds to a streamed completion, and how long a dead miner is noticed."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import compat
import orjson
from benchmark import Row, run
from miner_server import CALLER, MINER

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, Target
from ganglion.wire.text import Sampling, TextRequest
from localnet.node_process import NodeProcess, free_port

COLUMNS = (
    "way",
    "first chunk p50, ms",
    "p99, ms",
    "added p50, ms",
    "added p99, ms",
    "whole p50, ms",
    "answers a second",
    "its CPU an answer, ms",
)
AT_ONCE = 32
FLOOD_SECONDS = 5.0
Times = list[list[float]]
LIB = Path(__file__).resolve().parents[1] / "lib"
LITELLM = compat.ClientSpec("litellm", "", ("litellm[proxy]",))
LITELLM_KEY = "sk-bench-" + "0" * 32
ASK = {
    "model": "ganglion/tiny",
    "messages": [{"role": "user", "content": "Hi"}],
    "max_tokens": 16,
    "stream": True,
    "seed": 1,
}


def server(script: str, *flags: str, python: str = sys.executable) -> NodeProcess:
    port = free_port()
    return NodeProcess(*flags, port=port, command=[python, str(LIB / script), str(port)])


async def direct(caller: Caller, target: Target) -> list[float]:
    """Arrival times, in seconds, of the events of one request to the miner itself."""
    seed = Sampling(bytes(31) + b"\1")
    request = TextRequest(os.urandom(16), "ganglion/tiny", seed, 16, (("user", "Hi"),))
    return list((await caller.text(target, request)).arrivals)


async def through(session: aiohttp.ClientSession, url: str, body: bytes) -> list[float]:
    """Arrival times of the chunks of one streamed completion."""
    start, times = time.perf_counter(), []
    async with session.post(url, data=body) as reply:
        reply.raise_for_status()
        async for _ in reply.content.iter_chunked(1 << 16):
            times.append(time.perf_counter() - start)
    return times


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def row(name: str, times: list[list[float]], base: list[list[float]]) -> Row:
    """First chunk and whole answer, and what is added to the base by percentile."""
    firsts, ends = [t[0] for t in times], [t[-1] for t in times]
    base_firsts = [t[0] for t in base]
    return dict.fromkeys(COLUMNS) | {
        "way": name,
        "first chunk p50, ms": statistics.median(firsts) * 1e3,
        "p99, ms": percentile(firsts, 0.99) * 1e3,
        "added p50, ms": (statistics.median(firsts) - statistics.median(base_firsts)) * 1e3,
        "added p99, ms": (percentile(firsts, 0.99) - percentile(base_firsts, 0.99)) * 1e3,
        "whole p50, ms": statistics.median(ends) * 1e3,
    }


async def ours(count: int) -> list[Row]:
    hotkey = Keypair.from_uri(MINER)
    with server("miner_server.py") as miner:
        listed = f"{hotkey.address}={miner.port}"
        with server("gateway_server.py", listed) as gateway:
            target = Target(hotkey.address, "127.0.0.1", miner.port)
            url = f"http://127.0.0.1:{gateway.port}/v1/chat/completions"
            body, plain, relayed = orjson.dumps(ASK), [], []
            async with Caller(Keypair.from_uri(CALLER)) as caller, aiohttp.ClientSession() as http:
                for _ in range(count + 20):  # taken in turns, so that both see the same noise
                    plain.append(await direct(caller, target))
                    relayed.append(await through(http, url, body))
    plain, relayed = plain[20:], relayed[20:]
    return [row("miner itself", plain, plain), row("neuron-gateway", relayed, plain)]


async def paced(rate: float, seconds: float, ask: Callable[[], Awaitable[list[float]]]) -> Times:
    """Arrival times of requests that are sent at a steady rate, whatever becomes of them."""

    async def one(number: int) -> list[float]:
        await asyncio.sleep(number / rate)
        return await ask()

    return list(await asyncio.gather(*(one(i) for i in range(int(rate * seconds)))))


async def under_load(rate: float, seconds: float, rounds: int) -> list[Row]:
    """The same at a steady rate, to the miner and through the gateway in turns."""
    hotkey = Keypair.from_uri(MINER)
    async with AsyncExitStack() as stack:
        miner = stack.enter_context(server("miner_server.py"))
        gateway = stack.enter_context(server("gateway_server.py", f"{hotkey.address}={miner.port}"))
        target = Target(hotkey.address, "127.0.0.1", miner.port)
        url = f"http://127.0.0.1:{gateway.port}/v1/chat/completions"
        caller = await stack.enter_async_context(Caller(Keypair.from_uri(CALLER)))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        body, plain, relayed = orjson.dumps(ASK), list[list[float]](), list[list[float]]()
        for at in range(rounds + 1):
            plain += await paced(rate, seconds, lambda: direct(caller, target))
            relayed += await paced(rate, seconds, lambda: through(http, url, body))
            if not at:  # the first round warms up
                plain, relayed = [], []
    return [
        row(f"miner itself, {rate:g} a second", plain, plain),
        row(f"neuron-gateway, {rate:g} a second", relayed, plain),
    ]


async def flood(url: str, body: bytes, seconds: float, **session: Any) -> float:
    """Streamed answers a second with AT_ONCE requests open all the time."""
    done, end = 0, time.perf_counter() + seconds

    async def one(http: aiohttp.ClientSession) -> None:
        nonlocal done
        while time.perf_counter() < end:
            await through(http, url, body)
            done += 1

    start = time.perf_counter()
    async with aiohttp.ClientSession(**session) as http:
        await asyncio.gather(*(one(http) for _ in range(AT_ONCE)))
    return done / (time.perf_counter() - start)


def flooded(name: str, rate: float, process: NodeProcess, seconds: float, before: float) -> Row:
    """The row of a flood; processor time is that of the gateway's process alone."""
    spent = process.cpu_s() - before
    return dict.fromkeys(COLUMNS) | {
        "way": f"{name}, {AT_ONCE} at once, canned answers",
        "answers a second": rate,
        "its CPU an answer, ms": spent / (rate * seconds) * 1e3,
    }


async def most(seconds: float) -> Row:
    """What a gateway carries before a miner whose engine costs nothing."""
    address = Keypair.from_uri(MINER).address
    with (
        server("quick_miner.py") as miner,
        server("gateway_server.py", f"{address}={miner.port}") as gateway,
    ):
        url, body = f"http://127.0.0.1:{gateway.port}/v1/chat/completions", orjson.dumps(ASK)
        await flood(url, body, 1.0)
        before = gateway.cpu_s()
        rate = await flood(url, body, seconds)
        return flooded("neuron-gateway", rate, gateway, seconds, before)


async def litellm(count: int) -> list[Row]:
    """LiteLLM's proxy before an upstream without a model."""
    python = compat.prepare(LITELLM)
    with server("sse_upstream.py") as upstream:
        base = f"http://127.0.0.1:{upstream.port}/v1"
        settings = ["env", f"LITELLM_MASTER_KEY={LITELLM_KEY}", "OPENAI_API_KEY=x"]
        program = [*settings, str(Path(python).parent / "litellm"), "--model", "openai/m"]
        port = free_port()
        command = [*program, "--api_base", base, "--port", str(port)]
        proxy = NodeProcess(port=port, command=command)
        with proxy:
            body = orjson.dumps(ASK | {"model": "openai/m"})
            url = f"http://127.0.0.1:{proxy.port}/v1/chat/completions"
            plain, relayed = [], []
            async with aiohttp.ClientSession(
                headers={"Authorization": f"Bearer {LITELLM_KEY}"}
            ) as http:
                for _ in range(count + 20):
                    plain.append(await through(http, f"{base}/chat/completions", body))
                    relayed.append(await through(http, url, body))
                before = proxy.cpu_s()
                key = {"Authorization": f"Bearer {LITELLM_KEY}"}
                rate = await flood(url, body, FLOOD_SECONDS, headers=key)
                burst = flooded("peer: LiteLLM proxy", rate, proxy, FLOOD_SECONDS, before)
    plain, relayed = plain[20:], relayed[20:]
    return [
        row("peer's upstream itself", plain, plain),
        row("peer: LiteLLM proxy", relayed, plain),
        burst,
    ]


async def failover(rounds: int) -> Row:
    """Kill the miner at work with SIGKILL; the longest silence the caller sees."""
    gaps = []
    for _ in range(rounds):
        uris = ("//Bob", "//Charlie")
        with (
            server("miner_server.py", uris[0]) as first,
            server("miner_server.py", uris[1]) as second,
        ):
            addresses = [Keypair.from_uri(uri).address for uri in uris]
            listed = [f"{a}={p.port}" for a, p in zip(addresses, (first, second))]
            with server("gateway_server.py", *listed) as gateway:
                gaps.append(await one_failover(gateway.port, first, second))
    return dict.fromkeys(COLUMNS) | {
        "way": "SIGKILL to the next token",
        "first chunk p50, ms": statistics.median(gaps) * 1e3,
        "p99, ms": max(gaps) * 1e3,
    }


async def one_failover(port: int, first: NodeProcess, second: NodeProcess) -> float:
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    before = [first.cpu_s(), second.cpu_s()]
    body, gap, last, killed = orjson.dumps(ASK | {"max_tokens": 400}), 0.0, 0.0, False
    async with aiohttp.ClientSession() as http, http.post(url, data=body) as reply:
        async for _ in reply.content.iter_any():
            now = time.perf_counter()
            if killed:
                gap = max(gap, now - last)
            elif last:
                used = [p.cpu_s() - b for p, b in zip((first, second), before)]
                busy = (first, second)[used.index(max(used))]
                if max(used) > 0.05:
                    busy.kill()
                    killed, now = True, time.perf_counter()
            last = now
    return gap


def rows(quick: bool) -> list[Row]:
    count = 30 if quick else 400
    result = asyncio.run(ours(count))
    for rate in (20, 50) if quick else (20, 50, 100):
        result += asyncio.run(under_load(rate, 2 if quick else 5, 1 if quick else 3))
    result.append(asyncio.run(most(2 if quick else FLOOD_SECONDS)))
    result.append(asyncio.run(failover(2 if quick else 10)))
    if not quick:
        result += asyncio.run(litellm(count))
    return result


run(
    "gateway",
    "Streamed completions of 16 tokens, one at a time, each way in turns with the way it is "
    "compared with; `added` is the difference of the percentiles. The row of SIGKILL shows the "
    "longest silence between two pieces of an answer (median and worst of the runs).",
    rows,
)
