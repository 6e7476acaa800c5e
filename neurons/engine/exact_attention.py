"""Causal attention over pages for the exact engine: the same bits for every batch and block.

Keys are cached as rounded values, values as integers with a scale for every position. Weights
take in that scale and are rounded again, so that every sum is one of integers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ganglion.exact import arithmetic as exact
from neurons.engine.base import PAGE, Floats, Row, pages_for

KEY_BITS = 20
BLOCK = 48  # queries that attend together: few enough for the processor's cache
NEVER = -1e300  # a score that has no weight

Together = Callable[["Heads", "Cache", int, Any, Floats, Floats, int], None]


class Cache:
    """Pages of rounded keys, then values [layer, page, PAGE, 2 * kv_head, head]; value scales."""

    def __init__(self, layers: int, kv_heads: int, head: int, pages: int) -> None:
        self.stored = np.zeros((layers, pages, PAGE, 2 * kv_heads, head))
        self.scales = np.zeros((layers, pages, PAGE, kv_heads))


class Heads:
    """How many heads of what size; queries of consecutive heads share a key-value head."""

    def __init__(self, heads: int, kv_heads: int, head: int, context: int) -> None:
        self.heads, self.kv_heads, self.head = heads, kv_heads, head
        self.groups, self.sizes = heads // kv_heads, (heads, kv_heads, head)
        self.query_bits = exact.MANTISSA - KEY_BITS - exact.ceil_log2(head)
        self.weight_bits = exact.MANTISSA - KEY_BITS - exact.ceil_log2(context)
        each = [self.query_bits] * heads + [KEY_BITS] * 2 * kv_heads
        self.bits = np.array(each, np.int32)[:, None]
        self.scale = exact.STEPS_PER_UNIT / float(np.sqrt(head))

    def rotate(self, qkv: Floats, turn: tuple[Floats, Floats]) -> None:
        """Turn queries and keys by their positions' angles, in place."""
        both, half = qkv[:, : -self.kv_heads], self.head // 2
        first, second, (cosine, sine) = both[..., :half], both[..., half:], turn
        kept, crossed = first * cosine, second * cosine
        crossed += first * sine
        kept -= second * sine
        first[:], second[:] = kept, crossed

    def remember(self, cache: Cache, layer: int, where: tuple[Any, Any], qkv: Floats) -> Floats:
        """Store turned keys and values [n, heads, head] at (pages, slots); the rounded queries."""
        exponent = exact.round_rows(qkv, self.bits)
        fresh = qkv[:, self.heads :]
        down = exponent[:, -self.kv_heads :]
        fresh[:, self.kv_heads :] *= np.ldexp(1.0, -down)
        cache.stored[layer][where] = fresh
        cache.scales[layer][where] = np.ldexp(1.0, down)[..., 0]
        return qkv[:, : self.heads]


class Plan:
    """Which queries of a layer attend to which pages: the last `counts` tokens of every row.

    Rows with one query attend together, padded to the longest with whatever page 0 holds, at no
    weight: every sum is exact, so the padding changes nothing.
    """

    def __init__(self, rows: Sequence[Row], counts: Sequence[int]) -> None:
        self.longer: list[tuple[slice, Any, int]] = []
        places, single, at = [], [], 0
        for row, count in zip(rows, counts):
            end = row.start + len(row.tokens)
            if count == 1:
                places.append(at)
                single.append((row.pages[: pages_for(end)], end))
            elif count:
                table = np.asarray(row.pages[: pages_for(end)])
                self.longer.append((slice(at, at + count), table, end - count))
            at += count
        self.total, self.places = at, np.array(places, np.int64)
        longest = max((len(pages) for pages, _ in single), default=0)
        self.pages = np.zeros((len(single), longest), np.int64)
        for line, (pages, _) in zip(self.pages, single):
            line[: len(pages)] = pages
        ends = np.array([end for _, end in single], np.int64)
        self.absent = (np.arange(longest * PAGE) >= ends[:, None])[:, None, None]

    def attend(
        self,
        cache: Cache,
        layer: int,
        query: Floats,
        heads: Heads,
        together: Together | None = None,
    ) -> Floats:
        """Rounded queries [total, heads, head] over the cache: [total, heads * head].

        `together` attends the queries of one sequence, as `in_blocks` does.
        """
        together = together or in_blocks
        stored, scales = cache.stored[layer], cache.scales[layer]
        if len(self.places) == self.total:
            return self._crowd(stored, scales, query, heads)
        mixed = np.empty((self.total, heads.heads * heads.head))
        if len(self.places):
            mixed[self.places] = self._crowd(stored, scales, query[self.places], heads)
        for span, table, start in self.longer:
            together(heads, cache, layer, table, query[span], mixed[span], start)
        return mixed

    def _crowd(self, stored: Floats, scales: Floats, query: Floats, heads: Heads) -> Floats:
        """One new query each of many sequences."""
        n, kv = len(query), heads.kv_heads
        both = _joined(stored, self.pages, n).swapaxes(1, 2)
        factors = _joined(scales, self.pages, n).swapaxes(1, 2)[:, :, None]
        q = query.reshape(n, kv, heads.groups, heads.head)
        scores = q @ both[:, :kv].swapaxes(2, 3)
        scores *= heads.scale
        np.copyto(scores, NEVER, where=self.absent)
        p, total = exact.softmax(scores, factors, heads.weight_bits)
        mixed: Floats = p @ both[:, kv:]
        mixed /= total
        return mixed.reshape(n, -1)


def _joined(stored: Floats, table: Any, *lead: int) -> Floats:
    """Pages joined: [*lead, positions, ...]."""
    joined: Floats = stored.take(table, 0).reshape(*lead, -1, *stored.shape[2:])
    return joined


def in_blocks(
    heads: Heads, cache: Cache, layer: int, table: Any, query: Floats, mixed: Floats, start: int
) -> None:
    """Consecutive queries [n, heads, head] of one sequence, the first at `start`, into `mixed`."""
    own, factors = _joined(cache.stored[layer], table), _joined(cache.scales[layer], table)
    for at in range(0, len(query), BLOCK):
        piece = slice(at, at + BLOCK)
        _block(own, factors, query[piece], mixed[piece], start + at, heads)


def _block(
    both: Floats, factors: Floats, query: Floats, mixed: Floats, start: int, heads: Heads
) -> None:
    """A few consecutive queries of one sequence, the first at position `start`, into `mixed`."""
    n, h, length = len(query), heads, start + len(query)
    both = both[:length].swapaxes(0, 1)[:, None]
    q, out = (part.reshape(n, h.kv_heads, h.groups, h.head).transpose(1, 2, 0, 3)
              for part in (query, mixed))  # fmt: skip
    scores = q @ both[: h.kv_heads].swapaxes(2, 3)
    scores *= h.scale
    ahead = np.arange(n) > np.arange(n)[:, None]
    np.copyto(scores[..., start:], NEVER, where=ahead)
    p, total = exact.softmax(scores, factors[:length].T[:, None, None], h.weight_bits)
    np.matmul(p, both[h.kv_heads :], out=out)
    out /= total
