"""Checkers of the Yuma families: whole epochs and the scalar functions under them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from consensus.replay.difference import Case, Difference, Engine, compare
from consensus.yuma import engine as fast
from consensus.yuma import lanes, reference, scalar
from consensus.yuma.median import weighted_median
from consensus.yuma.rows import decode_row, encode_row, without_uid
from consensus.yuma.scalar import normalise, safe_div, to_u16
from consensus.yuma.sparse import Matrix, weighted_column_sums
from consensus.yuma.standing import earliest_commits
from consensus.yuma.types import EpochOutcome, SubnetEpoch
from ganglion.fixed import u16_proportion

_SAME_NAME = (
    "n",
    "current_block",
    "tempo",
    "activity_cutoff_factor_milli",
    "last_mechanism_step_block",
    "tao_weight",
    "stake_threshold",
    "owner_uid",
    "max_allowed_validators",
    "kappa",
    "bonds_penalty",
    "bonds_moving_average",
    "yuma3_on",
    "liquid_alpha_on",
    "alpha_low",
    "alpha_high",
    "alpha_sigmoid_steepness",
    "rao_emission",
)
_BY_UID = ("last_update", "block_at_registration", "alpha_stake", "tao_stake", "validator_permits")


def subnet_of(given: Case) -> SubnetEpoch:
    """The engine's input for the `in` part of an epoch vector."""
    n = given.get("n", 0)
    bonds = [encode_row(row) for row in given.get("bonds", [])]
    if given.get("bonds_reset_on", True):
        for uid in given.get("bonds_reset_uids") or []:
            bonds = [without_uid(row, uid) for row in bonds]
    commits = None
    if given.get("commit_reveal_on", False):
        commits = commit_blocks(given)
    return SubnetEpoch(
        weights=[encode_row(row) for row in given.get("weights", [])],
        bonds=bonds,
        commit_blocks=commits,
        **{k: given.get(k, [0] * n) for k in _BY_UID},
        **{"n": n, "current_block": 0} | {k: given[k] for k in _SAME_NAME if k in given},
    )


def commit_blocks(given: Case) -> list[int]:
    """Earliest live commit per uid of an epoch vector."""
    return earliest_commits(
        given.get("n", 0),
        given.get("current_epoch", 0),
        given.get("reveal_period", 1),
        given.get("commits_v2", []),
        given.get("commits_v4", []),
    )


def outcome_of(result: EpochOutcome) -> dict[str, Any]:
    """The part of an epoch vector's `out` that any engine's outcome can answer for."""
    return {
        "stake": result.stake,
        "active_stake": result.active_stake,
        "consensus": result.consensus,
        "validator_trust": result.validator_trust,
        "incentive": result.incentive,
        "dividends": result.dividends,
        "stake_weight_u16": result.stake_weight_u16,
        "consensus_u16": result.consensus_u16,
        "validator_trust_u16": result.validator_trust_u16,
        "incentive_u16": result.incentive_u16,
        "dividends_u16": result.dividends_u16,
        "active": result.active,
        "new_permits": result.new_permits,
        "validator_permit_out": result.new_permits,
        "server_emission": result.server_emission,
        "validator_emission": result.validator_emission,
        "combined_emission": result.combined_emission,
        "emission_out": result.combined_emission,
        "stake_raw_u64": result.stake_raw,
        "bonds_out": [decode_row(row) for row in result.bonds],
    }


def trace_of(t: reference.Trace) -> dict[str, Any]:
    """Everything else an epoch vector records, which only the reference can show."""
    who, paid, subnet = t.standing, t.payout, t.subnet
    preranks = weighted_column_sums(t.matrices["weights_norm"], who.active_stake, subnet.n)
    result: dict[str, Any] = {
        "activity_cutoff_blocks": who.cutoff,
        "inactive": who.inactive,
        "permits_used": who.permits,
        "total_stake_i64f64": who.total,
        "filtered_stake_i64f64": who.filtered,
        "kappa_bits": u16_proportion(subnet.kappa),
        "bonds_penalty_bits": u16_proportion(subnet.bonds_penalty),
        "ranks_raw": t.ranks,
        "emission_sum": paid.total,
        "norm_server_emission": paid.server_share,
        "norm_validator_emission": paid.validator_share,
        "norm_combined_emission": paid.combined_share,
        "legacy_preranks": preranks,
        "legacy_trust": [safe_div(r, p) for r, p in zip(t.ranks, preranks)],
        "legacy_pruning_u16": max_upscale_bits(paid.combined_share),
        **t.matrices,
        "sha256_nz": {name: digest(rows) for name, rows in t.matrices.items()},
    }
    if t.bonds_per_validator is not None:
        result["total_bonds_per_validator"] = t.bonds_per_validator
    if subnet.commit_blocks is not None:
        result["commit_blocks"] = subnet.commit_blocks
    if t.alphas is not None:
        result["alphas"] = t.alphas
        result["sha256_nz"]["alphas"] = digest([list(enumerate(row)) for row in t.alphas])
    return result


def max_upscale_bits(values: Sequence[int]) -> list[int]:
    """Shares scaled so that the largest becomes 65535, as upstream once stored pruning scores."""
    top = max(values, default=0)
    if top == 0:
        return [0] * len(values)
    scaled = [safe_div(scalar.clamp(v * 65535), top) for v in values]
    return [min(65535, (y + scalar.HALF) >> 32) for y in scaled]


def digest(matrix: Matrix) -> str:
    """SHA-256 over the nonzero entries of a matrix, row by row, ascending uid."""
    h = hashlib.sha256()
    for row in matrix:
        entries = sorted((j, v) for j, v in row if v)
        h.update(struct.pack("<I", len(entries)))
        for entry in entries:
            h.update(struct.pack("<Hq", *entry))
    return h.hexdigest()


def check_epoch(case: Case, engine: Engine) -> Iterator[Difference]:
    """A whole epoch: stored state and every recorded value on the way that the engine knows."""
    subnet, expected = subnet_of(case["in"]), case["out"]
    if engine == "numpy":
        known = outcome_of(fast.epoch(subnet))
        yield from compare({k: v for k, v in expected.items() if k in known}, known)
        return
    t = reference.trace(subnet, dense_alphas=True)
    known = outcome_of(reference.outcome(t)) | trace_of(t)
    yield from compare({k: v for k, v in expected.items() if k != "log_errors"}, known)


def check_median(case: Case, engine: Engine) -> Iterator[Difference]:
    """One weighted median; the recorded stakes are normalised first, as an epoch does."""
    if engine == "numpy":
        median = fast.Median(lanes.u64s(case["stake"]), case["kappa"])
        value = int(median.of(lanes.u64s([case["score"]]))[0])
    else:
        stake = normalise(case["stake"])
        value = weighted_median(stake, case["score"], sum(stake) - case["kappa"])
    yield from compare(case["r"], value, "r")


def _lane(f: Callable[..., Any], types: Sequence[Any]) -> Callable[..., int]:
    """A function on lanes as one on integers; `types` are the dtypes of its leading arguments."""

    def call(*arguments: int) -> int:
        arrays = [np.array([x], dtype=t) for x, t in zip(arguments, types)]
        return int(f(*arrays, *arguments[len(types) :])[0])

    return call


def _function(
    plain: Callable[..., object],
    *arguments: str,
    fast: Callable[..., object] | None = None,
    proportions: int = 0,
) -> Callable[[Case, Engine], Iterator[Difference]]:
    """A checker for one scalar function; `fast` answers for the numpy engine.

    With `proportions`, only when that many leading arguments lie in [0, 1], as they do in an
    epoch.
    """

    def check(case: Case, engine: Engine) -> Iterator[Difference]:
        given = [case[name] for name in arguments]
        held = all(0 <= x <= scalar.ONE for x in given[:proportions])
        f = fast if engine == "numpy" and fast and held else plain
        yield from compare(case["r"], f(*given), "r")

    return check


_FAST_EXP = _lane(lanes.exp_safe, [np.int64])
_FAST_SIGMOID = _lane(lanes.alpha_sigmoid, [np.uint64] * 3)
_FAST_MUL = _lane(lanes.mul, [np.uint64] * 2)
_FAST_U16 = _lane(lanes.to_u16, [np.uint64])
_SIGMOID = ("c", "w", "b", "lo", "hi", "st")

KINDS: dict[str, Callable[[Case, Engine], Iterable[Difference]]] = {
    "epoch": check_epoch,
    "math/mul": _function(scalar.mul, "a", "b", fast=_FAST_MUL, proportions=2),
    "math/safe_div": _function(scalar.safe_div, "a", "b"),
    "math/sat_div": _function(scalar.sat_div, "a", "b"),
    "math/u16": _function(to_u16, "a", fast=_FAST_U16, proportions=1),
    "math/exp_safe": _function(scalar.exp_safe, "a", fast=_FAST_EXP),
    "math/sigmoid": _function(scalar.alpha_sigmoid, *_SIGMOID, fast=_FAST_SIGMOID, proportions=5),
    "math/median": check_median,
    "math/upscale": _function(scalar.max_upscale, "v"),
}
