"""What runs at the start of blocks never fails, not even if root took the money: a block would be
invalid for everybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_intents import PAYER, signature, wish
from town import MODEL, NET, ask, register
from world import ALICE, BOB, CHARLIE, EVE, ROOT, TAO, address, at_block, ok, run, world

from chain.pallets import intents, jobs, leases, market
from chain.pallets.balances_store import TotalIssuance
from chain.pallets.jobs_store import MarketTerms, Tier
from chain.pallets.leases_store import OrderSpec
from chain.pallets.subtensor.storage_network import NetworksAdded
from chain.pallets.subtensor.storage_neurons import Uids
from chain.pallets.system import Account, BlockHash
from ganglion.units import BlockNumber, Hash

HOOKS = (market.expire, leases.start, jobs.start, intents.start)
CONTENT = Hash(b"c" * 32)
WANTED = OrderSpec(NET, MODEL, 100, 1_000_000, 12, EVE)
TERMS = MarketTerms(NET, MODEL, 1_000_000, 8, 9, 0, 4)


def busy():
    """Something of every kind is under way, for ALICE by BOB and CHARLIE."""
    assert PAYER.account_id == ALICE
    s = world(block=10)
    s[NetworksAdded, NET] = True
    s[BlockHash, BlockNumber(0)] = Hash(b"g" * 32)
    for who in (BOB, CHARLIE):
        register(s, who)
        ask(s, who)
    for bids in (5, 3):
        ok(s, ALICE, "Leases.create_order", WANTED, bids, 10_000_000)
    for number in (0, 1):
        ok(s, BOB, "Leases.bid", number, BOB, 1_000_000)
        ok(s, CHARLIE, "Leases.bid", number, CHARLIE, 900_000)
    ok(s, ALICE, "Leases.accept", 0)
    ok(s, EVE, "Jobs.open_market", TERMS)
    for _ in range(4):
        ok(s, ALICE, "Jobs.list", 0, CONTENT, Tier.Economy)
    ok(s, BOB, "Jobs.work", 0, BOB)
    ok(s, CHARLIE, "Jobs.work", 0, CHARLIE)
    ok(s, CHARLIE, "Jobs.finish", 1, CONTENT)
    first, second = wish(deadline=15), wish(deadline=17, nonce=2)
    ok(s, BOB, "Intents.quote", first, signature(first), BOB, TAO)
    ok(s, CHARLIE, "Intents.quote", second, signature(second), CHARLIE, TAO)
    return s


def take_everything(s, who):
    """As root: nothing is reserved any more, and the account is gone if it can be."""
    ok(s, ROOT, "Balances.force_unreserve", address(who), s[Account, who].data.reserved)
    run(s, ROOT, "Balances.force_set_balance", address(who), 0)


@pytest.mark.parametrize("seats", [True, False])
@given(robbed=st.sets(st.sampled_from([ALICE, BOB, CHARLIE])), when=st.integers(10, 26))
def test_blocks_go_on_whatever_root_took(seats, robbed, when):
    s = busy()
    for number in range(10, 60):
        at_block(s, number)
        for hook in HOOKS:
            hook(s, number)
        if number == when:
            for who in robbed:
                take_everything(s, who)
            if not seats:
                del s[Uids, NET, BOB]
        held = (s[ref].data for ref in s.keys_of(Account))
        assert sum(data.free + data.reserved for data in held) == s[TotalIssuance]
    kinds = (leases.Orders, leases.Leases, leases.Escrows, jobs.Jobs, intents.Intents)
    assert not any(s.keys_of(kind) for kind in kinds)
