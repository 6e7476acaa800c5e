"""The validators of a laboratory: groups that form their weights in one way.

A group answers with one row of weights per member, from what it may see. Rows need no scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from localnet.lab.market import Floats


@dataclass(slots=True)
class View:
    """What validators may see in an epoch."""

    epoch: int
    quality: Floats
    """True quality of every uid, 0 for validators; honest work measures it with noise."""
    chain: Floats
    """Weights readable on chain, validators x miners, each row of sum 1 or 0."""
    stake: Floats
    """Stake of each validator."""
    miners: dict[str, slice]
    """Which uids belong to which group of miners."""
    own: slice
    """The uids of the group that is asked."""
    rng: np.random.Generator

    def measure(self, rows: int, noise: float, sharpness: float) -> Floats:
        """Independent measurements: log-normal noise; `sharpness` > 1 favours the best."""
        error = noise * self.rng.standard_normal((rows, len(self.quality)))
        return (self.quality * np.exp(error)) ** sharpness


Opinion = Callable[["Validators", View], Floats]


@dataclass(slots=True)
class Validators:
    """A group of validators."""

    group: str
    stakes: tuple[float, ...]
    """In TAO."""
    think: Opinion
    noise: float = 0.1
    sharpness: float = 2.0
    late: bool = False
    """Sets its weights last, after reading what is public of the others'."""
    memory: Floats | None = field(default=None, repr=False)
    """The group's own last rows, for those that do not measure every time."""


def stakes(total: float, count: int) -> tuple[float, ...]:
    """A stake of `total` TAO in equal parts."""
    return (total / count,) * count


def normalised(rows: Floats) -> Floats:
    """Rows of sum 1; rows without weight stay 0."""
    total = rows.sum(axis=1, keepdims=True)
    return rows / np.where(total > 0, total, 1)


def honest(me: Validators, view: View) -> Floats:
    """Measure every miner, every epoch."""
    return view.measure(len(me.stakes), me.noise, me.sharpness)


def copying(me: Validators, view: View) -> Floats:
    """Measure nothing: the stake-weighted mean of what the others have on chain."""
    others = view.chain.sum(axis=1) > 0
    share = view.stake * others
    consensus = share @ view.chain / max(share.sum(), 1e-12)
    return np.tile(consensus, (len(me.stakes), 1))


def lazy(every: int) -> Opinion:
    """Measure honestly, but only once in `every` epochs."""

    def think(me: Validators, view: View) -> Floats:
        if me.memory is None or view.epoch % every == 0:
            me.memory = honest(me, view)
        return me.memory

    return think


def self_weighting(share: float) -> Opinion:
    """Measure honestly, but give `share` of all weight to one's own uid."""

    def think(me: Validators, view: View) -> Floats:
        rows = (1 - share) * normalised(honest(me, view))
        members = np.arange(len(me.stakes))
        rows[members, view.own.start + members] += share
        return rows

    return think


def favouring(group: str, share: float) -> Opinion:
    """Measure honestly, but give `share` of all weight to one group of miners."""

    def think(me: Validators, view: View) -> Floats:
        rows = (1 - share) * normalised(honest(me, view))
        mine = view.miners[group]
        rows[:, mine] += share / (mine.stop - mine.start)
        return rows

    return think
