"""Batches, fallbacks, derived accounts, and root by key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from world import (
    ALICE,
    BOB,
    CHARLIE,
    DAVE,
    EVE,
    NONE,
    ROOT,
    TAO,
    address,
    fails,
    last,
    make,
    names,
    next_block,
    ok,
    run,
    world,
)

from chain.pallets import balances_store, safe_mode, sudo, system, utility
from chain.pallets.balances_ops import free_balance
from chain.pallets.nested import Nobody, Signed, SystemOrigin
from chain.pallets.nested import Root as RawRoot
from chain.pallets.subtensor import storage_pool
from chain.runtime.call import CALLS, DispatchClass, Pays, Weight
from chain.runtime.errors import BadOrigin, Corruption, PlainError, TokenError, TokenErrorKind
from chain.runtime.extension import Context
from chain.runtime.validity import Invalid, InvalidTransaction
from ganglion.units import AccountId, NetUid

GOLDEN = json.loads((Path(__file__).parent.parent / "vectors" / "upstream-calls.json").read_text())


def pay(who: AccountId, amount: int) -> object:
    return make("Balances.transfer_keep_alive", address(who), amount)


@pytest.mark.parametrize("vector", GOLDEN["calls"], ids=lambda v: v["name"])
def test_calls_encode_as_upstream(vector):
    raw = bytes.fromhex(vector["hex"])
    call, end = CALLS.read(raw, 0)
    assert end == len(raw)
    assert CALLS.encode(call) == raw
    entry = CALLS.entry(call)
    assert f"{entry.pallet}.{entry.name}" == vector["name"]


def test_batch_runs_all():
    s = world()
    ok(s, ALICE, "Utility.batch", (pay(BOB, 1 * TAO), pay(CHARLIE, 2 * TAO)))
    assert free_balance(s, BOB) == 1001 * TAO
    assert free_balance(s, CHARLIE) == 1002 * TAO
    assert names(s)[-2:] == ["Utility.ItemCompleted", "Utility.BatchCompleted"]


def test_I159_batch_stops_at_the_first_failure_and_succeeds():
    s = world()
    ok(s, ALICE, "Utility.batch", (pay(BOB, 1), pay(BOB, 10**15), pay(BOB, 1)))
    assert free_balance(s, BOB) == 1000 * TAO + 1
    event = last(s, utility.BatchInterrupted)
    assert event.index == 1
    assert event.error == TokenError(TokenErrorKind.FundsUnavailable).value()


def test_I159_batch_all_undoes_everything():
    s = world()
    failure = TokenError(TokenErrorKind.FundsUnavailable)
    fails(s, failure, ALICE, "Utility.batch_all", (pay(BOB, 1), pay(BOB, 10**15)))
    assert free_balance(s, BOB) == 1000 * TAO


def test_I159_force_batch_goes_on():
    s = world()
    ok(s, ALICE, "Utility.force_batch", (pay(BOB, 1), pay(BOB, 10**15), pay(BOB, 1)))
    assert free_balance(s, BOB) == 1000 * TAO + 2
    assert names(s)[-4:] == [
        "Utility.ItemFailed",
        "Balances.Transfer",
        "Utility.ItemCompleted",
        "Utility.BatchCompletedWithErrors",
    ]


@pytest.mark.parametrize("outer", ["batch", "batch_all", "force_batch"])
@pytest.mark.parametrize("inner", ["batch", "batch_all", "force_batch"])
def test_I159_a_batch_in_a_batch_is_refused(outer, inner):
    s = world()
    nested = make(f"Utility.{inner}", ())
    fails(s, system.Error.CallFiltered, ALICE, f"Utility.{outer}", (nested,))
    ok(s, ROOT, f"Utility.{outer}", (nested,))


def test_batch_all_refuses_itself_deeper_down():
    s = world()
    hidden = make("Utility.as_derivative", 0, make("Utility.batch_all", ()))
    fails(s, system.Error.CallFiltered, ALICE, "Utility.batch_all", (hidden,))


def test_batches_are_not_for_inherents_and_not_endless():
    s = world()
    fails(s, BadOrigin, NONE, "Utility.batch", ())
    many = (make("System.remark", b""),) * (utility.batched_calls_limit.value + 1)
    fails(s, utility.Error.TooManyCalls, ALICE, "Utility.force_batch", many)


def test_a_batch_is_free_when_all_its_calls_are():
    free = make("Commitments.set_commitment", 0, commitment())
    costly = make("System.remark", b"")
    entry = CALLS.entry(make("Utility.batch", ()))
    assert entry.info(((free, free),)).pays is Pays.No
    assert entry.info(((free, costly),)).pays is Pays.Yes


def commitment() -> object:
    from chain.pallets.commitments_types import CommitmentInfo

    return CommitmentInfo(())


def test_derivative_accounts_spend_their_own_money():
    s = world()
    sub = utility.derivative_account_id(ALICE, 7)
    ok(s, ALICE, "Balances.transfer_keep_alive", address(sub), 5 * TAO)
    ok(s, ALICE, "Utility.as_derivative", 7, pay(BOB, 2 * TAO))
    assert free_balance(s, sub) == 3 * TAO
    fails(s, BadOrigin, ROOT, "Utility.as_derivative", 7, pay(BOB, 2 * TAO))


def test_if_else_falls_back():
    s = world()
    ok(s, ALICE, "Utility.if_else", pay(BOB, 1), pay(BOB, 2))
    assert names(s)[-1] == "Utility.IfElseMainSuccess"
    ok(s, ALICE, "Utility.if_else", pay(BOB, 10**15), pay(BOB, 2))
    assert last(s, utility.IfElseFallbackCalled).main_error
    assert free_balance(s, BOB) == 1000 * TAO + 3
    failure = TokenError(TokenErrorKind.FundsUnavailable)
    fails(s, failure, ALICE, "Utility.if_else", pay(BOB, 10**15), pay(BOB, 10**15))


def test_dispatch_as_takes_any_origin():
    s = world()
    alice = SystemOrigin(Signed(ALICE))
    ok(s, ROOT, "Utility.dispatch_as", alice, pay(BOB, 1))
    assert last(s, utility.DispatchedAs).result is None
    ok(s, ROOT, "Utility.dispatch_as", SystemOrigin(Nobody()), pay(BOB, 1))
    assert last(s, utility.DispatchedAs).result == BadOrigin().value()
    fails(s, BadOrigin, ROOT, "Utility.dispatch_as_fallible", SystemOrigin(RawRoot()), pay(BOB, 1))
    ok(s, ROOT, "Utility.dispatch_as_fallible", alice, pay(BOB, 1))
    fails(s, BadOrigin, ALICE, "Utility.dispatch_as", alice, pay(BOB, 1))


def test_with_weight_declares_what_it_is_told():
    inner = make("Balances.force_set_balance", address(BOB), 5 * TAO)
    call = make("Utility.with_weight", inner, Weight(123, 0))
    assert CALLS.entry(call).info(call.args).weight == 123
    s = world()
    ok(s, ROOT, "Utility.with_weight", *call.args)
    assert free_balance(s, BOB) == 5 * TAO


def with_sudo():
    s = world()
    s[sudo.Key] = ALICE
    return s


def test_sudo_dispatches_as_root_for_nothing():
    s = with_sudo()
    inner = make("Balances.force_set_balance", address(BOB), 5 * TAO)
    assert ok(s, ALICE, "Sudo.sudo", inner).pays is Pays.No
    assert last(s, sudo.Sudid).sudo_result is None
    assert free_balance(s, BOB) == 5 * TAO
    fails(s, sudo.Error.RequireSudo, BOB, "Sudo.sudo", inner)


def test_a_failing_sudo_succeeds_and_says_so():
    s = with_sudo()
    ok(s, ALICE, "Sudo.sudo", pay(BOB, 1))
    assert last(s, sudo.Sudid).sudo_result == BadOrigin().value()


def test_sudo_takes_the_class_of_its_call():
    entry = CALLS.entry(make("Sudo.sudo", make("System.remark", b"")))
    normal, operational = make("System.remark", b""), make("System.kill_prefix", b"", 0)
    assert entry.info((normal,)).dispatch_class is DispatchClass.Normal
    assert entry.info((operational,)).dispatch_class is DispatchClass.Operational


def test_the_key_moves_and_goes():
    s = with_sudo()
    ok(s, ALICE, "Sudo.sudo_as", address(BOB), pay(CHARLIE, 5))
    assert free_balance(s, BOB) == 1000 * TAO - 5
    ok(s, ALICE, "Sudo.set_key", address(BOB))
    assert last(s, sudo.KeyChanged) == sudo.KeyChanged(ALICE, BOB)
    fails(s, sudo.Error.RequireSudo, ALICE, "Sudo.remove_key")
    ok(s, BOB, "Sudo.remove_key")
    assert sudo.Key not in s
    fails(s, sudo.Error.RequireSudo, BOB, "Sudo.set_key", address(BOB))
    ok(s, ROOT, "Sudo.set_key", address(BOB))


def test_the_pool_refuses_sudo_calls_of_others():
    s = with_sudo()
    call = make("Sudo.sudo", make("System.remark", b""))
    info = CALLS.entry(call).info(call.args)
    sudo.SudoTransactionExtension().validate(s, Context(ALICE, call, info, 100))
    with pytest.raises(InvalidTransaction) as caught:
        sudo.SudoTransactionExtension().validate(s, Context(BOB, call, info, 100))
    assert caught.value.kind is Invalid.BadSigner


def test_safe_mode_refuses_all_but_a_few():
    s = world()
    fails(s, BadOrigin, ALICE, "SafeMode.force_enter")
    fails(s, safe_mode.Error.NotConfigured, ALICE, "SafeMode.enter")
    ok(s, ROOT, "SafeMode.force_enter")
    assert s[safe_mode.EnteredUntil] == 7201
    fails(s, system.Error.CallFiltered, ALICE, "Balances.burn", 1, True)
    ok(s, ALICE, "System.remark", b"still here")
    ok(s, ROOT, "Balances.force_set_balance", address(EVE), TAO)
    fails(s, safe_mode.Error.Entered, ROOT, "SafeMode.force_enter")
    ok(s, ROOT, "SafeMode.force_extend")
    assert s[safe_mode.EnteredUntil] == 10801
    fails(s, safe_mode.Error.NoDeposit, ROOT, "SafeMode.force_release_deposit", ALICE, 1)
    next_block(s, 10802)
    assert names(s)[-1] == "SafeMode.Exited"
    ok(s, ALICE, "Balances.burn", 1, True)
    fails(s, safe_mode.Error.Exited, ROOT, "SafeMode.force_exit")


def test_failures_keep_their_own_error():
    s = world(tao=1)
    assert run(s, DAVE, "Balances.burn", 5 * TAO, False).error is not None
    fails(s, balances_store.Error.DeltaZero, ROOT, "Balances.force_adjust_total_issuance", 0, 0)


def test_stored_bytes_are_read_by_their_beginning() -> None:
    """Upstream's readers stop where the type ends; SDK 10's tests rely on it."""
    s = world()
    key = storage_pool.SubnetMovingPrice.key_of((storage_pool.SubnetMovingPrice, NetUid(2)))
    price = (7 << 32).to_bytes(16, "little")
    ok(s, ROOT, "System.set_storage", ((key, price + b"left over"),))
    assert s[storage_pool.SubnetMovingPrice, NetUid(2)] == 7 << 32
    assert s.read_raw(key) == price
    fails(s, PlainError(Corruption()), ROOT, "System.set_storage", ((key, price[:5]),))
