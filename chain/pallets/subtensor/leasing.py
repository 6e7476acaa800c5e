"""Leasing: a crowd pays for a subnet, one of it runs the subnet, all of it earns.

A crowdloan whose call is `register_leased_network` becomes a subnet that belongs to an account
without a key. Its creator runs the subnet through a proxy and can take it over when the lease
has ended.

Upstream: pallets/subtensor/src/subnets/leasing.rs
"""

from __future__ import annotations

from chain.pallets import crowdloan_store as crowdloan
from chain.pallets.balances_ops import free_balance
from chain.pallets.crowdloan_store import CrowdloanInfo
from chain.pallets.nested import rocks
from chain.pallets.proxy import add_proxy_delegate, remove_proxy_delegate
from chain.pallets.proxy_types import ProxyType
from chain.pallets.subtensor.accounts import is_owner, is_subnet_account
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_reserved import SubnetLeaseCreated, SubnetLeaseTerminated
from chain.pallets.subtensor.kingship import hand_over_locks
from chain.pallets.subtensor.lease_dividends import forget_lease
from chain.pallets.subtensor.storage_delegation import Delegates
from chain.pallets.subtensor.storage_leases import (
    NextSubnetLeaseId,
    SubnetLease,
    SubnetLeases,
    SubnetLeaseShares,
    SubnetUidToLeaseId,
)
from chain.pallets.subtensor.storage_network import SubnetOwner, SubnetOwnerHotkey
from chain.pallets.subtensor.subnets import do_register_network, do_set_owner_hotkey
from chain.pallets.subtensor.tao import transfer_tao
from chain.pallets.system import block_number, dec_providers, inc_providers
from chain.runtime.call import PostInfo
from chain.runtime.errors import CallError, ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State, iter_items, iter_keys
from ganglion.fixed import U64F64
from ganglion.hashing import blake2_256
from ganglion.scale import compact_encode, u32
from ganglion.units import U64F64 as Fraction
from ganglion.units import AccountId, BlockNumber, Percent, PerU16, Rao

U32_MAX = (1 << 32) - 1
MOST = crowdloan.MaxContributors.value


def register_weight(contributors: int) -> int:
    """Weight of leasing a subnet to so many."""
    k = contributors
    return rocks(301_560_714 + 26_884_006 * k, 41 + 2 * k, 55 + 2 * k)


def terminate_weight(contributors: int) -> int:
    """Weight of ending a lease of so many."""
    k = contributors
    return rocks(56_635_122 + 912_993 * k, 4 + k, 6 + k)


@call(110, weight=register_weight(MOST))
def register_leased_network(
    s: State, who: Signed, emissions_share: Percent, end_block: BlockNumber | None
) -> PostInfo:
    """Register a subnet with the money of the crowdloan that is being finalized.

    What the subnet does not cost goes back to the contributors; they get `emissions_share` of
    the owner's cut, until `end_block` or for ever.
    """
    number, loan = _current_loan(s)
    ensure(who == loan.creator, Error.InvalidLeaseBeneficiary)
    ensure(end_block is None or end_block > block_number(s), Error.LeaseCannotEndInThePast)
    ensure(emissions_share <= 100, Error.InvalidValue)
    lease_id = _next_id(s)
    coldkey, hotkey = (
        lease_account(b"leasing/coldkey", lease_id),
        lease_account(b"leasing/hotkey", lease_id),
    )
    inc_providers(s, coldkey)
    inc_providers(s, hotkey)
    transfer_tao(s, loan.funds_account, coldkey, loan.raised)
    netuid = do_register_network(s, coldkey, hotkey, None)
    add_proxy_delegate(s, coldkey, who, ProxyType.SubnetLeaseBeneficiary, 0)
    left = free_balance(s, coldkey)
    cost = Rao(max(loan.raised - left, 0))
    s[SubnetLeases, lease_id] = SubnetLease(
        who, coldkey, hotkey, emissions_share, end_block, netuid, cost
    )
    s[SubnetUidToLeaseId, netuid] = lease_id
    s[Delegates, hotkey] = PerU16(0)
    _share_and_refund(s, lease_id, number, loan, left)
    s.emit(SubnetLeaseCreated(who, lease_id, netuid, end_block))
    return PostInfo(register_weight(min(loan.contributors_count, MOST)))


def _current_loan(s: State) -> tuple[int, CrowdloanInfo]:
    """The crowdloan whose call runs; raises InvalidCrowdloanId outside of one."""
    number = s[crowdloan.CurrentCrowdloanId]
    loan = None if number is None else s[crowdloan.Crowdloans, number]
    if number is None or loan is None:
        raise crowdloan.Error.InvalidCrowdloanId
    return number, loan


def _next_id(s: State) -> int:
    lease_id = s[NextSubnetLeaseId]
    ensure(lease_id < U32_MAX, Error.Overflow)
    s[NextSubnetLeaseId] = lease_id + 1
    return lease_id


def lease_account(label: bytes, lease_id: u32) -> AccountId:
    """The keyless coldkey or hotkey of a lease: blake2_256 of (label, number)."""
    encoded = compact_encode(len(label)) + label + lease_id.to_bytes(4, "little")
    return AccountId(blake2_256(encoded))


def _share_and_refund(s: State, lease_id: int, number: int, loan: CrowdloanInfo, left: int) -> None:
    """Write down everybody's share and give what is left of the money back in these shares.

    The beneficiary gets the rest of both, so no share of its own is kept.
    """
    coldkey = lease_account(b"leasing/coldkey", lease_id)
    refunded = 0
    for contributor, amount in iter_items(s, crowdloan.Contributions, number):
        if contributor == loan.creator:
            continue
        share = U64F64.ratio(amount, loan.raised)
        s[SubnetLeaseShares, lease_id, contributor] = Fraction(share)
        refund = U64F64.to_u64(U64F64.mul(share, U64F64.from_int(left)))
        transfer_tao(s, coldkey, contributor, refund)
        refunded += refund
    transfer_tao(s, coldkey, loan.creator, max(left - refunded, 0))


@call(111, weight=lambda lease_id, hotkey: terminate_weight(MOST))
def terminate_lease(s: State, who: Signed, lease_id: u32, hotkey: AccountId) -> PostInfo:
    """Take over a leased subnet, with an own hotkey, after the lease's end."""
    lease = s[SubnetLeases, lease_id]
    if lease is None:
        raise Error.LeaseDoesNotExist
    ensure(lease.beneficiary == who, Error.ExpectedBeneficiaryOrigin)
    if lease.end_block is None:
        raise Error.LeaseHasNoEndBlock
    ensure(block_number(s) >= lease.end_block, Error.LeaseHasNotEnded)
    ensure(is_owner(s, who, hotkey), Error.BeneficiaryDoesNotOwnHotkey)
    ensure(not is_subnet_account(hotkey), Error.CannotUseSystemAccount)
    hand_over_locks(s, lease.netuid, s[SubnetOwnerHotkey, lease.netuid], hotkey)
    s[SubnetOwner, lease.netuid] = who
    do_set_owner_hotkey(s, lease.netuid, hotkey)
    contributors = 1 + sum(1 for _ in iter_keys(s, SubnetLeaseShares, lease_id))
    forget_lease(s, lease.netuid)
    for account in (lease.coldkey, lease.hotkey):
        _release(s, account)
    remove_proxy_delegate(s, lease.coldkey, who, ProxyType.SubnetLeaseBeneficiary, 0)
    s.emit(SubnetLeaseTerminated(who, lease.netuid))
    return PostInfo(terminate_weight(min(contributors, MOST)))


def _release(s: State, account: AccountId) -> None:
    """Stop keeping an account alive; one with a deposit still lives on."""
    try:
        dec_providers(s, account)
    except CallError:
        return
