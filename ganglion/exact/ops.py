"""What every step computes, for one position at a time: what parties trace and referees check.

The arithmetic is the exact engine's, so its values are the engine's to the bit (tests compare the
two; only the sign of a zero may differ, so cells have none). A referee runs it on what a stranger
committed to, so nothing is taken on trust: sums are made only of what is shown to lie on a grid on
which they are exact, and what is no number is no cell. Whatever bytes come in, every machine
comes to the same end.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

import numpy as np

from ganglion.exact import arithmetic as exact
from ganglion.exact.case import Case, steps_of
from ganglion.exact.drawing import token_of
from ganglion.exact.ieee import Floats
from ganglion.exact.program import (
    MATRICES,
    MOST_EXPONENT,
    BadTile,
    Place,
    Program,
    decode_matrix,
    decode_plain,
    floats_of,
    layout_of,
)
from ganglion.exact.steps import Kind, Step, Steps
from ganglion.wire.text import Sampling

KEY_BITS = 20
"""Of cached keys and values; see `neurons.engine.exact_attention`."""


class Impossible(ValueError):
    """Cells that no honest computation has: what is made of them cannot be right."""


class Source(Protocol):
    """Where cells and tiles come from."""

    def cell(self, index: int, size: int) -> Floats:
        """The cell of an earlier step, which has so many values."""
        ...

    def tile(self, index: int) -> bytes:
        """A tile of the weights."""
        ...


def on_grid(values: Floats, bits: int) -> Floats:
    """Rows that are integers of `bits` bits times a power of two; Impossible if they are not."""
    mantissa, exponent = np.frexp(np.abs(values).max(-1, keepdims=True))
    exponent = exponent - bits - (mantissa == 0.5)
    whole = np.ldexp(values, -exponent)
    if not (whole == np.rint(whole)).all() or (np.abs(exponent) > MOST_EXPONENT).any():
        raise Impossible("values that should be rounded are not")
    return values


def sampling_of(case: Case) -> Sampling:
    """The settings of a case."""
    warm, share = struct.unpack("<2d", struct.pack("<2Q", case.temperature, case.top_p))
    return Sampling(case.seed, warm, case.top_k, share)


def token_at(case: Case, logits: Floats, position: int) -> int:
    """The token that has to follow a position of a case."""
    return token_of(logits, sampling_of(case), case.first + position + 1 - case.prompt)


class Machine:
    """The computation of one case, a step at a time."""

    def __init__(self, program: Program, case: Case) -> None:
        self.program, self.case = program, case
        self.steps: Steps = steps_of(program, case)
        self.layout = layout_of(program)
        self.epsilon, self.theta = floats_of(program)
        self.query_bits = exact.MANTISSA - KEY_BITS - exact.ceil_log2(program.head)
        self.weight_bits = exact.MANTISSA - KEY_BITS - exact.ceil_log2(program.context)

    def run(self, index: int, source: Source) -> Floats:
        """The cell of a step, from cells and tiles that `source` hands out.

        Impossible if there is none; what `source` raises passes through.
        """
        step = self.steps.at(index)
        with np.errstate(all="ignore"):
            try:
                cell: Floats = _DO[step.kind](self, step, source) + 0.0  # no sign on a zero
            except BadTile as e:
                raise Impossible(str(e)) from e
        if not np.isfinite(cell).all():
            raise Impossible("what comes out is no number")
        return cell

    # --- where values come from ----------------------------------------------------------------

    def size(self, step: Step) -> int:
        """Values in the cell of a step."""
        p, kind = self.program, step.kind
        place = self._place(kind)
        if place is not None:
            a, b = place.span(step.part)
            return b - a
        if kind is Kind.KEEP:
            return (step.position % p.block + 1) * (2 * p.head + 1)
        return {
            Kind.EMBED: p.hidden, Kind.NORM_IN: p.hidden + 1, Kind.NORM_MLP: p.hidden + 1,
            Kind.QUERY: p.group * p.head, Kind.TOP: p.group, Kind.SUM: 2 * p.group,
            Kind.MIX: p.group * p.head, Kind.HEADS: p.heads * p.head, Kind.GATE: p.inner,
            Kind.FINAL: p.hidden, Kind.TOKEN: 1,
        }[kind]  # fmt: skip

    def take(self, source: Source, step: Step) -> Floats:
        """The cell of an earlier step."""
        return source.cell(self.steps.index(step), self.size(step))

    def rows(self, source: Source, at: Step, kind: Kind, a: int, b: int) -> Floats:
        """Rows a to b of a product at the position and layer of a step."""
        place = self._place(kind)
        assert place is not None
        first, last = a // place.rows, (b - 1) // place.rows
        cells = [self.take(source, Step(at.position, kind, at.layer, t))
                 for t in range(first, last + 1)]  # fmt: skip
        return np.concatenate(cells)[a - first * place.rows : b - first * place.rows]

    def residual(self, source: Source, at: Step, a: int, b: int) -> Floats:
        """Rows of the residual with which a layer begins."""
        if at.layer == 0:
            return self.take(source, Step(at.position, Kind.EMBED))[a:b]
        return self.rows(source, Step(at.position, at.kind, at.layer - 1), Kind.DOWN, a, b)

    def product(self, source: Source, step: Step, x: Floats, bits: int) -> Floats:
        """A tile's rows times rounded values."""
        place = self._place(step.kind)
        assert place is not None
        a, b = place.span(step.part)
        tile = self.layout.head.first + step.part
        if step.kind is not Kind.LOGITS:
            tile = self.layout.tile(step.layer, _MATRIX[step.kind], step.part)
        weights = decode_matrix(source.tile(tile), b - a, place.width)
        result: Floats = on_grid(x, bits) @ weights.T
        return result

    def _place(self, kind: Kind) -> Place | None:
        if kind is Kind.LOGITS:
            return self.layout.head
        name = _MATRIX.get(kind)
        return None if name is None else self.layout.layer[name]

    def blocks(self, step: Step, source: Source) -> tuple[Floats, Floats]:
        """The queries [group, head] of a step's position and its block of the cache [n, 2 d + 1],
        both shown to be rounded."""
        p = self.program
        last = min((step.block + 1) * p.block, step.position + 1) - 1
        at = Step(step.position, Kind.QUERY, step.layer, step.part)
        query = self.take(source, at).reshape(p.group, p.head)
        kept = self.take(source, Step(last, Kind.KEEP, step.layer, step.part))
        kept = kept.reshape(-1, 2 * p.head + 1)
        on_grid(kept[:, : p.head], KEY_BITS)
        return on_grid(query, self.query_bits), kept

    def scores(self, query: Floats, kept: Floats) -> Floats:
        """Scores [group, n] in steps of the exponential."""
        scale = exact.STEPS_PER_UNIT / float(np.sqrt(self.program.head))
        found: Floats = query @ kept[:, : self.program.head].T
        return found * scale

    def weights(self, step: Step, source: Source) -> tuple[Floats, Floats, Floats]:
        """Integer weights [group, n] of a block, the same times the values' scales, and the
        values [n, head] themselves."""
        p, (query, kept) = self.program, self.blocks(step, source)
        last = self.steps.blocks(step.position) - 1
        top = self.take(source, Step(step.position, Kind.TOP, step.layer, step.part, last))
        shifted = np.clip(self.scores(query, kept) - top[:, None], -exact.REACH, 0.0)
        weight = np.rint(exact.exp_of_steps(shifted, exact.WEIGHT_SCALE))
        values, factor = kept[:, p.head : 2 * p.head], kept[:, 2 * p.head]
        mantissa, exponent = np.frexp(factor)
        if not (mantissa == 0.5).all() or (np.abs(exponent) > MOST_EXPONENT).any():
            raise Impossible("the scale of a value is a power of two")
        if np.abs(values).max() > 1 << KEY_BITS or not (values == np.rint(values)).all():
            raise Impossible("cached values are integers")
        return weight, weight * factor, values

    def earlier(self, step: Step, source: Source) -> Floats | None:
        """What the same step made of the blocks before."""
        if step.block == 0:
            return None
        return self.take(
            source, Step(step.position, step.kind, step.layer, step.part, step.block - 1)
        )


def _embed(m: Machine, step: Step, source: Source) -> Floats:
    token = m.case.tokens[step.position]
    if token >= m.program.vocab:
        raise Impossible("there is no such token")
    return decode_plain(source.tile(m.layout.embedding + token), m.program.hidden)


def _rounded(m: Machine, x: Floats) -> Floats:
    q = exact.quantise(x[None], exact.square_bits(m.program.hidden))
    return np.concatenate([q[0], exact.unit_scale(q, m.epsilon)[0]])


def _norm_in(m: Machine, step: Step, source: Source) -> Floats:
    return _rounded(m, m.residual(source, step, 0, m.program.hidden))


def _norm_mlp(m: Machine, step: Step, source: Source) -> Floats:
    return _rounded(m, m.rows(source, step, Kind.OUT, 0, m.program.hidden))


def _scaled(m: Machine, step: Step, source: Source) -> Floats:
    """QKV and GATE_UP."""
    norm = Kind.NORM_IN if step.kind is Kind.QKV else Kind.NORM_MLP
    x = m.take(source, Step(step.position, norm, step.layer))
    result: Floats = m.product(source, step, x[:-1], exact.square_bits(m.program.hidden)) * x[-1]
    return result


def _turned(m: Machine, step: Step, heads: Floats) -> Floats:
    """Heads [n, head] turned by the position's angles."""
    cosine, sine = exact.rotary_at(step.position, m.program.head, m.theta)
    half = m.program.head // 2
    first, second = heads[:, :half], heads[:, half:]
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=1)


def _query(m: Machine, step: Step, source: Source) -> Floats:
    size = m.program.group * m.program.head
    own = m.rows(source, step, Kind.QKV, step.part * size, (step.part + 1) * size)
    turned = _turned(m, step, own.reshape(m.program.group, m.program.head))
    return exact.quantise(turned, m.query_bits).reshape(-1)


def _keep(m: Machine, step: Step, source: Source) -> Floats:
    p, d = m.program, m.program.head
    key, value = (
        m.rows(source, step, Kind.QKV, h * d, (h + 1) * d)[None]
        for h in (p.heads + step.part, p.heads + p.kv_heads + step.part)
    )
    key = exact.quantise(_turned(m, step, key), KEY_BITS)
    value = value.copy()
    down = exact.round_rows(value, KEY_BITS)
    value *= np.ldexp(1.0, -down)
    fresh = np.concatenate([key[0], value[0], np.ldexp(1.0, down)[0]])
    if step.position % p.block == 0:
        return fresh
    before = m.take(source, Step(step.position - 1, Kind.KEEP, step.layer, step.part))
    return np.concatenate([before, fresh])


def _top(m: Machine, step: Step, source: Source) -> Floats:
    highest: Floats = m.scores(*m.blocks(step, source)).max(1)
    before = m.earlier(step, source)
    return highest if before is None else np.maximum(before, highest)


def _sum(m: Machine, step: Step, source: Source) -> Floats:
    weight, scaled, _ = m.weights(step, source)
    total, most = weight.sum(1), scaled.max(1)
    before = m.earlier(step, source)
    if before is not None:
        total, most = total + before[: len(total)], np.maximum(before[len(total) :], most)
    return np.concatenate([total, most])


def _mix(m: Machine, step: Step, source: Source) -> Floats:
    p, last = m.program, m.steps.blocks(step.position) - 1
    _, scaled, values = m.weights(step, source)
    sums = m.take(source, Step(step.position, Kind.SUM, step.layer, step.part, last))
    total, most = sums[: p.group, None], sums[p.group :, None]
    if (scaled > most).any():
        raise Impossible("a weight is above the largest")
    mixed = exact.round_to_grid(scaled, most, m.weight_bits) @ values
    before = m.earlier(step, source)
    if before is not None:
        mixed = before.reshape(p.group, p.head) + mixed
    if step.block == last:
        mixed = mixed / total
    return mixed.reshape(-1)


def _heads(m: Machine, step: Step, source: Source) -> Floats:
    last = m.steps.blocks(step.position) - 1
    mixed = [m.take(source, Step(step.position, Kind.MIX, step.layer, g, last))
             for g in range(m.program.kv_heads)]  # fmt: skip
    joined = np.concatenate(mixed)
    return exact.quantise(joined, exact.activation_bits(len(joined)))


def _out(m: Machine, step: Step, source: Source) -> Floats:
    x = m.take(source, Step(step.position, Kind.HEADS, step.layer))
    product = m.product(source, step, x, exact.activation_bits(len(x)))
    return m.residual(source, step, *m.layout.layer["out"].span(step.part)) + product


def _gate(m: Machine, step: Step, source: Source) -> Floats:
    inner = m.program.inner
    both = m.rows(source, step, Kind.GATE_UP, 0, 2 * inner)
    gated = exact.gated(both[None])[0]
    return exact.quantise(gated, exact.activation_bits(inner))


def _down(m: Machine, step: Step, source: Source) -> Floats:
    x = m.take(source, Step(step.position, Kind.GATE, step.layer))
    product = m.product(source, step, x, exact.activation_bits(len(x)))
    return m.rows(source, step, Kind.OUT, *m.layout.layer["down"].span(step.part)) + product


def _final(m: Machine, step: Step, source: Source) -> Floats:
    p = m.program
    end = Step(step.position, step.kind, p.layers)
    x = m.residual(source, end, 0, p.hidden)
    weight = decode_plain(source.tile(m.layout.norm), p.hidden)
    states = exact.rms_norm(x[None], weight, m.epsilon)[0]
    return exact.quantise(states, exact.activation_bits(p.hidden))


def _logits(m: Machine, step: Step, source: Source) -> Floats:
    x = m.take(source, Step(step.position, Kind.FINAL))
    return m.product(source, step, x, exact.activation_bits(len(x)))


def _token(m: Machine, step: Step, source: Source) -> Floats:
    logits = m.rows(source, step, Kind.LOGITS, 0, m.program.vocab)
    return np.array([float(token_at(m.case, logits, step.position))])


_MATRIX = dict(zip((Kind.QKV, Kind.OUT, Kind.GATE_UP, Kind.DOWN), MATRICES))
_DO: dict[Kind, Callable[[Machine, Step, Source], Floats]] = {
    Kind.EMBED: _embed, Kind.NORM_IN: _norm_in, Kind.NORM_MLP: _norm_mlp, Kind.QKV: _scaled,
    Kind.GATE_UP: _scaled, Kind.QUERY: _query, Kind.KEEP: _keep, Kind.TOP: _top, Kind.SUM: _sum,
    Kind.MIX: _mix, Kind.HEADS: _heads, Kind.OUT: _out, Kind.GATE: _gate, Kind.DOWN: _down,
    Kind.FINAL: _final, Kind.LOGITS: _logits, Kind.TOKEN: _token,
}  # fmt: skip


def encode_cell(values: Floats) -> bytes:
    """The bytes of a cell: float64, little-endian."""
    return np.ascontiguousarray(values, "<f8").tobytes()


def decode_cell(raw: bytes, size: int) -> Floats:
    """The values of a cell; Impossible unless there are `size` finite ones."""
    if len(raw) != 8 * size:
        raise Impossible(f"a cell has {size} values of 8 bytes")
    values = np.frombuffer(raw, "<f8").astype(np.float64)
    if not np.isfinite(values).all():
        raise Impossible("a cell holds numbers only")
    return values
