"""What every block does: mint, emit, run the epochs that are due, pay them, follow prices.

Upstream: pallets/subtensor/src/coinbase/{block_step,run_coinbase}.rs
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from chain.pallets.subtensor.accounts import get_netuids
from chain.pallets.subtensor.clock import get_clock
from chain.pallets.subtensor.distribution import do_distribute
from chain.pallets.subtensor.emission import (
    Pending,
    do_emit,
    get_emitting,
    take_pending,
)
from chain.pallets.subtensor.epoch import Yuma, do_run_epoch
from chain.pallets.subtensor.events_weights import EpochDeferred, EpochSkipped
from chain.pallets.subtensor.kingship import change_subnet_owner_if_needed
from chain.pallets.subtensor.neurons import is_null
from chain.pallets.subtensor.null_epoch import do_run_null_epoch
from chain.pallets.subtensor.pool_trades import Trader, on_pool
from chain.pallets.subtensor.price import update_moving_price, update_root_proportion
from chain.pallets.subtensor.storage_network import (
    BlocksSinceLastStep,
    LastEpochBlock,
    LastMechansimStepBlock,
    LastYumaStepBlock,
    MaxEpochsPerBlock,
    PendingEpochAt,
    SubnetEpochIndex,
)
from chain.pallets.subtensor.storage_neurons import Keys
from chain.pallets.subtensor.storage_pool import SubnetRootSellTao
from chain.pallets.subtensor.voting_power import update_voting_power
from chain.pallets.system import block_number
from chain.runtime.state import State, clear_prefix, iter_items
from consensus.economics.schedule import Clock, Step, deferred, step
from consensus.yuma import engine
from ganglion.units import ROOT_NETUID, NetUid, Rao


@dataclass(frozen=True, slots=True)
class DueEpoch:
    """A subnet whose epoch runs in this block, and what it has to give."""

    netuid: NetUid
    pending: Pending


def is_consistent(s: State, netuid: NetUid) -> bool:
    """Whether no hotkey holds two uids of the subnet."""
    hotkeys = [hotkey for _, hotkey in iter_items(s, Keys, netuid)]
    return len(set(hotkeys)) == len(hotkeys)


def get_deferred_epochs(s: State) -> list[NetUid]:
    """Subnets whose epoch is due but will wait for the next block; asked before the coinbase."""
    now = block_number(s)
    due = (
        (netuid, is_consistent(s, netuid))
        for netuid in get_user_subnets(s)
        if get_clock(s, netuid).is_due(now)
    )
    return [NetUid(netuid) for netuid in deferred(due, get_epoch_cap(s))]


def get_epoch_cap(s: State) -> int:
    """How many epochs this block may run: one where a Null epoch is due, which may be large."""
    now, cap = block_number(s), s[MaxEpochsPerBlock]
    nulls = (netuid for netuid in get_user_subnets(s) if is_null(s, netuid))
    is_due = any(get_clock(s, netuid).is_due(now) for netuid in nulls)
    return min(cap, 1) if is_due else cap


def get_user_subnets(s: State) -> list[NetUid]:
    """All subnets but root, in storage order."""
    return [netuid for netuid in get_netuids(s) if netuid != ROOT_NETUID]


def drain_due_epochs(s: State) -> list[DueEpoch]:
    """Move every subnet's clock by one block, and take what the due epochs share out."""
    now, cap = block_number(s), get_epoch_cap(s)
    due: list[DueEpoch] = []
    for netuid in get_user_subnets(s):
        before = get_clock(s, netuid)
        outcome, after = step(
            before,
            now,
            has_room=len(due) < cap,
            is_consistent=partial(is_consistent, s, netuid),
        )
        _write_clock(s, netuid, before, after, outcome)
        match outcome:
            case Step.DEFER:
                s.emit(EpochDeferred(netuid, now, now + 1))
            case Step.SKIP:
                s.emit(EpochSkipped(netuid, now))
            case Step.RUN:
                due.append(DueEpoch(netuid, take_pending(s, netuid)))
                change_subnet_owner_if_needed(s, netuid)
    return due


def _write_clock(s: State, netuid: NetUid, before: Clock, after: Clock, outcome: Step) -> None:
    s[BlocksSinceLastStep, netuid] = after.since_last_step
    if outcome is Step.DEFER:
        s[PendingEpochAt, netuid] = after.pending_at
    elif outcome is not Step.WAIT:
        s[LastEpochBlock, netuid] = after.last_epoch
        s[PendingEpochAt, netuid] = after.pending_at
        s[SubnetEpochIndex, netuid] = after.index


def run_coinbase(
    s: State, credit: Rao, trader: Trader = on_pool, yuma: Yuma = engine.epoch
) -> None:
    """Emit a block's TAO and alpha, then run and pay the epochs that are due."""
    for due in emit_and_drain(s, credit, trader):
        run_due_epoch(s, due, yuma)


def emit_and_drain(s: State, credit: Rao, trader: Trader = on_pool) -> list[DueEpoch]:
    """Emit a block's TAO and alpha; the epochs that are due, as they are to be run.

    Epochs are drained in storage order and paid in numeric order.
    """
    clear_prefix(s, SubnetRootSellTao)
    do_emit(s, credit, trader)
    return sorted(drain_due_epochs(s), key=lambda each: each.netuid)


def run_due_epoch(s: State, due: DueEpoch, yuma: Yuma = engine.epoch) -> None:
    """Run one subnet's epoch and pay it."""
    netuid, pending = due.netuid, due.pending
    if is_null(s, netuid):
        result, pending = do_run_null_epoch(s, netuid, pending)
    else:
        result = do_run_epoch(s, netuid, pending.epoch_emission, yuma)
        s[LastYumaStepBlock, netuid] = block_number(s)
    update_voting_power(s, netuid, result)
    do_distribute(s, netuid, pending, result.emission)
    s[LastMechansimStepBlock, netuid] = block_number(s)


def update_prices(s: State) -> None:
    """Let moving prices and root's shares follow the block's emission."""
    emitting = get_emitting(s)
    for netuid in emitting:
        update_moving_price(s, netuid)
    for netuid in emitting:
        update_root_proportion(s, netuid)
