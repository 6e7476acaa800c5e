"""Arithmetic that gives the same bits everywhere, at the speed of ordinary matrix libraries.

A sum of floats depends on its order, and every BLAS, thread count and batch size has its own.
A sum of *integers* below 2**53 does not: held in float64 it is exact in any order, fused or
not. So operands are rounded to integers times a power of two first (per row for activations,
per matrix for weights), with as many bits as the length of the sum allows. What is left is
single IEEE operations on elements, which are the same on every machine, and functions made of
them. Accuracy is that of float32.

Chains judge answers by this arithmetic (`ganglion/exact/referee.py`). Whoever changes one bit of a
result convicts honest miners of what they signed before: a test keeps it as it is.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ganglion.exact.ieee import Floats

MANTISSA = 53
WEIGHT_BITS = 21
FEW = 4  # rows whose maxima are found one by one

STEPS = 2048  # of the exponential's table, to an octave
STEPS_PER_UNIT = 2954.6394437405963  # STEPS / ln 2
SLOPE = 0.0003384507717577858  # ln 2 / STEPS
OCTAVE_SHIFT = 41  # 52 bits of mantissa less the 11 of STEPS
REACH = 700.0 * STEPS
WEIGHT_SCALE = 30
ROUND = 1.5 * 2.0**52

Bits = npt.NDArray[np.int64]


def ceil_log2(n: int) -> int:
    """The least k with 2**k >= n."""
    return (n - 1).bit_length()


def activation_bits(terms: int) -> int:
    """Bits left for activations in a sum of `terms` products with weights."""
    return MANTISSA - WEIGHT_BITS - ceil_log2(terms)


def row_maxima(x: Floats) -> Floats:
    """The largest value of every last-axis row, kept axis."""
    rows = x.reshape(-1, x.shape[-1])
    if len(rows) < FEW:
        found: Floats = np.maximum.reduce(rows, -1)
    else:  # numpy finds places several times faster than values
        found = rows[np.arange(len(rows)), rows.argmax(-1)]
    return found.reshape(*x.shape[:-1], 1)


def round_to_grid(x: Floats, most: Floats, bits: int, out: Floats | None = None) -> Floats:
    """`x` as integers of magnitude at most 2**bits, times a power of two that follows from `most`.

    `most` [..., 1] bounds the magnitudes. Adding 1.5 * 2**52 steps of the grid and taking them
    away again rounds to the nearest step, ties to even.
    """
    _, exponent = np.frexp(most)
    exponent += 52 - bits
    shift = np.ldexp(1.5, exponent)
    rounded = np.add(x, shift, out=out)
    rounded -= shift
    return rounded


def round_rows(x: Floats, bits: Any) -> Any:
    """Round `x` in place as `quantise` does; the exponents of the grids [..., 1]."""
    _, exponent = np.frexp(row_maxima(np.abs(x)))
    exponent -= bits
    shift = np.ldexp(1.5, exponent + 52)
    x += shift
    x -= shift
    return exponent


def quantise(x: Floats, bits: int) -> Floats:
    """`x` on a grid of its own for every last-axis row, `bits` bits below its largest magnitude."""
    return round_to_grid(x, row_maxima(np.abs(x)), bits)


class Matrix:
    """A weight matrix [out, in] rounded to one grid, ready to multiply from the right."""

    def __init__(self, weights: Floats) -> None:
        self.terms = weights.shape[1]
        self.bits = activation_bits(self.terms)
        rounded = round_to_grid(weights, np.abs(weights).max(keepdims=True), WEIGHT_BITS)
        self.columns = np.ascontiguousarray(rounded.T)

    def apply(self, x: Floats) -> Floats:
        """x [n, in] to [n, out]; each output depends on its own row of x alone."""
        product: Floats = quantise(x, self.bits) @ self.columns
        return product


def square_bits(width: int) -> int:
    """Bits left for values whose squares are added up."""
    return (MANTISSA - ceil_log2(width)) // 2


def normed_bits(width: int) -> int:
    """Bits left for values that are both squared and multiplied with weights; beyond 4,096 terms
    the product leaves fewer."""
    return min(square_bits(width), activation_bits(width))


def unit_scale(q: Floats, epsilon: float) -> Floats:
    """What brings rows of rounded values to a root mean square of one (kept axis)."""
    mean = np.einsum("ij,ij->i", q, q)[:, None] / q.shape[-1]
    mean += epsilon
    scale: Floats = 1.0 / np.sqrt(mean)
    return scale


def rms_norm(x: Floats, weight: Floats, epsilon: float) -> Floats:
    """Root-mean-square normalisation of the last axis."""
    result: Floats = x * unit_scale(quantise(x, square_bits(x.shape[-1])), epsilon)
    result *= weight
    return result


class NormedMatrix:
    """Root-mean-square normalisation and a weight matrix [out, in], with one rounding of x."""

    def __init__(self, norm: Floats, weights: Floats, epsilon: float) -> None:
        self.bits, self.epsilon = normed_bits(weights.shape[1]), epsilon
        self.columns = Matrix(weights * norm).columns

    def apply(self, x: Floats) -> Floats:
        """x [n, in] to [n, out]; each output depends on its own row of x alone."""
        q = quantise(x, self.bits)
        product: Floats = q @ self.columns
        product *= unit_scale(q, self.epsilon)
        return product


def gated(gate_up: Floats) -> Floats:
    """silu(gate) * up of the two halves of the last axis, that is gate / (1 + exp(-gate)) * up."""
    half = gate_up.shape[-1] // 2
    gate, up = gate_up[:, :half], gate_up[:, half:]
    steps = gate * -STEPS_PER_UNIT
    np.clip(steps, -REACH, REACH, out=steps)
    result = exp_of_steps(steps)
    result += 1.0
    np.divide(gate, result, out=result)
    result *= up
    return result


def softmax(scores: Floats, factors: Floats, bits: int) -> tuple[Floats, Floats]:
    """Softmax weights times `factors`, rounded to `bits`, and what to divide by (kept axis).

    `scores` [..., keys] count in steps of the exponential; they are overwritten. The weights
    are integers of 30 bits first, so that their sum has no order.
    """
    scores -= row_maxima(scores)
    np.clip(scores, -REACH, 0.0, out=scores)
    p = exp_of_steps(scores, WEIGHT_SCALE)
    np.rint(p, out=p)
    total: Floats = p @ np.ones((p.shape[-1], 1))
    p *= factors
    return round_to_grid(p, row_maxima(p), bits, out=p), total


@cache
def exp_table() -> Bits:
    """The bits of 2**(i / STEPS) for one octave, correctly rounded, less i's place in them."""
    with localcontext() as context:
        context.prec = 40
        ln2 = Decimal(2).ln()
        powers = np.array([float((ln2 * i / STEPS).exp()) for i in range(STEPS)])
    return powers.view(np.int64) - (np.arange(STEPS) << OCTAVE_SHIFT)


def exp_of_steps(steps: Floats, scale: int = 0) -> Floats:
    """2**(steps / STEPS + scale) to 1.5e-8 of its value; `steps` is overwritten.

    With n the nearest integer, it is 2**(n / STEPS), by table, times 1 + (steps - n) ln 2 / STEPS.
    Adding 1.5 * 2**52 rounds to n and leaves it in the low bits of the sum; shifted up, n adds
    its octave to the exponent and its remainder to what the table takes away.
    """
    rounded = steps + ROUND
    n = rounded.view(np.int64)
    power = exp_table().take(n & (STEPS - 1))
    rounded_n = n << OCTAVE_SHIFT
    power += rounded_n
    if scale:
        power += scale << 52
    rounded -= ROUND
    steps -= rounded
    steps *= SLOPE
    steps += 1.0
    steps *= power.view(np.float64)
    return steps


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


@cache
def _rates(width: int, theta: float) -> tuple[Decimal, ...]:
    """theta**(-2 i / width) for every dimension."""
    with localcontext() as context:
        context.prec = 34
        log_theta = Decimal(theta).ln()
        return tuple((-log_theta * 2 * i / width).exp() for i in range(width // 2))


@lru_cache(1 << 12)
def _turns(steps: int, size: int, width: int, theta: float) -> tuple[Floats, Floats]:
    """Sines and cosines [width / 2] of the angle of position steps * size."""
    rates = _rates(width, theta)
    with localcontext() as context:
        context.prec = 34
        two_pi = Decimal("6.2831853071795864769252867665590057683943387987502")
        found = np.array([_sin_cos(rate * steps * size, two_pi) for rate in rates])
    return found[:, 0], found[:, 1]


def rotary_at(position: int, width: int, theta: float) -> tuple[Floats, Floats]:
    """Cosines and sines [width / 2] of rotary position embedding at one position.

    The angle of position p in dimension i is p * theta**(-2 i / width); those of p % 64 and of the
    rest are computed in decimal and combined by the sum formulas in single operations.
    """
    coarse, fine = divmod(position, 64)
    (s, c), (S, C) = _turns(fine, 1, width, theta), _turns(coarse, 64, width, theta)
    return C * c - S * s, S * c + C * s


def rotary_tables(positions: int, width: int, theta: float) -> tuple[Floats, Floats]:
    """`rotary_at` of the first positions, [positions, width / 2] each."""
    found = np.array([rotary_at(p, width, theta) for p in range(positions)])
    return np.ascontiguousarray(found[:, 0]), np.ascontiguousarray(found[:, 1])
