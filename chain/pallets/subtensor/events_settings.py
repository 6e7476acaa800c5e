"""Events of the settings of one subnet."""

from __future__ import annotations

from chain.pallets.subtensor.types import ConsensusMode, EpochConsensus
from chain.runtime.pallet import event
from ganglion.scale import i16, u16, u32, u64
from ganglion.units import U64F64, AccountId, NetUid, PerU16, Rao


@event(10)
class MaxAllowedUidsSet:
    """The number of seats was set."""

    _0: NetUid
    _1: u16


@event(11)
class MaxWeightLimitSet:
    """The largest weight was set."""

    _0: NetUid
    _1: u16


@event(12)
class DifficultySet:
    """The difficulty was set."""

    _0: NetUid
    _1: u64


@event(13)
class AdjustmentIntervalSet:
    """The adjustment interval was set."""

    _0: NetUid
    _1: u16


@event(14)
class RegistrationPerIntervalSet:
    """The target of registrations was set."""

    _0: NetUid
    _1: u16


@event(15)
class MaxRegistrationsPerBlockSet:
    """The registrations per block were set."""

    _0: NetUid
    _1: u16


@event(16)
class ActivityCutoffSet:
    """The activity cutoff was set."""

    _0: NetUid
    _1: u16


@event(17)
class RhoSet:
    """Rho was set."""

    _0: NetUid
    _1: u16


@event(18)
class AlphaSigmoidSteepnessSet:
    """The sigmoid's steepness was set."""

    _0: NetUid
    _1: i16


@event(19)
class KappaSet:
    """Kappa was set."""

    _0: NetUid
    _1: u16


@event(20)
class MinAllowedWeightSet:
    """The least number of weights was set."""

    _0: NetUid
    _1: u16


@event(21)
class ValidatorPruneLenSet:
    """The validator prune length was set."""

    _0: NetUid
    _1: u64


@event(22)
class ScalingLawPowerSet:
    """The scaling law power was set."""

    _0: NetUid
    _1: u16


@event(23)
class WeightsSetRateLimitSet:
    """The weights rate limit was set."""

    _0: NetUid
    _1: u64


@event(24)
class ImmunityPeriodSet:
    """The immunity period was set."""

    _0: NetUid
    _1: u16


@event(25)
class BondsMovingAverageSet:
    """The bonds moving average was set."""

    _0: NetUid
    _1: u64


@event(26)
class BondsPenaltySet:
    """The bonds penalty was set."""

    _0: NetUid
    _1: u16


@event(27)
class BondsResetOnSet:
    """The bonds reset was switched."""

    _0: NetUid
    _1: bool


@event(28)
class MaxAllowedValidatorsSet:
    """The number of validators was set."""

    _0: NetUid
    _1: u16


@event(33)
class WeightsVersionKeySet:
    """The weights version key was set."""

    _0: NetUid
    _1: u64


@event(34)
class MinDifficultySet:
    """The least difficulty was set."""

    _0: NetUid
    _1: u64


@event(35)
class MaxDifficultySet:
    """The largest difficulty was set."""

    _0: NetUid
    _1: u64


@event(36)
class ServingRateLimitSet:
    """The serving rate limit was set."""

    _0: NetUid
    _1: u64


@event(37)
class BurnSet:
    """The price of a registration was set."""

    _0: NetUid
    _1: Rao


@event(38)
class MaxBurnSet:
    """The ceiling of that price was set."""

    _0: NetUid
    _1: Rao


@event(39)
class MinBurnSet:
    """The floor of that price was set."""

    _0: NetUid
    _1: Rao


@event(47)
class MinChildKeyTakePerSubnetSet:
    """A subnet's floor of childkey takes was set."""

    _0: NetUid
    _1: PerU16


@event(51)
class RegistrationAllowed:
    """Registration was opened or closed."""

    _0: NetUid
    _1: bool


@event(52)
class PowRegistrationAllowed:
    """Proof-of-work registration was opened or closed."""

    _0: NetUid
    _1: bool


@event(53)
class TempoSet:
    """The tempo was set."""

    _0: NetUid
    _1: u16


@event(54)
class RAORecycledForRegistrationSet:
    """The recycled sum was set."""

    _0: NetUid
    _1: Rao


@event(56)
class AdjustmentAlphaSet:
    """The adjustment alpha was set."""

    _0: NetUid
    _1: u64


@event(94)
class TransferToggle:
    """Stake transfers were switched: netuid, allowed."""

    _0: NetUid
    _1: bool


@event(95)
class SubnetOwnerHotkeySet:
    """The owner's hotkey was set."""

    _0: NetUid
    _1: AccountId


@event(101)
class CommitRevealPeriodsSet:
    """The reveal period was set."""

    _0: NetUid
    _1: u64


@event(102)
class CommitRevealEnabled:
    """Commit-reveal was switched."""

    _0: NetUid
    _1: bool


@event(112)
class MinAllowedUidsSet:
    """The least number of seats was set."""

    _0: NetUid
    _1: u16


@event(114)
class MinNonImmuneUidsSet:
    """The number of prunable neurons was set."""

    _0: NetUid
    _1: u16


@event(123)
class VotingPowerEmaAlphaSet:
    """The averaging weight of voting power was set."""

    netuid: NetUid
    alpha: u64


@event(129)
class BurnHalfLifeSet:
    """The half-life of the registration price was set."""

    netuid: NetUid
    burn_half_life: u16


@event(130)
class BurnIncreaseMultSet:
    """The jump of the registration price was set."""

    netuid: NetUid
    burn_increase_mult: U64F64


@event(135)
class ActivityCutoffFactorMilliSet:
    """The activity cutoff factor was set."""

    netuid: NetUid
    factor_milli: u32


@event(146)
class LiquidAlphaConsensusModeSet:
    """The consensus of liquid alpha was chosen."""

    _0: NetUid
    _1: ConsensusMode


@event(154)
class EpochConsensusSet:
    """How a subnet's epochs decide was chosen."""

    _0: NetUid
    _1: EpochConsensus
