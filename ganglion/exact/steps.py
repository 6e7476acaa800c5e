"""The steps of an answer's computation: one list, known from the program and two lengths alone.

Every step makes one short vector, its cell, out of earlier cells and at most one tile of weights.
A position's steps are the embedding, those of every layer, and, where a token was drawn from it,
the logits and the draw. Attention goes over blocks of positions: the highest score so far, then
the sum of weights so far, then the mixture so far; all are sums of integers or maxima, so cutting
them into blocks changes nothing.

| step | its cell |
|---|---|
| EMBED | the token's row of the embedding |
| NORM_IN, NORM_MLP | the residual rounded, and its scale |
| QKV, GATE_UP, LOGITS | rows of a product |
| OUT, DOWN | rows of a product added to the residual |
| QUERY | the turned and rounded queries that share a key-value head |
| KEEP | a block of keys, values and scales of a key-value head, as far as it is filled |
| TOP, SUM, MIX | highest score; sum of weights and largest weight; mixture: up to this block |
| HEADS, GATE | all heads, or the gated inner row, rounded |
| FINAL | the normed residual, rounded |
| TOKEN | the token drawn |
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from enum import IntEnum

from ganglion.exact.program import Program, layout_of


class Kind(IntEnum):
    """What a step does."""

    EMBED = 0
    NORM_IN = 1
    QKV = 2
    QUERY = 3
    KEEP = 4
    TOP = 5
    SUM = 6
    MIX = 7
    HEADS = 8
    OUT = 9
    NORM_MLP = 10
    GATE_UP = 11
    GATE = 12
    DOWN = 13
    FINAL = 14
    LOGITS = 15
    TOKEN = 16


@dataclass(frozen=True, slots=True)
class Step:
    """One step: of which position and layer, and which tile or key-value head and block."""

    position: int
    kind: Kind
    layer: int = 0
    part: int = 0
    block: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """Steps of one kind in a layer or at the end: `parts` times `blocks`, from `first` on."""

    kind: Kind
    first: int
    parts: int
    blocks: int


def _rows(shapes: list[tuple[Kind, int, int]]) -> tuple[tuple[Row, ...], int]:
    rows, at = [], 0
    for kind, parts, blocks in shapes:
        rows.append(Row(kind, at, parts, blocks))
        at += parts * blocks
    return tuple(rows), at


def layer_rows(program: Program, blocks: int) -> tuple[tuple[Row, ...], int]:
    """The steps of a layer at a position whose past has so many blocks, and their number."""
    tiles = {name: place.tiles for name, place in layout_of(program).layer.items()}
    kv = program.kv_heads
    return _rows([
        (Kind.NORM_IN, 1, 1), (Kind.QKV, tiles["qkv"], 1), (Kind.QUERY, kv, 1),
        (Kind.KEEP, kv, 1), (Kind.TOP, kv, blocks), (Kind.SUM, kv, blocks),
        (Kind.MIX, kv, blocks), (Kind.HEADS, 1, 1), (Kind.OUT, tiles["out"], 1),
        (Kind.NORM_MLP, 1, 1), (Kind.GATE_UP, tiles["gate_up"], 1), (Kind.GATE, 1, 1),
        (Kind.DOWN, tiles["down"], 1),
    ])  # fmt: skip


Firsts = dict[Kind, tuple[int, int]]
TAIL = frozenset({Kind.FINAL, Kind.LOGITS, Kind.TOKEN})


class Steps:
    """All steps of `positions` positions, of which those from `drawn` on draw a token each."""

    def __init__(self, program: Program, positions: int, drawn: int) -> None:
        self.program, self.positions, self.drawn = program, positions, drawn
        self.block = program.block
        self._layers: dict[int, tuple[tuple[Row, ...], int]] = {}
        self._firsts: dict[int, tuple[Firsts, Firsts, int]] = {}
        head = layout_of(program).head.tiles
        self._tail, self._tail_size = _rows(
            [(Kind.FINAL, 1, 1), (Kind.LOGITS, head, 1), (Kind.TOKEN, 1, 1)]
        )
        one = self._layer(1)[1]
        self._each = self._layer(2)[1] - one
        self._flat = one - self._each
        self.count = self.start(positions)

    def blocks(self, position: int) -> int:
        """Blocks that hold the keys of all positions up to this one."""
        return position // self.block + 1

    def start(self, position: int) -> int:
        """The number of a position's first step."""
        whole, rest = divmod(position, self.block)
        blocks = self.block * whole * (whole + 1) // 2 + rest * (whole + 1)
        layers = self.program.layers * (self._flat * position + self._each * blocks)
        return position + layers + max(0, position - self.drawn) * self._tail_size

    def index(self, step: Step) -> int:
        """The number of a step."""
        start = self.start(step.position)
        if step.kind is Kind.EMBED:
            return start
        rows, size = self._layer(self.blocks(step.position))
        at = start + 1 + size * step.layer
        if step.kind in TAIL:
            rows, at = self._tail, start + 1 + size * self.program.layers
        row = next(row for row in rows if row.kind is step.kind)
        return at + row.first + step.part * row.blocks + step.block

    def at(self, index: int) -> Step:
        """The step of a number. IndexError if there is none."""
        if not 0 <= index < self.count:
            raise IndexError(f"there is no step {index} of {self.count}")
        position = bisect_right(range(self.positions), index, key=self.start) - 1
        at = index - self.start(position)
        if at == 0:
            return Step(position, Kind.EMBED)
        rows, size = self._layer(self.blocks(position))
        layer, at = divmod(at - 1, size)
        if layer >= self.program.layers:
            at += (layer - self.program.layers) * size
            rows, layer = self._tail, 0
        row = rows[bisect_right(rows, at, key=lambda r: r.first) - 1]
        part, block = divmod(at - row.first, row.blocks)
        return Step(position, row.kind, layer, part, block)

    def rows_at(self, position: int) -> tuple[Firsts, Firsts, int]:
        """Where the steps of each kind begin in a layer of a position, and behind its layers, with
        the number of blocks of each; and the steps of a layer."""
        blocks = self.blocks(position)
        found = self._firsts.get(blocks)
        if found is None:
            rows, size = self._layer(blocks)
            layer, tail = ({r.kind: (r.first, r.blocks) for r in part}
                           for part in (rows, self._tail))  # fmt: skip
            found = self._firsts[blocks] = layer, tail, size
        return found

    def _layer(self, blocks: int) -> tuple[tuple[Row, ...], int]:
        """`layer_rows`, worked out once."""
        found = self._layers.get(blocks)
        if found is None:
            found = self._layers[blocks] = layer_rows(self.program, blocks)
        return found
