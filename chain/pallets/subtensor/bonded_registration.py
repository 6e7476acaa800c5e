"""Paying for a registration where the subnet asks for collateral, and the calls about it.

The price is traded as a whole. The burned share of the alpha is gone, the rest is staked behind
the new hotkey and locked; collateral from an earlier registration counts toward it.

Upstream: pallets/subtensor/src/subnets/{collateral,registration}.rs
"""

from __future__ import annotations

from dataclasses import replace

from chain.pallets import swap
from chain.pallets.subtensor.accounts import (
    ensure_hotkey,
    ensure_subtoken_enabled,
    is_owner,
    is_subnet,
)
from chain.pallets.subtensor.author_fees import pay_author_in_tao
from chain.pallets.subtensor.collateral import (
    add_collateral,
    fresh,
    get_collateral,
    renew_terms,
    set_state,
)
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_reserved import CollateralLocked, MinCollateralSet
from chain.pallets.subtensor.events_stake import StakeAdded
from chain.pallets.subtensor.locks import cleanup_lock
from chain.pallets.subtensor.pool_trades import buy_alpha, record_tao_flow
from chain.pallets.subtensor.price import get_moving_price
from chain.pallets.subtensor.share_pool import add_stake, can_add_stake, get_stake
from chain.pallets.subtensor.stake_checks import ensure_can_add, ensure_input_fits, get_max_add
from chain.pallets.subtensor.stake_utils import stake_into_subnet
from chain.pallets.subtensor.storage_collateral import CollateralLockShare, MinerCollateral
from chain.pallets.subtensor.storage_pool import SubnetAlphaOut
from chain.pallets.subtensor.storage_stake import LastColdkeyHotkeyStakeBlock
from chain.pallets.subtensor.tao import (
    get_keep_alive_balance,
    pay_to_subnet,
)
from chain.pallets.system import block_number
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State
from consensus.economics.trade import MAX_PRICE, Side
from ganglion.fixed import U16_MAX, U64F64, sat_sub
from ganglion.units import RAO_PER_TAO, ROOT_NETUID, AccountId, Alpha, NetUid, Rao

SLACK = 105
"""Percent of the pool's price that a registration may pay for its collateral."""


def get_requirement(s: State, netuid: NetUid, cost: int) -> Rao:
    """The part of a registration's price that is locked instead of burned."""
    share = U64F64.ratio(s[CollateralLockShare, netuid], U16_MAX)
    return Rao(U64F64.to_u64(U64F64.mul(U64F64.from_int(cost), share)))


def pay_bonded(
    s: State, netuid: NetUid, hotkey: AccountId, coldkey: AccountId, cost: int, required: int
) -> Rao:
    """Pay for a registration on a subnet that asks for collateral; the TAO that was burned.

    Raises NotEnoughBalanceToStake, SlippageTooHigh, InsufficientLiquidity, and what the trade
    raises.
    """
    # An older lock counts at the slow price, which nobody can push up within a block.
    locked = get_collateral(s, netuid, hotkey, coldkey)
    worth = U64F64.to_u64(U64F64.mul(U64F64.from_int(locked), get_moving_price(s, netuid)))
    burned, bond = cost - required, sat_sub(required, worth)
    charge = burned + bond
    if charge:
        _pay(s, netuid, hotkey, coldkey, burned, bond)
    renew_terms(s, netuid, hotkey, coldkey)
    return Rao(burned)


def _pay(
    s: State, netuid: NetUid, hotkey: AccountId, coldkey: AccountId, burned: int, bond: int
) -> None:
    """Trade both parts at once, and stake and lock the bond's part of the alpha."""
    charge = burned + bond
    ensure(get_keep_alive_balance(s, coldkey) >= charge, Error.NotEnoughBalanceToStake)
    limit = _worst_price(s, netuid) if bond else MAX_PRICE
    if bond:
        ensure(charge <= get_max_add(s, netuid, limit), Error.SlippageTooHigh)
    paid = pay_to_subnet(s, netuid, coldkey, charge)
    done = buy_alpha(s, netuid, paid, limit, drop_fees=False)
    ensure(done.paid_in + done.fee == charge, Error.SlippageTooHigh)
    pay_author_in_tao(s, netuid, done.fee_to_author)
    record_tao_flow(s, netuid, done.paid_in)
    alpha = done.paid_out * bond // charge
    gone = done.paid_out - alpha
    s[SubnetAlphaOut, netuid] = Alpha(sat_sub(s[SubnetAlphaOut, netuid], gone))
    if alpha:
        ensure(can_add_stake(s, hotkey, netuid, alpha), Error.InsufficientLiquidity)
        add_stake(s, hotkey, coldkey, netuid, alpha)
        cleanup_lock(s, coldkey, netuid)
        s[LastColdkeyHotkeyStakeBlock, coldkey, hotkey] = block_number(s)
        tao = Rao(paid * bond // charge)
        s.emit(StakeAdded(coldkey, hotkey, tao, Alpha(alpha), netuid, done.fee))
        _lock(s, netuid, hotkey, coldkey, alpha)


def _worst_price(s: State, netuid: NetUid) -> int:
    """Five percent over the pool's price, in rao for one alpha; raises InsufficientLiquidity."""
    price = U64F64.mul(swap.get_price(s, netuid), U64F64.from_int(SLACK))
    price = U64F64.safe_div(price, U64F64.from_int(100))
    rao = U64F64.to_u64(U64F64.mul(price, U64F64.from_int(RAO_PER_TAO)))
    ensure(rao > 0, Error.InsufficientLiquidity)
    return rao


def _lock(s: State, netuid: NetUid, hotkey: AccountId, coldkey: AccountId, alpha: int) -> None:
    add_collateral(s, netuid, hotkey, coldkey, alpha)
    total = get_collateral(s, netuid, hotkey, coldkey)
    s.emit(CollateralLocked(netuid, hotkey, Alpha(alpha), total))


# --- calls ---------------------------------------------------------------------------------------


def _ensure_own(s: State, coldkey: AccountId, hotkey: AccountId) -> None:
    ensure_hotkey(s, hotkey)
    ensure(is_owner(s, coldkey, hotkey), Error.NonAssociatedColdKey)


@call(144, weight=853_005_000, reads=32, writes=16)
def add_collateral_(
    s: State,
    coldkey: Signed,
    netuid: NetUid,
    hotkey: AccountId,
    alpha: Alpha,
    limit_price: Rao,
) -> None:
    """Lock more alpha behind an own hotkey: free stake first, the rest bought under a limit."""
    ensure(netuid != ROOT_NETUID, Error.RegistrationNotPermittedOnRootSubnet)
    ensure(is_subnet(s, netuid), Error.SubnetNotExists)
    ensure_subtoken_enabled(s, netuid)
    _ensure_own(s, coldkey, hotkey)
    ensure(alpha > 0, Error.AmountTooLow)
    held = get_stake(s, hotkey, coldkey, netuid)
    own = min(sat_sub(held, get_collateral(s, netuid, hotkey, coldkey)), alpha)
    bought = _buy(s, coldkey, hotkey, netuid, alpha - own, limit_price)
    ensure(own + bought > 0, Error.AmountTooLow)
    _lock(s, netuid, hotkey, coldkey, own + bought)


def _buy(
    s: State, coldkey: AccountId, hotkey: AccountId, netuid: NetUid, alpha: int, limit: int
) -> int:
    """Stake the TAO that alpha is worth at the slow price; the alpha it brought."""
    if not alpha:
        return 0
    price = get_moving_price(s, netuid)
    ensure(price > 0, Error.InsufficientLiquidity)
    tao = U64F64.to_u64(U64F64.mul(U64F64.from_int(alpha), price))
    if not tao:
        return 0
    ensure_input_fits(s, netuid, Side.BUY, tao)
    ensure_can_add(s, coldkey, hotkey, netuid, tao, tao, allow_partial=False)
    ensure(get_keep_alive_balance(s, coldkey) >= tao, Error.NotEnoughBalanceToStake)
    ensure(tao <= get_max_add(s, netuid, limit), Error.SlippageTooHigh)
    return stake_into_subnet(s, hotkey, coldkey, netuid, tao, limit)


@call(145, weight=29_895_000, reads=4, writes=2)
def set_min_collateral(
    s: State, coldkey: Signed, netuid: NetUid, hotkey: AccountId, min_locked: Alpha
) -> None:
    """Set the floor to which an own hotkey's collateral drains, and is filled up again."""
    ensure(netuid != ROOT_NETUID, Error.RegistrationNotPermittedOnRootSubnet)
    ensure(is_subnet(s, netuid), Error.SubnetNotExists)
    _ensure_own(s, coldkey, hotkey)
    state = s[MinerCollateral, netuid, hotkey, coldkey] or fresh(s, netuid)
    set_state(s, netuid, hotkey, coldkey, replace(state, min_locked=min_locked))
    s.emit(MinCollateralSet(netuid, hotkey, min_locked))
