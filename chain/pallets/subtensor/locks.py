"""Locked stake: alpha a coldkey promises not to sell, for conviction behind a hotkey.

A coldkey has at most one lock on a subnet. Locked alpha still earns and may move within the
subnet; it cannot leave it.

Upstream: pallets/subtensor/src/staking/lock.rs
"""

from __future__ import annotations

from dataclasses import replace

from chain.pallets.subtensor.accounts import ensure_hotkey
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_stake import (
    LockMoved,
    PerpetualLockUpdated,
    RejectLockedAlphaUpdated,
    StakeLocked,
)
from chain.pallets.subtensor.lock_model import (
    add_to_total,
    empty_lock,
    find_position,
    mode_of,
    read_position,
    remove_lock,
    rolled,
    rolled_position,
    take_from_total,
    with_rolled_total,
    write_lock,
    write_position,
)
from chain.pallets.subtensor.share_pool import get_coldkey_stake
from chain.pallets.subtensor.storage_hyperparameters import OwnerCutAutoLockEnabled
from chain.pallets.subtensor.storage_keys import AccountFlags, Owner
from chain.pallets.subtensor.storage_locks import DecayingLock
from chain.pallets.subtensor.storage_network import SubnetOwner, SubnetOwnerHotkey
from chain.pallets.system import block_number
from chain.runtime.errors import CallError, ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State
from consensus.economics import conviction
from ganglion.fixed import U64F64 as FORMAT
from ganglion.units import AccountId, Alpha, NetUid

ACCEPTS_LOCKED_ALPHA = 1
"""The flag of accounts that take locked alpha from others; without it they do not."""


# --- what is locked ----------------------------------------------------------------------------


def get_lock(s: State, coldkey: AccountId, netuid: NetUid) -> conviction.Lock | None:
    """The lock of a coldkey on a subnet, brought forward."""
    position = find_position(s, coldkey, netuid)
    return None if position is None else rolled(s, position.lock, position.mode)


def get_locked(s: State, coldkey: AccountId, netuid: NetUid) -> Alpha:
    """Alpha that a coldkey cannot take off a subnet now."""
    lock = get_lock(s, coldkey, netuid)
    return Alpha(0 if lock is None else lock.mass)


def get_available(s: State, coldkey: AccountId, netuid: NetUid) -> Alpha:
    """Alpha that a coldkey can take off a subnet, behind all its hotkeys."""
    total = get_coldkey_stake(s, coldkey, netuid)
    return Alpha(max(total - get_locked(s, coldkey, netuid), 0))


def ensure_available(s: State, coldkey: AccountId, netuid: NetUid, amount: int) -> None:
    """Raise StakeUnavailable when the amount is locked in part."""
    ensure(get_available(s, coldkey, netuid) >= amount, Error.StakeUnavailable)


def rejects_locked_alpha(s: State, coldkey: AccountId) -> bool:
    """Whether locked alpha may not be given to the account."""
    return s[AccountFlags, coldkey] & ACCEPTS_LOCKED_ALPHA == 0


def set_accepts_locked_alpha(s: State, coldkey: AccountId, accepts: bool) -> None:
    """Let locked alpha be given to the account, or not."""
    flags = s[AccountFlags, coldkey] & ~ACCEPTS_LOCKED_ALPHA
    flags |= ACCEPTS_LOCKED_ALPHA if accepts else 0
    if flags:
        s[AccountFlags, coldkey] = flags
    elif (AccountFlags, coldkey) in s:
        del s[AccountFlags, coldkey]


# --- changes -----------------------------------------------------------------------------------


def do_lock_stake(
    s: State, coldkey: AccountId, netuid: NetUid, hotkey: AccountId, amount: int
) -> None:
    """Lock alpha behind a hotkey, on top of what is locked there.

    Raises AmountTooLow, HotKeyAccountNotExists, LockHotkeyMismatch or InsufficientStakeForLock.
    """
    ensure(amount != 0, Error.AmountTooLow)
    ensure_hotkey(s, hotkey)
    existing = find_position(s, coldkey, netuid)
    ensure(existing is None or existing.hotkey == hotkey, Error.LockHotkeyMismatch)
    position = rolled_position(s, existing or read_position(s, coldkey, netuid, hotkey))

    lock = empty_lock(s, amount)
    if position.lock.mass or position.lock.conviction:
        lock = replace(position.lock, mass=position.lock.mass + amount)
    ensure(get_coldkey_stake(s, coldkey, netuid) >= lock.mass, Error.InsufficientStakeForLock)

    position = with_rolled_total(s, replace(position, lock=rolled(s, lock, position.mode)))
    total = conviction.merged(position.total, empty_lock(s, amount))
    write_position(s, with_rolled_total(s, replace(position, total=total)))
    s.emit(StakeLocked(coldkey, hotkey, netuid, Alpha(amount)))


def force_reduce_lock(s: State, coldkey: AccountId, netuid: NetUid, amount: int) -> None:
    """Shrink a lock whose alpha was taken by force."""
    position = find_position(s, coldkey, netuid)
    if position is None:
        return
    position = with_rolled_total(s, rolled_position(s, position))
    lock = conviction.reduced(position.lock, amount, block_number(s))
    total = conviction.without(position.total, position.lock, lock)
    write_position(s, replace(position, lock=lock, total=total))


def cleanup_lock(s: State, coldkey: AccountId, netuid: NetUid) -> None:
    """Bring a lock forward and forget it if it is dust."""
    position = find_position(s, coldkey, netuid)
    if position is not None:
        write_position(s, rolled_position(s, position))


def auto_lock_owner_cut(s: State, netuid: NetUid, amount: int) -> None:
    """Lock the owner's cut of an epoch at once, where the owner asked for it."""
    if not s[OwnerCutAutoLockEnabled, netuid]:
        return
    owner = s[SubnetOwner, netuid]
    existing = find_position(s, owner, netuid)
    hotkey = s[SubnetOwnerHotkey, netuid] if existing is None else existing.hotkey
    mark = s.mark()
    try:
        do_lock_stake(s, owner, netuid, hotkey, amount)
    except CallError:
        s.rollback(mark)


def transfer_lock(
    s: State, origin: AccountId, destination: AccountId, netuid: NetUid, amount: int
) -> None:
    """Let the locked part of a gift move with it, conviction in proportion.

    Unlocked alpha goes first. Raises LockHotkeyMismatch or AccountRejectsLockedAlpha.
    """
    source = find_position(s, origin, netuid)
    if origin == destination or amount == 0 or source is None:
        return
    total = get_coldkey_stake(s, origin, netuid)
    lock = rolled_position(s, source).lock
    target = find_position(s, destination, netuid)
    target_hotkey = source.hotkey if target is None else target.hotkey
    target_lock = empty_lock(s) if target is None else rolled_position(s, target).lock

    moved = empty_lock(s)
    locked_part = amount - min(amount, max(total - lock.mass, 0))
    if locked_part:
        ensure(target_hotkey == source.hotkey, Error.LockHotkeyMismatch)
        moved = _part_of(lock, min(locked_part, lock.mass), block_number(s))
        ensure(
            not moved.mass or not rejects_locked_alpha(s, destination),
            Error.AccountRejectsLockedAlpha,
        )

    lock = conviction.reduced_by(lock, moved)
    target_lock = replace(conviction.merged(target_lock, moved), last=target_lock.last)
    lock = rolled(s, lock, mode_of(s, origin, netuid, source.hotkey))
    target_lock = rolled(s, target_lock, mode_of(s, destination, netuid, target_hotkey))
    write_lock(s, origin, netuid, source.hotkey, lock)
    write_lock(s, destination, netuid, target_hotkey, target_lock)
    if moved.mass:
        take_from_total(s, origin, netuid, source.hotkey, moved)
        add_to_total(s, destination, netuid, target_hotkey, moved)


def _part_of(lock: conviction.Lock, mass: int, now: int) -> conviction.Lock:
    """A part of a lock with its part of the conviction."""
    if not mass or not lock.mass:
        return conviction.Lock(mass, 0, now)
    share = FORMAT.safe_div(FORMAT.from_int(mass), FORMAT.from_int(lock.mass))
    return conviction.Lock(mass, FORMAT.mul(lock.conviction, share), now)


# --- calls -------------------------------------------------------------------------------------


@call(136, weight=115_995_000, reads=17, writes=3)
def lock_stake(s: State, coldkey: Signed, hotkey: AccountId, netuid: NetUid, amount: Alpha) -> None:
    """Lock stake on a subnet behind a hotkey, to build conviction."""
    do_lock_stake(s, coldkey, netuid, hotkey, amount)


@call(137, weight=149_819_000, reads=14, writes=6)
def move_lock(s: State, coldkey: Signed, destination_hotkey: AccountId, netuid: NetUid) -> None:
    """Move a lock to another hotkey; conviction stays only if both have the same owner."""
    ensure_hotkey(s, destination_hotkey)
    position = find_position(s, coldkey, netuid)
    if position is None:
        raise Error.NoExistingLock
    removed = rolled_position(s, position).lock
    origin_hotkey, lock = position.hotkey, removed
    if s[Owner, origin_hotkey] != s[Owner, destination_hotkey]:
        lock = replace(lock, conviction=0)
    lock = rolled(s, lock, mode_of(s, coldkey, netuid, destination_hotkey))
    remove_lock(s, coldkey, netuid, origin_hotkey)
    write_lock(s, coldkey, netuid, destination_hotkey, lock)
    take_from_total(s, coldkey, netuid, origin_hotkey, removed)
    add_to_total(s, coldkey, netuid, destination_hotkey, lock)
    s.emit(LockMoved(coldkey, origin_hotkey, destination_hotkey, netuid))


@call(138, weight=0, reads=4, writes=3)
def set_perpetual_lock(s: State, coldkey: Signed, netuid: NetUid, enabled: bool) -> None:
    """Let a lock on a subnet keep its mass, or let it decay again."""
    position = find_position(s, coldkey, netuid)
    is_changed = (s[DecayingLock, coldkey, netuid] is False) != enabled
    if position is not None:
        position = rolled_position(s, position)
        write_position(s, position)
        if is_changed:
            take_from_total(s, coldkey, netuid, position.hotkey, position.lock)
    s[DecayingLock, coldkey, netuid] = False if enabled else None
    position = find_position(s, coldkey, netuid)
    if is_changed and position is not None:
        add_to_total(s, coldkey, netuid, position.hotkey, position.lock)
    s.emit(PerpetualLockUpdated(coldkey, netuid, enabled))


@call(142, weight=0, reads=1, writes=1)
def set_reject_locked_alpha(s: State, coldkey: Signed, enabled: bool) -> None:
    """Refuse gifts of locked alpha, or accept them."""
    set_accepts_locked_alpha(s, coldkey, not enabled)
    s.emit(RejectLockedAlphaUpdated(coldkey, enabled))
