"""The traced computation is the engine's to the bit, and takes anything a stranger commits to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from disputants import SEED, Stepwise, answered, small, tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from ganglion.exact.case import Case
from ganglion.exact.drawing import token_of
from ganglion.exact.game import Game, IllegalMove, choose, commit, open_node
from ganglion.exact.ops import Impossible, decode_cell, encode_cell
from ganglion.exact.players import Defender, Prove
from ganglion.exact.program import (
    PROGRAM,
    BadTile,
    bits_of,
    decode_matrix,
    decode_plain,
    encode_matrix,
    fault_of,
    layout_of,
)
from ganglion.exact.referee import Cell, is_right
from ganglion.exact.steps import Kind, Step
from ganglion.exact.trace import Memory
from ganglion.exact.tree import NOTHING, Tree, leaf, root_from
from ganglion.wire.text import Sampling
from neurons.engine.base import Row, pages_for, prefill
from subnets.proofs.sampling import choose as choose_tokens
from subnets.proofs.sampling import draws_for

TOKENS = (102, 111, 114, 109)
NAME = "f084c134c9d18a56a0127c131d6fd9205f49911beaa49902d62fe2ae42b67337"
ROOT = "f7a1ce03fbcacba7a45f8c76a63f1e31fe4cdd9c50f053f9c3136a5fcc2032c5"


def cells(book, case, kind):
    """The cells of all steps of a kind, in order."""
    machine, found = book.machine(case), []
    memory = Memory(machine, book.tiles)
    for position in range(machine.steps.positions):
        for index in range(machine.steps.start(position), machine.steps.start(position + 1)):
            cell = memory.step(index)
            if machine.steps.at(index).kind is kind:
                found.append(cell)
        memory.turn(position)
    return np.concatenate(found)


@pytest.mark.parametrize(("which", "length"), [(small, 30), (tiny, 70)])
def test_logits_are_the_engines_to_the_bit(which, length):
    model, book = which()
    tokens = tuple(int(t) for t in np.random.default_rng(2).integers(0, 40, length))
    case = Case(tokens, 5, 0, SEED, bits_of(1.0), 0, bits_of(1.0))
    ours = cells(book, case, Kind.LOGITS).reshape(-1, model.shape.vocab)
    for fused in {model.fused, False}:
        model.fused = fused
        theirs = prefill(model, tokens[:-1], length - 5).logits
        assert np.array_equal(ours, theirs)
    cache, pages = model.new_cache(8), range(pages_for(length))
    for at in range(length - 1):
        one = model.forward(cache, [Row(tokens[at : at + 1], at, pages)])[0]
        if at >= 4:
            assert np.array_equal(one.logits[0], ours[at - 4])


@pytest.mark.parametrize(("which", "prompt", "count"), [
    (small, (1, 2, 3), 30), (small, (4,), 1), (tiny, tuple(b"import re"), 62),
])  # fmt: skip
def test_all_positions_at_once_make_the_same_cells(which, prompt, count):
    _, book = which()
    case = answered(book, prompt, count)
    machine = book.machine(case)
    swept, walked = book.trace(case), Stepwise(machine, book.tiles)
    assert swept.tree.levels == walked.tree.levels
    assert swept.wrong is walked.wrong is None
    rng = np.random.default_rng(1)
    for index in rng.integers(machine.steps.count, size=2 if which is tiny else 12):
        ours, theirs = swept.inputs(int(index)), walked.inputs(int(index))
        assert (ours.cells, ours.asked) == (theirs.cells, theirs.asked)


def test_an_answer_is_traced_as_far_as_it_is_right():
    _, book = small()
    case = answered(book, (1, 2, 3), 9)
    tokens = list(case.tokens)
    tokens[6], tokens[8] = 999, 1
    lie = replace(case, tokens=tuple(tokens))
    for trace in (book.trace(lie), Stepwise(book.machine(lie), book.tiles)):
        assert trace.wrong == book.machine(case).steps.index(Step(5, Kind.TOKEN))
        assert trace.demanded == case.tokens[6]
        assert set(trace.tree.levels[0][trace.wrong :]) == {NOTHING}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1 << 30), st.sampled_from([0.0, 0.3, 1.0, 2.0]), st.integers(0, 50),
    st.floats(1e-6, 1.0), st.sampled_from([2, 40, 300, 5000]), st.booleans(),
)  # fmt: skip
def test_tokens_are_drawn_as_the_engine_draws_them(number, warm, top_k, top_p, vocab, coarse):
    rng = np.random.default_rng(number)
    logits = rng.normal(size=vocab) * 3
    logits = np.rint(logits) if coarse else logits  # ties
    sampling = Sampling(number.to_bytes(32, "little"), warm, top_k, top_p)
    draws = draws_for(sampling, 9, 1, vocab)
    assert token_of(logits, sampling, 9) == int(choose_tokens(logits[None], draws, sampling)[0])


def test_steps_and_their_numbers_agree():
    for _, book in (small(), tiny()):
        steps = book.machine(answered(book, (1, 2, 3), 9)).steps
        assert [steps.index(steps.at(i)) for i in range(steps.count)] == list(range(steps.count))
        for outside in (-1, steps.count):
            with pytest.raises(IndexError):
                steps.at(outside)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(1, 40))
def test_any_set_of_leaves_has_a_proof_and_no_other(data, count):
    leaves = [leaf(bytes([i])) for i in range(count)]
    tree = Tree(leaves)
    chosen = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    shown, hashes = {i: leaves[i] for i in chosen}, tree.proof(list(chosen))
    assert root_from(shown, count, hashes) == tree.root
    one = data.draw(st.sampled_from(sorted(chosen)))
    assert root_from(shown | {one: leaf(b"other")}, count, hashes) != tree.root
    assert root_from(shown, count, (*hashes, bytes(32))) is None
    assert root_from(shown | {count: leaf(b"")}, count, hashes) is None
    if hashes:
        assert root_from(shown, count, hashes[:-1]) is None


def test_tiles_hold_what_sums_of_are_exact():
    model, book = tiny()
    places = layout_of(book.program)
    assert len(book.tiles) == places.count
    place = places.layer["down"]
    tiles = book.tiles[places.tile(1, "down", 0) : places.tile(1, "down", place.tiles)]
    rows = [decode_matrix(t, np.diff(place.span(i))[0], place.width) for i, t in enumerate(tiles)]
    assert np.array_equal(np.concatenate(rows).T, model.layers[1].down.columns)
    zero = next(encode_matrix(np.zeros((3, 2)), replace_place(place, 2, 3)))
    assert not decode_matrix(zero, 2, 3).any()
    for bad in (b"", zero[:-1], zero + b"\0", b"\xff\x7f" + zero[2:], zero[:-4] + b"\1\0\x20\0"):
        with pytest.raises(BadTile):
            decode_matrix(bad, 2, 3)
    for bad in (b"", np.array([np.nan]).tobytes()):
        with pytest.raises(BadTile):
            decode_plain(bad, 1)


def replace_place(place, out, width):
    return replace(place, first=0, out=out, width=width, rows=out)


def test_programs_that_cannot_be_refereed_are_told():
    _, book = tiny()
    good = book.program
    assert fault_of(good) is None
    assert PROGRAM.decode(PROGRAM.encode(good)) == good
    for change in (
        {"layers": 0}, {"layers": 5_000}, {"hidden": 1 << 13}, {"vocab": 1 << 18},
        {"kv_heads": 3}, {"head": 31}, {"tile_bits": 18}, {"block_bits": 12},
        {"epsilon": bits_of(float("nan"))}, {"theta": bits_of(float("inf"))},
        {"theta": bits_of(0.0)}, {"context": 1 << 23}, {"vocab": 200},
        {"tile_bits": 0, "inner": 40_000},
    ):  # fmt: skip
        assert fault_of(replace(good, **change)), change


class Strangers:
    """Cells as a stranger might commit to them."""

    def __init__(self, book, rng, wild):
        self.book, self.rng, self.wild = book, rng, wild

    def cell(self, index, size):
        values = self.rng.normal(size=size) * 10.0 ** self.rng.integers(-3, 300 if self.wild else 3)
        return decode_cell(encode_cell(np.rint(values) if self.rng.integers(2) else values), size)

    def tile(self, index):
        return self.book.tiles[index]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 30), st.booleans())
def test_whatever_is_committed_to_there_is_a_cell_or_none(number, wild):
    _, book = small()
    rng = np.random.default_rng(number)
    machine = book.machine(Case(tuple(range(20)), 3, 0, SEED, bits_of(1.0), 3, bits_of(0.9)))
    index = int(rng.integers(machine.steps.count))
    try:
        cell = machine.run(index, Strangers(book, rng, wild))
    except Impossible:
        return
    assert np.isfinite(cell).all()
    assert len(cell) == machine.size(machine.steps.at(index))
    assert not np.signbit(cell[cell == 0]).any()


def at_last_move(kind):
    """A game that has come to an honest defender's step of a kind, and its proof."""
    _, book = small()
    case = answered(book, (1, 2), 5)
    defender = Defender(book, case)
    tree = defender.trace.tree
    target = book.machine(case).steps.index(Step(5, kind))
    game = commit(Game.begin(book.machine(case).steps.count), tree.root)
    while game.height:
        game = open_node(game, tree.below(game.height, game.index, game.levels))
        down = game.height - game.levels
        game = choose(game, (target >> down) & ((1 << game.levels) - 1))
    move = defender.move(game)
    assert isinstance(move, Prove)
    return book, case, game, move.proof


@pytest.mark.parametrize("kind", [Kind.MIX, Kind.DOWN, Kind.TOKEN, Kind.EMBED])
def test_only_the_whole_truth_proves_a_step(kind):
    book, case, game, proof = at_last_move(kind)
    assert is_right(book.program, case, game, proof)
    forged = [replace(proof, hashes=proof.hashes[1:])]
    if proof.cells:
        first, *rest = proof.cells
        forged += [
            replace(proof, cells=tuple(rest)),
            replace(proof, cells=proof.cells * 2),
            replace(proof, cells=(replace(first, values=first.values[:-8] + bytes(8)), *rest)),
            replace(proof, cells=(*proof.cells, Cell(game.index + 1, b""))),
        ]
    if proof.tile:
        forged += [
            replace(proof, tile=proof.tile[:-1] + b"\7"),
            replace(proof, tile=b""),
            replace(proof, path=proof.path[:-1]),
        ]
    for one in forged:
        with pytest.raises(IllegalMove):
            is_right(book.program, case, game, one)
    other = replace(game, node=leaf(b"another cell"))
    with pytest.raises(IllegalMove):  # it is not under the root
        is_right(book.program, case, other, proof)


def test_moves_out_of_turn_and_wrong_hashes_change_nothing():
    game = Game.begin(40)
    with pytest.raises(IllegalMove):
        open_node(game, (bytes(32),) * 16)
    with pytest.raises(IllegalMove):
        choose(game, 0)
    tree = Tree([leaf(bytes([i])) for i in range(40)])
    game = commit(game, tree.root)
    with pytest.raises(IllegalMove):
        commit(game, tree.root)
    for hashes in ((), (bytes(32),) * 16, tree.below(6, 0, 3)):
        with pytest.raises(IllegalMove):
            open_node(game, hashes)
    game = open_node(game, tree.below(6, 0, 4))
    for which in (-1, 10, 15, 16):  # nodes of four steps: the tenth is behind the last
        with pytest.raises(IllegalMove):
            choose(game, which)
    assert choose(game, 9).index == 9


def test_the_arithmetic_is_the_one_that_receipts_were_signed_under():
    """A change of one bit anywhere convicts honest miners: it would need new programs."""
    _, book = tiny()
    case = answered(book, tuple(b"def "), 4, Sampling(SEED, 0.9, 40, 0.95))
    root = book.trace(case).tree.root
    assert case.tokens[4:] == TOKENS
    assert book.program.name().hex() == NAME
    assert root.hex() == ROOT
