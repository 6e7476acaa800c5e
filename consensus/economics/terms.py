"""What one subnet gets in one block: TAO and alpha into its pool, alpha for its participants.

Upstream: pallets/subtensor/src/coinbase/run_coinbase.rs
"""

from __future__ import annotations

from dataclasses import dataclass

from consensus.economics.fixed import Fx32, Fx64, narrow
from ganglion.fixed import U96F32

HALF = U96F32.one // 2


@dataclass(frozen=True, slots=True)
class Terms:
    """A subnet's block, in Fx32 bits; amounts are cut to whole units where they are paid."""

    tao_in: Fx32
    alpha_in: Fx32
    alpha_out: Fx32
    excess_tao: Fx32
    """TAO that may not be injected and buys alpha instead."""


def root_proportion(root_tao: int, tao_weight: Fx32, alpha_issuance: int) -> Fx32:
    """Weighted root TAO as a part of itself and the subnet's alpha; 0 when both are 0."""
    root = U96F32.mul(U96F32.from_int(root_tao), tao_weight)
    return U96F32.safe_div(root, U96F32.add(root, U96F32.from_int(alpha_issuance)))


def subnet_terms(tao_emission: Fx32, price: Fx64, alpha_emission: int, root_share: Fx32) -> Terms:
    """Split a subnet's TAO into injection and purchase.

    Alpha is injected at the price, up to the root's share of the alpha emission; TAO beyond that
    cap is excess. At price zero all TAO is injected with no alpha beside it.
    """
    price_32 = narrow(price)
    alpha_out = U96F32.from_int(alpha_emission)
    tao_in, alpha_in = tao_emission, U96F32.safe_div(tao_emission, price_32)
    cap = U96F32.mul(root_share, alpha_out)
    if alpha_in > cap:
        alpha_in, tao_in = cap, U96F32.mul(cap, price_32)
    return Terms(tao_in, alpha_in, alpha_out, U96F32.sub(tao_emission, tao_in))


@dataclass(frozen=True, slots=True)
class Accrual:
    """Whole alpha added in one block to what a subnet owes until its epoch."""

    owner_cut: int
    server: int
    validator: int
    root: int


def accrue(alpha_out: Fx32, owner_cut: Fx32, root_share: Fx32) -> Accrual:
    """Split a block's alpha: owner's cut first, then half to miners, half to validators and root.

    Each part is cut to whole units by itself, so up to 3 units a block belong to nobody.
    """
    cut = U96F32.mul(alpha_out, owner_cut)
    rest = U96F32.sub(alpha_out, cut)
    root = U96F32.mul(U96F32.mul(root_share, rest), HALF)
    server = U96F32.mul(rest, HALF)
    validator = U96F32.sub(U96F32.sub(rest, server), root)
    return Accrual(*(U96F32.to_u64(part) for part in (cut, server, validator, root)))
