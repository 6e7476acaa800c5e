"""Limit orders: what is signed off the chain, and what the chain remembers of it.

Upstream: pallets/limit-orders/src/{lib,v2}.rs
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, TypeAlias

from chain.runtime.types import MultiSignature
from ganglion.fixed import clamp_u64
from ganglion.scale import AtMost, Enumeration, scale_type, u32, u64, variant
from ganglion.units import AccountId, Hash, NetUid

BILLION = 1_000_000_000


@scale_type("sp_arithmetic::per_things::Perbill")
@dataclass(frozen=True, slots=True)
class Perbill:
    """A share in units of 10^-9."""

    _0: u32

    def of(self, amount: int) -> int:
        """This share of an amount, floored."""
        return clamp_u64(amount * self._0 // BILLION)


@scale_type("pallet_limit_orders::OrderSide")
class OrderSide(IntEnum):
    """Which way the net trade of a batch goes."""

    Buy = 0
    Sell = 1


@scale_type("pallet_limit_orders::OrderType")
class OrderType(IntEnum):
    """What an order does and when: buy under a price, sell over it, or sell under it."""

    LimitBuy = 0
    TakeProfit = 1
    StopLoss = 2

    @property
    def is_buy(self) -> bool:
        """Whether TAO becomes alpha."""
        return self is OrderType.LimitBuy


@scale_type("pallet_limit_orders::v2::LinkedAsset")
class LinkedAsset(Enumeration):
    """What an order brought, which a linked order may spend."""


@variant(0)
class Tao(LinkedAsset):
    """TAO on the account."""


@variant(1, name="Alpha")
class AlphaOf(LinkedAsset):
    """Alpha behind a hotkey of a subnet."""

    netuid: NetUid
    hotkey: AccountId


@scale_type("pallet_limit_orders::v2::OrderAmount")
class OrderAmount(Enumeration):
    """How much an order trades."""


@variant(0, name="Fixed")
class FixedAmount(OrderAmount):
    """So much: rao for a buy, alpha for a sale."""

    _0: u64


@variant(1)
class LinkedPercentage(OrderAmount):
    """A share of what the order `provider` brought."""

    provider: Hash
    pct: Perbill


Relayers: TypeAlias = Annotated[tuple[AccountId, ...], AtMost(10)]


@scale_type("pallet_limit_orders::Order")
@dataclass(frozen=True, slots=True)
class Order:
    """Version 1. Prices in rao for one alpha, `expiry` in milliseconds since 1970."""

    signer: AccountId
    hotkey: AccountId
    netuid: NetUid
    order_type: OrderType
    amount: u64
    limit_price: u64
    expiry: u64
    fee_rate: Perbill
    fee_recipient: AccountId
    relayer: Relayers | None
    max_slippage: Perbill | None
    chain_id: u64
    partial_fills_enabled: bool


@scale_type("pallet_limit_orders::v2::OrderV2")
@dataclass(frozen=True, slots=True)
class OrderV2:
    """Version 2: the amount may hang on another order, and others may hang on this one's."""

    signer: AccountId
    hotkey: AccountId
    netuid: NetUid
    order_type: OrderType
    amount: OrderAmount
    limit_price: u64
    expiry: u64
    fee_rate: Perbill
    fee_recipient: AccountId
    relayer: Relayers | None
    max_slippage: Perbill | None
    chain_id: u64
    partial_fills_enabled: bool
    has_linked_order: bool

    @property
    def spends(self) -> LinkedAsset:
        """What the order puts in."""
        return Tao() if self.order_type.is_buy else AlphaOf(self.netuid, self.hotkey)

    @property
    def brings(self) -> LinkedAsset:
        """What the order gets out."""
        return AlphaOf(self.netuid, self.hotkey) if self.order_type.is_buy else Tao()


@scale_type("pallet_limit_orders::VersionedOrder")
class VersionedOrder(Enumeration):
    """An order in one of its versions; the version is part of what is signed."""


@variant(0)
class V1(VersionedOrder):
    """Version 1."""

    _0: Order


@variant(1)
class V2(VersionedOrder):
    """Version 2."""

    _0: OrderV2


@scale_type("pallet_limit_orders::SignedOrder")
@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order with its signer's signature; `partial_fill` is the relayer's choice."""

    order: VersionedOrder
    signature: MultiSignature
    partial_fill: u64 | None


@scale_type("pallet_limit_orders::OrderStatus")
class OrderStatus(Enumeration):
    """What has become of an order."""


@variant(0)
class Fulfilled(OrderStatus):
    """Executed in full."""


@variant(1)
class PartiallyFilled(OrderStatus):
    """Executed up to an amount."""

    _0: u64


@variant(2)
class Cancelled(OrderStatus):
    """Withdrawn by its signer."""


@scale_type("pallet_limit_orders::v2::LinkedOutput")
@dataclass(frozen=True, slots=True)
class LinkedOutput:
    """What an order brought, for one linked order to spend before `expires_at` (ms)."""

    signer: AccountId
    asset: LinkedAsset
    total: u64
    expires_at: u64


def as_v2(order: VersionedOrder) -> OrderV2:
    """Either version as the newer one, which can say all that the older can."""
    match order:
        case V2(newer):
            return newer
        case V1(o):
            return OrderV2(
                o.signer,
                o.hotkey,
                o.netuid,
                o.order_type,
                FixedAmount(o.amount),
                o.limit_price,
                o.expiry,
                o.fee_rate,
                o.fee_recipient,
                o.relayer,
                o.max_slippage,
                o.chain_id,
                o.partial_fills_enabled,
                False,
            )
    raise TypeError(f"no version of an order: {order!r}")
