"""Liquid alpha: every bond follows its weight at its own speed (Yuma 3 only).

Upstream: `compute_liquid_alpha_values_sparse` and `mat_ema_alpha_sparse`.
"""

from __future__ import annotations

from collections.abc import Sequence

from consensus.yuma.scalar import ONE, alpha_sigmoid, clamp, mul
from consensus.yuma.sparse import Matrix, Row
from consensus.yuma.standing import padded
from consensus.yuma.types import SubnetEpoch
from ganglion.fixed import u16_proportion


def seen_in_order(row: Row) -> dict[int, int]:
    """What a forward walk over uids 0, 1, 2, ... finds in a row.

    The walk never goes back: an entry that stands behind a larger uid is not found and reads as
    0. In a sorted row nothing is lost.
    """
    found: dict[int, int] = {}
    highest = -1
    for j, v in row:
        if j > highest:
            highest = j
            found[j] = v
    return found


def liquid_consensus(subnet: SubnetEpoch, current: Sequence[int]) -> Sequence[int]:
    """What weights are compared with, I32F32 bits: this epoch's consensus or a stored one."""
    if subnet.liquid_consensus is None:
        return current
    return [u16_proportion(c) for c in padded(subnet.liquid_consensus, subnet.n, 0)]


class LiquidAlpha:
    """The alpha of every (validator, miner) pair, from what the chain stores."""

    def __init__(self, low: int, high: int, steepness: int) -> None:
        """`low` and `high` are the subnet's u16 bounds, `steepness` its i16 parameter."""
        self.low = u16_proportion(low)
        self.high = u16_proportion(high)
        self.steepness = steepness * ONE

    def at(self, consensus: int, weight: int, bond: int) -> int:
        """Alpha for one pair, I32F32 bits throughout."""
        return alpha_sigmoid(consensus, weight, bond, self.low, self.high, self.steepness)

    def dense(self, weights: Matrix, bonds: Matrix, consensus: Sequence[int]) -> list[list[int]]:
        """Alpha for every validator and every miner, present entry or not."""
        result = []
        for w_row, b_row in zip(weights, bonds):
            w, b = seen_in_order(w_row), seen_in_order(b_row)
            result.append([self.at(c, w.get(j, 0), b.get(j, 0)) for j, c in enumerate(consensus)])
        return result

    def moving_average(self, weights: Matrix, bonds: Matrix, consensus: Sequence[int]) -> Matrix:
        """Each bond moved toward its weight; a bond without a weight entry is dropped, not decayed.

        Rows keep the order of the weights. The alpha uses the weight and bond the forward walk
        finds, the average uses the true ones.
        """
        n = len(consensus)
        result = []
        for w_row, b_row in zip(weights, bonds):
            w_seen, b_seen, old = seen_in_order(w_row), seen_in_order(b_row), dict(b_row)
            row = []
            for j, w in w_row:
                if j >= n:
                    continue
                alpha = self.at(consensus[j], w_seen.get(j, 0), b_seen.get(j, 0))
                kept = mul(ONE - alpha, old.get(j, 0))
                value = min(ONE, clamp(kept + max(0, mul(alpha, w))))
                if value > 0:
                    row.append((j, value))
            result.append(row)
        return result
