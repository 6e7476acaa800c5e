"""Many orders of one subnet at once: what buyers and sellers can give each other never meets
the pool; only the rest is traded, and everybody gets the same price.

Everything passes through the pallet's own account. What division leaves over stays there.

Upstream: pallets/limit-orders/src/lib.rs
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chain.pallets import swap
from chain.pallets.limit_orders_checks import (
    Sized,
    check_order,
    consume_record,
    settle,
    swap_limit,
)
from chain.pallets.limit_orders_signing import order_id
from chain.pallets.limit_orders_store import (
    Error,
    GroupExecutionSummary,
    OrderExecuted,
    PalletHotkey,
    PalletId,
)
from chain.pallets.limit_orders_types import OrderSide, SignedOrder, as_v2
from chain.pallets.subtensor.accounts import PALLET_ACCOUNT
from chain.pallets.subtensor.order_swap import buy_alpha, hand_over_alpha, sell_alpha
from chain.pallets.subtensor.tao import transfer_tao
from chain.runtime.errors import ensure
from chain.runtime.state import State
from ganglion.fixed import U64_MAX, U64F64, U128_MAX, clamp_u64
from ganglion.units import ROOT_NETUID, AccountId, NetUid

ACCOUNT = AccountId((PALLET_ACCOUNT + PalletId.value).ljust(32, b"\0"))
"""Holds the TAO and alpha of a batch while it is traded."""

HERE = (PalletHotkey.value, ACCOUNT)


@dataclass(frozen=True, slots=True)
class Batch:
    """The orders of a batch and their sums; `price` as U64F64 bits, TAO for one alpha."""

    netuid: NetUid
    price: int
    buys: tuple[Sized, ...]
    sells: tuple[Sized, ...]

    @property
    def tao_in(self) -> int:
        """Rao that the buyers trade, after their fees."""
        return sum(b.net for b in self.buys)

    @property
    def alpha_in(self) -> int:
        """Alpha that the sellers trade."""
        return sum(x.net for x in self.sells)

    @property
    def alpha_in_worth(self) -> int:
        """What that alpha is worth in rao."""
        return self.worth(self.alpha_in)

    @property
    def side(self) -> OrderSide:
        """Which way the rest goes."""
        return OrderSide.Buy if self.tao_in >= self.alpha_in_worth else OrderSide.Sell

    @property
    def rest(self) -> int:
        """What must be traded: rao for a buy, alpha for a sale."""
        if self.side is OrderSide.Buy:
            return clamp_u64(self.tao_in - self.alpha_in_worth)
        return clamp_u64(self.alpha_in - self.alpha_for(self.tao_in))

    def worth(self, alpha: int) -> int:
        """Rao that alpha is worth."""
        return U64F64.to_int(U64F64.mul(self.price, U64F64.from_int(alpha)))

    def alpha_for(self, tao: int) -> int:
        """Alpha that rao are worth; raises ArithmeticOverflow."""
        if self.price == 0:
            return 0
        bits = U64F64.checked_div(U64F64.from_int(tao), self.price)
        if bits is None:
            raise Error.ArithmeticOverflow
        return U64F64.to_int(bits)


def run_batch(s: State, netuid: NetUid, orders: Sequence[SignedOrder], relayer: AccountId) -> None:
    """Execute all orders, or none; raises for the first that may not run."""
    ensure(netuid != ROOT_NETUID, Error.RootNetUidNotAllowed)
    batch = _classify(s, netuid, orders, relayer)
    if not orders:
        return
    _collect(s, batch)
    got = _trade_rest(s, batch)
    _pay_buyers(s, batch, got)
    fees = _pay_sellers(s, batch, got)
    for b in batch.buys:
        recipient = b.order.fee_recipient
        fees[recipient] = fees.get(recipient, 0) + b.now - b.net
    for recipient, fee in fees.items():
        if fee:
            transfer_tao(s, ACCOUNT, recipient, fee)
    s.emit(GroupExecutionSummary(netuid, batch.side, batch.rest, clamp_u64(got), len(orders)))


def _classify(s: State, netuid: NetUid, orders: Iterable[SignedOrder], relayer: AccountId) -> Batch:
    """Check every order; a record that one of them spends is gone for the next."""
    seen = set()
    buys: list[Sized] = []
    sells: list[Sized] = []
    for signed in orders:
        number = order_id(signed.order)
        ensure(number not in seen, Error.DuplicateOrderInBatch)
        seen.add(number)
        ensure(as_v2(signed.order).netuid == netuid, Error.OrderNetUidMismatch)
        sized = check_order(s, signed, number, relayer)
        consume_record(s, sized)
        (buys if sized.order.order_type.is_buy else sells).append(sized)
    return Batch(netuid, swap.get_price(s, netuid), tuple(buys), tuple(sells))


def _collect(s: State, batch: Batch) -> None:
    """Bring everybody's input into the pallet's account."""
    for b in batch.buys:
        transfer_tao(s, b.order.signer, ACCOUNT, b.now)
    for x in batch.sells:
        position = (x.order.hotkey, x.order.signer)
        hand_over_alpha(s, position, HERE, batch.netuid, x.now, check_origin=True)


def _trade_rest(s: State, batch: Batch) -> int:
    """Trade what buyers and sellers cannot give each other; what it brought.

    The pool may ask no worse a price than the strictest order of the larger side takes.
    """
    if not batch.rest:
        return 0
    position = (ACCOUNT, PalletHotkey.value, batch.netuid)
    got: int
    if batch.side is OrderSide.Buy:
        limit = min((swap_limit(b.order) for b in batch.buys), default=U64_MAX)
        got = buy_alpha(s, *position, batch.rest, limit, is_owned=False)
    else:
        limit = max((swap_limit(x.order) for x in batch.sells), default=0)
        got = sell_alpha(s, *position, batch.rest, limit, is_owned=False)
    ensure(got > 0, Error.SwapReturnedZero)
    return got


def _part(total: int, share: int, whole: int) -> int:
    """total * share / whole, floored, as the chain's 128-bit numbers have it."""
    return clamp_u64(min(total * share, U128_MAX) // whole) if whole else 0


def _pay_buyers(s: State, batch: Batch, got: int) -> None:
    """Give every buyer a share of the alpha; one that would get none stops the batch."""
    is_buy = batch.side is OrderSide.Buy
    total = got + batch.alpha_in if is_buy else batch.alpha_for(batch.tao_in)
    for b in batch.buys:
        share = _part(total, b.net, batch.tao_in)
        ensure(share > 0, Error.ZeroShareInBatch)
        position = (b.order.hotkey, b.order.signer)
        hand_over_alpha(s, HERE, position, batch.netuid, share, check_origin=False)
        _finish(s, b, share)


def _pay_sellers(s: State, batch: Batch, got: int) -> dict[AccountId, int]:
    """Give every seller a share of the TAO less the fee; the fees by recipient."""
    worth_of_all = batch.alpha_in_worth
    total = worth_of_all if batch.side is OrderSide.Buy else got + batch.tao_in
    fees: dict[AccountId, int] = {}
    for x in batch.sells:
        share = _part(total, batch.worth(x.net), worth_of_all)
        fee = x.order.fee_rate.of(share)
        paid = max(share - fee, 0)
        ensure(paid > 0, Error.ZeroShareInBatch)
        recipient = x.order.fee_recipient
        fees[recipient] = fees.get(recipient, 0) + fee
        transfer_tao(s, ACCOUNT, x.order.signer, paid)
        _finish(s, x, paid)
    return fees


def _finish(s: State, sized: Sized, got: int) -> None:
    settle(s, sized, got)
    order = sized.order
    s.emit(
        OrderExecuted(sized.number, order.signer, order.netuid, order.order_type, sized.now, got)
    )
