# ruff: noqa: E402 - torch decides first whether this file runs
"""Margins worked out on the device are the verifier's numpy margins, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ganglion.exact import ieee, noise
from neurons.engine import device_margins
from neurons.engine.base import Claim, prefill
from neurons.engine.base import missed as missed_of
from neurons.engine.batch import Job, run_alone
from neurons.engine.device_margins import gumbel, integers, log, missed
from neurons.engine.folder import TINY
from neurons.engine.hf import HfModel
from subnets.proofs.sampling import LARGE, Sampling, choose, draws_for, margins

samplings = st.builds(
    Sampling,
    st.binary(min_size=32, max_size=32),
    temperature=st.sampled_from((0.0, 0.05, 0.7, 1.0, 2.0)),
    top_p=st.sampled_from((1.0, 0.9999999, 0.9, 0.5, 0.01)),
    top_k=st.sampled_from((0, 1, 7, 40, 10_000)),
)


def scores(seed: int, rows: int, vocab: int, spread: float) -> torch.Tensor:
    """Logits as a bfloat16 model makes them: many ties, and both zeros."""
    drawn = torch.Generator().manual_seed(seed)
    return (torch.randn(rows, vocab, generator=drawn) * spread).to(torch.bfloat16)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**20), st.sampled_from((1, 6, 264)))
def test_the_noise_is_the_same(seed: bytes, start: int, vocab: int) -> None:
    words = integers(noise.stream_words(seed), start, 3, vocab, torch.device("cpu"))
    wanted = noise.integers(seed, start, 3, vocab)
    assert same(words.numpy().astype(np.uint64), wanted)
    assert same(gumbel(words).numpy(), noise.gumbel(wanted))


@given(st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=50))
def test_the_logarithm_has_the_same_bits(values: list[float]) -> None:
    assert same(log(torch.tensor(values, dtype=torch.float64)).numpy(), ieee.log(np.array(values)))


@settings(deadline=None, max_examples=200)
@given(
    samplings,
    st.integers(0, 1000),
    st.sampled_from((2, 50, 300, LARGE + 3)),
    st.sampled_from((0.0, 0.3, 4.0, 30.0)),
)
def test_margins_are_the_same(sampling: Sampling, seed: int, vocab: int, spread: float) -> None:
    logits, rng = scores(seed, 5, vocab, spread), np.random.default_rng(seed)
    host = logits.double().numpy()
    right = choose(host, draws_for(sampling, 7, 5, vocab), sampling)
    tokens = np.where(rng.random(5) < 0.5, right, rng.integers(0, vocab, 5)).tolist()
    found = missed(logits, Claim(sampling, 7, tokens))
    wanted = margins(host, tokens, sampling, 7)
    assert same(found, wanted)
    assert not found[right == tokens].any()


def test_long_answers_are_judged_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_margins, "AT_ONCE", 1000)
    sampling, tokens = Sampling(b"7" * 32, 1.0, 0, 0.9), list(range(20))
    logits = scores(3, 20, 300, 2.0)
    found = missed(logits, Claim(sampling, 4, tokens))
    assert same(found, margins(logits.double().numpy(), tokens, sampling, 4))


@pytest.mark.parametrize("sampling", [Sampling(b"1" * 32), Sampling(b"1" * 32, 0.0)])
def test_scores_that_are_no_numbers_are_an_error(sampling: Sampling) -> None:
    logits = scores(1, 2, 50, 1.0)
    logits[1, 3] = float("nan")
    with pytest.raises(ArithmeticError, match="not numbers"):
        missed(logits, Claim(sampling, 0, [1, 2]))


@pytest.mark.parametrize("heat", [0.0, 1.0])
@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_an_engine_judges_a_claim_itself(heat: float, top_p: float) -> None:
    model, sampling = HfModel(TINY, "ganglion/tiny"), Sampling(b"3" * 32, heat, 0, top_p)
    prompt = (256, *b"def add(a, b): ")
    tokens, states, _ = run_alone(model, Job("1", prompt, sampling, 40))
    tokens[9] = (tokens[9] + 1) % 264
    claim, known = Claim(sampling, 0, tokens), (*prompt, *tokens[:-1])
    plain = prefill(model, known, len(tokens), claim)
    assert plain.margins is None
    model.judges = True
    judged = prefill(model, known, len(tokens), claim)
    assert judged.margins is not None
    assert len(judged.logits) == 0
    assert np.array_equal(judged.states, plain.states)
    assert same(missed_of(judged, claim), missed_of(plain, claim))
    assert judged.margins[9] > 0
    assert not judged.margins[:9].any()
