"""LimitOrders: storage, constants, events and errors. Upstream: pallets/limit-orders."""

from __future__ import annotations

from typing import Annotated

from chain.pallets.limit_orders_types import (
    LinkedAsset,
    LinkedOutput,
    OrderSide,
    OrderStatus,
    OrderType,
)
from chain.runtime.errors import DispatchError, Errors, error
from chain.runtime.pallet import Constant, constant, event
from chain.runtime.storage import Blake2, Identity, Map, Value, storage
from ganglion.scale import AtMost, Fixed, u32, u64
from ganglion.units import AccountId, Hash, NetUid

MaxOrdersPerBatch: Constant[u32] = constant(100)
"""Maximum number of orders in a single call."""

PalletId: Constant[Annotated[bytes, Fixed(8)]] = constant(b"bt/limit")
"""Names the account that holds the money of a batch while it is traded."""

PalletHotkey: Constant[AccountId] = constant(AccountId(b"modlbt/lmhkey".ljust(32, b"\0")))
"""Hotkey behind which that account stakes during a batch."""

LinkedOutputTtl: Constant[u64] = constant(7 * 24 * 3600 * 1000)
"""Milliseconds for which what an order brought can be spent by a linked order."""

Orders: Map[Blake2[Hash], OrderStatus | None] = storage()
"""What has become of an order, by its number; nothing for one never seen."""

LimitOrdersEnabled: Value[bool] = storage(default=False)
"""Switch to enable or disable the pallet; new chains start with it on."""

LinkedOutputs: Map[Blake2[Hash], LinkedOutput | None] = storage()
"""What an order brought, until a linked order has spent it."""

HasMigrationRun: Map[Identity[Annotated[bytes, AtMost(128)]], bool] = storage(default=False)
"""Migrations that have run; none ever on this chain."""


@event(0)
class OrderExecuted:
    """A limit order was executed; amounts in TAO and alpha, after fees on the side of the TAO."""

    order_id: Hash
    signer: AccountId
    netuid: NetUid
    order_type: OrderType
    amount_in: u64
    amount_out: u64


@event(1)
class OrderSkipped:
    """An order was skipped during execution."""

    order_id: Hash
    reason: DispatchError


@event(2)
class OrderCancelled:
    """A user withdrew an order."""

    order_id: Hash
    signer: AccountId


@event(3)
class GroupExecutionSummary:
    """A batch was executed: what its net trade put into the pool and got out."""

    netuid: NetUid
    net_side: OrderSide
    net_amount: u64
    actual_out: u64
    executed_count: u32


@event(4)
class LimitOrdersPalletStatusChanged:
    """Root has either enabled or disabled the pallet."""

    enabled: bool


@event(5)
class LinkedOutputRecorded:
    """What an order brought can be spent by a linked order."""

    order_id: Hash
    signer: AccountId
    asset: LinkedAsset
    total: u64
    expires_at: u64


@event(6)
class LinkedOutputConsumed:
    """A linked order has spent what another brought."""

    provider: Hash
    consumer: Hash
    amount: u64
    undrawn: u64


@event(7)
class LinkedOutputPruned:
    """What an order brought can not be spent by a linked order any more."""

    order_id: Hash
    total: u64


class Error(Errors):
    """Upstream's errors."""

    InvalidSignature = error(
        0, "The provided signature does not match the order payload and signer."
    )
    OrderAlreadyProcessed = error(1, "The order has already been Fulfilled or Cancelled.")
    OrderCancelled = error(2, "Order has been cancelled")
    OrderExpired = error(3, "The order's expiry timestamp is in the past.")
    PriceConditionNotMet = error(
        4, "The current market price does not satisfy the order's limit price."
    )
    Unauthorized = error(5, "Caller is not the order signer (required for cancellation).")
    SwapReturnedZero = error(6, "The pool swap returned zero output for a non-zero input.")
    RootNetUidNotAllowed = error(7, "Root netuid (0) is not allowed for limit orders.")
    OrderNetUidMismatch = error(
        8, "An order in the batch targets a different netuid than the batch netuid parameter."
    )
    LimitOrdersDisabled = error(9, "Limit orders are disabled")
    RelayerMissMatch = error(10, "Relayer not the same as specified in the order")
    PartialFillsNotEnabled = error(11, "Partial fills not enabled for this order")
    IncorrectPartialFillAmount = error(12, "Incorrect partial fill amount provided")
    RelayerRequiredForPartialFill = error(
        13, "A relayer must be set on the order when using partial fills"
    )
    ChainIdMismatch = error(14, "The order's chain_id does not match the current chain.")
    PalletHotkeyNotRegistered = error(
        15, "The pallet hotkey has not been registered to the pallet account."
    )
    ArithmeticOverflow = error(16, "A TAO -> alpha conversion overflowed the fixed-point range.")
    DuplicateOrderInBatch = error(17, "The same order appears more than once in a single batch.")
    ZeroShareInBatch = error(18, "An order's pro-rata share in the batch rounded down to zero.")
    NoLinkedOutput = error(19, "Linked order named a provider with no recorded output.")
    LinkedOutputSignerMismatch = error(
        20, "Linked order signer differs from the provider's signer."
    )
    LinkedOutputAssetMismatch = error(
        21, "Provider output asset is not what the linked order spends."
    )
    LinkedOutputExpired = error(22, "Provider record has passed its `expires_at` deadline.")
    LinkedAmountResolvedToZero = error(
        23, "Linked fraction floored to zero against the recorded output."
    )
    PartialFillNotSupportedForLinkedAmount = error(
        24, "Partial fill submitted against a linked (consuming) order."
    )
    PartialFillNotSupportedForProvider = error(
        25, "Partial fill submitted against a provider (`has_linked_order`)."
    )
    LinkedOutputNotPrunable = error(
        26, "`prune_linked_output` called by a non-signer on an unexpired record."
    )
    OrderSignerFrozen = error(27, "The order owner is temporarily prohibited from moving funds.")
