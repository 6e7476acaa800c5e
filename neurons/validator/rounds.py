"""A round of checks: every miner at once, so that identities sharing one machine slow each other.

Two hotkeys that answer rightly from one address are one miner: the later registered fails. Only
right answers count here, because publishing another's address must not harm it.

What this process may have spoilt itself is held against nobody: whoever seemed absent while it
stood still was not judged.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from ganglion.wire.call import Target
from neurons.validator.examiner import Examiner
from neurons.validator.stall import StallMeter
from subnets.verdict import MISSING, Reason, Verdict

log = logging.getLogger("validator")

STALL_SECONDS = 1.0
"""Standing still for longer may have cost an answer."""


@dataclass(frozen=True, slots=True)
class Miner:
    """A registered neuron that serves."""

    uid: int
    target: Target
    registered_at: int


def mark_duplicates(miners: Sequence[Miner], verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """The verdicts, with those of a server's second and later identities turned into failures."""
    first: dict[tuple[str, int], Miner] = {}
    marked = dict(verdicts)
    for miner in sorted(miners, key=lambda m: (m.registered_at, m.uid)):
        hotkey, at = miner.target.hotkey, (miner.target.host, miner.target.port)
        if not verdicts[hotkey].verified:
            continue
        if at in first:
            detail = f"uid {first[at].uid} answers from the same address"
            marked[hotkey] = Verdict(Reason.DUPLICATE, detail)
        else:
            first[at] = miner
    return marked


def excuse(verdicts: Mapping[str, Verdict], stalled: float) -> dict[str, Verdict]:
    """The verdicts, where nobody is charged for what came to nothing while we stood still."""
    if stalled <= STALL_SECONDS:
        return dict(verdicts)
    ours = Verdict(Reason.OURS, f"this validator stood still for {stalled:.1f} s meanwhile")
    return {h: ours if v.reason in MISSING else v for h, v in verdicts.items()}


async def unbroken(work: Awaitable[Verdict], hotkey: str) -> Verdict:
    """One check. Whatever breaks in it is this program's fault, and must not end all other checks:
    an answer that finds such a fault would else be worth more than any lie."""
    try:
        return await work
    except Exception as e:  # noqa: BLE001 - the border between one stranger's bytes and the rest
        log.exception("a check of %s broke", hotkey)
        return Verdict(Reason.OURS, f"the check broke: {type(e).__name__}")


async def run_round(
    miners: Sequence[Miner],
    examiner: Examiner,
    rng: random.Random,
    meter: Callable[[], StallMeter] = StallMeter,
) -> dict[str, Verdict]:
    """One check of every miner, all at once: verdicts by hotkey."""
    seeds = [random.Random(rng.randbytes(32)) for _ in miners]
    async with meter() as stalls:
        checks = [
            unbroken(examiner.examine(miner.target, seed), miner.target.hotkey)
            for miner, seed in zip(miners, seeds)
        ]
        results = await asyncio.gather(*checks)
    found = {miner.target.hotkey: verdict for miner, verdict in zip(miners, results)}
    return mark_duplicates(miners, excuse(found, stalls.worst))
