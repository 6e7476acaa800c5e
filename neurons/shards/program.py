"""`neuron-miner span`: hold some blocks of a model for fronts of a subnet, until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress

from ganglion import ss58
from ganglion.client import Client
from ganglion.errors import GanglionError
from ganglion.wire.call import Target
from neurons import program
from neurons.chainlink import ChainLink, ChainProblem
from neurons.engine.base import EngineError
from neurons.engine.parts import Parts, open_parts
from neurons.http import Gate, Server, settle_memory
from neurons.identity import Identity
from neurons.miner.options import address_options
from neurons.shards.balance import Seat, mover, neediest
from neurons.shards.calls import HopCaller
from neurons.shards.directory import Directory, Source
from neurons.shards.options import AUTO, span_options
from neurons.shards.server import SpanApp

log = logging.getLogger("span")

READY = "span server is ready"
BALANCE_SECONDS = 60.0
SETTLE_SECONDS = 5.0
"""Between seeing that one should move and looking again whether one still should."""


class Registered:
    """Who is registered on the subnet, as of the last block seen."""

    def __init__(self, chain: ChainLink) -> None:
        self._chain, self._keys = chain, frozenset[bytes]()

    def __call__(self, caller: bytes) -> bool:
        return caller in self._keys

    async def refresh(self) -> None:
        """Read the subnet once."""
        view = await self._chain.view()
        self._keys = frozenset(ss58.decode(n.hotkey, prefix=None) for n in view.graph.neurons)
        if view.neuron(self._chain.hotkey.address) is None:
            log.warning("this hotkey has lost its seat, so no front finds it: start it again")

    async def keep_fresh(self) -> None:
        """Read it again and again."""
        while True:
            await asyncio.sleep(program.CHAIN_REFRESH_SECONDS)
            try:
                await self.refresh()
            except GanglionError as e:
                log.warning("fronts are as of the last block seen: %s", e)


def neurons_of(chain: ChainLink) -> Source:
    """The other neurons of the subnet that publish an address."""

    async def source() -> Sequence[Target]:
        view = await chain.view()
        return [Target.of(n) for n in view.serving if n.hotkey != chain.hotkey.address]

    return source


class Balancer:
    """Which blocks a server with `--blocks auto` holds: the driver of the rule of balance."""

    def __init__(self, directory: Directory, parts: Parts, key: str, count: int) -> None:
        self._directory, self._parts, self._key = directory, parts, key
        self._count = min(count, parts.layers)

    async def first_span(self) -> range:
        """Where a new server is needed most."""
        await self._directory.refresh()
        first = neediest(self._parts.layers, self._count, self._directory.seats())
        return range(first, first + self._count)

    async def better_span(self, app: SpanApp) -> range | None:
        """Where this server should move now, if it is the one to move."""
        await self._directory.refresh()
        held = app.blocks.blocks
        own = Seat(self._key, held.start, held.stop, app.announcement().rate)
        found = mover(self._parts.layers, [own, *self._directory.seats()])
        if found is None or found[0].key != self._key:
            return None
        return range(found[1], found[1] + len(held))

    async def balance(self, app: SpanApp, settle: float) -> bool:
        """Move if this server should, now and a moment later; whether it did."""
        wanted = await self.better_span(app)
        if wanted is None:
            return False
        await asyncio.sleep(settle * (1 + random.random()))
        if wanted != await self.better_span(app):
            return False
        blocks = await asyncio.to_thread(self._parts.load_blocks, wanted)
        await app.move(blocks)
        log.info("this server now holds blocks %d:%d", wanted.start, wanted.stop)
        return True

    async def keep_balanced(self, app: SpanApp) -> None:
        """Look again and again, not all servers at once."""
        while True:
            await asyncio.sleep(BALANCE_SECONDS * (0.5 + random.random()))
            try:
                await self.balance(app, SETTLE_SECONDS)
            except (EngineError, OSError, MemoryError) as e:
                log.warning("this server stays where it is: %s", e)


async def serve(options: argparse.Namespace) -> None:
    """Register, publish and serve blocks until cancelled."""
    hotkey = program.hotkey_of(options)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(options.network))
        chain = ChainLink(client, options.netuid, hotkey)
        identity = Identity(hotkey, chain.genesis, options.netuid)
        parts, _, _ = open_parts(options.engine, options.model)
        caller = HopCaller(hotkey)
        await stack.enter_async_context(caller)
        directory = Directory(
            neurons_of(chain), caller, parts.card, parts.kind, parts.layers, identity.genesis
        )
        balancer = Balancer(directory, parts, hotkey.address, options.count or 1)
        held = options.blocks if options.blocks != AUTO else await balancer.first_span()
        registered = Registered(chain)
        fronts = frozenset(options.front or ())
        app = SpanApp(
            Gate(hotkey.address), identity, parts, parts.load_blocks(held),
            fronts.__contains__ if fronts else registered, options.pages,
            most=None if fronts else max(1, options.pages // 2),  # strangers leave some to others
        )  # fmt: skip
        stack.callback(app.close)
        server = Server(app.app, options.host, options.port)
        await server.start()
        stack.push_async_callback(server.stop)
        if options.no_register and await client.uid_of(chain.netuid, hotkey.address) is None:
            raise ChainProblem(
                f"{hotkey.address} is not registered on subnet {chain.netuid}: register it, or "
                "leave out --no-register"
            )
        uid = await chain.register(lambda: program.coldkey_of(options))
        await registered.refresh()
        await chain.publish(options.external_host or options.host, server.port)
        loops = [registered.keep_fresh()]
        if options.blocks == AUTO:
            loops.append(balancer.keep_balanced(app))
        for loop in loops:
            stack.callback(asyncio.create_task(loop).cancel)
        settle_memory()
        log.info(
            "%s blocks=%d:%d uid=%d hotkey=%s port=%d",
            READY, held.start, held.stop, uid, hotkey.address, server.port,
        )  # fmt: skip
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


def parser() -> argparse.ArgumentParser:
    """The options of `neuron-miner span`."""
    about = "Hold some blocks of a model for the fronts of a subnet (`neuron-miner --spans`)."
    made = program.common_options("neuron-miner span", about)
    made.add_argument(
        "--no-register", action="store_true", help="fail instead of paying for a registration"
    )
    address_options(made.add_argument_group("where it is reached"))
    span_options(made.add_argument_group("what it holds, and for whom"))
    return made


def main(argv: Sequence[str]) -> int:
    """Run a span server; the exit code."""
    made = parser()
    options = made.parse_args(argv)
    if (options.blocks == AUTO) != (options.count is not None):
        made.error("--blocks auto and --count N belong together")
    if options.task != "text":
        made.error("span servers are for text: leave out --task")
    program.set_up(options)
    return program.run_program(serve(options))
