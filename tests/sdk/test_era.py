"""Mortal eras: Substrate's own examples and the two-byte form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.era import IMMORTAL, Era
from ganglion.errors import EncodeError
from ganglion.scale import DecodeError


def test_published_encodings() -> None:
    assert Era.mortal(64, 42).encode() == bytes([5 + 42 % 16 * 16, 42 // 16])
    assert Era.mortal(32_768, 20_000).encode() == bytes([(14 + 2500 % 16 * 16) & 255, 2500 // 16])
    assert IMMORTAL.encode() == b"\0"


def test_birth_and_death() -> None:
    era = Era(period=4, phase=1)
    assert [era.birth(now) for now in range(1, 8)] == [1, 1, 1, 1, 5, 5, 5]
    assert era.birth(0) == 1
    assert era.death(6) == 9
    assert (IMMORTAL.birth(77), IMMORTAL.death(77)) == (0, 2**64 - 1)


@given(st.integers(1, 200_000), st.integers(0, 2**32 - 1))
def test_an_era_holds_at_the_block_it_was_made_for(period: int, now: int) -> None:
    era = Era.mortal(period, now)
    assert era.period in {1 << n for n in range(2, 17)}
    assert era.birth(now) <= now < era.death(now)
    assert Era.read(era.encode()) == (era, 2)


@given(st.binary(max_size=4))
def test_decoding_is_strict(raw: bytes) -> None:
    try:
        era, end = Era.read(raw)
    except DecodeError:
        return
    assert raw[:end] == era.encode()


@pytest.mark.parametrize("era", [Era(3, 0), Era(64, 64), Era(32_768, 4), Era(1 << 17, 0)])
def test_impossible_eras_do_not_encode(era: Era) -> None:
    with pytest.raises(EncodeError):
        era.encode()


def test_mortal_needs_a_block() -> None:
    with pytest.raises(EncodeError):
        Era.mortal(0, 5)
