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

from ganglion.wire.call import Target
from neurons.validator.examiner import Carried, TextExaminer
from neurons.validator.rounds import STALL_SECONDS, Miner, unbroken
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
        rngs = {t.hotkey: random.Random(self._random.randbytes(32)) for t in asked}
        carried: dict[str, Carried] = {}
        rates: dict[str, int] = {}

        async def carry(target: Target) -> Verdict:
            there = await self._examiner.carry(target, rngs[target.hotkey], self._count)
            carried[target.hotkey] = there
            return Verdict(Reason.OK)

        async def judge(hotkey: str) -> Verdict:
            rate, verdict = await self._examiner.judge_load(carried[hotkey], rngs[hotkey])
            log.info("under load %s carries %.1f tokens/s", hotkey, rate / 1000)
            # a smaller model is fast, and no measure for others
            if not verdict.hard and verdict.reason is not Reason.OURS:
                rates[hotkey] = rate
            return verdict

        async with self._meter() as stalls:
            await asyncio.gather(*(unbroken(carry(t), t.hotkey) for t in asked))
        found = [(hotkey, await unbroken(judge(hotkey), hotkey)) for hotkey in carried]
        if stalls.worst > STALL_SECONDS:
            log.warning("loads do not count: this process stood still for %.1f s", stalls.worst)
            rates.clear()
        return rates, found
