"""Leases of subnets: who paid for one, in which shares, and what waits to be paid out."""

from __future__ import annotations

from dataclasses import dataclass

from chain.runtime.storage import Identity, Map, Twox, Value, storage
from ganglion.scale import scale_type, u32
from ganglion.units import U64F64, AccountId, Alpha, BlockNumber, NetUid, Percent, Rao


@scale_type("pallet_subtensor::subnets::leasing::SubnetLease")
@dataclass(frozen=True, slots=True)
class SubnetLease:
    """A subnet that a crowd paid for; the beneficiary runs it and owns it after `end_block`."""

    beneficiary: AccountId
    coldkey: AccountId
    hotkey: AccountId
    emissions_share: Percent
    end_block: BlockNumber | None
    netuid: NetUid
    cost: Rao


SubnetLeases: Map[Twox[u32], SubnetLease | None] = storage()
"""Running leases."""
SubnetLeaseShares: Map[Twox[u32], Identity[AccountId], U64F64] = storage(default=0)
"""What each contributor but the beneficiary paid of a lease, as a part of one."""
SubnetUidToLeaseId: Map[Twox[NetUid], u32 | None] = storage()
"""The lease of a subnet."""
NextSubnetLeaseId: Value[u32] = storage(default=0)
"""The number of the next lease."""
AccumulatedLeaseDividends: Map[Twox[u32], Alpha] = storage(default=0)
"""Alpha of a lease that waits for the next payout."""
