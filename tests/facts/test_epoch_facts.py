"""Facts about the epoch (E71 to E87), each under its number."""

from dataclasses import replace

import numpy as np
import pytest
from subnet_bench import (
    NET,
    at,
    bench,
    bonds_of,
    epoch,
    events,
    hotkey,
    next_epoch,
    numbers,
    ok,
    permit,
    stake,
    weigh,
)

from chain.pallets.subtensor.commit_reveal import compute_commit_hash
from chain.pallets.subtensor.epoch import do_reset_bonds, read_epoch
from chain.pallets.subtensor.events_weights import IncentiveAlphaEmittedToMiners
from chain.pallets.subtensor.neurons import storage_index
from chain.pallets.subtensor.storage_hyperparameters import (
    AlphaValues,
    BondsMovingAverage,
    BondsPenalty,
    BondsResetOn,
    CommitRevealWeightsEnabled,
    LiquidAlphaOn,
    MaxAllowedValidators,
    StakeThreshold,
    Yuma3On,
)
from chain.pallets.subtensor.storage_network import SubnetOwnerHotkey
from chain.pallets.subtensor.storage_neurons import (
    Active,
    BlockAtRegistration,
    Consensus,
    ConsensusByMechanism,
    Dividends,
    Emission,
    Incentive,
    StakeWeight,
    ValidatorPermit,
    ValidatorTrust,
)
from chain.pallets.system import Number
from chain.runtime.state import State
from consensus.yuma import engine, reference
from consensus.yuma.median import weighted_median
from consensus.yuma.scalar import normalise
from ganglion.units import AccountId, Uid

BILLION = 1_000_000_000


def dividends(s: State) -> list[int]:
    return numbers(s[Dividends, NET])


def emission(s: State) -> list[int]:
    return numbers(s[Emission, NET], 8)


def incentive(s: State) -> list[int]:
    return numbers(s[Incentive, storage_index(NET)])


def later(s: State, blocks: int = 1) -> None:
    """Some blocks pass without an epoch."""
    at(s, s[Number] + blocks)


def test_E71_each_validates_itself() -> None:
    s = bench(10)
    stake(s, *(1,) * 10)
    for uid in range(10):
        weigh(s, uid, {uid: 65_535})
    epoch(s, BILLION)
    assert emission(s) == [99_999_999] * 10
    assert incentive(s) == dividends(s) == [0] * 10


def test_E72_a_single_node_is_paid_by_stake_and_its_owner_by_weight() -> None:
    s = bench(1)
    stake(s, BILLION)
    permit(s, 0)
    weigh(s, 0, {0: 65_535})
    epoch(s, BILLION)
    assert incentive(s) == dividends(s) == [0]
    assert emission(s) == [BILLION]
    s[SubnetOwnerHotkey, NET] = hotkey(0)
    epoch(s, BILLION)
    assert incentive(s) == dividends(s) == [65_535]
    assert emission(s) == [BILLION]


@pytest.mark.parametrize("spread", [1, 8])
@pytest.mark.parametrize("self_weight", [False, True])
def test_E73_graph_of_512(spread: int, self_weight: bool) -> None:
    """64 validators that weigh all 448 servers alike, side by side or every eighth."""
    s = bench(512)
    validators = list(range(0, 64 * spread, spread))
    servers = [uid for uid in range(512) if uid not in validators]
    stake(s, *(328_125_000_000_000 if uid in validators else 0 for uid in range(512)))
    s[MaxAllowedValidators, NET] = 64
    epoch(s, BILLION)  # gives the permits
    later(s)
    for uid in validators:
        weigh(s, uid, dict.fromkeys(servers, 127))
    for uid in servers if self_weight else ():
        weigh(s, uid, {uid: 65_535})
    for _ in range(3):
        epoch(s, BILLION)
    agreed = numbers(s[Consensus, NET])
    for uid in validators:
        assert (agreed[uid], incentive(s)[uid], dividends(s)[uid]) == (0, 0, 1023)
        assert emission(s)[uid] == 7_812_500
        assert bonds_of(s, uid) == dict.fromkeys(servers, 65_535)
    for uid in servers:
        assert (agreed[uid], incentive(s)[uid], dividends(s)[uid]) == (146, 146, 0)
        assert emission(s)[uid] == 1_116_071
        assert bonds_of(s, uid) == {}


def test_E74_inactive_validators_lose_ground() -> None:
    s = bench(4, tempo=360)
    stake(s, 1, 1, 1, 1)
    s[MaxAllowedValidators, NET] = 4
    epoch(s, BILLION)
    later(s)
    for uid in (0, 1):
        weigh(s, uid, {2: 32_767, 3: 32_767})
    epoch(s, BILLION)
    assert dividends(s)[:2] == [32_767] * 2
    assert emission(s) == [250_000_000] * 4
    assert bonds_of(s, 0) == bonds_of(s, 1) == {2: 65_535, 3: 65_535}

    later(s, 5_001)
    weigh(s, 0, {2: 32_767, 3: 32_767})
    epoch(s, BILLION)
    assert numbers(s[Active, NET], 1) == [1, 0, 0, 0]
    assert dividends(s)[:2] == [36_044, 29_490]
    assert emission(s)[:2] == [274_999_999, 224_999_999]
    assert bonds_of(s, 0) == {2: 65_535, 3: 65_535}
    assert bonds_of(s, 1) == {2: 53_619, 3: 53_619}

    weigh(s, 1, {2: 32_767, 3: 32_767})
    later(s)
    epoch(s, BILLION)
    assert dividends(s)[:2] == [35_716, 29_818]
    assert emission(s)[:2] == [272_501_132, 227_498_866]
    assert bonds_of(s, 1) == {2: 54_712, 3: 54_712}


def test_E75_without_weights_stake_is_paid() -> None:
    s = bench(2)
    stake(s, BILLION)
    for _ in range(2):
        epoch(s, BILLION)
        assert emission(s) == [BILLION, 0]
    weigh(s, 0, {0: 65_535})
    epoch(s, BILLION)
    assert emission(s) == [BILLION, 0]


def test_E76_weights_older_than_their_target_do_not_count() -> None:
    s = bench(4)
    stake(s, 1, 1)
    permit(s, 0, 1)
    weigh(s, 0, {2: 43_690, 3: 21_845})
    weigh(s, 1, {2: 43_690, 3: 21_845})
    s[BlockAtRegistration, NET, Uid(3)] = 100  # as old as the weights
    epoch(s, BILLION)
    assert incentive(s) == [0, 0, 65_535, 0]
    assert bonds_of(s, 0) == {2: 65_535}


def overrated(penalty: int) -> int:
    """The bond of a validator that overrates uid 3 against a majority, under a bonds penalty."""
    s = bench(5)
    stake(s, 10, 30, 60)
    permit(s, 0, 1, 2)
    s[BondsPenalty, NET] = penalty
    weigh(s, 0, {3: 65_535, 4: 0})
    for uid in (1, 2):
        weigh(s, uid, {3: 6_553, 4: 58_982})
    epoch(s, BILLION)
    return bonds_of(s, 0)[3]


def test_E77_the_bond_penalty_is_between_raw_and_clipped_weights() -> None:
    assert overrated(65_535) == 65_535 * 10 // 60
    assert overrated(65_535) < overrated(32_768) < overrated(0) == 65_535


def yuma3(*stakes: int, liquid: bool = True) -> State:
    """Three validators and the rest miners, as in the published scenarios."""
    s = bench(len(stakes), tempo=1)
    stake(s, *stakes)
    s[Yuma3On, NET], s[LiquidAlphaOn, NET] = True, liquid
    s[AlphaValues, NET] = (6_553, 19_660)  # 0.1 and 0.3
    s[BondsPenalty, NET] = 0
    s[BondsMovingAverage, NET] = 975_000
    s[MaxAllowedValidators, NET] = 3
    later(s)
    epoch(s, BILLION)
    return s


def rate(s: State, *rows: tuple[int, ...]) -> None:
    """Validators 0, 1, 2 set weights for uids 3, 4, ..."""
    for uid, row in enumerate(rows):
        weigh(s, uid, {3 + k: w for k, w in enumerate(row)})


def expect(s: State, bonds: list[list[float]], paid: list[float]) -> None:
    """Run an epoch; its bonds to uids 3, 4, ... and dividends are as published, within 0.001."""
    later(s)
    epoch(s, BILLION)
    for uid, row in enumerate(bonds):
        held = bonds_of(s, uid)
        for k, bond in enumerate(row):
            assert held.get(3 + k, 0) / 65_535 == pytest.approx(bond, abs=1e-3)
    for got, share in zip(dividends(s), paid):
        assert got / 65_535 == pytest.approx(share, abs=1e-3)


FIRST, SECOND = (65_535, 0), (0, 65_535)


def test_E78_kappa_moves_first() -> None:
    s = yuma3(8, 1, 1, 0, 0)
    told = [
        ((FIRST, FIRST, FIRST), [[0.1013, 0], [0.1013, 0], [0.1013, 0]], [0.8, 0.1, 0.1]),
        ((SECOND, FIRST, FIRST), [[0.0908, 0.1013], [0.3697, 0], [0.3697, 0]], [1, 0, 0]),
        (
            (SECOND, SECOND, FIRST),
            [[0.0815, 0.1924], [0.3170, 0.1013], [0.5580, 0]],
            [0.9382, 0.0618, 0],
        ),
        (
            (SECOND, SECOND, SECOND),
            [[0.0731, 0.2742], [0.2765, 0.1924], [0.4306, 0.1013]],
            [0.8819, 0.0773, 0.0407],
        ),
        (
            (),
            [[0.0656, 0.3478], [0.2435, 0.2742], [0.3589, 0.1924]],
            [0.8564, 0.0844, 0.0592],
        ),
        (
            (),
            [[0.0588, 0.4139], [0.2157, 0.3478], [0.3089, 0.2742]],
            [0.8418, 0.0884, 0.0697],
        ),
    ]
    for rows, bonds, paid in told:
        rate(s, *rows)
        expect(s, bonds, paid)


def test_E79_liquid_alpha_off() -> None:
    s = yuma3(33, 33, 34, 0, 0, liquid=False)
    agreeing = [0.0250, 0.0494, 0.0731, 0.0963, 0.1189, 0.1409]
    deviating = [[0.0250, 0], [0.0494, 0], [0.0481, 0.0250], [0.0719, 0.0244]]
    deviating += [[0.0951, 0.0238], [0.1178, 0.0232]]
    shares = [[0.33, 0.33, 0.34]] * 2
    shares += [[0.3734, 0.3734, 0.2532], [0.3611, 0.3611, 0.2779]]
    shares += [[0.3541, 0.3541, 0.2919], [0.3495, 0.3495, 0.3009]]
    for n in range(6):
        rate(s, FIRST, FIRST, SECOND if n == 2 else FIRST)
        expect(s, [[agreeing[n], 0], [agreeing[n], 0], deviating[n]], shares[n])


def test_E80_a_stable_miner() -> None:
    s = yuma3(8, 1, 1, 0, 0, 0)
    half = 32_767
    old, new = (half, 0, half), (0, half, half)
    told = [
        ((old, old, old), [0.8, 0.1, 0.1]),
        ((old, new, old), [0.8226, 0.0745, 0.1028]),
        ((new, new, old), [0.7750, 0.1685, 0.0565]),
        ((new, new, new), [0.7864, 0.1372, 0.0764]),
        ((), [0.7912, 0.1241, 0.0847]),
        ((), [0.7937, 0.1173, 0.0890]),
    ]
    common = [0.0507, 0.0962, 0.1371, 0.1739, 0.2069, 0.2366]
    for bond, (rows, paid) in zip(common, told):
        rate(s, *rows)
        expect(s, [], paid)
        for uid in range(3):
            assert bonds_of(s, uid)[5] / 65_535 == pytest.approx(bond, abs=1e-3)


def test_E81_a_reset_clears_a_miners_bonds() -> None:
    s = yuma3(8, 1, 1, 0, 0)
    s[BondsResetOn, NET] = True
    moves = {0: (FIRST,) * 3, 1: (FIRST, SECOND, SECOND), 2: (SECOND,) * 3}
    moves |= {21: (SECOND, FIRST, FIRST), 22: (FIRST,) * 3}
    first = {0: 0.8, 1: 0.8944, 2: 0.5230, 19: 0.7919, 20: 0.7928, 21: 0.8467, 40: 0.7928}
    rows: tuple[tuple[int, ...], ...] = ()
    for n in range(41):
        rows = moves.get(n, rows)
        rate(s, *rows)
        if n == 20:
            do_reset_bonds(s, NET, hotkey(3))
            assert 3 not in bonds_of(s, 0)
        rest = (1 - first.get(n, 0)) / 2
        expect(s, [], [first[n], rest, rest] if n in first else [])
        if n == 19:
            assert bonds_of(s, 0)[3] / 65_535 == pytest.approx(0.0269, abs=1e-3)
        if n == 20:
            assert bonds_of(s, 0).get(3, 0) == 0


def test_E81_bonds_stay_where_resets_are_off() -> None:
    s = yuma3(8, 1, 1, 0, 0)
    rate(s, FIRST, FIRST, FIRST)
    expect(s, [], [0.8, 0.1, 0.1])
    before = bonds_of(s, 0)
    do_reset_bonds(s, NET, hotkey(3))
    do_reset_bonds(s, NET, AccountId(bytes(32)))
    assert bonds_of(s, 0) == before


def test_E82_both_engines_give_the_same_from_storage() -> None:
    s = yuma3(8, 3, 1, 0, 0, 0)
    rate(s, (1, 2, 3), (3, 2, 1), (0, 5, 0))
    epoch(s)
    for options in ({}, {"yuma3_on": False}, {"bonds_penalty": 30_000}):
        subnet = replace(read_epoch(s, NET, storage_index(NET), BILLION), **options)
        assert engine.epoch(subnet) == reference.epoch(subnet)


def bits(x: float) -> int:
    """A 32-bit float as I32F32 bits."""
    return int(float(np.float32(x)) * 2**32)


@pytest.mark.parametrize(
    ("stake_", "score", "median"),
    [
        ([0.51], [1], 1),
        ([0.49, 0.51], [0.5, 1], 1),
        ([0.51, 0.49], [0.5, 1], 0.5),
        ([0.49, 0, 0.51], [0.5, 0.7, 1], 1),
        ([0.49, 0.01, 0.5], [0.5, 0.7, 1], 0.7),
        ([0.49, 0.51, 0], [0.5, 0.7, 1], 0.7),
        ([], [], 0),
    ],
)
def test_E83_weighted_median(stake_: list[float], score: list[float], median: float) -> None:
    voters = [k for k, x in enumerate(stake_) if x > 0]
    shares = normalise([bits(stake_[k]) for k in voters])
    limit = sum(shares) - bits(0.51)
    assert weighted_median(shares, [bits(score[k]) for k in voters], limit) == bits(median)


def test_E84_permits_go_to_the_largest_stakes() -> None:
    s = bench(5)
    stake(s, 5, 9, 7, 0, 0)
    s[MaxAllowedValidators, NET] = 2
    epoch(s)
    assert numbers(s[ValidatorPermit, NET], 1) == [0, 1, 1, 0, 0]
    weigh(s, 1, {3: 1})
    epoch(s)
    assert bonds_of(s, 1) == {3: 65_535}
    stake(s, 5, 3, 7, 0, 0)
    epoch(s)
    assert bonds_of(s, 1) == {}
    s[MaxAllowedValidators, NET] = 5
    s[SubnetOwnerHotkey, NET] = hotkey(4)
    epoch(s)
    assert numbers(s[ValidatorPermit, NET], 1) == [1, 1, 1, 0, 1]


def test_E85_stake_under_the_threshold_is_none() -> None:
    s = bench(3)
    stake(s, 100, 99, 100)
    s[StakeThreshold] = 100
    epoch(s)
    assert numbers(s[ValidatorPermit, NET], 1) == [1, 0, 1]
    assert numbers(s[StakeWeight, NET]) == [32_767, 0, 32_767]
    assert emission(s) == [BILLION // 2, 0, BILLION // 2]


def test_D59_E86_a_weight_committed_before_its_target_came_is_masked() -> None:
    """Uid 3 changes hands after the commit: what the commit meant was the neuron before."""
    s = bench(4)
    stake(s, BILLION, BILLION)
    permit(s, 0, 1)
    s[CommitRevealWeightsEnabled, NET] = True
    index = storage_index(NET)
    for uid in (0, 1):
        made = compute_commit_hash(hotkey(uid), index, (2, 3), (1, 1), (uid,), 0)
        ok(s, uid, "commit_weights", NET, made)
    next_epoch(s)
    for uid in (0, 1):
        ok(s, uid, "reveal_weights", NET, (2, 3), (1, 1), (uid,), 0)
        # A later commit: the last update is now newer than the neuron it must not reach.
        newer = compute_commit_hash(hotkey(uid), index, (2, 3), (2, 2), (uid,), 0)
        ok(s, uid, "commit_weights", NET, newer)
    later(s)
    s[BlockAtRegistration, NET, Uid(3)] = 1_101
    later(s)
    for uid in (0, 1):
        after = compute_commit_hash(hotkey(uid), index, (2, 3), (3, 3), (uid,), 0)
        ok(s, uid, "commit_weights", NET, after)
    assert read_epoch(s, NET, index, 0).commit_blocks == [
        1_100,
        1_100,
        (1 << 64) - 1,
        (1 << 64) - 1,
    ]
    epoch(s, BILLION)
    assert incentive(s) == [0, 0, 65_535, 0]
    assert bonds_of(s, 0) == {2: 65_535}


def test_E87_without_permitted_weights_nothing_is_incentive() -> None:
    s = bench(3)
    stake(s, 0, 0, 10)
    weigh(s, 0, {0: 5})
    result = epoch(s, BILLION)
    assert [e.server for e in result.emission] == [0, 0, 0]
    assert [e.validator for e in result.emission] == [0, 0, BILLION]
    assert incentive(s) == [0, 0, 0]


def test_what_an_epoch_stores_and_tells() -> None:
    s = bench(3, mechanisms=2)
    stake(s, 10, 10)
    permit(s, 0, 1)
    for uid in (0, 1):
        weigh(s, uid, {2: 1})
    weigh(s, 0, {1: 1}, mecid=1)
    events(s)
    result = epoch(s, 1_001)
    first, second = events(s, IncentiveAlphaEmittedToMiners)
    assert (first.netuid, second.netuid) == (storage_index(NET), storage_index(NET, 1))
    assert first.emissions == (0, 0, 250)
    assert second.emissions == (0, 250, 0)
    assert [e.hotkey for e in result.emission] == [hotkey(0), hotkey(1), hotkey(2)]
    assert [e.server for e in result.emission] == [0, 250, 250]
    assert numbers(s[Incentive, storage_index(NET, 1)]) == [0, 65_535, 0]
    assert numbers(s[ConsensusByMechanism, storage_index(NET)]) == [0, 0, 65_535]
    for vector in (Consensus, Dividends, ValidatorTrust, StakeWeight):
        assert len(numbers(s[vector, NET])) == 3
    assert numbers(s[Active, NET], 1) == [1, 1, 1]
