"""Random sequences of all that touches funds: nothing is lost, made, or taken from others."""

from __future__ import annotations

from basket_lab import (
    HOT,
    ONE_NET,
    OTHER,
    TWO_NET,
    basket_lab,
    books,
    get_overcount,
    nav,
    owed,
    settle_prices,
    shares,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network_lab import ALICE, BOB, CAROL, TAO, at, get, ok, put, run

from chain.pallets.subtensor.fund_deposits import enqueue, flush, flush_next
from chain.pallets.system import block_number
from ganglion.units import ROOT_NETUID

PEOPLE = st.sampled_from([ALICE, BOB, CAROL])
HOTKEYS = st.sampled_from([HOT, HOT, HOT, OTHER])
NETS = st.sampled_from([ONE_NET, TWO_NET])
PLACES = st.sampled_from([ROOT_NETUID, ONE_NET, TWO_NET])
AMOUNTS = st.one_of(
    st.integers(1, 10_000_000), st.integers(TAO // 100, 500 * TAO), st.integers(0, 10**14)
)
OPERATIONS = st.one_of(
    st.tuples(st.just("dividend"), HOTKEYS, NETS, st.integers(1, 300 * TAO)),
    st.tuples(st.just("flush"), HOTKEYS),
    st.tuples(st.just("block")),
    st.tuples(st.just("stake_into_basket"), PEOPLE, HOTKEYS, AMOUNTS),
    st.tuples(st.just("claim_root_with_hotkey"), PEOPLE, HOTKEYS),
    st.tuples(st.just("claim_root"), PEOPLE, st.just(())),
    st.tuples(st.just("add_stake"), PEOPLE, HOTKEYS, PLACES, AMOUNTS),
    st.tuples(st.just("remove_stake"), PEOPLE, HOTKEYS, PLACES, AMOUNTS),
    st.tuples(st.just("move_stake"), PEOPLE, HOTKEYS, HOTKEYS, PLACES, PLACES, AMOUNTS),
    st.tuples(st.just("swap_basket"), st.just(CAROL), HOTKEYS, PLACES, PLACES, AMOUNTS, st.just(0)),
)


def apply(s, op):
    match op:
        case ["dividend", hotkey, netuid, alpha]:
            put(s, "SubnetAlphaOut", netuid, get(s, "SubnetAlphaOut", netuid) + alpha)
            enqueue(s, hotkey, netuid, alpha)
        case ["flush", hotkey]:
            flush(s, hotkey)
        case ["block"]:
            at(s, block_number(s) + 1)
            flush_next(s)
            settle_prices(s, ONE_NET, TWO_NET)
        case [name, who, *args]:
            run(s, who, name, *args)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OPERATIONS, max_size=14), st.sampled_from([0, TAO, 100 * TAO]))
def test_everything_adds_up(operations, alice):
    s = basket_lab(alice)
    put(s, "BasketTradingEnabled", True)
    for name in ("BasketDailyTurnoverCap", "BasketLiquidityCap"):
        put(s, name, 65_535)
    before, overcount = books(s), 0
    for done, op in enumerate(operations):
        apply(s, op)
        assert books(s) == before, op
        assert get_overcount(s) >= overcount, op
        overcount = get_overcount(s)
        for hotkey in (HOT, OTHER):
            # Rates are rounded down, watermarks by at most one share a change of stake.
            due = sum(owed(s, who, hotkey) for who in (ALICE, BOB, CAROL))
            assert due <= shares(s, hotkey) + 3 * (done + 1), op


@settings(max_examples=60, deadline=None)
@given(
    st.integers(TAO // 100, 2_000 * TAO),
    st.integers(TAO // 100, 2_000 * TAO),
    st.integers(3_000_000, 5_000 * TAO),
    st.booleans(),
)
def test_who_comes_and_goes_takes_nothing_from_who_stays(first, second, tao, has_cash):
    s = basket_lab()
    for netuid, alpha in ((ONE_NET, first), (TWO_NET, second)):
        apply(s, ("dividend", HOT, netuid, alpha))
    flush(s, HOT)
    if has_cash:
        ok(s, CAROL, "stake_into_basket", HOT, 100 * TAO)
    price, stays = nav(s) / shares(s), owed(s, ALICE)
    entered = run(s, BOB, "stake_into_basket", HOT, tao).error is None
    assert owed(s, ALICE) == stays
    slack = 3 / nav(s) + 1e-9  # a rao for each holding
    assert nav(s) / shares(s) >= price * (1 - slack)
    price = nav(s) / shares(s)
    ok(s, BOB, "claim_root", ())
    assert owed(s, ALICE) == stays
    if nav(s) and entered:
        assert nav(s) / shares(s) >= price * (1 - 20 / nav(s) - 1e-9)
