# ruff: noqa: E402 - torch decides first whether this file runs
"""On a GPU: kernels against their rules, graphs against plain passes, one shape for all."""

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ganglion.exact.noise import integers
from neurons.calibration.measure import Distances, draw_requests, generate, measure
from neurons.engine.base import PAGE, Claim, Draw, Row, pages_for, prefill
from neurons.engine.batch import Job, Scheduler, run_alone
from neurons.engine.bytes import ByteTokenizer
from neurons.engine.device_margins import missed
from neurons.engine.folder import TINY
from neurons.engine.hf import FIXED, HfModel
from neurons.engine.llama import ExactLlama
from neurons.engine.pages import PagePool
from subnets.proofs.sampling import Sampling, choose, draws_for, margins

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
TOKENS = [256, *b"def open(file, mode='r', buffering=-1): raise ValueError  # The quick brown fox"]


def settings(i: int) -> Sampling:
    heat, few, mass = (0.0, 0.7, 1.0, 1.9)[i % 4], (0, 0, 50)[i % 3], (1.0, 0.95)[i % 2]
    return Sampling(bytes([i]) * 32, heat, few, mass)


def jobs(count: int, tokens: int) -> list[Job]:
    return [Job(str(i), tuple(TOKENS[: 10 + 5 * i]), settings(i), tokens) for i in range(count)]


def answers(model: HfModel, orders: list[Job]) -> tuple[dict[str, list[int]], dict[str, list]]:
    """Tokens and states of jobs run together."""
    scheduler = Scheduler(PagePool(256), model.card.vocab, model.card.context)
    cache = model.new_cache(256)
    tokens: dict[str, list[int]] = {job.key: [] for job in orders}
    states: dict[str, list] = {job.key: [] for job in orders}
    for job in orders:
        scheduler.submit(job)
    while rows := scheduler.plan():
        for made in scheduler.absorb(model.forward(cache, rows)):
            tokens[made.key].append(made.token)
            states[made.key].append(made.state)
    return tokens, states


@pytest.fixture(scope="module")
def model() -> HfModel:
    return HfModel(TINY, "ganglion/tiny", torch.float32, fuse=False)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_kernel_draws_what_numpy_draws(dtype):
    from neurons.engine import cuda_kernels
    from neurons.engine.device_sampling import drawn

    vocab = 128_256
    logits = (torch.randn(24, vocab, device="cuda") * 3).to(getattr(torch, dtype))
    draws = [Draw(settings(i), 1000 * i) for i in range(24)]
    wanted = [
        int(
            choose(
                logits[i : i + 1].double().cpu().numpy(),
                integers(d.sampling.seed, d.position, 1, vocab),
                d.sampling,
            )[0]
        )
        for i, d in enumerate(draws)
    ]
    assert drawn(cuda_kernels.draw, logits, draws) == wanted


@pytest.mark.parametrize("window", [None, 100])
@pytest.mark.parametrize(("heads", "shared", "width"), [(32, 8, 64), (8, 8, 128), (6, 2, 16)])
def test_the_attention_kernel_attends(window, heads, shared, width):
    from neurons.engine import cuda_kernels

    count, pages = 5, 40
    table = torch.randperm(3 * pages, device="cuda").view(3, pages)
    keys, values = (torch.randn(3 * pages * PAGE, shared, width, device="cuda") for _ in range(2))
    query = torch.randn(count, heads, width, device="cuda")
    rows, last = torch.tensor([0, 1, 2, 1, 1]), torch.tensor([0, 300, 600, 15, 255])
    scale = width**-0.5
    ours = cuda_kernels.attention(
        query, keys, values, table, rows.cuda(), last.cuda(), scale, window
    )
    for i, (row, end) in enumerate(zip(rows.tolist(), last.tolist())):
        at = torch.arange(max(0, end + 1 - (window or 1 << 30)), end + 1, device="cuda")
        slots = table[row, at // PAGE] * PAGE + at % PAGE
        k, v = (t[slots].repeat_interleave(heads // shared, 1).double() for t in (keys, values))
        weights = torch.einsum("hw,nhw->hn", query[i].double() * scale, k).softmax(1)
        theirs = torch.einsum("hn,nhw->hw", weights, v)
        assert (ours[i] - theirs).abs().max() < 1e-5


def test_graphs_give_the_answers_of_single_runs(model):
    orders = jobs(7, 60)
    tokens, states = answers(model, orders)
    for job in orders:
        alone, own, _ = run_alone(model, job)
        assert alone == tokens[job.key]
        assert (np.stack(states[job.key]) != own).mean() < 0.02


def test_graphed_answers_equal_the_exact_engines(model):
    exact = ExactLlama.load(TINY, "t")
    for job in jobs(3, 40):
        assert run_alone(model, job)[0] == run_alone(exact, job)[0]


def test_one_shape_gives_the_same_bits_in_any_company():
    fixed = HfModel(TINY, "ganglion/tiny", fixed=True)
    orders = jobs(9, 50)
    tokens, states = answers(fixed, orders)
    for job in orders:
        alone, own, _ = run_alone(fixed, job)
        assert alone == tokens[job.key]
        assert np.array_equal(np.stack(states[job.key]), own)
        checked = prefill(fixed, (*job.prompt, *alone[:-1]), len(alone))
        assert np.array_equal(checked.states, own)
        assert not margins(checked.logits, alone, job.sampling).any()


def test_a_prompt_longer_than_the_shape_is_cut_to_it():
    fixed = HfModel(TINY, "ganglion/tiny", torch.float32, fixed=True)
    plain = HfModel(TINY, "ganglion/tiny", torch.float32, fuse=False)
    long = (TOKENS * 8)[: 2 * FIXED + 30]
    ours, theirs = prefill(fixed, long, len(long)), prefill(plain, long, len(long))
    assert np.abs(ours.logits - theirs.logits).max() < 1e-3


def test_passes_without_a_draw_hand_out_logits(model):
    cache = model.new_cache(2)
    out = model.forward(cache, [Row(TOKENS[:5], 0, range(pages_for(6)))])[0]
    assert out.tokens is None
    assert out.logits.shape == (1, model.card.vocab)


def test_on_a_gpu_honest_answers_pass_the_shipped_thresholds():
    verifier, tokenizer = ExactLlama.load(TINY, "t"), ByteTokenizer(TINY)
    miner, found = HfModel(TINY, "t"), Distances()
    assert miner.device.type == "cuda"
    for sample in generate(miner, tokenizer, draw_requests(random.Random(9), "t", 32, 128), 16):
        measure(verifier, sample, found)
    assert found.mismatch_ppm < 20_000


@pytest.mark.parametrize("vocab", [264, 32_003])
def test_margins_on_the_device_are_those_of_numpy(vocab):
    drawn = torch.Generator(device="cuda").manual_seed(vocab)
    logits = torch.randn(12, vocab, generator=drawn, device="cuda") * 4
    host = logits.double().cpu().numpy()
    for i in range(12):
        sampling = settings(i)
        right = choose(host, draws_for(sampling, 3, 12, vocab), sampling).tolist()
        tokens = [t if at % 3 else (t + 1) % vocab for at, t in enumerate(right)]
        found = missed(logits, Claim(sampling, 3, tokens))
        assert found.tobytes() == margins(host, tokens, sampling, 3).tobytes()


def test_a_verifier_on_the_device_keeps_its_logits_there(model):
    job = jobs(3, 40)[2]
    tokens, _, _ = run_alone(model, job)
    claim, known = Claim(job.sampling, 0, tokens), (*job.prompt, *tokens[:-1])
    judged, plain = prefill(model, known, 40, claim), prefill(model, known, 40)
    assert judged.margins is not None
    assert not len(judged.logits)
    assert np.array_equal(judged.states, plain.states)
    assert judged.margins.tobytes() == margins(plain.logits, tokens, job.sampling).tobytes()
