"""Scheduler: storage, events and errors. Upstream: pallet_scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.pallets.nested import OriginCaller
from chain.pallets.preimage import Bounded
from chain.runtime.call import Weight
from chain.runtime.errors import DispatchError, Errors, error
from chain.runtime.pallet import Constant, constant, event
from chain.runtime.storage import Blake2, Map, Twox, Value, storage
from ganglion.scale import AtMost, Fixed, Outcome, scale_type, u8, u32
from ganglion.units import BlockNumber

TaskName = Annotated[bytes, Fixed(32)]
TaskAddress = tuple[BlockNumber, u32]
Period = tuple[BlockNumber, u32]

MaximumWeight: Constant[Weight] = constant(Weight(3_200_000_000_000, 0xCCCCCCCCCCCCCCCC))
"""The maximum weight that may be scheduled per block for any dispatchables."""

MaxScheduledPerBlock: Constant[u32] = constant(50)
"""The maximum number of scheduled calls in the queue for a single block."""


@scale_type("pallet_scheduler::Scheduled")
@dataclass(frozen=True, slots=True)
class Task:
    """A call to come: small priorities first; `maybe_periodic` is how often it comes again."""

    maybe_id: TaskName | None
    priority: u8
    call: Bounded
    maybe_periodic: Period | None
    origin: OriginCaller


@scale_type("pallet_scheduler::RetryConfig")
@dataclass(frozen=True, slots=True)
class RetryConfig:
    """How often a failed task is tried again, and after how many blocks."""

    total_retries: u8
    remaining: u8
    period: BlockNumber


IncompleteSince: Value[BlockNumber | None] = storage()
"""Block number at which the agenda began incomplete execution."""

Agenda: Map[
    Twox[BlockNumber], Annotated[tuple[Task | None, ...], AtMost(MaxScheduledPerBlock.value)]
] = storage(default=())
"""Items to be executed, indexed by the block number that they should be executed on."""

Retries: Map[Blake2[TaskAddress], RetryConfig | None] = storage()
"""Retry configurations for items to be executed, indexed by task address."""

Lookup: Map[Twox[TaskName], TaskAddress | None] = storage()
"""Lookup from a name to the block number and index of the task."""


@event(0)
class Scheduled:
    """Scheduled some task."""

    when: BlockNumber
    index: u32


@event(1)
class Canceled:
    """Canceled some task."""

    when: BlockNumber
    index: u32


@event(2)
class Dispatched:
    """Dispatched some task."""

    task: TaskAddress
    id: TaskName | None
    result: Outcome[DispatchError]


@event(3)
class RetrySet:
    """Set a retry configuration for some task."""

    task: TaskAddress
    id: TaskName | None
    period: BlockNumber
    retries: u8


@event(4)
class RetryCancelled:
    """Cancel a retry configuration for some task."""

    task: TaskAddress
    id: TaskName | None


@event(5)
class CallUnavailable:
    """The call for the provided hash was not found so the task has been aborted."""

    task: TaskAddress
    id: TaskName | None


@event(6)
class PeriodicFailed:
    """The given task was unable to be renewed since the agenda is full at that block."""

    task: TaskAddress
    id: TaskName | None


@event(7)
class RetryFailed:
    """The given task was unable to be retried."""

    task: TaskAddress
    id: TaskName | None


@event(8)
class PermanentlyOverweight:
    """The given task can never be executed since it is overweight."""

    task: TaskAddress
    id: TaskName | None


@event(9)
class AgendaIncomplete:
    """Agenda is incomplete from `when`."""

    when: BlockNumber


class Error(Errors):
    """Upstream's errors."""

    FailedToSchedule = error(0, "Failed to schedule a call")
    NotFound = error(1, "Cannot find the scheduled call.")
    TargetBlockNumberInPast = error(2, "Given target block number is in the past.")
    RescheduleNoChange = error(3, "Reschedule failed because it does not change scheduled time.")
    Named = error(4, "Attempt to use a non-named function on a named task.")
