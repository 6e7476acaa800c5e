"""A gateway without a chain, for benchmarks: gateway_server.py PORT HOTKEY=MINERPORT...

The same parts as `neuron-gateway`; only the list of miners does not come from a chain.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import uvloop
from miner_server import CALLER, GENESIS, NETUID

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, Target
from neurons.gateway.app import GatewayApp
from neurons.gateway.directory import Directory
from neurons.gateway.router import Miner, Router
from neurons.gateway.service import Prices, TextGateway
from neurons.gateway.store import Store
from neurons.http import Server, settle_memory
from neurons.identity import Identity


class Listed(Directory):
    """A directory that was told its miners."""

    def __init__(self, caller: Caller, router: Router) -> None:
        super().__init__(None, caller, router, "text")  # type: ignore[arg-type]


async def serve(port: int, miners: list[str]) -> None:
    hotkey, router = Keypair.from_uri(CALLER), Router()
    targets = [Target(uri, "127.0.0.1", int(p)) for uri, _, p in (m.partition("=") for m in miners)]
    router.update([Miner(i, t, "ganglion/tiny", True, 1024) for i, t in enumerate(targets)])
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder)}/gateway.db")
        key = store.add_key("bench", 10**15)
        async with Caller(hotkey) as caller:
            text = TextGateway(
                caller,
                Identity(hotkey, GENESIS, NETUID),
                Listed(caller, router),
                store,
                Prices(1, 1),
            )
            await Server(GatewayApp(store, text, None, key).app, "127.0.0.1", port).start()
            settle_memory()
            await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2:]))
