"""Requests from the chain: seats, commitments, one answer of several, callbacks, exact refunds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from town import MODEL, NET, burned, free, register, reserved
from world import (
    ALICE,
    BOB,
    CHARLIE,
    DAVE,
    EVE,
    ROOT,
    TAO,
    address,
    at_block,
    fails,
    last,
    make,
    names,
    ok,
    run,
    world,
)

from chain.pallets import requests
from chain.pallets import requests_store as store
from chain.pallets.balances_store import Error as BalanceError
from chain.pallets.balances_store import TotalIssuance
from chain.pallets.model_registry import PriceHint
from chain.pallets.requests_callbacks import ALLOWED, Outcome, make_call
from chain.pallets.requests_decide import read_number, write_number
from chain.pallets.requests_store import (
    Answer,
    Ask,
    ByHash,
    Callback,
    Entry,
    Equal,
    Error,
    First,
    Inbox,
    Inline,
    Median,
    PalletAccount,
    Record,
    Records,
    Requests,
    Requirement,
    Results,
    RevealWindow,
    SeatDeposit,
    SeedPolicy,
    Shown,
)
from chain.pallets.safe_mode import EnteredUntil
from chain.pallets.subtensor.storage_network import NetworksAdded
from chain.pallets.subtensor.storage_neurons import Incentive
from chain.pallets.system import Account, BlockHash, Number, Remarked
from chain.runtime.call import CALLS
from chain.runtime.errors import BadOrigin
from chain.runtime.types import Sr25519
from ganglion.hashing import blake2_256
from ganglion.keys import Keypair, dev_key
from ganglion.units import BlockNumber, Hash
from ganglion.wire.receipts import Finish
from ganglion.wire.requests import Verdict, commitment

KEYS = {k.account_id: k for k in map(dev_key, ("Alice", "Bob", "Charlie", "Dave", "Eve"))}
MINERS = (BOB, CHARLIE, DAVE)
PRICE, WORK = TAO, 20
NOTHING = Requirement(0, 0, 0, exact=False)
GENESIS = Hash(b"g" * 32)
WEIGHTS = b"w" * 32
SALT = Hash(b"s" * 32)
PUT = next(key for key, entry in CALLS.calls.items() if entry.path[1] == "put")
REMARK = next(k for k, entry in CALLS.calls.items() if entry.path[1] == "remark_with_event")
KEY = b"answer"

SOLE = Ask(
    NET,
    MODEL,
    None,
    Inline(b"What is the answer?"),
    64,
    700,
    SeedPolicy.Shared,
    1,
    First(),
    NOTHING,
    PRICE,
    BlockNumber(50),
    BlockNumber(WORK),
    Callback(*PUT, KEY),
)
THREE = replace(SOLE, redundancy=3, mode=Equal(2))
NUMBERS = replace(SOLE, redundancy=3, mode=Median(10_000), seed=SeedPolicy.Each)


def town():
    """BOB, CHARLIE and DAVE have seats on the subnet, each with a coldkey of its own."""
    s = world(block=10)
    s[NetworksAdded, NET] = True
    s[BlockHash, BlockNumber(0)] = GENESIS
    for who in MINERS:
        register(s, who, who)
    s.events.clear()
    return s


def go(s, block):
    """Go on to a block; every block before it has a hash."""
    for number in range(s[Number], block):
        s[BlockHash, BlockNumber(number)] = Hash(blake2_256(bytes([number])))
    at_block(s, block)
    s.events.clear()


def ask(s, wanted=SOLE, who=ALICE):
    ok(s, who, "InferenceRequests.request", wanted)
    return s[store.NextRequestId] - 1


def begin(s, wanted=SOLE, miners=MINERS):
    """A request whose seats are taken, one block later."""
    number = ask(s, wanted)
    for who in miners[: wanted.redundancy]:
        ok(s, who, "InferenceRequests.accept", number, who)
    go(s, s[Number] + 1)
    return number


def answer(output=b"42", **change):
    made = Answer(output, (1, 2, 3), 9, Finish.STOP, True, WEIGHTS, b"e" * 32)
    return replace(made, **change)


def receipt(s, number, who, made):
    found = s[Requests, number]
    return requests.receipt_of(s, number, found, found.started, who, made)


def sign(s, number, who, made, key=None):
    signer: Keypair = key or KEYS[who]
    return Sr25519(signer.sign(receipt(s, number, who, made).signing_hash()))


def commit(s, number, who, made, salt=SALT):
    digest = commitment(salt, receipt(s, number, who, made).signing_hash(), made.output)
    ok(s, who, "InferenceRequests.commit", number, who, Hash(digest))


def shows(s, number, who, made, salt=SALT):
    """The arguments of a fulfilment."""
    return number, who, made, salt, sign(s, number, who, made)


def show(s, number, who, made):
    return ok(s, who, "InferenceRequests.fulfil", *shows(s, number, who, made))


def play(s, outputs, wanted=THREE):
    """Everybody commits to and shows its output."""
    number = begin(s, wanted)
    made = {who: answer(output) for who, output in zip(MINERS, outputs)}
    for who in MINERS:
        commit(s, number, who, made[who])
    for who in MINERS:
        show(s, number, who, made[who])
    return number


def verdicts(s, number):
    return [part.verdict for part in s[Results, number].parts]


# -- one miner --------------------------------------------------------------------------------


def test_a_request_is_answered_paid_and_called_back_in_the_block_of_the_answer():
    s = town()
    rich = {who: free(s, who) for who in (ALICE, BOB)}
    number = ask(s)
    deposit = s[Requests, number].deposit
    assert reserved(s, ALICE) == PRICE + deposit
    assert names(s) == ["Balances.Reserved", "InferenceRequests.Requested"]
    ok(s, BOB, "InferenceRequests.accept", number, BOB)
    assert last(s, store.Started) == store.Started(number, 10 + WORK)
    go(s, 11)
    show(s, number, BOB, answer())
    told = [name for name in names(s) if name.startswith("InferenceRequests")]
    assert [name.partition(".")[2] for name in told] == [
        "Answered",
        "Fulfilled",
        "Kept",
        "CalledBack",
    ]
    assert last(s, store.CalledBack) == store.CalledBack(number, None)
    assert s[Inbox, ALICE, KEY] == Entry(number, b"42", 11, 10**7 + 10**4 * 8)
    assert free(s, BOB) - rich[BOB] == PRICE - burned(PRICE)
    assert reserved(s, BOB) == 0
    result = s[Results, number]
    assert (result.output, result.started, result.decided) == (b"42", 10, 11)
    assert verdicts(s, number) == [Verdict.Agreed]
    assert not s.keys_of(Requests)
    assert not s.keys_of(Shown)
    ok(s, ALICE, "InferenceRequests.clear", number)
    ok(s, ALICE, "InferenceRequests.remove", KEY)
    assert (reserved(s, ALICE), free(s, ALICE)) == (0, rich[ALICE] - PRICE)
    assert not s.keys_of(Results)
    assert not s.keys_of(Inbox)


def test_without_a_miner_or_an_answer_the_money_comes_back_to_the_unit():
    for seated in (False, True):
        s = town()
        rich, poor, issued = free(s, ALICE), free(s, BOB), s[TotalIssuance]
        number = ask(s)
        if seated:
            ok(s, BOB, "InferenceRequests.accept", number, BOB)
        over = 10 + WORK if seated else SOLE.deadline
        at_block(s, over)
        fails(s, Error.TooEarly, EVE, "InferenceRequests.expire", number)
        at_block(s, over + 1)
        ok(s, EVE, "InferenceRequests.expire", number)
        assert (free(s, ALICE), reserved(s, ALICE)) == (rich, 0)
        lost = SeatDeposit.value if seated else 0
        assert (free(s, BOB), reserved(s, BOB)) == (poor - lost, 0)
        assert s[TotalIssuance] == issued - lost
        assert s[Records, NET, BOB] == Record(0, 0, int(seated))
        assert not s.keys_of(Requests)
        fails(s, Error.UnknownRequest, EVE, "InferenceRequests.expire", number)


def test_seats_that_were_never_all_taken_cost_nobody_anything():
    s = town()
    number = ask(s, THREE)
    ok(s, BOB, "InferenceRequests.accept", number, BOB)
    fails(s, Error.HasMiners, ALICE, "InferenceRequests.cancel", number)
    fails(s, Error.TooEarly, BOB, "InferenceRequests.fulfil", number, BOB, answer(), SALT,
          Sr25519(bytes(64)))  # fmt: skip
    at_block(s, THREE.deadline + 1)
    fails(s, Error.TooLate, CHARLIE, "InferenceRequests.accept", number, CHARLIE)
    ok(s, BOB, "InferenceRequests.expire", number)
    assert reserved(s, ALICE) == reserved(s, BOB) == 0
    assert s[Records, NET, BOB] == Record()


def test_a_request_without_miners_may_be_taken_back():
    s = town()
    rich = free(s, ALICE)
    number = ask(s)
    fails(s, Error.NotRequester, BOB, "InferenceRequests.cancel", number)
    ok(s, ALICE, "InferenceRequests.cancel", number)
    assert (free(s, ALICE), reserved(s, ALICE)) == (rich, 0)


@pytest.mark.parametrize(
    ("failure", "change"),
    [
        (Error.UnknownSubnet, {"netuid": 9}),
        (Error.BadModel, {"model": b""}),
        (Error.BadModel, {"model": b"a b"}),
        (Error.BadSize, {"input": Inline(b"")}),
        (Error.BadSize, {"max_tokens": 0}),
        (Error.BadSize, {"max_tokens": 1025}),
        (Error.BadSampling, {"temperature": 2001}),
        (Error.BadSeats, {"redundancy": 0}),
        (Error.BadSeats, {"redundancy": 2}),
        (Error.BadSeats, {"redundancy": 8, "mode": Equal(5)}),
        (Error.BadSeats, {"redundancy": 3, "mode": Equal(1)}),
        (Error.BadSeats, {"redundancy": 3, "mode": Equal(4)}),
        (Error.BadSeats, {"redundancy": 4, "mode": Equal(2)}),
        (Error.BadSeats, {"redundancy": 3, "mode": Equal(2), "seed": SeedPolicy.Each}),
        (Error.BadSeats, {"redundancy": 3, "mode": Median(1_000_001)}),
        (Error.BadSeats, {"mode": Median(0)}),
        (Error.BadPrice, {"price": 0}),
        (Error.BadTimes, {"deadline": 10}),
        (Error.BadTimes, {"deadline": 311}),
        (Error.BadTimes, {"work": 0}),
        (Error.BadTimes, {"work": 601}),
        (Error.NoCallback, {"callback": Callback(5, 0, b"")}),
        (Error.NoCallback, {"callback": Callback(250, 0, b"")}),
        (Error.BadCallback, {"callback": Callback(*PUT, b"")}),
        (Error.BadCallback, {"callback": Callback(*PUT, bytes(33))}),
    ],
)
def test_what_cannot_be_asked(failure, change):
    fails(town(), failure, ALICE, "InferenceRequests.request", replace(SOLE, **change))


def test_who_cannot_pay_cannot_ask():
    fails(
        town(),
        BalanceError.InsufficientBalance,
        ALICE,
        "InferenceRequests.request",
        replace(SOLE, price=2000 * TAO),
    )


def test_inputs_beyond_the_limit_do_not_even_decode():
    entry = next(e for e in CALLS.calls.values() if e.path == ("InferenceRequests", "request"))
    for size, fits in ((4096, True), (4097, False)):
        raw = entry.codecs[0].encode(replace(SOLE, input=Inline(bytes(size))))
        if fits:
            assert len(entry.codecs[0].decode(raw).input._0) == size
        else:
            with pytest.raises(ValueError, match="4096"):
                entry.codecs[0].decode(raw)


# -- seats --------------------------------------------------------------------------------------


def test_one_coldkey_has_one_seat_however_many_hotkeys_it_has():
    s = town()
    register(s, EVE, BOB)  # another hotkey of BOB's
    number = ask(s, THREE)
    ok(s, BOB, "InferenceRequests.accept", number, BOB)
    fails(s, Error.AlreadySeated, BOB, "InferenceRequests.accept", number, BOB)
    fails(s, Error.AlreadySeated, BOB, "InferenceRequests.accept", number, EVE)
    fails(s, Error.AlreadySeated, EVE, "InferenceRequests.accept", number, EVE)
    ok(s, CHARLIE, "InferenceRequests.accept", number, CHARLIE)


def test_seats_are_for_registered_miners_that_are_good_enough():
    s = town()
    number = ask(s, replace(SOLE, requirement=Requirement(0, 500, 5 * TAO, exact=False)))
    fails(s, Error.NotRegistered, EVE, "InferenceRequests.accept", number, EVE)
    fails(s, Error.BelowRequirement, BOB, "InferenceRequests.accept", number, BOB)
    ok(s, BOB, "Bonds.bond", NET, BOB, 5 * TAO)
    fails(s, Error.BelowRequirement, BOB, "InferenceRequests.accept", number, BOB)
    s[Incentive, NET] = (501).to_bytes(2, "little") * 256
    ok(s, BOB, "InferenceRequests.accept", number, BOB)
    fails(s, Error.SeatsTaken, CHARLIE, "InferenceRequests.accept", number, CHARLIE)
    number = ask(s, replace(SOLE, requirement=Requirement(TAO, 0, 0, exact=False)))
    fails(s, Error.BelowRequirement, BOB, "InferenceRequests.accept", number, BOB)


def test_nobody_sits_or_answers_for_others():
    s = town()
    number = ask(s)
    assert run(s, EVE, "InferenceRequests.accept", number, BOB).error is not None
    ok(s, BOB, "InferenceRequests.accept", number, BOB)
    go(s, 11)
    shown = shows(s, number, BOB, answer())
    fails(s, Error.NoSeat, CHARLIE, "InferenceRequests.fulfil", *shown)
    theirs = (number, CHARLIE, *shown[2:])
    fails(s, Error.NoSeat, CHARLIE, "InferenceRequests.fulfil", *theirs)


# -- what counts as an answer -------------------------------------------------------------------


def test_an_answer_is_signed_and_about_this_order_seed_and_model():
    s = town()
    fields = (WEIGHTS, b"t" * 32, None, PriceHint(0, 0))
    ok(s, EVE, "ModelRegistry.register_model", MODEL, *fields)
    number = begin(s)
    ok(s, EVE, "ModelRegistry.update_model", MODEL, b"x" * 32, *fields[1:])
    other = answer(weights=b"x" * 32)
    fails(s, Error.WrongWeights, BOB, "InferenceRequests.fulfil", number, BOB, other, SALT,
          Sr25519(bytes(64)))  # fmt: skip
    made = answer()
    forged = sign(s, number, BOB, made, KEYS[EVE])
    fails(s, Error.BadSignature, BOB, "InferenceRequests.fulfil", number, BOB, made, SALT, forged)
    good = sign(s, number, BOB, made)
    for spoilt in (answer(evidence=bytes(32)), answer(tokens=(1, 2)), answer(prompt_tokens=1)):
        call = (number, BOB, spoilt, SALT, good)
        fails(s, Error.BadSignature, BOB, "InferenceRequests.fulfil", *call)
    for many in (answer(tokens=()), answer(tokens=(1,) * 65)):
        call = (number, BOB, many, SALT, good)
        fails(s, Error.TooLong, BOB, "InferenceRequests.fulfil", *call)
    ok(s, BOB, "InferenceRequests.fulfil", number, BOB, made, SALT, good)


def test_the_seed_is_of_the_miners_and_a_block_nobody_knew():
    s = town()
    number = begin(s, THREE)
    shared = {receipt(s, number, who, answer()).seed for who in MINERS}
    assert len(shared) == 1
    s[BlockHash, BlockNumber(10)] = Hash(b"h" * 32)
    assert receipt(s, number, BOB, answer()).seed not in shared
    number = begin(s, NUMBERS)
    assert len({receipt(s, number, who, answer()).seed for who in MINERS}) == 3
    number = ask(s)
    ok(s, BOB, "InferenceRequests.accept", number, BOB)
    fails(s, Error.TooEarly, BOB, "InferenceRequests.fulfil", number, BOB, answer(), SALT,
          Sr25519(bytes(64)))  # fmt: skip


# -- several miners -----------------------------------------------------------------------------


def test_of_three_with_one_liar_the_majoritys_output_is_stored_and_the_liar_recorded():
    s = town()
    rich = {who: free(s, who) for who in (ALICE, *MINERS)}
    number = play(s, (b"42", b"lie", b"42"))
    result = s[Results, number]
    assert result.output == b"42"
    assert verdicts(s, number) == [Verdict.Agreed, Verdict.Dissented, Verdict.Agreed]
    lie = Hash(blake2_256(b"lie"))
    assert last(s, store.Dissented) == store.Dissented(number, CHARLIE, lie)
    assert last(s, store.Fulfilled).refund == PRICE
    assert s[Records, NET, CHARLIE] == Record(0, 1, 0)
    assert s[Records, NET, BOB] == s[Records, NET, DAVE] == Record(1, 0, 0)
    gains = [free(s, who) - rich[who] for who in MINERS]
    assert gains == [PRICE - burned(PRICE), 0, PRICE - burned(PRICE)]
    assert reserved(s, CHARLIE) == 0
    ok(s, ALICE, "InferenceRequests.clear", number)
    ok(s, ALICE, "InferenceRequests.remove", KEY)
    assert rich[ALICE] - free(s, ALICE) == 2 * PRICE
    assert reserved(s, ALICE) == 0


def test_no_answer_is_shown_before_all_have_committed_or_the_time_is_over():
    s = town()
    number = begin(s, THREE)
    for who in (BOB, CHARLIE):
        commit(s, number, who, answer())
    shown = shows(s, number, BOB, answer())
    fails(s, Error.TooEarly, BOB, "InferenceRequests.fulfil", *shown)
    go(s, 10 + WORK)
    fails(s, Error.TooEarly, BOB, "InferenceRequests.fulfil", *shown)
    go(s, 11 + WORK)
    late = (number, DAVE, Hash(bytes(32)))
    fails(s, Error.TooLate, DAVE, "InferenceRequests.commit", *late)
    ok(s, BOB, "InferenceRequests.fulfil", *shown)
    fails(s, Error.AlreadyShown, BOB, "InferenceRequests.fulfil", *shown)
    copied = shows(s, number, DAVE, answer())
    fails(s, Error.NotCommitted, DAVE, "InferenceRequests.fulfil", *copied)
    show(s, number, CHARLIE, answer())  # nobody else can show anything: decided at once
    assert verdicts(s, number) == [Verdict.Agreed, Verdict.Agreed, Verdict.Missed]
    assert s[Records, NET, DAVE] == Record(0, 0, 1)


def test_a_copied_commitment_cannot_be_opened_by_anybody_else():
    s = town()
    number = begin(s, THREE)
    for who in (BOB, DAVE):
        commit(s, number, who, answer())
    ok(s, CHARLIE, "InferenceRequests.commit", number, CHARLIE,
       s[Requests, number].seats[0].commitment)  # fmt: skip
    show(s, number, BOB, answer())
    stolen = shows(s, number, CHARLIE, answer())
    fails(s, Error.NotCommitted, CHARLIE, "InferenceRequests.fulfil", *stolen)
    show(s, number, DAVE, answer())
    go(s, 11 + WORK + RevealWindow.value)
    ok(s, EVE, "InferenceRequests.expire", number)
    assert verdicts(s, number) == [Verdict.Agreed, Verdict.Missed, Verdict.Agreed]
    assert s[Results, number].output == b"42"
    assert names(s)[-1] == "InferenceRequests.CalledBack"


def test_commitments_are_made_once_and_after_the_seed():
    s = town()
    number = ask(s, THREE)
    for who in MINERS:
        ok(s, who, "InferenceRequests.accept", number, who)
    early = (number, BOB, Hash(bytes(32)))
    fails(s, Error.TooEarly, BOB, "InferenceRequests.commit", *early)
    go(s, 11)
    commit(s, number, BOB, answer())
    fails(s, Error.AlreadyCommitted, BOB, "InferenceRequests.commit", *early)


def test_what_was_committed_to_must_be_shown_in_its_window():
    s = town()
    number = begin(s, THREE)
    for who in MINERS:
        commit(s, number, who, answer())
    show(s, number, BOB, answer())
    other = shows(s, number, CHARLIE, answer(b"43"))
    fails(s, Error.NotCommitted, CHARLIE, "InferenceRequests.fulfil", *other)
    salted = shows(s, number, CHARLIE, answer(), Hash(bytes(32)))
    fails(s, Error.NotCommitted, CHARLIE, "InferenceRequests.fulfil", *salted)
    end = 10 + WORK + RevealWindow.value
    go(s, end)
    fails(s, Error.TooEarly, EVE, "InferenceRequests.expire", number)
    shown = shows(s, number, CHARLIE, answer())
    go(s, end + 1)
    fails(s, Error.TooLate, CHARLIE, "InferenceRequests.fulfil", *shown)
    rich = free(s, ALICE)
    ok(s, EVE, "InferenceRequests.expire", number)  # one is not a majority
    assert free(s, ALICE) - rich == last(s, store.Expired).refund
    assert (reserved(s, ALICE), reserved(s, BOB)) == (0, 0)
    assert (NET, BOB) not in {ref[1:] for ref in s.keys_of(Records)}


def test_only_the_exact_class_is_compared():
    s = town()
    number = begin(s, THREE)
    for who in MINERS:
        commit(s, number, who, answer())
    call = (number, BOB, answer(exact=False), SALT, Sr25519(bytes(64)))
    fails(s, Error.NotExact, BOB, "InferenceRequests.fulfil", *call)


def test_a_requester_may_want_what_anybody_can_make_again():
    s = town()
    number = begin(s, replace(SOLE, requirement=replace(NOTHING, exact=True)))
    fast = (number, BOB, answer(exact=False), SALT, Sr25519(bytes(64)))
    fails(s, Error.NotExact, BOB, "InferenceRequests.fulfil", *fast)
    show(s, number, BOB, answer())
    assert s[Results, number].parts[0].exact
    number = begin(s)
    show(s, number, BOB, answer(exact=False))
    assert not s[Results, number].parts[0].exact


def test_numbers_are_taken_by_their_median_and_those_near_it_are_paid():
    s = town()
    number = play(s, (b"It is 100.5 degrees", b"1e9", b"101"), NUMBERS)
    # by value: 1, 100.5, 101
    assert s[Results, number].output == b"100.5"
    assert verdicts(s, number) == [Verdict.Agreed, Verdict.Dissented, Verdict.Agreed]
    number = play(s, (b"none", b"7", b"7.0"), NUMBERS)
    assert s[Results, number].output == b"7"
    assert verdicts(s, number) == [Verdict.Dissented, Verdict.Agreed, Verdict.Agreed]


@given(st.integers(-(10**27) + 1, 10**27 - 1))
def test_numbers_are_read_as_they_are_written(number):
    assert read_number(write_number(number)) == number


@given(st.binary(max_size=60))
def test_any_output_has_a_number_or_none(output):
    number = read_number(output)
    assert number is None or abs(number) < 10**27


# -- callbacks ----------------------------------------------------------------------------------


def test_a_callback_that_fails_does_not_block_payment_and_is_not_tried_again():
    s = town()
    number = begin(s)
    rich = free(s, BOB)
    ok(s, ALICE, "Balances.transfer_allow_death", address(EVE), free(s, ALICE) - TAO // 1000)
    show(s, number, BOB, answer())  # ALICE cannot pay for the entry in her inbox
    assert last(s, store.CalledBack).result is not None
    assert free(s, BOB) - rich == PRICE - burned(PRICE) + SeatDeposit.value
    assert s[Results, number].output == b"42"
    assert not s.keys_of(Inbox)
    fails(s, Error.UnknownRequest, EVE, "InferenceRequests.expire", number)


def test_safe_mode_stops_a_callback_alone():
    s = town()
    number = begin(s)
    s[EnteredUntil] = BlockNumber(1000)
    found = s[Requests, number]
    seat = replace(found.seats[0], receipt=GENESIS, output=Hash(blake2_256(b"42")))
    s[Shown, number, seat.output] = b"42"
    s[Requests, number] = replace(found, seats=(seat,))
    requests.settle(s, number, s[Requests, number], found.started)
    assert last(s, store.CalledBack).result is not None
    assert s[Results, number].output == b"42"


def test_callbacks_come_from_the_pallets_account_and_nobody_else_can():
    s = town()
    number = begin(s, replace(SOLE, callback=Callback(*REMARK, b"data")))
    show(s, number, BOB, answer())
    said = number.to_bytes(8, "little") + b"\x10data" + b"\x0842"
    assert last(s, Remarked) == Remarked(PalletAccount.value, Hash(blake2_256(said)))
    for who in (ALICE, BOB):
        fails(s, BadOrigin, who, "InferenceRequests.put", ALICE, KEY, 0, b"forged")
    fails(s, BadOrigin, ROOT, "InferenceRequests.put", ALICE, KEY, 0, b"forged")
    assert s[Account, PalletAccount.value].data.free == 0


def test_no_callback_leads_back_into_a_request():
    told = Outcome(1, ALICE, KEY, b"42")
    for (number, index), entry in CALLS.calls.items():
        callback = Callback(number, index, KEY)
        if entry.path in ALLOWED:
            assert make_call(callback, told).index == index
        else:
            with pytest.raises(Exception, match="not one that answers"):
                make_call(callback, told)
    assert {path for path in ALLOWED if path[0] == "InferenceRequests"} == {
        ("InferenceRequests", "put")
    }


def test_a_newer_answer_takes_the_place_of_an_older_one_in_the_inbox():
    s = town()
    for output in (b"a longer answer", b"short"):
        show(s, begin(s), BOB, answer(output))
    assert s[Inbox, ALICE, KEY].output == b"short"
    deposit = sum(s[ref].deposit for ref in (*s.keys_of(Results), (Inbox, ALICE, KEY)))
    assert reserved(s, ALICE) == deposit
    fails(s, Error.NoEntry, BOB, "InferenceRequests.remove", KEY)
    fails(s, Error.NotRequester, BOB, "InferenceRequests.clear", 0)
    fails(s, Error.UnknownResult, ALICE, "InferenceRequests.clear", 7)


def test_weights_cover_what_runs():
    s = town()
    number = begin(s)
    made = make("InferenceRequests.fulfil", *shows(s, number, BOB, answer()))
    declared = CALLS.calls[made.pallet, made.index].info(made.args).weight
    used = show(s, number, BOB, answer()).weight
    assert used < declared
    assert declared < 10**12  # a small part of a block


# -- whatever happens ---------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["accept", "commit", "commit", "show", "show", "expire", "cancel", "blocks", "rob"]
        ),
        st.sampled_from(MINERS),
        st.sampled_from([b"42", b"7", b"lie"]),
        st.integers(1, 25),
    ),
    max_size=40,
)


@pytest.mark.parametrize("wanted", [SOLE, THREE, NUMBERS], ids=["first", "equal", "median"])
@given(steps=STEPS)
def test_money_and_storage_always_agree(wanted, steps):
    s = town()
    number, told = ask(s, wanted), {}
    for step, who, output, blocks in steps:
        found = s[Requests, number]
        if step == "blocks":
            go(s, s[Number] + blocks)
        elif step == "rob":
            ok(s, ROOT, "Balances.force_unreserve", address(who), SeatDeposit.value)
        elif step == "accept":
            run(s, who, "InferenceRequests.accept", number, who)
        elif step == "cancel":
            run(s, ALICE, "InferenceRequests.cancel", number)
        elif step == "expire":
            run(s, who, "InferenceRequests.expire", number)
        elif found is not None and found.started is not None and s[Number] > found.started:
            if step == "commit":
                made = answer(output)
                digest = receipt(s, number, who, made).signing_hash()
                sealed = Hash(commitment(SALT, digest, output))
                if run(s, who, "InferenceRequests.commit", number, who, sealed).error is None:
                    told[who] = made
            else:
                made = told.get(who, answer(output))
                run(s, who, "InferenceRequests.fulfil", *shows(s, number, who, made))
        held = (s[ref].data for ref in s.keys_of(Account))
        assert sum(data.free + data.reserved for data in held) == s[TotalIssuance]
    at_block(s, 1000)
    run(s, EVE, "InferenceRequests.expire", number)
    run(s, ALICE, "InferenceRequests.clear", number)
    run(s, ALICE, "InferenceRequests.remove", KEY)
    assert reserved(s, ALICE) == 0
    assert not any(map(s.keys_of, (Requests, Shown, Results, Inbox)))


def test_hashes_name_longer_inputs():
    s = town()
    number = begin(s, replace(SOLE, input=ByHash(Hash(blake2_256(b"long")))))
    inline = begin(s, replace(SOLE, input=Inline(b"long")))
    orders = [requests.order_of(s, n, ALICE, s[Requests, n].ask).content for n in (number, inline)]
    assert orders[0] == orders[1] == blake2_256(b"long")
