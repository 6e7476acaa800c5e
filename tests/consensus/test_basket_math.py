"""The arithmetic of funds: shares, payouts, buckets, bounds, and the two indices."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consensus.economics import basket, beta
from ganglion.fixed import I96F32, U64_MAX, U64F64

U64 = st.integers(0, U64_MAX)
COINS = st.integers(1, 21 * 10**15)
ONE = U64F64.one


@given(U64, U64, U64)
def test_shares_never_dilute(value, nav, shares):
    minted = basket.shares_for(value, nav, shares)
    if shares and nav and minted < U64_MAX:
        assert minted * nav <= value * shares
        assert (minted + 1) * nav > value * shares
    if not shares:
        assert minted == value


def test_a_worthless_fund_revives_only_over_dust():
    assert basket.shares_for(100, 0, 1) == 100
    assert basket.shares_for(199, 0, 2) == 0


@given(U64, U64, U64)
def test_a_payout_is_at_most_the_fund(owed, nav, shares):
    paid = basket.payout(owed, nav, shares)
    assert paid <= nav
    if shares:
        assert paid * shares <= owed * nav


@given(COINS, st.lists(COINS, min_size=1, max_size=5))
def test_stakers_are_never_owed_more_than_was_minted(shares, stakes):
    total = sum(stakes)
    rate = basket.rate_increment(shares, total)
    assert sum(basket.owed_shares(rate, stake, 0) for stake in stakes) <= shares


@given(st.integers(0, 1 << 90), COINS, COINS, st.integers(-(10**15), 10**15))
def test_changes_of_stake_keep_what_is_owed(rate, stake, more, claimed):
    owed = basket.owed_shares(rate, stake, claimed)
    after = basket.rebased(claimed, rate, more)
    exact = I96F32.mul(rate, I96F32.from_int(stake + more)) < I96F32.high
    if exact and owed < U64_MAX:
        assert 0 <= basket.owed_shares(rate, stake + more, after) - owed <= 1
        back = basket.rebased(after, rate, -more)
        assert 0 <= claimed - back <= 1


@given(U64, st.integers(0, 65_535), U64, st.integers(0, 1 << 32), st.integers(0, 1 << 32))
def test_a_bucket_never_holds_more_than_its_budget(nav, cap, level, block, now):
    full = basket.budget(nav, cap)
    assert full <= nav
    assert basket.bucket_level(None, now, full) == full
    left = basket.bucket_level((level, block), now, full)
    assert min(level, full) <= left <= full
    assert basket.bucket_level((0, block), block + basket.REFILL_BLOCKS, full) == full


def test_caps_bind_from_enough_subnets_on():
    assert basket.binding_cap(4_096, 15) is None
    assert basket.binding_cap(4_096, 16) == 4_096
    assert basket.binding_cap(65_535, 1) == 65_535
    assert basket.is_within(1, 16, 4_096)
    assert not basket.is_within(1, 15, 4_096)
    assert basket.is_within(0, 0, 1)


@given(*[st.integers(1, 100 * ONE)] * 3)
def test_trades_stay_within_two_per_cent_of_every_price(slow, fast, spot):
    ceiling, floor = basket.buy_ceiling(slow, fast, spot), basket.sell_floor(slow, fast, spot)
    assert all(ceiling * 100 <= price * 102 for price in (slow, fast, spot))
    assert all((floor + 2) * 100 >= price * 98 for price in (slow, fast, spot))


def test_the_fast_price_covers_half_the_way_in_its_half_life():
    price = basket.fast_price(None, ONE)
    assert price == ONE
    for _ in range(basket.FAST_HALF_LIFE):
        price = basket.fast_price(price, 3 * ONE)
    assert abs(price - 2 * ONE) < ONE // 1_000
    for _ in range(basket.FAST_HALF_LIFE):
        price = basket.fast_price(price, ONE)
    assert abs(price - ONE * 3 // 2) < ONE // 1_000


def test_two_dividends_compound():
    twr = beta.compounded(ONE, 250, 1_000)
    assert twr == ONE * 5 // 4
    assert beta.compounded(twr, 500, 1_000) == ONE * 15 // 8


def test_index_levels_carry_on():
    small = beta.Sample(beta.MIN_INDEX_NAV - 1, ONE, ONE)
    big = beta.Sample(4 * 10**8, ONE, ONE)
    double = beta.Sample(8 * 10**8, 2 * ONE, ONE)
    assert beta.chained(beta.NO_SUMS, small, big) == beta.NO_SUMS
    assert beta.levels((ONE, ONE), beta.NO_SUMS) == (ONE, ONE)
    sums = beta.chained(beta.NO_SUMS, big, double)
    assert beta.levels((3 * ONE, ONE), sums) == (6 * ONE, ONE)
    nothing = beta.chained(beta.NO_SUMS, big, beta.Sample(10**9, 0, 0))
    assert beta.levels((ONE, ONE), nothing) == (ONE, ONE)


@given(st.integers(1, 1 << 100), st.integers(1, 1 << 100))
def test_a_new_fund_starts_on_the_index(raw, level):
    divisor = beta.first_divisor(raw, level)
    assert divisor >= 1
    marks = beta.marks(beta.Baseline(divisor, 0, ONE), raw, 0, ONE)
    if ONE <= divisor < 1 << 100 and U64F64.checked_div(raw, level) is not None:
        assert level <= marks.display <= level + level // divisor + 1
    assert beta.provisional(raw, level, ONE).stake == ONE
