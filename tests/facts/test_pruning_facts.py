"""Facts about pruning and immunity (B17 to B26), each under its number."""

from struct import pack

import pytest
from network_lab import (
    ALICE,
    BOB,
    NET,
    OWNER,
    at,
    fails,
    fund,
    get,
    has,
    key,
    lab,
    neuron,
    ok,
    put,
    subnet,
)

from chain.pallets.subtensor.accounts import compute_subnet_account
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.neurons import storage_index
from chain.pallets.subtensor.trimming import do_trim_uids
from chain.pallets.subtensor.types import (
    NO_AXON,
    NO_PROMETHEUS,
    NeuronCertificate,
)
from chain.pallets.subtensor.uids import do_replace_neuron, get_uid_to_prune
from chain.pallets.subtensor.vectors import FLAG, U16, U64, item, packed_pairs, pairs, values
from chain.runtime.errors import CallError


def u64s(*numbers):
    return pack(f"<{len(numbers)}Q", *numbers)


def u16s(*numbers):
    return pack(f"<{len(numbers)}H", *numbers)


def full(emissions, *, owners=(), immunity=0, floor=0, registered=None, now=1000):
    """A full subnet with one neuron for each emission; uids in `owners` are the owner's."""
    s = lab()
    subnet(s, MaxAllowedUids=len(emissions), ImmunityPeriod=immunity, MinNonImmuneUids=floor)
    for uid in range(len(emissions)):
        neuron(s, NET, OWNER if uid in owners else ALICE, key(100 + uid))
    put(s, "Emission", NET, u64s(*emissions))
    for uid, block in enumerate(registered or [10] * len(emissions)):
        put(s, "BlockAtRegistration", NET, uid, block)
    at(s, now)
    return s


def prune(s):
    return get_uid_to_prune(s, NET)


def test_B17_the_lowest_emission_goes():
    assert prune(full([100, 110])) == 0
    assert prune(full([110, 100])) == 1


def test_B18_owner_hotkeys_are_spared_up_to_the_limit():
    s = full([1, 2, 3], owners=(0,))
    put(s, "SubnetOwnerHotkey", NET, key(100))
    put(s, "ImmuneOwnerUidsLimit", NET, 1)
    assert prune(s) == 1
    s = full([1, 2, 3], owners=(0, 1))
    put(s, "SubnetOwnerHotkey", NET, key(100))
    put(s, "ImmuneOwnerUidsLimit", NET, 2)
    assert prune(s) == 2


def test_B19_among_equals_the_oldest_goes_and_immune_ones_stay():
    s = full([10, 10, 10], immunity=100, registered=[990, 150, 200])
    assert prune(s) == 1


def test_B20_some_neurons_always_stay_prunable():
    emissions = [30, 20, 10, 5, 7]
    born = [10, 10, 10, 990, 990]
    s = full(emissions, immunity=100, floor=3, registered=born)
    assert prune(s) == 3
    born = [10, 10, 10, 10, 990]
    s = full([30, 20, 10, 40, 7], immunity=100, floor=3, registered=born)
    assert prune(s) == 2


def test_B21_all_equal_means_uid_0():
    assert prune(full([0, 0, 0])) == 0


def test_B22_nobody_to_prune():
    s = full([1, 2], owners=(0, 1))
    put(s, "ImmuneOwnerUidsLimit", NET, 2)
    assert prune(s) is None
    fund(s, compute_subnet_account(NET), 1000)
    fails(s, Error.NoNeuronIdAvailable, BOB, "burned_register", NET, key(200))


def test_B23_with_one_place_only_the_owner_hotkey_is_protected():
    s = full([1, 2, 3], owners=(0, 2), registered=[10, 10, 500])
    put(s, "ImmuneOwnerUidsLimit", NET, 1)
    put(s, "SubnetOwnerHotkey", NET, key(102))
    assert prune(s) == 0
    put(s, "Emission", NET, u64s(9, 9, 1))
    assert prune(s) == 0


def replaced():
    """A subnet of three in which uid 1 was somebody, then replaced by key(200) in block 1000."""
    s = full([5, 6, 7])
    neuron(s, subnet(s, 2), ALICE, key(101))
    old = key(101)
    put(s, "Axons", NET, old, NO_AXON)
    put(s, "Prometheus", NET, old, NO_PROMETHEUS)
    put(s, "NeuronCertificates", NET, old, NeuronCertificate(b"x", 1))
    put(s, "Axons", 2, old, NO_AXON)
    for name in ("Consensus", "Dividends", "ValidatorTrust", "Incentive"):
        put(s, name, NET, u16s(7, 8, 9))
    put(s, "ValidatorPermit", NET, bytes((1, 1, 1)))
    put(s, "LastUpdate", NET, u64s(3, 3, 3))
    for uid in range(3):
        put(s, "Weights", NET, uid, packed_pairs([(0, 10), (1, 11), (2, 12)]))
        put(s, "Bonds", NET, uid, packed_pairs([(0, 10), (1, 11), (2, 12)]))
    do_replace_neuron(s, NET, 1, key(200))
    return s


def test_B24_replacing_wipes_the_neuron():
    s = replaced()
    old = key(101)
    for name in ("Axons", "Prometheus", "NeuronCertificates", "Uids"):
        assert not has(s, name, NET, old)
    assert not has(s, "IsNetworkMember", old, NET)
    assert not has(s, "Weights", NET, 1)
    assert not has(s, "Bonds", NET, 1)
    assert pairs(get(s, "Weights", NET, 0)) == [(0, 10), (1, 0), (2, 12)]
    for name in ("Consensus", "Dividends", "ValidatorTrust", "Incentive"):
        assert values(get(s, name, NET), U16) == [7, 0, 9]
    assert values(get(s, "Emission", NET), U64) == [5, 0, 7]
    assert values(get(s, "ValidatorPermit", NET), FLAG) == [1, 0, 1]
    assert item(get(s, "LastUpdate", NET), U64, 1) == 1000
    assert get(s, "BlockAtRegistration", NET, 1) == 1000
    assert get(s, "Keys", NET, 1) == key(200)


def test_B24_other_subnets_are_left_alone():
    s = replaced()
    assert get(s, "Uids", 2, key(101)) == 0
    assert has(s, "Axons", 2, key(101))


def test_B24_a_full_subnet_replaces_on_registration():
    s = full([5, 6, 7])
    fund(s, compute_subnet_account(NET), 1000)
    ok(s, BOB, "burned_register", NET, key(200))
    assert get(s, "Uids", NET, key(200)) == 0
    assert get(s, "SubnetworkN", NET) == 3


def test_B25_the_inactivity_clock_restarts_in_every_mechanism():
    s = full([5, 6])
    put(s, "MechanismCountCurrent", NET, 2)
    put(s, "LastUpdate", storage_index(NET, 1), u64s(3, 3))
    do_replace_neuron(s, NET, 0, key(200))
    for mecid in (0, 1):
        assert item(get(s, "LastUpdate", storage_index(NET, mecid)), U64, 0) == 1000


def trimmable(emissions, **settings):
    s = full(emissions, **settings)
    put(s, "MinAllowedUids", NET, 2)
    n = len(emissions)
    for uid in range(n):
        row = packed_pairs([(other, 10 * uid + other) for other in range(n)])
        put(s, "Weights", NET, uid, row)
        put(s, "Bonds", NET, uid, row)
    put(s, "Incentive", NET, u16s(*range(n)))
    return s


def test_B26_trimming_keeps_order_and_rewrites_every_reference():
    s = trimmable([50, 10, 40, 20, 30])
    do_trim_uids(s, NET, 3)
    assert get(s, "SubnetworkN", NET) == 3
    assert get(s, "MaxAllowedUids", NET) == 3
    assert values(get(s, "Emission", NET), U64) == [50, 40, 30]
    assert values(get(s, "Incentive", NET), U16) == [0, 2, 4]
    assert [get(s, "Keys", NET, u) for u in range(3)] == [key(100), key(102), key(104)]
    assert [get(s, "Uids", NET, key(100 + u)) for u in range(5)] == [0, None, 1, None, 2]
    for name in ("Weights", "Bonds"):
        assert pairs(get(s, name, NET, 1)) == [(0, 20), (1, 22), (2, 24)]
        assert not has(s, name, NET, 3)
        assert not has(s, name, NET, 4)
    assert not has(s, "Keys", NET, 4)
    assert not has(s, "IsNetworkMember", key(101), NET)


def test_B26_owner_and_immune_neurons_survive_at_any_emission():
    s = trimmable([0, 60, 50, 40, 0], owners=(0,), immunity=100, registered=[10, 10, 10, 10, 990])
    put(s, "SubnetOwnerHotkey", NET, key(100))
    do_trim_uids(s, NET, 3)
    assert [get(s, "Keys", NET, u) for u in range(3)] == [key(100), key(101), key(104)]


def test_B26_not_when_most_of_the_rest_would_be_immune():
    s = trimmable([1] * 10, immunity=100, registered=[990] * 4 + [10] * 6)
    with pytest.raises(Error.TrimmingWouldExceedMaxImmunePercentage):
        do_trim_uids(s, NET, 5)
    do_trim_uids(s, NET, 6)
    assert get(s, "SubnetworkN", NET) == 6


@pytest.mark.parametrize("limit", [1, 6])
def test_B26_only_within_bounds(limit):
    s = trimmable([1, 2, 3, 4, 5])
    with pytest.raises(CallError) as caught:
        do_trim_uids(s, NET, limit)
    assert caught.type is Error.InvalidValue
