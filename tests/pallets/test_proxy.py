"""Proxies: relationships, filters, announcements, pure accounts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import (
    ALICE,
    BOB,
    CHARLIE,
    DAVE,
    EVE,
    RUNTIME,
    TAO,
    address,
    at_block,
    fails,
    last,
    make,
    ok,
    world,
)

from chain.pallets import proxy_store, proxy_types, system
from chain.pallets.balances_ops import free_balance
from chain.pallets.nested import hash_of
from chain.pallets.proxy import pure_account
from chain.pallets.proxy_store import (
    Announcements,
    Error,
    LastCallResult,
    Ok,
    Proxies,
    RealPaysFeeConsentV1,
)
from chain.pallets.proxy_types import ProxyType, admits, is_superset
from chain.pallets.system import Account
from chain.runtime.call import CALLS, Pays, RuntimeCall

KINDS = list(ProxyType)


def pay(amount: int, who=CHARLIE) -> RuntimeCall:
    return make("Balances.transfer_keep_alive", address(who), amount)


def befriend(s, kind: ProxyType, real=ALICE, friend=BOB, delay=0):
    ok(s, real, "Proxy.add_proxy", address(friend), kind, delay)


def executed(s):
    return last(s, proxy_store.ProxyExecuted).result


FILTERED = system.Error.CallFiltered


def test_deposits_follow_the_number_of_proxies():
    s = world()
    befriend(s, ProxyType.Any)
    assert s[Account, ALICE].data.reserved == 93_000_000
    befriend(s, ProxyType.Transfer, friend=CHARLIE)
    assert s[Account, ALICE].data.reserved == 126_000_000
    fails(s, Error.Duplicate, ALICE, "Proxy.add_proxy", address(BOB), ProxyType.Any, 0)
    fails(s, Error.NoSelfProxy, ALICE, "Proxy.add_proxy", address(ALICE), ProxyType.Any, 0)
    fails(s, Error.NotFound, ALICE, "Proxy.remove_proxy", address(BOB), ProxyType.Any, 1)
    ok(s, ALICE, "Proxy.remove_proxy", address(BOB), ProxyType.Any, 0)
    assert s[Account, ALICE].data.reserved == 93_000_000
    ok(s, ALICE, "Proxy.remove_proxies")
    assert s[Account, ALICE].data.reserved == 0
    assert (Proxies, ALICE) not in s


def test_I158_at_most_twenty():
    s = world()
    for n in range(20):
        ok(s, ALICE, "Proxy.add_proxy", address(bytes([n]) * 32), ProxyType.Any, 0)
    fails(s, Error.TooMany, ALICE, "Proxy.add_proxy", address(BOB), ProxyType.Any, 0)
    kept = s[Proxies, ALICE][0]
    assert list(kept) == sorted(kept, key=lambda p: p.order)


def test_a_proxy_spends_for_another():
    s = world()
    befriend(s, ProxyType.Transfer)
    ok(s, BOB, "Proxy.proxy", address(ALICE), None, pay(5 * TAO))
    assert executed(s) is None
    assert free_balance(s, CHARLIE) == 1005 * TAO
    assert s[LastCallResult, ALICE] == Ok()
    fails(s, Error.NotProxy, CHARLIE, "Proxy.proxy", address(ALICE), None, pay(1))
    fails(s, Error.NotProxy, BOB, "Proxy.proxy", address(ALICE), ProxyType.Any, pay(1))


def test_results_are_forgotten_with_the_block():
    s = world()
    befriend(s, ProxyType.Any)
    ok(s, BOB, "Proxy.proxy", address(ALICE), None, pay(1))
    for hook in RUNTIME.by_name["Proxy"].hooks["on_finalize"]:
        hook(s, 1)
    assert (LastCallResult, ALICE) not in s


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [
        (ProxyType.Any, True),
        (ProxyType.Transfer, True),
        (ProxyType.NonCritical, True),
        (ProxyType.Staking, False),
        (ProxyType.NonTransfer, False),
        (ProxyType.NonFungible, False),
        (ProxyType.Owner, False),
        (ProxyType.Senate, False),
        (ProxyType.Registration, False),
    ],
)
def test_I158_types_limit_what_runs(kind, allowed):
    s = world()
    befriend(s, kind)
    ok(s, BOB, "Proxy.proxy", address(ALICE), None, pay(TAO))
    assert (executed(s) is None) == allowed
    assert free_balance(s, CHARLIE) == (1001 if allowed else 1000) * TAO
    if not allowed:
        assert executed(s) == FILTERED().value()


def test_I158_small_transfers_stay_small():
    s = world()
    befriend(s, ProxyType.SmallTransfer)
    for amount, allowed in ((499_999_999, True), (500_000_000, False)):
        ok(s, BOB, "Proxy.proxy", address(ALICE), None, pay(amount))
        assert (executed(s) is None) == allowed
    ok(s, BOB, "Proxy.proxy", address(ALICE), None, make("Balances.burn", 1, True))
    assert executed(s) == FILTERED().value()


def test_limits_reach_into_batches():
    s = world()
    befriend(s, ProxyType.NonTransfer)
    batch = make("Utility.batch_all", (make("System.remark", b"x"), pay(1)))
    ok(s, BOB, "Proxy.proxy", address(ALICE), None, batch)
    assert executed(s) == FILTERED().value()
    derived = make("Utility.as_derivative", 0, pay(1))
    ok(s, BOB, "Proxy.proxy", address(ALICE), None, derived)
    assert executed(s) == FILTERED().value()


def test_a_proxy_cannot_raise_itself():
    s = world()
    befriend(s, ProxyType.NonTransfer)
    for kind, allowed in ((ProxyType.Staking, True), (ProxyType.Transfer, False)):
        call = make("Proxy.add_proxy", address(DAVE), kind, 0)
        ok(s, BOB, "Proxy.proxy", address(ALICE), None, call)
        assert (executed(s) is None) == allowed
    ok(s, BOB, "Proxy.proxy", address(ALICE), None, make("Proxy.remove_proxies"))
    assert executed(s) == FILTERED().value()


def test_supersets_admit_all_that_they_cover():
    calls = [n for e in CALLS.calls.values() for n in [(e.pallet, e.name)]]
    for big in KINDS:
        for small in KINDS:
            if not is_superset(big, small) or big is ProxyType.Any:
                continue
            for name in calls:
                if small in proxy_types.ALLOWED and name in proxy_types.ALLOWED[small]:
                    assert _admits_name(big, name), (big, small, name)


def _admits_name(kind: ProxyType, name) -> bool:
    if kind in proxy_types.DENIED:
        return name not in proxy_types.DENIED[kind]
    return name in proxy_types.ALLOWED.get(kind, proxy_types.NOTHING)


def test_I158_announced_calls_wait():
    s = world()
    befriend(s, ProxyType.Any, delay=10)
    call = pay(TAO)
    key = hash_of(call)
    fails(s, Error.Unannounced, BOB, "Proxy.proxy", address(ALICE), None, call)
    fails(s, Error.NotProxy, CHARLIE, "Proxy.announce", address(ALICE), key)
    ok(s, BOB, "Proxy.announce", address(ALICE), key)
    assert s[Account, BOB].data.reserved == 104_000_000
    at_block(s, 10)
    path = "Proxy.proxy_announced"
    fails(s, Error.Unannounced, EVE, path, address(BOB), address(ALICE), None, call)
    at_block(s, 11)
    fails(s, Error.Unannounced, EVE, path, address(BOB), address(ALICE), None, pay(2))
    ok(s, EVE, path, address(BOB), address(ALICE), None, call)
    assert executed(s) is None
    assert s[Account, BOB].data.reserved == 0
    assert (Announcements, BOB) not in s


def test_announcements_can_be_taken_back_or_rejected():
    s = world()
    befriend(s, ProxyType.Any, delay=10)
    keys = [hash_of(pay(n)) for n in range(3)]
    for key in keys:
        ok(s, BOB, "Proxy.announce", address(ALICE), key)
    ok(s, BOB, "Proxy.remove_announcement", address(ALICE), keys[0])
    ok(s, ALICE, "Proxy.reject_announcement", address(BOB), keys[1])
    fails(s, Error.NotFound, CHARLIE, "Proxy.reject_announcement", address(BOB), keys[2])
    assert len(s[Announcements, BOB][0]) == 1
    assert s[Account, BOB].data.reserved == 104_000_000


def test_pure_accounts():
    s = world()
    at_block(s, 7, extrinsic=3)
    ok(s, ALICE, "Proxy.create_pure", ProxyType.Any, 0, 0)
    pure = last(s, proxy_store.PureCreated).pure
    assert pure == pure_account(ALICE, ProxyType.Any, 0, 7, 3)
    fails(s, Error.Duplicate, ALICE, "Proxy.create_pure", ProxyType.Any, 0, 0)
    ok(s, ALICE, "Balances.transfer_keep_alive", address(pure), 3 * TAO)
    ok(s, ALICE, "Proxy.proxy", address(pure), None, pay(TAO))
    assert free_balance(s, pure) == 2 * TAO
    kill = make("Proxy.kill_pure", address(ALICE), ProxyType.Any, 0, 7, 3)
    fails(s, Error.NoPermission, ALICE, "Proxy.kill_pure", *kill.args)
    ok(s, ALICE, "Proxy.proxy", address(pure), None, kill)
    assert executed(s) is None
    assert (Proxies, pure) not in s
    assert s[Account, ALICE].data.reserved == 0


def test_I158_real_pays_fee_needs_a_relationship_and_ends_with_it():
    s = world()
    fails(s, Error.NotProxy, ALICE, "Proxy.set_real_pays_fee", address(BOB), True)
    befriend(s, ProxyType.Any)
    ok(s, ALICE, "Proxy.set_real_pays_fee", address(BOB), True)
    assert (RealPaysFeeConsentV1, ALICE, BOB) in s
    ok(s, ALICE, "Proxy.set_real_pays_fee", address(BOB), False)
    assert (RealPaysFeeConsentV1, ALICE, BOB) not in s
    ok(s, ALICE, "Proxy.set_real_pays_fee", address(BOB), True)
    ok(s, ALICE, "Proxy.remove_proxy", address(BOB), ProxyType.Any, 0)
    assert (RealPaysFeeConsentV1, ALICE, BOB) not in s


def test_poking_brings_deposits_to_todays_price():
    s = world()
    befriend(s, ProxyType.Any)
    assert ok(s, ALICE, "Proxy.poke_deposit").pays is Pays.Yes
    s[Proxies, ALICE] = (s[Proxies, ALICE][0], 50_000_000)
    data = s[Account, ALICE].data
    s[Account, ALICE] = replace(
        s[Account, ALICE],
        data=replace(data, free=data.free + 43_000_000, reserved=50_000_000),
    )
    assert ok(s, ALICE, "Proxy.poke_deposit").pays is Pays.No
    assert s[Account, ALICE].data.reserved == 93_000_000
    assert last(s, proxy_store.DepositPoked).new_deposit == 93_000_000


def test_the_api_lists_what_the_filter_admits():
    s = world()
    infos = proxy_types.get_proxy_filters(s, None)
    assert [i.name for i in infos] == [i.name for i in proxy_types.get_proxy_types(s)]
    for kind, info in zip(KINDS, infos):
        if isinstance(info.filter_mode, proxy_types.AllowAll):
            assert kind is ProxyType.Any
            continue
        listed = {(c.pallet_name.decode(), c.call_name.decode()) for c in info.filter_mode._0}
        for entry in CALLS.calls.values():
            name = (entry.pallet, entry.name)
            if kind in (ProxyType.SmallTransfer, ProxyType.SudoUncheckedSetCode):
                continue
            assert (name in listed) == _admits_name(kind, name)
    assert len(proxy_types.get_proxy_filters(s, bytes((0, 8)))) == 2


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([BOB, CHARLIE, DAVE]), st.sampled_from(KINDS[:4])),
        max_size=12,
    )
)
def test_reserves_always_match_the_relationships(steps):
    s = world()
    for add, friend, kind in steps:
        path = "Proxy.add_proxy" if add else "Proxy.remove_proxy"
        from world import run

        run(s, ALICE, path, address(friend), kind, 0)
    count = len(s[Proxies, ALICE][0])
    expected = 60_000_000 + 33_000_000 * count if count else 0
    assert s[Account, ALICE].data.reserved == expected == s[Proxies, ALICE][1]


def test_every_type_answers_for_every_call():
    for kind in KINDS:
        assert isinstance(admits(kind, make("System.remark", b"")), bool)


@pytest.mark.parametrize(
    "path",
    [
        "Channels.open",
        "Channels.top_up",
        "Leases.create_order",
        "Leases.deposit",
        "Leases.accept",
        "Jobs.list",
        "Jobs.approve",
        "Bonds.bond",  # whoever has the hotkey's key may slash it and is rewarded
        "Intents.quote",  # a winner that does not deliver pays the intent's payer
        "InferenceRequests.request",
        "InferenceRequests.accept",  # a deposit that burns if nothing is shown
        "Disputes.open",  # who loses it pays the miner
        "Court.stand",  # a juror that votes otherwise than the others pays them
        "Court.open",
        "Court.double",
        "Court.appeal",
        "Court.commit",
        "Court.reveal",
        "Jobs.contest",
    ],
)
def test_who_may_move_no_value_moves_none_by_our_own_pallets(path):
    number, index = next(key for key, entry in CALLS.calls.items() if entry.path == path_of(path))
    call = RuntimeCall(number, index, ())
    for kind in (ProxyType.NonTransfer, ProxyType.NonFungible, ProxyType.Staking):
        assert not admits(kind, call)


def path_of(text: str) -> tuple[str, str]:
    pallet, name = text.split(".")
    return pallet, name
