"""AlphaAssets (pallet 31): how much alpha of each subnet was minted, burned and recycled.

Only books: the alpha itself is counted by the subtensor pallet. Burned alpha stays in the
issuance, recycled alpha leaves it.

Upstream: pallets/alpha-assets.
"""

from __future__ import annotations

from chain.runtime.pallet import Pallet
from chain.runtime.state import State
from chain.runtime.storage import Map, Twox, storage
from ganglion.fixed import sat_add_u64, sat_sub
from ganglion.units import Alpha, NetUid

TotalAlphaIssuance: Map[Twox[NetUid], Alpha] = storage(default=0)
"""Alpha of a subnet in existence."""

AlphaBurned: Map[Twox[NetUid], Alpha] = storage(default=0)
"""Alpha of a subnet ever burned."""

AlphaRecycled: Map[Twox[NetUid], Alpha] = storage(default=0)
"""Alpha of a subnet ever recycled."""


def mint(s: State, netuid: NetUid, amount: int) -> None:
    """Count alpha that came to be."""
    if amount:
        issued = sat_add_u64(s[TotalAlphaIssuance, netuid], amount)
        s[TotalAlphaIssuance, netuid] = Alpha(issued)


def burn(s: State, netuid: NetUid, amount: int) -> None:
    """Count alpha that nobody can use any more."""
    if amount:
        s[AlphaBurned, netuid] = Alpha(sat_add_u64(s[AlphaBurned, netuid], amount))


def recycle(s: State, netuid: NetUid, amount: int) -> None:
    """Count alpha that went back into what may be emitted."""
    if amount:
        s[AlphaRecycled, netuid] = Alpha(sat_add_u64(s[AlphaRecycled, netuid], amount))
        issued = sat_sub(s[TotalAlphaIssuance, netuid], amount)
        s[TotalAlphaIssuance, netuid] = Alpha(issued)


pallet = Pallet("AlphaAssets", __name__).seal()
