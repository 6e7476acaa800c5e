"""What must hold for any pool, stake or block, not only for the recorded ones."""

from __future__ import annotations

import random

from hypothesis import assume, given
from hypothesis import strategies as st

from consensus.economics import burn, children, conviction, dividends, safe_float, share_pool
from consensus.economics.balancer import ACCURACY, MIN_WEIGHT, Pool, weight_after_injection
from consensus.economics.issuance import TOTAL_SUPPLY, block_emission
from consensus.economics.lock_cost import lock_cost
from consensus.economics.power import integer_root, power
from consensus.economics.safe_float import MANTISSA_FLOOR, MANTISSA_MAX, ZERO
from consensus.economics.share_pool import Membership
from consensus.economics.shares import Candidate, subnet_emissions
from consensus.economics.terms import accrue, root_proportion, subnet_terms
from consensus.economics.trade import (
    DEFAULT_FEE_RATE,
    MAX_FEE_RATE,
    MAX_PRICE,
    MINIMUM_RESERVE,
    Side,
    Trade,
    limit_price,
    trade,
)
from ganglion.fixed import U64F64, U96F32

reserves = st.integers(MINIMUM_RESERVE, 10**17)
weights = st.integers(MIN_WEIGHT, ACCURACY - MIN_WEIGHT)
pools = st.builds(Pool, reserves, reserves, st.one_of(st.just(ACCURACY // 2), weights))
amounts = st.integers(0, 10**18)
fractions32 = st.integers(0, U96F32.one)
WIDE = limit_price(MAX_PRICE)


def moved(pool: Pool, side: Side, done: Trade) -> Pool:
    if side is Side.BUY:
        return pool._replace(tao=pool.tao + done.paid_in, alpha=pool.alpha - done.paid_out)
    return pool._replace(tao=pool.tao - done.paid_out, alpha=pool.alpha + done.paid_in)


@given(st.integers(0, 10**60), st.integers(1, 40))
def test_integer_root_is_the_floor(value: int, degree: int) -> None:
    root = integer_root(value, degree)
    assert root**degree <= value < (root + 1) ** degree


@given(st.integers(101, 9_999), st.integers(10**12, 10**18), weights)
def test_power_of_a_series_is_near_the_exact_one(milli: int, den: int, weight: int) -> None:
    num = den * milli // 1_000
    scale = 10**18
    series = power(num, den, weight, ACCURACY, 256, scale)
    back = power(series, scale, ACCURACY, weight, 256, scale) if series else None
    assert series is not None
    assert back is not None
    expected = scale * num // den
    assert abs(back - expected) <= 10**3 + expected * ACCURACY // weight // 10**16


@given(pools, amounts, st.integers(0, MAX_FEE_RATE))
def test_a_purchase_and_its_sale_gain_nothing(pool: Pool, amount: int, rate: int) -> None:
    bought = trade(pool, Side.BUY, amount, WIDE, rate)
    assume(isinstance(bought, Trade))
    assert isinstance(bought, Trade)
    assert bought.paid_in + bought.fee <= amount
    assert bought.paid_out <= pool.alpha
    sold = trade(moved(pool, Side.BUY, bought), Side.SELL, bought.paid_out, 0, rate)
    if isinstance(sold, Trade):  # what a rounded unit of alpha is worth, the curve may give away
        assert sold.paid_out <= amount + 1 + (-(-pool.price() >> 64))


def test_ten_thousand_round_trips_at_the_default_fee_all_lose() -> None:
    """Trades as the chain lets them through (0.002 TAO at the least), pools up to 1000 TAO for an
    alpha and of any weight."""
    draw, done = random.Random(10_000), 0
    while done < 10_000:
        tao, alpha = (int(10 ** draw.uniform(9, 17)) for _ in range(2))
        weight = draw.choice((ACCURACY // 2, draw.randint(MIN_WEIGHT, ACCURACY - MIN_WEIGHT)))
        pool, amount = Pool(tao, alpha, weight), int(10 ** draw.uniform(6.31, 17))
        if pool.price() >> 64 > 1_000:
            continue
        bought = trade(pool, Side.BUY, amount, WIDE, DEFAULT_FEE_RATE)
        if not isinstance(bought, Trade):
            continue
        after = moved(pool, Side.BUY, bought)
        sold = trade(after, Side.SELL, bought.paid_out, 0, DEFAULT_FEE_RATE)
        if isinstance(sold, Trade):
            assert sold.paid_out < amount, (pool, amount)
            done += 1


@given(pools, st.integers(1, 10**18), st.integers(0, MAX_FEE_RATE), st.integers(1, 10**15))
def test_a_limit_is_not_overrun(pool: Pool, amount: int, rate: int, limit: int) -> None:
    bound = limit_price(limit)
    done = trade(pool, Side.BUY, amount, bound, rate)
    if isinstance(done, Trade):
        price = moved(pool, Side.BUY, done).price()
        assert price <= bound + bound // 10**6 + 2**34


@given(pools, st.integers(0, 10**15), st.integers(0, 10**15))
def test_an_injection_keeps_the_price(pool: Pool, tao: int, alpha: int) -> None:
    before = pool.price()
    assume(2**60 < before < 2**100)
    weight = weight_after_injection(pool, tao, alpha)
    if weight is not None:
        after = Pool(pool.tao + tao, pool.alpha + alpha, weight).price()
        rounding = 400 * before // (pool.tao * pool.alpha) + before // 10**13 + 2
        assert abs(after - before) <= rounding


@given(st.integers(0, 2**64 - 1))
def test_emission_halves_with_the_unissued_half(issuance: int) -> None:
    expected, left = 10**9, 2
    while issuance * left >= TOTAL_SUPPLY * (left - 1) and expected:
        expected, left = expected // 2, left * 2
    assert block_emission(issuance) == (expected if issuance < TOTAL_SUPPLY else 0)


candidates = st.lists(
    st.builds(
        Candidate,
        st.integers(1, 4095),
        st.integers(0, 4 * U64F64.one),
        fractions32,
        st.booleans(),
    ),
    max_size=12,
    unique_by=lambda candidate: candidate.netuid,
)


@given(candidates, st.integers(0, 10**9))
def test_subnets_never_get_more_than_the_block(found: list[Candidate], emission: int) -> None:
    assert sum(subnet_emissions(found, emission).values()) <= U96F32.from_int(emission)


@given(st.integers(0, 10**19), st.integers(0, 2**90), st.integers(0, 10**9), fractions32)
def test_terms_split_the_emission(tao: int, price: int, alpha: int, share: int) -> None:
    terms = subnet_terms(tao, price, alpha, share)
    assert terms.tao_in + terms.excess_tao == tao
    if price >> 32:
        assert terms.alpha_in <= U96F32.mul(share, terms.alpha_out)


@given(st.integers(0, 10**9), fractions32, fractions32)
def test_accrual_loses_at_most_three(alpha: int, cut: int, root_share: int) -> None:
    parts = accrue(U96F32.from_int(alpha), cut, root_share)
    paid = parts.owner_cut + parts.server + parts.validator + parts.root
    assert alpha - 3 <= paid <= alpha


@given(st.integers(0, 2**63), st.integers(0, U96F32.one), st.integers(0, 2**63))
def test_root_proportion_is_a_proportion(tao: int, weight: int, alpha: int) -> None:
    assert 0 <= root_proportion(tao, weight, alpha) <= U96F32.one


stakes = st.builds(children.Stake, st.integers(0, 10**16), st.integers(0, 10**16))


@given(
    st.dictionaries(st.integers(0, 20), st.tuples(st.integers(0, 10**12), stakes), max_size=8),
    st.integers(0, 10**12),
    st.integers(0, 10**12),
    fractions32,
)
def test_dividends_stay_within_what_is_pending(
    table: dict[int, tuple[int, children.Stake]], validator: int, root: int, weight: int
) -> None:
    to_alpha, to_root = dividends.distribution(
        {key: U96F32.from_int(earned) for key, (earned, _) in table.items()},
        {key: stake for key, (_, stake) in table.items()},
        validator_alpha=validator,
        root_alpha=root,
        tao_weight=weight,
    )
    assert sum(to_alpha.values()) <= U96F32.from_int(validator)
    assert sum(to_root.values()) <= U96F32.from_int(root)


parents = st.lists(
    st.builds(children.Parent, st.integers(1, 9), fractions32, stakes, st.booleans()),
    max_size=5,
)


@given(st.integers(0, 10**15), st.integers(0, 10**16), parents, fractions32, fractions32)
def test_a_child_and_its_parents_share_what_it_earned(
    earned: int,
    own: int,
    found: list[children.Parent[int]],
    take: int,
    burned: int,
) -> None:
    assume(take + burned <= U96F32.one)
    split = children.split_dividends(
        0, earned, own, found, tao_weight=U96F32.one, child_take=take, burn_take=burned
    )
    assert [key for key, _ in split.rows] == [parent.hotkey for parent in found] + [0]
    paid = sum(amount for _, amount in split.rows) + sum(split.burns)
    assert earned - 2 * len(found) - 2 <= paid <= earned


@given(st.integers(0, 2**64 - 1))
def test_a_safe_float_keeps_whole_numbers(value: int) -> None:
    number = safe_float.of(value)
    assert safe_float.to_u64(number) == value
    assert number == ZERO or MANTISSA_FLOOR < number.mantissa <= MANTISSA_MAX


@given(
    st.integers(1, 10**15),
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 10**14)), min_size=1, max_size=12),
)
def test_a_deposit_is_worth_itself_and_leaves_others_alone(
    first: int, deposits: list[tuple[int, int]]
) -> None:
    total, denominator = 0, ZERO
    shares = dict.fromkeys(range(4), ZERO)
    for who, amount in [(0, first), *deposits]:
        before = {k: Membership(total, denominator, v).value() for k, v in shares.items()}
        after = share_pool.changed(Membership(total, denominator, shares[who]), amount)
        total, denominator, shares[who] = after.total, after.denominator, after.share
        for key, share in shares.items():
            gained = Membership(total, denominator, share).value() - before[key]
            assert abs(gained - (amount if key == who else 0)) <= 1


@given(st.integers(1, 36_100))
def test_the_burn_halves_in_its_half_life(half_life: int) -> None:
    factor = burn.decay_factor(half_life)
    assert burn.q32_pow(factor, half_life) <= 2**31
    assert burn.q32_pow(factor + 1, half_life) > 2**31


@given(st.integers(0, 10**18), st.integers(0, 10**18), *[st.integers(0, 10**7)] * 3)
def test_a_subnet_never_costs_less_than_the_minimum(
    last: int, minimum: int, then: int, later: int, interval: int
) -> None:
    now = lock_cost(last, minimum, then, then + later, interval)
    assert now >= minimum
    assert lock_cost(last, minimum, then, then + later + 1, interval) <= now


locks = st.builds(
    conviction.Lock, st.integers(0, 2**60), st.integers(0, 2**120), st.integers(0, 10**6)
)
rates = st.builds(conviction.Rates, st.integers(0, 10**7), st.integers(0, 10**7))


@given(locks, st.integers(0, 10**8), rates, st.booleans())
def test_a_lock_never_gains_mass(
    lock: conviction.Lock, later: int, found: conviction.Rates, perpetual: bool
) -> None:
    after = conviction.rolled(
        lock, lock.last + later, found, is_owner=False, is_perpetual=perpetual
    )
    assert after.mass <= lock.mass
    assert after.last == lock.last + later
    again = conviction.rolled(after, after.last, found, is_owner=False, is_perpetual=perpetual)
    assert again == after
