"""The chain of the proof of hardware: same bits on every machine, no wrong end passes."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnets.hardware.chain import (
    FASTEST,
    LEAST_STEPS,
    PRIME,
    SIZES,
    SLOWEST,
    Matrix,
    NumpyMachine,
    Shape,
    Unfit,
    class_seconds,
    commitment,
    draw,
    order_of,
    reduce,
    shape_of,
)
from subnets.hardware.check import COLUMNS, is_end, read_end

NUMPY = NumpyMachine()
SMALL = Shape(256, 3)


def slow_walk(seed: bytes, shape: Shape) -> Matrix:
    """The definition in whole numbers."""
    material = draw(seed, shape)
    a, z = material.matrix.astype(np.int64), material.start.astype(np.int64)
    for words in material.words:
        z = a @ z[sorted(range(shape.size), key=lambda i: (words[i], i))] % PRIME
    return np.where(z > PRIME // 2, z - PRIME, z).astype(np.int8)


@pytest.mark.parametrize("seed", [b"", b"one", b"\xff" * 32])
def test_the_float_machine_follows_the_definition(seed: bytes) -> None:
    material = draw(seed, SMALL)
    end = NUMPY.walk(material, material.start)
    assert np.array_equal(end, slow_walk(seed, SMALL))


def test_a_seed_names_the_same_chain_for_ever() -> None:
    material = draw(b"frozen", SMALL)
    drawn = material.matrix.tobytes() + material.start.tobytes() + material.words.tobytes()
    assert hashlib.sha256(drawn).hexdigest()[:16] == "f2b16fdc28614345"
    assert commitment(NUMPY.walk(material, material.start)).hex()[:16] == "549e543a37660447"


def test_what_is_drawn_stays_exact_in_float32() -> None:
    material = draw(b"x", Shape(512, 1))
    for matrix in (material.matrix, material.start):
        assert (matrix.min(), matrix.max()) == (-63, 64)
    largest = 64 * 64 * max(SIZES)
    assert largest <= 1 << 24


@given(st.lists(st.integers(-(1 << 24), 1 << 24), min_size=1, max_size=50))
def test_reduction_gives_the_centred_residue(values: list[int]) -> None:
    array = np.array(values, np.float32)
    reduce(array, np.empty_like(array))
    for value, residue in zip(values, array):
        assert (value - int(residue)) % PRIME == 0
        assert -PRIME / 2 < residue < PRIME / 2


def test_every_order_is_another_permutation() -> None:
    orders = [tuple(order_of(words)) for words in draw(b"o", Shape(256, 8)).words]
    assert len(set(orders)) == 8
    assert all(sorted(order) == list(range(256)) for order in orders)


def test_equal_words_are_ordered_by_place() -> None:
    assert order_of(np.array([5, 1, 5, 1], np.uint32)).tolist() == [1, 3, 0, 2]


@given(st.integers(SLOWEST, FASTEST))
def test_every_class_has_a_bounded_chain_of_about_its_time(rate: int) -> None:
    shape = shape_of(rate)
    assert shape.size in SIZES
    assert 1 <= shape.steps <= max(shape.size, LEAST_STEPS * 8)
    assert 0.3 < class_seconds(rate) <= 0.5
    assert shape_of(min(2 * rate, FASTEST)).work >= shape.work


@pytest.mark.parametrize("rate", [0, -1, SLOWEST - 1, FASTEST + 1, 1 << 70])
def test_a_class_out_of_bounds_is_refused(rate: int) -> None:
    with pytest.raises(Unfit, match="a class is a rate from"):
        shape_of(rate)


def test_the_check_takes_the_end_and_no_other() -> None:
    rng = np.random.default_rng(3)
    material = draw(b"check", SMALL)
    end = NUMPY.walk(material, material.start)
    assert is_end(NUMPY, material, end, rng)
    for _ in range(50):
        wrong = end.copy()
        at = tuple(rng.integers(0, 256, 2))
        wrong[at] = (int(wrong[at]) + 63 + rng.integers(1, PRIME)) % PRIME - 63
        assert not is_end(NUMPY, material, wrong, rng)
    assert not is_end(NUMPY, draw(b"other", SMALL), end, rng)


def test_a_skipped_step_and_a_truncated_chain_are_no_end() -> None:
    rng, material = np.random.default_rng(4), draw(b"skip", SMALL)
    short = draw(b"skip", Shape(256, 2))
    skipped = NUMPY.walk(short, material.start)
    assert not is_end(NUMPY, material, skipped, rng)
    half = NUMPY.walk(material, material.start)
    half[:, 128:] = skipped[:, 128:]  # half of the columns done in full
    assert not is_end(NUMPY, material, half, rng)


def test_the_soundness_that_the_documentation_claims() -> None:
    assert PRIME**-COLUMNS < 2**-55


@given(st.binary(max_size=300))
def test_a_strangers_matrix_is_read_or_refused(body: bytes) -> None:
    try:
        end = read_end(body, 16)
    except Unfit:
        return
    assert end.tobytes() == body
    assert np.abs(end.astype(int)).max() <= 63


@pytest.mark.parametrize("value", [64, 127, 128, 192])
def test_a_number_that_is_no_residue_is_refused(value: int) -> None:
    with pytest.raises(Unfit, match="no residues from -63 to 63"):
        read_end(bytes([value]) + bytes(255), 16)
