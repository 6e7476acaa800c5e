"""Moving stake: TAO into a subnet as alpha, alpha out of it as TAO, and alpha between holders.

What is checked before is in `stake_checks`; here only what can still fail fails.

Upstream: pallets/subtensor/src/staking/{stake_utils,helpers}.rs
"""

from __future__ import annotations

from chain.pallets import swap
from chain.pallets.subtensor import locks, root_claim
from chain.pallets.subtensor.accounts import is_owner
from chain.pallets.subtensor.author_fees import pay_author_in_alpha, pay_author_in_tao
from chain.pallets.subtensor.constants import InitialMinStake
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_stake import StakeAdded, StakeRemoved
from chain.pallets.subtensor.fund import ESCROW
from chain.pallets.subtensor.fund_deposits import flush
from chain.pallets.subtensor.pool_trades import buy_alpha, record_tao_flow, sell_alpha
from chain.pallets.subtensor.share_pool import (
    add_stake,
    can_add_stake,
    get_all_positions,
    get_stake,
    take_stake,
)
from chain.pallets.subtensor.staker_ring import add_to_ring, leave_ring_without_root_stake
from chain.pallets.subtensor.storage_stake import (
    LastColdkeyHotkeyStakeBlock,
    NominatorMinRequiredStake,
)
from chain.pallets.subtensor.tao import pay_from_subnet, pay_to_subnet
from chain.pallets.system import block_number
from chain.runtime.errors import CallError, ensure
from chain.runtime.state import State
from consensus.economics.trade import MIN_PRICE
from ganglion.fixed import U64F64, clamp_u64
from ganglion.units import ROOT_NETUID, AccountId, Alpha, NetUid, Rao

MIN_STAKE = InitialMinStake.value
"""Least TAO that is worth staking or unstaking."""


def _note_staking(s: State, coldkey: AccountId, hotkey: AccountId) -> None:
    s[LastColdkeyHotkeyStakeBlock, coldkey, hotkey] = block_number(s)


def stake_into_subnet(
    s: State,
    hotkey: AccountId,
    coldkey: AccountId,
    netuid: NetUid,
    tao: int,
    limit: int,
    *,
    drop_fees: bool = False,
) -> Alpha:
    """Turn a coldkey's TAO into alpha behind a hotkey; the alpha it got.

    The fee goes to the block's author. Raises what the payment and the trade raise, AmountTooLow
    for no alpha, InsufficientLiquidity when the pool cannot express so little.
    """
    if netuid == ROOT_NETUID:
        flush(s, hotkey)  # what is earned already belongs to those who are there
    paid = pay_to_subnet(s, netuid, coldkey, tao)
    done = buy_alpha(s, netuid, paid, limit, drop_fees=drop_fees)
    alpha = Alpha(done.paid_out)
    ensure(alpha > 0, Error.AmountTooLow)
    ensure(can_add_stake(s, hotkey, netuid, alpha), Error.InsufficientLiquidity)
    add_stake(s, hotkey, coldkey, netuid, alpha)
    pay_author_in_tao(s, netuid, done.fee_to_author)
    record_tao_flow(s, netuid, done.paid_in)
    locks.cleanup_lock(s, coldkey, netuid)
    _note_staking(s, coldkey, hotkey)
    if netuid == ROOT_NETUID:
        root_claim.on_root_stake_added(s, hotkey, coldkey, alpha)
        add_to_ring(s, coldkey)
    s.emit(StakeAdded(coldkey, hotkey, paid, alpha, netuid, done.fee))
    return alpha


def unstake_from_subnet(
    s: State,
    hotkey: AccountId,
    coldkey: AccountId,
    netuid: NetUid,
    alpha: int,
    limit: int,
    *,
    drop_fees: bool = False,
    beneficiary: AccountId | None = None,
) -> Rao:
    """Sell a coldkey's alpha behind a hotkey for TAO on its account, or another's; the TAO.

    What a limit leaves unsold is given back. The alpha fee is sold for the block's author.
    Raises what the trade and the payments raise.
    """
    if netuid == ROOT_NETUID:
        flush(s, hotkey)
    take_stake(s, hotkey, coldkey, netuid, alpha)
    done = sell_alpha(s, netuid, alpha, limit, drop_fees=drop_fees)
    unsold = clamp_u64(alpha - clamp_u64(done.paid_in + done.fee))
    if unsold:
        add_stake(s, hotkey, coldkey, netuid, unsold)
    tao = Rao(done.paid_out)
    pay_from_subnet(s, netuid, beneficiary or coldkey, tao)
    author_tao = pay_author_in_alpha(s, netuid, done.fee_to_author)
    if netuid == ROOT_NETUID:
        root_claim.on_root_stake_removed(s, hotkey, coldkey, alpha)
        leave_ring_without_root_stake(s, coldkey)
    record_tao_flow(s, netuid, -clamp_u64(tao + author_tao))
    locks.cleanup_lock(s, coldkey, netuid)
    _note_staking(s, coldkey, hotkey)
    s.emit(StakeRemoved(coldkey, hotkey, tao, Alpha(done.paid_in), netuid, done.fee))
    return tao


def transfer_within_subnet(
    s: State,
    origin: tuple[AccountId, AccountId],
    destination: tuple[AccountId, AccountId],
    netuid: NetUid,
    alpha: int,
) -> Rao:
    """Give alpha from one (hotkey, coldkey) to another without a trade; its worth in TAO.

    Raises AmountTooLow under the minimum stake, and what moving a lock raises.
    """
    (from_hotkey, from_coldkey), (to_hotkey, to_coldkey) = origin, destination
    if netuid == ROOT_NETUID:
        for hotkey in dict.fromkeys((from_hotkey, to_hotkey)):
            flush(s, hotkey)
    locks.transfer_lock(s, from_coldkey, to_coldkey, netuid, alpha)
    take_stake(s, from_hotkey, from_coldkey, netuid, alpha)
    if netuid == ROOT_NETUID:
        root_claim.on_root_stake_removed(s, from_hotkey, from_coldkey, alpha)
    add_stake(s, to_hotkey, to_coldkey, netuid, alpha)
    if netuid == ROOT_NETUID:
        root_claim.on_root_stake_added(s, to_hotkey, to_coldkey, alpha)
        add_to_ring(s, to_coldkey)
    worth = U64F64.mul(swap.get_price(s, netuid), U64F64.from_int(alpha))
    tao = Rao(U64F64.to_u64(worth))
    ensure(tao >= MIN_STAKE, Error.AmountTooLow)
    _note_staking(s, to_coldkey, to_hotkey)
    s.emit(StakeRemoved(from_coldkey, from_hotkey, tao, Alpha(alpha), netuid, 0))
    s.emit(StakeAdded(to_coldkey, to_hotkey, tao, Alpha(alpha), netuid, 0))
    return tao


def get_nominator_minimum(s: State) -> Rao:
    """The least a nominator may leave behind a hotkey, in TAO."""
    return Rao(clamp_u64(MIN_STAKE * s[NominatorMinRequiredStake]) // 1_000_000)


def clear_small_nomination(s: State, hotkey: AccountId, coldkey: AccountId, netuid: NetUid) -> None:
    """Sell what a nominator holds behind a hotkey if it is under the minimum.

    If it cannot be sold it is taken all the same. The hotkey's owner and its fund are exempt.
    """
    if coldkey == ESCROW or is_owner(s, coldkey, hotkey):
        return
    stake = get_stake(s, hotkey, coldkey, netuid)
    price = swap.get_price(s, netuid)
    minimum = U64F64.to_u64(U64F64.safe_div(U64F64.from_int(get_nominator_minimum(s)), price))
    if not 0 < stake < minimum:
        return
    mark = s.mark()
    try:
        unstake_from_subnet(s, hotkey, coldkey, netuid, stake, MIN_PRICE)
    except CallError:
        s.rollback(mark)
        take_stake(s, hotkey, coldkey, netuid, get_stake(s, hotkey, coldkey, netuid))
    locks.force_reduce_lock(s, coldkey, netuid, stake)


def clear_small_nominations(s: State) -> None:
    """Sell every nomination that is under the minimum."""
    for hotkey, coldkey, netuid in get_all_positions(s):
        clear_small_nomination(s, hotkey, coldkey, netuid)
