"""Facts about subnets (C27 to C45), each under its number."""

import pytest
from network_lab import (
    ALICE,
    BOB,
    CAROL,
    NET,
    OWNER,
    OWNER_HOT,
    SUDO,
    TAO,
    at,
    balance,
    contents,
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
    pool,
    put,
    step,
    subnet,
    tao_sum,
)

from chain.pallets.subtensor.accounts import compute_subnet_account, get_netuids
from chain.pallets.subtensor.dissolve import apportion
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_network import (
    FirstEmissionBlockNumberSet,
    NetworkAdded,
    NetworkRemoved,
    SubnetIdentitySet,
    SymbolUpdated,
)
from chain.pallets.subtensor.lock_cost import get_network_lock_cost, get_network_to_prune
from chain.pallets.subtensor.neurons import storage_index
from chain.pallets.subtensor.pallet import pallet
from chain.pallets.subtensor.price import get_median_price
from chain.pallets.subtensor.symbols import NAMES, SYMBOLS
from chain.pallets.subtensor.types import AxonInfo, LockState, SubnetIdentityV3
from chain.runtime.errors import BadOrigin
from chain.runtime.state import iter_keys
from chain.runtime.storage import Map
from ganglion.fixed import U64_MAX, U64F64
from ganglion.units import NetUid, NetUidStorageIndex

LOCK = 100 * TAO
IDENTITY = SubnetIdentityV3(b"name", b"", b"", b"", b"", b"", b"", b"")


def market(block=10):
    """A lab in which subnets cost 100 TAO at first and fall back over 1000 blocks."""
    s = lab(block)
    put(s, "NetworkMinLockCost", LOCK)
    put(s, "NetworkLastLockCost", LOCK)
    put(s, "NetworkLockReductionInterval", 1000)
    return s


def test_C27_the_price_doubles_and_falls_linearly():
    s = market()
    assert get_network_lock_cost(s) == LOCK
    ok(s, OWNER, "register_network", OWNER_HOT)
    assert get_network_lock_cost(s) == 2 * LOCK
    at(s, 10 + 500)
    assert get_network_lock_cost(s) == 2 * LOCK - LOCK // 1000 * 500
    at(s, 10 + 1000)
    assert get_network_lock_cost(s) == LOCK
    at(s, 10 + 9999)
    assert get_network_lock_cost(s) == LOCK


def test_C28_one_registration_in_a_while_by_anybody():
    s = market()
    put(s, "NetworkRateLimit", 50)
    ok(s, OWNER, "register_network", OWNER_HOT)
    fails(s, Error.NetworkTxRateLimitExceeded, ALICE, "register_network", key(50))
    at(s, 59)
    fails(s, Error.NetworkTxRateLimitExceeded, ALICE, "register_network", key(50))
    at(s, 60)
    ok(s, ALICE, "register_network", key(50))


def test_C29_without_funds_or_with_a_foreign_hotkey():
    s = market()
    fund(s, key(9), LOCK - 1)
    fails(s, Error.CannotAffordLockCost, key(9), "register_network", key(50))
    ok(s, BOB, "try_associate_hotkey", key(51))
    fails(s, Error.NonAssociatedColdKey, ALICE, "register_network", key(51))
    pot = compute_subnet_account(NET)
    fails(s, Error.CannotUseSystemAccount, ALICE, "register_network", pot)
    put(s, "NetworkRegistrationStartBlock", 11)
    fails(s, Error.SubNetRegistrationDisabled, ALICE, "register_network", key(50))


def test_C30_the_lowest_free_number_is_used_again():
    s = market()
    for n in range(3):
        ok(s, OWNER, "register_network", key(50 + n))
    assert sorted(get_netuids(s)) == [0, 1, 2, 3]
    ok(s, SUDO, "root_dissolve_network", 2)
    assert get(s, "RegisteredSubnetCounter", 2) == 1
    ok(s, OWNER, "register_network", key(60))
    assert emitted(s, NetworkAdded)[-1] == NetworkAdded(2, 1)
    assert get(s, "RegisteredSubnetCounter", 2) == 2


def test_C31_the_first_dynamic_subnet_has_price_one():
    s = market()
    before = balance(s, OWNER)
    ok(s, OWNER, "register_network", OWNER_HOT)
    assert get(s, "SubnetTAO", NET) == LOCK
    assert get(s, "SubnetAlphaIn", NET) == LOCK
    assert get(s, "SubnetAlphaOut", NET) == 0
    assert get(s, "SubnetLocked", NET) == LOCK
    assert get(s, "SubnetMechanism", NET) == 1
    assert get(s, "TotalStake") == LOCK
    assert before - balance(s, OWNER) == LOCK
    assert balance(s, compute_subnet_account(NET)) == LOCK
    assert tao_sum(s) == issuance(s)


def test_C31_the_owner_gets_uid_0():
    s = market()
    ok(s, OWNER, "register_network_with_identity", OWNER_HOT, IDENTITY)
    assert get(s, "SubnetOwner", NET) == OWNER
    assert get(s, "SubnetOwnerHotkey", NET) == OWNER_HOT
    assert get(s, "Uids", NET, OWNER_HOT) == 0
    assert get(s, "SubnetIdentitiesV3", NET) == IDENTITY
    assert emitted(s, SubnetIdentitySet) == [SubnetIdentitySet(NET)]


def test_C31_a_bad_identity_undoes_the_registration():
    s = market()
    bad = SubnetIdentityV3(b"n" * 257, b"", b"", b"", b"", b"", b"", b"")
    fails(s, Error.InvalidIdentity, OWNER, "register_network_with_identity", OWNER_HOT, bad)


def priced(*prices):
    s = lab()
    for n, price in enumerate(prices, start=1):
        subnet(s, n, SubnetMechanism=1)
        pool(s, n, int(price * 1000), 1000)
    return s


@pytest.mark.parametrize(
    ("prices", "median"),
    [((2, 8), 5), ((9, 1, 4), 4), ((), 1), ((0, 6), 6), ((5, 2), 3.5)],
)
def test_C32_the_median_price(prices, median):
    assert get_median_price(priced(*prices)) == int(median * U64F64.one)


def test_C32_subnets_that_are_off_do_not_count():
    s = priced(2, 8)
    put(s, "NetworksAdded", 2, False)
    assert get_median_price(s) == 2 * U64F64.one


def test_C32_a_new_pool_is_seeded_at_the_median():
    s = priced(2, 8)
    put(s, "NetworkMinLockCost", LOCK)
    put(s, "NetworkLastLockCost", LOCK)
    ok(s, OWNER, "register_network", OWNER_HOT)
    assert get(s, "SubnetTAO", 3) == LOCK
    assert get(s, "SubnetAlphaIn", 3) == LOCK // 5


def test_C33_start_call():
    s = market()
    put(s, "StartCallDelay", 5)
    fails(s, Error.SubnetNotExists, OWNER, "start_call", 1)
    ok(s, OWNER, "register_network", OWNER_HOT)
    assert get(s, "FirstEmissionBlockNumber", NET) is None
    assert not get(s, "SubtokenEnabled", NET)
    fails(s, BadOrigin, ALICE, "start_call", NET)
    at(s, 14)
    fails(s, Error.NeedWaitingMoreBlocksToStarCall, OWNER, "start_call", NET)
    at(s, 15)
    ok(s, OWNER, "start_call", NET)
    assert get(s, "FirstEmissionBlockNumber", NET) == 16
    assert get(s, "SubtokenEnabled", NET)
    assert emitted(s, FirstEmissionBlockNumberSet) == [FirstEmissionBlockNumberSet(NET, 16)]
    fails(s, Error.FirstEmissionBlockNumberAlreadySet, OWNER, "start_call", NET)


def test_C34_no_staking_before_the_start():
    s = market()
    ok(s, OWNER, "register_network", OWNER_HOT)
    fails(s, Error.SubtokenDisabled, ALICE, "add_stake", OWNER_HOT, NET, 10 * TAO)


def test_C35_emission_stays_off_until_root_switches_it_on():
    s = market()
    ok(s, OWNER, "register_network", OWNER_HOT)
    ok(s, OWNER, "start_call", NET)
    assert not get(s, "SubnetEmissionEnabled", NET)
    step(s, 3)
    assert get(s, "SubnetTaoInEmission", NET) == 0
    put(s, "SubnetEmissionEnabled", NET, True)
    put(s, "SubnetMovingPrice", NET, 1 << 32)
    give_stake(s, 0, ALICE, key(50), 1000 * TAO)
    step(s, 2)
    assert get(s, "SubnetTaoInEmission", NET) > 0


def crowded():
    """Three of three subnets, registered in blocks 100, 200 and 300; it is block 1000."""
    s = market(1000)
    put(s, "SubnetLimit", 3)
    put(s, "NetworkImmunityPeriod", 500)
    for n, born in ((1, 100), (2, 200), (3, 300)):
        subnet(s, n, SubnetMechanism=1, SubnetMovingPrice=n << 32, NetworkRegisteredAt=born)
    return s


def test_C36_a_full_chain_drops_the_cheapest_subnet():
    s = crowded()
    put(s, "SubnetMovingPrice", 2, 1)
    ok(s, OWNER, "register_network", OWNER_HOT)
    assert emitted(s, NetworkRemoved) == [NetworkRemoved(2)]
    assert emitted(s, NetworkAdded) == [NetworkAdded(2, 1)]
    assert get(s, "TotalNetworks") == 4
    assert get(s, "Uids", 2, OWNER_HOT) == 0


def test_C36_nothing_is_dropped_for_someone_who_cannot_pay():
    s = crowded()
    fund(s, key(9), LOCK - 1)
    fails(s, Error.CannotAffordLockCost, key(9), "register_network", key(50))


def test_C36_nothing_to_drop():
    s = crowded()
    put(s, "NetworkImmunityPeriod", 5000)
    fails(s, Error.SubnetLimitReached, OWNER, "register_network", OWNER_HOT)


def test_C37_which_subnet_goes():
    s = crowded()
    assert get_network_to_prune(s) == 1
    for n in (1, 2, 3):
        put(s, "SubnetMovingPrice", n, 5)
    put(s, "NetworkRegisteredAt", 1, 250)
    assert get_network_to_prune(s) == 2
    put(s, "NetworkRegisteredAt", 2, 900)
    put(s, "SubnetMovingPrice", 2, 0)
    assert get_network_to_prune(s) == 1
    for n in (1, 3):
        put(s, "NetworkRegisteredAt", n, 900)
    assert get_network_to_prune(s) is None


def estate(*, pot, stakes, lock=0, born=5, protocol=0, alpha_in=0, gate=100):
    """A subnet registered in block 5 whose account holds pot and lock; stakes by coldkey.

    Subnets registered up to block `gate` do not count the pool's alpha; `born` < 10 entitles the
    owner to a refund.
    """
    s = lab()
    subnet(s, SubnetMechanism=0, NetworkRegisteredAt=born, SubnetLocked=lock)
    put(s, "NetworkRegistrationStartBlock", 10)
    put(s, "TaoInRefundDeploymentBlock", gate)
    for coldkey, amount in stakes.items():
        give_stake(s, NET, coldkey, key(70), amount)
    pool(s, NET, pot, alpha_in)
    put(s, "SubnetProtocolAlpha", NET, protocol)
    fund(s, compute_subnet_account(NET), pot + lock + 500)
    return s


def gains(s, *who):
    before = [balance(s, w) for w in who]
    ok(s, SUDO, "root_dissolve_network", NET)
    return [balance(s, w) - b for w, b in zip(who, before, strict=True)]


def no_cut(s):
    put(s, "SubnetOwnerCut", 0)
    return s


def test_C38_stakers_share_the_pot_and_the_owner_gets_the_lock_back():
    s = no_cut(estate(pot=10_000, stakes={ALICE: 300, BOB: 700}, lock=5_000))
    assert gains(s, ALICE, BOB, OWNER) == [3_000, 7_000, 5_000]


def test_C39_a_single_rao_goes_to_the_largest_remainder():
    s = estate(pot=1, stakes={ALICE: 3, BOB: 2})
    assert gains(s, ALICE, BOB) == [1, 0]


def test_C40_the_protocols_part_is_recycled():
    s = estate(pot=200, stakes={ALICE: 50}, protocol=50)
    before = issuance(s)
    assert gains(s, ALICE) == [100]
    assert issuance(s) == before - 100
    assert tao_sum(s) == issuance(s)


def test_C40_newer_subnets_count_the_pools_alpha():
    s = estate(pot=200, stakes={ALICE: 50}, protocol=50, alpha_in=100, gate=4)
    assert gains(s, ALICE) == [50]


def test_C41_what_the_owner_earned_is_taken_off_the_refund():
    s = estate(pot=0, stakes={ALICE: 100_000}, lock=5_000)
    assert gains(s, OWNER) == [0]
    s = estate(pot=0, stakes={}, lock=5_000)
    assert gains(s, OWNER) == [5_000]
    s = estate(pot=0, stakes={}, lock=5_000, born=10)
    assert gains(s, OWNER) == [0]


def test_C42_a_missing_subnet_and_root_cannot_be_dissolved():
    s = lab()
    fails(s, Error.SubnetNotExists, SUDO, "root_dissolve_network", 7)
    fails(s, Error.SubnetNotExists, SUDO, "dissolve_network", OWNER, 0)
    subnet(s)
    fails(s, BadOrigin, OWNER, "dissolve_network", OWNER, NET)


KEPT = {"RegisteredSubnetCounter", "RootProp", "SubnetEmissionEnabled"}
"""What outlives a subnet: the counter on purpose, the others because upstream leaves them."""


def entries_of(s, netuid):
    """(storage item, keys) of everything that names the subnet in its keys."""
    found = []
    for name, item in pallet.items.items():
        if not isinstance(item, Map):
            continue
        for keys in iter_keys(s, item):
            each = keys if isinstance(keys, tuple) else (keys,)
            for tp, value in zip(item.key_types, each, strict=True):
                ours = (NetUid, netuid), (NetUidStorageIndex, storage_index(netuid, 1))
                if (tp, value) in ours or (tp is NetUidStorageIndex and value == netuid):
                    found.append((name, keys))
    return found


def test_C42_nothing_of_a_dissolved_subnet_is_left():
    s = market()
    ok(s, OWNER, "register_network_with_identity", OWNER_HOT, IDENTITY)
    ok(s, OWNER, "start_call", NET)
    ok(s, ALICE, "burned_register", NET, key(50))
    ok(s, ALICE, "add_stake", key(50), NET, 10 * TAO)
    put(s, "MechanismCountCurrent", NET, 2)
    second = storage_index(NET, 1)
    put(s, "Axons", NET, key(50), AxonInfo(0, 0, 0, 0, 0, 0, 0, 0))
    put(s, "ChildKeys", key(50), NET, ((1, key(51)),))
    put(s, "ParentKeys", key(51), NET, ((1, key(50)),))
    put(s, "PendingChildKeys", NET, key(50), ((), 9))
    put(s, "ChildkeyTake", key(50), NET, 7)
    put(s, "TransactionKeyLastBlock", key(50), NET, 0, 7)
    put(s, "LastHotkeyEmissionOnNetuid", key(50), NET, 7)
    put(s, "WeightCommits", second, key(50), ())
    put(s, "TimelockedWeightCommits", NET, 3, ())
    put(s, "Weights", second, 0, b"")
    put(s, "Bonds", NET, 0, b"")
    put(s, "Incentive", second, b"")
    put(s, "LockingColdkeys", NET, key(50), ALICE, ())
    put(s, "Lock", ALICE, NET, key(50), LockState(1, 0, 1))
    put(s, "HotkeyLock", NET, key(50), LockState(1, 0, 1))
    put(s, "OwnerLock", NET, LockState(1, 0, 1))
    put(s, "DecayingLock", ALICE, NET, False)
    put(s, "RootClaimable", key(50), ((NET, 5), (NetUid(2), 6)))
    put(s, "RootClaimed", NET, key(50), ALICE, 5)
    step(s, 3)
    assert len(entries_of(s, NET)) > 60
    ok(s, SUDO, "root_dissolve_network", NET)
    assert {name for name, _ in entries_of(s, NET)} - KEPT == set()
    assert get(s, "RootClaimable", key(50)) == ((2, 6),)
    assert get(s, "TotalNetworks") == 1
    assert emitted(s, NetworkRemoved) == [NetworkRemoved(NET)]
    assert tao_sum(s) == issuance(s)


def test_C43_refunds_and_registering_again_lose_no_tao():
    s = market()
    put(s, "SubnetLimit", 1)
    put(s, "NetworkImmunityPeriod", 0)
    ok(s, OWNER, "register_network", OWNER_HOT)
    ok(s, OWNER, "start_call", NET)
    for n, who in enumerate((ALICE, BOB, CAROL)):
        ok(s, who, "add_stake", OWNER_HOT, NET, (n + 3) * 1_234_567_890)
    pots, before = balance(s, compute_subnet_account(NET)), issuance(s)
    assert pots > 0
    ok(s, CAROL, "register_network", key(80))
    assert emitted(s, NetworkRemoved) == [NetworkRemoved(NET)]
    recycled = before - issuance(s)
    assert 0 < recycled < pots
    assert tao_sum(s) == issuance(s)


def test_C44_symbols():
    s = market()
    put(s, "TokenSymbol", 0, SYMBOLS[0])
    for n in range(2):
        ok(s, OWNER, "register_network", key(50 + n))
    assert get(s, "TokenSymbol", 1) == "α".encode()
    assert get(s, "TokenSymbol", 2) == "β".encode()
    fails(s, BadOrigin, ALICE, "update_symbol", 2, SYMBOLS[9])
    fails(s, Error.SymbolDoesNotExist, OWNER, "update_symbol", 2, b"TAO")
    fails(s, Error.SymbolDoesNotExist, OWNER, "update_symbol", 2, SYMBOLS[0])
    fails(s, Error.SymbolAlreadyInUse, OWNER, "update_symbol", 2, SYMBOLS[1])
    ok(s, OWNER, "update_symbol", 2, SYMBOLS[3])
    assert emitted(s, SymbolUpdated) == [SymbolUpdated(2, SYMBOLS[3])]
    ok(s, OWNER, "register_network", key(60))
    assert get(s, "TokenSymbol", 3) == SYMBOLS[2]
    assert len(SYMBOLS) == len(NAMES) == len(set(SYMBOLS)) == 439


@pytest.mark.parametrize("willing", [True, False])
def test_C45_root_validators_back_new_owners_unless_they_opted_out(willing):
    s = market()
    validator = key(50)
    neuron(s, 0, BOB, validator)
    put(s, "AutoParentDelegationEnabled", validator, willing)
    ok(s, OWNER, "register_network", OWNER_HOT)
    expected = ((U64_MAX, OWNER_HOT),) if willing else ()
    assert get(s, "ChildKeys", validator, NET) == expected


def test_epochs_of_one_tempo_are_staggered():
    s = market(1000)
    for n in range(3):
        ok(s, OWNER, "register_network", key(50 + n))
    assert [get(s, "LastEpochBlock", n) for n in (1, 2, 3)] == [999, 998, 997]


@pytest.mark.parametrize("weights", [[1], [1, 1, 1], [3, 2], [5, 5, 7], [10**18, 1]])
def test_apportioning_spends_the_whole_pot_and_nobody_is_off_by_more_than_one(weights):
    for pot in (0, 1, 2, 7, 100, 10**15 + 3):
        parts = apportion(pot, weights, sum(weights))
        assert sum(part for _, part in parts) == pot
        for place, part in parts:
            exact = pot * weights[place] // sum(weights)
            assert part in (exact, exact + 1)


def test_a_failed_call_leaves_the_state_as_it_was():
    s = market()
    before = contents(s)
    fails(s, Error.SubnetNotExists, ALICE, "burned_register", 9, key(50))
    assert contents(s) == before
    assert not has(s, "Owner", key(50))
