"""Models, answers and parties for disputes, some of which miscompute a step."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from ganglion.exact.case import Case
from ganglion.exact.game import Game
from ganglion.exact.ops import Impossible, Machine
from ganglion.exact.players import Book, Challenger, Defender, Prove, play
from ganglion.exact.program import bits_of
from ganglion.exact.referee import is_right
from ganglion.exact.steps import Kind
from ganglion.exact.trace import Memory, Trace
from ganglion.wire.text import Sampling
from neurons.disputes.book import book_of
from neurons.engine.base import ModelCard
from neurons.engine.llama import ExactLlama, Shape
from neurons.engine.load import load

SEED = b"\7" * 32
PLAIN = Sampling(SEED)


@lru_cache
def tiny() -> tuple[ExactLlama, Book]:
    """The shipped model."""
    loaded = load("exact", "tiny")
    return loaded.model, book_of(loaded.model, loaded.tokenizer)


@lru_cache
def small(vocab: int = 40) -> tuple[ExactLlama, Book]:
    """A model of odd sizes, in tiles and blocks so small that everything has several."""
    shape = Shape(2, 12, 4, 2, 6, 64, vocab, 1e-5, 10000.0, False, frozenset())
    rng = np.random.default_rng(5)
    wide = {"self_attn.q_proj": (24, 12), "self_attn.k_proj": (12, 12),
            "self_attn.v_proj": (12, 12), "self_attn.o_proj": (12, 24),
            "mlp.gate_proj": (10, 12), "mlp.up_proj": (10, 12), "mlp.down_proj": (12, 10),
            "input_layernorm": (12,), "post_attention_layernorm": (12,)}  # fmt: skip
    tensors = {
        f"model.layers.{i}.{name}.weight": rng.normal(size=size)
        for i in range(2)
        for name, size in wide.items()
    }
    ends = {"model.embed_tokens": (vocab, 12), "model.norm": (12,), "lm_head": (vocab, 12)}
    tensors |= {f"{name}.weight": rng.normal(size=size) for name, size in ends.items()}
    card = ModelCard("small", b"w" * 32, b"t" * 32, vocab, 12, 64, frozenset(), exact=True)
    model = ExactLlama(shape, tensors, card)
    return model, book_of(model, tile_bits=7, block_bits=2)


class Faulty(Machine):
    """Miscomputes one step."""

    fault = -1

    def run(self, index, source):
        try:
            cell = super().run(index, source)
        except Impossible:  # of what its fault has made; it commits to something all the same
            return np.zeros(self.size(self.steps.at(index)))
        return -3.0 * cell - 1.0 if index == self.fault else cell


class Stepwise(Trace):
    """A trace that is made by the referee's own steps, one after the other."""

    def compute(self, emit):
        for memory, index in self.walk():
            emit(index, memory.now[index])

    def walk(self):
        """Every step that can be made, and the memory after it."""
        memory = Memory(self.machine, self.tiles)
        steps, case = self.machine.steps, self.machine.case
        for position in range(steps.positions):
            if case.tokens[position] >= self.machine.program.vocab:
                return
            for index in range(steps.start(position), steps.start(position + 1)):
                memory.step(index)
                yield memory, index
            memory.turn(position)

    def inputs(self, index):
        return next(memory.noted for memory, at in self.walk() if at == index)


class FaultyBook(Book):
    """What a party has that miscomputes a step."""

    fault = -1

    def machine(self, case):
        made = Faulty(self.program, case)
        made.fault = self.fault
        return made

    def trace(self, case, through=False):
        return Stepwise(self.machine(case), self.tiles, through)


def faulty(book: Book, fault: int) -> FaultyBook:
    """The same model with a broken step."""
    made = FaultyBook(book.program, book.tiles)
    object.__setattr__(made, "fault", fault)
    return made


def answered(
    book: Book,
    prompt: tuple[int, ...],
    count: int,
    sampling: Sampling = PLAIN,
    first: int = 0,
) -> Case:
    """The case of the answer that whoever has this book gives."""
    case = Case(
        (*prompt, *[0] * count), len(prompt), first, sampling.seed, bits_of(sampling.temperature),
        sampling.top_k, bits_of(sampling.top_p),
    )  # fmt: skip
    machine = book.machine(case)
    memory = Memory(machine, book.tiles)
    for position in range(machine.steps.positions):
        for index in range(machine.steps.start(position), machine.steps.start(position + 1)):
            cell = memory.step(index)
            if machine.steps.at(index).kind is Kind.TOKEN:
                tokens = list(machine.case.tokens)
                tokens[position + 1] = int(cell[0]) % book.program.vocab
                machine.case = replace(machine.case, tokens=tuple(tokens))
        memory.turn(position)
    return machine.case


def played(defender: Defender, challenger: Challenger) -> tuple[bool, Game]:
    """Whether the defender wins, by the referee, and the game as it stood at the last move."""
    game = Game.begin(defender.book.machine(defender.case).steps.count)
    while True:
        move = (defender if game.of_defender else challenger).move(game)
        assert move is not None, game
        if isinstance(move, Prove):
            book = challenger.book
            return is_right(book.program, defender.case, game, move.proof), game
        game = play(game, move)
