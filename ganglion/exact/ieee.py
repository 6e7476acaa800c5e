"""Exponential and logarithm out of single IEEE operations, so every machine gets the same bits.

Library functions differ between processors and numpy builds in the last place; sums, products
and quotients of float64 do not.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.int64]

LN2 = 0.6931471805599453
ROUND = 1.5 * 2.0**52
STEPS = 1024  # the exponential's table has this many entries to an octave


@cache
def exp_table() -> tuple[Bits, float, float]:
    """The bits of 2**(i/STEPS) for one octave, STEPS/ln 2 and its inverse, correctly rounded."""
    with localcontext() as context:
        context.prec = 40
        ln2 = Decimal(2).ln()
        table = [float((ln2 * i / STEPS).exp()) for i in range(STEPS)]
        return np.array(table).view(np.int64), float(STEPS / ln2), float(ln2 / STEPS)


def exp(x: Floats) -> Floats:
    """The exponential to about ten digits; arguments are clamped to +-700.

    With n the integer nearest to x STEPS / ln 2, it is 2**(n/STEPS) (1 + r + r**2 / 2). Adding
    1.5 * 2**52 rounds to n and leaves n in the low bits of the sum; its upper part, shifted up,
    is added to the table's exponents.
    """
    table, per_unit, unit = exp_table()
    rest = np.clip(x, -700.0, 700.0)
    steps = rest * per_unit
    steps += ROUND
    n = steps.view(np.int64)
    scale = table.take(n & (STEPS - 1))
    octaves = n & -STEPS
    octaves <<= 53 - STEPS.bit_length()
    scale += octaves
    steps -= ROUND
    steps *= unit
    rest -= steps
    np.multiply(rest, 0.5, out=steps)
    steps += 1.0
    steps *= rest
    steps += 1.0
    steps *= scale.view(np.float64)
    return steps


def log(x: Floats) -> Floats:
    """The natural logarithm of positive normal numbers, to the last few bits.

    With x = m 2**e, m in [sqrt(1/2), sqrt(2)) and s = (m - 1) / (m + 1), it is
    e ln 2 + 2 (s + s**3 / 3 + s**5 / 5 + ...).
    """
    m, e = np.frexp(x)
    small = m < 0.7071067811865476
    m = np.where(small, m * 2.0, m)
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    series = np.full_like(s, 1.0 / 21.0)
    for odd in range(19, 0, -2):
        series *= square
        series += 1.0 / odd
    total: Floats = (e - small) * LN2 + s * series * 2.0
    return total
