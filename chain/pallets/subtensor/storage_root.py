"""Root claims: dividends of root holders that wait on every subnet."""

from __future__ import annotations

from typing import Annotated

from chain.pallets.subtensor.types import RootClaimTypeEnum, Swap
from chain.runtime.storage import Blake2, Identity, Map, Value, storage
from ganglion.scale import SORTED_MAP, u64, u128
from ganglion.units import I96F32, AccountId, NetUid

RootClaimable: Map[Blake2[AccountId], Annotated[tuple[tuple[NetUid, I96F32], ...], SORTED_MAP]] = (
    storage(default=())
)
"""Per hotkey and subnet, the alpha claimable per unit of root stake."""
RootClaimed: Map[Identity[NetUid], Blake2[AccountId], Blake2[AccountId], u128] = storage(default=0)
"""What a coldkey has claimed with a hotkey on a subnet: its watermark."""
RootClaimType: Map[Blake2[AccountId], RootClaimTypeEnum] = storage(default=Swap())
"""Whether claims are sold for TAO or kept as alpha."""
RootClaimableThreshold: Map[Blake2[NetUid], I96F32] = storage(default=500000 << 32)
"""Smallest claim that is paid out."""
NumRootClaim: Value[u64] = storage(default=5)
"""Automatic claims per block."""
RootStakeUnlockInterval: Value[u64] = storage(default=0)
"""Blocks that root stake stays locked; 0 for none."""
