"""Court: storage, constants, events and errors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from chain.pallets import due
from chain.runtime.errors import Errors, error
from chain.runtime.flavour import slow_or_fast
from chain.runtime.pallet import Constant, constant, event
from chain.runtime.storage import Blake2, Identity, Map, Twox, Value, storage
from ganglion.scale import AtMost, Enumeration, u8, u32, u64, variant
from ganglion.units import AccountId, BlockNumber, Hash, NetUid, Rao
from ganglion.wire.votes import Side

SEATS = 7
APPEAL_SEATS = 15
MOST_ESCALATIONS = 4
MOST_BONDS = MOST_ESCALATIONS + 2
"""The first one, the escalations, and that of the appeal."""
MAX_REFERENCE = 96
Reference = Annotated[bytes, AtMost(MAX_REFERENCE)]

CaseFee: Constant[Rao] = constant(Rao(5 * 10**7))
"""Burned from whoever opens a case."""

MinBond: Constant[Rao] = constant(Rao(10**9))
"""The least first bond; every further one is twice the one before."""

MaxBond: Constant[Rao] = constant(Rao(1_000 * 10**9))
"""The highest first bond, so that nobody opens with one that no opponent can double."""

BondShare: Constant[u32] = constant(250_000)
"""The first bond of a case about money that waits, in millionths of it, but not below the least."""

MaxEscalations: Constant[u32] = constant(MOST_ESCALATIONS)
"""How often bonds double before a jury decides."""

JurySize: Constant[u32] = constant(SEATS)
"""Seats of a jury."""

AppealJurySize: Constant[u32] = constant(APPEAL_SEATS)
"""Seats of the jury of an appeal: two for every one, and one, so that votes do not tie."""

MinJurors: Constant[u32] = constant(3)
"""Of how many different owners the jurors must be whom a draw can find."""

MaxJurors: Constant[u32] = constant(64)
"""Jurors of one subnet."""

SeatDeposit: Constant[Rao] = constant(Rao(10**9))
"""What a seat locks of a juror's deposit until the case is over."""

LossShare: Constant[u32] = constant(500_000)
"""What a seat costs that voted against the ruling or did not show its vote, in millionths of what
it locks."""

JurorFee: Constant[Rao] = constant(Rao(25 * 10**7))
"""What the losing side's bonds pay for each seat; those that voted with the ruling share it."""

QuietBlocks: Constant[BlockNumber] = constant(slow_or_fast(BlockNumber(7_200), BlockNumber(480)))
"""Blocks in which a bond may be doubled; if nobody does, the last one has won."""

CommitBlocks: Constant[BlockNumber] = constant(slow_or_fast(BlockNumber(7_200), BlockNumber(480)))
"""Blocks in which jurors commit to their votes."""

RevealBlocks: Constant[BlockNumber] = constant(slow_or_fast(BlockNumber(3_600), BlockNumber(240)))
"""Blocks in which jurors show their votes."""

AppealBlocks: Constant[BlockNumber] = constant(slow_or_fast(BlockNumber(7_200), BlockNumber(480)))
"""Blocks in which the side that a jury has found against may appeal."""

DrawBlocks: Constant[BlockNumber] = constant(slow_or_fast(BlockNumber(1_800), BlockNumber(120)))
"""Blocks for which a draw waits for the beacon."""

JurorBlocks: Constant[BlockNumber] = constant(slow_or_fast(BlockNumber(18_000), BlockNumber(1_200)))
"""Blocks in which a jury is tried to be drawn while too few jurors are free: as long as a jury
sits."""

LeaveBlocks: Constant[BlockNumber] = constant(slow_or_fast(BlockNumber(2_400), BlockNumber(240)))
"""Blocks for which a juror that leaves can still be drawn: longer than any draw takes, so nobody
leaves who sees that the draw will be his."""

BeaconRounds: Constant[u32] = constant(10)
"""By how many rounds of the beacon the one that seeds a draw lies ahead of the last bond."""


class Phase(IntEnum):
    """What a case waits for."""

    Bonding = 0
    Drawing = 1
    Voting = 2
    Revealing = 3
    Appealing = 4


class Reason(IntEnum):
    """Why a case ended as it did."""

    Unanswered = 0
    Undoubled = 1
    Jury = 2
    NoJury = 3
    NoMajority = 4


class Subject(Enumeration):
    """What a case is about, and who carries out the ruling."""


@variant(0)
class Statement(Subject):
    """Something that two accounts see differently: the bonds are all that is at stake."""


@variant(1)
class Delivery(Subject):
    """What was delivered for a job of the pallet Jobs; the job's money waits for the ruling."""

    job: u64


@dataclass(frozen=True, slots=True)
class Stake:
    """A bond for one side; anybody may put one."""

    side: Side
    who: AccountId
    amount: Rao


@dataclass(frozen=True, slots=True)
class Seat:
    """A juror's seats in a jury, each a vote; `payer` has put the deposit and is paid."""

    hotkey: AccountId
    payer: AccountId
    votes: u8
    commitment: Hash | None
    shown: Side | None


Jury = Annotated[tuple[Seat, ...], AtMost(APPEAL_SEATS)]


@dataclass(frozen=True, slots=True)
class Question:
    """Who is against whom about what: `evidence` is the hash of what jurors should read, and the
    reference says where it lies. `agent` acts for one of the parties, as the hotkey of a node."""

    netuid: NetUid
    claimant: AccountId
    respondent: AccountId
    agent: AccountId | None
    subject: Subject
    evidence: Hash
    reference: Reference


@dataclass(frozen=True, slots=True)
class Draw:
    """How the coming jury is drawn: from those who were jurors before the block `since`, by the
    hash of the block after it and the beacon's `round` (0: no beacon). While too few are free it
    is planned anew, until the block `gives_up`."""

    since: BlockNumber
    round: u64
    gives_up: BlockNumber


@dataclass(frozen=True, slots=True)
class Case:
    """A case until the block `until`, which is looked at in the block `due`.

    `ruling` is that of the first jury, and `appealed` whether there was an appeal.
    """

    question: Question
    bonds: Annotated[tuple[Stake, ...], AtMost(MOST_BONDS)]
    phase: Phase
    until: BlockNumber
    due: BlockNumber
    draw: Draw | None
    ruling: Side | None
    appealed: bool


@dataclass(frozen=True, slots=True)
class Juror:
    """Who stands ready: `locked` of the deposit belongs to seats; `leaves` is the block from which
    on it is not drawn any more, 0 for one that stays."""

    payer: AccountId
    amount: Rao
    locked: Rao
    since: BlockNumber
    leaves: BlockNumber


Jurors: Map[Identity[NetUid], Blake2[AccountId], Juror | None] = storage()
"""Those who stand ready to judge on a subnet."""

JurorCount: Map[Identity[NetUid], u32] = storage(default=0)
"""How many they are."""

NextCase: Value[u64] = storage(default=0)
"""The number of the next case."""

Cases: Map[Twox[u64], Case | None] = storage()
"""Cases that are not over."""

Juries: Map[Twox[u64], Twox[u8], Jury] = storage(default=())
"""Who judges a case: in round 0, and in round 1 on appeal."""

Due: Map[Twox[BlockNumber], Annotated[tuple[u64, ...], AtMost(due.MOST)]] = storage(default=())
"""Cases of which something is over in a block."""


@event(0)
class JurorStands:
    """A validator stands ready to judge."""

    netuid: NetUid
    hotkey: AccountId
    amount: Rao


@event(1)
class JurorLeaves:
    """A juror will not be drawn any more from a block on."""

    netuid: NetUid
    hotkey: AccountId
    leaves: BlockNumber


@event(2)
class JurorLeft:
    """A juror has what is left of its deposit back."""

    netuid: NetUid
    hotkey: AccountId
    amount: Rao


@event(3)
class CaseOpened:
    """Somebody has opened a case; without an answer until a block it is won."""

    id: u64
    question: Question
    bond: Rao
    until: BlockNumber


@event(4)
class BondDoubled:
    """A side has doubled the bond of the other."""

    id: u64
    side: Side
    who: AccountId
    amount: Rao
    until: BlockNumber


@event(5)
class JuryDrawn:
    """A jury votes, hidden, until a block."""

    id: u64
    round: u8
    jury: Jury
    until: BlockNumber


@event(6)
class Voted:
    """A juror has committed to a vote."""

    id: u64
    round: u8
    hotkey: AccountId


@event(7)
class Revealing:
    """The jury shows its votes until a block."""

    id: u64
    round: u8
    until: BlockNumber


@event(8)
class Shown:
    """A juror has shown its vote."""

    id: u64
    round: u8
    hotkey: AccountId
    side: Side
    votes: u8


@event(9)
class Ruled:
    """The first jury has found for a side; the other may appeal until a block."""

    id: u64
    side: Side
    votes: u8
    against: u8
    until: BlockNumber


@event(10)
class Appealed:
    """A jury twice as large will decide."""

    id: u64
    who: AccountId
    amount: Rao


@event(11)
class JurorSettled:
    """A juror's seats are free again; what they brought and what they cost."""

    id: u64
    hotkey: AccountId
    gained: Rao
    lost: Rao


@event(12)
class CaseClosed:
    """A case is over: who won, why, and what the winning bonds got of the losing ones."""

    id: u64
    side: Side
    reason: Reason
    gained: Rao


@event(13)
class EvidenceGiven:
    """A party, or who has put a bond, points the jurors to something."""

    id: u64
    who: AccountId
    evidence: Hash
    reference: Reference


class Error(Errors):
    """What can go wrong."""

    UnknownSubnet = error(0, "There is no such subnet.")
    NoPermit = error(1, "Only validators with a permit and stake on the subnet judge there.")
    NotPayer = error(2, "Another account has put this juror's deposit.")
    DepositTooLow = error(3, "A juror's deposit is enough for one seat at least.")
    PoolFull = error(4, "The subnet has as many jurors as it may, none with less stake.")
    NotJuror = error(5, "The hotkey is no juror on this subnet.")
    StillJuror = error(6, "The juror may still be drawn, or sits in a jury.")
    SameParty = error(7, "Nobody opens a case against himself.")
    BadBond = error(8, "The first bond is too low or too high.")
    TooFewJurors = error(9, "The subnet has too few jurors that are free and no party.")
    UnknownCase = error(10, "There is no such case, or it is over.")
    NotBonding = error(11, "The bonds of this case cannot be doubled now.")
    NotParty = error(12, "Only the parties and who has put a bond may say something.")
    NotVoting = error(13, "The jury of this case does not vote now.")
    NotSeated = error(14, "The account has no seat in this jury.")
    AlreadyVoted = error(15, "This juror has voted.")
    NotRevealing = error(16, "The jury of this case does not show its votes now.")
    OtherVote = error(17, "The juror has not committed to this vote with this salt.")
    AlreadyShown = error(18, "This juror has shown its vote.")
    NotAppealing = error(19, "There is nothing in this case to appeal against now.")
    CrowdedBlock = error(20, "Too many cases are due around that block.")
