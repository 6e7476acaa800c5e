"""Events of settings that hold for all subnets."""

from __future__ import annotations

from chain.runtime.pallet import event
from ganglion.scale import u8, u16, u64
from ganglion.units import BlockNumber, PerU16, Rao


@event(32)
class DefaultTakeSet:
    """The first take was set."""

    _0: PerU16


@event(40)
class MaxEpochsPerBlockSet:
    """The epochs per block were set."""

    _0: u8


@event(41)
class TxRateLimitSet:
    """The rate limit of hotkey swaps was set."""

    _0: u64


@event(42)
class TxDelegateTakeRateLimitSet:
    """The rate limit of take raises was set."""

    _0: u64


@event(43)
class TxChildKeyTakeRateLimitSet:
    """The rate limit of childkey take raises was set."""

    _0: u64


@event(44)
class AdminFreezeWindowSet:
    """The freeze window was set."""

    _0: u16


@event(45)
class OwnerHyperparamRateLimitSet:
    """The rate limit of owners' settings was set."""

    _0: u16


@event(46)
class MinChildKeyTakeSet:
    """The floor of childkey takes was set."""

    _0: PerU16


@event(48)
class MaxChildKeyTakeSet:
    """The ceiling of childkey takes was set."""

    _0: PerU16


@event(55)
class StakeThresholdSet:
    """The stake threshold was set."""

    _0: u64


@event(58)
class SubnetOwnerCutSet:
    """The owners' cut was set."""

    _0: u16


@event(59)
class NetworkRateLimitSet:
    """The rate limit of subnet registrations was set."""

    _0: u64


@event(60)
class NetworkImmunityPeriodSet:
    """The subnets' immunity period was set."""

    _0: u64


@event(61)
class StartCallDelaySet:
    """The start delay was set."""

    _0: u64


@event(62)
class NetworkMinLockCostSet:
    """The floor of a subnet's price was set."""

    _0: Rao


@event(63)
class SubnetLimitSet:
    """The number of subnets was set."""

    _0: u16


@event(64)
class NetworkLockCostReductionIntervalSet:
    """The decay of a subnet's price was set."""

    _0: u64


@event(68)
class MaxDelegateTakeSet:
    """The ceiling of delegate takes was set."""

    _0: PerU16


@event(69)
class MinDelegateTakeSet:
    """The floor of delegate takes was set."""

    _0: PerU16


@event(82)
class ColdkeySwapAnnouncementDelaySet:
    """The delay of coldkey swaps was set."""

    _0: BlockNumber


@event(83)
class ColdkeySwapReannouncementDelaySet:
    """The delay of new announcements was set."""

    _0: BlockNumber


@event(84)
class DissolveNetworkScheduleDurationSet:
    """The delay of dissolutions was set."""

    _0: BlockNumber


@event(107)
class CommitRevealVersionSet:
    """The commit-reveal version was set."""

    _0: u16
