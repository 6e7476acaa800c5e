"""Real miners on loopback ports, with the real tiny model behind them."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ganglion.keys import Keypair
from ganglion.wire.call import Target
from ganglion.wire.sealed import KeyRing
from neurons.engine.base import EngineError
from neurons.engine.batch import Job, Token
from neurons.engine.load import Loaded
from neurons.engine.tinyembed import MeanEmbedder
from neurons.engine.worker import Worker
from neurons.http import Gate, Server
from neurons.identity import Identity
from neurons.miner.attest import AttestService
from neurons.miner.embedding import EmbedService
from neurons.miner.server import MinerApp
from neurons.miner.textgen import TextService
from neurons.miner.till import Till

GENESIS = b"\7" * 32
NETUID = 2


class Dying(Worker):
    """An engine that dies after 20 tokens of every answer."""

    async def generate(self, job: Job) -> AsyncIterator[Token]:
        made = 0
        async for token in super().generate(job):
            yield token
            made += 1
            if made == 20:
                raise EngineError("killed")


def dying_first(number: int, loaded: Loaded) -> Worker:
    return (Worker if number else Dying)(loaded.model, pages=256)


@dataclass
class Running:
    """A miner that serves, and how to reach it."""

    app: MinerApp
    target: Target
    identity: Identity
    worker: Worker


@asynccontextmanager
async def serving(
    loaded: Loaded,
    uri: str = "//Bob",
    seals: bool = True,
    till: Till | None = None,
    attest: Callable[[Identity, KeyRing], AttestService] | None = None,
    place: tuple[bytes, int] = (GENESIS, NETUID),
    **worker: int,
) -> AsyncIterator[Running]:
    identity = Identity(Keypair.from_uri(uri), *place)
    engine = Worker(loaded.model, pages=256, **worker)
    engine.start()
    ring = KeyRing(identity.hotkey, *place, time.time) if seals else None
    attested = attest(identity, ring) if attest is not None and ring is not None else None
    embed = EmbedService(MeanEmbedder(loaded.model, loaded.tokenizer), identity)
    app = MinerApp(
        Gate(identity.hotkey.address),
        lambda caller: 1.0 if caller == Keypair.from_uri("//Alice").public_key else 0.0,
        TextService(engine, loaded.tokenizer, identity),
        embed,
        ring,
        attested,
        till=till,
    )
    server = Server(app.app, "127.0.0.1", 0)
    await server.start()
    try:
        yield Running(
            app, Target(identity.hotkey.address, "127.0.0.1", server.port), identity, engine
        )
    finally:
        await server.stop()
        engine.stop()
