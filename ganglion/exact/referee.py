"""The last move: one step, shown to follow from cells that the defender has committed to.

Its work does not depend on the length of the answer: a few dozen hashes, and one step.
"""

from __future__ import annotations

from dataclasses import dataclass

from ganglion.exact.case import Case
from ganglion.exact.game import Game, IllegalMove, Phase
from ganglion.exact.ieee import Floats
from ganglion.exact.ops import Impossible, Machine, decode_cell, encode_cell
from ganglion.exact.program import Program
from ganglion.exact.steps import Kind
from ganglion.exact.trace import Trace
from ganglion.exact.tree import Tree, leaf, root_from
from ganglion.scale import u64
from ganglion.wire.receipts import Digest

MOST_PROOF = 3 << 20
"""Bytes of cells and of a tile that a proof has at most."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell's number and its bytes."""

    index: u64
    values: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """What a step was made from: cells with the hashes that lead from them and from the step itself
    to the committed root, and a tile of weights (empty if it needs none) with those that lead to
    the program's."""

    cells: tuple[Cell, ...]
    hashes: tuple[Digest, ...]
    tile: bytes
    path: tuple[Digest, ...]

    @property
    def size(self) -> int:
        """Bytes of what is in it."""
        cells = sum(len(cell.values) for cell in self.cells)
        return cells + len(self.tile) + 32 * (len(self.hashes) + len(self.path))


class _Shown:
    """Cells and a tile that have been shown to be the committed ones."""

    def __init__(self, program: Program, count: int, proof: Proof) -> None:
        self._program, self._count, self._proof = program, count, proof
        self._cells = {cell.index: cell.values for cell in proof.cells}

    def cell(self, index: int, size: int) -> Floats:
        raw = self._cells.get(index)
        if raw is None:
            raise IllegalMove(f"the proof lacks the cell of step {index}")
        return decode_cell(raw, size)

    def tile(self, index: int) -> bytes:
        proof = self._proof
        found = root_from({index: leaf(proof.tile)}, self._count, proof.path)
        if found != self._program.root:
            raise IllegalMove("the tile is not that of the program")
        return proof.tile


def is_right(program: Program, case: Case, game: Game, proof: Proof) -> bool:
    """Whether the step in dispute gives the cell that the defender has committed to.

    IllegalMove if the proof is not about this step of this game. Which it is does not decide who is
    right: there is time to bring another.
    """
    if game.phase is not Phase.PROVE:
        raise IllegalMove(f"the game waits for another move: {game.phase.name.lower()}")
    leaves = {cell.index: leaf(cell.values) for cell in proof.cells}
    if len(leaves) != len(proof.cells) or max(leaves, default=-1) >= game.index:
        raise IllegalMove("a step is made from earlier ones, each given once")
    leaves[game.index] = game.node
    if root_from(leaves, game.steps, proof.hashes) != game.root:
        raise IllegalMove("the cells are not those of the committed root")
    machine = Machine(program, case)
    try:
        cell = machine.run(game.index, _Shown(program, machine.layout.count, proof))
    except Impossible:
        return False
    step = machine.steps.at(game.index)
    signed = step.kind is not Kind.TOKEN or int(cell[0]) == case.tokens[step.position + 1]
    return signed and leaf(encode_cell(cell)) == game.node


def prove(trace: Trace, weights: Tree, index: int) -> Proof:
    """The proof of a step, by who has computed all and has the weights."""
    noted = trace.inputs(index)
    cells = tuple(Cell(at, noted.cells[at]) for at in sorted(noted.cells))
    hashes = trace.tree.proof([*noted.cells, index])
    if noted.asked is None:
        return Proof(cells, hashes, b"", ())
    return Proof(cells, hashes, trace.tiles[noted.asked], weights.proof([noted.asked]))
