# ruff: noqa: E402 - torch decides first whether this file runs
"""What a GPU runs, with plain kernels and no graphs: passes of single tokens, one shape."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ganglion.exact.noise import LOW, gumbel, philox
from neurons.engine.base import PAGE, EngineError, Row, prefill
from neurons.engine.batch import Job, Scheduler, run_alone
from neurons.engine.cuda_graphs import Kernels
from neurons.engine.folder import TINY
from neurons.engine.hf import FIXED, HfModel
from neurons.engine.llama import ExactLlama
from neurons.engine.pages import PagePool
from subnets.proofs.sampling import Sampling, margins

TOKENS = [256, *b"def open(file, mode='r', buffering=-1): raise ValueError  # The quick brown fox"]


def attention(query, keys, values, table, row_of, last, scale, window):
    """One token after the other, over its own pages."""
    out = torch.empty_like(query)
    groups = query.shape[1] // keys.shape[1]
    for i, (row, end) in enumerate(zip(row_of.tolist(), last.tolist())):
        at = torch.arange(max(0, end + 1 - (window or 1 << 30)), end + 1)
        slots = table[row, at // PAGE] * PAGE + at % PAGE
        k, v = (part[slots].repeat_interleave(groups, 1) for part in (keys, values))
        weights = (query[i][None] * k).sum(-1).mul(scale).softmax(0)
        out[i] = (weights[:, :, None] * v).sum(0)
    return out


def draw(logits, seeds, positions, heat):
    """The rule's noise from the words that the engine passes on."""
    picked = []
    for row, key, position, warm in zip(
        logits.double().numpy(), seeds.tolist(), positions.tolist(), heat.tolist()
    ):
        blocks = np.arange(-(-len(row) // 4), dtype=np.uint64)
        fill = [np.full(len(blocks), word, np.uint64) for word in (position, *key[2:])]
        words = np.stack(philox((blocks, *fill), (key[0], key[1])), -1).ravel()[: len(row)]
        picked.append(int((row + warm * gumbel(words & LOW)).argmax()))
    return torch.tensor(picked)


@pytest.fixture(scope="module")
def model() -> HfModel:
    return HfModel(TINY, "ganglion/tiny", kernels=Kernels(attention, draw))


@pytest.fixture(scope="module")
def fixed() -> HfModel:
    return HfModel(TINY, "ganglion/tiny", kernels=Kernels(attention, draw), fixed=True)


def settings(i: int) -> Sampling:
    return Sampling(bytes([i]) * 32, (0.0, 0.7, 1.9)[i % 3], (0, 50)[i % 2], (1.0, 0.95)[i % 2])


def jobs(count: int, tokens: int) -> list[Job]:
    return [Job(str(i), tuple(TOKENS[: 10 + 7 * i]), settings(i), tokens) for i in range(count)]


def answers(model, orders):
    scheduler = Scheduler(PagePool(64), model.card.vocab, model.card.context)
    cache = model.new_cache(64)
    made = {job.key: ([], []) for job in orders}
    for job in orders:
        scheduler.submit(job)
    while rows := scheduler.plan():
        for token in scheduler.absorb(model.forward(cache, rows)):
            made[token.key][0].append(token.token)
            made[token.key][1].append(token.state)
    return made


def test_tokens_drawn_on_the_device_equal_the_exact_engines(model):
    exact = ExactLlama.load(TINY, "t")
    found = answers(model, jobs(5, 20))
    for job in jobs(5, 20):
        assert found[job.key][0] == run_alone(exact, job)[0]


def test_one_shape_gives_the_same_bits_alone_in_company_and_to_a_verifier(fixed):
    found = answers(fixed, jobs(4, 12))
    for job in jobs(4, 12):
        tokens, states = found[job.key]
        alone, own, _ = run_alone(fixed, job)
        assert alone == tokens
        assert np.array_equal(np.stack(states), own)
        checked = prefill(fixed, (*job.prompt, *alone[:-1]), len(alone))
        assert np.array_equal(checked.states, own)
        assert not margins(checked.logits, alone, job.sampling).any()


def test_a_prompt_longer_than_the_shape_is_cut_to_it(fixed):
    long = (TOKENS * 8)[: FIXED + 30]
    ours = prefill(fixed, long, 40)
    theirs = prefill(HfModel(TINY, "ganglion/tiny"), long, 40)
    assert np.abs(ours.logits - theirs.logits).max() < 1e-3


def test_passes_without_a_draw_hand_out_logits(model):
    out = model.forward(model.new_cache(2), [Row(TOKENS[:1], 0, range(1))])[0]
    assert out.tokens is None
    assert out.logits.shape == (1, model.card.vocab)


def test_one_shape_without_kernels_is_one_sentence():
    if torch.cuda.is_available():
        pytest.skip("this machine has kernels of its own")
    with pytest.raises(EngineError, match="need a CUDA device"):
        HfModel(TINY, "ganglion/tiny", fixed=True)
