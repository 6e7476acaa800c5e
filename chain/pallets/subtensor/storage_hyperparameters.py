"""Hyperparameters of a subnet that shape epochs and weights."""

from __future__ import annotations

from chain.pallets.subtensor.types import ConsensusMode, RecycleOrBurnEnum
from chain.runtime.storage import Blake2, Identity, Map, Twox, Value, storage
from ganglion.scale import i16, u16, u32, u64
from ganglion.units import NetUid

Rho: Map[Identity[NetUid], u16] = storage(default=10)
"""Steepness of trust; shown, no longer used."""
Kappa: Map[Identity[NetUid], u16] = storage(default=32767)
"""Consensus majority in units of 1/65535."""
AlphaSigmoidSteepness: Map[Identity[NetUid], i16] = storage(default=1000)
"""Steepness of the liquid-alpha sigmoid, in thousandths."""
MinAllowedUids: Map[Identity[NetUid], u16] = storage(default=64)
"""Floor of MaxAllowedUids."""
MaxAllowedUids: Map[Identity[NetUid], u16] = storage(default=256)
"""Seats on the subnet."""
ImmunityPeriod: Map[Identity[NetUid], u16] = storage(default=4096)
"""Blocks during which a new neuron cannot be pruned."""
ImmuneOwnerUidsLimit: Map[Identity[NetUid], u16] = storage(default=1)
"""How many of the owner's uids are immune."""
MinNonImmuneUids: Map[Identity[NetUid], u16] = storage(default=10)
"""Neurons that must stay prunable."""
ActivityCutoff: Map[Identity[NetUid], u16] = storage(default=5000)
"""Blocks without weights after which a validator is inactive; the legacy figure."""
ActivityCutoffFactorMilli: Map[Identity[NetUid], u32] = storage(default=13889)
"""The cutoff as thousandths of the tempo."""
MinActivityCutoff: Value[u16] = storage(default=360)
"""Floor of the activity cutoff."""
MaxWeightsLimit: Map[Identity[NetUid], u16] = storage(default=65535)
"""Largest single weight in units of 1/65535; shown, not applied."""
WeightsVersionKey: Map[Identity[NetUid], u64] = storage(default=0)
"""Weights with an older version key are refused."""
MinAllowedWeights: Map[Identity[NetUid], u16] = storage(default=1024)
"""Smallest number of weights in one vector."""
MaxAllowedValidators: Map[Identity[NetUid], u16] = storage(default=128)
"""Validator permits."""
BondsMovingAverage: Map[Identity[NetUid], u64] = storage(default=900000)
"""Weight of old bonds in their moving average, in millionths."""
BondsPenalty: Map[Identity[NetUid], u16] = storage(default=65535)
"""How strongly out-of-consensus bonds shrink, in units of 1/65535."""
BondsResetOn: Map[Identity[NetUid], bool] = storage(default=False)
"""Whether an owner's call may reset bonds."""
WeightsSetRateLimit: Map[Identity[NetUid], u64] = storage(default=100)
"""Blocks between two weight settings of a neuron."""
ValidatorPruneLen: Map[Identity[NetUid], u64] = storage(default=1)
"""Kept for readers of the old layout."""
ScalingLawPower: Map[Identity[NetUid], u16] = storage(default=50)
"""Kept for readers of the old layout."""
LiquidAlphaOn: Map[Blake2[NetUid], bool] = storage(default=False)
"""Whether each bond has its own moving average."""
Yuma3On: Map[Blake2[NetUid], bool] = storage(default=False)
"""Whether bonds follow Yuma 3."""
AlphaValues: Map[Identity[NetUid], tuple[u16, u16]] = storage(default=(45875, 58982))
"""Lower and upper moving-average weight of liquid alpha, in units of 1/65535."""
LiquidAlphaConsensusMode: Map[Identity[NetUid], ConsensusMode] = storage(default=ConsensusMode(2))
"""Which consensus the liquid-alpha sigmoid reads."""
CommitRevealWeightsEnabled: Map[Identity[NetUid], bool] = storage(default=True)
"""Whether weights must be committed first."""
CommitRevealWeightsVersion: Value[u16] = storage(default=4)
"""Version that a timelocked commit must name."""
RevealPeriodEpochs: Map[Twox[NetUid], u64] = storage(default=1)
"""Epochs between a commit and its reveal."""
StakeThreshold: Value[u64] = storage(default=0)
"""Stake below which a neuron counts as no validator and may not set weights."""
ServingRateLimit: Map[Identity[NetUid], u64] = storage(default=50)
"""Blocks between two announcements of an endpoint."""
TransferToggle: Map[Identity[NetUid], bool] = storage(default=True)
"""Whether stake may be given to other coldkeys."""
RecycleOrBurn: Map[Identity[NetUid], RecycleOrBurnEnum] = storage(default=RecycleOrBurnEnum.Burn)
"""What becomes of the owner hotkeys' miner reward."""
OwnerCutEnabled: Map[Identity[NetUid], bool] = storage(default=True)
"""Whether the owner's cut is taken."""
OwnerCutAutoLockEnabled: Map[Identity[NetUid], bool] = storage(default=False)
"""Whether the owner's cut is locked at once."""
SubnetEmissionEnabled: Map[Identity[NetUid], bool] = storage(default=True)
"""Whether the subnet takes part in emission."""
EMAPriceHalvingBlocks: Map[Identity[NetUid], u64] = storage(default=201600)
"""Blocks that halve the weight of the past in the average price."""
