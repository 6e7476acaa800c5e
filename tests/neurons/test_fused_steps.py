"""The exact engine's fused steps give the bits of the numpy steps, and refuse wrong sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganglion.exact import arithmetic as exact
from ganglion.exact.arithmetic import FEW, Matrix, NormedMatrix
from neurons.engine import exact_fused
from neurons.engine.base import PAGE, Output, Row, pages_for, prefill
from neurons.engine.exact_attention import Cache, Heads, in_blocks
from neurons.engine.folder import TINY, read_model
from neurons.engine.llama import ExactLlama

pytestmark = pytest.mark.skipif(not exact_fused.BUILT, reason="installed without a C compiler")

rows_of = st.tuples(st.integers(1, 9), st.integers(1, 70), st.integers(0, 2**32 - 1))


def uneven(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Rows of very different sizes, with zeros and a row of nothing but zeros."""
    x = rng.normal(size=shape) * 10.0 ** rng.integers(-9, 9, (*shape[:-1], 1))
    x[rng.random(shape) < 0.1] = 0.0
    if rng.random() < 0.3:
        x[0] = 0.0
    return x


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.array_equal(a.view(np.uint64), b.view(np.uint64))


@given(rows_of, st.sampled_from((1, 5, 21, 25)))
def test_products_are_the_same(shape: tuple[int, int, int], wide: int) -> None:
    rows, width, seed = shape
    rng = np.random.default_rng(seed)
    x = uneven(rng, rows, width)
    matrix = Matrix(rng.normal(size=(wide, width)))
    assert same(matrix.apply(x), exact_fused.product(matrix, x.copy()))
    normed = NormedMatrix(rng.normal(size=width), rng.normal(size=(wide, width)), 1e-5)
    product, scales = exact_fused.normed_product(normed, x)
    assert same(normed.apply(x), product * scales[:, None])
    weight = rng.normal(size=width)
    assert same(exact.rms_norm(x, weight, 1e-6), exact_fused.rms_norm(x, weight, 1e-6))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_rounding_is_the_same_at_the_ends_of_the_range(values: list[float]) -> None:
    x = np.array([values]) * 0.25  # subnormal numbers too; room for the grid above
    out = np.empty_like(x)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for bits in (3, 20, 27):
            exact_fused.kernels.round_rows(x, out, 1, len(values), bits)
            assert np.array_equal(out, exact.quantise(x, bits), equal_nan=True)


@given(rows_of, st.integers(1, 40), st.sampled_from((0.1, 3.0, 1e4)))
def test_gated_networks_are_the_same(shape: tuple[int, int, int], inner: int, heat: float) -> None:
    rows, width, seed = shape
    rng = np.random.default_rng(seed)
    x = uneven(rng, rows, width)
    gate_up = NormedMatrix(np.full(width, heat), rng.normal(size=(2 * inner, width)), 1e-5)
    down = Matrix(rng.normal(size=(width, inner)))
    plain = down.apply(exact.gated(gate_up.apply(x)))
    assert same(plain, exact_fused.feed_forward(gate_up, down, x))


@settings(deadline=None)
@given(
    st.integers(1, 110),
    st.integers(0, 70),
    st.sampled_from(((1, 1, 2), (4, 2, 32), (6, 2, 10), (3, 3, 8))),
    st.sampled_from((1e-3, 1.0, 300.0)),
    st.integers(0, 2**32 - 1),
)
def test_attention_is_the_same(
    count: int, before: int, sizes: tuple[int, int, int], heat: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    heads, width = Heads(*sizes, context=256), sizes[0] * sizes[2]
    qkv = NormedMatrix(
        np.full(24, heat), rng.normal(size=(width + 2 * sizes[1] * sizes[2], 24)), 1e-5
    )
    end = before + count
    pages = rng.permutation(12)[: pages_for(end)]
    caches = [Cache(2, sizes[1], sizes[2], 12) for _ in range(2)]
    cosines, sines = exact.rotary_tables(end, sizes[2], 10_000.0)
    for start, stop in ((0, before), (before, end)):
        if start == stop:
            continue
        positions = np.arange(start, stop)
        turn = cosines[positions, None], sines[positions, None]
        where = pages[positions // PAGE], positions % PAGE
        x = uneven(rng, stop - start, 24)
        fused = exact_fused.remember(heads, caches[0], 1, qkv, x, turn, where)
        fresh = qkv.apply(x).reshape(len(x), -1, sizes[2])
        heads.rotate(fresh, turn)
        plain = np.ascontiguousarray(heads.remember(caches[1], 1, where, fresh))
        assert same(plain, fused)
    assert same(caches[0].stored, caches[1].stored)
    assert same(caches[0].scales, caches[1].scales)
    mixed = np.empty((2, count, width))
    exact_fused.attend(heads, caches[0], 1, pages, fused, mixed[0], before)
    in_blocks(heads, caches[0], 1, pages, fused, mixed[1], before)
    assert same(mixed[0], mixed[1])


@pytest.fixture(scope="module")
def models() -> tuple[ExactLlama, ExactLlama]:
    plain, fused = (ExactLlama.load(TINY, "tiny") for _ in range(2))
    plain.fused = False
    return plain, fused


def equal(a: Output, b: Output) -> bool:
    return same(a.logits, b.logits) and np.array_equal(a.states, b.states)


def test_a_model_answers_the_same(models: tuple[ExactLlama, ExactLlama]) -> None:
    rng = np.random.default_rng(4)
    for length, keep in ((1, 1), (FEW, FEW), (50, 3), (145, 128), (400, 1)):
        tokens = rng.integers(0, 264, length)
        assert equal(*(prefill(model, tokens, keep) for model in models))
    for first, second in (((3, 40, 1, 70), (1, 5, 1, 60)), ((9, 9, 9, 9, 9), (1, 1, 1, 1, 1))):
        caches = [model.new_cache(60) for model in models]
        for starts, counts in (((0,) * len(first), first), (first, second)):
            rows = [
                Row(rng.integers(0, 264, n).tolist(), start, range(12 * i, 12 * i + 12), min(n, 4))
                for i, (n, start) in enumerate(zip(counts, starts))
            ]
            outputs = (m.forward(c, rows) for m, c in zip(models, caches))
            assert all(equal(a, b) for a, b in zip(*outputs))
        assert same(caches[0].stored, caches[1].stored)


def test_models_with_outliers_answer_the_same() -> None:
    """Weights as no training leaves them: the exponential's clamp and tiny sums are reached."""
    true = ExactLlama.load(TINY, "tiny")
    rng = np.random.default_rng(8)
    tensors = dict(read_model(TINY))
    for name in ("model.layers.1.mlp.gate_proj.weight", "model.layers.2.self_attn.q_proj.weight"):
        tensors[name] = tensors[name] * 10.0 ** rng.integers(-3, 6, tensors[name].shape)
    model = ExactLlama(true.shape, tensors, true.card)
    tokens = rng.integers(0, 264, 100)
    fused = prefill(model, tokens, 100)
    model.fused = False
    assert equal(fused, prefill(model, tokens, 100))


def test_wrong_sizes_are_refused() -> None:
    kernels, x = exact_fused.kernels, np.ones((4, 8))
    with pytest.raises(ValueError, match="array 2"):
        kernels.round_rows(x, np.empty((4, 7)), 4, 8, 20)
    with pytest.raises(ValueError, match="array 1"):
        kernels.round_rows(x, x, -4, -9, 20)
    with pytest.raises(ValueError, match="contiguous"):
        kernels.round_rows(x, x[:, ::2], 4, 8, 20)
    with pytest.raises(TypeError, match="5 arguments"):
        kernels.round_rows(x, x)
    with pytest.raises(TypeError):
        kernels.gate(x, x, x, 4, "8", 20)
    with pytest.raises(ValueError, match="outside the cache"):
        kernels.gather(
            np.ones((2, PAGE, 2, 2)), np.ones((2, PAGE, 1)), np.array([2]), np.empty((1, 2, 5)),
            np.empty((1, 5, 2)), np.empty((1, 5)), 2 * PAGE, PAGE, 5, 1, 2,
        )  # fmt: skip
    with pytest.raises(ValueError, match="more keys"):
        kernels.weigh(
            np.ones((1, 2, 5)), np.ones((1, 5)), np.empty((1, 2)), 1, 2, 5, 5, 2, 4, 1.0, 20
        )
