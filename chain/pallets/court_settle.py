"""Court: how cases end. All of this runs at the start of blocks, so none of it may fail.

Money that changes hands is first taken from where it is reserved and then given out, so nothing is
paid that is not there, whatever root has taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chain.pallets.balances_ops import deposit, slash_reserved, unreserve
from chain.pallets.balances_store import ED
from chain.pallets.court_cases import unplan
from chain.pallets.court_rules import fees_of, loss_of, shares
from chain.pallets.court_store import (
    Case,
    CaseClosed,
    Cases,
    Delivery,
    Juries,
    Jurors,
    JurorSettled,
    Reason,
    Seat,
    SeatDeposit,
    Stake,
)
from chain.pallets.jobs_court import carry_out
from chain.pallets.market import burn_taken
from chain.pallets.system import Account
from chain.runtime.state import State, clear_prefix
from ganglion.units import AccountId, NetUid, Rao
from ganglion.wire.votes import Side

Jury = tuple[Seat, ...]


def close_by_bonds(s: State, number: int, case: Case, reason: Reason) -> None:
    """The last bond has won: the losing bonds fund the winning ones, unless a jury was asked and
    none could decide; then all bonds go back, and the jurors who showed nothing pay the others."""
    winner = case.bonds[-1].side
    juries = juries_of(s, number, case)
    forget(s, number, case)
    if juries or reason is Reason.NoJury:
        for stake in case.bonds:
            unreserve(s, stake.who, stake.amount)
        settle_jurors(s, number, case.question.netuid, juries, None, 0)
        gained = 0
    else:
        gained, _ = settle_bonds(s, case.bonds, winner, 0)
    finish(s, number, case, winner, reason, gained)


def close_by_jury(s: State, number: int, case: Case, ruling: Side) -> None:
    """A jury has decided: the losing bonds pay the jurors and then the winning bonds."""
    juries = juries_of(s, number, case)
    forget(s, number, case)
    gained, fees = settle_bonds(s, case.bonds, ruling, fees_of(juries))
    settle_jurors(s, number, case.question.netuid, juries, ruling, fees)
    finish(s, number, case, ruling, Reason.Jury, gained)


def juries_of(s: State, number: int, case: Case) -> list[Jury]:
    """The juries that a case has had."""
    return [jury for round_ in range(1 + case.appealed) if (jury := s[Juries, number, round_])]


def forget(s: State, number: int, case: Case) -> None:
    """Take a case out of storage."""
    unplan(s, number, case)
    clear_prefix(s, Juries, number)
    del s[Cases, number]


def finish(s: State, number: int, case: Case, winner: Side, reason: Reason, gained: int) -> None:
    """Say who has won, and let whoever asked carry it out."""
    s.emit(CaseClosed(number, winner, reason, Rao(gained)))
    match case.question.subject:
        case Delivery(job):
            party = (case.question.claimant, case.question.respondent)[winner]
            carry_out(s, job, party)
        case _:
            pass


# -- money -----------------------------------------------------------------------------------------


def settle_bonds(s: State, bonds: Sequence[Stake], winner: Side, fees: int) -> tuple[int, int]:
    """Give the winning bonds back with what the losing ones leave after the fees; what the winners
    gained, and the fees, in hand."""
    won = [stake for stake in bonds if stake.side is winner]
    taken = sum(slash_reserved(s, b.who, b.amount) for b in bonds if b.side is not winner)
    fees = min(fees, taken)
    for stake, share in zip(won, shares(taken - fees, [b.amount for b in won]), strict=True):
        unreserve(s, stake.who, stake.amount)
        give(s, stake.who, share)
    return taken - fees, fees


def settle_jurors(
    s: State, number: int, netuid: NetUid, juries: Sequence[Jury], ruling: Side | None, fees: int
) -> None:
    """Free all seats: those that voted with the ruling share the fees in hand and what the others
    lose. Without a ruling, those that showed a vote do. For want of any it burns."""
    seats = [seat for jury in juries for seat in jury]
    losses = [loss_of(seat, ruling) for seat in seats]
    pot = fees + sum(
        slash_reserved(s, seat.payer, loss) for seat, loss in zip(seats, losses, strict=True)
    )
    parts = [0 if loss else seat.votes for seat, loss in zip(seats, losses, strict=True)]
    if pot and not any(parts):
        burn_taken(s, seats[0].payer, pot)
    for seat, loss, gain in zip(seats, losses, shares(pot, parts), strict=True):
        unlock(s, netuid, seat, loss)
        give(s, seat.payer, gain)
        s.emit(JurorSettled(number, seat.hotkey, Rao(gain), Rao(loss)))


def unlock(s: State, netuid: NetUid, seat: Seat, loss: int) -> None:
    """Take a seat, and what it cost, off a juror's deposit."""
    juror = s[Jurors, netuid, seat.hotkey]
    if juror is not None:  # nobody goes with a seat
        locked = Rao(juror.locked - seat.votes * SeatDeposit.value)
        s[Jurors, netuid, seat.hotkey] = replace(
            juror, amount=Rao(juror.amount - loss), locked=locked
        )


def give(s: State, who: AccountId, amount: int) -> None:
    """Give what is in hand to an account, or burn it for one that is gone and cannot take it."""
    if amount == 0:
        return
    if s[Account, who].data.free + amount < ED:
        burn_taken(s, who, amount)
    else:
        deposit(s, who, amount)
