"""The whole computation of a case, and the hash of every cell on the way: what a party plays from.

It is made only when somebody disputes an answer, and cells are not kept: those that a proof needs
are computed once more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ganglion.exact.ieee import Floats
from ganglion.exact.ops import Machine, decode_cell, encode_cell
from ganglion.exact.steps import Kind, Step
from ganglion.exact.sweep import Emit, Sweep
from ganglion.exact.tree import NOTHING, Tree, leaf


class Noted:
    """What a step is made from: cells by the numbers of their steps, and the number of a tile."""

    def __init__(self) -> None:
        self.cells: dict[int, bytes] = {}
        self.asked: int | None = None


class Trace:
    """The hashes of all cells, as far as the answer is right.

    `wrong` is the first step whose token is not the answer's, `demanded` the token that it gives.
    The places of the steps from there on hold a hash that no cell has, so a tree that claims
    anything there differs.
    """

    def __init__(self, machine: Machine, tiles: Sequence[bytes], through: bool = False) -> None:
        """`through`: go on behind a token that is not the answer's."""
        self.machine, self.tiles = machine, tiles
        self.wrong: int | None = None
        self.demanded: int | None = None
        steps = machine.steps
        draws = {steps.index(Step(p, Kind.TOKEN)): machine.case.tokens[p + 1]
                 for p in range(steps.drawn, steps.positions)}  # fmt: skip
        drawn: dict[int, int] = {}
        leaves = [NOTHING] * steps.count

        def emit(index: int, raw: bytes) -> None:
            leaves[index] = leaf(raw)
            if index in draws:
                drawn[index] = int(np.frombuffer(raw, "<f8")[0])

        self.compute(emit)
        wrong = [index for index in sorted(drawn) if drawn[index] != draws[index]]
        if wrong:
            self.wrong, self.demanded = wrong[0], drawn[wrong[0]]
            if not through:
                leaves[wrong[0] :] = [NOTHING] * (steps.count - wrong[0])
        self.tree = Tree(leaves)

    def compute(self, emit: Emit) -> None:
        """Hand out every cell."""
        Sweep(self.machine, self.tiles, emit).run()

    def inputs(self, index: int) -> Noted:
        """What a step is made from; computes everything once more."""
        asking = _Asking(self)
        self.machine.run(index, asking)
        found, wanted = asking.noted, asking.noted.cells

        def emit(at: int, raw: bytes) -> None:
            if at in wanted:
                wanted[at] = raw

        self.compute(emit)
        return found


class _Asking:
    """Hands out cells that any step takes, and notes which those were."""

    def __init__(self, trace: Trace) -> None:
        self._trace, self.noted = trace, Noted()

    def cell(self, index: int, size: int) -> Floats:
        self.noted.cells[index] = b""
        cell = np.zeros(size)
        match self._trace.machine.steps.at(index).kind:
            case Kind.KEEP:
                cell.reshape(-1, 2 * self._trace.machine.program.head + 1)[:, -1] = 1.0
            case Kind.SUM:
                cell[:] = 2.0**60
        return cell

    def tile(self, index: int) -> bytes:
        self.noted.asked = index
        return self._trace.tiles[index]


class Memory:
    """Cells that later steps may need, and the weights: for going step by step."""

    def __init__(self, machine: Machine, tiles: Sequence[bytes]) -> None:
        self.machine, self.tiles = machine, tiles
        self.now: dict[int, bytes] = {}
        self.kept: dict[int, bytes] = {}
        self.noted = Noted()

    def cell(self, index: int, size: int) -> Floats:
        """An earlier cell."""
        found = self.now.get(index) or self.kept[index]
        self.noted.cells[index] = found
        return decode_cell(found, size)

    def tile(self, index: int) -> bytes:
        """A tile of the weights."""
        self.noted.asked = index
        return self.tiles[index]

    def step(self, index: int) -> Floats:
        """Compute the next step, keep its cell, and note what it was made from."""
        self.noted = Noted()
        cell = self.machine.run(index, self)
        self.now[index] = encode_cell(cell)
        return cell

    def turn(self, position: int) -> None:
        """End a position: keep its keys and values, let go of the rest."""
        p, steps = self.machine.program, self.machine.steps
        whole = position % p.block == p.block - 1
        fresh: dict[int, bytes] = {}
        for layer in range(p.layers):
            for part in range(p.kv_heads):
                index = steps.index(Step(position, Kind.KEEP, layer, part))
                (self.kept if whole else fresh)[index] = self.now[index]
        self.now = fresh
