"""A subnet with miners that ask for work, and ways to lease it from them."""

from __future__ import annotations

from world import ALICE, BOB, CHARLIE, DAVE, EVE, TAO, at_block, ok, world

from chain.pallets import leases, market
from chain.pallets.leases_store import NextOrderId, OrderSpec
from chain.pallets.market import BurnShare, MinBaseFee, UnitPrices
from chain.pallets.subtensor.storage_keys import Owner
from chain.pallets.subtensor.storage_network import NetworksAdded
from chain.pallets.subtensor.storage_neurons import Uids
from chain.pallets.system import Account, Number
from ganglion.units import NetUid, Uid

NET, MODEL = NetUid(1), b"ganglion/tiny"
CAPACITY, RATE = 1_000, TAO
MILLION = 1_000_000
PEOPLE = (ALICE, BOB, CHARLIE, DAVE, EVE)


def register(s, hotkey, owner=None):
    s[Uids, NET, hotkey] = Uid(hotkey[0])
    if owner is not None:
        s[Owner, hotkey] = owner


def ask(s, hotkey, capacity=CAPACITY, payer=None):
    prices = UnitPrices(0, 0, MinBaseFee.value)
    ok(s, payer or hotkey, "Market.post_ask", NET, MODEL, hotkey, prices, capacity, 7_200)


def town(*miners, tao=1000):
    """A subnet on which these accounts are hotkeys that ask for `CAPACITY` each."""
    s = world(block=10, tao=tao)
    s[NetworksAdded, NET] = True
    for who in miners or (BOB, CHARLIE, DAVE):
        register(s, who)
        ask(s, who)
    s.events.clear()
    return s


def spec(**change):
    wanted = {
        "netuid": NET,
        "model": MODEL,
        "capacity": CAPACITY,
        "max_rate": RATE,
        "duration": 100,
        "lessee": EVE,
    }
    return OrderSpec(**(wanted | change))


def order(s, deposit=10 * RATE, bid_blocks=5, **change):
    ok(s, ALICE, "Leases.create_order", spec(**change), bid_blocks, deposit)
    return s[NextOrderId] - 1


def lease(s, rate=RATE, who=BOB, **change):
    """An order whose only bid has been accepted."""
    number = order(s, **change)
    ok(s, who, "Leases.bid", number, who, rate)
    ok(s, ALICE, "Leases.accept", number)
    return number


def forward(s, to):
    """Go on block by block to `to`, running the hooks of both pallets."""
    for number in range(s[Number] + 1, to + 1):
        at_block(s, number)
        s.events.clear()
        market.expire(s, number)
        leases.start(s, number)


def free(s, who):
    return s[Account, who].data.free


def reserved(s, who):
    return s[Account, who].data.reserved


def burned(amount):
    return amount * BurnShare.value // MILLION
