"""Leases: a crowd pays for a subnet, one of it runs the subnet, all of it earn."""

from __future__ import annotations

from typing import Any

import pytest
from network_lab import (
    ALICE,
    BOB,
    CAROL,
    RUNTIME,
    TAO,
    at,
    balance,
    contents,
    emitted,
    get,
    has,
    key,
    lab,
    ok,
    put,
    run,
    run_of,
)

from chain.pallets.crowdloan_store import Error as CrowdloanError
from chain.pallets.crowdloan_store import Finalized
from chain.pallets.proxy_store import Err, LastCallResult, Ok, Proxies
from chain.pallets.proxy_types import ProxyType
from chain.pallets.subtensor.accounts import do_create_account
from chain.pallets.subtensor.dissolve import do_dissolve_network
from chain.pallets.subtensor.distribution import pay_owner
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_reserved import (
    SubnetLeaseCreated,
    SubnetLeaseDividendsDistributed,
    SubnetLeaseTerminated,
)
from chain.pallets.subtensor.leasing import lease_account
from chain.pallets.subtensor.lock_cost import get_network_lock_cost
from chain.pallets.subtensor.share_pool import get_hotkey_stake, get_stake
from chain.pallets.system import Error as SystemError
from chain.runtime.state import State
from chain.runtime.types import Id
from consensus.economics.fixed import U64F64
from ganglion.hashing import blake2_256
from ganglion.units import NetUid

CAP = 2000 * TAO
END = 5000
COLD, HOT = lease_account(b"leasing/coldkey", 0), lease_account(b"leasing/hotkey", 0)
NEW_HOT = key(77)
LEASED = NetUid(1)


def crowdloan(s: State, share: int = 30, end: int | None = END) -> None:
    """Alice asks for 2000 TAO with 10 of her own; Bob gives 1000 and Carol 990."""
    call = RUNTIME.call("SubtensorModule", "register_leased_network", share, end)
    args = (10 * TAO, TAO, CAP, 1000, call, None)
    assert run_of(s, ALICE, "Crowdloan", "create", *args).error is None
    for who, tao in ((BOB, 1000), (CAROL, 990)):
        assert run_of(s, who, "Crowdloan", "contribute", 0, tao * TAO).error is None


def finalize(s: State) -> Any:
    return run_of(s, ALICE, "Crowdloan", "finalize", 0).error


def leased(share: int = 30, end: int | None = END) -> State:
    """A chain on which the lease runs, in a block in which nothing is paid out."""
    s = lab()
    put(s, "NetworkLastLockCost", 500 * TAO)
    put(s, "NetworkMinLockCost", 100 * TAO)
    crowdloan(s, share, end)
    assert finalize(s) is None
    put(s, "SubtokenEnabled", LEASED, True)
    put(s, "OwnerCutAutoLockEnabled", LEASED, False)
    at(s, 150)
    s.events.clear()
    return s


def test_the_keys_of_a_lease_are_derived_from_its_number() -> None:
    assert blake2_256(b"\x3cleasing/coldkey" + bytes(4)) == COLD
    assert lease_account(b"leasing/hotkey", 258) == blake2_256(
        b"\x38leasing/hotkey" + b"\x02\x01\0\0"
    )


def test_a_crowdloan_becomes_a_leased_subnet() -> None:
    s = lab()
    put(s, "NetworkLastLockCost", 500 * TAO)
    put(s, "NetworkMinLockCost", 100 * TAO)
    crowdloan(s)
    price = get_network_lock_cost(s)
    before = {who: balance(s, who) for who in (ALICE, BOB, CAROL)}
    assert finalize(s) is None
    assert emitted(s, SubnetLeaseCreated) == [SubnetLeaseCreated(ALICE, 0, LEASED, END)]
    assert len(emitted(s, Finalized)) == 1

    lease = get(s, "SubnetLeases", 0)
    assert (lease.beneficiary, lease.coldkey, lease.hotkey) == (ALICE, COLD, HOT)
    deposit = s[Proxies, COLD][1]
    assert lease.cost == price + deposit
    assert (get(s, "SubnetOwner", LEASED), get(s, "SubnetOwnerHotkey", LEASED)) == (COLD, HOT)
    assert get(s, "SubnetUidToLeaseId", LEASED) == 0
    assert get(s, "Delegates", HOT) == 0
    [proxy] = s[Proxies, COLD][0]
    assert (proxy.delegate, proxy.proxy_type) == (ALICE, ProxyType.SubnetLeaseBeneficiary)

    assert get(s, "SubnetLeaseShares", 0, BOB) == U64F64.one // 2
    assert not has(s, "SubnetLeaseShares", 0, ALICE)
    left = CAP - lease.cost
    assert balance(s, BOB) - before[BOB] == left // 2
    refunds = sum(balance(s, who) - before[who] for who in (ALICE, BOB, CAROL))
    assert refunds == left
    assert balance(s, COLD) == 0


def test_what_a_lease_needs() -> None:
    s = lab()
    error = run(s, ALICE, "register_leased_network", 30, None).error
    assert isinstance(error, CrowdloanError.InvalidCrowdloanId)
    crowdloan(s, end=9)
    before = contents(s)
    assert isinstance(finalize(s), Error.LeaseCannotEndInThePast)
    assert contents(s) == before


def test_a_share_over_the_whole_is_refused() -> None:
    s = lab()
    crowdloan(s, share=101)
    assert isinstance(finalize(s), Error.InvalidValue)


def test_the_beneficiary_runs_the_subnet_through_a_proxy() -> None:
    s = leased()
    put(s, "AdminFreezeWindow", 0)

    def through_proxy(pallet: str, name: str, *args: Any) -> Any:
        call = RUNTIME.call(pallet, name, *args)
        assert run_of(s, ALICE, "Proxy", "proxy", Id(COLD), None, call).error is None
        return s[LastCallResult, COLD]

    assert through_proxy("AdminUtils", "sudo_set_immunity_period", LEASED, 77) == Ok()
    assert get(s, "ImmunityPeriod", LEASED) == 77
    refused = through_proxy("Balances", "transfer_all", Id(ALICE), False)
    assert refused == Err(SystemError.CallFiltered().value())


# --- dividends -----------------------------------------------------------------------------------


def test_the_owners_cut_is_shared() -> None:
    s = leased(share=30)
    at(s, 200)
    pay_owner(s, LEASED, 1000 * TAO)
    paid = {e.contributor: e.alpha for e in emitted(s, SubnetLeaseDividendsDistributed)}
    assert set(paid) == {ALICE, BOB, CAROL}
    assert sum(paid.values()) == 300 * TAO
    assert paid[BOB] == 150 * TAO
    assert paid[CAROL] == pytest.approx(300 * TAO * 990 // 2000, abs=1)
    for who, alpha in paid.items():
        assert get_stake(s, HOT, who, LEASED) == pytest.approx(alpha, abs=2)
    assert get_stake(s, HOT, COLD, LEASED) == pytest.approx(700 * TAO, abs=2)
    assert get_hotkey_stake(s, HOT, LEASED) == 1000 * TAO
    assert get(s, "AccumulatedLeaseDividends", 0) == 0


def test_dividends_wait_for_their_block() -> None:
    s = leased(share=30)
    pay_owner(s, LEASED, 1000)
    pay_owner(s, LEASED, 1001)
    assert get(s, "AccumulatedLeaseDividends", 0) == 300 + 301
    assert not emitted(s, SubnetLeaseDividendsDistributed)


def test_what_is_too_little_to_pay_out_waits() -> None:
    s = leased(share=30)
    at(s, 200)
    pay_owner(s, LEASED, 1000)
    assert get(s, "AccumulatedLeaseDividends", 0) == 300
    assert get_stake(s, HOT, COLD, LEASED) == 1000
    at(s, 300)
    pay_owner(s, LEASED, 1000 * TAO)
    total = sum(e.alpha for e in emitted(s, SubnetLeaseDividendsDistributed))
    assert total == 300 * TAO + 300


def test_nothing_is_shared_after_the_end() -> None:
    s = leased()
    at(s, END)
    pay_owner(s, LEASED, 1000 * TAO)
    assert not emitted(s, SubnetLeaseDividendsDistributed)
    assert get_stake(s, HOT, COLD, LEASED) == 1000 * TAO


# --- the end -------------------------------------------------------------------------------------


def test_the_beneficiary_takes_over_after_the_end() -> None:
    s = leased()
    pay_owner(s, LEASED, 1000 * TAO)
    do_create_account(s, ALICE, NEW_HOT)
    at(s, END)
    deposit, before = s[Proxies, COLD][1], balance(s, COLD)
    ok(s, ALICE, "terminate_lease", 0, NEW_HOT)
    assert emitted(s, SubnetLeaseTerminated) == [SubnetLeaseTerminated(ALICE, LEASED)]
    assert (get(s, "SubnetOwner", LEASED), get(s, "SubnetOwnerHotkey", LEASED)) == (ALICE, NEW_HOT)
    for name in ("SubnetLeases", "AccumulatedLeaseDividends"):
        assert not has(s, name, 0)
    assert not has(s, "SubnetUidToLeaseId", LEASED)
    assert not has(s, "SubnetLeaseShares", 0, BOB)
    assert s[Proxies, COLD] == ((), 0)
    assert balance(s, COLD) - before == deposit


@pytest.mark.parametrize(
    ("who", "number", "hotkey", "block", "failure"),
    [
        (ALICE, 1, NEW_HOT, END, Error.LeaseDoesNotExist),
        (BOB, 0, NEW_HOT, END, Error.ExpectedBeneficiaryOrigin),
        (ALICE, 0, NEW_HOT, END - 1, Error.LeaseHasNotEnded),
        (ALICE, 0, HOT, END, Error.BeneficiaryDoesNotOwnHotkey),
    ],
)
def test_who_may_end_a_lease_and_when(
    who: Any, number: int, hotkey: Any, block: int, failure: Any
) -> None:
    s = leased()
    do_create_account(s, ALICE, NEW_HOT)
    at(s, block)
    assert isinstance(run(s, who, "terminate_lease", number, hotkey).error, failure)


def test_a_lease_without_end_never_ends() -> None:
    s = leased(end=None)
    at(s, 10**6)
    assert isinstance(run(s, ALICE, "terminate_lease", 0, NEW_HOT).error, Error.LeaseHasNoEndBlock)


def test_a_dissolved_subnet_takes_its_lease_along() -> None:
    s = leased()
    do_dissolve_network(s, LEASED)
    assert not has(s, "SubnetLeases", 0)
    assert not has(s, "SubnetLeaseShares", 0, BOB)
