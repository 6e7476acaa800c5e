"""What a history comes to: who earned how much, and whether the attack paid."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from localnet.lab.play import RAO, History, play

WARM_UP = 0.2
"""The first part of a history is left out: bonds have yet to fill."""


@dataclass(frozen=True, slots=True)
class GroupResult:
    """One group, on average over the epochs after the warm-up."""

    group: str
    role: str
    members: int
    stake_share: float
    """Of all validator stake; 0 for miners."""
    earned: float
    """TAO per epoch, all members together."""
    share: float
    """Of everything that was paid."""
    per_stake: float | None
    """Earnings per staked TAO over those of the first group of validators."""
    trust: float | None
    """Mean validator trust."""
    bond: float | None
    """Mean bond to a watched miner."""


@dataclass(frozen=True, slots=True)
class Attack:
    """What the attackers got together, and would have got honestly, in TAO per epoch."""

    dividends: float
    honest_dividends: float
    incentive: float
    honest_incentive: float
    gain: float
    cost: float
    """TAO, once."""
    pays_back: float | None
    """Epochs until the gain has paid the cost; None for never."""


@dataclass(frozen=True, slots=True)
class Report:
    """A scenario's result."""

    scenario: str
    epochs: int
    seed: int
    groups: tuple[GroupResult, ...]
    attack: Attack | None

    def as_json(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self)


def warm(history: History) -> slice:
    """The epochs that count."""
    return slice(int(len(history.dividends) * WARM_UP), None)


def groups(history: History) -> tuple[GroupResult, ...]:
    """Every group's result, validators first."""
    counted = warm(history)
    dividends = history.dividends[counted].mean(axis=0) / RAO
    incentive = history.incentive[counted].mean(axis=0) / RAO
    paid = float(dividends.sum() + incentive.sum()) or 1.0
    stake = np.array([s for v in history.scenario.validators for s in v.stakes])
    result = []
    norm = None
    for name, uids in history.validators.items():
        earned = float(dividends[uids].sum())
        rate = earned / float(stake[uids].sum())
        norm = norm or rate or 1.0
        result.append(
            GroupResult(
                group=name,
                role="validator",
                members=uids.stop - uids.start,
                stake_share=float(stake[uids].sum() / stake.sum()),
                earned=earned,
                share=earned / paid,
                per_stake=rate / norm,
                trust=float(history.trust[counted, uids].mean()),
                bond=float(history.bonds[counted, uids].mean()),
            )
        )
    for name, uids in history.miners.items():
        earned = float(incentive[uids].sum())
        members = uids.stop - uids.start
        result.append(
            GroupResult(name, "miner", members, 0.0, earned, earned / paid, None, None, None)
        )
    return tuple(result)


def attack(history: History, baseline: History) -> Attack:
    """Weigh the attackers' gain over an honest run with the same seed."""
    now, before = _earned(history), _earned(baseline)
    if not any(g in history.validators for g in history.scenario.attackers):
        # Miners alone: honest is one uid of the group, the others are not there.
        before = (before[0], now[1] / max(1, _attacking_miners(history)))
    gain = sum(now) - sum(before)
    cost = history.scenario.cost
    return Attack(
        dividends=now[0],
        honest_dividends=before[0],
        incentive=now[1],
        honest_incentive=before[1],
        gain=gain,
        cost=cost,
        pays_back=cost / gain if gain > 0 else None,
    )


def _attacking_miners(history: History) -> int:
    slices = [history.miners[g] for g in history.scenario.attackers if g in history.miners]
    return sum(s.stop - s.start for s in slices)


def _earned(history: History) -> tuple[float, float]:
    """TAO per epoch to the attackers, as validators and as miners."""
    counted = warm(history)
    dividends = incentive = 0.0
    for group in history.scenario.attackers:
        if group in history.validators:
            dividends += history.dividends[counted, history.validators[group]].sum(axis=1).mean()
        if group in history.miners:
            incentive += history.incentive[counted, history.miners[group]].sum(axis=1).mean()
    return float(dividends) / RAO, float(incentive) / RAO


def report(history: History) -> Report:
    """The result of a history; with attackers, an honest run is played for comparison."""
    weighed = None
    epochs = len(history.dividends)
    if history.scenario.attackers:
        weighed = attack(history, play(history.scenario.baseline(), epochs, history.seed))
    return Report(history.scenario.name, epochs, history.seed, groups(history), weighed)


def table(result: Report) -> str:
    """A report as lines of text."""
    names = ("group", "role", "members", "stake", "TAO/epoch", "of all", "per stake", "trust")
    lines = [(*names, "bond")]
    for g in result.groups:
        lines.append(
            (
                g.group,
                g.role,
                str(g.members),
                _percent(g.stake_share) if g.role == "validator" else "",
                f"{g.earned:.3f}",
                _percent(g.share),
                "" if g.per_stake is None else f"{g.per_stake:.3f}",
                "" if g.trust is None else f"{g.trust:.3f}",
                "" if g.bond is None else f"{g.bond:.3f}",
            )
        )
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    body = ["  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in lines]
    head = f"{result.scenario}: {result.epochs} epochs, seed {result.seed}"
    return "\n".join([head, *body, *(_verdict(result.attack) if result.attack else [])])


def _verdict(a: Attack) -> list[str]:
    change = "gain" if a.gain > 0 else "lose"
    lines = [
        "",
        f"attackers: dividends {a.dividends:.3f} (honestly {a.honest_dividends:.3f}), "
        f"incentive {a.incentive:.3f} (honestly {a.honest_incentive:.3f}) TAO per epoch",
        f"they {change} {abs(a.gain):.3f} TAO per epoch",
    ]
    if a.cost:
        when = "never" if a.pays_back is None else f"after {a.pays_back:.1f} epochs"
        lines[-1] += f"; the {a.cost:.3f} TAO it costs pays back {when}"
    return lines


def _percent(x: float) -> str:
    return f"{100 * x:.1f}%"
