"""Who owns which hotkey, and the accounts that hold the TAO of each subnet.

Upstream: pallets/subtensor/src/staking/{helpers,account}.rs, subnets/subnet.rs
"""

from __future__ import annotations

from functools import cache

from chain.pallets.subtensor.constants import BurnAccountId, SubtensorPalletId
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.storage_keys import OwnedHotkeys, Owner
from chain.pallets.subtensor.storage_network import NetworksAdded, SubtokenEnabled
from chain.pallets.subtensor.storage_stake import StakingHotkeys
from chain.runtime.errors import ensure
from chain.runtime.state import State, iter_keys
from ganglion.units import ROOT_NETUID, AccountId, NetUid

PALLET_ACCOUNT = b"modl"
"""Every account that a pallet derives for itself starts with this."""

BURN_ACCOUNT = AccountId((PALLET_ACCOUNT + BurnAccountId.value).ljust(32, b"\0"))
"""Where burned TAO lies; nobody has its key."""

_SUBNET_PREFIX = PALLET_ACCOUNT + SubtensorPalletId.value


@cache
def compute_subnet_account(netuid: NetUid) -> AccountId:
    """The account of a subnet, whether the subnet exists or not."""
    return AccountId((_SUBNET_PREFIX + netuid.to_bytes(2, "little")).ljust(32, b"\0"))


def get_subnet_account(s: State, netuid: NetUid) -> AccountId | None:
    """The account that holds a subnet's TAO; None for an unknown subnet."""
    if netuid == ROOT_NETUID or (NetworksAdded, netuid) in s:
        return compute_subnet_account(netuid)
    return None


def is_subnet_account(account: AccountId) -> bool:
    """Whether this is the account of some subnet."""
    head = len(_SUBNET_PREFIX)
    return account[:head] == _SUBNET_PREFIX and not any(account[head + 2 :])


def get_netuids(s: State) -> list[NetUid]:
    """All subnets, root included, in storage order (little-endian bytes, not numeric)."""
    return list(iter_keys(s, NetworksAdded))


def is_subnet(s: State, netuid: NetUid) -> bool:
    """Whether the subnet exists."""
    return s[NetworksAdded, netuid]


def ensure_subtoken_enabled(s: State, netuid: NetUid) -> None:
    """Raise SubtokenDisabled unless alpha can be traded on the subnet."""
    ensure(s[SubtokenEnabled, netuid], Error.SubtokenDisabled)


def is_hotkey(s: State, hotkey: AccountId) -> bool:
    """Whether some coldkey owns this hotkey."""
    return (Owner, hotkey) in s


def is_owner(s: State, coldkey: AccountId, hotkey: AccountId) -> bool:
    """Whether this coldkey owns this hotkey."""
    return is_hotkey(s, hotkey) and s[Owner, hotkey] == coldkey


def ensure_hotkey(s: State, hotkey: AccountId) -> None:
    """Raise HotKeyAccountNotExists for an unknown hotkey."""
    ensure(is_hotkey(s, hotkey), Error.HotKeyAccountNotExists)


def do_create_account(s: State, coldkey: AccountId, hotkey: AccountId) -> None:
    """Make a free hotkey belong to a coldkey; nothing if somebody owns it already.

    Raises CannotUseSystemAccount for a subnet's account.
    """
    ensure(not is_subnet_account(hotkey), Error.CannotUseSystemAccount)
    if is_hotkey(s, hotkey):
        return
    s[Owner, hotkey] = coldkey
    if hotkey not in s[OwnedHotkeys, coldkey]:
        s[OwnedHotkeys, coldkey] = (*s[OwnedHotkeys, coldkey], hotkey)
    add_staking_hotkey(s, coldkey, hotkey)


def add_staking_hotkey(s: State, coldkey: AccountId, hotkey: AccountId) -> None:
    """Remember that a coldkey has stake behind a hotkey."""
    known = s[StakingHotkeys, coldkey]
    if hotkey not in known:
        s[StakingHotkeys, coldkey] = (*known, hotkey)
