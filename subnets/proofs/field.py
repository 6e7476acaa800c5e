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
    """Coefficients, constant term first, of the polynomial of least degree through (x, y).

    The x must differ modulo PRIME. Newton's divided differences, then Horner's expansion.
    """
    x, divided = x % PRIME, y % PRIME
    count, inverse = len(x), inverse_table()
    for order in range(1, count):
        gaps = (x[order:] - x[: count - order]) % PRIME
        steps = divided[order:] - divided[order - 1 : -1]
        divided[order:] = steps * inverse[gaps] % PRIME
    coefficients = np.zeros(count, np.int64)
    for k in range(count - 1, -1, -1):
        raised = x[k] * -coefficients
        raised[1:] += coefficients[:-1]
        raised[0] += divided[k]
        coefficients = raised % PRIME
    return coefficients


def evaluate(coefficients: Ints, x: Ints) -> Ints:
    """The polynomial's values at x, by Horner's rule."""
    x, result = x % PRIME, np.zeros(len(x), np.int64)
    for c in coefficients[::-1]:
        result = (result * x + int(c)) % PRIME
    return result
