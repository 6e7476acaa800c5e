"""From accepting a bid to the first token of the lease: the real node and the real miner."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmark import Row, run

from ganglion import market
from ganglion.client import Client
from ganglion.errors import GanglionError
from ganglion.keys import Keypair
from ganglion.subnet_views import Neuron
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.text import Sampling, TextRequest
from localnet.node_process import NodeProcess, free_port

PAYER, MINER, APP = (Keypair.from_uri(f"//{name}") for name in ("Alice", "Charlie", "Dave"))
NET, MODEL, RATE = 1, "ganglion/tiny", 1_000_000
GOAL_MS = 1000.0
UP_SECONDS = 60.0


async def send(client: Client, signer: Keypair, name: str, /, **args: object) -> None:
    call = await client.compose(market.LEASES, name, **args)
    (await client.submit(call, signer)).check()


async def first_token(caller: Caller, target: Target) -> None:
    """Ask until the miner, which serves only who pays, lets the caller through."""
    sampling = Sampling(bytes(32))
    while True:
        body = TextRequest(os.urandom(16), MODEL, sampling, 1, prompt="Hi").to_bytes()
        try:
            async for _ in caller.events(target, body):
                return
        except CallFailed as e:
            if e.status != 402:
                raise
            await asyncio.sleep(0.002)


async def miner_of(client: Client) -> Target:
    """The miner, once it has published address and ask."""
    async with asyncio.timeout(UP_SECONDS):
        while True:
            found: list[Neuron] = await client.neurons(NET)
            serving = [n for n in found if n.hotkey == MINER.address and n.axon.is_serving]
            if serving and await market.asks(client, NET):
                return Target.of(serving[0])
            await asyncio.sleep(0.1)


async def leased(client: Client, caller: Caller, target: Target, number: int) -> tuple[float, ...]:
    """Milliseconds from submitting `accept` to its block, and to the lease's first token."""
    spec = {
        "netuid": NET,
        "model": MODEL.encode(),
        "capacity": 500,
        "max_rate": RATE,
        "duration": 1000,
        "lessee": APP.address,
    }
    await send(client, PAYER, "create_order", spec=spec, bid_blocks=100, deposit=20 * RATE)
    await send(client, MINER, "bid", order=number, hotkey=MINER.address, rate=RATE)
    waiting = asyncio.create_task(first_token(caller, target))
    await asyncio.sleep(0.05)
    start = time.perf_counter()
    await send(client, PAYER, "accept", order=number)
    in_block = time.perf_counter() - start
    await waiting
    served = time.perf_counter() - start
    await send(client, PAYER, "close", order=number)
    return in_block * 1e3, served * 1e3


async def measured(url: str, times: int) -> list[tuple[float, ...]]:
    async with Client(url) as client, Caller(APP) as caller:
        target = await miner_of(client)
        return [await leased(client, caller, target, number) for number in range(times)]


def miner_command(url: str, port: int, folder: Path) -> list[str]:
    """`neuron-miner`, paid and with its ask on the chain."""
    start = "import sys; from neurons.miner.main import run; run()"
    flags = f"--network {url} --netuid {NET} --uri //Charlie --host 127.0.0.1 --port {port} --paid"
    more = "--external-host 0.0.0.0 --price 2000 --post-ask --no-hardware "
    more += f"--vouchers {folder / 'vouchers.db'}"
    return [sys.executable, "-c", start, *flags.split(), *more.split()]


def rows(quick: bool) -> list[Row]:
    times = 10 if quick else 100
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        with NodeProcess("--dev", "--tmp", "--sealing", "instant", log=folder / "node.log") as node:
            command = miner_command(node.url, port, folder)
            with NodeProcess(port=port, command=command, log=folder / "miner.log"):
                try:
                    found = asyncio.run(measured(node.url, times))
                except (GanglionError, TimeoutError):
                    print((folder / "miner.log").read_text()[-2000:], file=sys.stderr)
                    raise
    made = []
    for part, what in enumerate(("the block with the lease", "its first token")):
        took = sorted(times[part] for times in found)
        made.append(
            {
                "from accepting a bid to": what,
                "p50, ms": statistics.median(took),
                "worst, ms": took[-1],
                "leases": len(took),
                "goal, ms": GOAL_MS if part else None,
            }
        )
    return made


run(
    "lease",
    "An idle registered miner that serves only who pays (`neuron-miner --paid --post-ask`, exact "
    "engine, tiny model), blocks sealed on demand; its lessee asks every 2 ms until it is served.",
    rows,
)
