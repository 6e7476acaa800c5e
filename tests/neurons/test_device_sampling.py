# ruff: noqa: E402 - torch decides first whether this file runs
"""The draw on the device takes the tokens that the numpy rule demands, to the last bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from ganglion.exact import ieee
from ganglion.exact.noise import integers, noise, stream_words
from neurons.engine.base import Draw
from neurons.engine.device_sampling import drawn, exp, filtered
from subnets.proofs.sampling import Sampling, allowed, choose

samplings = st.builds(
    Sampling,
    st.binary(min_size=32, max_size=32),
    temperature=st.sampled_from((0.0, 0.05, 0.7, 1.0, 2.0)),
    top_p=st.sampled_from((1.0, 0.999999, 0.9, 0.5, 0.01)),
    top_k=st.sampled_from((0, 1, 7, 40, 10_000)),
)


def scores(seed: int, rows: int, vocab: int, spread: float) -> torch.Tensor:
    """Logits as a bfloat16 model makes them: many ties, and both zeros."""
    drawn_ = torch.Generator().manual_seed(seed)
    return (torch.randn(rows, vocab, generator=drawn_) * spread).to(torch.bfloat16)


def by_numpy(logits, seeds, positions, heat):
    """What the Triton kernel does, by the rule's own noise."""
    words = {stream_words(bytes([i]) * 32): bytes([i]) * 32 for i in range(256)}
    picked = []
    for row, key, position, warm in zip(
        logits.double().numpy(), seeds.tolist(), positions.tolist(), heat.tolist()
    ):
        draws = noise(words[tuple(key)], position, 1, len(row))[0] if warm else 0.0
        picked.append(int((row + warm * draws).argmax()))
    return torch.tensor(picked)


@given(samplings, st.integers(0, 1000), st.sampled_from((0.0, 0.3, 4.0, 30.0)))
def test_the_filter_keeps_the_same_tokens(sampling, seed, spread):
    if sampling.temperature == 0:
        return
    logits = scores(seed, 3, 300, spread)
    border = allowed(logits.double().numpy(), sampling)
    kept = torch.isfinite(filtered(logits.double(), [Draw(sampling, 0)] * 3)).numpy()
    assert np.array_equal(kept, np.ones_like(kept) if border is None else border.keep)


def test_rows_of_different_settings_are_drawn_together():
    logits = scores(5, 40, 500, 2.0)
    draws = [
        Draw(
            Sampling(
                bytes([i]) * 32, (0.0, 0.8, 1.3)[i % 3], (0, 9)[i % 5 // 3], (1.0, 0.7)[i % 2]
            ),
            i,
        )
        for i in range(40)
    ]
    wanted = [
        int(
            choose(
                logits[i : i + 1].double().numpy(),
                integers(d.sampling.seed, d.position, 1, 500),
                d.sampling,
            )[0]
        )
        for i, d in enumerate(draws)
    ]
    assert drawn(by_numpy, logits, draws) == wanted


def test_scores_that_are_no_numbers_are_an_error():
    def no_token(*_):
        return torch.tensor([1 << 62])

    with pytest.raises(ArithmeticError, match="not numbers"):
        drawn(no_token, scores(1, 1, 50, 1.0), [Draw(Sampling(b"1" * 32), 0)])


@given(st.lists(st.floats(-800, 800), min_size=1, max_size=50))
def test_the_exponential_has_the_same_bits(values):
    ours = exp(torch.tensor(values, dtype=torch.float64)).numpy()
    assert ours.tobytes() == ieee.exp(np.array(values)).tobytes()
