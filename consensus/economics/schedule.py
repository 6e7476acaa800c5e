"""When a subnet's epoch runs: tempo, triggers, a safety net and a cap per block.

Upstream: pallets/subtensor/src/coinbase/{run_coinbase,tempo_control}.rs
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum

from ganglion.fixed import U64_MAX, sat_add_u64

MAX_TEMPO = 50_400
"""Also the safety net: an epoch runs once more blocks than this have passed without one."""
NEVER = U64_MAX


@dataclass(frozen=True, slots=True)
class Clock:
    """A subnet's scheduling state; blocks are numbers, `pending_at` 0 means no trigger."""

    tempo: int
    last_epoch: int
    pending_at: int
    since_last_step: int
    index: int

    def is_due(self, block: int) -> bool:
        """Whether an epoch should run in `block`; never with tempo 0."""
        if self.tempo == 0:
            return False
        if 0 < self.pending_at <= block:
            return True
        return self.since_last_step > MAX_TEMPO or block - self.last_epoch >= self.tempo

    def next_start(self) -> int | None:
        """The block of the next epoch by tempo or trigger; None with tempo 0."""
        if self.tempo == 0:
            return None
        automatic = self.last_epoch + self.tempo
        return min(automatic, self.pending_at) if self.pending_at else automatic

    def blocks_until_automatic(self, block: int) -> int:
        """Blocks until the tempo alone fires, triggers aside; `NEVER` with tempo 0."""
        return max(self.last_epoch + self.tempo - block, 0) if self.tempo else NEVER


class Step(Enum):
    """What a block does to a subnet's epoch."""

    WAIT = "wait"
    RUN = "run"
    SKIP = "skip"
    """Due, but the neuron records disagree: the slot is used up, the pending amounts stay."""
    DEFER = "defer"
    """Due, but the block has run its fill: tried again in the next one."""


def step(
    clock: Clock, block: int, *, has_room: bool, is_consistent: Callable[[], bool]
) -> tuple[Step, Clock]:
    """One block of one subnet's clock. The counter moves before the test.

    `is_consistent` is asked only when an epoch would run.
    """
    clock = replace(clock, since_last_step=sat_add_u64(clock.since_last_step, 1))
    if not clock.is_due(block):
        return Step.WAIT, clock
    if not has_room:
        return Step.DEFER, replace(clock, pending_at=block + 1)
    fired = replace(clock, last_epoch=block, pending_at=0, index=sat_add_u64(clock.index, 1))
    if not is_consistent():
        return Step.SKIP, fired
    return Step.RUN, replace(fired, since_last_step=0)


def deferred(due: Iterable[tuple[int, bool]], cap: int) -> list[int]:
    """Of the due subnets (netuid, is_consistent) in storage order, those the cap pushes on.

    Skipped epochs do not fill the block. Made for weight reveals from the clocks before they move,
    so it misses a subnet that becomes due only by the safety net of this very block.
    """
    pushed: list[int] = []
    ran = 0
    for netuid, is_consistent in due:
        if ran >= cap:
            pushed.append(netuid)
        elif is_consistent:
            ran += 1
    return pushed
