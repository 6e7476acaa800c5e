"""Court: how cases are opened and planned, for this pallet and for those whose cases it judges."""

from __future__ import annotations

from dataclasses import replace

from chain.pallets import due
from chain.pallets.balances_ops import reserve
from chain.pallets.court_jury import ensure_seatable
from chain.pallets.court_store import (
    BondShare,
    Case,
    CaseFee,
    CaseOpened,
    Cases,
    Due,
    Error,
    JurySize,
    MaxBond,
    MinBond,
    NextCase,
    Phase,
    Question,
    QuietBlocks,
    Stake,
)
from chain.pallets.market import MILLION, do_burn
from chain.pallets.subtensor.accounts import is_subnet
from chain.pallets.system import block_number
from chain.runtime.errors import ensure
from chain.runtime.state import State
from ganglion.units import AccountId, BlockNumber, Rao
from ganglion.wire.votes import Side

NEVER = BlockNumber(0)


def bond_for(at_stake: int) -> Rao:
    """The first bond of a case about so much money that waits."""
    share = at_stake * BondShare.value // MILLION
    return Rao(min(max(share, MinBond.value), MaxBond.value))


def open_case(s: State, who: AccountId, question: Question, bond: Rao) -> int:
    """Open a case with a bond of `who` for the claimant; its number. Raises what is wrong."""
    ensure(is_subnet(s, question.netuid), Error.UnknownSubnet)
    ensure(question.claimant != question.respondent, Error.SameParty)
    ensure(MinBond.value <= bond <= MaxBond.value, Error.BadBond)
    ensure_seatable(s, question, JurySize.value)
    reserve(s, who, Rao(bond + CaseFee.value))
    do_burn(s, who, CaseFee.value)
    number = s[NextCase]
    s[NextCase] = number + 1
    first = Stake(Side.Claimant, who, bond)
    case = Case(question, (first,), Phase.Bonding, NEVER, NEVER, None, None, False)
    until = plan(s, number, case, QuietBlocks.value)
    s.emit(CaseOpened(number, question, bond, until))
    return number


def existing(s: State, number: int) -> Case:
    """A case that is not over; raises UnknownCase."""
    found = s[Cases, number]
    if found is None:
        raise Error.UnknownCase
    return found


def plan(s: State, number: int, case: Case, blocks: int, *, always: bool = False) -> BlockNumber:
    """Store a case that waits for so many blocks; the block. Raises CrowdedBlock, unless it is to
    be planned `always`, for what blocks themselves begin."""
    until = BlockNumber(block_number(s) + blocks)
    unplan(s, number, case)
    at = due.enter(s, Due, number, until)
    if at is None:
        ensure(always, Error.CrowdedBlock)
        due.insist(s, Due, number, until)
        at = until
    s[Cases, number] = replace(case, until=until, due=at)
    return until


def hasten(s: State, number: int, case: Case) -> None:
    """Let a case go on in the next block, if that has room: nothing is waited for any more."""
    soon = BlockNumber(block_number(s) + 1)
    if case.due > soon and len(s[Due, soon]) < due.MOST:
        plan(s, number, case, 1)
    else:
        s[Cases, number] = case


def unplan(s: State, number: int, case: Case) -> None:
    """Plan nothing for a case."""
    if case.due:
        due.leave(s, Due, number, case.due)
