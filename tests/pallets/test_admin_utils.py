"""Every setter: what it writes, whom it admits, when it may run, what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from world import ALICE, BOB, CHARLIE, ROOT, RUNTIME, at_block, fails, last, names, ok, run, world

from chain.pallets import admin_utils_common, aura, grandpa
from chain.pallets.admin_utils_common import Error
from chain.pallets.evm_chain_id import ChainId
from chain.pallets.subtensor import storage_baskets as baskets
from chain.pallets.subtensor import storage_collateral as collateral
from chain.pallets.subtensor import storage_delegation as delegation
from chain.pallets.subtensor import storage_hyperparameters as hyper
from chain.pallets.subtensor import storage_keys as keys
from chain.pallets.subtensor import storage_network as network
from chain.pallets.subtensor import storage_pool as pool
from chain.pallets.subtensor import storage_registration as registration
from chain.pallets.subtensor.errors import Error as SubtensorError
from chain.pallets.subtensor.storage_stake import NominatorMinRequiredStake
from chain.pallets.subtensor.types import ConsensusMode, EpochConsensus, RecycleOrBurnEnum
from chain.runtime.errors import BadOrigin

NET, OWNER = 4, ALICE
ONE = 1 << 64
RECYCLE = RecycleOrBurnEnum.Recycle


def subnet(block: int = 3, tempo: int = 100):
    s = world(block=block)
    s[network.NetworksAdded, NET] = True
    s[network.SubnetOwner, NET] = OWNER
    s[network.Tempo, NET] = tempo
    s[network.LastEpochBlock, NET] = block - 1
    s[hyper.MaxAllowedUids, NET] = 64
    s[hyper.LiquidAlphaOn, NET] = True
    s[network.SubnetworkN, NET] = 10
    return s


# name, arguments after netuid, storage, stored value
OWNERS: list[tuple[str, tuple[Any, ...], Any, Any]] = [
    ("serving_rate_limit", (7,), hyper.ServingRateLimit, 7),
    ("max_difficulty", (9,), registration.MaxDifficulty, 9),
    ("weights_version_key", (3,), hyper.WeightsVersionKey, 3),
    ("adjustment_alpha", (5,), registration.AdjustmentAlpha, 5),
    ("immunity_period", (11,), hyper.ImmunityPeriod, 11),
    ("min_allowed_weights", (2,), hyper.MinAllowedWeights, 2),
    ("collateral_lock_share", (9,), collateral.CollateralLockShare, 9),
    ("collateral_drain_ratio", (9,), collateral.CollateralDrainRatio, 9),
    ("max_allowed_uids", (80,), hyper.MaxAllowedUids, 80),
    ("rho", (12,), hyper.Rho, 12),
    ("activity_cutoff", (400,), hyper.ActivityCutoff, 400),
    ("activity_cutoff_factor", (2_000,), hyper.ActivityCutoffFactorMilli, 2_000),
    ("min_burn", (600_000,), registration.MinBurn, 600_000),
    ("max_burn", (10**9,), registration.MaxBurn, 10**9),
    ("bonds_moving_average", (975_000,), hyper.BondsMovingAverage, 975_000),
    ("bonds_penalty", (1,), hyper.BondsPenalty, 1),
    ("commit_reveal_weights_enabled", (False,), hyper.CommitRevealWeightsEnabled, False),
    ("liquid_alpha_enabled", (True,), hyper.LiquidAlphaOn, True),
    ("alpha_values", (1638, 60_000), hyper.AlphaValues, (1638, 60_000)),
    (
        "liquid_alpha_consensus_mode",
        (ConsensusMode.Previous,),
        hyper.LiquidAlphaConsensusMode,
        ConsensusMode.Previous,
    ),
    (
        "epoch_consensus",
        (EpochConsensus.Null,),
        network.SubnetEpochConsensus,
        EpochConsensus.Null,
    ),
    ("commit_reveal_weights_interval", (4,), hyper.RevealPeriodEpochs, 4),
    ("toggle_transfer", (False,), hyper.TransferToggle, False),
    ("alpha_sigmoid_steepness", (500,), hyper.AlphaSigmoidSteepness, 500),
    ("yuma3_enabled", (True,), hyper.Yuma3On, True),
    ("bonds_reset_enabled", (True,), hyper.BondsResetOn, True),
    ("owner_immune_neuron_limit", (3,), hyper.ImmuneOwnerUidsLimit, 3),
    ("mechanism_count", (2,), network.MechanismCountCurrent, 2),
    ("mechanism_emission_split", ((65_535,),), network.MechanismEmissionSplit, (65_535,)),
    (
        "recycle_or_burn",
        (RecycleOrBurnEnum.Recycle,),
        hyper.RecycleOrBurn,
        RecycleOrBurnEnum.Recycle,
    ),
    ("burn_half_life", (100,), registration.BurnHalfLife, 100),
    ("burn_increase_mult", (2 * ONE,), registration.BurnIncreaseMult, 2 * ONE),
    ("min_childkey_take_per_subnet", (9,), delegation.MinChildkeyTakePerSubnet, 9),
    ("owner_cut_enabled", (False,), hyper.OwnerCutEnabled, False),
    ("owner_cut_auto_lock_enabled", (True,), hyper.OwnerCutAutoLockEnabled, True),
]
UNLIMITED = {"owner_cut_enabled", "owner_cut_auto_lock_enabled"}

ROOTS: list[tuple[str, tuple[Any, ...], Any, Any]] = [
    ("min_difficulty", (5,), registration.MinDifficulty, 5),
    ("weights_set_rate_limit", (6,), hyper.WeightsSetRateLimit, 6),
    ("adjustment_interval", (7,), registration.AdjustmentInterval, 7),
    ("kappa", (8,), hyper.Kappa, 8),
    ("network_registration_allowed", (False,), network.NetworkRegistrationAllowed, False),
    ("target_registrations_per_interval", (3,), registration.TargetRegistrationsPerInterval, 3),
    ("difficulty", (10,), registration.Difficulty, 10),
    ("max_allowed_validators", (64,), hyper.MaxAllowedValidators, 64),
    ("max_registrations_per_block", (4,), registration.MaxRegistrationsPerBlock, 4),
    ("rao_recycled", (99,), registration.RAORecycledForRegistration, 99),
    ("ema_price_halving_period", (77,), hyper.EMAPriceHalvingBlocks, 77),
    ("subtoken_enabled", (True,), network.SubtokenEnabled, True),
    ("min_allowed_uids", (5,), hyper.MinAllowedUids, 5),
    ("min_non_immune_uids", (6,), hyper.MinNonImmuneUids, 6),
    ("subnet_emission_enabled", (False,), hyper.SubnetEmissionEnabled, False),
]
FREE_OF_WINDOW = {
    "weights_set_rate_limit",
    "adjustment_interval",
    "kappa",
    "network_registration_allowed",
    "rao_recycled",
    "ema_price_halving_period",
    "min_non_immune_uids",
    "subnet_emission_enabled",
}

GLOBALS: list[tuple[str, Any, Any]] = [
    ("basket_concentration_cap", 9, baskets.BasketConcentrationCap),
    ("basket_daily_turnover_cap", 9, baskets.BasketDailyTurnoverCap),
    ("basket_liquidity_cap", 9, baskets.BasketLiquidityCap),
    ("basket_trading_enabled", True, baskets.BasketTradingEnabled),
    ("evm_chain_id", 945, ChainId),
    ("default_take", 9_000, delegation.MaxDelegateTake),
    ("tx_rate_limit", 5, registration.TxRateLimit),
    ("subnet_owner_cut", 100, pool.SubnetOwnerCut),
    ("network_rate_limit", 4, network.NetworkRateLimit),
    ("network_immunity_period", 8, network.NetworkImmunityPeriod),
    ("network_min_lock_cost", 10**9, network.NetworkMinLockCost),
    ("subnet_limit", 12, network.SubnetLimit),
    ("lock_reduction_interval", 10, network.NetworkLockReductionInterval),
    ("stake_threshold", 1_000, hyper.StakeThreshold),
    ("nominator_min_required_stake", 500, NominatorMinRequiredStake),
    ("tx_delegate_take_rate_limit", 3, registration.TxDelegateTakeRateLimit),
    ("min_delegate_take", 7, delegation.MinDelegateTake),
    ("dissolve_network_schedule_duration", 9, network.DissolveNetworkScheduleDuration),
    ("subnet_moving_alpha", 1 << 31, pool.SubnetMovingAlpha),
    ("commit_reveal_version", 5, hyper.CommitRevealWeightsVersion),
    ("ck_burn", 6, pool.CKBurn),
    ("admin_freeze_window", 2, registration.AdminFreezeWindow),
    ("owner_hparam_rate_limit", 3, registration.OwnerHyperparamRateLimit),
    ("tao_flow_cutoff", -5, pool.TaoFlowCutoff),
    ("tao_flow_normalization_exponent", ONE, pool.FlowNormExponent),
    ("tao_flow_smoothing_factor", 8, pool.FlowEmaSmoothingFactor),
    ("net_tao_flow_enabled", False, pool.NetTaoFlowEnabled),
    ("start_call_delay", 15, network.StartCallDelay),
    ("coldkey_swap_announcement_delay", 16, keys.ColdkeySwapAnnouncementDelay),
    ("coldkey_swap_reannouncement_delay", 17, keys.ColdkeySwapReannouncementDelay),
    ("max_mechanism_count", 5, network.MaxMechanismCount),
    ("max_epochs_per_block", 6, network.MaxEpochsPerBlock),
]


def path(name: str) -> str:
    return f"AdminUtils.sudo_set_{name}"


@pytest.mark.parametrize(("name", "args", "item", "value"), OWNERS, ids=lambda v: str(v)[:30])
def test_owners_and_root_may(name, args, item, value):
    for who in (ROOT, OWNER):
        s = subnet()
        ok(s, who, path(name), NET, *args)
        assert s[item, NET] == value
    s = subnet()
    fails(s, BadOrigin, BOB, path(name), NET, *args)


@pytest.mark.parametrize(("name", "args", "item", "value"), OWNERS, ids=lambda v: str(v)[:30])
def test_owners_wait_between_changes_and_root_does_not(name, args, item, value):
    if name in UNLIMITED:
        pytest.skip("has no rate limit")
    s = subnet(tempo=100)
    ok(s, OWNER, path(name), NET, *args)
    if name.startswith("mechanism"):  # one block apart on fast blocks
        at_block(s, 4)
        ok(s, OWNER, path(name), NET, *args)
        return
    fails(s, SubtensorError.TxRateLimitExceeded, OWNER, path(name), NET, *args)
    ok(s, ROOT, path(name), NET, *args)
    tempos = 5 if name == "weights_version_key" else 2
    at_block(s, 3 + 100 * tempos - 1)
    s[network.LastEpochBlock, NET] = 3 + 100 * tempos - 2
    fails(s, SubtensorError.TxRateLimitExceeded, OWNER, path(name), NET, *args)
    at_block(s, 3 + 100 * tempos)
    ok(s, OWNER, path(name), NET, *args)


@pytest.mark.parametrize(("name", "args", "item", "value"), OWNERS, ids=lambda v: str(v)[:30])
def test_nobody_changes_settings_shortly_before_an_epoch(name, args, item, value):
    s = subnet(block=95, tempo=100)
    s[network.LastEpochBlock, NET] = 1
    window = SubtensorError.AdminActionProhibitedDuringWeightsWindow
    fails(s, window, OWNER, path(name), NET, *args)
    if name == "activity_cutoff_factor":
        ok(s, ROOT, path(name), NET, *args)
    else:
        fails(s, window, ROOT, path(name), NET, *args)
    at_block(s, 50)
    s[network.PendingEpochAt, NET] = 55
    fails(s, window, OWNER, path(name), NET, *args)


@pytest.mark.parametrize(("name", "args", "item", "value"), ROOTS, ids=lambda v: str(v)[:30])
def test_root_alone_may(name, args, item, value):
    s = subnet()
    s[hyper.MinAllowedUids, NET] = 1
    for who in (OWNER, BOB):
        fails(s, BadOrigin, who, path(name), NET, *args)
    ok(s, ROOT, path(name), NET, *args)
    assert s[item, NET] == value
    frozen = subnet(block=95, tempo=100)
    frozen[network.LastEpochBlock, NET] = 1
    result = run(frozen, ROOT, path(name), NET, *args)
    assert (result.error is None) == (name in FREE_OF_WINDOW)


@pytest.mark.parametrize(("name", "value", "item"), GLOBALS, ids=lambda v: str(v)[:30])
def test_settings_of_the_chain(name, value, item):
    s = world()
    fails(s, BadOrigin, ALICE, path(name), value)
    ok(s, ROOT, path(name), value)
    assert s[item] == value


def test_every_setter_is_tested():
    listed = {path(row[0]) for row in [*OWNERS, *ROOTS, *GLOBALS]}
    apart = {
        "swap_authorities",
        "schedule_grandpa_change",
        "sudo_set_tempo",
        "sudo_set_sn_owner_hotkey",
        "sudo_trim_to_max_allowed_uids",
        "sudo_set_total_issuance",
        "sudo_set_network_pow_registration_allowed",
        "sudo_set_basket_trading_frozen",  # tests/facts/test_basket_trades.py
    }
    calls = {f"AdminUtils.{c.name}" for c in RUNTIME.by_name["AdminUtils"].calls.values()}
    assert calls == listed | {f"AdminUtils.{name}" for name in apart}


MISSING = [
    "max_difficulty",
    "weights_version_key",
    "adjustment_alpha",
    "immunity_period",
    "min_allowed_weights",
    "max_allowed_uids",
    "rho",
    "activity_cutoff",
    "min_burn",
    "max_burn",
    "bonds_moving_average",
    "bonds_penalty",
    "commit_reveal_weights_enabled",
    "commit_reveal_weights_interval",
    "alpha_sigmoid_steepness",
    "burn_half_life",
    "burn_increase_mult",
    "min_childkey_take_per_subnet",
    "owner_cut_enabled",
    "weights_set_rate_limit",
    "adjustment_interval",
    "kappa",
    "difficulty",
    "rao_recycled",
    "subnet_emission_enabled",
    "min_difficulty",
]


@pytest.mark.parametrize("name", MISSING)
def test_a_subnet_must_exist(name):
    args = next(row[1] for row in [*OWNERS, *ROOTS] if row[0] == name)
    s = subnet()
    s[registration.AdminFreezeWindow] = 0
    fails(s, Error.SubnetDoesNotExist, ROOT, path(name), 9, *args)


def test_a_subnet_without_epochs_cannot_choose_their_consensus():
    s = subnet()  # the freeze window is on: that the subnet exists is looked at before it
    absent = (path("epoch_consensus"), 9, EpochConsensus.Null)
    fails(s, SubtensorError.SubnetNotExists, ROOT, *absent)
    fails(s, BadOrigin, OWNER, *absent)


@pytest.mark.parametrize(
    ("name", "args", "failure"),
    [
        ("max_allowed_uids", (63,), Error.MaxAllowedUidsLessThanMinAllowedUids),
        ("max_allowed_uids", (257,), Error.MaxAllowedUidsGreaterThanDefaultMaxAllowedUids),
        ("activity_cutoff", (359,), SubtensorError.ActivityCutoffTooLow),
        ("activity_cutoff_factor", (999,), SubtensorError.ActivityCutoffFactorMilliOutOfBounds),
        ("min_burn", (10**9,), Error.ValueNotInBounds),
        ("max_burn", (10**8,), Error.ValueNotInBounds),
        ("bonds_moving_average", (975_001,), Error.BondsMovingAverageMaxReached),
        ("alpha_values", (1637, 60_000), SubtensorError.AlphaLowOutOfRange),
        ("alpha_values", (50_000, 40_000), SubtensorError.AlphaLowOutOfRange),
        ("alpha_values", (1638, 1637), SubtensorError.AlphaHighTooLow),
        ("commit_reveal_weights_interval", (0,), SubtensorError.RevealPeriodTooSmall),
        ("commit_reveal_weights_interval", (101,), SubtensorError.RevealPeriodTooLarge),
        ("alpha_sigmoid_steepness", (-1,), Error.NegativeSigmoidSteepness),
        ("owner_immune_neuron_limit", (0,), SubtensorError.InvalidValue),
        ("owner_immune_neuron_limit", (11,), SubtensorError.InvalidValue),
        ("mechanism_count", (0,), SubtensorError.InvalidValue),
        ("mechanism_count", (3,), SubtensorError.InvalidValue),
        ("mechanism_emission_split", ((1, 2),), SubtensorError.InvalidValue),
        ("burn_half_life", (0,), Error.InvalidValue),
        ("burn_half_life", (36_101,), Error.InvalidValue),
        ("burn_increase_mult", (ONE - 1,), Error.InvalidValue),
        ("burn_increase_mult", (3 * ONE + 1,), Error.InvalidValue),
        ("min_childkey_take_per_subnet", (11_797,), Error.InvalidValue),
    ],
)
def test_I151_bounds(name, args, failure):
    fails(subnet(), failure, OWNER, path(name), NET, *args)


def test_I151_the_floor_of_the_burn_stays_under_its_ceiling():
    s = subnet()
    ok(s, ROOT, path("max_burn"), NET, 2 * 10**8)
    fails(s, Error.ValueNotInBounds, ROOT, path("min_burn"), NET, 2 * 10**8)
    ok(s, ROOT, path("min_burn"), NET, 2 * 10**8 - 1)
    fails(s, Error.ValueNotInBounds, ROOT, path("max_burn"), NET, 2 * 10**8 - 1)


def test_roots_bounds():
    s = subnet()
    too_many = Error.MaxValidatorsLargerThanMaxUIds
    fails(s, too_many, ROOT, path("max_allowed_validators"), NET, 65)
    path_ = path("min_allowed_uids")
    fails(s, Error.MinAllowedUidsGreaterThanMaxAllowedUids, ROOT, path_, NET, 64)
    fails(s, Error.MinAllowedUidsGreaterThanCurrentUids, ROOT, path_, NET, 10)
    s[network.SubnetworkN, NET] = 64
    s[hyper.MinAllowedUids, NET] = 1
    failure = Error.MaxAllowedUIdsLessThanCurrentUIds
    fails(s, failure, ROOT, path("max_allowed_uids"), NET, 63)
    fails(s, Error.ValueNotInBounds, ROOT, path("max_epochs_per_block"), 0)
    fails(s, Error.InvalidValue, ROOT, path("tao_flow_normalization_exponent"), 2 * ONE + 1)
    s[network.NetworksAdded, 0] = True
    s[registration.AdminFreezeWindow] = 0
    for name, args in (("burn_half_life", (5,)), ("owner_cut_enabled", (True,))):
        fails(s, Error.NotPermittedOnRootSubnet, ROOT, path(name), 0, *args)


def test_I151_liquid_alpha_must_be_on_for_its_values():
    s = subnet()
    s[hyper.LiquidAlphaOn, NET] = False
    fails(s, SubtensorError.LiquidAlphaDisabled, OWNER, path("alpha_values"), NET, 1638, 60_000)


def test_root_may_use_any_steepness():
    s = subnet()
    ok(s, ROOT, path("alpha_sigmoid_steepness"), NET, -7)
    assert s[hyper.AlphaSigmoidSteepness, NET] == -7


def test_owners_choose_a_tempo_within_bounds_and_root_any():
    s = subnet(block=20, tempo=400)
    fails(s, SubtensorError.TempoOutOfBounds, OWNER, path("tempo"), NET, 359)
    ok(s, OWNER, path("tempo"), NET, 500)
    assert s[network.LastEpochBlock, NET] == 20
    fails(s, SubtensorError.TxRateLimitExceeded, OWNER, path("tempo"), NET, 600)
    ok(s, ROOT, path("tempo"), NET, 10)
    assert s[network.Tempo, NET] == 10
    fails(s, BadOrigin, BOB, path("tempo"), NET, 500)


def test_the_owners_hotkey_changes_once_a_week():
    s = subnet()
    ok(s, OWNER, path("sn_owner_hotkey"), NET, BOB)
    assert s[network.SubnetOwnerHotkey, NET] == BOB
    fails(s, SubtensorError.TxRateLimitExceeded, ROOT, path("sn_owner_hotkey"), NET, CHARLIE)
    at_block(s, 3 + 50_400)
    ok(s, OWNER, path("sn_owner_hotkey"), NET, CHARLIE)


def test_retired_setters_always_fail():
    s = subnet()
    fails(s, Error.Deprecated, ROOT, path("total_issuance"), 5)
    retired = path("network_pow_registration_allowed")
    fails(s, Error.POWRegistrationDisabled, ROOT, retired, NET, True)


def test_authors_and_voters():
    s = world()
    ok(s, ROOT, "AdminUtils.swap_authorities", (BOB, CHARLIE))
    assert s[aura.Authorities] == (BOB, CHARLIE)
    assert s.logs[-1]._0 == b"aura"
    voters = ((BOB, 1),)
    late = Error.GrandpaChangeDelayMustBeZero
    fails(s, late, ROOT, "AdminUtils.schedule_grandpa_change", voters, 1, None)
    ok(s, ROOT, "AdminUtils.schedule_grandpa_change", voters, 0, None)
    pending = grandpa.Error.ChangePending
    fails(s, pending, ROOT, "AdminUtils.schedule_grandpa_change", voters, 0, None)
    fails(s, BadOrigin, ALICE, "AdminUtils.swap_authorities", (BOB,))


def test_events_name_what_changed():
    s = subnet()
    ok(s, OWNER, path("yuma3_enabled"), NET, True)
    assert last(s, admin_utils_common.Yuma3EnableToggled).enabled
    ok(s, OWNER, path("bonds_reset_enabled"), NET, True)
    assert names(s)[-2:] == ["SubtensorModule.BondsResetOnSet", "AdminUtils.BondsResetToggled"]
