"""Subnets without consensus: one validator decides, stake earns, bonds stand still."""

from __future__ import annotations

from dataclasses import replace
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from subnet_bench import (
    NET,
    at,
    bench,
    bonds_of,
    epoch,
    fails,
    hotkey,
    numbers,
    ok,
    permit,
    stake,
    weigh,
    weights_of,
)

from chain.pallets.admin_utils_common import Error as AdminError
from chain.pallets.admin_utils_root import sudo_set_max_allowed_validators
from chain.pallets.subtensor import storage_network as network
from chain.pallets.subtensor import storage_neurons as neurons
from chain.pallets.subtensor.coinbase import get_epoch_cap, run_coinbase
from chain.pallets.subtensor.distribution import do_distribute
from chain.pallets.subtensor.emission import Pending
from chain.pallets.subtensor.epoch import (
    EpochResult,
    get_last_yuma_step,
    get_liquid_consensus,
    read_epoch,
)
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_settings import EpochConsensusSet
from chain.pallets.subtensor.mechanism import do_set_emission_split
from chain.pallets.subtensor.neurons import storage_index
from chain.pallets.subtensor.null_epoch import do_run_null_epoch, do_set_epoch_consensus
from chain.pallets.subtensor.storage_commits import TimelockedWeightCommits
from chain.pallets.subtensor.storage_hyperparameters import (
    BondsPenalty,
    CommitRevealWeightsEnabled,
    LiquidAlphaConsensusMode,
    MaxAllowedUids,
    MaxAllowedValidators,
)
from chain.pallets.subtensor.storage_pool import (
    PendingServerEmission,
    PendingValidatorEmission,
    SubnetAlphaOut,
)
from chain.pallets.subtensor.storage_stake import TotalHotkeyAlpha
from chain.pallets.subtensor.types import ConsensusMode, EpochConsensus
from chain.runtime.state import State
from consensus.yuma import engine, null, reference
from ganglion.fixed import U64_MAX
from ganglion.units import ROOT_NETUID, Alpha, BlockNumber, Hash, Uid

MAIN = storage_index(NET)
NONE = Alpha(0)


def null_bench(*stakes: int, count: int = 4, mechanisms: int = 1) -> State:
    """A Null subnet in which the first uids have stake."""
    s = bench(count, mechanisms=mechanisms)
    stake(s, *stakes)
    do_set_epoch_consensus(s, NET, EpochConsensus.Null)
    return s


def old_row(s: State, uid: int, row: dict[int, int]) -> None:
    """Weights that a uid set while it still could."""
    s[neurons.Weights, MAIN, Uid(uid)] = b"".join(pack("<HH", j, w) for j, w in row.items())
    updates = bytearray(s[neurons.LastUpdate, MAIN])
    updates[8 * uid : 8 * uid + 8] = (100).to_bytes(8, "little")
    s[neurons.LastUpdate, MAIN] = bytes(updates)


def run_null(s: State, miners: int, validators: int, root: int = 0) -> EpochResult:
    """A Null epoch with these amounts."""
    pending = Pending(Alpha(miners), Alpha(validators), Alpha(root), NONE)
    return do_run_null_epoch(s, NET, pending)[0]


def paid(result: EpochResult) -> tuple[list[int], list[int]]:
    """What miners and validators earned, by uid."""
    return list(result.outcome.server_emission), list(result.outcome.validator_emission)


# --- who earns -----------------------------------------------------------------------------------


def test_the_largest_staker_pays_miners_and_stake_earns_even_when_all_are_idle():
    s = null_bench(300_000_000, 100_000_000)
    weigh(s, 0, {2: 3, 3: 1})
    old_row(s, 1, {3: 65_535})
    at(s, 100_000)
    result = run_null(s, 500_000, 500_000)
    assert not any(result.outcome.active)
    assert paid(result) == ([0, 0, 375_000, 125_000], [375_000, 125_000, 0, 0])


def test_of_equal_stakes_the_first_uid_decides():
    s = null_bench(100_000_000, 100_000_000)
    weigh(s, 0, {2: 65_535})
    old_row(s, 1, {3: 65_535})
    assert paid(run_null(s, 500_000, 500_000))[0] == [0, 0, 500_000, 0]


def test_one_rao_more_of_stake_decides():
    s = null_bench(1_000_000_000, 1_000_000_001)
    old_row(s, 0, {2: 65_535})
    weigh(s, 1, {3: 65_535})
    assert paid(run_null(s, 500_000, 500_000))[0] == [0, 0, 0, 500_000]


def test_a_silent_winner_lets_all_share_alike():
    s = null_bench(300_000_000, 100_000_000)
    old_row(s, 1, {3: 65_535})
    assert paid(run_null(s, 500_000, 500_000)) == ([125_000] * 4, [375_000, 125_000, 0, 0])


def test_weights_to_a_replaced_neuron_do_not_count():
    s = null_bench(300_000_000, 100_000_000)
    weigh(s, 0, {2: 65_535})
    s[neurons.BlockAtRegistration, NET, Uid(2)] = BlockNumber(100)
    assert paid(run_null(s, 500_000, 500_000))[0] == [125_000] * 4


def test_miners_share_by_weight_and_earn_for_the_stake_they_have_besides():
    s = null_bench(980_000, 10_000, 10_000, count=3)  # an epoch has paid the miners before
    weigh(s, 0, {1: 3, 2: 1})
    server, validator = paid(run_null(s, 400_000, 400_000))
    assert server == [0, 300_000, 100_000]
    assert validator == [392_000, 4_000, 4_000]


def test_without_stake_miners_get_the_validators_part_and_root_is_recycled():
    s = null_bench()
    s[SubnetAlphaOut, NET] = Alpha(1_000)
    pending = Pending(Alpha(500), Alpha(200), Alpha(300), NONE)
    result, left = do_run_null_epoch(s, NET, pending)
    assert left == Pending(Alpha(700), NONE, NONE, NONE)
    assert paid(result) == ([175] * 4, [0] * 4)
    assert s[SubnetAlphaOut, NET] == 700
    do_distribute(s, NET, left, result.emission)
    assert sum(s[TotalHotkeyAlpha, hotkey(uid), NET] for uid in range(4)) == 700


def test_an_empty_subnet_has_an_empty_epoch():
    s = null_bench(count=0)
    assert paid(run_null(s, 10, 10)) == ([], [])


@pytest.mark.parametrize("budget", [0, 1, 3, 131_071, U64_MAX])
def test_budgets_are_paid_to_the_last_rao(budget):
    s = null_bench(300_000_000, 100_000_000)
    weigh(s, 0, {2: 65_534, 3: 1})
    assert weights_of(s, 0) == {2: 65_534, 3: 1}
    result = run_null(s, budget - budget // 2, budget // 2)
    server, validator = paid(result)
    assert (sum(server), sum(validator)) == (budget - budget // 2, budget // 2)
    stored = numbers(s[neurons.Emission, NET], 8)
    assert stored == [a + b for a, b in zip(server, validator)]


@pytest.mark.parametrize("miners", [0, 1, 2, 3, 5, 501, 1_000_001])
@pytest.mark.parametrize("split", [None, (1, 2, 3, 65_529)])
def test_mechanisms_together_pay_no_more(miners, split):
    s = null_bench(300_000_000, 100_000_000, mechanisms=4)
    do_set_emission_split(s, NET, split)
    server, validator = paid(run_null(s, miners, 200, 300))
    assert (sum(server), sum(validator)) == (miners, 500)
    assert sum(numbers(s[neurons.Emission, NET], 8)) == miners + 500


@given(st.lists(st.integers(0, (1 << 128) - 1), max_size=40), st.integers(0, U64_MAX))
def test_apportioning_conserves_and_follows_shares(shares, amount):
    parts, total = null.apportion(shares, amount), sum(shares)
    assert sum(parts) == (amount if total else 0)
    for share, part in zip(shares, parts):
        floor = amount * share // total if total else 0
        assert part in (floor, floor + 1)
        assert share or not part


# --- the one permit ------------------------------------------------------------------------------


def test_switching_elects_one_validator_and_returns_what_was():
    s = bench(4)
    stake(s, 100, 300)
    s[MaxAllowedValidators, NET] = 128
    do_set_epoch_consensus(s, NET, EpochConsensus.Null)
    assert s[neurons.ValidatorPermit, NET] == bytes([0, 1, 0, 0])
    assert s[MaxAllowedValidators, NET] == 1
    assert s[network.SavedYumaMaxAllowedValidators, NET] == 128
    assert s.events[-1] == EpochConsensusSet(NET, EpochConsensus.Null)
    with pytest.raises(AdminError.InvalidValue):
        sudo_set_max_allowed_validators(s, None, NET, 2)
    s[MaxAllowedUids, NET] = 64
    do_set_epoch_consensus(s, NET, EpochConsensus.Yuma)
    assert s[MaxAllowedValidators, NET] == 64
    assert (network.SavedYumaMaxAllowedValidators, NET) not in s


def test_choosing_what_is_chosen_changes_nothing():
    s = null_bench(100)
    before = s.changes(), len(s.events)
    do_set_epoch_consensus(s, NET, EpochConsensus.Null)
    assert (s.changes(), len(s.events)) == before


def test_root_has_no_epochs_to_choose():
    with pytest.raises(Error.InvalidValue):
        do_set_epoch_consensus(bench(1), ROOT_NETUID, EpochConsensus.Null)


def test_a_switch_waits_for_timelocked_commits():
    s = null_bench(300, 100)
    s[TimelockedWeightCommits, MAIN, 0] = ((hotkey(0), BlockNumber(1), b"\1", 1_000),)
    with pytest.raises(Error.InvalidValue):
        do_set_epoch_consensus(s, NET, EpochConsensus.Yuma)
    del s[TimelockedWeightCommits, MAIN, 0]
    do_set_epoch_consensus(s, NET, EpochConsensus.Yuma)


def test_only_the_elected_validator_is_heard_not_even_the_owner():
    s = null_bench(100, 300)
    s[network.SubnetOwnerHotkey, NET] = hotkey(0)
    for row in ((0,), (2,)):
        fails(s, Error.NeuronNoValidatorPermit, 0, "set_weights", NET, row, (1,), 0)
    s[CommitRevealWeightsEnabled, NET] = True
    fails(s, Error.NeuronNoValidatorPermit, 0, "commit_weights", NET, Hash(bytes(32)))
    timelocked = (NET, b"\1", 1_000, 4)
    fails(s, Error.NeuronNoValidatorPermit, 0, "commit_timelocked_weights", *timelocked)
    fails(s, Error.NeuronNoValidatorPermit, 0, "reveal_weights", NET, (2,), (1,), (1,), 0)
    ok(s, 1, "commit_weights", NET, Hash(bytes(32)))


def test_an_epoch_elects_anew_and_pays_all_stake():
    s = null_bench(300_000_000, 100_000_000)
    stake(s, 300_000_000, 400_000_000)
    result = run_null(s, 350, 350)
    assert paid(result)[1] == [150, 200, 0, 0]
    assert s[neurons.ValidatorPermit, NET] == bytes([0, 1, 0, 0])
    weigh(s, 1, {2: 1, 3: 1})


# --- bonds, and the way back ---------------------------------------------------------------------


def test_bonds_stand_still_and_the_way_back_is_open():
    s = bench(4)
    stake(s, 300_000_000, 100_000_000)
    permit(s, 0, 1)
    weigh(s, 0, {2: 65_535})
    weigh(s, 1, {3: 65_535})
    epoch(s)
    frozen = [bonds_of(s, uid) for uid in range(4)]
    assert any(frozen)
    do_set_epoch_consensus(s, NET, EpochConsensus.Null)
    run_null(s, 500, 500)
    assert [bonds_of(s, uid) for uid in range(4)] == frozen
    do_set_epoch_consensus(s, NET, EpochConsensus.Yuma)
    at(s, s[network.LastMechansimStepBlock, NET] + 10)
    assert sum(epoch(s).outcome.server_emission) > 0


def test_bonds_are_masked_by_the_last_yuma_epoch():
    s = bench(2)
    s[network.LastMechansimStepBlock, NET] = BlockNumber(10)
    assert get_last_yuma_step(s, NET) == 10
    do_set_epoch_consensus(s, NET, EpochConsensus.Null)
    s[network.LastMechansimStepBlock, NET] = BlockNumber(100)
    assert get_last_yuma_step(s, NET) == 10
    do_set_epoch_consensus(s, NET, EpochConsensus.Yuma)
    assert read_epoch(s, NET, MAIN, 0).last_mechanism_step_block == 10


def test_a_due_null_epoch_fills_its_block():
    s = null_bench(100)
    s[network.MaxEpochsPerBlock] = 8
    assert get_epoch_cap(s) == 8
    s[network.PendingEpochAt, NET] = s[network.LastEpochBlock, NET]
    assert get_epoch_cap(s) == 1
    s[network.SubnetEpochConsensus, NET] = EpochConsensus.Yuma
    assert get_epoch_cap(s) == 8


# --- liquid alpha's consensus --------------------------------------------------------------------


def test_liquid_alpha_looks_back_where_it_is_told_to():
    s = bench(2)
    stored = (3, 65_535)
    modes = s[LiquidAlphaConsensusMode, NET], s[BondsPenalty, NET]
    assert modes == (ConsensusMode.Auto, 65_535)
    assert get_liquid_consensus(s, NET, MAIN) is None, "nothing to look back on"
    s[neurons.ConsensusByMechanism, MAIN] = b"\3\0\xff\xff"
    assert get_liquid_consensus(s, NET, MAIN) == stored
    s[BondsPenalty, NET] = 65_534
    assert get_liquid_consensus(s, NET, MAIN) is None
    s[LiquidAlphaConsensusMode, NET] = ConsensusMode.Previous
    assert get_liquid_consensus(s, NET, MAIN) == stored
    s[LiquidAlphaConsensusMode, NET] = ConsensusMode.Current
    assert get_liquid_consensus(s, NET, MAIN) is None


def test_the_consensus_looked_at_moves_bonds():
    s = bench(3)
    stake(s, 100, 100)
    permit(s, 0, 1)
    weigh(s, 0, {2: 65_535})
    weigh(s, 1, {2: 65_535})
    subnet = replace(read_epoch(s, NET, MAIN, 1_000), yuma3_on=True, liquid_alpha_on=True)
    rows = [
        run(replace(subnet, liquid_consensus=seen)).bonds
        for run in (engine.epoch, reference.epoch)
        for seen in (None, (0, 0, 65_535), (0, 0, 0))
    ]
    assert rows[:3] == rows[3:]
    assert rows[0] == rows[1] != rows[2], "here the consensus is one"


# --- through the coinbase ------------------------------------------------------------------------


def test_the_coinbase_runs_a_null_subnet():
    s = null_bench(300_000_000, 100_000_000)
    weigh(s, 0, {2: 3, 3: 1})
    s[network.PendingEpochAt, NET] = s[network.LastEpochBlock, NET]
    s[PendingServerEmission, NET] = Alpha(1_000)
    s[PendingValidatorEmission, NET] = Alpha(1_000)
    before = {uid: s[TotalHotkeyAlpha, hotkey(uid), NET] for uid in range(4)}
    run_coinbase(s, 0)
    gained = [s[TotalHotkeyAlpha, hotkey(uid), NET] - before[uid] for uid in range(4)]
    assert gained == [749, 249, 750, 250], "dividends are floored, as everywhere"
    assert (network.LastYumaStepBlock, NET) in s
    assert s[network.LastYumaStepBlock, NET] == 0, "the switch noted that there was none"
