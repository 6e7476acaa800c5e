"""Locked stake, conviction and voting power."""

from __future__ import annotations

from chain.pallets.subtensor.types import LockState
from chain.runtime.storage import Blake2, Identity, Map, Value, storage
from ganglion.scale import u64
from ganglion.units import AccountId, NetUid

Lock: Map[Blake2[AccountId], Identity[NetUid], Blake2[AccountId], LockState | None] = storage()
"""What a coldkey locked on a subnet behind a hotkey."""
LockingColdkeys: Map[Identity[NetUid], Blake2[AccountId], Blake2[AccountId], tuple[()] | None] = (
    storage()
)
"""Who has locked behind a hotkey."""
HotkeyLock: Map[Identity[NetUid], Blake2[AccountId], LockState | None] = storage()
"""Sum of the perpetual locks behind a hotkey."""
DecayingHotkeyLock: Map[Identity[NetUid], Blake2[AccountId], LockState | None] = storage()
"""Sum of the decaying locks behind a hotkey."""
OwnerLock: Map[Identity[NetUid], LockState | None] = storage()
"""Sum of the perpetual locks of the subnet's owner."""
DecayingOwnerLock: Map[Identity[NetUid], LockState | None] = storage()
"""Sum of the decaying locks of the subnet's owner."""
DecayingLock: Map[Blake2[AccountId], Identity[NetUid], bool | None] = storage()
"""Whether a coldkey's lock on a subnet decays."""
MaturityRate: Value[u64] = storage(default=934866)
"""Blocks in which conviction approaches the mass by a factor e."""
UnlockRate: Value[u64] = storage(default=934866)
"""Blocks in which a decaying lock shrinks by a factor e."""
VotingPower: Map[Identity[NetUid], Blake2[AccountId], u64] = storage(default=0)
"""Average stake of a hotkey."""
TotalVotingPower: Map[Identity[NetUid], u64] = storage(default=0)
"""Sum of the averages of a subnet."""
VotingPowerTrackingEnabled: Map[Identity[NetUid], bool] = storage(default=False)
"""Whether the average is kept."""
VotingPowerDisableAtBlock: Map[Identity[NetUid], u64] = storage(default=0)
"""Block in which tracking ends; 0 for none."""
VotingPowerEmaAlpha: Map[Identity[NetUid], u64] = storage(default=3570000000000000)
"""Weight of a new value in units of 10^-18."""
