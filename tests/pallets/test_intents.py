"""Intents: the cheapest filler wins, an expired one is not paid, a signature allows no more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from town import MODEL, NET, burned, free, register, reserved
from world import ALICE, BOB, CHARLIE, DAVE, EVE, TAO, at_block, fails, last, names, ok, run, world

from chain.pallets import intents, market
from chain.pallets.balances_ops import set_free
from chain.pallets.balances_store import Error as Balances
from chain.pallets.balances_store import TotalIssuance
from chain.pallets.due import MOST
from chain.pallets.intents import (
    Awarded,
    Due,
    Error,
    Failed,
    Filled,
    Intents,
    MaxAhead,
    Quote,
    QuoteDeposit,
    Standing,
)
from chain.pallets.market import TotalBurned
from chain.pallets.subtensor.storage_keys import (
    ColdkeySwapAnnouncements,
    ColdkeySwapDisputes,
    Owner,
)
from chain.pallets.subtensor.storage_network import NetworksAdded
from chain.pallets.subtensor.storage_neurons import Uids
from chain.pallets.system import BlockHash, Number
from chain.runtime.signatures import verify_signature
from chain.runtime.types import Ed25519, Sr25519
from ganglion.keys import CryptoType, Keypair, dev_key
from ganglion.scale import DecodeError
from ganglion.units import AccountId, BlockNumber, Hash, Rao
from ganglion.wire.intents import INTENT, Intent, SignedIntent, sign

GENESIS = b"g" * 32
PAYER = dev_key("Alice")
LIMIT, DEADLINE, DELIVER = Rao(10 * TAO), 20, 5
RESULT = Hash(b"r" * 32)
FILLERS = (BOB, CHARLIE, DAVE)
DEPOSIT = QuoteDeposit.value


def town():
    s = world(block=10)
    s[NetworksAdded, NET] = True
    s[BlockHash, BlockNumber(0)] = Hash(GENESIS)
    for who in FILLERS:
        register(s, who)
    return s


def wish(**change):
    given = {
        "genesis": GENESIS,
        "payer": ALICE,
        "netuid": NET,
        "model": MODEL,
        "content": b"c" * 32,
        "max_price": LIMIT,
        "deadline": DEADLINE,
        "deliver": DELIVER,
        "nonce": 1,
    }
    return Intent(**(given | change))


def signature(intent, key=PAYER):
    kind = Ed25519 if key.crypto is CryptoType.ED25519 else Sr25519
    return kind(key.sign(intent.id()))


def parts(intent=None, who=BOB, price=LIMIT, key=PAYER):
    intent = intent or wish()
    return intent, signature(intent, key), who, Rao(price)


def quote(s, who, price, intent=None):
    ok(s, who, "Intents.quote", *parts(intent, who, price))


def forward(s, to):
    for number in range(s[Number] + 1, to + 1):
        at_block(s, number)
        s.events.clear()
        intents.start(s, number)


def name(intent=None):
    return Hash((intent or wish()).id())


def test_of_two_fillers_the_cheaper_wins_and_is_paid_its_own_price():
    s = town()
    quote(s, BOB, 8 * TAO)
    assert (reserved(s, ALICE), reserved(s, BOB)) == (8 * TAO, DEPOSIT)
    quote(s, CHARLIE, 6 * TAO)
    assert (reserved(s, ALICE), reserved(s, BOB), reserved(s, CHARLIE)) == (6 * TAO, 0, DEPOSIT)
    fails(s, Error.NotCheaper, DAVE, "Intents.quote", *parts(who=DAVE, price=6 * TAO))
    fails(s, Error.NotAwarded, CHARLIE, "Intents.deliver", name(), RESULT)
    forward(s, DEADLINE)
    until = DEADLINE + DELIVER
    assert last(s, Awarded) == Awarded(name(), CHARLIE, 6 * TAO, until)
    fails(s, Error.Expired, BOB, "Intents.quote", *parts(price=1))
    fails(s, Error.NotWinner, BOB, "Intents.deliver", name(), RESULT)
    rich = free(s, CHARLIE)
    ok(s, CHARLIE, "Intents.deliver", name(), RESULT)
    cut = burned(6 * TAO)
    assert last(s, Filled) == Filled(name(), CHARLIE, RESULT, 6 * TAO - cut, cut)
    assert free(s, CHARLIE) - rich == 6 * TAO - cut + DEPOSIT
    assert [reserved(s, who) for who in (ALICE, BOB, CHARLIE)] == [0, 0, 0]
    assert not s.keys_of(Intents)
    assert not s.keys_of(Due)
    fails(s, Error.Expired, BOB, "Intents.quote", *parts())  # it cannot be brought again


def test_an_expired_intent_is_unpaid():
    s = town()
    at_block(s, DEADLINE)
    fails(s, Error.Expired, BOB, "Intents.quote", *parts())
    assert reserved(s, ALICE) == 0


def test_a_winner_that_does_not_deliver_is_unpaid_and_loses_its_deposit():
    s = town()
    rich, was = free(s, ALICE), free(s, BOB)
    quote(s, BOB, 5 * TAO)
    forward(s, DEADLINE + DELIVER - 1)
    assert reserved(s, ALICE) == 5 * TAO
    forward(s, DEADLINE + DELIVER)
    assert last(s, Failed) == Failed(name(), BOB, DEPOSIT)
    fails(s, Error.UnknownIntent, BOB, "Intents.deliver", name(), RESULT)
    assert (free(s, ALICE), reserved(s, ALICE)) == (rich + DEPOSIT, 0)
    assert (free(s, BOB), reserved(s, BOB)) == (was - DEPOSIT, 0)


def test_the_signed_limit_is_respected():
    s = town()
    fails(s, Error.AboveLimit, BOB, "Intents.quote", *parts(price=LIMIT + 1))
    quote(s, BOB, LIMIT)
    assert reserved(s, ALICE) == LIMIT


@pytest.mark.parametrize(
    "change",
    [
        {"payer": EVE},
        {"netuid": 2},
        {"model": b"other"},
        {"content": b"x" * 32},
        {"max_price": LIMIT + 1},
        {"deadline": DEADLINE + 1},
        {"deliver": DELIVER + 1},
        {"nonce": 2},
    ],
)
def test_any_change_breaks_the_signature(change):
    s = town()
    register(s, BOB)
    s[NetworksAdded, 2] = True
    s[Uids, 2, BOB] = 0
    changed = wish(**change)
    args = changed, signature(wish()), BOB, Rao(1)
    fails(s, Error.BadSignature, BOB, "Intents.quote", *args)


def test_what_was_burned_at_the_zero_account_stays_there():
    s = town()
    zero = AccountId(bytes(32))
    set_free(s, zero, 100 * TAO)
    intent = wish(payer=zero)
    everybodys = Sr25519(bytes(63) + b"\x80")
    assert verify_signature(everybodys, intent.id(), zero)
    fails(s, Error.BadSignature, BOB, "Intents.quote", intent, everybodys, BOB, Rao(TAO))


def test_quotes_are_checked():
    s = town()
    other = wish(genesis=b"x" * 32)
    fails(s, Error.OtherChain, BOB, "Intents.quote", *parts(other))
    for change in (
        {"deadline": 10 + MaxAhead.value + 1},
        {"deliver": 0},
        {"deliver": MaxAhead.value + 1},
    ):
        fails(s, Error.TooFarAhead, BOB, "Intents.quote", *parts(wish(**change)))
    fails(s, market.Error.NotYourHotkey, EVE, "Intents.quote", *parts())
    fails(s, Error.NotRegistered, EVE, "Intents.quote", *parts(who=EVE))
    forged = parts(key=dev_key("Eve"))
    fails(s, Error.BadSignature, BOB, "Intents.quote", *forged)
    set_free(s, ALICE, TAO)
    fails(s, Balances.InsufficientBalance, BOB, "Intents.quote", *parts())
    s[Due, BlockNumber(DEADLINE)] = tuple(Hash(bytes([n]) * 32) for n in range(MOST))
    fails(s, Error.CrowdedBlock, BOB, "Intents.quote", *parts(price=1))


def test_a_key_that_is_about_to_be_replaced_spends_nothing_by_intents_either():
    s = town()
    s[ColdkeySwapAnnouncements, ALICE] = BlockNumber(50), Hash(bytes(32))
    fails(s, Error.PayerFrozen, BOB, "Intents.quote", *parts())
    del s[ColdkeySwapAnnouncements, ALICE]
    s[ColdkeySwapDisputes, ALICE] = BlockNumber(9)
    fails(s, Error.PayerFrozen, BOB, "Intents.quote", *parts())
    assert reserved(s, ALICE) == 0


def test_a_payer_withdraws_before_the_first_quote():
    s = town()
    fails(s, Error.NotPayer, BOB, "Intents.withdraw", wish())
    ok(s, ALICE, "Intents.withdraw", wish())
    fails(s, Error.IsWithdrawn, BOB, "Intents.quote", *parts())
    fails(s, Error.IsWithdrawn, ALICE, "Intents.withdraw", wish())
    assert reserved(s, ALICE) == DEPOSIT  # places in a block are not to be had for nothing
    forward(s, DEADLINE)
    assert not s.keys_of(Intents)
    assert reserved(s, ALICE) == 0
    fails(s, Error.Expired, BOB, "Intents.quote", *parts())
    later = wish(deadline=40)
    quote(s, BOB, 1, later)
    fails(s, Error.HasQuote, ALICE, "Intents.withdraw", later)


def test_a_coldkey_quotes_for_its_hotkey_and_ed25519_payers_are_understood():
    s = town()
    key = Keypair.from_uri("//Payer", CryptoType.ED25519)
    set_free(s, AccountId(key.public_key), 100 * TAO)
    s[Owner, BOB] = EVE
    intent = wish(payer=key.public_key)
    ok(s, EVE, "Intents.quote", *parts(intent, BOB, TAO, key))
    assert s[Intents, name(intent)] == Standing(intent, Quote(BOB, EVE, Rao(TAO)))
    forward(s, DEADLINE)
    ok(s, EVE, "Intents.deliver", name(intent), RESULT)
    assert "Intents.Filled" in names(s)


# -- the form that travels ----------------------------------------------------------------------


def test_a_signed_intent_travels_as_text():
    made = sign(wish(), PAYER)
    again = SignedIntent.from_hex(made.to_hex() + "\n")
    assert again == made
    assert again.is_by_payer()
    assert not replace(made, intent=wish(nonce=9)).is_by_payer()
    assert not replace(made, crypto=2).is_by_payer()
    with pytest.raises(ValueError, match="names as its payer"):
        sign(wish(payer=BOB), PAYER)


@given(st.binary(max_size=300) | st.text(max_size=80).map(str.encode))
def test_what_is_no_intent_is_refused(raw):
    for text in (raw.hex(), raw.decode(errors="replace")):
        try:
            found = SignedIntent.from_hex(text)
        except ValueError:
            continue
        assert INTENT.encode(found.intent)


@given(st.binary(min_size=1, max_size=400))
def test_bytes_that_are_no_intent_are_a_decode_error(raw):
    try:
        INTENT.decode(raw)
    except DecodeError:
        return


# -- whatever the order of calls ----------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["quote", "quote", "deliver", "withdraw", "blocks"]),
        st.sampled_from(FILLERS),
        st.integers(0, 3),
        st.integers(0, 12),
    ),
    max_size=30,
)


@given(STEPS)
def test_money_and_deposits_always_agree(steps):
    s = town()
    before = s[TotalIssuance]
    wishes = [wish(nonce=n, deadline=15 + 5 * n) for n in range(4)]
    for step, who, n, amount in steps:
        if step == "blocks":
            forward(s, s[Number] + amount)
        elif step == "quote":
            run(s, who, "Intents.quote", *parts(wishes[n], who, amount * TAO // 2))
        elif step == "deliver":
            run(s, who, "Intents.deliver", name(wishes[n]), RESULT)
        else:
            run(s, ALICE, "Intents.withdraw", wishes[n])
        held = [s[ref].best for ref in s.keys_of(Intents) if s[ref].best]
        withdrawn = sum(s[ref].best is None for ref in s.keys_of(Intents))
        assert reserved(s, ALICE) == sum(best.price for best in held) + withdrawn * DEPOSIT
        for filler in FILLERS:
            mine = sum(best.provider == filler for best in held)
            assert reserved(s, filler) == mine * DEPOSIT
        assert s[TotalIssuance] + s[TotalBurned] == before
    forward(s, 60)
    assert not s.keys_of(Intents)
    assert not s.keys_of(Due)
    assert [reserved(s, who) for who in (ALICE, *FILLERS)] == [0] * 4
