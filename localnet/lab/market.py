"""The miners of a laboratory: how good each really is, and how that moves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Miners:
    """A group of miners that belong together."""

    group: str
    count: int
    skill: float = 0.0
    """Mean of the log of their quality: +1 is 2.7 times as good."""
    spread: float = 0.5
    """Standard deviation of that between them."""
    twins: bool = False
    """All the same machine under many uids: always exactly as good as each other."""


@dataclass(slots=True)
class Market:
    """Quality of every miner, drifting, with newcomers taking over uids."""

    groups: tuple[Miners, ...]
    drift: float
    """Standard deviation of the change of log quality in an epoch."""
    turnover: float
    """Share of uids that change hands in an epoch; twins and groups named `cabal` stay."""
    rng: np.random.Generator
    log_quality: Floats = field(init=False)
    _mean: Floats = field(init=False)
    _steady: NDArray[np.bool_] = field(init=False)
    _owner: NDArray[np.intp] = field(init=False)

    def __post_init__(self) -> None:
        counts = [g.count for g in self.groups]
        self._mean = np.repeat([g.skill for g in self.groups], counts)
        spread = np.repeat([g.spread for g in self.groups], counts)
        # Twins share one random walk: each uid follows the walk of its owner.
        self._owner = np.arange(sum(counts))
        self._steady = np.zeros(sum(counts), dtype=np.bool_)
        for group, at in zip(self.groups, np.cumsum([0, *counts])):
            if group.twins:
                self._owner[at : at + group.count] = at
                self._steady[at : at + group.count] = True
        self.log_quality = self._mean + spread * self.rng.standard_normal(len(self._mean))
        self._tie()

    def _tie(self) -> None:
        self.log_quality = self.log_quality[self._owner]

    @property
    def quality(self) -> Floats:
        """How much each miner's work is worth; no unit."""
        return np.exp(self.log_quality)

    def step(self) -> NDArray[np.intp]:
        """One epoch passes; returns the uids that changed hands."""
        n = len(self.log_quality)
        pull = 0.05 * (self._mean - self.log_quality)  # keeps the walk from running away
        self.log_quality = self.log_quality + pull + self.drift * self.rng.standard_normal(n)
        new = (self.rng.random(n) < self.turnover) & ~self._steady
        self.log_quality[new] = self._mean[new] + 0.5 * self.rng.standard_normal(int(new.sum()))
        self._tie()
        return np.flatnonzero(new)
