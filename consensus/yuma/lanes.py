"""The scalar functions of the epoch on numpy uint64 lanes, the same to the bit.

Every argument that is a proportion lies in [0, ONE]; that bound is what makes 64 bits enough.
uint64 never meets int64 in one expression: numpy would answer in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from consensus.yuma import scalar

U64s = NDArray[np.uint64]
Bools = NDArray[np.bool_]

U = np.uint64
ONE = U(1 << 32)
_LOW = U((1 << 32) - 1)
_16, _32 = U(16), U(32)
_0, _1 = U(0), U(1)
_ALL = U((1 << 64) - 1)


def u64s(values: Any) -> U64s:
    """Python integers as lanes."""
    return np.array(values, dtype=np.uint64)


def mul(a: U64s, b: U64s | np.uint64) -> U64s:
    """Floored product of proportions; ONE * ONE alone wraps to 0, and alone shares bit 32."""
    product = a * b
    product >>= _32
    product += a & b & ONE
    return product


def divide(a: U64s, b: U64s) -> U64s:
    """Truncated quotient, where b = 0 leaves a; a at most 2^48, b below 2^48.

    Two steps of 16 bits: the remainder stays below b, so nothing is lost at the top.
    """
    b = np.where(b == _0, ONE, b)
    high = a << _16
    result = high // b
    high -= result * b
    high <<= _16
    high //= b
    result <<= _16
    result += high
    return result


def normalise(v: U64s) -> U64s:
    """Each element over the sum, unchanged when that is 0."""
    return divide(v, v.sum(dtype=np.uint64, keepdims=True))


def to_u16(x: U64s) -> U64s:
    """Proportions as u16, floored; still uint64 lanes."""
    return (x * U(65_535)) >> _32


def share_of(x: U64s, amount: int) -> U64s:
    """floor(x * amount / 2^32) for proportions x and a u64 amount: exact, since x <= ONE."""
    high, low = U(amount >> 32), U(amount & 0xFFFF_FFFF)
    return x * high + ((x * low) >> _32)


def shrink(weights: U64s, clipped: U64s, ratio: int) -> U64s:
    """weights + ratio * (clipped - weights), the negative product floored away from zero."""
    cut = (weights - clipped) * U(ratio)
    cut += _LOW
    cut >>= _32
    return weights - cut


def inverse(d: U64s) -> U64s:
    """floor(2^64 / d) for d > 1, though 2^64 itself does not fit."""
    quotient = _ALL // d
    quotient += (_ALL - quotient * d) == d - _1
    return quotient


def exp_safe(x: NDArray[np.int64]) -> U64s:
    """e^x by the chain's series; see `scalar.exp_safe`."""
    limit = np.int64(scalar.EXP_LIMIT)
    x = np.clip(x, -limit, limit)
    a = np.abs(x).astype(np.uint64)
    whole, part = a >> _32, a & _LOW
    term = a.copy()
    total = a + ONE
    for i in range(2, scalar.EXP_TERMS + 1):
        # term * a / 2^32 in pieces: term < 2^58 and a < 2^37, the result is below 2^63.
        low = (term & _LOW) * part
        low >>= _32
        low += (term >> _32) * part
        term *= whole
        term += low
        term //= U(i)
        total += term
    total[x == np.int64(scalar.ONE)] = U(scalar.EXP_OF_ONE)
    below = x < 0
    total[below] = inverse(total[below])
    return total


def alpha_sigmoid(
    consensus: U64s, weight: U64s, bond: U64s, low: int, high: int, steepness: int
) -> U64s:
    """Liquid alpha per lane; see `scalar.alpha_sigmoid`."""
    if low >= high:
        return np.full(weight.shape, low, dtype=np.uint64)
    above = np.where(weight > consensus, weight - consensus, _0)
    gap = np.where(weight >= bond, above, bond - weight)
    np.minimum(gap, ONE, out=gap)
    slope = scalar.sat_div(steepness, -100 * scalar.ONE)
    offset = gap.astype(np.int64) - np.int64(scalar.HALF)
    # slope * offset / 2^32, floored: |offset| <= 2^31 keeps both products inside int64.
    x = np.int64(slope >> 32) * offset + ((np.int64(slope & 0xFFFF_FFFF) * offset) >> np.int64(32))
    sigmoid = inverse(exp_safe(x) + ONE)
    alpha = mul(sigmoid, U(high - low))
    alpha += U(low)
    return np.minimum(alpha, U(high), out=alpha)
