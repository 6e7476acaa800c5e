"""LimitOrders (pallet 32): trades that people sign off the chain and others bring when the
price is right.

An order says what to trade and at which price. Whoever brings it (the relayer) pays the
transaction; the order's own fee goes where the order says. Upstream: pallets/limit-orders.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import chain.pallets.limit_orders_store as _store
from chain.genesis import Genesis
from chain.pallets import timestamp
from chain.pallets.limit_orders_batch import ACCOUNT, run_batch
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
    LimitOrdersEnabled,
    LimitOrdersPalletStatusChanged,
    LinkedOutputPruned,
    LinkedOutputs,
    MaxOrdersPerBatch,
    OrderCancelled,
    OrderExecuted,
    Orders,
    OrderSkipped,
    PalletHotkey,
)
from chain.pallets.limit_orders_types import Cancelled, SignedOrder, VersionedOrder, as_v2
from chain.pallets.nested import rocks
from chain.pallets.subtensor.accounts import do_create_account, is_owner
from chain.pallets.subtensor.order_swap import buy_alpha, sell_alpha
from chain.pallets.subtensor.tao import transfer_tao
from chain.runtime.dispatch import layer
from chain.runtime.errors import CallError, ensure
from chain.runtime.origin import Root, Signed
from chain.runtime.pallet import Pallet, call, genesis
from chain.runtime.state import State
from ganglion.fixed import sat_sub
from ganglion.scale import AtMost
from ganglion.units import AccountId, Hash, NetUid

Bundle: TypeAlias = Annotated[tuple[SignedOrder, ...], AtMost(MaxOrdersPerBatch.value)]


@genesis
def build(s: State, spec: Genesis) -> None:
    """New chains have limit orders on."""
    do_create_account(s, ACCOUNT, PalletHotkey.value)
    s[LimitOrdersEnabled] = True


@call(
    0,
    weight=lambda orders, should_fail: rocks(
        578_195_000 + 497_085_105 * len(orders), 17 + 11 * len(orders), 10 + 7 * len(orders)
    ),
)
def execute_orders(s: State, relayer: Signed, orders: Bundle, should_fail: bool) -> None:
    """Execute orders one by one: pass over those that may not run, or stop at the first."""
    ensure(s[LimitOrdersEnabled], Error.LimitOrdersDisabled)
    for signed in orders:
        number = order_id(signed.order)
        try:
            with layer(s):
                run_order(s, signed, number, relayer)
        except CallError as e:
            if should_fail:
                raise
            s.emit(OrderSkipped(number, e.value()))


@call(
    1,
    weight=lambda netuid, orders: rocks(
        663_963_130 + 363_899_902 * len(orders), 25 + 10 * len(orders), 15 + 7 * len(orders)
    ),
)
def execute_batched_orders(s: State, relayer: Signed, netuid: NetUid, orders: Bundle) -> None:
    """Execute orders of one subnet together, trading only what they cannot give each other."""
    ensure(s[LimitOrdersEnabled], Error.LimitOrdersDisabled)
    run_batch(s, netuid, orders, relayer)


@call(2, weight=16_030_000, reads=1, writes=1)
def cancel_order(s: State, who: Signed, order: VersionedOrder) -> None:
    """Withdraw an order for good; only its signer can."""
    ensure(as_v2(order).signer == who, Error.Unauthorized)
    number = order_id(order)
    ensure((Orders, number) not in s, Error.OrderAlreadyProcessed)
    s[Orders, number] = Cancelled()
    s.emit(OrderCancelled(number, who))


@call(3, weight=5_420_000, writes=1)
def set_pallet_status(s: State, origin: Root, enabled: bool) -> None:
    """Turn limit orders on or off."""
    if enabled:
        ensure(is_owner(s, ACCOUNT, PalletHotkey.value), Error.PalletHotkeyNotRegistered)
    s[LimitOrdersEnabled] = enabled
    s.emit(LimitOrdersPalletStatusChanged(enabled))


@call(4, weight=16_030_000, reads=1, writes=1)
def prune_linked_output(s: State, who: Signed, order_id: Hash) -> None:
    """Forget what an order brought: its signer at any time, others once it has expired."""
    record = s[LinkedOutputs, order_id]
    if record is None:
        raise Error.NoLinkedOutput
    is_allowed = record.signer == who or s[timestamp.Now] > record.expires_at
    ensure(is_allowed, Error.LinkedOutputNotPrunable)
    del s[LinkedOutputs, order_id]
    s.emit(LinkedOutputPruned(order_id, record.total))


def run_order(s: State, signed: SignedOrder, number: Hash, relayer: AccountId) -> None:
    """Check and execute one order against the pool."""
    sized = check_order(s, signed, number, relayer)
    put, got = _buy(s, sized) if sized.order.order_type.is_buy else _sell(s, sized)
    consume_record(s, sized)
    settle(s, sized, got)
    order = sized.order
    s.emit(OrderExecuted(number, order.signer, order.netuid, order.order_type, put, got))


def _buy(s: State, sized: Sized) -> tuple[int, int]:
    """Buy with what the fee leaves; the rao put in and the alpha that came out."""
    o = sized.order
    position = (o.signer, o.hotkey, o.netuid)
    alpha = buy_alpha(s, *position, sized.net, swap_limit(o), is_owned=True)
    _pay_fee(s, sized, sized.fee_on_input)
    return sized.net, alpha


def _sell(s: State, sized: Sized) -> tuple[int, int]:
    """Sell and pay the fee out of it; the alpha put in and the rao that were left."""
    o = sized.order
    position = (o.signer, o.hotkey, o.netuid)
    tao = sell_alpha(s, *position, sized.now, swap_limit(o), is_owned=True)
    fee = o.fee_rate.of(tao)
    _pay_fee(s, sized, fee)
    return sized.now, sat_sub(tao, fee)


def _pay_fee(s: State, sized: Sized, fee: int) -> None:
    if fee:
        transfer_tao(s, sized.order.signer, sized.order.fee_recipient, fee)


pallet = Pallet("LimitOrders", _store.__name__, __name__).seal()
