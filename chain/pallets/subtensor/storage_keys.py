"""Keys: who owns which hotkey, identities, swaps."""

from __future__ import annotations

from typing import Annotated

from chain.pallets.subtensor.constants import (
    InitialColdkeySwapAnnouncementDelay,
    InitialColdkeySwapReannouncementDelay,
)
from chain.pallets.subtensor.types import MAX_LISTED, NOBODY, ChainIdentityV2
from chain.runtime.storage import Blake2, Identity, Map, Twox, Value, storage
from ganglion.scale import AtMost, Fixed, u64, u128
from ganglion.units import AccountId, BlockNumber, Hash, NetUid, Uid

H160 = Annotated[bytes, Fixed(20)]

Owner: Map[Blake2[AccountId], AccountId] = storage(default=NOBODY)
"""Coldkey of a hotkey; the zero account when it has none."""
OwnedHotkeys: Map[Blake2[AccountId], tuple[AccountId, ...]] = storage(default=())
"""Hotkeys of a coldkey."""
IdentitiesV2: Map[Blake2[AccountId], ChainIdentityV2 | None] = storage()
"""What a coldkey says about itself."""
AccountFlags: Map[Blake2[AccountId], u128] = storage(default=0)
"""Bit 0: the account refuses incoming locked alpha."""
LastHotkeySwapOnNetuid: Map[Identity[NetUid], Blake2[AccountId], u64] = storage(default=0)
"""Block of a coldkey's latest hotkey swap on one subnet."""
ColdkeySwapAnnouncementDelay: Value[BlockNumber] = storage(
    default=InitialColdkeySwapAnnouncementDelay.value
)
"""Blocks between the announcement and the swap of a coldkey."""
ColdkeySwapReannouncementDelay: Value[BlockNumber] = storage(
    default=InitialColdkeySwapReannouncementDelay.value
)
"""Blocks after which an announcement may be replaced or cleared."""
ColdkeySwapAnnouncements: Map[Twox[AccountId], tuple[BlockNumber, Hash] | None] = storage()
"""Block from which the swap may happen, and the hash of the new coldkey."""
ColdkeySwapDisputes: Map[Twox[AccountId], BlockNumber | None] = storage()
"""Block in which a swap was disputed."""
AssociatedEvmAddress: Map[Twox[NetUid], Twox[Uid], tuple[H160, u64] | None] = storage()
"""The Ethereum address of a neuron, and the block in which it was proven."""
AssociatedUidsByEvmAddress: Map[
    Twox[NetUid], Twox[H160], Annotated[tuple[tuple[Uid, u64], ...], AtMost(MAX_LISTED)]
] = storage(default=())
"""The neurons of an Ethereum address, with the same blocks."""
HotkeySuccessor: Map[Identity[NetUid], Blake2[AccountId], AccountId | None] = storage()
"""What a hotkey was replaced by on a subnet."""
HotkeyRoot: Map[Identity[NetUid], Blake2[AccountId], AccountId | None] = storage()
"""The first hotkey of a line of replacements on a subnet."""
ColdkeySuccessor: Map[Blake2[AccountId], AccountId | None] = storage()
"""What a coldkey was replaced by."""
ColdkeyRoot: Map[Blake2[AccountId], AccountId | None] = storage()
"""The first coldkey of a line of replacements."""
