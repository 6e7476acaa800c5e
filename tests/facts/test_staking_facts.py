"""Facts about staking and the pool (G110 to G134), each under its number."""

import pytest
from network_lab import (
    ALICE,
    BOB,
    CAROL,
    NET,
    OWNER,
    RICH,
    SUDO,
    TAO,
    at,
    balance,
    emitted,
    fails,
    fund,
    get,
    give_stake,
    has,
    key,
    lab,
    neuron,
    ok,
    pool,
    put,
    subnet,
)

from chain.pallets import swap
from chain.pallets.alpha_assets import AlphaBurned, AlphaRecycled
from chain.pallets.aura import Authorities
from chain.pallets.subtensor.accounts import compute_subnet_account, do_create_account
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_network import SubnetOwnerChanged
from chain.pallets.subtensor.events_stake import StakeAdded, StakeMoved, StakeRemoved
from chain.pallets.subtensor.kingship import ONE_YEAR, change_subnet_owner_if_needed
from chain.pallets.subtensor.locks import get_available, get_locked
from chain.pallets.subtensor.share_pool import get_hotkey_stake, get_stake, grow_pool
from chain.pallets.subtensor.stake_checks import get_max_add, get_max_move, get_max_remove
from chain.pallets.subtensor.stake_utils import clear_small_nominations
from chain.pallets.subtensor.storage_stake import TotalHotkeySharesV2
from chain.pallets.system import Number
from chain.runtime.dispatch import dispatch
from chain.runtime.origin import signed
from consensus.economics.fixed import U64F64
from consensus.economics.trade import Side, fee_for
from ganglion.fixed import U64_MAX
from ganglion.units import ROOT_NETUID

HOT, OTHER_HOT = key(100), key(101)
POOL = 10**6 * TAO
LIMIT = 2 * TAO
FEE = 33


def market(netuid=NET, tao=POOL, alpha=POOL, **settings):
    """A dynamic subnet whose account holds the TAO of its pool; HOT belongs to ALICE."""
    s = lab()
    add_market(s, netuid, tao, alpha, **settings)
    do_create_account(s, ALICE, HOT)
    return s


def add_market(s, netuid, tao=POOL, alpha=POOL, **settings):
    subnet(s, netuid, SubnetMechanism=1, **settings)
    pool(s, netuid, tao, alpha)
    fund(s, compute_subnet_account(netuid), tao + TAO)


def staked(s, amount=100 * TAO, netuid=NET, coldkey=ALICE, hotkey=HOT):
    give_stake(s, netuid, coldkey, hotkey, amount)
    fund(s, compute_subnet_account(netuid), balance(s, compute_subnet_account(netuid)) + amount)
    return s


def price(s, netuid=NET):
    return swap.get_price(s, netuid) / U64F64.one


def test_G110_add_stake_buys_alpha():
    s = market()
    ok(s, ALICE, "add_stake", HOT, NET, TAO)
    alpha = get_stake(s, HOT, ALICE, NET)
    fee = fee_for(FEE, TAO)
    assert balance(s, ALICE) == RICH - TAO
    assert TAO - fee - 1_000_000 < alpha < TAO
    assert get(s, "TotalStake") == TAO
    assert get(s, "SubnetTAO", NET) == POOL + TAO - fee
    assert get(s, "SubnetAlphaIn", NET) == POOL - alpha
    assert get(s, "SubnetAlphaOut", NET) == alpha
    assert emitted(s, StakeAdded) == [StakeAdded(ALICE, HOT, TAO, alpha, NET, fee)]
    assert HOT in get(s, "StakingHotkeys", ALICE)


def test_G110_the_fee_goes_to_the_author():
    s = market()
    s[Authorities] = (CAROL,)
    ok(s, ALICE, "add_stake", HOT, NET, TAO)
    assert balance(s, CAROL) == RICH + fee_for(FEE, TAO)


def test_G111_amounts_and_accounts():
    s = market()
    fails(s, Error.AmountTooLow, ALICE, "add_stake", HOT, NET, 2_000_000)
    ok(s, ALICE, "add_stake", HOT, NET, 2_000_000 + fee_for(FEE, 2_000_000) + 1)
    fails(s, Error.HotKeyAccountNotExists, ALICE, "add_stake", key(999), NET, TAO)
    fails(s, Error.NotEnoughBalanceToStake, BOB, "add_stake", HOT, NET, RICH + 1)
    fails(s, Error.SubnetNotExists, ALICE, "add_stake", HOT, 77, TAO)
    put(s, "SubtokenEnabled", NET, False)
    fails(s, Error.SubtokenDisabled, ALICE, "add_stake", HOT, NET, TAO)
    fails(s, Error.SubtokenDisabled, ALICE, "remove_stake", HOT, NET, TAO)


def close(actual, wanted, part):
    return abs(actual - wanted) <= max(wanted * part, 1)


@pytest.mark.parametrize(
    ("reserve", "limit", "most"),
    [
        (10**6, 4 * TAO, 1_000_500),
        (10**6, 9 * TAO, 2_001_000),
        (10**6, 16 * TAO, 3_001_500),
        (10**12, 16 * TAO, 3_001_500_000_000),
    ],
)
def test_G112_max_add(reserve, limit, most):
    s = market(tao=reserve, alpha=reserve)
    assert close(get_max_add(s, NET, limit), most, 1e-4)


def test_G112_max_add_at_the_edges():
    s = market()
    with pytest.raises(swap.Error.PriceLimitExceeded):
        get_max_add(s, NET, 0)
    pool(s, NET, U64_MAX // 2, U64_MAX)
    assert get_max_add(s, NET, U64_MAX) == U64_MAX


@pytest.mark.parametrize("limit", [0, 10**8, 5 * 10**8, 1_499_999_999, 1_500_000_000])
def test_G113_no_max_add_under_the_price(limit):
    s = market(tao=150 * TAO, alpha=100 * TAO)
    with pytest.raises(swap.Error.PriceLimitExceeded):
        get_max_add(s, NET, limit)


@pytest.mark.parametrize(("limit", "most"), [(1_500_000_001, 49), (6 * TAO, 150_075_000_000)])
def test_G113_max_add_above_the_price(limit, most):
    s = market(tao=150 * TAO, alpha=100 * TAO)
    assert close(get_max_add(s, NET, limit), most, 1e-4)


def test_G114_stable_subnets_have_one_price():
    s = lab()
    subnet(s)
    assert [get_max_add(s, NET, limit) for limit in (TAO - 1, TAO)] == [0, U64_MAX]
    assert [get_max_remove(s, NET, limit) for limit in (TAO + 1, TAO)] == [0, U64_MAX]


@pytest.mark.parametrize(
    ("tao", "alpha", "limit", "most"),
    [
        (10**10, 10**10, 0, 10**13),
        (10**6, 10**6, 250_000_000, 1_010_000),
        (10**6, 10**6, 62_500_000, 3_030_000),
        (10**12, 10**12, 62_500_000, 3_030_000_000_000),
        (200 * TAO, 100 * TAO, 0, 10**14),
        (200 * TAO, 100 * TAO, 500_000_000, 101 * TAO),
        (200 * TAO, 100 * TAO, 125_000_000, 303 * TAO),
        (200 * TAO, 100 * TAO, 1_999_999_990, 250),
        (200 * TAO, 100 * TAO, 1_999_999_999, 24),
        (21 * 10**15, 10**6, 21 * 10**15, 17_455_533),
        (21 * 10**15, 10**6, U64_MAX, 67_000),
        (21 * 10**15, 10**18, 2 * 10**7, 24_700_000_000_000_000),
        (21 * 10**15, 21 * 10**15, 999_999_999, 10_605_000),
        (21 * 10**15, 21 * 10**15, 0, U64_MAX),
    ],
)
def test_G115_max_remove(tao, alpha, limit, most):
    s = market(tao=tao, alpha=alpha)
    assert close(get_max_remove(s, NET, limit), most, 0.01)


@pytest.mark.parametrize(
    ("tao", "alpha", "limit", "failure"),
    [
        (0, TAO, 0, swap.Error.ReservesTooLow),
        (TAO, 0, 0, swap.Error.PriceLimitExceeded),
        (200 * TAO, 100 * TAO, 2 * TAO, swap.Error.PriceLimitExceeded),
    ],
)
def test_G115_no_max_remove(tao, alpha, limit, failure):
    s = market(tao=tao, alpha=alpha)
    with pytest.raises(failure):
        get_max_remove(s, NET, limit)


@pytest.mark.parametrize(
    ("limit", "most"),
    [(0.1, 560), (0.5, 80), (0.75, 40), (1, 20), (1.25, 8), (1.5, 0), (2, 0)],
)
def test_G116_max_move(limit, most):
    s = market(tao=150 * TAO, alpha=100 * TAO)
    add_market(s, 2, 100 * TAO, 100 * TAO)
    assert close(get_max_move(s, NET, 2, int(limit * TAO)), most * TAO, 1e-4)


def test_G117_a_limit_stops_a_purchase():
    s = market(tao=150 * TAO, alpha=100 * TAO)
    fund(s, ALICE, 900 * TAO)
    args = (HOT, NET, 900 * TAO, 24 * TAO)
    fails(s, Error.SlippageTooHigh, ALICE, "add_stake_limit", *args, False)
    ok(s, ALICE, "add_stake_limit", *args, True)
    assert close(get_stake(s, HOT, ALICE, NET), 75 * TAO, 1e-3)
    assert close(balance(s, ALICE), 450 * TAO - fee_for(FEE, 450 * TAO), 1e-3)
    assert price(s) == pytest.approx(24, rel=1e-6)


def test_G117_fill_or_kill_within_the_limit():
    s = market(tao=150 * TAO, alpha=100 * TAO)
    ok(s, ALICE, "add_stake_limit", HOT, NET, 150 * TAO, 24 * TAO, False)


def test_G118_fill_or_kill_of_a_sale():
    s = staked(market(tao=150 * TAO, alpha=100 * TAO), 150 * TAO)
    args = (1_350_000_000, False)
    fails(s, Error.SlippageTooHigh, ALICE, "remove_stake_limit", HOT, NET, 150 * TAO, *args)
    ok(s, ALICE, "remove_stake_limit", HOT, NET, 150 * TAO // 100, *args)


def test_G119_a_purchase_of_a_thousand_reserves():
    s = market(tao=10**7, alpha=10**7)
    fails(s, Error.InsufficientLiquidity, ALICE, "add_stake", HOT, NET, 10**10 + 1)
    ok(s, ALICE, "add_stake", HOT, NET, 10**10)


def test_G120_removal_is_capped_and_leaves_enough_or_nothing():
    s = staked(market(), 10_000_000)
    fails(s, Error.AmountTooLow, ALICE, "remove_stake", HOT, NET, 1_000_000)
    ok(s, ALICE, "remove_stake", HOT, NET, 10**15)
    assert get_stake(s, HOT, ALICE, NET) == 0
    fails(s, Error.AmountTooLow, ALICE, "remove_stake", HOT, NET, 1)


def test_G120_the_whole_position_may_be_small():
    s = staked(market(), 1_000)
    ok(s, ALICE, "remove_stake", HOT, NET, 1_000)
    (event,) = emitted(s, StakeRemoved)
    assert event._0 == ALICE
    assert event._3 == 1_000 - event._5


def everywhere():
    """ALICE has stake behind HOT on two subnets, one of them broken, and on root."""
    s = staked(market())
    add_market(s, 2)
    staked(s, netuid=2)
    add_market(s, 3, tao=0, alpha=TAO)
    staked(s, netuid=3)
    put(s, "SubtokenEnabled", ROOT_NETUID, True)
    staked(s, netuid=ROOT_NETUID)
    return s


def stakes(s):
    return [get_stake(s, HOT, ALICE, n) for n in (ROOT_NETUID, NET, 2, 3)]


def test_G121_unstake_all_passes_over_what_fails():
    s = everywhere()
    ok(s, ALICE, "unstake_all", HOT)
    assert stakes(s) == [0, 0, 0, 100 * TAO]
    assert balance(s, ALICE) > RICH + 299 * TAO


def test_G121_unstake_all_alpha_ends_on_root():
    s = everywhere()
    before = balance(s, ALICE)
    ok(s, ALICE, "unstake_all_alpha", HOT)
    root, *alphas = stakes(s)
    assert alphas == [0, 0, 100 * TAO]
    assert 299 * TAO < root < 300 * TAO
    assert balance(s, ALICE) == before


def test_G122_a_move_between_subnets_pays_one_fee():
    s = staked(market())
    add_market(s, 2)
    ok(s, ALICE, "move_stake", HOT, HOT, NET, 2, 100 * TAO)
    (removed,), (added,) = emitted(s, StakeRemoved), emitted(s, StakeAdded)
    assert removed._5 == fee_for(FEE, 100 * TAO)
    assert added._5 == 0
    assert emitted(s, StakeMoved) == [StakeMoved(ALICE, HOT, NET, HOT, 2, removed._2)]
    assert get_stake(s, HOT, ALICE, NET) == 0
    assert 99 * TAO < get_stake(s, HOT, ALICE, 2) < 100 * TAO


def test_G122_a_move_from_root_pays_on_arrival():
    s = market()
    put(s, "SubtokenEnabled", ROOT_NETUID, True)
    staked(s, netuid=ROOT_NETUID)
    ok(s, ALICE, "move_stake", HOT, HOT, ROOT_NETUID, NET, 100 * TAO)
    (removed,), (added,) = emitted(s, StakeRemoved), emitted(s, StakeAdded)
    assert removed._5 == 0
    assert added._5 == fee_for(FEE, 100 * TAO)


def test_G122_one_rao_is_too_little():
    s = staked(market())
    add_market(s, 2)
    fails(s, Error.AmountTooLow, ALICE, "move_stake", HOT, HOT, NET, 2, 1)


def test_G123_a_gift_within_a_subnet_is_exact():
    s = staked(market())
    ok(s, ALICE, "transfer_stake", BOB, HOT, NET, NET, 40 * TAO)
    assert get_stake(s, HOT, BOB, NET) == 40 * TAO
    assert get_stake(s, HOT, ALICE, NET) == 60 * TAO
    assert get(s, "SubnetAlphaIn", NET) == POOL
    put(s, "TransferToggle", NET, False)
    fails(s, Error.TransferDisallowed, ALICE, "transfer_stake", BOB, HOT, NET, NET, 4 * TAO)


def test_G123_nobody_gives_away_what_is_not_theirs():
    s = staked(market())
    fails(s, Error.AmountTooLow, BOB, "transfer_stake", CAROL, HOT, NET, NET, 40 * TAO)
    assert get_stake(s, HOT, ALICE, NET) == 100 * TAO


def test_G124_destinations_must_exist():
    s = staked(market())
    add_market(s, 2)
    args = (100 * TAO,)
    call = "move_stake"
    fails(s, Error.HotKeyAccountNotExists, ALICE, call, HOT, key(999), NET, 2, *args)
    fails(s, Error.SubnetNotExists, ALICE, call, HOT, HOT, NET, 77, *args)
    fails(s, Error.SameNetuid, ALICE, call, HOT, HOT, NET, NET, *args)


def test_G124_a_move_to_another_hotkey_is_a_change_of_shares():
    s = staked(market())
    do_create_account(s, BOB, OTHER_HOT)
    ok(s, ALICE, "move_stake", HOT, OTHER_HOT, NET, NET, 100 * TAO)
    assert get_stake(s, OTHER_HOT, ALICE, NET) == 100 * TAO
    assert not has(s, "TotalHotkeyAlpha", HOT, NET)


def test_G125_swap_stake():
    s = staked(market(), coldkey=BOB)
    add_market(s, 2)
    fails(s, Error.SameNetuid, BOB, "swap_stake", HOT, NET, NET, 10 * TAO)
    ok(s, BOB, "swap_stake", HOT, NET, 2, 10 * TAO)
    assert 9 * TAO < get_stake(s, HOT, BOB, 2) < 10 * TAO


def test_G125_a_limit_on_the_ratio_of_prices():
    s = staked(market())
    add_market(s, 2)
    call = "swap_stake_limit"
    fails(s, Error.SlippageTooHigh, ALICE, call, HOT, NET, 2, 100 * TAO, TAO, False)
    ok(s, ALICE, call, HOT, NET, 2, 100 * TAO, TAO * 99 // 100, False)
    do_create_account(s, BOB, OTHER_HOT)
    staked(s)
    ok(s, ALICE, "move_stake_limit", HOT, OTHER_HOT, NET, 2, 50 * TAO, TAO * 98 // 100, True)
    assert get_stake(s, OTHER_HOT, ALICE, 2) > 0


def test_G126_doubling_a_pool_doubles_its_members():
    s = market()
    give_stake(s, NET, ALICE, HOT, 3 * TAO)
    give_stake(s, NET, BOB, HOT, TAO)
    grow_pool(s, HOT, NET, 4 * TAO)
    assert abs(get_stake(s, HOT, ALICE, NET) - 6 * TAO) <= 1
    assert abs(get_stake(s, HOT, BOB, NET) - 2 * TAO) <= 1


def test_G126_tiny_increases_keep_their_value():
    s = market()
    give_stake(s, NET, BOB, HOT, 10**6 * TAO + 7)
    for count in range(1, 200):
        give_stake(s, NET, ALICE, HOT, 1)
        assert abs(get_stake(s, HOT, ALICE, NET) - count) <= count
    assert 10**20 < s[TotalHotkeySharesV2, HOT, NET].mantissa <= 10**21


def test_G127_small_nominations_are_cleared():
    s = market()
    put(s, "NominatorMinRequiredStake", 10**6)
    for coldkey in (ALICE, BOB):
        staked(s, 1_000_000, coldkey=coldkey)
    staked(s, 3_000_000, coldkey=CAROL)
    clear_small_nominations(s)
    assert get_stake(s, HOT, ALICE, NET) == 1_000_000  # the hotkey's owner
    assert get_stake(s, HOT, BOB, NET) == 0
    assert get_stake(s, HOT, CAROL, NET) == 3_000_000
    assert balance(s, BOB) > RICH + 990_000


def test_G128_staking_is_not_rate_limited():
    s = market()
    for _ in range(5):
        ok(s, ALICE, "add_stake", HOT, NET, TAO)
        ok(s, ALICE, "remove_stake", HOT, NET, TAO // 2)


@pytest.mark.parametrize(
    ("call", "books"), [("burn_alpha", AlphaBurned), ("recycle_alpha", AlphaRecycled)]
)
def test_G129_alpha_is_destroyed(call, books):
    s = staked(market())
    ok(s, ALICE, call, HOT, 1000 * TAO, NET)
    assert get_stake(s, HOT, ALICE, NET) == 0
    assert s[books, NET] == 100 * TAO
    assert get(s, "SubnetAlphaOut", NET) == (100 * TAO if books is AlphaBurned else 0)
    failure = Error.CannotBurnOrRecycleOnRootSubnet
    fails(s, failure, ALICE, call, HOT, TAO, ROOT_NETUID)


def test_G129_locked_alpha_cannot_be_destroyed():
    s = staked(market())
    ok(s, ALICE, "lock_stake", HOT, NET, 60 * TAO)
    fails(s, Error.StakeUnavailable, ALICE, "burn_alpha", HOT, 41 * TAO, NET)
    ok(s, ALICE, "burn_alpha", HOT, 40 * TAO, NET)


def test_G129_buying_to_burn():
    s = market()
    ok(s, ALICE, "add_stake_burn", HOT, NET, 10 * TAO, None)
    assert get_stake(s, HOT, ALICE, NET) == 0
    assert s[AlphaBurned, NET] > 9 * TAO
    failure = Error.SlippageTooHigh
    fails(s, failure, ALICE, "add_stake_burn", HOT, NET, 1000 * TAO, TAO * 10001 // 10000)


def test_G130_the_weighted_pools_formula_and_fee():
    s = market(tao=TAO, alpha=4 * TAO)
    done = swap.sim_swap(s, NET, Side.BUY, TAO)
    fee = fee_for(FEE, TAO)
    assert done.fee == fee == done.fee_to_author
    assert abs(done.paid_out - 4 * TAO * (TAO - fee) // (2 * TAO - fee)) <= 1


def swap_call(s, origin, name, *args):
    from network_lab import RUNTIME

    return dispatch(s, RUNTIME.call("Swap", name, *args), origin).error


def test_G130_the_fee_rate_has_a_ceiling():
    s = market()
    assert swap_call(s, SUDO, "set_fee_rate", NET, 10_000) is None
    assert isinstance(swap_call(s, SUDO, "set_fee_rate", NET, 10_001), swap.Error.FeeRateTooHigh)
    failure = swap_call(s, SUDO, "set_fee_rate", 77, 1)
    assert isinstance(failure, swap.Error.MechanismDoesNotExist)
    assert s[swap.FeeRate, NET] == 10_000


@pytest.mark.parametrize(("tao", "alpha"), [(10**9, 10**9), (10**12, 1), (1, 10**12)])
def test_G131_an_injection_leaves_the_price(tao, alpha):
    s = market(alpha=3 * POOL)
    before = price(s)
    assert swap.adjust_protocol_liquidity(s, NET, tao, alpha) == (tao, alpha)
    pool(s, NET, POOL + tao, 3 * POOL + alpha)
    assert price(s) == pytest.approx(before, rel=1e-14)


def test_G132_user_liquidity_is_gone():
    s = market()
    tick = swap.TickIndex(0)
    calls = (
        ("add_liquidity", HOT, NET, tick, tick, 1),
        ("remove_liquidity", HOT, NET, swap.PositionId(1)),
        ("modify_position", HOT, NET, swap.PositionId(1), 1),
        ("toggle_user_liquidity", NET, True),
        ("disable_lp",),
    )
    for name, *args in calls:
        failure = swap_call(s, signed(ALICE), name, *args)
        assert isinstance(failure, swap.Error.Deprecated)


def test_G133_locked_alpha_cannot_leave():
    s = staked(market())
    add_market(s, 2)
    ok(s, ALICE, "lock_stake", HOT, NET, 100 * TAO)
    assert get_available(s, ALICE, NET) == 0
    fails(s, Error.StakeUnavailable, ALICE, "remove_stake", HOT, NET, 10 * TAO)
    fails(s, Error.StakeUnavailable, ALICE, "move_stake", HOT, HOT, NET, 2, 10 * TAO)


def test_G133_a_lock_decays():
    s = staked(market())
    ok(s, ALICE, "lock_stake", HOT, NET, 10 * TAO)
    at(s, s[Number] + get(s, "UnlockRate"))
    assert get_locked(s, ALICE, NET) / (10 * TAO) == pytest.approx(0.36788, abs=1e-5)


def test_G133_a_perpetual_lock_does_not():
    s = staked(market())
    ok(s, ALICE, "lock_stake", HOT, NET, 10 * TAO)
    ok(s, ALICE, "set_perpetual_lock", NET, True)
    at(s, s[Number] + get(s, "UnlockRate"))
    assert get_locked(s, ALICE, NET) == 10 * TAO


@pytest.mark.parametrize(("amount", "kept"), [(99, 0), (100, 100)])
def test_G133_dust_is_forgotten(amount, kept):
    s = staked(market())
    ok(s, ALICE, "lock_stake", HOT, NET, amount)
    assert get_locked(s, ALICE, NET) == kept
    assert has(s, "Lock", ALICE, NET, HOT) == bool(kept)


def test_G133_locks_follow_gifts_to_those_who_accept_them():
    s = staked(market())
    ok(s, ALICE, "lock_stake", HOT, NET, 60 * TAO)
    gift = ("transfer_stake", BOB, HOT, NET, NET, 70 * TAO)
    fails(s, Error.AccountRejectsLockedAlpha, ALICE, *gift)
    ok(s, BOB, "set_reject_locked_alpha", False)
    ok(s, ALICE, *gift)
    assert get_locked(s, BOB, NET) == 30 * TAO
    assert get_locked(s, ALICE, NET) == 30 * TAO
    assert get(s, "DecayingHotkeyLock", NET, HOT).locked_mass == 60 * TAO


def test_G133_one_lock_a_subnet():
    s = staked(market())
    do_create_account(s, BOB, OTHER_HOT)
    ok(s, ALICE, "lock_stake", HOT, NET, 60 * TAO)
    fails(s, Error.LockHotkeyMismatch, ALICE, "lock_stake", OTHER_HOT, NET, TAO)
    fails(s, Error.InsufficientStakeForLock, ALICE, "lock_stake", HOT, NET, 41 * TAO)
    fails(s, Error.NoExistingLock, BOB, "move_lock", HOT, NET)
    ok(s, ALICE, "move_lock", OTHER_HOT, NET)
    assert get(s, "Lock", ALICE, NET, OTHER_HOT).locked_mass == 60 * TAO
    assert not has(s, "DecayingHotkeyLock", NET, HOT)


@pytest.mark.parametrize(("days", "changes"), [(0, True), (-1, False)])
def test_G134_conviction_takes_a_subnet_over(days, changes):
    s = staked(market(SubnetOwnerHotkey=key(1)))
    neuron(s, NET, ALICE, HOT)
    put(s, "NetworkRegisteredAt", NET, 10)
    ok(s, ALICE, "lock_stake", HOT, NET, 100 * TAO)
    ok(s, ALICE, "set_perpetual_lock", NET, True)
    at(s, 10 + ONE_YEAR + days)
    change_subnet_owner_if_needed(s, NET)
    assert get(s, "SubnetOwner", NET) == (ALICE if changes else OWNER)
    events = [SubnetOwnerChanged(NET, OWNER, ALICE)] if changes else []
    assert emitted(s, SubnetOwnerChanged) == events
    if changes:
        assert get(s, "SubnetOwnerHotkey", NET) == HOT
        assert get(s, "OwnerLock", NET).locked_mass == 100 * TAO
        assert not has(s, "HotkeyLock", NET, HOT)


def test_G134_little_conviction_changes_nothing():
    s = staked(market())
    neuron(s, NET, ALICE, HOT)
    put(s, "SubnetAlphaOut", NET, 10**6 * TAO)
    ok(s, ALICE, "lock_stake", HOT, NET, 100 * TAO)
    at(s, 10 + ONE_YEAR)
    change_subnet_owner_if_needed(s, NET)
    assert get(s, "SubnetOwner", NET) == OWNER


def test_a_sale_pays_the_author_by_selling_its_fee():
    s = staked(market())
    s[Authorities] = (CAROL,)
    ok(s, ALICE, "remove_stake", HOT, NET, 100 * TAO)
    assert get_hotkey_stake(s, HOT, NET) == 0
    fee = fee_for(FEE, 100 * TAO)
    assert fee * 999 // 1000 < balance(s, CAROL) - RICH < fee
    assert get(s, "SubnetAlphaOut", NET) == 0


def test_without_an_author_the_alpha_fee_is_burned():
    s = staked(market())
    ok(s, ALICE, "remove_stake", HOT, NET, 100 * TAO)
    assert s[AlphaBurned, NET] == fee_for(FEE, 100 * TAO)


def test_a_full_sale_under_a_limit():
    s = staked(market())
    call = "remove_stake_full_limit"
    fails(s, Error.SlippageTooHigh, ALICE, call, HOT, NET, TAO - 1)
    ok(s, ALICE, call, HOT, NET, TAO * 99 // 100)
    assert get_stake(s, HOT, ALICE, NET) == 0
