"""Measuring how far honest miners stray from a verifier, and writing the model's thresholds.

Every variant is an engine that an honest miner might run: another kernel, precision or batch
size of the same weights. All of them answer the same kind of requests that probes make; the
verifier prefills the answers and the distances are kept. A threshold is the largest honest
distance with a margin on top, because a calibration never sees the worst case.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ganglion.wire.fields import BadMessage
from ganglion.wire.text import Sampling, TextRequest
from neurons.engine.base import Claim, LanguageModel, Patterns, Tokenizer, missed, prefill
from neurons.engine.batch import Job, Scheduler
from neurons.engine.pages import PagePool, needed
from neurons.miner.textgen import prompt_tokens
from subnets.models import Thresholds
from subnets.proofs import toploc
from subnets.textgen.probe import draw_messages, draw_passage, draw_sampling

MARGIN = 1.5
"""Thresholds are this many times the largest honest distance of a fingerprint or rate, ..."""

TAIL = 2.0
"""... and this many times the largest honest miss of a token, whose tail is longer."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer: its request, prompt, tokens and the states the miner fingerprinted."""

    sampling: Sampling
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    states: Patterns


@dataclass(slots=True)
class Distances:
    """What one variant's answers measured against the verifier."""

    tokens: int = 0
    misses: list[int] = field(default_factory=list)
    chunks: list[toploc.Distance] = field(default_factory=list)

    @property
    def mismatch_ppm(self) -> int:
        """Share of tokens other than the demanded ones, in millionths."""
        return len(self.misses) * 1_000_000 // max(1, self.tokens)


def draw_requests(rng: random.Random, model: str, count: int, tokens: int) -> list[TextRequest]:
    """Requests of exactly `tokens` tokens with the settings that probes have."""
    return [
        TextRequest(
            rng.randbytes(16), model, draw_sampling(rng), tokens, messages=draw_messages(rng)
        )
        for _ in range(count)
    ]


def readable(request: TextRequest, tokenizer: Tokenizer, rng: random.Random) -> TextRequest:
    """The request, or one about a passage where the model has no such chat."""
    try:
        prompt_tokens(request, tokenizer)
    except BadMessage:
        return replace(request, messages=(), prompt=draw_passage(rng))
    return request


def generate(
    model: LanguageModel, tokenizer: Tokenizer, requests: Sequence[TextRequest], width: int
) -> Iterator[Sample]:
    """Answers of `model`, `width` at once; answers run to their full length."""
    card = model.card
    for at in range(0, len(requests), width):
        group = requests[at : at + width]
        prompts = [prompt_tokens(r, tokenizer) for r in group]
        pages = sum(needed(len(p), r.max_tokens) for p, r in zip(prompts, group))
        scheduler = Scheduler(PagePool(pages), card.vocab, card.context, width=width)
        cache = model.new_cache(pages)
        for i, (prompt, r) in enumerate(zip(prompts, group)):
            scheduler.submit(Job(str(i), prompt, r.sampling, r.max_tokens))
        tokens: list[list[int]] = [[] for _ in group]
        states: list[list[Patterns]] = [[] for _ in group]
        while rows := scheduler.plan():
            for made in scheduler.absorb(model.forward(cache, rows)):
                tokens[int(made.key)].append(made.token)
                states[int(made.key)].append(made.state)
        for request, prompt, ids, rows_ in zip(group, prompts, tokens, states):
            yield Sample(request.sampling, prompt, tuple(ids), np.stack(rows_))


def measure(verifier: LanguageModel, sample: Sample, into: Distances) -> None:
    """Add one answer's distances from the verifier's own prefill."""
    claim = Claim(sample.sampling, 0, sample.tokens)
    known = (*sample.prompt, *sample.tokens[:-1])
    own = prefill(verifier, known, len(sample.tokens), claim)
    gaps = missed(own, claim)
    into.tokens += len(sample.tokens)
    into.misses += [round(m * 1e6) for m in gaps[gaps > 0].tolist()]
    into.chunks += toploc.compare(toploc.build(sample.states), own.states)


Variant = Callable[[], LanguageModel]


def calibrate(
    verifier: LanguageModel,
    tokenizer: Tokenizer,
    variants: Mapping[str, tuple[Variant, int]],
    chunks: int,
    seed: int = 1,
    tell: Callable[[str, Distances], None] = lambda name, found: None,
) -> tuple[Thresholds, dict[str, Distances]]:
    """Thresholds from at least `chunks` honest chunks a variant; also what each measured.

    `variants` maps a name to (engine, batch width); `tell` hears of each when it is measured.
    """
    found: dict[str, Distances] = {}
    for name, (make, width) in variants.items():
        model, distances = make(), Distances()
        count = -(-chunks // 4)
        rng = random.Random(f"{seed} {name}")
        drawn = draw_requests(rng, verifier.card.name, count, 128)
        requests = [readable(request, tokenizer, rng) for request in drawn]
        for sample in generate(model, tokenizer, requests, width):
            measure(verifier, sample, distances)
        found[name] = distances
        tell(name, distances)
    return thresholds_of(found.values()), found


def thresholds_of(found: Iterable[Distances]) -> Thresholds:
    """The thresholds that all of these honest measurements pass with a margin."""
    distances = list(found)
    chunks = [c for d in distances for c in d.chunks]

    def above(values: list[int], times: float = MARGIN) -> int:
        return round(max(values, default=0) * times) + 1

    return Thresholds(
        exponents=above([c.exponents for c in chunks]),
        mantissa_mean=above([c.mantissa_mean for c in chunks]),
        mantissa_median=above([c.mantissa_median for c in chunks]),
        mismatch_ppm=above([d.mismatch_ppm for d in distances]),
        margin=above([m for d in distances for m in d.misses], TAIL),
        samples=len(chunks),
    )
