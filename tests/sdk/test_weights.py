"""Weights in 16 bits and the hash that commits to them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.errors import EncodeError
from ganglion.hashing import blake2_256
from ganglion.keys import dev_key
from ganglion.weights import MAX_WEIGHT, commit_hash, new_salt, to_u16


def test_scaling_is_exact() -> None:
    assert to_u16({5: "0.25", 0: 1}) == ([0, 5], [65_535, 16_384])
    assert to_u16({1: 7}) == ([1], [MAX_WEIGHT])
    assert to_u16({3: Fraction(1, 3), 2: Fraction(1, 3), 1: 0}) == ([2, 3], [MAX_WEIGHT] * 2)
    assert to_u16({1: 1, 2: "0.000001"}) == ([1], [MAX_WEIGHT])


@pytest.mark.parametrize("bad", [{}, {1: 0}, {1: 1, 2: -1}, {1: "x"}, {1: "nan"}, {1: "1e999"}])
def test_refusals(bad: dict[int, int | str]) -> None:
    with pytest.raises(EncodeError):
        to_u16(bad)


@given(
    st.dictionaries(
        st.integers(0, 255), st.fractions(min_value=0, max_value=10**6), min_size=1
    ).filter(lambda w: max(w.values()) > 0)
)
def test_order_is_kept_and_the_largest_is_full(weights: dict[int, Fraction]) -> None:
    uids, values = to_u16(weights)
    assert max(values) == MAX_WEIGHT
    assert uids == sorted(uids)
    by_weight = sorted(zip(uids, values), key=lambda p: weights[p[0]])
    assert [v for _, v in by_weight] == sorted(values)


def test_commit_hash_is_of_the_plain_tuple() -> None:
    key = dev_key("Alice").public_key
    # netuid index, then each vector with its length, then the version key
    by_hand = (
        key
        + (4096 + 1).to_bytes(2, "little")
        + bytes.fromhex("08" + "0000" + "0200")
        + bytes.fromhex("08" + "ffff" + "0100")
        + bytes.fromhex("04" + "0500")
        + (9).to_bytes(8, "little")
    )
    assert commit_hash(key, 1, [0, 2], [65_535, 1], [5], 9, mechanism=1) == blake2_256(by_hand)
    with pytest.raises(EncodeError):
        commit_hash(key, 1, [70_000], [1], [1])


def test_salts_differ() -> None:
    assert new_salt() != new_salt()
    assert all(0 <= n < 65_536 for n in new_salt(100))
