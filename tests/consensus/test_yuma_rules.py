"""Rules of the epoch that hold for every subnet, and the corners a reader should know."""

from dataclasses import replace
from random import Random

import pytest
import yuma_cases
from hypothesis import given
from hypothesis import strategies as st

from consensus.yuma import engine, mechanisms, scalar, sparse
from consensus.yuma.bonds import seen_in_order
from consensus.yuma.median import weighted_median
from consensus.yuma.rows import decode_row, encode_row, without_uid
from consensus.yuma.standing import earliest_commits, top_validators
from consensus.yuma.types import NO_COMMIT, SubnetEpoch

ONE = scalar.ONE
proportion = st.sampled_from([0, 1, ONE // 2, ONE]) | st.integers(0, ONE)
votes = st.lists(st.tuples(st.integers(1, ONE), proportion), min_size=1, max_size=12)
subnets = st.integers(0, 10**9).map(lambda seed: yuma_cases.subnet(Random(seed)))


def bisected(stake: list[int], score: list[int], limit: int) -> int:
    """The weighted median by partition around a pivot, as the chain finds it."""
    part, low, high = list(range(len(score))), 0, sum(stake)
    while len(part) > 1:
        pivot = score[part[len(part) // 2]]
        below = [i for i in part if score[i] < pivot]
        above = [i for i in part if score[i] > pivot]
        under, over = sum(stake[i] for i in below), sum(stake[i] for i in above)
        if below and limit < low + under:
            part, high = below, low + under
        elif above and high - over <= limit:
            part, low = above, high - over
        else:
            return pivot
    return score[part[0]]


@given(votes, st.integers(-ONE, 2 * ONE))
def test_the_median_needs_no_pivot(cast: list[tuple[int, int]], limit: int) -> None:
    stake, score = [s for s, _ in cast], [w for _, w in cast]
    limit = min(limit, sum(stake))
    assert weighted_median(stake, score, limit) == bisected(stake, score, limit)


@given(subnets)
def test_no_more_is_paid_than_there_is(subnet: SubnetEpoch) -> None:
    outcome = engine.epoch(subnet)
    assert sum(outcome.server_emission) + sum(outcome.validator_emission) <= subnet.rao_emission
    assert sum(outcome.combined_emission) <= subnet.rao_emission
    allowed = subnet.max_allowed_validators + (subnet.owner_uid is not None)
    assert sum(outcome.new_permits) <= allowed


@given(subnets, st.randoms(use_true_random=False))
def test_the_order_of_a_row_matters_to_liquid_alpha_alone(subnet: SubnetEpoch, r: Random) -> None:
    def shuffled(row: bytes) -> bytes:
        pairs = decode_row(row)
        r.shuffle(pairs)
        return encode_row(pairs)

    plain = replace(subnet, liquid_alpha_on=False)
    mixed = replace(plain, weights=[shuffled(row) for row in plain.weights])
    assert engine.epoch(plain) == engine.epoch(mixed)


@given(st.integers(1, ONE - 1), proportion, proportion)
def test_interpolation_floors_away_from_zero(ratio: int, weight: int, clipped: int) -> None:
    clipped = min(weight, clipped)
    (row,) = sparse.interpolate([[(0, weight)]], [[(0, clipped)]], ratio)
    cut = -(-(weight - clipped) * ratio // ONE)
    assert row == [(0, weight - cut)] * (weight > cut)


def test_dust_is_not_handed_out() -> None:
    n = 10
    subnet = SubnetEpoch(
        n=n,
        current_block=100,
        last_update=[99] * n,
        block_at_registration=[0] * n,
        alpha_stake=[1] * n,
        tao_stake=[0] * n,
        validator_permits=[True] * n,
        weights=[],
        bonds=[],
        rao_emission=10**9,
    )
    assert engine.epoch(subnet).validator_emission == (99_999_999,) * n


def test_of_equal_stakes_the_lower_uid_loses() -> None:
    assert top_validators([5, 5, 5, 0], 2) == [False, True, True, False]
    assert top_validators([5, 0, 5], 3) == [True, False, True]
    assert top_validators([5, 7], 0) == [False, False]


def test_a_forward_walk_misses_what_stands_behind_a_larger_uid() -> None:
    assert seen_in_order([(2, 20), (1, 10), (3, 30)]) == {2: 20, 3: 30}


def test_exp_of_one_is_its_own_constant() -> None:
    assert scalar.exp_safe(ONE) == 11_674_931_200
    assert scalar.exp_safe(-ONE) == 1_580_030_169  # the series, not one over that constant
    assert scalar.exp_safe(21 * ONE) == scalar.exp_safe(20 * ONE)


def test_upscale_rounds_half_up() -> None:
    assert scalar.max_upscale([0, 0]) == [0, 0]
    assert scalar.max_upscale([1, 2]) == [32_768, 65_535]
    assert scalar.max_upscale([]) == []


def test_bonds_reset_takes_one_miner_out() -> None:
    assert decode_row(without_uid(encode_row([(1, 5), (2, 6), (1, 0)]), 1)) == [(2, 6)]


def test_the_first_live_commit_of_a_queue_counts() -> None:
    blocks = earliest_commits(
        n=4,
        current_epoch=10,
        reveal_period=2,
        queues=[(0, [(7, 70), (8, 80), (9, 60)]), (9, [(10, 1)])],
        timelocked=[(7, [(1, 5)]), (10, [(1, 100), (0, 75), (1, 90), (8, 1)])],
    )
    assert blocks == [75, 90, NO_COMMIT, NO_COMMIT]


@pytest.mark.parametrize(
    ("amount", "count", "split", "parts"),
    [
        (10, 3, None, [4, 3, 3]),
        (1, 2, [62_712, 2_823], [1, 0]),
        (65_535, 3, [1, 2], [65_533, 2, 0]),
        (65_535, 1, [30_000, 35_535], [65_535]),
        (0, 2, None, [0, 0]),
    ],
)
def test_emission_split(amount: int, count: int, split: list[int] | None, parts: list[int]) -> None:
    assert mechanisms.split_emission(amount, count, split) == parts


@given(subnets)
def test_one_mechanism_is_the_subnet(subnet: SubnetEpoch) -> None:
    outcome = engine.epoch(subnet)
    merged = mechanisms.merge([outcome], [subnet.rao_emission], subnet.rao_emission)
    assert merged.consensus_u16 == outcome.consensus_u16
    assert merged.combined_emission == outcome.combined_emission
    assert merged.new_permits == outcome.new_permits


@given(subnets)
def test_without_emission_the_first_mechanism_weighs_one(subnet: SubnetEpoch) -> None:
    first = engine.epoch(replace(subnet, rao_emission=0))
    merged = mechanisms.merge([first, first], [0, 0], 0)
    assert merged.dividends_u16 == first.dividends_u16
