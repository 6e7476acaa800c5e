"""Trades of funds: a validator sells one holding of its fund and buys another.

Shares and owners stay as they are. So that a stolen key costs a fund little, each trade is bound to
prices that nobody can push within a block, to a budget that refills over a day, and to limits of
what a fund may have of a pool and of one subnet.

Upstream: pallets/subtensor/src/staking/basket_trade.rs
"""

from __future__ import annotations

from chain.pallets import swap
from chain.pallets.subtensor.accounts import (
    compute_subnet_account,
    ensure_subtoken_enabled,
    get_netuids,
    is_owner,
    is_subnet,
)
from chain.pallets.subtensor.author_fees import pay_author_in_alpha, pay_author_in_tao
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_baskets import BasketSwapped
from chain.pallets.subtensor.fund import (
    Fund,
    Holding,
    add_cash,
    add_holding,
    ensure_funds,
    get_guarded,
    get_holding,
    get_holdings,
    get_shown_worth,
    get_valued,
    get_worth,
    take_cash,
    take_holding,
)
from chain.pallets.subtensor.fund_deposits import flush
from chain.pallets.subtensor.fund_staking import ROW_WEIGHT
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.subtensor.pool_trades import buy_alpha, record_protocol_flow, sell_alpha
from chain.pallets.subtensor.price import get_moving_price
from chain.pallets.subtensor.stake_utils import MIN_STAKE
from chain.pallets.subtensor.storage_baskets import (
    BasketConcentrationCap,
    BasketDailyTurnoverCap,
    BasketLiquidityCap,
    BasketTradeBucket,
    BasketTradingEnabled,
    BasketTradingFrozen,
    SubnetFastMovingPrice,
)
from chain.pallets.subtensor.storage_pool import SubnetAlphaIn
from chain.pallets.subtensor.tao import pay_from_subnet
from chain.pallets.system import block_number
from chain.runtime.call import READ_WEIGHT, WRITE_WEIGHT, PostInfo
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State
from consensus.economics import basket
from consensus.economics.fixed import Fx64
from consensus.economics.trade import Side
from ganglion.fixed import clamp_u64, sat_sub
from ganglion.scale import u64
from ganglion.units import ROOT_NETUID, AccountId, Alpha, NetUid, Rao

LEGS_WEIGHT = 1_300_000_000 + 60 * READ_WEIGHT + 40 * WRITE_WEIGHT
"""Of the two trades, with their fees and payments."""
MAX_ROWS = 256
"""Holdings, and waiting dividends, that the declared weight pays for."""


def get_weight(rows: int) -> int:
    """Weight of a trade of a fund with so many holdings."""
    return LEGS_WEIGHT + ROW_WEIGHT * rows


# --- the budget --------------------------------------------------------------------------------


def get_budget(s: State, nav: int) -> Rao:
    """TAO that the bucket of a fund worth `nav` holds when full."""
    return Rao(basket.budget(nav, s[BasketDailyTurnoverCap]))


def get_available(s: State, fund: Fund, budget: int) -> Rao:
    """TAO that a fund may still trade now."""
    return Rao(basket.bucket_level(s[BasketTradeBucket, fund], block_number(s), budget))


def get_shown_guarded_nav(s: State, fund: Fund) -> Rao:
    """A fund's guarded worth, for readers."""
    return Rao(
        clamp_u64(
            sum(
                get_guarded(s, Holding(netuid, alpha, get_shown_worth(s, netuid, alpha)))
                for netuid, alpha in get_holdings(s, fund)
            )
        )
    )


def _spend(s: State, fund: Fund, nav: int, tao: int) -> None:
    available = get_available(s, fund, get_budget(s, nav))
    ensure(tao <= available, Error.BasketTurnoverBudgetExceeded)
    s[BasketTradeBucket, fund] = (available - tao, block_number(s))


# --- the call ----------------------------------------------------------------------------------


def _ensure_may_trade(
    s: State, coldkey: AccountId, fund: Fund, origin: NetUid, destination: NetUid, amount: int
) -> None:
    ensure(s[BasketTradingEnabled], Error.BasketTradingDisabled)
    ensure((BasketTradingFrozen, fund) not in s, Error.BasketTradingFrozen)
    ensure_funds(s)
    ensure(origin != destination, Error.BasketSameSubnet)
    ensure(is_owner(s, coldkey, fund), Error.NonAssociatedColdKey)
    ensure(is_registered(s, ROOT_NETUID, fund), Error.HotKeyNotRegisteredInSubNet)
    for netuid in (origin, destination):
        ensure(netuid == ROOT_NETUID or is_subnet(s, netuid), Error.SubnetNotExists)
    for netuid in (origin, destination):
        if netuid != ROOT_NETUID:
            ensure_subtoken_enabled(s, netuid)
    ensure(amount > 0, Error.AmountTooLow)


@call(150, weight=get_weight(4 * MAX_ROWS))
def swap_basket(
    s: State,
    coldkey: Signed,
    hotkey: AccountId,
    origin_netuid: NetUid,
    destination_netuid: NetUid,
    amount: Alpha,
    min_amount_out: u64,
) -> PostInfo:
    """Sell part of one holding of a fund and buy another with it; netuid 0 is the fund's TAO.

    `min_amount_out` is the least alpha (TAO on netuid 0) that the purchase must bring.
    """
    _ensure_may_trade(s, coldkey, hotkey, origin_netuid, destination_netuid, amount)
    work = flush(s, hotkey)
    held = get_holding(s, hotkey, origin_netuid)
    ensure(amount <= held, Error.NotEnoughStakeToWithdraw)
    before = get_valued(s, hotkey)
    values = {each.netuid: get_guarded(s, each) for each in before}
    nav = clamp_u64(sum(values.values()))

    tao = _sell(s, hotkey, origin_netuid, amount)
    ensure(tao >= MIN_STAKE, Error.AmountTooLow)
    _spend(s, hotkey, nav, tao)
    pay_from_subnet(s, origin_netuid, compute_subnet_account(destination_netuid), tao)
    bought = _buy(s, hotkey, destination_netuid, tao)
    ensure(bought >= min_amount_out, Error.BasketMinOutNotMet)
    _ensure_liquid(s, hotkey, destination_netuid)

    rest = sat_sub(nav, values.get(origin_netuid, 0) + values.get(destination_netuid, 0))
    sold_of, bought_of = (_value(s, hotkey, n) for n in (origin_netuid, destination_netuid))
    nav = clamp_u64(rest + get_guarded(s, sold_of) + get_guarded(s, bought_of))
    _ensure_spread(s, bought_of.worth or 0, nav)
    s.emit(BasketSwapped(hotkey, origin_netuid, destination_netuid, amount, tao, bought))
    return PostInfo(weight=get_weight(len(before) + 1 + work.quotes + 8 * work.rows))


def _value(s: State, fund: Fund, netuid: NetUid) -> Holding:
    alpha = get_holding(s, fund, netuid)
    return Holding(netuid, alpha, get_worth(s, netuid, alpha))


def _sell(s: State, fund: Fund, netuid: NetUid, alpha: int) -> Rao:
    """Sell out of a holding, all of it above the floor; the TAO, on the subnet's account."""
    if netuid == ROOT_NETUID:
        take_cash(s, fund, alpha)
        return Rao(alpha)
    take_holding(s, fund, netuid, alpha)
    done = sell_alpha(s, netuid, alpha, _limit(s, netuid, Side.SELL), drop_fees=False)
    ensure(done.paid_in + done.fee == alpha, Error.SlippageTooHigh)
    ensure(done.paid_out > 0, Error.AmountTooLow)
    fee = pay_author_in_alpha(s, netuid, done.fee_to_author)
    record_protocol_flow(s, netuid, -clamp_u64(done.paid_out + fee))
    return Rao(done.paid_out)


def _buy(s: State, fund: Fund, netuid: NetUid, tao: int) -> Alpha:
    """Buy for a holding, all of it under the ceiling, with TAO on the subnet's account."""
    if netuid == ROOT_NETUID:
        add_cash(s, fund, tao)
        return Alpha(tao)
    done = buy_alpha(s, netuid, tao, _limit(s, netuid, Side.BUY), drop_fees=False)
    ensure(done.paid_in + done.fee == tao, Error.SlippageTooHigh)
    ensure(done.paid_out > 0, Error.AmountTooLow)
    pay_author_in_tao(s, netuid, done.fee_to_author)
    record_protocol_flow(s, netuid, done.paid_in)
    add_holding(s, fund, netuid, done.paid_out)
    return Alpha(done.paid_out)


def _limit(s: State, netuid: NetUid, side: Side) -> int:
    """The price limit of one trade; SlippageTooHigh if the price is past it, or has no average."""
    slow: Fx64 = get_moving_price(s, netuid)
    fast: Fx64 = s[SubnetFastMovingPrice, netuid] or 0
    ensure(slow > 0 and fast > 0, Error.SlippageTooHigh)
    spot = swap.get_price(s, netuid)
    if side is Side.BUY:
        bound = basket.buy_ceiling(slow, fast, spot)
        ensure(spot <= bound, Error.SlippageTooHigh)
    else:
        bound = basket.sell_floor(slow, fast, spot)
        ensure(spot >= bound, Error.SlippageTooHigh)
    return basket.in_rao(bound)


def _ensure_liquid(s: State, fund: Fund, netuid: NetUid) -> None:
    """A fund may not hold more of a subnet than a part of what its pool holds."""
    if netuid != ROOT_NETUID:
        held, reserve = get_holding(s, fund, netuid), s[SubnetAlphaIn, netuid]
        fits = basket.is_within(held, reserve, s[BasketLiquidityCap])
        ensure(fits, Error.BasketLiquidityCapExceeded)


def _ensure_spread(s: State, worth: int, nav: int) -> None:
    """What was bought may not be worth more than a part of the fund, if there is enough choice."""
    cap = basket.binding_cap(s[BasketConcentrationCap], len(get_netuids(s)))
    if cap is not None:
        ensure(basket.is_within(worth, nav, cap), Error.BasketConcentrationCapExceeded)
