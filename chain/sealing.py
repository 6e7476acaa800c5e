"""When blocks are made: at once, on demand, every so often, or in our Aura slots.

The drivers here only wait; `chain.engine` does the work. Blocks of `instant` and `manual` carry
the next free slot, so chain time may run ahead of the clock; `slots` is real time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

from chain.engine import Engine
from chain.pallets import aura
from consensus.slots import until_next_slot

Run = Callable[..., Awaitable[Any]]
Queue = Callable[[Callable[[], bool]], Future[bool]]
"""Run this on the worker after what is queued there already."""
Fail = Callable[[BaseException], None]

INSTANT_BUDGET_S = 2.0
TRAILING = 2
"""Finality trails the best block by this much unless sealing is instant or manual."""


class BadSealing(ValueError):
    """A --sealing value that is none."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """How blocks come about; `period_ms` belongs to `interval`."""

    kind: Literal["instant", "manual", "interval", "slots"]
    period_ms: int = 0

    @property
    def lag(self) -> int:
        """How far finality stays behind when one authority finalises alone."""
        return 0 if self.kind in ("instant", "manual") else TRAILING


def parse_sealing(text: str | None) -> Sealing:
    """`instant`, `manual`, or milliseconds; None means Aura's slots. Raises BadSealing."""
    if text is None:
        return Sealing("slots")
    if text == "instant":
        return Sealing("instant")
    if text == "manual":
        return Sealing("manual")
    if text.isdecimal() and 1 <= int(text) <= 86_400_000:
        return Sealing("interval", int(text))
    raise BadSealing(
        f"--sealing {text}: expected instant, manual, or milliseconds from 1 to 86400000"
    )


class Instant:
    """Makes a block as soon as there is something for it, on the worker's thread alone.

    The block stands in the worker's queue behind the transactions that came in meanwhile, so
    many of them share it, and a single one does not wait for the event loop to hear of it first.
    """

    def __init__(self, engine: Engine, queue: Queue, fail: Fail, lag: int | None) -> None:
        self._engine, self._queue, self._fail, self._lag = engine, queue, fail, lag
        self._queued = self._stopped = False

    def wake(self) -> None:
        """A transaction is ready; only called on the worker."""
        if not self._queued and not self._stopped:
            self._queued = True
            self._queue(self._work).add_done_callback(self._done)

    def stop(self) -> None:
        """Make no more blocks; from any thread."""
        self._stopped = True

    def _work(self) -> bool:
        self._queued = False
        if self._stopped:
            return False
        return self._engine.seal_pending(budget_s=INSTANT_BUDGET_S, lag=self._lag)

    def _done(self, future: Future[bool]) -> None:
        error = future.exception()
        if error is not None:
            self._fail(error)
        elif future.result():
            self.wake()


async def drive(sealing: Sealing, engine: Engine, run: Run, lag: int | None) -> None:
    """Make blocks until cancelled; at once for the kinds that no clock drives."""
    match sealing.kind:
        case "interval":
            await _interval(engine, run, sealing.period_ms / 1000, lag)
        case "slots":
            await _slots(engine, run, lag)
        case "instant" | "manual":
            return


async def _interval(engine: Engine, run: Run, period: float, lag: int | None) -> None:
    def work() -> None:
        engine.seal(wait=False, budget_s=period * 2 / 3, lag=lag)

    loop = asyncio.get_running_loop()
    due = loop.time() + period
    while True:
        await asyncio.sleep(due - loop.time())
        await run(work)
        # A block that took longer than its period delays the next, but none is made up for.
        due = max(due + period, loop.time())


async def _slots(engine: Engine, run: Run, lag: int | None) -> None:
    duration = aura.SlotDuration.value

    def work() -> None:
        engine.seal(wait=True, budget_s=duration / 1000 * 2 / 3, lag=lag)

    while True:
        await asyncio.sleep(until_next_slot(engine.now_ms(), duration) / 1000)
        await run(work)
