"""Why a miner got what it got: one epoch seen from one uid, validator by validator.

    explanation = explain(subnet, uid)
    table(explanation), as_json(explanation)

Shares are I32F32 raw bits, amounts rao. Attributions are floored, so they add up to at most the
whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from consensus.yuma import engine, reference
from consensus.yuma.rows import without_uid
from consensus.yuma.scalar import mul
from consensus.yuma.sparse import Matrix
from consensus.yuma.standing import padded
from consensus.yuma.types import SubnetEpoch
from ganglion.fixed import I32F32

PLACES = 6


@dataclass(frozen=True, slots=True)
class Voice:
    """One validator's part in one miner's pay."""

    uid: int
    stake: int
    """Share of the active stake; 0 when it did not count."""
    weight: int
    """What it said the miner is worth, after masks, as a share of all it said."""
    clipped: int
    """The part of that at or below consensus: what counts."""
    lost: int
    """weight - clipped: the validator trust this opinion cost it."""
    bond_before: int
    bond: int
    """The bond stored after the epoch."""
    paid: int
    """Rao of the miner's incentive that its stake and weight stand for."""
    earned: int
    """Rao of its dividends that came through this miner."""
    worth: int
    """Rao its dividends would miss without this weight, all else equal; negative: it cost it."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One miner's epoch."""

    uid: int
    consensus: int
    incentive: int
    server_emission: int
    validator_emission: int
    voices: tuple[Voice, ...]
    """Validators with an opinion of the miner or a bond to it, largest stake first."""


def explain(subnet: SubnetEpoch, uid: int) -> Explanation:
    """The epoch of one miner; ValueError when the subnet has no such uid."""
    if not 0 <= uid < subnet.n:
        raise ValueError(f"uid {uid} is not on this subnet, which has uids 0 to {subnet.n - 1}")
    t = reference.trace(subnet)
    result = reference.outcome(t)
    stake = t.standing.active_stake
    columns = {name: _column(rows, uid) for name, rows in t.matrices.items()}
    weight, clipped = columns["weights_norm"], columns["clipped_weights"]
    before, after = columns["bonds_masked"], _column(t.stored_bonds, uid)
    shares = columns["ema_bonds_norm"]
    held = [
        sum(mul(v, t.incentive[j]) for j, v in row if j < subnet.n)
        for row in t.matrices["ema_bonds_norm"]
    ]
    involved = {i for column in (weight, before, after) for i in column}
    voices = [
        Voice(
            uid=i,
            stake=stake[i],
            weight=weight.get(i, 0),
            clipped=clipped.get(i, 0),
            lost=weight.get(i, 0) - clipped.get(i, 0),
            bond_before=before.get(i, 0) if subnet.yuma3_on else before.get(i, 0) // 65_535,
            bond=after.get(i, 0) if t.standing.new_permits[i] else 0,
            paid=_part(result.server_emission[uid], mul(stake[i], clipped.get(i, 0)), t.ranks[uid]),
            earned=_part(
                result.validator_emission[i], mul(shares.get(i, 0), t.incentive[uid]), held[i]
            ),
            worth=_worth(subnet, i, uid, result.validator_emission[i]) if i in weight else 0,
        )
        for i in involved
    ]
    return Explanation(
        uid=uid,
        consensus=t.consensus[uid],
        incentive=t.incentive[uid],
        server_emission=result.server_emission[uid],
        validator_emission=result.validator_emission[uid],
        voices=tuple(sorted(voices, key=lambda v: (-v.stake, v.uid))),
    )


def _column(rows: Matrix, uid: int) -> dict[int, int]:
    return {i: v for i, row in enumerate(rows) for j, v in row if j == uid}


def _part(amount: int, share: int, whole: int) -> int:
    return amount * share // whole if whole else 0


def _worth(subnet: SubnetEpoch, validator: int, miner: int, emission: int) -> int:
    """Dividends with the weight less dividends of an epoch without it."""
    rows = padded(subnet.weights, subnet.n, b"")
    rows[validator] = without_uid(rows[validator], miner)
    return emission - engine.epoch(replace(subnet, weights=rows)).validator_emission[validator]


def as_json(explanation: Explanation) -> dict[str, object]:
    """The explanation as JSON values: shares as decimal strings, rao as integers."""
    result = _decimals(asdict(explanation), ("consensus", "incentive"))
    shares = ("stake", "weight", "clipped", "lost", "bond_before", "bond")
    return result | {"voices": [_decimals(asdict(v), shares) for v in explanation.voices]}


def _decimals(values: dict[str, object], names: Sequence[str]) -> dict[str, object]:
    return {
        k: I32F32.decimal(v, PLACES) if k in names and isinstance(v, int) else v
        for k, v in values.items()
    }


def table(explanation: Explanation) -> str:
    """The explanation as lines of text."""
    e = explanation
    head = (
        f"uid {e.uid}: consensus {I32F32.decimal(e.consensus, PLACES)}, "
        f"incentive {I32F32.decimal(e.incentive, PLACES)}, "
        f"paid {e.server_emission} rao as miner, {e.validator_emission} rao as validator"
    )
    names = [
        "validator",
        "stake",
        "weight",
        "clipped",
        "lost",
        "bond before",
        "bond after",
        "paid miner, rao",
        "earned, rao",
        "worth, rao",
    ]
    lines = [names]
    for v in e.voices:
        shares = (v.stake, v.weight, v.clipped, v.lost, v.bond_before, v.bond)
        amounts = (v.paid, v.earned, v.worth)
        lines.append([str(v.uid), *(I32F32.decimal(x, PLACES) for x in shares), *map(str, amounts)])
    widths = [max(len(line[k]) for line in lines) for k in range(len(names))]
    body = ["  ".join(x.rjust(w) for x, w in zip(line, widths)) for line in lines]
    return "\n".join([head, *(body if e.voices else ["no validator has an opinion of it"])])
