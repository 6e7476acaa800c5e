"""Judging an answer, from what costs nothing to what costs a prefill; the first failure decides.

Form (`check_form`): token ids, usage recounted, the end of the text, the receipt. Computation
(`judge_computation`): the verifier's own logits name the right tokens, its own hidden states must
match the fingerprints. Sans-IO: margins and states come in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ganglion.exact.ieee import Floats
from ganglion.wire import receipts
from ganglion.wire.receipts import BadReceipt, Expected, Finish
from ganglion.wire.text import TextAnswer, TextRequest
from subnets.models import Thresholds, mismatches_allowed
from subnets.proofs import toploc
from subnets.textgen.spelling import StopWatch, spell
from subnets.verdict import Reason, Verdict


@dataclass(frozen=True, slots=True)
class Facts:
    """What the verifier knows by itself about a request and its model."""

    request: TextRequest
    expected: Expected
    prompt: tuple[int, ...]
    vocab: int
    context: int
    stops: frozenset[int]
    decode: Callable[[list[int]], str]

    @property
    def known(self) -> tuple[int, ...]:
        """All tokens before the answer: the prompt and what another miner delivered."""
        return self.prompt + self.request.resume

    @property
    def most(self) -> int:
        """Output tokens that an answer may have, those of another miner included."""
        return min(self.request.max_tokens, self.context - len(self.prompt))

    def text_of(self, tokens: list[int]) -> str:
        """The text that an answer of these tokens must carry, after what was delivered before."""
        return spell(self.decode, tokens, self.request.resume)

    def checked_tokens(self, answer: TextAnswer) -> tuple[int, ...]:
        """The tokens to prefill; the last `len(answer.tokens)` positions predict the answer."""
        return (*self.known, *answer.tokens[:-1])


class Failure(Exception):
    """A check failed: the reason and a sentence."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def check_tokens(facts: Facts, answer: TextAnswer) -> None:
    """Token ids exist and are not too many, the text is theirs, the usage is counted right."""
    if not answer.tokens or answer.signed is None or answer.finish is None:
        raise Failure(Reason.FORMAT, "the answer has no tokens or no receipt")
    total = len(facts.request.resume) + len(answer.tokens)
    if total > facts.most:  # before anything walks over them
        raise Failure(Reason.FINISH, f"{total} tokens came where {facts.most} were the most")
    if max(answer.tokens) >= facts.vocab:
        raise Failure(Reason.TOKENS, f"token {max(answer.tokens)} is outside the vocabulary")
    if answer.text != facts.text_of(answer.tokens):
        raise Failure(Reason.TOKENS, "the text is not what the tokens spell")
    receipt = answer.signed.receipt
    if list(receipt.tokens) != answer.tokens:
        raise Failure(Reason.RECEIPT, "the receipt is about other tokens than were streamed")
    counted = (len(facts.prompt), len(answer.tokens))
    claimed = (answer.prompt_tokens, answer.completion_tokens)
    if claimed != counted or receipt.prompt_tokens != len(facts.prompt):
        raise Failure(Reason.USAGE, f"usage claims {claimed}, the tokens count {counted}")
    if answer.cached_tokens >= len(facts.known):  # the last one has always to be read
        detail = f"usage claims {answer.cached_tokens} cached tokens of {len(facts.known)}"
        raise Failure(Reason.USAGE, detail)


def check_finish(facts: Facts, answer: TextAnswer) -> None:
    """The answer ends where the request, the model or the context says, and not elsewhere."""
    request, tokens = facts.request, answer.tokens
    if facts.stops & set(tokens[:-1]):
        raise Failure(Reason.FINISH, "the answer goes on after the end of the sequence")
    watch = StopWatch(request.stop, facts.decode, request.resume)
    for token in tokens[:-1]:
        if watch.push(token):
            raise Failure(Reason.FINISH, "the answer goes on after a stop text")
    ended = watch.push(tokens[-1]) or tokens[-1] in facts.stops
    if answer.finish is Finish.STOP and not ended:
        raise Failure(Reason.FINISH, "the answer stops early: no end of sequence, no stop text")
    total = len(request.resume) + len(tokens)
    if answer.finish is Finish.LENGTH and total != facts.most:
        raise Failure(Reason.FINISH, f"the answer stops at {total} tokens of {facts.most}")
    if answer.finish not in (Finish.STOP, Finish.LENGTH):
        raise Failure(Reason.FINISH, "an answer in text ends by length or by a stop, not otherwise")


def check_receipt(facts: Facts, answer: TextAnswer) -> None:
    """The miner signed this answer to this request."""
    assert answer.signed is not None
    signed = answer.signed
    try:
        receipts.check(signed, facts.expected)
    except BadReceipt as e:
        raise Failure(Reason.RECEIPT, str(e)) from e
    if signed.receipt.finish is not answer.finish:
        raise Failure(Reason.RECEIPT, "the receipt tells another finish than the stream")
    if signed.receipt.evidence != receipts.evidence_of(signed.proofs):
        raise Failure(Reason.RECEIPT, "the fingerprints are not those the receipt commits to")


def check_form(facts: Facts, answer: TextAnswer) -> None:
    """Everything that needs no model; Failure says what is wrong."""
    check_tokens(facts, answer)
    check_finish(facts, answer)
    check_receipt(facts, answer)


def check_sampling(answer: TextAnswer, missed: Floats, limits: Thresholds) -> dict[str, int]:
    """Tokens are the demanded ones within the honest tolerance; figures of the comparison.

    `missed` are the `sampling.margins` of the answer's tokens.
    """
    wrong = int((missed > 0).sum())
    worst = round(float(missed.max()) * 1e6)
    figures = {"mismatches": wrong, "margin": worst, "margin_sum": round(float(missed.sum()) * 1e6)}
    at = int(missed.argmax())
    if wrong > mismatches_allowed(len(answer.tokens), limits.mismatch_ppm):
        raise Failure(
            Reason.SAMPLING,
            f"{wrong} of {len(answer.tokens)} tokens are not those the "
            f"seed demands, the worst at {at}",
        )
    if worst > limits.margin:
        raise Failure(
            Reason.SAMPLING,
            f"token {at} misses the demanded one by {worst} "
            f"millionths, {limits.margin} are allowed",
        )
    return figures


def check_fingerprints(
    answer: TextAnswer, states: toploc.Patterns, limits: Thresholds
) -> dict[str, int]:
    """Fingerprints match the verifier's states within the honest tolerance."""
    assert answer.signed is not None
    try:
        distances = toploc.compare(answer.signed.proofs, states)
    except toploc.BadProof as e:
        raise Failure(Reason.FINGERPRINT, str(e)) from e
    worst = {"exponents": 0, "mantissa_mean": 0, "mantissa_median": 0}
    for at, distance in enumerate(distances):
        for name, limit in zip(worst, limits.chunk_limits(distance.points)):
            value = getattr(distance, name)
            worst[name] = max(worst[name], value)
            if value > limit:
                raise Failure(
                    Reason.FINGERPRINT,
                    f"the {name} of fingerprint {at} is {value}, {limit} is allowed",
                )
    return worst


def judge_computation(
    answer: TextAnswer, limits: Thresholds, missed: Floats, states: toploc.Patterns
) -> Verdict:
    """The checks that need the verifier's margins and states of the answer's positions."""
    count = len(answer.tokens)
    figures: dict[str, int] = {}
    try:
        figures |= check_sampling(answer, missed, limits)
        figures |= check_fingerprints(answer, states, limits)
    except Failure as e:
        return Verdict(e.reason, e.detail, tokens=count, figures=figures)
    return Verdict(Reason.OK, "", count, figures["mismatches"], figures=figures)
