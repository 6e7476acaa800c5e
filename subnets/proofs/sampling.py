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

import numpy as np
import numpy.typing as npt

from ganglion.wire.text import Sampling as Sampling
from subnets.proofs.ieee import Floats, exp
from subnets.proofs.noise import noise

Mask = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.int64]

MASS_BITS = 40
SHARE_BITS = 20


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


def noised(logits: Floats, draws: Floats | None, sampling: Sampling) -> Floats:
    """Logits plus scaled noise; `draws` may be None at temperature 0."""
    if sampling.temperature == 0 or draws is None:
        return logits
    return logits + sampling.temperature * draws


def choose(logits: Floats, draws: Floats | None, sampling: Sampling) -> Ids:
    """The tokens that the seed demands, for logits [n, vocab] and their noise [n, vocab]."""
    scores, border = noised(logits, draws, sampling), allowed(logits, sampling)
    if border is not None:
        scores = np.where(border.keep, scores, -np.inf)
    tokens: Ids = scores.argmax(1)
    return tokens


def choose_each(
    logits: Floats, draws: Sequence[Floats | None], samplings: Sequence[Sampling]
) -> list[int]:
    """The token of every row of logits [n, vocab], each with its own noise row and settings."""
    plain = [i for i, s in enumerate(samplings) if s.top_p >= 1.0 and not s.top_k]
    tokens = [-1] * len(samplings)
    if plain:
        scores = logits[plain]
        for row, i in zip(scores, plain):
            drawn = draws[i]
            if drawn is not None:
                row += samplings[i].temperature * drawn
        for i, token in zip(plain, scores.argmax(1).tolist()):
            tokens[i] = token
    for i in set(range(len(samplings))) - set(plain):
        drawn = draws[i]
        one = None if drawn is None else drawn[None]
        tokens[i] = int(choose(logits[i][None], one, samplings[i])[0])
    return tokens


def draws_for(sampling: Sampling, start: int, count: int, vocab: int) -> Floats | None:
    """The noise of output positions start .. start + count - 1; None at temperature 0."""
    return None if sampling.temperature == 0 else noise(sampling.seed, start, count, vocab)


def margins(logits: Floats, tokens: Sequence[int], sampling: Sampling, start: int = 0) -> Floats:
    """By how much, in logits, each claimed token misses the demanded one; 0 where it is right.

    `logits` [n, vocab] are the verifier's, `start` the output position of the first token. Near
    the border of top-k or top-p a small error of the logits lets a token in or out, so a rival
    counts for no more than its depth inside, and a token outside misses by its depth outside.
    """
    count, vocab = logits.shape
    scores = noised(logits, draws_for(sampling, start, count, vocab), sampling)
    border, rows, ids = allowed(logits, sampling), np.arange(count), np.asarray(tokens, np.int64)
    if border is None:
        gaps: Floats = scores.max(1) - scores[rows, ids]
        right = scores.argmax(1) == ids
    else:
        lead = scores - scores[rows, ids][:, None]
        rivals = np.where(border.keep, np.minimum(lead, border.depth), 0.0)
        outside = np.where(border.keep[rows, ids], 0.0, -border.depth[rows, ids])
        gaps = np.maximum(rivals.max(1), outside)
        right = np.where(border.keep, scores, -np.inf).argmax(1) == ids
    return np.where(right, 0.0, np.maximum(gaps, 1e-9))
