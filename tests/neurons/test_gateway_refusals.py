"""Requests that miners call malformed: two opinions make status 400, one lie does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_miner import GENESIS, NETUID, Running, serving

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.text import Reported, Sampling, TextRequest
from neurons.engine.load import Loaded
from neurons.gateway.confirm import Confirmed
from neurons.gateway.passing import passed_on
from neurons.gateway.refusals import BadRequest, NoMiner, Refusals, refusal
from neurons.gateway.relay import Relay
from neurons.gateway.router import Miner, Router
from neurons.gateway.service import refused
from neurons.identity import Identity

ALICE = Keypair.from_uri("//Alice")
IDENTITY = Identity(ALICE, GENESIS, NETUID)
MODEL = "ganglion/tiny"
ABSURD = "the request is absurd"


@asynccontextmanager
async def refusing(uri: str, said: str = ABSURD, status: int = 400) -> AsyncIterator[Target]:
    """A server that refuses every request."""
    body = orjson.dumps({"reason": "request", "message": said})
    head = f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield Target(Keypair.from_uri(uri).address, "127.0.0.1", server.sockets[0].getsockname()[1])
    server.close()


def as_miner(uid: int, target: Target, context: int = 1024, incentive: int = 0) -> Miner:
    return Miner(uid, target, MODEL, True, context, incentive)


def named(uid: int, context: int = 1024, incentive: int = 0, host: str = "10.0.0.1") -> Miner:
    return as_miner(uid, Target(f"5Miner{uid}", host, 1), context, incentive)


def request(prompt: str = "Explain", resume: tuple[int, ...] = ()) -> TextRequest:
    sampling = Sampling(b"\4" * 32)
    return TextRequest(b"i" * 16, MODEL, sampling, 12, prompt=prompt, resume=resume)


def relay(caller: Caller, miners: list[Miner], prompt: str = "Explain") -> Relay:
    router = Router()
    router.update(miners)
    return Relay(caller, IDENTITY, router, miners, request(prompt))


async def collected(one: Relay | Confirmed) -> str:
    return "".join([delta.text async for delta in one.stream()])


async def test_two_miners_that_say_the_same_are_believed_and_not_blamed() -> None:
    async with AsyncExitStack() as stack:
        caller = await stack.enter_async_context(Caller(ALICE))
        names = ["//Bob", "//Charlie", "//Dave", "//Eve"]
        targets = [await stack.enter_async_context(refusing(name)) for name in names]
        miners = [as_miner(i, target) for i, target in enumerate(targets)]
        one = relay(caller, miners)
        with pytest.raises(BadRequest) as caught:
            await collected(one)
    assert str(caught.value) == ABSURD
    assert one.attempts == 2  # a couple of miners, not all
    assert [miner.failures for miner in miners] == [0, 0, 0, 0]
    error = refused(caught.value)
    assert error.status == 400
    assert error.body["type"] == "invalid_request_error"
    assert error.body["message"].endswith(ABSURD)


async def test_the_only_miner_there_is_believed() -> None:
    async with refusing("//Bob") as target, Caller(ALICE) as caller:
        with pytest.raises(BadRequest, match=ABSURD):
            await collected(relay(caller, [as_miner(0, target)]))


async def test_one_liar_costs_itself_and_not_the_caller(miner: Running) -> None:
    async with refusing("//Charlie") as target, Caller(ALICE) as caller:
        liar, honest = as_miner(0, target), as_miner(1, miner.target)
        one = relay(caller, [liar, honest])
        assert await collected(one)
    assert (liar.failures, honest.failures) == (1, 0)


async def test_a_liar_is_not_believed_while_others_are_only_down() -> None:
    """Dead, or left out for a while: who might have answered is not there to say."""
    async with refusing("//Charlie") as target, Caller(ALICE) as caller:
        dead = as_miner(1, Target(Keypair.from_uri("//Dave").address, "127.0.0.1", 1))
        with pytest.raises(NoMiner) as caught:
            await collected(relay(caller, [as_miner(0, target), dead]))
        assert not isinstance(caught.value, BadRequest)
        dead.banned_until = float("inf")
        liar = as_miner(0, target)
        one = relay(caller, [liar, dead])
        one._waiting = [liar]
        with pytest.raises(NoMiner) as caught:
            await collected(one)
        assert not isinstance(caught.value, BadRequest)


async def test_what_was_answered_in_part_was_no_bad_request(tiny: Loaded) -> None:
    async with (
        serving(tiny, "//Bob") as first,
        refusing("//Charlie") as one,
        refusing("//Dave") as other,
        Caller(ALICE) as caller,
    ):
        miners = [as_miner(i, t) for i, t in enumerate((first.target, one, other))]
        asked = relay(caller, miners)
        with pytest.raises(NoMiner) as caught:
            async for _ in asked.stream():
                first.worker.stop()
    if asked.final is None:
        assert not isinstance(caught.value, BadRequest)


async def test_who_can_read_more_is_asked_before_a_prompt_is_too_long(miner: Running) -> None:
    """Two small miners say so truthfully, and a third can read it."""
    said = "the model reads 64 tokens, the prompt has 200"
    async with (
        refusing("//Charlie", said) as one,
        refusing("//Dave", said) as other,
        Caller(ALICE) as caller,
    ):
        miners = [as_miner(0, one, 64), as_miner(1, other, 64), as_miner(2, miner.target)]
        asked = relay(caller, miners, "word " * 40)
        assert await collected(asked)
        assert asked.attempts == 2  # the second was passed over: it could not know better
    assert [m.failures for m in miners] == [0, 0, 0]


async def test_a_prompt_that_no_miner_can_read_is_the_callers_fault(tiny: Loaded) -> None:
    """With real miners, from the refusal of the first to the sentence for the caller."""
    async with (
        serving(tiny, "//Bob") as bob,
        serving(tiny, "//Charlie") as charlie,
        Caller(ALICE) as caller,
    ):
        miners = [as_miner(i, m.target) for i, m in enumerate((bob, charlie))]
        with pytest.raises(BadRequest, match="the model reads 1024 tokens, the prompt has"):
            await collected(relay(caller, miners, "☃ what next? " * 300))
    assert [m.failures for m in miners] == [0, 0]


async def test_copies_that_all_refuse_and_copies_of_which_one_lies(tiny: Loaded) -> None:
    async with AsyncExitStack() as stack:
        caller = await stack.enter_async_context(Caller(ALICE))
        names = ["//Bob", "//Charlie", "//Dave"]
        bad = [await stack.enter_async_context(refusing(name)) for name in names]
        good = [
            await stack.enter_async_context(serving(tiny, uri)) for uri in ("//Eve", "//Ferdie")
        ]

        def confirmed(targets: list[Target]) -> tuple[Confirmed, list[Miner]]:
            miners, router = [as_miner(i, t) for i, t in enumerate(targets)], Router()

            def make(ranked: list[Miner], asked: TextRequest) -> Relay:
                return Relay(caller, IDENTITY, router, ranked, asked)

            return Confirmed(make, router, miners, request(), 2), miners  # type: ignore[arg-type]

        one, miners = confirmed(bad)
        with pytest.raises(BadRequest, match=ABSURD):
            await collected(one)
        assert [m.failures for m in miners] == [0, 0, 0]
        one, miners = confirmed([bad[0], *(m.target for m in good)])
        assert await collected(one)
        assert [m.failures for m in miners] == [1, 0, 0]


def test_the_second_opinion_is_not_whom_the_first_would_choose() -> None:
    refusals = Refusals(100)
    refusals.take([(named(0), ABSURD)])
    friend, trusted, elsewhere = named(1), named(2, incentive=9), named(3, host="10.0.0.2")
    left = [friend, trusted]
    refusals.sort(left)
    assert left == [trusted, friend]
    left = [friend, trusted, elsewhere]
    refusals.sort(left)
    assert left == [elsewhere, friend, trusted]
    assert refusals.believed(left) is None


def test_a_vast_context_is_no_better_witness_where_length_cannot_be_wrong() -> None:
    refusals = Refusals(100)
    refusals.take([(named(0), ABSURD)])
    boaster, trusted = named(1, context=1 << 30), named(2, incentive=9)
    left = [boaster, trusted]
    refusals.sort(left)
    assert left[0] is trusted
    refusals.take([(trusted, ABSURD)])
    assert refusals.believed([boaster]) is not None


def test_who_claims_to_read_more_cannot_bring_a_liar_through() -> None:
    """It is asked second for what it says of itself, so a third one decides."""
    refusals = Refusals(5000)
    refusals.take([(named(0), ABSURD)])
    boaster, trusted = named(1, context=1 << 30), named(2, incentive=9)
    left = [boaster, trusted]
    refusals.sort(left)
    assert left[0] is boaster
    left.pop(0)
    refusals.take([(boaster, ABSURD)])
    assert refusals.believed(left) is None
    refusals.sort(left)
    refusals.take([(left.pop(0), ABSURD)])
    assert refusals.believed(left) is not None


def test_different_sentences_need_a_third_and_numbers_are_no_difference() -> None:
    refusals = Refusals(0)
    refusals.take([(named(0), "one"), (named(0), "one")])  # the same miner twice
    refusals.take([(named(1), "two")])
    assert refusals.believed([named(2)]) is None
    refusals.take([(named(2), "three")])
    assert refusals.believed([named(3)]) is not None
    refusals = Refusals(0)
    refusals.take([(named(0), "reads 64 tokens"), (named(1), "reads 32 tokens")])
    found = refusals.believed([named(2)])
    assert found is not None
    assert str(found) == "reads 64 tokens"


@given(st.text(max_size=400), st.sampled_from([400, 401, 402, 409, 413, 422, 429, 500, 503]))
def test_what_a_miner_says_is_one_printable_line(said: str, status: int) -> None:
    found = refusal(CallFailed("refused", "", status, said))
    assert (found is not None) == (status in (400, 413, 422))
    if found is not None:
        assert 0 < len(found) <= 300
        assert "\n" not in found
        assert "\x1b" not in found
    assert refusal(Reported(said, "engine")) is None
    assert refusal(Reported(said, "request")) is not None


def test_a_sealed_orders_refusal_has_openais_kind() -> None:
    for status, kind in ((400, "invalid_request_error"), (429, "rate_limit_error")):
        assert passed_on(CallFailed("refused", "no", status)).body["type"] == kind
    assert passed_on(CallFailed("refused", "no", 500)).status == 503
