"""Polynomials over the integers modulo a prime near 2**16, in numpy.

Products of two residues stay below 2**32 and sums of 128 of them below 2**39, so int64 never
overflows.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

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

    The last axis counts the points; the x of one polynomial must differ modulo PRIME. Newton's
    divided differences, then Horner's expansion.
    """
    x, divided = x % PRIME, y % PRIME
    count, inverse = x.shape[-1], inverse_table()
    for order in range(1, count):
        gaps = (x[..., order:] - x[..., : count - order]) % PRIME
        steps = divided[..., order:] - divided[..., order - 1 : -1]
        steps *= inverse[gaps]
        divided[..., order:] = steps % PRIME
    coefficients = np.zeros_like(x)
    for k in range(count - 1, -1, -1):
        raised = coefficients * -x[..., k, None]
        raised[..., 1:] += coefficients[..., :-1]
        raised[..., 0] += divided[..., k]
        coefficients = raised % PRIME
    return coefficients


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
