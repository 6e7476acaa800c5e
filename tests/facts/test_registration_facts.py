"""Facts about registration and its price (A1 to A16), each under its number."""

import pytest
from network_lab import (
    ALICE,
    BOB,
    NET,
    OWNER,
    OWNER_HOT,
    TAO,
    balance,
    emitted,
    fails,
    fund,
    get,
    give_stake,
    has,
    issuance,
    key,
    lab,
    neuron,
    ok,
    put,
    step,
    subnet,
    tao_sum,
)

from chain.pallets.subtensor.accounts import compute_subnet_account
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_network import NeuronRegistered
from chain.pallets.subtensor.registration import update_registration_prices
from chain.pallets.subtensor.vectors import U64, item
from chain.pallets.system import Number
from ganglion.fixed import U64F64

HOT = key(100)


def decay(s, blocks):
    for _ in range(blocks):
        s[Number] += 1
        update_registration_prices(s)


def test_A01_burned_register_seats_the_hotkey_and_takes_the_burn():
    s = lab(block=50)
    subnet(s, Burn=3 * TAO)
    before = balance(s, ALICE)
    ok(s, ALICE, "burned_register", NET, HOT)
    assert get(s, "SubnetworkN", NET) == 1
    assert get(s, "Uids", NET, HOT) == 0
    assert get(s, "Keys", NET, 0) == HOT
    assert get(s, "Owner", HOT) == ALICE
    assert get(s, "IsNetworkMember", HOT, NET)
    assert get(s, "BlockAtRegistration", NET, 0) == 50
    assert item(get(s, "LastUpdate", NET), U64, 0) == 50
    assert emitted(s, NeuronRegistered) == [NeuronRegistered(NET, 0, HOT)]
    assert balance(s, ALICE) == before - 3 * TAO
    assert balance(s, compute_subnet_account(NET)) == 3 * TAO
    assert tao_sum(s) == issuance(s)


def test_A01_bought_alpha_is_destroyed_and_the_tao_stays_in_the_pool():
    s = lab()
    subnet(s, Burn=3 * TAO)
    ok(s, ALICE, "burned_register", NET, HOT)
    assert get(s, "SubnetAlphaOut", NET) == 0
    assert get(s, "SubnetTAO", NET) == 3 * TAO
    assert get(s, "SubnetTaoFlow", NET) == 3 * TAO
    assert get(s, "TotalStake") == 3 * TAO


def test_A02_root_has_no_burned_registration():
    s = lab()
    failure = Error.RegistrationNotPermittedOnRootSubnet
    fails(s, failure, ALICE, "burned_register", 0, HOT)
    fails(s, failure, ALICE, "register_limit", 0, HOT, TAO)


def test_A03_unknown_or_closed_subnets():
    s = lab()
    fails(s, Error.SubnetNotExists, ALICE, "burned_register", NET, HOT)
    subnet(s, NetworkRegistrationAllowed=False)
    fails(s, Error.SubNetRegistrationDisabled, ALICE, "burned_register", NET, HOT)


@pytest.mark.parametrize("rao", [0, TAO - 1])
def test_A04_too_little_balance_stores_nothing(rao):
    s = lab()
    subnet(s)
    fund(s, key(9), rao)
    fails(s, Error.NotEnoughBalanceToStake, key(9), "burned_register", NET, HOT)
    assert not has(s, "Owner", HOT)


def test_A04_exactly_the_burn_pays_what_keeps_the_account_alive():
    s = lab()
    subnet(s)
    fund(s, key(9), TAO)
    ok(s, key(9), "burned_register", NET, HOT)
    assert balance(s, key(9)) == 500


def test_A05_foreign_or_seated_hotkeys():
    s = lab()
    subnet(s)
    ok(s, BOB, "try_associate_hotkey", HOT)
    fails(s, Error.NonAssociatedColdKey, ALICE, "burned_register", NET, HOT)
    ok(s, BOB, "burned_register", NET, HOT)
    fails(s, Error.HotKeyAlreadyRegisteredInSubNet, BOB, "burned_register", NET, HOT)


def test_A06_no_seats_no_burn():
    s = lab()
    subnet(s, MaxAllowedUids=0)
    before = balance(s, ALICE)
    fails(s, Error.NoNeuronIdAvailable, ALICE, "burned_register", NET, HOT)
    assert balance(s, ALICE) == before


def test_A07_a_new_network_starts_with():
    s = lab()
    ok(s, OWNER, "register_network", OWNER_HOT)
    expected = {
        "Burn": TAO,
        "BurnHalfLife": 360,
        "ImmunityPeriod": 5000,
        "MaxAllowedUids": 256,
        "MaxAllowedValidators": 64,
        "MinAllowedWeights": 1,
        "Yuma3On": True,
    }
    assert {name: get(s, name, NET) for name in expected} == expected
    assert get(s, "BurnIncreaseMult", NET) == int(1.26 * 2**64)


def test_A08_the_price_jumps_at_once_and_decays_from_the_next_block():
    s = lab()
    subnet(s, Burn=1000, MinBurn=0, BurnHalfLife=1000, BurnIncreaseMult=2 * U64F64.one)
    ok(s, ALICE, "burned_register", NET, HOT)
    assert get(s, "Burn", NET) == 2000
    decay(s, 1)
    assert get(s, "Burn", NET) == 1998


def test_A09_decay_truncates():
    s = lab()
    subnet(s, Burn=1024, MinBurn=0, BurnHalfLife=2, BurnIncreaseMult=U64F64.one)
    decay(s, 2)
    assert get(s, "Burn", NET) == 511
    decay(s, 2)
    assert get(s, "Burn", NET) == 255


def test_A09_a_half_life_of_zero_never_decays_and_block_1_does_not():
    s = lab(block=0)
    subnet(s, 1, Burn=1024, MinBurn=0, BurnHalfLife=2)
    subnet(s, 2, Burn=1024, MinBurn=0, BurnHalfLife=0)
    decay(s, 1)
    assert get(s, "Burn", 1) == 1024
    decay(s, 9)
    assert get(s, "Burn", 1) < 1024
    assert get(s, "Burn", 2) == 1024


def test_A10_the_price_stays_between_its_bounds():
    s = lab()
    subnet(s, Burn=1, MinBurn=100_000, MaxBurn=150_000, BurnHalfLife=1)
    put(s, "BurnIncreaseMult", NET, 2 * U64F64.one)
    decay(s, 1)
    assert get(s, "Burn", NET) == 100_000
    ok(s, ALICE, "burned_register", NET, HOT)
    assert get(s, "Burn", NET) == 150_000
    decay(s, 1)
    assert get(s, "Burn", NET) == 100_000


def test_A11_registrations_of_the_block_are_counted_and_reset():
    s = lab()
    subnet(s, Burn=1000, MinBurn=0, BurnIncreaseMult=3 * U64F64.one)
    ok(s, ALICE, "burned_register", NET, HOT)
    assert get(s, "Burn", NET) == 3000
    assert get(s, "RegistrationsThisBlock", NET) == 1
    step(s)
    assert get(s, "RegistrationsThisBlock", NET) == 0


MULTI = [
    # start, multiplier, min, max, registrations, final burn, recycled
    (0, 0, 100_000, None, 7, 100_000, 600_000),
    (5, 0, 0, None, 7, 5, 35),
    (7, 1, 0, None, 7, 7, 49),
    (2, 2, 0, 400, 8, 400, 510),
    (3, 3, 0, None, 6, 2187, 1092),
    (4, 4, 0, None, 6, 16_384, 5_460),
    (7, 10, 0, 500_000, 5, 500_000, 77_777),
    (1, 100, 0, 5 * TAO, 5, 5 * TAO, 101_010_101),
    (1, 1000, 0, 50 * TAO, 4, 50 * TAO, 1_001_001_001),
    (5, 1, 0, None, 32, 5, 160),
    (1, 2, 0, None, 20, 1_048_576, 1_048_575),
]


@pytest.mark.parametrize(("start", "mult", "low", "high", "n", "final", "recycled"), MULTI)
def test_A12_many_registrations_in_one_block(start, mult, low, high, n, final, recycled):
    s = lab()
    subnet(s, Burn=start, MinBurn=low, BurnIncreaseMult=mult * U64F64.one)
    if high is not None:
        put(s, "MaxBurn", NET, high)
    fund(s, compute_subnet_account(NET), TAO)  # a few rao alone could not open it
    for i in range(n):
        ok(s, ALICE, "burned_register", NET, key(200 + i))
    assert get(s, "Burn", NET) == final
    assert get(s, "RAORecycledForRegistration", NET) == recycled
    assert get(s, "RegistrationsThisBlock", NET) == n


def test_A13_register_limit():
    s = lab()
    subnet(s, Burn=1000)
    failure = Error.RegistrationPriceLimitExceeded
    fails(s, failure, ALICE, "register_limit", NET, HOT, 999)
    ok(s, ALICE, "register_limit", NET, HOT, 1000)
    assert get(s, "Uids", NET, HOT) == 0


def test_A13_register_limit_checks_the_subnet_first():
    s = lab()
    fails(s, Error.SubnetNotExists, ALICE, "register_limit", NET, HOT, 0)


def test_A14_proof_of_work_is_ignored():
    s = lab()
    subnet(s)
    before = balance(s, ALICE)
    ok(s, ALICE, "register", NET, 999, 7, b"no work", HOT, BOB)
    assert get(s, "Owner", HOT) == ALICE
    assert before - balance(s, ALICE) == TAO


def test_A15_recycled_tao_is_counted_by_subnet():
    s = lab()
    subnet(s, 1, Burn=1000)
    subnet(s, 2, Burn=5000)
    ok(s, ALICE, "burned_register", 1, HOT)
    ok(s, ALICE, "burned_register", 2, HOT)
    assert get(s, "RAORecycledForRegistration", 1) == 1000
    assert get(s, "RAORecycledForRegistration", 2) == 5000


def test_A16_a_registered_hotkey_is_a_delegate():
    s = lab()
    subnet(s)
    ok(s, ALICE, "burned_register", NET, HOT)
    assert get(s, "Delegates", HOT) == 11_796


# --- root ---------------------------------------------------------------------------------------


def test_root_register_seats_once_a_block_and_three_times_an_interval():
    s = lab()
    ok(s, ALICE, "root_register", key(50))
    assert get(s, "Uids", 0, key(50)) == 0
    assert get(s, "Delegates", key(50)) == 11_796
    fails(s, Error.TooManyRegistrationsThisBlock, ALICE, "root_register", key(51))
    for n in (51, 52):
        put(s, "RegistrationsThisBlock", 0, 0)
        ok(s, ALICE, "root_register", key(n))
    put(s, "RegistrationsThisBlock", 0, 0)
    fails(s, Error.TooManyRegistrationsThisInterval, ALICE, "root_register", key(53))


def test_root_interval_is_reset_by_every_block_once_its_epoch_is_due():
    s = lab(block=98)
    put(s, "RegistrationsThisInterval", 0, 3)
    step(s)
    assert get(s, "RegistrationsThisInterval", 0) == 3
    step(s)
    assert get(s, "RegistrationsThisInterval", 0) == 0


def test_full_root_gives_the_weakest_seat_to_more_stake_only():
    s = lab()
    put(s, "MaxAllowedUids", 0, 2)
    for n, amount in ((60, 500), (61, 300)):
        neuron(s, 0, BOB, key(n))
        give_stake(s, 0, BOB, key(n), amount)
    give_stake(s, 0, ALICE, key(62), 300)
    fails(s, Error.StakeTooLowForRoot, ALICE, "root_register", key(62))
    give_stake(s, 0, ALICE, key(62), 1)
    ok(s, ALICE, "root_register", key(62))
    assert get(s, "Keys", 0, 1) == key(62)
    assert not has(s, "Uids", 0, key(61))
