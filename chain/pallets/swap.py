"""Swap (pallet 28): the price of a subnet's alpha, and trades between it and TAO.

The reserves belong to the subtensor pallet; this one holds the weights of the pool and the fee
rate, works out what a trade moves, and leaves the moving to its caller. A stable subnet
(mechanism 0) trades one for one without fee.

Upstream: pallets/swap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.pallets.subtensor.storage_network import NetworksAdded, SubnetMechanism
from chain.pallets.subtensor.storage_pool import SubnetAlphaIn, SubnetTAO
from chain.runtime.errors import Errors, ModuleError, ensure, error
from chain.runtime.origin import AnyOrigin, Root
from chain.runtime.pallet import Constant, Pallet, call, constant, event
from chain.runtime.state import State
from chain.runtime.storage import Identity, Map, Twox, storage
from consensus.economics import trade as rules
from consensus.economics.balancer import HALF, Pool, weight_after_injection, weight_for_price
from consensus.economics.fixed import Fx64
from consensus.economics.trade import Refusal, Side, Trade
from ganglion.fixed import U64F64, clamp_u64
from ganglion.scale import AtMost, i32, i64, scale_type, u16, u64, u128
from ganglion.units import AccountId, Alpha, NetUid, Rao

DYNAMIC = 1
"""The mechanism of a subnet whose price follows its pool."""

MaxFeeRate: Constant[u16] = constant(rules.MAX_FEE_RATE)
"""The maximum fee rate that can be set."""

MinimumReserve: Constant[u64] = constant(rules.MINIMUM_RESERVE)
"""Minimum reserve for tao and alpha."""


@scale_type("sp_arithmetic::per_things::Perquintill")
@dataclass(frozen=True, slots=True)
class Perquintill:
    """A share in units of 10^-18."""

    _0: u64


@scale_type("pallet_subtensor_swap::pallet::balancer::Balancer")
@dataclass(frozen=True, slots=True)
class Balancer:
    """The weight of the TAO side of a pool; the alpha side has the rest."""

    quote: Perquintill


@scale_type("pallet_subtensor_swap::pallet::TickIndex")
@dataclass(frozen=True, slots=True)
class TickIndex:
    """A price step of the retired kind of pool."""

    _0: i32


@scale_type("pallet_subtensor_swap::pallet::PositionId")
@dataclass(frozen=True, slots=True)
class PositionId:
    """A liquidity position of the retired kind of pool."""

    _0: u128


EVEN = Balancer(Perquintill(HALF))

FeeRate: Map[Twox[NetUid], u16] = storage(default=rules.DEFAULT_FEE_RATE)
"""The fee rate applied to swaps per subnet, normalized value between 0 and u16::MAX."""

SwapBalancer: Map[Twox[NetUid], Balancer] = storage(default=EVEN)
"""Weights of a subnet's pool."""

PalSwapInitialized: Map[Twox[NetUid], bool] = storage(default=False)
"""Whether the pool has been given its weights."""

ScrapReservoirAlpha: Map[Twox[NetUid], Alpha] = storage(default=0)
"""What the retired kind of pool left over; no chain of ours has had such pools."""

HasMigrationRun: Map[Identity[Annotated[bytes, AtMost(128)]], bool] = storage(default=False)
"""Migrations that have run; none ever on this chain."""


@event(0)
class FeeRateSet:
    """Event emitted when the fee rate has been updated for a subnet."""

    netuid: NetUid
    rate: u16


class Error(Errors):
    """Upstream's errors; those of the retired kind of pool only keep their numbers."""

    FeeRateTooHigh = error(0, "The fee rate is too high")
    InsufficientInputAmount = error(1, "The provided amount is insufficient for the swap.")
    InsufficientLiquidity = error(2, "The provided liquidity is insufficient for the operation.")
    PriceLimitExceeded = error(3, "The operation would exceed the price limit.")
    InsufficientBalance = error(4, "The caller does not have enough balance for the operation.")
    InvalidTickRange = error(5, "The provided tick range is invalid.")
    InvalidLiquidityValue = error(6, "Provided liquidity parameter is invalid (likely too small)")
    ReservesTooLow = error(7, "Reserves too low for operation.")
    MechanismDoesNotExist = error(8, "The subnet does not exist.")
    SubtokenDisabled = error(9, "The subnet does not have subtoken enabled")
    ReservesOutOfBalance = error(10, "Swap reserves are too imbalanced")
    SwapInputTooLarge = error(11, "Swap input is too large relative to input-side liquidity")
    Deprecated = error(12, "The extrinsic is deprecated")


REFUSALS: dict[Refusal, type[ModuleError]] = {
    Refusal.SwapInputTooLarge: Error.SwapInputTooLarge,
    Refusal.ReservesTooLow: Error.ReservesTooLow,
    Refusal.PriceLimitExceeded: Error.PriceLimitExceeded,
}


@call(0, weight=13_000_000, reads=2, writes=1)
def set_fee_rate(s: State, origin: Root, netuid: NetUid, rate: u16) -> None:
    """Set the fee rate for swaps on a specific subnet (normalized value).

    For example, 0.3% is approximately 196. Only root can call this function.
    """
    ensure(s[NetworksAdded, netuid], Error.MechanismDoesNotExist)
    ensure(rate <= MaxFeeRate.value, Error.FeeRateTooHigh)
    s[FeeRate, netuid] = rate
    s.emit(FeeRateSet(netuid, rate))


@call(1, weight=15_000_000)
def add_liquidity(
    s: State,
    origin: AnyOrigin,
    hotkey: AccountId,
    netuid: NetUid,
    tick_low: TickIndex,
    tick_high: TickIndex,
    liquidity: u64,
) -> None:
    """DEPRECATED: user liquidity does not exist any more."""
    raise Error.Deprecated


@call(2, weight=15_000_000)
def remove_liquidity(
    s: State, origin: AnyOrigin, hotkey: AccountId, netuid: NetUid, position_id: PositionId
) -> None:
    """DEPRECATED: user liquidity does not exist any more."""
    raise Error.Deprecated


@call(3, weight=15_000_000)
def modify_position(
    s: State,
    origin: AnyOrigin,
    hotkey: AccountId,
    netuid: NetUid,
    position_id: PositionId,
    liquidity_delta: i64,
) -> None:
    """DEPRECATED: user liquidity does not exist any more."""
    raise Error.Deprecated


@call(4, weight=15_000_000)
def toggle_user_liquidity(s: State, origin: AnyOrigin, netuid: NetUid, enable: bool) -> None:
    """DEPRECATED: user liquidity does not exist any more."""
    raise Error.Deprecated


@call(5, weight=15_000_000)
def disable_lp(s: State, origin: AnyOrigin) -> None:
    """DEPRECATED: user liquidity does not exist any more."""
    raise Error.Deprecated


def is_dynamic(s: State, netuid: NetUid) -> bool:
    """Whether the subnet's price follows its pool."""
    return s[SubnetMechanism, netuid] == DYNAMIC


def get_pool(s: State, netuid: NetUid) -> Pool:
    """Reserves and weights as they stand."""
    weight = s[SwapBalancer, netuid].quote._0
    return Pool(s[SubnetTAO, netuid], s[SubnetAlphaIn, netuid], weight)


def get_price(s: State, netuid: NetUid) -> Fx64:
    """TAO for one alpha at the margin, as U64F64 bits; one on a stable subnet."""
    return get_pool(s, netuid).price() if is_dynamic(s, netuid) else U64F64.one


def get_fee(s: State, netuid: NetUid, amount: int) -> int:
    """The fee inside `amount`, in the token brought."""
    return rules.fee_for(s[FeeRate, netuid], amount) if is_dynamic(s, netuid) else 0


def get_alpha_worth(s: State, netuid: NetUid, tao: int) -> int:
    """Alpha worth `tao` at the margin, slippage ignored."""
    return rules.alpha_worth(get_price(s, netuid), tao) if is_dynamic(s, netuid) else tao


def _trade(s: State, netuid: NetUid, side: Side, amount: int, limit: int, drop_fees: bool) -> Trade:
    pool = get_pool(s, netuid)
    if not s[PalSwapInitialized, netuid]:
        pool = pool._replace(quote_weight=HALF)
    rate = 0 if drop_fees else s[FeeRate, netuid]
    result = rules.trade(pool, side, amount, rules.limit_price(limit), rate)
    if isinstance(result, Refusal):
        raise REFUSALS[result]
    return result


def do_swap(
    s: State, netuid: NetUid, side: Side, amount: int, limit: int, drop_fees: bool
) -> Trade:
    """Trade on a dynamic subnet; the caller moves the reserves by what is returned.

    `limit` is in rao for a whole alpha. Raises SwapInputTooLarge, ReservesTooLow or
    PriceLimitExceeded, before any write.
    """
    done = _trade(s, netuid, side, amount, limit, drop_fees)
    reserve = s[SubnetAlphaIn, netuid] if side is Side.BUY else s[SubnetTAO, netuid]
    ensure(done.paid_out <= reserve, Error.InsufficientLiquidity)
    if not s[PalSwapInitialized, netuid]:
        init_swap(s, netuid)
    return done


def sim_swap(s: State, netuid: NetUid, side: Side, amount: int) -> Trade:
    """What a trade with fee and without a limit would move; changes nothing.

    Raises what `do_swap` raises. On a stable subnet all of `amount` passes one for one, on an
    unknown one nothing does.
    """
    if is_dynamic(s, netuid):
        return sim_swap_limit(s, netuid, side, amount, rules.default_limit(side))
    moved = amount if s[NetworksAdded, netuid] else 0
    return Trade(moved, moved, 0, 0)


def sim_swap_limit(s: State, netuid: NetUid, side: Side, amount: int, limit: int) -> Trade:
    """What a trade with fee under a limit would move on a dynamic subnet; changes nothing."""
    return _trade(s, netuid, side, amount, limit, False)


def quote_sale(s: State, netuid: NetUid, alpha: int) -> int:
    """TAO that alpha would bring on a dynamic subnet without a fee; changes nothing.

    Raises what `do_swap` raises.
    """
    done = _trade(s, netuid, Side.SELL, alpha, rules.MIN_PRICE, True)
    ensure(done.paid_out <= s[SubnetTAO, netuid], Error.InsufficientLiquidity)
    return done.paid_out


def adjust_protocol_liquidity(s: State, netuid: NetUid, tao: int, alpha: int) -> tuple[Rao, Alpha]:
    """Set the weights so that adding these reserves keeps the price; what may be added.

    Nothing may be added when a weight would fall under one percent.
    """
    weight = weight_after_injection(get_pool(s, netuid), tao, alpha)
    if weight is None:
        return Rao(0), Alpha(0)
    s[SwapBalancer, netuid] = Balancer(Perquintill(weight))
    return Rao(tao), Alpha(alpha)


def init_swap(s: State, netuid: NetUid, price: Fx64 | None = None) -> None:
    """Give a pool its first weights: even, or those of `price`; nothing if it has some.

    A price that the reserves cannot have leaves the pool as it is.
    """
    if s[PalSwapInitialized, netuid]:
        return
    weight: int | None = HALF
    if price is not None:
        weight = weight_for_price(s[SubnetTAO, netuid], s[SubnetAlphaIn, netuid], price)
    if weight is None:
        return
    s[SwapBalancer, netuid] = Balancer(Perquintill(weight))
    s[PalSwapInitialized, netuid] = True


def clear_protocol_liquidity(s: State, netuid: NetUid) -> None:
    """Empty the pool of a dissolved subnet and forget its weights and fee rate."""
    if s[SubnetTAO, netuid]:
        s[SubnetTAO, netuid] = Rao(0)
    if s[SubnetAlphaIn, netuid]:
        s[SubnetAlphaIn, netuid] = Alpha(0)
    for ref in ((PalSwapInitialized, netuid), (FeeRate, netuid), (SwapBalancer, netuid)):
        del s[ref]


def get_largest_input(s: State, netuid: NetUid, side: Side, limit: int) -> int:
    """The most that can be brought under `limit` (rao for a whole alpha), fee included.

    Raises what `do_swap` raises.
    """
    reserve = s[SubnetTAO, netuid] if side is Side.BUY else s[SubnetAlphaIn, netuid]
    amount = clamp_u64(reserve * rules.INPUT_TO_RESERVE_LIMIT)
    done = sim_swap_limit(s, netuid, side, amount, limit)
    return clamp_u64(done.paid_in + done.fee)


pallet = Pallet("Swap", __name__, crate="pallet_subtensor_swap").seal()
