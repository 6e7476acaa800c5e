"""Top-k and top-p of a large vocabulary from its head: the few tokens that can matter.

`sampling.allowed` sorts every token; at 128,000 of them that costs more than the rest of the draw.
Here a row's head, the tokens of highest rank, is found without sorting, and only the head is
sorted. It holds all that survive and the first that does not, so everything the rule asks for
follows from it: the same tokens, ties included, and the same margins to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganglion.exact.ieee import Floats, exp
from ganglion.wire.text import Sampling

MASS_BITS = 40
SHARE_BITS = 20
STEPS = 64
"""Steps to one unit of logit over temperature, by which the head is found."""
LAST_STEP = 29 * STEPS
"""From here on a token's mass rounds to zero: 2**40 exp(-29) < 0.3."""
PIECE = 1 << 14
"""Tokens that are weighed at once: few enough for the processor's cache."""

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Head:
    """The tokens `ids` of highest rank of one row of logits, of which the first `kept` survive.

    At least one that does not survive is there, if there is one. With top-p, `mass` are their
    integer probability masses, `total` is that of all tokens that top-k leaves, and `limit` what
    may lie before a token that survives.
    """

    ids: Ids
    kept: int
    mass: Ids | None
    limit: int
    total: int


def head_of(row: Floats, sampling: Sampling) -> Head | None:
    """The head of logits [vocab]; None if every token survives.

    ArithmeticError if the highest logit is no finite number.
    """
    vocab, warm = len(row), sampling.temperature
    cut = sampling.top_k if 0 < sampling.top_k < vocab else vocab
    if warm == 0 or (cut == vocab and sampling.top_p >= 1.0):
        return None
    highest = float(row.max())
    if not np.isfinite(highest):
        raise ArithmeticError("the model's scores are not numbers")
    share = round(sampling.top_p * (1 << SHARE_BITS))
    if cut < vocab:
        least = np.partition(row, vocab - cut - 1)[vocab - cut - 1]
        ids = in_order(row, np.flatnonzero(row >= least))
        if sampling.top_p >= 1.0:
            return Head(ids, cut, None, 0, 0)
        mass = masses(row[ids], highest, warm)
        mass[cut:] = 0
        total = int(mass.sum())
        limit = total * share >> SHARE_BITS
        return Head(ids, min(cut, survivors(mass, limit)), mass, limit, total)
    total, by_step = weighed(row, highest, warm)
    limit = total * share >> SHARE_BITS
    last = int(np.searchsorted(np.cumsum(by_step), limit, "right")) + 2
    least = highest - last * warm / STEPS if last <= LAST_STEP else -np.inf
    while True:
        ids = in_order(row, np.flatnonzero(row >= least))
        mass = masses(row[ids], highest, warm)
        kept = survivors(mass, limit)
        if kept < len(ids) or kept == vocab:
            break
        least = row[row < least].max()  # all survive: the next is wanted too
    return None if kept == vocab else Head(ids, kept, mass, limit, total)


def masses(logits: Floats, highest: float, warm: float) -> Ids:
    """The integer masses of logits, for a row's highest."""
    result: Ids = np.rint(exp((logits - highest) / warm) * 2.0**MASS_BITS).astype(np.int64)
    return result


def weighed(row: Floats, highest: float, warm: float) -> tuple[int, Floats]:
    """The mass of all tokens, and about what lies in every step below the highest logit."""
    total, by_step = 0, np.zeros(LAST_STEP + 1)
    for at in range(0, len(row), PIECE):
        piece = row[at : at + PIECE]
        mass = masses(piece, highest, warm)
        total += int(mass.sum())
        steps = np.minimum((highest - piece) * (STEPS / warm), LAST_STEP).astype(np.int64)
        by_step += np.bincount(steps, mass, LAST_STEP + 1)
    return total, by_step


def in_order(row: Floats, ids: Ids) -> Ids:
    """These tokens, given in the order of their ids, by rank: by logit, ties by id."""
    order: Ids = ids[np.argsort(-row[ids], kind="stable")]
    return order


def survivors(mass: Ids, limit: int) -> int:
    """How many of the first tokens by rank have no more than `limit` of mass before them."""
    before = np.cumsum(mass) - mass
    return max(1, int(np.searchsorted(before, limit, "right")))


def depths(row: Floats, head: Head, sampling: Sampling) -> Floats:
    """`sampling.Filter.depth` of the tokens that survive, by rank."""
    scores, kept = row[head.ids], head.kept
    depth = np.full(kept, np.inf)
    if 0 < sampling.top_k < len(row):
        depth = scores[:kept] - scores[sampling.top_k]
    if head.mass is not None:
        before = (np.cumsum(head.mass) - head.mass)[:kept]
        room = (head.limit - before) / head.total * (4.0 * sampling.temperature)
        first = scores[min(survivors(head.mass, head.limit), len(scores) - 1)]
        depth = np.minimum(depth, np.minimum(np.maximum(room, 0.0), scores[:kept] - first))
    return depth


def depth_outside(row: Floats, token: int, head: Head, sampling: Sampling) -> float:
    """`sampling.Filter.depth` of a token that does not survive."""
    scores, score, depth = row[head.ids], row[token], np.inf
    ahead = row > score
    ahead[:token] |= row[:token] == score
    place, few = int(ahead.sum()), 0 < sampling.top_k < len(row)
    if few:
        depth = score - scores[sampling.top_k - (place >= sampling.top_k)]
    if head.mass is None:
        return float(depth)
    if few or place < len(head.ids):
        before = int(head.mass[:place].sum())
    else:
        before = weighed(row[ahead], float(scores[0]), sampling.temperature)[0]
    room = float(head.limit - before) / float(head.total) * (4.0 * sampling.temperature)
    edge = survivors(head.mass, head.limit)
    if before <= head.limit:  # top-k alone leaves it out
        first = scores[min(edge, len(scores) - 1)]
        return float(min(depth, min(max(room, 0.0), score - first)))
    return float(min(depth, max(min(room, 0.0), score - scores[edge - 1])))
