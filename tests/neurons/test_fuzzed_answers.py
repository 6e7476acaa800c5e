"""Answers that a miner spoilt on purpose end in a verdict, whatever is wrong with them."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from ganglion.wire import receipts
from ganglion.wire.call import CallFailed, Target, TimedAnswer, timed
from ganglion.wire.fields import BadMessage
from ganglion.wire.text import TextAnswer
from localnet.adversaries import GENESIS, MINER, NETUID, VALIDATOR, bench, draw_question
from neurons.engine.worker import Worker
from neurons.identity import Identity
from neurons.miner.textgen import Event, TextService
from neurons.validator.examiner import TextExaminer
from neurons.validator.rounds import Miner, run_round
from subnets.verdict import Reason, Verdict

CASES = 400
JUNK: list[Any] = [
    *(None, True, 0, -1, 1 << 31, 1 << 63, 1.5, 1e308),
    *("", "0x", "0xzz", "\x00", "A" * 1000),
    *([], {}, [[]], [None], {"a": 1}),
]
NOWHERE = Target(MINER.address, "127.0.0.1", 1)


def spoilt(value: Any, rng: random.Random) -> Any:
    """The value with one thing changed, somewhere in it."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        name, change = rng.choice(list(value)), rng.random()
        rest = {k: v for k, v in value.items() if k != name}
        return rest if change < 0.15 else rest | {name: spoilt(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        at, change = rng.randrange(len(value)), rng.random()
        kept = [] if change < 0.2 else [value[at]] * 2 if change < 0.4 else [spoilt(value[at], rng)]
        return [*value[:at], *kept, *value[at + 1 :]]
    if isinstance(value, str) and len(value) > 4 and rng.random() < 0.8:
        at = rng.randrange(2, len(value))
        return value[:at] + rng.choice(["", rng.choice("0123456789abcdefA=/+") + value[at + 1 :]])
    return value + 1 if type(value) is int and rng.random() < 0.5 else rng.choice(JUNK)


def spoilt_stream(events: list[Event], rng: random.Random) -> list[Event]:
    """The events with one of them changed, lost, doubled, cut or renamed."""
    at = rng.choice([len(events) - 1, rng.randrange(len(events))])
    name, data = events[at]
    kept = rng.choice(
        [
            [],
            [events[at]] * 2,
            [(rng.choice(["tokens", "done", "error", ""]), data)],
            [(name, data[: rng.randrange(len(data))])],
            *[[(name, orjson.dumps(spoilt(orjson.loads(data), rng)))]] * 12,
        ]
    )
    return [*events[:at], *kept, *events[at + 1 :]]


def as_a_liar_signs(made: TimedAnswer) -> None:
    """Sign what is there now."""
    answer = made.answer
    assert answer.signed is not None
    stated = replace(
        answer.signed.receipt,
        tokens=tuple(answer.tokens),
        finish=answer.finish,
        evidence=receipts.evidence_of(answer.signed.proofs),
    )
    answer.signed = receipts.sign(stated, MINER, answer.signed.proofs)


async def test_every_spoilt_answer_gets_a_verdict() -> None:
    rng, found = random.Random(7), Counter[str]()
    async with bench() as judge:
        worker = Worker(judge.loaded.model, pages=64)
        worker.start()
        service = TextService(worker, judge.loaded.tokenizer, Identity(MINER, GENESIS, NETUID))
        request = draw_question(rng, judge.loaded.entry.name, 40)
        body = request.to_bytes()
        good = [e async for e in service.answer(service.accept(body, VALIDATOR.public_key))]
        worker.stop()

        async def told(events: list[Event]) -> AsyncIterator[Event]:
            for event in events:
                yield event

        for _ in range(CASES):
            try:
                made = await timed(told(spoilt_stream(good, rng)), request, body)
            except CallFailed as e:
                found[e.reason] += 1
                continue
            if rng.random() < 0.7:
                as_a_liar_signs(made)
            verdict = await judge._examiner.judge(NOWHERE, request, body, made.answer)
            found[str(verdict.reason)] += 1
    assert found["bad-format"] > CASES // 4
    assert len(found) > 5, found


@pytest.mark.parametrize("finish", [[], {}, None, 1, "cancelled"])
def test_a_finish_that_is_none_is_a_bad_message(finish: object) -> None:
    with pytest.raises(BadMessage, match="finish length or stop"):
        TextAnswer().take("done", orjson.dumps({"finish": finish}))


async def test_a_judge_that_breaks_over_one_answer_goes_on_with_the_others() -> None:
    class Breaks(TextExaminer):
        def __init__(self) -> None:
            pass

        async def examine(self, target: Target, rng: random.Random) -> Verdict:
            if target.port == 1:
                raise TypeError("unhashable")
            return Verdict(Reason.OK)

    miners = [Miner(i, Target(f"miner{i}", "10.0.0.1", i), i) for i in range(3)]
    verdicts = await run_round(miners, Breaks(), random.Random(1))
    assert [v.reason for v in verdicts.values()] == [Reason.OK, Reason.OURS, Reason.OK]
    assert "TypeError" in verdicts["miner1"].detail
