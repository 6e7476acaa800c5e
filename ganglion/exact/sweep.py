"""The cells of a whole case, all positions at once: what `ops.py` makes step by step, to the bit.

The tokens of a case are known, so a party need not go from one to the next: every layer is a few
products of matrices over all positions. Sums are exact, so it makes no difference; tests compare
the two. A party traces a case this way, several times faster than by the steps of a referee.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ganglion.exact import arithmetic as exact
from ganglion.exact.ieee import Floats
from ganglion.exact.ops import KEY_BITS, Impossible, Machine, encode_cell, token_at
from ganglion.exact.program import Place, decode_matrix, decode_plain
from ganglion.exact.steps import TAIL, Kind

Emit = Callable[[int, bytes], None]
"""Takes the number of a step and the bytes of its cell."""


class Sweep:
    """One pass over a case; `emit` gets every cell, in no order."""

    def __init__(self, machine: Machine, tiles: Sequence[bytes], emit: Emit) -> None:
        self.machine, self.tiles, self.emit = machine, tiles, emit
        self.program, self.steps, self.layout = machine.program, machine.steps, machine.layout
        tokens = machine.case.tokens
        known = (at for at, token in enumerate(tokens) if token >= self.program.vocab)
        self.count = min(next(known, len(tokens)), self.steps.positions)
        self.starts = [self.steps.start(p) for p in range(self.count)]
        self.rows = [self.steps.rows_at(p) for p in range(self.count)]
        turns = [exact.rotary_at(p, self.program.head, machine.theta) for p in range(self.count)]
        self.cosines, self.sines = (np.array(part)[:, None] for part in zip(*turns))

    def run(self) -> None:
        """Compute everything; Impossible if what comes out is no number."""
        with np.errstate(all="ignore"):
            x = self._embedded()
            for layer in range(self.program.layers):
                x = self._layer(layer, x)
                if not np.isfinite(x).all():
                    raise Impossible("what comes out is no number")
            self._tail(x)

    def _put(
        self, kind: Kind, layer: int, part: int, block: int, first: int, cells: Floats
    ) -> None:
        """Emit the cells [n, ...] of consecutive positions from `first` on."""
        for position, cell in enumerate(cells, first):
            self._put_one(kind, layer, part, block, position, encode_cell(cell))

    def _put_one(
        self, kind: Kind, layer: int, part: int, block: int, position: int, raw: bytes
    ) -> None:
        rows, tail, size = self.rows[position]
        first, blocks = (tail if kind in TAIL else rows)[kind]
        layer = self.program.layers if kind in TAIL else layer
        at = self.starts[position] + 1 + size * layer
        self.emit(at + first + part * blocks + block, raw)

    def _put_rows(
        self, kind: Kind, layer: int, place: Place, values: Floats, first: int = 0
    ) -> None:
        """Emit the tiles of a product [n, out]."""
        for part in range(place.tiles):
            a, b = place.span(part)
            self._put(kind, layer, part, 0, first, values[:, a:b])

    def _matrix(self, first: int, place: Place) -> Floats:
        """A matrix, transposed, from its tiles."""
        parts = []
        for part in range(place.tiles):
            a, b = place.span(part)
            parts.append(decode_matrix(self.tiles[first + part], b - a, place.width))
        return np.concatenate(parts).T

    def _weights(self, layer: int, name: str) -> Floats:
        return self._matrix(self.layout.tile(layer, name, 0), self.layout.layer[name])

    def _embedded(self) -> Floats:
        p, tokens = self.program, self.machine.case.tokens
        rows = [decode_plain(self.tiles[self.layout.embedding + t], p.hidden)
                for t in tokens[: self.count]]  # fmt: skip
        x: Floats = np.array(rows) + 0.0
        for position, row in enumerate(x):
            self.emit(self.starts[position], encode_cell(row))
        return x

    def _layer(self, layer: int, x: Floats) -> Floats:
        places = self.layout.layer
        q, scale = self._rounded(Kind.NORM_IN, layer, x)
        qkv = q @ self._weights(layer, "qkv") * scale + 0.0
        self._put_rows(Kind.QKV, layer, places["qkv"], qkv)
        x = x + self._attended(layer, qkv) @ self._weights(layer, "out") + 0.0
        self._put_rows(Kind.OUT, layer, places["out"], x)
        q, scale = self._rounded(Kind.NORM_MLP, layer, x)
        both = q @ self._weights(layer, "gate_up") * scale + 0.0
        self._put_rows(Kind.GATE_UP, layer, places["gate_up"], both)
        inner = self.program.inner
        gated = exact.quantise(exact.gated(both), exact.activation_bits(inner)) + 0.0
        self._put(Kind.GATE, layer, 0, 0, 0, gated)
        x = x + gated @ self._weights(layer, "down") + 0.0
        self._put_rows(Kind.DOWN, layer, places["down"], x)
        return x

    def _rounded(self, kind: Kind, layer: int, x: Floats) -> tuple[Floats, Floats]:
        q = exact.quantise(x, exact.square_bits(self.program.hidden)) + 0.0
        scale = exact.unit_scale(q, self.machine.epsilon)
        self._put(kind, layer, 0, 0, 0, np.concatenate([q, scale], 1))
        return q, scale

    def _attended(self, layer: int, qkv: Floats) -> Floats:
        """The rounded heads [n, heads * head]."""
        p, n = self.program, self.count
        heads = qkv.reshape(n, -1, p.head)
        turned, half = heads[:, : p.heads + p.kv_heads], p.head // 2
        first, second = turned[..., :half], turned[..., half:]
        turned = np.concatenate(
            [
                first * self.cosines - second * self.sines,
                second * self.cosines + first * self.sines,
            ],
            axis=2,
        )
        query = exact.quantise(turned[:, : p.heads], self.machine.query_bits) + 0.0
        key = exact.quantise(turned[:, p.heads :], KEY_BITS)
        value = heads[:, p.heads + p.kv_heads :].copy()
        down = exact.round_rows(value, KEY_BITS)
        value *= np.ldexp(1.0, -down)
        kept = np.concatenate([key, value, np.ldexp(1.0, down)], 2).swapaxes(0, 1) + 0.0
        mixed = []
        for part in range(p.kv_heads):
            own = query[:, part * p.group : (part + 1) * p.group]
            self._put(Kind.QUERY, layer, part, 0, 0, own)
            block = np.ascontiguousarray(kept[part])
            for position in range(n):
                begin = position - position % p.block
                raw = encode_cell(block[begin : position + 1])
                self._put_one(Kind.KEEP, layer, part, 0, position, raw)
            mixed.append(self._mixed(layer, part, own, block))
        joined = np.concatenate(mixed, 1).reshape(n, -1)
        result = exact.quantise(joined, exact.activation_bits(joined.shape[1])) + 0.0
        self._put(Kind.HEADS, layer, 0, 0, 0, result)
        return result

    def _mixed(self, layer: int, part: int, query: Floats, kept: Floats) -> Floats:
        """What queries [n, group, head] of a key-value head make of its cache [n, 2 head + 1]."""
        p, n, d = self.program, self.count, self.program.head
        top = np.full((n, p.group), -np.inf)
        total, most, mixed = np.zeros((n, p.group)), np.zeros((n, p.group)), np.zeros(query.shape)
        for block, first, keys in self._blocks():
            scores = self._scores(query[first:], kept[keys], first, keys)
            top[first:] = np.maximum(top[first:], scores.max(2)) + 0.0
            self._put(Kind.TOP, layer, part, block, first, top[first:])
        for block, first, keys in self._blocks():
            weight, scaled = self._weighed(query, kept, top, first, keys)
            total[first:] += weight.sum(2)
            most[first:] = np.maximum(most[first:], scaled.max(2))
            cells = np.concatenate([total[first:], most[first:]], 1)
            self._put(Kind.SUM, layer, part, block, first, cells)
        for block, first, keys in self._blocks():
            _, scaled = self._weighed(query, kept, top, first, keys)
            fine = exact.round_to_grid(scaled, most[first:, :, None], self.machine.weight_bits)
            mixed[first:] += fine @ kept[keys, d : 2 * d]
            cells = mixed[first:].copy()
            ends = min(p.block, n - first)  # positions whose last block this is
            cells[:ends] = cells[:ends] / total[first : first + ends, :, None] + 0.0
            mixed[first : first + ends] = cells[:ends]
            self._put(Kind.MIX, layer, part, block, first, cells)
        return mixed

    def _blocks(self) -> Iterator[tuple[int, int, slice]]:
        """Every block: its number, the first position that sees it, its positions."""
        size = self.program.block
        for block, first in enumerate(range(0, self.count, size)):
            yield block, first, slice(first, min(first + size, self.count))

    def _scores(self, query: Floats, kept: Floats, first: int, keys: slice) -> Floats:
        """Scores [n - first, group, keys]; minus infinity for keys that are yet to come."""
        scale = exact.STEPS_PER_UNIT / float(np.sqrt(self.program.head))
        scores: Floats = query @ kept[:, : self.program.head].T
        scores *= scale
        ahead = np.arange(keys.start, keys.stop) > np.arange(first, self.count)[:, None]
        np.copyto(scores, -np.inf, where=ahead[:, None])
        return scores

    def _weighed(
        self, query: Floats, kept: Floats, top: Floats, first: int, keys: slice
    ) -> tuple[Floats, Floats]:
        """Weights, and weights times scales [n - first, group, keys]; none for keys to come."""
        scores = self._scores(query[first:], kept[keys], first, keys)
        ahead = np.isneginf(scores)
        shifted = np.clip(scores - top[first:, :, None], -exact.REACH, 0.0)
        weight = np.rint(exact.exp_of_steps(shifted, exact.WEIGHT_SCALE))
        weight[ahead] = 0.0
        return weight, weight * kept[keys, 2 * self.program.head]

    def _tail(self, x: Floats) -> None:
        p, first = self.program, self.steps.drawn
        x = x[first:]
        if not len(x):
            return
        norm = decode_plain(self.tiles[self.layout.norm], p.hidden)
        states = exact.rms_norm(x, norm, self.machine.epsilon)
        q = exact.quantise(states, exact.activation_bits(p.hidden)) + 0.0
        self._put(Kind.FINAL, 0, 0, 0, first, q)
        logits = q @ self._matrix(self.layout.head.first, self.layout.head) + 0.0
        self._put_rows(Kind.LOGITS, 0, self.layout.head, logits, first)
        for position, row in enumerate(logits, first):
            token = token_at(self.machine.case, row, position)
            self._put_one(Kind.TOKEN, 0, 0, 0, position, encode_cell(np.array([float(token)])))
