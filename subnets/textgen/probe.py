"""Requests that test a miner and look like anybody's.

Subjects come from the standard library, so that the small model has something to say; shapes,
lengths and sampling settings are drawn as callers choose them. Everything follows from the
generator handed in.
"""

from __future__ import annotations

import builtins
import keyword
import random
import sys
from functools import cache

from ganglion.wire.text import ID_SIZE, SEED_SIZE, Sampling, TextRequest

QUESTIONS = (
    "What does {} do?",
    "Explain {}.",
    "How do I use {} in a program?",
    "Give me a short description of {}",
    "what is the difference between {} and {}",
    "Write a function that uses {} and {}.",
    "I get an error when I call {}, what can it be?",
    "Summarise {} in one sentence",
)
SYSTEMS = ("You are a helpful assistant.", "Answer briefly.", "You are an expert on Python.")
OPENINGS = (
    "def {}(",
    "import {}\n\n",
    "class {}:\n    ",
    "# {}\n",
    "The {} module provides ",
    "Return the {} of ",
)


@cache
def subjects() -> tuple[str, ...]:
    """Names that programs and questions are about."""
    modules = sorted(n for n in sys.stdlib_module_names if not n.startswith("_"))
    names = sorted(n for n in dir(builtins) if not n.startswith("_"))
    return (*modules, *names, *keyword.kwlist)


def draw_sampling(rng: random.Random) -> Sampling:
    """Sampling settings as callers send them."""
    seed = rng.randbytes(SEED_SIZE)
    temperature = rng.choice((0.0, 0.2, 0.5, 0.7, 0.8, 1.0, 1.0, 1.0, 1.2))
    top_p = rng.choice((1.0, 1.0, 1.0, 0.95, 0.9))
    top_k = rng.choice((0, 0, 0, 40, 50))
    return Sampling(seed, temperature, top_k, top_p)


def draw_messages(rng: random.Random) -> tuple[tuple[str, str], ...]:
    """A chat of one or two questions, sometimes under a system prompt."""

    def question() -> str:
        template = rng.choice(QUESTIONS)
        return template.format(*rng.sample(subjects(), template.count("{}")))

    turns = [("system", rng.choice(SYSTEMS))] if rng.random() < 0.3 else []
    turns.append(("user", question()))
    if rng.random() < 0.3:
        turns += [("assistant", f"It is {rng.choice(subjects())}."), ("user", question())]
    return tuple(turns)


def draw_probe(rng: random.Random, model: str, max_tokens: int = 128) -> TextRequest:
    """One probe of up to `max_tokens` tokens; the seed is drawn last, for one miner only."""
    identity, limit = rng.randbytes(ID_SIZE), rng.randint(max(1, max_tokens // 4), max_tokens)
    if rng.random() < 0.7:
        messages, prompt = draw_messages(rng), None
    else:
        messages, prompt = (), rng.choice(OPENINGS).format(rng.choice(subjects()))
    stop = ("\n\n",) if rng.random() < 0.1 else ()
    sampling = draw_sampling(rng)
    return TextRequest(identity, model, sampling, limit, messages, prompt, stop=stop)
