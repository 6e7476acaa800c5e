"""Polynomials over the integers modulo a prime near 2**16, in numpy.

Products of two residues stay below 2**32 and sums of 128 of them below 2**39: int64 never
overflows, and float64 holds them exactly, in whatever order its matrix products add.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

PRIME = 65_497
"""The modulus of the published format, 0xFFD9: every finite bfloat16 pattern lies below it."""

Ints = npt.NDArray[np.int64]
GROUP = 8


@cache
def inverse_table() -> Ints:
    """The multiplicative inverse of every residue (0 for 0), by Fermat's little theorem."""
    power, exponent = np.arange(PRIME, dtype=np.int64), PRIME - 2
    result = np.ones(PRIME, np.int64)
    while exponent:
        if exponent & 1:
            result = result * power % PRIME
        power = power * power % PRIME
        exponent >>= 1
    return result


def interpolate(x: Ints, y: Ints) -> Ints:
    """Coefficients, constant term first, of the polynomials of least degree through (x, y).

    The last axis counts the points, at most 2**21; the x of one polynomial must differ modulo
    PRIME. By Lagrange: with m the product of all (t - x_i), the polynomial is the sum of
    w_i m / (t - x_i), w_i = y_i / m'(x_i), whose coefficient j is the sum over k of
    m_(j+1+k) s_k, s_k being the sum of w_i x_i**k. So everything is a product of matrices of
    residues, exact in float64.
    """
    x, count = x % PRIME, x.shape[-1]
    product, powers = _product(x), _powers(x)
    slope = _times(product[..., None, 1:] * np.arange(1, count + 1) % PRIME, powers)[..., 0, :]
    weights = y % PRIME * inverse_table()[slope] % PRIME
    sums = _times(powers, weights[..., None])
    padded = np.zeros((*x.shape[:-1], 2 * count - 1), np.int64)
    padded[..., :count] = product[..., 1:]
    result: Ints = _times(sliding_window_view(padded, count, -1), sums)[..., 0]
    return result


def _times(a: Ints, b: Ints) -> Ints:
    """The matrix product of residues; at most 2**21 terms a sum."""
    product: Ints = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)
    product %= PRIME
    return product


def _product(x: Ints) -> Ints:
    """Coefficients [..., n + 1] of the product of all t - x_i, x [..., n]: pairs are multiplied,
    then pairs of those."""
    count = x.shape[-1]
    factors = np.zeros((*x.shape[:-1], 1 << (count - 1).bit_length(), 2), np.int64)
    factors[..., 0] = 1  # those beyond `count` are 1
    factors[..., :count, 0], factors[..., :count, 1] = -x % PRIME, 1
    while factors.shape[-2] > 1:
        first, second, size = factors[..., ::2, :], factors[..., 1::2, :], factors.shape[-1]
        padded = np.zeros((*first.shape[:-1], 3 * size - 2), np.int64)
        padded[..., size - 1 : 2 * size - 1] = second
        shifted = sliding_window_view(padded, size, -1)[..., ::-1]
        factors = _times(shifted, first[..., None])[..., 0]
    return factors[..., 0, : count + 1]


def _powers(x: Ints) -> Ints:
    """Powers 0 to n - 1 [..., n, n] of x [..., n], a row each; known rows give as many more."""
    count = x.shape[-1]
    powers = np.ones((*x.shape[:-1], count, count), np.int64)
    known, step = 1, x
    while known < count:
        more = min(known, count - known)
        powers[..., known : known + more, :] = powers[..., :more, :] * step[..., None, :] % PRIME
        known, step = known + more, step * step % PRIME
    return powers


def evaluate(coefficients: Ints, x: Ints) -> Ints:
    """The values [..., n] of polynomials [..., terms] at x [..., n], eight terms at a time.

    A group's value is a product of matrices below 2**35, which float64 holds exactly; groups
    are joined by Horner's rule in x**8.
    """
    x, terms = x % PRIME, coefficients.shape[-1]
    powers = np.ones((*x.shape[:-1], GROUP, x.shape[-1]), np.int64)
    for k in range(1, GROUP):
        powers[..., k, :] = powers[..., k - 1, :] * x % PRIME
    step = powers[..., -1, :] * x % PRIME
    groups = np.zeros((*coefficients.shape[:-1], -(-terms // GROUP), GROUP))
    groups.reshape(*coefficients.shape[:-1], -1)[..., :terms] = coefficients
    parts = (groups @ powers.astype(np.float64)).astype(np.int64)
    result = parts[..., -1, :] % PRIME
    for k in range(parts.shape[-2] - 2, -1, -1):
        result *= step
        result += parts[..., k, :]
        result %= PRIME
    return result
