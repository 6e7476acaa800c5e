"""swap_basket: who may trade, at which prices, how much, and what a fund may end up with."""

from __future__ import annotations

import pytest
from basket_lab import (
    HOT,
    ONE_NET,
    OTHER,
    POOL,
    TWO_NET,
    basket_lab,
    books,
    holdings,
    nav,
    owed,
    settle_prices,
    shares,
)
from network_lab import (
    ALICE,
    BOB,
    CAROL,
    SUDO,
    TAO,
    at,
    emitted,
    fails,
    get,
    key,
    neuron,
    ok,
    pool,
    put,
    run_of,
    subnet,
)

from chain.pallets.admin_utils_common import Error as AdminError
from chain.pallets.subtensor.apis_baskets import get_basket_trading_status
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_baskets import BasketSwapped
from chain.pallets.subtensor.fund import add_holding
from chain.pallets.system import block_number
from chain.runtime.errors import BadOrigin
from ganglion.units import ROOT_NETUID

WHOLE = 65_535


def trading_lab(alpha=1_000 * TAO, caps=(WHOLE, WHOLE, WHOLE)):
    """HOT's fund has alpha on both subnets and TAO; caps: turnover, liquidity, concentration."""
    s = basket_lab()
    ok(s, BOB, "stake_into_basket", HOT, 1_000 * TAO)
    for netuid in (ONE_NET, TWO_NET):
        put(s, "SubnetAlphaOut", netuid, get(s, "SubnetAlphaOut", netuid) + alpha)
        add_holding(s, HOT, netuid, alpha)
    settle_prices(s, ONE_NET, TWO_NET)
    admin(s, "trading_enabled", True)
    for name, cap in zip(("daily_turnover", "liquidity", "concentration"), caps, strict=True):
        admin(s, f"{name}_cap", cap)
    s.events.clear()
    return s


def admin(s, name, *args):
    assert run_of(s, SUDO, "AdminUtils", f"sudo_set_basket_{name}", *args).error is None


def swap(s, origin=ONE_NET, destination=TWO_NET, amount=10 * TAO, least=0):
    ok(s, CAROL, "swap_basket", HOT, origin, destination, amount, least)


def swap_fails(s, failure, origin=ONE_NET, destination=TWO_NET, amount=10 * TAO, least=0):
    fails(s, failure, CAROL, "swap_basket", HOT, origin, destination, amount, least)


def test_a_trade_changes_what_a_fund_has_and_nothing_else():
    s = trading_lab()
    before, had, worth = books(s), holdings(s), nav(s)
    kept = shares(s), owed(s, ALICE), owed(s, BOB)
    swap(s)
    assert books(s) == before
    assert (shares(s), owed(s, ALICE), owed(s, BOB)) == kept
    assert holdings(s)[ONE_NET] == had[ONE_NET] - 10 * TAO
    bought = holdings(s)[TWO_NET] - had[TWO_NET]
    assert bought == pytest.approx(10 * TAO, rel=5e-3)
    assert nav(s) == pytest.approx(worth, rel=1e-4)
    (traded,) = emitted(s, BasketSwapped)
    assert (traded.alpha_sold, traded.alpha_bought) == (10 * TAO, bought)
    assert traded.tao_mid == pytest.approx(5 * TAO, rel=5e-3)


def test_tao_is_a_holding_like_others():
    s = trading_lab()
    before, cash = books(s), holdings(s)[ROOT_NETUID]
    swap(s, ONE_NET, ROOT_NETUID)
    gained = holdings(s)[ROOT_NETUID] - cash
    assert gained == pytest.approx(5 * TAO, rel=5e-3)
    swap(s, ROOT_NETUID, TWO_NET, gained)
    assert holdings(s)[ROOT_NETUID] == cash
    assert books(s) == before


def test_switches():
    s = trading_lab()
    admin(s, "trading_frozen", HOT, True)
    swap_fails(s, Error.BasketTradingFrozen)
    admin(s, "trading_frozen", HOT, False)
    swap(s)
    admin(s, "trading_enabled", False)
    swap_fails(s, Error.BasketTradingDisabled)


@pytest.mark.parametrize(
    ("who", "hotkey", "origin", "destination", "amount", "failure"),
    [
        (CAROL, HOT, ONE_NET, ONE_NET, 1, Error.BasketSameSubnet),
        (ALICE, HOT, ONE_NET, TWO_NET, 1, Error.NonAssociatedColdKey),
        (CAROL, key(70), ONE_NET, TWO_NET, 1, Error.HotKeyNotRegisteredInSubNet),
        (CAROL, HOT, 9, TWO_NET, 1, Error.SubnetNotExists),
        (CAROL, HOT, ONE_NET, 9, 1, Error.SubnetNotExists),
        (CAROL, HOT, ONE_NET, TWO_NET, 0, Error.AmountTooLow),
        (CAROL, HOT, ONE_NET, TWO_NET, 10, Error.AmountTooLow),
        (CAROL, OTHER, ONE_NET, TWO_NET, 1, Error.NotEnoughStakeToWithdraw),
        (CAROL, HOT, ONE_NET, TWO_NET, 1_000 * TAO + 1, Error.NotEnoughStakeToWithdraw),
    ],
)
def test_what_is_refused(who, hotkey, origin, destination, amount, failure):
    s = trading_lab()
    neuron(s, ONE_NET, CAROL, key(70))
    fails(s, failure, who, "swap_basket", hotkey, origin, destination, amount, 0)


@pytest.mark.parametrize("netuid", [ONE_NET, TWO_NET])
def test_both_subnets_must_be_open(netuid):
    s = trading_lab()
    put(s, "SubtokenEnabled", netuid, False)
    swap_fails(s, Error.SubtokenDisabled)


@pytest.mark.parametrize("item", ["SubnetMovingPrice", "SubnetFastMovingPrice"])
@pytest.mark.parametrize("netuid", [ONE_NET, TWO_NET])
def test_no_trade_without_averages(item, netuid):
    s = trading_lab()
    put(s, item, netuid, 0)
    swap_fails(s, Error.SlippageTooHigh)


def test_no_trade_two_per_cent_away_from_any_average():
    s = trading_lab()
    for item, factor in (("SubnetMovingPrice", 1), ("SubnetFastMovingPrice", 1)):
        for netuid, away in ((ONE_NET, 103), (TWO_NET, 97)):
            good = get(s, item, netuid)
            put(s, item, netuid, good * factor * away // 100)
            swap_fails(s, Error.SlippageTooHigh)
            put(s, item, netuid, good)
    swap(s)


def test_no_trade_that_moves_the_price_two_per_cent_itself():
    s = trading_lab()
    swap_fails(s, Error.SlippageTooHigh, amount=400 * TAO)
    swap(s, amount=90 * TAO)


def test_the_least_that_a_trade_must_bring():
    s = trading_lab()
    swap_fails(s, Error.BasketMinOutNotMet, least=10 * TAO)
    swap(s, least=9 * TAO)


def test_a_bucket_empties_and_refills_over_a_day():
    s = trading_lab(caps=(6_553, WHOLE, WHOLE))
    status = get_basket_trading_status(s, HOT)
    assert (status.enabled, status.frozen, status.refill_blocks) == (True, False, 7_200)
    assert status.tao_available == status.budget_tao == pytest.approx(nav(s) / 10, rel=3e-3)
    spent = 0
    while get_basket_trading_status(s, HOT).tao_available > 50 * TAO:
        swap(s, amount=80 * TAO)
        settle_prices(s, ONE_NET, TWO_NET)
        spent += emitted(s, BasketSwapped)[-1].tao_mid
    left = get_basket_trading_status(s, HOT).tao_available
    assert left == pytest.approx(status.budget_tao - spent, abs=TAO)
    swap_fails(s, Error.BasketTurnoverBudgetExceeded, ROOT_NETUID, TWO_NET, left + TAO)
    at(s, get_number(s) + 3_600)
    half = get_basket_trading_status(s, HOT)
    assert half.tao_available == pytest.approx(left + half.budget_tao // 2, abs=TAO)
    at(s, get_number(s) + 7_200)
    full = get_basket_trading_status(s, HOT)
    assert full.tao_available == full.budget_tao


def get_number(s):
    return block_number(s)


def test_a_pump_within_a_block_does_not_raise_the_budget():
    s = trading_lab(caps=(6_553, WHOLE, WHOLE))
    budget = get_basket_trading_status(s, HOT).budget_tao
    pool(s, ONE_NET, 100 * POOL, 2 * POOL)
    assert nav(s) > 10_000 * TAO
    assert get_basket_trading_status(s, HOT).budget_tao <= budget * 106 // 100


def test_a_fund_may_not_own_a_pool():
    s = trading_lab(caps=(WHOLE, 3_300, WHOLE))  # five per cent: it has that already
    swap_fails(s, Error.BasketLiquidityCapExceeded)
    swap(s, ONE_NET, ROOT_NETUID)  # root has no pool


def test_a_fund_must_spread_where_there_are_enough_subnets():
    s = trading_lab(caps=(WHOLE, WHOLE, 4_096))
    swap(s)  # three subnets cannot be sixteen
    for netuid in range(3, 17):
        subnet(s, netuid)
    swap_fails(s, Error.BasketConcentrationCapExceeded)
    swap_fails(s, Error.BasketConcentrationCapExceeded, ONE_NET, ROOT_NETUID)
    put(s, "SubnetMechanism", 3, 1)
    pool(s, 3, POOL, 2 * POOL)
    settle_prices(s, 3)
    swap(s, ONE_NET, 3)
    assert holdings(s)[3] == pytest.approx(10 * TAO, rel=5e-3)


def test_settings_are_roots_and_caps_are_not_zero():
    s = basket_lab()
    for name, args in (
        ("concentration_cap", (1,)),
        ("daily_turnover_cap", (1,)),
        ("liquidity_cap", (1,)),
        ("trading_enabled", (True,)),
        ("trading_frozen", (HOT, True)),
    ):
        call = f"sudo_set_basket_{name}"
        assert isinstance(run_of(s, ALICE, "AdminUtils", call, *args).error, BadOrigin)
        if name.endswith("cap"):
            error = run_of(s, SUDO, "AdminUtils", call, 0).error
            assert isinstance(error, AdminError.ValueNotInBounds)
        admin(s, name, *args)
    assert get(s, "BasketTradingFrozen", HOT) == ()
    assert get(s, "BasketConcentrationCap") == get(s, "BasketLiquidityCap") == 1
