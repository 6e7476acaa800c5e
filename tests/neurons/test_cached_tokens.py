# ruff: noqa: E402 - optional packages decide first whether this file runs
"""Tokens of a prompt that were in a miner's cache: told, charged less for, and nobody else's."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import orjson
import pytest

pytest.importorskip("openai")
pytest.importorskip("sqlalchemy")
from hypothesis import given
from hypothesis import strategies as st
from running_miner import GENESIS, NETUID, Running, serving
from test_gateway_openai import gateways
from test_paying_program import asking

from chain.dev.devnode import DevNode
from ganglion.hashing import blake2_256
from ganglion.inference import Style
from ganglion.keys import Keypair
from ganglion.payer import Payer
from ganglion.ss58 import decode
from ganglion.wire.call import Caller, Target, timed
from ganglion.wire.fields import BadMessage
from ganglion.wire.paid import Offer, PayTerms, UnitPrices
from ganglion.wire.receipts import Expected
from ganglion.wire.sealed_call import SealedCaller
from ganglion.wire.text import Sampling, TextAnswer, TextRequest, done_event, tokens_event
from localnet.paid_market import Plan, market
from neurons.engine.base import PAGE
from neurons.engine.load import Loaded
from neurons.gateway.caches import Caches, honoured
from neurons.gateway.purse import Purse, Tab
from neurons.gateway.router import Counted, Miner, Policy, Router, Wanted, prefix_names
from neurons.gateway.service import Prices
from neurons.miner.options import contradiction, parser
from neurons.miner.textgen import prompt_tokens
from subnets.textgen.judge import Facts, Failure, check_tokens

ALICE, BOB = Keypair.from_uri("//Alice"), Keypair.from_uri("//Bob")
MODEL = "ganglion/tiny"
TEXT = "A system prompt that is the same again and again, long enough for several pages. "
HALF = UnitPrices(1_000_000, 500_000, 2_000_000)
"""A rao for a token that is read, half of one from the cache, two for a new one."""


def request(prompt: str = TEXT, cache: bytes = b"", resume: tuple[int, ...] = ()) -> TextRequest:
    sampling = Sampling(b"\1" * 32)
    identity = secrets.token_bytes(16)
    return TextRequest(identity, MODEL, sampling, 8, prompt=prompt, cache=cache, resume=resume)


async def answered(caller: Caller, miner: Running, asked: TextRequest) -> TextAnswer:
    return (await caller.text(miner.target, asked)).answer


async def test_a_miner_tells_what_it_had_of_this_caller_and_of_nobody_else(tiny: Loaded) -> None:
    """Or a stranger could find out by trying what others have asked."""
    async with (
        serving(tiny) as miner,
        Caller(ALICE) as alice,
        Caller(Keypair.from_uri("//Dave")) as dave,
    ):
        first, again = [await answered(alice, miner, request()) for _ in range(2)]
        other = await answered(dave, miner, request())
        apart, same = [await answered(alice, miner, request(cache=b"12345678")) for _ in range(2)]
        longer = await answered(alice, miner, request(TEXT + "And a question."))
        await answered(alice, miner, request(TEXT, resume=tuple(first.tokens[:3])))
        resumed = await answered(alice, miner, request(TEXT, resume=tuple(first.tokens[:3])))
    pages = (first.prompt_tokens - 1) // PAGE * PAGE
    assert pages >= 4 * PAGE
    assert [a.cached_tokens for a in (first, again, other, apart, same)] == [0, pages, 0, 0, pages]
    assert longer.cached_tokens == pages
    assert resumed.cached_tokens in (pages, (first.prompt_tokens + 2) // PAGE * PAGE)
    assert first.tokens == again.tokens == other.tokens == same.tokens
    assert again.signed is not None
    assert again.signed.receipt.prompt_tokens == first.prompt_tokens  # counted as ever


async def test_sealed_orders_share_a_cache_only_if_they_say_so(miner: Running) -> None:
    """Behind a gateway all of them have one signer."""
    async with Caller(ALICE) as caller:
        seals, said = SealedCaller(caller, GENESIS, NETUID), []
        for cache in (b"", b"", b"12345678", b"12345678"):
            asked = request(cache=cache)
            events = seals.events(miner.target, asked, asked.to_bytes())
            said.append((await timed(events, asked, b"")).answer.cached_tokens > 0)
    assert said == [False, False, False, True]


async def test_a_chat_goes_on_at_the_price_of_the_cache(
    tiny: Loaded, miner: Running, tmp_path: Path
) -> None:
    async for gateway in gateways(tiny, tmp_path, miner):
        gateway.text.prices = Prices(1_000_000, 2_000_000, 250_000)
        turns = [{"role": "user", "content": "Write a function that adds two numbers, please."}]
        first = await gateway.client.chat.completions.create(
            model=MODEL, messages=turns, max_tokens=20, seed=1
        )
        before = gateway.spent()[0]
        assert before == first.usage.prompt_tokens + 2 * first.usage.completion_tokens
        turns += [
            {"role": "assistant", "content": first.choices[0].message.content},
            {"role": "user", "content": "And now three of them."},
        ]
        stream = await gateway.client.chat.completions.create(
            model=MODEL,
            messages=turns,
            max_tokens=20,
            stream=True,
            stream_options={"include_usage": True},
        )
        usage = [chunk async for chunk in stream][-1].usage
        cached = usage.prompt_tokens_details.cached_tokens
        assert 3 * PAGE <= cached < usage.prompt_tokens
        for _ in range(100):  # the bill follows the last byte
            if gateway.spent()[1] == 0:
                break
            await asyncio.sleep(0.01)
        cost = usage.prompt_tokens - cached + 2 * usage.completion_tokens
        assert gateway.spent() == (before + cost + -(-cached // 4), 0)
        stranger = gateway.store.add_key("stranger", 100_000)
        other = await gateway.client.with_options(api_key=stranger).chat.completions.create(
            model=MODEL, messages=turns, max_tokens=2, seed=1
        )
        assert other.usage.prompt_tokens_details.cached_tokens == 0
        assert not [m for m in gateway.text.router.miners.values() if m.honours < 1.0]


async def test_verification_counts_as_ever_where_the_miner_had_it_cached(
    tiny: Loaded, miner: Running, tmp_path: Path
) -> None:
    async for gateway in gateways(tiny, tmp_path, miner):
        said = []
        for _ in range(2):
            made = await gateway.client.completions.create(
                model=MODEL,
                prompt=TEXT,
                max_tokens=8,
                seed=1,
                extra_headers={"X-Ganglion-Verify": "before"},
            )
            said.append(made)
        assert said[0].choices[0].text == said[1].choices[0].text
        counts = [made.usage.prompt_tokens_details.cached_tokens for made in said]
        assert counts[0] == 0 < counts[1]


async def test_cached_tokens_are_paid_at_their_price_and_the_leaves_say_so(
    tiny: Loaded, tmp_path: Path
) -> None:
    plan = Plan(1, 1, (HALF,), caller_prices=Prices(1_000_000, 2_000_000, 500_000), payer="Eve")
    with DevNode() as node:
        async with market(node.url, tmp_path, tiny, plan) as m:
            replies = [await m.complete(0, TEXT, max_tokens=40, seed=n) for n in range(3)]
            await m.settled()
            paid = await m.answers(m.miners[0])
            held = sum(v.voucher.cumulative for v in m.miners[0].till.ledger.best.values())
            usages = [reply["usage"] for reply in replies]
            cached = [u["prompt_tokens_details"]["cached_tokens"] for u in usages]
            pages = (usages[0]["prompt_tokens"] - 1) // PAGE * PAGE
            assert cached == [0, pages, pages]
            assert [one.cached_tokens for one in paid] == cached
            for one, usage in zip(paid, usages):
                assert (one.prompt_tokens, one.tokens) == (
                    usage["prompt_tokens"],
                    usage["completion_tokens"],
                )
                assert (one.price_prompt, one.price_cached, one.price_completion) == (
                    1_000_000,
                    500_000,
                    2_000_000,
                )
                read = one.prompt_tokens - one.cached_tokens
                assert one.amount == read + one.cached_tokens // 2 + 2 * one.tokens
            assert sum(one.amount for one in paid) == held == m.gateways[0].spent()


async def test_a_program_pays_the_price_of_the_cache(tiny: Loaded, tmp_path: Path) -> None:
    style = Style(max_tokens=20, seed=b"\1" * 32)
    with DevNode() as node:
        async with market(node.url, tmp_path, tiny, Plan(1, 0, (HALF,), payer="Eve")) as m:
            payer = Payer("0.1", tmp_path / "paid.db")
            async with asking(node, m, payer) as subnet:
                answers = [await subnet.ask(TEXT, style) for _ in range(2)]
            payer.close()
            held = sum(v.voucher.cumulative for v in m.miners[0].till.ledger.best.values())
    assert answers[0].cached_tokens == 0 < answers[1].cached_tokens
    due = [HALF.cost(a.prompt_tokens, len(a.tokens), a.cached_tokens) for a in answers]
    assert held == sum(due)
    assert due[0] - due[1] == answers[0].prompt_tokens - HALF.cost(
        answers[1].prompt_tokens, 0, answers[1].cached_tokens
    )


def tab(terms: PayTerms, resumed: int = 0) -> Tab:
    purse = Purse.__new__(Purse)
    purse.offer = Offer(BOB.public_key, terms.prices)
    purse.want = lambda one: None  # type: ignore[method-assign]
    return Tab(purse, b"i" * 16, terms, 100, 50, resumed)


def test_a_miner_cannot_claim_more_than_there_was_to_read() -> None:
    one = tab(PayTerms(1, 0, HALF), resumed=5)
    one.arrived(10, [1, 2], 15)
    assert one.due == -(-15 // 2) + 4
    with pytest.raises(BadMessage, match="as cached than it had to read"):
        one.arrived(10, [1, 2], 16)


async def test_a_miner_cannot_take_its_cache_back_at_the_end(miner: Running) -> None:
    async with Caller(ALICE) as caller:
        signed = (await answered(caller, miner, request())).signed
    assert signed is not None
    answer = TextAnswer()
    answer.take(*tokens_event(list(signed.receipt.tokens), "x", 50, 32))
    assert answer.read == (50, 32)
    with pytest.raises(BadMessage, match="takes back"):
        answer.take(*done_event(signed, 31))
    assert answer.take(*done_event(signed, 33))
    with pytest.raises(BadMessage, match="must be an object"):
        name, data = done_event(signed)
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": [1]}
        TextAnswer().take(name, orjson.dumps({**orjson.loads(data), "usage": usage}))


@pytest.mark.parametrize("extra", [0, 1])
async def test_a_validator_takes_no_cache_of_all_that_was_to_be_read(
    tiny: Loaded, miner: Running, extra: int
) -> None:
    """The last token has always to be read; apart from that only the payer is concerned."""
    asked = request()
    async with Caller(ALICE) as caller:
        answer = await answered(caller, miner, asked)
    assert answer.signed is not None
    r = answer.signed.receipt
    expected = Expected(
        r.genesis, r.netuid, blake2_256(b""), r.caller, decode(miner.target.hotkey, prefix=None),
        r.weights, r.seed,
    )  # fmt: skip
    card, tokenizer = tiny.model.card, tiny.tokenizer
    prompt = prompt_tokens(asked, tokenizer)
    facts = Facts(asked, expected, prompt, card.vocab, card.context, card.stops, tokenizer.decode)
    answer.cached_tokens = len(prompt) - 1 + extra
    if extra:
        with pytest.raises(Failure, match="cached tokens"):
            check_tokens(facts, answer)
    else:
        check_tokens(facts, answer)


def test_who_hides_its_cache_loses_the_conversations_that_it_knows() -> None:
    hides, tells = Miner(0, named("a"), MODEL), Miner(1, named("b"), MODEL)
    router = Router(Policy(affinity=128.0), seed=1)
    router.update([hides, tells])
    prefix = prefix_names(TEXT * 8, b"owner")
    size = len(TEXT) * 8
    for miner, cached in ((hides, 0), (tells, size - 20)):
        for turn in range(10):
            router.on_cached(
                miner, prefix, size, float(turn) + 0.5, Counted(size, cached, float(turn))
            )
    assert tells.honours == 1.0
    assert hides.honours < 0.2
    wanted = Wanted(MODEL, prefix=prefix)
    for miner, low, high in ((hides, 1.0, 30.0), (tells, 127.0, 128.0)):
        router._remember(prefix, miner.target.hotkey)
        holder, times = router.affinity(wanted, [hides, tells])
        assert holder == miner.target.hotkey
        assert low <= times <= high
    for turn in range(10, 30):  # and it can win them back
        now = float(turn)
        router.on_cached(hides, prefix, size, now + 0.5, Counted(size, size - 20, now))
    assert hides.honours > 0.9


def named(name: str) -> Target:
    return Target(name, "127.0.0.1", 1)


def test_only_what_was_read_lately_and_before_is_expected() -> None:
    caches, prefix = Caches(), prefix_names("x" * 640)
    caches.on_read("a", prefix[:4], 100.0)
    assert caches.pieces("a", prefix, 101.0) == 4
    assert caches.pieces("a", prefix, 100.0) == 0  # another request of the same moment
    assert caches.pieces("a", prefix, 1000.0) == 0  # long forgotten, honestly
    assert caches.pieces("b", prefix, 101.0) == 0
    assert caches.pieces("a", prefix_names("x" * 640, b"another"), 101.0) == 0


@given(st.floats(0, 1), st.floats(0, 10**6), st.integers(0, 10**6))
def test_honours_stay_between_zero_and_one(before: float, expected: float, stated: int) -> None:
    after = honoured(before, expected, stated)
    assert 0.0 <= after <= 1.0
    if stated >= expected:
        assert after >= before


def test_a_cached_price_above_the_other_is_refused_at_once() -> None:
    options = parser().parse_args(["--netuid", "2", "--price", "5", "--price-cached", "6"])
    assert "--price-cached is above --price" in str(contradiction(options))
    options.price_cached = 5
    assert contradiction(options) is None
