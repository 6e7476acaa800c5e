"""A subnet with jurors, and what parties and jurors do."""

from __future__ import annotations

from town import NET, register
from world import ALICE, BOB, CHARLIE, DAVE, EVE, TAO, at_block, last, ok, world

from chain.pallets import court
from chain.pallets.balances_ops import set_free
from chain.pallets.court_store import (
    CaseOpened,
    Cases,
    CommitBlocks,
    Juries,
    Jurors,
    MaxEscalations,
    Phase,
    QuietBlocks,
)
from chain.pallets.jobs import start as start_jobs
from chain.pallets.market import TotalBurned
from chain.pallets.subtensor.storage_network import NetworksAdded
from chain.pallets.subtensor.storage_neurons import StakeWeight, ValidatorPermit
from chain.pallets.system import Account, BlockHash, Number
from ganglion.hashing import blake2_256
from ganglion.units import AccountId, BlockNumber, Hash
from ganglion.wire.votes import Side, Vote

GENESIS = b"g" * 32
STAKES = (9_000, 5_000, 4_000, 3_000, 3_000, 2_000, 1_000, 500)
JURORS = tuple(AccountId(bytes([n]) * 32) for n in range(1, len(STAKES) + 1))
DEPOSIT = 30 * TAO
BOND = 2 * TAO
KEPT = 300
"""Blocks whose hashes are kept, which is enough for a draw."""
EVIDENCE = Hash(b"e" * 32)
REFERENCE = b"ipfs://evidence"
PARTIES = (ALICE, BOB, CHARLIE, DAVE, EVE)
CLAIMANT, RESPONDENT = Side.Claimant, Side.Respondent


def seat_stakes(s, stakes):
    """Give uids from 1 on these stakes and permits."""
    s[StakeWeight, NET] = b"".join(stakes.get(uid, 0).to_bytes(2, "little") for uid in range(256))
    s[ValidatorPermit, NET] = bytes(uid in stakes for uid in range(256))


def courthouse(stakes=STAKES, deposit=DEPOSIT, jurors=None, block=10):
    """Validators with these stakes, of which the first `jurors` stand ready."""
    s = world(block=block)
    s[NetworksAdded, NET] = True
    s[BlockHash, BlockNumber(0)] = Hash(GENESIS)
    people = [AccountId(bytes([n]) * 32) for n in range(1, len(stakes) + 1)]
    seat_stakes(s, {who[0]: stake for who, stake in zip(people, stakes, strict=True)})
    for who in people:
        set_free(s, who, 100 * TAO)
        register(s, who)
    for who in people[:jurors]:
        ok(s, who, "Court.stand", NET, who, deposit)
    forward(s, 1)
    return s


def forward(s, blocks, hooks=(court.start, start_jobs)):
    """Go on so many blocks, each with a hash of its own."""
    for number in range(s[Number] + 1, s[Number] + blocks + 1):
        s[BlockHash, BlockNumber(number - 1)] = Hash(blake2_256(b"%d" % (number - 1)))
        if number > KEPT:
            del s[BlockHash, BlockNumber(number - KEPT)]
        at_block(s, number)
        s.events.clear()
        for hook in hooks:
            hook(s, number)


def opened(s, who=ALICE, against=BOB, bond=BOND):
    ok(s, who, "Court.open", NET, against, bond, EVIDENCE, REFERENCE)
    return last(s, CaseOpened).id


def doubled(s, number, times=MaxEscalations.value, sides=(BOB, ALICE)):
    for n in range(times):
        ok(s, sides[n % 2], "Court.double", number)


def jury_of(s, number):
    """The jury that sits now."""
    case = s[Cases, number]
    return s[Juries, number, int(case.appealed)]


def drawn(s, number):
    """Go on until the jury sits."""
    for _ in range(300):
        if s[Cases, number].phase is not Phase.Drawing:
            break
        forward(s, 1)
    return jury_of(s, number)


def to_jury(s, **how):
    """A case whose jury sits."""
    number = opened(s, **how)
    doubled(s, number)
    drawn(s, number)
    return number


def vote_of(number, round_, who, side):
    return Vote(GENESIS, number, round_, who, side, blake2_256(who + bytes([round_])))


def cast(s, number, votes):
    """Jurors commit to votes and show them, by hotkey; others do nothing. Until the count."""
    case = s[Cases, number]
    round_ = int(case.appealed)
    seats = {seat.hotkey for seat in jury_of(s, number)}
    ours = {who: vote_of(number, round_, who, side) for who, side in votes.items() if who in seats}
    for who, vote in ours.items():
        ok(s, who, "Court.commit", number, who, Hash(vote.commitment()))
    forward(s, max(s[Cases, number].until - s[Number], 0))
    for who, vote in ours.items():
        ok(s, who, "Court.reveal", number, who, vote.side, Hash(vote.salt))
    case = s[Cases, number]
    if case is not None and case.phase is Phase.Revealing:
        forward(s, case.until - s[Number])


def judged(s, number, side):
    """All of the jury votes for a side."""
    cast(s, number, {seat.hotkey: side for seat in jury_of(s, number)})


def finished(s, number):
    """Go on until a case is over; what it was worth is in the events."""
    while (case := s[Cases, number]) is not None:
        forward(s, case.until - s[Number])


def everyone(s):
    return [ref[1] for ref in s.keys_of(Account)]


def wealth(s):
    """Free and reserved of everybody."""
    return {who: s[Account, who].data.free + s[Account, who].data.reserved for who in everyone(s)}


def changes(before, after):
    return {who: after.get(who, 0) - sum_ for who, sum_ in before.items() if after[who] != sum_}


def reserves_agree(s):
    """What is reserved is what bonds and deposits say."""
    owed: dict[AccountId, int] = {}
    for ref in s.keys_of(Cases):
        for stake in s[ref].bonds:
            owed[stake.who] = owed.get(stake.who, 0) + stake.amount
    for ref in s.keys_of(Jurors):
        owed[s[ref].payer] = owed.get(s[ref].payer, 0) + s[ref].amount
    return all(s[Account, who].data.reserved == owed.get(who, 0) for who in everyone(s))


def locks_agree(s):
    """What jurors have locked is what their seats take."""
    taken: dict[AccountId, int] = {}
    for ref in s.keys_of(Juries):
        for seat in s[ref]:
            taken[seat.hotkey] = taken.get(seat.hotkey, 0) + seat.votes * TAO
    return all(s[ref].locked == taken.get(ref[2], 0) for ref in s.keys_of(Jurors))


__all__ = [
    "BOND",
    "CLAIMANT",
    "DEPOSIT",
    "EVIDENCE",
    "JURORS",
    "PARTIES",
    "REFERENCE",
    "RESPONDENT",
    "STAKES",
    "CommitBlocks",
    "QuietBlocks",
    "TotalBurned",
    "cast",
    "changes",
    "courthouse",
    "doubled",
    "drawn",
    "finished",
    "forward",
    "judged",
    "jury_of",
    "locks_agree",
    "opened",
    "reserves_agree",
    "seat_stakes",
    "to_jury",
    "vote_of",
    "wealth",
]
