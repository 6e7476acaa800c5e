"""Lines of replaced keys: indexers follow a miner or an owner through its key swaps.

The newest key of a line never has a successor, so that a key swapped back makes no circle.

Upstream: pallets/subtensor/src/swap
"""

from __future__ import annotations

from chain.pallets.subtensor.storage_keys import (
    ColdkeyRoot,
    ColdkeySuccessor,
    HotkeyRoot,
    HotkeySuccessor,
)
from chain.runtime.state import State
from ganglion.units import AccountId, NetUid


def record_hotkey(s: State, netuid: NetUid, old: AccountId, new: AccountId) -> None:
    """Remember that a hotkey was replaced on a subnet."""
    root = s[HotkeyRoot, netuid, old] or old
    del s[HotkeySuccessor, netuid, new]
    s[HotkeySuccessor, netuid, old] = new
    s[HotkeyRoot, netuid, new] = root


def record_coldkey(s: State, old: AccountId, new: AccountId) -> None:
    """Remember that a coldkey was replaced."""
    root = s[ColdkeyRoot, old] or old
    del s[ColdkeySuccessor, new]
    s[ColdkeySuccessor, old] = new
    s[ColdkeyRoot, new] = root
