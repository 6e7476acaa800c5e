"""Fixed point as plain integers: a number is its raw bits, a `Format` knows how to combine them.

Nothing here is a float. Products shift (floor, toward minus infinity), quotients truncate toward
zero; the difference shows on negative numbers and is the rule of the chain's arithmetic crate.
What does not fit is clamped (`mul`, `div`, `add`, `sub`), reported (`checked_*` give None), or
becomes zero (`safe_div`, the quotient the reward mathematics uses everywhere).

Upstream: the crate substrate-fixed 0.6, and the helpers around it in pallets/subtensor.
"""

from __future__ import annotations

from dataclasses import dataclass, field

U16_MAX = (1 << 16) - 1
U64_MAX = (1 << 64) - 1
U128_MAX = (1 << 128) - 1
I64_MAX = (1 << 63) - 1
I64_MIN = -(1 << 63)


def trunc_div(a: int, b: int) -> int:
    """a / b toward zero, exactly; ZeroDivisionError for b = 0."""
    q = a // b
    return q + 1 if q < 0 and q * b != a else q


def clamp_u64(x: int) -> int:
    """x moved into [0, 2^64 - 1]."""
    return 0 if x < 0 else U64_MAX if x > U64_MAX else x


def clamp_u16(x: int) -> int:
    """x moved into [0, 65535]."""
    return 0 if x < 0 else U16_MAX if x > U16_MAX else x


def sat_add_u64(a: int, b: int) -> int:
    """a + b of two u64, at most 2^64 - 1."""
    return min(a + b, U64_MAX)


def sat_sub(a: int, b: int) -> int:
    """a - b of two unsigned integers, at least 0."""
    return a - b if a > b else 0


@dataclass(frozen=True, slots=True)
class Format:
    """A binary fixed-point format: `width` bits of which `frac` stand after the point."""

    name: str
    width: int
    frac: int
    signed: bool
    low: int = field(init=False)
    """The smallest raw bits."""
    high: int = field(init=False)
    """The largest raw bits."""
    one: int = field(init=False)
    """The raw bits of 1; above `high` in a format without integer bits."""

    def __post_init__(self) -> None:
        top = self.width - 1 if self.signed else self.width
        object.__setattr__(self, "low", -(1 << top) if self.signed else 0)
        object.__setattr__(self, "high", (1 << top) - 1)
        object.__setattr__(self, "one", 1 << self.frac)

    def clamp(self, bits: int) -> int:
        """The nearest raw bits this format can hold."""
        return self.low if bits < self.low else self.high if bits > self.high else bits

    def fits(self, bits: int) -> bool:
        """Whether this format can hold these raw bits."""
        return self.low <= bits <= self.high

    def from_int(self, k: int) -> int:
        """The integer k, clamped (upstream: saturating_from_num)."""
        return self.clamp(k << self.frac)

    def to_int(self, bits: int) -> int:
        """The integer part, floored; not clamped to any integer type."""
        return bits >> self.frac

    def to_u64(self, bits: int) -> int:
        """The integer part as a u64: floored, negative becomes 0, too large becomes 2^64 - 1."""
        return clamp_u64(bits >> self.frac)

    def from_bits(self, bits: int, source: Format) -> int:
        """Another format's number in this one: extra fraction bits floored away, then clamped."""
        shift = self.frac - source.frac
        return self.clamp(bits << shift if shift >= 0 else bits >> -shift)

    def ratio(self, num: int, den: int) -> int:
        """num / den of two integers, truncated and clamped; ZeroDivisionError for den = 0.

        Exactly what `div(from_int(num), from_int(den))` gives when both fit.
        """
        return self.clamp(trunc_div(num << self.frac, den))

    def add(self, a: int, b: int) -> int:
        """a + b, clamped."""
        return self.clamp(a + b)

    def sub(self, a: int, b: int) -> int:
        """a - b, clamped."""
        return self.clamp(a - b)

    def mul(self, a: int, b: int) -> int:
        """a * b, floored, then clamped."""
        return self.clamp((a * b) >> self.frac)

    def checked_mul(self, a: int, b: int) -> int | None:
        """a * b, floored; None when it does not fit."""
        bits = (a * b) >> self.frac
        return bits if self.fits(bits) else None

    def div(self, a: int, b: int) -> int:
        """a / b, truncated, then clamped; ZeroDivisionError for b = 0."""
        return self.clamp(trunc_div(a << self.frac, b))

    def checked_div(self, a: int, b: int) -> int | None:
        """a / b, truncated; None for b = 0 or when it does not fit."""
        if b == 0:
            return None
        bits = trunc_div(a << self.frac, b)
        return bits if self.fits(bits) else None

    def safe_div(self, a: int, b: int, default: int = 0) -> int:
        """a / b, truncated; `default` for b = 0 and also when it does not fit (no clamping)."""
        bits = self.checked_div(a, b)
        return default if bits is None else bits

    def decimal(self, bits: int, places: int = 6) -> str:
        """The number in decimal digits, cut (not rounded) after `places`, for people to read."""
        sign, bits = ("-", -bits) if bits < 0 else ("", bits)
        whole, part = bits >> self.frac, bits & (self.one - 1)
        digits = (part * 10**places) >> self.frac
        return f"{sign}{whole}.{digits:0{places}d}" if places else f"{sign}{whole}"


U0F16 = Format("U0F16", 16, 16, signed=False)
I32F32 = Format("I32F32", 64, 32, signed=True)
I64F64 = Format("I64F64", 128, 64, signed=True)
U64F64 = Format("U64F64", 128, 64, signed=False)
I96F32 = Format("I96F32", 128, 32, signed=True)
U96F32 = Format("U96F32", 128, 32, signed=False)


def u16_proportion(k: int) -> int:
    """k / 65535 with 32 fraction bits; 65535 gives exactly one."""
    return (k << 32) // U16_MAX


def u64_proportion(k: int) -> int:
    """k / (2^64 - 1) with 32 fraction bits; 2^64 - 1 gives exactly one."""
    return (k << 32) // U64_MAX
