"""What limit orders may do with TAO and alpha: buy, sell, and hand alpha over, all or nothing.

Unlike the staking calls these never fill a part: what a price limit leaves over is a refusal.

Upstream: pallets/subtensor/src/staking/order_swap.rs
"""

from __future__ import annotations

from chain.pallets import swap
from chain.pallets.subtensor.accounts import (
    ensure_hotkey,
    ensure_subtoken_enabled,
    is_subnet,
)
from chain.pallets.subtensor.collateral import ensure_free
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.share_pool import add_stake, get_stake, take_stake
from chain.pallets.subtensor.stake_checks import ensure_can_remove
from chain.pallets.subtensor.stake_utils import (
    MIN_STAKE,
    stake_into_subnet,
    unstake_from_subnet,
)
from chain.pallets.subtensor.storage_stake import LastColdkeyHotkeyStakeBlock
from chain.pallets.subtensor.tao import get_balance
from chain.pallets.system import block_number
from chain.runtime.errors import ensure
from chain.runtime.state import State
from consensus.economics.trade import Side
from ganglion.fixed import U64F64
from ganglion.units import AccountId, Alpha, NetUid, Rao


def _ensure_open(s: State, netuid: NetUid) -> None:
    ensure(is_subnet(s, netuid), Error.SubnetNotExists)
    ensure_subtoken_enabled(s, netuid)


def _ensure_whole(s: State, netuid: NetUid, side: Side, amount: int, limit: int) -> None:
    """Raise SlippageTooHigh unless the limit lets all of the amount through."""
    if swap.is_dynamic(s, netuid):
        done = swap.sim_swap_limit(s, netuid, side, amount, limit)
        ensure(done.paid_in + done.fee >= amount, Error.SlippageTooHigh)


def buy_alpha(
    s: State,
    coldkey: AccountId,
    hotkey: AccountId,
    netuid: NetUid,
    tao: int,
    limit: int,
    *,
    is_owned: bool,
) -> Alpha:
    """Stake all of a coldkey's `tao` at no more than `limit` rao for one alpha; the alpha.

    `is_owned` looks at the coldkey's position too; the pallet's own account needs no check.
    """
    _ensure_open(s, netuid)
    if is_owned:
        ensure_hotkey(s, hotkey)
        ensure(tao >= MIN_STAKE, Error.AmountTooLow)
        ensure(tao <= get_balance(s, coldkey), Error.NotEnoughBalanceToStake)
    _ensure_whole(s, netuid, Side.BUY, tao, limit)
    return stake_into_subnet(s, hotkey, coldkey, netuid, tao, limit)


def sell_alpha(
    s: State,
    coldkey: AccountId,
    hotkey: AccountId,
    netuid: NetUid,
    alpha: int,
    limit: int,
    *,
    is_owned: bool,
) -> Rao:
    """Sell all of a coldkey's `alpha` at no less than `limit` rao for one; the TAO."""
    _ensure_open(s, netuid)
    if is_owned:
        ensure_can_remove(s, coldkey, hotkey, netuid, alpha, alpha)
    _ensure_whole(s, netuid, Side.SELL, alpha, limit)
    return unstake_from_subnet(s, hotkey, coldkey, netuid, alpha, limit)


def hand_over_alpha(
    s: State,
    origin: tuple[AccountId, AccountId],
    destination: tuple[AccountId, AccountId],
    netuid: NetUid,
    alpha: int,
    *,
    check_origin: bool,
) -> None:
    """Move alpha between two (hotkey, coldkey) without a trade.

    One side is the pallet's own position; the checks are of the other: of the origin's alpha, or
    that the destination's hotkey exists. Raises NotEnoughStakeToWithdraw and what they raise.
    """
    (from_hotkey, from_coldkey), (to_hotkey, to_coldkey) = origin, destination
    _ensure_open(s, netuid)
    if check_origin:
        ensure_hotkey(s, from_hotkey)
        ensure(alpha > 0, Error.AmountTooLow)
        ensure(get_worth(s, netuid, alpha) >= MIN_STAKE, Error.AmountTooLow)
        ensure_free(s, from_coldkey, from_hotkey, netuid, alpha)
    else:
        ensure_hotkey(s, to_hotkey)
    held = get_stake(s, from_hotkey, from_coldkey, netuid)
    ensure(held >= alpha, Error.NotEnoughStakeToWithdraw)
    take_stake(s, from_hotkey, from_coldkey, netuid, alpha)
    add_stake(s, to_hotkey, to_coldkey, netuid, alpha)
    s[LastColdkeyHotkeyStakeBlock, to_coldkey, to_hotkey] = block_number(s)


def get_worth(s: State, netuid: NetUid, alpha: int) -> int:
    """Rao that alpha is worth at the margin, floored."""
    return U64F64.to_u64(U64F64.mul(swap.get_price(s, netuid), U64F64.from_int(alpha)))
