"""Playing a scenario: validators think, the engine decides, bonds carry over.

Uids: validators first, in the order of their groups, then miners. Without commit-reveal a
weight counts in the epoch it is set in, and late validators may read the others' before they set
their own. With it, weights count `reveal_period` epochs after their commit, and are read no
earlier.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consensus.yuma import engine
from consensus.yuma.rows import view_row
from consensus.yuma.types import EpochOutcome, SubnetEpoch
from ganglion.fixed import U16_MAX
from localnet.lab.market import Floats, Market
from localnet.lab.scenario import Scenario
from localnet.lab.validators import View, normalised

RAO = 10**9
ONE = 1 << 32
_QUIET = 10
"""Blocks between the last weights of an epoch and its end."""


@dataclass(frozen=True, slots=True)
class History:
    """What happened: one line of every array per epoch."""

    scenario: Scenario
    seed: int
    validators: dict[str, slice]
    """Uids of each group of validators; columns of the arrays by validator are uids."""
    miners: dict[str, slice]
    """Uids of each group of miners."""
    dividends: NDArray[np.int64]
    """Rao to each uid as a validator."""
    incentive: NDArray[np.int64]
    """Rao to each uid as a miner."""
    trust: Floats
    """Validator trust of each validator, 0 to 1."""
    bonds: Floats
    """Mean bond of each validator to the watched miners, 0 to 1."""


class _Play:
    """A scenario in progress."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario, self.subnet = scenario, scenario.subnet
        self.rng = np.random.default_rng(seed)
        self.market = Market(scenario.miners, scenario.drift, scenario.turnover, self.rng)
        self.validators = _slices([(v.group, len(v.stakes)) for v in scenario.validators], 0)
        self.count = sum(len(v.stakes) for v in scenario.validators)
        self.miners = _slices([(m.group, m.count) for m in scenario.miners], self.count)
        self.n = self.count + sum(m.count for m in scenario.miners)
        self.stake = np.array([s for v in scenario.validators for s in v.stakes])
        self.registered = [0] * self.n
        self.bonds = [b""] * self.n
        self.consensus: tuple[int, ...] | None = None
        delay = self.subnet.reveal_period if self.subnet.commit_reveal_on else 0
        self.commits: deque[Floats] = deque(maxlen=delay + 1)
        watched = self.miners[scenario.watch or scenario.miners[0].group]
        self.watched = np.zeros(self.n, dtype=np.bool_)
        self.watched[watched] = True

    def epoch(self, number: int) -> EpochOutcome:
        """One epoch: the market moves, validators commit, what is revealed counts."""
        tempo = self.subnet.tempo
        for uid in self.market.step():
            self.registered[self.count + uid] = number * tempo + tempo // 2
        self.commits.append(self.think(number))
        block = (number + 1) * tempo
        age = (len(self.commits) - 1) * tempo
        outcome = engine.epoch(self.read(block, self.commits[0], age))
        self.bonds = list(outcome.bonds)
        if self.subnet.bonds_penalty == U16_MAX:  # as the chain's consensus mode Auto has it
            self.consensus = outcome.consensus_u16
        return outcome

    def think(self, number: int) -> Floats:
        """Everybody's weights of this epoch, each row of sum 1 or 0."""
        quality = np.zeros(self.n)
        quality[self.count :] = self.market.quality
        rows = np.zeros((self.count, self.n))
        public = self.commits[0].copy() if self.subnet.commit_reveal_on and self.commits else rows
        view = View(number, quality, public, self.stake, self.miners, slice(0, 0), self.rng)
        for late in (False, True):
            for group in self.scenario.validators:
                if group.late is late:
                    view.own = self.validators[group.group]
                    rows[view.own] = normalised(group.think(group, view))
                elif not late:
                    public[self.validators[group.group]] = 0  # copies are not copied
        return rows

    def read(self, block: int, weights: Floats, age: int) -> SubnetEpoch:
        """The engine's view of the subnet."""
        n, count, subnet = self.n, self.count, self.subnet
        return SubnetEpoch(
            n=n,
            current_block=block,
            last_update=[block - _QUIET] * count + [0] * (n - count),
            block_at_registration=self.registered,
            alpha_stake=[int(s * RAO) for s in self.stake] + [0] * (n - count),
            tao_stake=[0] * n,
            validator_permits=[True] * count + [False] * (n - count),
            weights=_rows(weights) + [b""] * (n - count),
            bonds=self.bonds,
            tempo=subnet.tempo,
            last_mechanism_step_block=block - subnet.tempo,
            max_allowed_validators=count,
            kappa=subnet.kappa,
            bonds_penalty=subnet.bonds_penalty,
            bonds_moving_average=subnet.bonds_moving_average,
            yuma3_on=subnet.yuma3_on,
            liquid_alpha_on=subnet.liquid_alpha_on,
            alpha_low=subnet.alpha_low,
            alpha_high=subnet.alpha_high,
            liquid_consensus=self.consensus,
            commit_blocks=[block - _QUIET - age] * n if subnet.commit_reveal_on else None,
            rao_emission=subnet.emission,
        )

    def mean_bonds(self) -> list[float]:
        """Each validator's mean bond to the watched miners."""
        total = max(1, int(self.watched.sum()))
        result = []
        for row in self.bonds[: self.count]:
            pairs = view_row(row)
            result.append(float(pairs[self.watched[pairs[:, 0]], 1].sum()) / 65_535 / total)
        return result


def _slices(sizes: list[tuple[str, int]], start: int) -> dict[str, slice]:
    result = {}
    for name, size in sizes:
        result[name] = slice(start, start + size)
        start += size
    return result


def _rows(weights: Floats) -> list[bytes]:
    """Rows as the chain stores them: the largest weight becomes 65535."""
    count, n = weights.shape
    top = weights.max(axis=1, keepdims=True)
    pairs = np.empty((count, n, 2), dtype="<u2")
    pairs[:, :, 0] = np.arange(n)
    pairs[:, :, 1] = np.rint(weights / np.where(top > 0, top, 1) * 65_535)
    return [row.tobytes() for row in pairs]


def play(
    scenario: Scenario,
    epochs: int,
    seed: int = 0,
    after: Callable[[int], object] = lambda epoch: None,
) -> History:
    """Run a scenario; the same seed gives the same history. `after` hears each epoch's number."""
    state = _Play(scenario, seed)
    dividends = np.zeros((epochs, state.n), dtype=np.int64)
    incentive = np.zeros((epochs, state.n), dtype=np.int64)
    trust = np.zeros((epochs, state.count))
    bonds = np.zeros((epochs, state.count))
    for number in range(epochs):
        outcome = state.epoch(number)
        dividends[number] = outcome.validator_emission
        incentive[number] = outcome.server_emission
        trust[number] = np.array(outcome.validator_trust[: state.count]) / ONE
        bonds[number] = state.mean_bonds()
        after(number)
    return History(
        scenario, seed, state.validators, state.miners, dividends, incentive, trust, bonds
    )
