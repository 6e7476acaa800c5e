"""The exact engine's layers in fused steps, for passes of many rows: prompts, checks, batches.

Between two products numpy walks over the rows a dozen times and makes as many arrays; the C
module `_kernels` walks once. The operations are the same, so are the bits. It is built when
the package is installed, where there is a C compiler; without it everything runs on numpy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ganglion.exact import arithmetic as exact
from ganglion.exact.arithmetic import Matrix, NormedMatrix
from neurons.engine.base import PAGE, Floats
from neurons.engine.exact_attention import BLOCK, KEY_BITS, Cache, Heads

try:
    from neurons.engine import _kernels as kernels
except ImportError:  # no compiler when the package was installed
    BUILT = False
else:
    BUILT = True
    kernels.set_table(exact.exp_table())


def normed_product(matrix: NormedMatrix, x: Floats) -> tuple[Floats, Floats]:
    """The product of rounded rows x [n, in], and what its rows [n] are still to be scaled by."""
    q, scales = np.empty_like(x), np.empty(len(x))
    kernels.round_and_scale(x, q, scales, len(x), x.shape[1], matrix.bits, matrix.epsilon)
    return q @ matrix.columns, scales


def product(matrix: Matrix, x: Floats) -> Floats:
    """`Matrix.apply`; x is overwritten."""
    kernels.round_rows(x, x, len(x), x.shape[1], matrix.bits)
    result: Floats = x @ matrix.columns
    return result


def rms_norm(x: Floats, weight: Floats, epsilon: float) -> Floats:
    """`exact.rms_norm`."""
    result, scales = np.empty_like(x), np.empty(len(x))
    bits = exact.square_bits(x.shape[1])
    kernels.round_and_scale(x, result, scales, len(x), x.shape[1], bits, epsilon)
    np.multiply(x, scales[:, None], out=result)
    result *= weight
    return result


def feed_forward(gate_up: NormedMatrix, down: Matrix, x: Floats) -> Floats:
    """What a gated network adds to rows x [n, in]."""
    both, scales = normed_product(gate_up, x)
    inner = np.empty((len(x), down.terms))
    kernels.gate(both, scales, inner, len(inner), down.terms, down.bits)
    result: Floats = inner @ down.columns
    return result


def remember(
    heads: Heads, cache: Cache, layer: int, qkv: NormedMatrix, x: Floats, turn: tuple[Any, Any],
    where: tuple[Any, Any],
) -> Floats:  # fmt: skip
    """Store the keys and values of rows x at (pages, slots); their queries [n, heads, head]."""
    fresh, scales = normed_product(qkv, x)
    cosines, sines = (np.ascontiguousarray(table) for table in turn)
    stored, factors = cache.stored[layer], cache.scales[layer]
    query = np.empty((len(x), heads.heads, heads.head))
    kernels.remember(
        fresh, scales, cosines, sines, where[0] * PAGE + where[1], query, stored, factors,
        len(x), len(stored) * PAGE, *heads.sizes, heads.query_bits, KEY_BITS,
    )  # fmt: skip
    return query


def attend(
    heads: Heads, cache: Cache, layer: int, table: Any, query: Floats, mixed: Floats, start: int
) -> None:
    """Consecutive queries [n, heads, head] of one sequence, the first at `start`, into `mixed`."""
    stored, scales, (_, kv_heads, head) = cache.stored[layer], cache.scales[layer], heads.sizes
    whole, slots = start + len(query), len(stored) * PAGE
    keys, values = np.empty((kv_heads, head, whole)), np.empty((kv_heads, whole, head))
    factors = np.empty((kv_heads, whole))
    kernels.gather(stored, scales, table, keys, values, factors, slots, PAGE, whole, kv_heads, head)
    for at in range(0, len(query), BLOCK):
        q, out = query[at : at + BLOCK], mixed[at : at + BLOCK]
        n, seen = len(q), start + at + len(q)
        q, by_head = (part.reshape(n, kv_heads, heads.groups, head).transpose(1, 2, 0, 3)
                      for part in (q, out))  # fmt: skip
        scores, totals = q @ keys[:, None, :, :seen], np.empty((heads.heads, n))
        kernels.weigh(
            scores, factors, totals, kv_heads, heads.groups * n, seen, whole, n, start + at,
            heads.scale, heads.weight_bits,
        )  # fmt: skip
        np.matmul(scores, values[:, None, :seen], out=by_head)
        kernels.settle(out, totals, n, heads.heads, head)
