"""Locks when keys are swapped: they follow the key, brought forward to the present block.

Upstream: pallets/subtensor/src/staking/lock.rs
"""

from __future__ import annotations

from dataclasses import replace

from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.lock_model import (
    Mode,
    add_to_total,
    has_total,
    is_owner_hotkey,
    is_perpetual,
    read_position,
    remove_lock,
    rolled,
    take_from_total,
    take_total,
    write_lock,
    write_total,
)
from chain.pallets.subtensor.locks import rejects_locked_alpha
from chain.pallets.subtensor.storage_keys import AccountFlags
from chain.pallets.subtensor.storage_locks import DecayingLock, Lock, LockingColdkeys
from chain.runtime.errors import ensure
from chain.runtime.state import State, iter_items, iter_keys, take
from consensus.economics import conviction
from ganglion.units import AccountId, NetUid


def _ensure_no_locks(s: State, coldkey: AccountId) -> None:
    """Raise ActiveLockExists when something is locked by this coldkey."""
    for netuid, hotkey in iter_keys(s, Lock, coldkey):
        position = read_position(s, coldkey, netuid, hotkey)
        mass = rolled(s, position.lock, position.mode).mass
        ensure(mass == 0, Error.ActiveLockExists)


def swap_coldkey_locks(s: State, old: AccountId, new: AccountId) -> None:
    """Give a coldkey's locks, their modes and its account flags to another.

    Raises ActiveLockExists when the other has locks, AccountRejectsLockedAlpha when it refuses.
    """
    _ensure_no_locks(s, new)
    moved: list[tuple[NetUid, AccountId, conviction.Lock, bool]] = []
    for netuid, hotkey in iter_keys(s, Lock, old):
        position = read_position(s, old, netuid, hotkey)
        lock = rolled(s, position.lock, position.mode)
        may_receive = lock.mass == 0 or not rejects_locked_alpha(s, new)
        ensure(may_receive, Error.AccountRejectsLockedAlpha)
        moved.append((netuid, hotkey, lock, position.mode.is_perpetual))
    # The sums a lock belongs to depend on its mode: leave the old ones before the modes move.
    for netuid, hotkey, lock, _ in moved:
        remove_lock(s, old, netuid, hotkey)
        take_from_total(s, old, netuid, hotkey, lock)
    for netuid, decays in list(iter_items(s, DecayingLock, old)):
        del s[DecayingLock, old, netuid]
        s[DecayingLock, new, netuid] = decays
    flags = take(s, (AccountFlags, old))
    if flags:
        s[AccountFlags, new] = flags
    else:
        del s[AccountFlags, new]
    for netuid, hotkey, lock, perpetual in moved:
        lock = rolled(s, lock, Mode(is_owner_hotkey(s, netuid, hotkey), perpetual))
        write_lock(s, new, netuid, hotkey, lock)
        add_to_total(s, new, netuid, hotkey, lock)


def swap_hotkey_locks(s: State, old: AccountId, new: AccountId, netuids: list[NetUid]) -> None:
    """Move locks behind one hotkey behind another, with their sums, on these subnets."""
    affected = [
        (netuid, is_owner_hotkey(s, netuid, old), is_owner_hotkey(s, netuid, new))
        for netuid in netuids
        if _is_affected(s, netuid, old, new)
    ]
    for netuid, was_owner, new_is_owner in affected:
        _move_locks(s, netuid, old, new, was_owner, was_owner or new_is_owner)
    for netuid, was_owner, new_is_owner in affected:
        for perpetual in (True, False):
            total = take_total(s, Mode(was_owner, perpetual), netuid, old)
            if total is not None:
                mode = Mode(was_owner or new_is_owner, perpetual)
                write_total(s, mode, netuid, new, rolled(s, total, mode))


def _is_affected(s: State, netuid: NetUid, old: AccountId, new: AccountId) -> bool:
    """Owner hotkeys always are, others when there is a sum of locks behind the old one."""
    if is_owner_hotkey(s, netuid, old) or is_owner_hotkey(s, netuid, new):
        return True
    return any(has_total(s, Mode(False, perpetual), netuid, old) for perpetual in (True, False))


def _move_locks(
    s: State, netuid: NetUid, old: AccountId, new: AccountId, was_owner: bool, is_owner: bool
) -> None:
    for coldkey in iter_keys(s, LockingColdkeys, netuid, old):
        if (Lock, coldkey, netuid, old) not in s:
            del s[LockingColdkeys, netuid, old, coldkey]
            continue
        mode = Mode(was_owner, is_perpetual(s, coldkey, netuid))
        lock = rolled(s, read_position(s, coldkey, netuid, old).lock, mode)
        lock = rolled(s, lock, replace(mode, is_owner=is_owner))
        remove_lock(s, coldkey, netuid, old)
        write_lock(s, coldkey, netuid, new, lock)
