"""The batcher: any company, any order, the same tokens; pages are never lost."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganglion.wire.receipts import Finish
from neurons.engine.base import PAGE
from neurons.engine.batch import Job, Overloaded, Scheduler, Token, run_alone
from neurons.engine.folder import TINY
from neurons.engine.llama import ExactLlama
from neurons.engine.pages import PagePool
from subnets.proofs.sampling import Sampling

MODEL = ExactLlama.load(TINY, "tiny")
CARD = MODEL.card


def job(key: str, prompt: bytes, limit: int = 20, **more: object) -> Job:
    seed = key.encode().ljust(32, b".")
    sampling = Sampling(seed, float(more.pop("temperature", 1.0)))  # type: ignore[arg-type]
    return Job(key, (256, *prompt), sampling, limit, stops=CARD.stops, **more)  # type: ignore[arg-type]


def drive(scheduler: Scheduler, pages: int, jobs: list[Job]) -> dict[str, list[Token]]:
    cache, made = MODEL.new_cache(pages), {j.key: [] for j in jobs}
    for each in jobs:
        scheduler.submit(each)
    while rows := scheduler.plan():
        for token in scheduler.absorb(MODEL.forward(cache, rows)):
            made[token.key].append(token)
    return made


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_company_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    texts = [bytes(rng.choices(b"abcdef (){}\n", k=rng.randint(1, 60))) for _ in range(5)]
    jobs = [job(f"{seed}-{i}", text, rng.randint(1, 30)) for i, text in enumerate(texts)]
    pool = PagePool(24)
    made = drive(Scheduler(pool, CARD.vocab, CARD.context, budget=17, width=3), 24, jobs)
    assert pool.available == 24
    for each in jobs:
        tokens, states, finish = run_alone(MODEL, each)
        assert [t.token for t in made[each.key]] == tokens
        assert np.array_equal(np.stack([t.state for t in made[each.key]]), states)
        assert made[each.key][-1].finish is finish


def test_an_answer_continues_bit_for_bit_where_another_miner_stopped() -> None:
    whole, states, _ = run_alone(MODEL, job("x", b"def f(", 30))
    rest, rest_states, _ = run_alone(MODEL, job("x", b"def f(", 30, resume=tuple(whole[:11])))
    assert rest == whole[11:]
    assert np.array_equal(rest_states, states[11:])


def test_shared_prefixes_are_computed_once() -> None:
    pool = PagePool(40)
    scheduler = Scheduler(pool, CARD.vocab, CARD.context)
    text = b"The same long system prompt for everyone, again and again. "
    drive(scheduler, 40, [job("a", text + b"one", 4)])
    assert pool.reused == 0
    cache = MODEL.new_cache(40)  # a new cache would show if stale pages were trusted wrongly
    drive(scheduler, 40, [job("b", b"x", 2)])
    del cache
    scheduler.submit(job("c", text + b"two", 4))
    rows = scheduler.plan()
    assert rows[0].start == pool.reused == len(b"." + text) // PAGE * PAGE
    assert len(rows[0].tokens) == len(text) + 4 - rows[0].start


def test_reused_pages_give_the_same_answer() -> None:
    pool, cache = PagePool(30), MODEL.new_cache(30)
    scheduler = Scheduler(pool, CARD.vocab, CARD.context)
    text = b"The same long system prompt for everyone, again and again. "
    for key in ("first", "second"):
        scheduler.submit(job(key, text, 12))
        made = []
        while rows := scheduler.plan():
            made += scheduler.absorb(MODEL.forward(cache, rows))
        assert [t.token for t in made] == run_alone(MODEL, job(key, text, 12))[0]
    assert pool.reused >= 48


def test_higher_priority_enters_first() -> None:
    scheduler = Scheduler(PagePool(9), CARD.vocab, CARD.context, width=1)
    scheduler.submit(job("poor", b"a", priority=1.0))
    scheduler.submit(job("rich", b"b", priority=5.0))
    assert scheduler.plan()[0].tokens[-1] == ord("b")


def test_cancelled_jobs_leave_at_once_and_their_pages_return() -> None:
    pool = PagePool(9)
    scheduler = Scheduler(pool, CARD.vocab, CARD.context)
    cache = MODEL.new_cache(9)
    scheduler.submit(job("a", b"abc", 50))
    rows = scheduler.plan()
    scheduler.cancel("a")
    assert scheduler.absorb(MODEL.forward(cache, rows)) == []
    assert scheduler.load == (0, 0)
    assert pool.available == 9
    scheduler.submit(job("b", b"abc", 50))
    scheduler.cancel("b")
    assert scheduler.plan() == []


def test_what_cannot_run_is_refused_with_the_reason() -> None:
    scheduler = Scheduler(PagePool(2), CARD.vocab, CARD.context, queue=1)
    with pytest.raises(ValueError, match="outside the vocabulary"):
        scheduler.submit(Job("a", (300,), Sampling(bytes(32)), 3))
    with pytest.raises(ValueError, match="too small"):
        scheduler.submit(job("a", b"a", 200))
    with pytest.raises(ValueError, match="1 to 1023 tokens"):
        scheduler.submit(job("a", b"a" * 1500, 2))
    scheduler.submit(job("a", b"a", 3))
    with pytest.raises(Overloaded):
        scheduler.submit(job("b", b"a", 3))


def test_answers_end_at_the_limit_a_stop_token_or_a_stop_text() -> None:
    tokens, _, finish = run_alone(MODEL, job("len", b"class A", 9))
    assert (len(tokens), finish) == (9, Finish.LENGTH)
    stop = job("len", b"class A", 9, ended=lambda out: len(out) == 4)
    assert run_alone(MODEL, stop)[0] == tokens[:4]
    assert run_alone(MODEL, stop)[2] is Finish.STOP
    chat = Job("eos", (256, 258, 65, 259), Sampling(b"7" * 32), 1000, stops=CARD.stops)
    tokens, _, finish = run_alone(MODEL, chat)
    assert finish is Finish.STOP
    assert tokens[-1] == 257


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 60)), max_size=25), st.randoms())
def test_the_pool_never_loses_or_doubles_a_page(
    steps: list[tuple[int, int]], rng: random.Random
) -> None:
    pool, held = PagePool(8), []
    for family, length in steps:
        tokens = [family] * length
        shared = pool.take_prefix(tokens)
        fresh = pool.take(-(-length // PAGE) - len(shared))
        if fresh is None:
            pool.give_back(shared, ())
        else:
            held.append((shared + fresh, tokens))
        owned = [p for pages, _ in held for p in set(pages)]
        assert pool.available + len(set(owned)) == 8
        if held and rng.random() < 0.6:
            pool.give_back(*held.pop(rng.randrange(len(held))))
    for pages, tokens in held:
        pool.give_back(pages, tokens)
    assert pool.available == 8
