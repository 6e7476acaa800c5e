"""`neuron-gateway`: serve app builders; `neuron-gateway keys ...`: who may, and for how much."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from ganglion.attest.call import AttestedCaller, Trust
from ganglion.balance import Balance
from ganglion.channels import PALLET
from ganglion.client import Client
from ganglion.errors import GanglionError
from ganglion.wire.call import Caller, Patience
from neurons import program
from neurons.chainlink import ChainLink
from neurons.engine.load import load
from neurons.engine.worker import Worker
from neurons.gateway.app import GatewayApp
from neurons.gateway.confidential import Confidential
from neurons.gateway.directory import Directory
from neurons.gateway.embeddings import EmbedGateway
from neurons.gateway.payer import CannotPay, Payer, Terms
from neurons.gateway.performance import Performance, source
from neurons.gateway.router import Policy, Router
from neurons.gateway.service import Prices, TextGateway
from neurons.gateway.store import Store
from neurons.http import Server, settle_memory
from neurons.identity import Identity
from neurons.validator.examiner import TextExaminer

log = logging.getLogger("gateway")

READY = "neuron-gateway is ready"
ROUTES = {
    "price": "how much a lower price counts in choosing a miner; 0: not at all",
    "latency": "how much a quicker first token counts",
    "load": "how much fewer open requests count",
    "quality": "how much a higher incentive on the chain counts",
    "affinity": "times that a miner with the prompt's beginning in its cache is preferred",
}
DEFAULT_DATABASE = "sqlite:///ganglion-gateway.db"


def parser() -> argparse.ArgumentParser:
    """The command line of a gateway."""
    made = program.common_options("neuron-gateway", "One OpenAI-compatible endpoint.")
    made.add_argument(
        "--embedding-netuid", type=program.netuid, help="a second subnet, for embeddings"
    )
    made.add_argument(
        "--database",
        default=DEFAULT_DATABASE,
        metavar="URL",
        help="keys, budgets and receipts, shared by gateways behind one name: sqlite:///FILE or "
        "postgresql://... (default: %(default)s)",
    )
    made.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    made.add_argument(
        "--port", type=program.port_number, default=8080, help="the port to listen on"
    )
    made.add_argument(
        "--price-in", type=program.price, default=0, help="rao per million prompt tokens"
    )
    made.add_argument(
        "--price-out", type=program.price, default=0, help="rao per million new tokens"
    )
    made.add_argument(
        "--sample", type=program.share, default=0.05, help="share kept for a validator"
    )
    made.add_argument("--verify", action="store_true", help="load --model to verify answers with")
    made.add_argument(
        "--attest-policy",
        type=Path,
        metavar="FILE",
        help="which trusted hardware and programs confidential requests may go to (TOML; see "
        "docs/attestation.md)",
    )
    made.add_argument(
        "--attest-roots",
        type=Path,
        metavar="FOLDER",
        help="AMD's and NVIDIA's keys: amd-*.pem, nvidia-jwks.json",
    )
    made.add_argument(
        "--pay",
        action="store_true",
        help="pay miners that ask for it, through payment channels; see docs/payments.md",
    )
    made.add_argument(
        "--deposit",
        type=tao,
        default=Balance.tao("1"),
        metavar="TAO",
        help="what a channel to a miner is opened and topped up with, from the hotkey's balance; "
        "0: use only channels that name this hotkey as their voucher key (default: 1)",
    )
    made.add_argument(
        "--performance",
        action="append",
        default=[],
        type=source,
        metavar="URL",
        help="a validator whose measurements count for X-Ganglion-Capability, as "
        "http://HOTKEY@HOST:PORT; give three or more, so that none decides alone",
    )
    made.add_argument("--no-keys", action="store_true", help="serve anybody, without API keys")
    for name, what in ROUTES.items():
        default = getattr(Policy(), name)
        made.add_argument(
            f"--route-{name}",
            type=program.power,
            default=default,
            metavar="POWER",
            help=f"{what} (default: %(default)s)",
        )
    return made


def tao(text: str) -> Balance:
    """A --deposit."""
    try:
        return Balance.tao(text)
    except GanglionError as e:
        raise argparse.ArgumentTypeError(str(e)) from None


def policy_of(options: argparse.Namespace) -> Policy:
    """The routing policy of the options."""
    return Policy(**{name: getattr(options, f"route_{name}") for name in ROUTES})


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
        client = await stack.enter_async_context(Client(options.network))
        caller = await stack.enter_async_context(Caller(hotkey, Patience()))
        prices = Prices(options.price_in, options.price_out)

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
        open_key = store.add_key("anybody") if options.no_keys else None
        server = Server(GatewayApp(store, text, embed, open_key).app, options.host, options.port)
        await server.start()
        stack.push_async_callback(server.stop)
        settle_memory()
        log.info("%s http://%s:%d/v1", READY, options.host, server.port)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


def keys_parser() -> argparse.ArgumentParser:
    """`neuron-gateway keys add|list|disable`."""
    made = argparse.ArgumentParser("neuron-gateway keys")
    made.add_argument("action", choices=("add", "list", "disable"))
    made.add_argument("name", nargs="?", default="", help="add: a name; disable: the key's id")
    made.add_argument("--budget", metavar="TAO", help="add: the most this key may ever spend")
    made.add_argument("--models", help="add: comma-separated; default: all")
    made.add_argument(
        "--max-price",
        type=program.price,
        metavar="RAO",
        help="add: the most a miner may ask per million tokens; default: any",
    )
    made.add_argument("--database", default=DEFAULT_DATABASE, metavar="URL")
    return made


def keys(argv: Sequence[str]) -> int:
    """Manage API keys; the exit code."""
    options = keys_parser().parse_args(argv)
    store = Store(options.database)
    if options.action == "add":
        budget = None if options.budget is None else Balance.tao(options.budget).as_rao()
        models = options.models.split(",") if options.models else None
        made = store.add_key(options.name or "unnamed", budget, models, options.max_price)
        print(made)  # noqa: T201
    elif options.action == "disable":
        if not store.disable_key(options.name):
            print(f"error: there is no key {options.name!r}", file=sys.stderr)  # noqa: T201
            return 1
    else:
        for row in store.list_keys():
            print(key_line(row))  # noqa: T201
    return 0


def key_line(row: dict[str, Any]) -> str:
    """A key as `keys list` shows it."""
    budget = "unlimited" if row["budget"] is None else str(Balance(row["budget"]))
    parts = [f"{row['id']} {'off' if row['disabled'] else 'on':3} {row['name']:20}"]
    parts.append(f"budget {budget} spent {Balance(row['spent'])}")
    if row["models"] is not None:
        parts.append("models " + ",".join(json.loads(row["models"])))
    if row["max_price"] is not None:
        parts.append(f"max-price {row['max_price']}")
    return " ".join(parts)


def main(argv: Sequence[str]) -> int:
    """Run the command line; the exit code."""
    if argv and argv[0] == "keys":
        return program.tell_errors(lambda: keys(argv[1:]))
    made = parser()
    options = made.parse_args(argv)
    if options.attest_roots is not None and options.attest_policy is None:
        made.error("--attest-roots is for an --attest-policy, and there is none")
    program.set_up(options)
    return program.run_program(serve(options))
