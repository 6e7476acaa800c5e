"""Seeded sampling, and how far a claimed token lies from the one the seed demands.

The sampled token is the argmax of logit + temperature * noise over the tokens that top-k and
top-p leave (ties to the lower id); at temperature 0 it is the plain argmax. Miner and verifier
run the same function, so a verifier with its own logits can name the only right token, and with
slightly different logits the *margin* by which another token misses it.

Source of the idea: Token-DiFR (arXiv 2511.20621).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
import numpy.typing as npt

from ganglion.exact.ieee import Floats, exp
from ganglion.exact.noise import Words, ceiling, floor, gumbel, integers, noise
from ganglion.wire.text import Sampling as Sampling
from subnets.proofs.head import MASS_BITS as MASS_BITS
from subnets.proofs.head import SHARE_BITS as SHARE_BITS
from subnets.proofs.head import depth_outside, depths, head_of

Mask = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.int64]

Draws = Floats | Words
"""Rows of noise (float64), or of the integers it is made of (uint64); see `draws_for`."""

LARGE = 4096
"""The vocabulary from which on it pays to work out the noise of a few tokens only."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tokens of logits [n, vocab] survive top-k, then top-p, and by how much.

    `depth` is about the change of logits, in logits, that would move a token across the border:
    positive inside, negative outside.
    """

    keep: Mask
    depth: Floats


def allowed(logits: Floats, sampling: Sampling) -> Filter | None:
    """The filter of these settings; None if every token survives.

    Ranks order by logit, ties by id. Probability mass is counted in integers, so the border of
    top-p is the same everywhere.
    """
    vocab, warm = logits.shape[1], sampling.temperature
    cut = sampling.top_k if 0 < sampling.top_k < vocab else vocab
    if warm == 0 or (cut == vocab and sampling.top_p >= 1.0):
        return None
    order = np.argsort(-logits, 1, kind="stable")
    ranked = np.take_along_axis(logits, order, 1)
    keep, depth = np.ones(ranked.shape, bool), np.full(ranked.shape, np.inf)
    if cut < vocab:
        keep[:, cut:] = False
        depth[:, :cut] = ranked[:, :cut] - ranked[:, cut, None]
        depth[:, cut:] = ranked[:, cut:] - ranked[:, cut - 1, None]
    if sampling.top_p < 1.0:
        mass = np.rint(exp((ranked - ranked[:, :1]) / warm) * 2.0**MASS_BITS) * keep
        counts = mass.astype(np.int64)
        before = np.cumsum(counts, 1) - counts
        totals = [int(row.sum()) for row in counts]
        share = round(sampling.top_p * (1 << SHARE_BITS))
        limits = np.array([total * share >> SHARE_BITS for total in totals])[:, None]
        inside = before <= limits
        inside[:, 0] = True
        # mass moves by a quarter of its whole, at most, for one unit of logit over temperature
        room = (limits - before) / np.array(totals)[:, None] * (4.0 * warm)
        # a token also crosses by changing places with the one across the border
        edge = inside.sum(1, keepdims=True)
        last, first = (
            np.take_along_axis(ranked, at, 1) for at in (edge - 1, np.minimum(edge, vocab - 1))
        )
        inner = np.minimum(np.maximum(room, 0.0), ranked - first)
        outer = np.maximum(np.minimum(room, 0.0), ranked - last)
        depth, keep = np.minimum(depth, np.where(inside, inner, outer)), keep & inside
    depth[keep.sum(1) == vocab] = np.inf
    by_id, depths = np.zeros(logits.shape, bool), np.empty(logits.shape)
    np.put_along_axis(by_id, order, keep, 1)
    np.put_along_axis(depths, order, depth, 1)
    return Filter(by_id, depths)


def is_integers(draws: Draws) -> TypeGuard[Words]:
    """Whether the noise of these draws has still to be worked out."""
    return draws.dtype == np.uint64


def noised(logits: Floats, draws: Draws | None, sampling: Sampling) -> Floats:
    """Logits plus scaled noise; `draws` may be None at temperature 0."""
    if sampling.temperature == 0 or draws is None:
        return logits
    added = gumbel(draws) if is_integers(draws) else draws
    return logits + sampling.temperature * added


def leaders(
    logits: Floats, draws: Words, warm: Floats, claimed: Ids | None = None
) -> tuple[Ids, Floats, Floats]:
    """The tokens [n] with the highest noised score, the lower id of equal ones, and the scores.

    `warm` [n, 1] are the temperatures. Third come the scores of the `claimed` tokens [n], if
    there are any. The noise itself is worked out only for tokens whose upper bound reaches the
    lower bound of the one with the highest: a few of a large vocabulary. Raises ArithmeticError
    if a row holds no numbers.
    """
    bounds = logits + warm * ceiling(draws)
    rows = np.arange(len(logits))
    first = bounds.argmax(1)
    reached = logits[rows, first] + warm[:, 0] * floor(draws[rows, first])
    if np.isnan(reached).any():
        raise ArithmeticError("the model's scores are not numbers")
    if claimed is not None:
        bounds[rows, claimed] = np.inf
    near, ids = np.divmod(np.flatnonzero(bounds >= reached[:, None]), logits.shape[1])
    scores = logits[near, ids] + warm[near, 0] * gumbel(draws[near, ids])
    starts = np.searchsorted(near, rows)
    tops = np.maximum.reduceat(scores, starts)
    best = np.flatnonzero(scores == tops[near])
    leading = ids[best[np.searchsorted(near[best], rows)]]
    own = tops[:0] if claimed is None else scores[ids == claimed[near]]
    return leading, tops, own


def choose(logits: Floats, draws: Draws | None, sampling: Sampling) -> Ids:
    """The tokens that the seed demands, for logits [n, vocab] and their draws [n, vocab]."""
    if logits.shape[1] >= LARGE and is_filtered(sampling) and draws is not None:
        return np.array([choose_one(*row, sampling) for row in zip(logits, draws)])
    border = allowed(logits, sampling)
    if border is not None:
        logits = np.where(border.keep, logits, -np.inf)
    if draws is not None and is_integers(draws):
        return leaders(logits, draws, np.full((len(logits), 1), sampling.temperature))[0]
    tokens: Ids = noised(logits, draws, sampling).argmax(1)
    return tokens


def is_filtered(sampling: Sampling) -> bool:
    """Whether top-k or top-p may take tokens away."""
    return sampling.temperature > 0 and (sampling.top_k > 0 or sampling.top_p < 1.0)


def choose_one(row: Floats, draws: Draws, sampling: Sampling) -> int:
    """`choose` for one row of a large vocabulary."""
    head = head_of(row, sampling)
    if head is None:
        warm = np.full((1, 1), sampling.temperature)
        if is_integers(draws):
            return int(leaders(row[None], draws[None], warm)[0][0])
        return int(noised(row, draws, sampling).argmax())
    ids = np.sort(head.ids[: head.kept])  # the lower of equal scores comes first
    return int(ids[noised(row[ids], draws[ids], sampling).argmax()])


def choose_each(
    logits: Floats, draws: Sequence[Draws | None], samplings: Sequence[Sampling]
) -> list[int]:
    """The token of every row of logits [n, vocab], each with its own draws and settings."""
    plain = [i for i, s in enumerate(samplings) if s.top_p >= 1.0 and not s.top_k]
    tokens = [-1] * len(samplings)
    if plain and logits.shape[1] < LARGE:
        scores = logits[plain]
        for row, i in zip(scores, plain):
            drawn = draws[i]
            if drawn is not None:
                row += samplings[i].temperature * drawn
        for i, token in zip(plain, scores.argmax(1).tolist()):
            tokens[i] = token
    for i in (i for i, token in enumerate(tokens) if token < 0):
        drawn = draws[i]
        one = None if drawn is None else drawn[None]
        tokens[i] = int(choose(logits[i][None], one, samplings[i])[0])
    return tokens


def draws_for(sampling: Sampling, start: int, count: int, vocab: int) -> Draws | None:
    """The draws of output positions start .. start + count - 1; None at temperature 0.

    They are noise for a small vocabulary and integers for a large one: `choose` takes either.
    """
    if sampling.temperature == 0:
        return None
    return (noise if vocab < LARGE else integers)(sampling.seed, start, count, vocab)


def margins(logits: Floats, tokens: Sequence[int], sampling: Sampling, start: int = 0) -> Floats:
    """By how much, in logits, each claimed token misses the demanded one; 0 where it is right.

    `logits` [n, vocab] are the verifier's, `start` the output position of the first token. Near
    the border of top-k or top-p a small error of the logits lets a token in or out, so a rival
    counts for no more than its depth inside, and a token outside misses by its depth outside.
    """
    count, vocab = logits.shape
    if vocab >= LARGE and is_filtered(sampling):
        each = zip(logits, tokens, range(start, start + count))
        return np.array([margin(row, token, sampling, at) for row, token, at in each])
    draws = None if sampling.temperature == 0 else integers(sampling.seed, start, count, vocab)
    border, rows, ids = allowed(logits, sampling), np.arange(count), np.asarray(tokens, np.int64)
    if border is None and draws is not None:
        warm = np.full((count, 1), sampling.temperature)
        first, tops, own = leaders(logits, draws, warm, ids)
        gaps, right = tops - own, first == ids
    elif border is None:
        gaps, right = logits.max(1) - logits[rows, ids], logits.argmax(1) == ids
    else:
        scores = noised(logits, draws, sampling)
        lead = scores - scores[rows, ids][:, None]
        rivals = np.where(border.keep, np.minimum(lead, border.depth), 0.0)
        outside = np.where(border.keep[rows, ids], 0.0, -border.depth[rows, ids])
        gaps = np.maximum(rivals.max(1), outside)
        right = np.where(border.keep, scores, -np.inf).argmax(1) == ids
    return np.where(right, 0.0, np.maximum(gaps, 1e-9))


def margin(row: Floats, token: int, sampling: Sampling, position: int) -> float:
    """`margins` for one row of a large vocabulary."""
    draws = integers(sampling.seed, position, 1, len(row))[0]
    head = head_of(row, sampling)
    if head is None:
        warm, claimed = np.full((1, 1), sampling.temperature), np.array([token])
        first, tops, own = leaders(row[None], draws[None], warm, claimed)
        right, gap = first[0] == token, float(tops[0] - own[0])
    else:
        ids = head.ids[: head.kept]
        scores = noised(row[ids], draws[ids], sampling)
        own = noised(row[[token]], draws[[token]], sampling)
        gap = float(np.minimum(scores - own, depths(row, head, sampling)).max())
        if token not in ids:
            gap = max(gap, -depth_outside(row, token, head, sampling))
        best = ids[scores == scores.max()].min()
        right, gap = best == token, max(gap, 0.0)
    return 0.0 if right else max(gap, 1e-9)
