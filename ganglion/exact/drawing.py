"""The token that a seed demands of a row of logits: the rule of sampling, for one draw.

The same rule as `subnets.proofs.sampling`, which has it for many rows at once and with margins;
tests compare them.
"""

from __future__ import annotations

import numpy as np

from ganglion.exact.ieee import Floats, exp
from ganglion.exact.noise import noise
from ganglion.wire.text import Sampling

MASS_BITS = 40
SHARE_BITS = 20


def token_of(logits: Floats, sampling: Sampling, position: int) -> int:
    """The argmax of logit + temperature * noise over the tokens that top-k and top-p leave, the
    lower id of equal ones. `position` counts output tokens."""
    warm, vocab = sampling.temperature, len(logits)
    if warm == 0:
        return int(logits.argmax())
    scores = logits + warm * noise(sampling.seed, position, 1, vocab)[0]
    if 0 < sampling.top_k < vocab or sampling.top_p < 1.0:
        scores = np.where(_kept(logits, sampling), scores, -np.inf)
    return int(scores.argmax())


def _kept(logits: Floats, sampling: Sampling) -> np.ndarray:
    """Which tokens survive: ranks by logit, ties by id; mass counts in integers."""
    vocab = len(logits)
    order = np.argsort(-logits, kind="stable")
    ranked, keep = logits[order], np.ones(vocab, bool)
    if 0 < sampling.top_k < vocab:
        keep[sampling.top_k :] = False
    if sampling.top_p < 1.0:
        mass = np.rint(exp((ranked - ranked[0]) / sampling.temperature) * 2.0**MASS_BITS) * keep
        counts = mass.astype(np.int64)
        before = np.cumsum(counts) - counts
        inside = (
            before <= int(counts.sum()) * round(sampling.top_p * (1 << SHARE_BITS)) >> SHARE_BITS
        )
        inside[0] = True
        keep &= inside
    kept = np.zeros(vocab, bool)
    kept[order] = keep
    return kept
