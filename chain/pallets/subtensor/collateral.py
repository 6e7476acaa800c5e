"""Collateral: alpha of a miner that only comes free as the miner earns.

A subnet may ask that a share of the registration price be staked and locked instead of burned.
The lock belongs to one position, a hotkey and its coldkey. It shrinks by `drain_ratio` alpha for
each alpha earned, down to a floor that the miner may set, and is filled up to the floor again
from what is earned. It outlives the miner's seat. Off unless a subnet asks for it.

Upstream: pallets/subtensor/src/subnets/collateral.rs
"""

from __future__ import annotations

from dataclasses import replace

from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.locks import ensure_available as ensure_not_locked
from chain.pallets.subtensor.locks import get_available as get_not_locked
from chain.pallets.subtensor.share_pool import add_stake, get_coldkey_stake, get_stake
from chain.pallets.subtensor.storage_collateral import (
    ColdkeyCollateralHotkeys,
    ColdkeyMinerCollateral,
    CollateralDrainRatio,
    MinerCollateral,
)
from chain.pallets.subtensor.types import MinerCollateralState
from chain.runtime.errors import ensure
from chain.runtime.state import State
from ganglion.fixed import U64F64, sat_add_u64, sat_sub
from ganglion.units import AccountId, Alpha, NetUid

MOST_POSITIONS = 32
"""Hotkeys with collateral that one coldkey may have on a subnet."""

ZERO = Alpha(0)


# --- what is locked ----------------------------------------------------------------------------


def get_collateral(s: State, netuid: NetUid, hotkey: AccountId, coldkey: AccountId) -> Alpha:
    """Alpha of a position that is collateral."""
    state = s[MinerCollateral, netuid, hotkey, coldkey]
    return ZERO if state is None else state.locked


def ensure_free(
    s: State, coldkey: AccountId, hotkey: AccountId, netuid: NetUid, amount: int
) -> None:
    """Raise StakeUnavailable when taking the amount off a position would touch a lock.

    Conviction locks hold on all of a coldkey's alpha of the subnet, collateral on its position.
    """
    held = s[ColdkeyMinerCollateral, netuid, coldkey]
    if not held:
        ensure_not_locked(s, coldkey, netuid, amount)
        return
    free = sat_sub(get_not_locked(s, coldkey, netuid), held)
    ensure(amount <= free, Error.StakeUnavailable)
    ensure_covered(s, coldkey, hotkey, netuid, amount)


def ensure_covered(
    s: State, coldkey: AccountId, hotkey: AccountId, netuid: NetUid, amount: int
) -> None:
    """Raise StakeUnavailable when a position would have less alpha than collateral."""
    locked = get_collateral(s, netuid, hotkey, coldkey)
    if locked:
        free = sat_sub(get_stake(s, hotkey, coldkey, netuid), locked)
        ensure(amount <= free, Error.StakeUnavailable)


def ensure_kept(s: State, coldkey: AccountId, netuid: NetUid, amount: int) -> None:
    """Raise StakeUnavailable when giving the amount away would leave too little for collateral."""
    held = s[ColdkeyMinerCollateral, netuid, coldkey]
    if held:
        free = sat_sub(get_coldkey_stake(s, coldkey, netuid), held)
        ensure(amount <= free, Error.StakeUnavailable)


# --- changes -----------------------------------------------------------------------------------


def set_state(
    s: State,
    netuid: NetUid,
    hotkey: AccountId,
    coldkey: AccountId,
    state: MinerCollateralState | None,
) -> None:
    """Write a position's collateral with the coldkey's sum and list.

    None, or nothing locked and no floor, means no entry. Raises ColdkeyCollateralPositionsFull.
    """
    if state is not None and not state.locked and not state.min_locked:
        state = None
    before = get_collateral(s, netuid, hotkey, coldkey)
    _list_hotkey(s, netuid, hotkey, coldkey, state is not None)
    if state is None:
        del s[MinerCollateral, netuid, hotkey, coldkey]
    else:
        s[MinerCollateral, netuid, hotkey, coldkey] = state
    now = ZERO if state is None else state.locked
    total = sat_add_u64(sat_sub(s[ColdkeyMinerCollateral, netuid, coldkey], before), now)
    if total:
        s[ColdkeyMinerCollateral, netuid, coldkey] = Alpha(total)
    else:
        del s[ColdkeyMinerCollateral, netuid, coldkey]


def _list_hotkey(
    s: State, netuid: NetUid, hotkey: AccountId, coldkey: AccountId, is_there: bool
) -> None:
    hotkeys = s[ColdkeyCollateralHotkeys, netuid, coldkey]
    if is_there == (hotkey in hotkeys):
        return
    if is_there:
        ensure(len(hotkeys) < MOST_POSITIONS, Error.ColdkeyCollateralPositionsFull)
        s[ColdkeyCollateralHotkeys, netuid, coldkey] = (*hotkeys, hotkey)
        return
    kept = tuple(h for h in hotkeys if h != hotkey)
    if kept:
        s[ColdkeyCollateralHotkeys, netuid, coldkey] = kept
    else:
        del s[ColdkeyCollateralHotkeys, netuid, coldkey]


def fresh(s: State, netuid: NetUid) -> MinerCollateralState:
    """Collateral of nothing, at the subnet's present terms."""
    return MinerCollateralState(ZERO, s[CollateralDrainRatio, netuid], ZERO, ZERO)


def add_collateral(
    s: State, netuid: NetUid, hotkey: AccountId, coldkey: AccountId, alpha: int
) -> None:
    """Lock alpha that the position has; the terms of an older lock stay."""
    state = s[MinerCollateral, netuid, hotkey, coldkey] or fresh(s, netuid)
    locked = Alpha(sat_add_u64(state.locked, alpha))
    set_state(s, netuid, hotkey, coldkey, replace(state, locked=locked))


def renew_terms(s: State, netuid: NetUid, hotkey: AccountId, coldkey: AccountId) -> None:
    """Put collateral that is there on the subnet's present terms: at every registration."""
    state = s[MinerCollateral, netuid, hotkey, coldkey]
    if state is not None:
        renewed = replace(state, drain_ratio=s[CollateralDrainRatio, netuid])
        s[MinerCollateral, netuid, hotkey, coldkey] = renewed


def settle(
    s: State, netuid: NetUid, hotkey: AccountId, owner: AccountId, earned: int, own: int
) -> Alpha:
    """Let a hotkey's collateral follow what it earned; the part of it that was locked instead.

    `own` of the earned alpha belongs to the owner alone: only that may be locked. It is staked
    here; the caller pays out the rest.
    """
    state = s[MinerCollateral, netuid, hotkey, owner] if earned else None
    if state is None:
        return ZERO
    state = replace(state, earned=Alpha(sat_add_u64(state.earned, earned)))
    short = sat_sub(state.min_locked, state.locked)
    if short:
        captured = min(own, short)
        if captured:
            add_stake(s, hotkey, owner, netuid, captured)
            state = replace(state, locked=Alpha(state.locked + captured))
    else:
        captured = 0
        drained = U64F64.to_u64(U64F64.mul(U64F64.from_int(earned), state.drain_ratio))
        released = min(drained, state.locked - state.min_locked)
        state = replace(state, locked=Alpha(state.locked - released))
    set_state(s, netuid, hotkey, owner, state)
    return Alpha(captured)


# --- key swaps ---------------------------------------------------------------------------------


def _move(
    s: State,
    netuid: NetUid,
    old: tuple[AccountId, AccountId],
    new: tuple[AccountId, AccountId],
) -> None:
    """Move collateral from one (hotkey, coldkey) to another; two locks add up, the slower wins."""
    moved = s[MinerCollateral, netuid, *old]
    if moved is None or old == new:
        return
    set_state(s, netuid, *old, None)
    there = s[MinerCollateral, netuid, *new]
    if there is not None:
        moved = MinerCollateralState(
            Alpha(sat_add_u64(there.locked, moved.locked)),
            min(there.drain_ratio, moved.drain_ratio),
            Alpha(sat_add_u64(there.min_locked, moved.min_locked)),
            Alpha(sat_add_u64(there.earned, moved.earned)),
        )
    set_state(s, netuid, *new, moved)


def swap_hotkey(
    s: State, netuid: NetUid, old: AccountId, new: AccountId, coldkey: AccountId
) -> None:
    """Let collateral follow a hotkey."""
    _move(s, netuid, (old, coldkey), (new, coldkey))


def swap_coldkey(s: State, netuid: NetUid, old: AccountId, new: AccountId) -> None:
    """Let all collateral on a subnet follow a coldkey; raises ColdkeyCollateralIncomplete."""
    for hotkey in s[ColdkeyCollateralHotkeys, netuid, old]:
        _move(s, netuid, (hotkey, old), (hotkey, new))
    is_moved = not s[ColdkeyMinerCollateral, netuid, old]
    ensure(is_moved, Error.ColdkeyCollateralIncomplete)


def has_collateral(s: State, hotkey: AccountId, coldkey: AccountId, netuids: list[NetUid]) -> bool:
    """Whether a position has collateral on one of the subnets."""
    return any((MinerCollateral, netuid, hotkey, coldkey) in s for netuid in netuids)
