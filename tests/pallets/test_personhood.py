"""Gated subnets: one seat a person, and nobody knows who on two of them is the same."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from world import ALICE, BOB, CHARLIE, EVE, ROOT, TAO, at_block, fails, make, names, ok, run, world

from chain.pallets.balances_ops import set_free
from chain.pallets.balances_store import TotalIssuance
from chain.pallets.personhood import (
    Error,
    Gates,
    Holders,
    HoldingDeposit,
    Holdings,
    holds,
    standing,
)
from chain.pallets.subtensor.storage_network import (
    NetworkRegisteredAt,
    NetworksAdded,
    SubnetOwner,
    SubnetworkN,
)
from chain.pallets.subtensor.storage_neurons import Uids
from chain.pallets.system import Account, BlockHash
from chain.runtime.errors import BadOrigin
from ganglion import blindrsa
from ganglion.keys import CryptoType, Keypair
from ganglion.units import AccountId, BlockNumber, Hash, NetUid
from ganglion.wire.persons import credential_message, holding_hash

GENESIS = b"g" * 32
NET, OTHER = NetUid(1), NetUid(2)
ISSUERS = [rsa.generate_private_key(65_537, 2048) for _ in range(2)]
KEYS = [blindrsa.modulus_of(issuer.public_key()) for issuer in ISSUERS]
PRESENT = "Personhood.present"


def town(gates=(NET,)):
    s = world(block=10)
    s[BlockHash, BlockNumber(0)] = Hash(GENESIS)
    for netuid in (NET, OTHER):
        s[NetworksAdded, netuid] = True
        s[SubnetOwner, netuid] = ALICE
    for netuid, key in zip(gates, KEYS):
        ok(s, ALICE, "Personhood.set_gate", netuid, key)
    s.events.clear()
    return s


def issued(person, netuid=NET, issuer=0, genesis=GENESIS):
    """A credential, as an issuer gives it to somebody whose key it does not see."""
    message = credential_message(genesis, netuid, person.public_key)
    asked = blindrsa.ask(KEYS[issuer], message)
    answer = blindrsa.issue(ISSUERS[issuer], asked.blinded)
    return blindrsa.finish(KEYS[issuer], message, asked, answer)


def person(name):
    return Keypair.from_uri(f"//{name}", crypto=CryptoType.ED25519)


def statement(key, hotkey, netuid=NET, genesis=GENESIS):
    return key.sign(holding_hash(genesis, netuid, hotkey))


def hot(number):
    return AccountId(number.to_bytes(2, "big") * 16)


def shown(key, hotkey, netuid=NET, **of_issuer):
    """The arguments of `present`."""
    said = statement(key, hotkey, netuid)
    return netuid, hotkey, key.public_key, issued(key, netuid, **of_issuer), said


ANN, BEN = person("Ann"), person("Ben")
REGISTER = "SubtensorModule.burned_register"


def test_a_person_takes_one_seat_and_no_second():
    s = town()
    fails(s, Error.NoPerson, BOB, REGISTER, NET, hot(1))
    ok(s, BOB, PRESENT, *shown(ANN, hot(1)))
    assert names(s)[-1] == "Personhood.Presented"
    ok(s, BOB, REGISTER, NET, hot(1))
    assert s[Uids, NET, hot(1)] == 0
    fails(s, Error.PersonTaken, BOB, PRESENT, *shown(ANN, hot(2)))
    fails(s, Error.HotkeyTaken, BOB, PRESENT, *shown(BEN, hot(1)))
    fails(s, Error.NoPerson, BOB, REGISTER, NET, hot(2))
    ok(s, CHARLIE, PRESENT, *shown(BEN, hot(2)))
    ok(s, CHARLIE, REGISTER, NET, hot(2))
    ok(s, EVE, REGISTER, OTHER, hot(3))  # which has no gate


def test_a_thousand_made_up_hotkeys_get_no_seat():
    s = town()
    set_free(s, EVE, 10**6 * TAO)
    calls = (REGISTER, ()), ("SubtensorModule.register_limit", (10**18,))
    for number in range(1_000):
        name, more = calls[number % 2]
        fails(s, Error.NoPerson, EVE, name, NET, hot(number), *more)
    work = (NET, 10, 0, b"", hot(1), EVE)
    fails(s, Error.NoPerson, EVE, "SubtensorModule.register", *work)
    assert s[SubnetworkN, NET] == 0
    inner = [make(REGISTER, NET, hot(1))]
    run(s, EVE, "Utility.batch", inner)
    assert s[SubnetworkN, NET] == 0
    ok(s, EVE, REGISTER, OTHER, hot(1))
    assert s[SubnetworkN, OTHER] == 1


def test_a_holder_cannot_make_two_hotkeys_of_one_by_a_swap():
    s = town()
    ok(s, BOB, PRESENT, *shown(ANN, hot(1)))
    ok(s, BOB, REGISTER, NET, hot(1))
    for netuid in (None, NET):
        fails(s, Error.HoldsPerson, BOB, "SubtensorModule.swap_hotkey", hot(1), hot(2), netuid)
        fails(s, Error.HoldsPerson, BOB, "SubtensorModule.swap_hotkey_v2", hot(1), hot(2), netuid,
              False)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"credential": issued(ANN, issuer=1)}, Error.BadCredential),
        ({"credential": issued(ANN, netuid=OTHER)}, Error.BadCredential),
        ({"credential": issued(ANN, genesis=b"h" * 32)}, Error.BadCredential),
        ({"credential": issued(BEN)}, Error.BadCredential),
        ({"credential": b""}, Error.BadCredential),
        ({"credential": bytes(512)}, Error.BadCredential),
        ({"statement": statement(ANN, hot(2))}, Error.BadStatement),
        ({"statement": statement(ANN, hot(1), OTHER)}, Error.BadStatement),
        ({"statement": statement(BEN, hot(1))}, Error.BadStatement),
        ({"statement": bytes(64)}, Error.BadStatement),
        ({"netuid": OTHER}, Error.NoGate),
    ],
)
def test_what_is_no_credential_for_this_hotkey_is_refused(change, error):
    given = dict(zip(("netuid", "hotkey", "person", "credential", "statement"),
                     shown(ANN, hot(1))))  # fmt: skip
    fails(town(), error, BOB, PRESENT, *(given | change).values())


def test_who_is_the_same_on_two_subnets_nobody_can_tell():
    """A fresh key for each, signatures that the issuers never saw, and nothing else in common."""
    s = town(gates=(NET, OTHER))
    first, second = person("Ann on 1"), person("Ann on 2")
    ok(s, BOB, PRESENT, *shown(first, hot(1)))
    ok(s, CHARLIE, PRESENT, *shown(second, hot(2), OTHER, issuer=1))
    one, other = s[Holdings, NET, first.public_key], s[Holdings, OTHER, second.public_key]
    assert not {one.person, one.hotkey, one.issuer, one.payer} & {
        other.person, other.hotkey, other.issuer, other.payer}  # fmt: skip
    message = credential_message(GENESIS, NET, first.public_key)
    requests = {blindrsa.ask(KEYS[0], message).blinded for _ in range(8)}
    assert len(requests) == 8  # what the issuer sees of one and the same key


def test_gates_are_the_owners_and_a_key_is_for_one_subnet():
    s = town(gates=())
    fails(s, BadOrigin, BOB, "Personhood.set_gate", NET, KEYS[0])
    fails(s, Error.UnknownSubnet, ALICE, "Personhood.set_gate", 77, KEYS[0])
    for bad in (b"", KEYS[0][1:], b"\0" + KEYS[0], KEYS[0][:-1] + b"\x00", b"\xff" * 512 + b"\1"):
        fails(s, Error.BadIssuer, ALICE, "Personhood.set_gate", NET, bad)
    fails(s, Error.NoGate, ALICE, "Personhood.set_gate", NET, None)
    ok(s, ALICE, "Personhood.set_gate", NET, KEYS[0])
    fails(s, Error.IssuerInUse, ALICE, "Personhood.set_gate", OTHER, KEYS[0])
    ok(s, ROOT, "Personhood.set_gate", NET, None)
    assert s[Gates, NET] is None
    fails(s, Error.IssuerInUse, ALICE, "Personhood.set_gate", OTHER, KEYS[0])
    ok(s, EVE, REGISTER, NET, hot(1))


def test_another_issuer_or_another_subnet_of_the_number_starts_anew():
    s = town()
    ok(s, BOB, PRESENT, *shown(ANN, hot(1)))
    fails(s, Error.StillValid, BOB, "Personhood.forget", NET, ANN.public_key)
    ok(s, ALICE, "Personhood.set_gate", NET, KEYS[1])
    assert not holds(s, standing(s, NET), NET, hot(1))
    ok(s, CHARLIE, PRESENT, *shown(ANN, hot(2), issuer=1))
    assert s[Account, BOB].data.reserved == 0
    assert s[Account, CHARLIE].data.reserved == HoldingDeposit.value
    assert s[Holders, NET, hot(1)] is None
    at_block(s, 20)
    s[NetworkRegisteredAt, NET] = 20
    assert standing(s, NET) is None
    ok(s, EVE, REGISTER, NET, hot(5))
    ok(s, EVE, "Personhood.forget", NET, ANN.public_key)
    assert s[Account, CHARLIE].data.reserved == 0
    fails(s, Error.StillValid, EVE, "Personhood.forget", NET, ANN.public_key)


CREDENTIALS = {
    (name, issuer): issued(person(name), issuer=issuer) for name in "abc" for issuer in (0, 1)
}


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("pfg"), st.sampled_from("abc"), st.integers(1, 3))))
def test_deposits_always_match_what_is_held(moves):
    s = town()
    issued_before, gates = s[TotalIssuance], [0]
    for kind, name, number in moves:
        key = person(name)
        if kind == "p":
            args = (NET, hot(number), key.public_key, CREDENTIALS[name, gates[-1]])
            run(s, BOB, PRESENT, *args, statement(key, hot(number)))
        elif kind == "f":
            run(s, EVE, "Personhood.forget", NET, key.public_key)
        elif gates == [0]:
            ok(s, ALICE, "Personhood.set_gate", NET, KEYS[1])
            gates.append(1)
    held = [h for n in "abc" if (h := s[Holdings, NET, person(n).public_key]) is not None]
    assert s[Account, BOB].data.reserved == len(held) * HoldingDeposit.value
    assert {h.hotkey: h.person for h in held} == {
        hot(n): p for n in (1, 2, 3) if (p := s[Holders, NET, hot(n)]) is not None
    }
    assert len({h.hotkey for h in held}) == len(held)
    assert s[TotalIssuance] == issued_before
