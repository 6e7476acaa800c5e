"""The statement that is proven is the scoring rule, to the last unit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnets.scoring import Policy, Record, compute_weights
from subnets.zk.rule import (
    EXPONENTS,
    SCORE_MAX,
    Shape,
    ZkError,
    scores_of,
    shape_for,
    spread,
    violation,
    weights_of,
)

SLOTS = 16
SCORE = st.integers(0, SCORE_MAX) | st.integers(0, 9) | st.sampled_from([1 << 31, SCORE_MAX])
SCORES = st.lists(SCORE, min_size=1, max_size=SLOTS).filter(any)
EXPONENT = st.sampled_from(EXPONENTS)


def vectors(scores: list[int], exponent: int) -> tuple[list[int], list[int]]:
    weights = weights_of(dict(enumerate(scores)), exponent)
    padded = scores + [0] * (SLOTS - len(scores))
    return padded, spread(weights, SLOTS, 65_535, "a weight of")


@given(SCORES, EXPONENT)
def test_the_rule_of_the_validator_has_no_violation(scores: list[int], exponent: int) -> None:
    assert violation(*vectors(scores, exponent), exponent) == 0


@given(SCORES, EXPONENT, st.data())
def test_every_other_vector_has_one(scores: list[int], exponent: int, data: st.DataObject) -> None:
    """So the weights are proven exactly, with no tolerance."""
    padded, weights = vectors(scores, exponent)
    at = data.draw(st.integers(0, SLOTS - 1))
    weights[at] = data.draw(st.integers(0, 65_535).filter(lambda w: w != weights[at]))
    assert violation(padded, weights, exponent) > 0


@given(SCORES, EXPONENT, st.integers(0, SLOTS - 1), st.integers(1, 1 << 40))
def test_scores_out_of_bounds_are_a_violation(
    scores: list[int], exponent: int, at: int, by: int
) -> None:
    padded, weights = vectors(scores, exponent)
    assert violation([*padded[:at], -by, *padded[at + 1 :]], weights, exponent) > 0
    assert violation([*padded[:at], SCORE_MAX + by, *padded[at + 1 :]], weights, exponent) > 0


def test_no_scores_prove_nothing() -> None:
    assert violation([0] * SLOTS, [0] * SLOTS, 2) > 0


def test_the_scores_of_records_give_the_weights_of_records() -> None:
    records = {
        0: Record(average=900),
        3: Record(average=500, debt=2),
        7: Record(average=SCORE_MAX),
        9: Record(),
    }
    assert scores_of(records) == {0: 900, 7: SCORE_MAX}
    assert weights_of(scores_of(records), 2) == dict(compute_weights(records.items(), Policy()))


def test_the_smallest_shape_that_holds_the_uids() -> None:
    assert shape_for([0, 15], 2) == Shape(16, 2)
    assert shape_for([16], 2).slots == 64
    assert shape_for([255], 2).slots == 256
    with pytest.raises(ZkError, match="uid 256 is beyond the largest circuit"):
        shape_for([256], 2)
    with pytest.raises(ZkError, match="exponent 4 cannot be proven"):
        shape_for([0], 4)


@pytest.mark.parametrize(("uid", "value"), [(-1, 1), (16, 1), (0, -1), (0, 65_536)])
def test_values_out_of_bounds_are_named(uid: int, value: int) -> None:
    with pytest.raises(ZkError, match=f"uid {uid} "):
        spread({uid: value}, SLOTS, 65_535, "a weight of")
