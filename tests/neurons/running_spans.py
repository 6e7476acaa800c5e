"""Real span servers on loopback ports, each holding some blocks of the shipped model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ganglion.keys import Keypair
from ganglion.sync import BackgroundLoop
from ganglion.wire.call import Target
from neurons.engine.parts import Blocks, Parts, open_parts
from neurons.http import Gate, Server
from neurons.identity import Identity
from neurons.shards.directory import listed
from neurons.shards.front import ShardedModel
from neurons.shards.server import SpanApp

GENESIS, NETUID = b"\7" * 32, 2
FRONT = Identity(Keypair.from_uri("//Front"), GENESIS, NETUID)
Change = Callable[[Blocks], Blocks]


class Span:
    """One span server, which can be killed and started again on its port."""

    def __init__(
        self, loop: BackgroundLoop, parts: Parts, name: str, blocks: range, pages: int = 512,
        change: Change = lambda blocks: blocks, **options: float,
    ) -> None:  # fmt: skip
        self._loop, self._parts, self._change = loop, parts, change
        self.identity = Identity(Keypair.from_uri(f"//{name}"), GENESIS, NETUID)
        self.blocks, self.pages, self.options = blocks, pages, options
        self.allowed = {FRONT.hotkey.public_key}
        self.port = 0
        self._server: Server | None = None
        self.start()

    def start(self) -> None:
        """Serve, with nothing remembered."""
        held = self._change(self._parts.load_blocks(self.blocks))
        gate = Gate(self.identity.hotkey.address)
        self.app = SpanApp(
            gate, self.identity, self._parts, held, lambda key: key in self.allowed,
            self.pages, **self.options,
        )  # fmt: skip
        self._server = self._loop.wait(self._listen())
        self.port = self._server.port

    async def _listen(self) -> Server:
        server = Server(self.app.app, "127.0.0.1", self.port)
        await server.start()
        return server

    def kill(self) -> None:
        """Stop listening and cut every connection."""
        if self._server is not None:
            self._loop.wait(asyncio.wait_for(self._server.stop(), 10))
            self._server = None
        self.app.close()

    @property
    def target(self) -> Target:
        return Target(self.identity.hotkey.address, "127.0.0.1", self.port)


class Swarm:
    """Span servers of one model, and fronts that use them."""

    def __init__(self, kind: str = "exact", model: str = "tiny") -> None:
        self.parts, self.tokenizer, self.folder = open_parts(kind, model)
        self.loop = BackgroundLoop()
        self.spans: dict[str, Span] = {}
        self.fronts: list[ShardedModel] = []

    def serve(self, name: str, first: int, last: int, **options: object) -> Span:
        """Start a server, or one more."""
        made = Span(self.loop, self.parts, name, range(first, last), **options)  # type: ignore[arg-type]
        self.spans[name] = made
        for front in self.fronts:
            self._tell(front)
        return made

    def front(self, audit: float = 0.0) -> ShardedModel:
        """A front that knows every server there is."""
        source = listed([span.target for span in self.spans.values()])
        made = ShardedModel(self.parts, FRONT, source, audit)
        made.start()
        self.fronts.append(made)
        return made

    def _tell(self, front: ShardedModel) -> None:
        front.directory._source = listed([span.target for span in self.spans.values()])
        assert front._loop is not None
        front._loop.wait(front.directory.refresh())

    def close(self) -> None:
        for front in self.fronts:
            front.close()
        for span in self.spans.values():
            span.kill()
        self.loop.stop()


@contextmanager
def swarm(kind: str = "exact", model: str = "tiny", abc: bool = True) -> Iterator[Swarm]:
    """A[0:2], B[2:4], C[1:4], unless they are not wanted."""
    made = Swarm(kind, model)
    try:
        if abc:
            made.serve("A", 0, 2)
            made.serve("B", 2, 4)
            made.serve("C", 1, 4)
        yield made
    finally:
        made.close()
