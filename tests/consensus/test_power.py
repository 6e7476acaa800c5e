"""The short way to a power decides like the long one, and decides ordinary trades."""

from math import gcd

from hypothesis import assume, given
from hypothesis import strategies as st

from consensus.economics.power import EXACT_LIMIT, power, power_by_series, power_if_clear

ONE = 10**18
weights = st.integers(ONE // 100, ONE - ONE // 100)
reserves = st.integers(0, 63).flatmap(lambda bits: st.integers(1, 2 << bits))
precisions = st.sampled_from((256, 1024))


@given(reserves, reserves, weights, st.booleans(), precisions)
def test_the_short_sum_agrees_with_the_long_one(num, den, weight, is_part, precision):
    exponent = (weight, ONE if is_part else ONE - weight)
    short = power_if_clear(num, den, *exponent, ONE)
    assume(short is not None)
    assert short == power_by_series(num, den, *exponent, precision, ONE)


@given(reserves.filter(lambda r: r > 1_000_000), weights, st.integers(1, 999), precisions)
def test_trades_up_to_the_reserve_are_clear(reserve, weight, permille, precision):
    assume(weight * 20 < ONE * 19)
    assume(max(weight, ONE - weight) // gcd(weight, ONE) > EXACT_LIMIT)
    moved = reserve + reserve * permille // 1000
    exponent = (weight, ONE - weight)
    short = power_if_clear(reserve, moved, *exponent, ONE)
    assert short == power_by_series(reserve, moved, *exponent, precision, ONE)


@given(reserves, weights, precisions)
def test_nothing_moved_leaves_everything(reserve, weight, precision):
    assert power(reserve, reserve, weight, ONE - weight, precision, ONE) == ONE
    assert power_by_series(reserve, reserve, weight, ONE - weight, precision, ONE) == ONE
