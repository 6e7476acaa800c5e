"""The moving average of a subnet's price, slow at first and slow to rise.

Upstream: pallets/subtensor/src/staking/stake_utils.rs
"""

from __future__ import annotations

from collections.abc import Iterable

from consensus.economics.fixed import Fx32, Fx64, narrow, ratio64, widen
from ganglion.fixed import U64F64


def smoothing(moving_alpha: Fx32, block: int, first_emission: int, halving: int) -> Fx64:
    """Weight of today's price: `moving_alpha` times age / (age + halving); 0 when both are 0."""
    age = max(block - max(first_emission - 1, 0), 0)
    return U64F64.mul(widen(moving_alpha), ratio64(age, age + halving))


def moved(old: Fx64, price: Fx64, weight: Fx64) -> Fx32:
    """The next average, as I96F32 bits; prices above one count as one.

    The low 32 bits are dropped at every step, so a price a little above never lifts it.
    """
    today = U64F64.mul(weight, min(price, U64F64.one))
    before = U64F64.mul(U64F64.sub(U64F64.one, weight), old)
    return narrow(U64F64.add(today, before))


def median(prices: Iterable[Fx64]) -> Fx64:
    """Median of the prices above 0 (mean of the middle two when even); one when there is none."""
    ordered = sorted(price for price in prices if price > 0)
    if not ordered:
        return U64F64.one
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return U64F64.safe_div(U64F64.add(ordered[middle - 1], ordered[middle]), U64F64.from_int(2))
