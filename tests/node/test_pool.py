"""The pool's rules, driven by a toy chain: accounts with nonces, one tag a nonce."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chain.pool import Limits, Pool, PoolError
from chain.pool.transaction import transaction_hash
from chain.runtime.validity import Invalid, InvalidTransaction, Validity

ALICE, BOB = b"a" * 32, b"b" * 32
BLOCK = b"\x11" * 32


def tx(who: bytes, nonce: int, priority: int = 1, mark: int = 0) -> bytes:
    """A toy extrinsic: account, nonce, priority, and a byte that makes it another one."""
    return who + nonce.to_bytes(4, "little") + bytes((priority, mark))


@dataclass
class ToyChain:
    """Validates toy extrinsics as CheckNonce does."""

    nonces: dict[bytes, int] = field(default_factory=dict)
    longevity: int = (1 << 64) - 1
    broke: set[bytes] = field(default_factory=set)

    def validate(self, raw: bytes) -> Validity:
        who, nonce, priority = raw[:32], int.from_bytes(raw[32:36], "little"), raw[36]
        expected = self.nonces.get(who, 0)
        if who in self.broke:
            raise InvalidTransaction(Invalid.Payment)
        if nonce < expected:
            raise InvalidTransaction(Invalid.Stale)
        before = (who + (nonce - 1).to_bytes(4, "little"),) if nonce > expected else ()
        return Validity(priority, before, (raw[:36],), self.longevity)


def submit(pool: Pool, chain: ToyChain, raw: bytes, number: int = 1, now: float = 0) -> bytes:
    return pool.submit(raw, chain.validate, number, now)


def drain(pool: Pool) -> list[bytes]:
    """All that a block of any size would take, in its order."""
    selection, out = pool.select(), []
    while (t := selection.take()) is not None:
        selection.accept(t)
        out.append(t.raw)
    return out


def statuses(pool: Pool, raw: bytes) -> list[str]:
    return [e.status for e in pool.take_news() if e.tx == transaction_hash(raw)]


def test_a_gap_waits_until_it_is_filled():
    pool, chain = Pool(), ToyChain()
    late, first = tx(ALICE, 1), tx(ALICE, 0)
    submit(pool, chain, late)
    assert (len(pool.ready), len(pool.future)) == (0, 1)
    assert statuses(pool, late) == ["future"]
    submit(pool, chain, first)
    assert drain(pool) == [first, late]
    assert statuses(pool, late) == ["ready"]


def test_the_same_bytes_twice_is_1013():
    pool, chain = Pool(), ToyChain()
    submit(pool, chain, tx(ALICE, 0))
    with pytest.raises(PoolError) as refusal:
        submit(pool, chain, tx(ALICE, 0))
    assert refusal.value.code == 1013
    assert refusal.value.message == "Transaction Already Imported"


def test_equal_priority_does_not_replace():
    pool, chain = Pool(), ToyChain()
    submit(pool, chain, tx(ALICE, 0))
    with pytest.raises(PoolError) as refusal:
        submit(pool, chain, tx(ALICE, 0, mark=1))
    assert (refusal.value.code, refusal.value.message) == (1014, "Priority is too low: (1 vs 1)")


def test_higher_priority_replaces_and_keeps_followers():
    pool, chain = Pool(), ToyChain()
    old, follower, new = tx(ALICE, 0), tx(ALICE, 1), tx(ALICE, 0, priority=2)
    for raw in (old, follower, new):
        submit(pool, chain, raw)
    assert drain(pool) == [new, follower]
    assert statuses(pool, old) == ["ready", "usurped"]


def test_an_invalid_one_is_banned_for_half_an_hour():
    pool, chain = Pool(), ToyChain(broke={ALICE})
    with pytest.raises(PoolError) as first:
        submit(pool, chain, tx(ALICE, 0))
    assert first.value.code == 1010
    assert first.value.data.startswith("Inability to pay some fees (e.g. account balance too low)")
    chain.broke.clear()
    with pytest.raises(PoolError) as second:
        submit(pool, chain, tx(ALICE, 0), now=1799)
    assert second.value.code == 1012
    submit(pool, chain, tx(ALICE, 0), now=1801)


def test_a_custom_error_stands_alone():
    def refuse(raw: bytes) -> Validity:
        raise InvalidTransaction(Invalid.Custom, 8)

    with pytest.raises(PoolError) as refusal:
        Pool().submit(b"x", refuse, 1, 0)
    assert refusal.value.data == "Custom error: 8"


NEEDLES = {
    Invalid.Payment: "inability to pay some fees",
    Invalid.Future: "will be valid in the future",
    Invalid.Stale: "transaction is outdated",
    Invalid.BadProof: "has a bad signature",
    Invalid.Call: "call is not expected",
    Invalid.AncientBirthBlock: "ancient birth block",
    Invalid.ExhaustsResources: "block limit",
    Invalid.BadMandatory: "labelled as mandatory",
    Invalid.MandatoryValidation: "dispatch is mandatory",
    Invalid.BadSigner: "invalid signing address",
    Invalid.IndeterminateImplicit: "implicit data was unable to be calculated",
    Invalid.UnknownOrigin: "did not authorize any origin",
}


@pytest.mark.parametrize("kind", list(NEEDLES))
def test_a_remedy_holds_no_words_of_another_error(kind: Invalid):
    def refuse(raw: bytes) -> Validity:
        raise InvalidTransaction(kind)

    with pytest.raises(PoolError) as refusal:
        Pool().submit(b"x", refuse, 1, 0)
    text = f"{refusal.value.message} {refusal.value.data}".lower()
    others = [*NEEDLES.values(), "priority is too low", "already imported", "unsigned validator"]
    assert [n for n in others if n in text] == [NEEDLES[kind]]


def test_priority_then_age_orders_a_block():
    pool, chain = Pool(), ToyChain()
    slow, quick, other = tx(ALICE, 0), tx(BOB, 0, priority=9), tx(b"c" * 32, 0)
    for raw in (slow, quick, other):
        submit(pool, chain, raw)
    assert drain(pool) == [quick, slow, other]


def test_what_is_not_accepted_holds_back_its_followers():
    pool, chain = Pool(), ToyChain()
    for raw in (tx(ALICE, 0, priority=5), tx(ALICE, 1), tx(BOB, 0)):
        submit(pool, chain, raw)
    selection = pool.select()
    assert selection.take().raw == tx(ALICE, 0, priority=5)
    bobs = selection.take()
    assert bobs.raw == tx(BOB, 0)
    selection.accept(bobs)
    assert selection.take() is None


def test_a_full_pool_drops_the_newcomer_unless_it_outranks():
    pool, chain = Pool(Limits(count=10)), ToyChain()
    for i in range(10):
        submit(pool, chain, tx(bytes((i,)) * 32, 0))
    with pytest.raises(PoolError) as refusal:
        submit(pool, chain, tx(BOB, 0))
    assert refusal.value.code == 1016
    submit(pool, chain, tx(BOB, 0, priority=2))
    assert len(pool.ready) == 10
    assert drain(pool)[0] == tx(BOB, 0, priority=2)


def test_the_future_queue_holds_a_tenth():
    pool, chain = Pool(Limits(count=20)), ToyChain()
    submit(pool, chain, tx(ALICE, 5))
    submit(pool, chain, tx(BOB, 5))
    with pytest.raises(PoolError) as refusal:
        submit(pool, chain, tx(b"c" * 32, 5))
    assert refusal.value.code == 1016


def test_bytes_are_limited_too():
    pool, chain = Pool(Limits(size=100)), ToyChain()
    submit(pool, chain, tx(ALICE, 0))
    submit(pool, chain, tx(BOB, 0))
    with pytest.raises(PoolError) as refusal:
        submit(pool, chain, tx(b"c" * 32, 0))
    assert refusal.value.code == 1016


def test_in_a_block_then_final():
    pool, chain = Pool(), ToyChain()
    first, second = tx(ALICE, 0), tx(ALICE, 1)
    submit(pool, chain, first)
    submit(pool, chain, second)
    pool.enact(BLOCK, 2, [first])
    assert statuses(pool, first) == ["ready", "inBlock"]
    assert drain(pool) == [second]
    pool.finalize(BLOCK)
    assert statuses(pool, first) == ["finalized"]


def test_a_block_frees_what_waited_for_it():
    pool, chain = Pool(), ToyChain()
    first, third = tx(ALICE, 0), tx(ALICE, 2)
    submit(pool, chain, first)
    submit(pool, chain, third)
    chain.nonces[ALICE] = 2
    pool.enact(BLOCK, 2, [first, tx(ALICE, 1)])
    pool.revalidate(chain.validate, 2, 0, 10)
    assert drain(pool) == [third]


def test_a_rival_in_the_block_makes_ours_invalid():
    pool, chain = Pool(), ToyChain()
    ours = tx(ALICE, 0)
    submit(pool, chain, ours)
    chain.nonces[ALICE] = 1
    pool.enact(BLOCK, 2, [tx(ALICE, 0, mark=1)])
    pool.revalidate(chain.validate, 2, 0, 10)
    assert statuses(pool, ours) == ["ready", "invalid"]


def test_a_retracted_transaction_comes_back():
    pool, chain = Pool(), ToyChain()
    raw = tx(ALICE, 0)
    submit(pool, chain, raw)
    pool.enact(BLOCK, 2, [raw])
    pool.retract(BLOCK)
    other = b"\x22" * 32
    pool.enact(other, 2, [])
    pool.resubmit(raw, chain.validate, 2, 0)
    assert drain(pool) == [raw]
    assert statuses(pool, raw) == ["ready", "inBlock", "retracted", "ready"]


def test_a_transaction_in_both_branches_moves_over():
    pool, chain = Pool(), ToyChain()
    raw, other = tx(ALICE, 0), b"\x22" * 32
    submit(pool, chain, raw)
    pool.enact(BLOCK, 2, [raw])
    pool.retract(BLOCK)
    pool.enact(other, 2, [raw])
    pool.resubmit(raw, chain.validate, 2, 0)
    pool.finalize(other)
    assert statuses(pool, raw) == ["ready", "inBlock", "retracted", "inBlock", "finalized"]
    assert len(pool) == 0


def test_an_era_ends():
    pool, chain = Pool(), ToyChain(longevity=4)
    raw = tx(ALICE, 0)
    submit(pool, chain, raw, number=10)
    pool.expire(13, 0)
    assert drain(pool) == [raw]
    pool.expire(14, 0)
    assert statuses(pool, raw) == ["ready", "invalid"]


def test_finality_that_does_not_come_is_told_once():
    pool, chain = Pool(), ToyChain()
    raw = tx(ALICE, 0)
    submit(pool, chain, raw)
    pool.enact(BLOCK, 2, [raw])
    pool.expire(513, 0)
    assert statuses(pool, raw) == ["ready", "inBlock"]
    pool.expire(514, 0)
    pool.finalize(BLOCK)
    assert statuses(pool, raw) == ["finalityTimeout"]


def test_a_step_back_of_the_chain_demotes():
    pool, chain = Pool(), ToyChain({ALICE: 1})
    second, third = tx(ALICE, 1), tx(ALICE, 2)
    submit(pool, chain, second)
    submit(pool, chain, third)
    chain.nonces[ALICE] = 0
    pool.revalidate(chain.validate, 2, 0, 10)
    assert drain(pool) == []
    submit(pool, chain, tx(ALICE, 0))
    assert drain(pool) == [tx(ALICE, 0), second, third]


def test_next_nonce_counts_ready_ones_only():
    pool, chain = Pool(), ToyChain({ALICE: 3})
    for nonce in (3, 4, 6):
        submit(pool, chain, tx(ALICE, nonce))
    assert pool.next_nonce(ALICE, 3) == 5
    assert pool.next_nonce(BOB, 0) == 0


step = st.tuples(
    st.sampled_from(["submit", "submit", "submit", "block", "retract", "recheck", "expire"]),
    st.integers(0, 2),
    st.integers(0, 5),
    st.integers(1, 3),
)


@settings(max_examples=150, deadline=None)
@example([("submit", 0, 0, 1), ("block", 0, 0, 1), ("submit", 0, 1, 1), ("retract", 0, 0, 1)])
@given(st.lists(step, max_size=40))
def test_nonce_order_and_bookkeeping_hold(steps):
    """Whatever happens, a block takes consecutive nonces and the sizes are what they seem."""
    pool, chain = Pool(Limits(count=8, ban_seconds=0)), ToyChain()
    number, blocks = 1, []
    for kind, account, nonce, priority in steps:
        who = bytes((account,)) * 32
        if kind == "submit":
            with suppress(PoolError):
                submit(pool, chain, tx(who, nonce, priority), number)
        elif kind == "block":
            number += 1
            body = drain(pool)[:3]
            for raw in body:
                chain.nonces[raw[:32]] = chain.nonces.get(raw[:32], 0) + 1
            blocks.append((number.to_bytes(32, "big"), body))
            pool.enact(blocks[-1][0], number, body)
        elif kind == "retract" and blocks:
            block_hash, body = blocks.pop()
            for raw in body:
                chain.nonces[raw[:32]] -= 1
            pool.retract(block_hash)
            for raw in body:
                pool.resubmit(raw, chain.validate, number, 0)
            pool.revalidate(chain.validate, number, 0, 100)
        elif kind == "recheck":
            number += 1
            pool.revalidate(chain.validate, number, 0, 100)
        else:
            pool.expire(number, 0)
        taken: dict[bytes, int] = {}
        for raw in drain(pool):
            expected = taken.get(raw[:32], chain.nonces.get(raw[:32], 0))
            assert int.from_bytes(raw[32:36], "little") == expected
            taken[raw[:32]] = expected + 1
        for queue in (pool.ready, pool.future):
            assert queue.size == sum(len(t.raw) for t in queue.by_hash.values())
        assert len(pool.ready) <= 8
        assert set(pool.ready.by_hash).isdisjoint(pool.future.by_hash)
