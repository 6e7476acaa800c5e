"""A round of checks: every miner at once, so that identities sharing one machine slow each other.

Two hotkeys that answer rightly from one address are one miner: the later registered fails. Only
right answers count here, because publishing another's address must not harm it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ganglion.wire.call import Target
from neurons.validator.examiner import Examiner
from subnets.verdict import Reason, Verdict


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


async def run_round(
    miners: Sequence[Miner], examiner: Examiner, rng: random.Random
) -> dict[str, Verdict]:
    """One check of every miner, all at once: verdicts by hotkey."""
    seeds = [random.Random(rng.randbytes(32)) for _ in miners]
    checks = [examiner.examine(miner.target, seed) for miner, seed in zip(miners, seeds)]
    results = await asyncio.gather(*checks)
    found = {miner.target.hotkey: verdict for miner, verdict in zip(miners, results)}
    return mark_duplicates(miners, found)
