"""Who counts in an epoch: activity, stake, permits.

Whole numbers of n entries each, so both engines share it: even 4096 neurons cost little here.
Upstream: the first half of `epoch_mechanism`, pallets/subtensor/src/epoch/run_epoch.rs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from consensus.yuma.scalar import normalise
from consensus.yuma.types import NO_COMMIT, SubnetEpoch
from ganglion.fixed import I64_MAX, I64F64, U64_MAX, u64_proportion

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Standing:
    """The standing of every uid at the start of the epoch."""

    cutoff: int
    """Blocks without an update after which a neuron is inactive."""
    inactive: list[bool]
    """Has at least n entries: one for every last update the chain holds."""
    total: list[int]
    """Stake weight, I64F64 bits."""
    filtered: list[int]
    """`total`, with 0 for those under the threshold."""
    stake: list[int]
    """`filtered` as I32F32 shares of its sum."""
    permits: list[bool]
    """Who may set weights in this epoch: last epoch's permits and the owner."""
    new_permits: list[bool]
    """Who may in the next: the top stakes and the owner."""
    active_stake: list[int]
    """Shares among active permitted validators."""


def padded(values: Sequence[T], n: int, default: T) -> list[T]:
    """The first n values, with `default` for those missing."""
    return [*values[:n], *([default] * (n - len(values)))]


def activity_cutoff(factor_milli: int, tempo: int) -> int:
    """Blocks after which a silent neuron is inactive: tempo times factor / 1000, at least 1."""
    return max(1, factor_milli * tempo // 1000)


def total_stake(alpha: Sequence[int], tao: Sequence[int], tao_weight: int) -> list[int]:
    """Alpha plus weighted TAO, as I64F64 bits."""
    rate = u64_proportion(tao_weight)  # 32 fraction bits; a whole TAO times it has 32 more
    high = I64F64.high
    return [
        min(
            (a << 64 if a <= I64_MAX else high)
            + min(t * rate << 32 if t <= I64_MAX else high * rate >> 32, high),
            high,
        )
        for a, t in zip(alpha, tao)
    ]


def top_validators(stake: Sequence[int], limit: int) -> list[bool]:
    """The `limit` largest nonzero stakes; of equal stakes the lower uid goes first."""
    permits = [s != 0 for s in stake]
    surplus = len(stake) - limit
    if surplus > 0:
        for uid in sorted(range(len(stake)), key=stake.__getitem__)[:surplus]:
            permits[uid] = False
    return permits


def standing(subnet: SubnetEpoch) -> Standing:
    """Activity, stake shares and permits of an epoch's neurons."""
    n, owner = subnet.n, subnet.owner_uid
    cutoff = activity_cutoff(subnet.activity_cutoff_factor_milli, subnet.tempo)
    inactive = [
        min(updated + cutoff, U64_MAX) < subnet.current_block
        for updated in padded(subnet.last_update, max(n, len(subnet.last_update)), 0)
    ]
    alpha, tao = padded(subnet.alpha_stake, n, 0), padded(subnet.tao_stake, n, 0)
    total = total_stake(alpha, tao, subnet.tao_weight)
    limit = subnet.stake_threshold << 64
    filtered = [s if s >= limit or i == owner else 0 for i, s in enumerate(total)]
    whole = sum(filtered)
    stake = [(s << 64) // whole >> 32 for s in filtered] if whole else [0] * n

    permits = [bool(p) for p in padded(subnet.validator_permits, n, False)]
    new_permits = top_validators(stake, subnet.max_allowed_validators)
    if owner is not None and owner < n:
        permits[owner] = new_permits[owner] = True

    counted = [
        s if permitted and not idle else 0 for s, permitted, idle in zip(stake, permits, inactive)
    ]
    return Standing(
        cutoff=cutoff,
        inactive=inactive,
        total=total,
        filtered=filtered,
        stake=stake,
        permits=permits,
        new_permits=new_permits,
        active_stake=normalise(counted),
    )


def bonds_horizon(subnet: SubnetEpoch) -> int:
    """Bonds to a neuron registered in this block or later are stale."""
    last = subnet.last_mechanism_step_block
    return last + 1 if last else max(0, subnet.current_block - subnet.tempo)


def earliest_commits(
    n: int,
    current_epoch: int,
    reveal_period: int,
    queues: Iterable[tuple[int, Iterable[tuple[int, int]]]],
    timelocked: Iterable[tuple[int, Iterable[tuple[int, int]]]],
) -> list[int]:
    """Per uid the block of its earliest commit still to be revealed, `NO_COMMIT` for none.

    `queues` holds (uid, [(commit epoch, commit block), ...]) in queue order, of which the first
    live one counts; `timelocked` holds (commit epoch, [(uid, commit block), ...]). A commit is
    dead when its epoch plus the reveal period has passed. Uids beyond n are ignored.
    """
    blocks = [NO_COMMIT] * n
    for uid, queue in queues:
        live = (block for epoch, block in queue if current_epoch <= epoch + reveal_period)
        if uid < n:
            blocks[uid] = min(blocks[uid], next(live, NO_COMMIT))
    for epoch, commits in timelocked:
        if current_epoch <= epoch + reveal_period:
            for uid, block in commits:
                if uid < n:
                    blocks[uid] = min(blocks[uid], block)
    return blocks
