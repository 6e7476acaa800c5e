"""One Yuma epoch, step by step, on Python integers: slow, plain and the arbiter.

Validators rate miners. Their stake-weighted median is the consensus, and a weight above it is
clipped: `incentive` pays miners by clipped weight. A validator's bond to a miner is a moving
average of its weight; `dividends` pay bonds by the miner's incentive, so whoever found a good
miner early earns most. Matrices are validators x miners, rows in stored order.

Upstream: `epoch_mechanism`, pallets/subtensor/src/epoch/run_epoch.rs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from consensus.yuma import sparse
from consensus.yuma.bonds import LiquidAlpha, liquid_consensus
from consensus.yuma.median import consensus_weights
from consensus.yuma.payout import Payout, payout
from consensus.yuma.rows import EMPTY, decode_row, encode_row
from consensus.yuma.scalar import ONE, clamp, mul, normalise, to_u16
from consensus.yuma.sparse import Matrix
from consensus.yuma.standing import Standing, bonds_horizon, padded, standing
from consensus.yuma.types import EpochOutcome, SubnetEpoch
from ganglion.fixed import I64_MAX, u16_proportion


@dataclass(slots=True)
class Trace:
    """Every value the epoch passes through; matrices by name, as sparse rows of I32F32 bits."""

    subnet: SubnetEpoch
    standing: Standing
    matrices: dict[str, Matrix] = field(default_factory=dict)
    alphas: list[list[int]] | None = None
    """Dense liquid alphas, where they were used."""
    consensus: list[int] = field(default_factory=list)
    validator_trust: list[int] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    incentive: list[int] = field(default_factory=list)
    bonds_per_validator: list[int] | None = None
    """Yuma 3: what each validator's bonds hold of the incentive, before its stake."""
    dividends: list[int] = field(default_factory=list)
    stored_bonds: Matrix = field(default_factory=list)
    payout: Payout = field(default_factory=lambda: payout([], [], [], [], 0))


def epoch(subnet: SubnetEpoch) -> EpochOutcome:
    """The outcome of one epoch. ValueError when a stored row is malformed."""
    return outcome(trace(subnet))


def trace(subnet: SubnetEpoch, *, dense_alphas: bool = False) -> Trace:
    """The epoch with all it passes through; `dense_alphas` also keeps the n x n liquid alphas."""
    t = Trace(subnet, standing(subnet))
    m, active_stake, n = t.matrices, t.standing.active_stake, subnet.n

    _mask_weights(t)
    weights = m["weights_norm"]
    t.consensus = consensus_weights(active_stake, weights, n, u16_proportion(subnet.kappa))
    m["clipped_weights"] = clipped = sparse.clip_columns(weights, t.consensus)
    t.validator_trust = sparse.row_sums(clipped)
    t.ranks = sparse.weighted_column_sums(clipped, active_stake, n)
    t.incentive = normalise(t.ranks)

    m["weights_for_bonds"] = sparse.interpolate(
        weights, clipped, u16_proportion(subnet.bonds_penalty)
    )
    bonds = _fresh_bonds(t)
    if subnet.yuma3_on:
        _yuma3(t, bonds, dense_alphas)
    else:
        _yuma2(t, bonds)
    t.payout = payout(t.incentive, t.dividends, t.standing.stake, active_stake, subnet.rao_emission)
    return t


def _mask_weights(t: Trace) -> None:
    """Take out what may not count: rows without permit, self-weights, weights to strangers."""
    subnet, m, n = t.subnet, t.matrices, t.subnet.n
    updated = padded(subnet.last_update, n, 0)
    registered = padded(subnet.block_at_registration, n, 0)
    stored = padded(subnet.weights, n, EMPTY)
    m["w_permit"] = [
        [(j, w * ONE) for j, w in decode_row(row) if j < n] if permitted else []
        for row, permitted in zip(stored, t.standing.permits)
    ]
    owner = subnet.owner_uid
    m["w_diag"] = sparse.keep(m["w_permit"], lambda i, j: i != j or i == owner)
    m["w_outdate"] = sparse.keep(m["w_diag"], lambda i, j: updated[i] > registered[j])
    last = m["w_outdate"]
    if subnet.commit_blocks is not None:
        commits = subnet.commit_blocks
        m["w_commit"] = last = sparse.keep(last, lambda i, j: commits[i] >= registered[j])
    m["weights_norm"] = sparse.row_normalise(last)


def _fresh_bonds(t: Trace) -> Matrix:
    """Stored bonds (u16 bits) without those to neurons that registered since the last epoch."""
    subnet, n = t.subnet, t.subnet.n
    horizon = bonds_horizon(subnet)
    registered = padded(subnet.block_at_registration, n, 0)
    stored = [decode_row(row) for row in padded(subnet.bonds, n, EMPTY)]
    return sparse.keep(stored, lambda _, j: horizon > (registered[j] if j < n else 0))


def bonds_alpha(moving_average: int) -> int:
    """How far a bond moves per epoch: one less the moving average (parts per million)."""
    kept = min((min(moving_average, I64_MAX) << 32) // 1_000_000, I64_MAX)
    return clamp(ONE - kept)


def _yuma2(t: Trace, stored: Matrix) -> None:
    """Bonds are shares of a miner, bought with stake times weight."""
    m, n = t.matrices, t.subnet.n
    m["bonds_masked"] = bonds = [[(j, b * ONE) for j, b in row] for row in stored]
    m["bonds_norm"] = sparse.column_normalise(bonds, n)
    m["bonds_delta"] = sparse.scale_rows(m["weights_for_bonds"], t.standing.active_stake)
    m["bonds_delta_norm"] = sparse.column_normalise(m["bonds_delta"], n)
    alpha = bonds_alpha(t.subnet.bonds_moving_average)
    m["ema_bonds"] = sparse.moving_average(m["bonds_delta_norm"], m["bonds_norm"], alpha)
    m["ema_bonds_norm"] = shares = sparse.column_normalise(m["ema_bonds"], n)
    t.dividends = normalise(sparse.weighted_row_sums(shares, t.incentive))
    m["ema_bonds_upscaled"] = t.stored_bonds = sparse.column_max_upscale(shares, n)


def _yuma3(t: Trace, stored: Matrix, dense_alphas: bool) -> None:
    """Bonds are proportions of their own, stake enters with the dividends."""
    subnet, m, n = t.subnet, t.matrices, t.subnet.n
    weights = m["weights_for_bonds"]
    m["bonds_masked"] = bonds = [[(j, u16_proportion(b)) for j, b in row] for row in stored]
    if subnet.liquid_alpha_on and any(t.consensus):
        liquid = LiquidAlpha(subnet.alpha_low, subnet.alpha_high, subnet.alpha_sigmoid_steepness)
        compared = liquid_consensus(subnet, t.consensus)
        if dense_alphas:
            t.alphas = liquid.dense(weights, bonds, compared)
        m["ema_bonds"] = liquid.moving_average(weights, bonds, compared)
    else:
        alpha = bonds_alpha(subnet.bonds_moving_average)
        m["ema_bonds"] = sparse.moving_average(weights, bonds, alpha)
    m["ema_bonds_norm"] = shares = sparse.column_normalise(m["ema_bonds"], n)
    t.bonds_per_validator = sparse.weighted_row_sums(shares, t.incentive)
    t.dividends = normalise(
        [mul(b, s) for b, s in zip(t.bonds_per_validator, t.standing.active_stake)]
    )
    t.stored_bonds = m["ema_bonds"]


def outcome(t: Trace) -> EpochOutcome:
    """What the chain stores and pays, from a finished trace."""
    who = t.standing
    return EpochOutcome(
        stake=tuple(who.stake),
        active_stake=tuple(who.active_stake),
        consensus=tuple(t.consensus),
        validator_trust=tuple(t.validator_trust),
        incentive=tuple(t.incentive),
        dividends=tuple(t.dividends),
        stake_weight_u16=tuple(map(to_u16, who.stake)),
        consensus_u16=tuple(map(to_u16, t.consensus)),
        validator_trust_u16=tuple(map(to_u16, t.validator_trust)),
        incentive_u16=tuple(map(to_u16, t.incentive)),
        dividends_u16=tuple(map(to_u16, t.dividends)),
        active=tuple(not idle for idle in who.inactive[: t.subnet.n]),
        new_permits=tuple(who.new_permits),
        server_emission=t.payout.server,
        validator_emission=t.payout.validator,
        combined_emission=t.payout.combined,
        stake_raw=tuple(s >> 64 for s in who.total),
        bonds=tuple(
            encode_row((j, to_u16(v)) for j, v in row) if permitted else EMPTY
            for row, permitted in zip(t.stored_bonds, who.new_permits)
        ),
    )
