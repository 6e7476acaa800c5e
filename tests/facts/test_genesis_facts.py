"""What a fresh localnet starts with, and the packed rows of neurons."""

from hypothesis import given
from hypothesis import strategies as st
from network_lab import RUNTIME, get

from chain.genesis import Genesis, build_genesis
from chain.pallets.subtensor.share_pool import get_stake
from chain.pallets.subtensor.types import NOBODY
from chain.pallets.subtensor.vectors import (
    FLAG,
    U16,
    U64,
    extended,
    item,
    packed_pairs,
    padded,
    pairs,
    picked,
    values,
    with_item,
    with_value_for,
)
from chain.runtime.state import DictBackend, State
from ganglion.keys import dev_key
from ganglion.units import Rao


def fresh(subnets=True):
    alice = dev_key("Alice").account_id
    backend = DictBackend()
    backend.update(
        build_genesis(RUNTIME, Genesis(((alice, Rao(10**15)),), (), (), alice, subnets=subnets))
    )
    return State(backend)


def test_root_belongs_to_alice():
    s = fresh()
    assert get(s, "NetworksAdded", 0)
    assert get(s, "SubnetOwner", 0) == dev_key("Alice").account_id
    assert get(s, "SubnetOwnerHotkey", 0) == dev_key("Alice_hk").account_id
    expected = {
        "Tempo": 100,
        "MaxAllowedUids": 64,
        "MaxAllowedValidators": 64,
        "MinAllowedWeights": 0,
        "TargetRegistrationsPerInterval": 1,
        "SubnetworkN": 0,
    }
    assert {name: get(s, name, 0) for name in expected} == expected


def test_subnet_1_belongs_to_nobody_and_was_never_started():
    s = fresh()
    assert get(s, "TotalNetworks") == 2
    assert get(s, "TotalIssuance") == 0
    assert get(s, "SubnetOwner", 1) == NOBODY
    assert get(s, "Keys", 1, 0) == NOBODY
    assert get(s, "Uids", 1, NOBODY) == 0
    assert get_stake(s, NOBODY, NOBODY, 1) == 10**9
    expected = {
        "SubnetMechanism": 1,
        "SubnetTAO": 10**10,
        "SubnetAlphaIn": 10**10,
        "SubnetAlphaOut": 10**9,
        "Tempo": 100,
        "MaxAllowedUids": 256,
        "MaxAllowedValidators": 64,
        "FirstEmissionBlockNumber": None,
        "SubtokenEnabled": False,
    }
    assert {name: get(s, name, 1) for name in expected} == expected


def test_a_chain_may_start_with_root_alone():
    s = fresh(subnets=False)
    assert get(s, "TotalNetworks") == 1
    assert not get(s, "NetworksAdded", 1)


numbers = st.lists(st.integers(0, 65535), max_size=12)


@given(numbers, st.integers(0, 15), st.integers(0, 65535))
def test_packed_vectors_are_lists(plain, uid, value):
    packed = b""
    for n in plain:
        packed = extended(packed, U16, n)
    assert values(packed, U16) == plain
    changed = values(with_item(packed, U16, uid, value), U16)
    expected = list(plain)
    if uid < len(plain):
        expected[uid] = value
        assert item(packed, U16, uid) == plain[uid]
    else:
        assert item(packed, U16, uid) == 0
    assert changed == expected
    assert values(padded(packed, U16, uid), U16) == plain + [0] * (uid - len(plain))
    order = [uid, 0]
    assert values(picked(packed, U16, order), U16) == [item(packed, U16, u) for u in order]


@given(st.lists(st.booleans(), max_size=9), st.lists(st.integers(0, 2**64 - 1), max_size=9))
def test_other_widths(flags, large):
    assert values(bytes(flags), FLAG) == [int(f) for f in flags]
    packed = b"".join(n.to_bytes(8, "little") for n in large)
    assert values(packed, U64) == large


small = st.integers(0, 3)


@given(st.lists(st.tuples(small, small), max_size=8), small, st.integers(0, 65535))
def test_a_value_in_a_row_is_changed_for_its_uid_only(row, uid, value):
    packed = packed_pairs(row)
    assert pairs(packed) == row
    expected = [(to, value if to == uid else old) for to, old in row]
    assert pairs(with_value_for(packed, uid, value)) == expected
