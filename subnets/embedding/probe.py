"""Embedding requests that test a miner and look like anybody's."""

from __future__ import annotations

import random

from ganglion.wire.vectors import ID_SIZE, EmbedRequest
from subnets.textgen.probe import draw_turn


def draw_probe(rng: random.Random, model: str, most: int = 4) -> EmbedRequest:
    """One to `most` texts: questions, and passages that nobody can have the vectors of in stock."""
    texts = tuple(draw_turn(rng) for _ in range(rng.randint(1, most)))
    return EmbedRequest(rng.randbytes(ID_SIZE), model, texts)
