"""scale * (num/den)^(en/ed) in integers, to the last digit of the reference.

Small exponents are exact (an integer root). Others are series for ln and exp with the reference's
stopping rules, floor divisions and guard bits. Those work to 256 bits and more, while a result
keeps some 60: a shorter sum nearly always settles it, and only a result too close to an integer
for that sum's error goes through the long one.

Upstream: the `safe-bigmath` crate used by pallets/swap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import factorial, gcd, isqrt

GUARD_BITS = 24
GUARD = 1 << GUARD_BITS
EXACT_LIMIT = 1024
ITERATION_LIMIT = 4096


def power(num: int, den: int, exp_num: int, exp_den: int, precision: int, scale: int) -> int | None:
    """`scale * (num/den)^(exp_num/exp_den)` rounded down; None without a meaning (x/0)."""
    if den == 0 or exp_den == 0:
        return None
    if num == 0:
        return 0
    if exp_num == 0 or num == den:
        return scale
    common = gcd(exp_num, exp_den)
    exp_num, exp_den = exp_num // common, exp_den // common
    if exp_num <= EXACT_LIMIT and exp_den <= EXACT_LIMIT:
        return integer_root(num**exp_num * scale**exp_den // den**exp_num, exp_den)
    short = power_if_clear(num, den, exp_num, exp_den, scale)
    if short is not None:
        return short
    return power_by_series(num, den, exp_num, exp_den, precision, scale)


def integer_root(value: int, degree: int) -> int:
    """The largest r with r^degree <= value."""
    if degree == 1 or value < 2:
        return value
    if degree == 2:
        return isqrt(value)
    root = 1 << -(-value.bit_length() // degree)
    while True:  # Newton from above falls monotonically until it reaches the floor
        lower = ((degree - 1) * root + value // root ** (degree - 1)) // degree
        if lower >= root:
            return root
        root = lower


# --- the short sum -------------------------------------------------------------------------------

BITS = 144
ONE = 1 << BITS
FRACTION = ONE - 1
MAX_SHIFT = 64
MAX_EXPONENT = 128
MAX_LOG = 16 << BITS
MAX_SCALE = 1 << 64
DOUBT = 1 << (BITS - 30)
"""How near to an integer a result may not come: 2^-30.

In units of 2^-144: the sums below are of numbers under 1/2, so their floors and the terms that they
leave out make less than 2^4. A logarithm is wrong by less than 2^8, with MAX_SHIFT times ln 2 by
less than 2^15; MAX_EXPONENT makes that 2^22, and the exponential, up to e^16 < 2^24, 2^46. Times
MAX_SCALE that is an error under 2^-32. The long sum is wrong by less than 2^-150. Beyond DOUBT both
floors are the same.
"""
CERTAIN = ONE - DOUBT


def power_if_clear(num: int, den: int, exp_num: int, exp_den: int, scale: int) -> int | None:
    """The power if 144 bits are enough to be sure of its floor, else None."""
    shift = num.bit_length() - den.bit_length()
    if abs(shift) > MAX_SHIFT or exp_num > MAX_EXPONENT * exp_den or scale > MAX_SCALE:
        return None
    if shift >= 0:
        den <<= shift
    else:
        num <<= -shift
    log = (_log_ratio(num, den) + shift * LN2) * exp_num // exp_den
    if abs(log) > MAX_LOG:
        return None
    value = _short_exp(log) * scale
    return value >> BITS if DOUBT < value & FRACTION < CERTAIN else None


def _sums(coefficients: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """By k, the coefficients, last first, that a number below 2^-k needs to be exact to 2^-144."""
    return tuple(
        tuple(c for n, c in enumerate(coefficients) if k * n < BITS and c >> k * n)[::-1]
        for k in range(BITS + 1)
    )


def _sum(coefficients: Iterable[int], x: int) -> int:
    """c0 + c1 x + c2 x^2 + ..., the last coefficient first."""
    total = 0
    for c in coefficients:
        total = (total * x >> BITS) + c
    return total


_ARTANH = _sums([2 * ONE // (2 * n + 1) for n in range(BITS)])
_EXP = _sums([ONE // factorial(n) for n in range(BITS)])


def _log_ratio(num: int, den: int) -> int:
    """ln(num/den) for a ratio between 1/2 and 2, as 2 artanh((num - den) / (num + den))."""
    z = ((num - den) << BITS) // (num + den)
    square = z * z >> BITS
    return z * _sum(_ARTANH[BITS - square.bit_length()], square) >> BITS


LN2 = _log_ratio(2, 1)


def _short_exp(x: int) -> int:
    """exp(x): of what is left beside the nearest multiple of ln 2, then shifted."""
    twos = (2 * x + LN2) // (2 * LN2)
    rest = x - twos * LN2
    total = _sum(_EXP[BITS - rest.bit_length()], rest)
    return total << twos if twos >= 0 else total >> -twos


# --- the long sum --------------------------------------------------------------------------------


def power_by_series(
    num: int, den: int, exp_num: int, exp_den: int, precision: int, scale: int
) -> int:
    """The power as the reference sums it up."""
    bits = max(precision, 32, scale.bit_length() + 8)
    digits = bits + GUARD_BITS
    limit = min(ITERATION_LIMIT, digits + 128)
    log = _ln(num, digits, limit) - _ln(den, digits, limit)
    return (_rounded(_exp(log * exp_num // exp_den, digits, limit)) * scale) >> bits


def _rounded(value: int) -> int:
    """`value` without its guard bits, halves away from zero."""
    if value < 0:
        return -((-value + GUARD // 2) >> GUARD_BITS)
    return (value + GUARD // 2) >> GUARD_BITS


# The reference also stops once the rounded sum stands still: no term of GUARD or more lets it.


def _ln1p(t: int, digits: int, limit: int) -> int:
    """ln(1 + t) by the alternating series; numbers are in units of 2^-digits."""
    power_of_t = total = t
    for n in range(2, limit + 1):
        power_of_t = power_of_t * t >> digits
        term = power_of_t // n
        total += term if n % 2 else -term
        if abs(term) < GUARD:
            break
    return total


@lru_cache(maxsize=16)
def _ln2(digits: int, limit: int) -> int:
    return -_ln1p(-1 << (digits - 1), digits, limit)


def _ln(value: int, digits: int, limit: int) -> int:
    """ln(value) for a positive integer."""
    one = 1 << digits
    shift = value.bit_length() - 1
    mantissa = value * one >> shift
    if mantissa * 2 >= one * 3:
        mantissa >>= 1
        shift += 1
    return _ln1p(mantissa - one, digits, limit) + shift * _ln2(digits, limit)


def _exp(x: int, digits: int, limit: int) -> int:
    """exp(x), without range reduction."""
    term = total = 1 << digits
    for n in range(1, limit + 1):
        term = (term * x >> digits) // n
        total += term
        if abs(term) < GUARD:
            break
    return total
