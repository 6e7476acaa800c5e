"""Scheduler (pallet 15): calls that root has put off to later blocks. Upstream: pallet_scheduler.

An agenda is a block's list of tasks; a task that could not run for lack of weight stays in its
agenda and is tried again in the next block.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import chain.pallets.scheduler_store as _store
from chain.pallets.nested import Root as RawRoot
from chain.pallets.nested import (
    SystemOrigin,
    rocks,
    to_origin,
    weight_of,
)
from chain.pallets.preimage import bound, drop, lookup_hash, peek, request
from chain.pallets.scheduler_store import (
    Agenda,
    AgendaIncomplete,
    CallUnavailable,
    Canceled,
    Dispatched,
    Error,
    IncompleteSince,
    Lookup,
    MaximumWeight,
    MaxScheduledPerBlock,
    Period,
    PeriodicFailed,
    PermanentlyOverweight,
    Retries,
    RetryCancelled,
    RetryConfig,
    RetryFailed,
    RetrySet,
    Scheduled,
    Task,
    TaskAddress,
    TaskName,
)
from chain.pallets.sudo import outcome
from chain.pallets.system import block_number
from chain.runtime.call import RuntimeCall
from chain.runtime.dispatch import dispatch
from chain.runtime.errors import (
    BadOrigin,
    Exhausted,
    PlainError,
    ensure,
)
from chain.runtime.origin import Root
from chain.runtime.pallet import Pallet, call, on_initialize
from chain.runtime.state import State, take
from ganglion.scale import u8, u32
from ganglion.units import BlockNumber

ROOT_CALLER = SystemOrigin(RawRoot())
"""Only root schedules, so every task runs as root."""


@call(0, weight=40_000_000, reads=1, writes=1)
def schedule(
    s: State,
    origin: Root,
    when: BlockNumber,
    maybe_periodic: Period | None,
    priority: u8,
    call: RuntimeCall,
) -> None:
    """Anonymously schedule a task."""
    do_schedule(s, None, when, maybe_periodic, priority, call)


@call(1, weight=45_000_000, reads=1, writes=2)
def cancel(s: State, origin: Root, when: BlockNumber, index: u32) -> None:
    """Cancel a task by its place, a named one too."""
    task = task_at(s, (when, index))
    drop(s, task.call)
    if task.maybe_id is not None:
        del s[Lookup, task.maybe_id]
    remove_task(s, (when, index))


@call(2, weight=50_000_000, reads=2, writes=2)
def schedule_named(
    s: State,
    origin: Root,
    id: TaskName,
    when: BlockNumber,
    maybe_periodic: Period | None,
    priority: u8,
    call: RuntimeCall,
) -> None:
    """Schedule a named task."""
    do_schedule(s, id, when, maybe_periodic, priority, call)


@call(3, weight=50_000_000, reads=2, writes=2)
def cancel_named(s: State, origin: Root, id: TaskName) -> None:
    """Cancel a named scheduled task."""
    at = named(s, id)
    drop(s, task_at(s, at).call)
    del s[Lookup, id]
    remove_task(s, at)


@call(4, weight=40_000_000, reads=1, writes=1)
def schedule_after(
    s: State,
    origin: Root,
    after: BlockNumber,
    maybe_periodic: Period | None,
    priority: u8,
    call: RuntimeCall,
) -> None:
    """Anonymously schedule a task after a delay."""
    do_schedule(s, None, later(s, after), maybe_periodic, priority, call)


@call(5, weight=50_000_000, reads=2, writes=2)
def schedule_named_after(
    s: State,
    origin: Root,
    id: TaskName,
    after: BlockNumber,
    maybe_periodic: Period | None,
    priority: u8,
    call: RuntimeCall,
) -> None:
    """Schedule a named task after a delay."""
    do_schedule(s, id, later(s, after), maybe_periodic, priority, call)


@call(6, weight=20_000_000, reads=1, writes=1)
def set_retry(s: State, origin: Root, task: TaskAddress, retries: u8, period: BlockNumber) -> None:
    """Set a retry configuration for a task, should its scheduled run fail."""
    task_at(s, task)
    s[Retries, task] = RetryConfig(retries, retries, period)
    s.emit(RetrySet(task, None, period, retries))


@call(7, weight=30_000_000, reads=2, writes=1)
def set_retry_named(s: State, origin: Root, id: TaskName, retries: u8, period: BlockNumber) -> None:
    """Set a retry configuration for a named task."""
    at = named(s, id)
    task_at(s, at)
    s[Retries, at] = RetryConfig(retries, retries, period)
    s.emit(RetrySet(at, id, period, retries))


@call(8, weight=20_000_000, reads=1, writes=1)
def cancel_retry(s: State, origin: Root, task: TaskAddress) -> None:
    """Removes the retry configuration of a task."""
    task_at(s, task)
    del s[Retries, task]
    s.emit(RetryCancelled(task, None))


@call(9, weight=30_000_000, reads=2, writes=1)
def cancel_retry_named(s: State, origin: Root, id: TaskName) -> None:
    """Cancel the retry configuration of a named task."""
    at = named(s, id)
    task_at(s, at)
    del s[Retries, at]
    s.emit(RetryCancelled(at, id))


def later(s: State, after: int) -> BlockNumber:
    """`after` blocks after the next one: this block's tasks have run already."""
    return capped(block_number(s) + after + 1)


def capped(when: int) -> BlockNumber:
    """A block number, at most the last one there can be."""
    return BlockNumber(min(when, 0xFFFFFFFF))


def task_at(s: State, at: TaskAddress) -> Task:
    """The task in a place; raises NotFound."""
    agenda = s[Agenda, at[0]]
    task = agenda[at[1]] if at[1] < len(agenda) else None
    if task is None:
        raise Error.NotFound
    # Only root schedules and only root cancels, so the privileges are always equal.
    ensure(task.origin == ROOT_CALLER, BadOrigin())
    return task


def named(s: State, name: bytes) -> TaskAddress:
    """The place of a named task; raises NotFound."""
    at = s[Lookup, name]
    if at is None:
        raise Error.NotFound
    return at


def remove_task(s: State, at: TaskAddress) -> None:
    """Empty a place; holes at the end of an agenda are cut off."""
    when, index = at
    agenda: list[Task | None] = [*s[Agenda, when]]
    agenda[index] = None
    while agenda and agenda[-1] is None:
        agenda.pop()
    if agenda:
        write_agenda(s, when, agenda)
    else:
        del s[Agenda, when]
    del s[Retries, at]
    s.emit(Canceled(when, index))


def write_agenda(s: State, when: BlockNumber, agenda: list[Task | None]) -> None:
    """Store an agenda."""
    stored: tuple[Task | None, ...] = tuple(agenda)
    s[Agenda, when] = stored


def do_schedule(
    s: State,
    name: bytes | None,
    when: int,
    periodic: Period | None,
    priority: int,
    inner: RuntimeCall,
) -> None:
    """Place a task in a future block's agenda.

    Raises FailedToSchedule for a name in use, TargetBlockNumberInPast, and Exhausted when the
    block's agenda is full.
    """
    stored = bound(s, inner)
    ensure(name is None or s[Lookup, name] is None, Error.FailedToSchedule)
    ensure(when > block_number(s), Error.TargetBlockNumberInPast)
    repeats = periodic is not None and periodic[1] > 1 and periodic[0] > 0
    left = (periodic[0], periodic[1] - 1) if periodic is not None and repeats else None
    placed = place_task(s, BlockNumber(when), Task(name, priority, stored, left, ROOT_CALLER))
    ensure(placed is not None, PlainError(Exhausted()))
    key = lookup_hash(stored)
    if key is not None:
        request(s, key)


def place_task(s: State, when: BlockNumber, task: Task) -> TaskAddress | None:
    """Put a task into an agenda; None when it is full."""
    agenda = s[Agenda, when]
    if len(agenda) < MaxScheduledPerBlock.value:
        index = len(agenda)
        agenda = (*agenda, task)
    elif None in agenda:
        index = agenda.index(None)
        agenda = (*agenda[:index], task, *agenda[index + 1 :])
    else:
        return None
    s[Agenda, when] = agenda
    if task.maybe_id is not None:
        s[Lookup, task.maybe_id] = (when, index)
    s.emit(Scheduled(when, index))
    return when, index


class Meter:
    """Weight left for tasks in this block."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, weight: int) -> bool:
        """Take weight if there is enough of it."""
        if weight > self.left:
            return False
        self.left -= weight
        return True


AGENDAS = rocks(4_000_000, reads=1, writes=1)
EXECUTE = rocks(2_000_000)
RETRY = rocks(40_000_000, reads=1, writes=1)


def agenda_weight(tasks: int) -> int:
    """Reading and writing an agenda."""
    return rocks(4_000_000 + 700_000 * tasks, reads=1, writes=1)


def task_weight(task: Task) -> int:
    """Handling a task, without its call."""
    fetched = 0 if lookup_hash(task.call) is None else rocks(25_000_000, reads=2, writes=1)
    return 3_000_000 + fetched + (0 if task.maybe_id is None else rocks(2_000_000, writes=1))


@on_initialize
def service_agendas(s: State, now: BlockNumber) -> None:
    """Run what is due, the oldest unfinished agenda first."""
    meter = Meter(MaximumWeight.value.ref_time)
    meter.spend(AGENDAS)
    when = take(s, IncompleteSince)
    when = now if when is None else when
    incomplete, first = now + 1, True
    while when <= now and meter.left >= agenda_weight(MaxScheduledPerBlock.value):
        if not service_agenda(s, meter, now, BlockNumber(when), first):
            incomplete = min(incomplete, when)
        first = False
        when += 1
    incomplete = min(incomplete, when)
    if incomplete <= now:
        s.emit(AgendaIncomplete(BlockNumber(incomplete)))
    s[IncompleteSince] = BlockNumber(incomplete if incomplete <= now else now + 1)


def service_agenda(
    s: State, meter: Meter, now: BlockNumber, when: BlockNumber, first: bool
) -> bool:
    """Run one agenda by priority; False when something must wait for the next block."""
    agenda: list[Task | None] = [*s[Agenda, when]]
    order = sorted((task.priority, index) for index, task in enumerate(agenda) if task is not None)
    meter.spend(agenda_weight(len(order)))
    postponed = dropped = 0
    for _, index in order:
        task = agenda[index]
        assert task is not None
        if meter.left < task_weight(task):
            postponed += 1
            break
        match service_task(s, meter, now, (when, index), first, task):
            case "done":
                agenda[index], first = None, False
            case "overweight":
                postponed += 1
            case "unavailable":
                dropped += 1
    if postponed or dropped:
        write_agenda(s, when, agenda)
    else:
        del s[Agenda, when]
    return postponed == 0


def service_task(
    s: State, meter: Meter, now: BlockNumber, at: TaskAddress, first: bool, task: Task
) -> Literal["done", "overweight", "unavailable"]:
    """Run one task: "done", "overweight" (later) or "unavailable" (never)."""
    if task.maybe_id is not None:
        del s[Lookup, task.maybe_id]
    meter.spend(task_weight(task))
    inner = peek(s, task.call)
    if inner is None:
        s.emit(CallUnavailable(at, task.maybe_id))
        drop(s, task.call)
        return "unavailable"
    if meter.left < EXECUTE + weight_of(inner):
        if not first:
            return "overweight"
        drop(s, task.call)
        s.emit(PermanentlyOverweight(at, task.maybe_id))
        return "unavailable"
    result = dispatch(s, inner, to_origin(task.origin))
    meter.spend(EXECUTE + result.weight)
    retry = take(s, (Retries, at))
    s.emit(Dispatched(at, task.maybe_id, outcome(result)))
    if retry is not None and result.error is not None:
        schedule_retry(s, meter, now, at, task, retry)
    repeat(s, now, at, task, retry)
    return "done"


def repeat(s: State, now: int, at: TaskAddress, task: Task, retry: RetryConfig | None) -> None:
    """Place a periodic task again, or let its call go."""
    if task.maybe_periodic is None:
        drop(s, task.call)
        return
    period, count = task.maybe_periodic
    left = (period, count - 1) if count > 1 else None
    placed = place_task(s, capped(now + period), replace(task, maybe_periodic=left))
    if placed is None:
        drop(s, task.call)
        s.emit(PeriodicFailed(at, task.maybe_id))
    elif retry is not None:
        s[Retries, placed] = retry


def schedule_retry(
    s: State, meter: Meter, now: int, at: TaskAddress, task: Task, retry: RetryConfig
) -> None:
    """Place an unnamed copy of a failed task, once, `period` blocks later."""
    if not meter.spend(RETRY):
        s.emit(RetryFailed(at, task.maybe_id))
        return
    if retry.remaining == 0:
        return
    copy = replace(task, maybe_id=None, maybe_periodic=None)
    placed = place_task(s, capped(now + retry.period), copy)
    if placed is None:
        drop(s, task.call)
        s.emit(RetryFailed(at, task.maybe_id))
    else:
        s[Retries, placed] = replace(retry, remaining=retry.remaining - 1)


pallet = Pallet("Scheduler", _store.__name__, __name__).seal()
