"""Replacing a hotkey, on one subnet or on all: everything it has moves to the new one.

Upstream: pallets/subtensor/src/swap/swap_hotkey.rs
"""

from __future__ import annotations

from typing import Any

from chain.pallets.subtensor import children, collateral
from chain.pallets.subtensor.accounts import (
    add_staking_hotkey,
    get_netuids,
    is_hotkey,
    is_owner,
    is_subnet_account,
)
from chain.pallets.subtensor.constants import (
    HotkeySwapOnSubnetInterval,
    KeySwapCost,
    KeySwapOnSubnetCost,
)
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_network import HotkeySwapped, HotkeySwappedOnSubnet
from chain.pallets.subtensor.fund import ESCROW
from chain.pallets.subtensor.fund_deposits import flush
from chain.pallets.subtensor.fund_records import has_fund, move_fund
from chain.pallets.subtensor.lineage import record_hotkey
from chain.pallets.subtensor.lock_swaps import swap_hotkey_locks
from chain.pallets.subtensor.neurons import get_indices, get_memberships
from chain.pallets.subtensor.rate_limits import exceeds_swap_limit
from chain.pallets.subtensor.root_records import is_clean_for_root, move_root_positions
from chain.pallets.subtensor.share_pool import (
    add_stake,
    get_hotkey_stake,
    get_positions,
    get_stake,
    take_stake,
)
from chain.pallets.subtensor.storage_commits import WeightCommits
from chain.pallets.subtensor.storage_delegation import (
    AutoParentDelegationEnabled,
    ChildKeys,
    ChildkeyTake,
    Delegates,
    PendingChildKeys,
)
from chain.pallets.subtensor.storage_keys import LastHotkeySwapOnNetuid, OwnedHotkeys, Owner
from chain.pallets.subtensor.storage_locks import VotingPower
from chain.pallets.subtensor.storage_network import SubnetOwnerHotkey
from chain.pallets.subtensor.storage_neurons import (
    Axons,
    IsNetworkMember,
    Keys,
    LoadedEmission,
    NeuronCertificates,
    Prometheus,
    Uids,
)
from chain.pallets.subtensor.storage_pool import AlphaDividendsPerSubnet
from chain.pallets.subtensor.storage_registration import LastRateLimitedBlock
from chain.pallets.subtensor.storage_stake import (
    AutoStakeDestination,
    AutoStakeDestinationColdkeys,
    StakingHotkeys,
    TotalHotkeyAlphaLastEpoch,
)
from chain.pallets.subtensor.subnets import do_set_owner_hotkey
from chain.pallets.subtensor.tao import get_balance, recycle_tao
from chain.pallets.subtensor.types import (
    LastTxBlockChildKeyTakeOf,
    LastTxBlockDelegateTakeOf,
    LastTxBlockOf,
)
from chain.pallets.subtensor.voting_power import set_power
from chain.pallets.system import block_number
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State, iter_items, iter_keys, take
from ganglion.fixed import sat_add_u64
from ganglion.units import ROOT_NETUID, AccountId, Alpha, NetUid

_LIMITS = (LastTxBlockOf, LastTxBlockDelegateTakeOf, LastTxBlockChildKeyTakeOf)


def do_swap_hotkey(
    s: State,
    coldkey: AccountId,
    old: AccountId,
    new: AccountId,
    netuid: NetUid | None,
    keep_stake: bool,
) -> None:
    """Replace a hotkey on a subnet, or on all for None; nominators' stake moves unless kept.

    Raises, in this order: NonAssociatedColdKey, NewHotKeyIsSameWithOld,
    KeepStakeBlockedByCollateral, HotKeySetTxRateLimitExceeded, HotKeyAlreadyRegisteredInSubNet,
    NewHotKeyNotCleanForRootSwap, HotKeySwapOnSubnetIntervalNotPassed, CannotUseSystemAccount,
    NotEnoughBalanceToPaySwapHotKey.
    """
    ensure(is_owner(s, coldkey, old), Error.NonAssociatedColdKey)
    ensure(not is_hotkey(s, new) or is_owner(s, coldkey, new), Error.NonAssociatedColdKey)
    ensure(old != new, Error.NewHotKeyIsSameWithOld)
    bonded = keep_stake and collateral.has_collateral(
        s, old, coldkey, get_netuids(s) if netuid is None else [netuid]
    )
    ensure(not bonded, Error.KeepStakeBlockedByCollateral)
    ensure(not exceeds_swap_limit(s, coldkey), Error.HotKeySetTxRateLimitExceeded)
    if netuid is None:
        is_taken = bool(get_memberships(s, new))
    else:
        is_taken = (IsNetworkMember, new, netuid) in s
    ensure(not is_taken, Error.HotKeyAlreadyRegisteredInSubNet)
    if netuid in (None, ROOT_NETUID):
        is_clean = is_clean_for_root(s, new) and get_hotkey_stake(s, new, ROOT_NETUID) == 0
        ensure(is_clean and not has_fund(s, new), Error.NewHotKeyNotCleanForRootSwap)
        flush(s, old)
    for limit in _LIMITS:
        s[LastRateLimitedBlock, limit(new)] = s[LastRateLimitedBlock, limit(old)]
    if netuid is None:
        _swap_everywhere(s, coldkey, old, new, keep_stake)
    else:
        _swap_on_subnet(s, coldkey, old, new, netuid, keep_stake)
    s[LastRateLimitedBlock, LastTxBlockOf(coldkey)] = block_number(s)


def _charge(s: State, coldkey: AccountId, cost: int) -> None:
    ensure(cost <= get_balance(s, coldkey), Error.NotEnoughBalanceToPaySwapHotKey)
    recycle_tao(s, coldkey, cost)


def _has_waited(s: State, netuid: NetUid, coldkey: AccountId) -> bool:
    last = s[LastHotkeySwapOnNetuid, netuid, coldkey]
    return last + HotkeySwapOnSubnetInterval.value < block_number(s)


def _swap_everywhere(
    s: State, coldkey: AccountId, old: AccountId, new: AccountId, keep_stake: bool
) -> None:
    netuids = get_netuids(s)
    affected = [n for n in netuids if s[IsNetworkMember, old, n] or s[ChildKeys, old, n]]
    for netuid in affected:
        if s[LastHotkeySwapOnNetuid, netuid, coldkey]:
            ensure(_has_waited(s, netuid, coldkey), Error.HotKeySwapOnSubnetIntervalNotPassed)
    _charge(s, coldkey, KeySwapCost.value)
    ensure(not is_subnet_account(new), Error.CannotUseSystemAccount)

    members = [cold for cold, _, share in get_positions(s, old) if share]
    swap_hotkey_locks(s, old, new, netuids)
    del s[Owner, old]
    s[Owner, new] = coldkey
    owned = dict.fromkeys((*s[OwnedHotkeys, coldkey], new))
    s[OwnedHotkeys, coldkey] = tuple(hotkey for hotkey in owned if hotkey != old)
    for netuid in netuids:
        _move_on_subnet(s, old, new, netuid, keep_stake)
    for limit in _LIMITS:
        del s[LastRateLimitedBlock, limit(old)]
    if (Delegates, old) in s:
        s[Delegates, new] = take(s, (Delegates, old))
    if not keep_stake:
        for member in members:
            _forget_staking_hotkey(s, member, old, new)
    for netuid in affected:
        s[LastHotkeySwapOnNetuid, netuid, coldkey] = block_number(s)
        record_hotkey(s, netuid, old, new)
    s.emit(HotkeySwapped(coldkey, old, new))


def _forget_staking_hotkey(s: State, coldkey: AccountId, old: AccountId, new: AccountId) -> None:
    known = s[StakingHotkeys, coldkey]
    if old in known:
        kept = tuple(hotkey for hotkey in known if hotkey not in (old, new))
        s[StakingHotkeys, coldkey] = (*kept, new)


def _swap_on_subnet(
    s: State,
    coldkey: AccountId,
    old: AccountId,
    new: AccountId,
    netuid: NetUid,
    keep_stake: bool,
) -> None:
    ensure(_has_waited(s, netuid, coldkey), Error.HotKeySwapOnSubnetIntervalNotPassed)
    ensure(not is_subnet_account(new), Error.CannotUseSystemAccount)
    _charge(s, coldkey, KeySwapOnSubnetCost.value)
    s[Owner, new] = coldkey
    if new not in s[OwnedHotkeys, coldkey]:
        s[OwnedHotkeys, coldkey] = (*s[OwnedHotkeys, coldkey], new)
    swap_hotkey_locks(s, old, new, [netuid])
    _move_on_subnet(s, old, new, netuid, keep_stake)
    s[LastHotkeySwapOnNetuid, netuid, coldkey] = block_number(s)
    record_hotkey(s, netuid, old, new)
    s.emit(HotkeySwappedOnSubnet(coldkey, old, new, netuid))


def _move_on_subnet(
    s: State, old: AccountId, new: AccountId, netuid: NetUid, keep_stake: bool
) -> None:
    _move_neuron(s, old, new, netuid)
    if (ChildkeyTake, old, netuid) in s:
        s[ChildkeyTake, new, netuid] = take(s, (ChildkeyTake, old, netuid))
    children.swap_hotkey(s, old, new, netuid)
    _rename_pending_child(s, old, new, netuid)
    _move_auto_stake(s, old, new, netuid)
    if (SubnetOwnerHotkey, netuid) in s and s[SubnetOwnerHotkey, netuid] == old:
        do_set_owner_hotkey(s, netuid, new)
    if not keep_stake:
        _move_stake(s, old, new, netuid)
        collateral.swap_hotkey(s, netuid, old, new, s[Owner, new])


def _move_entry(s: State, item: Any, old: tuple[Any, ...], new: tuple[Any, ...]) -> None:
    if (item, *old) in s:
        s[(item, *new)] = take(s, (item, *old))


def _move_neuron(s: State, old: AccountId, new: AccountId, netuid: NetUid) -> None:
    """The uid and what hangs on it."""
    is_member = s[IsNetworkMember, old, netuid]
    del s[IsNetworkMember, old, netuid]
    s[IsNetworkMember, new, netuid] = is_member
    if not is_member:
        return
    uid = s[Uids, netuid, old]
    if uid is not None:
        del s[Uids, netuid, old]
        s[Uids, netuid, new] = uid
        s[Keys, netuid, uid] = new
    for served in (Prometheus, Axons, NeuronCertificates):
        _move_entry(s, served, (netuid, old), (netuid, new))
    for index in get_indices(s, netuid):
        _move_entry(s, WeightCommits, (index, old), (index, new))
    loaded = s[LoadedEmission, netuid]
    if loaded is not None:
        renamed = tuple((new if who == old else who, a, b) for who, a, b in loaded)
        s[LoadedEmission, netuid] = renamed


def _rename_pending_child(s: State, old: AccountId, new: AccountId, netuid: NetUid) -> None:
    """In the waiting lists of others the new child stands at the end, with the old share."""
    for parent, (waiting, block) in iter_items(s, PendingChildKeys, netuid):
        share = next((share for share, child in waiting if child == old), None)
        if share is not None:
            kept = [(p, child) for p, child in waiting if child != old]
            s[PendingChildKeys, netuid, parent] = ((*kept, (share, new)), block)


def _move_auto_stake(s: State, old: AccountId, new: AccountId, netuid: NetUid) -> None:
    if (AutoStakeDestinationColdkeys, old, netuid) not in s:
        return
    coldkeys = take(s, (AutoStakeDestinationColdkeys, old, netuid))
    for coldkey in coldkeys:
        s[AutoStakeDestination, coldkey, netuid] = new
    s[AutoStakeDestinationColdkeys, new, netuid] = coldkeys


def _move_stake(s: State, old: AccountId, new: AccountId, netuid: NetUid) -> None:
    """The stake of every nominator, last epoch's figures, and on root what it has earned."""
    _add_up(s, TotalHotkeyAlphaLastEpoch, (old, netuid), (new, netuid))
    _add_up(s, AlphaDividendsPerSubnet, (netuid, old), (netuid, new))
    power = s[VotingPower, netuid, old]
    if power:
        set_power(s, netuid, old, 0)
        set_power(s, netuid, new, sat_add_u64(s[VotingPower, netuid, new], power))
    for coldkey in [cold for cold, n, _ in get_positions(s, old) if n == netuid]:
        if coldkey == ESCROW:  # a fund moves whole, with its hotkey's seat on root
            continue
        amount = get_stake(s, old, coldkey, netuid)
        take_stake(s, old, coldkey, netuid, amount)
        add_stake(s, new, coldkey, netuid, amount)
        if old in s[StakingHotkeys, coldkey]:
            add_staking_hotkey(s, coldkey, new)
    if netuid == ROOT_NETUID:
        move_root_positions(s, old, new)
        move_fund(s, old, new)
        if (AutoParentDelegationEnabled, old) in s:
            enabled = take(s, (AutoParentDelegationEnabled, old))
            s[AutoParentDelegationEnabled, new] = enabled


def _add_up(s: State, item: Any, old: tuple[Any, ...], new: tuple[Any, ...]) -> None:
    amount = take(s, (item, *old))
    s[(item, *new)] = Alpha(sat_add_u64(s[(item, *new)], amount))


def forget_old_swaps(s: State) -> None:
    """Drop records of swaps on subnets whose interval has passed; each subnet has its turn."""
    now, interval = block_number(s), HotkeySwapOnSubnetInterval.value
    for netuid in get_netuids(s):
        if netuid % interval != now % interval:
            continue
        for coldkey in iter_keys(s, LastHotkeySwapOnNetuid, netuid):
            if _has_waited(s, netuid, coldkey):
                del s[LastHotkeySwapOnNetuid, netuid, coldkey]


@call(70, weight=1_242_038_000, reads=182, writes=99)
def swap_hotkey(
    s: State, coldkey: Signed, hotkey: AccountId, new_hotkey: AccountId, netuid: NetUid | None
) -> None:
    """Replace a hotkey by another, with all its stake; on every subnet if none is named."""
    do_swap_hotkey(s, coldkey, hotkey, new_hotkey, netuid, False)


@call(72, weight=275_300_000, reads=52, writes=35)
def swap_hotkey_v2(
    s: State,
    coldkey: Signed,
    hotkey: AccountId,
    new_hotkey: AccountId,
    netuid: NetUid | None,
    keep_stake: bool,
) -> None:
    """Replace a hotkey by another; with `keep_stake` the stake stays behind the old one."""
    do_swap_hotkey(s, coldkey, hotkey, new_hotkey, netuid, keep_stake)
