"""Voting power: a slow average of each validator's stake on a subnet, for those who ask for it.

Upstream: pallets/subtensor/src/utils/voting_power.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.epoch import EpochResult, get_hotkeys
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_settings import VotingPowerEmaAlphaSet
from chain.pallets.subtensor.events_stake import (
    VotingPowerTrackingDisabled,
    VotingPowerTrackingDisableScheduled,
)
from chain.pallets.subtensor.events_stake import VotingPowerTrackingEnabled as TrackingEnabled
from chain.pallets.subtensor.permissions import ensure_subnet_owner_or_root
from chain.pallets.subtensor.storage_hyperparameters import StakeThreshold
from chain.pallets.subtensor.storage_locks import (
    TotalVotingPower,
    VotingPower,
    VotingPowerDisableAtBlock,
    VotingPowerEmaAlpha,
    VotingPowerTrackingEnabled,
)
from chain.pallets.subtensor.storage_neurons import IsNetworkMember
from chain.pallets.system import block_number
from chain.runtime.errors import ensure
from chain.runtime.origin import Root, SignedOrRoot
from chain.runtime.pallet import call
from chain.runtime.state import State, clear_prefix, iter_keys
from ganglion.fixed import U64_MAX
from ganglion.scale import u64
from ganglion.units import AccountId, NetUid

GRACE_PERIOD = 100_800
"""Blocks between the request to stop tracking and its end."""
ONE = 10**18
"""The weight that forgets the past."""


def compute_average(stake: int, previous: int, weight: int) -> int:
    """The next average; `weight` is that of today's stake, in units of 10^-18."""
    return min((weight * stake + (ONE - weight) * previous) // ONE, U64_MAX)


def update_voting_power(s: State, netuid: NetUid, result: EpochResult) -> None:
    """Follow the stake of a subnet's validators after its epoch, if somebody asked for it.

    With several mechanisms a stake counts once for each.
    """
    if not s[VotingPowerTrackingEnabled, netuid]:
        return
    end = s[VotingPowerDisableAtBlock, netuid]
    if 0 < end <= block_number(s):
        _end_tracking(s, netuid)
        return
    outcome = result.outcome
    for hotkey, stake, permit in zip(
        get_hotkeys(s, netuid), outcome.stake_raw, outcome.new_permits
    ):
        if hotkey is not None and permit:
            _follow(s, netuid, hotkey, stake)
        elif hotkey is not None:
            set_power(s, netuid, hotkey, 0)
    for hotkey in list(iter_keys(s, VotingPower, netuid)):
        if not s[IsNetworkMember, hotkey, netuid]:
            set_power(s, netuid, hotkey, 0)


def set_power(s: State, netuid: NetUid, hotkey: AccountId, power: int) -> None:
    """Write a hotkey's voting power, and keep the subnet's sum; nothing is stored for zero."""
    total = s[TotalVotingPower, netuid] - s[VotingPower, netuid, hotkey] + power
    for ref, value in (((VotingPower, netuid, hotkey), power), ((TotalVotingPower, netuid), total)):
        if value > 0:
            s[ref] = min(value, U64_MAX)
        else:
            del s[ref]


def _follow(s: State, netuid: NetUid, hotkey: AccountId, stake: int) -> None:
    """Average in a stake; whoever falls under the stake threshold is forgotten."""
    previous, threshold = s[VotingPower, netuid, hotkey], s[StakeThreshold]
    average = compute_average(stake, previous, s[VotingPowerEmaAlpha, netuid])
    if average < threshold <= previous:
        set_power(s, netuid, hotkey, 0)
    elif average:
        set_power(s, netuid, hotkey, average)


def _end_tracking(s: State, netuid: NetUid) -> None:
    clear_prefix(s, VotingPower, netuid)
    del s[TotalVotingPower, netuid]
    s[VotingPowerTrackingEnabled, netuid] = False
    del s[VotingPowerDisableAtBlock, netuid]
    s.emit(VotingPowerTrackingDisabled(netuid))


@call(129, weight=10_000, reads=2, writes=2)
def enable_voting_power_tracking(s: State, who: SignedOrRoot, netuid: NetUid) -> None:
    """Start to track voting power on a subnet; the owner's call, or root's."""
    ensure_subnet_owner_or_root(s, who, netuid)
    s[VotingPowerTrackingEnabled, netuid] = True
    del s[VotingPowerDisableAtBlock, netuid]
    s.emit(TrackingEnabled(netuid))


@call(130, weight=10_000, reads=2, writes=1)
def disable_voting_power_tracking(s: State, who: SignedOrRoot, netuid: NetUid) -> None:
    """Stop to track voting power after two weeks; the owner's call, or root's."""
    ensure_subnet_owner_or_root(s, who, netuid)
    ensure(s[VotingPowerTrackingEnabled, netuid], Error.VotingPowerTrackingNotEnabled)
    end = block_number(s) + GRACE_PERIOD
    s[VotingPowerDisableAtBlock, netuid] = end
    s.emit(VotingPowerTrackingDisableScheduled(netuid, end))


@call(131, weight=6_000, reads=1, writes=1)
def sudo_set_voting_power_ema_alpha(s: State, origin: Root, netuid: NetUid, alpha: u64) -> None:
    """Set how fast voting power follows stake, in units of 10^-18."""
    ensure(alpha <= ONE, Error.InvalidVotingPowerEmaAlpha)
    s[VotingPowerEmaAlpha, netuid] = alpha
    s.emit(VotingPowerEmaAlphaSet(netuid, alpha))
