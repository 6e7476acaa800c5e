"""Intents (pallet 106, this chain's own): a price limit signed off the chain, filled by quotes.

A payer signs what it wants, the most it pays and until when. Any miner with a seat may bring the
intent with a quote; a cheaper one takes the place of the one that stood. When the deadline comes
the cheapest has won and has some blocks to deliver. Delivery is paid at once, and part of it
burned. Without it the payer has its money back, and the winner's deposit beside. An intent that
nobody quotes costs nothing: it never comes to the chain.

The payer's signature allows exactly this: to reserve, once, at most the price it names. Intents
follow UniswapX: signed order, fillers, deadline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.pallets import due
from chain.pallets.balances_ops import repatriate_reserved, reserve, unreserve
from chain.pallets.balances_store import BalanceStatus
from chain.pallets.limit_orders_checks import is_frozen
from chain.pallets.market import burn_share, do_burn_share, ensure_own
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.system import Account, BlockHash, block_number
from chain.pallets.system_types import AccountData
from chain.runtime.errors import Errors, ensure, error
from chain.runtime.origin import Signed
from chain.runtime.pallet import Constant, Pallet, call, constant, event, on_initialize
from chain.runtime.signatures import verify_signature
from chain.runtime.state import State
from chain.runtime.storage import Blake2, Map, Twox, storage
from chain.runtime.types import MultiSignature
from ganglion.scale import AtMost
from ganglion.units import AccountId, BlockNumber, Hash, NetUid, Rao
from ganglion.wire.intents import Intent

QuoteDeposit: Constant[Rao] = constant(Rao(10**8))
"""Reserved for a quote until it is beaten, or delivered on; a winner that fails loses it. Also
reserved for a withdrawn intent until its deadline."""

MaxAhead: Constant[BlockNumber] = constant(BlockNumber(7_200))
"""A deadline is no further ahead than this, and a delivery takes no longer."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A miner's price for an intent; the provider has the deposit in it and would be paid."""

    hotkey: AccountId
    provider: AccountId
    price: Rao


@dataclass(frozen=True, slots=True)
class Standing:
    """An intent that is on the chain: with its best quote, or withdrawn by its payer."""

    intent: Intent
    best: Quote | None


Intents: Map[Blake2[Hash], Standing | None] = storage()
"""Intents by name, until they are delivered or over."""

Due: Map[Twox[BlockNumber], Annotated[tuple[Hash, ...], AtMost(due.MOST)]] = storage(default=())
"""Intents whose deadline, or time to deliver, is over in a block."""


@event(0)
class Quoted:
    """A miner offers to fill an intent, cheaper than all before."""

    intent: Hash
    hotkey: AccountId
    price: Rao


@event(1)
class Outbid:
    """A quote was beaten; its deposit is back."""

    intent: Hash
    hotkey: AccountId


@event(2)
class Awarded:
    """The deadline has come: the cheapest quote is to be delivered on before a block."""

    intent: Hash
    hotkey: AccountId
    price: Rao
    due: BlockNumber


@event(3)
class Filled:
    """An intent was delivered and paid."""

    intent: Hash
    hotkey: AccountId
    result: Hash
    paid: Rao
    burned: Rao


@event(4)
class Failed:
    """A winner has not delivered: the payer has its money back and the winner's deposit."""

    intent: Hash
    hotkey: AccountId
    forfeit: Rao


@event(5)
class Withdrawn:
    """A payer withdrew an intent for which there was no quote."""

    intent: Hash


class Error(Errors):
    """What can go wrong."""

    OtherChain = error(0, "The intent is for another chain.")
    BadSignature = error(1, "The signature is not the payer's.")
    Expired = error(2, "The intent's deadline is over.")
    TooFarAhead = error(3, "The deadline or the time to deliver lies outside the limits.")
    NotRegistered = error(4, "The hotkey has no seat on the intent's subnet.")
    AboveLimit = error(5, "The quote is above the intent's price.")
    NotCheaper = error(6, "A quote that is as low stands already.")
    IsWithdrawn = error(7, "The payer has withdrawn the intent.")
    CrowdedBlock = error(8, "Too many intents are due in that block.")
    UnknownIntent = error(9, "There is no such intent, or it is over.")
    NotAwarded = error(10, "Quotes are still taken for the intent.")
    NotWinner = error(11, "Another miner has won the intent.")
    NotPayer = error(12, "Only its payer may withdraw an intent.")
    HasQuote = error(13, "There is a quote for the intent, and it binds both sides.")
    PayerFrozen = error(14, "The payer is temporarily prohibited from moving funds.")


@call(0, weight=200_000_000, reads=10, writes=6)
def quote(
    s: State,
    who: Signed,
    intent: Intent,
    signature: MultiSignature,
    hotkey: AccountId,
    price: Rao,
) -> None:
    """Offer to fill an intent for a price, all told."""
    ensure_timely(s, intent)
    ensure_own(s, who, hotkey)
    ensure(is_registered(s, NetUid(intent.netuid), hotkey), Error.NotRegistered)
    ensure(price <= intent.max_price, Error.AboveLimit)
    name, payer = Hash(intent.id()), AccountId(intent.payer)
    ensure(not is_frozen(s, payer), Error.PayerFrozen)
    standing = s[Intents, name]
    if standing is None:
        # the zero key, at which people burn money, is one that everybody can sign for
        is_signed = any(payer) and verify_signature(signature, name, payer)
        ensure(is_signed, Error.BadSignature)
        plan(s, name, intent.deadline, intent.deadline + intent.deliver)
    else:
        give_way(s, name, standing, price)
    reserve(s, who, QuoteDeposit.value)
    reserve(s, payer, price)
    s[Intents, name] = Standing(intent, Quote(hotkey, who, price))
    s.emit(Quoted(name, hotkey, price))


@call(1, weight=70_000_000, reads=5, writes=5)
def deliver(s: State, who: Signed, intent: Hash, result: Hash) -> None:
    """Deliver on an intent that was won: its price is paid, less the share that is burned."""
    standing = s[Intents, intent]
    if standing is None or standing.best is None:
        raise Error.UnknownIntent
    best, wanted = standing.best, standing.intent
    ensure(block_number(s) >= wanted.deadline, Error.NotAwarded)
    ensure(who in (best.hotkey, best.provider), Error.NotWinner)
    payer = AccountId(wanted.payer)
    burned, rest = do_burn_share(s, payer, best.price), best.price - burn_share(best.price)
    paid = Rao(rest - repatriate_reserved(s, payer, best.provider, rest, BalanceStatus.Free))
    unreserve(s, best.provider, QuoteDeposit.value)
    due.leave(s, Due, intent, BlockNumber(wanted.deadline + wanted.deliver))
    del s[Intents, intent]
    s.emit(Filled(intent, best.hotkey, result, paid, burned))


@call(2, weight=45_000_000, reads=4, writes=3)
def withdraw(s: State, who: Signed, intent: Intent) -> None:
    """Make an intent of one's own worthless, as long as nobody has quoted for it."""
    ensure_timely(s, intent)
    ensure(who == intent.payer, Error.NotPayer)
    name = Hash(intent.id())
    standing = s[Intents, name]
    if standing is not None:
        raise Error.IsWithdrawn if standing.best is None else Error.HasQuote
    plan(s, name, intent.deadline)
    reserve(s, who, QuoteDeposit.value)  # it takes a place that another intent could have
    s[Intents, name] = Standing(intent, None)
    s.emit(Withdrawn(name))


@on_initialize
def start(s: State, now: int) -> None:
    """Award the intents whose deadline has come, and end those that were not delivered."""
    for name in due.arrive(s, Due, now):
        standing = s[Intents, name]
        if standing is None:
            continue
        best, wanted = standing.best, standing.intent
        if best is None:
            unreserve(s, AccountId(wanted.payer), QuoteDeposit.value)
            del s[Intents, name]
        elif now < wanted.deadline + wanted.deliver:
            until = BlockNumber(wanted.deadline + wanted.deliver)
            s.emit(Awarded(name, best.hotkey, best.price, until))
        else:
            fail(s, name, standing.intent, best)


def fail(s: State, name: Hash, wanted: Intent, best: Quote) -> None:
    """Give a payer its money back, and the deposit of the winner that did not deliver."""
    payer = AccountId(wanted.payer)
    unreserve(s, payer, best.price)
    forfeit = QuoteDeposit.value
    if s[Account, payer].data == AccountData():  # an account that is gone can take nothing
        unreserve(s, best.provider, forfeit)
        forfeit = Rao(0)
    else:
        missing = repatriate_reserved(s, best.provider, payer, forfeit, BalanceStatus.Free)
        forfeit = Rao(forfeit - missing)
    del s[Intents, name]
    s.emit(Failed(name, best.hotkey, forfeit))


def give_way(s: State, name: Hash, standing: Standing, price: int) -> None:
    """Let the quote that stood go for a cheaper one; raises IsWithdrawn or NotCheaper."""
    best = standing.best
    if best is None:
        raise Error.IsWithdrawn
    ensure(price < best.price, Error.NotCheaper)
    unreserve(s, AccountId(standing.intent.payer), best.price)
    unreserve(s, best.provider, QuoteDeposit.value)
    s.emit(Outbid(name, best.hotkey))


def ensure_timely(s: State, intent: Intent) -> None:
    """Raise OtherChain, Expired or TooFarAhead for an intent that cannot be taken up now."""
    ensure(intent.genesis == s[BlockHash, BlockNumber(0)], Error.OtherChain)
    ahead = intent.deadline - block_number(s)
    ensure(ahead > 0, Error.Expired)
    most = MaxAhead.value
    ensure(ahead <= most and 0 < intent.deliver <= most, Error.TooFarAhead)


def plan(s: State, name: Hash, *blocks: int) -> None:
    """Enter an intent at exactly these blocks, since a name is forgotten only when its deadline is
    over; raises CrowdedBlock."""
    for number in blocks:
        block = BlockNumber(number)
        ensure(len(s[Due, block]) < due.MOST, Error.CrowdedBlock)
        due.insist(s, Due, name, block)


pallet = Pallet("Intents", __name__).seal()
