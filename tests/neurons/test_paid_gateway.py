"""Gateways that pay miners: over real HTTP, on a real node, to the last rao."""

# ruff: noqa: E402 - optional packages decide first whether this file runs

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")

from running_miner import dying_first

from chain.dev.devnode import DevNode
from ganglion import channels
from ganglion.keys import dev_key
from ganglion.wire.paid import UnitPrices
from ganglion.wire.receipt_tree import path_of
from localnet.paid_market import TAO, Market, PaidMiner, Plan, gateway_on, market
from neurons.engine.batch import Job, Token
from neurons.engine.load import Loaded
from neurons.engine.worker import Worker
from neurons.gateway.router import Policy
from neurons.gateway.service import Prices

RAO_A_TOKEN = UnitPrices.flat(1_000_000)
CHARGED = Prices(1_000_000, 1_000_000)
PROMPT = "Explain ☃"
LONG = {"max_tokens": 64, "seed": 1}


@pytest.fixture(scope="module")
def node() -> Iterator[DevNode]:
    with DevNode() as running:
        yield running


async def promised(m: Market, miner: PaidMiner) -> int:
    kept = m.gateways[0].payer.kept
    number = await kept.channel_of(miner.key.address)
    return 0 if number is None else await kept.promised(number)


def held(miner: PaidMiner) -> int:
    return sum(signed.voucher.cumulative for signed in miner.till.ledger.best.values())


async def test_what_is_delivered_is_paid_and_settled_to_the_rao(
    node: DevNode, tiny: Loaded, tmp_path: Path
) -> None:
    async with market(node.url, tmp_path, tiny, Plan()) as m:
        before = {x.key.address: await m.client.balance(x.key.address) for x in m.miners}
        asked = [m.complete(n % 2, PROMPT, max_tokens=10 + n, seed=n) for n in range(30)]
        replies = await asyncio.gather(*asked)
        assert all(reply["choices"] for reply in replies), replies
        await m.settled()
        rao, tokens = 0, 0
        for miner in m.miners:
            paid = await m.answers(miner)
            assert sum(one.amount for one in paid) == held(miner) == await promised(m, miner)
            rao, tokens = rao + held(miner), tokens + sum(one.tokens for one in paid)
            if not paid:
                continue
            await miner.redeemer.refresh()
            (channel,) = miner.till.channels.values()
            due = miner.till.ledger.redeemable(channel)
            assert len(due) in (1, 2)  # a lane for each gateway that used this miner
            (receipt,) = await channels.redeem(m.client, miner.key, due)
            for signed in miner.till.ledger.best.values():
                lane = signed.voucher.channel, signed.voucher.lane
                leaves = [one.leaf() for one in await m.gateways[0].payer.kept.answers(*lane)]
                root = await m.client.query("Channels", "Lanes", *lane)
                for n, leaf in enumerate(leaves):
                    one = next(p for p in paid if p.leaf() == leaf)
                    assert one.is_under(
                        bytes.fromhex(root["receipts_root"][2:]), path_of(leaves, n)
                    )
            after = await m.client.balance(miner.key.address)
            gained = after.as_rao() - before[miner.key.address].as_rao()
            assert gained + receipt.fee == held(miner)
        assert tokens == sum(reply["usage"]["completion_tokens"] for reply in replies)
        lanes = {(p.lane.channel, p.lane.lane) for g in m.gateways for p in g.payer.purses.values()}
        assert len(lanes) == sum(len(g.payer.purses) for g in m.gateways)


async def test_twenty_tokens_to_one_and_forty_four_to_the_next(
    node: DevNode, tiny: Loaded, tmp_path: Path
) -> None:
    plan = Plan(
        miners=2,
        gateways=1,
        prices=(RAO_A_TOKEN, UnitPrices.flat(1_900_000)),
        caller_prices=CHARGED,
        worker=dying_first,
        payer="Eve//2",
    )
    async with market(node.url, tmp_path, tiny, plan) as m:
        gateway = m.gateways[0]
        gateway.text.router.policy = Policy(price=20.0)  # the first miner, and nobody else
        await asyncio.gather(*map(gateway.payer.begin, gateway.text.router.miners.values()))
        reply = await m.complete(0, PROMPT, **LONG)
        await m.settled()
        usage = reply["usage"]
        assert usage.pop("prompt_tokens_details") == {"cached_tokens": 0}
        assert usage == {"prompt_tokens": 12, "completion_tokens": 64, "total_tokens": 76}
        (first,), (second,) = [await m.answers(miner) for miner in m.miners]
        assert (first.tokens, first.amount) == (20, 32)
        assert first.receipt == bytes(32)  # it broke off before it signed
        assert (second.tokens, second.amount) == (44, 143)  # ceil(1.9 * (12 + 19 + 44))
        assert [held(miner) for miner in m.miners] == [32, 143]
        assert m.gateways[0].spent() == 76  # the caller pays every token once


class Stalling(Worker):
    """An engine that says nothing more after so many tokens."""

    after = 0

    async def generate(self, job: Job) -> AsyncIterator[Token]:
        made = 0
        async for token in super().generate(job):
            if made == self.after:
                await asyncio.sleep(3600)
            yield token
            made += 1


@pytest.mark.parametrize(("after", "tokens"), [(0, []), (3, [3])])
async def test_who_loses_a_race_is_paid_for_what_it_sent_and_for_no_more(
    node: DevNode, tiny: Loaded, tmp_path: Path, after: int, tokens: list[int]
) -> None:
    def worker(number: int, loaded: Loaded) -> Worker:
        made = (Worker if number else Stalling)(loaded.model, pages=256)
        if isinstance(made, Stalling):
            made.after = after
        return made

    prices = RAO_A_TOKEN, UnitPrices.flat(1_900_000)
    plan = Plan(2, 1, prices, caller_prices=CHARGED, payer=f"Eve//8{after}", worker=worker)
    async with market(node.url, tmp_path, tiny, plan) as m:
        gateway = m.gateways[0]
        gateway.text.router.policy = Policy(price=20.0)
        await asyncio.gather(*map(gateway.payer.begin, gateway.text.router.miners.values()))
        reply = await m.complete(0, PROMPT, **LONG)
        await m.settled()
        paid = await m.answers(m.miners[0])
        assert [one.tokens for one in paid] == tokens
        assert held(m.miners[0]) == sum(12 + count for count in tokens)
        (winner,) = await m.answers(m.miners[1])
        assert winner.tokens == 64 - after
        assert gateway.spent() == reply["usage"]["total_tokens"] == 76


async def test_who_asks_too_much_is_not_asked(node: DevNode, tiny: Loaded, tmp_path: Path) -> None:
    prices = UnitPrices(1, 1, 9_000_000), RAO_A_TOKEN
    plan = Plan(miners=2, gateways=1, prices=prices, payer="Eve//3")
    async with market(node.url, tmp_path, tiny, plan) as m:
        gateway = m.gateways[0]
        gateway.key = gateway.store.add_key("thrifty", 10**9, max_price=1_000_000)
        for n in range(4):
            assert "choices" in await m.complete(0, PROMPT, max_tokens=4, seed=n)
        await m.settled()
        assert (held(m.miners[0]), len(await m.answers(m.miners[1]))) == (0, 4)


async def test_a_gateway_that_does_not_pay_says_so(
    node: DevNode, tiny: Loaded, tmp_path: Path
) -> None:
    async with market(node.url, tmp_path, tiny, Plan(miners=1, gateways=1, payer="Eve//4")) as m:
        m.gateways[0].text.payer = None
        said = await m.complete(0, PROMPT, max_tokens=4)
        assert "does not pay" in said["error"]["message"]


async def test_a_channel_of_a_coldkeys_is_used_and_a_poor_hotkey_is_told(
    node: DevNode, tiny: Loaded, tmp_path: Path
) -> None:
    plan = Plan(miners=1, gateways=1, deposit=0, payer="Eve//6")
    async with market(node.url, tmp_path, tiny, plan) as m:
        said = await m.complete(0, PROMPT, max_tokens=4)
        assert "as its voucher key: open one" in said["error"]["message"]
        m.gateways[0].payer._failed.clear()
        now, cold = await m.client.block_number(), dev_key("Alice")
        number = await channels.open_channel(
            m.client, cold, m.miners[0].key.address, TAO, now + 5000, 4, m.payer.address
        )
        assert "choices" in await m.complete(0, PROMPT, max_tokens=4)
        await m.settled()
        assert {channel for channel, _ in m.miners[0].till.ledger.best} == {number}


async def test_deposits_are_topped_up_before_they_end(
    node: DevNode, tiny: Loaded, tmp_path: Path
) -> None:
    dear = UnitPrices.flat(50_000 * 1_000_000)  # 20 answers' worth of the least deposit
    plan = Plan(miners=1, gateways=1, prices=(dear,), deposit=10_000_000, payer="Eve//7")
    async with market(node.url, tmp_path, tiny, plan) as m:
        gateway = m.gateways[0]
        for n in range(8):
            reply = await m.complete(0, PROMPT, max_tokens=30, seed=1 + 2 * n)
            assert "choices" in reply, reply
            await m.settled()
            await gateway.payer.keep_once()
            await m.miners[0].redeemer.refresh()
        (purse,) = gateway.payer.purses.values()
        assert held(m.miners[0]) > 10_000_000
        assert purse.channel.deposit >= held(m.miners[0])
        assert not purse.broken


async def test_a_gateway_goes_on_where_another_stopped(
    node: DevNode, tiny: Loaded, tmp_path: Path
) -> None:
    plan = Plan(miners=1, gateways=1, payer="Eve//5")
    async with market(node.url, tmp_path, tiny, plan) as m:
        await m.complete(0, PROMPT, max_tokens=4)
        await m.settled()
        first, (old,) = held(m.miners[0]), m.gateways[0].payer.purses.values()
        await m.gateways[0].payer.__aexit__()
        async with AsyncExitStack() as stack:
            fresh = await gateway_on(plan, m.client, tmp_path, [m.miners[0].target], stack)
            m.gateways.append(fresh)
            assert "choices" in await m.complete(1, PROMPT, max_tokens=4)
            await m.settled()
            (new,) = fresh.payer.purses.values()
            assert (new.lane.channel, new.lane.lane) == (old.lane.channel, old.lane.lane)
            assert (new.lane.nonce, new.lane.answers.count) == (2, 2)
        assert held(m.miners[0]) > first


async def test_all_who_confirm_an_answer_are_paid(
    node: DevNode, tiny: Loaded, tmp_path: Path
) -> None:
    plan = Plan(3, 1, (RAO_A_TOKEN,), caller_prices=CHARGED, payer="Eve//9")
    async with market(node.url, tmp_path, tiny, plan) as m:
        reply = await m.complete(0, PROMPT, confirm=2, **LONG)
        await m.settled()
        assert reply["usage"]["completion_tokens"] == 64, reply
        assert sorted(held(miner) for miner in m.miners) == [0, 76, 76]
        assert m.gateways[0].spent() == 2 * 76
