"""The storage of share pools: who has how much alpha behind a hotkey on a subnet.

Shares and denominators in the old format are read where they exist and moved to the new one when
they are written.

Upstream: pallets/subtensor/src/staking/stake_utils.rs, primitives/share-pool
"""

from __future__ import annotations

from typing import Any

from chain.pallets.subtensor.accounts import add_staking_hotkey
from chain.pallets.subtensor.storage_stake import (
    Alpha_,
    AlphaV2,
    StakingHotkeys,
    TotalAlphaStaked,
    TotalHotkeyAlpha,
    TotalHotkeyShares,
    TotalHotkeySharesV2,
)
from chain.runtime.state import State, iter_items, iter_keys
from consensus.economics import share_pool
from consensus.economics.safe_float import ZERO, SafeFloat, from_u64f64
from consensus.economics.share_pool import Membership
from ganglion.fixed import I64_MAX, sat_add_u64, sat_sub
from ganglion.units import AccountId, Alpha, NetUid


def _as_i64(amount: int) -> int:
    """An amount as the reference hands it to its pools: 2^63 and more turn negative."""
    return amount if amount <= I64_MAX else amount - (1 << 64)


# Of the old format most chains have no entry at all: `is_empty` asks that first, and once.


def _denominator(s: State, hotkey: AccountId, netuid: NetUid) -> SafeFloat:
    if not s.is_empty(TotalHotkeyShares) and (TotalHotkeyShares, hotkey, netuid) in s:
        return from_u64f64(s[TotalHotkeyShares, hotkey, netuid]) or ZERO
    return s[TotalHotkeySharesV2, hotkey, netuid]


def get_membership(s: State, hotkey: AccountId, coldkey: AccountId, netuid: NetUid) -> Membership:
    """The pool as this coldkey sees it."""
    share = s[AlphaV2, hotkey, coldkey, netuid]
    if not s.is_empty(Alpha_) and (Alpha_, hotkey, coldkey, netuid) in s:
        share = from_u64f64(s[Alpha_, hotkey, coldkey, netuid]) or ZERO
    return Membership(s[TotalHotkeyAlpha, hotkey, netuid], _denominator(s, hotkey, netuid), share)


def is_member(s: State, hotkey: AccountId, coldkey: AccountId, netuid: NetUid) -> bool:
    """Whether the coldkey has a share, be it worth nothing."""
    position = (hotkey, coldkey, netuid)
    return (AlphaV2, *position) in s or (Alpha_, *position) in s


def get_stake(s: State, hotkey: AccountId, coldkey: AccountId, netuid: NetUid) -> Alpha:
    """Alpha of a coldkey behind a hotkey on a subnet; TAO on root."""
    return Alpha(get_membership(s, hotkey, coldkey, netuid).value())


def get_hotkey_stake(s: State, hotkey: AccountId, netuid: NetUid) -> Alpha:
    """Alpha of all coldkeys behind a hotkey on a subnet; TAO on root."""
    return s[TotalHotkeyAlpha, hotkey, netuid]


def get_coldkey_stake(s: State, coldkey: AccountId, netuid: NetUid) -> Alpha:
    """Alpha of a coldkey on a subnet, behind all its hotkeys."""
    total = 0
    for hotkey in s[StakingHotkeys, coldkey]:
        total = sat_add_u64(total, get_stake(s, hotkey, coldkey, netuid))
    return Alpha(total)


def can_add_stake(s: State, hotkey: AccountId, netuid: NetUid, amount: int) -> bool:
    """Whether the amount would earn a share at all."""
    pool = Membership(s[TotalHotkeyAlpha, hotkey, netuid], _denominator(s, hotkey, netuid), ZERO)
    return share_pool.is_deposit_possible(pool, abs(_as_i64(amount)))


def add_stake(s: State, hotkey: AccountId, coldkey: AccountId, netuid: NetUid, amount: int) -> None:
    """Give a coldkey alpha behind a hotkey."""
    if amount:
        add_staking_hotkey(s, coldkey, hotkey)
    elif _is_settled(s, hotkey, coldkey, netuid):
        return
    pool = get_membership(s, hotkey, coldkey, netuid)
    _write(s, hotkey, coldkey, netuid, share_pool.changed(pool, _as_i64(amount)))


def take_stake(
    s: State, hotkey: AccountId, coldkey: AccountId, netuid: NetUid, amount: int
) -> None:
    """Take alpha from a coldkey behind a hotkey; nothing if it has less, as in the reference."""
    pool = get_membership(s, hotkey, coldkey, netuid)
    # Who holds something is a member; taking nothing still writes a member's entries.
    if pool.value() >= amount and (amount or is_member(s, hotkey, coldkey, netuid)):
        _write(s, hotkey, coldkey, netuid, share_pool.changed(pool, -_as_i64(amount)))


def _is_settled(s: State, hotkey: AccountId, coldkey: AccountId, netuid: NetUid) -> bool:
    """Whether a change by nothing writes nothing: no old format to move, no zero to drop."""
    pool, position = (hotkey, netuid), (hotkey, coldkey, netuid)
    return (
        (Alpha_, *position) not in s
        and (TotalHotkeyShares, *pool) not in s
        and all(
            s[entry] or entry not in s
            for entry in (
                (AlphaV2, *position),
                (TotalHotkeySharesV2, *pool),
                (TotalHotkeyAlpha, *pool),
            )
        )
    )


def grow_pool(s: State, hotkey: AccountId, netuid: NetUid, amount: int) -> None:
    """Give alpha to all who have a share behind a hotkey."""
    pool = Membership(s[TotalHotkeyAlpha, hotkey, netuid], ZERO, ZERO)
    _set_total(s, hotkey, netuid, share_pool.grown(pool, _as_i64(amount)).total)


def _write(
    s: State, hotkey: AccountId, coldkey: AccountId, netuid: NetUid, after: Membership
) -> None:
    _set_denominator(s, hotkey, netuid, after.denominator)
    _set_share(s, hotkey, coldkey, netuid, after.share)
    _set_total(s, hotkey, netuid, after.total)


def _set_denominator(s: State, hotkey: AccountId, netuid: NetUid, value: SafeFloat) -> None:
    """Zero means no entry; any write drops the number in the old format."""
    if not s.is_empty(TotalHotkeyShares) and (TotalHotkeyShares, hotkey, netuid) in s:
        del s[TotalHotkeyShares, hotkey, netuid]
    if value:
        s[TotalHotkeySharesV2, hotkey, netuid] = value
    elif (TotalHotkeySharesV2, hotkey, netuid) in s:
        del s[TotalHotkeySharesV2, hotkey, netuid]


def _set_share(
    s: State, hotkey: AccountId, coldkey: AccountId, netuid: NetUid, value: SafeFloat
) -> None:
    if not s.is_empty(Alpha_) and (Alpha_, hotkey, coldkey, netuid) in s:
        del s[Alpha_, hotkey, coldkey, netuid]
    if value:
        s[AlphaV2, hotkey, coldkey, netuid] = value
    elif (AlphaV2, hotkey, coldkey, netuid) in s:
        del s[AlphaV2, hotkey, coldkey, netuid]


def _set_total(s: State, hotkey: AccountId, netuid: NetUid, total: int) -> None:
    """Write the value of a pool, and keep the subnet's sum; zero means no entry for either."""
    before = s[TotalHotkeyAlpha, hotkey, netuid]
    if total != before:
        staked = sat_add_u64(sat_sub(s[TotalAlphaStaked, netuid], before), total)
        if staked:
            s[TotalAlphaStaked, netuid] = Alpha(staked)
        else:
            del s[TotalAlphaStaked, netuid]
    if total:
        s[TotalHotkeyAlpha, hotkey, netuid] = Alpha(total)
    elif (TotalHotkeyAlpha, hotkey, netuid) in s:
        del s[TotalHotkeyAlpha, hotkey, netuid]


def get_positions(
    s: State, hotkey: AccountId, coldkey: AccountId | None = None
) -> list[tuple[AccountId, NetUid, SafeFloat]]:
    """(coldkey, netuid, share) of all members behind a hotkey, or of one, ascending."""
    first = (hotkey,) if coldkey is None else (hotkey, coldkey)

    def keys(rest: Any) -> tuple[AccountId, NetUid]:
        return rest if coldkey is None else (coldkey, rest)

    merged = {keys(k): from_u64f64(bits) or ZERO for k, bits in iter_items(s, Alpha_, *first)}
    merged.update((keys(k), share) for k, share in iter_items(s, AlphaV2, *first))
    return [(*key, share) for key, share in sorted(merged.items(), key=lambda item: item[0])]


def get_all_positions(s: State) -> list[tuple[AccountId, AccountId, NetUid]]:
    """(hotkey, coldkey, netuid) of every share there is, ascending."""
    return sorted({*iter_keys(s, Alpha_), *iter_keys(s, AlphaV2)})
