"""Judging vectors: they must be those of the verifier's own model, up to its numeric noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ganglion.wire import receipts
from ganglion.wire.receipts import BadReceipt, Expected
from ganglion.wire.vectors import EmbedAnswer, Vectors, evidence, vector_bytes
from subnets.verdict import Reason, Verdict

TOLERANCE_PPM = 2_000
"""The largest honest distance between unit vectors, in millionths: float32 against bfloat16."""


@dataclass(frozen=True, slots=True)
class EmbedFacts:
    """What the verifier knows by itself: its own vectors and token count."""

    expected: Expected
    vectors: Vectors
    tokens: int
    exact: bool


def judge(facts: EmbedFacts, answer: EmbedAnswer) -> Verdict:
    """Receipt, usage, then distance; the figure is the largest distance in millionths."""
    receipt = answer.signed.receipt
    try:
        receipts.check(answer.signed, facts.expected)
    except BadReceipt as e:
        return Verdict(Reason.RECEIPT, str(e), facts.tokens)
    if receipt.evidence != evidence(vector_bytes(answer.vectors)):
        return Verdict(Reason.RECEIPT, "the receipt commits to other vectors", facts.tokens)
    if answer.prompt_tokens != facts.tokens or receipt.prompt_tokens != facts.tokens:
        detail = f"usage claims {answer.prompt_tokens} tokens, the texts have {facts.tokens}"
        return Verdict(Reason.USAGE, detail, facts.tokens)
    gaps = np.linalg.norm(facts.vectors.astype(np.float64) - answer.vectors, axis=1)
    worst = round(float(gaps.max()) * 1e6)
    figures = {"distance_ppm": worst}
    limit = 0 if facts.exact and receipt.exact else TOLERANCE_PPM
    if worst > limit:
        detail = f"a vector lies {worst} millionths from the right one, {limit} are allowed"
        return Verdict(Reason.VECTORS, detail, facts.tokens, figures=figures)
    return Verdict(Reason.OK, "", facts.tokens, figures=figures)
