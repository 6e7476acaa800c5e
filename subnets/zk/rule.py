"""The scoring rule as a statement that a circuit can check: integers, no division.

`subnets.scoring.compute_weights` rounds `65535 * power / largest` half up. With
`d = 65535 * power - weight * largest` that is exactly `-largest <= 2 d <= largest - 1`, so for
given scores there is one right vector and a weight that is off by one is refused: no tolerance.
A position in a vector is a uid; a miner without a score, or in debt, has score 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ganglion.errors import GanglionError
from subnets.scoring import ONE, U16_MAX, Policy, Record, compute_weights

SCORE_MAX = ONE << 16
"""The largest moving average."""

SLOTS = (16, 64, 256)
"""Sizes of circuit: the smallest that holds every uid is used."""

EXPONENTS = (1, 2, 3)


class ZkError(GanglionError):
    """A proof that cannot be made, or keys that cannot be used; the message says the way out."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a circuit is made for: that many uids, and the exponent of the policy."""

    slots: int
    exponent: int

    def __post_init__(self) -> None:
        if not 1 <= self.slots <= max(SLOTS):
            raise ZkError(f"a circuit has 1 to {max(SLOTS)} slots, not {self.slots}")
        if self.exponent not in EXPONENTS:
            raise ZkError(
                f"exponent {self.exponent} cannot be proven: exponents are 1 to {max(EXPONENTS)}"
            )

    @property
    def bits(self) -> int:
        """Bits of the largest number that is compared, and of the salt's halves, with a sign."""
        return 32 * max(2, self.exponent) + 3


def shape_for(uids: Iterable[int], exponent: int) -> Shape:
    """The smallest shape that holds these uids."""
    largest = max(uids, default=0)
    for slots in SLOTS:
        if largest < slots:
            return Shape(slots, exponent)
    raise ZkError(f"uid {largest} is beyond the largest circuit, which has {max(SLOTS)} slots")


def scores_of(records: Mapping[int, Record]) -> dict[int, int]:
    """What each uid's record says its score is: its average, or nothing while it is in debt."""
    return {uid: r.average for uid, r in records.items() if r.average > 0 and r.debt == 0}


def weights_of(scores: Mapping[int, int], exponent: int) -> dict[int, int]:
    """The weights that the validator's own rule gives these scores."""
    records = [(uid, Record(average=score)) for uid, score in scores.items()]
    return dict(compute_weights(records, Policy(exponent=exponent)))


def spread(values: Mapping[int, int], slots: int, most: int, what: str) -> list[int]:
    """Values by uid as a vector of `slots`; ZkError for a uid or value out of bounds."""
    vector = [0] * slots
    for uid, value in values.items():
        if not 0 <= uid < slots:
            raise ZkError(f"uid {uid} does not fit a circuit of {slots} slots")
        if not 0 <= value <= most:
            raise ZkError(f"uid {uid} has {what} {value}: it must be 0 to {most}")
        vector[uid] = value
    return vector


def violation(scores: Sequence[int], weights: Sequence[int], exponent: int) -> int:
    """By how much a vector breaks the rule: the circuit's output, 0 if and only if it is right."""
    powers = [score**exponent for score in scores]
    largest, total = max(powers), 0
    for score, power, weight in zip(scores, powers, weights, strict=True):
        twice = 2 * (U16_MAX * power - weight * largest)
        total += max(0, -(twice + largest)) + max(0, twice - largest + 1)
        total += max(0, -score) + max(0, score - SCORE_MAX)
    return total
