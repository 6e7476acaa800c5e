"""AdminUtils: what root may set about the trades of funds; deposits and claims go on."""

from __future__ import annotations

from chain.pallets.admin_utils_common import Error
from chain.pallets.subtensor import storage_baskets as baskets
from chain.runtime.errors import ensure
from chain.runtime.origin import Root
from chain.runtime.pallet import call, event
from chain.runtime.state import State
from ganglion.scale import u16
from ganglion.units import AccountId


@event(8)
class BasketConcentrationCapSet:
    """The part of a fund that one holding may be bought up to was set."""

    cap: u16


@event(9)
class BasketTradingToggled:
    """Trades of funds were switched on or off."""

    enabled: bool


@event(10)
class BasketTradingFrozenSet:
    """The trades of one fund were frozen or freed."""

    hotkey: AccountId
    frozen: bool


@event(11)
class BasketDailyTurnoverCapSet:
    """The part of a fund that it may trade at a time was set."""

    cap: u16


@event(12)
class BasketLiquidityCapSet:
    """The part of a pool that a fund may hold was set."""

    cap: u16


@call(105, weight=6_000_000, writes=1)
def sudo_set_basket_concentration_cap(s: State, origin: Root, cap: u16) -> None:
    """Set up to which part of a fund (of 65535) one holding may be bought."""
    ensure(cap > 0, Error.ValueNotInBounds)
    s[baskets.BasketConcentrationCap] = cap
    s.emit(BasketConcentrationCapSet(cap))


@call(106, weight=6_000_000, writes=1)
def sudo_set_basket_trading_enabled(s: State, origin: Root, enabled: bool) -> None:
    """Let funds trade, or stop all of them."""
    s[baskets.BasketTradingEnabled] = enabled
    s.emit(BasketTradingToggled(enabled))


@call(107, weight=6_000_000, writes=1)
def sudo_set_basket_trading_frozen(s: State, origin: Root, hotkey: AccountId, frozen: bool) -> None:
    """Stop one validator's fund from trading, or let it trade again."""
    if frozen:
        s[baskets.BasketTradingFrozen, hotkey] = ()
    else:
        del s[baskets.BasketTradingFrozen, hotkey]
    s.emit(BasketTradingFrozenSet(hotkey, frozen))


@call(108, weight=6_000_000, writes=1)
def sudo_set_basket_daily_turnover_cap(s: State, origin: Root, cap: u16) -> None:
    """Set which part of a fund (of 65535) its turnover bucket holds."""
    ensure(cap > 0, Error.ValueNotInBounds)
    s[baskets.BasketDailyTurnoverCap] = cap
    s.emit(BasketDailyTurnoverCapSet(cap))


@call(109, weight=6_000_000, writes=1)
def sudo_set_basket_liquidity_cap(s: State, origin: Root, cap: u16) -> None:
    """Set up to which part of a pool's alpha (of 65535) a fund may buy."""
    ensure(cap > 0, Error.ValueNotInBounds)
    s[baskets.BasketLiquidityCap] = cap
    s.emit(BasketLiquidityCapSet(cap))
