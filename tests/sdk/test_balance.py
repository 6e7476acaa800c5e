"""Amounts: exact in, exact out, and no mixing of tokens."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.balance import MAX_AMOUNT, Balance, format_amount, parse_amount
from ganglion.errors import AmountError, UnitMismatch


@pytest.mark.parametrize(
    ("text", "rao"),
    [
        ("1", 10**9),
        ("0.000000001", 1),
        ("1.50", 1_500_000_000),
        (".5", 500_000_000),
        ("18446744073.709551615", MAX_AMOUNT),
        ("1_000.25", 1_000_250_000_000),
        ("1.1000000000000", 1_100_000_000),
        (7, 7 * 10**9),
        (Decimal("0.1"), 100_000_000),
        (Decimal("1e-9"), 1),
    ],
)
def test_exact_decimals(text: str | int | Decimal, rao: int) -> None:
    assert parse_amount(text) == rao


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("1.0000000001", "9 decimals"),
        ("-1", "not an amount"),
        ("", "not an amount"),
        (".", "not an amount"),
        ("1e9", "not an amount"),
        ("nan", "not an amount"),
        ("1,5", "not an amount"),
        ("٣", "not an amount"),
        ("18446744073.709551616", "more than"),
        ("9" * 5000, "not an amount"),
        (0.1, "not exact"),
        (True, "not exact"),
        (Decimal("NaN"), "not an amount"),
    ],
)
def test_refusals(bad: object, says: str) -> None:
    with pytest.raises(AmountError, match=says):
        parse_amount(bad)  # type: ignore[arg-type]


@given(st.integers(0, MAX_AMOUNT))
def test_text_round_trip(rao: int) -> None:
    assert parse_amount(format_amount(rao)) == rao
    assert Balance(rao).decimal * 10**9 == rao


@given(st.text(max_size=50))
def test_arbitrary_text(text: str) -> None:
    try:
        rao = parse_amount(text)
    except AmountError:
        return
    assert 0 <= rao <= MAX_AMOUNT


def test_arithmetic() -> None:
    a, b = Balance.tao("1.5"), Balance.tao("0.5")
    assert a + b == Balance.tao("2")
    assert a - b == Balance.tao(1)
    assert a * 2 == 2 * a == Balance.tao(3)
    assert b < a <= a < a + b > b >= b
    assert a
    assert not Balance(0)
    assert str(a) == "1.5 TAO"
    assert a.as_rao() == 1_500_000_000


def test_tokens_do_not_mix() -> None:
    tao, alpha, other = Balance.tao(1), Balance.alpha(1, 7), Balance.alpha(1, 8)
    assert str(alpha) == "1 alpha of subnet 7"
    for left, right in ((tao, alpha), (alpha, other)):
        for operation in ("__add__", "__sub__", "__lt__", "__ge__"):
            with pytest.raises(UnitMismatch, match="different tokens"):
                getattr(left, operation)(right)
        assert left != right
    with pytest.raises(UnitMismatch):
        alpha.as_rao()
    with pytest.raises(UnitMismatch):
        tao.as_alpha(0)
    with pytest.raises(UnitMismatch):
        tao + 1  # type: ignore[operator]
    with pytest.raises(UnitMismatch):
        tao * 1.5  # type: ignore[operator]
    assert alpha.as_alpha(7) == 10**9


def test_bounds() -> None:
    with pytest.raises(AmountError):
        Balance.tao(1) - Balance.tao(2)
    with pytest.raises(AmountError):
        Balance(MAX_AMOUNT) + Balance(1)
    with pytest.raises(AmountError):
        Balance(1.5)  # type: ignore[arg-type]
