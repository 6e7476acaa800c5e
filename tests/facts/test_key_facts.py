"""Facts about key swaps (I146 to I148), each under its number."""

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
    balance,
    emitted,
    fails,
    fund,
    get,
    give_stake,
    has,
    issuance,
    key,
    lab,
    neuron,
    ok,
    put,
    step,
    subnet,
    tao_sum,
)

from chain.pallets.subtensor.accounts import compute_subnet_account
from chain.pallets.subtensor.constants import KeySwapCost, KeySwapOnSubnetCost
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_network import (
    ColdkeySwapAnnounced,
    ColdkeySwapped,
    HotkeySwapped,
    HotkeySwappedOnSubnet,
)
from chain.pallets.subtensor.share_pool import get_stake
from chain.pallets.subtensor.types import (
    NO_AXON,
    NO_PROMETHEUS,
    ChainIdentityV2,
    LastTxBlockOf,
    LockState,
    NeuronCertificate,
)
from ganglion.hashing import blake2_256

OLD, NEW = key(70), key(71)
IDENTITY = ChainIdentityV2(b"me", b"", b"", b"", b"", b"", b"")


def swappable(block=2000):
    """ALICE's hotkey OLD sits on subnets 1 and 2 with everything that can move; BOB nominates."""
    s = lab(block)
    for n in (1, 2):
        subnet(s, n)
        neuron(s, n, ALICE, OLD)
        give_stake(s, n, ALICE, OLD, 5 * TAO)
        give_stake(s, n, BOB, OLD, 3 * TAO)
        put(s, "Axons", n, OLD, NO_AXON)
        put(s, "Prometheus", n, OLD, NO_PROMETHEUS)
        put(s, "NeuronCertificates", n, OLD, NeuronCertificate(b"k", 1))
        put(s, "WeightCommits", n, OLD, ((bytes(32), 1, 2, 3),))
        put(s, "AlphaDividendsPerSubnet", n, OLD, 44)
        put(s, "TotalHotkeyAlphaLastEpoch", OLD, n, 55)
        put(s, "ChildkeyTake", OLD, n, 66)
        put(s, "ChildKeys", OLD, n, ((1 << 60, key(90)),))
        put(s, "ParentKeys", key(90), n, ((1 << 60, OLD),))
        put(s, "ParentKeys", OLD, n, ((1 << 61, key(91)),))
        put(s, "ChildKeys", key(91), n, ((1 << 61, OLD),))
        put(s, "PendingChildKeys", n, key(92), (((5, OLD), (6, key(93))), 9))
        put(s, "AutoStakeDestination", CAROL, n, OLD)
        put(s, "AutoStakeDestinationColdkeys", OLD, n, (CAROL,))
        put(s, "VotingPower", n, OLD, 77)
    put(s, "Delegates", OLD, 1234)
    put(s, "RootClaimable", OLD, ((1, 10), (2, 20)))
    put(s, "RootClaimed", 1, OLD, BOB, 7)
    return s


def test_I146_refusals_in_order():
    s = swappable()
    fails(s, Error.NonAssociatedColdKey, BOB, "swap_hotkey", OLD, NEW, None)
    ok(s, BOB, "try_associate_hotkey", key(72))
    fails(s, Error.NonAssociatedColdKey, ALICE, "swap_hotkey", OLD, key(72), None)
    fails(s, Error.NewHotKeyIsSameWithOld, ALICE, "swap_hotkey", OLD, OLD, None)
    neuron(s, 2, ALICE, key(73))
    for netuid in (None, 2):
        failure = Error.HotKeyAlreadyRegisteredInSubNet
        fails(s, failure, ALICE, "swap_hotkey", OLD, key(73), netuid)
    put(s, "RootClaimable", NEW, ((1, 1),))
    fails(s, Error.NewHotKeyNotCleanForRootSwap, ALICE, "swap_hotkey", OLD, NEW, None)
    fails(s, Error.NewHotKeyNotCleanForRootSwap, ALICE, "swap_hotkey", OLD, NEW, 0)
    ok(s, ALICE, "swap_hotkey", OLD, NEW, 1)


def test_I146_poor_coldkeys_and_reserved_accounts():
    s = swappable()
    fund(s, ALICE, 1000)
    failure = Error.NotEnoughBalanceToPaySwapHotKey
    fails(s, failure, ALICE, "swap_hotkey", OLD, NEW, None)
    fails(s, failure, ALICE, "swap_hotkey", OLD, NEW, 1)
    pot = compute_subnet_account(1)
    fund(s, ALICE, TAO)
    for netuid in (None, 1):
        fails(s, Error.CannotUseSystemAccount, ALICE, "swap_hotkey", OLD, pot, netuid)


def test_I146_one_swap_in_tx_rate_limit_blocks():
    s = swappable()
    ok(s, ALICE, "swap_hotkey", OLD, NEW, 1)
    at(s, 3000)
    fails(s, Error.HotKeySetTxRateLimitExceeded, ALICE, "swap_hotkey", OLD, NEW, 2)
    at(s, 3001)
    ok(s, ALICE, "swap_hotkey", OLD, NEW, 2)


def test_I146_the_interval_on_a_subnet():
    s = swappable()
    put(s, "TxRateLimit", 0)
    ok(s, ALICE, "swap_hotkey", OLD, NEW, 1)
    failure = Error.HotKeySwapOnSubnetIntervalNotPassed
    at(s, 2001)
    fails(s, failure, ALICE, "swap_hotkey", NEW, OLD, 1)
    fails(s, failure, ALICE, "swap_hotkey", NEW, key(75), None)
    at(s, 2002)
    ok(s, ALICE, "swap_hotkey", NEW, key(75), None)


def moved(s, n, old, new):
    """Everything of `old` on subnet n is `new`'s now."""
    assert get(s, "Uids", n, new) == 0
    assert get(s, "Keys", n, 0) == new
    assert get(s, "IsNetworkMember", new, n)
    for name in ("Uids", "Axons", "Prometheus", "NeuronCertificates"):
        assert has(s, name, n, new)
        assert not has(s, name, n, old)
    assert get(s, "WeightCommits", n, new) == ((bytes(32), 1, 2, 3),)
    assert get(s, "ChildkeyTake", new, n) == 66
    assert get(s, "ChildKeys", new, n) == ((1 << 60, key(90)),)
    assert get(s, "ParentKeys", key(90), n) == ((1 << 60, new),)
    assert get(s, "ParentKeys", new, n) == ((1 << 61, key(91)),)
    assert get(s, "ChildKeys", key(91), n) == ((1 << 61, new),)
    assert get(s, "PendingChildKeys", n, key(92)) == (((6, key(93)), (5, new)), 9)
    assert get(s, "AutoStakeDestination", CAROL, n) == new
    assert get(s, "AutoStakeDestinationColdkeys", new, n) == (CAROL,)


def stakes(s, n, hotkey):
    return [get_stake(s, hotkey, who, n) for who in (ALICE, BOB)]


def test_I146_a_swap_everywhere_moves_everything():
    s = swappable()
    before, spent = issuance(s), balance(s, ALICE)
    ok(s, ALICE, "swap_hotkey", OLD, NEW, None)
    assert before - issuance(s) == KeySwapCost.value == spent - balance(s, ALICE)
    assert emitted(s, HotkeySwapped) == [HotkeySwapped(ALICE, OLD, NEW)]
    for n in (1, 2):
        moved(s, n, OLD, NEW)
        assert stakes(s, n, NEW) == [5 * TAO, 3 * TAO]
        assert stakes(s, n, OLD) == [0, 0]
        assert get(s, "AlphaDividendsPerSubnet", n, NEW) == 44
        assert get(s, "TotalHotkeyAlphaLastEpoch", NEW, n) == 55
        assert get(s, "VotingPower", n, NEW) == 77
        assert get(s, "LastHotkeySwapOnNetuid", n, ALICE) == 2000
    assert get(s, "Owner", NEW) == ALICE
    assert not has(s, "Owner", OLD)
    assert get(s, "OwnedHotkeys", ALICE) == (NEW,)
    assert get(s, "StakingHotkeys", BOB) == (NEW,)
    assert get(s, "Delegates", NEW) == 1234
    assert get(s, "RootClaimable", NEW) == ((1, 10), (2, 20))
    assert get(s, "RootClaimed", 1, NEW, BOB) == 7
    assert not has(s, "RootClaimed", 1, OLD, BOB)
    assert get(s, "LastRateLimitedBlock", LastTxBlockOf(ALICE)) == 2000


def test_I146_a_swap_on_one_subnet_leaves_the_others():
    s = swappable()
    before = balance(s, ALICE)
    ok(s, ALICE, "swap_hotkey", OLD, NEW, 2)
    assert before - balance(s, ALICE) == KeySwapOnSubnetCost.value
    assert emitted(s, HotkeySwappedOnSubnet) == [HotkeySwappedOnSubnet(ALICE, OLD, NEW, 2)]
    moved(s, 2, OLD, NEW)
    assert stakes(s, 2, NEW) == [5 * TAO, 3 * TAO]
    assert stakes(s, 1, OLD) == [5 * TAO, 3 * TAO]
    assert get(s, "Uids", 1, OLD) == 0
    assert get(s, "OwnedHotkeys", ALICE) == (OLD, NEW)
    assert get(s, "Owner", OLD) == get(s, "Owner", NEW) == ALICE
    # Root claims belong to the hotkey everywhere: they stay.
    assert get(s, "RootClaimable", OLD) == ((1, 10), (2, 20))


def test_I146_the_owner_hotkey_of_a_subnet_follows():
    s = swappable()
    put(s, "SubnetOwnerHotkey", 1, OLD)
    ok(s, ALICE, "swap_hotkey", OLD, NEW, 1)
    assert get(s, "SubnetOwnerHotkey", 1) == NEW


def test_I146_locks_follow_the_hotkey():
    s = swappable()
    ok(s, ALICE, "lock_stake", OLD, NET, 2 * TAO)
    lock, total = get(s, "Lock", ALICE, NET, OLD), get(s, "DecayingHotkeyLock", NET, OLD)
    ok(s, ALICE, "swap_hotkey", OLD, NEW, None)
    assert get(s, "Lock", ALICE, NET, NEW) == lock
    assert get(s, "DecayingHotkeyLock", NET, NEW) == total
    assert has(s, "LockingColdkeys", NET, NEW, ALICE)
    for name, *keys in (
        ("Lock", ALICE, NET, OLD),
        ("DecayingHotkeyLock", NET, OLD),
        ("LockingColdkeys", NET, OLD, ALICE),
    ):
        assert not has(s, name, *keys)


@pytest.mark.parametrize("netuid", [None, 1])
def test_I147_keep_stake_leaves_the_alpha_behind(netuid):
    s = swappable()
    ok(s, ALICE, "swap_hotkey_v2", OLD, NEW, netuid, True)
    moved(s, 1, OLD, NEW)
    assert stakes(s, 1, OLD) == [5 * TAO, 3 * TAO]
    assert stakes(s, 1, NEW) == [0, 0]
    assert get(s, "RootClaimable", OLD) == ((1, 10), (2, 20))


def test_old_swap_records_are_forgotten():
    s = swappable()
    ok(s, ALICE, "swap_hotkey", OLD, NEW, 1)
    assert has(s, "LastHotkeySwapOnNetuid", 1, ALICE)
    step(s, 2)
    assert not has(s, "LastHotkeySwapOnNetuid", 1, ALICE)


# --- coldkeys -----------------------------------------------------------------------------------

FRESH = key(80)


def announced(block=100):
    s = lab(block)
    ok(s, ALICE, "announce_coldkey_swap", blake2_256(FRESH))
    return s


def test_I148_the_first_announcement_costs_once():
    s = lab(100)
    before = balance(s, ALICE)
    ok(s, ALICE, "announce_coldkey_swap", blake2_256(FRESH))
    assert before - balance(s, ALICE) == KeySwapCost.value
    assert emitted(s, ColdkeySwapAnnounced) == [ColdkeySwapAnnounced(ALICE, blake2_256(FRESH))]
    assert get(s, "ColdkeySwapAnnouncements", ALICE) == (150, blake2_256(FRESH))
    at(s, 159)
    failure = Error.ColdkeySwapReannouncedTooEarly
    fails(s, failure, ALICE, "announce_coldkey_swap", blake2_256(key(81)))
    at(s, 160)
    ok(s, ALICE, "announce_coldkey_swap", blake2_256(key(81)))
    assert before - balance(s, ALICE) == KeySwapCost.value
    fund(s, BOB, 1000)
    failure = Error.NotEnoughBalanceToPaySwapColdKey
    fails(s, failure, BOB, "announce_coldkey_swap", blake2_256(FRESH))


def test_I148_only_the_announced_key_and_only_in_time():
    s = announced()
    fails(s, Error.ColdkeySwapAnnouncementNotFound, BOB, "swap_coldkey_announced", FRESH)
    at(s, 149)
    failure = Error.AnnouncedColdkeyHashDoesNotMatch
    fails(s, failure, ALICE, "swap_coldkey_announced", key(81))
    fails(s, Error.ColdkeySwapTooEarly, ALICE, "swap_coldkey_announced", FRESH)
    at(s, 150)
    ok(s, ALICE, "swap_coldkey_announced", FRESH)
    assert emitted(s, ColdkeySwapped) == [ColdkeySwapped(ALICE, FRESH)]
    assert not has(s, "ColdkeySwapAnnouncements", ALICE)


def test_I148_nothing_else_goes_while_it_is_announced():
    s = announced()
    subnet(s)
    fails(s, Error.ColdkeySwapAnnounced, ALICE, "burned_register", NET, key(70))
    fails(s, Error.ColdkeySwapAnnounced, ALICE, "try_associate_hotkey", key(70))


def test_I148_clearing_takes_longer_than_swapping():
    s = announced()
    at(s, 159)
    fails(s, Error.ColdkeySwapClearTooEarly, ALICE, "clear_coldkey_swap_announcement")
    at(s, 160)
    ok(s, ALICE, "clear_coldkey_swap_announcement")
    fails(s, Error.ColdkeySwapAnnouncementNotFound, ALICE, "clear_coldkey_swap_announcement")


def test_I148_a_dispute_stops_everything_until_root_decides():
    s = announced()
    fails(s, Error.ColdkeySwapAnnouncementNotFound, BOB, "dispute_coldkey_swap")
    ok(s, ALICE, "dispute_coldkey_swap")
    at(s, 200)
    for name, *args in (
        ("swap_coldkey_announced", FRESH),
        ("dispute_coldkey_swap",),
        ("clear_coldkey_swap_announcement",),
        ("try_associate_hotkey", key(70)),
    ):
        fails(s, Error.ColdkeySwapDisputed, ALICE, name, *args)
    ok(s, SUDO, "reset_coldkey_swap", ALICE)
    ok(s, ALICE, "try_associate_hotkey", key(70))


def estate():
    s = lab(100)
    subnet(s, 1, owner=ALICE)
    subnet(s, 2)
    neuron(s, 1, ALICE, OLD)
    for n in (0, 1, 2):
        give_stake(s, n, ALICE, OLD, 5 * TAO)
        give_stake(s, n, BOB, OLD, 3 * TAO)
    put(s, "IdentitiesV2", ALICE, IDENTITY)
    put(s, "AutoStakeDestination", ALICE, 1, OLD)
    put(s, "AutoStakeDestinationColdkeys", OLD, 1, (BOB, ALICE))
    put(s, "RootClaimed", 1, OLD, ALICE, 7)
    ok(s, ALICE, "lock_stake", OLD, 1, 2 * TAO)
    return s


def test_I148_everything_moves_to_the_new_coldkey():
    s = estate()
    lock = get(s, "Lock", ALICE, 1, OLD)
    ok(s, ALICE, "announce_coldkey_swap", blake2_256(FRESH))
    at(s, 150)
    money, before = balance(s, ALICE), issuance(s)
    ok(s, ALICE, "swap_coldkey_announced", FRESH)
    assert balance(s, ALICE) == 0
    assert balance(s, FRESH) == money
    assert issuance(s) == before == tao_sum(s)
    assert get(s, "IdentitiesV2", FRESH) == IDENTITY
    assert not has(s, "IdentitiesV2", ALICE)
    assert get(s, "SubnetOwner", 1) == FRESH
    assert get(s, "SubnetOwner", 2) == OWNER
    assert get(s, "Owner", OLD) == FRESH
    assert get(s, "OwnedHotkeys", FRESH) == (OLD,)
    assert get(s, "StakingHotkeys", FRESH) == (OLD,)
    assert get(s, "AutoStakeDestination", FRESH, 1) == OLD
    assert get(s, "AutoStakeDestinationColdkeys", OLD, 1) == (BOB, FRESH)
    assert get(s, "RootClaimed", 1, OLD, FRESH) == 7
    for n in (0, 1, 2):
        assert get_stake(s, OLD, FRESH, n) == 5 * TAO
        assert get_stake(s, OLD, BOB, n) == 3 * TAO
        assert get_stake(s, OLD, ALICE, n) == 0
    moved_lock = get(s, "Lock", FRESH, 1, OLD)
    assert moved_lock.last_update == 150
    assert isinstance(lock, LockState)
    assert 0 < moved_lock.locked_mass <= lock.locked_mass
    assert not has(s, "Lock", ALICE, 1, OLD)
    assert get(s, "LastRateLimitedBlock", LastTxBlockOf(FRESH)) == 150


def test_I148_the_new_coldkey_must_be_unused():
    s = lab(100)
    subnet(s)
    neuron(s, NET, BOB, key(70))
    for used, failure in (
        (BOB, Error.ColdKeyAlreadyAssociated),
        (key(70), Error.NewColdKeyIsHotkey),
    ):
        put(s, "ColdkeySwapAnnouncements", ALICE, (100, blake2_256(used)))
        fails(s, failure, ALICE, "swap_coldkey_announced", used)


def test_root_swaps_at_once_and_the_old_coldkey_pays():
    s = estate()
    before = issuance(s)
    ok(s, SUDO, "swap_coldkey", ALICE, FRESH, TAO)
    assert before - issuance(s) == TAO
    assert get(s, "Owner", OLD) == FRESH
    fund(s, CAROL, 1000)
    failure = Error.NotEnoughBalanceToPaySwapColdKey
    fails(s, failure, SUDO, "swap_coldkey", CAROL, key(82), TAO)
    fails(s, Error.Deprecated, BOB, "schedule_swap_coldkey", key(82))
