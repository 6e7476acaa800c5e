"""Subnets: which exist, who owns them, their clock, and network-wide switches."""

from __future__ import annotations

from chain.pallets.subtensor.constants import (
    InitialMaxEpochsPerBlock,
    InitialNetworkRateLimit,
    InitialTempo,
)
from chain.pallets.subtensor.types import NOBODY, EpochConsensus, SubnetIdentityV3
from chain.runtime.storage import Blake2, Identity, Map, Twox, Value, storage
from ganglion.scale import u8, u16, u64
from ganglion.units import AccountId, BlockNumber, MechId, NetUid, Rao

SubnetLimit: Value[u16] = storage(default=128)
"""Largest number of user subnets."""
TotalNetworks: Value[u16] = storage(default=0)
"""How many subnets exist, root included."""
NetworksAdded: Map[Identity[NetUid], bool] = storage(default=False)
"""Whether a netuid is in use."""
SubnetMechanism: Map[Identity[NetUid], u16] = storage(default=0)
"""0 for a stable pool (price 1), 1 for a dynamic one."""
SubnetworkN: Map[Identity[NetUid], u16] = storage(default=0)
"""Neurons on the subnet."""
NetworkRegisteredAt: Map[Identity[NetUid], u64] = storage(default=0)
"""Block in which the subnet was registered."""
NetworkRegistrationAllowed: Map[Identity[NetUid], bool] = storage(default=True)
"""Whether neurons may register."""
NetworkPowRegistrationAllowed: Map[Identity[NetUid], bool] = storage(default=True)
"""Whether proof-of-work registration is shown as open."""
RegisteredSubnetCounter: Map[Identity[NetUid], u64] = storage(default=0)
"""How often this netuid was registered; survives dissolution."""
SubnetOwner: Map[Identity[NetUid], AccountId] = storage(default=NOBODY)
"""Coldkey that owns the subnet."""
SubnetOwnerHotkey: Map[Identity[NetUid], AccountId] = storage(default=NOBODY)
"""Hotkey that acts for the owner; its uid is immune."""
SubnetIdentitiesV3: Map[Blake2[NetUid], SubnetIdentityV3 | None] = storage()
"""What the owner says about the subnet."""
TokenSymbol: Map[Identity[NetUid], bytes] = storage(default=b"\xf0\x9d\x9c\x8f")
"""Symbol of the subnet's alpha in UTF-8; by default tau."""
FirstEmissionBlockNumber: Map[Identity[NetUid], u64 | None] = storage()
"""Block in which emission began; set by start_call."""
SubtokenEnabled: Map[Identity[NetUid], bool] = storage(default=False)
"""Whether alpha can be bought and sold."""
StartCallDelay: Value[u64] = storage(default=0)
"""Blocks between registration and start_call."""
NetworkImmunityPeriod: Value[u64] = storage(default=1296000)
"""Blocks during which a new subnet cannot be pruned."""
NetworkMinLockCost: Value[Rao] = storage(default=1000000000000)
"""Floor of the price of a subnet."""
NetworkLastLockCost: Value[Rao] = storage(default=1000000000000)
"""What the latest subnet cost."""
NetworkLockReductionInterval: Value[u64] = storage(default=100800)
"""Blocks in which the price of a subnet falls by the last price."""
NetworkRateLimit: Value[u64] = storage(default=InitialNetworkRateLimit.value)
"""Blocks between two subnet registrations, by anybody; the genesis of a local network says 0."""
NetworkRegistrationStartBlock: Value[u64] = storage(default=0)
"""Block from which subnets may be registered."""
SubnetLocked: Map[Identity[NetUid], Rao] = storage(default=0)
"""What the owner paid for the subnet."""
LargestLocked: Map[Identity[NetUid], u64] = storage(default=0)
"""Largest lock ever on the subnet; kept for readers of the old layout."""
DissolveNetworkScheduleDuration: Value[BlockNumber] = storage(default=36000)
"""Delay of a scheduled dissolution; nothing schedules one."""
Tempo: Map[Identity[NetUid], u16] = storage(default=InitialTempo.value)
"""Blocks between two epochs."""
LastEpochBlock: Map[Identity[NetUid], u64] = storage(default=0)
"""Block of the latest epoch, or of the latest reset of the cycle."""
PendingEpochAt: Map[Identity[NetUid], u64] = storage(default=0)
"""Block of a requested or deferred epoch; 0 for none."""
SubnetEpochIndex: Map[Identity[NetUid], u64] = storage(default=0)
"""Number of epochs run: the clock of commit-reveal."""
BlocksSinceLastStep: Map[Identity[NetUid], u64] = storage(default=0)
"""Blocks since the latest epoch."""
LastMechansimStepBlock: Map[Identity[NetUid], u64] = storage(default=0)
"""Block of the latest epoch that paid; upstream's spelling."""
MaxEpochsPerBlock: Value[u8] = storage(default=InitialMaxEpochsPerBlock.value)
"""How many epochs one block may run; the others wait."""
SubnetEpochConsensus: Map[Identity[NetUid], EpochConsensus] = storage(default=EpochConsensus.Yuma)
"""Which consensus the subnet's epochs run."""
LastYumaStepBlock: Map[Identity[NetUid], u64 | None] = storage()
"""Block of the latest Yuma epoch; bonds stand still in between."""
SavedYumaMaxAllowedValidators: Map[Identity[NetUid], u16 | None] = storage()
"""Validator permits to have again once the subnet returns to Yuma."""
MaxMechanismCount: Value[MechId] = storage(default=2)
"""Largest number of mechanisms (sub-subnets) of a subnet."""
MechanismCountCurrent: Map[Twox[NetUid], MechId] = storage(default=1)
"""Number of mechanisms of the subnet."""
MechanismEmissionSplit: Map[Twox[NetUid], tuple[u16, ...] | None] = storage()
"""Shares of the mechanisms in units of 1/65535; None means equal."""
HasMigrationRun: Map[Identity[bytes], bool] = storage(default=False)
"""Migrations that ran, by name."""
