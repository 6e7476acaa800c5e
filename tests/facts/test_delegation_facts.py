"""Facts about children, takes and root claims (H135 to H145), each under its number."""

import pytest
from network_lab import (
    ALICE,
    BOB,
    CAROL,
    NET,
    OWNER,
    SUDO,
    TAO,
    at,
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
    step,
    subnet,
)

from chain.pallets import swap
from chain.pallets.subtensor.accounts import compute_subnet_account, do_create_account
from chain.pallets.subtensor.children import do_set_root_validators
from chain.pallets.subtensor.distribution import do_distribute
from chain.pallets.subtensor.emission import Pending
from chain.pallets.subtensor.epoch import HotkeyEmission
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_stake import RootClaimed, SetChildren, SetChildrenScheduled
from chain.pallets.subtensor.rate_limits import SET_CHILDREN_LIMIT
from chain.pallets.subtensor.root_claim import add_root_dividend, get_rates, run_automatic_claims
from chain.pallets.subtensor.share_pool import get_stake
from chain.pallets.subtensor.types import Keep, KeepSubnets, Swap
from chain.pallets.system import Number
from chain.runtime.errors import BadOrigin
from consensus.economics.root_claim import indices
from ganglion.fixed import I96F32, U64_MAX
from ganglion.units import ROOT_NETUID, Hash

HOT, OTHER_HOT = key(100), key(101)
KIDS = [key(300 + i) for i in range(6)]
PART = U64_MAX // 6


def family_lab(block=1_000, **settings):
    """A started subnet; HOT belongs to ALICE, OTHER_HOT to BOB."""
    s = lab(block)
    subnet(s, **settings)
    neuron(s, NET, ALICE, HOT)
    neuron(s, NET, BOB, OTHER_HOT)
    return s


def set_children(s, children, failure=None, hotkey=HOT, netuid=NET, coldkey=ALICE):
    args = (s, coldkey, "set_children", hotkey, netuid, tuple(children))
    if failure is None:
        ok(*args)
    else:
        fails(args[0], failure, *args[1:])


# --- children ----------------------------------------------------------------------------------


def test_H135_what_is_checked_and_in_which_order():
    s = family_lab()
    child = ((PART, KIDS[0]),)
    set_children(s, child, Error.RegistrationNotPermittedOnRootSubnet, netuid=ROOT_NETUID)
    set_children(s, child, Error.SubnetNotExists, netuid=77)
    set_children(s, child, Error.NonAssociatedColdKey, coldkey=BOB)
    set_children(s, child * 2, Error.DuplicateChild)
    set_children(s, ((PART, HOT),), Error.InvalidChild)
    set_children(s, [(PART, kid) for kid in KIDS], Error.TooManyChildren)
    set_children(s, ((U64_MAX, KIDS[0]), (1, KIDS[1])), Error.ProportionOverflow)
    put(s, "ParentKeys", HOT, NET, ((PART, KIDS[0]),))
    set_children(s, child, Error.ChildParentInconsistency)
    put(s, "StakeThreshold", TAO)
    set_children(s, ((PART, KIDS[1]),), Error.NotEnoughStakeToSetChildkeys)


@pytest.mark.parametrize("exempt", ["none", "stake", "owner", "empty"])
def test_H135_the_stake_threshold_and_who_is_exempt(exempt):
    s = family_lab()
    put(s, "StakeThreshold", TAO)
    if exempt == "stake":
        give_stake(s, NET, ALICE, HOT, TAO)
    if exempt == "owner":
        put(s, "SubnetOwnerHotkey", NET, HOT)
    children = () if exempt == "empty" else ((PART, KIDS[0]),)
    failure = Error.NotEnoughStakeToSetChildkeys if exempt == "none" else None
    set_children(s, children, failure)


def test_H136_children_wait_for_an_epoch_after_the_cooldown():
    s = family_lab(Tempo=10, LastEpochBlock=1_000, PendingOwnerCut=0)
    put(s, "PendingChildKeyCooldown", 15)
    children = ((PART, KIDS[0]),)
    set_children(s, children)
    assert emitted(s, SetChildrenScheduled) == [SetChildrenScheduled(HOT, NET, 1_015, children)]
    step(s, 15)
    assert get(s, "ChildKeys", HOT, NET) == ()
    step(s, 5)
    assert s[Number] == get(s, "LastEpochBlock", NET) == 1_020
    assert get(s, "ChildKeys", HOT, NET) == children
    assert get(s, "ParentKeys", KIDS[0], NET) == ((PART, HOT),)
    assert emitted(s, SetChildren) == [SetChildren(HOT, NET, children)]
    assert not has(s, "PendingChildKeys", NET, HOT)


def test_H136_before_the_start_children_apply_at_once():
    s = family_lab(SubtokenEnabled=False)
    set_children(s, ((PART, KIDS[0]),))
    assert get(s, "ChildKeys", HOT, NET) == ((PART, KIDS[0]),)
    assert not has(s, "PendingChildKeys", NET, HOT)


def test_H136_not_again_within_150_blocks():
    """150 on the public network, 15 in the fast build that the tests load."""
    s = family_lab()
    set_children(s, ((PART, KIDS[0]),))
    at(s, 1_000 + SET_CHILDREN_LIMIT - 1)
    set_children(s, (), Error.TxRateLimitExceeded)
    at(s, 1_000 + SET_CHILDREN_LIMIT)
    set_children(s, ())


def test_H136_replaced_children_are_forgotten_on_both_sides():
    s = family_lab(SubtokenEnabled=False)
    set_children(s, ((PART, KIDS[0]), (PART, KIDS[1])))
    at(s, 2_000)
    set_children(s, ((PART * 2, KIDS[1]), (PART, KIDS[2])))
    assert not has(s, "ParentKeys", KIDS[0], NET)
    assert get(s, "ParentKeys", KIDS[1], NET) == ((PART * 2, HOT),)
    assert get(s, "ParentKeys", KIDS[2], NET) == ((PART, HOT),)
    at(s, 3_000)
    set_children(s, ())
    assert not any(has(s, "ParentKeys", kid, NET) for kid in KIDS)
    assert not has(s, "ChildKeys", HOT, NET)


def test_new_subnets_get_root_validators_as_parents():
    s = family_lab(SubtokenEnabled=False, SubnetOwnerHotkey=OTHER_HOT)
    for hotkey, coldkey in ((KIDS[0], ALICE), (KIDS[1], BOB)):
        neuron(s, ROOT_NETUID, coldkey, hotkey)
    ok(s, BOB, "set_auto_parent_delegation_enabled", KIDS[1], False)
    fails(s, Error.NonAssociatedColdKey, BOB, "set_auto_parent_delegation_enabled", KIDS[0], False)
    do_set_root_validators(s, NET)
    assert get(s, "ParentKeys", OTHER_HOT, NET) == ((U64_MAX, KIDS[0]),)


# --- takes -------------------------------------------------------------------------------------


def test_H137_childkey_take():
    s = family_lab()
    put(s, "MinChildkeyTakePerSubnet", NET, 100)
    put(s, "TxChildkeyTakeRateLimit", 5)
    call = "set_childkey_take"
    for take in (11_797, 99):
        fails(s, Error.InvalidChildkeyTake, ALICE, call, HOT, NET, take)
    fails(s, Error.NonAssociatedColdKey, BOB, call, HOT, NET, 200)
    ok(s, ALICE, call, HOT, NET, 200)
    fails(s, Error.TxChildkeyTakeRateLimitExceeded, ALICE, call, HOT, NET, 201)
    ok(s, ALICE, call, HOT, NET, 150)
    at(s, s[Number] + 5)
    ok(s, ALICE, call, HOT, NET, 201)
    assert get(s, "ChildkeyTake", HOT, NET) == 201


def test_H138_delegate_take():
    s = family_lab()
    put(s, "TxDelegateTakeRateLimit", 100)
    fails(s, Error.DelegateTakeTooHigh, ALICE, "increase_take", HOT, 11_797)
    ok(s, ALICE, "decrease_take", HOT, 500)
    fails(s, Error.DelegateTakeTooLow, ALICE, "increase_take", HOT, 500)
    fails(s, Error.DelegateTxRateLimitExceeded, ALICE, "increase_take", HOT, 501)
    at(s, s[Number] + 101)
    ok(s, ALICE, "increase_take", HOT, 501)
    fails(s, Error.DelegateTxRateLimitExceeded, ALICE, "increase_take", HOT, 502)
    ok(s, ALICE, "decrease_take", HOT, 400)
    fails(s, Error.NonAssociatedColdKey, BOB, "decrease_take", HOT, 300)
    fails(s, Error.HotKeyAccountNotExists, BOB, "decrease_take", key(999), 300)


# --- root claims -------------------------------------------------------------------------------


def root_lab(alice=2_000_000, bob=0, netuid=NET):
    """ALICE and BOB have root stake behind HOT of CAROL."""
    s = lab()
    subnet(s, netuid, SubnetMechanism=1)
    pool(s, netuid, 10**15, 10**15)
    fund(s, compute_subnet_account(netuid), 10**15)
    subnet_zero = compute_subnet_account(ROOT_NETUID)
    fund(s, subnet_zero, 10**15)
    put(s, "SubtokenEnabled", ROOT_NETUID, True)
    do_create_account(s, CAROL, HOT)
    put(s, "Delegates", HOT, 11_796)
    for coldkey, stake in ((ALICE, alice), (BOB, bob)):
        if stake:
            give_stake(s, ROOT_NETUID, coldkey, HOT, stake)
            put(s, "RootClaimType", coldkey, Keep())
    return s


def drain(s, amount):
    """An epoch in which all of `amount` is root dividends of HOT."""
    earned = [HotkeyEmission(HOT, 1, 10**6)]
    do_distribute(s, NET, Pending(0, 0, amount, 0), earned)


def claim(s, coldkey, netuid=NET):
    ok(s, coldkey, "claim_root", (netuid,))


def rate(s, netuid=NET):
    return get_rates(s, HOT)[netuid] / I96F32.one


def test_H139_root_dividends_are_claimed():
    s = root_lab()
    drain(s, 1_000_000)
    assert get_stake(s, HOT, CAROL, NET) == pytest.approx(180_000, abs=10)
    assert rate(s) == pytest.approx(0.41, abs=1e-5)
    claim(s, ALICE)
    assert get_stake(s, HOT, ALICE, NET) == pytest.approx(820_000, abs=10)
    drain(s, 1_000_000)
    assert rate(s) == pytest.approx(0.82, abs=1e-5)
    claim(s, ALICE)
    assert get(s, "RootClaimed", NET, HOT, ALICE) == pytest.approx(1_640_000, abs=20)
    assert emitted(s, RootClaimed) == [RootClaimed(ALICE, 0)] * 2


def test_H140_equal_stakes_earn_the_same():
    s = root_lab(10_000_000, 10_000_000)
    give_stake(s, ROOT_NETUID, OWNER, HOT, 80_000_000)
    drain(s, 10_000_000)
    for coldkey in (ALICE, BOB):
        claim(s, coldkey)
        assert get_stake(s, HOT, coldkey, NET) == pytest.approx(820_000, abs=10)


def gains(s):
    before = [get_stake(s, HOT, coldkey, NET) for coldkey in (ALICE, BOB)]
    drain(s, 10_000_000)
    for coldkey in (ALICE, BOB):
        claim(s, coldkey)
    after = [get_stake(s, HOT, coldkey, NET) for coldkey in (ALICE, BOB)]
    return [b - a for a, b in zip(before, after)]


def test_H141_gains_follow_root_stake():
    s = root_lab(100_000_000, 100_000_000)
    total = 10_000_000 * (65_535 - 11_796) // 65_535
    for wanted, change in (
        ((1 / 2, 1 / 2), "remove_stake"),
        ((2 / 3, 1 / 3), "add_stake"),
        ((1 / 2, 1 / 2), None),
    ):
        assert gains(s) == pytest.approx([share * total for share in wanted], rel=0.06)
        if change:
            ok(s, BOB, change, HOT, ROOT_NETUID, 50_000_000)


def test_H142_where_there_is_nothing_to_claim():
    s = root_lab()
    drain(s, 1_000_000)
    ok(s, ALICE, "claim_root", (2,))
    assert get_stake(s, HOT, ALICE, NET) == 0
    fails(s, Error.InvalidSubnetNumber, ALICE, "claim_root", ())
    fails(s, Error.InvalidSubnetNumber, ALICE, "claim_root", (1, 2, 3, 4, 5, 6))


@pytest.mark.parametrize(("threshold", "paid"), [(819_000, True), (821_000, False)])
def test_H142_small_claims_wait(threshold, paid):
    s = root_lab()
    put(s, "SubnetOwner", NET, OWNER)
    ok(s, OWNER, "sudo_set_root_claim_threshold", NET, threshold)
    fails(s, BadOrigin, ALICE, "sudo_set_root_claim_threshold", NET, 1)
    failure = Error.InvalidRootClaimThreshold
    fails(s, failure, SUDO, "sudo_set_root_claim_threshold", NET, 10_000_001)
    drain(s, 1_000_000)
    claim(s, ALICE)
    assert (get_stake(s, HOT, ALICE, NET) > 0) == paid


def test_H142_automatic_claims_have_a_ceiling():
    s = root_lab()
    fails(s, Error.InvalidNumRootClaim, SUDO, "sudo_set_num_root_claims", 51)
    ok(s, SUDO, "sudo_set_num_root_claims", 50)
    assert get(s, "NumRootClaim") == 50


def test_H143_a_claim_can_be_sold_into_root_stake():
    s = root_lab(2 * TAO)
    ok(s, ALICE, "set_root_claim_type", Swap())
    drain(s, TAO)
    before = get_stake(s, HOT, ALICE, ROOT_NETUID)
    claim(s, ALICE)
    gained = get_stake(s, HOT, ALICE, ROOT_NETUID) - before
    assert gained == pytest.approx(820_000_000, rel=1e-3)
    assert get(s, "SubnetRootSellTao", NET) == gained
    assert get_stake(s, HOT, ALICE, NET) == 0
    assert emitted(s, RootClaimed) == [RootClaimed(ALICE, gained)]
    claim(s, ALICE)
    assert get_stake(s, HOT, ALICE, ROOT_NETUID) == before + gained


def test_H143_a_failed_sale_does_not_use_up_the_claim():
    s = root_lab(2 * TAO)
    ok(s, ALICE, "set_root_claim_type", Swap())
    drain(s, TAO)
    pool(s, NET, 0, 10**15)
    fails(s, swap.Error.ReservesTooLow, ALICE, "claim_root", (NET,))
    pool(s, NET, 10**15, 10**15)
    claim(s, ALICE)
    assert get_stake(s, HOT, ALICE, ROOT_NETUID) > 2 * TAO


def test_H143_keeping_some_subnets():
    s = root_lab(2 * TAO)
    subnet(s, 2, SubnetMechanism=1)
    pool(s, 2, 10**15, 10**15)
    fund(s, compute_subnet_account(2), 10**15)
    fails(s, Error.InvalidSubnetNumber, ALICE, "set_root_claim_type", KeepSubnets(()))
    ok(s, ALICE, "set_root_claim_type", KeepSubnets((2, 2)))
    for netuid in (NET, 2):
        add_root_dividend(s, HOT, netuid, TAO)
    ok(s, ALICE, "claim_root", (NET, 2))
    assert get_stake(s, HOT, ALICE, NET) == 0
    assert get_stake(s, HOT, ALICE, 2) > TAO // 2
    assert get_stake(s, HOT, ALICE, ROOT_NETUID) > 2 * TAO


SOME = "4e7e8301f5d206748d1c4f822e3564ddb1124f86591a839f58dfc2f007983b61"
SOME2 = "c357a61b4f8af02f92c4f354b4839925d8c5a18c9c017f80efab7efcb363aed7"
"""Keccak-256 of these words."""
PLACES = {
    SOME: [265, 630, 1286, 1558, 4496, 4861, 5517, 5789, 6803, 8096, 9092, 11034, 11399, 12055]
    + [12327],
    SOME2: [61, 246, 1440, 2855, 3521, 5236, 6130, 6615, 8511, 9405, 9890, 11786, 11971, 13165]
    + [14580],
}


@pytest.mark.parametrize("digest", [SOME, SOME2])
def test_H144_claimers_are_picked_by_the_block_hash(digest):
    assert indices(bytes.fromhex(digest), 15, 15_000) == PLACES[digest]
    assert indices(bytes.fromhex(digest), 0, 15_000) == []


def test_H144_claims_run_by_themselves():
    s = root_lab(10_000_000, 10_000_000)
    for coldkey in (ALICE, BOB):
        ok(s, coldkey, "set_root_claim_type", Keep())
    assert get(s, "NumStakingColdkeys") == 2
    drain(s, 10_000_000)
    run_automatic_claims(s, Hash(bytes(range(32))))
    claimed = [get_stake(s, HOT, coldkey, NET) > 0 for coldkey in (ALICE, BOB)]
    assert any(claimed)
    ok(s, ALICE, "remove_stake", HOT, ROOT_NETUID, 10**12)
    assert get(s, "NumStakingColdkeys") == 1
    assert get(s, "StakingColdkeysByIndex", 0) == BOB
    assert get(s, "StakingColdkeys", BOB) == 0


def test_H145_more_than_the_root_stake_goes_to_the_owner():
    s = root_lab(1_000)
    drain(s, 1_000_000)
    assert NET not in get_rates(s, HOT)
    assert get_stake(s, HOT, CAROL, NET) == pytest.approx(1_000_000, abs=2)
