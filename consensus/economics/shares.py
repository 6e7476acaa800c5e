"""How a block's TAO is shared among subnets: by moving price, less what their miners burn.

Upstream: pallets/subtensor/src/coinbase/subnet_emissions.rs
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from consensus.economics.fixed import Fx32, Fx64, narrow, widen
from ganglion.fixed import U64F64, U128_MAX


@dataclass(frozen=True, slots=True)
class Candidate:
    """A subnet that takes part in emission."""

    netuid: int
    price: Fx64
    """Moving price of its alpha; one for a stable subnet."""
    miner_burned: Fx32
    """Part of the last miner emission that was withheld."""
    is_enabled: bool
    """Whether it may receive TAO; disabled subnets leave their share to the others."""


def moving_price_of(is_dynamic: bool, moving_price: Fx32) -> Fx64:
    """The price a subnet is weighed with: its moving price, or one if it is stable."""
    return widen(moving_price) if is_dynamic else U64F64.one


def price_shares(candidates: Sequence[Candidate]) -> list[Fx64]:
    """Each subnet's part of the sum of prices; zeros when every price is zero."""
    total = _sum(c.price for c in candidates)
    return [U64F64.safe_div(c.price, total) for c in candidates]


def emission_shares(candidates: Sequence[Candidate]) -> list[Fx64]:
    """Price shares, lowered by the burned part and brought back to a sum near one.

    When nothing is left (everything burned) the plain price shares apply.
    """
    plain = price_shares(candidates)
    burned = [
        U64F64.mul(share, U64F64.sub(U64F64.one, min(U64F64.one, widen(c.miner_burned))))
        for share, c in zip(plain, candidates)
    ]
    total = _sum(burned)
    return [U64F64.safe_div(share, total) for share in burned] if total else plain


def subnet_emissions(candidates: Sequence[Candidate], block_emission: int) -> dict[int, Fx32]:
    """TAO of this block for each subnet, by netuid.

    Only if some subnet is disabled are the shares of the rest scaled up to take its part.
    """
    shares = emission_shares(candidates)
    if not all(c.is_enabled for c in candidates):
        enabled = _sum(share for share, c in zip(shares, candidates) if c.is_enabled)
        shares = [
            U64F64.safe_div(share, enabled) if c.is_enabled else 0
            for share, c in zip(shares, candidates)
        ]
    emission = U64F64.from_int(block_emission)
    return {c.netuid: narrow(U64F64.mul(emission, share)) for share, c in zip(shares, candidates)}


def is_root_selling(candidates: Sequence[Candidate]) -> bool:
    """Whether root dividends are paid: the sum of prices exceeds one, disabled subnets included."""
    return _sum(c.price for c in candidates) > U64F64.one


def _sum(values: Iterable[Fx64]) -> Fx64:
    return min(sum(values), U128_MAX)
