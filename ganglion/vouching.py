"""Who vouches for whom on the chain."""

from __future__ import annotations

from ganglion.errors import UnknownName
from ganglion.view import Reads

PALLET = "Vouching"


async def has_vouching(chain: Reads) -> bool:
    """Whether the chain keeps vouches at all; upstream's does not."""
    try:
        await chain.constant(PALLET, "MaxVouches")
    except UnknownName:
        return False
    return True


async def vouches(chain: Reads) -> list[tuple[str, str]]:
    """Every vouch as (who, for whom), in addresses."""
    return [(who, other) for (who, other), _ in await chain.query_map(PALLET, "Vouches")]
