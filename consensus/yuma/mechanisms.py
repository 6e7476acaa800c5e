"""A subnet with several mechanisms: one epoch each, the emission split, the results merged.

Weights, bonds, last updates and commits are per mechanism; stake and permits are shared, and
every mechanism of an epoch reads the permits from before it. Incentive and bonds stay per
mechanism, all else becomes one set of vectors for the subnet.

Upstream: `split_emissions`, `epoch_with_mechanisms`, pallets/subtensor/src/subnets/mechanism.rs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consensus.yuma.types import EpochOutcome
from ganglion.fixed import U16_MAX, U64_MAX, clamp_u16, clamp_u64


@dataclass(frozen=True, slots=True)
class SubnetOutcome:
    """What a subnet stores and pays after all its mechanisms ran, by uid."""

    server_emission: tuple[int, ...]
    validator_emission: tuple[int, ...]
    combined_emission: tuple[int, ...]
    stake_weight_u16: tuple[int, ...]
    consensus_u16: tuple[int, ...]
    validator_trust_u16: tuple[int, ...]
    dividends_u16: tuple[int, ...]
    active: tuple[bool, ...]
    new_permits: tuple[bool, ...]
    stake_raw: tuple[int, ...]
    """Whole units of stake, once for every mechanism."""


def split_emission(amount: int, count: int, split: Sequence[int] | None) -> list[int]:
    """The part of `amount` (rao) each of `count` mechanisms gets; what rounding loses, the first.

    `split` holds u16 parts of 65535, one per mechanism from the first; without it all get the
    same. Missing parts are 0, parts beyond the count go to the first mechanism.
    """
    if split is None:
        parts = [amount // count] * count if count else []
    else:
        parts = [amount * s // U16_MAX for s in split][:count]
        parts += [0] * (count - len(parts))
    if parts:
        parts[0] += max(0, amount - sum(parts))
    return parts


def merge(outcomes: Sequence[EpochOutcome], parts: Sequence[int], amount: int) -> SubnetOutcome:
    """One set of vectors from the outcomes of a subnet's mechanisms, weighted by emission.

    Emissions to miners and validators add up. The stored vectors are sums weighted by
    part / amount, floored after each mechanism; with no emission the first weighs one.
    """
    if amount:
        weights = [(part << 64) // amount for part in parts]
    else:
        weights = [1 << 64, *([0] * (len(parts) - 1))]

    def summed(vectors: Sequence[Sequence[int]]) -> tuple[int, ...]:
        return tuple(min(sum(column), U64_MAX) for column in zip(*vectors))

    def weighted(vectors: Sequence[Sequence[int]]) -> list[int]:
        total = [0] * len(vectors[0])
        for vector, weight in zip(vectors, weights):
            total = [old + (x * weight >> 64) for old, x in zip(total, vector)]
        return total

    def u16s(vectors: Sequence[Sequence[int]]) -> tuple[int, ...]:
        return tuple(map(clamp_u16, weighted(vectors)))

    return SubnetOutcome(
        server_emission=summed([o.server_emission for o in outcomes]),
        validator_emission=summed([o.validator_emission for o in outcomes]),
        combined_emission=tuple(
            clamp_u64(x) for x in weighted([o.combined_emission for o in outcomes])
        ),
        stake_weight_u16=u16s([o.stake_weight_u16 for o in outcomes]),
        consensus_u16=u16s([o.consensus_u16 for o in outcomes]),
        validator_trust_u16=u16s([o.validator_trust_u16 for o in outcomes]),
        dividends_u16=u16s([o.dividends_u16 for o in outcomes]),
        active=tuple(map(any, zip(*(o.active for o in outcomes)))),
        new_permits=tuple(map(any, zip(*(o.new_permits for o in outcomes)))),
        stake_raw=summed([o.stake_raw for o in outcomes]),
    )
