"""Root baskets: a validator's fund, its shares, and the bounds of its trades. Whole numbers only.

A fund is worth what its holdings would bring if they were sold now (its net asset value, NAV).
Shares are minted and redeemed at NAV, so nobody who was in before gains or loses by it. Dividends
mint shares for all root stakers at once, by a rate per unit of root stake.

Upstream: pallets/subtensor/src/staking/{claim_root,basket_views,basket_trade}.rs
"""

from __future__ import annotations

from consensus.economics.fixed import Fx32, Fx64
from ganglion.fixed import I96F32, U16_MAX, U64_MAX, U64F64
from ganglion.units import RAO_PER_TAO

DUST_DIVISOR = 100
"""Shares of a fund that is worth nothing count as dust up to a hundredth of a new deposit."""

REFILL_BLOCKS = 7_200
"""Blocks in which an empty turnover bucket fills up."""
BPS = 10_000
MAX_SLIPPAGE_BPS = 200
"""How far a trade may move away from its reference price."""
FAST_HALF_LIFE = 600
"""Blocks in which the fast moving price halves its distance to the pool's."""
LN_2: Fx64 = 0x162E42FEFA39EF << 11
"""The natural logarithm of 2, as precise as a double."""
I128_MAX = (1 << 127) - 1


def mul_div(a: int, b: int, whole: int) -> int:
    """a * b / whole of u64s, rounded down, at most u64; 0 when `whole` is 0."""
    return min(a * b // whole, U64_MAX) if whole else 0


def clamp_i128(value: int) -> int:
    """`value` moved into i128."""
    return max(-I128_MAX - 1, min(value, I128_MAX))


# --- shares ------------------------------------------------------------------------------------


def shares_for(value: int, nav: int, shares: int) -> int:
    """Shares to mint for `value` that enters a fund worth `nav` with `shares` outstanding.

    The first deposit mints one share for a rao. A fund that is worth nothing starts anew the same
    way if its old shares are dust beside the deposit; otherwise there is no price: 0.
    """
    if shares == 0:
        return value
    if nav == 0:
        return value if shares <= value // DUST_DIVISOR else 0
    return mul_div(value, shares, nav)


def payout(owed: int, nav: int, shares: int) -> int:
    """What `owed` of `shares` shares are worth; never more than the fund."""
    return min(mul_div(owed, nav, shares), nav)


def rate_increment(shares: int, root_stake: int) -> Fx32:
    """How much `shares` add to the shares that one unit of root stake ever earned (I96F32)."""
    return I96F32.safe_div(I96F32.from_int(shares), I96F32.from_int(root_stake))


def owed_shares(rate: Fx32, root_stake: int, claimed: int) -> int:
    """Shares that a staker can redeem: earned by root stake, less the (signed) watermark."""
    earned = I96F32.mul(rate, I96F32.from_int(root_stake))
    return I96F32.to_u64(I96F32.sub(earned, I96F32.from_int(claimed)))


def rebased(claimed: int, rate: Fx32, change: int) -> int:
    """The watermark after root stake changed by `change`: what was owed stays owed."""
    moved = I96F32.to_int(I96F32.mul(rate, I96F32.from_int(change)))
    return clamp_i128(claimed + moved)


# --- trades ------------------------------------------------------------------------------------


def budget(nav: int, cap: int) -> int:
    """TAO that a fund's turnover bucket holds when full; `cap` in units of 1/65535."""
    return mul_div(nav, cap, U16_MAX)


def bucket_level(stored: tuple[int, int] | None, now: int, full: int) -> int:
    """TAO left in a bucket: (level, block) as stored, refilled since; never traded means full."""
    if stored is None:
        return full
    level, block = stored
    refilled = mul_div(full, max(now - block, 0), REFILL_BLOCKS)
    return min(level + refilled, full)


def is_within(part: int, whole: int, cap: int) -> bool:
    """Whether part / whole is at most cap / 65535."""
    return part * U16_MAX <= cap * whole


def binding_cap(cap: int, subnets: int) -> int | None:
    """The concentration cap, or None while there are too few subnets to keep to it."""
    return cap if subnets >= -(-U16_MAX // max(cap, 1)) else None


def guarded(worth: int, alpha: int, moving_price: Fx64) -> int:
    """A holding's worth, at most its alpha at the slow moving price, which no block can move."""
    at_moving = U64F64.to_u64(U64F64.mul(moving_price, U64F64.from_int(alpha)))
    return min(worth, at_moving)


def buy_ceiling(slow: Fx64, fast: Fx64, spot: Fx64) -> Fx64:
    """The highest price at which a fund may buy: two per cent over the lowest of three."""
    return _shifted(min(slow, fast, spot), BPS + MAX_SLIPPAGE_BPS)


def sell_floor(slow: Fx64, fast: Fx64, spot: Fx64) -> Fx64:
    """The lowest price at which a fund may sell: two per cent under the highest of three."""
    return _shifted(max(slow, fast, spot), BPS - MAX_SLIPPAGE_BPS)


def _shifted(price: Fx64, bps: int) -> Fx64:
    return U64F64.safe_div(U64F64.mul(price, U64F64.from_int(bps)), U64F64.from_int(BPS))


def in_rao(price: Fx64) -> int:
    """A price as a limit: rao for one whole alpha, rounded down."""
    return U64F64.to_u64(U64F64.mul(price, U64F64.from_int(RAO_PER_TAO)))


def fast_price(before: Fx64 | None, spot: Fx64) -> Fx64:
    """The fast moving price after a block; it starts at the pool's price."""
    if before is None:
        return spot
    weight = U64F64.safe_div(LN_2, U64F64.from_int(FAST_HALF_LIFE))
    step = U64F64.mul(abs(spot - before), weight)
    return U64F64.add(before, step) if spot >= before else U64F64.sub(before, step)
