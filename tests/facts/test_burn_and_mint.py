"""What leases burn and what blocks mint: the issuance moves by exactly that."""

from __future__ import annotations

from network_lab import (
    ALICE,
    BOB,
    CAROL,
    NET,
    TAO,
    emitted,
    issuance,
    lab,
    neuron,
    pool,
    run_of,
    step,
    subnet,
    tao_sum,
)

from chain.pallets import leases, market
from chain.pallets.leases_store import OrderSpec
from chain.pallets.market import FeeBurned, TotalBurned, UnitPrices
from chain.pallets.subtensor.storage_network import FirstEmissionBlockNumber
from chain.pallets.subtensor.storage_stake import TotalIssuance
from chain.pallets.system import Number
from ganglion.units import AccountId, BlockNumber, NetUid, Rao

MODEL = b"ganglion/tiny"
BLOCKS = 40


def town():
    """A subnet that emits, with one miner, and both counts of the issuance agreed."""
    s = lab()
    subnet(s)
    pool(s, NET, 1000 * TAO, 1000 * TAO)
    s[FirstEmissionBlockNumber, NET] = BlockNumber(1)
    neuron(s, NET, CAROL, BOB)
    s[TotalIssuance] = Rao(issuance(s))
    return s


def hire(s):
    """ALICE leases all that the miner asks for."""
    wanted = OrderSpec(NetUid(NET), MODEL, 1000, Rao(TAO), BlockNumber(1000), AccountId(ALICE))
    for who, pallet, name, args in (
        (BOB, "Market", "post_ask", (NET, MODEL, BOB, UnitPrices(0, 0, 1000), 1000, 1000)),
        (ALICE, "Leases", "create_order", (wanted, 5, 100 * TAO)),
        (BOB, "Leases", "bid", (0, BOB, TAO)),
        (ALICE, "Leases", "accept", (0,)),
    ):
        assert run_of(s, who, pallet, name, *args).error is None


def test_burned_and_minted_reconcile_with_the_issuance():
    """Against a twin without leases, which mints the same and burns nothing."""
    leased, idle = town(), town()
    hire(leased)
    before, burned = issuance(idle), 0
    for _ in range(BLOCKS):
        for s in (leased, idle):
            step(s)
            market.expire(s, s[Number])
            leases.start(s, s[Number])
        assert run_of(leased, BOB, "Leases", "withdraw", 0).error is None
        burned = sum(event.amount for event in emitted(leased, FeeBurned))
        minted = issuance(idle) - before
        assert issuance(leased) - before == minted - burned
        assert leased[TotalIssuance] - before == minted - burned
        assert tao_sum(leased) - tao_sum(idle) == -burned
    assert burned == leased[TotalBurned] == BLOCKS * TAO // 20
    assert minted > BLOCKS * TAO // 2
