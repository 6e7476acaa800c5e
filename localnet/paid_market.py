"""Paying gateways and paid miners in one process, over real HTTP, on a real node.

    async with market(url, folder, loaded, Plan(miners=3, gateways=2)) as m:
        await m.complete(0, "Explain ...", max_tokens=20)

Miners serve a real model behind real tills; gateways share one database. Only the subnet is left
out: the gateways are told who the miners are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp

from ganglion import channels
from ganglion.balance import Balance
from ganglion.client import Client
from ganglion.keys import Keypair, dev_key
from ganglion.market import AskFacts
from ganglion.subnet_views import Axon, Neuron
from ganglion.voucher_file import VoucherFile
from ganglion.wire.call import Caller, Target
from ganglion.wire.lanes import ChannelFacts
from ganglion.wire.paid import Offer, PaidAnswer, UnitPrices
from neurons.chainlink import ChainLink
from neurons.engine.load import Loaded
from neurons.engine.worker import Worker
from neurons.gateway.app import GatewayApp
from neurons.gateway.directory import Directory
from neurons.gateway.payer import Payer, Terms
from neurons.gateway.router import Router
from neurons.gateway.service import Prices, TextGateway
from neurons.gateway.store import Store
from neurons.http import Gate, Server
from neurons.identity import Identity
from neurons.miner.redeemer import Redeemer
from neurons.miner.server import MinerApp
from neurons.miner.textgen import TextService
from neurons.miner.till import Till

NETUID = 1
KEYS = ("Bob", "Charlie", "Dave", "Ferdie")
TAO = 1_000_000_000
MAX_KEY_BUDGET = 10**15

MakeWorker = Callable[[int, Loaded], Worker]


@dataclass(frozen=True)
class Plan:
    """What to set up; `prices` by miner, the last for all others. `deposit` in rao. With `is_paid`
    off nobody pays, for comparison.
    """

    miners: int = 3
    gateways: int = 2
    prices: tuple[UnitPrices, ...] = (UnitPrices(1_234_567_891, 1_234_567_891, 7_654_321_987),)
    deposit: int = TAO
    payer: str = "Eve"
    caller_prices: Prices = Prices(2_000_000, 10_000_000)
    is_paid: bool = True
    worker: MakeWorker = field(default=lambda number, loaded: Worker(loaded.model, pages=256))


@dataclass
class PaidMiner:
    """A miner that serves for vouchers."""

    key: Keypair
    target: Target
    till: Till
    redeemer: Redeemer
    worker: Worker


@dataclass
class PayingGateway:
    """A gateway that pays, and a key for it."""

    text: TextGateway
    payer: Payer
    store: Store
    url: str
    key: str

    def spent(self) -> int:
        """What the gateway's callers have been charged, in rao."""
        return sum(int(row["spent"]) for row in self.store.list_keys())


class Listed:
    """Stands in for a subnet's list of neurons."""

    netuid = NETUID

    def __init__(self, client: Client, hotkey: Keypair, targets: list[Target]) -> None:
        self.client, self.hotkey = client, hotkey
        self.block_hash = ""
        self.serving = tuple(
            Neuron(
                i, t.hotkey, "", True, Axon(t.host, t.port, 4, 1, 0), 0, 0, 0, 0, 0, 0, 0, False, 0
            )
            for i, t in enumerate(targets)
        )

    async def view(self) -> Listed:
        """Always the same neurons, at the head."""
        self.block_hash = await self.client.head_hash()
        return self

    async def asks(self, view: Listed) -> dict[tuple[str, str], AskFacts]:
        """Nobody asks on the chain: the status says the price."""
        return {}


@dataclass
class Market:
    """All of it; the client is for looking at the chain."""

    client: Client
    payer: Keypair
    miners: list[PaidMiner]
    gateways: list[PayingGateway]
    http: aiohttp.ClientSession

    async def complete(
        self, gateway: int, prompt: str, confirm: int = 1, **options: Any
    ) -> dict[str, Any]:
        """A completion asked of a gateway as any program would; the decoded reply."""
        at = self.gateways[gateway]
        body = {"model": "default", "prompt": prompt, **options}
        headers = {"Authorization": f"Bearer {at.key}", "X-Ganglion-Confirm": str(confirm)}
        async with self.http.post(f"{at.url}/v1/completions", json=body, headers=headers) as reply:
            said: dict[str, Any] = await reply.json()
            return said

    async def settled(self) -> None:
        """Wait until every voucher on its way has arrived."""
        for gateway in self.gateways:
            for purse in list(gateway.payer.purses.values()):
                await purse.drained()

    async def answers(self, miner: PaidMiner) -> list[PaidAnswer]:
        """What was paid to a miner, from the gateways' database."""
        kept = self.gateways[0].payer.kept
        number = await kept.channel_of(miner.key.address)
        if number is None:
            return []
        found = await channels.read(self.client, number)
        lanes = range(0 if found is None else found.lane_limit)
        return [one for lane in lanes for one in await kept.answers(number, lane)]


async def _miner(
    number: int, plan: Plan, loaded: Loaded, client: Client, folder: Path, stack: AsyncExitStack
) -> PaidMiner:
    key = dev_key(KEYS[number])
    genesis = bytes.fromhex(client.genesis_hash[2:])
    identity = Identity(key, genesis, NETUID)
    worker = plan.worker(number, loaded)
    worker.start()
    stack.callback(worker.stop)
    kept = VoucherFile(folder / f"vouchers-{number}.db")
    stack.callback(kept.close)

    async def find(channel: int) -> ChannelFacts | None:
        return await channels.read(client, channel)

    offer = Offer(key.public_key, plan.prices[min(number, len(plan.prices) - 1)])
    till = Till(genesis, offer, kept, find)
    service = TextService(worker, loaded.tokenizer, identity)
    # staked callers may have many requests open at once; strangers few
    own = till if plan.is_paid else None
    app = MinerApp(Gate(key.address), lambda caller: 1.0, service, till=own)
    app.price = offer.prices.highest
    server = Server(app.app, "127.0.0.1", 0)
    await server.start()
    stack.push_async_callback(server.stop)
    redeemer = Redeemer(client, key, till, every=10**9)
    await redeemer.refresh()
    return PaidMiner(key, Target(key.address, "127.0.0.1", server.port), till, redeemer, worker)


async def gateway_on(
    plan: Plan, client: Client, folder: Path, targets: list[Target], stack: AsyncExitStack
) -> PayingGateway:
    """A gateway on the folder's database that pays these miners."""
    hotkey = dev_key(plan.payer)
    store = Store(f"sqlite:///{folder}/gateway.db")
    stack.callback(store.close)
    caller = await stack.enter_async_context(Caller(hotkey))
    identity = Identity(hotkey, bytes.fromhex(client.genesis_hash[2:]), NETUID)
    listed = cast(ChainLink, Listed(client, hotkey, targets))
    found = Directory(listed, caller, Router(), "text")
    await found.refresh()
    payer = Payer(client, identity, caller, store, Terms(plan.deposit))
    await stack.enter_async_context(payer)
    paying = payer if plan.is_paid else None
    text = TextGateway(caller, identity, found, store, plan.caller_prices, payer=paying)
    server = Server(GatewayApp(store, text, None).app, "127.0.0.1", 0)
    await server.start()
    stack.push_async_callback(server.stop)
    key = store.add_key("app", MAX_KEY_BUDGET)
    return PayingGateway(text, payer, store, f"http://127.0.0.1:{server.port}", key)


@asynccontextmanager
async def market(url: str, folder: Path, loaded: Loaded, plan: Plan) -> AsyncIterator[Market]:
    """The market on a node whose developers' accounts have funds."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(url))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        payer = dev_key(plan.payer)
        if (await client.balance(payer.address)).as_rao() < 10 * plan.deposit + TAO:
            funds = Balance(10 * plan.deposit + 2 * TAO)
            await client.transfer(dev_key("Alice"), payer.address, funds)
        miners = [await _miner(n, plan, loaded, client, folder, stack) for n in range(plan.miners)]
        targets = [miner.target for miner in miners]
        gateways = [
            await gateway_on(plan, client, folder, targets, stack) for _ in range(plan.gateways)
        ]
        yield Market(client, payer, miners, gateways, http)
