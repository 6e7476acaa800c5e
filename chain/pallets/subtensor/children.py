"""Children: hotkeys to which a hotkey lends part of its stake on a subnet.

New children wait, and take effect with an epoch. Both directions are stored: ChildKeys of the
parent and ParentKeys of the child agree, and nobody is child and parent of the same key.

Upstream: pallets/subtensor/src/staking/set_children.rs
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from chain.pallets.subtensor.accounts import get_netuids, is_owner, is_subnet
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_globals import (
    MaxChildKeyTakeSet,
    MinChildKeyTakeSet,
    TxChildKeyTakeRateLimitSet,
)
from chain.pallets.subtensor.events_stake import (
    ChildKeyTakeSet,
    SetChildren,
    SetChildrenScheduled,
)
from chain.pallets.subtensor.heritage import (
    get_childkey_take,
    get_min_childkey_take,
    get_total_stake_for_hotkey,
)
from chain.pallets.subtensor.rate_limits import passes_rate_limit, set_last_block
from chain.pallets.subtensor.storage_delegation import (
    AutoParentDelegationEnabled,
    ChildKeys,
    ChildkeyTake,
    MaxChildkeyTake,
    MinChildkeyTake,
    ParentKeys,
    PendingChildKeyCooldown,
    PendingChildKeys,
)
from chain.pallets.subtensor.storage_hyperparameters import StakeThreshold
from chain.pallets.subtensor.storage_keys import Owner
from chain.pallets.subtensor.storage_network import (
    LastEpochBlock,
    SubnetOwnerHotkey,
    SubtokenEnabled,
)
from chain.pallets.subtensor.storage_neurons import Keys
from chain.pallets.subtensor.storage_registration import TxChildkeyTakeRateLimit
from chain.pallets.subtensor.types import TransactionType
from chain.pallets.system import block_number
from chain.runtime.errors import CallError, ensure
from chain.runtime.origin import Root, Signed
from chain.runtime.pallet import call
from chain.runtime.state import State, iter_items
from ganglion.fixed import U64_MAX
from ganglion.scale import u64
from ganglion.units import ROOT_NETUID, AccountId, NetUid, PerU16

log = logging.getLogger(__name__)

MAX_CHILDREN = 5

Edges = tuple[tuple[int, AccountId], ...]
"""(proportion in units of 2^-64, hotkey) as storage keeps them."""


@dataclass(frozen=True, slots=True)
class Relations:
    """Children and parents of one hotkey on a subnet, with their proportions."""

    pivot: AccountId
    children: dict[AccountId, int]
    parents: dict[AccountId, int]


def _table(edges: Edges, pivot: AccountId) -> dict[AccountId, int]:
    return {hotkey: proportion for proportion, hotkey in edges if hotkey != pivot}


def ensure_apart(children: dict[AccountId, int], parents: dict[AccountId, int]) -> None:
    """Raise ChildParentInconsistency when somebody is both."""
    ensure(not children.keys() & parents.keys(), Error.ChildParentInconsistency)


def ensure_whole(children: dict[AccountId, int]) -> None:
    """Raise ProportionOverflow when more than everything is lent."""
    ensure(sum(children.values()) <= U64_MAX, Error.ProportionOverflow)


def read_relations(s: State, hotkey: AccountId, netuid: NetUid) -> Relations:
    """Relations as stored; raises what is wrong with them."""
    return new_relations(s, hotkey, netuid, s[ChildKeys, hotkey, netuid])


def new_relations(s: State, hotkey: AccountId, netuid: NetUid, children: Edges) -> Relations:
    """Stored parents beside these children.

    Raises ProportionOverflow or ChildParentInconsistency.
    """
    found = _table(children, hotkey)
    parents = _table(s[ParentKeys, hotkey, netuid], hotkey)
    ensure_whole(found)
    ensure_apart(found, parents)
    return Relations(hotkey, found, parents)


def ensure_can_have(relations: Relations, children: Edges) -> None:
    """Raise InvalidChild, TooManyChildren, ProportionOverflow or ChildParentInconsistency."""
    proposed = {hotkey: proportion for proportion, hotkey in children}
    ensure(relations.pivot not in proposed, Error.InvalidChild)
    ensure(len(proposed) <= MAX_CHILDREN, Error.TooManyChildren)
    ensure_whole(proposed)
    ensure_apart(proposed, relations.parents)


# --- writing -----------------------------------------------------------------------------------


def set_childkeys(s: State, parent: AccountId, netuid: NetUid, children: Edges) -> None:
    """Store the children of a hotkey; none leave no entry."""
    if children:
        s[ChildKeys, parent, netuid] = children
    elif (ChildKeys, parent, netuid) in s:
        del s[ChildKeys, parent, netuid]


def set_parentkeys(s: State, child: AccountId, netuid: NetUid, parents: Edges) -> None:
    """Store the parents of a hotkey; none leave no entry."""
    if parents:
        s[ParentKeys, child, netuid] = parents
    elif (ParentKeys, child, netuid) in s:
        del s[ParentKeys, child, netuid]


def with_edge(edges: Edges, proportion: int, hotkey: AccountId) -> Edges:
    """The list with one hotkey's proportion set, at its old place or at the end."""
    if any(other == hotkey for _, other in edges):
        return tuple((proportion if other == hotkey else p, other) for p, other in edges)
    return (*edges, (proportion, hotkey))


def without_edge(edges: Edges, hotkey: AccountId) -> Edges:
    """The list without one hotkey."""
    return tuple(edge for edge in edges if edge[1] != hotkey)


def _sorted(table: dict[AccountId, int]) -> Edges:
    return tuple((table[hotkey], hotkey) for hotkey in sorted(table))


def write_relations(s: State, relations: Relations, netuid: NetUid) -> None:
    """Store a hotkey's relations, and its side of everybody's who was or becomes related."""
    pivot = relations.pivot
    before = {hotkey for _, hotkey in s[ChildKeys, pivot, netuid]}
    set_childkeys(s, pivot, netuid, _sorted(relations.children))
    for child in sorted(before | relations.children.keys()):
        edges = s[ParentKeys, child, netuid]
        if child in relations.children:
            edges = with_edge(edges, relations.children[child], pivot)
        else:
            edges = without_edge(edges, pivot)
        set_parentkeys(s, child, netuid, edges)

    before = {hotkey for _, hotkey in s[ParentKeys, pivot, netuid]}
    set_parentkeys(s, pivot, netuid, _sorted(relations.parents))
    for parent in sorted(before | relations.parents.keys()):
        edges = s[ChildKeys, parent, netuid]
        if parent in relations.parents:
            edges = with_edge(edges, relations.parents[parent], pivot)
        else:
            edges = without_edge(edges, pivot)
        set_childkeys(s, parent, netuid, edges)


def swap_hotkey(s: State, old: AccountId, new: AccountId, netuid: NetUid) -> None:
    """Give a hotkey's relations and waiting children to its successor.

    Raises InvalidChild when the successor is one of them, or what is wrong with the relations.
    """
    relations = read_relations(s, old, netuid)
    for child in sorted(relations.children):
        set_parentkeys(s, child, netuid, without_edge(s[ParentKeys, child, netuid], old))
    for parent in sorted(relations.parents):
        s[ChildKeys, parent, netuid] = without_edge(s[ChildKeys, parent, netuid], old)
    s[ChildKeys, old, netuid] = ()
    set_parentkeys(s, old, netuid, ())
    ensure(new not in relations.children, Error.InvalidChild)
    ensure(new not in relations.parents, Error.InvalidChild)
    relations = Relations(new, relations.children, relations.parents)
    if (PendingChildKeys, netuid, old) in s:
        pending = s[PendingChildKeys, netuid, old]
        ensure_can_have(relations, pending[0])
        del s[PendingChildKeys, netuid, old]
        s[PendingChildKeys, netuid, new] = pending
    write_relations(s, relations, netuid)


# --- scheduling --------------------------------------------------------------------------------


def do_schedule_children(
    s: State, coldkey: AccountId, hotkey: AccountId, netuid: NetUid, children: Edges
) -> None:
    """Name the children of a hotkey, from an epoch after the cooldown on."""
    limit = TransactionType.SetChildren
    ensure(passes_rate_limit(s, limit, hotkey, netuid), Error.TxRateLimitExceeded)
    ensure(netuid != ROOT_NETUID, Error.RegistrationNotPermittedOnRootSubnet)
    ensure(is_subnet(s, netuid), Error.SubnetNotExists)
    ensure(is_owner(s, coldkey, hotkey), Error.NonAssociatedColdKey)
    ensure(len({child for _, child in children}) == len(children), Error.DuplicateChild)
    ensure_can_have(read_relations(s, hotkey, netuid), children)
    is_subnet_owners = (SubnetOwnerHotkey, netuid) in s and s[SubnetOwnerHotkey, netuid] == hotkey
    ensure(
        not children
        or get_total_stake_for_hotkey(s, hotkey) >= s[StakeThreshold]
        or is_subnet_owners,
        Error.NotEnoughStakeToSetChildkeys,
    )
    set_last_block(s, limit, hotkey, netuid)
    if not s[SubtokenEnabled, netuid]:
        _apply(s, netuid, hotkey, children)
        return
    cooldown = block_number(s) + s[PendingChildKeyCooldown]
    s[PendingChildKeys, netuid, hotkey] = (children, cooldown)
    s.emit(SetChildrenScheduled(hotkey, netuid, cooldown, children))


def _apply(s: State, netuid: NetUid, hotkey: AccountId, children: Edges) -> None:
    """Make children take effect; what does not fit any more is dropped without a word."""
    mark = s.mark()
    try:
        write_relations(s, new_relations(s, hotkey, netuid, children), netuid)
    except CallError as failure:
        s.rollback(mark)
        log.debug("children not applied: netuid=%d hotkey=%s %s", netuid, hotkey.hex(), failure)
        return
    s.emit(SetChildren(hotkey, netuid, children))


def apply_pending_children(s: State) -> None:
    """Let waiting children take effect on the subnets whose epoch slot was this block."""
    now = block_number(s)
    for netuid in get_netuids(s):
        if s[LastEpochBlock, netuid] != now:
            continue
        waiting = list(iter_items(s, PendingChildKeys, netuid))
        for hotkey, (children, cooldown) in waiting:
            if cooldown < now or not s[SubtokenEnabled, netuid]:
                _apply(s, netuid, hotkey, children)
                del s[PendingChildKeys, netuid, hotkey]


def do_set_root_validators(s: State, netuid: NetUid) -> None:
    """Make the owner hotkey of a new subnet the child of every willing root validator.

    Raises RegistrationNotPermittedOnRootSubnet or SubnetNotExists.
    """
    ensure(netuid != ROOT_NETUID, Error.RegistrationNotPermittedOnRootSubnet)
    is_owned = is_subnet(s, netuid) and (SubnetOwnerHotkey, netuid) in s
    ensure(is_owned, Error.SubnetNotExists)
    owner_hotkey = s[SubnetOwnerHotkey, netuid]
    for _, validator in list(iter_items(s, Keys, ROOT_NETUID)):
        if validator == owner_hotkey or not s[AutoParentDelegationEnabled, validator]:
            continue
        mark = s.mark()
        try:
            everything = ((U64_MAX, owner_hotkey),)
            do_schedule_children(s, s[Owner, validator], validator, netuid, everything)
        except CallError as failure:
            s.rollback(mark)
            log.debug("no delegation from root: netuid=%d %s", netuid, failure)


# --- calls -------------------------------------------------------------------------------------


@call(67, weight=119_000_000, reads=6, writes=31)
def set_children(
    s: State,
    coldkey: Signed,
    hotkey: AccountId,
    netuid: NetUid,
    children: tuple[tuple[u64, AccountId], ...],
) -> None:
    """Name up to five children of an own hotkey on a subnet, with proportions of 2^64."""
    do_schedule_children(s, coldkey, hotkey, netuid, children)


@call(75, weight=53_870_000, reads=7, writes=2)
def set_childkey_take(
    s: State, coldkey: Signed, hotkey: AccountId, netuid: NetUid, take: PerU16
) -> None:
    """Set what an own hotkey takes from its parents on a subnet; raising is rate limited."""
    ensure(is_owner(s, coldkey, hotkey), Error.NonAssociatedColdKey)
    is_allowed = get_min_childkey_take(s, netuid) <= take <= s[MaxChildkeyTake]
    ensure(is_allowed, Error.InvalidChildkeyTake)
    limit = TransactionType.SetChildkeyTake
    if take > get_childkey_take(s, hotkey, netuid):
        ensure(passes_rate_limit(s, limit, hotkey, netuid), Error.TxChildkeyTakeRateLimitExceeded)
    set_last_block(s, limit, hotkey, netuid)
    s[ChildkeyTake, hotkey, netuid] = take
    s.emit(ChildKeyTakeSet(hotkey, take))


@call(69, weight=5_000_000, writes=1)
def sudo_set_tx_childkey_take_rate_limit(s: State, origin: Root, tx_rate_limit: u64) -> None:
    """Set how many blocks lie between two raises of a childkey take."""
    s[TxChildkeyTakeRateLimit] = tx_rate_limit
    s.emit(TxChildKeyTakeRateLimitSet(tx_rate_limit))


@call(76, weight=6_000, reads=1, writes=1)
def sudo_set_min_childkey_take(s: State, origin: Root, take: PerU16) -> None:
    """Set the floor of childkey takes on all subnets."""
    s[MinChildkeyTake] = take
    s.emit(MinChildKeyTakeSet(take))


@call(77, weight=6_000, reads=1, writes=1)
def sudo_set_max_childkey_take(s: State, origin: Root, take: PerU16) -> None:
    """Set the ceiling of childkey takes."""
    s[MaxChildkeyTake] = take
    s.emit(MaxChildKeyTakeSet(take))


@call(109, weight=3_000_000, writes=1)
def set_pending_childkey_cooldown(s: State, origin: Root, cooldown: u64) -> None:
    """Set how many blocks new children wait."""
    s[PendingChildKeyCooldown] = cooldown
