"""The numbered coldkeys with root stake, of which a block picks some to claim by themselves.

Upstream: pallets/subtensor/src/staking/claim_root.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.share_pool import get_stake
from chain.pallets.subtensor.storage_stake import (
    NumStakingColdkeys,
    StakingColdkeys,
    StakingColdkeysByIndex,
    StakingHotkeys,
)
from chain.runtime.state import State
from ganglion.fixed import sat_sub
from ganglion.units import ROOT_NETUID, AccountId


def add_to_ring(s: State, coldkey: AccountId) -> None:
    """Number a root staker, once."""
    if (StakingColdkeys, coldkey) in s:
        return
    place = s[NumStakingColdkeys]
    s[StakingColdkeysByIndex, place] = coldkey
    s[StakingColdkeys, coldkey] = place
    s[NumStakingColdkeys] = place + 1


def leave_ring_without_root_stake(s: State, coldkey: AccountId) -> None:
    """Forget a coldkey that has no root stake left; the last one takes its number."""
    hotkeys = s[StakingHotkeys, coldkey]
    place = s[StakingColdkeys, coldkey]
    if place is None or any(get_stake(s, hotkey, coldkey, ROOT_NETUID) for hotkey in hotkeys):
        return
    del s[StakingColdkeys, coldkey]
    last = sat_sub(s[NumStakingColdkeys], 1)
    moved = s[StakingColdkeysByIndex, last]
    if place != last and moved is not None:
        del s[StakingColdkeysByIndex, last]
        s[StakingColdkeysByIndex, place] = moved
        s[StakingColdkeys, moved] = place
    else:
        del s[StakingColdkeysByIndex, place]
    s[NumStakingColdkeys] = last
