"""Embedding requests that test a miner and look like anybody's."""

from __future__ import annotations

import random

from ganglion.wire.vectors import ID_SIZE, EmbedRequest
from subnets.textgen.probe import QUESTIONS, subjects


def draw_probe(rng: random.Random, model: str, most: int = 4) -> EmbedRequest:
    """One to `most` short texts."""
    texts = []
    for _ in range(rng.randint(1, most)):
        template = rng.choice(QUESTIONS)
        texts.append(template.format(*rng.sample(subjects(), template.count("{}"))))
    return EmbedRequest(rng.randbytes(ID_SIZE), model, tuple(texts))
