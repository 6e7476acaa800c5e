"""Requests that test a miner and look like anybody's.

Questions, pasted passages, beginnings to continue and conversations, short and long; limits and
sampling settings as callers choose them. Everything follows from the generator handed in. What a
probe cannot imitate is who asks: an answer to a gateway's caller is judged by sampling it.
"""

from __future__ import annotations

import builtins
import keyword
import random
import sys
from dataclasses import replace
from functools import cache
from math import exp, log

from ganglion.wire.text import ID_SIZE, SEED_SIZE, Sampling, TextRequest
from subnets.textgen.corpus import draw_code, draw_prose

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
TASKS = (
    "Explain this code:\n\n{}",
    "{}\n\nWhat is wrong here?",
    "Summarise the following text.\n\n{}",
    "Rewrite this more clearly: {}",
    "{}\n\nWhat comes next?",
    "Translate into German: {}",
    "{}",
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
LIMITS = (16, 32, 50, 64, 100, 128, 200, 256, 512, 1024)
"""What callers write as the most tokens that they want."""

SHORT_PASSAGE, LONG_PASSAGE = 40, 400
"""Characters of a pasted passage; models that read much get passages of up to an eighth of that."""


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


def draw_limit(rng: random.Random, most: int) -> int:
    """The most tokens of an answer: one of the numbers that callers like, or any."""
    if rng.random() < 0.4:
        return min(most, rng.choice(LIMITS))
    least = max(1, most // 16)
    return round(exp(rng.uniform(log(least), log(most))))


def draw_question(rng: random.Random) -> str:
    """A short question."""
    template = rng.choice(QUESTIONS)
    return template.format(*rng.sample(subjects(), template.count("{}")))


def draw_passage(rng: random.Random, longest: int = LONG_PASSAGE) -> str:
    """Code or prose of up to about `longest` characters; short ones are as frequent as long."""
    size = round(exp(rng.uniform(log(SHORT_PASSAGE), log(longest))))
    passage = (draw_code if rng.random() < 0.5 else draw_prose)(rng, size)
    return passage or draw_question(rng)


def draw_turn(rng: random.Random, longest: int = LONG_PASSAGE) -> str:
    """What a user says: a question, or a task about a passage; without length, always the first."""
    if not longest or rng.random() < 0.5:
        return draw_question(rng)
    task, passage = rng.choice(TASKS), draw_passage(rng, longest)
    return task.replace("{}", passage)


def draw_messages(rng: random.Random, longest: int = LONG_PASSAGE) -> tuple[tuple[str, str], ...]:
    """A chat of one or two turns of the user's, sometimes under a system prompt."""
    turns = [("system", rng.choice(SYSTEMS))] if rng.random() < 0.3 else []
    turns.append(("user", draw_turn(rng, longest)))
    if rng.random() < 0.3:
        answer = f"It is {rng.choice(subjects())}."
        if longest and rng.random() < 0.5:
            answer = draw_passage(rng, 2 * SHORT_PASSAGE)
        turns += [("assistant", answer), ("user", draw_question(rng))]
    return tuple(turns)


def draw_probe(
    rng: random.Random, model: str, max_tokens: int = 128, context: int = 1024
) -> TextRequest:
    """One probe of up to `max_tokens` tokens for a model that reads `context`; the seed is drawn
    last, for one miner only."""
    identity = rng.randbytes(ID_SIZE)
    longest = max(SHORT_PASSAGE, min(max(LONG_PASSAGE, context // 8), (context - 256) // 2))
    limit = draw_limit(rng, min(max_tokens, max(1, context // 4)))
    if rng.random() < 0.7:
        messages, prompt = draw_messages(rng, longest), None
    else:
        messages, prompt = (), rng.choice(OPENINGS).format(rng.choice(subjects()))
        if rng.random() < 0.5:
            prompt = draw_passage(rng, longest)
    stop = ("\n\n",) if rng.random() < 0.1 else ()
    sampling = draw_sampling(rng)
    return TextRequest(identity, model, sampling, limit, messages, prompt, stop=stop)


def continued(rng: random.Random, request: TextRequest, tokens: tuple[int, ...]) -> TextRequest:
    """The request that asks a miner to go on where another one left an answer of `tokens`, as
    gateways do when a miner dies. ValueError for an answer of one token."""
    kept = rng.randrange(1, len(tokens))
    return replace(request, id=rng.randbytes(ID_SIZE), resume=tokens[:kept])
