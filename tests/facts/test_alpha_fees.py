"""I155: whoever has no TAO pays the fee of unstaking with the stake it names."""

import pytest
from network_lab import (
    ALICE,
    CAROL,
    NET,
    RICH,
    RUNTIME,
    TAO,
    balance,
    emitted,
    fund,
    get,
    give_stake,
    key,
    lab,
    pool,
    put,
    subnet,
)

from chain.extensions import ChargeTransactionPayment
from chain.pallets import swap
from chain.pallets.aura import Authorities
from chain.pallets.subtensor.accounts import compute_subnet_account, do_create_account
from chain.pallets.subtensor.events_stake import TransactionFeePaidWithAlpha
from chain.pallets.subtensor.share_pool import get_stake
from chain.pallets.transaction_payment import TransactionFeePaid
from chain.runtime.call import Pays
from chain.runtime.extension import Context
from chain.runtime.runtime import CALLS
from chain.runtime.validity import InvalidTransaction

HOT = key(100)
ED = 500
STAKE = 100 * TAO


def broke(*netuids):
    """ALICE has stake behind HOT on some subnets, and no TAO beyond the existential deposit."""
    s = lab()
    do_create_account(s, ALICE, HOT)
    for netuid in netuids:
        subnet(s, netuid, SubnetMechanism=1)
        pool(s, netuid, 10**13, 2 * 10**13)
        fund(s, compute_subnet_account(netuid), 2 * 10**13)
        give_stake(s, netuid, ALICE, HOT, STAKE)
    put(s, "TotalStake", 10**13 * len(netuids))
    fund(s, ALICE, ED)
    s[Authorities] = (CAROL,)
    return s


def context(name, *args):
    call = RUNTIME.call("SubtensorModule", name, *args)
    ctx = Context(ALICE, call, CALLS.entry(call).info(call.args), length=150)
    ctx.notes["actual_pays"] = Pays.Yes
    return ctx


def pay(s, ctx):
    extension = ChargeTransactionPayment()
    extension.validate(s, ctx)
    extension.prepare(s, ctx)
    extension.post_dispatch(s, ctx, ctx.info.weight, failed=False)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("remove_stake", (HOT, NET, TAO)),
        ("remove_stake_limit", (HOT, NET, TAO, 0, True)),
        ("remove_stake_full_limit", (HOT, NET, None)),
        ("unstake_all", (HOT,)),
        ("unstake_all_alpha", (HOT,)),
        ("move_stake", (HOT, key(7), NET, 2, TAO)),
        ("transfer_stake", (key(8), HOT, NET, NET, TAO)),
        ("swap_stake", (HOT, NET, 2, TAO)),
        ("swap_stake_limit", (HOT, NET, 2, TAO, 0, True)),
        ("burn_alpha", (HOT, TAO, NET)),
        ("recycle_alpha", (HOT, TAO, NET)),
    ],
)
def test_I155_the_fee_is_sold_for_the_author(name, args):
    s = broke(NET)
    ctx = context(name, *args)
    pay(s, ctx)
    fee = ctx.notes["fee"]
    assert fee > 14_000
    (paid,), (recorded,) = emitted(s, TransactionFeePaidWithAlpha), emitted(s, TransactionFeePaid)
    assert s.events.index(paid) < s.events.index(recorded)
    assert (paid.who, paid.netuid) == (ALICE, NET)
    assert paid.alpha_fee == 2 * fee
    assert get_stake(s, HOT, ALICE, NET) == STAKE - 2 * fee
    assert balance(s, CAROL) == RICH + paid.tao_amount
    assert fee * 999 // 1000 < paid.tao_amount <= fee
    assert balance(s, ALICE) == ED


def refused(s, *call):
    with pytest.raises(InvalidTransaction):
        ChargeTransactionPayment().validate(s, context(*call))


def test_I155_several_positions_do_not_pay():
    refused(broke(NET, 2), "unstake_all", HOT)


def test_I155_other_calls_and_small_positions_do_not_pay():
    s = broke(NET)
    refused(s, "add_stake", HOT, NET, TAO)
    refused(s, "remove_stake", HOT, 2, TAO)
    give_stake(s, 2, ALICE, HOT, 10)
    subnet(s, 2, SubnetMechanism=1)
    pool(s, 2, 10**13, 2 * 10**13)
    refused(s, "remove_stake", HOT, 2, 10)


def test_I155_tao_comes_first():
    s = broke(NET)
    fund(s, ALICE, TAO)
    ctx = context("remove_stake", HOT, NET, TAO)
    pay(s, ctx)
    assert not emitted(s, TransactionFeePaidWithAlpha)
    assert balance(s, ALICE) == TAO - ctx.notes["fee"]
    assert balance(s, CAROL) == RICH + ctx.notes["fee"]


def test_I155_a_pool_that_cannot_sell_refuses():
    s = broke(NET)
    ctx = context("remove_stake", HOT, NET, TAO)
    ChargeTransactionPayment().validate(s, ctx)
    put(s, "SubnetTAO", NET, 10)
    with pytest.raises(InvalidTransaction):
        ChargeTransactionPayment().prepare(s, ctx)
    assert get_stake(s, HOT, ALICE, NET) == STAKE
    assert swap.get_price(s, NET) > 0
    assert get(s, "SubnetAlphaOut", NET) == STAKE
