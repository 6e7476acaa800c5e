"""Where a miner's reward is staked.

Upstream: pallets/subtensor/src/macros/dispatches.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.accounts import is_subnet
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_stake import AutoStakeDestinationSet
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.subtensor.storage_stake import (
    AutoStakeDestination,
    AutoStakeDestinationColdkeys,
)
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State
from ganglion.units import AccountId, NetUid


@call(114, weight=33_853_000, reads=4, writes=2)
def set_coldkey_auto_stake_hotkey(
    s: State, coldkey: Signed, netuid: NetUid, hotkey: AccountId
) -> None:
    """Stake the rewards of all own miners on a subnet behind one hotkey."""
    ensure(is_subnet(s, netuid), Error.SubnetNotExists)
    ensure(is_registered(s, netuid, hotkey), Error.HotKeyNotRegisteredInSubNet)
    current = s[AutoStakeDestination, coldkey, netuid]
    ensure(current != hotkey, Error.SameAutoStakeHotkeyAlreadySet)
    if current is not None:
        users = s[AutoStakeDestinationColdkeys, current, netuid]
        s[AutoStakeDestinationColdkeys, current, netuid] = tuple(
            user for user in users if user != coldkey
        )
    s[AutoStakeDestination, coldkey, netuid] = hotkey
    users = s[AutoStakeDestinationColdkeys, hotkey, netuid]
    if coldkey not in users:
        s[AutoStakeDestinationColdkeys, hotkey, netuid] = (*users, coldkey)
    s.emit(AutoStakeDestinationSet(coldkey, netuid, hotkey))
