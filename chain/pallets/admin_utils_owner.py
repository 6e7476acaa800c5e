"""AdminUtils: what the owner of a subnet may set, and root too."""

from __future__ import annotations

from chain.pallets.admin_utils_common import (
    BondsResetToggled,
    CollateralDrainRatioSet,
    CollateralLockShareSet,
    Error,
    Yuma3EnableToggled,
    ensure_subnet,
    owner_action,
    owner_setting,
)
from chain.pallets.subtensor import storage_hyperparameters as hyper
from chain.pallets.subtensor.accounts import is_subnet
from chain.pallets.subtensor.commit_reveal import do_set_reveal_period
from chain.pallets.subtensor.constants import (
    MaxActivityCutoffFactorMilli,
    MinActivityCutoffFactorMilli,
)
from chain.pallets.subtensor.errors import Error as SubtensorError
from chain.pallets.subtensor.events_settings import (
    ActivityCutoffFactorMilliSet,
    ActivityCutoffSet,
    AdjustmentAlphaSet,
    BondsMovingAverageSet,
    BondsPenaltySet,
    BondsResetOnSet,
    CommitRevealEnabled,
    ImmunityPeriodSet,
    LiquidAlphaConsensusModeSet,
    MaxDifficultySet,
    MinAllowedWeightSet,
    ServingRateLimitSet,
    TransferToggle,
    WeightsVersionKeySet,
)
from chain.pallets.subtensor.null_epoch import do_set_epoch_consensus
from chain.pallets.subtensor.permissions import (
    ensure_hyperparameter_limit,
    ensure_not_frozen,
    ensure_subnet_owner_or_root,
    record_hyperparameter_change,
)
from chain.pallets.subtensor.storage_collateral import CollateralDrainRatio, CollateralLockShare
from chain.pallets.subtensor.storage_registration import AdjustmentAlpha, MaxDifficulty
from chain.pallets.subtensor.types import (
    ConsensusMode,
    EpochConsensus,
    Hyperparameter,
    RecycleOrBurnEnum,
    TransactionType,
)
from chain.runtime.errors import ensure
from chain.runtime.origin import SignedOrRoot
from chain.runtime.pallet import call
from chain.runtime.state import State
from ganglion.scale import i16, u16, u32, u64
from ganglion.units import U64F64, NetUid

OWNERS_LARGEST_MOVING_AVERAGE = 975_000
LARGEST_LOCK_SHARE = 62_258
"""95 % of a registration's price, in units of 1/65535."""
LARGEST_DRAIN_RATIO = 10 << 64
LOWEST_ALPHA = 65_535 // 40
"""Liquid alpha must not be slower than this share of 65535."""


@call(3, weight=28_633_000, reads=4, writes=1)
def sudo_set_serving_rate_limit(
    s: State, who: SignedOrRoot, netuid: NetUid, serving_rate_limit: u64
) -> None:
    """Set how many blocks lie between two announcements of an endpoint."""
    with owner_setting(s, who, netuid, Hyperparameter.ServingRateLimit):
        s[hyper.ServingRateLimit, netuid] = serving_rate_limit
        s.emit(ServingRateLimitSet(netuid, serving_rate_limit))


@call(5, weight=34_704_000, reads=5, writes=1)
def sudo_set_max_difficulty(
    s: State, who: SignedOrRoot, netuid: NetUid, max_difficulty: u64
) -> None:
    """Set the ceiling of the proof-of-work difficulty."""
    with owner_setting(s, who, netuid, Hyperparameter.MaxDifficulty):
        ensure_subnet(s, netuid)
        s[MaxDifficulty, netuid] = max_difficulty
        s.emit(MaxDifficultySet(netuid, max_difficulty))


@call(6, weight=34_204_000, reads=5, writes=1)
def sudo_set_weights_version_key(
    s: State, who: SignedOrRoot, netuid: NetUid, weights_version_key: u64
) -> None:
    """Set the version that weights must carry."""
    with owner_action(s, who, netuid, TransactionType.SetWeightsVersionKey):
        ensure_subnet(s, netuid)
        s[hyper.WeightsVersionKey, netuid] = weights_version_key
        s.emit(WeightsVersionKeySet(netuid, weights_version_key))


@call(9, weight=14_000_000, reads=1, writes=1)
def sudo_set_adjustment_alpha(
    s: State, who: SignedOrRoot, netuid: NetUid, adjustment_alpha: u64
) -> None:
    """Set how slowly difficulty and price follow demand."""
    with owner_setting(s, who, netuid, Hyperparameter.AdjustmentAlpha):
        ensure_subnet(s, netuid)
        s[AdjustmentAlpha, netuid] = adjustment_alpha
        s.emit(AdjustmentAlphaSet(netuid, adjustment_alpha))


@call(13, weight=34_414_000, reads=5, writes=1)
def sudo_set_immunity_period(
    s: State, who: SignedOrRoot, netuid: NetUid, immunity_period: u16
) -> None:
    """Set for how many blocks a new neuron cannot be replaced."""
    with owner_setting(s, who, netuid, Hyperparameter.ImmunityPeriod):
        ensure_subnet(s, netuid)
        s[hyper.ImmunityPeriod, netuid] = immunity_period
        s.emit(ImmunityPeriodSet(netuid, immunity_period))


@call(14, weight=34_664_000, reads=5, writes=1)
def sudo_set_min_allowed_weights(
    s: State, who: SignedOrRoot, netuid: NetUid, min_allowed_weights: u16
) -> None:
    """Set the least number of weights in a vector."""
    with owner_setting(s, who, netuid, Hyperparameter.MinAllowedWeights):
        ensure_subnet(s, netuid)
        s[hyper.MinAllowedWeights, netuid] = min_allowed_weights
        s.emit(MinAllowedWeightSet(netuid, min_allowed_weights))


@call(17, weight=31_268_000, reads=5, writes=1)
def sudo_set_rho(s: State, who: SignedOrRoot, netuid: NetUid, rho: u16) -> None:
    """Set rho."""
    with owner_setting(s, who, netuid, Hyperparameter.Rho):
        ensure_subnet(s, netuid)
        s[hyper.Rho, netuid] = rho


@call(18, weight=35_165_000, reads=6, writes=1)
def sudo_set_activity_cutoff(
    s: State, who: SignedOrRoot, netuid: NetUid, activity_cutoff: u16
) -> None:
    """Set after how many silent blocks a validator counts as inactive: the legacy figure."""
    with owner_setting(s, who, netuid, Hyperparameter.ActivityCutoff):
        ensure_subnet(s, netuid)
        ensure(activity_cutoff >= s[hyper.MinActivityCutoff], SubtensorError.ActivityCutoffTooLow)
        s[hyper.ActivityCutoff, netuid] = activity_cutoff
        s.emit(ActivityCutoffSet(netuid, activity_cutoff))


@call(97, weight=39_193_000, reads=7, writes=2)
def sudo_set_activity_cutoff_factor(
    s: State, who: SignedOrRoot, netuid: NetUid, factor_milli: u32
) -> None:
    """Set the activity cutoff in thousandths of the tempo; root is bound by no limit."""
    what = Hyperparameter.ActivityCutoffFactorMilli
    ensure_subnet_owner_or_root(s, who, netuid)
    ensure_hyperparameter_limit(s, who, netuid, what)
    if who is not None:
        ensure_not_frozen(s, netuid)
    ensure_subnet(s, netuid)
    low, high = MinActivityCutoffFactorMilli.value, MaxActivityCutoffFactorMilli.value
    ensure(low <= factor_milli <= high, SubtensorError.ActivityCutoffFactorMilliOutOfBounds)
    s[hyper.ActivityCutoffFactorMilli, netuid] = factor_milli
    s.emit(ActivityCutoffFactorMilliSet(netuid, factor_milli))
    record_hyperparameter_change(s, who, netuid, what)


@call(26, weight=34_495_000, reads=5, writes=1)
def sudo_set_bonds_moving_average(
    s: State, who: SignedOrRoot, netuid: NetUid, bonds_moving_average: u64
) -> None:
    """Set the weight of old bonds in their moving average, in millionths."""
    with owner_setting(s, who, netuid, Hyperparameter.BondsMovingAverage):
        within = who is None or bonds_moving_average <= OWNERS_LARGEST_MOVING_AVERAGE
        ensure(within, Error.BondsMovingAverageMaxReached)
        ensure_subnet(s, netuid)
        s[hyper.BondsMovingAverage, netuid] = bonds_moving_average
        s.emit(BondsMovingAverageSet(netuid, bonds_moving_average))


@call(60, weight=34_354_000, reads=5, writes=1)
def sudo_set_bonds_penalty(s: State, who: SignedOrRoot, netuid: NetUid, bonds_penalty: u16) -> None:
    """Set how strongly bonds out of consensus shrink."""
    with owner_setting(s, who, netuid, Hyperparameter.BondsPenalty):
        ensure_subnet(s, netuid)
        s[hyper.BondsPenalty, netuid] = bonds_penalty
        s.emit(BondsPenaltySet(netuid, bonds_penalty))


@call(49, weight=34_544_000, reads=5, writes=1)
def sudo_set_commit_reveal_weights_enabled(
    s: State, who: SignedOrRoot, netuid: NetUid, enabled: bool
) -> None:
    """Switch whether weights must be committed first."""
    with owner_setting(s, who, netuid, Hyperparameter.CommitRevealEnabled):
        ensure_subnet(s, netuid)
        s[hyper.CommitRevealWeightsEnabled, netuid] = enabled
        s.emit(CommitRevealEnabled(netuid, enabled))


@call(57, weight=34_654_000, reads=5, writes=1)
def sudo_set_commit_reveal_weights_interval(
    s: State, who: SignedOrRoot, netuid: NetUid, interval: u64
) -> None:
    """Set how many epochs after its commit a weight vector is revealed."""
    with owner_setting(s, who, netuid, Hyperparameter.WeightCommitInterval):
        ensure_subnet(s, netuid)
        do_set_reveal_period(s, netuid, interval)


@call(50, weight=25_538_000, reads=4, writes=1)
def sudo_set_liquid_alpha_enabled(
    s: State, who: SignedOrRoot, netuid: NetUid, enabled: bool
) -> None:
    """Switch whether each bond has its own moving average."""
    with owner_setting(s, who, netuid, Hyperparameter.LiquidAlphaEnabled):
        s[hyper.LiquidAlphaOn, netuid] = enabled


@call(51, weight=34_224_000, reads=5, writes=1)
def sudo_set_alpha_values(
    s: State, who: SignedOrRoot, netuid: NetUid, alpha_low: u16, alpha_high: u16
) -> None:
    """Set the bounds of liquid alpha's moving-average weight."""
    with owner_setting(s, who, netuid, Hyperparameter.AlphaValues):
        ensure(s[hyper.LiquidAlphaOn, netuid], SubtensorError.LiquidAlphaDisabled)
        ensure(alpha_high >= LOWEST_ALPHA, SubtensorError.AlphaHighTooLow)
        ensure(LOWEST_ALPHA <= alpha_low <= alpha_high, SubtensorError.AlphaLowOutOfRange)
        s[hyper.AlphaValues, netuid] = (alpha_low, alpha_high)


@call(104, weight=34_224_000, reads=5, writes=1)
def sudo_set_liquid_alpha_consensus_mode(
    s: State, who: SignedOrRoot, netuid: NetUid, mode: ConsensusMode
) -> None:
    """Choose which consensus liquid alpha compares weights with."""
    with owner_setting(s, who, netuid, Hyperparameter.LiquidAlphaConsensusMode):
        s[hyper.LiquidAlphaConsensusMode, netuid] = mode
        s.emit(LiquidAlphaConsensusModeSet(netuid, mode))


@call(111, weight=34_224_000, reads=30, writes=4)
def sudo_set_epoch_consensus(
    s: State, who: SignedOrRoot, netuid: NetUid, mode: EpochConsensus
) -> None:
    """Choose how the subnet's epochs decide: by Yuma, or by the largest staker alone (Null)."""
    ensure_subnet_owner_or_root(s, who, netuid)
    ensure(is_subnet(s, netuid), SubtensorError.SubnetNotExists)
    with owner_setting(s, who, netuid, Hyperparameter.EpochConsensus):
        do_set_epoch_consensus(s, netuid, mode)


@call(61, weight=28_343_000, reads=4, writes=1)
def sudo_set_toggle_transfer(s: State, who: SignedOrRoot, netuid: NetUid, toggle: bool) -> None:
    """Switch whether stake may be given to other coldkeys."""
    with owner_setting(s, who, netuid, Hyperparameter.TransferEnabled):
        s[hyper.TransferToggle, netuid] = toggle
        s.emit(TransferToggle(netuid, toggle))


@call(68, weight=31_438_000, reads=5, writes=1)
def sudo_set_alpha_sigmoid_steepness(
    s: State, who: SignedOrRoot, netuid: NetUid, steepness: i16
) -> None:
    """Set the steepness of liquid alpha's sigmoid; negative values are root's alone."""
    with owner_setting(s, who, netuid, Hyperparameter.AlphaSigmoidSteepness):
        ensure_subnet(s, netuid)
        ensure(who is None or steepness >= 0, Error.NegativeSigmoidSteepness)
        s[hyper.AlphaSigmoidSteepness, netuid] = steepness


@call(69, weight=28_583_000, reads=4, writes=1)
def sudo_set_yuma3_enabled(s: State, who: SignedOrRoot, netuid: NetUid, enabled: bool) -> None:
    """Switch whether bonds follow Yuma 3."""
    with owner_setting(s, who, netuid, Hyperparameter.Yuma3Enabled):
        s[hyper.Yuma3On, netuid] = enabled
        s.emit(Yuma3EnableToggled(netuid, enabled))


@call(70, weight=30_507_000, reads=4, writes=1)
def sudo_set_bonds_reset_enabled(
    s: State, who: SignedOrRoot, netuid: NetUid, enabled: bool
) -> None:
    """Switch whether a commitment may reset a hotkey's bonds."""
    with owner_setting(s, who, netuid, Hyperparameter.BondsResetEnabled):
        s[hyper.BondsResetOn, netuid] = enabled
        s.emit(BondsResetOnSet(netuid, enabled))
        s.emit(BondsResetToggled(netuid, enabled))


@call(80, weight=20_000_000, reads=2, writes=2)
def sudo_set_recycle_or_burn(
    s: State, who: SignedOrRoot, netuid: NetUid, recycle_or_burn: RecycleOrBurnEnum
) -> None:
    """Choose what becomes of the owner hotkeys' miner reward."""
    with owner_setting(s, who, netuid, Hyperparameter.RecycleOrBurn):
        s[hyper.RecycleOrBurn, netuid] = recycle_or_burn


@call(98, weight=34_664_000, reads=5, writes=1)
def sudo_set_collateral_lock_share(
    s: State, who: SignedOrRoot, netuid: NetUid, lock_share: u16
) -> None:
    """Set the part of a registration's price, of 65535, that is locked instead of burned."""
    with owner_setting(s, who, netuid, Hyperparameter.CollateralLockShare):
        ensure_subnet(s, netuid)
        ensure(lock_share <= LARGEST_LOCK_SHARE, Error.CollateralLockShareTooHigh)
        s[CollateralLockShare, netuid] = lock_share
        s.emit(CollateralLockShareSet(netuid, lock_share))


@call(99, weight=34_664_000, reads=5, writes=1)
def sudo_set_collateral_drain_ratio(
    s: State, who: SignedOrRoot, netuid: NetUid, drain_ratio: U64F64
) -> None:
    """Set how much collateral comes free for each alpha earned, for registrations from now on."""
    with owner_setting(s, who, netuid, Hyperparameter.CollateralDrainRatio):
        ensure_subnet(s, netuid)
        is_allowed = 0 < drain_ratio <= LARGEST_DRAIN_RATIO
        ensure(is_allowed, Error.CollateralDrainRatioOutOfBounds)
        s[CollateralDrainRatio, netuid] = drain_ratio
        s.emit(CollateralDrainRatioSet(netuid, drain_ratio))
