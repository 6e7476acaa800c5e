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

from chain.pallets.subtensor.fund import get_holding
from chain.pallets.subtensor.fund_deposits import enqueue, flush, flush_next
from chain.pallets.subtensor.share_pool import get_stake
from chain.pallets.system import block_number
from ganglion.units import ROOT_NETUID

PEOPLE = st.sampled_from([ALICE, BOB, CAROL])
HOTKEYS = st.sampled_from([HOT, HOT, HOT, OTHER])
NETS = st.sampled_from([ONE_NET, TWO_NET])
PLACES = st.sampled_from([ROOT_NETUID, ONE_NET, TWO_NET])
AMOUNTS = st.one_of(
    st.integers(1, 10_000_000), st.integers(TAO // 100, 500 * TAO), st.integers(0, 10**14)
)
PARTS = st.integers(1, 17)
"""Sixteenths of what is there; one more than there is."""
OPERATIONS = st.one_of(
    st.tuples(st.just("dividend"), HOTKEYS, NETS, st.integers(1, 300 * TAO)),
    st.tuples(st.just("flush"), HOTKEYS),
    st.tuples(st.just("block")),
    st.tuples(st.just("stake_into_basket"), PEOPLE, HOTKEYS, AMOUNTS),
    st.tuples(st.just("claim_root_with_hotkey"), PEOPLE, HOTKEYS),
    st.tuples(st.just("claim_root"), PEOPLE, st.just(())),
    st.tuples(st.just("add_stake"), PEOPLE, HOTKEYS, PLACES, AMOUNTS),
    st.tuples(st.just("remove"), PEOPLE, HOTKEYS, PLACES, PARTS),
    st.tuples(st.just("move"), PEOPLE, HOTKEYS, HOTKEYS, PLACES, PLACES, PARTS),
    st.tuples(st.just("trade"), HOTKEYS, PLACES, PLACES, PARTS),
    st.tuples(st.just("trade"), st.just(HOT), PLACES, PLACES, PARTS),
    st.tuples(st.just("trade"), st.just(HOT), NETS, st.just(ROOT_NETUID), PARTS),
)

BEGINNING = (
    ("add_stake", BOB, HOT, ROOT_NETUID, 100 * TAO),
    ("stake_into_basket", CAROL, HOT, 300 * TAO),
    ("dividend", HOT, ONE_NET, 200 * TAO),
    ("dividend", HOT, TWO_NET, 300 * TAO),
    ("flush", HOT),
)
"""A fund with TAO and alpha on both subnets."""


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
        case ["remove", who, hotkey, netuid, part]:
            amount = get_stake(s, hotkey, who, netuid) * part // 16
            run(s, who, "remove_stake", hotkey, netuid, amount)
        case ["move", who, hotkey, to, netuid, destination, part]:
            amount = get_stake(s, hotkey, who, netuid) * part // 16
            run(s, who, "move_stake", hotkey, to, netuid, destination, amount)
        case ["trade", hotkey, netuid, destination, part]:
            amount = get_holding(s, hotkey, netuid) * part // 64
            run(s, CAROL, "swap_basket", hotkey, netuid, destination, amount, 0)
        case [name, who, *args]:
            run(s, who, name, *args)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(OPERATIONS, max_size=14),
    st.sampled_from([0, TAO, 100 * TAO]),
    st.sampled_from([(), BEGINNING, BEGINNING]),
)
def test_everything_adds_up(operations, alice, beginning):
    s = basket_lab(alice)
    put(s, "BasketTradingEnabled", True)
    for name in ("BasketDailyTurnoverCap", "BasketLiquidityCap"):
        put(s, name, 65_535)
    before, overcount = books(s), 0
    for done, op in enumerate((*beginning, *operations)):
        apply(s, op)
        settle_prices(s, ONE_NET, TWO_NET)
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
