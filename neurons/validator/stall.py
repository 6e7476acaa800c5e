"""How long a validator itself stood still: what that may have cost is nobody else's fault."""

from __future__ import annotations

import asyncio
import time

TICK = 0.005


class StallMeter:
    """How long the event loop stood still, at the worst, while this was open."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> StallMeter:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK)
            self.worst = max(self.worst, time.monotonic() - before - TICK)
