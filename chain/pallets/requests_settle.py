"""InferenceRequests: the end of a request, who is paid and what is remembered."""

from __future__ import annotations

from dataclasses import replace

from chain.pallets.balances_ops import repatriate_reserved, unreserve
from chain.pallets.balances_store import BalanceStatus
from chain.pallets.market import burn_share, do_burn, do_burn_share
from chain.pallets.requests_callbacks import Outcome, call_back
from chain.pallets.requests_decide import Taken, decide
from chain.pallets.requests_store import (
    Dissented,
    Expired,
    Fulfilled,
    Missed,
    Record,
    Records,
    Request,
    Requests,
    Results,
    Seat,
    SeatDeposit,
    Shown,
)
from chain.pallets.system import Account, block_number
from chain.pallets.system_types import AccountData
from chain.runtime.state import State, clear_prefix, iter_items
from ganglion.hashing import blake2_256
from ganglion.units import BlockNumber, Hash, NetUid, Rao
from ganglion.wire.requests import Part, Result, Verdict


def settle(s: State, number: int, found: Request, started: BlockNumber) -> int:
    """End a request that miners have worked on; the weight of its callback.

    Everything is written and paid before the callback runs.
    """
    ask = found.ask
    taken = decide(ask.mode, found.seats, dict(iter_items(s, Shown, number)))
    clear_prefix(s, Shown, number)
    for seat in found.seats:
        release(s, number, ask.netuid, seat)
    if taken is None:
        expire(s, number, found)
        return 0
    parts = tuple(
        judge(s, number, ask.netuid, seat, taken, n) for n, seat in enumerate(found.seats)
    )
    del s[Requests, number]
    s[Results, number] = Result(
        found.requester, ask.netuid, ask.model, found.order, started,
        block_number(s), taken.output, parts, found.deposit,
    )  # fmt: skip
    pay(s, number, found, taken)
    return call_back(
        s,
        ask.callback,
        Outcome(number, found.requester, ask.callback.data if ask.callback else b"", taken.output),
    )


def pay(s: State, number: int, found: Request, taken: Taken) -> None:
    """Pay those that agree, burn a share, and give the rest back."""
    price = found.ask.price
    paid = burned = 0
    for place in sorted(taken.agreed):
        provider = found.seats[place].provider
        if s[Account, provider].data == AccountData():  # an account that is gone earns nothing
            continue
        burned += do_burn_share(s, found.requester, price)
        rest = price - burn_share(price)
        missing = repatriate_reserved(s, found.requester, provider, rest, BalanceStatus.Free)
        paid += rest - missing
    refund = price * len(found.seats) - paid - burned
    refund -= unreserve(s, found.requester, refund)
    digest = Hash(blake2_256(taken.output))
    s.emit(
        Fulfilled(number, digest, len(taken.agreed), Rao(paid), Rao(burned), Rao(max(refund, 0)))
    )


def expire(s: State, number: int, found: Request) -> None:
    """Give all of the money back, and forget the request."""
    s.emit(Expired(number, give_back(s, number, found)))


def give_back(s: State, number: int, found: Request) -> Rao:
    """Drop a request; what its requester has back, the deposit included."""
    del s[Requests, number]
    total = found.ask.price * found.ask.redundancy + found.deposit
    return Rao(total - unreserve(s, found.requester, total))


def release(s: State, number: int, netuid: NetUid, seat: Seat) -> None:
    """Give a miner's deposit back, or burn it if the miner has shown nothing."""
    if seat.output is not None:
        unreserve(s, seat.provider, SeatDeposit.value)
        return
    remember(s, netuid, seat, Verdict.Missed)
    burned = do_burn(s, seat.provider, SeatDeposit.value)
    s.emit(Missed(number, seat.hotkey, burned))


def judge(s: State, number: int, netuid: NetUid, seat: Seat, taken: Taken, place: int) -> Part:
    """What came of a miner's answer, and remember it."""
    verdict = Verdict.Agreed if place in taken.agreed else Verdict.Dissented
    if seat.output is None:
        return Part(seat.hotkey, Verdict.Missed, None, None, exact=False)
    remember(s, netuid, seat, verdict)
    if verdict is Verdict.Dissented:
        s.emit(Dissented(number, seat.hotkey, seat.output))
    return Part(seat.hotkey, verdict, seat.receipt, seat.output, seat.exact)


def remember(s: State, netuid: NetUid, seat: Seat, verdict: Verdict) -> None:
    """Count a verdict."""
    record: Record = s[Records, netuid, seat.hotkey]
    match verdict:
        case Verdict.Agreed:
            record = replace(record, agreed=record.agreed + 1)
        case Verdict.Dissented:
            record = replace(record, dissented=record.dissented + 1)
        case Verdict.Missed:
            record = replace(record, missed=record.missed + 1)
    s[Records, netuid, seat.hotkey] = record
