"""Noise anyone can recompute, and tokens that follow from it."""

from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganglion.exact import ieee, noise
from subnets.proofs.head import depth_outside, depths, head_of
from subnets.proofs.sampling import (
    Sampling,
    allowed,
    choose,
    choose_each,
    choose_one,
    draws_for,
    leaders,
    margin,
    margins,
)

SEED = bytes(range(32))


def logits_of(seed: int, rows: int = 8, vocab: int = 50) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, vocab)) * 3


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (0x00000000, ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]),
        (0xFFFFFFFF, ["408f276d", "41c83b0e", "a20bc7c6", "6d5451fd"]),
    ],
)
def test_philox_matches_its_authors_known_answers(word: int, expected: list[str]) -> None:
    words = np.full(1, word, np.uint64)
    drawn = noise.philox((words, words, words, words), (word, word))
    assert [f"{int(v[0]):08x}" for v in drawn] == expected


def test_the_noise_is_frozen() -> None:
    """A change of one bit here would make every recorded answer look forged."""
    raw = noise.noise(SEED, 5, 3, 264).tobytes()
    assert blake2b(raw, digest_size=8).hexdigest() == "6f1512f05d324892"


def test_noise_does_not_depend_on_how_it_is_asked_for() -> None:
    whole = noise.noise(SEED, 0, 20, 101)
    assert np.array_equal(noise.noise(SEED, 7, 2, 101), whole[7:9])
    assert np.array_equal(noise.noise(SEED, 0, 20, 60), whole[:, :60])


def test_noise_has_the_moments_of_the_gumbel_distribution() -> None:
    sample = noise.noise(SEED, 0, 2000, 64)
    assert abs(sample.mean() - 0.57722) < 0.02
    assert abs(sample.var() - np.pi**2 / 6) < 0.05


def test_sampling_follows_the_softmax() -> None:
    logits = np.log(np.array([[0.5, 0.3, 0.15, 0.05]])).repeat(20_000, 0)
    sampling = Sampling(SEED)
    tokens = choose(logits, draws_for(sampling, 0, 20_000, 4), sampling)
    shares = np.bincount(tokens, minlength=4) / 20_000
    assert np.abs(shares - [0.5, 0.3, 0.15, 0.05]).max() < 0.012


@given(st.floats(-690, 690), st.floats(1e-300, 1e300))
def test_exp_and_log_are_accurate(x: float, y: float) -> None:
    assert ieee.exp(np.array([x]))[0] == pytest.approx(np.exp(x), rel=1e-9)
    assert ieee.log(np.array([y]))[0] == pytest.approx(np.log(y), rel=1e-13, abs=1e-13)


def test_no_noise_exceeds_its_bounds() -> None:
    ends = np.arange(0, 1 << 32, 1 << 16, dtype=np.uint64)
    for draws in (ends, ends + np.uint64(0x8000), ends + np.uint64(0xFFFF)):
        assert (noise.ceiling(draws) >= noise.gumbel(draws)).all()
        assert (noise.floor(draws) <= noise.gumbel(draws)).all()


@given(
    st.integers(0, 10**6),
    st.integers(1, 9),
    st.sampled_from((3, 50, 264, 3000)),
    st.sampled_from((0.0, 1e-9, 1e-3, 1.0, 60.0)),
    st.floats(1e-3, 4.0),
)
def test_leaders_are_the_highest_of_all_noised_scores(
    seed: int, rows: int, vocab: int, spread: float, heat: float
) -> None:
    rng = np.random.default_rng(seed)
    logits = np.round(rng.normal(size=(rows, vocab)) * spread, 3)
    logits[:, vocab // 2 :][rng.random((rows, vocab - vocab // 2)) < 0.3] = -np.inf
    draws = rng.integers(0, 1 << 32, (rows, vocab), np.uint64) // np.uint64(
        rng.choice([1, 1 << 31])
    )
    scores = logits + heat * noise.gumbel(draws)
    warm, claimed = np.full((rows, 1), heat), rng.integers(0, vocab, rows)
    for claims in (None, claimed):
        ids, tops, own = leaders(logits, draws, warm, claims)
        assert np.array_equal(ids, scores.argmax(1))
        assert np.array_equal(tops, scores.max(1))
        assert claims is None or np.array_equal(own, scores[np.arange(rows), claims])


def test_scores_that_are_no_numbers_are_an_error() -> None:
    with pytest.raises(ArithmeticError, match="not numbers"):
        choose(np.full((1, 9), np.nan), noise.integers(SEED, 0, 1, 9), Sampling(SEED))


@pytest.mark.parametrize("vocab", [500, 5000])
def test_rows_of_a_pass_are_drawn_as_alone(vocab: int) -> None:
    kinds = [
        Sampling(bytes([i]) * 32, (0.0, 0.7, 1.5)[i % 3], (0, 20)[i % 2], (1.0, 0.9)[i // 2 % 2])
        for i in range(12)
    ]
    logits = logits_of(5, 12, vocab)
    draws = [draws_for(s, i, 1, vocab) for i, s in enumerate(kinds)]
    together = choose_each(logits, [None if d is None else d[0] for d in draws], kinds)
    for i, sampling in enumerate(kinds):
        plain = None if draws[i] is None else noise.noise(sampling.seed, i, 1, vocab)
        assert together[i] == choose(logits[i : i + 1], plain, sampling)[0]
        assert not margins(logits[i : i + 1], [together[i]], sampling, i).any()


def test_zero_temperature_is_the_argmax() -> None:
    logits, sampling = logits_of(0), Sampling(SEED, 0.0, top_k=3, top_p=0.1)
    assert np.array_equal(choose(logits, None, sampling), logits.argmax(1))


@given(st.integers(0, 1000), st.integers(1, 50), st.floats(0.05, 1.0))
def test_top_k_and_top_p_leave_the_right_tokens(seed: int, top_k: int, top_p: float) -> None:
    logits = logits_of(seed)
    border = allowed(logits, Sampling(SEED, 1.0, top_k, top_p))
    mask = np.ones(logits.shape, bool) if border is None else border.keep
    for row, keep in zip(logits, mask):
        kept = np.sort(row[keep])[::-1]
        best = np.sort(row)[::-1]
        assert np.array_equal(kept, best[: len(kept)])
        assert 1 <= len(kept) <= top_k
        p = np.exp(best[:top_k]) / np.exp(best[:top_k]).sum()
        assert p[: len(kept) - 1].sum() <= top_p + 1e-6
        assert len(kept) == top_k or p[: len(kept)].sum() >= top_p - 1e-6


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 2.0), st.integers(0, 20), st.floats(0.3, 1.0))
def test_right_tokens_have_no_margin_and_others_have(
    seed: int, temperature: float, top_k: int, top_p: float
) -> None:
    logits, sampling = logits_of(seed), Sampling(SEED, temperature, top_k, top_p)
    tokens = choose(logits, draws_for(sampling, 4, 8, 50), sampling)
    assert not margins(logits, tokens.tolist(), sampling, 4).any()
    wrong = ((tokens + 1) % 50).tolist()
    assert (margins(logits, wrong, sampling, 4) > 0).all()


def test_a_wrong_seed_or_temperature_shows() -> None:
    logits, honest = logits_of(1, 128), Sampling(SEED)
    for other in (Sampling(bytes(32)), Sampling(SEED, 0.3)):
        tokens = choose(logits, draws_for(other, 0, 128, 50), other).tolist()
        assert (margins(logits, tokens, honest) == 0).mean() < 0.9


@given(st.integers(0, 500), st.floats(0.2, 1.5), st.integers(0, 30), st.floats(0.3, 1.0))
def test_small_errors_in_the_logits_give_small_margins(
    seed: int, temperature: float, top_k: int, top_p: float
) -> None:
    logits, sampling = logits_of(seed, 64), Sampling(SEED, temperature, top_k, top_p)
    nudged = logits + np.random.default_rng(3).normal(size=logits.shape) * 1e-3
    tokens = choose(nudged, draws_for(sampling, 0, 64, 50), sampling).tolist()
    assert margins(logits, tokens, sampling).max() < 0.02


def test_seeds_have_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 5"):
        noise.noise(b"short", 0, 1, 4)


def tied_logits(rng: np.random.Generator, rows: int, vocab: int, spread: float) -> np.ndarray:
    """Logits in coarse steps, so that many are equal; half of them may be out of the question."""
    logits = np.round(rng.normal(size=(rows, vocab)) * spread, int(rng.integers(0, 4)))
    if rng.random() < 0.4:
        logits[:, rng.integers(0, vocab, vocab // 2)] = -1e4
        logits[:, 0] = 0.5
    return logits


@settings(deadline=None, max_examples=150)
@given(
    st.integers(0, 10**6),
    st.sampled_from((1, 2, 5, 300, 2500)),
    st.sampled_from((0.0, 0.2, 3.0, 40.0)),
    st.sampled_from((0.05, 0.7, 1.0, 3.0)),
    st.sampled_from((0, 1, 3, 40, 1100, 10**6)),
    st.sampled_from((1.0, 0.9999999, 0.999, 0.9, 0.5, 0.01, 1e-7)),
)
def test_heads_give_what_sorting_gives(
    seed: int, vocab: int, spread: float, heat: float, top_k: int, top_p: float
) -> None:
    """A large vocabulary's way against that of a small one, on the same rows, to the bit."""
    rng = np.random.default_rng(seed)
    sampling = Sampling(rng.bytes(32), heat, top_k, top_p)
    logits, rows = tied_logits(rng, 4, vocab, spread), range(4)
    words = noise.integers(sampling.seed, 9, 4, vocab)
    border = allowed(logits, sampling)
    wanted = choose(logits, noise.gumbel(words), sampling)
    claims = np.where(rng.random(4) < 0.3, wanted, rng.integers(0, vocab, 4))
    missed = margins(logits, claims.tolist(), sampling, 9)
    for i in rows:
        head = head_of(logits[i], sampling)
        if border is None or border.keep[i].all():
            assert head is None
        else:
            assert head is not None
            assert np.array_equal(np.sort(head.ids[: head.kept]), np.flatnonzero(border.keep[i]))
            inside = head.ids[: head.kept]
            assert np.array_equal(depths(logits[i], head, sampling), border.depth[i, inside])
            for token in np.flatnonzero(~border.keep[i])[:3].tolist():
                assert depth_outside(logits[i], token, head, sampling) == border.depth[i, token]
        for draws in (words[i], noise.gumbel(words[i])):
            assert choose_one(logits[i], draws, sampling) == wanted[i]
        assert margin(logits[i], int(claims[i]), sampling, 9 + i) == missed[i]


def test_a_large_vocabulary_goes_by_heads() -> None:
    rng, vocab = np.random.default_rng(2), 9000
    for spread, top_k, top_p in ((4.0, 0, 0.9), (0.1, 0, 0.99), (1.0, 50, 1.0), (1.0, 50, 0.5)):
        sampling = Sampling(SEED, 1.0, top_k, top_p)
        logits = tied_logits(rng, 3, vocab, spread)
        border = allowed(logits, sampling)
        assert border is not None
        words = noise.integers(SEED, 0, 3, vocab)
        wanted = np.where(border.keep, logits + noise.gumbel(words), -np.inf).argmax(1)
        assert np.array_equal(choose(logits, words, sampling), wanted)
        assert not margins(logits, wanted.tolist(), sampling).any()
        assert margins(logits, ((wanted + 1) % vocab).tolist(), sampling).all()


def test_heads_of_no_numbers_are_an_error() -> None:
    for bad in (np.nan, np.inf):
        row = np.zeros((1, 5000))
        row[0, 7] = bad
        with pytest.raises(ArithmeticError, match="not numbers"):
            choose(row, noise.integers(SEED, 0, 1, 5000), Sampling(SEED, 1.0, 0, 0.9))
