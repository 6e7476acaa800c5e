"""The deterministic engine: the same bits from the cache, from scratch, alone or in a batch."""

import os
import tempfile
from contextlib import suppress
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganglion.exact import arithmetic as exact
from neurons.engine.base import EngineError, Row, pages_for, prefill
from neurons.engine.bytes import ByteTokenizer
from neurons.engine.folder import TINY, read_tensors, weights_hash
from neurons.engine.llama import ExactLlama

TEXT = b"def open(file, mode='r', buffering=-1): raise ValueError  # The quick brown fox jumps. "


@pytest.fixture(scope="module")
def model() -> ExactLlama:
    return ExactLlama.load(TINY, "tiny")


def tokens_of(count: int, shift: int = 0) -> list[int]:
    return list((TEXT * 8)[shift : shift + count])


def test_decoding_from_the_cache_equals_prefill_to_the_bit(model: ExactLlama) -> None:
    tokens = tokens_of(90)
    whole = prefill(model, tokens, len(tokens))
    cache, pages = model.new_cache(10), [7, 2, 5, 0, 9, 1]
    model.forward(cache, [Row(tokens[:40], 0, pages)])
    for i in range(40, 90):
        one = model.forward(cache, [Row([tokens[i]], i, pages)])[0]
        assert np.array_equal(one.logits[0], whole.logits[i])
        assert np.array_equal(one.states[0], whole.states[i])


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 70), st.integers(0, 80)), min_size=1, max_size=5))
def test_a_row_does_not_depend_on_its_company(rows: list[tuple[int, int]]) -> None:
    model = ExactLlama.load(TINY, "tiny")
    cache = model.new_cache(40)
    batch, page = [], 0
    for count, shift in rows:
        pages = list(range(page, page + pages_for(count)))
        page += len(pages)
        batch.append(Row(tokens_of(count, shift), 0, pages, count))
    for row, together in zip(batch, model.forward(cache, batch)):
        alone = prefill(model, row.tokens, row.keep)
        assert np.array_equal(alone.logits, together.logits)
        assert np.array_equal(alone.states, together.states)


def test_the_bits_are_frozen(model: ExactLlama) -> None:
    """Equal on every machine: a miner here and a validator there must not disagree."""
    output = prefill(model, tokens_of(100), 100)
    digest = blake2b(output.logits.tobytes() + output.states.tobytes(), digest_size=8)
    assert digest.hexdigest() == "a406f1d346cc4ead"


def test_long_prompts_are_the_same_in_blocks(model: ExactLlama) -> None:
    tokens = tokens_of(200)
    cache, pages = model.new_cache(13), list(range(13))
    parts = [
        model.forward(cache, [Row(tokens[a:b], a, pages, b - a)])[0].logits
        for a, b in ((0, 3), (3, 130), (130, 200))
    ]
    assert np.array_equal(np.concatenate(parts), prefill(model, tokens, 200).logits)


def test_the_model_knows_its_language(model: ExactLlama) -> None:
    held = b"Return the number of items in the list. If the object is None, raise a TypeError."
    logits = prefill(model, [256, *held], len(held) + 1).logits[:-1]
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(held)), list(held)]
    assert losses.mean() / np.log(2) < 2.6  # bits a byte; 8 would be knowing nothing


def test_rotary_tables_are_the_cosines_of_the_positions() -> None:
    cosine, sine = exact.rotary_tables(300, 32, 10_000.0)
    angles = np.arange(300)[:, None] * 10_000.0 ** (-np.arange(0, 32, 2) / 32)
    assert np.abs(cosine - np.cos(angles)).max() < 1e-12
    assert np.abs(sine - np.sin(angles)).max() < 1e-12


@given(st.integers(1, 5), st.integers(1, 700), st.integers(0, 2**32 - 1))
def test_matrix_products_are_exact_in_any_order(rows: int, terms: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    matrix = exact.Matrix(draw.normal(size=(3, terms)))
    x = exact.quantise(draw.normal(size=(rows, terms)) * 10.0, matrix.bits)
    for row, got in zip(x, matrix.apply(x)):
        for column, value in zip(matrix.columns.T, got):
            assert sum(Fraction(a) * Fraction(b) for a, b in zip(row, column)) == Fraction(value)
    order = draw.permutation(terms)
    shuffled = exact.Matrix.__new__(exact.Matrix)
    shuffled.bits, shuffled.columns = matrix.bits, np.ascontiguousarray(matrix.columns[order])
    assert np.array_equal(matrix.apply(x), shuffled.apply(np.ascontiguousarray(x[:, order])))


@pytest.mark.parametrize("width", [64, 4_096, 4_097, 8_192, 16_384])
def test_sums_of_every_width_fit_the_mantissa(width: int) -> None:
    """The largest sum there can be, of products and of squares, is a whole number below 2**53."""
    most, weight = 2 ** exact.normed_bits(width), 2**exact.WEIGHT_BITS
    assert width * most * weight <= 2**53
    assert width * most * most <= 2**53
    assert width * 2 ** exact.activation_bits(width) * weight <= 2**53
    assert most >= 2**18


def test_wide_normed_products_are_exact_in_any_order() -> None:
    width = 8_192
    rng = np.random.default_rng(3)
    weights, x = rng.uniform(0.5, 1, (2, width)), rng.uniform(0.5, 1, (1, width))
    matrix = exact.NormedMatrix(np.ones(width), weights, 1e-5)
    q = exact.quantise(x, matrix.bits)
    for column in matrix.columns.T:
        whole = sum(int(Fraction(a * b) * 2**80) for a, b in zip(q[0], column))
        for order in (slice(None), slice(None, None, -1)):
            added = 0.0
            for a, b in zip(q[0][order], column[order]):
                added += float(a) * float(b)
            assert Fraction(added) * 2**80 == whole


@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_rounding_to_a_grid_is_that_of_integers(
    rows: int, width: int, bits: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, width)) * 10.0 ** draw.integers(-12, 12, size=(rows, 1))
    x[draw.random(x.shape) < 0.2] = 0.0
    _, exponent = np.frexp(np.abs(x).max(1, keepdims=True))
    whole = np.rint(np.ldexp(x, bits - exponent))
    assert np.abs(whole).max() <= 2**bits
    assert np.array_equal(exact.quantise(x, bits), np.ldexp(whole, exponent - bits))


@given(st.floats(-690, 660), st.sampled_from([0, 30]))
def test_the_stepwise_exponential_is_accurate(x: float, scale: int) -> None:
    found = exact.exp_of_steps(np.array([x * exact.STEPS_PER_UNIT]), scale)[0]
    assert found == pytest.approx(np.exp(x) * 2.0**scale, rel=2e-8)


def test_byte_tokenizer_reads_the_shipped_folder() -> None:
    tokenizer = ByteTokenizer(TINY)
    assert tokenizer.decode(tokenizer.encode("naïve <|eos|> ☃")) == "naïve <|eos|> ☃"
    prompt = tokenizer.chat([("user", "Hi"), ("assistant", "a"), ("user", "b")])
    assert prompt == [256, 258, 72, 105, 259, 97, 257, 258, 98, 259]
    with pytest.raises(ValueError, match="role"):
        tokenizer.chat([("root", "x")])


def test_broken_folders_are_named_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"config\.json is missing"):
        ExactLlama.load(tmp_path, "x")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(EngineError, match="--engine hf"):
        ExactLlama.load(tmp_path, "x")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(EngineError, match="no readable JSON"):
        ExactLlama.load(tmp_path, "x")
    with pytest.raises(EngineError, match=r"no \.safetensors"):
        weights_hash(tmp_path)


@given(st.binary(max_size=200) | st.text(alphabet='[{"x":}]01,', max_size=60).map(str.encode))
def test_malformed_safetensors_never_crash(raw: bytes) -> None:
    path = Path(tempfile.gettempdir()) / f"ganglion-fuzz-{os.getpid()}.safetensors"
    for body in (raw, len(raw).to_bytes(8, "little") + raw):
        path.write_bytes(body)
        with suppress(EngineError):
            assert isinstance(list(read_tensors(path)), list)


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    whole = (TINY / "model.safetensors").read_bytes()
    for size in (0, 5, 100, 5000, len(whole) - 1):
        (tmp_path / "cut.safetensors").write_bytes(whole[:size])
        with pytest.raises(EngineError):
            list(read_tensors(tmp_path / "cut.safetensors"))
