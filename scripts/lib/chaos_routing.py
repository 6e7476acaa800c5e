"""What the router gains: rivals for miners that stall, and conversations that stay where they are.

Miners with real engines behind real servers, in this process so that every attempt is counted.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass

from benchmark import Row
from miner_server import CALLER, GENESIS, NETUID, start

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, Target
from ganglion.wire.text import Sampling, TextRequest
from neurons.engine.worker import Worker
from neurons.gateway.relay import Relay
from neurons.gateway.router import Miner, Policy, Router, Wanted, prefix_names
from neurons.identity import Identity
from neurons.miner.textgen import Event, Order, TextService

URIS = ("//Bob", "//Charlie", "//Dave", "//Eve")
MODEL = "ganglion/tiny"
STALL_SHARE, STALL_SECONDS = 0.05, 2.0
GAP_SECONDS = 0.04
SESSIONS, TURNS, AT_ONCE = 24, 8, 6


class Stalling(TextService):
    """A miner that makes some callers wait."""

    chance = random.Random(5)

    async def answer(self, order: Order) -> AsyncIterator[Event]:
        if self.chance.random() < STALL_SHARE:
            await asyncio.sleep(STALL_SECONDS)
        async for event in super().answer(order):
            yield event


class Unhurried(Miner):
    """A miner that is waited for, however long it takes."""

    @property
    def p95(self) -> float:
        return 3600.0


@dataclass
class Network:
    """Four miners and what reaches them."""

    caller: Caller
    identity: Identity
    targets: list[Target]
    workers: list[Worker]

    def router(self, kind: type[Miner] = Miner, policy: Policy | None = None) -> Router:
        made = Router(policy, seed=1)
        made.update([kind(i, t, MODEL, True, 1024) for i, t in enumerate(self.targets)])
        return made

    async def ask(
        self, router: Router, ranked: Sequence[Miner], request: TextRequest
    ) -> tuple[float, Relay]:
        """Seconds to the first token, and the relay when the answer is complete."""
        began, first = time.perf_counter(), 0.0
        relay = Relay(self.caller, self.identity, router, ranked, request)
        async with aclosing(relay.stream()) as stream:
            async for _ in stream:
                first = first or time.perf_counter() - began
        return first, relay


async def network(stack: AsyncExitStack, kinds: Sequence[type[TextService]]) -> Network:
    targets, workers = [], []
    for uri, kind in zip(URIS, kinds):
        server, worker = await start(0, uri, kind)
        stack.push_async_callback(server.stop)
        stack.callback(worker.stop)
        targets.append(Target(Keypair.from_uri(uri).address, "127.0.0.1", server.port))
        workers.append(worker)
    hotkey = Keypair.from_uri(CALLER)
    caller = await stack.enter_async_context(Caller(hotkey))
    return Network(caller, Identity(hotkey, GENESIS, NETUID), targets, workers)


def order(text: str, tokens: int) -> TextRequest:
    return TextRequest(os.urandom(16), MODEL, Sampling(os.urandom(32)), tokens, prompt=text)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


# --- rivals for those that stall ------------------------------------------------------------------


async def steady(net: Network, kind: type[Miner], count: int) -> tuple[list[float], int]:
    """Times to the first tokens of so many requests at a steady pace, and all attempts."""
    # a router that minds latency would soon leave the miner alone, rivals or not
    router, wanted = net.router(kind, Policy(latency=0.0)), Wanted(MODEL)

    async def one(number: int) -> tuple[float, int]:
        await asyncio.sleep(number * GAP_SECONDS)
        ranked = router.rank(wanted, time.monotonic())
        first, relay = await net.ask(router, ranked, order(f"import os  # {number}\n", 8))
        return first, relay.attempts

    found = await asyncio.gather(*(one(i) for i in range(count)))
    return [first for first, _ in found], sum(attempts for _, attempts in found)


async def measure_stalls(count: int) -> tuple[Row, bool]:
    async with AsyncExitStack() as stack:
        net = await network(stack, [Stalling, *[TextService] * 3])
        await steady(net, Miner, 40)
        patient, _ = await steady(net, Unhurried, count)
        hedged, asked = await steady(net, Miner, count)
    fall = 1 - percentile(hedged, 0.99) / percentile(patient, 0.99)
    extra = asked / count - 1
    row: Row = {
        "requests": count,
        "first token p99 without rivals, ms": percentile(patient, 0.99) * 1e3,
        "with, ms": percentile(hedged, 0.99) * 1e3,
        "fall, %": 100 * fall,
        "goal, %": 60,
        "extra requests, %": 100 * extra,
        "limit, %": 6,
    }
    return row, fall >= 0.6 and extra <= 0.06


def stalls(count: int) -> tuple[Row, bool]:
    """See `EXPLAINED`; the row, and whether it meets its goals."""
    return asyncio.run(measure_stalls(count))


# --- conversations --------------------------------------------------------------------------------

Choice = Callable[[str], Sequence[Miner]]


async def converse(net: Network, router: Router, choose: Choice, seed: int) -> tuple[int, float]:
    """Prompt tokens computed by all miners, and the busiest one's requests over the mean."""
    words = random.Random(seed).choices(("sort", "list", "file", "json", "path", "time"), k=999)
    served: Counter[int] = Counter()
    reused, prompts = sum(w.pool.reused for w in net.workers), 0
    gate = asyncio.Semaphore(AT_ONCE)

    async def session(number: int) -> None:
        nonlocal prompts
        text = f"# conversation {seed} {number}\n"
        for turn in range(TURNS):
            text += f"# {turn}: how do I {' '.join(words[number + turn :][:9])}?\n"
            async with gate:
                ranked = choose(text)
                served[ranked[0].uid] += 1
                _, relay = await net.ask(router, ranked, order(text, 24))
            prompts += relay.prompt_tokens
            text += relay.text + "\n"

    await asyncio.gather(*(session(i) for i in range(SESSIONS)))
    computed = prompts - (sum(w.pool.reused for w in net.workers) - reused)
    return computed, max(served.values()) / (SESSIONS * TURNS / len(net.targets))


async def measure_turns() -> tuple[Row, bool]:
    async with AsyncExitStack() as stack:
        net = await network(stack, [TextService] * 4)
        router, number = net.router(), itertools.count()
        everyone = list(router.miners.values())

        def in_turns(text: str) -> Sequence[Miner]:
            at = next(number) % len(everyone)
            return everyone[at:] + everyone[:at]

        def by_affinity(text: str) -> Sequence[Miner]:
            return router.rank(Wanted(MODEL, prefix=prefix_names(text)), time.monotonic())

        plain, _ = await converse(net, router, in_turns, 1)
        kept, load = await converse(net, router, by_affinity, 2)
    row: Row = {
        "turns": SESSIONS * TURNS,
        "prompt tokens computed in turns": plain,
        "by affinity": kept,
        "of that, %": 100 * kept / plain,
        "goal, %": 50,
        "busiest over mean": load,
        "limit": 1.5,
    }
    return row, kept <= plain / 2 and load <= 1.5


def turns() -> tuple[Row, bool]:
    """See `EXPLAINED`; the row, and whether it meets its goals."""
    return asyncio.run(measure_turns())
