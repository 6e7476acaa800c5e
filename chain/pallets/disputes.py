"""Disputes (pallet 107, this chain's own): who signs wrong tokens of the exact class is slashed.

In the exact class an answer's tokens follow from the request and the weights. A miner with a bond
accepts a *program*, which commits to the weights, and says by that: my answers with this model are
what this program gives. Whoever has a receipt and its request and has computed other tokens opens a
dispute for a deposit. Then the game of `ganglion.exact.game` finds one step in dispute, and the
chain computes that step alone. A guilty miner's bond is slashed as for equivocation. A challenger
that was wrong loses its deposit, half of it to the miner. Who does not move in time loses, and
anybody may say so.

A receipt that counts the prompt's tokens wrongly, or those that were asked for, is judged at once:
program, request and receipt are all that it takes.

Why a program is accepted and not only registered: the hash of a model's files says nothing that a
chain can compute with, and a false commitment to its weights, made by a stranger, would convict the
honest. What is accepted stays as long as the bond, so no receipt outlives it. Whoever relies on a
bond looks which program it stands behind; the name follows from the model's files.

Colluding gains nothing: a challenger that loses on purpose burns half of a deposit and clears the
miner of nothing, since the next may open; one that wins burns three quarters of the slash. Deposits
double with every open dispute about a miner, so its time and the places are dear to take. Valid
moves cost no fee.

Invariant: `Bonds.Claims` counts the open disputes about a hotkey, and while there are any its bond
is not withdrawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, TypeVar

import chain.pallets.disputes_store as _store
from chain.pallets.balances_ops import repatriate_reserved, reserve, unreserve
from chain.pallets.balances_store import BalanceStatus
from chain.pallets.bonds import Bonds, Claims, Punished, do_slash
from chain.pallets.disputes_store import (
    Acceptance,
    AcceptDeposit,
    Accepted,
    Cases,
    ChallengeDeposit,
    CommitBlocks,
    DefenderShare,
    Dispute,
    DisputeDropped,
    DisputeOpened,
    DisputeResolved,
    Disputes,
    Error,
    MaxOpen,
    MoveBlocks,
    Moved,
    NextDispute,
    ProgramAccepted,
    ProgramDeposit,
    ProgramPublished,
    ProgramReleased,
    ProgramRemoved,
    Programs,
    Published,
)
from chain.pallets.market import MILLION, do_burn, ensure_own
from chain.pallets.nested import rocks
from chain.pallets.system import BlockHash, block_number
from chain.runtime.call import Pays, PostInfo
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import Pallet, call
from chain.runtime.signatures import verify_signature
from chain.runtime.state import State
from chain.runtime.types import MultiSignature
from ganglion.exact import game as rules
from ganglion.exact.case import NotCovered, case_of, is_misbilled, steps_of
from ganglion.exact.game import Game, IllegalMove
from ganglion.exact.program import Program, fault_of
from ganglion.exact.referee import MOST_PROOF, Proof, is_right
from ganglion.hashing import blake2_256
from ganglion.scale import AtMost, u8, u64
from ganglion.units import AccountId, BlockNumber, Hash, NetUid, Rao
from ganglion.wire.equivocation import subject
from ganglion.wire.receipts import Receipt

T = TypeVar("T")
MOST_BODY = 1 << 20
Body = Annotated[bytes, AtMost(MOST_BODY)]
"""A request as it was sent."""


@call(0, weight=30_000_000, reads=2, writes=2)
def publish(s: State, who: Signed, program: Program) -> None:
    """Publish a program, for a deposit."""
    ensure(fault_of(program) is None, Error.BadProgram)
    name = Hash(program.name())
    ensure(s[Programs, name] is None, Error.AlreadyPublished)
    reserve(s, who, ProgramDeposit.value)
    s[Programs, name] = Published(who, 0, program)
    s.emit(ProgramPublished(name, Hash(program.weights), who))


@call(1, weight=25_000_000, reads=2, writes=2)
def unpublish(s: State, who: Signed, program: Hash) -> None:
    """Remove a program of one's own that nobody uses."""
    found = published(s, program)
    ensure(found.owner == who, Error.NotOwner)
    ensure(found.users == 0, Error.InUse)
    unreserve(s, who, ProgramDeposit.value)
    del s[Programs, program]
    s.emit(ProgramRemoved(program))


@call(2, weight=35_000_000, reads=5, writes=3)
def accept(s: State, who: Signed, netuid: NetUid, hotkey: AccountId, program: Hash) -> None:
    """Say that a bonded hotkey of one's own answers as a program does; it stays with the bond."""
    ensure_own(s, who, hotkey)
    found = published(s, program)
    weights = Hash(found.program.weights)
    ensure(s[Bonds, netuid, hotkey] is not None, Error.NoBond)
    ensure(s[Accepted, netuid, hotkey, weights] is None, Error.AlreadyAccepted)
    reserve(s, who, AcceptDeposit.value)
    s[Accepted, netuid, hotkey, weights] = Acceptance(program, who)
    count_users(s, program, 1)
    s.emit(ProgramAccepted(netuid, hotkey, weights, program))


@call(3, weight=30_000_000, reads=5, writes=3)
def release(s: State, who: Signed, netuid: NetUid, hotkey: AccountId, weights: Hash) -> None:
    """Take back what was accepted for a model, when there is no bond any more."""
    found = s[Accepted, netuid, hotkey, weights]
    if found is None:
        raise Error.NotAccepted
    if found.payer != who:
        ensure_own(s, who, hotkey)
    ensure(s[Bonds, netuid, hotkey] is None, Error.StillBonded)
    unreserve(s, found.payer, AcceptDeposit.value)
    del s[Accepted, netuid, hotkey, weights]
    count_users(s, found.program, -1)
    s.emit(ProgramReleased(netuid, hotkey, weights))


def open_weight(receipt: Receipt, _: MultiSignature, body: bytes) -> int:
    """A signature, a request read, tokens stored."""
    return rocks(400_000_000 + 200_000 * len(receipt.tokens) + 60_000 * len(body), 8, 6)


@call(4, weight=open_weight)
def open(  # noqa: A001 - the name of the call
    s: State, who: Signed, receipt: Receipt, signature: MultiSignature, body: Body
) -> None:
    """Say that a miner signed other tokens than the request demands, for a deposit."""
    accepted, about = judged(s, receipt)
    netuid, hotkey = NetUid(receipt.netuid), AccountId(receipt.miner)
    already = s[Claims, netuid, hotkey]
    ensure(already < MaxOpen.value, Error.TooManyOpen)
    program = published(s, accepted).program
    try:
        case = case_of(program, receipt, body)
    except NotCovered:
        raise Error.NotCovered from None
    ensure(verify_signature(signature, receipt.signing_hash(), hotkey), Error.BadSignature)
    deposit = Rao(ChallengeDeposit.value << already)
    reserve(s, who, deposit)
    number, steps = s[NextDispute], steps_of(program, case).count
    deadline = BlockNumber(block_number(s) + CommitBlocks.value)
    s[NextDispute] = number + 1
    s[Claims, netuid, hotkey] = already + 1
    s[Cases, number] = case
    s[Disputes, number] = Dispute(
        netuid, hotkey, who, deposit, about, Hash(receipt.request), accepted,
        Game.begin(steps), deadline,
    )  # fmt: skip
    s.emit(DisputeOpened(number, netuid, hotkey, who, steps, deadline))


@call(5, weight=30_000_000, reads=4, writes=1)
def commit(s: State, who: Signed, id: u64, root: Hash) -> PostInfo:
    """The defender commits to the root of its computation's cells."""
    found = awaited(s, who, id, defender=True)
    return advance(s, id, found, legal(lambda: rules.commit(found.game, root)))


@call(6, weight=60_000_000, reads=4, writes=1)
def split(s: State, who: Signed, id: u64, hashes: tuple[Hash, ...]) -> PostInfo:
    """The defender shows the hashes below the node in dispute."""
    found = awaited(s, who, id, defender=True)
    return advance(s, id, found, legal(lambda: rules.open_node(found.game, hashes)))


@call(7, weight=30_000_000, reads=2, writes=1)
def choose(s: State, who: Signed, id: u64, which: u8) -> PostInfo:
    """The challenger names the first of them that is wrong."""
    found = awaited(s, who, id, defender=False)
    return advance(s, id, found, legal(lambda: rules.choose(found.game, which)))


def proof_weight(_: int, proof: Proof) -> int:
    """The largest step, and what is hashed."""
    hashes = len(proof.hashes) + len(proof.path) + 3 * len(proof.cells)
    return rocks(60_000_000_000 + 20_000 * proof.size + 10_000_000 * hashes, 10, 8)


@call(8, weight=proof_weight)
def prove(s: State, who: Signed, id: u64, proof: Proof) -> PostInfo:
    """The defender shows what the step in dispute was made from, and the chain computes it."""
    found = awaited(s, who, id, defender=True)
    ensure(proof.size <= MOST_PROOF, Error.IllegalMove)
    case, program = s[Cases, id], published(s, found.program).program
    assert case is not None
    right = legal(lambda: is_right(program, case, found.game, proof))
    conclude(s, id, found, guilty=not right, step=found.game.index)
    return FREE


@call(9, weight=80_000_000, reads=10, writes=8)
def resolve(s: State, _: Signed, id: u64) -> PostInfo:
    """End a dispute whose deadline has passed, or that has nothing left to decide."""
    found = existing(s, id)
    if s[Punished, found.about]:
        close(s, id, found)
        unreserve(s, found.challenger, found.deposit)
        s.emit(DisputeDropped(id))
    else:
        ensure(block_number(s) > found.deadline, Error.TooEarly)
        conclude(s, id, found, guilty=found.game.of_defender, step=None)
    return FREE


@call(10, weight=open_weight)
def report_usage(
    s: State, who: Signed, receipt: Receipt, signature: MultiSignature, body: Body
) -> None:
    """Show a receipt whose counts its own request contradicts: the miner is slashed at once."""
    accepted, about = judged(s, receipt)
    netuid, hotkey = NetUid(receipt.netuid), AccountId(receipt.miner)
    try:
        wrong = is_misbilled(published(s, accepted).program, receipt, body)
    except NotCovered:
        raise Error.NotCovered from None
    ensure(wrong, Error.RightlyCounted)
    ensure(verify_signature(signature, receipt.signing_hash(), hotkey), Error.BadSignature)
    bonded = s[Bonds, netuid, hotkey]
    assert bonded is not None, "judged looks for it"
    s[Punished, about] = True
    do_slash(s, who, netuid, hotkey, bonded, Hash(receipt.request))


FREE = PostInfo(pays=Pays.No)
"""An honest party pays nothing for its moves; others cannot make any."""


def legal(move: Callable[[], T]) -> T:
    """What a move gives; raises IllegalMove where the game does not allow it."""
    try:
        return move()
    except IllegalMove:
        raise Error.IllegalMove from None


def judged(s: State, receipt: Receipt) -> tuple[Hash, Hash]:
    """The program by which a receipt is judged, and the hash of what it is about; raises unless a
    bond stands behind it that was not slashed for this request."""
    ensure(receipt.genesis == s[BlockHash, BlockNumber(0)], Error.OtherChain)
    netuid, hotkey = NetUid(receipt.netuid), AccountId(receipt.miner)
    ensure(s[Bonds, netuid, hotkey] is not None, Error.NoBond)
    accepted = s[Accepted, netuid, hotkey, Hash(receipt.weights)]
    if accepted is None:
        raise Error.NotAccepted
    about = Hash(blake2_256(subject(receipt)))
    ensure(not s[Punished, about], Error.AlreadyPunished)
    return accepted.program, about


def published(s: State, name: Hash) -> Published:
    """A program; raises UnknownProgram."""
    found = s[Programs, name]
    if found is None:
        raise Error.UnknownProgram
    return found


def count_users(s: State, name: Hash, change: int) -> None:
    """Note that one more, or one less, has accepted a program."""
    found = published(s, name)
    s[Programs, name] = replace(found, users=found.users + change)


def existing(s: State, number: int) -> Dispute:
    """An open dispute; raises UnknownDispute."""
    found = s[Disputes, number]
    if found is None:
        raise Error.UnknownDispute
    return found


def awaited(s: State, who: AccountId, number: int, defender: bool) -> Dispute:
    """The dispute if it is this party's move and in time."""
    found = existing(s, number)
    ensure(found.game.of_defender is defender, Error.NotYourMove)
    if defender:
        ensure_own(s, who, found.hotkey)
    else:
        ensure(who == found.challenger, Error.NotYourMove)
    ensure(not s[Punished, found.about], Error.AlreadyPunished)
    ensure(block_number(s) <= found.deadline, Error.TooLate)
    return found


def advance(s: State, number: int, found: Dispute, game: Game) -> PostInfo:
    """Store the game after a move, with the deadline of the next."""
    deadline = BlockNumber(block_number(s) + MoveBlocks.value)
    s[Disputes, number] = replace(found, game=game, deadline=deadline)
    s.emit(Moved(number, game.phase, game.rounds, deadline))
    return FREE


def close(s: State, number: int, found: Dispute) -> None:
    """Take a dispute out of storage."""
    del s[Disputes, number]
    del s[Cases, number]
    left = s[Claims, found.netuid, found.hotkey] - 1
    if left:
        s[Claims, found.netuid, found.hotkey] = left
    else:
        del s[Claims, found.netuid, found.hotkey]


def conclude(s: State, number: int, found: Dispute, guilty: bool, step: int | None) -> None:
    """Slash the miner and give the deposit back, or take the deposit for the miner's trouble."""
    close(s, number, found)
    bonded = s[Bonds, found.netuid, found.hotkey]
    assert bonded is not None, "a bond stays while there are claims"
    if guilty:
        unreserve(s, found.challenger, found.deposit)
        s[Punished, found.about] = True
        do_slash(s, found.challenger, found.netuid, found.hotkey, bonded, found.request)
    else:
        share = found.deposit * DefenderShare.value // MILLION
        free = BalanceStatus.Free
        repatriate_reserved(s, found.challenger, bonded.payer, share, free)
        do_burn(s, found.challenger, found.deposit - share)
    s.emit(DisputeResolved(number, found.hotkey, found.challenger, guilty, step))


pallet = Pallet("Disputes", _store.__name__, __name__).seal()
