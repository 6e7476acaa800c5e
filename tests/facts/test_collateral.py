"""Collateral: locked at registration, free as the miner earns, and never before."""

from __future__ import annotations

from typing import Any

import pytest
from network_lab import (
    ALICE,
    BOB,
    NET,
    OWNER,
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
    item_of,
    key,
    lab,
    ok,
    pool,
    put,
    run_of,
    subnet,
)

from chain.pallets.admin_utils_common import CollateralDrainRatioSet, CollateralLockShareSet
from chain.pallets.admin_utils_common import Error as AdminError
from chain.pallets.subtensor.accounts import compute_subnet_account, do_create_account
from chain.pallets.subtensor.collateral import MOST_POSITIONS, settle
from chain.pallets.subtensor.distribution import pay_miners, pay_validators
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_reserved import CollateralLocked, MinCollateralSet
from chain.pallets.subtensor.share_pool import get_stake
from chain.runtime.state import State
from ganglion.fixed import I96F32, U64_MAX, U96F32

HOT, OTHER = key(100), key(101)
HALF = 32_768
POOL = 10**6 * TAO
COST = 10 * TAO


@pytest.fixture
def s() -> State:
    """A subnet at a price of 1 where a seat costs 10 TAO, half of it as collateral."""
    s = lab(block=5000)
    subnet(
        s,
        SubnetMechanism=1,
        Burn=COST,
        MaxBurn=COST,
        CollateralLockShare=HALF,
        SubnetMovingPrice=I96F32.one,
    )
    pool(s, NET, POOL, POOL)
    fund(s, compute_subnet_account(NET), 2 * POOL)
    put(s, "SubnetAlphaOut", NET, POOL)
    do_create_account(s, ALICE, HOT)
    return s


def locked(s: State, hotkey: Any = HOT, coldkey: Any = ALICE) -> int:
    state = get(s, "MinerCollateral", NET, hotkey, coldkey)
    return 0 if state is None else state.locked


def registered(s: State) -> int:
    """ALICE's miner with its collateral: its amount."""
    ok(s, ALICE, "burned_register", NET, HOT)
    s.events.clear()
    return locked(s)


def admin(s: State, who: Any, name: str, *args: Any) -> Any:
    return run_of(s, who, "AdminUtils", name, NET, *args).error


# --- registration --------------------------------------------------------------------------------


def test_a_share_of_the_price_is_locked(s: State) -> None:
    before, out = balance(s, ALICE), get(s, "SubnetAlphaOut", NET)
    ok(s, ALICE, "burned_register", NET, HOT)
    assert before - balance(s, ALICE) == COST
    [event] = emitted(s, CollateralLocked)
    assert event.locked == event.total_locked == locked(s)
    assert 0.998 * COST / 2 < locked(s) < COST / 2 + TAO // 1000
    assert get_stake(s, HOT, ALICE, NET) == locked(s)
    assert get(s, "ColdkeyMinerCollateral", NET, ALICE) == locked(s)
    assert get(s, "ColdkeyCollateralHotkeys", NET, ALICE) == (HOT,)
    # What was bought but not locked is gone again.
    assert get(s, "SubnetAlphaOut", NET) - out == locked(s)
    assert get(s, "RAORecycledForRegistration", NET) == COST - COST * HALF // 65535


def test_without_a_share_nothing_is_locked(s: State) -> None:
    put(s, "CollateralLockShare", NET, 0)
    ok(s, ALICE, "burned_register", NET, HOT)
    assert not has(s, "MinerCollateral", NET, HOT, ALICE)
    assert get(s, "RAORecycledForRegistration", NET) == COST


def test_an_older_lock_counts_toward_the_next(s: State) -> None:
    amount = registered(s)
    state = get(s, "MinerCollateral", NET, HOT, ALICE)
    for name, keys in (("Uids", (NET, HOT)), ("IsNetworkMember", (HOT, NET))):
        del s[(item_of(name), *keys)]
    put(s, "SubnetMovingPrice", NET, 2 * I96F32.one)
    put(s, "CollateralDrainRatio", NET, 3 << 64)
    before = balance(s, ALICE)
    ok(s, ALICE, "burned_register", NET, HOT)
    assert before - balance(s, ALICE) == COST - COST * HALF // 65535
    assert locked(s) == amount
    assert get(s, "MinerCollateral", NET, HOT, ALICE).drain_ratio == 3 << 64 != state.drain_ratio


def test_who_cannot_pay_gets_nothing(s: State) -> None:
    fund(s, ALICE, COST)
    fails(s, Error.NotEnoughBalanceToStake, ALICE, "burned_register", NET, HOT)


def test_the_pool_may_not_ask_far_more_than_its_price(s: State) -> None:
    pool(s, NET, 100 * TAO, 100 * TAO)
    fails(s, Error.SlippageTooHigh, ALICE, "burned_register", NET, HOT)


# --- what cannot be done with it -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("remove_stake", (HOT, NET)),
        ("recycle_alpha", (HOT,)),
        ("move_stake", (HOT, OTHER, NET, NET)),
        ("transfer_stake", (BOB, HOT, NET, NET)),
        ("swap_stake", (HOT, NET, 2)),
    ],
)
def test_it_cannot_leave_its_position(s: State, name: str, args: tuple[Any, ...]) -> None:
    amount = registered(s)
    subnet(s, 2, SubnetMechanism=1)
    pool(s, 2, POOL, POOL)
    fund(s, compute_subnet_account(2), 2 * POOL)  # type: ignore[arg-type]
    do_create_account(s, ALICE, OTHER)
    give_stake(s, NET, ALICE, OTHER, 100 * TAO)
    tail = (amount, NET) if name == "recycle_alpha" else (amount,)
    fails(s, Error.StakeUnavailable, ALICE, name, *args, *tail)
    give_stake(s, NET, ALICE, HOT, 2 * TAO)
    free = (2 * TAO - 100, *tail[1:])
    ok(s, ALICE, name, *args, *free)
    assert get_stake(s, HOT, ALICE, NET) >= amount


def test_unstaking_everything_passes_it_over(s: State) -> None:
    amount = registered(s)
    fails_nothing = balance(s, ALICE)
    ok(s, ALICE, "unstake_all", HOT)
    assert get_stake(s, HOT, ALICE, NET) == amount
    assert balance(s, ALICE) == fails_nothing


def test_nominators_are_not_bound_by_it(s: State) -> None:
    registered(s)
    give_stake(s, NET, BOB, HOT, 10 * TAO)
    fund(s, compute_subnet_account(NET), 3 * POOL)
    ok(s, BOB, "remove_stake", HOT, NET, 10 * TAO)


# --- earning it free -----------------------------------------------------------------------------


def test_what_a_miner_earns_sets_it_free(s: State) -> None:
    amount = registered(s)
    pay_miners(s, NET, {HOT: TAO})
    assert locked(s) == amount - TAO
    assert get_stake(s, HOT, ALICE, NET) == pytest.approx(amount + TAO, abs=2)
    assert get(s, "MinerCollateral", NET, HOT, ALICE).earned == TAO
    ok(s, ALICE, "remove_stake", HOT, NET, 2 * TAO - 10)
    pay_miners(s, NET, {HOT: 100 * TAO})
    assert not has(s, "MinerCollateral", NET, HOT, ALICE)
    assert not has(s, "ColdkeyMinerCollateral", NET, ALICE)
    assert not has(s, "ColdkeyCollateralHotkeys", NET, ALICE)


def test_the_ratio_at_registration_counts(s: State) -> None:
    put(s, "CollateralDrainRatio", NET, 1 << 62)
    amount = registered(s)
    put(s, "CollateralDrainRatio", NET, 8 << 64)
    pay_miners(s, NET, {HOT: TAO})
    assert locked(s) == amount - TAO // 4


def test_a_validator_frees_it_with_all_its_dividends_but_pays_from_its_own(s: State) -> None:
    amount = registered(s)
    give_stake(s, NET, BOB, HOT, 100 * TAO)
    pay_validators(s, NET, {HOT: U96F32.from_int(TAO)})
    assert locked(s) == amount - TAO
    ok(s, ALICE, "set_min_collateral", NET, HOT, 10 * amount)
    before, stake = locked(s), get_stake(s, HOT, ALICE, NET)
    pay_validators(s, NET, {HOT: U96F32.from_int(TAO)})
    take = 11796 * TAO // 65535
    assert locked(s) - before == pytest.approx(take, abs=2)
    assert get_stake(s, HOT, ALICE, NET) > stake


def test_rewards_fill_it_up_to_the_floor(s: State) -> None:
    amount = registered(s)
    ok(s, ALICE, "set_min_collateral", NET, HOT, amount + 3 * TAO)
    assert emitted(s, MinCollateralSet) == [MinCollateralSet(NET, HOT, amount + 3 * TAO)]
    pay_miners(s, NET, {HOT: 2 * TAO})
    assert locked(s) == amount + 2 * TAO
    pay_miners(s, NET, {HOT: 2 * TAO})
    assert locked(s) == amount + 3 * TAO
    pay_miners(s, NET, {HOT: 2 * TAO})
    assert locked(s) == amount + 3 * TAO


def test_settling_nothing_changes_nothing(s: State) -> None:
    registered(s)
    state = get(s, "MinerCollateral", NET, HOT, ALICE)
    assert settle(s, NET, HOT, ALICE, 0, 0) == 0
    assert settle(s, NET, OTHER, ALICE, TAO, TAO) == 0
    assert get(s, "MinerCollateral", NET, HOT, ALICE) == state


# --- calls ---------------------------------------------------------------------------------------


def test_free_stake_becomes_collateral_first(s: State) -> None:
    give_stake(s, NET, ALICE, HOT, 4 * TAO)
    before = balance(s, ALICE)
    ok(s, ALICE, "add_collateral", NET, HOT, 3 * TAO, U64_MAX)
    assert locked(s) == 3 * TAO
    assert balance(s, ALICE) == before
    ok(s, ALICE, "add_collateral", NET, HOT, 3 * TAO, 2 * TAO)
    assert before - balance(s, ALICE) == 2 * TAO
    assert locked(s) == pytest.approx(6 * TAO, rel=1e-3)
    assert locked(s) <= get_stake(s, HOT, ALICE, NET)


@pytest.mark.parametrize(
    ("who", "args", "failure"),
    [
        (ALICE, (0, HOT, TAO, U64_MAX), Error.RegistrationNotPermittedOnRootSubnet),
        (ALICE, (9, HOT, TAO, U64_MAX), Error.SubnetNotExists),
        (ALICE, (NET, OTHER, TAO, U64_MAX), Error.HotKeyAccountNotExists),
        (BOB, (NET, HOT, TAO, U64_MAX), Error.NonAssociatedColdKey),
        (ALICE, (NET, HOT, 0, U64_MAX), Error.AmountTooLow),
        (ALICE, (NET, HOT, 100 * TAO, TAO + 1000), Error.SlippageTooHigh),
    ],
)
def test_what_adding_needs(s: State, who: Any, args: tuple[Any, ...], failure: Any) -> None:
    fails(s, failure, who, "add_collateral", *args)


def test_a_coldkey_has_a_limited_number_of_positions(s: State) -> None:
    for n in range(MOST_POSITIONS):
        do_create_account(s, ALICE, key(1000 + n))
        ok(s, ALICE, "set_min_collateral", NET, key(1000 + n), 1)
    failure = Error.ColdkeyCollateralPositionsFull
    fails(s, failure, ALICE, "set_min_collateral", NET, HOT, 1)
    ok(s, ALICE, "set_min_collateral", NET, key(1000), 0)
    ok(s, ALICE, "set_min_collateral", NET, HOT, 1)


def test_the_owner_sets_the_terms(s: State) -> None:
    put(s, "AdminFreezeWindow", 0)
    assert admin(s, OWNER, "sudo_set_collateral_lock_share", 62_258) is None
    assert admin(s, SUDO, "sudo_set_collateral_drain_ratio", 10 << 64) is None
    assert emitted(s, CollateralLockShareSet) == [CollateralLockShareSet(NET, 62_258)]
    assert emitted(s, CollateralDrainRatioSet) == [CollateralDrainRatioSet(NET, 10 << 64)]
    too_high = admin(s, SUDO, "sudo_set_collateral_lock_share", 62_259)
    assert isinstance(too_high, AdminError.CollateralLockShareTooHigh)
    for ratio in (0, (10 << 64) + 1):
        error = admin(s, SUDO, "sudo_set_collateral_drain_ratio", ratio)
        assert isinstance(error, AdminError.CollateralDrainRatioOutOfBounds)
    assert admin(s, BOB, "sudo_set_collateral_lock_share", 1) is not None


# --- key swaps -----------------------------------------------------------------------------------


def test_it_follows_the_hotkey_and_cannot_be_left_behind(s: State) -> None:
    amount = registered(s)
    at(s, 200_000)
    failure = Error.KeepStakeBlockedByCollateral
    for netuid in (NET, None):
        fails(s, failure, ALICE, "swap_hotkey_v2", HOT, OTHER, netuid, True)
    ok(s, ALICE, "swap_hotkey", HOT, OTHER, NET)
    assert locked(s, OTHER) == amount
    assert locked(s) == 0
    assert get(s, "ColdkeyCollateralHotkeys", NET, ALICE) == (OTHER,)
    assert get(s, "ColdkeyMinerCollateral", NET, ALICE) == amount
    assert (get(s, "HotkeySuccessor", NET, HOT), get(s, "HotkeyRoot", NET, OTHER)) == (OTHER, HOT)


def test_it_follows_the_coldkey(s: State) -> None:
    amount = registered(s)
    new = key(300)
    ok(s, SUDO, "swap_coldkey", ALICE, new, 0)
    assert locked(s, HOT, new) == amount == get(s, "ColdkeyMinerCollateral", NET, new)
    assert not has(s, "ColdkeyMinerCollateral", NET, ALICE)
    assert (get(s, "ColdkeySuccessor", ALICE), get(s, "ColdkeyRoot", new)) == (new, ALICE)


def test_two_locks_add_up(s: State) -> None:
    amount = registered(s)
    at(s, 200_000)
    do_create_account(s, ALICE, OTHER)
    put(s, "CollateralDrainRatio", NET, 1 << 60)
    ok(s, ALICE, "set_min_collateral", NET, OTHER, 5)
    ok(s, ALICE, "swap_hotkey", HOT, OTHER, NET)
    state = get(s, "MinerCollateral", NET, OTHER, ALICE)
    assert (state.locked, state.min_locked, state.drain_ratio) == (amount, 5, 1 << 60)
