"""Locked alpha and the conviction it gathers over time.

A perpetual lock keeps its mass; a decaying one loses it exponentially. Conviction follows the
mass with a delay; on the subnet owner's hotkey it equals the mass.

Upstream: pallets/subtensor/src/staking/lock.rs
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from consensus.economics.fixed import Fx64, ratio64, scaled64
from ganglion.fixed import I64F64, U64F64, sat_add_u64

DUST = 100
"""A lock whose mass and conviction are both below this is emptied."""
MAX_EXPONENT = 40
SERIES_TERMS = 64


@dataclass(frozen=True, slots=True)
class Lock:
    """Alpha locked, its conviction (U64F64 bits) and the block both were computed for."""

    mass: int
    conviction: Fx64
    last: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Time constants in blocks: how fast decaying mass unlocks and conviction matures."""

    unlock: int
    maturity: int


def decay(blocks: int, constant: int) -> Fx64:
    """exp(-blocks/constant), by a series cut after 64 terms and a reciprocal of 64 bits."""
    if blocks == 0:
        return U64F64.one
    if constant == 0:
        return 0
    exponent = min(
        I64F64.safe_div(I64F64.from_int(blocks), I64F64.from_int(constant)),
        I64F64.from_int(MAX_EXPONENT),
    )
    term = exponent
    total = I64F64.one + exponent
    for i in range(2, SERIES_TERMS):
        term = I64F64.mul(term, exponent) // i
        total += term
    return (1 << 128) // total


def _gain(mass: int, blocks: int, unlocked: Fx64, matured: Fx64, rates: Rates) -> Fx64:
    """Conviction that a decaying mass gathers in `blocks`."""
    if rates.unlock == rates.maturity:
        return U64F64.mul(
            U64F64.from_int(mass), U64F64.mul(ratio64(blocks, rates.maturity), matured)
        )
    if 0 in (rates.unlock, rates.maturity):
        return 0
    weight = I64F64.div(
        I64F64.mul(I64F64.from_int(rates.unlock), unlocked - matured),
        I64F64.from_int(rates.unlock) - I64F64.from_int(rates.maturity),
    )
    return U64F64.mul(U64F64.from_int(mass), max(weight, 0))


def rolled(lock: Lock, now: int, rates: Rates, *, is_owner: bool, is_perpetual: bool) -> Lock:
    """The lock brought forward to block `now`."""
    mass, conviction = lock.mass, lock.conviction
    if now > lock.last:
        blocks = now - lock.last
        unlocked, matured = decay(blocks, rates.unlock), decay(blocks, rates.maturity)
        if is_perpetual:
            gain = U64F64.mul(U64F64.from_int(mass), U64F64.sub(U64F64.one, matured))
        else:
            gain = _gain(mass, blocks, unlocked, matured, rates)
            mass = scaled64(mass, unlocked)
        conviction = U64F64.add(U64F64.mul(matured, conviction), gain)
        lock = replace(lock, last=now)
    if is_owner:
        conviction = U64F64.from_int(mass)
    after = Lock(mass, conviction, lock.last)
    return Lock(0, 0, lock.last) if is_dust(after) else after


def is_dust(lock: Lock) -> bool:
    """Whether a lock is too small to be kept."""
    return lock.mass < DUST and lock.conviction < U64F64.from_int(DUST)


def merged(a: Lock, b: Lock) -> Lock:
    """Two locks as one; the later of their blocks."""
    return Lock(
        sat_add_u64(a.mass, b.mass),
        U64F64.add(a.conviction, b.conviction),
        max(a.last, b.last),
    )


def reduced_by(lock: Lock, other: Lock) -> Lock:
    """A lock less the mass and conviction of another, not below zero; its block stays."""
    return Lock(
        max(lock.mass - other.mass, 0), max(lock.conviction - other.conviction, 0), lock.last
    )


def reduced(lock: Lock, amount: int, now: int) -> Lock:
    """A lock after `amount` of its mass is taken by force; conviction shrinks in proportion."""
    mass = max(lock.mass - amount, 0)
    if mass == 0:
        return Lock(0, 0, now)
    left = U64F64.sub(U64F64.one, ratio64(amount, lock.mass))
    return Lock(mass, U64F64.mul(lock.conviction, left), now)


def without(aggregate: Lock, before: Lock, after: Lock) -> Lock:
    """An aggregate of locks after one of them went from `before` to `after`."""
    return reduced_by(aggregate, reduced_by(before, after))
