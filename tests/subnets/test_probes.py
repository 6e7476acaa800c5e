"""Probes look like what callers send: of every length, never the same, and always answerable."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.wire.text import TextRequest
from neurons.engine.load import Loaded, load
from neurons.miner.textgen import prompt_tokens
from subnets.embedding.probe import draw_probe as draw_texts
from subnets.textgen import corpus
from subnets.textgen.probe import continued, draw_messages, draw_passage, draw_probe

TINY: Loaded = load("exact", "tiny")


def drawn(count: int, most: int = 256, context: int = 1024) -> list[TextRequest]:
    rng = random.Random(count)
    return [draw_probe(rng, "m", most, context) for _ in range(count)]


@given(st.integers(), st.integers(1, 4096), st.sampled_from([512, 1024, 4096, 131072]))
def test_probes_travel_and_fit(seed: int, most: int, context: int) -> None:
    request = draw_probe(random.Random(seed), "m", most, context)
    assert TextRequest.from_bytes(request.to_bytes()) == request
    assert request == draw_probe(random.Random(seed), "m", most, context)
    assert 1 <= request.max_tokens <= most
    # a token has a byte at least, so no tokenizer makes more of them than this one
    assert len(prompt_tokens(request, TINY.tokenizer)) + request.max_tokens <= context


def test_prompts_and_answers_are_short_and_long() -> None:
    requests = drawn(400)
    prompts = sorted(len(prompt_tokens(r, TINY.tokenizer)) for r in requests)
    limits = sorted(r.max_tokens for r in requests)
    assert prompts[40] < 40 < 250 < prompts[-20]
    assert limits[40] < 30 < 200 < limits[-40]
    assert len({r.messages or r.prompt for r in requests}) > 380
    long = [len(prompt_tokens(r, TINY.tokenizer)) for r in drawn(200, context=1 << 17)]
    assert max(long) > 4000


def test_texts_to_embed_do_not_repeat() -> None:
    rng = random.Random(1)
    texts = [text for _ in range(200) for text in draw_texts(rng, "m").texts]
    assert len(set(texts)) > 0.95 * len(texts)
    assert max(map(len, texts)) > 200


def test_without_the_librarys_sources_there_are_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "sources", lambda: ())
    monkeypatch.setattr(corpus, "topics", lambda: ())
    assert all(draw_passage(random.Random(i)) for i in range(50))
    assert draw_messages(random.Random(2))


def test_continuations_leave_something_to_do() -> None:
    request, rng = drawn(1)[0], random.Random(3)
    for size in (2, 3, 50):
        tokens = tuple(range(size))
        more = continued(rng, request, tokens)
        assert 0 < len(more.resume) < size
        assert more.resume == tokens[: len(more.resume)]
        assert more.id != request.id
