"""Stake lent from parent hotkeys to child hotkeys, and the dividends that flow back.

A hotkey may delegate fixed proportions of its stake on a subnet to child hotkeys. Children
validate with the borrowed stake; what they earn with it returns to the parents, less a take.

Upstream: pallets/subtensor/src/coinbase/run_coinbase.rs, staking/stake_utils.rs
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from consensus.economics.fixed import Fx32
from ganglion.fixed import I64F64, U96F32, u64_proportion

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Stake:
    """What a hotkey holds in total: alpha on the subnet and TAO on root."""

    alpha: int
    root: int


@dataclass(frozen=True, slots=True)
class Parent(Generic[Key]):
    """A parent as its child sees it."""

    hotkey: Key
    proportion: Fx32
    stake: Stake
    is_same_owner: bool
    """Whether parent and child belong to one coldkey; then nothing is taken."""


@dataclass(frozen=True, slots=True)
class Split(Generic[Key]):
    """A child's dividends divided: one row a parent in list order, then the child itself."""

    rows: list[tuple[Key, int]]
    burns: list[int]
    """Alpha to recycle, one entry a parent of another owner."""


def remaining_proportion(child_proportions: Iterable[int]) -> Fx32:
    """What a hotkey keeps of its stake after lending u64 proportions to its children."""
    remaining = U96F32.one
    for proportion in child_proportions:
        remaining = U96F32.sub(remaining, u64_proportion(proportion))
    return remaining


def contribution(stake: Stake, proportion: Fx32, tao_weight: Fx32) -> Fx32:
    """Weight of a part of a stake: alpha, and root TAO at the TAO weight."""
    alpha = U96F32.mul(U96F32.from_int(stake.alpha), proportion)
    root = U96F32.mul(U96F32.mul(U96F32.from_int(stake.root), proportion), tao_weight)
    return U96F32.add(alpha, root)


def whole(amount: Fx32) -> int:
    """The whole units of an amount."""
    return U96F32.to_u64(amount)


def inherited(
    own: int, child_proportions: Iterable[int], parents: Iterable[tuple[int, int]]
) -> int:
    """A stake after lending to children and borrowing from parents [(proportion, their stake)].

    Holds for alpha and for root TAO alike; on root itself nothing is lent, so do not ask there.
    """
    kept = lent = U96F32.from_int(own)
    for proportion in child_proportions:
        kept = U96F32.sub(kept, U96F32.mul(lent, u64_proportion(proportion)))
    borrowed = 0
    for proportion, stake in parents:
        part = U96F32.mul(U96F32.from_int(stake), u64_proportion(proportion))
        borrowed = U96F32.add(borrowed, part)
    return U96F32.to_u64(U96F32.add(kept, borrowed))


def stake_weight(alpha: int, tao: int, tao_weight: Fx32) -> int:
    """Alpha plus TAO at the TAO weight, as I64F64 bits: what counts in consensus."""
    weight = I64F64.from_bits(tao_weight, U96F32)
    return I64F64.add(I64F64.from_int(alpha), I64F64.mul(I64F64.from_int(tao), weight))


def split_dividends(
    hotkey: Key,
    dividends: int,
    own_contribution: int,
    parents: Sequence[Parent[Key]],
    *,
    tao_weight: Fx32,
    child_take: Fx32,
    burn_take: Fx32,
) -> Split[Key]:
    """Divide a child's dividends among its parents and itself by contribution.

    `own_contribution` is in whole units, the parents' are not. Take and burn are both measured on
    the gross part of a parent; together above one they create alpha, as in the reference.
    """
    gross = U96F32.from_int(dividends)
    parts = [contribution(p.stake, p.proportion, tao_weight) for p in parents]
    total = U96F32.from_int(own_contribution)
    for part in parts:
        total = U96F32.add(total, part)

    remaining, takes = gross, 0
    rows: list[tuple[Key, int]] = []
    burns: list[int] = []
    for parent, part in zip(parents, parts):
        earned = U96F32.mul(gross, U96F32.safe_div(part, total))
        remaining = U96F32.sub(remaining, earned)
        if not parent.is_same_owner:
            burn, take = U96F32.mul(burn_take, earned), U96F32.mul(child_take, earned)
            earned = U96F32.sub(U96F32.sub(earned, burn), take)
            takes = U96F32.add(takes, take)
            burns.append(U96F32.to_u64(burn))
        rows.append((parent.hotkey, U96F32.to_u64(earned)))
    rows.append((hotkey, U96F32.to_u64(U96F32.add(remaining, takes))))
    return Split(rows, burns)
