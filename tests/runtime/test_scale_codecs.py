"""SCALE: known bytes, round trips, and strictness about everything else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.scale import (
    Array,
    Compact,
    DecodeError,
    Enumeration,
    Fixed,
    Opaque,
    Outcome,
    PackedPairs,
    codec,
    compact_encode,
    compact_read,
    i16,
    slotted,
    u8,
    u16,
    u32,
    u64,
    u128,
    variant,
)
from ganglion.units import NetUid, Rao


class Colour(IntEnum):
    RED = 0
    BLUE = 3


@dataclass(frozen=True, slots=True)
class Point:
    x: u32
    y: u64


@dataclass(frozen=True, slots=True)
class Mixed:
    name: str
    point: Point | None
    weights: tuple[tuple[u16, u16], ...]
    colour: Colour
    amount: Compact[Rao]


class Tree(Enumeration):
    pass


@variant(0)
class Leaf(Tree):
    _0: u8


@variant(2)
class Fork(Tree):
    left: Tree
    right: Tree


KNOWN = [
    (u8, 7, "07"),
    (u32, 1, "01000000"),
    (i16, -2, "feff"),
    (u128, 1 << 64, "00000000000000000100000000000000"),
    (Compact[u32], 63, "fc"),
    (Compact[u32], 64, "0101"),
    (Compact[u64], 1 << 30, "0300000040"),
    (bytes, b"ab", "086162"),
    (str, "é", "08c3a9"),
    (NetUid | None, None, "00"),
    (NetUid | None, 5, "010500"),
    (tuple[u16, ...], (1, 2), "0801000200"),
    (tuple[u8, bool], (9, True), "0901"),
    (Annotated[bytes, Fixed(2)], b"xy", "7879"),
    (Annotated[tuple[u16, ...], Array(2)], (1, 2), "01000200"),
    (Outcome[u8], None, "00"),
    (Outcome[u8], 4, "0104"),
    (PackedPairs, b"\1\0\2\0", "0401000200"),
    (Opaque(u16), b"\1\2", "0102"),
    (Colour, Colour.BLUE, "03"),
    (Point, Point(1, 2), "010000000200000000000000"),
    (Tree, Fork(Leaf(1), Leaf(2)), "0200010002"),
    (
        Mixed,
        Mixed("a", Point(1, 2), ((1, 2),), Colour.RED, 5),
        "04610101000000020000000000000004010002000014",
    ),
]


@pytest.mark.parametrize(("tp", "value", "encoded"), KNOWN, ids=lambda v: str(v)[:24])
def test_known_bytes_both_ways(tp: object, value: object, encoded: str) -> None:
    made = codec(tp)
    assert made.encode(value).hex() == encoded
    assert made.decode(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(("tp", "value", "encoded"), KNOWN, ids=lambda v: str(v)[:24])
def test_every_truncation_and_any_extra_byte_is_refused(
    tp: object, value: object, encoded: str
) -> None:
    made, raw = codec(tp), bytes.fromhex(encoded)
    for end in range(len(raw)):
        with pytest.raises(DecodeError):
            made.decode(raw[:end])
    with pytest.raises(DecodeError):
        made.decode(raw + b"\0")


@given(st.integers(0, (1 << 536) - 1))
def test_compact_round_trip(value: int) -> None:
    raw = compact_encode(value)
    assert compact_read(raw, 0) == (value, len(raw))


@pytest.mark.parametrize("raw", ["0100", "02000000", "0300000000", "07ffffff3f00"])
def test_compact_longer_than_needed_is_refused(raw: str) -> None:
    with pytest.raises(DecodeError, match="longer than it need be"):
        compact_read(bytes.fromhex(raw), 0)


@pytest.mark.parametrize("tp", [bool, Colour, Tree, u8 | None])
def test_unknown_variants_are_refused(tp: object) -> None:
    with pytest.raises(DecodeError):
        codec(tp).decode(b"\x09\0\0\0")


@pytest.mark.parametrize("tp", [bytes, str, tuple[u64, ...], tuple[Mixed, ...], PackedPairs])
def test_a_length_is_checked_before_anything_is_allocated(tp: object) -> None:
    with pytest.raises(DecodeError):
        codec(tp).decode(compact_encode(1 << 60) + b"\0")


def test_nesting_is_bounded() -> None:
    with pytest.raises(DecodeError, match="nested deeper"):
        codec(Tree).decode(b"\2" * 5000)
    assert codec(Tree).decode(b"\2\0\1\0\1") == Fork(Leaf(1), Leaf(1)), "usable afterwards"


@given(st.binary(max_size=80))
def test_any_bytes_decode_or_are_refused(raw: bytes) -> None:
    for tp in (Mixed, Tree, tuple[Mixed, ...], PackedPairs, Outcome[Tree]):
        made = codec(tp)
        try:
            value = made.decode(raw)
        except DecodeError:
            continue
        assert made.encode(value) == raw


@slotted
class Named:
    who: Annotated[bytes, Fixed(32)]
    amount: u64


def test_slotted_values_are_equal_field_by_field() -> None:
    a = Named(bytes(32), 5)
    assert a == Named(bytes(32), 5)
    assert hash(a) == hash(Named(bytes(32), 5))
    assert a != Named(bytes(32), 6)
    assert a != Named(b"\1" * 32, 5)
    assert a != (bytes(32), 5)


def test_an_account_of_the_wrong_length_is_refused_when_encoding() -> None:
    with pytest.raises(ValueError, match="expected 32 bytes, got 31"):
        codec(Named).encode(Named(bytes(31), 5))


def test_values_out_of_range_are_refused_when_encoding() -> None:
    for tp, value in ((u8, 256), (tuple[u16, ...], (65536,)), (Point, Point(1 << 32, 0))):
        with pytest.raises(OverflowError):
            codec(tp).encode(value)
