"""What a dispute is about: the tokens that a miner signed, and how each had to be drawn.

A receipt holds the hash of the request as it was sent, so who shows the request's bytes shows the
prompt, the seed and the settings that the miner signed for. Everything in a case is on the table
from the first move; the parties disagree about the arithmetic alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from ganglion.exact.program import Program, bits_of
from ganglion.exact.steps import Steps
from ganglion.hashing import blake2_256
from ganglion.scale import u32, u64
from ganglion.wire.fields import BadMessage
from ganglion.wire.receipts import VERSION, Digest, Finish, Receipt
from ganglion.wire.text import TextRequest

MOST_TOKENS = 1 << 14
"""Tokens of prompt and answer that a dispute goes over at most; what is behind them is not
disputed."""


class NotCovered(ValueError):
    """This receipt cannot be disputed; the message says why."""


@dataclass(frozen=True, slots=True)
class Case:
    """Prompt and answer, the place of the answer's first token, and how tokens are drawn.

    `first` is the output position of that token; `temperature` and `top_p` are bits of float64.
    """

    tokens: tuple[u32, ...]
    prompt: u32
    first: u32
    seed: Digest
    temperature: u64
    top_k: u32
    top_p: u64


def case_of(program: Program, receipt: Receipt, body: bytes) -> Case:
    """The case that a receipt and the request it names make; NotCovered says why there is none."""
    if not receipt.exact or receipt.finish is Finish.VECTORS:
        raise NotCovered("only text of the exact class has tokens that must be these and no others")
    request, prompt = _asked(program, receipt, body)
    before = (*prompt, *request.resume)
    most = min(program.context, MOST_TOKENS)
    if max(before) >= program.vocab or len(before) >= most or not receipt.tokens:
        raise NotCovered("the prompt is too long, is none of this model's, or has no answer")
    sampling = request.sampling
    return Case(
        (*before, *receipt.tokens)[:most],
        len(before),
        len(request.resume),
        sampling.seed,
        bits_of(sampling.temperature),
        sampling.top_k,
        bits_of(sampling.top_p),
    )


def is_misbilled(program: Program, receipt: Receipt, body: bytes) -> bool:
    """Whether a receipt counts what its request shows to be otherwise: the prompt's tokens, those
    that another miner had made, or more tokens than were asked for. NotCovered if that cannot be
    told."""
    request, prompt = _asked(program, receipt, body)
    counted = receipt.prompt_tokens, receipt.first
    most = request.max_tokens - len(request.resume)
    return counted != (len(prompt), len(request.resume)) or len(receipt.tokens) > most


def _asked(program: Program, receipt: Receipt, body: bytes) -> tuple[TextRequest, tuple[int, ...]]:
    """The request that a receipt names, and its prompt; NotCovered if this is not it."""
    if receipt.version != VERSION:
        raise NotCovered(f"receipts of version {receipt.version} are unknown here")
    if receipt.weights != program.weights:
        raise NotCovered("the receipt is about another model")
    if blake2_256(body) != receipt.request:
        raise NotCovered("the receipt is about another request")
    try:
        request = TextRequest.from_bytes(body)
    except BadMessage as e:
        raise NotCovered(f"the request cannot be read: {e}") from e
    prompt = program.prompt_of(request)
    if prompt is None:
        raise NotCovered("the program does not say how text becomes tokens: give them as tokens")
    return request, prompt


def steps_of(program: Program, case: Case) -> Steps:
    """The steps of a case: the last token is drawn, but nothing is computed from it."""
    return Steps(program, len(case.tokens) - 1, case.prompt - 1)
