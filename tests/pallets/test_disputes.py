"""Disputes: a liar is slashed, a false challenger pays, who does not move loses, nobody escapes."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from town import NET, free, register, reserved
from world import (
    ALICE,
    BOB,
    CHARLIE,
    DAVE,
    EVE,
    TAO,
    at_block,
    contents,
    fails,
    last,
    names,
    ok,
    run,
    world,
)

from chain.pallets import bonds
from chain.pallets.balances_ops import set_free
from chain.pallets.balances_store import TotalIssuance
from chain.pallets.bonds import Bonds, Claims, Punished, ReporterShare, Slashed, SlashShare
from chain.pallets.disputes_store import (
    Acceptance,
    AcceptDeposit,
    Accepted,
    Cases,
    ChallengeDeposit,
    CommitBlocks,
    DefenderShare,
    DisputeDropped,
    DisputeOpened,
    DisputeResolved,
    Disputes,
    Error,
    MaxOpen,
    MoveBlocks,
    NextDispute,
    ProgramDeposit,
    Programs,
)
from chain.pallets.market import TotalBurned
from chain.pallets.subtensor.storage_network import NetworksAdded
from chain.pallets.system import BlockHash, block_number
from chain.runtime.call import Pays
from chain.runtime.types import Sr25519
from ganglion.exact.game import Phase
from ganglion.exact.players import Challenger, Choose, Commit, Defender, Open, Prove
from ganglion.hashing import blake2_256
from ganglion.keys import Keypair
from ganglion.units import AccountId, BlockNumber, Hash
from ganglion.wire.receipts import Finish, Receipt
from ganglion.wire.text import TextRequest
from tests.disputes.disputants import PLAIN, answered, faulty, small

GENESIS = b"g" * 32
MINER = Keypair.from_uri("//Miner")
HOT = AccountId(MINER.public_key)
PROMPT = (1, 2, 3)
FAULT = 200
MILLION = 1_000_000


@lru_cache
def books():
    book = small()[1]
    return book, faulty(book, FAULT)


def town(accepted=True, bond=10 * TAO):
    """Bob's miner has a bond and stands behind the program that Alice published."""
    s, (book, _) = world(), books()
    s[NetworksAdded, NET] = True
    s[BlockHash, BlockNumber(0)] = Hash(GENESIS)
    register(s, HOT, owner=BOB)
    ok(s, ALICE, "Disputes.publish", book.program)
    if bond:
        ok(s, BOB, "Bonds.bond", NET, HOT, bond)
    if accepted:
        ok(s, BOB, "Disputes.accept", NET, HOT, Hash(book.program.name()))
    s.events.clear()
    return s


def request(tokens=PROMPT, **change):
    return TextRequest(b"i" * 16, "default", PLAIN, 9, tokens=tokens, **change).to_bytes()


def receipt(book, body=None, **change):
    """What a miner with this book signs."""
    body = body or request()
    case = answered(book, PROMPT, 5)
    given = {
        "version": 1, "genesis": GENESIS, "netuid": NET, "request": blake2_256(body),
        "caller": b"c" * 32, "miner": MINER.public_key, "weights": b"w" * 32, "exact": True,
        "seed": PLAIN.seed, "prompt_tokens": len(PROMPT), "first": 0, "tokens": case.tokens[3:],
        "finish": Finish.LENGTH, "evidence": b"e" * 32,
    }  # fmt: skip
    return Receipt(**(given | change))


def claim(made, body=None, key=MINER):
    return made, Sr25519(key.sign(made.signing_hash())), body or request()


def begin(s, made, who=CHARLIE):
    """Open a dispute about a receipt; its number."""
    ok(s, who, "Disputes.open", *claim(made))
    return last(s, DisputeOpened).id


def send(s, number, move, who):
    """Make a move, for free."""
    match move:
        case Commit(root):
            done = ok(s, who, "Disputes.commit", number, Hash(root))
        case Open(hashes):
            done = ok(s, who, "Disputes.split", number, tuple(map(Hash, hashes)))
        case Choose(which):
            done = ok(s, who, "Disputes.choose", number, which)
        case Prove(proof):
            done = ok(s, who, "Disputes.prove", number, proof)
    assert done.pays is Pays.No


def play(s, number, defends, challenges, moves=1000, challenger=CHARLIE):
    """Play with these books until the end, or for so many moves."""
    case = s[Cases, number]
    defender, other = Defender(defends, case), Challenger(challenges, case)
    for _ in range(moves):
        found = s[Disputes, number]
        if found is None:
            return
        mine = found.game.of_defender
        move = (defender if mine else other).move(found.game)
        assert move is not None
        send(s, number, move, HOT if mine else challenger)


def fund(s, who=HOT):
    set_free(s, who, TAO)


def test_a_liar_is_slashed_at_the_step_it_altered():
    s, (book, liar) = town(), books()
    fund(s)
    before, issued = free(s, CHARLIE), s[TotalIssuance]
    number = begin(s, receipt(liar))
    assert reserved(s, CHARLIE) == ChallengeDeposit.value
    assert s[Claims, NET, HOT] == 1
    play(s, number, liar, book)
    amount = 10 * TAO * SlashShare.value // MILLION
    reward = amount * ReporterShare.value // MILLION
    assert last(s, DisputeResolved) == DisputeResolved(number, HOT, CHARLIE, True, FAULT)
    assert last(s, Slashed).amount == amount
    assert s[Bonds, NET, HOT].amount == 10 * TAO - amount
    assert free(s, CHARLIE) == before + reward
    assert s[TotalIssuance] == issued - (amount - reward)
    assert reserved(s, CHARLIE) == 0
    over(s, number)
    fails(s, Error.AlreadyPunished, DAVE, "Disputes.open", *claim(receipt(liar)))


def over(s, number):
    """Nothing is left of a dispute."""
    assert (Disputes, number) not in s
    assert (Cases, number) not in s
    assert (Claims, NET, HOT) not in s


def test_a_false_challenger_loses_its_deposit():
    s, (book, liar) = town(), books()
    fund(s)
    before, other, issued = free(s, CHARLIE), free(s, BOB), s[TotalIssuance]
    number = begin(s, receipt(book))
    play(s, number, book, liar)
    assert last(s, DisputeResolved) == DisputeResolved(number, HOT, CHARLIE, False, FAULT)
    share = ChallengeDeposit.value * DefenderShare.value // MILLION
    assert free(s, CHARLIE) == before - ChallengeDeposit.value
    assert free(s, BOB) == other + share
    assert s[TotalIssuance] == issued - (ChallengeDeposit.value - share)
    assert s[Bonds, NET, HOT].amount == 10 * TAO
    over(s, number)


@pytest.mark.parametrize("moves", range(8))
def test_who_does_not_move_in_time_loses(moves):
    s, (book, liar) = town(), books()
    fund(s)
    number = begin(s, receipt(liar))
    play(s, number, liar, book, moves)
    game = s[Disputes, number].game
    late = block_number(s) + (MoveBlocks if moves else CommitBlocks).value
    assert s[Disputes, number].deadline == late
    at_block(s, late)
    fails(s, Error.TooEarly, EVE, "Disputes.resolve", number)
    at_block(s, late + 1)
    if not moves:
        fails(s, Error.TooLate, HOT, "Disputes.commit", number, Hash(bytes(32)))
    assert ok(s, EVE, "Disputes.resolve", number).pays is Pays.No
    guilty = game.of_defender
    assert last(s, DisputeResolved) == DisputeResolved(number, HOT, CHARLIE, guilty, None)
    assert (s[Bonds, NET, HOT].amount < 10 * TAO) is guilty
    over(s, number)


def test_only_the_party_whose_move_it_is_may_move_and_only_that_move():
    s, (book, liar) = town(), books()
    fund(s)
    number = begin(s, receipt(liar))
    root = Hash(bytes(32))
    assert run(s, CHARLIE, "Disputes.commit", number, root).error is not None
    fails(s, Error.NotYourMove, CHARLIE, "Disputes.choose", number, 0)
    fails(s, Error.IllegalMove, HOT, "Disputes.split", number, (root,) * 16)
    fails(s, Error.UnknownDispute, HOT, "Disputes.commit", number + 1, root)
    play(s, number, liar, book, 1)
    fails(s, Error.IllegalMove, BOB, "Disputes.commit", number, root)
    fails(s, Error.IllegalMove, BOB, "Disputes.split", number, (root,) * 16)
    fails(s, Error.IllegalMove, BOB, "Disputes.split", number, ())
    play(s, number, liar, book, 1)
    assert s[Disputes, number].game.phase is Phase.CHOOSE
    fails(s, Error.NotYourMove, DAVE, "Disputes.choose", number, 0)
    fails(s, Error.NotYourMove, HOT, "Disputes.split", number, (root,) * 16)
    fails(s, Error.IllegalMove, CHARLIE, "Disputes.choose", number, 16)


def test_a_bond_stays_while_a_dispute_is_open():
    s, (_, liar) = town(), books()
    ok(s, BOB, "Bonds.unbond", NET, HOT, 10 * TAO)
    at_block(s, s[Bonds, NET, HOT].free_at)
    number = begin(s, receipt(liar))
    fails(s, bonds.Error.ClaimsOpen, BOB, "Bonds.withdraw", NET, HOT)
    at_block(s, block_number(s) + CommitBlocks.value + 1)
    ok(s, EVE, "Disputes.resolve", number)
    ok(s, BOB, "Bonds.withdraw", NET, HOT)
    assert reserved(s, BOB) == AcceptDeposit.value


def test_whoever_comes_second_gets_its_deposit_back():
    s, (book, liar) = town(), books()
    fund(s)
    first, second = begin(s, receipt(liar)), begin(s, receipt(liar), DAVE)
    assert s[Disputes, second].deposit == 2 * ChallengeDeposit.value
    play(s, first, liar, book)
    fails(s, Error.AlreadyPunished, HOT, "Disputes.commit", second, Hash(bytes(32)))
    ok(s, EVE, "Disputes.resolve", second)
    assert last(s, DisputeDropped).id == second
    assert reserved(s, DAVE) == 0
    assert names(s).count("Bonds.Slashed") == 1
    over(s, second)


def test_a_friend_that_loses_on_purpose_clears_nobody():
    """And it pays, every time twice as much for every other dispute that it keeps open."""
    s, (book, liar) = town(), books()
    fund(s)
    friend = begin(s, receipt(liar), EVE)
    at_block(s, 2)
    play(s, friend, liar, book, 2, EVE)
    at_block(s, block_number(s) + MoveBlocks.value + 1)
    ok(s, EVE, "Disputes.resolve", friend)
    assert last(s, DisputeResolved).guilty is False
    play(s, begin(s, receipt(liar)), liar, book)
    assert last(s, DisputeResolved).guilty is True


def test_places_are_few_and_dear():
    s, (_, liar) = town(), books()
    for number in range(MaxOpen.value):
        begin(s, receipt(liar), EVE)
        assert s[Disputes, number].deposit == ChallengeDeposit.value << number
    fails(s, Error.TooManyOpen, CHARLIE, "Disputes.open", *claim(receipt(liar)))


def test_what_cannot_be_disputed():
    s, (_, liar) = town(), books()
    made, path = receipt(liar), "Disputes.open"

    def refused(error, made=made, body=None, key=MINER):
        fails(s, error, CHARLIE, path, *claim(made, body, key))

    refused(Error.OtherChain, replace(made, genesis=b"x" * 32))
    refused(Error.NoBond, replace(made, netuid=2))
    refused(Error.NotAccepted, replace(made, weights=b"x" * 32))
    refused(Error.NotCovered, replace(made, version=2))
    refused(Error.NotCovered, replace(made, exact=False))
    refused(Error.NotCovered, replace(made, finish=Finish.VECTORS))
    refused(Error.NotCovered, replace(made, tokens=()))
    refused(Error.NotCovered, made, request((1, 2)))
    refused(Error.BadSignature, key=Keypair.from_uri("//Eve"))
    for body in (
        b"{", b"[]", request((1, 99)), request(tuple(range(39)) * 3), request((), prompt="hi"),
    ):  # fmt: skip
        refused(Error.NotCovered, receipt(liar, body), body)
    assert contents(s) == contents(town())


def test_tokens_that_are_none_are_wrong():
    s, (book, _) = town(), books()
    fund(s)
    number = begin(s, receipt(book, tokens=(7, 4_000_000_000, 1)))
    play(s, number, faulty(book, -1), book)
    assert last(s, DisputeResolved).guilty is True


@pytest.mark.parametrize("change", [{"prompt_tokens": 4}, {"prompt_tokens": 2}, {"first": 1},
                                    {"tokens": (1,) * 10}])  # fmt: skip
def test_a_receipt_that_miscounts_is_punished_at_once(change):
    s, (book, _) = town(), books()
    fair = receipt(book)
    fails(s, Error.RightlyCounted, EVE, "Disputes.report_usage", *claim(fair))
    false = replace(fair, **change)
    other = Keypair.from_uri("//Eve")
    fails(s, Error.BadSignature, EVE, "Disputes.report_usage", *claim(false, key=other))
    fails(s, Error.NotCovered, EVE, "Disputes.report_usage", *claim(false, request((1, 2))))
    unknown = replace(false, weights=b"x" * 32)
    fails(s, Error.NotAccepted, EVE, "Disputes.report_usage", *claim(unknown))
    ok(s, EVE, "Disputes.report_usage", *claim(false))
    assert last(s, Slashed).reporter == EVE
    assert s[Bonds, NET, HOT].amount == 10 * TAO * (MILLION - SlashShare.value) // MILLION
    fails(s, Error.AlreadyPunished, EVE, "Disputes.report_usage", *claim(false))


def test_who_goes_on_with_anothers_answer_counts_that():
    s, (book, _) = town(), books()
    body = request(resume=(4, 5))
    fair = receipt(book, body, first=2, tokens=(1,) * 7)
    fails(s, Error.RightlyCounted, EVE, "Disputes.report_usage", *claim(fair, body))
    ok(s, EVE, "Disputes.report_usage", *claim(replace(fair, tokens=(1,) * 8), body))


def test_programs_come_and_go():
    s, (book, _) = town(accepted=False), books()
    name = Hash(book.program.name())
    fails(s, Error.AlreadyPublished, EVE, "Disputes.publish", book.program)
    fails(s, Error.BadProgram, EVE, "Disputes.publish", replace(book.program, layers=0))
    fails(s, Error.NotOwner, BOB, "Disputes.unpublish", name)
    fails(s, Error.UnknownProgram, BOB, "Disputes.accept", NET, HOT, Hash(bytes(32)))
    assert run(s, EVE, "Disputes.accept", NET, HOT, name).error is not None
    ok(s, BOB, "Disputes.accept", NET, HOT, name)
    assert s[Accepted, NET, HOT, Hash(b"w" * 32)] == Acceptance(name, BOB)
    fails(s, Error.AlreadyAccepted, BOB, "Disputes.accept", NET, HOT, name)
    fails(s, Error.InUse, ALICE, "Disputes.unpublish", name)
    weights = Hash(b"w" * 32)
    fails(s, Error.StillBonded, BOB, "Disputes.release", NET, HOT, weights)
    ok(s, BOB, "Bonds.unbond", NET, HOT, 10 * TAO)
    fails(s, Error.StillBonded, BOB, "Disputes.release", NET, HOT, weights)
    at_block(s, s[Bonds, NET, HOT].free_at)
    ok(s, BOB, "Bonds.withdraw", NET, HOT)
    assert run(s, EVE, "Disputes.release", NET, HOT, weights).error is not None
    ok(s, BOB, "Disputes.release", NET, HOT, weights)
    fails(s, Error.NotAccepted, BOB, "Disputes.release", NET, HOT, weights)
    fails(s, Error.NoBond, BOB, "Disputes.accept", NET, HOT, name)
    assert reserved(s, BOB) == 0
    assert reserved(s, ALICE) == ProgramDeposit.value
    ok(s, ALICE, "Disputes.unpublish", name)
    assert reserved(s, ALICE) == 0
    assert (Programs, name) not in s
    assert not s[Punished, Hash(bytes(32))]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2), st.integers(0, 900)), max_size=30))
def test_what_is_reserved_is_what_is_at_stake(acts):
    """Whatever anybody does, and whenever: deposits, counts and issuance add up."""
    s, (book, liar) = town(), books()
    fund(s)
    name, lie = Hash(book.program.name()), receipt(liar)
    start = s[TotalIssuance] + s[TotalBurned]
    for act, who, number in acts:
        someone = (CHARLIE, DAVE, EVE)[who]
        pick = number % 4
        at_block(s, block_number(s) + number // 30)
        match act:
            case 0:
                run(s, someone, "Disputes.open", *claim(replace(lie, first=pick)))
            case 1:
                run(s, HOT, "Disputes.commit", pick, Hash(bytes(32)))
            case 2:
                run(s, someone, "Disputes.resolve", pick)
            case 3:
                run(s, BOB, "Bonds.unbond", NET, HOT, TAO * (1 + pick))
            case 4:
                run(s, BOB, "Bonds.withdraw", NET, HOT)
            case 5:
                run(s, BOB, "Bonds.bond", NET, HOT, TAO)
            case 6:
                run(s, BOB, "Disputes.release", NET, HOT, Hash(b"w" * 32))
            case 7:
                run(s, BOB, "Disputes.accept", NET, HOT, name)
        open_ = [s[Disputes, n] for n in range(s[NextDispute])]
        open_ = [one for one in open_ if one is not None]
        assert s[Claims, NET, HOT] == len(open_)
        for other in (CHARLIE, DAVE, EVE):
            assert reserved(s, other) == sum(o.deposit for o in open_ if o.challenger == other)
        bond, taken = s[Bonds, NET, HOT], s[Accepted, NET, HOT, Hash(b"w" * 32)]
        stake = 0 if bond is None else bond.amount + bond.unbonding
        assert reserved(s, BOB) == stake + (AcceptDeposit.value if taken else 0)
        assert s[Programs, name].users == (1 if taken else 0)
        assert bond is not None or not open_
        assert s[TotalIssuance] + s[TotalBurned] == start
