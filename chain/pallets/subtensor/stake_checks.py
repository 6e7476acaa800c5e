"""What must hold before stake moves, in the order in which upstream looks.

Upstream: pallets/subtensor/src/staking/stake_utils.rs
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.pallets import swap
from chain.pallets.subtensor.accounts import (
    ensure_hotkey,
    ensure_subtoken_enabled,
    is_subnet,
)
from chain.pallets.subtensor.collateral import ensure_covered, ensure_free, ensure_kept
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.fund import ESCROW
from chain.pallets.subtensor.share_pool import can_add_stake, get_stake
from chain.pallets.subtensor.stake_utils import MIN_STAKE
from chain.pallets.subtensor.storage_hyperparameters import TransferToggle
from chain.pallets.subtensor.storage_network import SubtokenEnabled
from chain.pallets.subtensor.storage_pool import SubnetAlphaIn, SubnetTAO
from chain.pallets.subtensor.tao import get_balance
from chain.runtime.errors import CallError, ensure
from chain.runtime.state import State
from consensus.economics.trade import (
    INPUT_TO_RESERVE_LIMIT,
    Side,
    Trade,
    inverted_limit,
    largest_move,
)
from ganglion.fixed import U64_MAX, clamp_u64
from ganglion.units import RAO_PER_TAO, ROOT_NETUID, AccountId, NetUid


def is_pooled(s: State, netuid: NetUid) -> bool:
    """Whether trades on the subnet go through a pool; on root and stable subnets they do not."""
    return netuid != ROOT_NETUID and swap.is_dynamic(s, netuid)


def ensure_input_fits(s: State, netuid: NetUid, side: Side, amount: int) -> None:
    """Raise InsufficientLiquidity when the amount is more than 1000 times its reserve."""
    if is_pooled(s, netuid):
        reserve = s[SubnetTAO, netuid] if side is Side.BUY else s[SubnetAlphaIn, netuid]
        limit = clamp_u64(reserve * INPUT_TO_RESERVE_LIMIT)
        ensure(amount <= limit, Error.InsufficientLiquidity)


def sim_or_illiquid(s: State, netuid: NetUid, side: Side, amount: int) -> Trade:
    """The trade as it would be; raises InsufficientLiquidity for whatever prevents it."""
    try:
        return swap.sim_swap(s, netuid, side, amount)
    except CallError:
        raise Error.InsufficientLiquidity from None


def _minimum_to_add(s: State, netuid: NetUid) -> int:
    """The least amount that buys anything worth it: the minimum stake and its fee."""
    try:
        fee = swap.sim_swap(s, netuid, Side.BUY, MIN_STAKE).fee
    except CallError:
        fee = swap.get_fee(s, netuid, MIN_STAKE)
    return clamp_u64(MIN_STAKE + fee)


def ensure_can_add(
    s: State,
    coldkey: AccountId,
    hotkey: AccountId,
    netuid: NetUid,
    tao: int,
    limit: int,
    *,
    allow_partial: bool,
) -> None:
    """Raise unless `tao`, or the part of it under `limit`, can be staked."""
    ensure(is_subnet(s, netuid), Error.SubnetNotExists)
    ensure_subtoken_enabled(s, netuid)
    # No fee rate makes the minimum twice the minimum stake: the fee need not be worked out.
    if tao < 2 * MIN_STAKE:
        ensure(tao >= _minimum_to_add(s, netuid), Error.AmountTooLow)
    if allow_partial:
        tao = min(tao, limit)
    ensure(tao <= limit, Error.SlippageTooHigh)
    ensure(tao <= get_balance(s, coldkey), Error.NotEnoughBalanceToStake)
    ensure_hotkey(s, hotkey)
    done = sim_or_illiquid(s, netuid, Side.BUY, tao)
    ensure(done.paid_in >= MIN_STAKE, Error.AmountTooLow)
    ensure(done.paid_out > 0, Error.InsufficientLiquidity)
    ensure(can_add_stake(s, hotkey, netuid, done.paid_out), Error.InsufficientLiquidity)


def ensure_can_remove(
    s: State,
    coldkey: AccountId,
    hotkey: AccountId,
    netuid: NetUid,
    alpha: int,
    limit: int,
    *,
    allow_partial: bool = False,
    held: int | None = None,
) -> None:
    """Raise unless `alpha`, or the part of it under `limit`, can be sold.

    Too little is refused unless it is the whole position; `held` is its size where it is known.
    """
    ensure(is_subnet(s, netuid), Error.SubnetNotExists)
    ensure(alpha > 0, Error.AmountTooLow)
    if held is None:
        held = get_stake(s, hotkey, coldkey, netuid)
    ensure(held >= alpha, Error.NotEnoughStakeToWithdraw)
    done = sim_or_illiquid(s, netuid, Side.SELL, alpha)
    ensure(held == alpha or done.paid_out >= MIN_STAKE, Error.AmountTooLow)
    ensure(allow_partial or alpha <= limit, Error.SlippageTooHigh)
    ensure_hotkey(s, hotkey)
    ensure_free(s, coldkey, hotkey, netuid, alpha)


def can_remove(s: State, coldkey: AccountId, hotkey: AccountId, netuid: NetUid, alpha: int) -> bool:
    """Whether the alpha can be sold."""
    try:
        ensure_can_remove(s, coldkey, hotkey, netuid, alpha, alpha)
    except CallError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Move:
    """Alpha on its way from one position to another."""

    origin_coldkey: AccountId
    destination_coldkey: AccountId
    origin_hotkey: AccountId
    destination_hotkey: AccountId
    origin_netuid: NetUid
    destination_netuid: NetUid

    @property
    def is_within_subnet(self) -> bool:
        """Whether no trade is needed."""
        return self.origin_netuid == self.destination_netuid


def ensure_can_move(
    s: State,
    move: Move,
    alpha: int,
    limit: int,
    *,
    allow_partial: bool | None,
    is_gift: bool,
) -> None:
    """Raise unless the alpha can move; `allow_partial` None means without a limit."""
    origin, destination = move.origin_netuid, move.destination_netuid
    is_same_place = (
        move.origin_coldkey == move.destination_coldkey
        and move.origin_hotkey == move.destination_hotkey
    )
    ensure(move.destination_coldkey != ESCROW, Error.CannotUseSystemAccount)
    ensure(not (is_same_place and move.is_within_subnet), Error.SameNetuid)
    for netuid in (origin, destination):
        ensure(is_subnet(s, netuid), Error.SubnetNotExists)
    for netuid in (origin, destination):
        ensure(s[SubtokenEnabled, netuid], Error.SubtokenDisabled)
    for hotkey in (move.origin_hotkey, move.destination_hotkey):
        ensure_hotkey(s, hotkey)
    held = get_stake(s, move.origin_hotkey, move.origin_coldkey, origin)
    ensure(alpha <= held, Error.NotEnoughStakeToWithdraw)
    if not move.is_within_subnet:
        worth = sim_or_illiquid(s, origin, Side.SELL, alpha).paid_out
        ensure(worth > MIN_STAKE, Error.AmountTooLow)
        ensure(allow_partial is not False or alpha <= limit, Error.SlippageTooHigh)
    if is_gift:
        for netuid in (origin, destination):
            ensure(s[TransferToggle, netuid], Error.TransferDisallowed)
    if not move.is_within_subnet:
        ensure_free(s, move.origin_coldkey, move.origin_hotkey, origin, alpha)
        return
    # Locks follow the alpha to its new owner, collateral stays where it is.
    if move.origin_coldkey != move.destination_coldkey:
        ensure_kept(s, move.origin_coldkey, origin, alpha)
    ensure_covered(s, move.origin_coldkey, move.origin_hotkey, origin, alpha)


# --- what a price limit allows -------------------------------------------------------------------


def get_max_add(s: State, netuid: NetUid, limit: int) -> int:
    """The most TAO that can be staked before alpha costs more than `limit` rao.

    Raises what the trade raises.
    """
    if not is_pooled(s, netuid):
        return U64_MAX if limit >= RAO_PER_TAO else 0
    return swap.get_largest_input(s, netuid, Side.BUY, limit)


def get_max_remove(s: State, netuid: NetUid, limit: int) -> int:
    """The most alpha that can be sold before it brings less than `limit` rao.

    Raises what the trade raises.
    """
    if not is_pooled(s, netuid):
        return U64_MAX if limit <= RAO_PER_TAO else 0
    return swap.get_largest_input(s, netuid, Side.SELL, limit)


def get_max_move(s: State, origin: NetUid, destination: NetUid, limit: int) -> int:
    """The most alpha that can move before the price ratio falls under `limit` (x 10^9).

    Raises what the trade raises.
    """
    match is_pooled(s, origin), is_pooled(s, destination):
        case False, False:
            return 0 if limit > RAO_PER_TAO else U64_MAX
        case False, True:
            return get_max_add(s, destination, inverted_limit(limit)) if limit else U64_MAX
        case True, False:
            return get_max_remove(s, origin, limit)
        case _:
            pools = swap.get_pool(s, origin), swap.get_pool(s, destination)
            return largest_move(*pools, limit)
