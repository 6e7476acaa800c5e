"""Reading neurons: who has which uid, who is immune, where mechanisms keep their vectors."""

from __future__ import annotations

from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.storage_hyperparameters import ImmunityPeriod
from chain.pallets.subtensor.storage_network import (
    MechanismCountCurrent,
    SubnetEpochConsensus,
    SubnetOwnerHotkey,
    SubnetworkN,
)
from chain.pallets.subtensor.storage_neurons import (
    BlockAtRegistration,
    IsNetworkMember,
    Keys,
    LastUpdate,
    Uids,
)
from chain.pallets.subtensor.types import EpochConsensus
from chain.pallets.subtensor.vectors import U64, padded, with_item
from chain.pallets.system import block_number
from chain.runtime.state import State, iter_items
from ganglion.fixed import U16_MAX, sat_sub
from ganglion.units import AccountId, MechId, NetUid, NetUidStorageIndex, Uid

MECHANISM_STRIDE = 4096
"""Storage indices of one mechanism span this many netuids."""


def storage_index(netuid: NetUid, mecid: int = 0) -> NetUidStorageIndex:
    """The key of per-mechanism maps; mechanism 0 is the netuid itself.

    What no subnet and mechanism can have ends at the largest key, as upstream.
    """
    return NetUidStorageIndex(min(mecid * MECHANISM_STRIDE + netuid, U16_MAX))


def is_null(s: State, netuid: NetUid) -> bool:
    """Whether the subnet's epochs run without consensus."""
    return s[SubnetEpochConsensus, netuid] is EpochConsensus.Null


def split_index(index: NetUidStorageIndex) -> tuple[NetUid, MechId]:
    """Netuid and mechanism of a storage index."""
    mecid, netuid = divmod(index, MECHANISM_STRIDE)
    return NetUid(netuid), MechId(mecid)


def get_indices(s: State, netuid: NetUid) -> list[NetUidStorageIndex]:
    """Storage indices of all mechanisms of a subnet."""
    return [storage_index(netuid, m) for m in range(s[MechanismCountCurrent, netuid])]


def is_registered(s: State, netuid: NetUid, hotkey: AccountId) -> bool:
    """Whether the hotkey has a uid on the subnet."""
    return (Uids, netuid, hotkey) in s


def get_uid(s: State, netuid: NetUid, hotkey: AccountId) -> Uid:
    """The hotkey's uid; raises HotKeyNotRegisteredInSubNet."""
    uid = s[Uids, netuid, hotkey]
    if uid is None:
        raise Error.HotKeyNotRegisteredInSubNet
    return uid


def get_hotkey(s: State, netuid: NetUid, uid: Uid) -> AccountId:
    """The hotkey of a uid; raises HotKeyNotRegisteredInSubNet."""
    if (Keys, netuid, uid) not in s:
        raise Error.HotKeyNotRegisteredInSubNet
    return s[Keys, netuid, uid]


def get_owner_uid(s: State, netuid: NetUid) -> Uid | None:
    """The uid of the subnet's owner hotkey, if it has one."""
    if (SubnetOwnerHotkey, netuid) not in s:
        return None
    return s[Uids, netuid, s[SubnetOwnerHotkey, netuid]]


def get_memberships(s: State, hotkey: AccountId) -> list[NetUid]:
    """Subnets on which the hotkey has a uid, in storage order."""
    return [netuid for netuid, member in iter_items(s, IsNetworkMember, hotkey) if member]


def is_immune(s: State, netuid: NetUid, uid: Uid) -> bool:
    """Whether the uid was registered too recently to be pruned."""
    age = sat_sub(block_number(s), s[BlockAtRegistration, netuid, uid])
    return age < s[ImmunityPeriod, netuid]


def get_last_update(s: State, index: NetUidStorageIndex) -> bytes:
    """Blocks of the latest weights, packed, one for every uid."""
    netuid, _ = split_index(index)
    return padded(s[LastUpdate, index], U64, s[SubnetworkN, netuid])


def set_last_update(s: State, index: NetUidStorageIndex, uid: Uid, block: int) -> None:
    """Remember when a uid set weights; nothing for an unknown uid."""
    before = get_last_update(s, index)
    if uid * U64 < len(before):
        s[LastUpdate, index] = with_item(before, U64, uid, block)
