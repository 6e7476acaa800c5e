"""Arithmetic that gives the same bits everywhere, at the speed of ordinary matrix libraries.

A sum of floats depends on its order, and every BLAS, thread count and batch size has its own.
A sum of *integers* below 2**53 does not: held in float64 it is exact in any order, fused or
not. So operands are rounded to integers times a power of two first (per row for activations,
per matrix for weights), with as many bits as the length of the sum allows. What is left is
single IEEE operations on elements, which are the same on every machine, and functions made of
them. Accuracy is that of float32.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np

from subnets.proofs.ieee import Floats, exp

MANTISSA = 53
WEIGHT_BITS = 21


def ceil_log2(n: int) -> int:
    """The least k with 2**k >= n."""
    return (n - 1).bit_length()


def activation_bits(terms: int) -> int:
    """Bits left for activations in a sum of `terms` products with weights."""
    return MANTISSA - WEIGHT_BITS - ceil_log2(terms)


def quantise(x: Floats, bits: int) -> tuple[Floats, Floats]:
    """Integers of magnitude at most 2**bits and, per last-axis row, the power of two they count.

    `x` is about `q * scale`, `scale` having a last axis of length one.
    """
    largest = np.maximum.reduce(np.abs(x), -1, keepdims=True)
    _, exponent = np.frexp(largest)
    exponent -= bits
    q = x * np.ldexp(1.0, -exponent)
    return np.rint(q, out=q), np.ldexp(1.0, exponent)


class Matrix:
    """A weight matrix [out, in] rounded to integers once, ready to multiply from the right."""

    def __init__(self, weights: Floats) -> None:
        self.terms = weights.shape[1]
        self.bits = activation_bits(self.terms)
        _, exponent = np.frexp(np.abs(weights).max())
        self.columns = np.ascontiguousarray(np.rint(np.ldexp(weights, WEIGHT_BITS - exponent)).T)
        self.scale = float(np.ldexp(1.0, exponent - WEIGHT_BITS))

    def apply(self, x: Floats) -> Floats:
        """x [n, in] to [n, out]; each output depends on its own row of x alone."""
        q, scale = quantise(x, self.bits)
        product: Floats = q @ self.columns
        product *= scale * self.scale
        return product


def rms_norm(x: Floats, weight: Floats, epsilon: float) -> Floats:
    """Root-mean-square normalisation of the last axis."""
    width = x.shape[-1]
    q, scale = quantise(x, (MANTISSA - ceil_log2(width)) // 2)
    mean = np.add.reduce(np.square(q), -1, keepdims=True) * (scale * scale) / width
    result: Floats = x * (1.0 / np.sqrt(mean + epsilon)) * weight
    return result


def silu(x: Floats) -> Floats:
    """x times its logistic."""
    return x / (exp(-x) + 1.0)


def softmax_parts(scores: Floats) -> tuple[Floats, Floats]:
    """exp(score - max) over the last axis, and its sum (kept axis).

    The sum is taken over integers of 30 fractional bits, so its order does not matter.
    """
    p = exp(scores - np.maximum.reduce(scores, -1, keepdims=True))
    counted = p * 2.0**30
    np.rint(counted, out=counted)
    return p, np.add.reduce(counted, -1, keepdims=True) * 2.0**-30


def _sin_cos(angle: Decimal, two_pi: Decimal) -> tuple[float, float]:
    """Sine and cosine by Taylor's series on a reduced angle, in decimal arithmetic."""
    r = angle % two_pi
    term, sums = Decimal(1), [Decimal(0), Decimal(0)]
    n = 0
    while n < 3 or abs(term) > Decimal("1e-22"):
        sums[n & 1] += -term if n & 2 else term
        n += 1
        term = term * r / n
    return float(sums[1]), float(sums[0])


def rotary_tables(positions: int, width: int, theta: float) -> tuple[Floats, Floats]:
    """Cosines and sines [positions, width / 2] of rotary position embedding.

    The angle of position p in dimension i is p * theta**(-2 i / width); steps of one position
    and of 64 are computed in decimal and combined by the sum formulas in single operations.
    """
    half = width // 2
    coarse = -(-positions // 64)
    fine_at, coarse_at = np.empty((2, 64, half)), np.empty((2, coarse, half))
    with localcontext() as context:
        context.prec = 34
        two_pi = Decimal("6.2831853071795864769252867665590057683943387987502")
        log_theta = Decimal(theta).ln()
        for i in range(half):
            rate = (-log_theta * 2 * i / width).exp()
            for p in range(64):
                fine_at[:, p, i] = _sin_cos(rate * p, two_pi)
            for p in range(coarse):
                coarse_at[:, p, i] = _sin_cos(rate * p * 64, two_pi)
    (s, c), (S, C) = fine_at[:, None], coarse_at[:, :, None]
    cosine = (C * c - S * s).reshape(-1, half)[:positions]
    sine = (S * c + C * s).reshape(-1, half)[:positions]
    return cosine, sine
