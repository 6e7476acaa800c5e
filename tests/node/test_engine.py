"""Engines step by step: authoring, importing, reorganising, the pool's part in it."""

from __future__ import annotations

import pytest

from chain.author import CannotAuthor
from chain.blocks import Block, slot_of
from chain.dev.signing import remark, signed_call
from chain.executive import InvalidBlock
from chain.extrinsics import decode_extrinsic
from chain.importer import CannotImport
from chain.pallets import aura, timestamp
from chain.pallets.balances_ops import free_balance
from chain.pool import PoolError
from ganglion.era import Era
from ganglion.keys import dev_key

DAVE = dev_key("Dave").account_id


def signed(bench, header) -> list[bytes]:
    """The extrinsics of a block without its inherents."""
    extrinsics = bench.engine.store.body(header.hash)
    return [raw for raw in extrinsics if decode_extrinsic(raw).signature is not None]


def block_of(bench, header) -> Block:
    return Block(header, tuple(bench.engine.store.body(header.hash)))


def test_a_transfer_goes_into_the_next_block(bench):
    alone = bench()
    raw = alone.pay(0)
    before = free_balance(alone.engine.best_state(), DAVE)
    tx = alone.engine.submit(raw)
    header = alone.block()
    assert signed(alone, header) == [raw]
    assert alone.statuses(tx) == ["ready", "inBlock"]
    assert free_balance(alone.engine.best_state(), DAVE) == before + 10**6
    alone.engine.finalize_behind(0)
    assert alone.statuses(tx) == ["finalized"]
    assert alone.engine.next_nonce(dev_key("Alice").account_id) == 1


def test_another_node_agrees_block_by_block(bench):
    one, two = bench(), bench()
    for nonce in range(6):
        one.engine.submit(one.pay(nonce))
        header = one.block()
        two.engine.import_block(block_of(one, header))
        assert two.best() == header.hash
        cached, fresh = two.engine.best_state(), two.engine.store.state_at(header.hash)
        for item in (aura.CurrentSlot, timestamp.Now):
            assert item.codec.encode(cached[item]) == fresh.get(item.prefix)


def test_a_wrong_state_root_is_refused(bench):
    one, two = bench(), bench()
    header = one.block()
    altered = Block(header, (*block_of(one, header).extrinsics, one.pay(0)))
    with pytest.raises(InvalidBlock):
        two.engine.import_block(altered)
    assert two.engine.store.best()[1] == 0
    two.engine.import_block(block_of(one, header))


def test_slots_rise_even_when_the_clock_does_not(bench):
    alone = bench()
    slots = []
    for _ in range(5):
        header = alone.engine.seal(wait=False, budget_s=10, lag=0)
        slots.append(slot_of(header))
    assert slots == list(range(slots[0], slots[0] + 5))


def test_in_real_time_one_block_a_slot(bench):
    alone = bench()
    assert alone.engine.seal(wait=True, budget_s=1, lag=None) is not None
    assert alone.engine.seal(wait=True, budget_s=1, lag=None) is None
    alone.time.ms += aura.SlotDuration.value
    assert alone.engine.seal(wait=True, budget_s=1, lag=None) is not None


def test_without_the_key_no_block(bench):
    stranger = bench(keys=("Bob",))
    assert stranger.engine.seal(wait=True, budget_s=1, lag=None) is None
    with pytest.raises(CannotAuthor, match="--alice"):
        stranger.engine.seal(wait=False, budget_s=1, lag=None)


def test_a_reorganisation_brings_transactions_back(bench):
    ours, theirs = bench(), bench()
    raw = ours.pay(0)
    tx = ours.engine.submit(raw)
    ours.block()
    assert ours.statuses(tx) == ["ready", "inBlock"]
    theirs.time.ms += 5
    for _ in range(2):
        header = theirs.block()
        ours.engine.import_block(block_of(theirs, header))
    assert ours.best() == header.hash
    assert ours.statuses(tx) == ["retracted", "ready"]
    new = ours.block()
    assert raw in signed(ours, new)
    assert ours.statuses(tx) == ["inBlock"]


def test_finality_on_the_other_fork_moves_us_there(bench):
    ours, theirs = bench(), bench()
    raw = ours.pay(0)
    tx = ours.engine.submit(raw)
    ours.block()
    ours.block()
    theirs.time.ms += 5
    header = theirs.block()
    ours.engine.import_block(block_of(theirs, header))
    assert ours.best() != header.hash
    ours.engine.finalize(header.hash)
    assert ours.best() == header.hash
    assert ours.statuses(tx)[-2:] == ["retracted", "ready"]


def test_a_transaction_in_both_forks_moves_over(bench):
    ours, theirs = bench(), bench()
    raw = ours.pay(0)
    tx = ours.engine.submit(raw)
    ours.block()
    theirs.engine.submit(raw)
    theirs.time.ms += 5
    for _ in range(2):
        ours.engine.import_block(block_of(theirs, theirs.block()))
    assert ours.statuses(tx) == ["ready", "inBlock", "retracted", "inBlock"]
    assert len(ours.engine.pool) == 0


def test_a_block_twice_or_below_finality_is_refused(bench):
    one, two = bench(), bench()
    header = one.block()
    two.engine.import_block(block_of(one, header))
    with pytest.raises(CannotImport):
        two.engine.import_block(block_of(one, header))
    two.block()
    two.engine.finalize_behind(0)
    one.time.ms += 1000
    late = one.block()
    with pytest.raises(CannotImport):
        two.engine.import_block(block_of(one, late))


def test_mortal_transactions_die(bench):
    alone = bench()
    for _ in range(3):
        birth = alone.block()
    era = Era.mortal(4, birth.number)
    start = alone.engine.store.hash_of(era.birth(birth.number))
    raw = alone.pay(5, era=era, birth=start)
    tx = alone.engine.submit(raw)
    assert alone.statuses(tx) == ["future"]
    while alone.engine.store.best()[1] < era.death(birth.number):
        alone.block()
    assert alone.statuses(tx) == ["invalid"]


def test_the_best_block_may_be_an_eras_birth(bench):
    alone = bench()
    birth = alone.block()
    while birth.number % 8:
        birth = alone.block()
    era = Era.mortal(8, birth.number)
    assert era.birth(birth.number) == birth.number
    alone.engine.submit(alone.pay(0, era=era, birth=birth.hash))
    assert len(signed(alone, alone.block())) == 1


def test_what_became_invalid_is_dropped_from_the_pool(bench):
    alone = bench()
    funds = free_balance(alone.engine.best_state(), dev_key("Eve").account_id)
    rest = alone.pay(0, amount=funds // 2, signer="Eve", to="Ferdie")
    tx = alone.engine.submit(alone.pay(1, signer="Eve", tip=funds * 2 // 3))
    alone.engine.submit(rest)
    assert alone.statuses(tx) == ["future", "ready"]
    header = alone.block()
    assert signed(alone, header) == [rest]
    assert alone.statuses(tx) == ["invalid"]


def test_a_block_takes_no_more_than_fits(bench):
    alone = bench()
    executive = alone.engine.executive
    data = bytes(1_500_000)
    for nonce in range(8):
        raw = signed_call(executive, dev_key("Alice"), remark(executive, data), nonce)
        alone.engine.submit(raw)
    first = alone.block()
    assert sum(map(len, signed(alone, first))) <= 7.5 * 1024 * 1024
    assert len(alone.engine.pool) == 8 - len(signed(alone, first))
    second = alone.block()
    assert len(signed(alone, second)) > 0


def test_no_time_no_transactions(bench):
    alone = bench()
    alone.engine.submit(alone.pay(0))
    alone.time.ms += 250
    header = alone.engine.seal(wait=False, budget_s=0, lag=None)
    assert signed(alone, header) == []
    assert len(alone.engine.pool.ready) == 1


def test_submitting_twice_after_inclusion_is_stale(bench):
    alone = bench()
    raw = alone.pay(0)
    alone.engine.submit(raw)
    alone.block()
    with pytest.raises(PoolError) as refusal:
        alone.engine.submit(raw)
    assert refusal.value.code == 1010
    assert refusal.value.data.startswith("Transaction is outdated")


def test_rewinding_forgets_the_pool_and_the_blocks(bench):
    alone = bench()
    first = alone.block()
    alone.engine.finalize_behind(0)
    alone.engine.submit(alone.pay(0))
    alone.block()
    alone.engine.finalize_behind(0)
    alone.engine.rewind(first.hash)
    assert alone.best() == first.hash
    assert alone.engine.store.finalized()[0] == first.hash
    assert alone.engine.next_nonce(dev_key("Alice").account_id) == 0
    alone.engine.submit(alone.pay(0))
    assert len(signed(alone, alone.block())) == 1
