"""Delegation: takes, children and parents."""

from __future__ import annotations

from chain.runtime.flavour import public_or_local
from chain.runtime.storage import Blake2, Identity, Map, Value, storage
from ganglion.scale import u64
from ganglion.units import AccountId, NetUid, PerU16

Delegates: Map[Blake2[AccountId], PerU16] = storage(default=11796)
"""A hotkey's take from its nominators, in units of 1/65535."""
MinDelegateTake: Value[PerU16] = storage(default=0)
"""Floor of the take."""
MaxDelegateTake: Value[PerU16] = storage(default=11796)
"""Ceiling of the take."""
ChildkeyTake: Map[Blake2[AccountId], Identity[NetUid], PerU16] = storage(default=0)
"""A child's take from its parents."""
MinChildkeyTake: Value[PerU16] = storage(default=0)
"""Floor of the childkey take."""
MaxChildkeyTake: Value[PerU16] = storage(default=11796)
"""Ceiling of the childkey take."""
MinChildkeyTakePerSubnet: Map[Identity[NetUid], PerU16] = storage(default=0)
"""The owner's floor of the childkey take."""
ChildKeys: Map[Blake2[AccountId], Identity[NetUid], tuple[tuple[u64, AccountId], ...]] = storage(
    default=()
)
"""Children of a hotkey: (proportion in units of 2^-64, child)."""
ParentKeys: Map[Blake2[AccountId], Identity[NetUid], tuple[tuple[u64, AccountId], ...]] = storage(
    default=()
)
"""Parents of a hotkey: (proportion in units of 2^-64, parent)."""
PendingChildKeys: Map[
    Identity[NetUid], Blake2[AccountId], tuple[tuple[tuple[u64, AccountId], ...], u64]
] = storage(default=((), 0))
"""Children that wait for an epoch, and the block from which they apply."""
PendingChildKeyCooldown: Value[u64] = storage(default=public_or_local(7_200, 15))
"""Blocks that new children wait."""
AutoParentDelegationEnabled: Map[Blake2[AccountId], bool] = storage(default=True)
"""Whether a root validator backs the owners of new subnets."""
