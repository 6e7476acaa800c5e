"""Miners asked for much at once: what they carry is counted, and what they say is judged."""

import asyncio
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
from running_miner import GENESIS, NETUID, Running

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, CallFailed, Patience, Target
from localnet.faults import faulty_service
from neurons.engine.load import Loaded
from neurons.engine.worker import Worker
from neurons.identity import Identity
from neurons.validator.book import Book
from neurons.validator.examiner import Carried, TextExaminer
from neurons.validator.load import MOST, LoadChecks
from neurons.validator.main import Validator
from neurons.validator.rounds import Miner
from neurons.validator.stall import StallMeter
from subnets.scoring import Policy
from subnets.verdict import Reason, Verdict

ALICE = Keypair.from_uri("//Alice")
GOOD = Verdict(Reason.OK, tokens=9, total_ms=9)


def miners(count: int) -> list[Miner]:
    keys = [Keypair.from_uri(f"//{i}").address for i in range(count)]
    return [Miner(i, Target(key, f"10.0.0.{i}", 80), i) for i, key in enumerate(keys)]


class Machines(TextExaminer):
    """Miners on machines: those that share one carry a part each of what it carries."""

    def __init__(self, machine_of: dict[str, str]) -> None:
        self.machine_of, self.asked = machine_of, list[str]()

    async def carry(self, target: Target, rng: random.Random, count: int) -> Carried:
        assert count == 8
        self.asked.append(target.hotkey)
        await asyncio.sleep(0)  # all are asked before anybody has answered
        here = self.machine_of[target.hotkey]
        return Carried(target, (), [self.machine_of[h] for h in self.asked].count(here))

    async def judge_load(self, carried: Carried, rng: random.Random) -> tuple[int, Verdict]:
        return 12_000 // carried.spent_ms, GOOD

    async def examine(self, target: Target, rng: random.Random) -> Verdict:
        return GOOD


class Stood(StallMeter):
    async def __aenter__(self) -> StallMeter:
        self.worst = 5.0
        return self


async def test_all_are_loaded_together_at_times_nobody_foresees() -> None:
    now = [0.0]
    some = miners(3)
    machine = Machines({m.target.hotkey: "one" for m in some})
    due = set()
    for seed in range(20):
        checks = LoadChecks(machine, 100.0, 8, random.Random(seed), lambda: now[0])
        now[0] = 49.0
        assert not checks.due
        while not checks.due:
            now[0] += 1.0
        assert now[0] <= 151.0
        due.add(now[0])
        now[0] = 0.0
    assert len(due) > 5
    verdicts = {m.target.hotkey: GOOD for m in some} | {
        some[2].target.hotkey: Verdict(Reason.SAMPLING)
    }
    rates, found = await checks.round(some, verdicts)
    assert list(rates.values()) == [6000, 6000]
    assert [v.reason for _, v in found] == [Reason.OK, Reason.OK]
    assert not checks.due


async def test_a_standstill_of_our_own_measures_nothing() -> None:
    some = miners(2)
    machine = Machines({m.target.hotkey: "one" for m in some})
    checks = LoadChecks(machine, 1.0, 8, random.Random(1), meter=Stood)
    verdicts = {m.target.hotkey: GOOD for m in some}
    assert (await checks.round(some, verdicts))[0] == {}


async def test_an_answer_that_breaks_the_judge_breaks_no_other() -> None:
    class Breaks(Machines):
        async def judge_load(self, carried: Carried, rng: random.Random) -> tuple[int, Verdict]:
            if carried.target.host.endswith(".0"):
                raise TypeError("unhashable")
            return await super().judge_load(carried, rng)

    some = miners(2)
    checks = LoadChecks(Breaks({m.target.hotkey: "one" for m in some}), 1.0, 8, random.Random(1))
    rates, found = await checks.round(some, {m.target.hotkey: GOOD for m in some})
    assert [v.reason for _, v in found] == [Reason.OURS, Reason.OK]
    assert list(rates) == [some[1].target.hotkey]


async def test_of_very_many_miners_some_are_loaded() -> None:
    some = miners(MOST + 9)
    machine = Machines({m.target.hotkey: m.target.hotkey for m in some})
    checks = LoadChecks(machine, 1.0, 8, random.Random(1))
    assert len((await checks.round(some, {m.target.hotkey: GOOD for m in some}))[0]) == MOST


async def test_four_names_of_one_card_earn_less_than_one_card() -> None:
    """At four addresses, so nothing else shows that they are one."""
    some = miners(5)
    rival, *split = (m.target.hotkey for m in some)
    machine = Machines(dict.fromkeys(split, "card") | {rival: "own"})
    written: list[dict[int, int]] = []

    class Writer:
        async def step(self, view: object, weights: tuple[tuple[int, int], ...]) -> bool:
            written.append(dict(weights))
            return False

    class Chain:
        hotkey = ALICE

        async def view(self) -> object:
            neurons = [
                SimpleNamespace(
                    uid=m.uid,
                    hotkey=m.target.hotkey,
                    axon=SimpleNamespace(host=m.target.host, port=m.target.port),
                )
                for m in some
            ]
            graph = SimpleNamespace(neurons=neurons)
            return SimpleNamespace(
                block=1, graph=graph, serving=neurons, registered_at=lambda uid: uid
            )

    validator = Validator(Chain(), machine, Book(None), Policy(), 99)  # type: ignore[arg-type]
    validator.writer = Writer()  # type: ignore[assignment]
    validator.load = LoadChecks(machine, 1e-9, 8, random.Random(1))
    for _ in range(30):
        machine.asked.clear()
        await validator.round()
    weights = written[-1]
    assert sum(weights[m.uid] for m in some[1:]) < 0.5 * weights[0]


async def test_who_answers_a_part_to_be_done_soon_is_counted_for_a_part(
    tiny: Loaded, miner: Running
) -> None:
    worker = Worker(tiny.model, pages=1)
    worker.start()
    async with Caller(ALICE) as caller:
        one = TextExaminer(caller, Identity(ALICE, GENESIS, NETUID), tiny, worker)
        carried = await one.carry(miner.target, random.Random(3), 4)
        whole, _ = await one.judge_load(carried, random.Random(1))
        request, _ = carried.results[0]
        refused = (request, CallFailed("busy", "no"))
        part = replace(carried, results=(carried.results[0], *[refused] * 3))
        rate, verdict = await one.judge_load(part, random.Random(1))
    worker.stop()
    assert verdict.verified
    assert 0 < rate < whole / 4


@pytest.mark.parametrize("kind", [None, "wrong-model", "answer-usage", "endless"])
async def test_answers_under_load_are_judged(
    tiny: Loaded, miner: Running, kind: str | None
) -> None:
    worker = Worker(tiny.model, pages=1)
    worker.start()
    if kind is not None:
        miner.app.text = faulty_service(kind, tiny, miner.identity)
        miner.app.text.worker.start()
    async with Caller(ALICE, Patience(connect=1.0)) as caller:
        one = TextExaminer(caller, Identity(ALICE, GENESIS, NETUID), tiny, worker)

        async def load(target: Target, rng: random.Random) -> tuple[int, Verdict]:
            return await one.judge_load(await one.carry(target, rng, 6), rng)

        found = [await load(miner.target, random.Random(i)) for i in range(3)]
        lost = await load(Target(miner.target.hotkey, "127.0.0.1", 1), random.Random(1))
    worker.stop()
    if kind is None:
        assert all(rate > 0 and verdict.verified for rate, verdict in found), found
    else:
        assert any(verdict.hard for _, verdict in found), found
        miner.app.text.worker.stop()  # type: ignore[union-attr]
    assert (lost[0], lost[1].reason) == (0, Reason.UNREACHABLE)
