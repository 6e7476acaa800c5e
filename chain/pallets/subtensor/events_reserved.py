"""Events of leases, collateral and Ethereum keys, and of subsystems that this chain does not run:
those are declared so that numbers agree."""

from __future__ import annotations

from chain.pallets.subtensor.storage_keys import H160
from chain.pallets.subtensor.types import SubnetIdentityV3
from chain.runtime.pallet import event
from ganglion.scale import u16, u32, u64
from ganglion.units import U64F64, AccountId, Alpha, BlockNumber, NetUid, Rao


@event(99)
class EvmKeyAssociated:
    """An EVM key was associated with a neuron."""

    netuid: NetUid
    hotkey: AccountId
    evm_key: H160
    block_associated: u64


@event(104)
class SubnetLeaseCreated:
    """A subnet was leased."""

    beneficiary: AccountId
    lease_id: u32
    netuid: NetUid
    end_block: BlockNumber | None


@event(105)
class SubnetLeaseTerminated:
    """A lease ended."""

    beneficiary: AccountId
    netuid: NetUid


@event(124)
class SubnetLeaseDividendsDistributed:
    """A lease paid dividends."""

    lease_id: u32
    contributor: AccountId
    alpha: Alpha


@event(126)
class NetworkDissolveCleanupCompleted:
    """A dissolved subnet is cleared away."""

    netuid: NetUid


@event(141)
class NetworkRegistrationQueued:
    """A subnet registration waits."""

    coldkey: AccountId
    hotkey: AccountId
    mechid: u16
    identity: SubnetIdentityV3 | None
    lock_amount: Rao
    median_subnet_alpha_price: U64F64
    registration_block: u64


@event(144)
class CollateralLocked:
    """Collateral was locked."""

    netuid: NetUid
    hotkey: AccountId
    locked: Alpha
    total_locked: Alpha


@event(145)
class MinCollateralSet:
    """A miner chose its least collateral."""

    netuid: NetUid
    hotkey: AccountId
    min_locked: Alpha
