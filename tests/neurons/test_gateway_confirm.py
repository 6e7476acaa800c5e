# ruff: noqa: E402 - optional packages decide first whether this file runs
"""Answers that several miners must give alike: liars are outvoted, the dead replaced."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

openai = pytest.importorskip("openai")
pytest.importorskip("sqlalchemy")
from running_miner import GENESIS, NETUID, Running, serving
from test_gateway_openai import CHAT, MODEL, PRICES, gateways

from ganglion.keys import Keypair
from ganglion.wire.call import Caller
from ganglion.wire.text import Sampling, TextRequest
from localnet.faults import faulty_service
from neurons.engine.load import Loaded
from neurons.gateway.confirm import Confirmed
from neurons.gateway.refusals import NoMiner
from neurons.gateway.relay import Relay
from neurons.gateway.router import Miner, Router
from neurons.identity import Identity

ALICE = Keypair.from_uri("//Alice")
IDENTITY = Identity(ALICE, GENESIS, NETUID)
URIS = ("//Bob", "//Charlie", "//Dave", "//Eve", "//Ferdie")


def request(limit: int = 40) -> TextRequest:
    sampling = Sampling(b"\7" * 32)
    return TextRequest(b"i" * 16, "ganglion/tiny", sampling, limit, prompt="Explain ☃")


class Net:
    """Miners in the order in which they are asked."""

    def __init__(self, miners: Sequence[Running], caller: Caller) -> None:
        self.running, self.caller, self.router = miners, caller, Router()
        made = [Miner(i, m.target, "ganglion/tiny", True, 1024) for i, m in enumerate(miners)]
        self.router.update(made)
        self.ranked = made

    def confirmed(self, copies: int = 2, limit: int = 40) -> Confirmed:
        def make(miners: Sequence[Miner], asked: TextRequest) -> Relay:
            return Relay(self.caller, IDENTITY, self.router, miners, asked)

        return Confirmed(make, self.router, self.ranked, request(limit), copies)

    async def alone(self) -> tuple[list[int], str]:
        """What the last miner says by itself."""
        one = Relay(self.caller, IDENTITY, self.router, self.ranked[-1:], request())
        return one.tokens, "".join([d.text async for d in one.stream()])


async def network(stack: AsyncExitStack, loaded: Loaded, kinds: Sequence[str | None]) -> Net:
    miners = []
    for uri, kind in zip(URIS, kinds):
        one = await stack.enter_async_context(serving(loaded, uri))
        if kind is not None:
            liar = faulty_service(kind, loaded, one.identity)
            liar.worker.start()
            stack.callback(liar.worker.stop)
            one.app.text = liar
        miners.append(one)
    return Net(miners, await stack.enter_async_context(Caller(ALICE)))


@pytest.mark.parametrize("copies", [2, 3])
async def test_miners_that_agree_give_the_answer_of_one(tiny: Loaded, copies: int) -> None:
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, [None] * (copies + 1))
        wanted, whole = await net.alone()
        one = net.confirmed(copies)
        assert "".join([d.text async for d in one.stream()]) == whole
        assert one.tokens == wanted
        assert one.final is not None
        assert one.prompt_tokens == one.final.prompt_tokens > 0
        assert [p.tokens for p in one.parts] == [len(wanted)] * copies  # the price of the copies
        assert all(p.signed is not None for p in one.parts)


@pytest.mark.parametrize("kind", ["seed", "temperature", "layer-skip", "early-stop", "prompt"])
@pytest.mark.parametrize("place", [0, 1])
async def test_a_liar_is_outvoted_before_its_word_is_delivered(
    tiny: Loaded, kind: str, place: int
) -> None:
    async with AsyncExitStack() as stack:
        kinds: list[str | None] = [None, None, None]
        kinds[place] = kind
        net = await network(stack, tiny, kinds)
        _, whole = await net.alone()
        one = net.confirmed()
        assert "".join([d.text async for d in one.stream()]) == whole
        banned = [m.uid for m in net.router.miners.values() if m.banned_until]
        assert banned == [place]


async def test_two_that_differ_with_nobody_to_ask_deliver_nothing_wrong(tiny: Loaded) -> None:
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, ["seed", None])
        _, whole = await net.alone()
        one, said = net.confirmed(), ""
        with pytest.raises(NoMiner, match="nobody is left to ask"):
            async for delta in one.stream():
                said += delta.text
        assert whole.startswith(said)


async def test_too_few_miners_is_said_at_once(tiny: Loaded) -> None:
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, [None])
        with pytest.raises(NoMiner, match="2 miners must agree"):
            await anext(net.confirmed().stream())


@pytest.mark.parametrize("after", [1, 9])
async def test_a_dying_miner_is_replaced_and_the_answer_stays(tiny: Loaded, after: int) -> None:
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, [None, None, None])
        _, whole = await net.alone()
        one, said = net.confirmed(), ""
        async for delta in one.stream():
            said += delta.text
            if len(one.tokens) >= after:
                net.running[0].worker.stop()
        assert said == whole


async def test_leaving_early_frees_all_miners(tiny: Loaded) -> None:
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, [None, None, None])
        one = net.confirmed(limit=600)
        stream = one.stream()
        await anext(stream)
        await stream.aclose()
        assert {m.open for m in net.router.miners.values()} == {0}


async def test_over_openai_the_answer_is_confirmed_and_every_copy_is_billed(
    tiny: Loaded, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, ["layer-skip", None, None])
        async for gateway in gateways(tiny, tmp_path, *net.running):
            chat = gateway.client.chat.completions
            ask = {"model": MODEL, "messages": CHAT, "max_tokens": 40, "seed": 5}
            confirm = {"X-Ganglion-Confirm": "2"}
            told = [await chat.create(**ask, extra_headers=confirm) for _ in range(4)]
            honest = gateway.client.with_options(default_headers=confirm).chat.completions
            stream = await honest.create(**ask, stream=True)
            pieces = [c.choices[0].delta.content or "" async for c in stream if c.choices]
            texts = {one.choices[0].message.content for one in told}
            assert texts == {"".join(pieces)}
            usage = told[0].usage
            assert usage is not None
            each = PRICES.cost(usage.prompt_tokens, usage.completion_tokens)
            while gateway.spent()[1]:  # the bill is made when the answer is over
                await asyncio.sleep(0.01)
            assert gateway.spent() == (5 * 2 * each, 0)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"X-Ganglion-Confirm": "9"}, "from 2 to 4"),
        ({"X-Ganglion-Confirm": "two"}, "from 2 to 4"),
        ({"X-Ganglion-Confirm": "2", "X-Ganglion-Verify": "before"}, "choose one"),
        ({"X-Ganglion-Confirm": "3"}, "3 miners must agree"),
    ],
)
async def test_what_cannot_be_confirmed_is_said(
    tiny: Loaded, tmp_path: Path, headers: dict[str, str], said: str
) -> None:
    async with serving(tiny, "//Bob") as one, serving(tiny, "//Charlie") as other:
        async for gateway in gateways(tiny, tmp_path, one, other):
            chat = gateway.client.chat.completions
            with pytest.raises(openai.APIStatusError, match=said):
                await chat.create(model=MODEL, messages=CHAT, max_tokens=4, extra_headers=headers)
            assert gateway.spent() == (0, 0)
