"""Court: who is drawn follows stake, by a seed and nothing else; shares add up to the unit."""

from __future__ import annotations

import pytest
from courthouse import STAKES, courthouse, forward
from hypothesis import given
from hypothesis import strategies as st
from town import NET

from chain.pallets.court_jury import candidates
from chain.pallets.court_rules import Candidate, draw, loss_of, majority, shares, tally
from chain.pallets.court_store import LossShare, Seat, SeatDeposit
from chain.pallets.system import Number
from ganglion.hashing import blake2_256
from ganglion.units import AccountId
from ganglion.wire.votes import Side, Vote

DRAWS, SEATS = 2_000, 7
# of chi-square with 7 degrees of freedom: one right draw in a thousand is above
CRITICAL = 24.32


def candidate(n, weight, free=1_000):
    who = AccountId(bytes([n]) * 32)
    return Candidate(who, who, who, weight, free)


def counted(pool, draws=DRAWS, seats=SEATS):
    """How many seats each of a pool gets in so many draws with fixed seeds."""
    counts = dict.fromkeys((one.hotkey for one in pool), 0)
    for n in range(draws):
        for seat in draw(pool, seats, blake2_256(b"chi-square %d" % n)):
            counts[seat.hotkey] += seat.votes
    return counts


def chi_square(counts, weights):
    total, whole = sum(counts.values()), sum(weights.values())
    expected = {who: total * weight / whole for who, weight in weights.items()}
    return sum((counts[who] - e) ** 2 / e for who, e in expected.items())


def test_juries_of_seven_are_drawn_in_proportion_to_stake():
    s = courthouse(deposit=90 * 10**9)
    forward(s, 1)
    pool = candidates(s, NET, frozenset(), s[Number], s[Number])
    assert sorted(one.weight for one in pool) == sorted(STAKES)
    counts = counted(pool)
    assert sum(counts.values()) == DRAWS * SEATS
    weights = {one.hotkey: one.weight for one in pool}
    assert chi_square(counts, weights) < CRITICAL
    # and the test would see other proportions: equal ones, or those of one validator a fifth more
    assert chi_square(counts, dict.fromkeys(weights, 1)) > 100 * CRITICAL
    most = max(weights, key=weights.__getitem__)
    assert chi_square(counts, weights | {most: weights[most] * 1.2}) > CRITICAL


def test_a_draw_depends_on_its_seed_alone():
    pool = [candidate(n, 10 * n) for n in range(1, 9)]
    assert draw(pool, 7, b"a") == draw(list(pool), 7, b"a")
    assert len({draw(pool, 7, bytes([n])) for n in range(50)}) > 40


@given(
    st.lists(st.tuples(st.integers(1, 65_535), st.integers(1, 9)), min_size=1, max_size=64),
    st.integers(1, 15),
    st.binary(min_size=32, max_size=32),
)
def test_no_juror_has_more_seats_than_its_deposit_allows(people, seats, seed):
    pool = [candidate(n, weight, free) for n, (weight, free) in enumerate(people)]
    jury = draw(pool, seats, seed)
    if sum(one.free for one in pool) < seats:
        assert jury is None
        return
    assert sum(seat.votes for seat in jury) == seats
    free = {one.hotkey: one.free for one in pool}
    assert all(0 < seat.votes <= free[seat.hotkey] for seat in jury)
    assert len({seat.hotkey for seat in jury}) == len(jury)


@given(st.integers(0, 10**18), st.lists(st.integers(0, 10**12), max_size=22))
def test_shares_add_up_to_the_unit_and_nobody_without_a_part_has_one(total, parts):
    cut = shares(total, parts)
    assert sum(cut) == (total if any(parts) else 0)
    whole = sum(parts)
    for share, part in zip(cut, parts, strict=True):
        assert part or share == 0
        assert whole == 0 or 0 <= share - total * part // whole <= 1


def seats_of(*votes):
    return [
        Seat(bytes([n]) * 32, bytes([n]) * 32, count, None, shown)
        for n, (count, shown) in enumerate(votes)
    ]


def test_votes_are_counted_by_seats_and_ties_decide_nothing():
    claimant, respondent = Side.Claimant, Side.Respondent
    jury = seats_of((3, claimant), (2, respondent), (1, respondent), (1, None))
    assert tally(jury) == (3, 3)
    assert majority(jury) is None
    assert majority(jury[:3]) is None
    assert majority(jury[1:]) is respondent
    assert majority(jury[3:]) is None
    seat = SeatDeposit.value * LossShare.value // 1_000_000
    assert [loss_of(one, respondent) // seat for one in jury] == [3, 0, 0, 1]
    assert [loss_of(one, None) // seat for one in jury] == [0, 0, 0, 1]


@pytest.mark.parametrize(
    "change", [{"genesis": b"h" * 32}, {"id": 2}, {"round": 1}, {"juror": b"k" * 32},
               {"side": Side.Respondent}, {"salt": b"t" * 32}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_commitment_is_to_one_vote_of_one_juror_in_one_round(change):
    vote = {
        "genesis": b"g" * 32, "id": 1, "round": 0, "juror": b"j" * 32,
        "side": Side.Claimant, "salt": b"s" * 32,
    }  # fmt: skip
    assert Vote(**vote).commitment() == Vote(**vote).commitment()
    assert Vote(**vote).commitment() != Vote(**vote | change).commitment()
