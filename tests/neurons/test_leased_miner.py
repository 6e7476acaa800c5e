"""A miner on a market: its ask is on the chain, gateways believe it, and lessees come first."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from running_miner import Running, serving

from chain.dev.devnode import DevNode
from ganglion import market
from ganglion.client import Client
from ganglion.keys import Keypair, dev_key
from ganglion.market import OrderFacts
from ganglion.voucher_file import VoucherFile
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.paid import Offer, UnitPrices
from ganglion.wire.text import Sampling, TextRequest
from neurons.chainlink import ChainLink, ChainProblem
from neurons.engine.load import Loaded
from neurons.gateway.directory import Directory, priced
from neurons.gateway.router import Miner, Router
from neurons.miner import lessees as leasing
from neurons.miner.asks import ASK_BLOCKS, AskKeeper
from neurons.miner.lessees import BEFORE_ALL, SAVED, Lessees, watch_leases
from neurons.miner.options import contradiction, parser
from neurons.miner.till import Till

ALICE, BOB, CHARLIE, DAVE, EVE = (
    dev_key(name) for name in ("Alice", "Bob", "Charlie", "Dave", "Eve")
)
MODEL = "ganglion/tiny"
NET = 1


async def send(client: Client, signer: Keypair, pallet: str, name: str, /, **args: object) -> None:
    call = await client.compose(pallet, name, **args)
    (await client.submit(call, signer)).check()


@asynccontextmanager
async def seated() -> AsyncIterator[tuple[Client, ChainLink]]:
    """A node of developers, on which CHARLIE has a seat."""
    with DevNode() as node:
        async with Client(node.url) as client:
            link = ChainLink(client, NET, CHARLIE)
            await link.register(lambda: BOB)
            yield client, link


def request(limit: int = 24) -> TextRequest:
    sampling = Sampling(b"\1" * 32)
    return TextRequest(secrets.token_bytes(16), MODEL, sampling, limit, prompt="Leased ☃")


async def order(client: Client, capacity: int = 40, deposit: int = 10_000_000) -> None:
    spec = {
        "netuid": NET,
        "model": MODEL.encode(),
        "capacity": capacity,
        "max_rate": 1_000_000,
        "duration": 500,
        "lessee": DAVE.address,
    }
    await send(client, ALICE, "Leases", "create_order", spec=spec, bid_blocks=100, deposit=deposit)


async def blocks(client: Client, count: int) -> None:
    """Let so many blocks pass: every extrinsic makes one."""
    for _ in range(count):
        await send(client, EVE, "System", "remark", remark=b"")


async def eventually(said: object) -> None:
    """Wait until a condition holds; the test's own time limit ends it otherwise."""
    while not said():  # type: ignore[operator]
        await asyncio.sleep(0.01)


# -- asks -----------------------------------------------------------------------------------------


async def test_an_ask_is_posted_and_renewed_when_half_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurons.miner.asks.ASK_BLOCKS", 12)
    async with seated() as (client, link):
        keeper = AskKeeper(link, MODEL, 1, 300)
        assert await keeper.renew()
        first = await keeper.standing()
        assert first is not None
        assert (first.prompt, first.completion, first.capacity) == (1, 1000, 300)
        assert not await keeper.renew()
        await blocks(client, 6)
        assert await keeper.renew()
        again = await keeper.standing()
        assert again is not None
        assert again.expires > first.expires
        assert await AskKeeper(link, MODEL, 7_000, 300).renew()
        dearer = await keeper.standing()
        assert dearer is not None
        assert dearer.completion == dearer.cached == 7_000
    assert ASK_BLOCKS > 12


async def test_a_hotkey_without_money_is_told_what_is_missing() -> None:
    async with seated() as (_, link):
        poor = ChainLink(link.client, NET, Keypair.from_uri("//Poor"))
        with pytest.raises(ChainProblem, match=r"needs .* on the hotkey .* send it some TAO"):
            await AskKeeper(poor, MODEL, 1, 300).renew()


async def test_gateways_believe_the_chain_before_the_miner(tiny: Loaded) -> None:
    async with seated() as (client, link), serving(tiny, "//Charlie") as miner:
        miner.app.price = 5
        await link.publish("0.0.0.0", miner.target.port)
        router = Router()
        gateway = ChainLink(client, NET, ALICE)
        async with Caller(ALICE) as caller:
            directory = Directory(gateway, caller, router, "text")
            await directory.refresh()
            assert router.miners[CHARLIE.address].price == 5
            await AskKeeper(link, MODEL, 4_000, 300).renew()
            await directory.refresh()
            assert router.miners[CHARLIE.address].price == 4_000
            ask = {"netuid": NET, "model": MODEL.encode(), "hotkey": CHARLIE.address}
            await send(client, CHARLIE, "Market", "remove_ask", **ask)
            await directory.refresh()
            assert router.miners[CHARLIE.address].price == 5


def test_an_ask_below_the_channel_price_counts_for_nothing() -> None:
    ask = market.AskFacts(NET, MODEL, CHARLIE.address, 10, 1, 20, 1, 0, 9)
    target = Target(CHARLIE.address, "127.0.0.1", 1)
    assert priced(Miner(0, target), 5.0, ask) == 20
    assert priced(Miner(0, target), 5.0, None) == 5
    paid = Miner(0, target, pay=Offer(CHARLIE.public_key, UnitPrices.flat(90)))
    assert priced(paid, 90.0, ask) == 90


def test_the_options_belong_to_the_miner() -> None:
    options = parser().parse_args(["--netuid", "1", "--post-ask", "--capacity", "77"])
    assert (options.post_ask, options.capacity) == (True, 77)
    assert contradiction(options) is None


# -- leases ---------------------------------------------------------------------------------------


async def test_a_lessee_is_served_from_the_block_its_lease_is_in(
    tiny: Loaded, tmp_path: Path
) -> None:
    """A miner that serves only who pays: a stranger, then a lessee, a paused and a resumed one."""
    async with seated() as (client, link), AsyncExitStack() as stack:
        await AskKeeper(link, MODEL, 1, 40).renew()
        lessees = await watch_leases(link, MODEL, stack)
        kept = VoucherFile(tmp_path / "v.db")
        offer = Offer(CHARLIE.public_key, UnitPrices.flat(10**6))

        async def find(number: int) -> None:
            return None

        till = Till(link.genesis, offer, kept, find, lessees.serves)
        miner = await stack.enter_async_context(serving(tiny, "//Charlie", till=till))
        miner.app.lessees = lessees
        caller = await stack.enter_async_context(Caller(DAVE))
        await order(client)
        await refused(caller, miner)
        await send(
            client, CHARLIE, "Leases", "bid", order=0, hotkey=CHARLIE.address, rate=1_000_000
        )
        await send(client, ALICE, "Leases", "accept", order=0)
        async with asyncio.timeout(20):
            await eventually(lambda: lessees.serves(DAVE.public_key))
            answer = await caller.text(miner.target, request())
            assert answer.answer.completion_tokens == 24
            assert lessees.over(lambda caller: 3.0)(DAVE.public_key) == BEFORE_ALL
            assert lessees.over(lambda caller: 3.0)(ALICE.public_key) == 3.0
            await blocks(client, 11)  # the deposit pays for ten
            await eventually(lambda: not lessees.serves(DAVE.public_key))
            await refused(caller, miner)
            await send(client, ALICE, "Leases", "deposit", order=0, amount=10_000_000)
            await eventually(lambda: lessees.serves(DAVE.public_key))
            await caller.text(miner.target, request())
            await send(client, CHARLIE, "Leases", "close", order=0)
            await eventually(lambda: not lessees.serves(DAVE.public_key))


async def refused(caller: Caller, miner: Running) -> None:
    with pytest.raises(CallFailed, match="this miner is paid") as e:
        await caller.text(miner.target, request())
    assert e.value.status == 402


def lease(
    number: int = 3, state: str = "open", capacity: int = 10, model: str = MODEL
) -> OrderFacts:
    miner, payer = CHARLIE.address, ALICE.address
    facts = (number, state, NET, model, capacity, 9, payer, DAVE.address, 50, 1, 0, miner, 5, 99)
    return OrderFacts(*facts)


def far() -> Lessees:
    """The lessees of a miner whose node cannot be reached."""
    return Lessees(ChainLink(Client("ws://127.0.0.1:1"), NET, CHARLIE), MODEL)


async def use(lessees: Lessees, tokens: int) -> None:
    async def events() -> AsyncIterator[tuple[str, bytes]]:
        for _ in range(tokens):
            yield "tokens", b""
        yield "done", b""

    assert len([e async for e in lessees.metered(DAVE.public_key, events())]) == tokens + 1


async def test_a_lease_is_good_for_its_tokens_a_block() -> None:
    lessees = far()
    lessees.update(100, [lease()])
    await use(lessees, 10 * SAVED)
    assert not lessees.serves(DAVE.public_key)
    lessees.update(101, [lease()])
    assert lessees.serves(DAVE.public_key)
    await use(lessees, 25)  # an answer that began is finished
    lessees.update(102, [lease()])
    assert not lessees.serves(DAVE.public_key)
    lessees.update(104, [lease()])
    assert lessees.serves(DAVE.public_key)
    lessees.update(10_000, [lease()])
    await use(lessees, 10 * SAVED)
    assert not lessees.serves(DAVE.public_key)


async def test_only_open_leases_of_this_model_count() -> None:
    lessees = far()
    lessees.update(1, [lease(state="overdrawn"), lease(4, model="other")])
    assert not lessees.serves(DAVE.public_key)
    await use(lessees, 2)  # of a caller without a lease nothing is counted
    lessees.update(2, [lease(), lease(5)])
    await use(lessees, 10 * SAVED + 1)
    assert lessees.serves(DAVE.public_key)  # the second one has tokens left
    lessees.update(3, [])
    assert not lessees.serves(DAVE.public_key)


async def test_leases_last_known_hold_while_the_chain_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leasing, "AGAIN_SECONDS", 0.01)
    lessees = far()
    lessees.update(1, [lease()])
    watching = asyncio.create_task(lessees.keep_fresh())
    async with asyncio.timeout(20):
        await eventually(lambda: caplog.text.count("as of the last block seen") > 1)
    watching.cancel()
    assert lessees.serves(DAVE.public_key)
