"""Two parties compute a linear layer on what neither of them sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neurons.engine.folder import TINY, read_model
from subnets.shares import (
    Ring,
    deal,
    linear,
    masked,
    opened,
    product,
    share,
    to_reals,
    to_ring,
)

LAYER = "model.layers.0.self_attn.q_proj.weight"


def ring(*shape: int) -> st.SearchStrategy[Ring]:
    return arrays(np.uint64, shape, elements=st.integers(0, 2**64 - 1))


@given(ring(5, 3), ring(2, 3))
def test_a_shared_vector_times_a_public_matrix_is_the_plain_product(weights: Ring, x: Ring) -> None:
    first, second = share(x)
    plain = [[sum(int(a) * int(b) for a, b in zip(row, column)) % 2**64 for column in weights]
             for row in x]  # fmt: skip
    assert opened(linear(weights, first), linear(weights, second)).tolist() == plain


@given(ring(2, 3), ring(3, 4))
def test_two_shared_matrices_multiply_as_in_the_open(left: Ring, right: Ring) -> None:
    (l1, l2), (r1, r2), (t1, t2) = share(left), share(right), deal(2, 3, 4)
    one, two = masked(t1, l1, r1), masked(t2, l2, r2)
    plain = [[sum(int(a) * int(b) for a, b in zip(row, column)) % 2**64 for column in right.T]
             for row in left]  # fmt: skip
    assert opened(product(t1, one, two, True), product(t2, two, one, False)).tolist() == plain


def test_a_share_and_what_is_told_are_fresh_noise() -> None:
    """Equal secrets never show twice: a constant mask would pass every product above."""
    secret = np.zeros((64, 64), np.uint64)
    triple, other = deal(64, 64, 64), deal(64, 64, 64)
    told = [masked(t[0], secret, secret)[0] for t in (triple, other)]
    for noise in (*share(secret), *share(secret), *told):
        ones = np.unpackbits(noise.view(np.uint8)).mean()
        assert abs(ones - 0.5) < 0.01
    assert len({part.tobytes() for part in (*share(secret), *share(secret), *told)}) == 6


def test_a_layer_of_the_shipped_model_gives_its_reals() -> None:
    weights = read_model(TINY)[LAYER].astype(np.float64)
    x = np.random.default_rng(7).normal(size=(4, weights.shape[1]))
    first, second = share(to_ring(x))
    public = to_ring(weights)
    result = to_reals(opened(linear(public, first), linear(public, second)), products=1)
    assert np.abs(result - x @ weights.T).max() < 1e-3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0**22 + 1])
def test_what_does_not_fit_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"exceeds 2\*\*22"):
        to_ring(np.array([1.0, value]))
