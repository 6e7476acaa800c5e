"""Conviction of hotkeys, and the change of a subnet's owner that it can force.

A year after a subnet began, once conviction covers a tenth of its alpha, the coldkey behind the
most convicted hotkey becomes its owner.

Upstream: pallets/subtensor/src/staking/lock.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.events_network import SubnetOwnerChanged
from chain.pallets.subtensor.lock_model import (
    MODES,
    Mode,
    has_total,
    is_owner_hotkey,
    read_total,
    rolled,
    take_total,
    write_total,
)
from chain.pallets.subtensor.storage_keys import Owner
from chain.pallets.subtensor.storage_locks import DecayingHotkeyLock, HotkeyLock
from chain.pallets.subtensor.storage_network import (
    NetworkRegisteredAt,
    SubnetOwner,
    SubnetOwnerHotkey,
)
from chain.pallets.subtensor.storage_neurons import Uids
from chain.pallets.subtensor.storage_pool import SubnetAlphaOut
from chain.pallets.subtensor.types import NOBODY
from chain.pallets.subtensor.uids import do_register_neuron
from chain.pallets.system import block_number
from chain.runtime.errors import CallError
from chain.runtime.state import State, iter_keys
from consensus.economics import conviction
from consensus.economics.fixed import Fx64
from ganglion.fixed import U64F64
from ganglion.units import AccountId, NetUid

ONE_YEAR = 7_200 * 365 + 1_800
"""Blocks during which a subnet keeps its owner."""
CONVICTION_PARTS = 10
"""Conviction must reach one part in this many of the alpha outside the pool."""


def _conviction(s: State, mode: Mode, netuid: NetUid, hotkey: AccountId) -> Fx64:
    if not has_total(s, mode, netuid, hotkey):
        return 0
    return rolled(s, read_total(s, mode, netuid, hotkey), mode).conviction


def get_hotkey_conviction(s: State, hotkey: AccountId, netuid: NetUid) -> Fx64:
    """Conviction of all locks behind a hotkey, as U64F64 bits."""
    total = 0
    for mode in MODES:
        if not mode.is_owner or is_owner_hotkey(s, netuid, hotkey):
            total = U64F64.add(total, _conviction(s, mode, netuid, hotkey))
    return total


def get_convictions(s: State, netuid: NetUid) -> dict[AccountId, Fx64]:
    """Conviction of every hotkey that somebody locked behind."""
    hotkeys = set(iter_keys(s, HotkeyLock, netuid)) | set(iter_keys(s, DecayingHotkeyLock, netuid))
    owner_hotkey = s[SubnetOwnerHotkey, netuid]
    if any(has_total(s, mode, netuid, owner_hotkey) for mode in MODES if mode.is_owner):
        hotkeys.add(owner_hotkey)
    return {hotkey: get_hotkey_conviction(s, hotkey, netuid) for hotkey in sorted(hotkeys)}


def get_king(s: State, netuid: NetUid) -> AccountId | None:
    """The most convicted hotkey; the highest of equals, None without any lock."""
    convictions = get_convictions(s, netuid)
    return max(convictions, key=lambda hotkey: (convictions[hotkey], hotkey), default=None)


def get_total_conviction(s: State, netuid: NetUid) -> Fx64:
    """Conviction of all locks on a subnet."""
    return U64F64.clamp(sum(get_convictions(s, netuid).values()))


def change_subnet_owner_if_needed(s: State, netuid: NetUid) -> None:
    """Hand a subnet over to the coldkey behind its most convicted hotkey, if it has earned it."""
    alpha_out = s[SubnetAlphaOut, netuid]
    if not alpha_out or block_number(s) < s[NetworkRegisteredAt, netuid] + ONE_YEAR:
        return
    needed = U64F64.from_int(alpha_out)
    if U64F64.mul(get_total_conviction(s, netuid), U64F64.from_int(CONVICTION_PARTS)) < needed:
        return
    king = get_king(s, netuid)
    if king is None:
        return
    old_owner, new_owner = s[SubnetOwner, netuid], s[Owner, king]
    if new_owner in (NOBODY, old_owner) or not _has_seat(s, netuid, king):
        return
    hand_over_locks(s, netuid, s[SubnetOwnerHotkey, netuid], king)
    s[SubnetOwner, netuid] = new_owner
    s[SubnetOwnerHotkey, netuid] = king
    s.emit(SubnetOwnerChanged(netuid, old_owner, new_owner))


def hand_over_locks(s: State, netuid: NetUid, old: AccountId, new: AccountId) -> None:
    """Book the locks behind two hotkeys anew when the second one becomes the owner's."""
    for is_perpetual in (True, False):
        _move_total(s, netuid, Mode(True, is_perpetual), old, Mode(False, is_perpetual))
    for is_perpetual in (True, False):
        _move_total(s, netuid, Mode(False, is_perpetual), new, Mode(True, is_perpetual))


def _has_seat(s: State, netuid: NetUid, hotkey: AccountId) -> bool:
    """Whether the hotkey has a uid; gives it one if there is room."""
    if s[Uids, netuid, hotkey] is not None:
        return True
    mark = s.mark()
    try:
        do_register_neuron(s, netuid, hotkey)
    except CallError:
        s.rollback(mark)
        return False
    return True


def _move_total(s: State, netuid: NetUid, source: Mode, hotkey: AccountId, target: Mode) -> None:
    """Move the sum of a hotkey's locks between the owner's books and the others'."""
    moved = take_total(s, source, netuid, hotkey)
    if moved is None:
        return
    current = conviction.Lock(0, 0, block_number(s))
    if has_total(s, target, netuid, hotkey):
        current = rolled(s, read_total(s, target, netuid, hotkey), target)
    total = conviction.merged(current, moved)
    total = conviction.Lock(total.mass, total.conviction, block_number(s))
    if target.is_owner:
        total = rolled(s, total, target)
    write_total(s, target, netuid, hotkey, total)
