"""Leases (pallet 103, this chain's own): capacity by reverse auction, paid by the block.

Somebody orders so many output tokens a block of a model, with money for it. Miners bid rates for
a number of blocks; the lowest bid wins whose miner has a seat and asks for as much capacity, at
the end of the bidding or as soon as the payer accepts. The lease costs its rate a block. When the
money runs out it is paused in that very block, and a deposit resumes it. Either side closes it at
any time: the capacity is free at once, the provider paid, every deposit returned.

The auction and its escrow account follow Akash's: order, bids, lease, {balance, funds,
transferred, settled_at}, lazy settlement of rate x blocks.
"""

from __future__ import annotations

from dataclasses import replace

import chain.pallets.leases_store as _store
from chain.pallets import due
from chain.pallets.balances_ops import reserve
from chain.pallets.leases_escrow import (
    do_award,
    end_lease,
    end_order,
    is_eligible,
    pay_out,
    plan,
    plan_again,
    plan_lease,
    return_bid,
    settle,
    update_state,
)
from chain.pallets.leases_store import (
    Bid,
    BidDeposit,
    BidPlaced,
    Bids,
    Deposited,
    Due,
    DueAt,
    Error,
    Escrow,
    Escrows,
    EscrowState,
    FundedBlocks,
    Lease,
    Leases,
    MaxBidBlocks,
    MaxDuration,
    MinimumDeposit,
    NextOrderId,
    Order,
    OrderCreated,
    OrderMaxBids,
    Orders,
    OrderSpec,
    Reason,
)
from chain.pallets.market import ensure_own, get_least_rate
from chain.pallets.model_registry import MAX_NAME, NAME_BYTES
from chain.pallets.subtensor.accounts import is_subnet
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.system import block_number
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import Pallet, call, on_initialize
from chain.runtime.state import State
from ganglion.scale import u64
from ganglion.units import AccountId, BlockNumber, Rao


@call(0, weight=50_000_000, reads=8, writes=6)
def create_order(
    s: State, payer: Signed, spec: OrderSpec, bid_blocks: BlockNumber, deposit: Rao
) -> None:
    """Order capacity: bids are taken for so many blocks, and the deposit opens the escrow."""
    ensure(is_subnet(s, spec.netuid), Error.UnknownSubnet)
    ensure(0 < len(spec.model) <= MAX_NAME and NAME_BYTES.issuperset(spec.model), Error.BadModel)
    ensure(spec.capacity > 0, Error.NoCapacity)
    ensure(0 < spec.duration <= MaxDuration.value, Error.BadDuration)
    ensure(0 < bid_blocks <= MaxBidBlocks.value, Error.BadDuration)
    least = get_least_rate(s, spec.netuid, spec.model, spec.capacity)
    ensure(spec.max_rate >= least, Error.RateBelowBaseFee)
    funded = FundedBlocks.value * spec.max_rate
    ensure(deposit >= max(funded, MinimumDeposit.value), Error.DepositTooLow)
    reserve(s, payer, deposit)
    number, now = s[NextOrderId], block_number(s)
    s[NextOrderId] = number + 1
    ensure(plan(s, number, now + bid_blocks), Error.CrowdedBlock)
    closes = s[DueAt, number] or now
    s[Orders, number] = Order(payer, spec, closes)
    s[Escrows, number] = Escrow(EscrowState.Open, deposit, deposit, Rao(0), Rao(0), now)
    s.emit(OrderCreated(number, payer, spec, closes))


@call(1, weight=60_000_000, reads=9, writes=4)
def bid(s: State, who: Signed, order: u64, hotkey: AccountId, rate: Rao) -> None:
    """Offer a miner's capacity at a rate a block; the bid binds until it loses or is closed."""
    wanted, _ = existing(s, order)
    ensure(s[Leases, order] is None, Error.BiddingClosed)
    ensure_own(s, who, hotkey)
    spec, bids = wanted.spec, s[Bids, order]
    ensure(is_registered(s, spec.netuid, hotkey), Error.NotRegistered)
    ensure(all(b.hotkey != hotkey for b in bids), Error.AlreadyBid)
    ensure(rate <= spec.max_rate, Error.RateTooHigh)
    least = get_least_rate(s, spec.netuid, spec.model, spec.capacity)
    ensure(rate >= least, Error.RateBelowBaseFee)
    ensure(is_eligible(s, wanted, hotkey), Error.CapacityTaken)
    reserve(s, who, BidDeposit.value)
    if len(bids) == OrderMaxBids.value:
        highest = bids[-1]
        ensure(rate < highest.rate, Error.TooManyBids)
        return_bid(s, order, highest)
        bids = bids[:-1]
    # stable: among equal rates the older bid stays before the younger
    s[Bids, order] = tuple(sorted((*bids, Bid(hotkey, who, rate)), key=lambda b: b.rate))
    s.emit(BidPlaced(order, hotkey, rate))


@call(2, weight=450_000_000, reads=40, writes=40)
def accept(s: State, who: Signed, order: u64) -> None:
    """End the bidding now: the lowest bid becomes the lease."""
    wanted, escrow = existing(s, order)
    ensure(wanted.payer == who, Error.NotPayer)
    ensure(s[Leases, order] is None, Error.BiddingClosed)
    ensure(do_award(s, order, wanted, escrow), Error.NoBid)
    ensure(s[Leases, order] is not None, Error.CrowdedBlock)


@call(3, weight=60_000_000, reads=8, writes=7)
def deposit(s: State, who: Signed, order: u64, amount: Rao) -> None:
    """Put money into an escrow; a paused lease resumes if that pays for a block."""
    wanted, escrow = existing(s, order)
    ensure(wanted.payer == who, Error.NotPayer)
    reserve(s, who, amount)
    lease = s[Leases, order]
    if lease is not None:
        escrow = settle(s, order, lease, escrow)
    escrow = replace(escrow, funds=Rao(escrow.funds + amount), balance=Rao(escrow.balance + amount))
    s[Escrows, order] = escrow
    s.emit(Deposited(order, amount, escrow.balance))
    if lease is not None:
        escrow = update_state(s, order, lease, escrow)
        ensure(plan_lease(s, order, lease, escrow), Error.CrowdedBlock)


@call(4, weight=60_000_000, reads=7, writes=5)
def withdraw(s: State, who: Signed, order: u64) -> None:
    """Settle a lease and pay its provider what it has earned, less the share that is burned."""
    wanted, escrow = existing(s, order)
    lease = leased(s, order)
    ensure(who in (lease.provider, lease.hotkey), Error.NotProvider)
    escrow = settle(s, order, lease, escrow)
    ensure(escrow.transferred > escrow.withdrawn, Error.NothingEarned)
    pay_out(s, order, wanted.payer, lease, escrow)


@call(5, weight=450_000_000, reads=40, writes=40)
def close(s: State, who: Signed, order: u64) -> None:
    """End a lease, by either side, or an order without one, by its payer."""
    wanted, _ = existing(s, order)
    lease = s[Leases, order]
    if lease is None:
        ensure(wanted.payer == who, Error.NotPayer)
        end_order(s, order, Reason.ByPayer)
        return
    ensure(who in (wanted.payer, lease.provider, lease.hotkey), Error.NotParty)
    end_lease(s, order, Reason.ByPayer if who == wanted.payer else Reason.ByProvider)


@on_initialize
def start(s: State, now: int) -> None:
    """See to the orders that are due: award, pause, end."""
    for number in due.arrive(s, Due, now):
        del s[DueAt, number]
        see_to(s, number, now)


def see_to(s: State, number: int, now: int) -> None:
    """Do what an order needs in the block it was planned for."""
    order, lease, escrow = s[Orders, number], s[Leases, number], s[Escrows, number]
    if order is None or escrow is None:
        return
    if lease is None:
        if not do_award(s, number, order, escrow):
            end_order(s, number, Reason.NoBid)
        return
    if now >= lease.ends:
        end_lease(s, number, Reason.Ended)
        return
    escrow = settle(s, number, lease, escrow)
    after = update_state(s, number, lease, escrow)
    if after is escrow:
        plan_again(s, number, lease, escrow)
    elif not plan_lease(s, number, lease, after):
        end_lease(s, number, Reason.Crowded)


def existing(s: State, number: int) -> tuple[Order, Escrow]:
    """An order and its money; raises UnknownOrder."""
    order, escrow = s[Orders, number], s[Escrows, number]
    if order is None or escrow is None:
        raise Error.UnknownOrder
    return order, escrow


def leased(s: State, number: int) -> Lease:
    """An order's lease; raises NoLease."""
    lease = s[Leases, number]
    if lease is None:
        raise Error.NoLease
    return lease


pallet = Pallet("Leases", _store.__name__, __name__).seal()
