"""The scalar functions of the epoch on I32F32 raw bits (value = bits / 2^32).

Products floor, quotients truncate toward zero, both as the chain's fixed-point type does.
Upstream: pallets/subtensor/src/epoch/math.rs; exp is that of the crate substrate-fixed.
"""

from __future__ import annotations

from collections.abc import Sequence

from ganglion.fixed import I64_MAX, I64_MIN, U16_MAX, clamp_u16, trunc_div

ONE = 1 << 32
HALF = 1 << 31

EXP_LIMIT = 20 * ONE
"""Arguments of `exp_safe` are clamped to [-20, 20]."""

EXP_OF_ONE = 22_802_600 * 512
"""exp(1) is a constant with 23 significant bits, not the value of the series."""

EXP_TERMS = 31
"""The series stops before x^32 / 32!: far from exact near 20, and that is the rule."""


def clamp(bits: int) -> int:
    """Saturate to the 64 bits of an I32F32."""
    return I64_MAX if bits > I64_MAX else I64_MIN if bits < I64_MIN else bits


def mul(a: int, b: int) -> int:
    """Floored product, saturating."""
    return clamp((a * b) >> 32)


def safe_div(a: int, b: int) -> int:
    """Truncated quotient; 0 for a zero divisor, and 0 (not the limit) on overflow."""
    if b == 0:
        return 0
    q = trunc_div(a << 32, b)
    return q if I64_MIN <= q <= I64_MAX else 0


def sat_div(a: int, b: int) -> int:
    """Truncated quotient, saturating; the divisor must not be 0."""
    return clamp(trunc_div(a << 32, b))


def to_u16(x: int) -> int:
    """A proportion in [0, 1] as u16, floored: what the chain stores and shows."""
    return clamp_u16(clamp(x * U16_MAX) >> 32)


def exp_safe(x: int) -> int:
    """e^x by the chain's own series."""
    x = max(-EXP_LIMIT, min(EXP_LIMIT, x))
    if x == 0:
        return ONE
    if x == ONE:
        return EXP_OF_ONE
    a = abs(x)
    total, term = a + ONE, a
    for i in range(2, EXP_TERMS + 1):
        term = ((term * a) >> 32) // i
        total += term
    return (1 << 64) // total if x < 0 else total


def alpha_sigmoid(
    consensus: int, weight: int, bond: int, low: int, high: int, steepness: int
) -> int:
    """Liquid alpha of one validator and miner: how fast the bond follows the weight.

    Buying (weight >= bond) looks at weight over consensus, selling at bond over weight; the
    difference goes through a logistic curve from `low` to `high`. All arguments are raw bits.
    """
    gap = weight - consensus if weight >= bond else bond - weight
    gap = max(0, min(ONE, gap))
    slope = sat_div(steepness, -100 * ONE)
    sigmoid = sat_div(ONE, clamp(ONE + exp_safe(mul(slope, gap - HALF))))
    alpha = clamp(low + mul(sigmoid, high - low))
    return max(low, min(high, alpha))


def normalise(v: Sequence[int]) -> list[int]:
    """Each element over the sum; unchanged when the sum is 0."""
    total = sum(v)
    return list(v) if total == 0 else [safe_div(x, total) if x else 0 for x in v]


def max_upscale(values: Sequence[int]) -> list[int]:
    """Scale u16 values so that the largest becomes 65535, rounding half up; zeros stay zeros."""
    top = max(values, default=0)
    if top == 0:
        return [0] * len(values)
    if top > 1 << 15:
        factor = (U16_MAX << 32) // top
        scaled = [v * factor for v in values]
    else:
        scaled = [((v * U16_MAX) << 32) // top for v in values]
    return [min(U16_MAX, (y + HALF) >> 32) for y in scaled]
