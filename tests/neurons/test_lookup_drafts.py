"""Guessed tokens change nothing but the number of passes."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurons.engine.base import Output, Row
from neurons.engine.batch import Job, Scheduler, Token, run_alone
from neurons.engine.folder import TINY
from neurons.engine.llama import ExactLlama
from neurons.engine.lookup import LONGEST, Lookup
from neurons.engine.pages import PagePool
from subnets.proofs.sampling import Sampling

MODEL = ExactLlama.load(TINY, "tiny")
CARD = MODEL.card


def drive(scheduler: Scheduler, pages: int, jobs: list[Job]) -> tuple[dict[str, list[Token]], int]:
    """The tokens of every job, and how many rows were computed."""
    cache, made, rows_seen = MODEL.new_cache(pages), {j.key: [] for j in jobs}, 0
    for each in jobs:
        scheduler.submit(each)
    while rows := scheduler.plan():
        rows_seen += len(rows)
        for token in scheduler.absorb(MODEL.forward(cache, rows)):
            made[token.key].append(token)
    return made, rows_seen


def drawn_job(rng: random.Random, key: str) -> Job:
    piece = bytes(rng.choices(b"abc (){}\n.,", k=rng.randint(3, 12)))
    prompt = (256, *piece * rng.randint(1, 6))
    sampling = Sampling(rng.randbytes(32), rng.choice((0.0, 0.3, 1.0)),
                        rng.choice((0, 0, 20)), rng.choice((1.0, 0.9)))  # fmt: skip
    limit = rng.randint(1, 40)
    stops = frozenset(rng.sample(range(97, 123), rng.choice((0, 0, 2))))
    return Job(key, prompt, sampling, limit, stops=stops)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6))
def test_answers_are_those_of_plain_decoding_to_the_bit(seed: int) -> None:
    rng = random.Random(seed)
    jobs = [drawn_job(rng, f"{seed}-{i}") for i in range(4)]
    pool = PagePool(40)
    scheduler = Scheduler(pool, CARD.vocab, CARD.context, budget=29, width=3, draft=True)
    made, _ = drive(scheduler, 40, jobs)
    assert pool.available == 40
    for each in jobs:
        tokens, states, finish = run_alone(MODEL, each)
        assert [t.token for t in made[each.key]] == tokens
        assert np.array_equal(np.stack([t.state for t in made[each.key]]), states)
        assert [t.finish for t in made[each.key]] == [None] * (len(tokens) - 1) + [finish]


def test_a_repetitive_answer_takes_far_fewer_passes() -> None:
    job = Job("g", (256, *b"a = 1\n" * 12), Sampling(b"g" * 32, 0.0), 96)
    scheduler = Scheduler(PagePool(20), CARD.vocab, CARD.context, draft=True)
    made, passes = drive(scheduler, 20, [job])
    assert [t.token for t in made["g"]] == run_alone(MODEL, job)[0]
    assert passes < 70  # 96 without
    assert scheduler.accepted > 30
    assert run_alone(MODEL, job, draft=True)[0] == run_alone(MODEL, job)[0]


def test_pages_of_prefixes_hold_only_what_was_said() -> None:
    """Wrong guesses leave keys behind; nobody may take them for those of real tokens."""
    pool, text = PagePool(30), b"one two one two one two one three one two "
    cache, scheduler = MODEL.new_cache(30), Scheduler(pool, CARD.vocab, CARD.context, draft=True)
    for key in ("first", "second", "third"):
        job = Job(key, (256, *text), Sampling(key.encode().ljust(32), 1.0), 40)
        scheduler.submit(job)
        made = []
        while rows := scheduler.plan():
            made += scheduler.absorb(MODEL.forward(cache, rows))
        assert [t.token for t in made] == run_alone(MODEL, job)[0]
    assert pool.reused
    assert scheduler.drafted > scheduler.accepted


def test_engines_that_draw_themselves_draw_for_every_guess() -> None:
    seen: list[Row] = []

    def drawing(cache: object, rows: list[Row]) -> list[Output]:
        seen.extend(rows)
        outputs = MODEL.forward(cache, rows)  # type: ignore[arg-type]
        tokens = [tuple(o.logits.argmax(1).tolist()) for o in outputs]
        return [Output(o.logits, o.states, t) for o, t in zip(outputs, tokens)]

    job = Job("d", (256, *b"x, y, x, y, x, y, "), Sampling(b"d" * 32, 0.0), 30)
    scheduler, cache = (
        Scheduler(PagePool(9), CARD.vocab, CARD.context, draft=True),
        MODEL.new_cache(9),
    )
    scheduler.submit(job)
    made = []
    while rows := scheduler.plan():
        made += [t.token for t in scheduler.absorb(drawing(cache, rows))]
    assert made == run_alone(MODEL, job)[0]
    assert any(row.keep > 1 and row.draw is not None for row in seen)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(1, 40), st.data())
def test_guesses_are_what_followed_before(known: list[int], most: int, data: st.DataObject) -> None:
    lookup = Lookup()
    for end in range(1, len(known) + 1):
        guess = lookup.guess(known[:end], most)
        assert len(guess) <= min(most, LONGEST)
        if guess:
            ending = tuple(known[end - 3 : end])
            assert any(
                tuple(known[i - 3 : i]) == ending and known[i : i + len(guess)] == guess
                for i in range(3, end)
            )
            lookup.learn(end, len(guess), data.draw(st.integers(0, len(guess))))


def test_wrong_guesses_make_it_pause() -> None:
    lookup, known = Lookup(), [1, 2, 3, 4] * 4
    assert lookup.guess(known, 9)
    for _ in range(4):
        lookup.learn(len(known), 4, 0)
    assert not lookup.guess(known, 9)
    assert lookup.guess(known * 2, 9)


@pytest.mark.parametrize("most", [0, -1])
def test_no_room_no_guess(most: int) -> None:
    assert Lookup().guess([1, 2, 3] * 5, max(most, 0)) == []
