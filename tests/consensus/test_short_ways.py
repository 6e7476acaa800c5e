"""Where the economy computes by a short way, the long one says the same."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consensus.economics import power, safe_float, share_pool
from consensus.economics.safe_float import (
    EXPONENT_MAX,
    EXPONENT_MIN,
    MANTISSA_FLOOR,
    MANTISSA_MAX,
    ZERO,
    SafeFloat,
)
from consensus.economics.share_pool import Membership
from ganglion.fixed import U64_MAX, clamp_u64

exponents = st.one_of(
    st.integers(-60, 60),
    st.integers(EXPONENT_MIN - 2, EXPONENT_MIN + 60),
    st.integers(EXPONENT_MAX - 60, EXPONENT_MAX + 2),
)
powers_of_ten = st.builds(lambda d, by: max(10**d + by, 0), st.integers(0, 45), st.integers(-2, 2))
mantissas = st.one_of(powers_of_ten, st.integers(0, 10**45))
floats = st.one_of(
    st.just(ZERO),
    st.builds(SafeFloat, st.integers(MANTISSA_FLOOR + 1, MANTISSA_MAX), exponents.filter(abs)),
)
u64s = st.integers(0, 64).flatmap(lambda bits: st.integers(0, (1 << bits) - 1))


def normalised_by_digits(mantissa: int, exponent: int) -> SafeFloat | None:
    """One digit at a time, as the definition of the format has it."""
    if mantissa == 0:
        return ZERO
    if not EXPONENT_MIN <= exponent <= EXPONENT_MAX:
        return None
    while mantissa > MANTISSA_MAX:
        mantissa, exponent = mantissa // 10, exponent + 1
    while mantissa <= MANTISSA_FLOOR:
        mantissa, exponent = mantissa * 10, exponent - 1
    return SafeFloat(mantissa, exponent) if EXPONENT_MIN <= exponent <= EXPONENT_MAX else None


@given(mantissas, exponents)
@example(MANTISSA_FLOOR, 0)
@example(MANTISSA_MAX, 0)
@example(10 * MANTISSA_MAX + 1, EXPONENT_MAX)
def test_normalising_at_once_is_normalising_by_digits(mantissa: int, exponent: int) -> None:
    assert safe_float.normalised(mantissa, exponent) == normalised_by_digits(mantissa, exponent)


@given(st.one_of(st.integers(0, MANTISSA_MAX), powers_of_ten.filter(lambda v: v <= MANTISSA_MAX)))
def test_a_whole_number_is_normalised_the_same(value: int) -> None:
    assert safe_float.of(value) == normalised_by_digits(value, 0)


@given(u64s, floats, u64s)
def test_whether_a_deposit_is_possible_is_whether_it_gets_a_share(
    total: int, denominator: SafeFloat, amount: int
) -> None:
    pool = Membership(total, denominator, ZERO)
    share = safe_float.mul_div(safe_float.of(amount), denominator, safe_float.of(total))
    possible = not denominator or (share is not None and bool(share))
    assert share_pool.is_deposit_possible(pool, amount) == possible


@given(u64s, floats)
@example(U64_MAX, SafeFloat(MANTISSA_MAX, EXPONENT_MIN + 1))
def test_one_member_alone_holds_what_the_quotient_says(total: int, share: SafeFloat) -> None:
    worth = safe_float.mul_div(safe_float.of(total), share, share)
    plain = 0 if worth is None else safe_float.to_u64(worth)
    assert Membership(total, share, share).value() == plain


# --- the sums behind the power -------------------------------------------------------------------

ONE = power.ONE


def exact_exp(x: int, places: int = 400) -> Fraction:
    """exp(x) of 144 fractional bits, by many terms of many bits."""
    one = 1 << places
    wide = x << (places - power.BITS)
    term = total = one
    for n in range(1, 400):
        term = (term * wide >> places) // n
        total += term
    return Fraction(total, one)


@given(st.integers(0, power.BITS + 4).flatmap(lambda b: st.integers(-(1 << b), 1 << b)))
@example(power.MAX_LOG)
@example(-power.MAX_LOG)
@example(0)
def test_the_short_exponential_is_within_its_error(x: int) -> None:
    error = abs(Fraction(power._short_exp(x), ONE) - exact_exp(x))
    assert error * ONE < 1 << 34


@given(st.integers(1, 1 << 90), st.integers(0, 1_000_000))
def test_the_short_logarithm_is_within_its_error(den: int, millionths: int) -> None:
    num = den // 2 + 1 + den * millionths * 3 // 2_000_002
    log = power._log_ratio(num, den)
    low, high = exact_exp(log - 16), exact_exp(log + 16)
    assert low < Fraction(num, den) < high


def test_the_doubt_covers_the_error() -> None:
    """What the bounds beside DOUBT add up to, in units of the result."""
    log_error = power.MAX_SHIFT * 16 + 16  # ln 2 and the series, 16 units each
    exp_error = (log_error * power.MAX_EXPONENT + (1 << 10)) << 24
    assert exp_error * power.MAX_SCALE < power.DOUBT


@pytest.mark.parametrize("distance", [0, 1, power.DOUBT >> 1])
def test_a_result_close_to_an_integer_is_left_to_the_long_sum(distance: int) -> None:
    """A scale that puts the product right beside an integer: the short sum must not decide."""
    num, den, weight = 10**15 + 7, 10**15, 499_999_999_999_999_999
    value = power._short_exp(power._log_ratio(num, den) * weight // 10**18)
    # 2^64 scales at most: the nearest one to a whole number among the first few thousand
    scale = min(range(1, 4_000), key=lambda k: value * k & power.FRACTION)
    near = value * scale & power.FRACTION < power.DOUBT + distance
    short = power.power_if_clear(num, den, weight, 10**18, scale)
    assert near == (short is None)
    assert power.power(num, den, weight, 10**18, 256, scale) == power.power_by_series(
        num, den, weight, 10**18, 256, scale
    )


def test_a_share_is_clamped_like_any_other_value() -> None:
    share = safe_float.of(5)
    assert Membership(10**21, share, share).value() == clamp_u64(10**21)
