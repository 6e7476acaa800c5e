"""What a judge says of an answer: a reason code that the miner can read, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Reason(StrEnum):
    """Every outcome of a check, in the order in which checks run."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    BUSY = "busy"
    FORMAT = "bad-format"
    TOKENS = "bad-tokens"
    USAGE = "wrong-usage"
    FINISH = "wrong-finish"
    RECEIPT = "bad-receipt"
    SAMPLING = "wrong-sampling"
    FINGERPRINT = "wrong-fingerprint"
    VECTORS = "wrong-vectors"
    DUPLICATE = "duplicate"
    OURS = "verifier-outage"


HARD = frozenset(
    {
        Reason.FORMAT,
        Reason.TOKENS,
        Reason.USAGE,
        Reason.FINISH,
        Reason.RECEIPT,
        Reason.SAMPLING,
        Reason.FINGERPRINT,
        Reason.VECTORS,
        Reason.DUPLICATE,
    }
)
"""Reasons that only a broken or dishonest miner gives: they zero it for a while."""

MISSING = frozenset({Reason.UNREACHABLE, Reason.TIMEOUT})
"""Reasons that the verifier's own machine or network may be to blame for."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement. `detail` is a sentence for the miner's operator.

    `tokens` were judged, `mismatches` of them are not the demanded ones; `first_token_ms` and
    `total_ms` are as the validator measured them.
    """

    reason: Reason
    detail: str = ""
    tokens: int = 0
    mismatches: int = 0
    first_token_ms: int = 0
    total_ms: int = 0
    figures: dict[str, int] = field(default_factory=dict)

    @property
    def verified(self) -> bool:
        """The answer was checked and is right."""
        return self.reason is Reason.OK

    @property
    def hard(self) -> bool:
        """The miner is at fault beyond doubt."""
        return self.reason in HARD
