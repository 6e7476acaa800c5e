"""Root baskets: dividends enter funds, shares are bought and redeemed, keys and subnets change."""

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
    staked,
)
from network_lab import (
    ALICE,
    BOB,
    CAROL,
    SUDO,
    TAO,
    at,
    balance,
    emitted,
    fails,
    get,
    has,
    item_of,
    key,
    lab,
    neuron,
    ok,
    pool,
    put,
    run,
    step,
)

from chain.pallets.subtensor.beta_pricing import advance_index
from chain.pallets.subtensor.dissolve import do_dissolve_network
from chain.pallets.subtensor.distribution import do_distribute
from chain.pallets.subtensor.emission import Pending
from chain.pallets.subtensor.epoch import HotkeyEmission
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_baskets import (
    BasketAlphaWrittenOff,
    BasketClaimed,
    BasketDeposited,
    BasketHoldingConverted,
    BasketStakedIn,
    BetaBaselineStamped,
)
from chain.pallets.subtensor.events_stake import RootClaimed
from chain.pallets.subtensor.fund import ESCROW, add_cash
from chain.pallets.subtensor.fund_deposits import enqueue, flush, flush_next
from chain.pallets.subtensor.root_claim import run_automatic_claims
from chain.pallets.subtensor.share_pool import get_stake
from chain.pallets.subtensor.stake_utils import clear_small_nominations
from chain.pallets.system import block_number
from ganglion.fixed import I96F32, U64F64
from ganglion.units import ROOT_NETUID, Hash


def wait_for(s, alpha=10 * TAO, netuid=ONE_NET, hotkey=HOT):
    """Let root dividends wait for a fund: alpha outside the pool that nobody has."""
    put(s, "SubnetAlphaOut", netuid, get(s, "SubnetAlphaOut", netuid) + alpha)
    enqueue(s, hotkey, netuid, alpha)


def deposit(s, alpha=10 * TAO, netuid=ONE_NET, hotkey=HOT):
    wait_for(s, alpha, netuid, hotkey)
    flush(s, hotkey)


def root_stake(s, coldkey, hotkey=HOT):
    return get_stake(s, hotkey, coldkey, ROOT_NETUID)


# --- deposits ----------------------------------------------------------------------------------


def test_an_epoch_leaves_root_dividends_in_the_queue():
    s = basket_lab()
    do_distribute(s, ONE_NET, Pending(0, 0, TAO, 0), [HotkeyEmission(HOT, 1, 10**6)])
    assert get(s, "PendingBasketDeposits", HOT, ONE_NET) == pytest.approx(TAO, abs=2)
    assert get(s, "RootClaimable", HOT) == ()
    assert holdings(s) == {}


def test_a_dividend_becomes_a_holding_and_shares_at_par():
    s = basket_lab()
    before = books(s)
    deposit(s)
    assert books(s) == before
    assert holdings(s) == {ONE_NET: 10 * TAO}
    assert nav(s) == pytest.approx(5 * TAO, rel=2e-3)
    assert shares(s) == nav(s) == get(s, "BasketDepositedTao", HOT)
    assert emitted(s, BasketDeposited) == [BasketDeposited(HOT, nav(s), shares(s))]
    assert owed(s, ALICE) == pytest.approx(shares(s), rel=1e-7)
    assert get(s, "BasketRate", HOT) == I96F32.ratio(shares(s), 100 * TAO)
    assert ESCROW.hex() == "6d6f646c73756274656e7372" + b"beta/esc".hex() + "00" * 12


def test_a_second_dividend_mints_at_the_funds_price():
    s = basket_lab()
    deposit(s)
    pool(s, ONE_NET, 2 * POOL, 2 * POOL)  # the fund doubles; nobody minted for that
    price = nav(s) / shares(s)
    deposit(s, 4 * TAO, TWO_NET)
    assert nav(s) / shares(s) == pytest.approx(price, rel=1e-8)


def test_the_funds_own_tao_earns_for_all_shares():
    s = basket_lab()
    ok(s, BOB, "stake_into_basket", HOT, 100 * TAO)  # the fund has as much on root as ALICE
    price = nav(s) / shares(s)
    deposit(s)
    minted = shares(s) - 100 * TAO
    assert minted == pytest.approx(2.5 * TAO, rel=2e-3)
    assert nav(s) / shares(s) > price * 1.02


def test_dividends_without_stakers_are_recycled():
    s = basket_lab(alice=0)
    before = books(s)
    deposit(s)
    assert holdings(s) == {}
    assert shares(s) == 0
    assert get(s, "SubnetAlphaOut", ONE_NET) == POOL
    assert books(s) == before


def test_small_dividends_wait_until_they_are_worth_it():
    s = basket_lab()
    wait_for(s, 999_999)
    flush(s, HOT)
    assert get(s, "PendingBasketDeposits", HOT, ONE_NET) == 999_999
    wait_for(s, 1)
    flush(s, HOT)
    assert not has(s, "PendingBasketDeposits", HOT, ONE_NET)
    assert holdings(s) == {ONE_NET: 1_000_000}


def test_dividends_of_a_hotkey_without_a_seat_are_recycled():
    s = basket_lab()
    wait_for(s, hotkey=key(77))
    flush(s, key(77))
    assert not has(s, "PendingBasketDeposits", key(77), ONE_NET)
    assert get(s, "SubnetAlphaOut", ONE_NET) == POOL


def test_one_hotkey_is_flushed_a_block_in_storage_order():
    s = basket_lab()
    seats = [HOT, OTHER]
    for hotkey in seats:
        put(s, "TotalHotkeyAlpha", hotkey, ROOT_NETUID, 100 * TAO)
        wait_for(s, hotkey=hotkey)
        wait_for(s, 1, TWO_NET, hotkey)  # dust stays
    left = []
    for _ in range(3):
        flush_next(s)
        left.append(sum(has(s, "PendingBasketDeposits", hot, ONE_NET) for hot in seats))
    assert left == [1, 0, 0]
    assert get(s, "PendingBasketFlushCursor") is None
    assert all(get(s, "PendingBasketDeposits", hot, TWO_NET) == 1 for hot in seats)


def test_a_pool_without_depth_gets_no_dividends():
    s = basket_lab()
    pool(s, TWO_NET, 999_999, 10)
    wait_for(s, 10 * TAO, TWO_NET)
    wait_for(s)
    flush(s, HOT)
    assert holdings(s) == {ONE_NET: 10 * TAO}
    assert get(s, "SubnetAlphaOut", TWO_NET) == POOL
    assert not has(s, "PendingBasketDeposits", HOT, TWO_NET)


# --- claims ------------------------------------------------------------------------------------


def test_a_claim_sells_the_part_and_stakes_it_on_root():
    s = basket_lab()
    deposit(s)
    before, worth, had = books(s), nav(s), root_stake(s, ALICE)
    ok(s, ALICE, "claim_root_with_hotkey", HOT)
    gained = root_stake(s, ALICE) - had
    assert gained == pytest.approx(worth, rel=1e-6)
    assert books(s) == before
    assert emitted(s, BasketClaimed) == [BasketClaimed(HOT, ALICE, gained)]
    assert emitted(s, RootClaimed) == [RootClaimed(ALICE, gained)]
    assert get(s, "BasketRedeemedTao", HOT) == get(s, "SubnetRootSellTao", ONE_NET) == gained
    assert owed(s, ALICE) <= 1
    ok(s, ALICE, "claim_root_with_hotkey", HOT)  # nothing is left, and that is no failure
    assert root_stake(s, ALICE) == had + gained


def test_claim_root_covers_every_hotkey_and_ignores_subnets():
    s = basket_lab()
    deposit(s)
    ok(s, BOB, "stake_into_basket", OTHER, 10 * TAO)
    ok(s, BOB, "stake_into_basket", HOT, 10 * TAO)
    ok(s, BOB, "claim_root", ())
    assert owed(s, BOB) <= 1
    assert owed(s, BOB, OTHER) == 0
    assert root_stake(s, BOB) + root_stake(s, BOB, OTHER) == pytest.approx(20 * TAO, rel=3e-3)
    assert emitted(s, RootClaimed)[0].tao == root_stake(s, BOB) + root_stake(s, BOB, OTHER)


def test_the_order_of_claims_does_not_matter():
    s = basket_lab(50 * TAO, 50 * TAO)
    deposit(s, 2_000 * TAO)
    due = nav(s) // 2
    ok(s, ALICE, "claim_root_with_hotkey", HOT)
    first = root_stake(s, ALICE) - 50 * TAO
    assert first == pytest.approx(due, rel=1e-6)
    assert holdings(s)[ROOT_NETUID] > 0  # what the sale brought beyond ALICE's part
    ok(s, BOB, "claim_root_with_hotkey", HOT)
    assert root_stake(s, BOB) - 50 * TAO >= due * (1 - 1e-6)


def test_small_claims_wait():
    s = basket_lab()
    deposit(s, 1_100_000)
    put(s, "RootClaimableThreshold", ROOT_NETUID, I96F32.from_int(10**6))
    had = root_stake(s, ALICE)
    ok(s, ALICE, "claim_root_with_hotkey", HOT)
    assert root_stake(s, ALICE) == had
    assert owed(s, ALICE) > 500_000
    # The holding was under the threshold too: it is TAO of the fund now.
    assert list(holdings(s)) == [ROOT_NETUID]
    assert len(emitted(s, BasketHoldingConverted)) == 1


def test_what_cannot_be_sold_is_written_off():
    s = basket_lab()
    deposit(s)
    deposit(s, 10 * TAO, TWO_NET)
    pool(s, TWO_NET, 10, 10)
    had, before = root_stake(s, ALICE), books(s)
    ok(s, ALICE, "claim_root_with_hotkey", HOT)
    assert root_stake(s, ALICE) - had == pytest.approx(5 * TAO, rel=2e-3)
    assert emitted(s, BasketAlphaWrittenOff) == [BasketAlphaWrittenOff(HOT, TWO_NET, 10 * TAO)]
    after = books(s)
    del before["TAO of pool 2"], after["TAO of pool 2"]  # the test took TAO out of that pool
    assert after == before


@pytest.mark.parametrize("depth", [10**7, 10**9, POOL])
def test_a_holding_is_sold_in_as_many_trades_as_it_takes(depth):
    s = basket_lab()
    deposit(s, 1_500 * TAO)
    pool(s, ONE_NET, POOL, depth)  # 150,000 times the reserve; 1,500 times; less
    before, worth, had = books(s), nav(s), root_stake(s, ALICE)
    assert 0 < worth < POOL
    ok(s, ALICE, "claim_root_with_hotkey", HOT)
    assert root_stake(s, ALICE) - had == pytest.approx(worth, rel=1e-6)
    assert books(s) == before


def test_alpha_that_costs_nothing_does_not_hold_up_the_rest():
    s = basket_lab()
    deposit(s)
    deposit(s, 10 * TAO, TWO_NET)
    pool(s, TWO_NET, TAO, 2_000_000 * TAO)
    had = root_stake(s, ALICE)
    ok(s, ALICE, "claim_root_with_hotkey", HOT)
    assert root_stake(s, ALICE) - had == pytest.approx(5 * TAO, rel=2e-3)
    assert len(emitted(s, BasketAlphaWrittenOff)) == 1


def test_root_stake_that_comes_or_goes_keeps_what_is_owed():
    s = basket_lab()
    deposit(s)
    due = owed(s, ALICE)
    ok(s, ALICE, "add_stake", HOT, ROOT_NETUID, 7 * TAO)
    assert owed(s, ALICE) == pytest.approx(due, abs=2)
    ok(s, ALICE, "remove_stake", HOT, ROOT_NETUID, 107 * TAO)
    assert root_stake(s, ALICE) == 0
    assert owed(s, ALICE) == pytest.approx(due, abs=3)
    ok(s, ALICE, "claim_root", ())
    assert root_stake(s, ALICE) == pytest.approx(5 * TAO, rel=2e-3)


def test_new_root_stake_gets_nothing_of_what_waits():
    s = basket_lab()
    wait_for(s)
    ok(s, BOB, "add_stake", HOT, ROOT_NETUID, 100 * TAO)
    assert holdings(s) == {ONE_NET: 10 * TAO}
    assert owed(s, BOB) <= 1
    wait_for(s)
    ok(s, ALICE, "transfer_stake", BOB, HOT, ROOT_NETUID, ROOT_NETUID, 100 * TAO)
    assert owed(s, ALICE) == pytest.approx(shares(s) * 3 // 4, rel=1e-3)
    wait_for(s)
    due = owed(s, BOB)
    ok(s, BOB, "remove_stake", HOT, ROOT_NETUID, 50 * TAO)
    assert owed(s, BOB) > due + 4 * TAO


def test_no_claims_run_by_themselves():
    s = basket_lab()
    ok(s, ALICE, "add_stake", HOT, ROOT_NETUID, TAO)
    deposit(s)
    due = owed(s, ALICE)
    run_automatic_claims(s, Hash(bytes(32)))
    assert owed(s, ALICE) == due


def test_a_claim_that_is_too_heavy():
    s = basket_lab()
    for n in range(257):
        hotkey = key(1000 + n)
        put(s, "StakingHotkeys", BOB, (*get(s, "StakingHotkeys", BOB), hotkey))
    fails(s, Error.RootClaimTooHeavy, BOB, "claim_root", ())
    put(s, "StakingHotkeys", BOB, get(s, "StakingHotkeys", BOB)[:256])
    ok(s, BOB, "claim_root", ())
    for n in range(257):
        put(s, "AlphaV2", HOT, ESCROW, 100 + n, get(s, "AlphaV2", HOT, ALICE, ROOT_NETUID))
    fails(s, Error.RootClaimTooHeavy, ALICE, "claim_root_with_hotkey", HOT)


def test_claims_pay_for_what_they_did():
    s = basket_lab()
    deposit(s)
    little = run(s, ALICE, "claim_root_with_hotkey", HOT).weight
    assert 0 < little < 10**10 < 249 * 10**9


# --- buying shares -----------------------------------------------------------------------------


def test_the_first_buyer_of_an_empty_fund_has_its_tao():
    s = basket_lab()
    before = books(s)
    ok(s, BOB, "stake_into_basket", HOT, 20 * TAO)
    assert holdings(s) == {ROOT_NETUID: 20 * TAO}
    assert shares(s) == owed(s, BOB) == 20 * TAO
    assert get(s, "BasketClaimed", HOT, BOB) == -20 * TAO
    assert get(s, "StakingHotkeys", BOB) == (HOT,)
    sold = BasketStakedIn(HOT, BOB, 20 * TAO, 20 * TAO, 20 * TAO)
    assert emitted(s, BasketStakedIn) == [sold]
    assert books(s) == before
    assert owed(s, ALICE) == 0


def test_a_buyer_gets_what_the_fund_has_and_dilutes_nobody():
    s = basket_lab()
    deposit(s)
    deposit(s, 5 * TAO, TWO_NET)
    before, price, due = books(s), nav(s) / shares(s), owed(s, ALICE)
    had = holdings(s)
    ok(s, BOB, "stake_into_basket", HOT, 15 * TAO)
    assert books(s) == before
    assert nav(s) / shares(s) == pytest.approx(price, rel=1e-8)
    assert owed(s, ALICE) == due
    for netuid in (ONE_NET, TWO_NET):
        assert holdings(s)[netuid] / had[netuid] == pytest.approx(3, rel=2e-2)
    spent = balance(s, BOB)
    ok(s, BOB, "claim_root", ())
    assert balance(s, BOB) == spent
    assert root_stake(s, BOB) == pytest.approx(15 * TAO, rel=5e-3)
    assert root_stake(s, BOB) < 15 * TAO


@pytest.mark.parametrize(
    ("hotkey", "amount", "failure"),
    [
        (key(99), TAO, Error.HotKeyAccountNotExists),
        (HOT, 1_999_999, Error.AmountTooLow),
        (HOT, 2_000_000 * TAO, Error.NotEnoughBalanceToStake),
    ],
)
def test_who_cannot_buy(hotkey, amount, failure):
    fails(basket_lab(), failure, BOB, "stake_into_basket", hotkey, amount)


def test_only_funds_of_seats_on_root_are_sold():
    s = basket_lab()
    neuron(s, ONE_NET, CAROL, key(88))
    failure = Error.HotKeyNotRegisteredInSubNet
    fails(s, failure, BOB, "stake_into_basket", key(88), TAO)


def test_chains_made_before_funds_keep_their_claims():
    s = lab()
    neuron(s, 0, CAROL, HOT)
    failure = Error.BetaBasketSeedInProgress
    fails(s, failure, BOB, "stake_into_basket", HOT, TAO)
    fails(s, failure, BOB, "claim_root_with_hotkey", HOT)
    fails(s, Error.InvalidSubnetNumber, BOB, "claim_root", ())


def test_a_fund_worth_nothing_starts_anew_only_beside_dust():
    s = basket_lab()
    put(s, "BasketShares", HOT, 10 * TAO)
    fails(s, Error.AmountTooLow, BOB, "stake_into_basket", HOT, 100 * TAO)
    put(s, "BasketShares", HOT, TAO)
    put(s, "BasketTwr", HOT, 7)
    ok(s, BOB, "stake_into_basket", HOT, 100 * TAO)
    assert shares(s) == 101 * TAO
    assert not has(s, "BasketTwr", HOT)


# --- keys and subnets --------------------------------------------------------------------------


def test_a_fund_follows_its_hotkey():
    s = basket_lab()
    deposit(s)
    ok(s, BOB, "stake_into_basket", HOT, 10 * TAO)
    put(s, "BasketTradingFrozen", HOT, ())
    put(s, "BasketTradeBucket", HOT, (5, 6))
    new, before, due = key(55), books(s), (owed(s, ALICE), owed(s, BOB))
    worth, all_shares, had = nav(s), shares(s), holdings(s)
    ok(s, CAROL, "swap_hotkey", HOT, new, None)
    assert holdings(s) == {}
    assert shares(s) == 0
    assert (holdings(s, new), shares(s, new), nav(s, new)) == (had, all_shares, worth)
    assert (owed(s, ALICE, new), owed(s, BOB, new)) == due
    assert has(s, "BasketTradingFrozen", new)
    assert get(s, "BasketTradeBucket", new) == (5, 6)
    assert books(s) == before
    ok(s, BOB, "claim_root", ())
    assert root_stake(s, BOB, new) > 9 * TAO


def test_a_fund_stays_when_its_hotkey_moves_on_another_subnet():
    s = basket_lab()
    deposit(s)
    at(s, 100_000)
    neuron(s, ONE_NET, CAROL, HOT)
    ok(s, CAROL, "swap_hotkey", HOT, key(55), ONE_NET)
    assert holdings(s) == {ONE_NET: 10 * TAO}


def test_a_hotkey_with_a_fund_cannot_take_another():
    s = basket_lab()
    put(s, "IsNetworkMember", OTHER, ROOT_NETUID, False)
    ok(s, BOB, "stake_into_basket", HOT, 10 * TAO)
    put(s, "BasketClaimed", OTHER, BOB, 1)
    s2_failure = run(s, CAROL, "swap_hotkey", HOT, OTHER, None).error
    assert s2_failure is not None


def test_shares_follow_their_coldkey():
    s = basket_lab()
    ok(s, BOB, "stake_into_basket", HOT, 10 * TAO)
    ok(s, SUDO, "swap_coldkey", BOB, key(66), 0)
    assert owed(s, BOB) == 0
    assert owed(s, key(66)) == 10 * TAO
    fails(s, Error.CannotUseSystemAccount, SUDO, "swap_coldkey", ALICE, ESCROW, 0)


def test_nobody_can_give_stake_to_the_funds_account():
    s = basket_lab()
    failure = Error.CannotUseSystemAccount
    args = (ESCROW, HOT, ROOT_NETUID, ROOT_NETUID, TAO)
    fails(s, failure, ALICE, "transfer_stake", *args)


def test_dust_of_funds_is_not_cleared_as_a_nomination():
    s = basket_lab()
    deposit(s)
    put(s, "NominatorMinRequiredStake", 10**12)
    clear_small_nominations(s)
    assert holdings(s) == {ONE_NET: 10 * TAO}


def test_a_fund_sells_before_a_subnet_is_dissolved():
    s = basket_lab()
    deposit(s)
    deposit(s, 10 * TAO, TWO_NET)
    wait_for(s, 5, ONE_NET)
    worth = nav(s)
    do_dissolve_network(s, ONE_NET)
    assert set(holdings(s)) == {ROOT_NETUID, TWO_NET}
    assert nav(s) == pytest.approx(worth, rel=1e-8)
    assert balance(s, ESCROW) == 0
    assert not has(s, "PendingBasketDeposits", HOT, ONE_NET)
    assert not has(s, "SubnetFastMovingPrice", ONE_NET)


# --- display prices ----------------------------------------------------------------------------

ONE = U64F64.one


def publish(s, blocks=600):
    """Let the index make its next pass."""
    at(s, get_block(s) + blocks)
    return advance_index(s)


def get_block(s):
    return block_number(s)


def test_a_baseline_is_taken_at_the_first_shares_after_an_index():
    s = basket_lab()
    deposit(s)
    assert not has(s, "BetaBaseline", HOT)
    publish(s)
    assert get(s, "BetaIndexSnapshot").bag_level == ONE
    deposit(s)
    base = get(s, "BetaBaseline", HOT)
    assert base.price_divisor == pytest.approx(ONE, rel=1e-3)
    assert (base.tr_splice, base.first_block) == (ONE, get_block(s))
    assert emitted(s, BetaBaselineStamped) == [BetaBaselineStamped(HOT)]
    assert publish(s, 599) == 0


def test_the_index_chains_gains_weighted_by_worth():
    s = basket_lab()
    put(s, "BetaIndexSnapshot", type_of(s, "BetaIndexSnapshot")(ONE, ONE, 1))
    ok(s, BOB, "stake_into_basket", HOT, 400 * TAO)
    ok(s, BOB, "stake_into_basket", OTHER, 1_200 * TAO)
    publish(s)
    add_cash(s, OTHER, 1_200 * TAO)  # one fund doubles, the other stays
    put(s, "BasketTwr", OTHER, 2 * ONE)
    publish(s)
    level = get(s, "BetaIndexSnapshot")
    assert level.bag_level == ONE * 7 // 4
    assert level.stake_level == ONE * 7 // 4


def type_of(s, name):
    return item_of(name).value_type


def test_dividends_compound_the_stakers_return():
    s = basket_lab()
    deposit(s)
    assert get(s, "BasketTwr", HOT) == ONE + U64F64.ratio(shares(s), 100 * TAO)
    put(s, "RootClaimableThreshold", ROOT_NETUID, 0)
    ok(s, ALICE, "claim_root_with_hotkey", HOT)
    left = shares(s)
    assert left <= 25  # the rate is rounded down: a little is never owed


def test_prices_end_with_the_last_share():
    s = basket_lab()
    put(s, "BetaIndexSnapshot", type_of(s, "BetaIndexSnapshot")(ONE, ONE, 1))
    ok(s, BOB, "stake_into_basket", HOT, 400 * TAO)
    publish(s)
    assert has(s, "BetaBaseline", HOT)
    assert has(s, "BetaIndexFundSample", HOT)
    ok(s, BOB, "claim_root", ())
    assert shares(s) == 0
    assert not has(s, "BetaBaseline", HOT)
    assert not has(s, "BetaIndexFundSample", HOT)


def test_a_block_does_a_bounded_part_of_a_pass():
    s = basket_lab()
    put(s, "BetaIndexSnapshot", type_of(s, "BetaIndexSnapshot")(ONE, ONE, 1))
    ok(s, BOB, "stake_into_basket", HOT, 400 * TAO)
    base = get(s, "BetaBaseline", HOT)
    for n in range(300):
        put(s, "BetaBaseline", key(2000 + n), base)
    assert publish(s) >= 256
    assert get(s, "BetaIndexSweep").cursor
    assert get(s, "BetaIndexSnapshot").block == 1
    publish(s, 1)
    assert get(s, "BetaIndexSweep") is None
    assert get(s, "BetaIndexSnapshot").block == get_block(s)


def test_blocks_run_with_funds():
    s = basket_lab()
    wait_for(s)
    settle_prices(s, ONE_NET, TWO_NET)
    step(s, 3)
    assert holdings(s)[ONE_NET] == 10 * TAO
    assert staked(s, ROOT_NETUID) == 100 * TAO
    assert get(s, "BetaIndexSnapshot").bag_level == ONE
