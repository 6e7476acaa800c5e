"""Disputes: storage, constants, events and errors."""

from __future__ import annotations

from dataclasses import dataclass

from chain.runtime.errors import Errors, error
from chain.runtime.flavour import slow_or_fast
from chain.runtime.pallet import Constant, constant, event
from chain.runtime.storage import Blake2, Identity, Map, Twox, Value, storage
from ganglion.exact.case import Case
from ganglion.exact.game import Game, Phase
from ganglion.exact.program import Program
from ganglion.scale import u32, u64
from ganglion.units import AccountId, BlockNumber, Hash, NetUid, Rao

ProgramDeposit: Constant[Rao] = constant(Rao(10**9))
"""Reserved for a published program, until it is removed."""

AcceptDeposit: Constant[Rao] = constant(Rao(10**8))
"""Reserved for an accepted program, until it is released."""

ChallengeDeposit: Constant[Rao] = constant(Rao(10**9))
"""Reserved from a challenger: so much, and twice as much for every other dispute that is open
about the same miner."""

MaxOpen: Constant[u32] = constant(8)
"""Disputes that may be open about one miner of a subnet."""

CommitBlocks: Constant[BlockNumber] = constant(slow_or_fast(BlockNumber(600), BlockNumber(480)))
"""Blocks for the defender's first move, before which it computes everything."""

MoveBlocks: Constant[BlockNumber] = constant(slow_or_fast(BlockNumber(100), BlockNumber(120)))
"""Blocks for every other move."""

DefenderShare: Constant[u32] = constant(500_000)
"""What the payer of the bond gets of a lost challenge, in millionths; the rest is burned."""


@dataclass(frozen=True, slots=True)
class Published:
    """A program, who published it, and how many acceptances name it."""

    owner: AccountId
    users: u32
    program: Program


@dataclass(frozen=True, slots=True)
class Acceptance:
    """By which program a hotkey's answers for a model are judged, and who reserved the deposit."""

    program: Hash
    payer: AccountId


@dataclass(frozen=True, slots=True)
class Dispute:
    """A game about the receipt of a miner: `about` is what the receipt is about, without tokens."""

    netuid: NetUid
    hotkey: AccountId
    challenger: AccountId
    deposit: Rao
    about: Hash
    request: Hash
    program: Hash
    game: Game
    deadline: BlockNumber


Programs: Map[Blake2[Hash], Published | None] = storage()
"""Published programs by name, which is a hash of all that is in them."""

Accepted: Map[Identity[NetUid], Blake2[AccountId], Blake2[Hash], Acceptance | None] = storage()
"""What a hotkey has accepted, by the hash of the model's weights. It stays as long as the bond."""

NextDispute: Value[u64] = storage(default=0)
"""The number of the next dispute."""

Disputes: Map[Twox[u64], Dispute | None] = storage()
"""Disputes that are not over."""

Cases: Map[Twox[u64], Case | None] = storage()
"""Their prompts and answers."""


@event(0)
class ProgramPublished:
    """A program was published."""

    program: Hash
    weights: Hash
    owner: AccountId


@event(1)
class ProgramRemoved:
    """A program that nobody has accepted is gone."""

    program: Hash


@event(2)
class ProgramAccepted:
    """A miner's answers for a model are judged by a program."""

    netuid: NetUid
    hotkey: AccountId
    weights: Hash
    program: Hash


@event(3)
class ProgramReleased:
    """A miner without a bond is no longer judged by a program."""

    netuid: NetUid
    hotkey: AccountId
    weights: Hash


@event(4)
class DisputeOpened:
    """Somebody says that a miner signed wrong tokens."""

    id: u64
    netuid: NetUid
    hotkey: AccountId
    challenger: AccountId
    steps: u64
    deadline: BlockNumber


@event(5)
class Moved:
    """A party has moved; `phase` says what comes next, until the deadline."""

    id: u64
    phase: Phase
    rounds: u32
    deadline: BlockNumber


@event(6)
class DisputeResolved:
    """A dispute is over: the miner is found guilty or not, at a step unless somebody was late."""

    id: u64
    hotkey: AccountId
    challenger: AccountId
    guilty: bool
    step: u64 | None


@event(7)
class DisputeDropped:
    """A dispute has nothing left to decide: the miner was slashed for this request already."""

    id: u64


class Error(Errors):
    """What can go wrong."""

    BadProgram = error(0, "No model has these numbers, or its steps are too large to referee.")
    AlreadyPublished = error(1, "This program has been published.")
    UnknownProgram = error(2, "There is no program of this name.")
    NotOwner = error(3, "Another account has published this program.")
    InUse = error(4, "Miners have accepted this program, or a dispute goes by it.")
    AlreadyAccepted = error(5, "The hotkey has accepted a program for this model.")
    NotAccepted = error(6, "The miner has accepted no program for this model.")
    NoBond = error(7, "The miner has no bond on this subnet.")
    StillBonded = error(8, "What was accepted stays until the bond is withdrawn.")
    OtherChain = error(9, "The receipt is not of this chain.")
    NotCovered = error(10, "Receipt and request do not make a case that can be judged.")
    BadSignature = error(11, "The receipt's signature is not the miner's.")
    AlreadyPunished = error(12, "The miner has been slashed for this request.")
    TooManyOpen = error(13, "As many disputes are open about this miner as may be.")
    UnknownDispute = error(14, "There is no open dispute of this number.")
    NotYourMove = error(15, "It is the other party's move, or not your dispute.")
    IllegalMove = error(16, "The game does not allow this move now.")
    TooLate = error(17, "The deadline of this move is over.")
    TooEarly = error(18, "The dispute is not over yet.")
    RightlyCounted = error(19, "The receipt counts what the request shows.")
