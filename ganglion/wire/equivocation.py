"""Whether two receipts contradict each other, by the rule that the chain slashes for.

In the exact class tokens are a function of weights, request and seed. So two receipts of one miner
about one request of one caller contradict each other if a token differs at a place that both have.
Nothing else does: a miner of the fast class may say it differently the second time, an answer may
be cut short, and vectors are no tokens.
"""

from __future__ import annotations

from enum import Enum

from ganglion.scale import codec, u16, u32
from ganglion.wire.receipts import Digest, Finish, Receipt

ENDS = (Finish.LENGTH, Finish.STOP)

Subject = tuple[Digest, u16, Digest, Digest, Digest, Digest, Digest, u32, u32]


class Same(Enum):
    """What two receipts are to each other."""

    CONFLICT = 0
    INEXACT = 1
    OTHER_SUBJECT = 2
    AGREE = 3


def subject(receipt: Receipt) -> bytes:
    """What a receipt is about: all that determines the tokens of an exact answer, and who asked
    whom on which chain."""
    r = receipt
    about = (r.genesis, r.netuid, r.request, r.caller, r.miner, r.weights, r.seed)
    return codec(Subject).encode((*about, r.prompt_tokens, r.first))


def conflict(one: Receipt, other: Receipt) -> Same:
    """Whether a miner that signed both has contradicted itself."""
    if not all(r.exact and r.finish in ENDS for r in (one, other)):
        return Same.INEXACT
    if one.version != other.version or subject(one) != subject(other):
        return Same.OTHER_SUBJECT
    differs = any(a != b for a, b in zip(one.tokens, other.tokens, strict=False))
    return Same.CONFLICT if differs else Same.AGREE
