"""Replacing a coldkey: announced by the hash of its successor, done after a delay.

While a swap is announced the account can do nothing else; once it is disputed, nothing at all
until root decides.

Upstream: pallets/subtensor/src/swap/swap_coldkey.rs, macros/dispatches.rs
"""

from __future__ import annotations

from chain.pallets.subtensor import collateral
from chain.pallets.subtensor.accounts import get_netuids, is_hotkey, is_subnet_account
from chain.pallets.subtensor.constants import KeySwapCost
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_network import (
    ColdkeySwapAnnounced,
    ColdkeySwapCleared,
    ColdkeySwapDisputed,
    ColdkeySwapped,
    ColdkeySwapReset,
)
from chain.pallets.subtensor.fund import ESCROW
from chain.pallets.subtensor.fund_records import move_claimed
from chain.pallets.subtensor.lineage import record_coldkey
from chain.pallets.subtensor.lock_swaps import swap_coldkey_locks
from chain.pallets.subtensor.locks import set_accepts_locked_alpha
from chain.pallets.subtensor.root_records import move_root_claimed
from chain.pallets.subtensor.share_pool import add_stake, get_stake, take_stake
from chain.pallets.subtensor.staker_ring import add_to_ring, leave_ring_without_root_stake
from chain.pallets.subtensor.storage_keys import (
    ColdkeySwapAnnouncementDelay,
    ColdkeySwapAnnouncements,
    ColdkeySwapDisputes,
    ColdkeySwapReannouncementDelay,
    IdentitiesV2,
    OwnedHotkeys,
    Owner,
)
from chain.pallets.subtensor.storage_network import SubnetOwner
from chain.pallets.subtensor.storage_registration import LastRateLimitedBlock
from chain.pallets.subtensor.storage_stake import (
    AutoStakeDestination,
    AutoStakeDestinationColdkeys,
    StakingHotkeys,
)
from chain.pallets.subtensor.tao import get_balance, recycle_tao, transfer_tao
from chain.pallets.subtensor.types import LastTxBlockOf
from chain.pallets.system import block_number
from chain.runtime.errors import CallError, ensure
from chain.runtime.origin import Root, Signed
from chain.runtime.pallet import call
from chain.runtime.state import State, take
from ganglion.hashing import blake2_256
from ganglion.units import ROOT_NETUID, AccountId, BlockNumber, Hash, NetUid, Rao

U32_MAX = (1 << 32) - 1


def _after(block: int, delay: int) -> BlockNumber:
    return BlockNumber(min(block + delay, U32_MAX))


def _charge(s: State, coldkey: AccountId, cost: int) -> None:
    """Recycle the price of a swap; raises NotEnoughBalanceToPaySwapColdKey."""
    try:
        recycle_tao(s, coldkey, cost)
    except CallError as e:
        raise Error.NotEnoughBalanceToPaySwapColdKey from e


def do_swap_coldkey(s: State, old: AccountId, new: AccountId) -> None:
    """Move everything of a coldkey to a new one.

    Raises ColdKeyAlreadyAssociated when the new one has stake, NewColdKeyIsHotkey when it is one,
    CannotUseSystemAccount for the account of the funds.
    """
    ensure(new != ESCROW, Error.CannotUseSystemAccount)
    ensure(not s[StakingHotkeys, new], Error.ColdKeyAlreadyAssociated)
    ensure(not is_hotkey(s, new), Error.NewColdKeyIsHotkey)
    if s[IdentitiesV2, new] is None and s[IdentitiesV2, old] is not None:
        s[IdentitiesV2, new] = take(s, (IdentitiesV2, old))
    set_accepts_locked_alpha(s, new, True)
    for netuid in get_netuids(s):
        if s[SubnetOwner, netuid] == old:
            s[SubnetOwner, netuid] = new
        _move_auto_stake(s, netuid, old, new)
        _move_stake(s, netuid, old, new)
        collateral.swap_coldkey(s, netuid, old, new)
    for hotkey in s[StakingHotkeys, old]:
        move_claimed(s, hotkey, old, new)
    _move_staking_hotkeys(s, old, new)
    _move_hotkeys(s, old, new)
    swap_coldkey_locks(s, old, new)
    balance = get_balance(s, old)
    if balance:
        transfer_tao(s, old, new, balance)
    record_coldkey(s, old, new)
    s[LastRateLimitedBlock, LastTxBlockOf(new)] = block_number(s)
    s.emit(ColdkeySwapped(old, new))


def _move_auto_stake(s: State, netuid: NetUid, old: AccountId, new: AccountId) -> None:
    hotkey = s[AutoStakeDestination, old, netuid]
    if hotkey is None:
        return
    del s[AutoStakeDestination, old, netuid]
    s[AutoStakeDestination, new, netuid] = hotkey
    others = s[AutoStakeDestinationColdkeys, hotkey, netuid]
    kept = tuple(coldkey for coldkey in others if coldkey not in (old, new))
    s[AutoStakeDestinationColdkeys, hotkey, netuid] = (*kept, new)


def _move_stake(s: State, netuid: NetUid, old: AccountId, new: AccountId) -> None:
    for hotkey in s[StakingHotkeys, old]:
        amount = get_stake(s, hotkey, old, netuid)
        take_stake(s, hotkey, old, netuid, amount)
        add_stake(s, hotkey, new, netuid, amount)
        if get_stake(s, hotkey, new, netuid):
            move_root_claimed(s, netuid, (hotkey, old), (hotkey, new))
            if netuid == ROOT_NETUID:
                add_to_ring(s, new)
    if netuid == ROOT_NETUID:
        leave_ring_without_root_stake(s, old)


def _move_staking_hotkeys(s: State, old: AccountId, new: AccountId) -> None:
    merged = dict.fromkeys((*s[StakingHotkeys, new], *s[StakingHotkeys, old]))
    del s[StakingHotkeys, old]
    s[StakingHotkeys, new] = tuple(merged)


def _move_hotkeys(s: State, old: AccountId, new: AccountId) -> None:
    owned = s[OwnedHotkeys, old]
    for hotkey in owned:
        ensure(not is_subnet_account(hotkey), Error.CannotUseSystemAccount)
        s[Owner, hotkey] = new
    merged = dict.fromkeys((*s[OwnedHotkeys, new], *owned))
    del s[OwnedHotkeys, old]
    s[OwnedHotkeys, new] = tuple(merged)


@call(71, weight=312_301_000, reads=37, writes=19)
def swap_coldkey(
    s: State, origin: Root, old_coldkey: AccountId, new_coldkey: AccountId, swap_cost: Rao
) -> None:
    """Replace a coldkey at once, at a price that the old one pays."""
    if swap_cost:
        _charge(s, old_coldkey, swap_cost)
    do_swap_coldkey(s, old_coldkey, new_coldkey)
    del s[ColdkeySwapAnnouncements, old_coldkey]
    del s[ColdkeySwapDisputes, old_coldkey]


@call(73, weight=0, reads=5)
def schedule_swap_coldkey(s: State, who: Signed, new_coldkey: AccountId) -> None:
    """Retired: a swap is announced by the hash of the new coldkey."""
    raise Error.Deprecated


@call(125, weight=47_248_000, reads=4, writes=3)
def announce_coldkey_swap(s: State, who: Signed, new_coldkey_hash: Hash) -> None:
    """Announce the blake2_256 of the next coldkey; only the first one costs."""
    now, announced = block_number(s), s[ColdkeySwapAnnouncements, who]
    if announced is None:
        _charge(s, who, KeySwapCost.value)
    else:
        earliest = _after(announced[0], s[ColdkeySwapReannouncementDelay])
        ensure(now >= earliest, Error.ColdkeySwapReannouncedTooEarly)
    ready = _after(now, s[ColdkeySwapAnnouncementDelay])
    s[ColdkeySwapAnnouncements, who] = (ready, new_coldkey_hash)
    s.emit(ColdkeySwapAnnounced(who, new_coldkey_hash))


@call(126, weight=288_156_000, reads=37, writes=15)
def swap_coldkey_announced(s: State, who: Signed, new_coldkey: AccountId) -> None:
    """Do an announced swap after its delay."""
    announced = s[ColdkeySwapAnnouncements, who]
    if announced is None:
        raise Error.ColdkeySwapAnnouncementNotFound
    ready, expected = announced
    ensure(blake2_256(new_coldkey) == expected, Error.AnnouncedColdkeyHashDoesNotMatch)
    ensure(block_number(s) >= ready, Error.ColdkeySwapTooEarly)
    del s[ColdkeySwapAnnouncements, who]
    do_swap_coldkey(s, who, new_coldkey)


@call(127, weight=23_293_000, reads=2, writes=1)
def dispute_coldkey_swap(s: State, coldkey: Signed) -> None:
    """Freeze the account, so that root can decide about an announcement by a thief."""
    is_announced = (ColdkeySwapAnnouncements, coldkey) in s
    ensure(is_announced, Error.ColdkeySwapAnnouncementNotFound)
    ensure((ColdkeySwapDisputes, coldkey) not in s, Error.ColdkeySwapAlreadyDisputed)
    s[ColdkeySwapDisputes, coldkey] = block_number(s)
    s.emit(ColdkeySwapDisputed(coldkey))


@call(128, weight=8_857_000, writes=2)
def reset_coldkey_swap(s: State, origin: Root, coldkey: AccountId) -> None:
    """Clear an account's announcement and dispute."""
    del s[ColdkeySwapAnnouncements, coldkey]
    del s[ColdkeySwapDisputes, coldkey]
    s.emit(ColdkeySwapReset(coldkey))


@call(133, weight=17_890_000, reads=2, writes=1)
def clear_coldkey_swap_announcement(s: State, who: Signed) -> None:
    """Withdraw an announcement, some time after the swap could have been done."""
    announced = s[ColdkeySwapAnnouncements, who]
    if announced is None:
        raise Error.ColdkeySwapAnnouncementNotFound
    earliest = _after(announced[0], s[ColdkeySwapReannouncementDelay])
    ensure(block_number(s) >= earliest, Error.ColdkeySwapClearTooEarly)
    del s[ColdkeySwapAnnouncements, who]
    s.emit(ColdkeySwapCleared(who))
