"""Alpha that comes to be and alpha that goes, in the pool and outside it.

Burned alpha stays counted in SubnetAlphaOut, recycled alpha leaves it and can be emitted again.

Upstream: pallets/subtensor/src/coinbase/alpha.rs
"""

from __future__ import annotations

from chain.pallets import alpha_assets
from chain.pallets.subtensor.storage_pool import SubnetAlphaIn, SubnetAlphaOut
from chain.runtime.state import State
from ganglion.fixed import sat_add_u64, sat_sub
from ganglion.units import Alpha, NetUid


def get_alpha_issuance(s: State, netuid: NetUid) -> Alpha:
    """All alpha of a subnet, in its pool and outside."""
    return Alpha(sat_add_u64(s[SubnetAlphaIn, netuid], s[SubnetAlphaOut, netuid]))


def mint_into_pool(s: State, netuid: NetUid, amount: int) -> None:
    """Create alpha in the pool."""
    alpha_assets.mint(s, netuid, amount)
    if amount:
        s[SubnetAlphaIn, netuid] = Alpha(sat_add_u64(s[SubnetAlphaIn, netuid], amount))


def mint_outside(s: State, netuid: NetUid, amount: int) -> None:
    """Create alpha outside the pool; the caller says whose it is."""
    alpha_assets.mint(s, netuid, amount)
    if amount:
        s[SubnetAlphaOut, netuid] = Alpha(sat_add_u64(s[SubnetAlphaOut, netuid], amount))


def recycle_alpha(s: State, netuid: NetUid, amount: int) -> None:
    """Take alpha that nobody holds any more out of the issuance."""
    if amount:
        s[SubnetAlphaOut, netuid] = Alpha(sat_sub(s[SubnetAlphaOut, netuid], amount))
        alpha_assets.recycle(s, netuid, amount)


def burn_alpha(s: State, netuid: NetUid, amount: int) -> None:
    """Count alpha that nobody holds any more as burned; the issuance keeps it."""
    alpha_assets.burn(s, netuid, amount)
