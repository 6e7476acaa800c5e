"""Bonds: taken back late, slashed for two answers to one request, and never an honest miner's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from town import NET, forward, free, register, reserved
from world import ALICE, BOB, EVE, ROOT, TAO, address, at_block, fails, last, names, ok, run, world

from chain.pallets import market
from chain.pallets.balances_store import TotalIssuance
from chain.pallets.bonds import (
    Bond,
    Bonds,
    Error,
    MinimumBond,
    ReporterShare,
    Slashed,
    SlashShare,
    UnbondingDelay,
    Withdrawn,
)
from chain.pallets.channels_store import ChallengeWindow
from chain.pallets.market import TotalBurned
from chain.pallets.subtensor.storage_network import NetworksAdded
from chain.pallets.system import BlockHash
from chain.runtime.types import Ed25519, Sr25519
from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, Keypair
from ganglion.units import AccountId, BlockNumber, Hash, Rao
from ganglion.wire.equivocation import Same, conflict, subject
from ganglion.wire.receipts import Finish, Receipt

GENESIS = b"g" * 32
MINER = Keypair.from_uri("//Miner")
HOT = AccountId(MINER.public_key)
REPORT = "Bonds.report_equivocation"


def town(bond=10 * TAO):
    s = world()
    s[NetworksAdded, NET] = True
    s[BlockHash, BlockNumber(0)] = Hash(GENESIS)
    register(s, HOT, owner=BOB)
    if bond:
        ok(s, BOB, "Bonds.bond", NET, HOT, bond)
    s.events.clear()
    return s


def receipt(**change):
    given = {
        "version": 1,
        "genesis": GENESIS,
        "netuid": NET,
        "request": b"r" * 32,
        "caller": b"c" * 32,
        "miner": MINER.public_key,
        "weights": b"w" * 32,
        "exact": True,
        "seed": b"s" * 32,
        "prompt_tokens": 7,
        "first": 0,
        "tokens": (1, 2, 3),
        "finish": Finish.LENGTH,
        "evidence": b"e" * 32,
    }
    return Receipt(**(given | change))


OTHER = receipt(tokens=(1, 9, 3), evidence=b"f" * 32)


def signed(made, key=MINER):
    kind = Ed25519 if key.crypto is CryptoType.ED25519 else Sr25519
    return made, kind(key.sign(made.signing_hash()))


def claim(one, other, key=MINER):
    return (*signed(one, key), *signed(other, key))


def report(s, one=None, other=OTHER, who=ALICE):
    return run(s, who, REPORT, *claim(one or receipt(), other))


# -- money in and out -------------------------------------------------------------------------


def test_a_bond_is_reserved_and_comes_back_after_the_delay():
    s = town()
    assert reserved(s, BOB) == 10 * TAO
    ok(s, BOB, "Bonds.unbond", NET, HOT, 4 * TAO)
    due = 1 + UnbondingDelay.value
    assert s[Bonds, NET, HOT] == Bond(BOB, 6 * TAO, 4 * TAO, due)
    at_block(s, due - 1)
    fails(s, Error.TooEarly, BOB, "Bonds.withdraw", NET, HOT)
    at_block(s, due)
    ok(s, BOB, "Bonds.withdraw", NET, HOT)
    assert reserved(s, BOB) == 6 * TAO
    fails(s, Error.TooEarly, BOB, "Bonds.withdraw", NET, HOT)
    ok(s, BOB, "Bonds.unbond", NET, HOT, 6 * TAO)
    at_block(s, due + UnbondingDelay.value)
    ok(s, BOB, "Bonds.withdraw", NET, HOT)
    assert reserved(s, BOB) == 0
    assert (Bonds, NET, HOT) not in s


def test_unbonding_more_starts_the_delay_anew():
    s = town()
    ok(s, BOB, "Bonds.unbond", NET, HOT, TAO)
    at_block(s, 5000)
    ok(s, BOB, "Bonds.unbond", NET, HOT, TAO)
    assert s[Bonds, NET, HOT] == Bond(BOB, 8 * TAO, 2 * TAO, 5000 + UnbondingDelay.value)


def test_bonds_are_checked():
    s = town(bond=0)
    fails(s, Error.NoBond, BOB, "Bonds.unbond", NET, HOT, 1)
    fails(s, market.Error.NotYourHotkey, EVE, "Bonds.bond", NET, HOT, TAO)
    fails(s, Error.NotRegistered, BOB, "Bonds.bond", 9, HOT, TAO)
    fails(s, Error.BondTooLow, BOB, "Bonds.bond", NET, HOT, MinimumBond.value - 1)
    ok(s, BOB, "Bonds.bond", NET, HOT, 2 * TAO)
    fails(s, Error.NotPayer, HOT, "Bonds.bond", NET, HOT, TAO)
    fails(s, Error.NotPayer, EVE, "Bonds.unbond", NET, HOT, TAO)
    fails(s, Error.BondTooLow, BOB, "Bonds.unbond", NET, HOT, 2 * TAO - 1)
    for amount in (0, 2 * TAO + 1):
        fails(s, Error.NotEnough, BOB, "Bonds.unbond", NET, HOT, amount)


# -- the claim --------------------------------------------------------------------------------


def test_two_answers_to_one_request_are_slashed_at_once():
    s = town()
    before, rich = s[TotalIssuance], free(s, ALICE)
    assert report(s).error is None
    lost = 10 * TAO * SlashShare.value // 10**6
    reward = lost * ReporterShare.value // 10**6
    assert last(s, Slashed) == Slashed(NET, HOT, b"r" * 32, lost, ALICE, reward)
    assert s[Bonds, NET, HOT].amount == reserved(s, BOB) == 10 * TAO - lost
    assert free(s, ALICE) - rich == reward
    assert before - s[TotalIssuance] == s[TotalBurned] == lost - reward
    assert "Market.FeeBurned" in names(s)


def test_who_has_no_account_may_report_and_gets_nothing():
    s = town()
    nobody = AccountId(b"\x99" * 32)
    assert report(s, who=nobody).error is None
    cut = 10 * TAO * SlashShare.value // 10**6
    assert last(s, Slashed) == Slashed(NET, HOT, b"r" * 32, cut, nobody, 0)
    assert s[TotalBurned] == cut


def test_a_slash_says_what_was_there_to_take():
    s = town()
    ok(s, ROOT, "Balances.force_unreserve", address(BOB), 9 * TAO + TAO // 2)
    before = s[TotalIssuance]
    assert report(s).error is None
    assert last(s, Slashed).amount == last(s, Slashed).reward == TAO // 2
    assert reserved(s, BOB) == 0
    assert s[TotalIssuance] == before


def test_a_request_is_punished_once_but_another_again():
    s = town()
    assert report(s).error is None
    fails(s, Error.AlreadyPunished, EVE, REPORT, *claim(OTHER, receipt()))
    third = receipt(tokens=(8,))
    fails(s, Error.AlreadyPunished, EVE, REPORT, *claim(OTHER, third))
    new = {"request": b"q" * 32}
    assert report(s, receipt(**new), receipt(**new, tokens=(4,))).error is None
    assert s[Bonds, NET, HOT].amount == 64 * TAO // 10


def test_what_is_leaving_is_slashed_first():
    s = town()
    ok(s, BOB, "Bonds.unbond", NET, HOT, TAO)
    assert report(s).error is None
    assert s[Bonds, NET, HOT] == Bond(BOB, 8 * TAO, 0, 1 + UnbondingDelay.value)
    assert reserved(s, BOB) == 8 * TAO


def test_what_was_taken_back_in_time_is_safe():
    s = town()
    ok(s, BOB, "Bonds.unbond", NET, HOT, 10 * TAO)
    forward(s, 1 + UnbondingDelay.value)
    ok(s, BOB, "Bonds.withdraw", NET, HOT)
    fails(s, Error.NoBond, ALICE, REPORT, *claim(receipt(), OTHER))


def test_ed25519_miners_are_held_to_it_too():
    key = Keypair.from_uri("//Miner", CryptoType.ED25519)
    s = town(bond=0)
    register(s, AccountId(key.public_key), owner=BOB)
    ok(s, BOB, "Bonds.bond", NET, key.public_key, TAO)
    mine = {"miner": key.public_key}
    parts = claim(receipt(**mine), receipt(**mine, tokens=(5,)), key)
    ok(s, ALICE, REPORT, *parts)


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        ({"tokens": (1, 2, 3)}, Error.NoConflict),
        ({"tokens": (1, 2)}, Error.NoConflict),
        ({"tokens": (1, 2, 3, 4)}, Error.NoConflict),
        ({"tokens": (1, 2, 3), "evidence": b"x" * 32}, Error.NoConflict),
        ({"tokens": (1, 2), "finish": Finish.STOP}, Error.NoConflict),
        ({"exact": False}, Error.NotExact),
        ({"finish": Finish.VECTORS}, Error.NotExact),
        ({"finish": Finish.CANCELLED}, Error.NotExact),
        ({"genesis": b"x" * 32}, Error.OtherSubject),
        ({"netuid": 2}, Error.OtherSubject),
        ({"request": b"x" * 32}, Error.OtherSubject),
        ({"caller": b"x" * 32}, Error.OtherSubject),
        ({"miner": b"x" * 32}, Error.OtherSubject),
        ({"weights": b"x" * 32}, Error.OtherSubject),
        ({"seed": b"x" * 32}, Error.OtherSubject),
        ({"prompt_tokens": 8}, Error.OtherSubject),
        ({"first": 1}, Error.OtherSubject),
        ({"version": 2}, Error.OtherSubject),
    ],
)
def test_nothing_else_is_a_contradiction(change, failure):
    s = town()
    other = receipt(**({"tokens": OTHER.tokens} | change))
    fails(s, failure, ALICE, REPORT, *claim(receipt(), other))
    assert run(s, ALICE, REPORT, *claim(other, receipt())).error is not None


def test_a_claim_needs_both_signatures_and_this_chain():
    s = town()
    forger = Keypair.from_uri("//Forger")
    good, bad = signed(receipt()), signed(OTHER, forger)
    fails(s, Error.BadSignature, ALICE, REPORT, *good, *bad)
    fails(s, Error.BadSignature, ALICE, REPORT, *signed(OTHER, forger), *good)
    there = {"genesis": b"x" * 32}
    fails(s, Error.OtherChain, ALICE, REPORT, *claim(receipt(**there), replace(OTHER, **there)))


def test_a_miner_without_a_bond_loses_nothing():
    s = town(bond=0)
    fails(s, Error.NoBond, ALICE, REPORT, *claim(receipt(), OTHER))


# -- an honest miner is never slashed ---------------------------------------------------------


def honest(body, weights, caller, exact, luck, cut):
    """What an honest miner signs: an exact answer depends on weights and body alone, a fast one
    on its batch (`luck`) as well, and any of them may be cut short."""
    source = weights + body + (b"" if exact else luck)
    tokens = tuple(blake2_256(source + bytes([n]))[0] for n in range(8 - cut))
    return receipt(
        request=blake2_256(body), weights=weights, caller=caller, exact=exact, tokens=tokens
    )


FEW = st.sampled_from([b"a" * 32, b"b" * 32])
ANSWER = st.builds(honest, FEW, FEW, FEW, st.booleans(), FEW, st.integers(0, 7))


@given(st.lists(ANSWER, min_size=2, max_size=6))
def test_no_two_honest_receipts_contradict_each_other(answers):
    for one in answers:
        for other in answers:
            assert conflict(one, other) is not Same.CONFLICT


EXACT = st.builds(honest, FEW, FEW, FEW, st.just(True), FEW, st.integers(0, 7))


@given(EXACT, st.integers(0, 7), st.integers(1, 255))
def test_any_other_token_in_an_exact_answer_does(answer, place, change):
    tokens = list(answer.tokens)
    tokens[place % len(tokens)] ^= change
    other = replace(answer, tokens=tuple(tokens))
    assert conflict(answer, other) is conflict(other, answer) is Same.CONFLICT
    assert subject(answer) == subject(other)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["bond", "unbond", "withdraw", "report", "blocks"]),
        st.integers(0, 5),
    ),
    max_size=25,
)


@given(STEPS)
def test_what_is_reserved_is_what_bonds_hold(steps):
    s, block = town(), 1
    before = s[TotalIssuance]
    for step, n in steps:
        if step in ("bond", "unbond"):
            run(s, BOB, f"Bonds.{step}", NET, HOT, Rao(n * TAO))
        elif step == "withdraw":
            run(s, BOB, "Bonds.withdraw", NET, HOT)
        elif step == "report":
            about = {"request": bytes([n]) * 32}
            report(s, receipt(**about), replace(OTHER, **about))
        else:
            block += n * 2000
            at_block(s, block)
        held = s[Bonds, NET, HOT]
        assert reserved(s, BOB) == (held.amount + held.unbonding if held else 0)
        assert s[TotalIssuance] + s[TotalBurned] == before


def test_a_claim_reaches_who_redeems_closes_and_unbonds_at_once():
    """So channels need not hold earnings back: the bond waits longer than they would."""
    s = town()
    ok(s, ALICE, "Channels.open", HOT, 10 * TAO, BlockNumber(5_000), 1, None)
    ok(s, BOB, "Bonds.unbond", NET, HOT, 10 * TAO)
    ok(s, HOT, "Channels.close", 0)
    assert UnbondingDelay.value > 10 * ChallengeWindow.value
    at_block(s, 1 + UnbondingDelay.value - 1)
    fails(s, Error.TooEarly, BOB, "Bonds.withdraw", NET, HOT)
    assert report(s).error is None
    at_block(s, 1 + UnbondingDelay.value)
    ok(s, BOB, "Bonds.withdraw", NET, HOT)
    lost = 10 * TAO * SlashShare.value // 10**6
    assert reserved(s, BOB) == 0
    assert last(s, Withdrawn).amount == 10 * TAO - lost
