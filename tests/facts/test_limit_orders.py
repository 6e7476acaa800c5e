"""Limit orders: signed off the chain, brought by anybody, executed alone or together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from network_lab import (
    NET,
    OWNER,
    TAO,
    balance,
    contents,
    emitted,
    fund,
    give_stake,
    lab,
    pool,
    run_of,
    subnet,
)

from chain.pallets import limit_orders_signing as signing
from chain.pallets.evm_chain_id import ChainId
from chain.pallets.limit_orders import build
from chain.pallets.limit_orders_batch import ACCOUNT
from chain.pallets.limit_orders_store import (
    Error,
    GroupExecutionSummary,
    LimitOrdersEnabled,
    LinkedOutputConsumed,
    LinkedOutputRecorded,
    LinkedOutputs,
    LinkedOutputTtl,
    OrderExecuted,
    Orders,
    OrderSkipped,
    PalletHotkey,
)
from chain.pallets.limit_orders_types import (
    V1,
    V2,
    Cancelled,
    FixedAmount,
    Fulfilled,
    LinkedPercentage,
    Order,
    OrderType,
    OrderV2,
    PartiallyFilled,
    Perbill,
    SignedOrder,
)
from chain.pallets.subtensor.accounts import compute_subnet_account, do_create_account
from chain.pallets.subtensor.errors import Error as SubtensorError
from chain.pallets.subtensor.share_pool import get_stake
from chain.pallets.subtensor.storage_keys import ColdkeySwapAnnouncements
from chain.pallets.timestamp import Now
from chain.runtime.origin import ROOT
from chain.runtime.state import State
from chain.runtime.types import Ecdsa, Ed25519, Sr25519
from ganglion.fixed import U64_MAX
from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, Keypair, dev_key
from ganglion.units import BlockNumber, Hash

NOW = 1_800_000_000_000
PERCENT = 10_000_000
POOL = 10**6 * TAO
BUYER, SELLER, LEDGER = (
    dev_key("Alice"),
    dev_key("Bob"),
    dev_key("Charlie", CryptoType.ED25519),
)
RELAYER, FEES = dev_key("Dave").account_id, dev_key("Eve").account_id
HOT = dev_key("Ferdie").account_id


@pytest.fixture
def s() -> State:
    """A subnet at a price of 1, orders on, and three traders with 1000 TAO and 1000 alpha."""
    s = lab()
    subnet(s, SubnetMechanism=1)
    pool(s, NET, POOL, POOL)
    fund(s, compute_subnet_account(NET), 2 * POOL)
    s[Now] = NOW
    s[ChainId] = 42
    build(s, None)  # type: ignore[arg-type]
    do_create_account(s, OWNER, HOT)
    for trader in (BUYER, SELLER, LEDGER):
        fund(s, trader.account_id, 1000 * TAO)
        give(s, trader, 1000 * TAO)
    fund(s, RELAYER, TAO)
    return s


def give(s: State, trader: Keypair, alpha: int) -> None:
    give_stake(s, NET, trader.account_id, HOT, alpha)


def order(trader: Keypair = BUYER, kind: OrderType = OrderType.LimitBuy, **fields: Any) -> Order:
    """A plain order: 100 tokens at any price, no fee, no end in sight."""
    plain = Order(
        trader.account_id,
        HOT,
        NET,
        kind,
        100 * TAO,
        U64_MAX if kind is not OrderType.TakeProfit else 0,
        NOW + 1,
        Perbill(0),
        FEES,
        None,
        None,
        42,
        False,
    )
    return replace(plain, **fields)


def newer(o: Order, amount: Any = None, has_linked_order: bool = False) -> OrderV2:
    """The same as version 2."""
    values = [getattr(o, name) for name in o.__dataclass_fields__]
    values[4] = FixedAmount(o.amount) if amount is None else amount
    return OrderV2(*values, has_linked_order)


def sign(o: Order | OrderV2, trader: Keypair = BUYER, fill: int | None = None) -> SignedOrder:
    """Signed over its encoding."""
    versioned = V1(o) if isinstance(o, Order) else V2(o)
    form = next(iter(signing.signed_forms(versioned)))
    return SignedOrder(versioned, scheme(trader)(trader.sign(form)), fill)


def scheme(trader: Keypair) -> Any:
    return Ed25519 if trader.crypto is CryptoType.ED25519 else Sr25519


def number(signed: SignedOrder) -> Hash:
    return signing.order_id(signed.order)


def run(s: State, name: str, *args: Any, who: Any = RELAYER) -> Any:
    return run_of(s, who, "LimitOrders", name, *args)


def bring(s: State, *orders: SignedOrder, strict: bool = True) -> Any:
    return run(s, "execute_orders", orders, strict)


def refused(s: State, failure: type[Exception], *orders: SignedOrder) -> None:
    error = bring(s, *orders).error
    assert isinstance(error, failure), error


def stake(s: State, trader: Keypair) -> int:
    return get_stake(s, HOT, trader.account_id, NET)


# --- one by one ----------------------------------------------------------------------------------


def test_a_buy_pays_its_fee_and_stakes_the_rest(s: State) -> None:
    signed = sign(order(fee_rate=Perbill(PERCENT)))
    assert bring(s, signed).error is None
    [done] = emitted(s, OrderExecuted)
    assert (done.order_id, done.amount_in) == (number(signed), 99 * TAO)
    assert stake(s, BUYER) - 1000 * TAO == pytest.approx(done.amount_out, abs=2)
    assert 0.998 * 99 * TAO < done.amount_out < 99 * TAO
    assert balance(s, BUYER.account_id) == 900 * TAO
    assert balance(s, FEES) == TAO
    assert s[Orders, number(signed)] == Fulfilled()
    refused(s, Error.OrderAlreadyProcessed, signed)


def test_a_sale_pays_its_fee_out_of_what_it_brings(s: State) -> None:
    signed = sign(order(SELLER, OrderType.TakeProfit, fee_rate=Perbill(PERCENT)), SELLER)
    assert bring(s, signed).error is None
    [done] = emitted(s, OrderExecuted)
    got = balance(s, SELLER.account_id) - 1000 * TAO
    assert done.amount_out == got
    assert balance(s, FEES) == (got + balance(s, FEES)) // 100
    assert stake(s, SELLER) == pytest.approx(900 * TAO, abs=2)


@pytest.mark.parametrize(
    ("kind", "limit", "met"),
    [
        (OrderType.LimitBuy, 10**9, True),
        (OrderType.LimitBuy, 10**9 - 1, False),
        (OrderType.TakeProfit, 10**9, True),
        (OrderType.TakeProfit, 10**9 + 1, False),
        (OrderType.StopLoss, 10**9, True),
        (OrderType.StopLoss, 10**9 - 1, False),
    ],
)
def test_an_order_waits_for_its_price(s: State, kind: OrderType, limit: int, met: bool) -> None:
    error = bring(s, sign(order(BUYER, kind, limit_price=limit))).error
    assert error is None if met else isinstance(error, Error.PriceConditionNotMet)


def test_slippage_bounds_what_the_pool_may_ask(s: State) -> None:
    tight = order(limit_price=10**9, max_slippage=Perbill(1))
    refused(s, SubtensorError.SlippageTooHigh, sign(tight))
    assert bring(s, sign(replace(tight, max_slippage=Perbill(PERCENT)))).error is None


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        ({"netuid": 0}, Error.RootNetUidNotAllowed),
        ({"chain_id": 1}, Error.ChainIdMismatch),
        ({"expiry": NOW - 1}, Error.OrderExpired),
        ({"relayer": (FEES,)}, Error.RelayerMissMatch),
        ({"relayer": ()}, Error.RelayerMissMatch),
        ({"amount": 1}, SubtensorError.AmountTooLow),
        ({"amount": 10**6 * TAO}, SubtensorError.NotEnoughBalanceToStake),
        ({"hotkey": FEES}, SubtensorError.HotKeyAccountNotExists),
        ({"netuid": 9}, SubtensorError.SubnetNotExists),
    ],
)
def test_what_an_order_must_fulfil(s: State, change: dict[str, Any], failure: Any) -> None:
    refused(s, failure, sign(order(**change)))


def test_signatures_of_others_count_for_nothing(s: State) -> None:
    good = sign(order())
    refused(s, Error.InvalidSignature, replace(good, order=V1(order(amount=99 * TAO))))
    refused(s, Error.InvalidSignature, sign(order(), SELLER))
    refused(s, Error.InvalidSignature, replace(good, signature=Ecdsa(bytes(65))))


def test_a_version_cannot_pass_for_another(s: State) -> None:
    signed = sign(order())
    refused(s, Error.InvalidSignature, replace(signed, order=V2(newer(order()))))


@pytest.mark.parametrize("trader", [BUYER, LEDGER], ids=["sr25519", "ed25519"])
@pytest.mark.parametrize("form", [0, 1, 2], ids=["encoded", "number", "words"])
def test_all_forms_and_schemes_of_signing(s: State, form: int, trader: Keypair) -> None:
    versioned = V2(newer(order(trader)))
    what = list(signing.signed_forms(versioned))[form]
    assert bring(s, SignedOrder(versioned, scheme(trader)(trader.sign(what)), None)).error is None


def test_an_order_in_words() -> None:
    plain = V1(order(relayer=(RELAYER, FEES), max_slippage=Perbill(5)))
    words = signing.order_in_words(plain)
    assert words == (
        f"TAO.com order v1: Limit buy {100 * TAO} on subnet 1, limit price {U64_MAX}, "
        f"expiry {NOW + 1}, hotkey {dev_key('Ferdie').address}, fee 0 to {dev_key('Eve').address}, "
        f"relayer {dev_key('Dave').address}+{dev_key('Eve').address}, max slippage 5, chain 42, "
        f"partial fills false, signer {BUYER.address}"
    )
    linked = newer(order(kind=OrderType.StopLoss), LinkedPercentage(Hash(b"\x11" * 32), Perbill(7)))
    words = signing.order_in_words(V2(linked))
    assert words.startswith(f"TAO.com order v2: Stop-loss 7 ppb of order 0x{'11' * 32} output on ")
    assert words.endswith(", records output false")
    assert ", relayer none, " in words
    empty = signing.order_in_words(V1(order(relayer=())))
    assert ", relayer [], " in empty
    *_, last = signing.signed_forms(plain)
    assert last == blake2_256(b"<Bytes>" + signing.order_in_words(plain).encode() + b"</Bytes>")


def test_best_effort_passes_over_what_cannot_run(s: State) -> None:
    bad, good = sign(order(expiry=NOW - 1)), sign(order())
    assert bring(s, bad, good, strict=False).error is None
    [skipped] = emitted(s, OrderSkipped)
    assert (skipped.order_id, skipped.reason) == (number(bad), Error.OrderExpired().value())
    assert len(emitted(s, OrderExecuted)) == 1


def test_strict_undoes_what_ran_before(s: State) -> None:
    before = contents(s)
    refused(s, Error.OrderExpired, sign(order()), sign(order(expiry=NOW - 1)))
    assert contents(s) == before


def test_cancelling(s: State) -> None:
    signed = sign(order())
    assert isinstance(run(s, "cancel_order", signed.order).error, Error.Unauthorized)
    assert run(s, "cancel_order", signed.order, who=BUYER.account_id).error is None
    assert s[Orders, number(signed)] == Cancelled()
    refused(s, Error.OrderCancelled, signed)
    again = run(s, "cancel_order", signed.order, who=BUYER.account_id)
    assert isinstance(again.error, Error.OrderAlreadyProcessed)


def test_an_account_about_to_be_replaced_moves_nothing(s: State) -> None:
    s[ColdkeySwapAnnouncements, BUYER.account_id] = (BlockNumber(99), Hash(bytes(32)))
    refused(s, Error.OrderSignerFrozen, sign(order()))


def test_root_turns_orders_off(s: State) -> None:
    assert run(s, "set_pallet_status", False).error is not None
    assert run(s, "set_pallet_status", False, who=ROOT).error is None
    refused(s, Error.LimitOrdersDisabled, sign(order()))
    off = run(s, "execute_batched_orders", NET, ())
    assert isinstance(off.error, Error.LimitOrdersDisabled)
    assert run(s, "set_pallet_status", True, who=ROOT).error is None
    assert s[LimitOrdersEnabled]


# --- partial fills -------------------------------------------------------------------------------


def test_partial_fills_add_up_to_the_order(s: State) -> None:
    o = order(partial_fills_enabled=True, relayer=(RELAYER,))
    name = number(sign(o))
    assert bring(s, sign(o, fill=40 * TAO)).error is None
    assert s[Orders, name] == PartiallyFilled(40 * TAO)
    refused(s, Error.IncorrectPartialFillAmount, sign(o, fill=61 * TAO))
    refused(s, Error.IncorrectPartialFillAmount, sign(o, fill=0))
    refused(s, Error.IncorrectPartialFillAmount, sign(o))
    assert bring(s, sign(o, fill=60 * TAO)).error is None
    assert s[Orders, name] == Fulfilled()
    assert balance(s, BUYER.account_id) == 900 * TAO


def test_who_may_fill_in_parts(s: State) -> None:
    refused(s, Error.RelayerRequiredForPartialFill, sign(order(), fill=TAO))
    refused(s, Error.PartialFillsNotEnabled, sign(order(relayer=(RELAYER,)), fill=TAO))
    provider = newer(order(relayer=(RELAYER,), partial_fills_enabled=True), has_linked_order=True)
    refused(s, Error.PartialFillNotSupportedForProvider, sign(provider, fill=TAO))


# --- linked orders -------------------------------------------------------------------------------


def provider(s: State) -> SignedOrder:
    """A sale, executed, whose TAO a linked order may spend."""
    signed = sign(newer(order(kind=OrderType.TakeProfit), has_linked_order=True))
    assert bring(s, signed).error is None
    return signed


def linked(to: SignedOrder, share: int = 500_000_000, **fields: Any) -> OrderV2:
    return newer(order(**fields), LinkedPercentage(number(to), Perbill(share)))


def test_a_linked_order_spends_a_share_of_what_another_brought(s: State) -> None:
    first = provider(s)
    [record] = emitted(s, LinkedOutputRecorded)
    assert record.expires_at == NOW + LinkedOutputTtl.value
    second = sign(linked(first))
    before = balance(s, BUYER.account_id)
    assert bring(s, second).error is None
    assert before - balance(s, BUYER.account_id) == record.total // 2
    [spent] = emitted(s, LinkedOutputConsumed)
    assert (spent.amount, spent.undrawn) == (record.total // 2, record.total - record.total // 2)
    assert s[LinkedOutputs, number(first)] is None
    refused(s, Error.NoLinkedOutput, sign(linked(first, 1)))


def test_a_chain_of_orders_runs_in_one_call(s: State) -> None:
    first = sign(newer(order(kind=OrderType.TakeProfit), has_linked_order=True))
    assert bring(s, first, sign(linked(first))).error is None
    assert len(emitted(s, OrderExecuted)) == 2


@pytest.mark.parametrize(
    ("who", "fields", "failure"),
    [
        (SELLER, {"trader": SELLER}, Error.LinkedOutputSignerMismatch),
        (BUYER, {"kind": OrderType.StopLoss}, Error.LinkedOutputAssetMismatch),
        (BUYER, {"share": 0}, Error.LinkedAmountResolvedToZero),
    ],
)
def test_who_may_spend_a_record(s: State, who: Keypair, fields: Any, failure: Any) -> None:
    refused(s, failure, sign(linked(provider(s), **fields), who))


def test_records_expire_and_are_pruned(s: State) -> None:
    first = provider(s)
    prune = run(s, "prune_linked_output", number(first))
    assert isinstance(prune.error, Error.LinkedOutputNotPrunable)
    s[Now] = NOW + LinkedOutputTtl.value + 1
    refused(s, Error.LinkedOutputExpired, sign(linked(first, expiry=U64_MAX)))
    assert run(s, "prune_linked_output", number(first)).error is None
    gone = run(s, "prune_linked_output", number(first))
    assert isinstance(gone.error, Error.NoLinkedOutput)


def test_its_signer_prunes_a_record_at_once(s: State) -> None:
    first = provider(s)
    assert run(s, "prune_linked_output", number(first), who=BUYER.account_id).error is None


# --- together ------------------------------------------------------------------------------------


def together(s: State, *orders: SignedOrder) -> Any:
    return run(s, "execute_batched_orders", NET, orders)


def test_equal_sides_never_meet_the_pool(s: State) -> None:
    done = together(s, sign(order()), sign(order(SELLER, OrderType.TakeProfit), SELLER))
    assert done.error is None
    [summary] = emitted(s, GroupExecutionSummary)
    assert (summary.net_amount, summary.actual_out, summary.executed_count) == (0, 0, 2)
    assert balance(s, SELLER.account_id) == 1100 * TAO
    assert stake(s, BUYER) == pytest.approx(1100 * TAO, abs=2)


@pytest.mark.parametrize("bigger", ["buy", "sell"])
def test_only_the_rest_is_traded(s: State, bigger: str) -> None:
    amounts = (100 * TAO, 40 * TAO) if bigger == "buy" else (40 * TAO, 100 * TAO)
    fee = Perbill(PERCENT)
    tao_before = sum(balance(s, w) for w in (BUYER.account_id, SELLER.account_id, FEES))
    done = together(
        s,
        sign(order(amount=amounts[0], fee_rate=fee)),
        sign(order(SELLER, OrderType.StopLoss, amount=amounts[1], fee_rate=fee), SELLER),
    )
    assert done.error is None
    [summary] = emitted(s, GroupExecutionSummary)
    rest = 100 * TAO * 99 // 100 - 40 * TAO if bigger == "buy" else 100 * TAO - 40 * TAO * 99 // 100
    assert summary.net_amount == rest
    assert 0.998 * rest < summary.actual_out < rest
    # Nothing of the people's TAO is lost or made: what left them is in the pool, or came from it.
    tao_after = sum(balance(s, w) for w in (BUYER.account_id, SELLER.account_id, FEES))
    moved = rest if bigger == "buy" else -summary.actual_out
    assert tao_before - tao_after == pytest.approx(moved, abs=2)
    assert balance(s, ACCOUNT) <= 2
    assert get_stake(s, PalletHotkey.value, ACCOUNT, NET) <= 2


def test_a_batch_is_all_or_nothing(s: State) -> None:
    good = sign(order())
    before = contents(s)
    for failure, *orders in (
        (Error.DuplicateOrderInBatch, good, good),
        (Error.OrderNetUidMismatch, good, sign(order(netuid=2))),
        (Error.OrderExpired, good, sign(order(expiry=NOW - 1))),
    ):
        assert isinstance(together(s, *orders).error, failure)
    assert contents(s) == before
    assert together(s).error is None
    assert isinstance(run(s, "execute_batched_orders", 0, ()).error, Error.RootNetUidNotAllowed)


def test_a_share_of_nothing_stops_the_batch(s: State) -> None:
    pool(s, NET, POOL, POOL // 1000)  # one alpha costs 1000 TAO
    tiny = sign(order(SELLER, amount=1), SELLER)
    done = together(s, sign(order()), tiny)
    assert isinstance(done.error, Error.ZeroShareInBatch)


def test_the_strictest_limit_of_the_larger_side_counts(s: State) -> None:
    tight = order(limit_price=10**9, max_slippage=Perbill(1))
    done = together(s, sign(order(SELLER), SELLER), sign(tight))
    assert isinstance(done.error, SubtensorError.SlippageTooHigh)


def test_a_batch_spends_a_record_once(s: State) -> None:
    first = provider(s)
    twice = together(s, sign(linked(first)), sign(linked(first, 400_000_000)))
    assert isinstance(twice.error, Error.NoLinkedOutput)
    assert together(s, sign(linked(first))).error is None
