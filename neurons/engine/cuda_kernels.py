"""Two Triton kernels for decoding on a GPU: attention over pages, and the seeded draw.

The draw makes the noise of `ganglion.exact.noise` bit for bit: its integers are those of Philox,
and its float64 operations are single ones in the same order (the compiler is told not to fuse
products with sums). A token drawn here is therefore the one that numpy would draw from the same
logits. Attention works token by token in pieces of a fixed number of positions, so that a
token's result depends on its own sequence alone, not on its company.

Source of the split: "Flash-Decoding for long-context inference" (Dao and others, 2023).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from neurons.engine.base import PAGE

PIECE = 256
"""Positions that one program attends to; pieces of a sequence are joined afterwards."""
STEP = 64
"""Positions that a program reads at once: keys and values of wide heads are read in fewer."""
SHARED = 24 << 10
"""Bytes of keys, and of values, that a program holds: both fit into a block of any card."""
WORDS = 512
"""Philox blocks, of four tokens each, that one program draws."""
NOWHERE = 1 << 62


@triton.jit
def _attend_piece(
    query, keys, values, table, row_of, last, out, top, total,
    scale, window, table_width, heads: tl.constexpr, groups: tl.constexpr,
    rows: tl.constexpr, width: tl.constexpr, page: tl.constexpr,
    piece: tl.constexpr, step: tl.constexpr,
):  # fmt: skip
    """One piece of one token's sequence for one key head and all query heads that share it."""
    token, head, part = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    parts = tl.num_programs(2)
    end = tl.load(last + token) + 1
    begin = tl.maximum(end - window, part * piece)
    stop = tl.minimum(end, part * piece + piece)
    group, lane = tl.arange(0, rows), tl.arange(0, width)
    here = group < groups
    at = (token * heads + head) * groups + group
    q = tl.load(query + at[:, None] * width + lane[None], mask=here[:, None], other=0.0)
    best = tl.full((rows,), float("-inf"), tl.float32)
    mass = tl.zeros((rows,), tl.float32)
    mixed = tl.zeros((rows, width), tl.float32)
    pages = table + tl.load(row_of + token) * table_width
    first = part * piece
    while first < stop:
        position = first + tl.arange(0, step)
        seen = (position >= begin) & (position < stop)
        slot = tl.load(pages + position // page, mask=seen, other=0) * page + position % page
        where = (slot * heads + head)[:, None] * width + lane[None]
        k = tl.load(keys + where, mask=seen[:, None], other=0.0)
        v = tl.load(values + where, mask=seen[:, None], other=0.0)
        score = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        score = tl.where(seen[None], score, float("-inf"))
        higher = tl.maximum(best, tl.max(score, 1))
        # while nothing has been seen, both maxima are -inf and their difference is no number
        kept = tl.where(best == float("-inf"), 0.0, tl.exp(best - higher))
        share = tl.exp(score - tl.where(higher == float("-inf"), 0.0, higher)[:, None])
        mass = mass * kept + tl.sum(share, 1)
        mixed = mixed * kept[:, None] + tl.dot(share.to(v.dtype), v, input_precision="ieee")
        best, first = higher, first + step
    cell = at * parts + part
    tl.store(top + cell, best, mask=here)
    tl.store(total + cell, mass, mask=here)
    tl.store(out + cell[:, None] * width + lane[None], mixed, mask=here[:, None])


@triton.jit
def _join_pieces(
    mixed, top, total, last, out,
    parts: tl.constexpr, slots: tl.constexpr, width: tl.constexpr,
    heads: tl.constexpr, piece: tl.constexpr,
):  # fmt: skip
    """The attention of one token and query head from its pieces."""
    token = tl.program_id(0)
    at = token * heads + tl.program_id(1)
    part, lane = tl.arange(0, slots), tl.arange(0, width)
    real = (part < parts) & (part * piece <= tl.load(last + token))
    tops = tl.load(top + at * parts + part, mask=real, other=float("-inf"))
    weight = tl.where(tops == float("-inf"), 0.0, tl.exp(tops - tl.max(tops, 0)))
    mass = tl.sum(weight * tl.load(total + at * parts + part, mask=real, other=0.0), 0)
    where = (at * parts + part)[:, None] * width + lane[None]
    value = tl.sum(weight[:, None] * tl.load(mixed + where, mask=real[:, None], other=0.0), 0)
    tl.store(out + at * width + lane, (value / mass).to(out.dtype.element_ty))


@triton.jit
def _log(x):
    """`ganglion.exact.ieee.log` for positive normal float64."""
    bits = x.to(tl.int64, bitcast=True)
    fraction = (bits & 0xFFFFFFFFFFFFF) | 0x3FE0000000000000
    m = fraction.to(tl.float64, bitcast=True)
    small = m < 0.7071067811865476
    m = tl.where(small, m * 2.0, m)
    e = (bits >> 52) - 1022 - small.to(tl.int64)
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    series = tl.zeros_like(s) + 1.0 / 21.0
    for step in tl.static_range(10):
        series = series * square + 1.0 / (19 - 2 * step)
    return e.to(tl.float64) * 0.6931471805599453 + s * series * 2.0


@triton.jit
def _lane_scores(logits, draw, token, vocab, warm):
    """Logit plus scaled noise of some tokens; -inf beyond the vocabulary."""
    uniform = (draw.to(tl.float64) * 2.0 + 1.0) * 1.1641532182693481e-10  # 2**-33
    noise = -_log(-_log(uniform))
    logit = tl.load(logits + token, mask=token < vocab, other=float("-inf")).to(tl.float64)
    return tl.where(warm == 0.0, logit, logit + warm * noise)


@triton.jit
def _higher(best, who, score, token):
    """The higher score and its token; of equal ones the lower token."""
    wins = (score > best) | ((score == best) & (token < who))
    return tl.where(wins, score, best), tl.where(wins, token, who)


@triton.jit
def _draw_block(logits, seeds, positions, heat, tops, ids, vocab, words: tl.constexpr):
    """The highest noised score of one row among the tokens of `words` Philox blocks."""
    row, part = tl.program_id(0), tl.program_id(1)
    block = part * words + tl.arange(0, words)
    key0, key1 = tl.load(seeds + row * 4).to(tl.uint32), tl.load(seeds + row * 4 + 1).to(tl.uint32)
    zero = tl.zeros((words,), tl.uint32)
    c0 = block.to(tl.uint32)
    c1 = zero + tl.load(positions + row).to(tl.uint32)
    c2 = zero + tl.load(seeds + row * 4 + 2).to(tl.uint32)
    c3 = zero + tl.load(seeds + row * 4 + 3).to(tl.uint32)
    first, second = zero + 0xD2511F53, zero + 0xCD9E8D57
    for _ in tl.static_range(10):
        high0, low0 = tl.umulhi(c0, first), c0 * first
        high1, low1 = tl.umulhi(c2, second), c2 * second
        c0, c1, c2, c3 = high1 ^ c1 ^ key0, low1, high0 ^ c3 ^ key1, low0
        key0 += 0x9E3779B9
        key1 += 0xBB67AE85
    warm, at = tl.load(heat + row), logits + row * vocab
    token = block.to(tl.int64) * 4
    best, who = _lane_scores(at, c0, token, vocab, warm), token
    best, who = _higher(best, who, _lane_scores(at, c1, token + 1, vocab, warm), token + 1)
    best, who = _higher(best, who, _lane_scores(at, c2, token + 2, vocab, warm), token + 2)
    best, who = _higher(best, who, _lane_scores(at, c3, token + 3, vocab, warm), token + 3)
    top = tl.max(best, 0)
    cell = row * tl.num_programs(1) + part
    tl.store(tops + cell, top)
    tl.store(ids + cell, tl.min(tl.where(best == top, who, 4611686018427387904), 0))


def attention(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, table: torch.Tensor,
    row_of: torch.Tensor, last: torch.Tensor, scale: float, window: int | None,
) -> torch.Tensor:  # fmt: skip
    """Every token's attention over its own sequence, its own position included.

    `query` [tokens, heads, width]; `keys` and `values` [slots, key heads, width]; `table`
    [rows, pages] int64; `row_of` and `last` [tokens] int64: the token's row of the table and its
    position. Returns [tokens, heads, width]. Shapes alone decide what is launched, so it can be
    captured in a graph.
    """
    count, heads, width = query.shape
    shared = keys.shape[1]
    parts = triton.cdiv(table.shape[1] * PAGE, PIECE)
    mixed = query.new_empty((count, heads, parts, width), dtype=torch.float32)
    top, total = (query.new_empty((count, heads, parts), dtype=torch.float32) for _ in range(2))
    out = torch.empty_like(query)
    _attend_piece[(count, shared, parts)](
        query, keys, values, table, row_of, last, mixed, top, total,
        scale, window or 1 << 30, table.stride(0), shared, heads // shared,
        max(16, triton.next_power_of_2(heads // shared)), width, PAGE, PIECE,
        step_for(width, keys.element_size()),
    )  # fmt: skip
    _join_pieces[(count, heads)](
        mixed, top, total, last, out, parts, triton.next_power_of_2(parts), width, heads, PIECE
    )
    return out


def step_for(width: int, size: int) -> int:
    """How many positions of heads of `width` numbers of `size` bytes are read at once."""
    step = STEP
    while step > 16 and step * width * size > SHARED:
        step //= 2
    return step


def draw(
    logits: torch.Tensor, seeds: torch.Tensor, positions: torch.Tensor, heat: torch.Tensor
) -> torch.Tensor:
    """The tokens [n] that the seeds demand of logits [n, vocab] without top-k and top-p.

    `seeds` [n, 4] int64 are the words of `noise.stream_words`, `positions` [n] int64 the output
    positions, `heat` [n] float64 the temperatures. A row without a number in it gives 2**62.
    """
    count, vocab = logits.shape
    parts = triton.cdiv(vocab, 4 * WORDS)
    tops = logits.new_empty((count, parts), dtype=torch.float64)
    ids = logits.new_empty((count, parts), dtype=torch.int64)
    _draw_block[(count, parts)](
        logits, seeds, positions, heat, tops, ids, vocab, WORDS, enable_fp_fusion=False
    )
    best = tops.amax(1, keepdim=True)
    return torch.where(tops == best, ids, NOWHERE).amin(1)
