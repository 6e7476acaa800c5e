"""Values that SubtensorModule keeps in storage."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from ganglion.scale import (
    SORTED_SET,
    AtMost,
    Enumeration,
    scale_type,
    u8,
    u16,
    u32,
    u64,
    u128,
    variant,
)
from ganglion.units import U64F64, AccountId, Alpha, NetUid

NOBODY = AccountId(bytes(32))
"""The zero account: what maps to accounts hold by default."""

MAX_LISTED = 65_536
"""Lists whose size other rules keep small; clients only want them to be bounded."""


@scale_type("pallet_subtensor::pallet::AxonInfo")
@dataclass(frozen=True, slots=True)
class AxonInfo:
    """Where a miner listens; `ip` is the address as one number, `block` when it was announced."""

    block: u64
    version: u32
    ip: u128
    port: u16
    ip_type: u8
    protocol: u8
    placeholder1: u8
    placeholder2: u8


@scale_type("pallet_subtensor::pallet::PrometheusInfo")
@dataclass(frozen=True, slots=True)
class PrometheusInfo:
    """Where a neuron's metrics are."""

    block: u64
    version: u32
    ip: u128
    port: u16
    ip_type: u8


NO_AXON = AxonInfo(0, 0, 0, 0, 0, 0, 0, 0)
NO_PROMETHEUS = PrometheusInfo(0, 0, 0, 0, 0)


@scale_type("pallet_subtensor::pallet::NeuronCertificate")
@dataclass(frozen=True, slots=True)
class NeuronCertificate:
    """A TLS public key (at most 64 bytes) and its algorithm."""

    public_key: Annotated[bytes, AtMost(64)]
    algorithm: u8


@scale_type("pallet_subtensor::pallet::ChainIdentityV2")
@dataclass(frozen=True, slots=True)
class ChainIdentityV2:
    """What a coldkey says about itself."""

    name: bytes
    url: bytes
    github_repo: bytes
    image: bytes
    discord: bytes
    description: bytes
    additional: bytes


@scale_type("pallet_subtensor::pallet::SubnetIdentityV3")
@dataclass(frozen=True, slots=True)
class SubnetIdentityV3:
    """What an owner says about the subnet."""

    subnet_name: bytes
    github_repo: bytes
    subnet_contact: bytes
    subnet_url: bytes
    discord: bytes
    description: bytes
    logo_url: bytes
    additional: bytes


@scale_type("pallet_subtensor::staking::lock::LockState")
@dataclass(frozen=True, slots=True)
class LockState:
    """Alpha that is locked, the conviction gathered so far, and the block of both figures."""

    locked_mass: Alpha
    conviction: U64F64
    last_update: u64


@scale_type("pallet_subtensor::pallet::MinerCollateralState")
@dataclass(frozen=True, slots=True)
class MinerCollateralState:
    """Collateral of a miner."""

    locked: Alpha
    drain_ratio: U64F64
    min_locked: Alpha
    earned: Alpha


@scale_type("pallet_subtensor::pallet::RecycleOrBurnEnum")
class RecycleOrBurnEnum(IntEnum):
    """What becomes of alpha that nobody gets: burned stays issued, recycled does not."""

    Burn = 0
    Recycle = 1


@scale_type("pallet_subtensor::epoch::ConsensusMode")
class ConsensusMode(IntEnum):
    """Which consensus the liquid-alpha sigmoid compares weights with.

    Auto is Previous where the bonds penalty is whole, because weights are clipped to the current
    one there, and Current elsewhere.
    """

    Current = 0
    Previous = 1
    Auto = 2


@scale_type("pallet_subtensor::pallet::EpochConsensus")
class EpochConsensus(IntEnum):
    """Which consensus an epoch runs: Yuma's, or none (the largest staker alone decides)."""

    Yuma = 0
    Null = 1


@scale_type("pallet_subtensor::pallet::RootClaimTypeEnum")
class RootClaimTypeEnum(Enumeration):
    """What becomes of a root claim."""


@variant(0)
class Swap(RootClaimTypeEnum):
    """It is sold, and the TAO is staked on root."""


@variant(1)
class Keep(RootClaimTypeEnum):
    """It stays as alpha."""


@variant(2)
class KeepSubnets(RootClaimTypeEnum):
    """It stays as alpha on the named subnets (ascending) and is sold on the others."""

    subnets: Annotated[tuple[NetUid, ...], SORTED_SET]


@scale_type("pallet_subtensor::utils::rate_limiting::Hyperparameter")
class Hyperparameter(IntEnum):
    """Settings that an owner may change only so often.

    Upstream's metadata of spec 461 ends with 34. That Null epochs have one of their own is
    public (`sudo_set_epoch_consensus` asks for its limit), its number is not: the next free one.
    """

    Unknown = 0
    ServingRateLimit = 1
    MaxDifficulty = 2
    AdjustmentAlpha = 3
    MaxWeightLimit = 4
    ImmunityPeriod = 5
    MinAllowedWeights = 6
    Kappa = 7
    Rho = 8
    ActivityCutoff = 9
    PowRegistrationAllowed = 10
    MinBurn = 11
    MaxBurn = 12
    BondsMovingAverage = 13
    BondsPenalty = 14
    CommitRevealEnabled = 15
    LiquidAlphaEnabled = 16
    AlphaValues = 17
    WeightCommitInterval = 18
    TransferEnabled = 19
    AlphaSigmoidSteepness = 20
    Yuma3Enabled = 21
    BondsResetEnabled = 22
    ImmuneNeuronLimit = 23
    RecycleOrBurn = 24
    MaxAllowedUids = 25
    BurnHalfLife = 26
    BurnIncreaseMult = 27
    SubnetEmissionEnabled = 28
    MinChildkeyTake = 29
    ActivityCutoffFactorMilli = 30
    TriggerEpoch = 31
    CollateralLockShare = 32
    CollateralDrainRatio = 33
    LiquidAlphaConsensusMode = 34
    EpochConsensus = 35


class TransactionType(IntEnum):
    """The third key of TransactionKeyLastBlock."""

    SetChildren = 0
    SetChildkeyTake = 1
    Unknown = 2
    RegisterNetwork = 3
    SetWeightsVersionKey = 4
    SetSNOwnerHotkey = 5
    OwnerHyperparamUpdate = 6
    MechanismCountUpdate = 7
    MechanismEmission = 8
    MaxUidsTrimming = 9
    AddStakeBurn = 10
    TempoUpdate = 11


@scale_type("pallet_subtensor::RateLimitKey")
class RateLimitKey(Enumeration):
    """What a rate limit is counted for."""


@variant(0, "SetSNOwnerHotkey")
class SetSNOwnerHotkey(RateLimitKey):
    """Naming the owner hotkey of a subnet."""

    _0: NetUid


@variant(1, "OwnerHyperparamUpdate")
class OwnerHyperparamUpdate(RateLimitKey):
    """A setting of a subnet, changed by its owner."""

    _0: NetUid
    _1: Hyperparameter


@variant(2, "NetworkLastRegistered")
class NetworkLastRegistered(RateLimitKey):
    """Registering a subnet."""


@variant(3, "LastTxBlock")
class LastTxBlockOf(RateLimitKey):
    """Hotkey swaps of a coldkey."""

    _0: AccountId


@variant(4, "LastTxBlockChildKeyTake")
class LastTxBlockChildKeyTakeOf(RateLimitKey):
    """Childkey take raises."""

    _0: AccountId


@variant(5, "LastTxBlockDelegateTake")
class LastTxBlockDelegateTakeOf(RateLimitKey):
    """Delegate take raises."""

    _0: AccountId


@variant(6, "AddStakeBurn")
class AddStakeBurnOf(RateLimitKey):
    """Buying and burning on a subnet."""

    _0: NetUid
