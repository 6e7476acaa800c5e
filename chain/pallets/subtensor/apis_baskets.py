"""BetaBasketRuntimeApi: funds, who owns them, what they may trade, and how they compare.

Upstream: pallets/subtensor/src/rpc_info/basket_info.rs
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from chain.pallets.subtensor import beta_pricing
from chain.pallets.subtensor.fund import (
    Fund,
    get_holdings,
    get_owed,
    get_shown_nav,
    get_shown_worth,
    get_spot_worth,
)
from chain.pallets.subtensor.fund_trading import (
    get_available,
    get_budget,
    get_shown_guarded_nav,
)
from chain.pallets.subtensor.storage_baskets import (
    BasketDepositedTao,
    BasketRedeemedTao,
    BasketShares,
    BasketTradingEnabled,
    BasketTradingFrozen,
    BasketTwr,
)
from chain.pallets.subtensor.storage_stake import StakingHotkeys
from chain.runtime.apis import Api
from chain.runtime.state import State, iter_keys
from consensus.economics import basket, beta
from ganglion.fixed import U64F64 as FORMAT
from ganglion.fixed import clamp_u64
from ganglion.scale import scale_type, u32, u64
from ganglion.units import U64F64, AccountId, Alpha, NetUid, Rao

basket_api = Api("BetaBasketRuntimeApi", 4, "Root baskets: validators' funds.")

MAX_PAGE = 128
"""Funds that one answer prices."""


@scale_type("pallet_subtensor::rpc_info::basket_info::BasketHolding")
@dataclass(frozen=True, slots=True)
class BasketHolding:
    """What a fund has on a subnet: at the price of the moment, and what a sale would bring."""

    netuid: NetUid
    alpha: Alpha
    spot_tao: Rao
    realizable_tao: Rao


@scale_type("pallet_subtensor::rpc_info::basket_info::BasketSummary")
@dataclass(frozen=True, slots=True)
class BasketSummary:
    """A fund: its worth (what sales would bring, and at spot), shares, flows and holdings."""

    hotkey: AccountId
    nav_tao: Rao
    spot_nav_tao: Rao
    shares: u64
    deposited_tao: Rao
    redeemed_tao: Rao
    holdings: tuple[BasketHolding, ...]


@scale_type("pallet_subtensor::rpc_info::basket_info::BasketPosition")
@dataclass(frozen=True, slots=True)
class BasketPosition:
    """A coldkey's shares of a fund, all shares, and what both are worth."""

    hotkey: AccountId
    beta: u64
    beta_total: u64
    nav_tao: Rao
    value_tao: Rao
    spot_value_tao: Rao


@scale_type("pallet_subtensor::rpc_info::basket_info::BetaPricing")
@dataclass(frozen=True, slots=True)
class BetaPricing:
    """A fund's prices, all at spot, beside the indices they are compared with."""

    hotkey: AccountId
    spot_price: U64F64
    display_price: U64F64
    stake_price: U64F64
    staker_yield: U64F64
    staker_twr: U64F64
    bag_index: U64F64
    stake_index: U64F64
    first_block: u64
    provisional: bool
    spot_nav_tao: Rao
    shares: u64
    display_shares: U64F64


@scale_type("pallet_subtensor::rpc_info::basket_info::BetaPricingPage")
@dataclass(frozen=True, slots=True)
class BetaPricingPage:
    """Prices of some funds, and behind which one the next page starts."""

    pricing: tuple[BetaPricing, ...]
    next: AccountId | None


@scale_type("pallet_subtensor::rpc_info::basket_info::BetaPosition")
@dataclass(frozen=True, slots=True)
class BetaPosition:
    """A coldkey's shares of a fund in the units of its display price."""

    hotkey: AccountId
    beta: u64
    display_beta: U64F64
    display_price: U64F64
    value_tao: Rao
    spot_value_tao: Rao
    provisional: bool


@scale_type("pallet_subtensor::rpc_info::basket_info::BasketTradingStatus")
@dataclass(frozen=True, slots=True)
class BasketTradingStatus:
    """Whether a fund may trade, and how much of its budget is left."""

    enabled: bool
    frozen: bool
    refill_blocks: u64
    tao_available: Rao
    budget_tao: Rao


# --- claims ------------------------------------------------------------------------------------


@basket_api.method
def get_root_basket_owed(s: State, coldkey: AccountId) -> Rao:
    """What all funds owe a coldkey, in TAO."""
    owed = (get_basket_payout(s, fund, coldkey) for fund in s[StakingHotkeys, coldkey])
    return Rao(clamp_u64(sum(owed)))


@basket_api.method
def get_basket_payout(s: State, hotkey: AccountId, coldkey: AccountId) -> Rao:
    """What one fund owes a coldkey, in TAO."""
    shares, owed = s[BasketShares, hotkey], _owed(s, hotkey, coldkey)
    return Rao(basket.payout(owed, get_shown_nav(s, hotkey), shares)) if owed else Rao(0)


def _owed(s: State, fund: Fund, coldkey: AccountId) -> int:
    shares = s[BasketShares, fund]
    return min(get_owed(s, fund, coldkey), shares) if shares else 0


@basket_api.method
def get_validator_basket_nav(s: State, hotkey: AccountId) -> Rao:
    """What a fund is worth."""
    return get_shown_nav(s, hotkey)


@basket_api.method
def get_validator_basket(s: State, hotkey: AccountId) -> tuple[tuple[NetUid, Alpha, Rao], ...]:
    """What a fund has: subnet, alpha, worth."""
    held = get_holdings(s, hotkey)
    return tuple((netuid, alpha, get_shown_worth(s, netuid, alpha)) for netuid, alpha in held)


@basket_api.method
def get_root_basket_total_nav(s: State) -> Rao:
    """What all funds are worth."""
    return Rao(clamp_u64(sum(get_shown_nav(s, fund) for fund in iter_keys(s, BasketShares))))


@basket_api.method
def get_validator_basket_summary(s: State, hotkey: AccountId) -> BasketSummary:
    """A fund with its holdings; zeros for a hotkey without one."""
    holdings = tuple(
        BasketHolding(
            netuid, alpha, get_spot_worth(s, netuid, alpha), get_shown_worth(s, netuid, alpha)
        )
        for netuid, alpha in get_holdings(s, hotkey)
    )
    return BasketSummary(
        hotkey,
        Rao(clamp_u64(sum(each.realizable_tao for each in holdings))),
        Rao(clamp_u64(sum(each.spot_tao for each in holdings))),
        s[BasketShares, hotkey],
        s[BasketDepositedTao, hotkey],
        s[BasketRedeemedTao, hotkey],
        holdings,
    )


@basket_api.method
def get_all_validator_baskets(s: State) -> tuple[BasketSummary, ...]:
    """All funds, in storage order."""
    return tuple(get_validator_basket_summary(s, fund) for fund in iter_keys(s, BasketShares))


@basket_api.method
def get_root_basket_positions(
    s: State, coldkey: AccountId
) -> tuple[tuple[AccountId, u64, Rao], ...]:
    """A coldkey's shares of every fund it has some of, and what they would pay."""
    return tuple(
        (fund, owed, get_basket_payout(s, fund, coldkey))
        for fund in s[StakingHotkeys, coldkey]
        if (owed := _owed(s, fund, coldkey))
    )


@basket_api.method
def get_basket_position(s: State, hotkey: AccountId, coldkey: AccountId) -> BasketPosition | None:
    """A coldkey's shares of one fund; None without any."""
    owed, shares = _owed(s, hotkey, coldkey), s[BasketShares, hotkey]
    if not owed:
        return None
    nav = get_shown_nav(s, hotkey)
    value, spot_value = _values(s, hotkey, owed)
    return BasketPosition(hotkey, owed, shares, nav, value, spot_value)


def _values(s: State, fund: Fund, owed: int) -> tuple[Rao, Rao]:
    """What shares would pay, and their part of the fund at spot."""
    shares, spot_nav = s[BasketShares, fund], _spot_nav(s, fund)
    value = basket.payout(owed, get_shown_nav(s, fund), shares)
    return Rao(value), Rao(basket.payout(owed, spot_nav, shares))


def _spot_nav(s: State, fund: Fund) -> Rao:
    held = get_holdings(s, fund)
    return Rao(clamp_u64(sum(get_spot_worth(s, netuid, alpha) for netuid, alpha in held)))


@basket_api.method
def get_root_basket_portfolio(s: State, coldkey: AccountId) -> tuple[BasketPosition, ...]:
    """A coldkey's shares of all funds."""
    found = (get_basket_position(s, fund, coldkey) for fund in s[StakingHotkeys, coldkey])
    return tuple(position for position in found if position is not None)


# --- prices ------------------------------------------------------------------------------------


@basket_api.method
def get_beta_pricing(s: State, hotkey: AccountId) -> BetaPricing | None:
    """A fund's prices; None for a hotkey without shares."""
    shares = s[BasketShares, hotkey]
    if not shares:
        return None
    nav = _spot_nav(s, hotkey)
    raw = beta.raw_price(nav, shares)
    marks, base = beta_pricing.get_marks(s, hotkey, raw)
    bag, stake = beta_pricing.get_levels(s)
    return BetaPricing(
        hotkey,
        U64F64(raw),
        U64F64(marks.display),
        U64F64(marks.stake),
        U64F64(marks.staker_yield),
        s[BasketTwr, hotkey],
        bag,
        stake,
        0 if base is None else base.first_block,
        base is None,
        nav,
        shares,
        U64F64(FORMAT.mul(FORMAT.from_int(shares), marks.divisor)),
    )


@basket_api.method
def get_all_beta_pricing(s: State, start_after: AccountId | None, limit: u32) -> BetaPricingPage:
    """Prices of up to `limit` funds (0: as many as a page holds) behind one, in storage order."""
    refs, key_of = s.keys_of(BasketShares), BasketShares.key_of
    funds = [ref[1] for ref in refs if s[ref]]
    first = 0
    if start_after is not None:
        after = key_of((BasketShares, start_after))
        first = bisect_right(funds, after, key=lambda fund: key_of((BasketShares, fund)))
    page = funds[first : first + (min(limit, MAX_PAGE) or MAX_PAGE)]
    has_more = first + len(page) < len(funds)
    pricing = (get_beta_pricing(s, fund) for fund in page)
    found = tuple(each for each in pricing if each is not None)
    return BetaPricingPage(found, page[-1] if page and has_more else None)


@basket_api.method
def get_beta_index(s: State) -> tuple[U64F64, U64F64]:
    """The index of bags and that of stakes."""
    return beta_pricing.get_levels(s)


@basket_api.method
def get_beta_position(s: State, hotkey: AccountId, coldkey: AccountId) -> BetaPosition | None:
    """A coldkey's shares of one fund in display units; None without any."""
    owed, shares = _owed(s, hotkey, coldkey), s[BasketShares, hotkey]
    if not owed:
        return None
    raw = beta.raw_price(_spot_nav(s, hotkey), shares)
    marks, base = beta_pricing.get_marks(s, hotkey, raw)
    value, spot_value = _values(s, hotkey, owed)
    return BetaPosition(
        hotkey,
        owed,
        U64F64(FORMAT.mul(FORMAT.from_int(owed), marks.divisor)),
        U64F64(marks.display),
        value,
        spot_value,
        base is None,
    )


@basket_api.method
def get_beta_portfolio(s: State, coldkey: AccountId) -> tuple[BetaPosition, ...]:
    """A coldkey's shares of all funds in display units."""
    found = (get_beta_position(s, fund, coldkey) for fund in s[StakingHotkeys, coldkey])
    return tuple(position for position in found if position is not None)


@basket_api.method
def get_basket_trading_status(s: State, hotkey: AccountId) -> BasketTradingStatus:
    """Whether and how much a fund could trade in this block."""
    budget = get_budget(s, get_shown_guarded_nav(s, hotkey))
    return BasketTradingStatus(
        s[BasketTradingEnabled],
        (BasketTradingFrozen, hotkey) in s,
        basket.REFILL_BLOCKS,
        get_available(s, hotkey, budget),
        budget,
    )
