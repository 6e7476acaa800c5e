"""Calls that move stake: to another hotkey, another subnet, or another owner.

Within a subnet shares change hands without a trade. Between subnets alpha is sold on the origin
and bought on the destination, with the fee of one of the two trades.

Upstream: pallets/subtensor/src/staking/move_stake.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.accounts import is_owner
from chain.pallets.subtensor.delegation import maybe_become_delegate
from chain.pallets.subtensor.events_stake import (
    StakeAndHotkeyTransferred,
    StakeMoved,
    StakeSwapped,
    StakeTransferred,
)
from chain.pallets.subtensor.share_pool import get_stake
from chain.pallets.subtensor.stake_checks import Move, ensure_can_move, get_max_move
from chain.pallets.subtensor.stake_utils import (
    MIN_STAKE,
    stake_into_subnet,
    transfer_within_subnet,
    unstake_from_subnet,
)
from chain.pallets.subtensor.tao import transfer_tao
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State
from consensus.economics.trade import MAX_PRICE, MIN_PRICE
from ganglion.units import ROOT_NETUID, AccountId, Alpha, NetUid, Rao


def do_move(
    s: State,
    move: Move,
    alpha: int,
    *,
    limit: int | None = None,
    allow_partial: bool | None = None,
    is_gift: bool = False,
) -> Rao:
    """Move alpha, at most what is held; its worth in TAO.

    `limit` bounds the ratio of origin price to destination price, times 10^9.
    """
    held = get_stake(s, move.origin_hotkey, move.origin_coldkey, move.origin_netuid)
    alpha = min(alpha, held)
    most = alpha
    if limit is not None and not move.is_within_subnet:
        most = get_max_move(s, move.origin_netuid, move.destination_netuid, limit)
    ensure_can_move(s, move, alpha, most, allow_partial=allow_partial, is_gift=is_gift)
    alpha = min(alpha, most)
    if move.is_within_subnet:
        origin = (move.origin_hotkey, move.origin_coldkey)
        destination = (move.destination_hotkey, move.destination_coldkey)
        return transfer_within_subnet(s, origin, destination, move.origin_netuid, alpha)
    return _move_between_subnets(s, move, alpha)


def _move_between_subnets(s: State, move: Move, alpha: int) -> Rao:
    """Sell, hand the TAO over, and stake it; too little TAO stays on the account."""
    is_free_to_sell = move.origin_netuid == ROOT_NETUID
    tao = unstake_from_subnet(
        s,
        move.origin_hotkey,
        move.origin_coldkey,
        move.origin_netuid,
        alpha,
        MIN_PRICE,
        drop_fees=is_free_to_sell,
    )
    if move.origin_coldkey != move.destination_coldkey:
        transfer_tao(s, move.origin_coldkey, move.destination_coldkey, tao)
    if tao >= MIN_STAKE:
        if not is_owner(s, move.destination_coldkey, move.destination_hotkey):
            maybe_become_delegate(s, move.destination_hotkey)
        stake_into_subnet(
            s,
            move.destination_hotkey,
            move.destination_coldkey,
            move.destination_netuid,
            tao,
            MAX_PRICE,
            drop_fees=not is_free_to_sell,
        )
    return tao


@call(85, weight=216_061_000, reads=19, writes=7)
def move_stake(
    s: State,
    coldkey: Signed,
    origin_hotkey: AccountId,
    destination_hotkey: AccountId,
    origin_netuid: NetUid,
    destination_netuid: NetUid,
    alpha_amount: Alpha,
) -> None:
    """Move stake to another hotkey, on the same subnet or another."""
    move = Move(
        coldkey, coldkey, origin_hotkey, destination_hotkey, origin_netuid, destination_netuid
    )
    tao = do_move(s, move, alpha_amount)
    s.emit(
        StakeMoved(
            coldkey, origin_hotkey, origin_netuid, destination_hotkey, destination_netuid, tao
        )
    )


@call(86, weight=258_541_000, reads=19, writes=6)
def transfer_stake(
    s: State,
    coldkey: Signed,
    destination_coldkey: AccountId,
    hotkey: AccountId,
    origin_netuid: NetUid,
    destination_netuid: NetUid,
    alpha_amount: Alpha,
) -> None:
    """Give stake to another coldkey, on the same subnet or another."""
    move = Move(coldkey, destination_coldkey, hotkey, hotkey, origin_netuid, destination_netuid)
    tao = do_move(s, move, alpha_amount, is_gift=True)
    s.emit(
        StakeTransferred(
            coldkey, destination_coldkey, hotkey, origin_netuid, destination_netuid, tao
        )
    )


@call(143, weight=258_541_000, reads=19, writes=6)
def transfer_stake_and_hotkey(
    s: State,
    coldkey: Signed,
    destination_coldkey: AccountId,
    origin_hotkey: AccountId,
    destination_hotkey: AccountId,
    origin_netuid: NetUid,
    destination_netuid: NetUid,
    alpha_amount: Alpha,
) -> None:
    """Give stake to another coldkey behind another hotkey, on the same subnet or another."""
    keys = (coldkey, destination_coldkey, origin_hotkey, destination_hotkey)
    tao = do_move(s, Move(*keys, origin_netuid, destination_netuid), alpha_amount, is_gift=True)
    s.emit(StakeAndHotkeyTransferred(*keys, origin_netuid, destination_netuid, tao))


@call(87, weight=742_019_000, reads=47, writes=24)
def swap_stake(
    s: State,
    coldkey: Signed,
    hotkey: AccountId,
    origin_netuid: NetUid,
    destination_netuid: NetUid,
    alpha_amount: Alpha,
) -> None:
    """Move stake behind a hotkey from one subnet to another."""
    move = Move(coldkey, coldkey, hotkey, hotkey, origin_netuid, destination_netuid)
    tao = do_move(s, move, alpha_amount)
    s.emit(StakeSwapped(coldkey, hotkey, origin_netuid, destination_netuid, tao))


@call(90, weight=944_515_000, reads=47, writes=24)
def swap_stake_limit(
    s: State,
    coldkey: Signed,
    hotkey: AccountId,
    origin_netuid: NetUid,
    destination_netuid: NetUid,
    alpha_amount: Alpha,
    limit_price: Rao,
    allow_partial: bool,
) -> None:
    """Move stake to another subnet as long as the ratio of prices stays over a limit."""
    move = Move(coldkey, coldkey, hotkey, hotkey, origin_netuid, destination_netuid)
    tao = do_move(s, move, alpha_amount, limit=limit_price, allow_partial=allow_partial)
    s.emit(StakeSwapped(coldkey, hotkey, origin_netuid, destination_netuid, tao))


@call(149, weight=944_515_000, reads=47, writes=24)
def move_stake_limit(
    s: State,
    coldkey: Signed,
    origin_hotkey: AccountId,
    destination_hotkey: AccountId,
    origin_netuid: NetUid,
    destination_netuid: NetUid,
    alpha_amount: Alpha,
    limit_price: Rao,
    allow_partial: bool,
) -> None:
    """Move stake to another hotkey as long as the ratio of prices stays over a limit."""
    move = Move(
        coldkey, coldkey, origin_hotkey, destination_hotkey, origin_netuid, destination_netuid
    )
    tao = do_move(s, move, alpha_amount, limit=limit_price, allow_partial=allow_partial)
    s.emit(
        StakeMoved(
            coldkey, origin_hotkey, origin_netuid, destination_hotkey, destination_netuid, tao
        )
    )
