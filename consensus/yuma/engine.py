"""The epoch on numpy integers: what a node runs, equal to `reference` in every bit.

Matrices are miners x validators (transposed against the reference), holding only validators that
matter: those with counted stake, weights or bonds. They are dense uint64 with I32F32 bits, and
worked in blocks of miners that fit a cache. A subnet that breaks a bound of the fast path goes to
the reference, and the outcome says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from consensus.yuma import reference
from consensus.yuma.bonds import liquid_consensus
from consensus.yuma.lanes import (
    ONE,
    Bools,
    U,
    U64s,
    alpha_sigmoid,
    divide,
    mul,
    normalise,
    share_of,
    shrink,
    to_u16,
    u64s,
)
from consensus.yuma.opinions import U16s, Unsupported, hidden, read_opinions, stored_rows
from consensus.yuma.rows import EMPTY
from consensus.yuma.scalar import ONE as ONE_INT
from consensus.yuma.standing import standing
from consensus.yuma.types import EpochOutcome, SubnetEpoch
from ganglion.fixed import u16_proportion

_32 = U(32)
_BLOCK = 1 << 15
"""Matrix entries in a block: 256 KiB, so that a handful of them stay in a core's cache."""


def epoch(subnet: SubnetEpoch) -> EpochOutcome:
    """The outcome of one epoch. ValueError when a stored row is malformed."""
    try:
        return _Epoch(subnet).run()
    except Unsupported as why:
        return replace(reference.epoch(subnet), fallback=str(why))


class _Epoch:
    """One epoch in progress; the methods are its stages, in order."""

    def __init__(self, subnet: SubnetEpoch) -> None:
        if subnet.bonds_moving_average > 1_000_000:
            raise Unsupported("the bonds moving average is more than one")
        self.subnet = subnet
        self.who = standing(subnet)
        self.view = read_opinions(subnet, self.who)
        self.stake = u64s([self.who.active_stake[i] for i in self.view.uids])
        self.consensus = np.zeros(subnet.n, dtype=np.uint64)
        self.ranks = np.zeros(subnet.n, dtype=np.uint64)
        self.trust = np.zeros_like(self.stake)
        self.weights_for_bonds: list[U64s] = []

    def run(self) -> EpochOutcome:
        """All stages."""
        self.agree()
        self.incentive = normalise(self.ranks)
        bonds = self.bond()
        return self.outcome(bonds)

    def blocks(self) -> Iterator[slice]:
        """The miners, a cache full at a time."""
        n = self.subnet.n
        step = max(1, _BLOCK // max(1, len(self.view.uids)))
        return (slice(at, min(at + step, n)) for at in range(0, n, step))

    def agree(self) -> None:
        """Consensus, trust and ranks, and the weights that bonds will follow."""
        dense = self.view.weights
        sums = dense.values.sum(axis=1, dtype=np.uint64)
        sums[sums == 0] = 1
        penalty = u16_proportion(self.subnet.bonds_penalty)
        median = Median(self.stake, u16_proportion(self.subnet.kappa))
        for miners in self.blocks():
            weights = _columns(dense.values, miners)
            weights <<= _32
            weights //= sums
            consensus = median.of(weights)
            clipped = np.minimum(weights, consensus[:, None])
            self.consensus[miners] = consensus
            self.trust += clipped.sum(axis=0, dtype=np.uint64)
            self.ranks[miners] = mul(clipped, self.stake).sum(axis=1, dtype=np.uint64)
            present = dense.present[:, miners]
            if penalty == ONE_INT:
                # An entry clipped to nothing vanishes; one that was zero stays.
                present &= ~((consensus == 0) & (dense.values[:, miners] > 0))
                weights = clipped
            elif penalty:
                weights = shrink(weights, clipped, penalty)
                present[...] = (weights > 0).T
            self.weights_for_bonds.append(weights)
        if 0 < penalty < ONE_INT:
            dense.unsorted.clear()  # interpolated rows come out in order

    def bond(self) -> list[bytes]:
        """Bonds and the dividends they earn; returns the rows to store."""
        subnet, view = self.subnet, self.view
        liquid = subnet.yuma3_on and subnet.liquid_alpha_on and bool(self.consensus.any())
        follow = LiquidBonds(self) if liquid else self.follow
        earned = np.zeros_like(self.stake)
        stored = np.zeros_like(view.weights.values)
        present = np.zeros_like(view.weights.present)
        for miners, weights in zip(self.blocks(), self.weights_for_bonds):
            ema = follow(miners, weights)
            shares = divide(ema, ema.sum(axis=1, dtype=np.uint64, keepdims=True))
            earned += mul(shares, self.incentive[miners, None]).sum(axis=0, dtype=np.uint64)
            if not subnet.yuma3_on:
                top = shares.max(axis=1, initial=0, keepdims=True)
                stored[:, miners] = to_u16(divide(shares, top)).T
            else:
                stored[:, miners] = to_u16(ema).T
            present[:, miners] = (ema > 0).T
        self.dividends = normalise(mul(earned, self.stake) if subnet.yuma3_on else earned)
        order = view.weights.unsorted if liquid else {}
        return stored_rows(stored, present, order, [self.who.new_permits[i] for i in view.uids])

    def follow(self, miners: slice, weights: U64s) -> U64s:
        """Bonds after one step of a moving average with a single speed."""
        subnet = self.subnet
        old = _columns(self.view.bonds.values, miners)
        old <<= _32
        if subnet.yuma3_on:
            new = weights
            old //= U(65_535)
        else:
            new = mul(weights, self.stake)
            new = divide(new, new.sum(axis=1, dtype=np.uint64, keepdims=True))
            sums = self.view.bonds.values[:, miners].sum(axis=0, dtype=np.uint64)
            sums[sums == 0] = 1
            old //= sums[:, None]
        alpha = reference.bonds_alpha(subnet.bonds_moving_average)
        return mul(new, U(alpha)) + mul(old, U(ONE_INT - alpha))

    def outcome(self, bonds: list[bytes]) -> EpochOutcome:
        """Everything decided, by uid."""
        who, n, uids = self.who, self.subnet.n, self.view.uids
        dividends, trust = np.zeros(n, dtype=np.uint64), np.zeros(n, dtype=np.uint64)
        dividends[uids] = self.dividends
        trust[uids] = self.trust
        rows = [EMPTY] * n
        for uid, row in zip(uids, bonds):
            rows[uid] = row
        server, validator, combined = self.shares(dividends)
        amount = self.subnet.rao_emission
        stake = u64s(who.stake)
        return EpochOutcome(
            stake=tuple(who.stake),
            active_stake=tuple(who.active_stake),
            consensus=_tuple(self.consensus),
            validator_trust=_tuple(trust),
            incentive=_tuple(self.incentive),
            dividends=_tuple(dividends),
            stake_weight_u16=_tuple(to_u16(stake)),
            consensus_u16=_tuple(to_u16(self.consensus)),
            validator_trust_u16=_tuple(to_u16(trust)),
            incentive_u16=_tuple(to_u16(self.incentive)),
            dividends_u16=_tuple(to_u16(dividends)),
            active=tuple(not idle for idle in who.inactive[:n]),
            new_permits=tuple(who.new_permits),
            server_emission=_tuple(share_of(server, amount)),
            validator_emission=_tuple(share_of(validator, amount)),
            combined_emission=_tuple(share_of(combined, amount)),
            stake_raw=tuple(s >> 64 for s in who.total),
            bonds=tuple(rows),
        )

    def shares(self, dividends: U64s) -> tuple[U64s, U64s, U64s]:
        """Server, validator and combined shares of the emission; see `payout`."""
        combined = self.incentive + dividends
        total = combined.sum(dtype=np.uint64, keepdims=True)
        if total[0]:
            return (
                divide(self.incentive, total),
                divide(dividends, total),
                divide(combined, total),
            )
        active = self.who.active_stake
        fallback = u64s(active if any(active) else self.who.stake)
        return self.incentive, fallback, fallback


class Median:
    """The stake-weighted median of many miners at once; see `median.weighted_median`."""

    def __init__(self, stake: U64s, kappa: int) -> None:
        self.voters = np.flatnonzero(stake)
        self.stake = normalise(stake[self.voters])
        self.limit = int(self.stake.sum(dtype=np.uint64)) - kappa
        # A score has 33 bits: sorting score and voter as one number spares an argsort.
        self.shift = U(max(1, len(self.voters).bit_length()))
        self.names = np.arange(len(self.voters), dtype=np.uint64)

    def of(self, weights: U64s) -> U64s:
        """One consensus weight per line of `weights` (miners x validators)."""
        if not len(self.voters):
            return np.zeros(len(weights), dtype=np.uint64)
        keys = weights.take(self.voters, axis=1)
        keys <<= self.shift
        keys |= self.names
        keys.sort(axis=1)
        if self.limit < 0:
            return keys[:, 0] >> self.shift
        voter = (keys & ((U(1) << self.shift) - U(1))).astype(np.intp)
        behind = np.cumsum(self.stake.take(voter), axis=1, dtype=np.uint64)
        # The sums rise, so those within the limit come first; none above it means the last score.
        within = np.count_nonzero(behind <= U(self.limit), axis=1)
        place = np.minimum(within, len(self.voters) - 1)
        chosen: U64s = keys[np.arange(len(keys)), place]
        chosen >>= self.shift
        return chosen


class LiquidBonds:
    """Bonds after one step in which each has its own speed; see `bonds.LiquidAlpha`."""

    def __init__(self, state: _Epoch) -> None:
        subnet = state.subnet
        self.bounds = (
            u16_proportion(subnet.alpha_low),
            u16_proportion(subnet.alpha_high),
            subnet.alpha_sigmoid_steepness * ONE_INT,
        )
        stored = subnet.liquid_consensus is not None
        self.consensus = u64s(liquid_consensus(subnet, ())) if stored else state.consensus
        self.weights, self.bonds = state.view.weights, state.view.bonds
        self.unseen_weights = hidden(self.weights, beyond=False)
        self.unseen_bonds = hidden(self.bonds, beyond=True)

    def __call__(self, miners: slice, weights: U64s) -> U64s:
        present = np.ascontiguousarray(self.weights.present[:, miners].T)
        new = weights[present]
        old = _columns(self.bonds.values, miners)[present]
        old <<= _32
        old //= U(65_535)
        consensus = np.broadcast_to(self.consensus[miners, None], weights.shape)[present]
        alpha = alpha_sigmoid(
            consensus,
            _without(new, self.unseen_weights, miners, present),
            _without(old, self.unseen_bonds, miners, present),
            *self.bounds,
        )
        result = np.zeros_like(weights)
        result[present] = np.minimum(mul(old, ONE - alpha) + mul(new, alpha), ONE)
        return result


def _without(values: U64s, unseen: Bools | None, miners: slice, present: Bools) -> U64s:
    """The values with 0 for those that a walk over the row does not see."""
    if unseen is None:
        return values
    return np.where(unseen[:, miners].T[present], U(0), values)


def _columns(values: U16s, miners: slice) -> U64s:
    """A block of miners as lanes, miners x validators."""
    return values[:, miners].T.astype(np.uint64, order="C")


def _tuple(values: U64s) -> tuple[int, ...]:
    return tuple(values.tolist())
