"""Calls for later blocks, and the bytes of long ones."""

from __future__ import annotations

from world import (
    ALICE,
    BOB,
    CHARLIE,
    ROOT,
    TAO,
    address,
    fails,
    last,
    make,
    names,
    next_block,
    ok,
    world,
)

from chain.pallets import preimage
from chain.pallets import scheduler_store as scheduler
from chain.pallets.balances_holds import Holds
from chain.pallets.balances_ops import free_balance, reserve
from chain.pallets.nested import hash_of
from chain.pallets.preimage import (
    Error as PreimageError,
)
from chain.pallets.preimage import (
    OldRequested,
    OldUnrequested,
    PreimageFor,
    Requested,
    RequestStatusFor,
    StatusFor,
    Unrequested,
)
from chain.pallets.scheduler_store import Agenda, Error, Lookup, Retries, RetryConfig
from chain.pallets.system import Account
from chain.runtime.call import CALLS, Pays
from chain.runtime.errors import BadOrigin, Exhausted, PlainError, TokenError, TokenErrorKind
from ganglion.hashing import blake2_256

NAME = b"n" * 32


def set_balance(who, amount):
    return make("Balances.force_set_balance", address(who), amount)


def long_call():
    return make("Utility.batch_all", (make("System.remark", b"z" * 200), set_balance(BOB, TAO)))


def test_a_task_runs_once_in_its_block():
    s = world()
    ok(s, ROOT, "Scheduler.schedule", 3, None, 0, set_balance(BOB, TAO))
    fails(s, BadOrigin, ALICE, "Scheduler.schedule", 3, None, 0, set_balance(BOB, TAO))
    next_block(s, 2)
    assert free_balance(s, BOB) == 1000 * TAO
    next_block(s, 3)
    assert free_balance(s, BOB) == TAO
    assert last(s, scheduler.Dispatched).result is None
    assert (Agenda, 3) not in s


def test_the_past_is_refused():
    s = world(block=5)
    call = make("System.remark", b"")
    fails(s, Error.TargetBlockNumberInPast, ROOT, "Scheduler.schedule", 5, None, 0, call)
    ok(s, ROOT, "Scheduler.schedule_after", 0, None, 0, call)
    assert len(s[Agenda, 6]) == 1


def test_periodic_tasks_come_back():
    s = world()
    ok(s, ROOT, "Scheduler.schedule_named", NAME, 2, (3, 3), 0, set_balance(BOB, TAO))
    ran = []
    for block in range(2, 12):
        next_block(s, block)
        ran += [block] if "Scheduler.Dispatched" in names(s) else []
    assert ran == [2, 5, 8]
    assert (Lookup, NAME) not in s


def test_priorities_decide_the_order():
    s = world()
    ok(s, ROOT, "Scheduler.schedule", 2, None, 200, set_balance(BOB, 2 * TAO))
    ok(s, ROOT, "Scheduler.schedule", 2, None, 1, set_balance(BOB, TAO))
    next_block(s, 2)
    assert free_balance(s, BOB) == 2 * TAO


def test_names_are_unique_and_cancel():
    s = world()
    call = set_balance(BOB, TAO)
    ok(s, ROOT, "Scheduler.schedule_named", NAME, 9, None, 0, call)
    fails(s, Error.FailedToSchedule, ROOT, "Scheduler.schedule_named", NAME, 9, None, 0, call)
    ok(s, ROOT, "Scheduler.cancel_named", NAME)
    fails(s, Error.NotFound, ROOT, "Scheduler.cancel_named", NAME)
    assert (Agenda, 9) not in s
    ok(s, ROOT, "Scheduler.schedule", 9, None, 0, call)
    ok(s, ROOT, "Scheduler.cancel", 9, 0)
    fails(s, Error.NotFound, ROOT, "Scheduler.cancel", 9, 0)


def test_an_agenda_holds_fifty():
    s = world()
    for _ in range(50):
        ok(s, ROOT, "Scheduler.schedule", 9, None, 0, make("System.remark", b""))
    call = make("System.remark", b"")
    fails(s, PlainError(Exhausted()), ROOT, "Scheduler.schedule", 9, None, 0, call)
    ok(s, ROOT, "Scheduler.cancel", 9, 20)
    ok(s, ROOT, "Scheduler.schedule", 9, None, 0, call)
    assert len(s[Agenda, 9]) == 50


def test_failed_tasks_are_tried_again():
    s = world()
    failing = make("Balances.force_adjust_total_issuance", 0, 0)
    ok(s, ROOT, "Scheduler.schedule", 2, None, 0, failing)
    ok(s, ROOT, "Scheduler.set_retry", (2, 0), 2, 3)
    assert s[Retries, (2, 0)] == RetryConfig(2, 2, 3)
    ran = []
    for block in range(2, 14):
        next_block(s, block)
        ran += [block] if "Scheduler.Dispatched" in names(s) else []
    assert ran == [2, 5, 8]
    fails(s, Error.NotFound, ROOT, "Scheduler.set_retry", (2, 0), 2, 3)


def test_retries_can_be_cancelled():
    s = world()
    ok(s, ROOT, "Scheduler.schedule_named", NAME, 4, None, 0, make("System.remark", b""))
    ok(s, ROOT, "Scheduler.set_retry_named", NAME, 1, 1)
    ok(s, ROOT, "Scheduler.cancel_retry_named", NAME)
    assert (Retries, (4, 0)) not in s
    ok(s, ROOT, "Scheduler.set_retry", (4, 0), 1, 1)
    ok(s, ROOT, "Scheduler.cancel_retry", (4, 0))
    assert (Retries, (4, 0)) not in s


def test_what_never_fits_is_given_up_and_what_does_not_fit_now_waits():
    s = world()
    half = make("Utility.with_weight", set_balance(BOB, TAO), weight(2 * 10**12))
    huge = make("Utility.with_weight", set_balance(BOB, TAO), weight(4 * 10**12))
    ok(s, ROOT, "Scheduler.schedule", 2, None, 0, huge)
    next_block(s, 2)
    assert "Scheduler.PermanentlyOverweight" in names(s)
    for _ in range(2):
        ok(s, ROOT, "Scheduler.schedule", 3, None, 0, half)
    next_block(s, 3)
    assert names(s).count("Scheduler.Dispatched") == 1
    assert last(s, scheduler.AgendaIncomplete).when == 3
    next_block(s, 4)
    assert names(s).count("Scheduler.Dispatched") == 1
    assert s[scheduler.IncompleteSince] == 5


def weight(ref_time):
    from chain.runtime.call import Weight

    return Weight(ref_time, 0)


def test_long_calls_live_in_preimages():
    s = world()
    call = long_call()
    ok(s, ROOT, "Scheduler.schedule", 2, None, 0, call)
    key = hash_of(call)
    assert s[PreimageFor, (key, len(CALLS.encode(call)))] == CALLS.encode(call)
    assert s[RequestStatusFor, key].count == 2
    next_block(s, 2)
    assert free_balance(s, BOB) == TAO


def test_a_noted_preimage_is_paid_for_by_a_hold():
    s = world()
    data = b"d" * 300
    key = blake2_256(data)
    assert ok(s, ALICE, "Preimage.note_preimage", data).pays is Pays.Yes
    assert s[Account, ALICE].data.reserved == 404_000_000
    assert s[Holds, ALICE][0].amount == 404_000_000
    assert s[RequestStatusFor, key] == Unrequested((ALICE, 404_000_000), 300)
    fails(s, PreimageError.AlreadyNoted, BOB, "Preimage.note_preimage", data)
    fails(s, PreimageError.NotAuthorized, BOB, "Preimage.unnote_preimage", key)
    ok(s, ALICE, "Preimage.unnote_preimage", key)
    assert s[Account, ALICE].data.reserved == 0
    assert (Holds, ALICE) not in s
    fails(s, PreimageError.NotNoted, ALICE, "Preimage.unnote_preimage", key)


def test_requested_bytes_cost_nothing():
    s = world()
    data = b"wanted"
    key = blake2_256(data)
    fails(s, BadOrigin, ALICE, "Preimage.request_preimage", key)
    ok(s, ROOT, "Preimage.request_preimage", key)
    assert s[RequestStatusFor, key] == Requested(None, 1, None)
    assert ok(s, ALICE, "Preimage.note_preimage", data).pays is Pays.No
    assert s[Account, ALICE].data.reserved == 0
    ok(s, ROOT, "Preimage.unrequest_preimage", key)
    assert (RequestStatusFor, key) not in s
    assert (PreimageFor, (key, len(data))) not in s
    fails(s, PreimageError.NotRequested, ROOT, "Preimage.unrequest_preimage", key)


def test_a_request_outlives_its_noter():
    s = world()
    data = b"kept"
    key = blake2_256(data)
    ok(s, ALICE, "Preimage.note_preimage", data)
    ok(s, ROOT, "Preimage.request_preimage", key)
    ok(s, ALICE, "Preimage.unnote_preimage", key)
    assert s[Account, ALICE].data.reserved == 0
    assert s[RequestStatusFor, key] == Requested(None, 1, 4)
    fails(s, PreimageError.NotAuthorized, ALICE, "Preimage.unnote_preimage", key)
    ok(s, ROOT, "Preimage.unrequest_preimage", key)
    assert last(s, preimage.Cleared).hash == key


def test_preimages_need_money_and_a_limit():
    s = world(tao=0)
    ok(s, ROOT, "Balances.force_set_balance", address(CHARLIE), 1000)
    failure = TokenError(TokenErrorKind.FundsUnavailable)
    fails(s, failure, CHARLIE, "Preimage.note_preimage", b"x")
    fails(s, PreimageError.TooBig, ROOT, "Preimage.note_preimage", bytes(4 * 1024 * 1024 + 1))


def test_a_missing_call_is_reported():
    s = world()
    call = long_call()
    ok(s, ROOT, "Scheduler.schedule", 2, None, 0, call)
    del s[PreimageFor, (hash_of(call), len(CALLS.encode(call)))]
    next_block(s, 2)
    assert "Scheduler.CallUnavailable" in names(s)


def old_record(s, key, record, deposit=TAO, who=ALICE):
    """What a chain of before holds would have left."""
    s[StatusFor, key] = record
    if deposit:
        reserve(s, who, deposit)


def test_old_deposits_become_holds():
    s = world()
    keys = [bytes([n]) * 32 for n in range(5)]
    old_record(s, keys[0], OldUnrequested((ALICE, TAO), 300))
    old_record(s, keys[1], OldRequested((ALICE, TAO), 2, 10))
    old_record(s, keys[2], OldRequested((ALICE, TAO), 1, None))
    old_record(s, keys[3], OldRequested(None, 7, None), deposit=0)
    assert ok(s, BOB, "Preimage.ensure_updated", keys[:4]).pays is Pays.No
    assert s[RequestStatusFor, keys[0]] == Unrequested((ALICE, 404_000_000), 300)
    assert s[RequestStatusFor, keys[1]] == Requested((ALICE, 114_000_000), 2, 10)
    assert s[RequestStatusFor, keys[2]] == Requested(None, 1, None)
    assert s[RequestStatusFor, keys[3]] == Requested(None, 7, None)
    assert s[Account, ALICE].data.reserved == s[Holds, ALICE][0].amount == 518_000_000
    assert not any((StatusFor, key) in s for key in keys)
    assert ok(s, BOB, "Preimage.ensure_updated", keys).pays is Pays.Yes


def test_an_old_deposit_that_buys_no_hold_is_given_back():
    s = world(tao=1)
    old_record(s, b"k" * 32, OldUnrequested((ALICE, 10_000_000), 3_000_000), 10_000_000)
    ok(s, BOB, "Preimage.ensure_updated", [b"k" * 32])
    assert (RequestStatusFor, b"k" * 32) not in s
    assert (s[Account, ALICE].data.free, s[Account, ALICE].data.reserved) == (TAO, 0)


def test_updates_are_free_for_nine_in_ten():
    for old in (8, 9):
        s = world()
        keys = [bytes([n]) * 32 for n in range(10)]
        for key in keys[:old]:
            old_record(s, key, OldRequested(None, 1, None), deposit=0)
        pays = ok(s, BOB, "Preimage.ensure_updated", keys).pays
        assert pays is (Pays.No if old == 9 else Pays.Yes)


def test_updates_have_bounds():
    s = world()
    fails(s, PreimageError.TooFew, BOB, "Preimage.ensure_updated", [])
    fails(s, PreimageError.TooMany, BOB, "Preimage.ensure_updated", [bytes(32)] * 1025)
    fails(s, BadOrigin, ROOT, "Preimage.ensure_updated", [bytes(32)])
