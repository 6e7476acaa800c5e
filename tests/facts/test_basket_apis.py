"""BetaBasketRuntimeApi: what it answers without funds and with them, and that claims pay it."""

from __future__ import annotations

import pytest
from basket_lab import HOT, ONE_NET, OTHER, TWO_NET, basket_lab, nav, owed, shares
from network_lab import ALICE, BOB, CAROL, RUNTIME, TAO, get, key, lab, ok, put

from chain.pallets.proxy_types import ProxyType, admits
from chain.pallets.subtensor import apis_baskets as api
from chain.pallets.subtensor.fund_deposits import enqueue, flush
from chain.pallets.subtensor.share_pool import get_stake
from chain.pallets.subtensor.storage_baskets import BetaIndexSnapshotOf
from ganglion.fixed import U64F64
from ganglion.units import ROOT_NETUID

ONE = U64F64.one
METHODS = {method.name: method for method in api.basket_api.methods}
ACCOUNT = {"hotkey": HOT, "coldkey": ALICE, "start_after": None, "limit": 0}


def funded():
    """HOT's fund has dividends for ALICE and shares of BOB, OTHER's has shares of BOB."""
    s = basket_lab()
    put(s, "BetaIndexSnapshot", BetaIndexSnapshotOf(ONE, ONE, 1))
    for netuid, alpha in ((ONE_NET, 30 * TAO), (TWO_NET, 10 * TAO)):
        put(s, "SubnetAlphaOut", netuid, get(s, "SubnetAlphaOut", netuid) + alpha)
        enqueue(s, HOT, netuid, alpha)
    flush(s, HOT)
    ok(s, BOB, "stake_into_basket", HOT, 5 * TAO)
    ok(s, BOB, "stake_into_basket", OTHER, 7 * TAO)
    return s


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("make", [lab, basket_lab, funded])
def test_every_answer_has_its_type(make, name):
    method = METHODS[name]
    arguments = b"".join(
        part.encode(ACCOUNT[param])
        for (param, _), part in zip(method.params, method.codecs, strict=True)
    )
    s = make()
    before = s.changes()
    answer = method.run(s, arguments)
    value, end = method.result.read(answer, 0)
    assert end == len(answer)
    assert s.changes() == before
    if make is not funded:
        empty = (0, (), None, (ONE, ONE), api.BetaPricingPage((), None))
        summary = api.BasketSummary(HOT, 0, 0, 0, 0, 0, ())
        status = api.BasketTradingStatus(False, False, 7_200, 0, 0)
        assert value in (*empty, summary, status)


def test_the_runtime_serves_it():
    assert {f"BetaBasketRuntimeApi_{name}" for name in METHODS} <= set(RUNTIME.methods)


def test_a_claim_pays_what_was_said():
    s = funded()
    due = api.get_basket_payout(s, HOT, ALICE)
    position = api.get_basket_position(s, HOT, ALICE)
    assert position is not None
    assert (position.beta, position.beta_total) == (owed(s, ALICE), shares(s))
    assert position.nav_tao == nav(s) == api.get_validator_basket_nav(s, HOT)
    assert position.value_tao == due == api.get_root_basket_owed(s, ALICE)
    assert position.spot_value_tao >= due
    assert api.get_root_basket_positions(s, ALICE) == ((HOT, owed(s, ALICE), due),)
    had = get_stake(s, HOT, ALICE, ROOT_NETUID)
    ok(s, ALICE, "claim_root_with_hotkey", HOT)
    assert get_stake(s, HOT, ALICE, ROOT_NETUID) - had == pytest.approx(due, abs=3)
    assert owed(s, ALICE) <= 1  # a watermark is whole
    for nobody in (CAROL, key(5)):
        assert api.get_root_basket_positions(s, nobody) == ()
        assert api.get_basket_position(s, HOT, nobody) is None
        assert api.get_beta_position(s, HOT, nobody) is None


def test_portfolios_have_every_fund():
    s = funded()
    assert [each.hotkey for each in api.get_root_basket_portfolio(s, BOB)] == [HOT, OTHER]
    positions = api.get_beta_portfolio(s, BOB)
    assert [each.hotkey for each in positions] == [HOT, OTHER]
    for each in positions:
        value = U64F64.to_u64(U64F64.mul(each.display_beta, each.display_price))
        assert value == pytest.approx(each.spot_value_tao, abs=2)
        assert not each.provisional
    total = sum(api.get_basket_payout(s, hot, BOB) for hot in (HOT, OTHER))
    assert api.get_root_basket_owed(s, BOB) == total
    assert api.get_root_basket_total_nav(s) == nav(s) + nav(s, OTHER)


def test_a_summary_adds_up():
    s = funded()
    summary = api.get_validator_basket_summary(s, HOT)
    rows = api.get_validator_basket(s, HOT)
    assert [(h.netuid, h.alpha, h.realizable_tao) for h in summary.holdings] == list(rows)
    assert summary.nav_tao == sum(worth for *_, worth in rows) == nav(s)
    assert summary.spot_nav_tao >= summary.nav_tao
    assert summary.shares == shares(s)
    assert {each.hotkey for each in api.get_all_validator_baskets(s)} == {HOT, OTHER}


def test_prices_come_in_pages():
    s = funded()
    for n in range(200):
        put(s, "BasketShares", key(3_000 + n), TAO)
    put(s, "BasketShares", key(4_000), 0)
    seen, cursor = [], None
    for _ in range(20):
        page = api.get_all_beta_pricing(s, cursor, 0 if cursor is None else 17)
        seen += [each.hotkey for each in page.pricing]
        cursor = page.next
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 202
    assert len(api.get_all_beta_pricing(s, None, 10**6).pricing) == 128
    assert api.get_all_beta_pricing(s, seen[-1], 5) == api.BetaPricingPage((), None)


def test_without_a_baseline_a_fund_is_on_the_index():
    s = funded()
    put(s, "BetaIndexSnapshot", BetaIndexSnapshotOf(3 * ONE, 2 * ONE, 1))
    put(s, "BetaBaseline", HOT, None)
    pricing = api.get_beta_pricing(s, HOT)
    assert pricing is not None
    assert pricing.provisional
    assert pricing.first_block == 0
    assert pricing.display_price == pytest.approx(3 * ONE, rel=1e-9)
    assert pricing.stake_price == 2 * ONE
    assert api.get_beta_index(s) == (3 * ONE, 2 * ONE)


@pytest.mark.parametrize("kind", ProxyType)
def test_only_its_own_proxy_type_trades(kind):
    call = RUNTIME.call("SubtensorModule", "swap_basket", HOT, 1, 2, 3, 0)
    assert admits(kind, call) == (kind in (ProxyType.Any, ProxyType.BasketTrading))
    other = RUNTIME.call("SubtensorModule", "stake_into_basket", HOT, 3)
    assert not admits(ProxyType.BasketTrading, other)
