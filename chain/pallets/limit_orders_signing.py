"""The number of an order and the three forms in which its signer may sign it.

Software signs the encoded order. Hardware wallets sign what is wrapped in <Bytes>: the order's
number, or the order in words, which they show line by line. Such a device signs the hash of
anything longer than 256 bytes.

Upstream: pallets/limit-orders/src/lib.rs
"""

from __future__ import annotations

from collections.abc import Iterator

from chain.pallets.limit_orders_types import (
    V1,
    FixedAmount,
    LinkedPercentage,
    OrderAmount,
    OrderType,
    Relayers,
    SignedOrder,
    VersionedOrder,
    as_v2,
)
from chain.runtime.signatures import verify_signature
from ganglion.hashing import blake2_256
from ganglion.scale import codec
from ganglion.ss58 import encode as address
from ganglion.units import Hash

LEDGER_LIMIT = 256
"""Bytes that a hardware wallet signs as they are."""

_ORDER = codec(VersionedOrder)
_LABELS = {
    OrderType.LimitBuy: ("Limit buy", "limit price"),
    OrderType.TakeProfit: ("Take-profit", "trigger price"),
    OrderType.StopLoss: ("Stop-loss", "trigger price"),
}


def order_id(order: VersionedOrder) -> Hash:
    """The number of an order: blake2_256 of its encoding."""
    return Hash(blake2_256(_ORDER.encode(order)))


def is_signed(signed: SignedOrder) -> bool:
    """Whether the order carries its signer's signature in one of the forms; not ecdsa."""
    who = as_v2(signed.order).signer
    return any(verify_signature(signed.signature, form, who) for form in signed_forms(signed.order))


def signed_forms(order: VersionedOrder) -> Iterator[bytes]:
    """What the signer may have signed, the cheapest to make first."""
    yield _ORDER.encode(order)
    yield _wrapped(order_id(order))
    in_words = _wrapped(order_in_words(order).encode())
    yield in_words if len(in_words) <= LEDGER_LIMIT else blake2_256(in_words)


def _wrapped(content: bytes) -> bytes:
    return b"<Bytes>" + content + b"</Bytes>"


def order_in_words(order: VersionedOrder) -> str:
    """The order as one line of printable ASCII; wallets and this chain must agree on each byte."""
    o = as_v2(order)
    label, price = _LABELS[o.order_type]
    slippage = "none" if o.max_slippage is None else o.max_slippage._0
    parts = [
        f"{label} {_amount(o.amount)} on subnet {o.netuid}",
        f"{price} {o.limit_price}",
        f"expiry {o.expiry}",
        f"hotkey {address(o.hotkey)}",
        f"fee {o.fee_rate._0} to {address(o.fee_recipient)}",
        f"relayer {_relayers(o.relayer)}",
        f"max slippage {slippage}",
        f"chain {o.chain_id}",
        f"partial fills {_yes(o.partial_fills_enabled)}",
        f"signer {address(o.signer)}",
    ]
    if isinstance(order, V1):
        return "TAO.com order v1: " + ", ".join(parts)
    parts.append(f"records output {_yes(o.has_linked_order)}")
    return "TAO.com order v2: " + ", ".join(parts)


def _amount(amount: OrderAmount) -> str:
    match amount:
        case FixedAmount(much):
            return str(much)
        case LinkedPercentage(provider, pct):
            return f"{pct._0} ppb of order 0x{provider.hex()} output"
    raise TypeError(f"no amount: {amount!r}")


def _relayers(relayers: Relayers | None) -> str:
    """Any relayer and no relayer read differently: one must not pass for the other."""
    if relayers is None:
        return "none"
    return "+".join(address(r) for r in relayers) or "[]"


def _yes(flag: bool) -> str:
    return "true" if flag else "false"
