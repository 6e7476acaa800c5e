"""One trade against a subnet's pool: fee, price limit, partial fill.

The outcome only says what would move; whoever holds the reserves moves it.

Upstream: pallets/swap/src/pallet/{impls,swap_step}.rs
"""

from __future__ import annotations

from enum import Enum, StrEnum
from functools import lru_cache
from typing import NamedTuple

from consensus.economics.balancer import (
    Pool,
    alpha_for_tao,
    alpha_to_reach,
    spot_price,
    tao_for_alpha,
    tao_to_reach,
)
from consensus.economics.fixed import Fx64, ratio64, scaled64
from ganglion.fixed import U16_MAX, U64_MAX, U64F64, clamp_u64
from ganglion.units import RAO_PER_TAO

MINIMUM_RESERVE = 1_000_000
INPUT_TO_RESERVE_LIMIT = 1_000
"""A trade may bring in at most this many times the reserve it joins."""
DEFAULT_FEE_RATE = 33
MAX_FEE_RATE = 10_000
MAX_PRICE = 10**15
MIN_PRICE = 1_000
"""Widest limits of a trade, in rao for one whole alpha."""


class Side(StrEnum):
    """Which token the trader brings."""

    BUY = "buy"
    """TAO in, alpha out."""
    SELL = "sell"
    """Alpha in, TAO out."""


BUY = Side.BUY
"""Named once: looking a member up at its class takes longer than what follows from it."""


class Refusal(Enum):
    """Why a trade cannot happen; the values are the chain's error names."""

    SwapInputTooLarge = "SwapInputTooLarge"
    ReservesTooLow = "ReservesTooLow"
    PriceLimitExceeded = "PriceLimitExceeded"


class Trade(NamedTuple):
    """What a trade moves: the pool gains `paid_in` and loses `paid_out`; `fee` comes on top."""

    paid_in: int
    paid_out: int
    fee: int
    fee_to_author: int


def fee_for(rate: int, amount: int) -> int:
    """Fee inside a gross `amount`, in the token brought; `rate` is parts of 65535."""
    return scaled64(amount, ratio64(rate, U16_MAX))


def fee_on_top(rate: int, net: int) -> int:
    """Fee to add to a `net` amount; 0 for the rate 65535, which has no gross amount."""
    return scaled64(net, ratio64(rate, U16_MAX - rate))


def limit_price(rao_per_alpha: int) -> Fx64:
    """A limit given in rao for one whole alpha, as TAO for one alpha."""
    return ratio64(rao_per_alpha, RAO_PER_TAO)


def default_limit(side: Side) -> int:
    """The limit that stops no ordinary trade, in rao for one whole alpha."""
    return MAX_PRICE if side is BUY else MIN_PRICE


def output(pool: Pool, side: Side, net: int) -> int:
    """What comes out of the pool for `net` coming in."""
    return alpha_for_tao(pool, net) if side is BUY else tao_for_alpha(pool, net)


def price_after(pool: Pool, side: Side, net: int, out: int) -> Fx64:
    """Price once `net` has been traded in full for `out`."""
    if side is BUY:
        tao, alpha = pool.tao + net, pool.alpha - out
    else:
        tao, alpha = pool.tao - out, pool.alpha + net
    return spot_price(clamp_u64(tao), clamp_u64(alpha), pool.quote_weight)


def input_to_reach(pool: Pool, side: Side, current: Fx64, target: Fx64) -> int:
    """What to bring in to move the price from `current` to `target`."""
    if side is BUY:
        return tao_to_reach(pool.quote_weight, current, target, pool.tao)
    return alpha_to_reach(pool.quote_weight, current, target, pool.alpha)


@lru_cache(maxsize=64)  # a call looks at its trade before it makes it
def trade(pool: Pool, side: Side, amount: int, limit: Fx64, fee_rate: int = 0) -> Trade | Refusal:
    """Trade `amount` (fee included) until it is used up or the price reaches `limit`.

    `fee_rate` 0 drops the fee. An unlimited trade uses the whole amount; one stopped by its limit
    uses what moves the price there and pays its fee on that.
    """
    reserve_in, reserve_out = (pool.tao, pool.alpha) if side is BUY else (pool.alpha, pool.tao)
    fee = fee_for(fee_rate, amount)
    net = clamp_u64(amount - fee)
    if net > clamp_u64(reserve_in * INPUT_TO_RESERVE_LIMIT):
        return Refusal.SwapInputTooLarge
    if reserve_out < MINIMUM_RESERVE:
        return Refusal.ReservesTooLow
    current = pool.price()
    if not (current < limit if side is BUY else current > limit):
        return Refusal.PriceLimitExceeded

    paid_in, paid_out = net, output(pool, side, net)
    target = price_after(pool, side, paid_in, paid_out)
    if not (target <= limit if side is BUY else target >= limit):
        paid_in = input_to_reach(pool, side, current, limit)
        fee = fee_on_top(fee_rate, paid_in)
        paid_out = output(pool, side, paid_in)
    if paid_in == 0:
        return Trade(0, paid_out, fee, 0)
    if paid_out == 0:
        return Refusal.ReservesTooLow
    return Trade(paid_in, paid_out, fee, fee_to_author=fee)


def alpha_worth(price: Fx64, tao: int) -> int:
    """Alpha worth `tao` at the margin, ignoring slippage; 0 at price 0."""
    return U64F64.to_u64(U64F64.safe_div(U64F64.from_int(tao), price))


def largest_move(origin: Pool, destination: Pool, limit: int) -> int:
    """Alpha that may move between two pools before their price ratio falls to `limit` (x 10^9).

    Pools count as equally weighted here and fees are left out, as in the reference.
    """
    if 0 in (origin.tao, origin.alpha, destination.tao, destination.alpha):
        return 0
    ratio_limit = limit_price(limit)
    if ratio_limit > U64F64.safe_div(origin.price(), destination.price()):
        return 0
    if ratio_limit == 0:
        return U64_MAX
    both = U64F64.add(U64F64.from_int(origin.tao), U64F64.from_int(destination.tao))
    origin_part = U64F64.safe_div(U64F64.from_int(origin.tao), both)
    there = U64F64.mul(U64F64.from_int(destination.alpha), origin_part)
    destination_part = U64F64.safe_div(U64F64.from_int(destination.tao), both)
    here = U64F64.mul(U64F64.from_int(origin.alpha), destination_part)
    return U64F64.to_u64(U64F64.sub(U64F64.safe_div(there, ratio_limit), here))


def inverted_limit(limit: int) -> int:
    """A price limit (x 10^9) seen from the other token."""
    return scaled64(RAO_PER_TAO, ratio64(RAO_PER_TAO, limit))
