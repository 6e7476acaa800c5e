"""A span server of the shipped model for one front: span_server.py PORT FIRST LAST HOTKEY_URI."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from ganglion.keys import Keypair
from neurons import program
from neurons.engine.parts import open_parts
from neurons.http import Gate, Server, settle_memory
from neurons.identity import Identity
from neurons.shards.server import SpanApp

FRONT, GENESIS, NETUID, PAGES = "//Front", b"\7" * 32, 1, 4096


async def serve(port: int, blocks: range, uri: str) -> None:
    parts, _, _ = open_parts("exact", "tiny")
    identity = Identity(Keypair.from_uri(uri), GENESIS, NETUID)
    front = Keypair.from_uri(FRONT).public_key
    app = SpanApp(
        Gate(identity.hotkey.address), identity, parts, parts.load_blocks(blocks),
        lambda key: key == front, PAGES,
    )  # fmt: skip
    await Server(app.app, "127.0.0.1", port).start()
    settle_memory()
    await asyncio.Event().wait()


if __name__ == "__main__":
    program.limit_threads()
    uvloop.run(serve(int(sys.argv[1]), range(int(sys.argv[2]), int(sys.argv[3])), sys.argv[4]))
