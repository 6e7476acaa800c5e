"""Court (pallet 111, this chain's own): decides what no computation can, by bonds and juries.

Somebody opens a case against an account, with a bond. For some quiet blocks the other side may put
twice that, then the first again, up to four times; anybody may put the money for a side that is
right and poor. When nobody doubles, the last bond has won. After the fourth time a jury decides:
seven seats among the validators of the subnet that stand ready for it with a deposit, drawn in
proportion to their stake (`court_jury.py`). Jurors commit to votes and then show them. The side
they find against may appeal once, by another doubled bond, to a jury of fifteen.

The last ruling by a majority holds. The losing bonds pay a fee for every seat and then the winning
bonds, in proportion. Of jurors, those that voted with the ruling share the fees and what the others
lose; those that voted otherwise, or showed nothing, lose half of what their seats lock. Appeals are
judged by the same rule, so who is bribed in the first jury pays when the second one is not.

Where too few jurors are free for too long, or a jury has no majority, the side with the last bond
wins, but all bonds go back: nobody was found wrong. No case can be opened where a jury could not
be drawn at that time.

What a case is about is a hash of evidence, or the delivery of a job (`jobs_court.py`), whose money
waits for the ruling. Every phase ends by itself at a block; nothing runs for longer than about
two weeks of 12 seconds a block. Invariant: every bond, and every juror's deposit, is reserved on
the account that put it; a juror's `locked` is what its seats in juries take.

The rules follow Kleros (jurors drawn by stake, coherence, appeals, arbitrable contracts) and Augur
(bonds that double, losers that fund winners).
"""

from __future__ import annotations

from dataclasses import replace

import chain.pallets.court_store as _store
from chain.pallets import due
from chain.pallets.balances_ops import reserve, unreserve
from chain.pallets.court_cases import NEVER, existing, hasten, open_case, plan
from chain.pallets.court_jury import (
    count_jurors,
    draw_jury,
    draw_plan,
    interested,
    least_juror,
    lock,
    seed_of,
    stake_of,
)
from chain.pallets.court_rules import majority, tally
from chain.pallets.court_settle import close_by_bonds, close_by_jury
from chain.pallets.court_store import (
    AppealBlocks,
    Appealed,
    AppealJurySize,
    BondDoubled,
    Case,
    Cases,
    CommitBlocks,
    Due,
    Error,
    EvidenceGiven,
    Juries,
    Juror,
    JurorCount,
    JurorLeaves,
    JurorLeft,
    Jurors,
    JurorStands,
    Jury,
    JuryDrawn,
    JurySize,
    LeaveBlocks,
    MaxEscalations,
    MaxJurors,
    Phase,
    Question,
    QuietBlocks,
    Reason,
    Reference,
    RevealBlocks,
    Revealing,
    Ruled,
    Seat,
    SeatDeposit,
    Shown,
    Stake,
    Statement,
    Voted,
)
from chain.pallets.market import ensure_own
from chain.pallets.system import BlockHash, block_number
from chain.runtime.call import Pays, PostInfo
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import Pallet, call, on_initialize
from chain.runtime.state import State
from ganglion.scale import u64
from ganglion.units import AccountId, BlockNumber, Hash, NetUid, Rao
from ganglion.wire.votes import Side, Vote

DRAW_AFTER = 2
"""Blocks after the last bond: the hash of the one between is known then."""
LOOK = 5
"""Blocks between two looks for the beacon."""
RETRY = 20
"""Blocks until a jury is drawn anew for which too few jurors were free."""
FREE = PostInfo(pays=Pays.No)
"""Jurors pay nothing for what they must do; others cannot do it."""

# -- jurors ----------------------------------------------------------------------------------------


@call(0, weight=150_000_000, reads=200, writes=6)
def stand(s: State, who: Signed, netuid: NetUid, hotkey: AccountId, amount: Rao) -> None:
    """Stand ready as a juror with a validator of one's own, for a deposit, or add to that."""
    ensure_own(s, who, hotkey)
    stake = stake_of(s, netuid, hotkey)
    ensure(stake > 0, Error.NoPermit)
    before = s[Jurors, netuid, hotkey]
    if before is None:
        make_room(s, netuid, stake)
        count_jurors(s, netuid, 1)
        before = Juror(who, Rao(0), Rao(0), block_number(s), NEVER)
    ensure(before.payer == who, Error.NotPayer)
    after = replace(before, amount=Rao(before.amount + amount), leaves=NEVER)
    ensure(after.amount >= SeatDeposit.value, Error.DepositTooLow)
    reserve(s, who, amount)
    s[Jurors, netuid, hotkey] = after
    s.emit(JurorStands(netuid, hotkey, amount))


@call(1, weight=30_000_000, reads=1, writes=1)
def leave(s: State, who: Signed, netuid: NetUid, hotkey: AccountId) -> None:
    """Be drawn no more, after as many blocks as a draw may take."""
    juror = own_juror(s, who, netuid, hotkey)
    leaves = BlockNumber(block_number(s) + LeaveBlocks.value)
    s[Jurors, netuid, hotkey] = replace(juror, leaves=leaves)
    s.emit(JurorLeaves(netuid, hotkey, leaves))


@call(2, weight=40_000_000, reads=3, writes=3)
def withdraw(s: State, who: Signed, netuid: NetUid, hotkey: AccountId) -> None:
    """Take back what is left of a juror's deposit, when it has left and sits in no jury."""
    juror = own_juror(s, who, netuid, hotkey)
    ensure(0 < juror.leaves <= block_number(s) and not juror.locked, Error.StillJuror)
    remove_juror(s, netuid, hotkey, juror)


# -- bonds -----------------------------------------------------------------------------------------


@call(3, weight=200_000_000, reads=400, writes=6)
def open(  # noqa: A001 - the name of the call
    s: State,
    who: Signed,
    netuid: NetUid,
    respondent: AccountId,
    bond: Rao,
    evidence: Hash,
    reference: Reference,
) -> None:
    """Open a case against an account: it is lost for it unless somebody doubles the bond."""
    question = Question(netuid, who, respondent, None, Statement(), evidence, reference)
    open_case(s, who, question, bond)


@call(4, weight=80_000_000, reads=6, writes=6)
def double(s: State, who: Signed, id: u64) -> None:
    """Put twice the last bond for the other side."""
    case = existing(s, id)
    ensure(case.phase is Phase.Bonding, Error.NotBonding)
    case, stake = raised(s, who, case, case.bonds[-1].side.other)
    if len(case.bonds) <= MaxEscalations.value:
        until = plan(s, id, case, QuietBlocks.value)
    else:
        until = begin_draw(s, id, case)
    s.emit(BondDoubled(id, stake.side, who, stake.amount, until))


@call(5, weight=80_000_000, reads=6, writes=6)
def appeal(s: State, who: Signed, id: u64) -> None:
    """Put twice the last bond for the side that the jury has found against: a larger one votes."""
    case = existing(s, id)
    if case.phase is not Phase.Appealing or case.ruling is None:
        raise Error.NotAppealing
    case, stake = raised(s, who, case, case.ruling.other)
    begin_draw(s, id, replace(case, appealed=True))
    s.emit(Appealed(id, who, stake.amount))


@call(6, weight=50_000_000, reads=10)
def give_evidence(s: State, who: Signed, id: u64, evidence: Hash, reference: Reference) -> None:
    """Point the jurors to something; nothing is stored but the event."""
    case = existing(s, id)
    question, bonded = case.question, (stake.who for stake in case.bonds)
    ensure(who in interested(s, question, *bonded), Error.NotParty)
    s.emit(EvidenceGiven(id, who, evidence, reference))


# -- votes -----------------------------------------------------------------------------------------


@call(7, weight=50_000_000, reads=5, writes=4)
def commit(s: State, who: Signed, id: u64, hotkey: AccountId, commitment: Hash) -> PostInfo:
    """A juror commits to its vote; see `ganglion.wire.votes.Vote`."""
    case = existing(s, id)
    ensure(case.phase is Phase.Voting and block_number(s) < case.until, Error.NotVoting)
    jury, place = seated(s, who, id, case, hotkey)
    ensure(jury[place].commitment is None, Error.AlreadyVoted)
    jury = with_seat(s, id, case, jury, place, replace(jury[place], commitment=commitment))
    s.emit(Voted(id, int(case.appealed), hotkey))
    if all(seat.commitment is not None for seat in jury):
        hasten(s, id, case)
    return FREE


@call(8, weight=60_000_000, reads=6, writes=4)
def reveal(s: State, who: Signed, id: u64, hotkey: AccountId, side: Side, salt: Hash) -> PostInfo:
    """A juror shows the vote that it has committed to."""
    case = existing(s, id)
    ensure(case.phase is Phase.Revealing and block_number(s) < case.until, Error.NotRevealing)
    jury, place = seated(s, who, id, case, hotkey)
    seat, round_ = jury[place], int(case.appealed)
    ensure(seat.shown is None, Error.AlreadyShown)
    vote = Vote(s[BlockHash, BlockNumber(0)], id, round_, hotkey, side, salt)
    ensure(seat.commitment == vote.commitment(), Error.OtherVote)
    jury = with_seat(s, id, case, jury, place, replace(seat, shown=side))
    s.emit(Shown(id, round_, hotkey, side, seat.votes))
    if all(seat.shown is not None for seat in jury if seat.commitment is not None):
        hasten(s, id, case)
    return FREE


# -- what happens at blocks ------------------------------------------------------------------------


@on_initialize
def start(s: State, now: int) -> None:
    """Let every case go on whose time has come."""
    for number in due.arrive(s, Due, now):
        case = s[Cases, number]
        if case is None:
            continue
        if now < case.until:  # it had no place at its own block
            due.insist(s, Due, number, case.until)
            s[Cases, number] = replace(case, due=case.until)
        else:
            go_on(s, number, replace(case, due=NEVER))


def go_on(s: State, number: int, case: Case) -> None:
    """End a phase of a case."""
    match case.phase:
        case Phase.Bonding:
            alone = len(case.bonds) == 1
            close_by_bonds(s, number, case, Reason.Unanswered if alone else Reason.Undoubled)
        case Phase.Drawing:
            try_draw(s, number, case)
        case Phase.Voting:
            begin_reveal(s, number, case)
        case Phase.Revealing:
            count(s, number, case)
        case Phase.Appealing:
            assert case.ruling is not None
            close_by_jury(s, number, case, case.ruling)


def begin_draw(s: State, number: int, case: Case) -> BlockNumber:
    """Let a jury be drawn, soon; the block. Raises CrowdedBlock."""
    case = replace(case, phase=Phase.Drawing, draw=draw_plan(s))
    return plan(s, number, case, DRAW_AFTER)


def try_draw(s: State, number: int, case: Case) -> None:
    """Draw a jury, wait on, or give up."""
    how, round_ = case.draw, int(case.appealed)
    assert how is not None
    seats = (AppealJurySize if case.appealed else JurySize).value
    seed = seed_of(s, number, round_, how)
    if seed is None:
        plan(s, number, case, LOOK, always=True)
        return
    jury = draw_jury(s, case, seed, seats, s[Juries, number, 0])
    if jury is not None:
        lock(s, case.question.netuid, jury)
        s[Juries, number, round_] = jury
        case = replace(case, phase=Phase.Voting, draw=None)
        until = plan(s, number, case, CommitBlocks.value, always=True)
        s.emit(JuryDrawn(number, round_, jury, until))
    elif block_number(s) < how.gives_up:
        again = replace(case, draw=draw_plan(s, how.gives_up))
        plan(s, number, again, RETRY, always=True)
    elif case.ruling is None:
        close_by_bonds(s, number, case, Reason.NoJury)
    else:  # nobody judges the appeal: its bond goes back and the first ruling holds
        unreserve(s, case.bonds[-1].who, case.bonds[-1].amount)
        close_by_jury(s, number, replace(case, bonds=case.bonds[:-1]), case.ruling)


def begin_reveal(s: State, number: int, case: Case) -> None:
    """Let the jurors show their votes, if any of them has one."""
    round_ = int(case.appealed)
    if all(seat.commitment is None for seat in s[Juries, number, round_]):
        count(s, number, case)
        return
    case = replace(case, phase=Phase.Revealing)
    until = plan(s, number, case, RevealBlocks.value, always=True)
    s.emit(Revealing(number, round_, until))


def count(s: State, number: int, case: Case) -> None:
    """Count the votes of a jury."""
    jury = s[Juries, number, int(case.appealed)]
    side = majority(jury)
    if case.appealed and case.ruling is not None:
        close_by_jury(s, number, case, case.ruling if side is None else side)
    elif side is None:
        close_by_bonds(s, number, case, Reason.NoMajority)
    else:
        case = replace(case, phase=Phase.Appealing, ruling=side)
        until = plan(s, number, case, AppealBlocks.value, always=True)
        votes = tally(jury)
        s.emit(Ruled(number, side, votes[side], votes[side.other], until))


# -- parts -----------------------------------------------------------------------------------------


def raised(s: State, who: AccountId, case: Case, side: Side) -> tuple[Case, Stake]:
    """A case with a bond of twice the last one, reserved from `who`."""
    stake = Stake(side, who, Rao(2 * case.bonds[-1].amount))
    ensure(block_number(s) < case.until, Error.NotBonding)
    reserve(s, who, stake.amount)
    return replace(case, bonds=(*case.bonds, stake)), stake


def seated(
    s: State, who: AccountId, number: int, case: Case, hotkey: AccountId
) -> tuple[Jury, int]:
    """A case's jury and the place of a hotkey in it, for which `who` may act; raises NotSeated."""
    jury = s[Juries, number, int(case.appealed)]
    for place, seat in enumerate(jury):
        if seat.hotkey == hotkey and who in (hotkey, seat.payer):
            return jury, place
    raise Error.NotSeated


def with_seat(s: State, number: int, case: Case, jury: Jury, place: int, seat: Seat) -> Jury:
    """Store a jury with another seat in a place."""
    jury = (*jury[:place], seat, *jury[place + 1 :])
    s[Juries, number, int(case.appealed)] = jury
    return jury


def own_juror(s: State, who: AccountId, netuid: NetUid, hotkey: AccountId) -> Juror:
    """A juror whose deposit `who` has put; raises NotJuror or NotPayer."""
    found = s[Jurors, netuid, hotkey]
    if found is None:
        raise Error.NotJuror
    ensure(found.payer == who, Error.NotPayer)
    return found


def make_room(s: State, netuid: NetUid, stake: int) -> None:
    """Send the juror of the least stake home, if there are as many as may be; raises PoolFull if
    the newcomer has no more."""
    if s[JurorCount, netuid] >= MaxJurors.value:
        least = least_juror(s, netuid)
        if least is None or least[0] >= stake:
            raise Error.PoolFull
        remove_juror(s, netuid, least[1], least[2])


def remove_juror(s: State, netuid: NetUid, hotkey: AccountId, juror: Juror) -> None:
    """Give a juror's deposit back and forget it."""
    back = juror.amount - unreserve(s, juror.payer, juror.amount)
    del s[Jurors, netuid, hotkey]
    count_jurors(s, netuid, -1)
    s.emit(JurorLeft(netuid, hotkey, Rao(back)))


pallet = Pallet("Court", _store.__name__, __name__).seal()
