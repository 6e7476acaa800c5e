"""From verdicts to weights, in integers.

Every miner has a moving average of its rewards. A hard failure sets it to zero and keeps the
weight at zero until the miner has answered `lookback` checks right in a row, so cheating at any
sampling rate costs more than it saves. What is not the miner's fault changes nothing.

Rewards are in proportion to what a miner carries when all miners are loaded at once, and weights
are a power of the average: with an exponent above one, who splits one machine over many
identities earns less in sum than who does not, however many addresses they have.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from subnets.verdict import MISSING, Reason, Verdict

ONE = 1 << 16
"""A full reward; averages are kept in the same unit with 16 more bits."""

U16_MAX = 65_535
SOON_MS = 250
"""First tokens within this count alike: what differs there is the way, not the miner."""
RECENT = 32


@dataclass(frozen=True, slots=True)
class Policy:
    """How a subnet scores. Shares and rates are in 65536ths.

    `rate` is the weight of a new reward in the average, `speed` the part of a reward that
    depends on speed relative to the fastest of the round, `latency` the part of that which is
    for the first token, the rest being for tokens a second.
    """

    rate: int = ONE // 8
    speed: int = ONE // 4
    latency: int = ONE // 4
    exponent: int = 2
    lookback: int = 14


@dataclass(slots=True)
class Record:
    """What a validator knows of one hotkey. `debt` checks are still owed after a hard failure.

    `load` is what it carries under load, in thousandths of a token per second; 0 if unmeasured.
    """

    average: int = 0
    checks: int = 0
    verified: int = 0
    debt: int = 0
    tokens: int = 0
    mismatches: int = 0
    load: int = 0
    recent: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=RECENT))

    def to_json(self) -> dict[str, Any]:
        """The form that is stored and shown."""
        return {name: getattr(self, name) for name in NUMBERS} | {"recent": list(self.recent)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Record:
        """Read a stored record; KeyError, TypeError or ValueError if it is none."""
        known = {"load": 0, **value}  # records of before have none
        record = cls(**{name: int(known[name]) for name in NUMBERS})  # type: ignore[arg-type]
        record.recent.extend(dict(entry) for entry in value["recent"])
        return record


NUMBERS = ("average", "checks", "verified", "debt", "tokens", "mismatches", "load")


def apply_loads(records: Mapping[str, Record], rates: Mapping[str, int]) -> None:
    """Enter what miners carried, in thousandths of a token per second, when all were asked at
    once. When nobody carried anything, the trouble is the verifier's own."""
    if not any(rates.values()):
        return
    for hotkey, rate in rates.items():
        record = records[hotkey]
        step = (rate - record.load) // 4 if record.load else rate
        record.load = max(1, record.load + step)


def compute_share(record: Record, records: Mapping[str, Record]) -> int:
    """What a miner carries, in 65536ths of the most that any carries. Who was not measured yet
    counts as the least of those who were: a new name must not be worth more than an old one."""
    measured = [other.load for other in records.values() if other.load and not other.debt]
    most = max([record.load, *measured])
    return (record.load or min(measured)) * ONE // most if most else ONE


def compute_rate(verdict: Verdict) -> int:
    """Thousandths of a token per second, 0 if nothing was timed."""
    return verdict.tokens * 1_000_000 // verdict.total_ms if verdict.total_ms > 0 else 0


@dataclass(frozen=True, slots=True)
class Pace:
    """The best of a round: thousandths of a token per second, and milliseconds to a first token."""

    rate: int
    waited: int

    @classmethod
    def of(cls, verdicts: Iterable[Verdict]) -> Pace:
        """The best of the right answers."""
        right = [v for v in verdicts if v.verified]
        rate = max(map(compute_rate, right), default=0)
        return cls(rate, min(map(compute_wait, right), default=SOON_MS))


def compute_wait(verdict: Verdict) -> int:
    """Milliseconds to the first token; what came soon came at once."""
    return max(verdict.first_token_ms, SOON_MS)


def compute_reward(verdict: Verdict, best: Pace, policy: Policy) -> int:
    """The reward of one verdict, 0 .. ONE."""
    if not verdict.verified:
        return 0
    rate = min(compute_rate(verdict), best.rate) * ONE // best.rate if best.rate else ONE
    soon = min(ONE, best.waited * ONE // compute_wait(verdict))
    quick = (rate * (ONE - policy.latency) + soon * policy.latency) // ONE
    return ONE - policy.speed + policy.speed * quick // ONE


def apply(record: Record, verdict: Verdict, reward: int, policy: Policy, block: int) -> None:
    """Enter one verdict into a miner's record."""
    record.recent.append(
        {
            "block": block,
            "reason": str(verdict.reason),
            "detail": verdict.detail,
            "tokens": verdict.tokens,
            "ms": verdict.total_ms,
            "first_token_ms": verdict.first_token_ms,
            "reward": reward,
        }
    )
    if verdict.reason is Reason.OURS:
        return
    record.checks += 1
    record.tokens += verdict.tokens
    record.mismatches += verdict.mismatches
    if verdict.hard:
        record.average, record.debt = 0, policy.lookback
        return
    record.verified += verdict.verified
    if verdict.verified and record.debt:
        record.debt -= 1
    target = reward << 16
    if record.checks == 1:
        record.average = target
    else:
        record.average += (target - record.average) * policy.rate >> 16


def apply_round(
    records: dict[str, Record], verdicts: Mapping[str, Verdict], policy: Policy, block: int
) -> None:
    """Enter a round's verdicts, keyed by hotkey.

    When not one of several miners could be reached, or all turned the verifier away (its clock is
    wrong, say, so that its signatures look stale), the trouble is its own: nobody is charged.
    """
    lost = all(v.reason in MISSING or v.reason is Reason.REFUSED for v in verdicts.values())
    ours = len(verdicts) > 1 and lost
    best = Pace.of(verdicts.values())
    for hotkey, verdict in verdicts.items():
        if ours:
            verdict = Verdict(
                Reason.OURS, f"nobody answered, so the fault is here: {verdict.detail}"
            )
        record = records.setdefault(hotkey, Record())
        share = compute_share(record, records)
        reward = compute_reward(verdict, best, policy) * share // ONE
        apply(record, verdict, reward, policy, block)


def compute_weights(
    scores: Iterable[tuple[int, Record]], policy: Policy
) -> tuple[tuple[int, int], ...]:
    """(uid, u16 weight) of every miner that earned one, the largest weight being 65535."""
    powers = [
        (uid, record.average**policy.exponent)
        for uid, record in scores
        if record.average > 0 and record.debt == 0
    ]
    largest = max((power for _, power in powers), default=0)
    weights = [(uid, (power * U16_MAX + largest // 2) // largest) for uid, power in sorted(powers)]
    return tuple((uid, weight) for uid, weight in weights if weight)
