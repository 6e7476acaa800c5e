# ruff: noqa: E402 - optional packages decide first whether this file runs
"""Miners that want other miners banned, or answers spoilt: what the relay makes of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import orjson
import pytest

openai = pytest.importorskip("openai")
pytest.importorskip("sqlalchemy")
from running_miner import serving
from test_gateway_confirm import IDENTITY, Net, network, request
from test_gateway_openai import MODEL, gateways

from ganglion.wire.text import error_event, tokens_event
from neurons.engine.load import Loaded
from neurons.gateway import confirm
from neurons.gateway.refusals import NoMiner
from neurons.gateway.relay import Relay
from neurons.miner.textgen import Event, Order, TextService

Script = Callable[[list[Event]], list[Event]]


class Scripted(TextService):
    """An honest answer, told by a script."""

    script: Script

    async def answer(self, order: Order) -> AsyncIterator[Event]:
        events = [event async for event in super().answer(order)]
        for event in self.script(events):
            yield event


def play(net: Net, tiny: Loaded, *scripts: Script) -> None:
    """The first miners follow scripts; they are waited for, however busy this machine is."""
    for miner in net.ranked:
        miner.first_token = 10.0
    for one, script in zip(net.running, scripts):
        service = Scripted(one.worker, tiny.tokenizer, one.identity)
        service.script = script
        one.app.text = service


def spoken(event: Event) -> tuple[list[int], str]:
    given = orjson.loads(event[1])
    return given["tokens"], given["text"]


def false_start(events: list[Event]) -> list[Event]:
    """A wrong token, and then nothing more."""
    tokens, _ = spoken(events[0])
    return [tokens_event([tokens[0] ^ 1], "?", 9), error_event("engine", "oh")]


def false_text(events: list[Event]) -> list[Event]:
    """The right token with another text, and then nothing more."""
    tokens, _ = spoken(events[0])
    return [tokens_event(tokens, "?", 9), error_event("engine", "oh")]


def grouped(events: list[Event]) -> list[Event]:
    """Three tokens an event."""
    made = []
    for at in range(0, len(events) - 1, 3):
        group = [spoken(event) for event in events[at : min(at + 3, len(events) - 1)]]
        tokens = [t for ids, _ in group for t in ids]
        made.append(tokens_event(tokens, "".join(text for _, text in group), None if at else 9))
    return [*made, events[-1]]


def grouped_and_broken(events: list[Event]) -> list[Event]:
    return [*grouped(events)[:4], error_event("engine", "oh")]


def silent_text(events: list[Event]) -> list[Event]:
    """No text but that of the last token."""
    *said, last, done = events
    return [*(tokens_event(spoken(e)[0], "", 9) for e in said), last, done]


def wrong_third(events: list[Event]) -> list[Event]:
    """A wrong third token; liars of one operator agree on it."""
    tokens, text = spoken(events[2])
    return [*events[:2], tokens_event([tokens[0] ^ 1], text), *events[3:]]


def endless(events: list[Event]) -> list[Event]:
    """The last token again and again."""
    return [*events[:-1], *[events[-2]] * 500]


def nothing(events: list[Event]) -> list[Event]:
    """An end, and no token before it; the receipt is about none."""
    return events[-1:]


def dear_end(events: list[Event]) -> list[Event]:
    """A longer prompt in the bill than in the receipt."""
    end = orjson.loads(events[-1][1])
    end["usage"]["prompt_tokens"] += 5
    return [*events[:-1], ("done", orjson.dumps(end))]


def banned(net: Net) -> list[int]:
    return [m.uid for m in net.router.miners.values() if m.banned_until]


def relayed(net: Net) -> Relay:
    return Relay(net.caller, IDENTITY, net.router, net.ranked, request())


@pytest.mark.parametrize("script", [false_start, false_text])
async def test_who_contradicts_a_liar_is_not_banned(tiny: Loaded, script: Script) -> None:
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, [None] * 5)
        play(net, tiny, script)
        one = relayed(net)
        with pytest.raises(NoMiner, match="differ"):
            async for _ in one.stream():
                pass
        assert banned(net) == [0]  # all others are at odds with it


async def test_tokens_that_come_together_are_resumed_where_their_text_begins(
    tiny: Loaded,
) -> None:
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, [None] * 3)
        _, whole = await net.alone()
        play(net, tiny, grouped_and_broken, grouped)
        one = relayed(net)
        assert "".join([d.text async for d in one.stream()]) == whole == one.text


@pytest.mark.parametrize("script", [grouped, grouped_and_broken])
async def test_tokens_that_come_together_are_confirmed(tiny: Loaded, script: Script) -> None:
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, [None] * 4)
        _, whole = await net.alone()
        play(net, tiny, script)
        one = net.confirmed()
        assert "".join([d.text async for d in one.stream()]) == whole
        assert banned(net) == []


@pytest.mark.parametrize("place", [0, 1])
async def test_who_holds_text_back_cannot_shift_that_of_others(tiny: Loaded, place: int) -> None:
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, [None] * 4)
        _, whole = await net.alone()
        play(net, tiny, *[lambda events: events] * place, silent_text)
        one = net.confirmed()
        assert "".join([d.text async for d in one.stream()]) == whole
        assert set(banned(net)) <= {place}


async def test_two_liars_of_five_ban_no_honest_miner(tiny: Loaded) -> None:
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, [None] * 5)
        play(net, tiny, lambda events: events, wrong_third, wrong_third)
        for _ in range(4):
            with pytest.raises(NoMiner):  # outvoted by two, and then nobody gives the rest
                async for _ in net.confirmed().stream():
                    pass
        assert set(banned(net)) <= {1, 2}  # for their receipts, about other tokens than they told


async def test_a_liar_is_banned_when_most_are_at_odds_with_it(tiny: Loaded) -> None:
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, [None] * 5)
        play(net, tiny, wrong_third)
        liar, *others = net.ranked
        for shift in range(3):
            net.ranked = [liar, *others[shift:], *others[:shift]]
            async for _ in net.confirmed().stream():
                pass
        assert banned(net) == [0]


async def test_who_dies_leaves_no_blame_to_its_successor(tiny: Loaded) -> None:
    """What is disputed was said by the first of a group, and not by who goes on for it."""
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, [None] * 4)
        _, whole = await net.alone()

        def lies_and_dies(events: list[Event]) -> list[Event]:
            tokens, text = spoken(events[2])
            wrong = tokens_event(tokens, "?" * len(text))
            return [*events[:2], wrong, *events[3:6], error_event("engine", "oh")]

        play(net, tiny, lies_and_dies)  # its stand-in is the fourth
        one = net.confirmed()
        assert "".join([d.text async for d in one.stream()]) == whole
        assert net.ranked[3].disputes == frozenset()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (endless, "more tokens than were asked for"),
        (nothing, ""),
        (dear_end, "another end or another prompt"),
    ],
)
async def test_a_bill_that_does_not_hold_is_not_taken(
    tiny: Loaded, script: Script, said: str
) -> None:
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, [None, None])
        tokens, whole = await net.alone()
        play(net, tiny, script)
        one = relayed(net)
        async for _ in one.stream():
            pass
        assert (one.text, said in one.failures[0]) == (whole, True)
        assert banned(net) == [0]


async def test_requests_that_miners_must_refuse_get_nobody_banned(
    tiny: Loaded, tmp_path: Path
) -> None:
    turns = [{"role": "user", "content": "x"}] * 300
    async with serving(tiny, "//Bob") as one, serving(tiny, "//Charlie") as other:
        async for gateway in gateways(tiny, tmp_path, one, other):
            for _ in range(4):
                with pytest.raises(openai.BadRequestError, match="at most 256 turns"):
                    await gateway.client.chat.completions.create(model=MODEL, messages=turns)
            assert [m.failures for m in gateway.text.router.miners.values()] == [0, 0]


async def test_who_refuses_what_others_answer_is_counted(tiny: Loaded) -> None:
    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, [None, None])
        play(net, tiny, lambda events: [error_event("request", "no")])
        async for _ in relayed(net).stream():
            pass
        assert [m.failures for m in net.ranked] == [1, 0]
        net.ranked[0].context //= 2  # who can read less may refuse more
        async for _ in relayed(net).stream():
            pass
        assert [m.failures for m in net.ranked] == [1, 0]


async def test_the_lower_count_of_the_prompt_is_billed(tiny: Loaded) -> None:
    def dear(events: list[Event]) -> list[Event]:
        tokens, text = spoken(events[0])
        return [tokens_event(tokens, text, 1000), *events[1:]]

    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, [None, None])
        await asyncio.sleep(0)
        play(net, tiny, dear)
        one = net.confirmed()
        first = await anext(stream := one.stream())
        assert first.tokens
        assert 0 < one.prompt_tokens < 1000
        await stream.aclose()


async def test_who_falls_silent_is_replaced(tiny: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection lives, so nothing fails: it only says no more."""
    monkeypatch.setattr(confirm, "SILENCE_SECONDS", 0.3)

    class Silent(TextService):
        async def answer(self, order: Order) -> AsyncIterator[Event]:
            count = 0
            async for event in super().answer(order):
                while count == 3:
                    await asyncio.sleep(0.05)
                    yield tokens_event([], "")
                count += 1
                yield event

    async with AsyncExitStack() as stack:
        net = await network(stack, tiny, [None] * 3)
        _, whole = await net.alone()
        quiet = net.running[0]
        quiet.app.text = Silent(quiet.worker, tiny.tokenizer, quiet.identity)
        async with asyncio.timeout(10):
            assert "".join([d.text async for d in net.confirmed().stream()]) == whole
        assert [m.failures for m in net.ranked] == [1, 0, 0]
