"""Voting power follows the stake of validators from epoch to epoch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network_lab import (
    ALICE,
    BOB,
    NET,
    OWNER,
    SUDO,
    TAO,
    at,
    emitted,
    fails,
    get,
    give_stake,
    has,
    key,
    lab,
    neuron,
    ok,
    put,
    subnet,
)

from chain.pallets.subtensor.epoch import do_run_epoch
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_stake import StakeAndHotkeyTransferred
from chain.pallets.subtensor.share_pool import get_stake
from chain.pallets.subtensor.voting_power import (
    GRACE_PERIOD,
    ONE,
    compute_average,
    update_voting_power,
)
from chain.pallets.system import Number
from chain.runtime.errors import BadOrigin
from ganglion.fixed import U64_MAX

HOT, OTHER_HOT = key(100), key(101)


def tracked(weight=ONE // 2):
    """HOT validates with 100 alpha; OTHER_HOT has no stake."""
    s = lab(block=1_000)
    subnet(s)
    neuron(s, NET, ALICE, HOT)
    neuron(s, NET, BOB, OTHER_HOT)
    give_stake(s, NET, ALICE, HOT, 100 * TAO)
    ok(s, OWNER, "enable_voting_power_tracking", NET)
    ok(s, SUDO, "sudo_set_voting_power_ema_alpha", NET, weight)
    return s


def epoch(s):
    update_voting_power(s, NET, do_run_epoch(s, NET, TAO))


def test_it_approaches_the_stake():
    s = tracked()
    seen = []
    for _ in range(3):
        epoch(s)
        seen.append(get(s, "VotingPower", NET, HOT))
    assert seen == [50 * TAO, 75 * TAO, 87 * TAO + TAO // 2]
    assert get(s, "TotalVotingPower", NET) == seen[-1]
    assert not has(s, "VotingPower", NET, OTHER_HOT)


def test_it_is_not_kept_unless_asked_for():
    s = tracked()
    put(s, "VotingPowerTrackingEnabled", NET, False)
    epoch(s)
    assert not has(s, "VotingPower", NET, HOT)


def test_who_leaves_or_falls_under_the_threshold_is_forgotten():
    s = tracked()
    epoch(s)
    put(s, "VotingPower", NET, key(999), TAO)
    put(s, "StakeThreshold", 40 * TAO)
    ok(s, ALICE, "burn_alpha", HOT, 55 * TAO, NET)
    epoch(s)
    assert get(s, "VotingPower", NET, HOT) == 47 * TAO + TAO // 2
    assert not has(s, "VotingPower", NET, key(999))
    put(s, "StakeThreshold", 47 * TAO)
    put(s, "MaxAllowedValidators", NET, 2)
    epoch(s)
    assert not has(s, "VotingPower", NET, HOT)
    assert not has(s, "TotalVotingPower", NET)


def test_it_ends_two_weeks_after_the_request():
    s = tracked()
    epoch(s)
    fails(s, BadOrigin, ALICE, "disable_voting_power_tracking", NET)
    ok(s, OWNER, "disable_voting_power_tracking", NET)
    assert get(s, "VotingPowerDisableAtBlock", NET) == 1_000 + GRACE_PERIOD
    at(s, s[Number] + GRACE_PERIOD - 1)
    epoch(s)
    assert has(s, "VotingPower", NET, HOT)
    at(s, s[Number] + 1)
    epoch(s)
    assert not has(s, "VotingPower", NET, HOT)
    failure = Error.VotingPowerTrackingNotEnabled
    fails(s, failure, OWNER, "disable_voting_power_tracking", NET)


def test_the_weight_is_bounded():
    s = tracked()
    failure = Error.InvalidVotingPowerEmaAlpha
    fails(s, failure, SUDO, "sudo_set_voting_power_ema_alpha", NET, ONE + 1)
    fails(s, BadOrigin, OWNER, "sudo_set_voting_power_ema_alpha", NET, ONE)


@given(st.integers(0, U64_MAX), st.integers(0, U64_MAX), st.integers(0, ONE))
def test_an_average_lies_between(stake, previous, weight):
    low, high = sorted((stake, previous))
    assert low - 1 <= compute_average(stake, previous, weight) <= high


@pytest.mark.parametrize(
    ("name", "item", "value"),
    [
        ("sudo_set_tx_childkey_take_rate_limit", "TxChildkeyTakeRateLimit", 77),
        ("sudo_set_min_childkey_take", "MinChildkeyTake", 10),
        ("sudo_set_max_childkey_take", "MaxChildkeyTake", 5_000),
        ("set_pending_childkey_cooldown", "PendingChildKeyCooldown", 30),
    ],
)
def test_root_settings_of_children(name, item, value):
    s = lab()
    fails(s, BadOrigin, ALICE, name, value)
    ok(s, SUDO, name, value)
    assert get(s, item) == value


def test_stake_can_change_owner_and_hotkey_at_once():
    s = tracked()
    ok(s, ALICE, "transfer_stake_and_hotkey", BOB, HOT, OTHER_HOT, NET, NET, 30 * TAO)
    assert get_stake(s, HOT, ALICE, NET) == 70 * TAO
    assert get_stake(s, OTHER_HOT, BOB, NET) == 30 * TAO
    keys = (ALICE, BOB, HOT, OTHER_HOT)
    assert emitted(s, StakeAndHotkeyTransferred) == [
        StakeAndHotkeyTransferred(*keys, NET, NET, 30 * TAO)
    ]
