"""Calls with which owners steer their subnet's clock.

Upstream: pallets/subtensor/src/coinbase/tempo_control.rs
"""

from __future__ import annotations

from chain.pallets.subtensor import constants
from chain.pallets.subtensor.clock import get_clock
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_settings import ActivityCutoffFactorMilliSet, TempoSet
from chain.pallets.subtensor.events_weights import EpochTriggered
from chain.pallets.subtensor.permissions import (
    ensure_hyperparameter_limit,
    ensure_not_frozen,
    ensure_subnet_owner,
    ensure_subnet_owner_or_root,
    record_hyperparameter_change,
)
from chain.pallets.subtensor.rate_limits import passes_rate_limit, set_last_block
from chain.pallets.subtensor.storage_hyperparameters import (
    ActivityCutoffFactorMilli,
    CommitRevealWeightsEnabled,
)
from chain.pallets.subtensor.storage_network import LastEpochBlock, PendingEpochAt, Tempo
from chain.pallets.subtensor.storage_registration import AdminFreezeWindow
from chain.pallets.subtensor.types import Hyperparameter, TransactionType
from chain.pallets.system import block_number
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed, SignedOrRoot
from chain.runtime.pallet import call
from chain.runtime.state import State
from ganglion.scale import u16, u32
from ganglion.units import NetUid


def do_set_tempo(s: State, netuid: NetUid, tempo: int) -> None:
    """Change the tempo and start a new cycle in this block."""
    s[Tempo, netuid] = tempo
    s.emit(TempoSet(netuid, tempo))
    s[LastEpochBlock, netuid] = block_number(s)


@call(139, weight=46_407_000, reads=6, writes=3)
def set_tempo(s: State, owner: Signed, netuid: NetUid, tempo: u16) -> None:
    """Set the tempo of the owner's subnet, which starts a new cycle."""
    ensure_subnet_owner(s, owner, netuid)
    in_bounds = constants.MinTempo.value <= tempo <= constants.MaxTempo.value
    ensure(in_bounds, Error.TempoOutOfBounds)
    ensure_not_frozen(s, netuid)
    kind = TransactionType.TempoUpdate
    ensure(passes_rate_limit(s, kind, owner, netuid), Error.TxRateLimitExceeded)
    do_set_tempo(s, netuid, tempo)
    set_last_block(s, kind, owner, netuid)


@call(140, weight=39_193_000, reads=7, writes=2)
def set_activity_cutoff_factor(
    s: State, who: SignedOrRoot, netuid: NetUid, factor_milli: u32
) -> None:
    """Set after how many thousandths of a tempo a silent validator counts as inactive."""
    ensure_subnet_owner_or_root(s, who, netuid)
    low = constants.MinActivityCutoffFactorMilli.value
    high = constants.MaxActivityCutoffFactorMilli.value
    ensure(low <= factor_milli <= high, Error.ActivityCutoffFactorMilliOutOfBounds)
    what = Hyperparameter.ActivityCutoffFactorMilli
    if who is not None:
        ensure_not_frozen(s, netuid)
    ensure_hyperparameter_limit(s, who, netuid, what)
    s[ActivityCutoffFactorMilli, netuid] = factor_milli
    s.emit(ActivityCutoffFactorMilliSet(netuid, factor_milli))
    record_hyperparameter_change(s, who, netuid, what)


@call(141, weight=42_539_000, reads=8, writes=2)
def trigger_epoch(s: State, owner: Signed, netuid: NetUid) -> None:
    """Ask for an epoch after the freeze window instead of waiting for the tempo."""
    ensure_subnet_owner(s, owner, netuid)
    ensure(not s[CommitRevealWeightsEnabled, netuid], Error.DynamicTempoBlockedByCommitReveal)
    ensure(s[PendingEpochAt, netuid] == 0, Error.EpochTriggerAlreadyPending)
    now, window = block_number(s), s[AdminFreezeWindow]
    remaining = get_clock(s, netuid).blocks_until_automatic(now)
    ensure(remaining >= window, Error.AutoEpochAlreadyImminent)
    what = Hyperparameter.TriggerEpoch
    ensure_hyperparameter_limit(s, owner, netuid, what)
    s[PendingEpochAt, netuid] = now + window
    record_hyperparameter_change(s, owner, netuid, what)
    s.emit(EpochTriggered(netuid, owner, now + window))
