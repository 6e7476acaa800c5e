"""Dividends of a leased subnet: the owner's cut goes to those who paid for the subnet.

Upstream: pallets/subtensor/src/subnets/leasing.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.constants import LeaseDividendsDistributionInterval
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_reserved import SubnetLeaseDividendsDistributed
from chain.pallets.subtensor.share_pool import get_stake
from chain.pallets.subtensor.stake_utils import transfer_within_subnet
from chain.pallets.subtensor.storage_leases import (
    AccumulatedLeaseDividends,
    SubnetLease,
    SubnetLeases,
    SubnetLeaseShares,
    SubnetUidToLeaseId,
)
from chain.pallets.system import block_number
from chain.runtime.dispatch import layer
from chain.runtime.errors import CallError, ensure
from chain.runtime.state import State, clear_prefix, iter_items
from ganglion.fixed import U64F64, clamp_u64, sat_add_u64, sat_sub
from ganglion.units import AccountId, Alpha, NetUid


def share_owner_cut(s: State, netuid: NetUid, cut: int) -> None:
    """Put the contributors' part of an owner's cut aside, and pay out when it is time.

    The part is rounded up in their favour. What cannot be paid now waits for the next time.
    """
    number = s[SubnetUidToLeaseId, netuid]
    lease = None if number is None else s[SubnetLeases, number]
    if number is None or lease is None:
        return
    now = block_number(s)
    if lease.end_block is not None and lease.end_block <= now:
        return
    part = -(-cut * lease.emissions_share // 100)
    total = Alpha(sat_add_u64(s[AccumulatedLeaseDividends, number], clamp_u64(part)))
    s[AccumulatedLeaseDividends, number] = total
    if now % LeaseDividendsDistributionInterval.value == 0:
        try:
            with layer(s):
                _pay_out(s, number, lease, total)
        except CallError:
            return


def _pay_out(s: State, number: int, lease: SubnetLease, total: Alpha) -> None:
    """Hand alpha to all contributors, and the rest to the beneficiary; raises when one cannot."""
    paid = 0
    for contributor, share in iter_items(s, SubnetLeaseShares, number):
        alpha = _ceil(U64F64.mul(share, U64F64.from_int(total)))
        _hand_over(s, number, lease, contributor, alpha)
        paid += alpha
    _hand_over(s, number, lease, lease.beneficiary, sat_sub(total, paid))
    s[AccumulatedLeaseDividends, number] = Alpha(0)


def _hand_over(s: State, number: int, lease: SubnetLease, who: AccountId, alpha: int) -> None:
    # Rounding up may ask for more than the lease holds; alpha must not come out of nothing.
    held = get_stake(s, lease.hotkey, lease.coldkey, lease.netuid)
    ensure(held >= alpha, Error.NotEnoughStakeToWithdraw)
    source, target = (lease.hotkey, lease.coldkey), (lease.hotkey, who)
    transfer_within_subnet(s, source, target, lease.netuid, alpha)
    s.emit(SubnetLeaseDividendsDistributed(number, who, Alpha(alpha)))


def _ceil(bits: int) -> int:
    return clamp_u64(-(-bits >> U64F64.frac))


def forget_lease(s: State, netuid: NetUid) -> None:
    """Drop the lease of a subnet that is dissolved."""
    number = s[SubnetUidToLeaseId, netuid]
    if number is not None:
        del s[SubnetUidToLeaseId, netuid]
        del s[SubnetLeases, number]
        clear_prefix(s, SubnetLeaseShares, number)
        del s[AccumulatedLeaseDividends, number]
