"""One lock and the sum it is part of, read, brought forward and written back together.

Four sums follow the single locks behind a hotkey: perpetual or decaying, and those behind the
subnet owner's hotkey apart. Which sum a lock belongs to follows from its hotkey and its mode.

Upstream: pallets/subtensor/src/staking/lock.rs (ConvictionModel)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chain.pallets.subtensor.storage_locks import (
    DecayingHotkeyLock,
    DecayingLock,
    DecayingOwnerLock,
    HotkeyLock,
    Lock,
    LockingColdkeys,
    MaturityRate,
    OwnerLock,
    UnlockRate,
)
from chain.pallets.subtensor.storage_network import SubnetOwnerHotkey
from chain.pallets.subtensor.types import LockState
from chain.pallets.system import block_number
from chain.runtime.state import State
from consensus.economics import conviction
from consensus.economics.conviction import Rates
from ganglion.units import U64F64, AccountId, Alpha, NetUid


@dataclass(frozen=True, slots=True)
class Mode:
    """How a lock ages."""

    is_owner: bool
    """Behind the subnet owner's hotkey: conviction equals mass."""
    is_perpetual: bool
    """The mass does not decay."""


MODES = tuple(Mode(owner, perpetual) for owner in (False, True) for perpetual in (True, False))


@dataclass(frozen=True, slots=True)
class Position:
    """A coldkey's lock on a subnet, and the sum of all locks of its mode behind its hotkey."""

    coldkey: AccountId
    netuid: NetUid
    hotkey: AccountId
    mode: Mode
    lock: conviction.Lock
    total: conviction.Lock


def is_owner_hotkey(s: State, netuid: NetUid, hotkey: AccountId) -> bool:
    """Whether this is the subnet owner's hotkey."""
    return s[SubnetOwnerHotkey, netuid] == hotkey


def is_perpetual(s: State, coldkey: AccountId, netuid: NetUid) -> bool:
    """Whether the coldkey asked for its lock on the subnet not to decay."""
    return s[DecayingLock, coldkey, netuid] is False


def mode_of(s: State, coldkey: AccountId, netuid: NetUid, hotkey: AccountId) -> Mode:
    """How a lock of the coldkey behind the hotkey ages."""
    return Mode(is_owner_hotkey(s, netuid, hotkey), is_perpetual(s, coldkey, netuid))


# --- storage -----------------------------------------------------------------------------------


def _loaded(s: State, stored: LockState | None) -> conviction.Lock:
    if stored is None:
        return conviction.Lock(0, 0, block_number(s))
    return conviction.Lock(stored.locked_mass, stored.conviction, stored.last_update)


def _stored(lock: conviction.Lock) -> LockState:
    return LockState(Alpha(lock.mass), U64F64(lock.conviction), lock.last)


def read_total(s: State, mode: Mode, netuid: NetUid, hotkey: AccountId) -> conviction.Lock:
    """The sum of locks of a mode as stored; an empty one if there is none."""
    match mode:
        case Mode(True, True):
            return _loaded(s, s[OwnerLock, netuid])
        case Mode(True, False):
            return _loaded(s, s[DecayingOwnerLock, netuid])
        case Mode(False, True):
            return _loaded(s, s[HotkeyLock, netuid, hotkey])
        case _:
            return _loaded(s, s[DecayingHotkeyLock, netuid, hotkey])


def write_total(
    s: State, mode: Mode, netuid: NetUid, hotkey: AccountId, total: conviction.Lock
) -> None:
    """Store a sum of locks; an empty one leaves no entry."""
    value = _stored(total) if total.mass or total.conviction else None
    match mode:
        case Mode(True, True):
            s[OwnerLock, netuid] = value
        case Mode(True, False):
            s[DecayingOwnerLock, netuid] = value
        case Mode(False, True):
            s[HotkeyLock, netuid, hotkey] = value
        case _:
            s[DecayingHotkeyLock, netuid, hotkey] = value


def take_total(s: State, mode: Mode, netuid: NetUid, hotkey: AccountId) -> conviction.Lock | None:
    """Remove a sum of locks and return it brought forward; None if there was none."""
    total = read_total(s, mode, netuid, hotkey)
    if not has_total(s, mode, netuid, hotkey):
        return None
    write_total(s, mode, netuid, hotkey, conviction.Lock(0, 0, 0))
    return rolled(s, total, mode)


def has_total(s: State, mode: Mode, netuid: NetUid, hotkey: AccountId) -> bool:
    """Whether there are locks of this mode behind the hotkey (for owners: on the subnet)."""
    match mode:
        case Mode(True, True):
            return (OwnerLock, netuid) in s
        case Mode(True, False):
            return (DecayingOwnerLock, netuid) in s
        case Mode(False, True):
            return (HotkeyLock, netuid, hotkey) in s
        case _:
            return (DecayingHotkeyLock, netuid, hotkey) in s


def write_lock(
    s: State, coldkey: AccountId, netuid: NetUid, hotkey: AccountId, lock: conviction.Lock
) -> None:
    """Store a lock and its index entry; dust leaves neither."""
    if conviction.is_dust(lock):
        remove_lock(s, coldkey, netuid, hotkey)
        return
    s[LockingColdkeys, netuid, hotkey, coldkey] = ()
    s[Lock, coldkey, netuid, hotkey] = _stored(lock)


def remove_lock(s: State, coldkey: AccountId, netuid: NetUid, hotkey: AccountId) -> None:
    """Forget a lock and its index entry."""
    s[LockingColdkeys, netuid, hotkey, coldkey] = None
    s[Lock, coldkey, netuid, hotkey] = None


def read_position(s: State, coldkey: AccountId, netuid: NetUid, hotkey: AccountId) -> Position:
    """A lock, be it empty, and its sum, as stored."""
    mode = mode_of(s, coldkey, netuid, hotkey)
    return Position(
        coldkey,
        netuid,
        hotkey,
        mode,
        _loaded(s, s[Lock, coldkey, netuid, hotkey]),
        read_total(s, mode, netuid, hotkey),
    )


def find_position(s: State, coldkey: AccountId, netuid: NetUid) -> Position | None:
    """The lock of a coldkey on a subnet, if it has one."""
    if s.is_empty(Lock):  # on most chains nobody locks anything
        return None
    locks = s.keys_of(Lock, coldkey, netuid)
    return read_position(s, coldkey, netuid, locks[0][-1]) if locks else None


def write_position(s: State, position: Position) -> None:
    """Store a lock and its sum."""
    write_lock(s, position.coldkey, position.netuid, position.hotkey, position.lock)
    write_total_of(s, position)


def write_total_of(s: State, position: Position) -> None:
    """Store the sum only."""
    write_total(s, position.mode, position.netuid, position.hotkey, position.total)


# --- time --------------------------------------------------------------------------------------


def rolled(s: State, lock: conviction.Lock, mode: Mode) -> conviction.Lock:
    """A lock or a sum brought forward to the present block."""
    return conviction.rolled(
        lock,
        block_number(s),
        Rates(s[UnlockRate], s[MaturityRate]),
        is_owner=mode.is_owner,
        is_perpetual=mode.is_perpetual,
    )


def with_rolled_total(s: State, position: Position) -> Position:
    """The position with its sum brought forward."""
    return replace(position, total=rolled(s, position.total, position.mode))


def rolled_position(s: State, position: Position) -> Position:
    """The position with its lock brought forward.

    What the lock lost is taken off the sum, which then counts as brought forward; a sum whose
    lock lost nothing is brought forward by itself.
    """
    lock = rolled(s, position.lock, position.mode)
    lost = conviction.Lock(
        max(position.lock.mass - lock.mass, 0),
        max(position.lock.conviction - lock.conviction, 0),
        0,
    )
    position = replace(position, lock=lock)
    if not lost.mass and not lost.conviction:
        return with_rolled_total(s, position)
    total = replace(conviction.reduced_by(position.total, lost), last=block_number(s))
    return replace(position, total=total)


def add_to_total(
    s: State, coldkey: AccountId, netuid: NetUid, hotkey: AccountId, added: conviction.Lock
) -> None:
    """Count a lock in its sum."""
    position = with_rolled_total(s, read_position(s, coldkey, netuid, hotkey))
    position = replace(position, total=conviction.merged(position.total, added))
    write_total_of(s, with_rolled_total(s, position))


def take_from_total(
    s: State, coldkey: AccountId, netuid: NetUid, hotkey: AccountId, taken: conviction.Lock
) -> None:
    """Stop counting a lock, or part of one, in its sum."""
    position = with_rolled_total(s, read_position(s, coldkey, netuid, hotkey))
    write_total_of(s, replace(position, total=conviction.reduced_by(position.total, taken)))


def empty_lock(s: State, mass: int = 0) -> conviction.Lock:
    """A lock of the present block without conviction."""
    return conviction.Lock(mass, 0, block_number(s))
