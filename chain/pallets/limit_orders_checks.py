"""Whether an order may run now, for how much, and what running it leaves behind.

Upstream: pallets/limit-orders/src/lib.rs
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.pallets import evm_chain_id, swap, timestamp
from chain.pallets.limit_orders_signing import is_signed
from chain.pallets.limit_orders_store import (
    Error,
    LinkedOutputConsumed,
    LinkedOutputRecorded,
    LinkedOutputs,
    LinkedOutputTtl,
    Orders,
)
from chain.pallets.limit_orders_types import (
    BILLION,
    Cancelled,
    FixedAmount,
    Fulfilled,
    LinkedOutput,
    LinkedPercentage,
    OrderType,
    OrderV2,
    PartiallyFilled,
    SignedOrder,
    as_v2,
)
from chain.pallets.subtensor.storage_keys import ColdkeySwapAnnouncements, ColdkeySwapDisputes
from chain.runtime.errors import ensure
from chain.runtime.state import State
from ganglion.fixed import U64_MAX, U64F64, clamp_u64, sat_add_u64, sat_sub
from ganglion.units import ROOT_NETUID, AccountId, Hash


@dataclass(frozen=True, slots=True)
class Sized:
    """An order that may run: its number, its full size, and how much of it runs now."""

    number: Hash
    order: OrderV2
    size: int
    now: int
    fill: int | None

    @property
    def fee_on_input(self) -> int:
        """The fee in TAO that a buy pays before it trades."""
        return self.order.fee_rate.of(self.now) if self.order.order_type.is_buy else 0

    @property
    def net(self) -> int:
        """What is traded."""
        return sat_sub(self.now, self.fee_on_input)


def check_order(s: State, signed: SignedOrder, number: Hash, relayer: AccountId) -> Sized:
    """Raise unless the order may run now; nothing is written."""
    order = as_v2(signed.order)
    ensure(order.netuid != ROOT_NETUID, Error.RootNetUidNotAllowed)
    ensure(order.chain_id == s[evm_chain_id.ChainId], Error.ChainIdMismatch)
    ensure(is_signed(signed), Error.InvalidSignature)
    ensure(not is_frozen(s, order.signer), Error.OrderSignerFrozen)
    status = s[Orders, number]
    ensure(not isinstance(status, Fulfilled), Error.OrderAlreadyProcessed)
    ensure(not isinstance(status, Cancelled), Error.OrderCancelled)
    ensure(s[timestamp.Now] <= order.expiry, Error.OrderExpired)
    ensure(is_price_met(s, order), Error.PriceConditionNotMet)
    ensure(order.relayer is None or relayer in order.relayer, Error.RelayerMissMatch)
    size = resolve_size(s, order)
    filled = status._0 if isinstance(status, PartiallyFilled) else 0
    if signed.partial_fill is None:
        # All at once is for an order of which nothing was filled; the rest is asked for by size.
        ensure(not isinstance(status, PartiallyFilled), Error.IncorrectPartialFillAmount)
        return Sized(number, order, size, size, None)
    _check_fill(order, signed.partial_fill, sat_sub(size, filled))
    return Sized(number, order, size, signed.partial_fill, signed.partial_fill)


def _check_fill(order: OrderV2, fill: int, left: int) -> None:
    linked = isinstance(order.amount, LinkedPercentage)
    ensure(not linked, Error.PartialFillNotSupportedForLinkedAmount)
    ensure(not order.has_linked_order, Error.PartialFillNotSupportedForProvider)
    ensure(order.relayer is not None, Error.RelayerRequiredForPartialFill)
    ensure(order.partial_fills_enabled, Error.PartialFillsNotEnabled)
    ensure(0 < fill <= left, Error.IncorrectPartialFillAmount)


def is_frozen(s: State, who: AccountId) -> bool:
    """Whether the account is about to be replaced or is disputed, and so may move nothing."""
    return (ColdkeySwapAnnouncements, who) in s or (ColdkeySwapDisputes, who) in s


def is_price_met(s: State, order: OrderV2) -> bool:
    """Whether the price is where the order waits for it."""
    price = U64F64.mul(swap.get_price(s, order.netuid), U64F64.from_int(BILLION))
    rao = U64F64.to_u64(price)
    if order.order_type is OrderType.TakeProfit:
        return rao >= order.limit_price
    return rao <= order.limit_price


def swap_limit(order: OrderV2) -> int:
    """The worst price, in rao for one alpha, that the order takes from the pool."""
    is_buy = order.order_type.is_buy
    if order.max_slippage is None:
        return U64_MAX if is_buy else 0
    delta = order.max_slippage.of(order.limit_price)
    return sat_add_u64(order.limit_price, delta) if is_buy else sat_sub(order.limit_price, delta)


def resolve_size(s: State, order: OrderV2) -> int:
    """How much the order trades in full; a linked one takes its share of the record."""
    match order.amount:
        case FixedAmount(size):
            return size
        case LinkedPercentage(provider, pct):
            record = s[LinkedOutputs, provider]
            if record is None:
                raise Error.NoLinkedOutput
            ensure(record.signer == order.signer, Error.LinkedOutputSignerMismatch)
            ensure(record.asset == order.spends, Error.LinkedOutputAssetMismatch)
            ensure(s[timestamp.Now] <= record.expires_at, Error.LinkedOutputExpired)
            size = pct.of(record.total)
            ensure(size > 0, Error.LinkedAmountResolvedToZero)
            return size
    raise TypeError(f"no amount: {order.amount!r}")


def consume_record(s: State, sized: Sized) -> None:
    """Take away the record that a linked order has spent; raises NoLinkedOutput."""
    if not isinstance(sized.order.amount, LinkedPercentage):
        return
    provider = sized.order.amount.provider
    record = s[LinkedOutputs, provider]
    if record is None:
        raise Error.NoLinkedOutput
    del s[LinkedOutputs, provider]
    undrawn = sat_sub(record.total, sized.size)
    s.emit(LinkedOutputConsumed(provider, sized.number, sized.size, undrawn))


def settle(s: State, sized: Sized, got: int) -> None:
    """Remember that the order ran, and what it brought if others may spend that."""
    if sized.fill is None:
        s[Orders, sized.number] = Fulfilled()
    else:
        before = s[Orders, sized.number]
        done = sized.fill + (before._0 if isinstance(before, PartiallyFilled) else 0)
        s[Orders, sized.number] = (
            Fulfilled() if done >= sized.size else PartiallyFilled(clamp_u64(done))
        )
    order = sized.order
    if order.has_linked_order and got:
        end = sat_add_u64(s[timestamp.Now], LinkedOutputTtl.value)
        s[LinkedOutputs, sized.number] = LinkedOutput(order.signer, order.brings, got, end)
        s.emit(LinkedOutputRecorded(sized.number, order.signer, order.brings, got, end))
