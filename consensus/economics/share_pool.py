"""Who owns what inside a hotkey's stake on a subnet.

A pool is a total (alpha), a denominator and one share per coldkey; a member's value is
total * share / denominator. Dividends raise the total and so every member at once.

Dust is part of the rules: a member who leaves in full usually keeps a share worth nothing, and
after a near-complete drain the values of the rest may add up to a little more than the total.

Upstream: primitives/share-pool/src/lib.rs
"""

from __future__ import annotations

from typing import NamedTuple

from consensus.economics import safe_float as sf
from consensus.economics.safe_float import ZERO, SafeFloat
from ganglion.fixed import clamp_u64

PLAIN_EXPONENT = 1 << 32
"""An exponent so far from the ends of i64 that no single step reaches them."""


class Membership(NamedTuple):
    """A pool seen by one member: the pool's total and denominator, and the member's share."""

    total: int
    denominator: SafeFloat
    share: SafeFloat

    def value(self) -> int:
        """What the share is worth now, rounded down."""
        total, denominator, share = self
        if not denominator.mantissa:
            return 0
        if share == denominator and _is_plain(share):  # one member alone
            return clamp_u64(total)
        worth = sf.mul_div(sf.of(total), share, denominator)
        return 0 if worth is None else sf.to_u64(worth)


def is_deposit_possible(pool: Membership, amount: int) -> bool:
    """Whether `amount` would earn any share: not in a pool with shares but no value."""
    if not pool.denominator.mantissa:
        return True
    if _is_plain(pool.denominator):  # then no share is too small to be written
        return amount > 0 and pool.total > 0
    return bool(_share_of(pool, amount))


def changed(pool: Membership, delta: int) -> Membership:
    """The pool after the member adds (`delta` > 0) or takes out (`delta` <= 0) an amount.

    The first member of an empty pool takes over any value already in it.
    """
    amount = abs(delta)
    total = clamp_u64(pool.total + delta)
    if not pool.denominator.mantissa:
        first = sf.of(amount)
        return Membership(total, first, first)
    part = _share_of(pool, amount)
    step = sf.add if delta > 0 else sf.sub
    denominator, share = step(pool.denominator, part), step(pool.share, part)
    return Membership(
        total,
        pool.denominator if denominator is None else denominator,
        pool.share if share is None else share,
    )


def grown(pool: Membership, delta: int) -> Membership:
    """The pool after a gain or loss shared by all members."""
    return pool._replace(total=clamp_u64(pool.total + delta))


def _is_plain(number: SafeFloat) -> bool:
    return -PLAIN_EXPONENT <= number.exponent <= PLAIN_EXPONENT


def _share_of(pool: Membership, amount: int) -> SafeFloat:
    share = sf.mul_div(sf.of(amount), pool.denominator, sf.of(pool.total))
    return ZERO if share is None else share
