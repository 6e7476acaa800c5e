"""Balances and accounts: transfers, dust, reserves, issuance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.pallets import balances, system
from chain.pallets.balances_ops import (
    Keep,
    burn_from,
    free_balance,
    mint_into,
    repatriate_reserved,
    reserve,
    set_free,
    total_balance,
    transfer,
    unreserve,
)
from chain.pallets.balances_store import (
    ED,
    BalanceStatus,
    DustLost,
    Endowed,
    TotalIssuance,
    Transfer,
)
from chain.pallets.system import Account, KilledAccount, NewAccount, inc_consumers
from chain.runtime.errors import CallError, TokenError, TokenErrorKind
from chain.runtime.state import DictBackend, State
from chain.runtime.types import Id, Raw
from ganglion.units import AccountId

ALICE, BOB, CAROL = (AccountId(bytes([n]) * 32) for n in (1, 2, 3))


def funded(amount: int = 10_000) -> State:
    s = State(DictBackend())
    set_free(s, ALICE, amount)
    s.events.clear()
    return s


def test_transfer_creates_an_account_with_upstream_s_events() -> None:
    s = funded()
    balances.transfer_allow_death(s, ALICE, Id(BOB), 600)
    assert s.events == [NewAccount(BOB), Endowed(BOB, 600), Transfer(ALICE, BOB, 600)]
    assert free_balance(s, BOB) == 600
    assert s[Account, BOB].providers == 1


def test_less_than_the_existential_deposit_creates_nobody() -> None:
    s = funded()
    with pytest.raises(TokenError) as e:
        transfer(s, ALICE, BOB, ED - 1)
    assert e.value.kind is TokenErrorKind.BelowMinimum


def test_keep_alive_refuses_what_would_reap_the_sender() -> None:
    s = funded()
    with pytest.raises(TokenError) as e:
        balances.transfer_keep_alive(s, ALICE, Id(BOB), 9_600)
    assert e.value.kind is TokenErrorKind.NotExpendable


def test_a_reaped_sender_leaves_its_dust_to_nobody() -> None:
    s = funded()
    balances.transfer_allow_death(s, ALICE, Id(BOB), 9_600)
    assert (Account, ALICE) not in s
    assert KilledAccount(ALICE) in s.events
    assert DustLost(ALICE, 400) in s.events
    assert s[TotalIssuance] == 9_600


def test_someone_who_is_relied_on_cannot_be_reaped() -> None:
    s = funded()
    inc_consumers(s, ALICE)
    with pytest.raises(TokenError) as e:
        transfer(s, ALICE, BOB, 9_600)
    assert e.value.kind is TokenErrorKind.OnlyProvider


def test_too_much_says_funds_unavailable() -> None:
    s = funded()
    with pytest.raises(TokenError) as e:
        transfer(s, ALICE, BOB, 10_001)
    assert e.value.kind is TokenErrorKind.FundsUnavailable


def test_an_address_that_is_no_account() -> None:
    s = funded()
    with pytest.raises(CallError):
        balances.transfer_allow_death(s, ALICE, Raw(b"x"), 600)


def test_transfer_all_leaves_nothing_or_the_deposit() -> None:
    s = funded()
    balances.transfer_all(s, ALICE, Id(BOB), True)
    assert free_balance(s, ALICE) == ED
    balances.transfer_all(s, ALICE, Id(BOB), False)
    assert (Account, ALICE) not in s
    assert free_balance(s, BOB) == 10_000


def test_reserve_and_back() -> None:
    s = funded()
    reserve(s, ALICE, 4_000)
    assert s[Account, ALICE].consumers == 1
    assert (free_balance(s, ALICE), total_balance(s, ALICE)) == (6_000, 10_000)
    assert unreserve(s, ALICE, 5_000) == 1_000
    assert s[Account, ALICE].consumers == 0
    assert free_balance(s, ALICE) == 10_000


Op = tuple[int, int, int, int]


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(0, 2), st.integers(0, 12_000)),
        max_size=40,
    )
)
def test_issuance_is_the_sum_of_all_accounts(ops: list[Op]) -> None:
    s = funded(10_000)
    who = (ALICE, BOB, CAROL)
    for kind, a, b, amount in ops:
        mark = s.mark()
        try:
            apply(s, kind, who[a], who[b], amount)
        except CallError:
            s.rollback(mark)
        total = sum(total_balance(s, w) for w in who)
        assert s[TotalIssuance] == total
        for w in who:
            info = s[Account, w]
            assert (info.providers > 0) == (info.data.free >= ED)
            assert info.data.free == 0 or info.data.free >= ED or info.data.reserved > 0


def apply(s: State, kind: int, a: AccountId, b: AccountId, amount: int) -> None:
    match kind:
        case 0:
            transfer(s, a, b, amount)
        case 1:
            transfer(s, a, b, amount, Keep.PRESERVE)
        case 2:
            reserve(s, a, amount)
        case 3:
            unreserve(s, a, amount)
        case 4:
            mint_into(s, a, amount)
        case 5:
            burn_from(s, a, amount)
        case 6:
            repatriate_reserved(s, a, b, amount, BalanceStatus.Free)


def test_the_pallet_serves_upstream_s_call_indices() -> None:
    assert {i: c.name for i, c in balances.pallet.calls.items()} == {
        0: "transfer_allow_death",
        2: "force_transfer",
        3: "transfer_keep_alive",
        4: "transfer_all",
        5: "force_unreserve",
        6: "upgrade_accounts",
        8: "force_set_balance",
        9: "force_adjust_total_issuance",
        10: "burn",
    }
    assert system.pallet.calls[7].name == "remark_with_event"
