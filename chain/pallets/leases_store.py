"""Leases: storage, constants, events and errors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from chain.pallets import due
from chain.pallets.model_registry import ModelId
from chain.runtime.errors import Errors, error
from chain.runtime.pallet import Constant, constant, event
from chain.runtime.storage import Blake2, Map, Twox, Value, storage
from ganglion.scale import AtMost, u32, u64
from ganglion.units import AccountId, BlockNumber, NetUid, Rao

MOST_BIDS = 20

OrderMaxBids: Constant[u32] = constant(MOST_BIDS)
"""Bids that an order keeps; one more has to be lower than the highest, which goes."""

BidDeposit: Constant[Rao] = constant(Rao(10**8))
"""Reserved for a bid until it has lost, or its lease is closed."""

FundedBlocks: Constant[BlockNumber] = constant(BlockNumber(10))
"""An order's deposit pays for so many blocks at its highest rate, at least."""

MinimumDeposit: Constant[Rao] = constant(Rao(10**7))
"""An order's deposit is this at the least: places in the blocks to come are few."""

MaxBidBlocks: Constant[BlockNumber] = constant(BlockNumber(7_200))
"""Bidding takes no longer than this."""

MaxDuration: Constant[BlockNumber] = constant(BlockNumber(216_000))
"""A lease takes no longer than this."""


@dataclass(frozen=True, slots=True)
class OrderSpec:
    """What is wanted: a model of a subnet, so many output tokens a block, at no more than so
    many rao a block, for so many blocks; the lessee's signed requests may use it."""

    netuid: NetUid
    model: ModelId
    capacity: u32
    max_rate: Rao
    duration: BlockNumber
    lessee: AccountId


@dataclass(frozen=True, slots=True)
class Order:
    """An order and who pays for it; bids are taken before the block `closes`."""

    payer: AccountId
    spec: OrderSpec
    closes: BlockNumber


@dataclass(frozen=True, slots=True)
class Bid:
    """A miner's offer of rao a block; the provider has the deposit in it and would be paid."""

    hotkey: AccountId
    provider: AccountId
    rate: Rao


@dataclass(frozen=True, slots=True)
class Lease:
    """A bid that won. It runs from a block to another, unless it is closed before."""

    hotkey: AccountId
    provider: AccountId
    rate: Rao
    started: BlockNumber
    ends: BlockNumber


class EscrowState(IntEnum):
    """Whether the escrow can pay for the present block. One that is closed is there no more."""

    Open = 0
    Overdrawn = 1


@dataclass(frozen=True, slots=True)
class Escrow:
    """An order's money, reserved on the payer's account.

    funds == balance + transferred: all that was put in, what is left of it, and what the provider
    has earned until the block `settled_at`, of which it has `withdrawn` a part.
    """

    state: EscrowState
    funds: Rao
    balance: Rao
    transferred: Rao
    withdrawn: Rao
    settled_at: BlockNumber


class Reason(IntEnum):
    """Why an order or its lease is over."""

    ByPayer = 0
    ByProvider = 1
    Ended = 2
    NoBid = 3
    Crowded = 4


NextOrderId: Value[u64] = storage(default=0)
"""The number of the next order."""

Orders: Map[Twox[u64], Order | None] = storage()
"""Orders by number, until they or their leases are closed."""

Bids: Map[Twox[u64], Annotated[tuple[Bid, ...], AtMost(MOST_BIDS)]] = storage(default=())
"""Bids for an order while it takes them, the lowest first, equal ones by age."""

Leases: Map[Twox[u64], Lease | None] = storage()
"""The leases that orders have become, by the order's number."""

Escrows: Map[Twox[u64], Escrow | None] = storage()
"""The money of an order, by its number."""

LeasesOf: Map[Blake2[AccountId], Twox[u64], bool] = storage(default=False)
"""Which leases a hotkey serves."""

Due: Map[Twox[BlockNumber], Annotated[tuple[u64, ...], AtMost(due.LIMIT)]] = storage(default=())
"""Orders to look at in a block: bidding closes, money runs out, or the lease ends."""

DueAt: Map[Twox[u64], BlockNumber | None] = storage()
"""The block in which an order is looked at next."""


@event(0)
class OrderCreated:
    """Somebody wants capacity; bids are taken until a block."""

    order: u64
    payer: AccountId
    spec: OrderSpec
    closes: BlockNumber


@event(1)
class BidPlaced:
    """A miner offers the capacity at a rate."""

    order: u64
    hotkey: AccountId
    rate: Rao


@event(2)
class BidReturned:
    """A bid did not win; its deposit is back."""

    order: u64
    hotkey: AccountId
    provider: AccountId


@event(3)
class OrderClosed:
    """An order ended without a lease; its deposit is back."""

    order: u64
    reason: Reason
    refund: Rao


@event(4)
class LeaseStarted:
    """The lowest bid won."""

    order: u64
    hotkey: AccountId
    lessee: AccountId
    rate: Rao
    ends: BlockNumber


@event(5)
class Deposited:
    """An escrow was topped up."""

    order: u64
    amount: Rao
    balance: Rao


@event(6)
class Settled:
    """A lease has earned its rate for so many blocks."""

    order: u64
    blocks: BlockNumber
    amount: Rao


@event(7)
class Withdrawn:
    """What a lease has earned was paid out, less what was burned."""

    order: u64
    provider: AccountId
    paid: Rao
    burned: Rao


@event(8)
class LeasePaused:
    """The escrow cannot pay for another block: the miner need not serve."""

    order: u64


@event(9)
class LeaseResumed:
    """The escrow can pay again."""

    order: u64


@event(10)
class LeaseClosed:
    """A lease ended; its provider is paid and both deposits are back."""

    order: u64
    reason: Reason
    refund: Rao


class Error(Errors):
    """What can go wrong."""

    UnknownOrder = error(0, "There is no such order, or it is closed.")
    UnknownSubnet = error(1, "There is no such subnet.")
    BadModel = error(2, "A model's name is 1 to 96 letters, digits or any of . _ - : / @")
    NoCapacity = error(3, "An order is for at least one token a block.")
    BadDuration = error(4, "Bidding or lease take no block at all, or too many.")
    RateBelowBaseFee = error(5, "The rate is less than the model's base fee for this capacity.")
    DepositTooLow = error(6, "The deposit is below the minimum, or pays for too few blocks.")
    NotPayer = error(7, "Only the account that pays may do this.")
    NotParty = error(8, "Only the payer, the provider and its hotkey may do this.")
    NotProvider = error(9, "Only the provider and its hotkey may do this.")
    NotRegistered = error(10, "The hotkey has no seat on the order's subnet.")
    BiddingClosed = error(11, "The order takes no bids any more.")
    AlreadyBid = error(12, "The hotkey has bid for this order.")
    RateTooHigh = error(13, "The bid is above the order's highest rate.")
    TooManyBids = error(14, "The order has all the bids it keeps, and none is higher.")
    CapacityTaken = error(15, "The hotkey's ask for this model has too little capacity free.")
    NoBid = error(16, "No bid can win: there is none, or its miner is gone or full.")
    NoLease = error(17, "The order has no lease yet.")
    CrowdedBlock = error(18, "Too many orders are due around that block.")
    NothingEarned = error(19, "There is nothing to withdraw.")
