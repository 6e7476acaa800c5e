"""The market: asks, their deposits and ends, and a base fee that follows demand."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from town import (
    CAPACITY,
    MODEL,
    NET,
    ask,
    forward,
    free,
    lease,
    order,
    register,
    reserved,
    spec,
    town,
)
from world import ALICE, BOB, CHARLIE, DAVE, EVE, TAO, fails, last, ok, run, world

from chain.pallets import market
from chain.pallets.balances_ops import set_free
from chain.pallets.leases_store import Error as LeaseError
from chain.pallets.leases_store import Leases
from chain.pallets.market import (
    MAX_FEE,
    AskExpired,
    Asks,
    BurnShare,
    Error,
    Expiring,
    IdleBlocks,
    Leased,
    MaxAskBlocks,
    MinBaseFee,
    TotalBurned,
    Trade,
    Trades,
    UnitPrices,
    deposit_for,
    get_base_fee,
)
from chain.pallets.market_api import least_rate
from chain.pallets.subtensor.storage_network import NetworksAdded
from chain.pallets.system import Number
from consensus.economics.base_fee import FRACTION, ONE, base_fee, block_factor
from ganglion.units import AccountId

FLOOR = MinBaseFee.value
PRICES = UnitPrices(5_000, 500, 20_000)
PATH = "Market.post_ask"


def bare():
    """A subnet with one hotkey and no asks."""
    s = world(block=10)
    s[NetworksAdded, NET] = True
    register(s, BOB, owner=EVE)
    return s


# -- the base fee ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("used", "factor"), [(0, 0.875), (5, 1.0), (10, 1.125), (8, 1.075)])
def test_a_block_moves_the_fee_by_an_eighth_at_most(used, factor):
    assert block_factor(used, 10) / ONE == pytest.approx(factor)


def test_full_blocks_double_in_six_and_empty_ones_halve_in_six():
    fee = 10**6 << FRACTION
    assert base_fee(fee, 10, 10, 6, 1, 1 << 128) / fee == pytest.approx(1.125**6)
    assert base_fee(fee, 0, 10, 6, 1, 1 << 128) / fee == pytest.approx(0.875**6)
    assert base_fee(fee, 10, 10, 5, 1, 1 << 128) < 2 * fee < base_fee(fee, 10, 10, 6, 1, 1 << 128)
    assert base_fee(fee, 0, 10, 6, 1, 1 << 128) < fee // 2 < base_fee(fee, 0, 10, 5, 1, 1 << 128)


@given(st.integers(1, 1 << 60), st.integers(0, 1000), st.integers(1, 1000), st.integers(0, 300))
def test_one_power_is_as_many_single_blocks(fee, used, asked, blocks):
    used = min(used, asked)
    exact = Fraction(fee) * Fraction(7 * asked + 2 * used, 8 * asked) ** blocks
    made = base_fee(fee, used, asked, blocks, 0, 1 << 250)
    assert made <= min(exact, 1 << 250)
    assert min(exact, 1 << 250) - made <= 1 + exact / (1 << 54)
    single = fee
    for _ in range(blocks):
        single = base_fee(single, used, asked, 1, 0, 1 << 250)
    assert single <= made


@given(st.integers(0, 1 << 96), st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1 << 32))
def test_any_number_of_blocks_stays_within_floor_and_ceiling(fee, used, asked, blocks):
    assert 1 << 32 <= base_fee(fee, used, asked, blocks, 1 << 32, 1 << 95) <= 1 << 95


def test_on_chain_it_doubles_in_six_leased_blocks_and_falls_back_to_the_floor():
    s = town(BOB)
    assert get_base_fee(s, NET, MODEL) == FLOOR
    number = lease(s)  # all that is on offer
    forward(s, 15)
    assert FLOOR < get_base_fee(s, NET, MODEL) < 2 * FLOOR
    forward(s, 16)
    assert get_base_fee(s, NET, MODEL) == pytest.approx(FLOOR * 1.125**6, abs=1)
    ok(s, ALICE, "Leases.close", number)
    assert get_base_fee(s, NET, MODEL) == pytest.approx(FLOOR * 1.125**6, abs=1)
    forward(s, 22)
    assert get_base_fee(s, NET, MODEL) == FLOOR
    forward(s, 200)
    assert get_base_fee(s, NET, MODEL) == FLOOR


def test_at_half_it_stays_where_it_is():
    s = town(BOB, CHARLIE)
    lease(s, deposit=100 * TAO)
    other = lease(s, who=CHARLIE, deposit=100 * TAO)
    forward(s, 20)
    raised = get_base_fee(s, NET, MODEL)
    assert raised > 3 * FLOOR
    ok(s, ALICE, "Leases.close", other)
    forward(s, 60)
    assert get_base_fee(s, NET, MODEL) == raised


def test_a_rate_that_nobody_can_bid_is_still_told():
    s = bare()
    s[Trades, NET, MODEL] = Trade(MAX_FEE << FRACTION, 10, 1, 1)
    assert least_rate(s, NET, MODEL, 1) == -(-MAX_FEE // 10**6)
    assert least_rate(s, NET, MODEL, (1 << 32) - 1) == (1 << 64) - 1


def test_models_do_not_move_each_other():
    s = town(BOB)
    lease(s)
    forward(s, 18)
    assert get_base_fee(s, NET, MODEL) > 2 * FLOOR
    assert get_base_fee(s, NET, b"other") == get_base_fee(s, 9, MODEL) == FLOOR


def test_faked_demand_costs_the_burn_share_of_the_base_fee():
    """Whoever leases from itself pays at least base fee x capacity, and part of that burns."""
    s = town(BOB)
    big = 10**9
    set_free(s, BOB, 200_000 * TAO)
    ask(s, BOB, capacity=big)
    least = FLOOR * big // 10**6
    wanted = spec(capacity=big, max_rate=least)
    fails(
        s,
        LeaseError.RateBelowBaseFee,
        BOB,
        "Leases.create_order",
        spec(capacity=big, max_rate=least - 1),
        5,
        10 * least,
    )
    ok(s, BOB, "Leases.create_order", wanted, 5, 10 * least)
    ok(s, BOB, "Leases.bid", 0, BOB, least)
    ok(s, BOB, "Leases.accept", 0)
    forward(s, 20)
    ok(s, BOB, "Leases.withdraw", 0)
    assert s[TotalBurned] == 10 * least * BurnShare.value // 10**6 > 0


# -- asks -----------------------------------------------------------------------------------------


def test_an_ask_is_posted_for_a_deposit_and_comes_back():
    s = bare()
    ok(s, BOB, PATH, NET, MODEL, BOB, PRICES, CAPACITY, 100)
    made = s[Asks, NET, MODEL, BOB]
    assert (made.prices, made.capacity, made.expires) == (PRICES, CAPACITY, 110)
    assert reserved(s, BOB) == deposit_for(CAPACITY)
    assert s[Trades, NET, MODEL].asked == CAPACITY
    fails(s, Error.NotYourHotkey, ALICE, "Market.remove_ask", NET, MODEL, BOB)
    ok(s, EVE, "Market.remove_ask", NET, MODEL, BOB)
    assert reserved(s, BOB) == 0
    assert not s.keys_of(Trades)  # with its deposit back nobody leaves anything behind
    assert not s.keys_of(Expiring)
    fails(s, Error.UnknownAsk, BOB, "Market.remove_ask", NET, MODEL, BOB)


def test_asks_are_checked():
    s = bare()
    low = UnitPrices(0, 0, FLOOR - 1)
    for failure, who, args in (
        (Error.NotYourHotkey, ALICE, (NET, MODEL, BOB, PRICES, 1, 1)),
        (Error.NotRegistered, ALICE, (NET, MODEL, ALICE, PRICES, 1, 1)),
        (Error.NotRegistered, BOB, (9, MODEL, BOB, PRICES, 1, 1)),
        (Error.BadModel, BOB, (NET, b"", BOB, PRICES, 1, 1)),
        (Error.NoCapacity, BOB, (NET, MODEL, BOB, PRICES, 0, 1)),
        (Error.BadExpiry, BOB, (NET, MODEL, BOB, PRICES, 1, 0)),
        (Error.BadExpiry, BOB, (NET, MODEL, BOB, PRICES, 1, MaxAskBlocks.value + 1)),
        (Error.BelowBaseFee, BOB, (NET, MODEL, BOB, low, 1, 1)),
    ):
        fails(s, failure, who, PATH, *args)


def test_an_ask_may_not_lie_below_a_risen_base_fee():
    s = town(BOB, CHARLIE)
    s[Trades, NET, MODEL] = market.Trade(9_000 << FRACTION, 10, 2, 1)
    fails(s, Error.BelowBaseFee, BOB, PATH, NET, MODEL, BOB, UnitPrices(0, 0, 8_999), 1, 1)
    ok(s, BOB, PATH, NET, MODEL, BOB, UnitPrices(0, 0, 9_000), 1, 1)


def test_an_ask_runs_out_by_itself_and_a_renewal_prevents_it():
    s = bare()
    ok(s, BOB, PATH, NET, MODEL, BOB, PRICES, CAPACITY, 20)
    forward(s, 29)
    ok(s, BOB, PATH, NET, MODEL, BOB, PRICES, 2 * CAPACITY, 20)
    assert reserved(s, BOB) == deposit_for(2 * CAPACITY)
    forward(s, 48)
    assert s[Asks, NET, MODEL, BOB] is not None
    forward(s, 49)
    assert last(s, AskExpired) == AskExpired(NET, MODEL, BOB)
    assert s[Asks, NET, MODEL, BOB] is None
    assert reserved(s, BOB) == 0
    assert (Trades, NET, MODEL) not in s


def test_the_hotkey_renews_what_its_coldkey_backs():
    s = bare()
    ok(s, EVE, PATH, NET, MODEL, BOB, PRICES, CAPACITY, 20)
    assert (reserved(s, EVE), reserved(s, BOB)) == (deposit_for(CAPACITY), 0)
    ok(s, BOB, PATH, NET, MODEL, BOB, PRICES, CAPACITY // 2, 100)
    assert (reserved(s, EVE), reserved(s, BOB)) == (deposit_for(CAPACITY // 2), 0)
    fails(s, Error.NotPayer, BOB, PATH, NET, MODEL, BOB, PRICES, CAPACITY, 100)


def test_what_is_leased_out_stays_on_offer():
    s = town(BOB)
    number = lease(s)
    fails(s, Error.BelowLeased, BOB, PATH, NET, MODEL, BOB, PRICES, CAPACITY - 1, 100)
    ok(s, BOB, "Market.remove_ask", NET, MODEL, BOB)
    assert (Trades, NET, MODEL) not in s
    ask(s, BOB)
    assert (s[Trades, NET, MODEL].asked, s[Trades, NET, MODEL].used) == (CAPACITY, CAPACITY)
    ok(s, BOB, "Leases.close", number)
    assert s[Trades, NET, MODEL].used == 0


def test_a_model_that_nobody_serves_is_forgotten():
    s = bare()
    ok(s, BOB, PATH, NET, MODEL, BOB, PRICES, CAPACITY, 20)
    s[Trades, NET, MODEL] = Trade(10**6 << FRACTION, 10, CAPACITY, 0)
    forward(s, 30)
    assert s[Trades, NET, MODEL].asked == 0
    assert get_base_fee(s, NET, MODEL) > FLOOR
    forward(s, 30 + IdleBlocks.value)
    assert (Trades, NET, MODEL) not in s
    assert not s.keys_of(Expiring)


def test_a_quiet_block_reads_one_entry_and_writes_none():
    s = town()
    mark = s.mark()
    forward(s, 11)
    touched = {ref[0] for ref, _, _ in s.journal[mark[0] :] if isinstance(ref, tuple)}
    assert not touched & {Asks, Trades, Leased, Expiring, Leases}


# -- whatever the order of calls ------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["post", "post", "remove", "lease", "close", "blocks"]),
        st.sampled_from([BOB, CHARLIE, DAVE]),
        st.integers(1, 50),
    ),
    min_size=3,
    max_size=30,
)


@given(STEPS)
def test_totals_are_the_sums_of_asks_and_leases(steps):
    s = world(block=10, tao=10_000)
    s[NetworksAdded, NET] = True
    for who in (BOB, CHARLIE, DAVE):
        register(s, who)
    for step, who, amount in steps:
        take(s, step, who, amount)
        asks = {who: s[Asks, NET, MODEL, who] for who in (BOB, CHARLIE, DAVE)}
        trade = s[Trades, NET, MODEL] or market.Trade(0, 0, 0, 0)
        assert trade.asked == sum(a.capacity for a in asks.values() if a)
        active = {who: s[Leased, NET, MODEL, who].active for who, a in asks.items() if a}
        assert trade.used == sum(active.values()) <= trade.asked
        deposits = {who: a.deposit if a else 0 for who, a in asks.items()}
        bids = 10**8
        for who, deposit in deposits.items():
            leases = sum(lease.hotkey == who for lease in all_leases(s))
            assert reserved(s, who) == deposit + leases * bids
    forward(s, s[Number] + 101)
    assert not s.keys_of(Asks)


def all_leases(s):
    return [s[ref] for ref in s.keys_of(Leases)]


def take(s, step, who, amount):
    prices = UnitPrices(0, 0, get_base_fee(s, NET, MODEL))
    if step == "post":
        run(s, who, PATH, NET, MODEL, who, prices, amount * 100, 1 + 2 * amount)
    elif step == "remove":
        run(s, who, "Market.remove_ask", NET, MODEL, who)
    elif step == "lease":
        number = order(s, capacity=amount * 40)
        run(s, who, "Leases.bid", number, who, TAO)
        if run(s, ALICE, "Leases.accept", number).error is not None:
            ok(s, ALICE, "Leases.close", number)
    elif step == "close":
        for ref in s.keys_of(Leases)[:1]:
            ok(s, ALICE, "Leases.close", ref[1])
    else:
        forward(s, s[Number] + amount % 20)


def test_whoever_is_poor_asks_for_nothing():
    s = bare()
    poor = AccountId(b"\x07" * 32)
    register(s, poor)
    set_free(s, poor, TAO // 10)
    assert run(s, poor, PATH, NET, MODEL, poor, PRICES, CAPACITY, 10).error is not None
    assert free(s, poor) == TAO // 10
