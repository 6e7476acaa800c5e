"""The whole computation of a case, step by step, and the hash of every cell on the way.

It runs what referees run, one row at a time, so it is tens of times slower than the engine; it is
made only when somebody disputes an answer. Cells that no later step needs are let go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ganglion.exact.ieee import Floats
from ganglion.exact.ops import Machine, encode_cell
from ganglion.exact.steps import Kind, Step
from ganglion.exact.tree import NOTHING, Tree, leaf


class Memory:
    """Cells that later steps may need, and the weights."""

    def __init__(self, machine: Machine, tiles: Sequence[bytes]) -> None:
        self.machine, self.tiles = machine, tiles
        self.now: dict[int, Floats] = {}
        self.kept: dict[int, Floats] = {}

    def cell(self, index: int, size: int) -> Floats:
        """An earlier cell."""
        found = self.now.get(index)
        return self.kept[index] if found is None else found

    def tile(self, index: int) -> bytes:
        """A tile of the weights."""
        return self.tiles[index]

    def turn(self, position: int) -> None:
        """End a position: keep its keys and values, let go of the rest."""
        p, steps = self.machine.program, self.machine.steps
        whole = position % p.block == p.block - 1
        fresh: dict[int, Floats] = {}
        for layer in range(p.layers):
            for part in range(p.kv_heads):
                index = steps.index(Step(position, Kind.KEEP, layer, part))
                (self.kept if whole else fresh)[index] = self.now[index]
        self.now = fresh


class Trace:
    """The hashes of all cells, as far as the answer is right.

    `wrong` is the first step whose token is not the answer's. Nothing is computed from there on,
    and the places of those steps hold a hash that no cell has, so a tree that claims anything
    there differs.
    """

    def __init__(self, machine: Machine, tiles: Sequence[bytes], through: bool = False) -> None:
        """`through`: go on behind a token that is not the answer's."""
        self.machine, self.tiles = machine, tiles
        self.wrong: int | None = None
        self.demanded: int | None = None
        leaves: list[bytes] = []
        for index, cell in self._run():
            leaves.append(leaf(encode_cell(cell)))
            if self.wrong is None and self._misses(index, cell):
                self.wrong, self.demanded = index, int(cell[0])
                if not through:
                    leaves[-1] = NOTHING
                    break
        leaves += [NOTHING] * (machine.steps.count - len(leaves))
        self.tree = Tree(leaves)

    def _run(self, until: int | None = None) -> Iterator[tuple[int, Floats]]:
        steps = self.machine.steps
        self.memory = memory = Memory(self.machine, self.tiles)
        for position in range(steps.positions):
            for index in range(steps.start(position), steps.start(position + 1)):
                if index == until:
                    return
                cell = self.machine.run(index, memory)
                memory.now[index] = cell
                yield index, cell
            memory.turn(position)

    def _misses(self, index: int, cell: Floats) -> bool:
        step = self.machine.steps.at(index)
        if step.kind is not Kind.TOKEN:
            return False
        return int(cell[0]) != self.machine.case.tokens[step.position + 1]

    def inputs(self, index: int) -> Noted:
        """The cells and the tile from which a step is made; computes up to it once more."""
        for _ in self._run(index):
            pass
        noted = Noted(self.memory)
        self.machine.run(index, noted)
        return noted


class Noted:
    """What a step asks for."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.cells: dict[int, bytes] = {}
        self.asked: int | None = None

    def cell(self, index: int, size: int) -> Floats:
        """An earlier cell, noted."""
        found = self.memory.cell(index, size)
        self.cells[index] = encode_cell(found)
        return found

    def tile(self, index: int) -> bytes:
        """A tile, noted."""
        self.asked = index
        return self.memory.tile(index)
