"""A verifier's margins where the logits lie: what `subnets.proofs.sampling.margins` gives.

The logits of a whole answer over a large vocabulary are hundreds of megabytes. Here only one
number a token leaves the device. Plain tensor operations, each rounding once, in the order of the
numpy rule: the same bits on a processor and on a CUDA device.
"""

from __future__ import annotations

import numpy as np
import torch

from ganglion.exact.ieee import LN2
from ganglion.exact.noise import MULTIPLIERS, ROUNDS, WEYL
from neurons.engine.base import Claim, Floats
from neurons.engine.device_sampling import (
    is_filtered,
    ranking,
    seed_words,
)

LOW = (1 << 32) - 1
AT_ONCE = 1 << 22
"""Scores that are worked on together; a step needs some twenty times their size in memory."""


def missed(logits: torch.Tensor, claim: Claim) -> Floats:
    """The margins [n] of claimed tokens for logits [n, vocab]; ArithmeticError for no numbers."""
    count, vocab = logits.shape
    ids = torch.tensor(list(claim.tokens), device=logits.device)
    step, parts = max(1, AT_ONCE // vocab), []
    for at in range(0, count, step):
        piece, tokens = logits[at : at + step].double(), ids[at : at + step, None]
        parts.append(_missed(piece, tokens, claim, claim.position + at))
    result: Floats = torch.cat(parts).cpu().numpy()
    if np.isnan(result).any():
        raise ArithmeticError("the model's scores are not numbers")
    return result


def _missed(logits: torch.Tensor, ids: torch.Tensor, claim: Claim, start: int) -> torch.Tensor:
    warm, (count, vocab) = claim.sampling.temperature, logits.shape
    scores = logits
    if warm > 0:
        words = integers(seed_words(claim.sampling.seed), start, count, vocab, logits.device)
        scores = logits + warm * gumbel(words)
    own = scores.gather(1, ids)
    if not is_filtered(claim.sampling, vocab):
        best = scores.max(1, keepdim=True).values
        first = lowest(scores == best, torch.arange(vocab, device=logits.device)[None])
        return settled((best - own)[:, 0], first == ids[:, 0])
    order, keep, depth = border(logits, claim)
    scores = scores.gather(1, order)
    place = (order == ids).int().argmax(1, keepdim=True)
    zero = torch.zeros((), dtype=torch.float64, device=logits.device)
    rivals = torch.where(keep, torch.minimum(scores - own, depth), zero).max(1).values
    outside = torch.where(keep.gather(1, place), zero, -depth.gather(1, place))[:, 0]
    left = scores.masked_fill(~keep, float("-inf"))
    first = lowest(left == left.max(1, keepdim=True).values, order)
    return settled(torch.maximum(rivals, outside), first == ids[:, 0])


def settled(gaps: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Nothing for right tokens, something for others; NaN stays."""
    zeroed = torch.where(right & ~gaps.isnan(), torch.zeros_like(gaps), gaps.clamp(min=1e-9))
    return torch.where(gaps.isnan(), gaps, zeroed)


def lowest(marked: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The lowest of the marked ids of every row."""
    nowhere = torch.full((), 1 << 62, dtype=torch.int64, device=marked.device)
    return torch.where(marked, ids, nowhere).min(1).values


def border(logits: torch.Tensor, claim: Claim) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`sampling.allowed` by rank: the order of ids, which survive, and their depths."""
    sampling, vocab = claim.sampling, logits.shape[1]
    warm, cut = sampling.temperature, sampling.top_k
    found = ranking(logits, [sampling])
    ranked, inside = found.ranked, found.inside
    keep = found.few.expand_as(inside)
    depth = torch.full_like(ranked, float("inf"))
    if 0 < cut < vocab:
        depth[:, :cut] = ranked[:, :cut] - ranked[:, cut, None]
        depth[:, cut:] = ranked[:, cut:] - ranked[:, cut - 1, None]
    if sampling.top_p < 1.0:
        room = (found.limits - found.before).double() / found.totals.double() * (4.0 * warm)
        edge = inside.sum(1, keepdim=True)
        last, first = (ranked.gather(1, at) for at in (edge - 1, edge.clamp(max=vocab - 1)))
        inner = torch.minimum(room.clamp(min=0.0), ranked - first)
        outer = torch.maximum(room.clamp(max=0.0), ranked - last)
        depth, keep = torch.minimum(depth, torch.where(inside, inner, outer)), keep & inside
    depth = depth.masked_fill(keep.all(1, keepdim=True), float("inf"))
    return found.order, keep, depth


def integers(
    words: tuple[int, int, int, int], start: int, count: int, vocab: int, device: torch.device
) -> torch.Tensor:
    """`noise.integers`, as int64 [count, vocab]."""

    def column(values: range) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int64, device=device)

    blocks, rows = column(range(-(-vocab // 4))), column(range(start, start + count))
    k0, k1, third, fourth = words
    c0, c1 = (t.expand(count, len(blocks)) for t in (blocks[None], rows[:, None]))
    c2, c3 = torch.full_like(c0, third), torch.full_like(c0, fourth)
    for _ in range(ROUNDS):
        first, second = c0 * int(MULTIPLIERS[0]), c2 * int(MULTIPLIERS[1])  # modulo 2**64
        c0, c1 = (second >> 32 & LOW) ^ k0 ^ c1, second & LOW
        c2, c3 = (first >> 32 & LOW) ^ k1 ^ c3, first & LOW
        k0, k1 = (k0 + int(WEYL[0])) & LOW, (k1 + int(WEYL[1])) & LOW
    return torch.stack((c0, c1, c2, c3), -1).reshape(count, -1)[:, :vocab]


def gumbel(draws: torch.Tensor) -> torch.Tensor:
    """`noise.gumbel`."""
    return -log(-log((draws.double() * 2.0 + 1.0) * 2.0**-33))


def log(x: torch.Tensor) -> torch.Tensor:
    """`ieee.log`, operation by operation."""
    m, e = torch.frexp(x)
    small = m < 0.7071067811865476
    m = torch.where(small, m * 2.0, m)
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    series = torch.full_like(s, 1.0 / 21.0)
    for odd in range(19, 0, -2):
        series = series * square
        series = series + 1.0 / odd
    return (e - small.int()).double() * LN2 + s * series * 2.0
