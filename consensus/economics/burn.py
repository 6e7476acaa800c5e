"""The price of a registration: it jumps with each one and halves over time.

Upstream: pallets/subtensor/src/subnets/registration.rs, utils/misc.rs
"""

from __future__ import annotations

from functools import lru_cache

from consensus.economics.fixed import Fx64, scaled64
from ganglion.fixed import U64_MAX, U64F64

Q32_ONE = 1 << 32


def q32_mul(value: int, factor: int) -> int:
    """`value` times a factor with 32 fractional bits, in u64."""
    return min((value * factor) >> 32, U64_MAX)


def q32_pow(base: int, exponent: int) -> int:
    """base^exponent with 32 fractional bits, truncated at every product."""
    result = Q32_ONE
    while exponent:
        if exponent & 1:
            result = q32_mul(result, base)
        exponent >>= 1
        if exponent:
            base = q32_mul(base, base)
    return result


@lru_cache(maxsize=256)
def decay_factor(half_life: int) -> int:
    """The factor a block that halves the price in `half_life` blocks; one for 0."""
    if half_life == 0:
        return Q32_ONE
    low, high = 0, Q32_ONE
    while low + 1 < high:
        middle = (low + high) // 2
        if q32_pow(middle, half_life) > Q32_ONE // 2:
            high = middle
        else:
            low = middle
    return low


def clamped(burn: int, minimum: int, maximum: int) -> int:
    """The price within its bounds; the maximum wins when they cross."""
    return min(max(burn, minimum), maximum)


def decayed(burn: int, half_life: int, block: int) -> int:
    """The price one block later, not clamped; unchanged in block 1 and for half-life 0."""
    return q32_mul(burn, decay_factor(half_life)) if block > 1 and half_life else burn


def raised(burn: int, multiplier: Fx64) -> int:
    """The price after a registration, not clamped; a multiplier below one counts as one."""
    return scaled64(burn, max(multiplier, U64F64.one))
