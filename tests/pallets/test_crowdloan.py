"""Crowdloans: raising, refunding, paying out; money is never made or lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from world import (
    ALICE,
    BOB,
    CHARLIE,
    DAVE,
    EVE,
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

from chain.pallets import crowdloan_store as store
from chain.pallets.balances_ops import free_balance, set_free
from chain.pallets.balances_store import TotalIssuance
from chain.pallets.crowdloan import funds_account
from chain.pallets.crowdloan_store import Contributions, Crowdloans, Error, MaxContributions
from chain.pallets.system import Account
from ganglion.units import AccountId

FUNDS = funds_account(0)


def create(s, who=ALICE, deposit=10 * TAO, least=TAO, cap=100 * TAO, end=1000, call=None, to=EVE):
    ok(s, who, "Crowdloan.create", deposit, least, cap, end, call, to)


def contribute(s, who, tao):
    ok(s, who, "Crowdloan.contribute", 0, tao * TAO)


def test_the_funds_account_is_derived_as_upstream():
    assert b"modlbt/cloan" + bytes(20) == FUNDS
    assert funds_account(258)[12:16] == b"\x02\x01\0\0"


def test_creation_is_checked_in_order():
    s = world(tao=1000)
    path = "Crowdloan.create"
    fails(s, Error.DepositTooLow, ALICE, path, 10 * TAO - 1, TAO, 100 * TAO, 1000, None, EVE)
    fails(s, Error.CapTooLow, ALICE, path, 10 * TAO, TAO, 10 * TAO, 1000, None, EVE)
    low = Error.MinimumContributionTooLow
    fails(s, low, ALICE, path, 10 * TAO, TAO // 10 - 1, 100 * TAO, 1000, None, EVE)
    config = Error.InvalidFinalizationConfig
    remark = make("System.remark", b"")
    fails(s, config, ALICE, path, 10 * TAO, TAO, 100 * TAO, 1000, None, None)
    fails(s, config, ALICE, path, 10 * TAO, TAO, 100 * TAO, 1000, remark, EVE)
    for end, failure in (
        (1, Error.CannotEndInPast),
        (50, Error.BlockDurationTooShort),
        (20_002, Error.BlockDurationTooLong),
    ):
        fails(s, failure, ALICE, path, 10 * TAO, TAO, 100 * TAO, end, None, EVE)
    poor = Error.InsufficientBalance
    fails(s, poor, ALICE, path, 1001 * TAO, TAO, 2000 * TAO, 1000, None, EVE)
    create(s)
    assert free_balance(s, FUNDS) == 10 * TAO
    assert s[Crowdloans, 0].raised == 10 * TAO
    assert last(s, store.Created).crowdloan_id == 0


def test_raised_to_the_cap_and_paid_out():
    s = world()
    create(s)
    contribute(s, BOB, 50)
    fails(s, Error.CapNotRaised, ALICE, "Crowdloan.finalize", 0)
    contribute(s, CHARLIE, 80)
    assert s[Contributions, 0, CHARLIE] == 40 * TAO
    assert s[Crowdloans, 0].contributors_count == 3
    fails(s, Error.CapRaised, DAVE, "Crowdloan.contribute", 0, TAO)
    fails(s, Error.InvalidOrigin, BOB, "Crowdloan.finalize", 0)
    ok(s, ALICE, "Crowdloan.finalize", 0)
    assert free_balance(s, EVE) == 1100 * TAO
    for path in ("finalize", "refund", "dissolve", "withdraw"):
        fails(s, Error.AlreadyFinalized, ALICE, f"Crowdloan.{path}", 0)


def test_contributions_are_limited():
    s = world()
    create(s)
    fails(s, Error.InvalidCrowdloanId, BOB, "Crowdloan.contribute", 7, TAO)
    fails(s, Error.ContributionTooLow, BOB, "Crowdloan.contribute", 0, TAO - 1)
    fails(s, Error.MaximumContributionTooLow, ALICE, "Crowdloan.set_max_contribution", 0, TAO)
    ok(s, ALICE, "Crowdloan.set_max_contribution", 0, 20 * TAO)
    contribute(s, BOB, 15)
    contribute(s, BOB, 15)
    assert s[Contributions, 0, BOB] == 20 * TAO
    fails(s, Error.MaxContributionReached, BOB, "Crowdloan.contribute", 0, TAO)
    high = Error.MinimumContributionTooHigh
    fails(s, high, ALICE, "Crowdloan.update_min_contribution", 0, 21 * TAO)
    ok(s, ALICE, "Crowdloan.set_max_contribution", 0, None)
    assert (MaxContributions, 0) not in s
    at_block(s, 1000)
    fails(s, Error.ContributionPeriodEnded, BOB, "Crowdloan.contribute", 0, TAO)


def test_contributors_withdraw_and_the_deposit_stays():
    s = world()
    create(s)
    contribute(s, BOB, 5)
    contribute(s, ALICE, 5)
    fails(s, Error.NoContribution, CHARLIE, "Crowdloan.withdraw", 0)
    ok(s, BOB, "Crowdloan.withdraw", 0)
    assert free_balance(s, BOB) == 1000 * TAO
    ok(s, ALICE, "Crowdloan.withdraw", 0)
    assert s[Contributions, 0, ALICE] == 10 * TAO
    fails(s, Error.DepositCannotBeWithdrawn, ALICE, "Crowdloan.withdraw", 0)
    assert s[Crowdloans, 0].raised == 10 * TAO


def test_refunds_go_in_batches_of_fifty_and_then_it_dissolves():
    s = world()
    create(s, cap=500 * TAO)
    guests = [AccountId(bytes([7, n]) * 16) for n in range(60)]
    for guest in guests:
        set_free(s, guest, 2 * TAO)
        ok(s, guest, "Crowdloan.contribute", 0, TAO)
    fails(s, Error.NotReadyToDissolve, ALICE, "Crowdloan.dissolve", 0)
    fails(s, Error.InvalidOrigin, BOB, "Crowdloan.refund", 0)
    ok(s, ALICE, "Crowdloan.refund", 0)
    assert names(s)[-1] == "Crowdloan.PartiallyRefunded"
    assert s[Crowdloans, 0].contributors_count == 11
    ok(s, ALICE, "Crowdloan.refund", 0)
    assert names(s)[-1] == "Crowdloan.AllRefunded"
    assert all(free_balance(s, guest) == 2 * TAO for guest in guests)
    ok(s, ALICE, "Crowdloan.dissolve", 0)
    assert (Crowdloans, 0) not in s
    assert (Account, FUNDS) not in s
    assert free_balance(s, ALICE) == 1000 * TAO


def test_a_call_that_leaves_the_funds_behind_finalizes_nothing():
    s = world()
    create(s, cap=20 * TAO, call=make("System.remark", b"x" * 200), to=None)
    contribute(s, BOB, 10)
    fails(s, Error.FundsNotSettled, ALICE, "Crowdloan.finalize", 0)
    assert store.CurrentCrowdloanId not in s
    ok(s, BOB, "Crowdloan.withdraw", 0)
    ok(s, ALICE, "Crowdloan.dissolve", 0)


def test_a_failing_or_missing_call_fails_the_finalization():
    s = world()
    create(
        s, cap=20 * TAO, call=make("Balances.transfer_keep_alive", address(BOB), 10**18), to=None
    )
    contribute(s, BOB, 10)
    assert run(s, ALICE, "Crowdloan.finalize", 0).error is not None
    s[store.CurrentCrowdloanId] = 5
    fails(s, Error.AlreadyFinalizing, ALICE, "Crowdloan.finalize", 0)


def test_the_creator_changes_terms():
    s = world()
    create(s)
    contribute(s, BOB, 30)
    fails(s, Error.CapTooLow, ALICE, "Crowdloan.update_cap", 0, 40 * TAO - 1)
    fails(s, Error.InvalidOrigin, BOB, "Crowdloan.update_cap", 0, 50 * TAO)
    ok(s, ALICE, "Crowdloan.update_cap", 0, 40 * TAO)
    ok(s, ALICE, "Crowdloan.update_end", 0, 500)
    fails(s, Error.BlockDurationTooShort, ALICE, "Crowdloan.update_end", 0, 40)
    ok(s, ALICE, "Crowdloan.update_min_contribution", 0, 2 * TAO)
    low = Error.MinimumContributionTooLow
    fails(s, low, ALICE, "Crowdloan.update_min_contribution", 0, 1)
    loan = s[Crowdloans, 0]
    assert (loan.cap, loan.end, loan.min_contribution) == (40 * TAO, 500, 2 * TAO)


WHO = st.sampled_from([ALICE, BOB, CHARLIE, DAVE])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("contribute"), WHO, st.integers(0, 60)),
        st.tuples(st.sampled_from(["withdraw", "refund", "dissolve", "finalize"]), WHO, st.just(0)),
    ),
    max_size=25,
)


@given(STEPS)
def test_money_is_neither_made_nor_lost(steps):
    s = world()
    create(s)
    issued = s[TotalIssuance]
    for name, who, tao in steps:
        args = (0, tao * TAO) if name == "contribute" else (0,)
        run(s, who, f"Crowdloan.{name}", *args)
        loan = s[Crowdloans, 0]
        if loan is None:
            break
        given_ = sum(s[Contributions, 0, k] or 0 for k in (ALICE, BOB, CHARLIE, DAVE))
        assert loan.raised == given_
        assert free_balance(s, FUNDS) == (0 if loan.finalized else loan.raised)
    total = sum(free_balance(s, k) for k in (ALICE, BOB, CHARLIE, DAVE, EVE, FUNDS))
    assert total == 5000 * TAO
    assert s[TotalIssuance] == issued
