"""The staking calls: TAO to alpha and back, with and without a price limit; alpha destroyed.

Limits are in rao for one whole alpha.

Upstream: pallets/subtensor/src/staking/{add_stake,remove_stake,recycle_alpha}.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.accounts import (
    ensure_hotkey,
    ensure_subtoken_enabled,
    get_netuids,
    is_owner,
    is_subnet,
)
from chain.pallets.subtensor.alpha import burn_alpha as do_burn_subnet_alpha
from chain.pallets.subtensor.alpha import recycle_alpha as do_recycle_subnet_alpha
from chain.pallets.subtensor.collateral import ensure_free
from chain.pallets.subtensor.delegation import maybe_become_delegate
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_stake import AddStakeBurn, AlphaBurned, AlphaRecycled
from chain.pallets.subtensor.heritage import get_total_stake_for_hotkey
from chain.pallets.subtensor.share_pool import get_stake, take_stake
from chain.pallets.subtensor.stake_checks import (
    can_remove,
    ensure_can_add,
    ensure_can_remove,
    ensure_input_fits,
    get_max_add,
    get_max_remove,
)
from chain.pallets.subtensor.stake_utils import (
    clear_small_nomination,
    stake_into_subnet,
    unstake_from_subnet,
)
from chain.pallets.subtensor.storage_delegation import PendingChildKeys
from chain.pallets.subtensor.storage_hyperparameters import StakeThreshold
from chain.pallets.subtensor.storage_network import SubtokenEnabled
from chain.pallets.subtensor.storage_pool import SubnetAlphaOut
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State
from consensus.economics.trade import MAX_PRICE, MIN_PRICE, Side
from ganglion.units import ROOT_NETUID, AccountId, Alpha, NetUid, Rao

# --- in ----------------------------------------------------------------------------------------


def do_add_stake(
    s: State, coldkey: AccountId, hotkey: AccountId, netuid: NetUid, tao: int
) -> Alpha:
    """Stake all of `tao` at whatever price; the alpha it bought."""
    ensure_input_fits(s, netuid, Side.BUY, tao)
    ensure_can_add(s, coldkey, hotkey, netuid, tao, tao, allow_partial=False)
    return stake_into_subnet(s, hotkey, coldkey, netuid, tao, MAX_PRICE)


def do_add_stake_limit(
    s: State,
    coldkey: AccountId,
    hotkey: AccountId,
    netuid: NetUid,
    tao: int,
    limit: int,
    *,
    allow_partial: bool,
) -> Alpha:
    """Stake `tao`, or as much of it as the limit allows; the alpha it bought."""
    ensure_input_fits(s, netuid, Side.BUY, tao)
    most = get_max_add(s, netuid, limit)
    ensure_can_add(s, coldkey, hotkey, netuid, tao, most, allow_partial=allow_partial)
    if not is_owner(s, coldkey, hotkey):
        maybe_become_delegate(s, hotkey)
    return stake_into_subnet(s, hotkey, coldkey, netuid, min(tao, most), limit)


@call(2, weight=664_064_000, reads=32, writes=16)
def add_stake(
    s: State, coldkey: Signed, hotkey: AccountId, netuid: NetUid, amount_staked: Rao
) -> None:
    """Stake TAO behind a hotkey on a subnet, at the price of its pool."""
    do_add_stake(s, coldkey, hotkey, netuid, amount_staked)


@call(88, weight=853_005_000, reads=32, writes=16)
def add_stake_limit(
    s: State,
    coldkey: Signed,
    hotkey: AccountId,
    netuid: NetUid,
    amount_staked: Rao,
    limit_price: Rao,
    allow_partial: bool,
) -> None:
    """Stake TAO as long as alpha costs no more than a limit: all of it, or what is possible."""
    do_add_stake_limit(
        s, coldkey, hotkey, netuid, amount_staked, limit_price, allow_partial=allow_partial
    )


# --- out ---------------------------------------------------------------------------------------


def do_remove_stake(
    s: State, coldkey: AccountId, hotkey: AccountId, netuid: NetUid, alpha: int
) -> None:
    """Sell alpha at whatever price; more than is held means all of it."""
    ensure_subtoken_enabled(s, netuid)
    held = get_stake(s, hotkey, coldkey, netuid)
    alpha = min(alpha, held)
    ensure_input_fits(s, netuid, Side.SELL, alpha)
    ensure_can_remove(s, coldkey, hotkey, netuid, alpha, alpha, held=held)
    unstake_from_subnet(s, hotkey, coldkey, netuid, alpha, MIN_PRICE)
    _after_removal(s, hotkey, coldkey, netuid)


def do_remove_stake_limit(
    s: State,
    coldkey: AccountId,
    hotkey: AccountId,
    netuid: NetUid,
    alpha: int,
    limit: int,
    *,
    allow_partial: bool,
) -> None:
    """Sell alpha, or as much of it as the limit allows."""
    ensure_input_fits(s, netuid, Side.SELL, alpha)
    most = get_max_remove(s, netuid, limit)
    ensure_can_remove(s, coldkey, hotkey, netuid, alpha, most, allow_partial=allow_partial)
    unstake_from_subnet(s, hotkey, coldkey, netuid, min(alpha, most), limit)
    _after_removal(s, hotkey, coldkey, netuid)


def _after_removal(s: State, hotkey: AccountId, coldkey: AccountId, netuid: NetUid) -> None:
    """Clear what is too small to stay, and children that the hotkey may no longer name."""
    clear_small_nomination(s, hotkey, coldkey, netuid)
    threshold = s[StakeThreshold]
    if threshold and get_total_stake_for_hotkey(s, hotkey) < threshold:
        for other in get_netuids(s):
            if (PendingChildKeys, other, hotkey) in s:
                del s[PendingChildKeys, other, hotkey]


@call(3, weight=569_198_000, reads=28, writes=13)
def remove_stake(
    s: State, coldkey: Signed, hotkey: AccountId, netuid: NetUid, amount_unstaked: Alpha
) -> None:
    """Sell alpha behind a hotkey for TAO, at the price of the subnet's pool."""
    do_remove_stake(s, coldkey, hotkey, netuid, amount_unstaked)


@call(89, weight=740_696_000, reads=27, writes=13)
def remove_stake_limit(
    s: State,
    coldkey: Signed,
    hotkey: AccountId,
    netuid: NetUid,
    amount_unstaked: Alpha,
    limit_price: Rao,
    allow_partial: bool,
) -> None:
    """Sell alpha as long as it brings no less than a limit: all of it, or what is possible."""
    do_remove_stake_limit(
        s, coldkey, hotkey, netuid, amount_unstaked, limit_price, allow_partial=allow_partial
    )


@call(103, weight=754_292_000, reads=27, writes=13)
def remove_stake_full_limit(
    s: State, coldkey: Signed, hotkey: AccountId, netuid: NetUid, limit_price: Rao | None
) -> None:
    """Sell all alpha behind a hotkey on a subnet, or nothing if it brings less than a limit."""
    alpha = get_stake(s, hotkey, coldkey, netuid)
    if limit_price is None:
        do_remove_stake(s, coldkey, hotkey, netuid, alpha)
    else:
        do_remove_stake_limit(s, coldkey, hotkey, netuid, alpha, limit_price, allow_partial=False)


def _unstake_where_possible(
    s: State, coldkey: AccountId, hotkey: AccountId, *, only_alpha: bool
) -> Rao:
    """Sell everything behind a hotkey, passing over subnets where it cannot be; the TAO."""
    ensure_hotkey(s, hotkey)
    total = 0
    for netuid in get_netuids(s):
        if not s[SubtokenEnabled, netuid] or (only_alpha and netuid == ROOT_NETUID):
            continue
        alpha = get_stake(s, hotkey, coldkey, netuid)
        if can_remove(s, coldkey, hotkey, netuid, alpha):
            total += unstake_from_subnet(s, hotkey, coldkey, netuid, alpha, MIN_PRICE)
            clear_small_nomination(s, hotkey, coldkey, netuid)
    return Rao(total)


@call(83, weight=26_830_000, reads=6)
def unstake_all(s: State, coldkey: Signed, hotkey: AccountId) -> None:
    """Sell all stake behind a hotkey, on every subnet where that is possible."""
    _unstake_where_possible(s, coldkey, hotkey, only_alpha=False)


@call(84, weight=700_873_000, reads=43, writes=25)
def unstake_all_alpha(s: State, coldkey: Signed, hotkey: AccountId) -> None:
    """Sell all alpha behind a hotkey and stake the TAO behind it on root."""
    tao = _unstake_where_possible(s, coldkey, hotkey, only_alpha=True)
    stake_into_subnet(s, hotkey, coldkey, ROOT_NETUID, tao, MAX_PRICE)


# --- destroyed ---------------------------------------------------------------------------------


def _take_alpha(
    s: State, coldkey: AccountId, hotkey: AccountId, amount: int, netuid: NetUid
) -> Alpha:
    """Take alpha, at most what is held, from a position to destroy it."""
    ensure(is_subnet(s, netuid), Error.SubnetNotExists)
    ensure(netuid != ROOT_NETUID, Error.CannotBurnOrRecycleOnRootSubnet)
    ensure_subtoken_enabled(s, netuid)
    ensure_hotkey(s, hotkey)
    alpha = min(amount, get_stake(s, hotkey, coldkey, netuid))
    ensure(s[SubnetAlphaOut, netuid] >= alpha, Error.InsufficientLiquidity)
    ensure_free(s, coldkey, hotkey, netuid, alpha)
    take_stake(s, hotkey, coldkey, netuid, alpha)
    return Alpha(alpha)


def do_burn_alpha(
    s: State, coldkey: AccountId, hotkey: AccountId, amount: int, netuid: NetUid
) -> None:
    """Destroy alpha of a position; it stays counted in the subnet's alpha."""
    alpha = _take_alpha(s, coldkey, hotkey, amount, netuid)
    do_burn_subnet_alpha(s, netuid, alpha)
    s.emit(AlphaBurned(coldkey, hotkey, alpha, netuid))


@call(101, weight=172_139_000, reads=13, writes=6)
def recycle_alpha(
    s: State, coldkey: Signed, hotkey: AccountId, amount: Alpha, netuid: NetUid
) -> None:
    """Destroy alpha of a position so that it can be emitted again."""
    alpha = _take_alpha(s, coldkey, hotkey, amount, netuid)
    do_recycle_subnet_alpha(s, netuid, alpha)
    s.emit(AlphaRecycled(coldkey, hotkey, alpha, netuid))


@call(102, weight=168_964_000, reads=12, writes=4)
def burn_alpha(s: State, coldkey: Signed, hotkey: AccountId, amount: Alpha, netuid: NetUid) -> None:
    """Destroy alpha of a position for good."""
    do_burn_alpha(s, coldkey, hotkey, amount, netuid)


@call(132, weight=967_308_000, reads=33, writes=17)
def add_stake_burn(
    s: State,
    coldkey: Signed,
    hotkey: AccountId,
    netuid: NetUid,
    amount: Rao,
    limit: Rao | None,
) -> None:
    """Buy alpha with TAO, all of it under an optional limit, and burn what was bought."""
    if limit is None:
        alpha = do_add_stake(s, coldkey, hotkey, netuid, amount)
    else:
        alpha = do_add_stake_limit(s, coldkey, hotkey, netuid, amount, limit, allow_partial=False)
    do_burn_alpha(s, coldkey, hotkey, alpha, netuid)
    s.emit(AddStakeBurn(netuid, hotkey, amount, alpha))
