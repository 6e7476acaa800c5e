"""Leases: an order's money, and the block in which it is looked at next.

A lease costs its rate for every block from one to the next. It is paused in the first block that
the balance cannot pay for, so that no provider serves a block for nothing; paused blocks cost
nothing. Money stays reserved on the payer's account until it is paid out, burned or given back.

Nothing here raises: it also runs at the start of blocks.
"""

from __future__ import annotations

from dataclasses import replace

from chain.pallets import due
from chain.pallets.balances_ops import repatriate_reserved, unreserve
from chain.pallets.balances_store import BalanceStatus
from chain.pallets.leases_store import (
    Bid,
    BidDeposit,
    BidReturned,
    Bids,
    Due,
    DueAt,
    Escrow,
    Escrows,
    EscrowState,
    Lease,
    LeaseClosed,
    LeasePaused,
    LeaseResumed,
    Leases,
    LeasesOf,
    LeaseStarted,
    Order,
    OrderClosed,
    Orders,
    Reason,
    Settled,
    Withdrawn,
)
from chain.pallets.market import burn_share, do_burn_share, do_commit, get_free_capacity
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.system import Account, block_number
from chain.pallets.system_types import AccountData
from chain.runtime.state import State, take
from ganglion.units import AccountId, BlockNumber, Rao


def plan(s: State, number: int, at: int) -> bool:
    """Look at an order at a block instead of when it was planned; False if there is no room."""
    forget(s, number)
    block = due.enter(s, Due, number, at)
    s[DueAt, number] = block
    return block is not None


def forget(s: State, number: int) -> None:
    """Look at an order no more."""
    planned = s[DueAt, number]
    if planned is not None:
        due.leave(s, Due, number, planned)
        del s[DueAt, number]


def plan_lease(s: State, number: int, lease: Lease, escrow: Escrow) -> bool:
    """Look at a lease when its money runs out or it ends; False if there is no room."""
    return plan(s, number, next_event(lease, escrow))


def plan_again(s: State, number: int, lease: Lease, escrow: Escrow) -> None:
    """Look at a lease again, for which it was too early, in the very block."""
    at = BlockNumber(next_event(lease, escrow))
    due.insist(s, Due, number, at)
    s[DueAt, number] = at


def next_event(lease: Lease, escrow: Escrow) -> int:
    """The block in which a lease's money runs out or it ends."""
    if escrow.state is EscrowState.Open:
        return min(lease.ends, escrow.settled_at + escrow.balance // lease.rate)
    return lease.ends


def settle(s: State, number: int, lease: Lease, escrow: Escrow) -> Escrow:
    """Give the provider the blocks since the last settlement; the escrow after it."""
    if escrow.state is not EscrowState.Open:
        return escrow
    now = min(block_number(s), lease.ends)
    blocks = min(now - escrow.settled_at, escrow.balance // lease.rate)
    if blocks <= 0:
        return escrow
    amount = blocks * lease.rate
    after = replace(
        escrow,
        balance=Rao(escrow.balance - amount),
        transferred=Rao(escrow.transferred + amount),
        settled_at=BlockNumber(escrow.settled_at + blocks),
    )
    s[Escrows, number] = after
    s.emit(Settled(number, BlockNumber(blocks), Rao(amount)))
    return after


def update_state(s: State, number: int, lease: Lease, escrow: Escrow) -> Escrow:
    """Pause a settled lease that cannot pay for another block, resume one that can again."""
    can_pay = escrow.balance >= lease.rate
    if can_pay == (escrow.state is EscrowState.Open):
        return escrow
    spec = s[Orders, number].spec  # type: ignore[union-attr]
    if can_pay:
        now = block_number(s)
        after = replace(escrow, state=EscrowState.Open, settled_at=now)
        s.emit(LeaseResumed(number))
    else:
        after = replace(escrow, state=EscrowState.Overdrawn)
        s.emit(LeasePaused(number))
    active = spec.capacity if can_pay else -spec.capacity
    do_commit(s, spec.netuid, spec.model, lease.hotkey, 0, active)
    s[Escrows, number] = after
    return after


def pay_out(s: State, number: int, payer: AccountId, lease: Lease, escrow: Escrow) -> Escrow:
    """Pay the provider all that it has earned, less the share that is burned.

    Its bid's deposit keeps its account alive; if root took that, the money stays in the escrow.
    """
    amount = escrow.transferred - escrow.withdrawn
    if amount == 0 or s[Account, lease.provider].data == AccountData():
        return escrow
    burned = do_burn_share(s, payer, amount)
    rest = amount - burn_share(amount)
    paid = rest - repatriate_reserved(s, payer, lease.provider, rest, BalanceStatus.Free)
    after = replace(escrow, withdrawn=escrow.transferred)
    s[Escrows, number] = after
    s.emit(Withdrawn(number, lease.provider, Rao(paid), burned))
    return after


def do_award(s: State, number: int, order: Order, escrow: Escrow) -> bool:
    """Let the lowest bid win whose miner is still there and free; False if there is none.

    All other deposits go back. An order whose lease cannot be planned is closed.
    """
    spec, bids = order.spec, s[Bids, number]
    won = next((bid for bid in bids if is_eligible(s, order, bid.hotkey)), None)
    if won is None:
        return False
    return_bids(s, number, won)
    now = block_number(s)
    ends = BlockNumber(now + spec.duration)
    lease = Lease(won.hotkey, won.provider, won.rate, now, ends)
    escrow = replace(escrow, settled_at=now)
    s[Leases, number], s[Escrows, number] = lease, escrow
    s[LeasesOf, won.hotkey, number] = True
    do_commit(s, spec.netuid, spec.model, won.hotkey, spec.capacity, spec.capacity)
    s.emit(LeaseStarted(number, won.hotkey, spec.lessee, won.rate, ends))
    if not plan_lease(s, number, lease, escrow):
        end_lease(s, number, Reason.Crowded)
    return True


def is_eligible(s: State, order: Order, hotkey: AccountId) -> bool:
    """Whether a miner could serve an order: it has a seat, and asks for enough free capacity."""
    spec = order.spec
    free = get_free_capacity(s, spec.netuid, spec.model, hotkey)
    return is_registered(s, spec.netuid, hotkey) and free >= spec.capacity


def return_bids(s: State, number: int, won: Bid | None = None) -> None:
    """Give all deposits of an order's bids back but the winner's."""
    for bid in take(s, (Bids, number)):
        if bid != won:
            return_bid(s, number, bid)


def return_bid(s: State, number: int, bid: Bid) -> None:
    """Give one bid's deposit back."""
    unreserve(s, bid.provider, BidDeposit.value)
    s.emit(BidReturned(number, bid.hotkey, bid.provider))


def end_order(s: State, number: int, reason: Reason) -> None:
    """Close an order that has no lease; every deposit goes back."""
    order, escrow = s[Orders, number], s[Escrows, number]
    if order is None or escrow is None:
        return
    return_bids(s, number)
    refund = _give_back(s, number, order.payer, escrow)
    s.emit(OrderClosed(number, reason, refund))


def end_lease(s: State, number: int, reason: Reason) -> None:
    """Settle a lease, pay its provider and give both deposits back."""
    order, lease, escrow = s[Orders, number], s[Leases, number], s[Escrows, number]
    if order is None or lease is None or escrow is None:
        return
    escrow = settle(s, number, lease, escrow)
    escrow = pay_out(s, number, order.payer, lease, escrow)
    unreserve(s, lease.provider, BidDeposit.value)
    spec = order.spec
    active = spec.capacity if escrow.state is EscrowState.Open else 0
    do_commit(s, spec.netuid, spec.model, lease.hotkey, -spec.capacity, -active)
    del s[Leases, number]
    del s[LeasesOf, lease.hotkey, number]
    refund = _give_back(s, number, order.payer, escrow)
    s.emit(LeaseClosed(number, reason, refund))


def _give_back(s: State, number: int, payer: AccountId, escrow: Escrow) -> Rao:
    """Free what nobody has been paid, and forget the order."""
    left = escrow.funds - escrow.withdrawn
    refund = Rao(left - unreserve(s, payer, left))
    forget(s, number)
    del s[Orders, number]
    del s[Escrows, number]
    return refund
