"""A gateway in a process of its own: `gateway_process.py FOLDER HOTKEY PORT` with one miner.

Prints its own port and an API key. What it would read from the chain, the command line tells.
"""

import asyncio
import logging
import sys

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, Target
from neurons.gateway.app import GatewayApp
from neurons.gateway.directory import Directory
from neurons.gateway.router import Miner, Router
from neurons.gateway.service import Prices, TextGateway
from neurons.gateway.store import Store
from neurons.http import Server
from neurons.identity import Identity

GENESIS, NETUID = b"\7" * 32, 2
HOTKEY = Keypair.from_uri("//Gateway")


async def main(folder: str, miner: str, port: int) -> None:
    """Serve until killed; every answer that can be read is kept as a sample."""
    async with Caller(HOTKEY) as caller:
        directory = Directory(None, caller, Router(), "text")  # type: ignore[arg-type]
        target = Target(miner, "127.0.0.1", port)
        directory.router.update([Miner(0, target, "ganglion/tiny", True, 2048)])
        store = Store(f"sqlite:///{folder}/gw.db")
        identity = Identity(HOTKEY, GENESIS, NETUID)
        text = TextGateway(caller, identity, directory, store, Prices(1_000_000, 1_000_000), 1.0)
        server = Server(GatewayApp(store, text, None).app, "127.0.0.1", 0)
        await server.start()
        print(server.port, store.add_key("test", 1_000_000), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level="DEBUG", stream=sys.stderr)
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
