"""Deadlines, reasons and capability, under clocks that the tests turn themselves."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnets.hardware.chain import (
    FASTEST,
    SLOWEST,
    class_seconds,
    draw,
    shape_of,
)
from subnets.hardware.judge import (
    ALLOWED,
    MARGIN,
    TRIP_SHARE,
    Capability,
    Outcome,
    Result,
    Timing,
    deadline,
    excuse,
    judge_time,
)
from subnets.hardware.measure import claim_of, fastest, measure

rates = st.integers(SLOWEST * 2, FASTEST // 4)


def seconds(claimed: int, true: int, slowdown: float = 1.0) -> float:
    """How long a machine of a true rate takes for the chain of a claimed class."""
    return shape_of(claimed).work / true * slowdown


@given(rates, st.floats(0, 2))
def test_the_deadline_is_twice_the_class_time_and_the_round_trip(rate: int, trip: float) -> None:
    allowed = deadline(rate, trip) - ALLOWED * class_seconds(rate)
    assert allowed == pytest.approx(min(trip, TRIP_SHARE * class_seconds(rate)))


@given(rates, st.floats(1.0, 1.65), st.floats(0, 0.1))
def test_an_honest_claim_is_met_under_load(true: int, slowdown: float, trip: float) -> None:
    claimed = claim_of(true)
    spent = seconds(claimed, true, slowdown) + trip
    assert judge_time(claimed, Timing(spent, trip)).outcome is Outcome.OK


@given(rates, st.floats(0, 5))
def test_twice_the_speed_is_never_met_whatever_round_trip_is_feigned(
    true: int, feigned: float
) -> None:
    claimed = claim_of(2 * true)
    result = judge_time(claimed, Timing(seconds(claimed, true), feigned))
    assert result.outcome is Outcome.LATE
    assert "claim less" in result.detail


def test_an_honest_miner_passes_100_of_100_at_half_load_and_a_cheater_none() -> None:
    """Half of the time the machine is somebody else's: a chain runs at full speed or at three
    fifths, as stretches of load fall; the script runs the same with real machines."""
    rng, true = random.Random(1), 40_000_000_000
    honest, cheater = Capability(), Capability()
    for block in range(100):
        trip = rng.uniform(0.001, 0.1)
        for claimed, record in ((claim_of(true), honest), (claim_of(2 * true), cheater)):
            loaded = rng.random() < 0.5 and record is honest
            spent = seconds(claimed, true, 1.6 if loaded else 1.0) + rng.uniform(trip, trip + 0.01)
            record.enter(judge_time(claimed, Timing(spent, trip)), block, block)
    assert (honest.passes, honest.checks) == (100, 100)
    assert true * 0.6 < honest.proven <= true
    assert (cheater.passes, cheater.checks, cheater.proven) == (0, 100, 0)


def test_what_the_verifier_stood_still_is_not_held_against_a_miner() -> None:
    claimed = 1_000_000_000
    limit = deadline(claimed, 0.0)
    stalled = judge_time(claimed, Timing(limit + 0.05, 0.0, stalled=0.06))
    assert stalled.outcome is Outcome.OURS
    record = Capability()
    record.enter(Result(Outcome.OK, "", claimed, claimed), 1, 1)
    record.enter(stalled, 1, 1)
    assert (record.checks, record.passes, record.proven) == (1, 1, claimed)
    for block in range(16):
        record.enter(stalled, block, block)
    assert record.proven == 0  # what was long ago says nothing of today
    late = judge_time(claimed, Timing(limit + 0.05, 0.0, stalled=0.04))
    assert late.outcome is Outcome.LATE


def passed(rate: int, measured: int) -> Result:
    return Result(Outcome.OK, "", rate, measured)


def test_capability_is_what_was_measured_and_no_more_than_was_claimed() -> None:
    record = Capability()
    record.enter(passed(100, 90), 1, 1)
    assert record.proven == 90
    for _ in range(40):
        record.enter(passed(100, 150), 2, 2)
    assert record.proven == 100
    for _ in range(3):
        record.enter(Result(Outcome.LATE, "", 100), 3, 3)
    assert record.proven == 0  # three failures in a row take it away


@pytest.mark.parametrize("refusal", [Outcome.BUSY, Outcome.REFUSED])
def test_one_refusal_is_free_and_two_are_a_failure(refusal: Outcome) -> None:
    record = Capability()
    record.enter(passed(100, 90), 1, 1)
    record.enter(Result(refusal), 2, 2)
    assert (record.checks, record.busy) == (1, 1)
    record.enter(Result(refusal), 3, 3)
    assert (record.checks, record.passes, record.busy) == (2, 1, 2)
    record.enter(passed(100, 90), 4, 4)
    assert record.busy == 0


def test_who_claims_nothing_any_more_has_no_capability() -> None:
    record = Capability()
    record.enter(passed(100, 90), 1, 1)
    record.enter(Result(Outcome.NONE), 2, 2)
    assert (record.proven, record.checks) == (0, 1)


def test_when_nobody_comes_through_the_fault_is_ours() -> None:
    late = Result(Outcome.LATE, "", 100)
    several = excuse({"a": late, "b": Result(Outcome.UNREACHABLE), "c": Result(Outcome.NONE)})
    outcomes = [r.outcome for r in several.values()]
    assert outcomes == [Outcome.OURS, Outcome.OURS, Outcome.NONE]
    assert excuse({"a": late}) == {"a": late}
    mixed = {"a": late, "b": passed(100, 90)}
    assert excuse(mixed) == mixed


def test_a_record_survives_being_stored() -> None:
    record = Capability()
    for i in range(30):
        record.enter(passed(100, 90 + i), i, i)
    again = Capability.from_json(json.loads(json.dumps(record.to_json())))
    assert again == record
    assert len(again.recent) == 16
    with pytest.raises(KeyError):
        Capability.from_json({})


class Turned:
    """A machine of an exact rate: it turns the clock on instead of computing."""

    def __init__(self, rate: int, name: str = "turned") -> None:
        self.rate, self.name, self.time = rate, name, 0.0

    def walk(self, material, start):  # type: ignore[no-untyped-def]
        size, steps = len(material.matrix), len(material.words)
        self.time += steps * size**3 / self.rate
        return start

    def clock(self) -> float:
        return self.time


@pytest.mark.parametrize("rate", [200_000_000, 3_000_000_000, 47_000_000_000])
def test_measuring_finds_the_rate(rate: int) -> None:
    machine = Turned(rate)
    assert measure(machine, machine.clock) == pytest.approx(rate, rel=0.01)
    assert claim_of(rate) == pytest.approx(MARGIN * rate, rel=0.02)
    assert claim_of(rate) <= MARGIN * rate


def test_a_slow_machine_and_a_fast_one_stay_within_the_classes() -> None:
    slow = Turned(SLOWEST // 50)
    assert measure(slow, slow.clock) == SLOWEST
    assert claim_of(FASTEST) == FASTEST
    assert draw(b"", shape_of(SLOWEST)).matrix.shape == (256, 256)


def test_the_fastest_of_several_machines_is_taken() -> None:
    several = [Turned(4_000_000_000), Turned(9_000_000_000), Turned(5_000_000_000)]
    machine, rate = fastest(several, lambda m: measure(m, m.clock))  # type: ignore[attr-defined]
    assert machine is several[1]
    assert rate == pytest.approx(9_000_000_000, rel=0.01)
