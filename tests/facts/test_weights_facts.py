"""Facts about weights (D46 to D70), each under its number."""

import pytest
from subnet_bench import (
    NET,
    RUNTIME,
    at,
    bench,
    bonds_of,
    epoch,
    events,
    fails,
    hotkey,
    next_epoch,
    ok,
    permit,
    run,
    stake,
    updated,
    weigh,
    weights_of,
)

from chain.pallets.subtensor.commit_reveal import compute_commit_hash, do_set_reveal_period
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_weights import (
    BatchCompletedWithErrors,
    BatchWeightItemFailed,
    BatchWeightsCompleted,
    WeightsBatchRevealed,
    WeightsCommitted,
    WeightsRevealed,
    WeightsSet,
)
from chain.pallets.subtensor.mechanism import (
    do_set_emission_split,
    do_set_max_mechanism_count,
    do_set_mechanism_count,
    get_emission_parts,
)
from chain.pallets.subtensor.neurons import split_index, storage_index
from chain.pallets.subtensor.storage_commits import WeightCommits
from chain.pallets.subtensor.storage_hyperparameters import (
    CommitRevealWeightsEnabled,
    MaxAllowedUids,
    MaxWeightsLimit,
    MinAllowedWeights,
    RevealPeriodEpochs,
    StakeThreshold,
    WeightsSetRateLimit,
    WeightsVersionKey,
)
from chain.pallets.subtensor.storage_network import (
    MaxMechanismCount,
    MechanismCountCurrent,
    MechanismEmissionSplit,
    NetworksAdded,
    SubnetOwnerHotkey,
)
from chain.pallets.subtensor.storage_neurons import Incentive, LastUpdate, Weights
from chain.runtime.state import State
from ganglion.hashing import blake2_256
from ganglion.units import Hash, MechId, NetUid, Uid

SALT = (7, 8, 9)
OTHER = NetUid(2)


def validator(neurons: int = 4) -> State:
    """A subnet whose uid 0 may set weights."""
    s = bench(neurons)
    permit(s, 0)
    return s


def hidden(period: int = 1, neurons: int = 4) -> State:
    """The same with commit-reveal on."""
    s = validator(neurons)
    s[CommitRevealWeightsEnabled, NET] = True
    s[RevealPeriodEpochs, NET] = period
    return s


def commit_hash(weights: tuple[int, ...], uids: tuple[int, ...] = (1, 2), **other: int) -> Hash:
    version = other.get("version", 0)
    return compute_commit_hash(hotkey(0), storage_index(NET), uids, weights, SALT, version)


def commit(s: State, *weights: int) -> Hash:
    made = commit_hash(weights)
    ok(s, 0, "commit_weights", NET, made)
    return made


def reveal(*weights: int) -> tuple:
    return ("reveal_weights", NET, (1, 2), weights, SALT, 0)


def queued(s: State) -> int:
    return len(s[WeightCommits, storage_index(NET), hotkey(0)] or ())


def test_D46_rows_must_be_sound() -> None:
    s = validator()
    s[MinAllowedWeights, NET] = 2
    fails(s, Error.DuplicateUids, 0, "set_weights", NET, (1, 1), (5, 5), 0)
    fails(s, Error.UidVecContainInvalidOne, 0, "set_weights", NET, (1, 4), (5, 5), 0)
    fails(s, Error.WeightVecNotEqualSize, 0, "set_weights", NET, (1, 2), (5,), 0)
    fails(s, Error.WeightVecLengthIsLow, 0, "set_weights", NET, (1,), (5,), 0)
    fails(s, Error.UidsLengthExceedUidsInSubNet, 0, "set_weights", NET, (1,) * 5, (5,) * 5, 0)
    ok(s, 0, "set_weights", NET, (0,), (5,), 0)
    ok(s, 0, "set_weights", NET, (1, 2), (5, 5), 0)


def test_D46_small_subnets_need_fewer_weights() -> None:
    s = validator(neurons=2)
    s[MinAllowedWeights, NET] = 1024
    fails(s, Error.WeightVecLengthIsLow, 0, "set_weights", NET, (1,), (5,), 0)
    ok(s, 0, "set_weights", NET, (0, 1), (5, 5), 0)


def test_D47_without_permit_only_the_self_weight_passes() -> None:
    s = validator()
    fails(s, Error.NeuronNoValidatorPermit, 1, "set_weights", NET, (2,), (5,), 0)
    fails(s, Error.NeuronNoValidatorPermit, 1, "set_weights", NET, (1, 2), (5, 5), 0)
    ok(s, 1, "set_weights", NET, (1,), (5,), 0)
    s[SubnetOwnerHotkey, NET] = hotkey(2)
    ok(s, 2, "set_weights", NET, (1, 3), (5, 5), 0)


def test_D48_who_is_not_there_or_too_poor() -> None:
    s = validator()
    fails(s, Error.HotKeyNotRegisteredInSubNet, 9, "set_weights", NET, (1,), (5,), 0)
    s[StakeThreshold] = 100
    fails(s, Error.NotEnoughStakeToSetWeights, 0, "set_weights", NET, (1,), (5,), 0)
    stake(s, 99)
    fails(s, Error.NotEnoughStakeToSetWeights, 0, "set_weights", NET, (1,), (5,), 0)
    stake(s, 100)
    ok(s, 0, "set_weights", NET, (1,), (5,), 0)
    s[SubnetOwnerHotkey, NET] = hotkey(2)
    ok(s, 2, "set_weights", NET, (1,), (5,), 0)


@pytest.mark.parametrize(("stored", "key", "fine"), [(0, 0, 1), (0, 9, 1), (5, 5, 1), (5, 4, 0)])
def test_D49_version_key(stored: int, key: int, fine: bool) -> None:
    s = validator()
    s[WeightsVersionKey, NET] = stored
    if fine:
        ok(s, 0, "set_weights", NET, (1,), (5,), key)
    else:
        fails(s, Error.IncorrectWeightVersionKey, 0, "set_weights", NET, (1,), (5,), key)


def test_D50_rate_limit_counts_from_the_latest_update() -> None:
    s = validator()
    s[WeightsSetRateLimit, NET] = 10
    ok(s, 0, "set_weights", NET, (1,), (5,), 0)
    at(s, 109)
    fails(s, Error.SettingWeightsTooFast, 0, "set_weights", NET, (1,), (5,), 0)
    at(s, 110)
    ok(s, 0, "set_weights", NET, (1,), (5,), 0)
    assert updated(s, 0) == 110


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ((0, 1), (0, 65_535)),
        ((65_534,), (65_535,)),
        ((0, 1, 65_534), (0, 1, 65_535)),
        ((0, 0), (0, 0)),
        ((5, 10), (32_768, 65_535)),
    ],
)
def test_D51_values_are_upscaled(given: tuple[int, ...], stored: tuple[int, ...]) -> None:
    s = validator()
    ok(s, 0, "set_weights", NET, tuple(range(1, len(given) + 1)), given, 0)
    assert tuple(weights_of(s, 0).values()) == stored
    assert events(s) == [WeightsSet(storage_index(NET), Uid(0))]


def test_D51_a_row_keeps_its_order() -> None:
    s = validator()
    weigh(s, 0, {3: 1, 1: 2, 2: 0})
    assert list(weights_of(s, 0)) == [3, 1, 2]


def test_D52_commit_reveal_decides_which_calls_there_are() -> None:
    s = validator()
    fails(s, Error.CommitRevealDisabled, 0, "commit_weights", NET, commit_hash((5, 5)))
    fails(s, Error.CommitRevealDisabled, 0, *reveal(5, 5))
    s[CommitRevealWeightsEnabled, NET] = True
    fails(s, Error.CommitRevealEnabled, 0, "set_weights", NET, (1,), (5,), 0)
    fails(s, Error.CommitRevealEnabled, 0, "set_mechanism_weights", NET, MechId(0), (1,), (5,), 0)


def test_D53_the_hash_is_over_the_plain_tuple() -> None:
    uids, weights, salt = bytes([8, 1, 0, 2, 0]), bytes([8, 5, 0, 6, 0]), bytes([4, 9, 0])
    preimage = hotkey(0) + bytes([1, 0x50]) + uids + weights + salt + (7).to_bytes(8, "little")
    index = storage_index(NetUid(1), 5)
    assert compute_commit_hash(hotkey(0), index, (1, 2), (5, 6), (9,), 7) == blake2_256(preimage)


@pytest.mark.parametrize(
    "shown",
    [
        ("reveal_weights", NET, (1, 2), (5, 6), (1, 2), 0),
        ("reveal_weights", NET, (1, 3), (5, 6), SALT, 0),
        ("reveal_weights", NET, (1, 2), (5, 7), SALT, 0),
        ("reveal_weights", NET, (1, 2), (5, 6), SALT, 1),
    ],
)
def test_D53_what_is_shown_must_be_what_was_committed(shown: tuple) -> None:
    s = hidden()
    made = commit(s, 5, 6)
    next_epoch(s)
    fails(s, Error.InvalidRevealCommitHashNotMatch, 0, *shown)
    events(s)
    ok(s, 0, *reveal(5, 6))
    index = storage_index(NET)
    assert events(s) == [WeightsSet(index, Uid(0)), WeightsRevealed(hotkey(0), index, made)]
    assert weights_of(s, 0) == {1: 54_613, 2: 65_535}


def test_D54_a_commit_is_revealed_in_its_epoch_only() -> None:
    s = hidden()
    fails(s, Error.NoWeightsCommitFound, 0, *reveal(5, 6))
    commit(s, 5, 6)
    fails(s, Error.RevealTooEarly, 0, *reveal(5, 6))
    next_epoch(s)
    late = s.child()
    next_epoch(late)
    fails(late, Error.ExpiredWeightCommit, 0, *reveal(5, 6))
    fails(late, Error.NoWeightsCommitFound, 0, *reveal(6, 6))
    assert queued(late) == 1
    ok(s, 0, *reveal(5, 6))
    fails(s, Error.NoWeightsCommitFound, 0, *reveal(5, 6))


def test_D54_an_epoch_that_is_due_counts_already() -> None:
    s = hidden()
    commit(s, 5, 6)
    at(s, 1100)  # the tempo of 1000 has passed, the epoch has not run
    ok(s, 0, *reveal(5, 6))


@pytest.mark.parametrize("period", [1, 2, 100])
def test_D55_the_reveal_period_is_exact(period: int) -> None:
    s = hidden(period)
    commit(s, 5, 6)
    for _ in range(period):
        fails(s, Error.RevealTooEarly, 0, *reveal(5, 6))
        next_epoch(s)
    ok(s, 0, *reveal(5, 6))


def test_D55_the_reveal_period_has_bounds() -> None:
    s = hidden()
    with pytest.raises(Error.RevealPeriodTooSmall):
        do_set_reveal_period(s, NET, 0)
    with pytest.raises(Error.RevealPeriodTooLarge):
        do_set_reveal_period(s, NET, 101)
    do_set_reveal_period(s, NET, 100)
    assert s[RevealPeriodEpochs, NET] == 100


def test_D56_ten_commits_wait_at_most() -> None:
    s = hidden()
    for n in range(10):
        commit(s, 5, n)
    fails(s, Error.TooManyUnrevealedCommits, 0, "commit_weights", NET, commit_hash((6, 6)))
    next_epoch(s)
    next_epoch(s)
    commit(s, 6, 6)
    assert queued(s) == 1


def test_D57_a_reveal_drops_what_came_before() -> None:
    s = hidden()
    for n in range(10):
        commit(s, 5, n)
    next_epoch(s)
    ok(s, 0, *reveal(5, 1))
    assert queued(s) == 8
    fails(s, Error.InvalidRevealCommitHashNotMatch, 0, *reveal(5, 0))
    ok(s, 0, *reveal(5, 9))
    assert (WeightCommits, storage_index(NET), hotkey(0)) not in s


def test_D58_commits_are_rate_limited_and_count_as_updates() -> None:
    s = hidden()
    s[WeightsSetRateLimit, NET] = 10
    commit(s, 5, 5)
    assert updated(s, 0) == 100
    assert events(s, WeightsCommitted) != []
    at(s, 109)
    fails(s, Error.CommittingWeightsTooFast, 0, "commit_weights", NET, commit_hash((6, 6)))
    at(s, 110)
    commit(s, 6, 6)
    next_epoch(s)
    ok(s, 0, *reveal(6, 6))
    assert updated(s, 0) == 110


def batch(*rows: tuple[int, int]) -> tuple:
    count = len(rows)
    return ("batch_reveal_weights", NET, ((1, 2),) * count, rows, (SALT,) * count, (0,) * count)


def test_D60_a_batch_of_reveals_stands_or_falls_together() -> None:
    s = hidden()
    made = [commit(s, 5, n) for n in range(4)]
    next_epoch(s)
    short = ("batch_reveal_weights", NET, ((1, 2),), (), (SALT,), (0,))
    fails(s, Error.InputLengthsUnequal, 0, *short)
    fails(s, Error.InvalidRevealCommitHashNotMatch, 0, *batch((5, 1), (9, 9)))
    assert queued(s) == 4
    events(s)
    ok(s, 0, *batch((5, 3), (5, 1)))
    assert queued(s) == 2
    assert events(s, WeightsBatchRevealed) == [
        WeightsBatchRevealed(hotkey(0), NET, (made[3], made[1]))
    ]
    ok(s, 0, *reveal(5, 2))


def test_D60_a_commit_is_revealed_once_in_a_batch() -> None:
    s = hidden()
    commit(s, 5, 1)
    commit(s, 5, 2)
    next_epoch(s)
    fails(s, Error.InvalidRevealCommitHashNotMatch, 0, *batch((5, 1), (5, 1)))


def test_D61_a_batch_of_weights_reports_each_failure() -> None:
    s = validator()
    s[NetworksAdded, OTHER] = True
    row = ((1, 5), (2, 6))
    ok(s, 0, "batch_set_weights", (NET, OTHER, NET), (row, row, row), (0, 0, 0))
    found = events(s)
    assert found[:2] == [WeightsSet(storage_index(NET), Uid(0))] * 2
    assert found[2] == BatchCompletedWithErrors()
    assert found[3] == BatchWeightItemFailed(OTHER, Error.CommitRevealEnabled().value())
    assert found[4:] == [BatchWeightsCompleted((NET, OTHER, NET), hotkey(0))]
    assert list(weights_of(s, 0)) == [1, 2]


def test_D61_a_batch_without_failures() -> None:
    s = validator()
    fails(s, Error.InputLengthsUnequal, 0, "batch_set_weights", (NET,), (), (0,))
    ok(s, 0, "batch_set_weights", (NET,), (((1, 5),),), (0,))
    assert events(s) == [
        WeightsSet(storage_index(NET), Uid(0)),
        BatchWeightsCompleted((NET,), hotkey(0)),
    ]


def test_D61_a_batch_of_commits_reports_each_failure() -> None:
    s = hidden()
    made = commit_hash((5, 6))
    ok(s, 0, "batch_commit_weights", (OTHER, NET), (made, made))
    assert [type(e) for e in events(s)] == [
        WeightsCommitted,
        BatchCompletedWithErrors,
        BatchWeightItemFailed,
        BatchWeightsCompleted,
    ]
    assert queued(s) == 1


def test_D67_mechanisms_have_their_own_indices() -> None:
    assert storage_index(NetUid(1), 5) == 5 * 4096 + 1
    assert split_index(storage_index(NetUid(4095), 15)) == (4095, 15)
    s = bench(2, mechanisms=2)
    permit(s, 0)
    fails(s, Error.MechanismDoesNotExist, 0, "set_mechanism_weights", NET, 2, (1,), (5,), 0)
    s[CommitRevealWeightsEnabled, OTHER] = False
    fails(s, Error.MechanismDoesNotExist, 0, "set_mechanism_weights", OTHER, 0, (1,), (5,), 0)
    s[CommitRevealWeightsEnabled, NET] = True
    made = commit_hash((5, 5))
    fails(s, Error.MechanismDoesNotExist, 0, "commit_mechanism_weights", NET, 2, made)


def test_D68_mechanism_count_has_bounds() -> None:
    s = bench(2)
    s[MaxAllowedUids, NET] = 128
    for count, error in ((0, Error.InvalidValue), (3, Error.InvalidValue)):
        with pytest.raises(error):
            do_set_mechanism_count(s, NET, MechId(count))
    with pytest.raises(Error.MechanismDoesNotExist):
        do_set_mechanism_count(s, OTHER, MechId(1))
    s[MaxAllowedUids, NET] = 129
    with pytest.raises(Error.TooManyUIDsPerMechanism):
        do_set_mechanism_count(s, NET, MechId(2))
    for count in (0, 17):
        with pytest.raises(Error.InvalidValue):
            do_set_max_mechanism_count(s, MechId(count))
    do_set_max_mechanism_count(s, MechId(16))
    assert s[MaxMechanismCount] == 16


def test_D68_a_dropped_mechanism_leaves_nothing() -> None:
    s = bench(3, mechanisms=2)
    s[MaxAllowedUids, NET] = 128
    permit(s, 0)
    stake(s, 10)
    weigh(s, 0, {1: 5})
    weigh(s, 0, {2: 5}, mecid=1)
    do_set_emission_split(s, NET, (65_535, 0))
    epoch(s)
    index = storage_index(NET, 1)
    assert (Incentive, index) in s
    do_set_mechanism_count(s, NET, MechId(1))
    assert s[MechanismCountCurrent, NET] == 1
    assert bonds_of(s, 0, 1) == weights_of(s, 0, 1) == {}
    assert (Incentive, index) not in s
    assert (LastUpdate, index) not in s
    assert (Weights, index, Uid(0)) not in s
    assert s[MechanismEmissionSplit, NET] is None
    assert list(weights_of(s, 0)) == [1]


def test_D69_emission_is_split_over_mechanisms() -> None:
    s = bench(2, mechanisms=4)
    assert get_emission_parts(s, NET, 10) == [4, 2, 2, 2]
    s[MechanismCountCurrent, NET] = MechId(5)
    s[MechanismEmissionSplit, NET] = (3450, 6899, 10_348, 17_247, 27_594)
    assert get_emission_parts(s, NET, 19) == [1, 2, 3, 5, 8]
    assert get_emission_parts(s, NET, 20) == [2, 2, 3, 5, 8]
    for wrong in ((), (65_534,), (0,) * 5 + (65_535,)):
        with pytest.raises(Error.InvalidValue):
            do_set_emission_split(s, NET, wrong)
    do_set_emission_split(s, NET, None)
    assert s[MechanismEmissionSplit, NET] is None


def test_D70_mechanisms_do_not_touch_each_other() -> None:
    s = bench(3, mechanisms=2)
    permit(s, 0)
    weigh(s, 0, {1: 5}, mecid=1)
    assert weights_of(s, 0) == {}
    assert updated(s, 0) == 0
    assert updated(s, 0, 1) == 100
    assert weights_of(s, 0, 1) == {1: 65_535}


def test_reveals_of_a_mechanism_are_its_own() -> None:
    s = bench(3, mechanisms=2)
    permit(s, 0)
    s[CommitRevealWeightsEnabled, NET] = True
    index = storage_index(NET, 1)
    made = compute_commit_hash(hotkey(0), index, (1,), (5,), SALT, 0)
    ok(s, 0, "commit_mechanism_weights", NET, MechId(1), made)
    next_epoch(s)
    fails(s, Error.NoWeightsCommitFound, 0, "reveal_weights", NET, (1,), (5,), SALT, 0)
    ok(s, 0, "reveal_mechanism_weights", NET, MechId(1), (1,), (5,), SALT, 0)
    assert weights_of(s, 0, 1) == {1: 65_535}


def test_root_takes_no_weights() -> None:
    s = validator()
    s[CommitRevealWeightsEnabled, NetUid(0)] = False
    fails(s, Error.CanNotSetRootNetworkWeights, 0, "set_weights", NetUid(0), (1,), (5,), 0)


def test_a_weight_limit_bounds_the_largest_share() -> None:
    s = validator()
    s[MaxWeightsLimit, NET] = 32_768
    fails(s, Error.MaxWeightExceeded, 0, "set_weights", NET, (1, 2), (1, 2), 0)
    ok(s, 0, "set_weights", NET, (1, 2), (2, 2), 0)
    ok(s, 0, "set_weights", NET, (0,), (2,), 0)


def test_weight_calls_are_free() -> None:
    s = validator()
    assert run(s, 0, "set_weights", NET, (1,), (5,), 0).pays.name == "No"
    entry = RUNTIME.pallets[7].calls
    free = {0, 80, 96, 97, 98, 100, 115, 116, 119}
    assert all(entry[index].pays.name == "No" for index in free)
