"""What a dispute costs its parties and the chain, with the shipped model: time and bytes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from benchmark import Row, run

from ganglion.exact.case import Case
from ganglion.exact.game import Game, choose, commit, open_node
from ganglion.exact.program import bits_of
from ganglion.exact.referee import Proof, is_right, prove
from ganglion.exact.steps import TAIL, Kind, Step
from ganglion.exact.trace import Trace
from neurons.disputes.book import book_of
from neurons.engine.base import prefill
from neurons.engine.load import load

PROMPT = b"def open(file, mode="
TOKENS = 64


def cost_ms(work: Callable[[], object], repeats: int) -> float:
    """Median processor time of this process, in milliseconds."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append((time.process_time() - start) * 1e3)
    return statistics.median(times)


def at_last_move(trace: Trace, index: int) -> Game:
    """A game that has come down to a step."""
    tree = trace.tree
    game = commit(Game.begin(trace.machine.steps.count), tree.root)
    while game.height:
        game = open_node(game, tree.below(game.height, game.index, game.levels))
        down = game.height - game.levels
        game = choose(game, (index >> down) & ((1 << game.levels) - 1))
    return game


def rows(quick: bool) -> list[Row]:
    """The parties' work, then the referee's for a step of every kind."""
    repeats = 2 if quick else 9
    loaded = load("exact", "tiny")
    book = book_of(loaded.model, loaded.tokenizer)
    tokens = PROMPT + bytes(np.random.default_rng(1).integers(32, 127, TOKENS).tolist())
    case = Case(tuple(tokens), len(PROMPT), 0, bytes(32), bits_of(1.0), 0, bits_of(1.0))
    trace = book.trace(case, through=True)
    steps, machine = trace.machine.steps, trace.machine
    engine = cost_ms(lambda: prefill(loaded.model, tokens[:-1], TOKENS), repeats)
    party = cost_ms(lambda: book.trace(case, through=True), repeats)
    found: list[Row] = [
        _row("the engine reads the answer", engine, None, 1.0),
        _row(f"a party traces {steps.count} steps", party, None, engine / party),
    ]
    for kind in (Kind.EMBED, Kind.MIX, Kind.GATE_UP, Kind.DOWN, Kind.TOKEN):
        layer = 0 if kind in TAIL or kind is Kind.EMBED else machine.program.layers - 1
        index = steps.index(Step(steps.positions - 1, kind, layer))
        game, proof = at_last_move(trace, index), prove(trace, book.tree, index)

        def judge(game: Game = game, proof: Proof = proof) -> None:
            is_right(book.program, case, game, proof)

        spent = cost_ms(judge, 10 * repeats)
        found.append(_row(f"the chain judges {kind.name}, {game.rounds} rounds", spent, proof.size,
                          engine / spent))  # fmt: skip
    return found


def _row(what: str, spent: float, size: int | None, times: float) -> Row:
    return {"work": what, "processor ms": spent, "proof bytes": size, "engine takes, times": times}


run("dispute", "What a dispute about 64 tokens after 20 costs its parties and the chain.", rows)
