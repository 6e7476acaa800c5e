"""Fixed point: every operation against exact rational arithmetic."""

from fractions import Fraction
from math import floor, trunc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.fixed import (
    I32F32,
    I64F64,
    I96F32,
    U0F16,
    U64F64,
    U96F32,
    Format,
    trunc_div,
    u16_proportion,
    u64_proportion,
)

FORMATS = [U0F16, I32F32, I64F64, U64F64, I96F32, U96F32]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Format, int, int]:
    f = draw(st.sampled_from(FORMATS))
    edge = st.sampled_from([f.low, f.high, 0, min(f.one, f.high), max(-f.one, f.low), f.low + 1])
    small = st.integers(max(f.low, -1000), min(f.high, 1000))
    bits = edge | small | st.integers(f.low, f.high)
    return f, draw(bits), draw(bits)


def value(f: Format, bits: int) -> Fraction:
    return Fraction(bits, 1 << f.frac)


@given(pairs())
def test_product_floors_then_clamps(case: tuple[Format, int, int]) -> None:
    f, a, b = case
    exact = floor(value(f, a) * value(f, b) * (1 << f.frac))
    assert f.mul(a, b) == min(max(exact, f.low), f.high)
    assert f.checked_mul(a, b) == (exact if f.low <= exact <= f.high else None)


@given(pairs())
def test_quotient_truncates_and_safe_division_gives_zero(case: tuple[Format, int, int]) -> None:
    f, a, b = case
    if b == 0:
        assert f.safe_div(a, b) == 0
        assert f.safe_div(a, b, default=7) == 7
        with pytest.raises(ZeroDivisionError):
            f.div(a, b)
        return
    exact = trunc(Fraction(a, b) * (1 << f.frac))
    assert f.div(a, b) == min(max(exact, f.low), f.high)
    assert f.safe_div(a, b) == (exact if f.low <= exact <= f.high else 0)


@given(pairs(), st.sampled_from(FORMATS))
def test_conversion_floors_then_clamps(case: tuple[Format, int, int], target: Format) -> None:
    source, bits, _ = case
    exact = floor(value(source, bits) * (1 << target.frac))
    assert target.from_bits(bits, source) == min(max(exact, target.low), target.high)


@given(pairs())
def test_sum_clamps(case: tuple[Format, int, int]) -> None:
    f, a, b = case
    assert f.add(a, b) == min(max(a + b, f.low), f.high)
    assert f.sub(a, b) == min(max(a - b, f.low), f.high)


@given(st.integers(-(10**12), 10**12), st.integers(-(10**6), 10**6).filter(bool))
def test_trunc_div(a: int, b: int) -> None:
    assert trunc_div(a, b) == trunc(Fraction(a, b))


def test_known_constants() -> None:
    assert u16_proportion(32767) == 2147450879
    assert u16_proportion(65535) == 1 << 32
    assert u64_proportion(971718665099567868) == 226245882
    assert u64_proportion((1 << 64) - 1) == 1 << 32
    assert I96F32.ratio(3, 1_000_000) == 12884
    assert I32F32.to_u64(-1) == 0
    assert U64F64.to_u64(U64F64.high) == (1 << 64) - 1


@pytest.mark.parametrize(
    ("bits", "text"),
    [(0, "0.000000"), (1 << 31, "0.500000"), (-(3 << 31), "-1.500000"), (1, "0.000000")],
)
def test_decimal_text(bits: int, text: str) -> None:
    assert I32F32.decimal(bits) == text
    assert I32F32.decimal(5 << 32, places=0) == "5"
