"""scale * (num/den)^(en/ed) in integers, to the last digit of the reference.

Small exponents are exact (an integer root). Others go through ln and exp series whose stopping
rules, floor divisions and guard bits are visible in the result: no library power is a substitute.

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
    if exp_num == 0:
        return scale
    common = gcd(exp_num, exp_den)
    exp_num, exp_den = exp_num // common, exp_den // common
    if exp_num <= EXACT_LIMIT and exp_den <= EXACT_LIMIT:
        return integer_root(num**exp_num * scale**exp_den // den**exp_num, exp_den)
    return _power_by_series(num, den, exp_num, exp_den, precision, scale)


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


def _power_by_series(
    num: int, den: int, exp_num: int, exp_den: int, precision: int, scale: int
) -> int:
    bits = max(precision, 32, scale.bit_length() + 8)
    one = 1 << (bits + GUARD_BITS)
    limit = min(ITERATION_LIMIT, bits + GUARD_BITS + 128)
    log = _ln(num, one, limit) - _ln(den, one, limit)
    return (_rounded(_exp(log * exp_num // exp_den, one, limit)) * scale) >> bits


def _rounded(value: int) -> int:
    """`value` without its guard bits, halves away from zero."""
    if value < 0:
        return -((-value + GUARD // 2) >> GUARD_BITS)
    return (value + GUARD // 2) >> GUARD_BITS


def _ln1p(t: int, one: int, limit: int) -> int:
    """ln(1 + t/one) * one by the alternating series."""
    power_of_t = total = t
    for n in range(2, limit + 1):
        power_of_t = power_of_t * t // one
        if power_of_t == 0:
            break
        term = power_of_t // n
        if term == 0:
            break
        before = _rounded(total)
        total += term if n % 2 else -term
        if abs(term) < GUARD or _rounded(total) == before:
            break
    return total


@lru_cache(maxsize=16)
def _ln2(one: int, limit: int) -> int:
    return -_ln1p(-one // 2, one, limit)


def _ln(value: int, one: int, limit: int) -> int:
    """ln(value) * one for a positive integer."""
    shift = value.bit_length() - 1
    mantissa = value * one >> shift
    if mantissa * 2 >= one * 3:
        mantissa >>= 1
        shift += 1
    return _ln1p(mantissa - one, one, limit) + shift * _ln2(one, limit)


def _exp(x: int, one: int, limit: int) -> int:
    """exp(x/one) * one, without range reduction."""
    term = total = one
    for n in range(1, limit + 1):
        term = term * x // (one * n)
        if term == 0:
            break
        before = _rounded(total)
        total += term
        if abs(term) < GUARD or _rounded(total) == before:
            break
    return total
