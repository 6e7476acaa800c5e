"""A miner whose engine costs nothing: quick_miner.py PORT [HOTKEY_URI].

The gate, the routes, receipts and fingerprints are a miner's own; the tokens are canned. It shows
what a gateway can carry, not what a model can.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import numpy as np
import uvloop
from miner_server import CALLER, GENESIS, MINER, NETUID

from ganglion.keys import Keypair
from ganglion.wire.receipts import Finish
from neurons.engine.batch import Job, Token
from neurons.engine.load import load
from neurons.engine.worker import Worker
from neurons.http import Gate, Server, settle_memory
from neurons.identity import Identity
from neurons.miner.server import MinerApp
from neurons.miner.textgen import TextService

WORDS = b"sixteen tokens!!"


class Canned(Worker):
    """An engine that says the same to everybody, all at once."""

    async def generate(self, job: Job) -> AsyncIterator[Token]:
        """The tokens of the canned answer."""
        state = np.arange(self.model.card.hidden, dtype=np.uint16)
        for at, token in enumerate(WORDS):
            last = at == len(WORDS) - 1
            yield Token(job.key, token, state, Finish.LENGTH if last else None)


async def serve(port: int, uri: str = MINER) -> None:
    loaded, hotkey = load("exact", "tiny"), Keypair.from_uri(uri)
    staked = Keypair.from_uri(CALLER).public_key
    service = TextService(
        Canned(loaded.model, pages=1), loaded.tokenizer, Identity(hotkey, GENESIS, NETUID)
    )
    app = MinerApp(Gate(hotkey.address), lambda who: 100.0 if who == staked else 0.0, service)
    await Server(app.app, "127.0.0.1", port).start()
    settle_memory()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), *sys.argv[2:3]))
