"""The stake-weighted median that turns many opinions of a miner into one."""

from __future__ import annotations

from collections.abc import Sequence

from consensus.yuma.scalar import normalise


def weighted_median(stake: Sequence[int], score: Sequence[int], limit: int) -> int:
    """The smallest score such that the stake behind it or lower is more than `limit`.

    The largest score when no such score exists, 0 without voters. Upstream bisects on a pivot;
    sums are exact, so both give the same number. Stake and score are I32F32 bits.
    """
    behind = 0
    value = 0
    for value, weight in sorted(zip(score, stake)):
        behind += weight
        if behind > limit:
            return value
    return value


def consensus_weights(
    active_stake: Sequence[int], rows: Sequence[Sequence[tuple[int, int]]], n: int, kappa: int
) -> list[int]:
    """What each of n miners is worth to a `kappa` majority of the active stake.

    `rows[i]` are validator i's normalised weights; an absent entry votes 0. Only validators with
    active stake vote.
    """
    voters = [i for i, s in enumerate(active_stake) if s > 0]
    stake = normalise([active_stake[i] for i in voters])
    limit = sum(stake) - kappa  # the stake that may disagree; negative when kappa is near one
    scores = [[0] * len(voters) for _ in range(n)]
    for k, i in enumerate(voters):
        for j, w in rows[i]:
            scores[j][k] = w
    return [weighted_median(stake, score, limit) for score in scores]
