"""Market (pallet 102, this chain's own): what miners ask, and the base fee of each model.

A miner posts one ask per model of a subnet: prices, how many output tokens a block it can make,
and when the offer ends. Capacity is offered against a deposit, so that nobody offers what is not
there for nothing. The base fee of a model follows how much of the capacity on offer is leased;
leases cannot be cheaper than it and part of their price is burned, so that a faked demand costs
money in every block. It is worked out when somebody changes or asks for it, never per block.

Prices and fees are rao for a million tokens. Invariant: Trades[n, m].asked is the sum of the
capacities of the asks for m on n, and .used the sum of what leases of them are paying for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.pallets import due
from chain.pallets.balances_ops import rescind, reserve, slash_reserved, unreserve
from chain.pallets.model_registry import MAX_NAME, NAME_BYTES, ModelId
from chain.pallets.subtensor.accounts import is_owner
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.subtensor.storage_stake import TotalIssuance
from chain.pallets.system import block_number
from chain.runtime.errors import Errors, ensure, error
from chain.runtime.origin import Signed
from chain.runtime.pallet import Constant, Pallet, call, constant, event, on_initialize
from chain.runtime.state import State
from chain.runtime.storage import Blake2, Identity, Map, Twox, Value, storage
from consensus.economics.base_fee import FRACTION, base_fee
from ganglion.fixed import sat_sub
from ganglion.scale import AtMost, u32, u64, u128
from ganglion.units import AccountId, BlockNumber, NetUid, Rao

MILLION = 1_000_000
MAX_FEE = 1 << 63
"""The base fee grows no further, in rao for a million tokens."""

MinBaseFee: Constant[u64] = constant(1_000)
"""The base fee never falls below this, in rao for a million output tokens."""

BurnShare: Constant[u32] = constant(50_000)
"""What is burned of every payment for a lease, in millionths."""

AskDeposit: Constant[Rao] = constant(Rao(10**8))
"""Reserved for an ask until it ends."""

CapacityDeposit: Constant[Rao] = constant(Rao(10**5))
"""Reserved, beside the deposit of an ask, for each output token a block that it offers."""

MaxAskBlocks: Constant[BlockNumber] = constant(BlockNumber(7_200))
"""An ask ends after so many blocks at most; posting it again renews it."""

IdleBlocks: Constant[BlockNumber] = constant(BlockNumber(7_200))
"""What is known of a base fee above the least is forgotten after so many blocks without an ask."""


@dataclass(frozen=True, slots=True)
class UnitPrices:
    """Rao for a million tokens: of the prompt, of the prompt where cached, of the answer."""

    prompt: u64
    cached: u64
    completion: u64


@dataclass(frozen=True, slots=True)
class Ask:
    """An offer. `capacity` is in output tokens a block; the payer's deposit backs it."""

    prices: UnitPrices
    capacity: u32
    expires: BlockNumber
    payer: AccountId
    deposit: Rao


@dataclass(frozen=True, slots=True)
class Trade:
    """A model's market: its base fee as of a block (32 of its bits are behind the point), and
    the capacity on offer and leased since."""

    fee: u128
    updated_at: BlockNumber
    asked: u64
    used: u64


@dataclass(frozen=True, slots=True)
class Commitment:
    """Output tokens a block that a miner owes its lessees, and those of leases not paused."""

    leased: u64 = 0
    active: u64 = 0


@dataclass(frozen=True, slots=True)
class Expiry:
    """What ends: an ask, or without a hotkey what is known of a model without any."""

    netuid: NetUid
    model: ModelId
    hotkey: AccountId | None


Asks: Map[Identity[NetUid], Blake2[ModelId], Blake2[AccountId], Ask | None] = storage()
"""What a miner (its hotkey) asks for a model of a subnet."""

Leased: Map[Identity[NetUid], Blake2[ModelId], Blake2[AccountId], Commitment] = storage(
    default=Commitment()
)
"""What a miner has leased out of its capacity for a model."""

Trades: Map[Identity[NetUid], Blake2[ModelId], Trade | None] = storage()
"""The base fee of each model for which somebody asks."""

Expiring: Map[Twox[BlockNumber], Annotated[tuple[Expiry, ...], AtMost(due.MOST)]] = storage(
    default=()
)
"""What ends in a block."""

TotalBurned: Value[Rao] = storage(default=0)
"""All that has been burned of payments for leases, and of slashed bonds."""


@event(0)
class AskPosted:
    """A miner asks these prices until a block."""

    netuid: NetUid
    model: ModelId
    hotkey: AccountId
    prices: UnitPrices
    capacity: u32
    expires: BlockNumber


@event(1)
class AskRemoved:
    """A miner took its ask back."""

    netuid: NetUid
    model: ModelId
    hotkey: AccountId


@event(2)
class AskExpired:
    """An ask has run out."""

    netuid: NetUid
    model: ModelId
    hotkey: AccountId


@event(3)
class FeeBurned:
    """Part of a payment, or of a bond, left the issuance."""

    who: AccountId
    amount: Rao


class Error(Errors):
    """What can go wrong."""

    NotRegistered = error(0, "The hotkey has no seat on the subnet.")
    NotYourHotkey = error(1, "Only the hotkey itself or the coldkey that owns it may do this.")
    BadModel = error(2, "A model's name is 1 to 96 letters, digits or any of . _ - : / @")
    NoCapacity = error(3, "An ask offers at least one token a block.")
    BelowBaseFee = error(4, "The completion price lies below the model's base fee.")
    BadExpiry = error(5, "An ask ends after the present block, within the longest time.")
    BelowLeased = error(6, "More than this capacity is leased out.")
    NotPayer = error(7, "Another account's deposit backs the ask, and more of it is needed.")
    UnknownAsk = error(8, "There is no such ask.")
    CrowdedBlock = error(9, "Too many asks end around that block.")


@call(0, weight=60_000_000, reads=10, writes=6)
def post_ask(
    s: State,
    who: Signed,
    netuid: NetUid,
    model: ModelId,
    hotkey: AccountId,
    prices: UnitPrices,
    capacity: u32,
    blocks: BlockNumber,
) -> None:
    """Ask prices for a model for so many blocks; an ask that stands is replaced."""
    ensure_own(s, who, hotkey)
    ensure(is_registered(s, netuid, hotkey), Error.NotRegistered)
    ensure(0 < len(model) <= MAX_NAME and NAME_BYTES.issuperset(model), Error.BadModel)
    ensure(capacity > 0, Error.NoCapacity)
    ensure(0 < blocks <= MaxAskBlocks.value, Error.BadExpiry)
    ensure(prices.completion >= get_base_fee(s, netuid, model), Error.BelowBaseFee)
    ensure(capacity >= s[Leased, netuid, model, hotkey].leased, Error.BelowLeased)
    before = s[Asks, netuid, model, hotkey]
    payer = who if before is None else before.payer
    deposit = deposit_for(capacity)
    more = deposit - (before.deposit if before else 0)
    ensure(more <= 0 or payer == who, Error.NotPayer)
    reserve(s, payer, more) if more > 0 else unreserve(s, payer, -more)
    ends = Expiry(netuid, model, hotkey)
    if before is not None:
        due.leave(s, Expiring, ends, before.expires)
    expires = due.enter(s, Expiring, ends, block_number(s) + blocks)
    if expires is None:
        raise Error.CrowdedBlock
    _offer(s, netuid, model, hotkey, Ask(prices, capacity, expires, payer, deposit))
    s.emit(AskPosted(netuid, model, hotkey, prices, capacity, expires))


@call(1, weight=45_000_000, reads=6, writes=5)
def remove_ask(s: State, who: Signed, netuid: NetUid, model: ModelId, hotkey: AccountId) -> None:
    """Ask no more; the deposit comes back. What is leased out stays leased."""
    ensure_own(s, who, hotkey)
    ask = s[Asks, netuid, model, hotkey]
    if ask is None:
        raise Error.UnknownAsk
    due.leave(s, Expiring, Expiry(netuid, model, hotkey), ask.expires)
    _withdraw(s, netuid, model, hotkey, ask)
    s.emit(AskRemoved(netuid, model, hotkey))


@on_initialize
def expire(s: State, now: int) -> None:
    """End the asks that run out now, and forget models for which nobody asks any more."""
    for ends in due.arrive(s, Expiring, now):
        if ends.hotkey is None:
            _forget(s, ends.netuid, ends.model, now)
            continue
        ask = s[Asks, ends.netuid, ends.model, ends.hotkey]
        if ask is not None and ask.expires == now:
            _withdraw(s, ends.netuid, ends.model, ends.hotkey, ask)
            s.emit(AskExpired(ends.netuid, ends.model, ends.hotkey))


# -- for the other pallets --------------------------------------------------------------------


def get_base_fee(s: State, netuid: NetUid, model: bytes) -> int:
    """The least price of a million output tokens now, in rao, rounded up."""
    trade = s[Trades, netuid, model]
    if trade is None:
        return MinBaseFee.value
    return -(-fee_now(s, trade) >> FRACTION)


def get_least_rate(s: State, netuid: NetUid, model: bytes, capacity: int) -> int:
    """The least price of so many output tokens a block now, in rao a block."""
    return max(1, -(-get_base_fee(s, netuid, model) * capacity // MILLION))


def get_free_capacity(s: State, netuid: NetUid, model: bytes, hotkey: AccountId) -> int:
    """What a miner asks for and has not leased out, in output tokens a block."""
    ask = s[Asks, netuid, model, hotkey]
    return 0 if ask is None else ask.capacity - s[Leased, netuid, model, hotkey].leased


def do_commit(
    s: State, netuid: NetUid, model: bytes, hotkey: AccountId, leased: int, active: int
) -> None:
    """Add to what a miner has leased out, and to what of it is being paid for."""
    ref = (Leased, netuid, model, hotkey)
    after = Commitment(s[ref].leased + leased, s[ref].active + active)
    if after == Commitment():
        del s[ref]
    else:
        s[ref] = after
    if active and s[Asks, netuid, model, hotkey] is not None:
        _move(s, netuid, model, 0, active)


def do_burn_share(s: State, payer: AccountId, amount: int) -> Rao:
    """Burn the share of a payment that is reserved on the payer's account; what was burned."""
    return do_burn(s, payer, burn_share(amount))


def burn_share(amount: int) -> int:
    """What of a payment is burned."""
    return amount * BurnShare.value // MILLION


def do_burn(s: State, who: AccountId, amount: int) -> Rao:
    """Take what is reserved on an account out of the issuance; what was burned."""
    return burn_taken(s, who, slash_reserved(s, who, amount))


def burn_taken(s: State, who: AccountId, amount: int) -> Rao:
    """Take what the caller has in hand, and had from an account, out of the issuance."""
    if amount:
        rescind(s, amount)
        s[TotalIssuance] = Rao(sat_sub(s[TotalIssuance], amount))
        s[TotalBurned] = Rao(s[TotalBurned] + amount)
        s.emit(FeeBurned(who, Rao(amount)))
    return Rao(amount)


def ensure_own(s: State, who: AccountId, hotkey: AccountId) -> None:
    """Raise NotYourHotkey unless `who` is the hotkey or the coldkey that owns it."""
    ensure(who == hotkey or is_owner(s, who, hotkey), Error.NotYourHotkey)


def deposit_for(capacity: int) -> Rao:
    """What an ask's payer has reserved."""
    return Rao(AskDeposit.value + capacity * CapacityDeposit.value)


def fee_now(s: State, trade: Trade) -> int:
    """A model's base fee in this block, with its bits behind the point."""
    blocks = block_number(s) - trade.updated_at
    floor, ceiling = MinBaseFee.value << FRACTION, MAX_FEE << FRACTION
    return base_fee(trade.fee, trade.used, trade.asked, blocks, floor, ceiling)


def is_at_floor(fee: int) -> bool:
    """Whether a fee is that of models nobody has heard of."""
    return fee == MinBaseFee.value << FRACTION


def _offer(s: State, netuid: NetUid, model: bytes, hotkey: AccountId, ask: Ask) -> None:
    """Let an ask take the place of the one that stood."""
    before, active = s[Asks, netuid, model, hotkey], s[Leased, netuid, model, hotkey].active
    s[Asks, netuid, model, hotkey] = ask
    if before is None:
        _move(s, netuid, model, ask.capacity, active)
    else:
        _move(s, netuid, model, ask.capacity - before.capacity, 0)


def _withdraw(s: State, netuid: NetUid, model: bytes, hotkey: AccountId, ask: Ask) -> None:
    """Take an ask away and give its deposit back."""
    del s[Asks, netuid, model, hotkey]
    unreserve(s, ask.payer, ask.deposit)
    _move(s, netuid, model, -ask.capacity, -s[Leased, netuid, model, hotkey].active)


def _move(s: State, netuid: NetUid, model: bytes, asked: int, used: int) -> None:
    """Bring a model's fee to this block, then change what is asked and used."""
    trade, now = s[Trades, netuid, model], block_number(s)
    if trade is None:
        trade = Trade(MinBaseFee.value << FRACTION, now, 0, 0)
    trade = Trade(fee_now(s, trade), now, trade.asked + asked, trade.used + used)
    if trade.asked == 0 and is_at_floor(trade.fee):  # nothing that need be remembered
        del s[Trades, netuid, model]
        return
    s[Trades, netuid, model] = trade
    if asked < 0 and trade.asked == 0:  # where no block has room, the next ask's end looks again
        due.enter(s, Expiring, Expiry(netuid, model, None), now + IdleBlocks.value)


def _forget(s: State, netuid: NetUid, model: bytes, now: int) -> None:
    """Drop a model that was idle for long; its fee is at the floor then."""
    trade = s[Trades, netuid, model]
    if trade is not None and trade.asked == 0 and is_at_floor(fee_now(s, trade)):
        del s[Trades, netuid, model]


pallet = Pallet("Market", __name__).seal()
