"""`neuron-miner`: load a model, register, publish the address, serve until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress

from ganglion.attest.evidence import MOCK
from ganglion.client import Client
from ganglion.errors import GanglionError
from ganglion.wire.sealed import KeyRing
from neurons import program
from neurons.chainlink import ChainLink, ChainProblem
from neurons.disputes.stand import stand_by_answers
from neurons.engine.drafts import Backend, ServerDrafter
from neurons.engine.load import load_embedder
from neurons.engine.remote import RemoteWorker
from neurons.engine.worker import TextEngine, Worker
from neurons.http import Gate, Server, settle_memory
from neurons.identity import Identity
from neurons.miner.asks import post_ask
from neurons.miner.attest import (
    AttestService,
    Make,
    behind_of,
    command_evidence,
    mock_evidence,
)
from neurons.miner.check import check
from neurons.miner.embedding import EmbedService
from neurons.miner.hardware_options import hardware_service, measure_hardware
from neurons.miner.lessees import watch_leases
from neurons.miner.options import contradiction, parser
from neurons.miner.redeemer import open_till
from neurons.miner.requests import watch_requests
from neurons.miner.server import MinerApp
from neurons.miner.textgen import TextService
from neurons.miner.work import watch_work
from neurons.shards.options import load_model, release
from neurons.shards.program import main as serve_span

log = logging.getLogger("miner")

PROVEN_START = "neuron-miner is ready"


class Services:
    """What a miner offers, and how to stop it."""

    def __init__(self, text: TextService | None = None, embed: EmbedService | None = None) -> None:
        self.text, self.embed = text, embed

    @property
    def name(self) -> str:
        """The name of the model on offer."""
        service = self.text or self.embed
        return "" if service is None else service.card.name

    def start(self) -> None:
        """Start the engine's thread."""
        if self.text is not None:
            self.text.worker.start()

    async def stop(self) -> None:
        """End the engine's thread, and let go of a server that drafts."""
        if self.text is None:
            return
        if isinstance(self.text.worker, RemoteWorker):
            await self.text.worker.close()
        else:
            self.text.worker.stop()
        release(self.text.worker.model)


Build = Callable[[argparse.Namespace, Identity], Services]


def build_services(options: argparse.Namespace, identity: Identity) -> Services:
    """The honest services that the options ask for."""
    if options.task == "embedding":
        return Services(embed=EmbedService(load_embedder(options.engine, options.model), identity))
    loaded = load_model(options, identity)
    worker: TextEngine = Worker(
        loaded.model, options.pages, options.width, draft=options.draft == "lookup"
    )
    if options.backend:
        name = options.backend_model or loaded.model.card.name
        key = os.environ.get("BACKEND_API_KEY", "")
        drafter = ServerDrafter(Backend(options.backend, name, options.backend_dialect, key))
        worker = RemoteWorker(loaded.model, drafter, options.pages, options.width)
    return Services(text=TextService(worker, loaded.tokenizer, identity))


def attest_service(
    options: argparse.Namespace, identity: Identity, seals: KeyRing, client: Client
) -> AttestService | None:
    """Who answers for this machine, if the options name a kind of evidence."""
    if options.attest is None:
        return None
    make: Make = mock_evidence
    if options.attest != MOCK:
        make = command_evidence(options.attest_command, options.attest)
    return AttestService(identity, seals, options.attest, make, behind_of(client))


class Standings:
    """Stake by hotkey, refreshed from the chain; the last known when the chain is away."""

    def __init__(self, chain: ChainLink) -> None:
        self._chain = chain
        self._stakes: dict[bytes, float] = {}
        self._permitted: frozenset[bytes] = frozenset()
        self._seated = True

    def __call__(self, caller: bytes) -> float:
        return self._stakes.get(caller, 0.0)

    def is_validator(self, caller: bytes) -> bool:
        """Whether a caller has a validator permit."""
        return caller in self._permitted

    async def refresh(self) -> None:
        """Read the stakes once, and tell when others have taken this miner's seat."""
        view = await self._chain.view()
        self._stakes, self._permitted = view.stakes, view.permitted
        seated = view.neuron(self._chain.hotkey.address) is not None
        if self._seated and not seated:
            log.warning(
                "this hotkey has lost its seat on subnet %d, so nobody asks it any more: start "
                "again to register anew",
                self._chain.netuid,
            )
        self._seated = seated

    async def keep_fresh(self) -> None:
        """Read the stakes again and again."""
        while True:
            await asyncio.sleep(program.CHAIN_REFRESH_SECONDS)
            try:
                await self.refresh()
            except GanglionError as e:
                log.warning("stakes are as of the last block seen: %s", e)


async def seat_of(chain: ChainLink) -> int:
    """This hotkey's uid; ChainProblem if it has none."""
    uid = await chain.client.uid_of(chain.netuid, chain.hotkey.address)
    if uid is None:
        raise ChainProblem(
            f"{chain.hotkey.address} is not registered on subnet {chain.netuid}: register it, or "
            "leave out --no-register"
        )
    return uid


async def serve(options: argparse.Namespace, build: Build) -> None:
    """Register, publish and serve until cancelled."""
    hotkey = program.hotkey_of(options)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(options.network))
        chain = ChainLink(client, options.netuid, hotkey)
        identity = Identity(hotkey, chain.genesis, options.netuid)
        services = build(options, identity)
        if options.no_register:
            await seat_of(chain)
        standings = Standings(chain)
        services.start()
        stack.push_async_callback(services.stop)
        seals = KeyRing(hotkey, chain.genesis, options.netuid, time.time)
        attest = attest_service(options, identity, seals, client)
        lessees = await watch_leases(chain, services.name, stack)

        def is_free(caller: bytes) -> bool:
            validator = not options.charge_validators and standings.is_validator(caller)
            return validator or lessees.serves(caller)

        till = await open_till(options, identity, client, is_free, stack)
        rank = lessees.over(standings)
        app = MinerApp(
            Gate(hotkey.address), rank, services.text, services.embed, seals, attest, till
        )
        app.price, app.lessees = options.price, lessees
        hardware = await hardware_service(options, identity, standings.is_validator, stack)
        if hardware is not None:
            app.take_challenges(hardware)
        server = Server(app.app, options.host, options.port)
        await server.start()
        stack.push_async_callback(server.stop)
        # Nothing is paid for before everything else that can fail has been tried.
        if options.no_register:
            uid = await seat_of(chain)
        else:
            uid = await chain.register(lambda: program.coldkey_of(options))
        await standings.refresh()
        await stand_by_answers(options, chain, services.text, stack)
        await chain.publish(options.external_host or options.host, server.port)
        await post_ask(options, chain, services.name, stack)
        await watch_requests(options, chain, services.text, stack)
        await watch_work(options, chain, services.text, app, stack)
        refreshing = asyncio.create_task(standings.keep_fresh())
        stack.callback(refreshing.cancel)
        settle_memory()
        log.info("%s uid=%d hotkey=%s port=%d", PROVEN_START, uid, hotkey.address, server.port)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


def main(argv: Sequence[str], build: Build = build_services) -> int:
    """Run a miner with the services that `build` makes, or `check`; the exit code."""
    if list(argv[:1]) == ["hardware"]:
        return measure_hardware(argv[1:])
    if list(argv[:1]) == ["span"]:
        return serve_span(argv[1:])
    made, checking = parser(), list(argv[:1]) == ["check"]
    options = made.parse_args(argv[1:] if checking else argv)
    wrong = contradiction(options)
    if wrong is not None:
        made.error(wrong)
    program.set_up(options)
    return program.run_program(check(options) if checking else serve(options, build))


def run() -> None:
    """The console script."""
    program.limit_threads()
    sys.exit(main(sys.argv[1:]))
