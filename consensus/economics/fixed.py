"""Names for fixed-point integers in the economy, and the conversions between its two widths.

Numbers are raw bits; `ganglion.fixed` has the arithmetic. TAO weights, takes and emissions carry
32 fractional bits, prices and shares 64.
"""

from __future__ import annotations

from typing import TypeAlias

from ganglion.fixed import U64_MAX, U64F64, U96F32, U128_MAX, clamp_u64

Fx32: TypeAlias = int
"""Raw bits with 32 fractional bits: U96F32, or I96F32 where a value may be negative."""
Fx64: TypeAlias = int
"""Raw bits with 64 fractional bits: U64F64."""


def clamp_u128(value: int) -> int:
    """`value` moved into u128."""
    return 0 if value < 0 else min(value, U128_MAX)


def narrow(bits: Fx64) -> Fx32:
    """64 to 32 fractional bits, rounding down."""
    return U96F32.from_bits(bits, U64F64)


def widen(bits: Fx32) -> Fx64:
    """32 to 64 fractional bits; negative numbers give 0, large ones saturate."""
    return U64F64.from_bits(bits, U96F32)


def ratio64(part: int, whole: int) -> Fx64:
    """part / whole of two u64, rounded down; 0 when `whole` is 0."""
    return (part << 64) // whole if whole else 0


def scaled64(amount: int, factor: Fx64) -> int:
    """A u64 `amount` times a 64-bit fraction, as a u64 rounded down."""
    scaled = amount * factor >> 64
    return scaled if 0 <= scaled <= U64_MAX else clamp_u64(scaled)
