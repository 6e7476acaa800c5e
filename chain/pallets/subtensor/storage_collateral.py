"""Collateral that miners lock on subnets that ask for it."""

from __future__ import annotations

from typing import Annotated

from chain.pallets.subtensor.types import MAX_LISTED, MinerCollateralState
from chain.runtime.storage import Blake2, Identity, Map, storage
from ganglion.scale import AtMost, u16
from ganglion.units import U64F64, AccountId, Alpha, NetUid

CollateralLockShare: Map[Identity[NetUid], u16] = storage(default=0)
"""Share of a miner's reward that is locked, in units of 1/65535."""
CollateralDrainRatio: Map[Identity[NetUid], U64F64] = storage(default=1 << 64)
"""How fast collateral is released."""
MinerCollateral: Map[
    Identity[NetUid], Blake2[AccountId], Blake2[AccountId], MinerCollateralState | None
] = storage()
"""Collateral of a hotkey and its coldkey on a subnet."""
ColdkeyMinerCollateral: Map[Identity[NetUid], Blake2[AccountId], Alpha] = storage(default=0)
"""All collateral of a coldkey on a subnet."""
ColdkeyCollateralHotkeys: Map[
    Identity[NetUid], Blake2[AccountId], Annotated[tuple[AccountId, ...], AtMost(MAX_LISTED)]
] = storage(default=())
"""Hotkeys for which a coldkey has collateral on a subnet."""
