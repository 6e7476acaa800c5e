"""One model over several processes: what hops cost, and what the loss of a server costs.

Between front and servers stand proxies that hold every byte back for half a round trip.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark import Row as TableRow
from benchmark import run
from span_server import FRONT, GENESIS, NETUID

from ganglion.keys import Keypair
from ganglion.sync import BackgroundLoop
from ganglion.wire.call import Target
from localnet.node_process import free_port
from neurons.engine.base import Output, Row
from neurons.engine.batch import Job, Scheduler, run_alone
from neurons.engine.pages import PagePool
from neurons.engine.parts import open_parts
from neurons.identity import Identity
from neurons.shards.directory import listed
from neurons.shards.front import ShardedModel
from subnets.proofs.sampling import Sampling

LIB = Path(__file__).resolve().parents[1] / "lib"
SPANS = ((0, 1), (1, 3), (3, 4))
UP_SECONDS = 30.0


@dataclass
class Server:
    """A span server in a process of its own, behind a slow line."""

    uri: str
    first: int
    last: int
    port: int = field(default_factory=free_port)
    process: Any = None

    @property
    def key(self) -> str:
        return Keypair.from_uri(self.uri).address

    def start(self) -> None:
        words = [str(self.port), str(self.first), str(self.last), self.uri]
        self.process = subprocess.Popen([sys.executable, str(LIB / "span_server.py"), *words])


async def up(port: int) -> None:
    """Wait until somebody listens."""
    async with asyncio.timeout(UP_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def slowed(port: int, seconds: float) -> int:
    """A port that leads to another one, every byte `seconds` late in both directions."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                at, data = await due.get()
                await asyncio.sleep(max(0.0, at - time.monotonic()))
                if not data:
                    writer.close()
                    return
                writer.write(data)

        sending = asyncio.create_task(deliver())
        while data := await reader.read(1 << 16):
            due.put_nowait((time.monotonic() + seconds, data))
        due.put_nowait((time.monotonic() + seconds, b""))
        await sending

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        with suppress(asyncio.CancelledError):
            await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    return int(server.sockets[0].getsockname()[1])


async def ended() -> None:
    """Cut what still runs in this loop."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def sharded(servers: Sequence[Server], rtt: float) -> Iterator[ShardedModel]:
    """A front of these servers, each `rtt` seconds away."""
    loop, parts = BackgroundLoop(), open_parts("exact", "tiny")[0]
    with ExitStack() as stack:
        stack.callback(loop.stop)
        stack.callback(lambda: loop.wait(ended()))
        targets = []
        for server in servers:
            server.start()
            stack.callback(server.process.wait)
            stack.callback(server.process.kill)
        for server in servers:
            loop.wait(up(server.port))
            port = loop.wait(slowed(server.port, rtt / 2)) if rtt else server.port
            targets.append(Target(server.key, "127.0.0.1", port))
        identity = Identity(Keypair.from_uri(FRONT), GENESIS, NETUID)
        front = ShardedModel(parts, identity, listed(targets), audit=0.0)
        front.start()
        stack.callback(front.close)
        yield front


def job(key: str, limit: int) -> Job:
    return Job(key, tuple(range(40, 72)), Sampling(key.encode().ljust(32)), limit)


def speed(model: Any, streams: int, tokens: int) -> float:
    """Tokens a second after the first, of so many streams together."""
    pool, card = PagePool(streams * 32), model.card
    scheduler, cache = Scheduler(pool, card.vocab, card.context), model.new_cache(pool.size)
    for number in range(streams):
        scheduler.submit(job(f"stream {number}", tokens))
    scheduler.absorb(model.forward(cache, scheduler.plan()))
    made, started = 0, time.perf_counter()
    while rows := scheduler.plan():
        made += len(scheduler.absorb(model.forward(cache, rows)))
    return made / (time.perf_counter() - started)


class Dying:
    """A model of which a server is killed after some passes; the longest pass after that."""

    def __init__(self, front: ShardedModel, after: int, victim: Server) -> None:
        self._front, self._after, self._victim = front, after, victim
        self.card, self.passes, self.gap = front.card, 0, 0.0

    def new_cache(self, pages: int) -> Any:
        return self._front.new_cache(pages)

    def forward(self, cache: Any, rows: Sequence[Row]) -> list[Output]:
        self.passes += 1
        if self.passes == self._after:
            self._victim.process.kill()
            self._victim.process.wait()
        started = time.perf_counter()
        found = self._front.forward(cache, rows)
        if self.passes >= self._after:
            self.gap = max(self.gap, time.perf_counter() - started)
        return found


def rows(quick: bool) -> list[TableRow]:
    tokens = 12 if quick else 48
    three = [Server(f"//S{i}", *span) for i, span in enumerate(SPANS)]
    found = []
    for rtt in (0.1,) if quick else (0.0, 0.02, 0.1):
        with sharded(three, rtt) as front:
            bound = 1 / (len(SPANS) * rtt) if rtt else None
            for streams in (1, 8):
                rate = speed(front, streams, tokens)
                share = rate / bound if bound and streams == 1 else None
                found.append(line(f"{len(SPANS)} spans", rtt, streams, rate, bound, share))
    servers = [Server("//A", 0, 2), Server("//B", 2, 4), Server("//C", 1, 4)]
    with sharded(servers, 0.0) as front:
        for key, peer in front.directory.peers.items():
            peer.rtt = 0.5 if key == servers[2].key else 0.001
        model = Dying(front, 18, servers[1])
        run_alone(model, job("lost", 48))
        found.append(line("2 spans, one killed", 0.0, 1, None, None, None, model.gap * 1000))
    return found


def line(
    what: str, rtt: float, streams: int, rate: Any, bound: Any, share: Any, gap: Any = None
) -> TableRow:
    return {
        "case": what, "round trip, ms": round(rtt * 1000), "streams": streams, "tokens/s": rate,
        "1 / (hops x round trip)": bound, "share of it (goal 0.8)": share,
        "next token after the loss, ms": gap,
    }  # fmt: skip


run("sharding", "The tiny model of the exact class over several processes, one hop a span.", rows)
