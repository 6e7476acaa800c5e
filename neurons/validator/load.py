"""What miners carry when all of them are asked for much at once.

One machine that answers to many names, at whatever addresses, has to carry what all of them are
asked for; asked one question at a time it would not show. Only miners that have just answered
rightly are asked: the others earn nothing anyway.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence

from neurons.validator.examiner import TextExaminer
from neurons.validator.rounds import STALL_SECONDS, Miner
from neurons.validator.stall import StallMeter
from subnets.verdict import Reason, Verdict

log = logging.getLogger("validator")

MOST = 64
"""Miners loaded at once; of more, a random sample."""


class LoadChecks:
    """Asks all miners `count` probes at once, at times that they cannot foresee: every `interval`
    seconds, give or take half."""

    def __init__(
        self,
        examiner: TextExaminer,
        interval: float,
        count: int,
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
        meter: Callable[[], StallMeter] = StallMeter,
    ) -> None:
        self._examiner, self._count = examiner, count
        self._interval, self._random = interval, rng
        self._clock, self._meter = clock, meter
        self._next = self._later()

    def _later(self) -> float:
        return self._clock() + self._interval * self._random.uniform(0.5, 1.5)

    @property
    def due(self) -> bool:
        """Whether it is time again."""
        return self._clock() >= self._next

    async def round(
        self, miners: Sequence[Miner], verdicts: Mapping[str, Verdict]
    ) -> tuple[dict[str, int], list[tuple[str, Verdict]]]:
        """What every miner that has just answered rightly carried, by hotkey, and the verdicts on
        what it said; no rates if this process itself stood still."""
        self._next = self._later()
        asked = [m.target for m in miners if verdicts[m.target.hotkey].verified]
        if len(asked) > MOST:
            asked = self._random.sample(asked, MOST)
        rngs = [random.Random(self._random.randbytes(32)) for _ in asked]
        async with self._meter() as stalls:
            asking = [self._examiner.carry(t, rng, self._count) for t, rng in zip(asked, rngs)]
            carried = await asyncio.gather(*asking)
        rates, found = dict[str, int](), list[tuple[str, Verdict]]()
        for one, rng in zip(carried, rngs):
            rate, verdict = await self._examiner.judge_load(one, rng)
            if not verdict.hard and verdict.reason is not Reason.OURS:
                rates[one.target.hotkey] = (
                    rate  # a smaller model is fast, and no measure for others
                )
            found.append((one.target.hotkey, verdict))
            log.info("under load %s carries %.1f tokens/s", one.target.hotkey, rate / 1000)
        if stalls.worst > STALL_SECONDS:
            log.warning("loads do not count: this process stood still for %.1f s", stalls.worst)
            rates = {}
        return rates, found
