"""A paying miner: nothing beyond the credit, clear refusals, vouchers on disk before they count."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_miner import GENESIS, Running, serving

from chain.dev.devnode import DevNode
from ganglion import channels
from ganglion.balance import Balance
from ganglion.client import Client
from ganglion.keys import dev_key
from ganglion.voucher_file import VoucherFile
from ganglion.wire import vouchers
from ganglion.wire.call import Caller, CallFailed
from ganglion.wire.lanes import ChannelFacts, PayerLane
from ganglion.wire.paid import VOUCHER_PATH, Offer, PayTerms, UnitPrices, VoucherMessage
from ganglion.wire.text import Reported, Sampling, TextAnswer, TextRequest
from neurons.engine.load import Loaded
from neurons.miner.redeemer import Redeemer
from neurons.miner.till import Bill, Till

ALICE, BOB, DAVE = dev_key("Alice"), dev_key("Bob"), dev_key("Dave")
PRICES = UnitPrices.flat(1_000_000)  # a rao a token
CHANNEL = ChannelFacts(3, ALICE.public_key, BOB.public_key, ALICE.public_key, 10_000, 0, 5000, 4)


def till(folder: Path, *known: ChannelFacts, free: bytes = b"", patience: float = 0.3) -> Till:
    async def find(number: int) -> ChannelFacts | None:
        return next((c for c in known if c.number == number), None)

    kept = VoucherFile(folder / "v.db")
    offer = Offer(BOB.public_key, PRICES)
    return Till(GENESIS, offer, kept, find, lambda caller: caller == free, patience)


def request(limit: int = 80, **terms: object) -> TextRequest:
    pay = replace(PayTerms(3, 0, PRICES), **terms)  # type: ignore[arg-type]
    sampling = Sampling(b"\1" * 32)
    return TextRequest(
        secrets.token_bytes(16), "ganglion/tiny", sampling, limit, prompt="Explain ☃", pay=pay
    )


@dataclass
class Payer:
    """Asks and pays, every `step` tokens that arrived, up to `most` rao."""

    caller: Caller
    miner: Running
    lane: PayerLane = field(default_factory=lambda: PayerLane(3, 0))
    step: int = 16
    most: int = 10**9

    async def ask(self, asked: TextRequest) -> TextAnswer:
        answer, paid = TextAnswer(), 0
        assert asked.pay is not None
        async for name, data in self.caller.events(self.miner.target, asked.to_bytes()):
            ended = answer.take(name, data)
            due = min(asked.pay.due(answer.prompt_tokens, len(answer.tokens)), self.most)
            if (len(answer.tokens) % self.step == 0 or ended) and due > paid:
                await self.pay(due - paid, (asked.id, due))
                paid = due
        return answer

    async def pay(self, amount: int, *paid: tuple[bytes, int]) -> None:
        self.lane = self.lane.raised(amount)
        signed = vouchers.sign(self.lane.voucher(GENESIS), self.caller.hotkey)
        body = orjson.dumps(VoucherMessage(signed.to_json(), paid).to_json())
        await self.caller.fetch(self.miner.target, "POST", VOUCHER_PATH, body)


async def refused(caller: Caller, miner: Running, asked: TextRequest) -> str:
    with pytest.raises(CallFailed) as e:
        await caller.text(miner.target, asked)
    assert (e.value.reason, e.value.status) == ("refused", 402)
    return str(e.value)


async def test_who_pays_is_served_to_the_end(tiny: Loaded, tmp_path: Path) -> None:
    box = till(tmp_path, CHANNEL)
    async with serving(tiny, till=box) as miner, Caller(ALICE) as caller:
        payer = Payer(caller, miner)
        answers = [await payer.ask(request(70)) for _ in range(2)]
        both = await asyncio.gather(  # two lanes at once
            payer.ask(request(50)),
            Payer(caller, miner, PayerLane(3, 1)).ask(request(50, lane=1)),
        )
        status = orjson.loads(await caller.fetch(miner.target, "GET", "/status"))
    due = [PRICES.cost(a.prompt_tokens, len(a.tokens)) for a in (*answers, *both)]
    assert all(answer.signed for answer in answers)
    assert box.ledger.promised(CHANNEL) == sum(due)
    kept = {v.voucher.lane: v.voucher.cumulative for v in VoucherFile(tmp_path / "v.db").load()}
    assert kept == {0: sum(due[:3]), 1: due[3]}
    assert status["text"]["pay"] == {
        "payee": BOB.address,
        "prices": PRICES.to_json(),
        "chunk": 32,
        "credit": 1,
    }


async def test_without_vouchers_a_chunk_is_all_there_is(tiny: Loaded, tmp_path: Path) -> None:
    async with serving(tiny, till=till(tmp_path, CHANNEL)) as miner, Caller(ALICE) as caller:
        answer, asked = TextAnswer(), request()
        with pytest.raises(Reported, match=r"rao of this answer are unpaid: post a voucher"):
            async for event in caller.events(miner.target, asked.to_bytes()):
                answer.take(*event)
        assert len(answer.tokens) == 32
        late = Payer(caller, miner, most=40)  # pays some of the prompt and a chunk, then no more
        with pytest.raises(Reported):
            await late.ask(request())


async def test_strangers_are_refused_in_words(tiny: Loaded, tmp_path: Path) -> None:
    closing = replace(CHANNEL, number=4, closes_at=5)
    small = replace(CHANNEL, number=5, deposit=20)
    foreign = replace(CHANNEL, number=6, payee=DAVE.public_key)
    short = replace(CHANNEL, number=7, expiry=9)
    box = till(tmp_path, CHANNEL, closing, small, foreign, short, free=DAVE.public_key)
    async with serving(tiny, till=box) as miner, Caller(ALICE) as caller, Caller(DAVE) as dave:
        for asked, why in [
            (replace(request(), pay=None), "open a channel"),
            (request(channel=9), "no channel 9 pays"),
            (request(channel=6), "no channel 6 pays"),
            (request(prices=UnitPrices.flat(999_999)), "asks"),
            (request(lane=4), "lanes 0 to 3"),
            (request(channel=4), "channel 4 is closing"),
            (request(channel=7), "ends at block 9"),
            (request(channel=5), "20 rao left and this may cost more: top it up"),
        ]:
            assert why in await refused(caller, miner, asked)
        assert "another caller's" in await refused(dave, miner, request())
        free = await dave.text(miner.target, replace(request(40), pay=None))
        assert len(free.answer.tokens) == 40


async def test_odd_vouchers_are_refused_and_change_nothing(tiny: Loaded, tmp_path: Path) -> None:
    box = till(tmp_path, CHANNEL)
    async with serving(tiny, till=box) as miner, Caller(ALICE) as caller, Caller(DAVE) as dave:
        payer = Payer(caller, miner)
        await payer.pay(100)
        before = payer.lane
        for who, lane, why in [
            (payer, replace(before, nonce=0, cumulative=101), "nonce 1 and 100 rao"),
            (payer, replace(before, cumulative=0), "100 rao already"),
            (payer, replace(before, cumulative=10_001), "top it up"),
            (payer, replace(before, channel=8), "no channel 8"),
            (replace(payer, caller=dave), before, "another caller's"),
        ]:
            who.lane = lane
            with pytest.raises(CallFailed, match=why):
                await who.pay(0)
        payer.lane = before
        asked = request(60)
        stream = caller.events(miner.target, asked.to_bytes())
        await anext(stream)
        with pytest.raises(CallFailed, match="adds 105 rao and is to pay 106 of answers"):
            await payer.pay(5, (asked.id, 106))
        for body in (b"", b"{}", b'{"voucher": "0x"}', b'{"paid": 3}'):
            with pytest.raises(CallFailed, match="status 400"):
                await caller.fetch(miner.target, "POST", VOUCHER_PATH, body)
    assert box.ledger.promised(CHANNEL) == 100


async def test_vouchers_outlive_the_miner(tiny: Loaded, tmp_path: Path) -> None:
    async with serving(tiny, till=till(tmp_path, CHANNEL)) as miner, Caller(ALICE) as caller:
        payer = Payer(caller, miner)
        await payer.ask(request(40))
    again = till(tmp_path, CHANNEL)  # the first one's file was never closed: as after a crash
    async with serving(tiny, till=again) as miner, Caller(ALICE) as caller:
        with pytest.raises(CallFailed, match="go on there"):
            await Payer(caller, miner).pay(1)
        await Payer(caller, miner, payer.lane).ask(request(40))
    assert again.ledger.promised(CHANNEL) > payer.lane.cumulative


async def test_who_leaves_too_much_unpaid_is_refused(tiny: Loaded, tmp_path: Path) -> None:
    box = till(tmp_path, CHANNEL, patience=0.01)
    async with serving(tiny, till=box) as miner, Caller(ALICE) as caller:
        served = 0
        with pytest.raises(CallFailed, match="left too many answers unpaid"):
            for _ in range(60):  # each leaves 15 rao unpaid, a third of its credit of 44
                await caller.text(miner.target, request(3))
                served += 1
                await asyncio.sleep(0.03)
        assert 12 <= served < 30


def unit_prices() -> st.SearchStrategy[UnitPrices]:
    """Prices as a miner may ask them: what is cached costs no more than what is read."""
    price = st.integers(0, 10**8)
    return st.builds(lambda p, c, n: UnitPrices(p, min(p, c), n), price, price, price)


@given(
    unit_prices(),
    st.integers(1, 5000),
    st.integers(0, 5000),
    st.integers(1, 4),
    st.integers(0, 1),
    st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=60),
)
def test_no_token_goes_beyond_the_credit(prices, prompt, cached, credit, known, steps) -> None:
    cached = min(cached, prompt - 1)
    bill = Bill((b"", b""), PayTerms(0, 0, prices, known), prompt, credit, cached=cached)
    for pays, tokens in steps:
        if pays:
            bill.paid = bill.due
        elif bill.may_send(tokens):
            bill.sent += tokens
        chunk = prices.cost(0, 32 * credit)
        first = prices.cost(prompt, 32 * credit, cached)
        read = prices.cost(prompt, 0, cached)
        assert bill.due - bill.paid <= (chunk if bill.paid > read else first)
    bill.paid = bill.due
    assert bill.may_send(32 * credit - 1 or 1)  # who has paid always gets on


@given(
    unit_prices(), st.integers(1, 500), st.integers(0, 500), st.integers(1, 3), st.integers(0, 1)
)
def test_who_pays_by_halves_of_the_credit_is_never_kept_waiting(
    prices, prompt, cached, credit, known
) -> None:
    """Both ends count alike, whatever was in the cache: the stream never stops."""
    cached, terms = min(cached, prompt - 1), PayTerms(0, 0, prices, known)
    bill, promised = Bill((b"", b""), terms, prompt, credit, cached=cached), 0
    half = max(prices.cost(0, credit * 16), 1)
    for sent in range(1, 200):
        assert bill.may_send(1)
        bill.sent = sent
        due = terms.due(prompt, sent, cached)
        assert due == bill.due
        if due - promised >= half:
            bill.paid = promised = due


Work = Callable[[Client, Redeemer, Till], Awaitable[None]]


def on_chain(folder: Path, every: int, work: Work) -> None:
    with DevNode() as node:

        async def go() -> None:
            async with Client(node.url) as client:
                genesis = bytes.fromhex(client.genesis_hash[2:])
                kept = VoucherFile(folder / "v.db")

                async def find(number: int) -> ChannelFacts | None:
                    return await channels.read(client, number)

                box = Till(genesis, Offer(BOB.public_key, PRICES), kept, find)
                await work(client, Redeemer(client, BOB, box, every), box)

        asyncio.run(go())


def test_vouchers_are_redeemed_seldom_but_in_time(tmp_path: Path) -> None:
    tao = 10**9

    async def work(client: Client, redeemer: Redeemer, box: Till) -> None:
        number = await channels.open_channel(client, ALICE, BOB.address, tao, 10_000, 4)

        def promise(lane: PayerLane) -> None:
            signed = vouchers.sign(lane.voucher(box.ledger.genesis), ALICE)
            box.ledger.check(box.channels[number], signed)
            box.kept.put([signed])
            box.ledger.take(signed)

        await redeemer.refresh()
        lane = PayerLane(number, 0).raised(tao // 10)
        promise(lane)
        assert await redeemer.redeem_due() == 0  # no hurry
        for _ in range(5):
            await client.transfer(ALICE, DAVE.address, Balance.tao("1"))
        await redeemer.refresh()
        assert await redeemer.redeem_due() == 1  # five blocks have passed
        assert box.channels[number].lanes == {0: (1, tao // 10)}
        assert await redeemer.redeem_due() == 0
        lane = lane.raised(1)
        promise(lane)
        assert await redeemer.redeem_all() == 0  # a rao is not worth the fee
        promise(lane.raised(tao // 10))
        await channels.close(client, ALICE, number)
        await redeemer.refresh()
        assert await redeemer.redeem_due() == 1  # the payer closes: at once
        await channels.close(client, BOB, number)
        await redeemer.refresh()
        assert (box.channels, box.ledger.best, box.kept.load()) == ({}, {}, [])

    on_chain(tmp_path, 5, work)


async def test_who_pays_may_have_more_answers_open(tiny: Loaded, tmp_path: Path) -> None:
    own = replace(CHANNEL, payer=DAVE.public_key, signer=DAVE.public_key)  # Dave has no stake
    async with serving(tiny, till=till(tmp_path, own)) as miner, Caller(DAVE) as caller:
        payer = Payer(caller, miner)
        for _ in range(2):
            await payer.ask(request(3))
        streams = [caller.events(miner.target, request(60).to_bytes()) for _ in range(7)]
        opened = await asyncio.gather(*map(anext, streams), return_exceptions=True)
        busy = [e for e in opened if isinstance(e, CallFailed)]
        assert [e.status for e in busy] == [429]  # four, and two more


def test_vouchers_are_redeemed_before_their_channel_expires(tmp_path: Path) -> None:
    async def work(client: Client, redeemer: Redeemer, box: Till) -> None:
        now = await client.block_number()
        number = await channels.open_channel(client, ALICE, BOB.address, 10**9, now + 54, 4)
        await redeemer.refresh()
        signed = vouchers.sign(
            PayerLane(number, 0).raised(10**8).voucher(box.ledger.genesis), ALICE
        )
        box.ledger.take(signed)
        assert await redeemer.redeem_due() == 0  # fifty blocks and more are left
        for _ in range(3):
            await client.transfer(ALICE, DAVE.address, Balance.tao("1"))
        await redeemer.refresh()
        assert await redeemer.redeem_due() == 1

    on_chain(tmp_path, 10**6, work)
