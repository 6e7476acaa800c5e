"""Encrypted extrinsics through whole engines: who opens them, when, and what comes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain import mev
from chain.blocks import Block
from chain.dev.signing import signed_call
from chain.extrinsics import decode_extrinsic
from chain.mev_carrier import carried
from chain.pallets.balances_ops import free_balance
from chain.pallets.mev_shield_store import NextKey
from chain.pallets.system import Account, Number
from chain.pool import PoolError
from ganglion.era import Era
from ganglion.keys import dev_key
from ganglion.scale import codec

pytestmark = pytest.mark.skipif(not mev.available(), reason="OpenSSL without ML-KEM")
DAVE = dev_key("Dave").account_id


@pytest.fixture
def shielded(bench):
    """`shielded()` makes an engine that keeps shield keys, with its first blocks made."""

    def make(blocks=3):
        alone = bench()
        alone.engine.shield = mev.ShieldKeys()
        for _ in range(blocks):
            alone.block()
        return alone

    return make


def mortal(alone, period=8):
    state = alone.engine.best_state()
    return {"era": Era(period, state[Number]), "birth": alone.best()}


def carrier(alone, inner, nonce, signer="Alice", **options):
    """A signed submit_encrypted of `inner`, for the key that the best block offers."""
    key = alone.engine.best_state()[NextKey]
    executive = alone.engine.executive
    call = executive.runtime.call("MevShield", "submit_encrypted", mev.seal(key, inner))
    return signed_call(executive, dev_key(signer), call, nonce, **{**mortal(alone), **options})


def signed(alone, header):
    extrinsics = alone.engine.store.body(header.hash)
    return [raw for raw in extrinsics if decode_extrinsic(raw).signature is not None]


def test_it_runs_behind_its_carrier_two_blocks_on(shielded):
    alone = shielded()
    before = free_balance(alone.engine.best_state(), DAVE)
    inner = alone.pay(1, 10**9, **mortal(alone))
    outer = carrier(alone, inner, 0)
    alone.engine.submit(outer)
    assert signed(alone, alone.block()) == []
    assert signed(alone, alone.block()) == [outer, inner]
    assert free_balance(alone.engine.best_state(), DAVE) == before + 10**9


def test_nothing_of_it_is_seen_before(shielded):
    alone = shielded()
    inner = alone.pay(1, 10**9)
    outer = carrier(alone, inner, 0)
    assert decode_extrinsic(inner).call_bytes not in outer
    assert carried(inner) is None
    assert carried(outer) is not None


def test_another_node_agrees(shielded, bench):
    alone, other = shielded(0), bench()

    def follow(header):
        body = tuple(alone.engine.store.body(header.hash))
        other.engine.import_block(Block(header, body))
        assert other.best() == header.hash

    for _ in range(3):
        follow(alone.block())
    alone.engine.submit(carrier(alone, alone.pay(1), 0))
    for _ in range(4):
        follow(alone.block())
    assert other.engine.best_state()[Account, dev_key("Alice").account_id].nonce == 2


def test_an_author_without_its_key_leaves_it(shielded):
    alone = shielded()
    outer = carrier(alone, alone.pay(1), 0)
    alone.engine.submit(outer)
    alone.engine.shield = mev.ShieldKeys()
    for _ in range(9):
        assert signed(alone, alone.block()) == []
    assert alone.engine.pending() == []


def test_sealing_at_once_goes_on_until_it_is_opened(shielded):
    alone = shielded()
    inner = alone.pay(1)
    alone.engine.submit(carrier(alone, inner, 0))
    blocks = 0
    while alone.engine.seal_pending(budget_s=10, lag=None):
        blocks += 1
    assert blocks <= 3
    assert alone.engine.next_nonce(dev_key("Alice").account_id) == 2


def test_sealing_at_once_stops_when_it_cannot_be_opened(shielded):
    alone = shielded()
    alone.engine.submit(carrier(alone, alone.pay(1), 0))
    alone.engine.shield = None
    blocks = 0
    while alone.engine.seal_pending(budget_s=10, lag=None):
        blocks += 1
    assert blocks <= 9


@pytest.mark.parametrize("inner", ["noise", "bare", "stale", "poor", "nested"])
def test_what_may_not_be_in_a_block_stays_out(shielded, inner):
    alone = shielded()
    executive = alone.engine.executive
    timestamp = alone.engine.store.body(alone.best())[0]
    raw = {
        "noise": lambda: b"\x10abcd",
        "bare": lambda: timestamp,
        "stale": lambda: alone.pay(0),
        "poor": lambda: signed_call(
            executive,
            mev_key := dev_key("Zoe"),
            executive.runtime.call("System", "remark", bytes(mev_key.public_key)),
            0,
        ),
        "nested": lambda: carrier(alone, alone.pay(2), 1),
    }[inner]()
    outer = carrier(alone, raw, 0)
    alone.engine.submit(outer)
    alone.block()
    body = signed(alone, alone.block())
    assert body == ([outer, raw] if inner == "nested" else [outer])
    assert signed(alone, alone.block()) == []


def test_long_lived_carriers_are_refused(shielded):
    alone = shielded()
    with pytest.raises(PoolError):
        alone.engine.submit(carrier(alone, alone.pay(1), 0, **mortal(alone, 16)))


@given(st.binary(max_size=3000))
def test_whatever_bytes_are_no_carrier(raw):
    try:
        decode_extrinsic(raw)
    except ValueError:
        return
    carried(raw)


# -- ShieldApi --------------------------------------------------------------------------------

PARTS = codec(mev.ShieldedTransaction)


def test_the_api_takes_a_carrier_apart(shielded):
    alone = shielded()
    raw = carrier(alone, alone.pay(1, 10**9, **mortal(alone)), 0)
    ciphertext = carried(raw)
    expected = b"\1" + PARTS.encode(mev.parse(ciphertext))
    ask = alone.engine.call_api
    alone.block()  # the era's first block has to be behind the one that is asked
    assert ask("ShieldApi_try_decode_shielded_tx", raw, None) == expected
    forged = raw[:40] + bytes((raw[40] ^ 1,)) + raw[41:]
    assert ask("ShieldApi_try_decode_shielded_tx", forged, None) == b"\0"
    assert ask("ShieldApi_try_decode_shielded_tx", alone.pay(0, 1), None) == b"\0"


def test_the_api_knows_whose_turn_it_is(shielded):
    alone = shielded()
    ask, name = alone.engine.call_api, "ShieldApi_is_shielded_using_current_key"
    key_hash = carried(carrier(alone, b"x", 0))[:16]
    assert ask(name, key_hash, None) == b"\0"
    alone.block()
    assert ask(name, key_hash, None) == b"\1"
    alone.block()
    assert ask(name, key_hash, None) == b"\0"


def test_the_api_opens_with_the_seed(shielded):
    alone = shielded()
    seed = bytes(range(64))
    key, inner = mev.ShieldKeys().announce(seed), alone.pay(1, 10**9, **mortal(alone))
    ask, name = alone.engine.call_api, "ShieldApi_try_unshield_tx"

    def opened(text, with_seed):
        parts = PARTS.encode(mev.parse(mev.seal(key, text)))
        return ask(name, codec(bytes).encode(with_seed) + parts, None)

    assert opened(inner, seed) == b"\1" + inner
    assert opened(inner, bytes(64)) == b"\0"
    assert opened(inner, bytes(2400)) == b"\0"
    assert opened(b"no extrinsic", seed) == b"\0"
