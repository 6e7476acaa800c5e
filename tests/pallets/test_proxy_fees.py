"""Who pays for extrinsics of proxies."""

from __future__ import annotations

import pytest
from world import ALICE, BOB, CHARLIE, DAVE, address, at_block, make, ok, world

from chain.extensions import ChargeTransactionPayment
from chain.pallets.balances_ops import free_balance, set_free
from chain.pallets.proxy_fees import fee_payer
from chain.pallets.proxy_types import ProxyType
from chain.runtime.call import CALLS
from chain.runtime.extension import Context
from chain.runtime.types import Index
from chain.runtime.validity import InvalidTransaction

REMARK = make("System.remark", b"")


def through(real, call=REMARK):
    return make("Proxy.proxy", address(real), None, call)


@pytest.fixture
def s():
    """ALICE pays for BOB as her proxy, DAVE pays for ALICE; CHARLIE has no such friends."""
    s = world()
    for real, delegate in ((ALICE, BOB), (DAVE, ALICE), (CHARLIE, BOB)):
        ok(s, real, "Proxy.add_proxy", address(delegate), ProxyType.Any, 0)
        if real != CHARLIE:
            ok(s, real, "Proxy.set_real_pays_fee", address(delegate), True)
    return s


@pytest.mark.parametrize(
    ("call", "payer"),
    [
        (REMARK, BOB),
        (through(ALICE), ALICE),
        (through(CHARLIE), BOB),
        (through(DAVE), BOB),
        (through(ALICE, through(DAVE)), DAVE),
        (through(ALICE, through(CHARLIE)), ALICE),
        (through(CHARLIE, through(ALICE)), BOB),
        (through(ALICE, make("Utility.batch", [through(DAVE), through(DAVE)])), DAVE),
        (through(ALICE, make("Utility.force_batch", [through(DAVE)])), DAVE),
        (through(ALICE, make("Utility.batch_all", [through(DAVE), REMARK])), ALICE),
        (through(ALICE, make("Utility.batch_all", [through(DAVE), through(ALICE)])), ALICE),
        (through(ALICE, make("Utility.batch_all", [REMARK, REMARK])), ALICE),
        (through(ALICE, make("Utility.batch", [])), ALICE),
        (make("Utility.batch", [through(ALICE)]), BOB),
    ],
)
def test_I158_consent_is_followed_two_deep(s, call, payer):
    assert fee_payer(s, call, BOB) == payer


def test_an_account_that_names_nobody_pays_itself(s):
    assert fee_payer(s, make("Proxy.proxy", Index(None), None, REMARK), BOB) == BOB


def charge(s, call):
    ctx = Context(BOB, call, CALLS.entry(call).info(call.args), 200)
    at_block(s, 2)
    extension = ChargeTransactionPayment()
    extension.validate(s, ctx)
    extension.prepare(s, ctx)
    ctx.notes["actual_pays"] = ctx.info.pays
    extension.post_dispatch(s, ctx, ctx.info.weight, False)


def test_the_real_account_is_charged(s):
    before = {who: free_balance(s, who) for who in (ALICE, BOB)}
    charge(s, through(ALICE))
    assert free_balance(s, BOB) == before[BOB]
    assert free_balance(s, ALICE) < before[ALICE]
    assert s.events[-1].who == ALICE


def test_the_real_account_must_be_able_to_pay(s):
    set_free(s, ALICE, 600)
    before = free_balance(s, BOB)
    with pytest.raises(InvalidTransaction):
        charge(s, through(ALICE))
    assert free_balance(s, BOB) == before


def test_consent_ends_with_the_proxy(s):
    ok(s, ALICE, "Proxy.remove_proxy", address(BOB), ProxyType.Any, 0)
    assert fee_payer(s, through(ALICE), BOB) == BOB
