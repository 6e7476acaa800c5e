"""A miner's server without a chain, for benchmarks: miner_server.py PORT [HOTKEY_URI].

The same parts as `neuron-miner`: the gate, the routes, the exact engine on the tiny model. Only
the stakes do not come from a chain: //Alice has one, nobody else.
"""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop

from ganglion.keys import Keypair
from ganglion.wire.sealed import KeyRing
from neurons import program

program.limit_threads()

from neurons.engine.load import load  # noqa: E402
from neurons.engine.worker import Worker  # noqa: E402
from neurons.http import Gate, Server, settle_memory  # noqa: E402
from neurons.identity import Identity  # noqa: E402
from neurons.miner.server import MinerApp  # noqa: E402
from neurons.miner.textgen import TextService  # noqa: E402

GENESIS, NETUID = b"\7" * 32, 2
MINER, CALLER = "//Bob", "//Alice"


async def start(
    port: int, uri: str = MINER, kind: type[TextService] = TextService
) -> tuple[Server, Worker]:
    """A running server and its engine; end both."""
    loaded, hotkey = load("exact", "tiny"), Keypair.from_uri(uri)
    staked = Keypair.from_uri(CALLER).public_key
    worker = Worker(loaded.model, pages=1024, width=32)
    worker.start()
    service = kind(worker, loaded.tokenizer, Identity(hotkey, GENESIS, NETUID))
    seals = KeyRing(hotkey, GENESIS, NETUID, time.time)
    app = MinerApp(
        Gate(hotkey.address), lambda who: 100.0 if who == staked else 0.0, service, seals=seals
    )
    server = Server(app.app, "127.0.0.1", port)
    await server.start()
    return server, worker


async def serve(port: int, uri: str = MINER) -> None:
    await start(port, uri)
    settle_memory()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), *sys.argv[2:3]))
