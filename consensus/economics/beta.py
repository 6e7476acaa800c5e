"""Prices of funds on one scale, so that old and new ones can be compared. For display alone.

A fund's raw price (worth over shares) starts at one whenever the fund starts. Its baseline, taken
at its first shares, divides it so that it starts on the index; the index chains what funds gained
from pass to pass, weighted by what they were worth before. A second index does the same for the
return of root stakers, which each dividend compounds.

Upstream: pallets/subtensor/src/staking/beta_pricing.rs
"""

from __future__ import annotations

from typing import NamedTuple

from consensus.economics.fixed import Fx32, Fx64
from ganglion.fixed import I96F32, U64F64

MIN_INDEX_NAV = 100_000_000
"""Funds worth less (rao) are too small to move an index."""
ROWS_PER_BLOCK = 256
"""Funds and holdings that a block looks at for the index; the fund in hand is finished."""
REFRESH_BLOCKS = 600
"""Blocks between two passes."""
ONE = U64F64.one


class Baseline(NamedTuple):
    """Where a fund began: what divides its price, its rate, and the stake index of then."""

    divisor: Fx64
    rate: Fx32
    splice: Fx64


class Marks(NamedTuple):
    """A fund's prices: divisor, display price, what its stakers earned since, stake price."""

    divisor: Fx64
    display: Fx64
    staker_yield: Fx64
    stake: Fx64


class Sample(NamedTuple):
    """What a pass saw of a fund."""

    nav: int
    display: Fx64
    stake: Fx64


class Sums(NamedTuple):
    """What a pass has added up: weights, and weighted gains of both prices."""

    weight: int
    bag: Fx64
    stake: Fx64


NO_SUMS = Sums(0, 0, 0)


def raw_price(nav: int, shares: int) -> Fx64:
    """Worth of one share; 0 without shares."""
    return U64F64.safe_div(U64F64.from_int(nav), U64F64.from_int(shares))


def compounded(twr: Fx64, value: int, root_stake: int) -> Fx64:
    """The stakers' total return after a dividend worth `value` for all of `root_stake`."""
    gain = U64F64.safe_div(U64F64.from_int(value), U64F64.from_int(root_stake))
    return U64F64.mul(twr, U64F64.add(ONE, gain))


def first_divisor(raw: Fx64, bag_level: Fx64) -> Fx64:
    """The divisor that puts a raw price on the index; at least the smallest number."""
    divisor = U64F64.checked_div(raw, bag_level)
    return (raw if divisor is None else divisor) or 1


def marks(base: Baseline, raw: Fx64, rate: Fx32, twr: Fx64) -> Marks:
    """Prices of a fund with a baseline."""
    divisor = base.divisor or ONE
    gained = max(I96F32.sub(rate, base.rate), 0)
    return Marks(
        divisor,
        _over(raw, divisor),
        U64F64.mul(U64F64.from_bits(gained, I96F32), raw),
        U64F64.mul(twr, base.splice),
    )


def provisional(raw: Fx64, bag_level: Fx64, stake_level: Fx64) -> Marks:
    """Prices of a fund without a baseline: those of the indices."""
    divisor = U64F64.safe_div(raw, bag_level, ONE) or ONE
    return Marks(divisor, _over(raw, divisor), 0, stake_level)


def _over(raw: Fx64, divisor: Fx64) -> Fx64:
    price = U64F64.checked_div(raw, divisor)
    return raw if price is None else price


def chained(sums: Sums, before: Sample, now: Sample) -> Sums:
    """Add what a fund gained between two passes; small funds and overflows are left out."""
    if before.nav < MIN_INDEX_NAV or now.nav < MIN_INDEX_NAV:
        return sums
    bag = U64F64.checked_div(now.display, before.display)
    stake = U64F64.checked_div(now.stake, before.stake)
    if bag is None or stake is None:
        return sums
    weight = U64F64.from_int(before.nav)
    return Sums(
        sums.weight + before.nav,
        U64F64.add(sums.bag, U64F64.mul(weight, bag)),
        U64F64.add(sums.stake, U64F64.mul(weight, stake)),
    )


def levels(before: tuple[Fx64, Fx64], sums: Sums) -> tuple[Fx64, Fx64]:
    """Both indices after a pass; a level that would become zero stays."""
    if not sums.weight:
        return before
    weight = U64F64.from_int(sums.weight)
    bag = U64F64.mul(before[0], U64F64.safe_div(sums.bag, weight, ONE))
    stake = U64F64.mul(before[1], U64F64.safe_div(sums.stake, weight, ONE))
    return bag or before[0], stake or before[1]
