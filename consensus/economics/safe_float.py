"""SafeFloat: a decimal float of 21 digits, the unit of shares in a hotkey's pool.

Zero is (0, 0); otherwise 10^20 < mantissa <= 10^21, so one is (10^21, -21). Every step truncates.
Where the reference would fail, the result here is None.

Upstream: primitives/share-pool/src/lib.rs
"""

from __future__ import annotations

from bisect import bisect_left

from ganglion.fixed import U64_MAX, clamp_u64
from ganglion.scale import i64, scale_type, slotted, u128

MANTISSA_MAX = 10**21
MANTISSA_FLOOR = 10**20
"""The smallest mantissa is one above this."""
DIGITS = 21
MAX_SHIFT = 22
POWERS = tuple(int(f"1{'0' * digits}") for digits in range(MAX_SHIFT + 1))
EXPONENT_MIN = -(1 << 63)
EXPONENT_MAX = (1 << 63) - 1


@scale_type("share_pool::SafeFloat")
@slotted
class SafeFloat:
    """mantissa * 10^exponent."""

    mantissa: u128
    exponent: i64

    def __bool__(self) -> bool:
        return self.mantissa != 0


ZERO = SafeFloat(0, 0)


def new(mantissa: int, exponent: int) -> SafeFloat | None:
    """A normalised number, or None for a mantissa above 10^21 or an exponent beyond i64."""
    return None if mantissa > MANTISSA_MAX else normalised(mantissa, exponent)


def normalised(mantissa: int, exponent: int) -> SafeFloat | None:
    """The same value with a mantissa in (10^20, 10^21]; None when the exponent leaves i64."""
    if not EXPONENT_MIN <= exponent <= EXPONENT_MAX:
        return None if mantissa else ZERO
    if MANTISSA_FLOOR < mantissa <= MANTISSA_MAX:
        return SafeFloat(mantissa, exponent)
    if mantissa == 0:
        return ZERO
    shift = _decade(mantissa) - DIGITS
    exponent += shift
    if shift < 0:
        mantissa *= POWERS[-shift]
    else:
        mantissa //= 10**shift
        if mantissa == MANTISSA_FLOOR:
            mantissa *= 10
            exponent -= 1
    if not EXPONENT_MIN <= exponent <= EXPONENT_MAX:
        return None
    return SafeFloat(mantissa, exponent)


def _decade(value: int) -> int:
    """The d with 10^(d-1) < value <= 10^d."""
    known = bisect_left(POWERS, value)
    return known if known <= MAX_SHIFT else len(str(value - 1))


def of(value: int) -> SafeFloat:
    """A u64, or any number up to 10^21."""
    if value == 0:
        return ZERO
    digits = bisect_left(POWERS, value)
    return SafeFloat(value * POWERS[DIGITS - digits], digits - DIGITS)


def from_u64f64(bits: int) -> SafeFloat | None:
    """Raw U64F64 bits, converted as whole part plus fraction."""
    fraction = div(of(bits & U64_MAX), of(1 << 64))
    return None if fraction is None else add(of(bits >> 64), fraction)


def _shift(distance: int) -> int:
    return POWERS[min(distance, MAX_SHIFT)]


def _aligned(a: SafeFloat, b: SafeFloat) -> tuple[int, int, int]:
    """Both mantissas cut to the larger exponent, and that exponent."""
    gap = a.exponent - b.exponent
    if gap == 0:
        return a.mantissa, b.mantissa, a.exponent
    if gap < 0:
        return a.mantissa // _shift(-gap), b.mantissa, b.exponent
    return a.mantissa, b.mantissa // _shift(gap), a.exponent


def add(a: SafeFloat, b: SafeFloat) -> SafeFloat | None:
    """a + b; digits of the smaller number below the larger one's last are lost."""
    if not a.mantissa:
        return b
    if not b.mantissa:
        return a
    left, right, exponent = _aligned(a, b)
    return normalised(left + right, exponent)


def sub(a: SafeFloat, b: SafeFloat) -> SafeFloat | None:
    """a - b, not below zero; None for zero minus something."""
    if not b.mantissa:
        return a
    if not a.mantissa:
        return None
    left, right, exponent = _aligned(a, b)
    return normalised(max(left - right, 0), exponent)


def div(a: SafeFloat, b: SafeFloat) -> SafeFloat | None:
    """a / b; None for a zero divisor."""
    if not b.mantissa:
        return None
    return normalised(a.mantissa * MANTISSA_MAX // b.mantissa, a.exponent - b.exponent - 21)


def mul_div(a: SafeFloat, b: SafeFloat, c: SafeFloat) -> SafeFloat | None:
    """a * b / c with an exact product; None for a zero divisor."""
    exponent = a.exponent + b.exponent
    if not c.mantissa or not EXPONENT_MIN <= exponent <= EXPONENT_MAX:
        return None
    return normalised(a.mantissa * b.mantissa // c.mantissa, exponent - c.exponent)


def greater(a: SafeFloat, b: SafeFloat) -> bool:
    """a > b. Zero counts by its exponent 0, so it exceeds tiny numbers: a quirk kept on purpose."""
    distance = a.exponent - b.exponent
    if distance == 0:
        return a.mantissa > b.mantissa
    if distance == 1:
        return a.mantissa * 10 > b.mantissa
    if distance == -1:
        return a.mantissa > b.mantissa * 10
    return distance > 0


def to_u64(a: SafeFloat) -> int:
    """Whole part, saturating at u64; powers of ten beyond 22 digits are cut."""
    if a.exponent >= 0:
        return clamp_u64(a.mantissa * _shift(a.exponent))
    return clamp_u64(a.mantissa // _shift(-a.exponent))
