"""Shared accounts: derivation, approvals, deposits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from world import ALICE, BOB, CHARLIE, DAVE, TAO, address, at_block, fails, last, make, ok, world

from chain.pallets import multisig
from chain.pallets.balances_ops import free_balance
from chain.pallets.multisig import Error, Multisigs, Timepoint, multi_account_id
from chain.pallets.nested import hash_of, weight_of
from chain.pallets.system import Account
from chain.runtime.call import Pays, Weight
from chain.runtime.errors import TokenError, TokenErrorKind
from ganglion.ss58 import decode

GOLDEN = json.loads((Path(__file__).parent.parent / "vectors" / "upstream-calls.json").read_text())
PLENTY = Weight(10**12, 0)
WE = tuple(sorted((ALICE, BOB, CHARLIE)))


def others(who):
    return tuple(k for k in WE if k != who)


def shared(s, threshold=2, tao=10):
    account = multi_account_id(WE, threshold)
    ok(s, DAVE, "Balances.transfer_keep_alive", address(account), tao * TAO)
    return account


def pay(amount):
    return make("Balances.transfer_keep_alive", address(DAVE), amount)


@pytest.mark.parametrize("vector", GOLDEN["multisig"])
def test_accounts_are_derived_as_upstream(vector):
    keys = tuple(sorted(decode(a) for a in vector["signatories"]))
    assert multi_account_id(keys, vector["threshold"]) == decode(vector["ss58_address"])


def test_two_of_three():
    s = world()
    account = shared(s)
    call = pay(3 * TAO)
    at_block(s, 5, extrinsic=2)
    ok(s, ALICE, "Multisig.as_multi", 2, others(ALICE), None, call, PLENTY)
    assert s[Account, ALICE].data.reserved == 132_000_000 + 2 * 32_000_000
    when = Timepoint(5, 2)
    fails(s, Error.NoTimepoint, BOB, "Multisig.as_multi", 2, others(BOB), None, call, PLENTY)
    wrong = Timepoint(5, 3)
    fails(s, Error.WrongTimepoint, BOB, "Multisig.as_multi", 2, others(BOB), wrong, call, PLENTY)
    fails(
        s, Error.AlreadyApproved, ALICE, "Multisig.as_multi", 2, others(ALICE), when, call, PLENTY
    )
    small = Weight(weight_of(call) - 1, 0)
    fails(s, Error.MaxWeightTooLow, BOB, "Multisig.as_multi", 2, others(BOB), when, call, small)
    ok(s, BOB, "Multisig.as_multi", 2, others(BOB), when, call, PLENTY)
    assert last(s, multisig.MultisigExecuted).result is None
    assert free_balance(s, account) == 7 * TAO
    assert s[Account, ALICE].data.reserved == 0
    assert (Multisigs, account, hash_of(call)) not in s


def test_the_last_approval_needs_the_call():
    s = world()
    account = shared(s, 2)
    call = pay(1)
    key = hash_of(call)
    ok(s, ALICE, "Multisig.approve_as_multi", 2, others(ALICE), None, key, PLENTY)
    when = Timepoint(1, 0)
    ok(s, BOB, "Multisig.approve_as_multi", 2, others(BOB), when, key, PLENTY)
    fails(
        s,
        Error.AlreadyApproved,
        CHARLIE,
        "Multisig.approve_as_multi",
        2,
        others(CHARLIE),
        when,
        key,
        PLENTY,
    )
    assert free_balance(s, account) == 10 * TAO
    ok(s, BOB, "Multisig.as_multi", 2, others(BOB), when, call, PLENTY)
    assert free_balance(s, account) == 10 * TAO - 1


def test_a_failing_call_ends_the_operation():
    s = world()
    account = shared(s, 2, tao=1)
    call = pay(5 * TAO)
    ok(s, ALICE, "Multisig.as_multi", 2, others(ALICE), None, call, PLENTY)
    ok(s, BOB, "Multisig.as_multi", 2, others(BOB), Timepoint(1, 0), call, PLENTY)
    failure = TokenError(TokenErrorKind.FundsUnavailable).value()
    assert last(s, multisig.MultisigExecuted).result == failure
    assert (Multisigs, account, hash_of(call)) not in s


def test_only_the_depositor_cancels():
    s = world()
    key = hash_of(pay(1))
    ok(s, ALICE, "Multisig.approve_as_multi", 3, others(ALICE), None, key, PLENTY)
    when = Timepoint(1, 0)
    fails(s, Error.NotOwner, BOB, "Multisig.cancel_as_multi", 3, others(BOB), when, key)
    fails(
        s,
        Error.WrongTimepoint,
        ALICE,
        "Multisig.cancel_as_multi",
        3,
        others(ALICE),
        Timepoint(2, 0),
        key,
    )
    ok(s, ALICE, "Multisig.cancel_as_multi", 3, others(ALICE), when, key)
    assert s[Account, ALICE].data.reserved == 0
    fails(s, Error.NotFound, ALICE, "Multisig.cancel_as_multi", 3, others(ALICE), when, key)


def test_threshold_one_is_immediate():
    s = world()
    account = shared(s, 1)
    ok(s, BOB, "Multisig.as_multi_threshold_1", others(BOB), pay(2 * TAO))
    assert free_balance(s, account) == 8 * TAO


def test_lists_are_checked():
    s = world()
    call, path = pay(1), "Multisig.as_multi"
    fails(s, Error.MinimumThreshold, ALICE, path, 1, others(ALICE), None, call, PLENTY)
    fails(s, Error.TooFewSignatories, ALICE, path, 2, (), None, call, PLENTY)
    many = tuple(bytes([i]) * 32 for i in range(100))
    fails(s, Error.TooManySignatories, ALICE, path, 2, many, None, call, PLENTY)
    back = tuple(reversed(others(ALICE)))
    fails(s, Error.SignatoriesOutOfOrder, ALICE, path, 2, back, None, call, PLENTY)
    fails(s, Error.SenderInSignatories, ALICE, path, 2, (ALICE,), None, call, PLENTY)
    at = Timepoint(1, 0)
    fails(s, Error.UnexpectedTimepoint, ALICE, path, 2, others(ALICE), at, call, PLENTY)


def test_poking_changes_nothing_while_prices_stand():
    s = world()
    key = hash_of(pay(1))
    ok(s, ALICE, "Multisig.approve_as_multi", 2, others(ALICE), None, key, PLENTY)
    assert ok(s, ALICE, "Multisig.poke_deposit", 2, others(ALICE), key).pays is Pays.Yes
    fails(s, Error.NotOwner, BOB, "Multisig.poke_deposit", 2, others(BOB), key)
    account = multi_account_id(WE, 2)
    from dataclasses import replace

    s[Multisigs, account, key] = replace(s[Multisigs, account, key], deposit=100_000_000)
    assert ok(s, ALICE, "Multisig.poke_deposit", 2, others(ALICE), key).pays is Pays.No
    assert last(s, multisig.DepositPoked).new_deposit == 196_000_000
