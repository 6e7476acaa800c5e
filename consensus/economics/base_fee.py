"""The base fee of a model: it follows how much of the capacity on offer is taken.

At half taken it stays. Above it rises and below it falls, at most by an eighth a block: full
blocks double it in 6, empty ones halve it in 6. Between two changes of the capacity every block
multiplies by the same factor, so any number of blocks is one power: nothing is done per block.

A fee is an integer with `FRACTION` binary digits behind the point, so that small fees move too.
Source of the rule: EIP-1559, with the leased share of the capacity in the place of gas.
"""

from __future__ import annotations

FRACTION = 32
"""Binary digits of a fee behind the point."""
UNIT = 64
"""Binary digits of a factor behind the point."""
ONE = 1 << UNIT
HUGE = 1 << 256
"""Factors stop growing here: by then every fee is at its ceiling."""


def block_factor(used: int, asked: int) -> int:
    """What one block multiplies the fee by, between 7/8 and 9/8 of `ONE`.

    `used` of the capacity `asked` is taken; nothing on offer counts as nothing taken.
    """
    if asked <= 0:
        return 7 * ONE // 8
    taken = min(max(used, 0), asked)
    return ((7 * asked + 2 * taken) << UNIT) // (8 * asked)


def power(factor: int, blocks: int) -> int:
    """`factor` to the power of `blocks`, by squaring; rounded down, at most `HUGE`."""
    made = ONE
    while blocks:
        if blocks & 1:
            made = min(made * factor >> UNIT, HUGE)
        factor = min(factor * factor >> UNIT, HUGE)
        blocks >>= 1
    return made


def base_fee(fee: int, used: int, asked: int, blocks: int, floor: int, ceiling: int) -> int:
    """The fee after `blocks` blocks in which `used` of `asked` was taken.

    All three fees have `FRACTION` binary digits; the result lies between floor and ceiling.
    """
    grown = fee * power(block_factor(used, asked), blocks) >> UNIT
    return min(max(grown, floor), ceiling)
