"""From shares of incentive and dividends to rao.

Dust is lost by rule: every amount is floored and nothing is handed out again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consensus.yuma.scalar import normalise, safe_div
from ganglion.fixed import clamp_u64


@dataclass(frozen=True, slots=True)
class Payout:
    """Shares (I32F32 bits) and amounts (rao) by uid."""

    total: int
    """Sum of incentive and dividends before normalising."""
    server_share: list[int]
    validator_share: list[int]
    combined_share: list[int]
    server: tuple[int, ...]
    validator: tuple[int, ...]
    combined: tuple[int, ...]


def rao(shares: Sequence[int], amount: int) -> tuple[int, ...]:
    """Each share of an amount, floored."""
    return tuple(clamp_u64(s * amount >> 32) if s else 0 for s in shares)


def payout(
    incentive: Sequence[int],
    dividends: Sequence[int],
    stake: Sequence[int],
    active_stake: Sequence[int],
    amount: int,
) -> Payout:
    """Split `amount` over miners and validators; with nothing to reward, over stake."""
    combined = [i + d for i, d in zip(incentive, dividends)]
    total = sum(combined)
    if total:
        server = [safe_div(x, total) if x else 0 for x in incentive]
        validator = [safe_div(x, total) if x else 0 for x in dividends]
        share = normalise(combined)
    else:
        server = list(incentive)
        validator = share = list(active_stake if any(active_stake) else stake)
    return Payout(
        total=total,
        server_share=server,
        validator_share=validator,
        combined_share=share,
        server=rao(server, amount),
        validator=rao(validator, amount),
        combined=rao(share, amount),
    )
