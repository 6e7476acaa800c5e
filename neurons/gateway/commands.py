"""`neuron-gateway`: serve app builders until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress

from ganglion.attest.call import AttestedCaller, Trust
from ganglion.balance import Balance
from ganglion.channels import PALLET
from ganglion.client import Client
from ganglion.wire.call import Caller, Patience
from neurons import program
from neurons.chainlink import ChainLink
from neurons.engine.load import load
from neurons.engine.worker import Worker
from neurons.gateway.app import GatewayApp
from neurons.gateway.confidential import Confidential
from neurons.gateway.directory import Directory
from neurons.gateway.embeddings import EmbedGateway
from neurons.gateway.keys import keys
from neurons.gateway.options import parser, policy_of
from neurons.gateway.payer import CannotPay, Payer, Terms
from neurons.gateway.performance import Performance
from neurons.gateway.router import Router
from neurons.gateway.service import Prices, TextGateway
from neurons.gateway.store import Store
from neurons.http import Server, settle_memory
from neurons.identity import Identity
from neurons.validator.examiner import TextExaminer

log = logging.getLogger("gateway")

READY = "neuron-gateway is ready"


async def _verifier(
    options: argparse.Namespace, caller: Caller, identity: Identity, stack: AsyncExitStack
) -> TextExaminer | None:
    if not options.verify:
        return None
    loaded = load(options.engine, options.model)
    worker = Worker(loaded.model, pages=1)
    worker.start()
    stack.callback(worker.stop)
    return TextExaminer(caller, identity, loaded, worker)


def _confidential(
    options: argparse.Namespace,
    caller: Caller,
    identity: Identity,
    found: Directory,
    stack: AsyncExitStack,
) -> Confidential | None:
    """Who knows which miners are attested, kept fresh; None without a policy."""
    if options.attest_policy is None:
        return None
    trust = Trust.load(options.attest_policy, options.attest_roots)
    attested = AttestedCaller(caller, trust.book(identity.genesis, identity.netuid))
    made = Confidential(attested, found.router)
    found.on_view = made.on_view
    if found.view is not None:
        made.on_view(found.view)
    fresh = asyncio.create_task(made.keep_fresh())
    stack.callback(fresh.cancel)
    return made


async def _payer(
    options: argparse.Namespace,
    client: Client,
    identity: Identity,
    caller: Caller,
    store: Store,
    stack: AsyncExitStack,
) -> Payer | None:
    if not options.pay:
        return None
    deposit = options.deposit.as_rao()
    if deposit:
        least = Balance(await client.constant(PALLET, "MinimumDeposit"))
        if deposit < least.as_rao():
            raise CannotPay(f"a channel takes a deposit of {least} at the least: raise --deposit")
        if (await client.balance(identity.hotkey.address)).as_rao() <= deposit:
            log.warning("%s cannot pay for a channel: send it TAO", identity.hotkey.address)
    return await stack.enter_async_context(Payer(client, identity, caller, store, Terms(deposit)))


async def serve(options: argparse.Namespace) -> None:
    """Serve until cancelled."""
    hotkey = program.hotkey_of(options)
    async with AsyncExitStack() as stack:
        store = Store(options.database)
        stack.callback(store.close)
        store.release_stale()
        cleaning = asyncio.create_task(store.keep_clean())
        stack.callback(cleaning.cancel)
        client = await stack.enter_async_context(Client(options.network))
        caller = await stack.enter_async_context(Caller(hotkey, Patience()))
        prices = Prices(options.price_in, options.price_out, options.price_cached)

        async def directory(netuid: int, service: str) -> tuple[Identity, Directory]:
            chain = ChainLink(client, netuid, hotkey)
            made = Directory(chain, caller, Router(policy_of(options)), service)
            await made.refresh()
            fresh = asyncio.create_task(made.keep_fresh())
            stack.callback(fresh.cancel)
            return Identity(hotkey, chain.genesis, netuid), made

        identity, found = await directory(options.netuid, "text")
        examiner = await _verifier(options, caller, identity, stack)
        secret = _confidential(options, caller, identity, found, stack)
        payer = await _payer(options, client, identity, caller, store, stack)
        text = TextGateway(
            caller, identity, found, store, prices, options.sample, examiner, secret, payer
        )
        embed, routers = None, {options.netuid: found.router}
        if options.embedding_netuid is not None:
            identity, found = await directory(options.embedding_netuid, "embedding")
            embed = EmbedGateway(caller, identity, found, store, prices)
            routers[options.embedding_netuid] = found.router
        if options.performance:
            measured = Performance(caller, identity.genesis, routers, options.performance)
            await measured.refresh()
            fresh = asyncio.create_task(measured.keep_fresh())
            stack.callback(fresh.cancel)
        open_key = store.open_key() if options.no_keys else None
        server = Server(GatewayApp(store, text, embed, open_key).app, options.host, options.port)
        await server.start()
        stack.push_async_callback(server.stop)
        settle_memory()
        log.info("%s http://%s:%d/v1", READY, options.host, server.port)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


def main(argv: Sequence[str]) -> int:
    """Run the command line; the exit code."""
    if argv and argv[0] == "keys":
        return program.tell_errors(lambda: keys(argv[1:]))
    made = parser()
    options = made.parse_args(argv)
    if options.attest_roots is not None and options.attest_policy is None:
        made.error("--attest-roots is for an --attest-policy, and there is none")
    if options.price_cached is not None and options.price_cached > options.price_in:
        made.error("--price-cached is above --price-in: cached tokens cannot cost more")
    program.set_up(options)
    return program.run_program(serve(options))
