"""Vouches: one's word about another, for a deposit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from world import ALICE, BOB, CHARLIE, EVE, fails, names, ok, world

from chain.pallets.balances_ops import set_free
from chain.pallets.balances_store import Error as Balances
from chain.pallets.balances_store import TotalIssuance
from chain.pallets.system import Account
from chain.pallets.vouching import Error, MaxVouches, VouchCount, VouchDeposit, Vouches
from chain.runtime.state import iter_keys
from ganglion.units import AccountId

PEOPLE = (ALICE, BOB, CHARLIE)


def reserved(s, who):
    return s[Account, who].data.reserved


def test_a_vouch_costs_a_deposit_that_comes_back():
    s = world()
    ok(s, ALICE, "Vouching.vouch", BOB)
    assert names(s)[-1] == "Vouching.Vouched"
    assert s[Vouches, ALICE, BOB] == 1
    assert s[Vouches, BOB, ALICE] is None
    assert reserved(s, ALICE) == VouchDeposit.value
    fails(s, Error.AlreadyVouched, ALICE, "Vouching.vouch", BOB)
    fails(s, Error.NoVouch, BOB, "Vouching.withdraw_vouch", ALICE)
    ok(s, ALICE, "Vouching.withdraw_vouch", BOB)
    assert names(s)[-1] == "Vouching.VouchWithdrawn"
    assert reserved(s, ALICE) == 0
    fails(s, Error.NoVouch, ALICE, "Vouching.withdraw_vouch", BOB)


def test_nobody_vouches_for_himself_nor_for_everybody_nor_for_nothing():
    s = world()
    fails(s, Error.VouchForSelf, ALICE, "Vouching.vouch", ALICE)
    for number in range(MaxVouches.value):
        ok(s, ALICE, "Vouching.vouch", AccountId(bytes([number]) * 32))
    fails(s, Error.TooManyVouches, ALICE, "Vouching.vouch", EVE)
    ok(s, ALICE, "Vouching.withdraw_vouch", AccountId(bytes(32)))
    ok(s, ALICE, "Vouching.vouch", EVE)
    set_free(s, BOB, VouchDeposit.value - 1)
    before = s[Account, BOB]
    fails(s, Balances.InsufficientBalance, BOB, "Vouching.vouch", EVE)
    assert s[Account, BOB] == before


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE))))
def test_deposits_and_counts_always_match_the_vouches(moves):
    s = world()
    issued = s[TotalIssuance]
    there: set[tuple[AccountId, AccountId]] = set()
    for give, who, other in moves:
        legal = who != other and ((who, other) in there) != give
        if not legal:
            continue
        ok(s, who, f"Vouching.{'vouch' if give else 'withdraw_vouch'}", other)
        there ^= {(who, other)}
    for who in PEOPLE:
        mine = {other for one, other in there if one == who}
        assert set(iter_keys(s, Vouches, who)) == mine
        assert s[VouchCount, who] == len(mine)
        assert reserved(s, who) == len(mine) * VouchDeposit.value
    assert s[TotalIssuance] == issued
