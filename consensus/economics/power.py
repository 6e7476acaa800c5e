"""scale * (num/den)^(en/ed) in integers, to the last digit of the reference.

Small exponents are exact (an integer root). Others are series for ln and exp with the reference's
stopping rules, floor divisions and guard bits. Those work to 256 bits and more, while a result
keeps some 60: a shorter sum nearly always settles it, and only a result too close to an integer
for that sum's error goes through the long one.

Upstream: the `safe-bigmath` crate used by pallets/swap.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd, isqrt

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

BITS = 192
ONE = 1 << BITS
MAX_SHIFT = 64
MAX_EXPONENT = 128
MAX_LOG = 16
MAX_SCALE = 1 << 64
DOUBT = 1 << (BITS - 64)
"""How near to an integer a result may not come: 2^-64.

In units of 2^-192: a logarithm below sums at most 70 terms, each floored, and is wrong by less than
2^8, with MAX_SHIFT times ln 2 by less than 2^15; MAX_EXPONENT makes that 2^22, and the exponential,
up to e^16 < 2^24, 2^46; its own floors add less than 2^32. Times MAX_SCALE that is an error under
2^-80. The long sum is wrong by less than 2^-150. Beyond DOUBT both floors are the same.
"""


def power_if_clear(num: int, den: int, exp_num: int, exp_den: int, scale: int) -> int | None:
    """The power if 192 bits are enough to be sure of its floor, else None."""
    shift = num.bit_length() - den.bit_length()
    if abs(shift) > MAX_SHIFT or exp_num > MAX_EXPONENT * exp_den or scale > MAX_SCALE:
        return None
    if shift >= 0:
        den <<= shift
    else:
        num <<= -shift
    log = (_log_ratio(num, den) + shift * LN2) * exp_num // exp_den
    if abs(log) > MAX_LOG << BITS:
        return None
    value = _short_exp(log) * scale
    fraction = value & (ONE - 1)
    return value >> BITS if DOUBT < fraction < ONE - DOUBT else None


def _log_ratio(num: int, den: int) -> int:
    """ln(num/den) for a ratio between 1/2 and 2, as 2 artanh((num - den) / (num + den))."""
    z = ((num - den) << BITS) // (num + den)
    square = z * z >> BITS
    total, k = z, 1
    while abs(z) > 1:
        z = z * square >> BITS
        k += 2
        total += z // k
    return 2 * total


LN2 = _log_ratio(2, 1)


def _short_exp(x: int) -> int:
    """exp(x)."""
    term = total = ONE
    n = 0
    while abs(term) > 1:
        n += 1
        term = (term * x >> BITS) // n
        total += term
    return total


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
