"""A subnet's clock as storage keeps it; the rules are in consensus/economics/schedule.py."""

from __future__ import annotations

from chain.pallets.subtensor.storage_hyperparameters import ActivityCutoffFactorMilli
from chain.pallets.subtensor.storage_network import (
    BlocksSinceLastStep,
    LastEpochBlock,
    PendingEpochAt,
    SubnetEpochIndex,
    Tempo,
)
from chain.pallets.system import block_number
from chain.runtime.state import State
from consensus.economics.schedule import Clock
from ganglion.units import NetUid


def get_clock(s: State, netuid: NetUid) -> Clock:
    """When the subnet's epochs run."""
    return Clock(
        s[Tempo, netuid],
        s[LastEpochBlock, netuid],
        s[PendingEpochAt, netuid],
        s[BlocksSinceLastStep, netuid],
        s[SubnetEpochIndex, netuid],
    )


def is_epoch_due(s: State, netuid: NetUid) -> bool:
    """Whether the subnet's epoch should run in this block."""
    return get_clock(s, netuid).is_due(block_number(s))


def get_activity_cutoff(s: State, netuid: NetUid) -> int:
    """Blocks without weights after which a validator is inactive, at least one."""
    factor = s[ActivityCutoffFactorMilli, netuid]
    return max(factor * s[Tempo, netuid] // 1000, 1)
