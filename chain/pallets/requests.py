"""InferenceRequests (pallet 108, this chain's own): the chain asks, miners answer, a call follows.

A request names a model, an input, how many miners answer, how their answers become one, and a
callback. Its money is reserved. Miners take the seats, for a deposit; one coldkey has one seat.
When the last is taken the hash of that block makes the seed, so nobody knew it who asked or took a
seat. Where several answer, each first commits to its answer, and none may be shown before all have
committed or the time for it is over: what is public is of no use to copy any more. An answer comes
with the signature under a receipt as miners give it to every caller, about this order and seed, so
any judge can check it later and two of them are a claim against the miner's bond.

When all that was committed to is shown, or its time is over (`expire`, by anybody), the answer is
taken: those that agree are paid, less the share that burns; the others are not, and it is
remembered. Who took a seat and showed nothing loses the deposit. It burns: nobody has anything to
gain from a request that miners cannot answer. The callback runs last, once, as an account of this
pallet's own; if it fails that is an event, and no more. Without an answer all the money goes back.

Nothing runs by itself at the start of blocks, and whatever is stored is covered by a deposit.

The rules follow Ritual's coordinator (request, redundancy, delivery, callback, inbox).
"""

from __future__ import annotations

from dataclasses import replace

import chain.pallets.requests_store as _store
from chain.pallets.balances_ops import reserve, unreserve
from chain.pallets.bonds import Bonds
from chain.pallets.market import MILLION, ensure_own
from chain.pallets.model_registry import MAX_NAME, NAME_BYTES, Models
from chain.pallets.nested import rocks
from chain.pallets.requests_callbacks import ensure_callable
from chain.pallets.requests_settle import expire as do_expire
from chain.pallets.requests_settle import give_back, settle
from chain.pallets.requests_store import (
    Accepted,
    Answer,
    Answered,
    Ask,
    ByHash,
    ByteDeposit,
    Cancelled,
    Cleared,
    Committed,
    Entry,
    Equal,
    Error,
    First,
    Inbox,
    InboxDeposit,
    Inline,
    Kept,
    Key,
    MaxCallbackWeight,
    MaxOpen,
    MaxTokens,
    MaxWork,
    Median,
    NextRequestId,
    PalletAccount,
    Removed,
    Request,
    RequestDeposit,
    Requested,
    Requests,
    Results,
    RevealWindow,
    Seat,
    SeatDeposit,
    SeedPolicy,
    Shown,
    Started,
)
from chain.pallets.subtensor.accounts import is_subnet
from chain.pallets.subtensor.heritage import get_stake_weight
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.subtensor.storage_keys import Owner
from chain.pallets.subtensor.storage_neurons import Incentive, Uids
from chain.pallets.system import BlockHash, block_number
from chain.runtime.call import PostInfo
from chain.runtime.errors import BadOrigin, ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import Pallet, call
from chain.runtime.signatures import verify_signature
from chain.runtime.state import State
from chain.runtime.types import MultiSignature
from ganglion.hashing import blake2_256
from ganglion.scale import u64
from ganglion.units import AccountId, BlockNumber, Hash, NetUidStorageIndex, Rao
from ganglion.wire.receipts import VERSION, Receipt
from ganglion.wire.requests import MOST_SEATS, Order, Output, commitment

MAX_TEMPERATURE = 2_000


def settle_weight(seats: int) -> int:
    """Deciding, and paying every seat."""
    return rocks(100_000_000 + 60_000_000 * seats, 4 + 8 * seats, 4 + 8 * seats)


SETTLE_WEIGHT = settle_weight(MOST_SEATS)
"""What is declared; the seats that there are count in the end."""


@call(0, weight=60_000_000, reads=6, writes=3)
def request(s: State, who: Signed, ask: Ask) -> None:
    """Ask, and reserve what all answers cost and a deposit."""
    ensure_sane(s, ask)
    ensure_callable(who, ask.callback)
    number = s[NextRequestId]
    s[NextRequestId] = number + 1
    entry = s[Models, ask.model]
    if ask.weights is None and entry is not None:  # a later change of the entry voids nobody's work
        ask = replace(ask, weights=entry.weights_hash)
    deposit = deposit_for(ask)
    reserve(s, who, Rao(ask.price * ask.redundancy + deposit))
    order = Hash(order_of(s, number, who, ask).digest())
    s[Requests, number] = Request(who, ask, order, deposit, (), None)
    s.emit(Requested(number, who, ask.netuid, ask.model, ask.price, ask.deadline))


@call(1, weight=200_000_000, reads=30, writes=2)
def accept(s: State, who: Signed, id: u64, hotkey: AccountId) -> None:
    """Take a seat for a hotkey of one's own, for a deposit; `who` is paid."""
    found = existing(s, id)
    ensure(found.started is None, Error.SeatsTaken)
    ensure(block_number(s) <= found.ask.deadline, Error.TooLate)
    ensure_own(s, who, hotkey)
    ensure_fit(s, found.ask, hotkey)
    coldkey = AccountId(s[Owner, hotkey])
    taken = any(seat.hotkey == hotkey or seat.coldkey == coldkey for seat in found.seats)
    ensure(not taken, Error.AlreadySeated)
    reserve(s, who, SeatDeposit.value)
    stake = stake_of(s, found.ask, hotkey)
    seats = (*found.seats, Seat(hotkey, who, coldkey, stake, None, None, None, exact=False))
    s.emit(Accepted(id, hotkey))
    started = None
    if len(seats) == found.ask.redundancy:
        started = block_number(s)
        s.emit(Started(id, BlockNumber(started + found.ask.work)))
    s[Requests, id] = replace(found, seats=seats, started=started)


@call(2, weight=40_000_000, reads=2, writes=1)
def commit(s: State, who: Signed, id: u64, hotkey: AccountId, commitment: Hash) -> None:
    """Commit to an answer, where several miners give one."""
    found, place, started = at_work(s, id, who, hotkey)
    ensure(block_number(s) <= started + found.ask.work, Error.TooLate)
    ensure(block_number(s) > started, Error.TooEarly)  # there is no seed before
    seat = found.seats[place]
    ensure(seat.commitment is None, Error.AlreadyCommitted)
    s[Requests, id] = seated(found, place, replace(seat, commitment=commitment))
    s.emit(Committed(id, hotkey))


def fulfil_weight(
    id: int, hotkey: bytes, answer: Answer, salt: bytes, signature: MultiSignature
) -> int:
    """A signature, a receipt hashed token by token, the settlement and any callback."""
    return show_weight(len(answer.tokens)) + SETTLE_WEIGHT + MaxCallbackWeight.value


def show_weight(tokens: int) -> int:
    """Checking and keeping one answer."""
    return rocks(250_000_000 + 100_000 * tokens, 5, 2)


@call(3, weight=fulfil_weight)
def fulfil(
    s: State,
    who: Signed,
    id: u64,
    hotkey: AccountId,
    answer: Answer,
    salt: Hash,
    signature: MultiSignature,
) -> PostInfo:
    """Show an answer with the signature under its receipt. The last one shown decides."""
    found, place, started = at_work(s, id, who, hotkey)
    now = block_number(s)
    ensure(now > started, Error.TooEarly)
    ensure(now <= last_block(found, started), Error.TooLate)
    ensure(is_revealing(found, started, now), Error.TooEarly)
    seat = found.seats[place]
    ensure(seat.output is None, Error.AlreadyShown)
    receipt = receipt_of(s, id, found, started, hotkey, answer)
    digest = receipt.signing_hash()
    if found.ask.redundancy > 1:
        ensure(seat.commitment == commitment(salt, digest, answer.output), Error.NotCommitted)
    ensure(verify_signature(signature, digest, hotkey), Error.BadSignature)
    output = Hash(blake2_256(answer.output))
    s[Shown, id, output] = answer.output
    found = seated(
        found, place, replace(seat, receipt=Hash(digest), output=output, exact=answer.exact)
    )
    s.emit(Answered(id, hotkey, output, Hash(digest)))
    if any(seat.output is None for seat in committed(found)):
        s[Requests, id] = found
        return PostInfo(weight=show_weight(len(answer.tokens)))
    used = settle(s, id, found, started)
    return PostInfo(weight=show_weight(len(answer.tokens)) + settle_weight(len(found.seats)) + used)


@call(4, weight=SETTLE_WEIGHT + MaxCallbackWeight.value, reads=2, writes=1)
def expire(s: State, who: Signed, id: u64) -> PostInfo:
    """End a request whose time is over, for anybody: its answers decide, or the money goes back."""
    found, now = existing(s, id), block_number(s)
    weight = settle_weight(len(found.seats))
    if found.started is not None:
        ensure(now > last_block(found, found.started), Error.TooEarly)
        return PostInfo(weight=weight + settle(s, id, found, found.started))
    ensure(now > found.ask.deadline, Error.TooEarly)
    for seat in found.seats:
        unreserve(s, seat.provider, SeatDeposit.value)
    do_expire(s, id, found)
    return PostInfo(weight=weight)


@call(5, weight=60_000_000, reads=2, writes=2)
def cancel(s: State, who: Signed, id: u64) -> None:
    """Take a request back for which no miner has come."""
    found = existing(s, id)
    ensure(found.requester == who, Error.NotRequester)
    ensure(not found.seats, Error.HasMiners)
    s.emit(Cancelled(id, give_back(s, id, found)))


@call(6, weight=40_000_000, reads=2, writes=2)
def clear(s: State, who: Signed, id: u64) -> None:
    """Forget a result of one's own; its deposit comes back."""
    found = s[Results, id]
    if found is None:
        raise Error.UnknownResult
    ensure(found.requester == who, Error.NotRequester)
    del s[Results, id]
    unreserve(s, who, found.deposit)
    s.emit(Cleared(id))


@call(7, weight=60_000_000, reads=2, writes=2)
def put(s: State, who: Signed, owner: AccountId, key: Key, id: u64, output: Output) -> None:
    """Put an answer into its requester's inbox: for callbacks alone. The requester reserves what
    the entry needs beyond the one that it takes the place of."""
    ensure(who == PalletAccount.value, BadOrigin("only callbacks put answers into inboxes"))
    before = s[Inbox, owner, key]
    deposit = InboxDeposit.value + ByteDeposit.value * (len(key) + len(output))
    if before is not None:
        unreserve(s, owner, before.deposit)
    reserve(s, owner, Rao(deposit))
    s[Inbox, owner, key] = Entry(id, output, block_number(s), Rao(deposit))
    s.emit(Kept(owner, key, id))


@call(8, weight=40_000_000, reads=2, writes=2)
def remove(s: State, who: Signed, key: Key) -> None:
    """Remove an entry of one's own inbox; its deposit comes back."""
    found = s[Inbox, who, key]
    if found is None:
        raise Error.NoEntry
    del s[Inbox, who, key]
    unreserve(s, who, found.deposit)
    s.emit(Removed(who, key))


# -- checks ---------------------------------------------------------------------------------------


def ensure_sane(s: State, ask: Ask) -> None:
    """Raise what is wrong with a request, if anything is."""
    ensure(is_subnet(s, ask.netuid), Error.UnknownSubnet)
    ensure(0 < len(ask.model) <= MAX_NAME and NAME_BYTES.issuperset(ask.model), Error.BadModel)
    is_empty = isinstance(ask.input, Inline) and not ask.input._0
    ensure(not is_empty and 0 < ask.max_tokens <= MaxTokens.value, Error.BadSize)
    ensure(ask.temperature <= MAX_TEMPERATURE, Error.BadSampling)
    ensure(fits(ask), Error.BadSeats)
    ensure(ask.price > 0, Error.BadPrice)
    ahead = ask.deadline - block_number(s)
    in_time = 0 < ahead <= MaxOpen.value and 0 < ask.work <= MaxWork.value
    ensure(in_time, Error.BadTimes)


def fits(ask: Ask) -> bool:
    """Whether the mode can make one answer of what so many miners give."""
    seats = ask.redundancy
    match ask.mode:
        case First():
            return seats == 1
        case Equal(least):
            # of different seeds come different answers; two halves would be two answers
            several = 2 <= seats <= MOST_SEATS and seats < 2 * least <= 2 * seats
            return several and ask.seed is SeedPolicy.Shared
        case Median(tolerance):
            return 2 <= seats <= MOST_SEATS and tolerance <= MILLION
        case _:
            return False


def ensure_fit(s: State, ask: Ask, hotkey: AccountId) -> None:
    """Raise NotRegistered, or BelowRequirement for a miner that is not good enough."""
    ensure(is_registered(s, ask.netuid, hotkey), Error.NotRegistered)
    wanted = ask.requirement
    bond = s[Bonds, ask.netuid, hotkey]
    ensure((bond.amount if bond else 0) >= wanted.bond, Error.BelowRequirement)
    ensure(incentive_of(s, ask, hotkey) >= wanted.incentive, Error.BelowRequirement)
    ensure(stake_of(s, ask, hotkey) >= wanted.stake, Error.BelowRequirement)


def incentive_of(s: State, ask: Ask, hotkey: AccountId) -> int:
    """A hotkey's share of the first mechanism's incentive, of 65,535."""
    at = 2 * (s[Uids, ask.netuid, hotkey] or 0)
    first = NetUidStorageIndex(ask.netuid)  # the first mechanism has the subnet's own number
    return int.from_bytes(s[Incentive, first][at : at + 2], "little")


def stake_of(s: State, ask: Ask, hotkey: AccountId) -> Rao:
    """What a hotkey's stake counts for on the subnet."""
    return Rao(get_stake_weight(s, hotkey, ask.netuid) >> 64)


# -- finding --------------------------------------------------------------------------------------


def existing(s: State, number: int) -> Request:
    """A request without an answer; raises UnknownRequest."""
    found = s[Requests, number]
    if found is None:
        raise Error.UnknownRequest
    return found


def at_work(
    s: State, number: int, who: AccountId, hotkey: AccountId
) -> tuple[Request, int, BlockNumber]:
    """A started request, the place of a hotkey's seat, and the block it started in; `who` is the
    hotkey or who took the seat. Raises UnknownRequest, NoSeat or TooEarly."""
    found = existing(s, number)
    for place, seat in enumerate(found.seats):
        if seat.hotkey == hotkey and who in (hotkey, seat.provider):
            if found.started is None:
                raise Error.TooEarly
            return found, place, found.started
    raise Error.NoSeat


def seated(found: Request, place: int, seat: Seat) -> Request:
    """A request with another seat in a place."""
    return replace(found, seats=(*found.seats[:place], seat, *found.seats[place + 1 :]))


def committed(found: Request) -> tuple[Seat, ...]:
    """Those who may show an answer: a sole miner has nobody to commit before."""
    if found.ask.redundancy == 1:
        return found.seats
    return tuple(seat for seat in found.seats if seat.commitment is not None)


def is_revealing(found: Request, started: BlockNumber, now: int) -> bool:
    """Whether nobody can commit any more, so that answers may be shown."""
    return len(committed(found)) == len(found.seats) or now > started + found.ask.work


def last_block(found: Request, started: BlockNumber) -> int:
    """The last block in which answers may be shown."""
    several = found.ask.redundancy > 1 and committed(found)
    return started + found.ask.work + (RevealWindow.value if several else 0)


# -- what is signed -------------------------------------------------------------------------------


def order_of(s: State, number: int, requester: AccountId, ask: Ask) -> Order:
    """A request as miners read it."""
    match ask.input:
        case ByHash(digest):
            content = bytes(digest)
        case Inline(text):
            content = blake2_256(text)
    genesis = s[BlockHash, BlockNumber(0)]
    who, netuid = bytes(requester), ask.netuid
    return Order(genesis, number, who, netuid, ask.model, content, ask.max_tokens, ask.temperature)


def receipt_of(
    s: State, number: int, found: Request, started: BlockNumber, hotkey: AccountId, answer: Answer
) -> Receipt:
    """The receipt that an answer's miner must have signed; raises WrongWeights, NotExact or
    TooLong for one that was not asked for."""
    ask = found.ask
    ensure(ask.weights is None or answer.weights == ask.weights, Error.WrongWeights)
    wants_exact = ask.requirement.exact or isinstance(ask.mode, Equal)
    ensure(answer.exact or not wants_exact, Error.NotExact)
    ensure(0 < len(answer.tokens) <= ask.max_tokens, Error.TooLong)
    order = order_of(s, number, found.requester, ask)
    everyone = [bytes(seat.hotkey) for seat in found.seats]
    miners = everyone if ask.seed is SeedPolicy.Shared else [bytes(hotkey)]
    return Receipt(
        version=VERSION,
        genesis=order.genesis,
        netuid=ask.netuid,
        request=order.digest(),
        caller=bytes(found.requester),
        miner=bytes(hotkey),
        weights=answer.weights,
        exact=answer.exact,
        seed=order.seed(s[BlockHash, started], miners),
        prompt_tokens=answer.prompt_tokens,
        first=0,
        tokens=answer.tokens,
        finish=answer.finish,
        evidence=answer.evidence,
    )


def deposit_for(ask: Ask) -> Rao:
    """What a request reserves for its place."""
    size = len(ask.input._0) if isinstance(ask.input, Inline) else 32
    size += len(ask.callback.data) if ask.callback else 0
    return Rao(RequestDeposit.value + ByteDeposit.value * size)


pallet = Pallet("InferenceRequests", _store.__name__, __name__).seal()
