"""Facts about owners' clocks, endpoints and identities (I149 to I154), each under its number."""

import pytest
from network_lab import (
    ALICE,
    NET,
    OWNER,
    OWNER_HOT,
    RUNTIME,
    SUDO,
    at,
    emitted,
    fails,
    get,
    has,
    key,
    lab,
    neuron,
    ok,
    put,
    subnet,
)

from chain.pallets.subtensor.clock import get_clock
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_network import AxonServed, PrometheusServed
from chain.pallets.subtensor.events_weights import EpochTriggered
from chain.pallets.subtensor.permissions import is_frozen
from chain.pallets.subtensor.types import AxonInfo, NeuronCertificate
from chain.runtime.errors import BadOrigin
from chain.runtime.extension import Context
from chain.runtime.validity import InvalidTransaction

HOT = key(70)


def clocked(**settings):
    """A subnet of tempo 400 whose cycle began in block 1000, commit-reveal off."""
    s = lab(1000)
    subnet(s, Tempo=400, LastEpochBlock=1000, CommitRevealWeightsEnabled=False, **settings)
    return s


def test_I149_settings_freeze_shortly_before_an_epoch():
    s = lab(8)
    subnet(s, Tempo=10, LastEpochBlock=0)
    put(s, "AdminFreezeWindow", 3)
    assert is_frozen(s, NET)
    at(s, 7)
    assert not is_frozen(s, NET)
    put(s, "PendingEpochAt", NET, 8)
    assert is_frozen(s, NET)
    put(s, "Tempo", NET, 0)
    assert not is_frozen(s, NET)


def test_I149_frozen_settings_are_refused():
    s = clocked()
    at(s, 1395)
    failure = Error.AdminActionProhibitedDuringWeightsWindow
    fails(s, failure, OWNER, "set_tempo", NET, 360)
    fails(s, failure, OWNER, "set_activity_cutoff_factor", NET, 1000)
    ok(s, SUDO, "set_activity_cutoff_factor", NET, 1000)


def test_I150_an_owner_waits_two_tempos_and_root_does_not():
    s = clocked()
    ok(s, OWNER, "set_activity_cutoff_factor", NET, 2000)
    put(s, "LastEpochBlock", NET, 1700)
    at(s, 1799)
    failure = Error.TxRateLimitExceeded
    fails(s, failure, OWNER, "set_activity_cutoff_factor", NET, 3000)
    ok(s, SUDO, "set_activity_cutoff_factor", NET, 4000)
    at(s, 1800)
    ok(s, OWNER, "set_activity_cutoff_factor", NET, 3000)
    assert get(s, "ActivityCutoffFactorMilli", NET) == 3000
    for factor in (999, 50_001):
        failure = Error.ActivityCutoffFactorMilliOutOfBounds
        fails(s, failure, SUDO, "set_activity_cutoff_factor", NET, factor)
    fails(s, BadOrigin, ALICE, "set_activity_cutoff_factor", NET, 1000)


@pytest.mark.parametrize("tempo", [359, 50_401, 0])
def test_I152_tempo_bounds(tempo):
    fails(clocked(), Error.TempoOutOfBounds, OWNER, "set_tempo", NET, tempo)


def test_I152_a_new_tempo_starts_a_new_cycle():
    s = clocked()
    at(s, 1100)
    fails(s, BadOrigin, ALICE, "set_tempo", NET, 500)
    ok(s, OWNER, "set_tempo", NET, 500)
    assert get_clock(s, NET).next_start() == 1600
    at(s, 1459)
    fails(s, Error.TxRateLimitExceeded, OWNER, "set_tempo", NET, 600)
    at(s, 1460)
    ok(s, OWNER, "set_tempo", NET, 600)


def test_I152_triggering_an_epoch():
    s = clocked()
    put(s, "CommitRevealWeightsEnabled", NET, True)
    fails(s, Error.DynamicTempoBlockedByCommitReveal, OWNER, "trigger_epoch", NET)
    put(s, "CommitRevealWeightsEnabled", NET, False)
    at(s, 1391)
    fails(s, Error.AutoEpochAlreadyImminent, OWNER, "trigger_epoch", NET)
    at(s, 1100)
    fails(s, BadOrigin, ALICE, "trigger_epoch", NET)
    ok(s, OWNER, "trigger_epoch", NET)
    assert emitted(s, EpochTriggered) == [EpochTriggered(NET, OWNER, 1110)]
    assert get_clock(s, NET).next_start() == 1110
    fails(s, Error.EpochTriggerAlreadyPending, OWNER, "trigger_epoch", NET)
    put(s, "PendingEpochAt", NET, 0)
    fails(s, Error.TxRateLimitExceeded, OWNER, "trigger_epoch", NET)


def test_I152_a_subnet_without_tempo_has_no_next_epoch():
    s = clocked()
    put(s, "Tempo", NET, 0)
    assert get_clock(s, NET).next_start() is None


# --- endpoints ----------------------------------------------------------------------------------

IP = 0x08080808


def served(block=100):
    s = lab(block)
    subnet(s)
    neuron(s, NET, ALICE, HOT)
    return s


def axon(ip=IP, port=8091, ip_type=4):
    return (NET, 1, ip, port, ip_type, 4, 0, 0)


def test_I153_serving_an_axon():
    s = served()
    ok(s, HOT, "serve_axon", *axon())
    assert get(s, "Axons", NET, HOT) == AxonInfo(100, 1, IP, 8091, 4, 4, 0, 0)
    assert emitted(s, AxonServed) == [AxonServed(NET, HOT)]
    at(s, 149)
    fails(s, Error.ServingRateLimitExceeded, HOT, "serve_axon", *axon())
    at(s, 150)
    ok(s, HOT, "serve_axon", *axon(port=1))


REFUSED = [
    (axon(ip_type=5), Error.InvalidIpType),
    (axon(ip=0x7F000001), Error.InvalidIpAddress),
    (axon(ip=0xFFFFFFFF), Error.InvalidIpAddress),
    (axon(ip=1, ip_type=6), Error.InvalidIpAddress),
    (axon(ip=(1 << 128) - 1, ip_type=6), Error.InvalidIpAddress),
    (axon(port=0), Error.InvalidPort),
]


@pytest.mark.parametrize(("args", "failure"), REFUSED)
def test_I153_endpoints_nobody_could_reach(args, failure):
    s = served()
    fails(s, failure, HOT, "serve_axon", *args)
    fails(s, failure, HOT, "serve_axon_tls", *args, b"")
    fails(s, failure, HOT, "serve_prometheus", *args[:5])


@pytest.mark.parametrize("ip", [0x7F000002, 0])
def test_I153_what_an_axon_may_say(ip):
    ok(served(), HOT, "serve_axon", *axon(ip=ip))


def test_I153_prometheus_has_its_own_order_and_refuses_zero():
    s = served()
    fails(s, Error.InvalidIpAddress, HOT, "serve_prometheus", *axon(ip=0)[:5])
    # An axon of a stranger is refused for the stranger first, prometheus for the address.
    stranger = key(99)
    failure = Error.HotKeyNotRegisteredInNetwork
    fails(s, failure, stranger, "serve_axon", *axon(ip_type=5))
    fails(s, Error.InvalidIpType, stranger, "serve_prometheus", *axon(ip_type=5)[:5])
    fails(s, failure, stranger, "serve_prometheus", *axon()[:5])
    ok(s, HOT, "serve_prometheus", *axon()[:5])
    assert emitted(s, PrometheusServed) == [PrometheusServed(NET, HOT)]
    fails(s, Error.ServingRateLimitExceeded, HOT, "serve_prometheus", *axon()[:5])


@pytest.mark.parametrize(
    ("certificate", "stored"),
    [
        (b"\x02key", NeuronCertificate(b"key", 2)),
        (b"\x02" + b"k" * 64, NeuronCertificate(b"k" * 64, 2)),
        (b"\x02", NeuronCertificate(b"", 2)),
        (b"", None),
        (b"\x02" + b"k" * 65, None),
    ],
)
def test_I153_certificates_of_the_wrong_length_are_left_out(certificate, stored):
    s = served()
    ok(s, HOT, "serve_axon_tls", *axon(), certificate)
    assert get(s, "NeuronCertificates", NET, HOT) == stored
    assert has(s, "Axons", NET, HOT)


# --- identities ---------------------------------------------------------------------------------


def fields(name=b"n", url=b"", repo=b"", image=b"", discord=b"", description=b"", more=b""):
    return (name, url, repo, image, discord, description, more)


def test_I154_somebody_without_a_neuron_has_no_identity():
    s = lab()
    ok(s, ALICE, "try_associate_hotkey", HOT)
    fails(s, Error.HotKeyNotRegisteredInNetwork, ALICE, "set_identity", *fields())
    subnet(s)
    neuron(s, NET, ALICE, HOT)
    ok(s, ALICE, "set_identity", *fields(b"Alice"))
    assert get(s, "IdentitiesV2", ALICE).name == b"Alice"


LIMITS = {
    "name": 256,
    "url": 256,
    "repo": 256,
    "image": 1024,
    "discord": 256,
    "description": 1024,
    "more": 1024,
}


@pytest.mark.parametrize(("field", "limit"), LIMITS.items())
def test_I154_fields_have_limits(field, limit):
    s = served()
    ok(s, ALICE, "set_identity", *fields(**{field: b"x" * limit}))
    too_long = fields(**{field: b"x" * (limit + 1)})
    fails(s, Error.InvalidIdentity, ALICE, "set_identity", *too_long)


def test_I154_only_the_owner_describes_a_subnet():
    s = lab()
    subnet(s)
    nothing = (b"",) * 6
    fails(s, Error.NotSubnetOwner, ALICE, "set_subnet_identity", NET, b"n", b"r", *nothing)
    ok(s, OWNER, "set_subnet_identity", NET, b"n" * 256, b"r" * 1024, *nothing)
    failure = Error.InvalidIdentity
    fails(s, failure, OWNER, "set_subnet_identity", NET, b"n" * 257, b"r", *nothing)
    fails(s, failure, OWNER, "set_subnet_identity", NET, b"n", b"r" * 1025, *nothing)


# --- the pool's answers ------------------------------------------------------------------------


def refusal(s, who, name, *args):
    """The custom code with which the pool refuses a call; None when it does not."""
    extension = next(
        e for e in RUNTIME.extensions if e.identifier == "SubtensorTransactionExtension"
    )
    made = RUNTIME.call("SubtensorModule", name, *args)
    info = RUNTIME.by_name["SubtensorModule"].call_named(name).info(args)
    try:
        extension.validate(s, Context(who, made, info, 100))
    except InvalidTransaction as e:
        return e.custom
    return None


def test_the_pool_refuses_with_upstreams_codes():
    s = served()
    put(s, "MinDelegateTake", 100)
    ok(s, OWNER, "try_associate_hotkey", OWNER_HOT)
    codes = {
        refusal(s, key(99), "serve_axon", *axon()): 10,
        refusal(s, HOT, "serve_axon", *axon(ip=0x7F000001)): 11,
        refusal(s, HOT, "serve_axon", *axon(port=0)): 13,
        refusal(s, HOT, "serve_axon", *axon(ip_type=5)): 255,
        refusal(s, ALICE, "increase_take", key(98), 200): 4,
        refusal(s, ALICE, "increase_take", OWNER_HOT, 200): 25,
        refusal(s, ALICE, "decrease_take", HOT, 99): 26,
        refusal(s, ALICE, "increase_take", HOT, 11_797): 27,
        refusal(s, HOT, "batch_set_weights", (NET,), (), (0,)): 18,
        refusal(s, HOT, "reveal_weights", NET, (0,), (1,), (1,), 0): 16,
    }
    assert all(got == expected for got, expected in codes.items()), codes
    assert refusal(s, HOT, "serve_axon", *axon()) is None
    put(s, "StakeThreshold", 1)
    put(s, "SubnetOwnerHotkey", NET, OWNER_HOT)
    assert refusal(s, HOT, "set_weights", NET, (0,), (1,), 0) == 1
    put(s, "StakeThreshold", 0)
    put(s, "CommitRevealWeightsEnabled", NET, False)
    assert refusal(s, HOT, "set_weights", NET, (0,), (1,), 0) == 6
    put(s, "NetworkRateLimit", 1000)
    ok(s, ALICE, "register_network", key(60))
    assert refusal(s, ALICE, "register_network", key(61)) == 6
    put(s, "ColdkeySwapAnnouncements", ALICE, (1, bytes(32)))
    assert refusal(s, ALICE, "burned_register", NET, key(61)) == 0
    assert refusal(s, ALICE, "dispute_coldkey_swap") is None
    put(s, "ColdkeySwapDisputes", ALICE, 1)
    assert refusal(s, ALICE, "dispute_coldkey_swap") == 21
