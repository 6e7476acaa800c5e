"""Refereed delegation: the wrong step is found, and whoever is honest wins."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from disputants import SEED, Faulty, FaultyBook, Stepwise, answered, faulty, played, small, tiny

from ganglion.exact.game import LEVELS
from ganglion.exact.players import Challenger, Defender
from ganglion.exact.steps import Kind, Step
from ganglion.wire.text import Sampling

TEXT = b"def open(file, mode='r', buffering=-1): raise ValueError  # The quick brown fox jumps. "


def test_a_miner_that_alters_one_step_of_one_token_is_found_at_that_step():
    _, book = tiny()
    prompt = tuple(TEXT[:20])
    steps = book.machine(answered(book, prompt, 1)).steps
    fault = steps.index(Step(30, Kind.DOWN, 2, 1))
    liar = faulty(book, fault)
    case = answered(liar, prompt, 64)
    challenger = Challenger(book, case)
    assert challenger.objects
    right, game = played(Defender(liar, case), challenger)
    assert not right
    assert game.index == fault
    assert game.rounds == math.ceil(math.log2(game.steps) / LEVELS) <= 12


def test_a_false_challenger_is_wrong_wherever_it_points():
    _, book = tiny()
    case = answered(book, tuple(TEXT[:8]), 12)
    assert not Challenger(book, case).objects
    fault = book.machine(case).steps.index(Step(13, Kind.MIX, 1))
    right, game = played(Defender(book, case), Challenger(faulty(book, fault), case))
    assert right
    assert game.index == fault


def test_tokens_alone_are_enough_to_be_wrong():
    """A miner that computes honestly and then signs another token has no step for it."""
    _, book = small()
    honest = answered(book, (1, 2, 3), 8)
    tokens = list(honest.tokens)
    tokens[6] = (tokens[6] + 1) % 40
    case = type(honest)(tuple(tokens), *(getattr(honest, n) for n in honest.__slots__[1:]))
    right, game = played(Defender(book, case), Challenger(book, case))
    assert not right
    assert book.machine(case).steps.at(game.index) == Step(5, Kind.TOKEN)


@pytest.mark.parametrize("shard", range(4))
def test_the_referee_is_right_about_random_faults(shard):
    """200 faults in all, of either party, at any step of any token."""
    _, book = small()
    rng = np.random.default_rng(shard)
    case = answered(book, (1, 2), 4)
    machine = book.machine(case)
    honest = book.trace(case, through=True)
    found = Counter()
    for _ in range(50):
        fault = int(rng.integers(machine.steps.count))
        liar = faulty(book, fault)
        if rng.integers(2):
            defender, challenger = Defender(liar, case), Challenger(book, case)
            challenger.__dict__["trace"] = honest
        else:
            defender, challenger = Defender(book, case), Challenger(liar, case)
            defender.__dict__["trace"] = honest
        right, game = played(defender, challenger)
        assert right == (challenger.book is liar), machine.steps.at(fault)
        assert game.index == fault
        found[machine.steps.at(fault).kind] += 1
    assert len(found) > 8


def test_the_referee_does_a_fiftieth_of_the_work_at_most():
    """Work is what is read: every step costs by its inputs and weights, and each is hashed."""
    _, book = tiny()
    machine = book.machine(answered(book, tuple(TEXT[:4]), 2))
    cost = []
    for memory, _ in Stepwise(machine, book.tiles).walk():
        noted = memory.noted
        tile = 0 if noted.asked is None else len(book.tiles[noted.asked])
        cost.append(tile + sum(map(len, noted.cells.values())))
    assert 50 * max(cost) <= sum(cost)


@pytest.mark.parametrize("sampling", [
    Sampling(SEED, 0.0), Sampling(SEED, 0.7, 5), Sampling(SEED, 1.3, 0, 0.6),
    Sampling(SEED, 1.0, 9, 0.8),
])  # fmt: skip
def test_every_way_to_draw_is_refereed(sampling):
    _, book = small()
    case = answered(book, (5, 6), 12, sampling, first=3)
    fault = book.machine(case).steps.index(Step(9, Kind.TOKEN))
    for liar, other in ((faulty(book, fault), book), (book, faulty(book, fault))):
        right, game = played(Defender(liar, case), Challenger(other, case))
        assert game.index == fault
        assert right == (liar is book)


class Rambling(Faulty):
    """Makes up every cell from some step on: numbers of any size, and what is none."""

    def run(self, index, source):
        right = super().run(index, source)
        if index < self.fault:
            return right
        rng = np.random.default_rng(index)
        if self.steps.at(index).kind is Kind.TOKEN:
            return np.array([float(rng.integers(40))])
        cell = rng.normal(size=self.size(self.steps.at(index))) * 10.0 ** rng.integers(-300, 300)
        cell[0] = rng.choice([cell[0], np.nan, np.inf, 0.0])
        return cell


class RamblingBook(FaultyBook):
    """What a party has that makes things up."""

    def machine(self, case):
        made = Rambling(self.program, case)
        made.fault = self.fault
        return made


@pytest.mark.parametrize("seed", range(12))
def test_nothing_that_a_miner_makes_up_can_be_proven(seed):
    _, book = small()
    case = answered(book, (1, 2), 4)
    start = int(np.random.default_rng(seed).integers(book.machine(case).steps.count))
    liar = RamblingBook(book.program, book.tiles)
    object.__setattr__(liar, "fault", start)
    right, game = played(Defender(liar, case), Challenger(book, case))
    assert not right
    assert game.index == start
    assert played(Defender(book, case), Challenger(liar, case))[0]
