"""What a challenge says of a miner, and the capability that follows from many. Sans-IO.

The deadline belongs to the class: twice its time, plus the round trip as measured with small
requests just before. A miner could feign a long round trip, so it counts for a fifth of the class
time at most. A machine that claims `MARGIN` times its measured rate takes 1.15 class times when
idle and may be 1.74 times slower under load; one that claims twice as much takes 2.3, which no
round trip makes good. Who is late is tried again at once: load comes and goes, a slow machine
stays slow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from subnets.hardware.chain import class_seconds, shape_of

MARGIN = 1.15
"""What a miner may claim beyond its measured rate: between an honest one under load and one that
claims twice its rate lies a factor of two at most, and this splits it."""
ALLOWED = 2.0
TRIP_SHARE = 0.2
TRIES = 5
"""Challenges in a row of which one has to be met."""
ONE = 1 << 16
RATE = ONE // 8
"""The weight of a new challenge in the moving average, in 65536ths."""
STANDING = ONE * 3 // 4
"""The average below which a miner has no capability."""
RECENT = 16


class Outcome(StrEnum):
    """How a challenge ended."""

    OK = "ok"
    NONE = "no-class"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    BUSY = "busy"
    FORMAT = "bad-format"
    LATE = "late"
    WITHHELD = "withheld"
    WRONG = "wrong-product"
    OURS = "verifier-outage"


UNCHARGED = frozenset({Outcome.NONE, Outcome.OURS})
"""Outcomes that are no try: nothing is claimed, or the trouble was the verifier's."""
REFUSALS = frozenset({Outcome.BUSY, Outcome.REFUSED})


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds as the verifier measured them: from the challenge to the commitment, the shortest
    round trip, and how long the verifier itself stood still meanwhile."""

    elapsed: float
    trip: float
    stalled: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """One challenge: what came of it, a sentence, and the figures behind it.

    `rate` is the claimed class, `measured` what the time says, in multiply-adds a second.
    """

    outcome: Outcome
    detail: str = ""
    rate: int = 0
    measured: int = 0
    milliseconds: int = 0
    trip_ms: int = 0


def trip_allowance(rate: int, trip: float) -> float:
    """What of a round trip is granted, in seconds."""
    return min(max(trip, 0.0), TRIP_SHARE * class_seconds(rate))


def deadline(rate: int, trip: float) -> float:
    """Seconds from a challenge to its commitment at most."""
    return ALLOWED * class_seconds(rate) + trip_allowance(rate, trip)


def judge_time(rate: int, timing: Timing) -> Result:
    """Whether a commitment came in time. What the verifier stood still is not held against the
    miner: if that decides, the challenge does not count."""
    limit, trip = deadline(rate, timing.trip), trip_allowance(rate, timing.trip)
    spent = max(timing.elapsed - trip, 1e-6)
    figures = {
        "rate": rate,
        "measured": int(shape_of(rate).work / spent),
        "milliseconds": round(timing.elapsed * 1000),
        "trip_ms": round(timing.trip * 1000),
    }
    if timing.elapsed <= limit:
        return Result(Outcome.OK, "", **figures)
    if timing.elapsed - timing.stalled <= limit:
        detail = f"the verifier stood still for {timing.stalled * 1000:.0f} ms meanwhile"
        return Result(Outcome.OURS, detail, **figures)
    detail = (
        f"the commitment took {timing.elapsed * 1000:.0f} ms; class {rate} has "
        f"{limit * 1000:.0f} ms: claim less, or keep the machine freer"
    )
    return Result(Outcome.LATE, detail, **figures)


@dataclass(slots=True)
class Capability:
    """What a validator knows of one hotkey's hardware. Rates in multiply-adds a second.

    `average` is the moving average of passes in 65536ths; `measured` that of the rates of passed
    challenges; `busy` counts refusals in a row; `at` is when the last challenge was, in seconds
    since 1970.
    """

    rate: int = 0
    measured: int = 0
    checks: int = 0
    passes: int = 0
    average: int = 0
    busy: int = 0
    at: int = 0
    recent: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=RECENT))

    @property
    def proven(self) -> int:
        """The rate that this validator vouches for: measured, not beyond the claim, 0 without
        standing or when no recent challenge was met."""
        met = any(entry["reason"] == Outcome.OK for entry in self.recent)
        return min(self.rate, self.measured) if met and self.average >= STANDING else 0

    def enter(self, result: Result, block: int, at: int) -> None:
        """Note a challenge. Who refuses one is asked again, because another's may run there, or
        our permit may be news there; twice in a row counts as failed, or identities could take
        turns on one card."""
        entry = {"block": block, "reason": str(result.outcome), "detail": result.detail}
        figures = {"ms": result.milliseconds, "rtt_ms": result.trip_ms, "rate": result.measured}
        self.recent.append(entry | figures)
        self.at = at
        if result.outcome is Outcome.NONE:
            self.rate = self.measured = self.average = 0
            return
        self.busy = self.busy + 1 if result.outcome in REFUSALS else 0
        if result.outcome in UNCHARGED or self.busy == 1:
            return
        passed = result.outcome is Outcome.OK
        self.rate = result.rate or self.rate
        self.checks, self.passes = self.checks + 1, self.passes + passed
        target = ONE if passed else 0
        first = self.checks == 1
        self.average = target if first else self.average + ((target - self.average) * RATE >> 16)
        if passed:
            step = result.measured - self.measured
            self.measured = self.measured + step // 4 if self.measured else result.measured

    def to_json(self) -> dict[str, Any]:
        """The form that is stored and shown."""
        return {name: getattr(self, name) for name in NUMBERS} | {"recent": list(self.recent)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Capability:
        """Read a stored one; KeyError, TypeError or ValueError if it is none."""
        made = cls(**{name: int(value[name]) for name in NUMBERS})  # type: ignore[arg-type]
        made.recent.extend(dict(entry) for entry in value["recent"])
        return made


NUMBERS = ("rate", "measured", "checks", "passes", "average", "busy", "at")


def excuse(results: Mapping[str, Result]) -> dict[str, Result]:
    """Results by hotkey; when not one of several miners came through, the trouble is taken to be
    the verifier's own."""
    ours = (Outcome.LATE, Outcome.UNREACHABLE)
    asked = {h: r for h, r in results.items() if r.outcome is not Outcome.NONE}
    if len(asked) < 2 or not all(r.outcome in ours for r in asked.values()):
        return dict(results)
    detail = "no miner came through, so the fault is here"
    return dict(results) | {h: Result(Outcome.OURS, detail, r.rate) for h, r in asked.items()}
