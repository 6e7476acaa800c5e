"""The model registry: entries, vouches and the deposits behind them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import ALICE, BOB, CHARLIE, DAVE, EVE, ROOT, TAO, fails, names, ok, run, world

from chain.pallets.balances_ops import set_free
from chain.pallets.model_registry import (
    Error,
    MaxVouches,
    ModelCount,
    Models,
    PriceHint,
    RegistrationDeposit,
    Thresholds,
    VouchCount,
    VouchDeposit,
    Vouches,
    content_of,
)
from chain.pallets.system import Account
from chain.runtime.errors import BadOrigin, ModuleError
from ganglion.units import AccountId

NAME = b"ganglion/tiny"
WEIGHTS, TOKENS = b"w" * 32, b"t" * 32
FAST = Thresholds(10, 1819, 1501, 9141, 240_611, 2400)
PRICE = PriceHint(10**6, 3 * 10**6)
ENTRY = (NAME, WEIGHTS, TOKENS, FAST, PRICE)
PEOPLE = (ALICE, BOB, CHARLIE, DAVE, EVE)


def register(s, who=ALICE, *, name=NAME):
    ok(s, who, "ModelRegistry.register_model", name, *ENTRY[1:])


def reserved(s, who):
    return s[Account, who].data.reserved


def content(s):
    return content_of(s[Models, NAME])


def test_a_model_is_registered_for_a_deposit():
    s = world()
    register(s)
    assert names(s) == ["Balances.Reserved", "ModelRegistry.ModelRegistered"]
    entry = s[Models, NAME]
    assert (entry.owner, entry.fast, entry.price, entry.updated_at) == (ALICE, FAST, PRICE, 1)
    assert reserved(s, ALICE) == RegistrationDeposit.value
    assert s[ModelCount] == 1
    fails(s, Error.AlreadyRegistered, BOB, "ModelRegistry.register_model", *ENTRY)


@pytest.mark.parametrize("name", [b"", b"a b", b"a\n", "modèle".encode(), bytes(3)])
def test_names_are_plain(name):
    fails(world(), Error.BadName, ALICE, "ModelRegistry.register_model", name, *ENTRY[1:])


@pytest.mark.parametrize("change", [{"samples": 0}, {"mismatch_ppm": 10**6 + 1}])
def test_thresholds_are_sane(change):
    s = world()
    bad = NAME, WEIGHTS, TOKENS, replace(FAST, **change), PRICE
    fails(s, Error.BadThresholds, ALICE, "ModelRegistry.register_model", *bad)
    register(s)
    fails(s, Error.BadThresholds, ALICE, "ModelRegistry.update_model", *bad)


def test_the_poor_register_nothing():
    s = world(tao=0)
    set_free(s, ALICE, TAO)
    result = run(s, ALICE, "ModelRegistry.register_model", *ENTRY)
    assert isinstance(result.error, ModuleError)


def test_only_the_owner_updates():
    s = world()
    fails(s, Error.UnknownModel, ALICE, "ModelRegistry.update_model", *ENTRY)
    register(s)
    fails(s, Error.NotOwner, BOB, "ModelRegistry.update_model", *ENTRY)
    ok(s, ALICE, "ModelRegistry.update_model", NAME, WEIGHTS, TOKENS, None, PRICE)
    assert s[Models, NAME].fast is None


def test_a_vouch_is_for_the_content_it_names():
    s = world()
    register(s)
    before = content(s)
    ok(s, BOB, "ModelRegistry.vouch", NAME, before)
    assert s[Vouches, NAME, BOB].content == before
    assert reserved(s, BOB) == VouchDeposit.value
    ok(s, ALICE, "ModelRegistry.update_model", *ENTRY[:4], PriceHint(1, 2))
    assert content(s) == before
    ok(s, ALICE, "ModelRegistry.update_model", NAME, b"x" * 32, *ENTRY[2:])
    assert content(s) != before == s[Vouches, NAME, BOB].content
    fails(s, Error.ContentChanged, CHARLIE, "ModelRegistry.vouch", NAME, before)
    ok(s, BOB, "ModelRegistry.vouch", NAME, content(s))
    assert reserved(s, BOB) == VouchDeposit.value
    assert s[VouchCount, NAME] == 1


def test_every_part_of_the_content_counts():
    s = world()
    register(s)
    seen = {content(s)}
    other = replace(FAST, margin=1)
    for args in (
        (b"x" * 32, TOKENS, FAST),
        (WEIGHTS, b"x" * 32, FAST),
        (WEIGHTS, TOKENS, other),
        (WEIGHTS, TOKENS, None),
    ):
        ok(s, ALICE, "ModelRegistry.update_model", NAME, *args, PRICE)
        seen.add(content(s))
    assert len(seen) == 5


def test_a_vouch_is_withdrawn():
    s = world()
    register(s)
    ok(s, BOB, "ModelRegistry.vouch", NAME, content(s))
    fails(s, Error.NoVouch, CHARLIE, "ModelRegistry.withdraw_vouch", NAME)
    ok(s, BOB, "ModelRegistry.withdraw_vouch", NAME)
    assert reserved(s, BOB) == 0
    assert s[VouchCount, NAME] == 0
    fails(s, Error.NoVouch, BOB, "ModelRegistry.withdraw_vouch", NAME)


def test_so_many_may_vouch():
    s = world()
    register(s)
    crowd = [AccountId(bytes([n]) * 32) for n in range(1, MaxVouches.value + 2)]
    for who in crowd:
        set_free(s, who, TAO)
    for who in crowd[:-1]:
        ok(s, who, "ModelRegistry.vouch", NAME, content(s))
    fails(s, Error.TooManyVouches, crowd[-1], "ModelRegistry.vouch", NAME, content(s))
    ok(s, crowd[0], "ModelRegistry.vouch", NAME, content(s))
    ok(s, ROOT, "ModelRegistry.remove", NAME)
    assert sum(reserved(s, who) for who in crowd) == 0


def test_removal_gives_all_back():
    s = world()
    register(s)
    register(s, BOB, name=b"other")
    for who in (BOB, CHARLIE):
        ok(s, who, "ModelRegistry.vouch", NAME, content(s))
    fails(s, Error.NotOwner, BOB, "ModelRegistry.remove", NAME)
    ok(s, ALICE, "ModelRegistry.remove", NAME)
    assert [reserved(s, who) for who in (ALICE, BOB, CHARLIE)] == [0, TAO, 0]
    assert (VouchCount, NAME) not in s
    assert s[ModelCount] == 1
    fails(s, Error.UnknownModel, ALICE, "ModelRegistry.remove", NAME)
    register(s, CHARLIE)
    assert s[Vouches, NAME, BOB] is None


def test_root_is_no_account():
    fails(world(), BadOrigin, ROOT, "ModelRegistry.register_model", *ENTRY)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.sampled_from(["register_model", "update_model", "vouch", "withdraw_vouch", "remove"]),
        st.sampled_from([NAME, b"b"]),
        st.sampled_from([WEIGHTS, TOKENS]),
    ),
    max_size=30,
)


@given(STEPS)
def test_deposits_and_counts_always_agree(steps):
    s = world()
    for who, step, name, weights in steps:
        args = (name,)
        if step.endswith("_model"):
            args = name, weights, TOKENS, FAST, PRICE
        elif step == "vouch":
            entry = s[Models, name]
            args = name, content_of(entry) if entry else bytes(32)
        run(s, who, f"ModelRegistry.{step}", *args)
    for who in PEOPLE:
        owned = sum(s[Models, n] is not None and s[Models, n].owner == who for n in (NAME, b"b"))
        vouched = sum(s[Vouches, n, who] is not None for n in (NAME, b"b"))
        assert reserved(s, who) == owned * TAO + vouched * VouchDeposit.value
    for name in (NAME, b"b"):
        assert s[VouchCount, name] == sum(s[Vouches, name, who] is not None for who in PEOPLE)
    assert s[ModelCount] == sum(s[Models, n] is not None for n in (NAME, b"b"))
