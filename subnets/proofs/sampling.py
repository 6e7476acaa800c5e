"""Seeded sampling, and how far a claimed token lies from the one the seed demands.

The sampled token is the argmax of logit + temperature * noise over the tokens that top-k and
top-p leave (ties to the lower id); at temperature 0 it is the plain argmax. Miner and verifier
run the same function, so a verifier with its own logits can name the only right token, and with
slightly different logits the *margin* by which another token misses it.

Source of the idea: Token-DiFR (arXiv 2511.20621).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ganglion.wire.text import Sampling as Sampling
from subnets.proofs.ieee import Floats, exp
from subnets.proofs.noise import noise

Mask = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.int64]

MASS_BITS = 40
SHARE_BITS = 20


def allowed(logits: Floats, sampling: Sampling) -> Mask | None:
    """Which tokens of logits [n, vocab] survive top-k, then top-p; None if all do.

    Ranks order by logit, ties by id. Probability mass is counted in integers, so the boundary
    of top-p is the same everywhere.
    """
    vocab = logits.shape[1]
    cut = sampling.top_k if 0 < sampling.top_k < vocab else vocab
    if sampling.temperature == 0 or (cut == vocab and sampling.top_p >= 1.0):
        return None
    order = np.argsort(-logits, 1, kind="stable")[:, :cut]
    ranked = np.take_along_axis(logits, order, 1)
    keep = np.ones(ranked.shape, bool)
    if sampling.top_p < 1.0:
        mass = np.rint(exp((ranked - ranked[:, :1]) / sampling.temperature) * 2.0**MASS_BITS)
        running = np.cumsum(mass.astype(np.int64), 1)
        share = round(sampling.top_p * (1 << SHARE_BITS))
        limits = [int(total) * share >> SHARE_BITS for total in running[:, -1]]
        keep = running - mass.astype(np.int64) <= np.array(limits)[:, None]
        keep[:, 0] = True
    result = np.zeros(logits.shape, bool)
    np.put_along_axis(result, order, keep, 1)
    return result


def noised(logits: Floats, draws: Floats | None, sampling: Sampling) -> Floats:
    """Logits plus scaled noise; `draws` may be None at temperature 0."""
    if sampling.temperature == 0 or draws is None:
        return logits
    return logits + sampling.temperature * draws


def choose(logits: Floats, draws: Floats | None, sampling: Sampling) -> Ids:
    """The tokens that the seed demands, for logits [n, vocab] and their noise [n, vocab]."""
    scores, mask = noised(logits, draws, sampling), allowed(logits, sampling)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    tokens: Ids = scores.argmax(1)
    return tokens


def draws_for(sampling: Sampling, start: int, count: int, vocab: int) -> Floats | None:
    """The noise of output positions start .. start + count - 1; None at temperature 0."""
    return None if sampling.temperature == 0 else noise(sampling.seed, start, count, vocab)


def margins(logits: Floats, tokens: Sequence[int], sampling: Sampling, start: int = 0) -> Floats:
    """By how much, in logits, each claimed token misses the demanded one; 0 where it is right.

    `logits` [n, vocab] are the verifier's, `start` the output position of the first token. A
    token that top-k or top-p cut off misses by at least its distance from the last that stayed.
    """
    count, vocab = logits.shape
    scores = noised(logits, draws_for(sampling, start, count, vocab), sampling)
    mask, rows, ids = allowed(logits, sampling), np.arange(count), np.asarray(tokens, np.int64)
    if mask is None:
        gaps: Floats = scores.max(1) - scores[rows, ids]
        right = scores.argmax(1) == ids
    else:
        inside = np.where(mask, scores, -np.inf)
        edge = np.where(mask, logits, np.inf).min(1) - logits[rows, ids]
        gaps = np.maximum(inside.max(1) - scores[rows, ids], np.where(mask[rows, ids], 0.0, edge))
        right = inside.argmax(1) == ids
    return np.where(right, 0.0, np.maximum(gaps, 1e-9))
