"""Who runs now and who waits: pages and places of a worker, given out by priority. Sans-IO."""

from __future__ import annotations

import asyncio
from heapq import heapify, heappop, heappush
from itertools import count

from neurons.engine.base import PAGE, EngineError
from neurons.engine.batch import Job, Overloaded, Running
from neurons.engine.pages import PagePool, needed


class Places:
    """At most `width` jobs run, each with the pages of a whole answer; `limit` more may wait."""

    def __init__(self, pool: PagePool, context: int, width: int, limit: int) -> None:
        self._pool, self._context, self._width, self._limit = pool, context, width, limit
        self._running: dict[str, Running] = {}
        self._waiting: list[tuple[float, int, Job, asyncio.Future[Running]]] = []
        self._order = count()

    @property
    def load(self) -> tuple[int, int]:
        """Jobs running and waiting."""
        return len(self._running), len(self._waiting)

    async def enter(self, job: Job) -> Running:
        """A place for the job, when it is its turn. ValueError if it has one, or Overloaded."""
        if job.key in self._running or any(job.key == j.key for _, _, j, _ in self._waiting):
            raise ValueError("a request with this id is running already")
        if not self._waiting and self._fits(job):
            return self._admit(job)
        if len(self._waiting) >= self._limit:
            raise Overloaded(f"{len(self._waiting)} requests are waiting already")
        turn: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
        entry = (-job.priority, next(self._order), job, turn)
        heappush(self._waiting, entry)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave(turn.result())
            elif entry in self._waiting:
                self._waiting.remove(entry)
                heapify(self._waiting)
            raise

    def leave(self, running: Running) -> None:
        """Give the place and its pages to whoever is next."""
        del self._running[running.job.key]
        self._pool.give_back(running.pages, running.known[: running.fed], running.job.owner)
        while self._waiting and self._fits(self._waiting[0][2]):
            _, _, job, turn = heappop(self._waiting)
            if not turn.done():
                turn.set_result(self._admit(job))

    def close(self, reason: str) -> None:
        """Send those who wait away."""
        for *_, turn in self._waiting:
            if not turn.done():
                turn.set_exception(EngineError(reason))
        self._waiting.clear()

    def _pages(self, job: Job) -> int:
        return needed(len(job.prompt), min(job.limit, self._context - len(job.prompt)))

    def _fits(self, job: Job) -> bool:
        return len(self._running) < self._width and self._pages(job) <= self._pool.available

    def _admit(self, job: Job) -> Running:
        known = [*job.prompt, *job.resume]
        shared = self._pool.take_prefix(known, job.owner)
        fresh = self._pool.take(self._pages(job) - len(shared))
        assert fresh is not None  # it fits
        running = Running(job, known, shared + fresh, len(shared) * PAGE)
        self._running[job.key] = running
        return running
