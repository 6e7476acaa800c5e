"""Giving out uids: a new seat, or the seat of the neuron that earned least.

Upstream: pallets/subtensor/src/subnets/{uids,registration}.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.evm_keys import forget_evm_key
from chain.pallets.subtensor.neurons import get_indices, is_immune, set_last_update
from chain.pallets.subtensor.storage_hyperparameters import (
    ImmuneOwnerUidsLimit,
    MaxAllowedUids,
    MinNonImmuneUids,
)
from chain.pallets.subtensor.storage_keys import OwnedHotkeys
from chain.pallets.subtensor.storage_network import SubnetOwner, SubnetOwnerHotkey, SubnetworkN
from chain.pallets.subtensor.storage_neurons import (
    Active,
    Axons,
    BlockAtRegistration,
    Bonds,
    Consensus,
    Dividends,
    Emission,
    Incentive,
    IsNetworkMember,
    Keys,
    NeuronCertificates,
    Prometheus,
    StakeWeight,
    Uids,
    ValidatorPermit,
    ValidatorTrust,
    Weights,
)
from chain.pallets.subtensor.vectors import (
    FLAG,
    U16,
    U64,
    extended,
    item,
    with_item,
    with_value_for,
)
from chain.pallets.system import block_number
from chain.runtime.errors import ensure
from chain.runtime.state import State, iter_items
from ganglion.units import AccountId, NetUid, Uid


def do_register_neuron(s: State, netuid: NetUid, hotkey: AccountId) -> Uid:
    """Give the hotkey a uid; raises NoNeuronIdAvailable when the subnet is full of immune ones."""
    if s[SubnetworkN, netuid] < s[MaxAllowedUids, netuid]:
        return do_append_neuron(s, netuid, hotkey)
    uid = get_uid_to_prune(s, netuid)
    if uid is None:
        raise Error.NoNeuronIdAvailable
    do_replace_neuron(s, netuid, uid, hotkey)
    return uid


def ensure_seat(s: State, netuid: NetUid) -> None:
    """Raise NoNeuronIdAvailable unless a registration would find a seat."""
    limit = s[MaxAllowedUids, netuid]
    is_full = s[SubnetworkN, netuid] >= limit
    has_seat = not is_full or get_uid_to_prune(s, netuid) is not None
    ensure(limit != 0 and has_seat, Error.NoNeuronIdAvailable)


def do_append_neuron(s: State, netuid: NetUid, hotkey: AccountId) -> Uid:
    """Give the hotkey the next uid."""
    uid = Uid(s[SubnetworkN, netuid])
    s[SubnetworkN, netuid] = uid + 1
    s[Active, netuid] = extended(s[Active, netuid], FLAG, 1)
    s[Emission, netuid] = extended(s[Emission, netuid], U64, 0)
    s[Consensus, netuid] = extended(s[Consensus, netuid], U16, 0)
    for index in get_indices(s, netuid):
        s[Incentive, index] = extended(s[Incentive, index], U16, 0)
        set_last_update(s, index, uid, block_number(s))
    s[Dividends, netuid] = extended(s[Dividends, netuid], U16, 0)
    s[ValidatorTrust, netuid] = extended(s[ValidatorTrust, netuid], U16, 0)
    s[ValidatorPermit, netuid] = extended(s[ValidatorPermit, netuid], FLAG, 0)
    _seat(s, netuid, uid, hotkey)
    return uid


def do_replace_neuron(s: State, netuid: NetUid, uid: Uid, hotkey: AccountId) -> None:
    """Give a taken uid to another hotkey, as if new; the subnet's owner hotkey keeps its own."""
    old = s[Keys, netuid, uid]
    if (SubnetOwnerHotkey, netuid) in s and s[SubnetOwnerHotkey, netuid] == old:
        return
    del s[Uids, netuid, old]
    del s[IsNetworkMember, old, netuid]
    s[Active, netuid] = with_item(s[Active, netuid], FLAG, uid, 1)
    _seat(s, netuid, uid, hotkey)
    for served in (Axons, NeuronCertificates, Prometheus):
        del s[served, netuid, old]
    forget_evm_key(s, netuid, uid)
    _clear_neuron(s, netuid, uid)
    for index in get_indices(s, netuid):
        set_last_update(s, index, uid, block_number(s))


def _seat(s: State, netuid: NetUid, uid: Uid, hotkey: AccountId) -> None:
    s[Keys, netuid, uid] = hotkey
    s[Uids, netuid, hotkey] = uid
    s[BlockAtRegistration, netuid, uid] = block_number(s)
    s[IsNetworkMember, hotkey, netuid] = True


def _clear_neuron(s: State, netuid: NetUid, uid: Uid) -> None:
    """Forget what a uid earned, whom it weighed, and what others gave it."""
    s[Emission, netuid] = with_item(s[Emission, netuid], U64, uid, 0)
    for vector in (Consensus, Dividends, StakeWeight, ValidatorTrust):
        s[vector, netuid] = with_item(s[vector, netuid], U16, uid, 0)
    s[ValidatorPermit, netuid] = with_item(s[ValidatorPermit, netuid], FLAG, uid, 0)
    for index in get_indices(s, netuid):
        s[Incentive, index] = with_item(s[Incentive, index], U16, uid, 0)
        del s[Bonds, index, uid]
        del s[Weights, index, uid]
        for giver, row in iter_items(s, Weights, index):
            changed = with_value_for(row, uid, 0)
            if changed != row:
                s[Weights, index, giver] = changed


def get_immune_owner_hotkeys(s: State, netuid: NetUid) -> list[tuple[Uid, AccountId]]:
    """(uid, hotkey) of the owner's neurons that are never pruned.

    The owner's oldest neurons up to the limit; its owner hotkey comes first even if younger.
    """
    owned = [
        (s[BlockAtRegistration, netuid, uid], uid, hotkey)
        for hotkey in s[OwnedHotkeys, s[SubnetOwner, netuid]]
        if (uid := s[Uids, netuid, hotkey]) is not None
    ]
    owned.sort(key=lambda entry: entry[:2])
    limit = s[ImmuneOwnerUidsLimit, netuid]
    immune = [(uid, hotkey) for _, uid, hotkey in owned[:limit]]
    if (SubnetOwnerHotkey, netuid) in s:
        hotkey = s[SubnetOwnerHotkey, netuid]
        own_uid = s[Uids, netuid, hotkey]
        if own_uid is not None and (own_uid, hotkey) not in immune:
            immune = [(own_uid, hotkey), *immune][:limit]
    return immune


def get_uid_to_prune(s: State, netuid: NetUid) -> Uid | None:
    """The uid that earned least, the oldest and lowest among equals; None if all are the owner's.

    Neurons in their immunity period come last, or first when too few others are left.
    """
    protected = {hotkey for _, hotkey in get_immune_owner_hotkeys(s, netuid)}
    emission = s[Emission, netuid]
    prunable: list[tuple[int, int, Uid]] = []
    immune: list[tuple[int, int, Uid]] = []
    for n in range(s[SubnetworkN, netuid]):
        uid = Uid(n)
        if (Keys, netuid, uid) not in s or s[Keys, netuid, uid] in protected:
            continue
        rank = (item(emission, U64, uid), s[BlockAtRegistration, netuid, uid], uid)
        (immune if is_immune(s, netuid, uid) else prunable).append(rank)
    if len(prunable) > s[MinNonImmuneUids, netuid]:
        return min(prunable)[2]
    return min(immune)[2] if immune else None
