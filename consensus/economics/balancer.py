"""The weighted two-asset pool ("balancer") of a subnet: price, curve, weights.

x is the alpha reserve (base), y the TAO reserve (quote), and the two weights sum to one, so only
the quote weight is kept. The price of one alpha is (w_base / w_quote) * (y / x). Weights are
Perquintill: parts of 10^18.

Upstream: pallets/swap/src/pallet/balancer.rs
"""

from __future__ import annotations

from typing import NamedTuple

from consensus.economics.fixed import Fx64, clamp_u128, ratio64, scaled64
from consensus.economics.power import power
from ganglion.fixed import U64_MAX, U64F64, U128_MAX, clamp_u64

ACCURACY = 10**18
"""One, in Perquintill; also the number of digits the curve is evaluated to."""
HALF = ACCURACY // 2
MIN_WEIGHT = ACCURACY // 100

CURVE_BITS = 256
LIMIT_BITS = 1024


class Pool(NamedTuple):
    """Reserves of a subnet's pool and the weight of its TAO side."""

    tao: int
    alpha: int
    quote_weight: int = HALF

    @property
    def base_weight(self) -> int:
        """Weight of the alpha side, in parts of 10^18."""
        return ACCURACY - self.quote_weight

    def price(self) -> Fx64:
        """TAO for one alpha at the margin; 0 when the pool holds no alpha."""
        return spot_price(self.tao, self.alpha, self.quote_weight)


def spot_price(tao: int, alpha: int, quote_weight: int) -> Fx64:
    """TAO for one alpha at the margin of these reserves; 0 without alpha."""
    if alpha == 0 or quote_weight == 0:
        return 0
    # two truncated quotients and a truncated product: one fraction gives other last bits
    weights = ((ACCURACY - quote_weight) << 64) // quote_weight
    price = weights * ((tao << 64) // alpha) >> 64
    return price if price < U128_MAX else U128_MAX


def ratio_to_weight(part: int, whole: int) -> int:
    """part/whole in Perquintill, rounded down; one when `whole` is 0 or smaller than `part`."""
    if whole == 0 or part > whole:
        return ACCURACY
    return ACCURACY * part // whole


def weighted(weight: int, value: int) -> int:
    """`value * weight` rounded half up, in u128."""
    return clamp_u128((value * weight + ACCURACY // 2) // ACCURACY)


def is_weight_allowed(quote_weight: int) -> bool:
    """Whether both sides keep at least one percent of the weight."""
    return MIN_WEIGHT <= quote_weight <= ACCURACY - MIN_WEIGHT


def scaled_reserve(quote_weight: int, reserve: int, delta: int, *, base_to_quote: bool) -> Fx64:
    """(x / (x + dx)) ^ (w_in / w_out): what a trade leaves of the other reserve, as a fraction.

    `base_to_quote` is a sale of alpha (x is the alpha reserve), otherwise x is the TAO reserve.
    Never above one for a positive `delta`; 0 when it does not fit 64 bits.
    """
    moved = clamp_u64(reserve + delta)
    if moved == 0:
        return 0
    base = ACCURACY - quote_weight
    exponent = (base, quote_weight) if base_to_quote else (quote_weight, base)
    result = power(reserve, moved, *exponent, CURVE_BITS, ACCURACY)
    if result is None or result > U64_MAX:
        return 0
    fraction = ratio64(result, ACCURACY)
    return min(fraction, U64F64.one) if delta >= 0 else fraction


def alpha_for_tao(pool: Pool, tao: int) -> int:
    """Alpha that `tao` buys on the curve, without fee."""
    left = scaled_reserve(pool.quote_weight, pool.tao, tao, base_to_quote=False)
    return scaled64(pool.alpha, U64F64.one - left)


def tao_for_alpha(pool: Pool, alpha: int) -> int:
    """TAO that `alpha` sells for on the curve, without fee."""
    left = scaled_reserve(pool.quote_weight, pool.alpha, alpha, base_to_quote=True)
    return scaled64(pool.tao, U64F64.one - left)


def alpha_to_get_tao(pool: Pool, tao: int) -> int:
    """Alpha to sell so that `tao` comes out; 0 once the ratio leaves 64 bits."""
    grown = scaled_reserve(pool.quote_weight, pool.tao, -tao, base_to_quote=False)
    return scaled64(pool.alpha, U64F64.sub(grown, U64F64.one))


def _growth(num: int, den: int, weight: int) -> Fx64:
    """(num/den)^weight - 1, not below 0: how far a reserve moves between two prices."""
    result = power(num, den, weight, ACCURACY, LIMIT_BITS, ACCURACY)
    ratio = ratio64(clamp_u64(result or 0), ACCURACY)
    return U64F64.sub(ratio, U64F64.one)


def tao_to_reach(quote_weight: int, current: Fx64, target: Fx64, tao_reserve: int) -> int:
    """TAO to put in so that the price rises from `current` to `target`; 0 if it cannot."""
    if current == 0 or target < current:
        return 0
    growth = _growth(target, current, ACCURACY - quote_weight)
    return scaled64(tao_reserve, growth)


def alpha_to_reach(quote_weight: int, current: Fx64, target: Fx64, alpha_reserve: int) -> int:
    """Alpha to put in so that the price falls from `current` to `target`; 0 if it cannot."""
    if target == 0:
        return 0
    growth = _growth(current, target, quote_weight)
    return scaled64(alpha_reserve, growth)


def weight_after_injection(pool: Pool, tao: int, alpha: int) -> int | None:
    """The quote weight that keeps the price when `tao` and `alpha` join the reserves.

    None when a weight would fall under one percent: the injection is refused then.
    """
    base_side = weighted(pool.base_weight, clamp_u128(pool.tao * clamp_u128(pool.alpha + alpha)))
    quote_side = weighted(pool.quote_weight, clamp_u128(pool.alpha * clamp_u128(pool.tao + tao)))
    total = clamp_u128(base_side + quote_side)
    new = HALF if total == 0 else ratio_to_weight(quote_side, total)
    return new if is_weight_allowed(new) else None


def weight_for_price(tao: int, alpha: int, price: Fx64) -> int | None:
    """The quote weight at which these reserves trade at `price`; None when out of balance."""
    whole = U64F64.to_u64(price) * alpha
    part = scaled64(alpha, price & (U64F64.one - 1))
    total = clamp_u128(clamp_u128(whole + part) + tao)
    if total == 0:
        return None
    weight = ratio_to_weight(tao, total)
    return weight if is_weight_allowed(weight) else None
