"""Slots, turns, and which chain is best."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.aura import (
    Equivocation,
    EquivocationWatch,
    InvalidSlot,
    compute_author,
    ensure_slot_after,
    is_too_early,
)
from consensus.fork_choice import Tip, choose_best, find_route, is_better
from consensus.slots import proposal_budget, slot_at, slot_start, until_next_slot

TIME = st.integers(0, 2**63)
DURATION = st.integers(1, 60_000)


@given(TIME, DURATION)
def test_a_moment_lies_in_its_slot(now, duration):
    slot = slot_at(now, duration)
    assert slot_start(slot, duration) <= now < slot_start(slot + 1, duration)
    assert slot_at(now + until_next_slot(now, duration), duration) == slot + 1


def test_the_budget_is_two_thirds_of_what_is_left():
    assert proposal_budget(12_000, 1, 12_000) == 8_000
    assert proposal_budget(18_000, 1, 12_000) == 4_000
    assert proposal_budget(24_000, 1, 12_000) == 0
    assert proposal_budget(90_000, 1, 12_000) == 0
    assert proposal_budget(0, 1, 12_000) == 8_000


def test_turns():
    assert [compute_author(slot, [b"a", b"b", b"c"]) for slot in range(4)] == [
        b"a",
        b"b",
        b"c",
        b"a",
    ]
    with pytest.raises(InvalidSlot, match="no Aura authorities"):
        compute_author(1, [])


def test_slots_rise_strictly():
    ensure_slot_after(5, 4)
    ensure_slot_after(0, None)
    for slot in (3, 4):
        with pytest.raises(InvalidSlot, match="does not come after"):
            ensure_slot_after(slot, 4)


def test_one_slot_of_drift_is_let_pass():
    assert not is_too_early(11, 10)
    assert is_too_early(12, 10)


def test_two_headers_in_one_slot_are_an_equivocation():
    watch = EquivocationWatch()
    assert watch.check(10, 10, b"alice", b"1") is None
    assert watch.check(10, 10, b"alice", b"1") is None
    assert watch.check(10, 10, b"bob", b"2") is None
    assert watch.check(10, 10, b"alice", b"3") == Equivocation(10, b"alice", b"1", b"3")
    assert watch.check(2000, 10, b"alice", b"4") is None, "too old to look at"
    assert watch.check(2000, 2000, b"alice", b"5") is None
    assert list(watch.seen) == [2000]


def test_longest_wins_then_first_seen():
    tips = [Tip(b"late", 7, 3), Tip(b"first", 7, 1), Tip(b"short", 6, 0)]
    assert choose_best(tips).hash == b"first"
    assert is_better(8, 7)
    assert not is_better(7, 7)


@given(st.lists(st.integers(0, 1_000), max_size=60), st.data())
def test_route_in_a_random_tree(choices, data):
    parents, numbers = {0: 0}, {0: 0}
    for block, choice in enumerate(choices, 1):
        parents[block] = choice % block
        numbers[block] = numbers[parents[block]] + 1
    pick = st.integers(0, len(choices))
    old, new = data.draw(pick), data.draw(pick)
    route = find_route(old, new, numbers.__getitem__, parents.__getitem__)

    def chain(block):
        return [block] if block == 0 else [*chain(parents[block]), block]

    at = old
    for block in route.retracted:
        assert block == at
        at = parents[block]
    assert at == route.common
    for block in route.enacted:
        assert parents[block] == at
        at = block
    assert at == new
    assert not set(route.retracted) & set(chain(new))
