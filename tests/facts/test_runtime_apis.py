"""Runtime APIs as a client sees them: called by name, decoded by the metadata alone."""

from struct import pack

import pytest
from network_lab import (
    ALICE,
    BOB,
    NET,
    OWNER,
    OWNER_HOT,
    RUNTIME,
    TAO,
    at,
    fund,
    get,
    give_stake,
    key,
    lab,
    neuron,
    ok,
    pool,
    put,
    step,
    subnet,
)

from chain.pallets.subtensor.accounts import compute_subnet_account
from chain.pallets.subtensor.apis_delegates import compute_daily, compute_return_per_1000
from chain.pallets.subtensor.metagraph import COLUMNS, SELECTABLE
from chain.pallets.subtensor.symbols import NAMES
from chain.pallets.subtensor.types import AxonInfo, SubnetIdentityV3
from chain.pallets.subtensor.vectors import packed_pairs
from chain.runtime.metadata import metadata_bytes
from ganglion import ss58
from ganglion.fixed import U64F64
from ganglion.runtime import Runtime

CLIENT = Runtime.from_bytes(metadata_bytes(RUNTIME, 15))
IDENTITY = SubnetIdentityV3(b"The net", b"repo", b"", b"", b"", b"", b"", b"")
HOT = [key(60), key(61), key(62)]


def ask(s, path, *args):
    """`ask(s, "NeuronInfoRuntimeApi.get_neuron", 1, 0)`."""
    api, method = path.split(".")
    data = CLIENT.encode_api(api, method, *args)
    answer = RUNTIME.methods[f"{api}_{method}"].run(s.child(), data)
    return CLIENT.decode_api(api, method, answer)


def name(account):
    return ss58.encode(account)


def u16s(*numbers):
    return pack(f"<{len(numbers)}H", *numbers)


def u64s(*numbers):
    return pack(f"<{len(numbers)}Q", *numbers)


@pytest.fixture
def chain():
    """Subnet 1 with an identity, three neurons, stake, weights and vectors of known numbers."""
    s = lab(500)
    subnet(s, SubnetMechanism=1, NetworkRegisteredAt=400, Tempo=360, LastEpochBlock=300)
    pool(s, NET, 8 * TAO, 2 * TAO)
    put(s, "SubnetIdentitiesV3", NET, IDENTITY)
    put(s, "SubnetOwnerHotkey", NET, HOT[0])
    put(s, "TokenSymbol", NET, "α".encode())
    put(s, "LastMechansimStepBlock", NET, 480)
    put(s, "SubnetMovingPrice", NET, 3 << 31)
    put(s, "PendingServerEmission", NET, 30)
    put(s, "PendingValidatorEmission", NET, 12)
    put(s, "SubnetVolume", NET, 10**25)
    for place, (coldkey, hotkey) in enumerate(zip((OWNER, ALICE, BOB), HOT, strict=True)):
        neuron(s, NET, coldkey, hotkey)
        give_stake(s, NET, coldkey, hotkey, (place + 1) * TAO)
    give_stake(s, 0, ALICE, HOT[1], 1000 * TAO)
    put(s, "Axons", NET, HOT[1], AxonInfo(7, 1, 0x08080808, 8091, 4, 4, 0, 0))
    for item, numbers in {
        "Consensus": (1, 2, 3),
        "Dividends": (4, 5, 6),
        "Incentive": (7, 8, 9),
        "ValidatorTrust": (10, 11, 12),
    }.items():
        put(s, item, NET, u16s(*numbers))
    put(s, "Emission", NET, u64s(100, 200, 300))
    put(s, "LastUpdate", NET, u64s(11, 22, 33))
    put(s, "ValidatorPermit", NET, bytes((1, 1, 0)))
    put(s, "Weights", NET, 1, packed_pairs([(0, 65535), (1, 0), (2, 9)]))
    put(s, "Bonds", NET, 1, packed_pairs([(0, 5), (2, 0)]))
    put(s, "AlphaDividendsPerSubnet", NET, HOT[1], 17)
    return s


def test_a_neuron_with_weights_and_bonds(chain):
    found = ask(chain, "NeuronInfoRuntimeApi.get_neuron", NET, 1)
    assert found["hotkey"] == name(HOT[1])
    assert found["coldkey"] == name(ALICE)
    assert found["axon_info"]["port"] == 8091
    assert found["stake"] == [(name(ALICE), 2 * TAO)]
    assert found["weights"] == [(0, 65535), (2, 9)]
    assert found["bonds"] == [(0, 5)]
    expected = {
        "uid": 1,
        "netuid": NET,
        "active": True,
        "emission": 200,
        "incentive": 8,
        "consensus": 2,
        "validator_trust": 11,
        "dividends": 5,
        "last_update": 22,
        "validator_permit": True,
        "rank": 0,
        "trust": 0,
        "pruning_score": 65535,
    }
    assert {k: found[k] for k in expected} == expected


def test_neurons_lite_are_neurons_without_rows(chain):
    full = ask(chain, "NeuronInfoRuntimeApi.get_neurons", NET)
    lite = ask(chain, "NeuronInfoRuntimeApi.get_neurons_lite", NET)
    assert len(full) == len(lite) == 3
    for a, b in zip(full, lite, strict=True):
        assert {k: v for k, v in a.items() if k not in ("weights", "bonds")} == b
    assert ask(chain, "NeuronInfoRuntimeApi.get_neuron_lite", NET, 2) == lite[2]


def test_unknown_neurons(chain):
    for method in ("get_neuron", "get_neuron_lite"):
        assert ask(chain, f"NeuronInfoRuntimeApi.{method}", NET, 3) is None
        assert ask(chain, f"NeuronInfoRuntimeApi.{method}", 9, 0) is None
    for method in ("get_neurons", "get_neurons_lite"):
        assert ask(chain, f"NeuronInfoRuntimeApi.{method}", 9) == []


def test_the_metagraph_has_every_column(chain):
    m = ask(chain, "SubnetInfoRuntimeApi.get_metagraph", NET)
    assert tuple(m) == COLUMNS
    assert bytes(m["name"]) == b"The net"
    assert bytes(m["symbol"]).decode() == "α"
    assert m["owner_hotkey"] == name(HOT[0])
    assert m["owner_coldkey"] == name(OWNER)
    assert m["hotkeys"] == [name(h) for h in HOT]
    assert m["coldkeys"] == [name(c) for c in (OWNER, ALICE, BOB)]
    assert m["axons"][1]["ip"] == 0x08080808
    assert m["axons"][0]["ip"] == 0
    assert m["identities"] == [None] * 3
    assert m["alpha_dividends_per_hotkey"][1] == (name(HOT[1]), 17)
    expected = {
        "netuid": NET,
        "block": 500,
        "blocks_since_last_step": 20,
        "tempo": 360,
        "pending_alpha_emission": 42,
        "subnet_volume": 10**25,
        "num_uids": 3,
        "max_uids": 256,
        "burn": TAO,
        "activity_cutoff": 13_889 * 360 // 1000,
        "alpha_in": 2 * TAO,
        "tao_in": 8 * TAO,
        "alpha_high": 58_982,
        "alpha_low": 45_875,
        "validator_permit": [True, True, False],
        "active": [True, True, True],
        "last_update": [11, 22, 33],
        "emission": [100, 200, 300],
        "dividends": [4, 5, 6],
        "incentives": [7, 8, 9],
        "consensus": [1, 2, 3],
        "trust": [],
        "rank": [],
        "pruning_score": [],
        "block_at_registration": [500] * 3,
        "alpha_stake": [TAO, 2 * TAO, 3 * TAO],
        "tao_stake": [0, 1000 * TAO, 0],
        "subnet_emission": 0,
        "collateral_locked": [0, 0, 0],
    }
    assert {k: m[k] for k in expected} == expected
    weight = get(chain, "TaoWeight")
    total = 2 * TAO + 1000 * TAO * weight / 2**64
    assert abs(m["total_stake"][1] - total) < 2**10


def test_fractions_keep_their_bits_in_a_field(chain):
    m = ask(chain, "SubnetInfoRuntimeApi.get_metagraph", NET)
    assert m["moving_price"] == {"bits": 3 << 31}


def test_unknown_subnets_are_none_everywhere(chain):
    for method, *args in (
        ("get_metagraph",),
        ("get_mechagraph", 0),
        ("get_selective_metagraph", [0, 1]),
        ("get_selective_mechagraph", 0, [0, 1]),
        ("get_subnet_state",),
        ("get_dynamic_info",),
        ("get_subnet_info",),
        ("get_subnet_info_v2",),
        ("get_subnet_hyperparams",),
        ("get_subnet_hyperparams_v2",),
        ("get_subnet_hyperparams_v3",),
        ("get_subnet_account_id",),
    ):
        assert ask(chain, f"SubnetInfoRuntimeApi.{method}", 77, *args) is None


def test_selected_columns_equal_those_of_the_metagraph(chain):
    whole = ask(chain, "SubnetInfoRuntimeApi.get_metagraph", NET)
    every = list(range(len(SELECTABLE)))
    m = ask(chain, "SubnetInfoRuntimeApi.get_selective_mechagraph", NET, 0, every)
    assert tuple(m) == SELECTABLE
    for column in COLUMNS:
        if column == "identity":
            assert m["identity"] == {"Some": whole["identity"]}
        else:
            assert m[column] == whole[column], column
    assert m["validators"] == [0, 1]
    assert m["commitments"] == []


def test_selecting_leaves_the_rest_out(chain):
    m = ask(chain, "SubnetInfoRuntimeApi.get_selective_metagraph", NET, [0, 52, 999, 3])
    found = {k: v for k, v in m.items() if v is not None}
    assert set(found) == {"netuid", "hotkeys", "identity"}
    assert found["netuid"] == NET
    assert ask(chain, "SubnetInfoRuntimeApi.get_selective_metagraph", NET, [52])["netuid"] == 0
    nothing = ask(chain, "SubnetInfoRuntimeApi.get_selective_mechagraph", NET, 0, [])
    assert {k for k, v in nothing.items() if v is not None} == {"netuid"}
    assert nothing["netuid"] == NET


def test_an_identity_that_was_asked_for_and_is_not_there(chain):
    subnet(chain, 2)
    m = ask(chain, "SubnetInfoRuntimeApi.get_selective_metagraph", 2, [3])
    assert m["identity"] == {"Some": None}


def test_mechanisms_have_their_own_incentives_and_updates(chain):
    put(chain, "MechanismCountCurrent", NET, 2)
    put(chain, "Incentive", 4097, u16s(70, 80, 90))
    put(chain, "LastUpdate", 4097, u64s(1, 2, 3))
    m = ask(chain, "SubnetInfoRuntimeApi.get_mechagraph", NET, 1)
    assert (m["netuid"], m["incentives"], m["last_update"]) == (4097, [70, 80, 90], [1, 2, 3])
    assert m["dividends"] == [4, 5, 6]
    assert ask(chain, "SubnetInfoRuntimeApi.get_mechagraph", NET, 2) is None
    all_of_them = ask(chain, "SubnetInfoRuntimeApi.get_all_mechagraphs")
    assert [each["netuid"] for each in all_of_them] == [0, 1, 4097]
    some = ask(chain, "SubnetInfoRuntimeApi.get_selective_mechagraph", NET, 1, [62, 59])
    assert (some["netuid"], some["incentives"], some["last_update"]) == (1, [70, 80, 90], [1, 2, 3])


def test_dynamic_info(chain):
    subnet(chain, 2)
    everything = ask(chain, "SubnetInfoRuntimeApi.get_all_dynamic_info")
    assert [each["netuid"] for each in everything] == [0, 1, 2]
    d = everything[1]
    assert d == ask(chain, "SubnetInfoRuntimeApi.get_dynamic_info", NET)
    assert bytes(d["subnet_name"]) == b"The net"
    assert d["subnet_identity"]["subnet_name"] == b"The net"
    assert bytes(everything[2]["subnet_name"]).decode() == NAMES[2] == "omron"
    assert d["pending_alpha_emission"] == 42
    assert d["network_registered_at"] == 400
    assert d["blocks_since_last_step"] == 20


def test_subnet_state(chain):
    put(chain, "LastHotkeyEmissionOnNetuid", HOT[2], NET, 9)
    state = ask(chain, "SubnetInfoRuntimeApi.get_subnet_state", NET)
    assert state["emission_history"] == [[0, 0, 0], [0, 0, 9]]
    assert state["hotkeys"] == [name(h) for h in HOT]
    assert state["incentives"] == [7, 8, 9]
    assert state["tao_stake"] == [0, 1000 * TAO, 0]


def test_subnet_info_in_both_forms(chain):
    v1 = ask(chain, "SubnetInfoRuntimeApi.get_subnet_info", NET)
    v2 = ask(chain, "SubnetInfoRuntimeApi.get_subnet_info_v2", NET)
    assert v1["emission_values"] == v2["emission_value"] == 0
    assert v1["owner"] == name(OWNER)
    assert v1["subnetwork_n"] == 3
    assert v2["identity"]["github_repo"] == b"repo"
    subnet(chain, 300)
    listed = ask(chain, "SubnetInfoRuntimeApi.get_subnets_info")
    assert [each["netuid"] for each in listed] == [0, 1, 300]
    assert len(ask(chain, "SubnetInfoRuntimeApi.get_subnets_info_v2")) == 3


def test_hyperparameters_in_three_forms(chain):
    put(chain, "AlphaSigmoidSteepness", NET, -5)
    v1 = ask(chain, "SubnetInfoRuntimeApi.get_subnet_hyperparams", NET)
    v2 = ask(chain, "SubnetInfoRuntimeApi.get_subnet_hyperparams_v2", NET)
    v3 = ask(chain, "SubnetInfoRuntimeApi.get_subnet_hyperparams_v3", NET)
    assert {k: v2[k] for k in v1} == v1
    assert v2["alpha_sigmoid_steepness"] == {"bits": -5 << 32}
    assert v2["yuma_version"] == 3
    entries = {e["name"].decode(): e["value"] for e in v3}
    assert len(entries) == 33
    assert entries["tempo"] == {"U16": 360}
    assert entries["min_burn"] == {"TaoBalance": 500_000}
    assert entries["burn_increase_mult"] == {"U64F64": {"bits": int(1.26 * 2**64)}}
    assert entries["alpha_sigmoid_steepness"] == {"I32F32": {"bits": -5 << 32}}
    assert entries["activity_cutoff_factor"] == {"U32": 13_889}
    assert entries["subnet_is_active"] == {"Bool": True}


def test_small_questions_about_subnets(chain):
    api = "SubnetInfoRuntimeApi."
    assert ask(chain, api + "get_next_epoch_start_block", NET) == 660
    put(chain, "Tempo", NET, 0)
    assert ask(chain, api + "get_next_epoch_start_block", NET) is None
    assert ask(chain, api + "get_subnet_account_id", NET) == name(compute_subnet_account(NET))
    assert ask(chain, api + "get_subnet_to_prune") is None
    put(chain, "NetworkImmunityPeriod", 10)
    assert ask(chain, api + "get_subnet_to_prune") == NET
    assert ask(chain, api + "get_block_emission") == TAO
    assert ask(chain, api + "get_coldkey_auto_stake_hotkey", name(ALICE), NET) is None
    put(chain, "AutoStakeDestination", ALICE, NET, HOT[0])
    found = ask(chain, api + "get_coldkey_auto_stake_hotkey", name(ALICE), NET)
    assert found == name(HOT[0])
    cost = ask(chain, "SubnetRegistrationRuntimeApi.get_network_registration_cost")
    assert cost == 1000 * TAO


def test_known_accounts_of_subnets():
    for netuid, expected in {
        0: "5EYCAe5jLQhn6ofDSvqF6iY53erXNkwhyE1aCEgvi1NNs91F",
        1: "5EYCAe5jLQhn6ofDSvqWqk5fA9XiqK3ahtx5kBNmAqF78mqL",
    }.items():
        assert name(compute_subnet_account(netuid)) == expected


def test_stake_of_coldkeys(chain):
    api = "StakeInfoRuntimeApi."
    found = ask(chain, api + "get_stake_info_for_coldkey", name(ALICE))
    assert [(e["netuid"], e["stake"], e["is_registered"]) for e in found] == [
        (0, 1000 * TAO, False),
        (1, 2 * TAO, True),
    ]
    assert found[1]["emission"] == 17
    both = ask(chain, api + "get_stake_info_for_coldkeys", [name(ALICE), name(key(9))])
    assert both == [(name(ALICE), found), (name(key(9)), [])]
    one = ask(
        chain,
        api + "get_stake_info_for_hotkey_coldkey_netuid",
        name(HOT[0]),
        name(ALICE),
        NET,
    )
    assert one["stake"] == 0


def test_what_can_be_unstaked(chain):
    method = "StakeInfoRuntimeApi.get_stake_availability_for_coldkeys"
    ok(chain, ALICE, "lock_stake", HOT[1], NET, TAO)
    found = ask(chain, method, [name(ALICE)], None)[name(ALICE)]
    assert found[1] == {"total": 2 * TAO, "locked": TAO, "available": TAO}
    assert found[0] == {"total": 1000 * TAO, "locked": 0, "available": 1000 * TAO}
    assert list(ask(chain, method, [name(ALICE)], [1])[name(ALICE)]) == [1]
    for nothing in ([], [1, 2, 3], [9]):
        assert ask(chain, method, [name(ALICE)], nothing) == {name(ALICE): {}}
    lock = ask(chain, "StakeInfoRuntimeApi.get_coldkey_lock", name(ALICE), NET)
    assert (lock["locked_mass"], lock["last_update"]) == (TAO, 500)
    assert ask(chain, "StakeInfoRuntimeApi.get_coldkey_lock", name(BOB), NET) is None


def test_convictions(chain):
    ok(chain, ALICE, "lock_stake", HOT[1], NET, TAO)
    at(chain, 5000)
    king = ask(chain, "StakeInfoRuntimeApi.get_most_convicted_hotkey_on_subnet", NET)
    assert king == name(HOT[1])
    conviction = ask(chain, "StakeInfoRuntimeApi.get_hotkey_conviction", king, NET)
    assert conviction["bits"] > 0


def test_fees_of_trades(chain):
    method = "StakeInfoRuntimeApi.get_stake_fee"
    here, there = (name(HOT[1]), NET), (name(HOT[2]), NET)
    fee = ask(chain, method, None, name(ALICE), here, name(ALICE), 65_535 * 1000)
    assert fee in (32_999, 33_000)
    assert ask(chain, method, here, name(ALICE), here, name(ALICE), TAO) == 0
    assert ask(chain, method, here, name(ALICE), there, name(ALICE), TAO) > 0


def test_delegates(chain):
    for hotkey in HOT[:2]:
        put(chain, "Delegates", hotkey, 11_796)
    give_stake(chain, NET, BOB, HOT[1], 5 * TAO)
    d = ask(chain, "DelegateInfoRuntimeApi.get_delegate", name(HOT[1]))
    assert d["owner_ss58"] == name(ALICE)
    assert d["take"] == 11_796
    assert dict(d["nominators"]) == {
        name(ALICE): [(0, 1000 * TAO), (1, 2 * TAO)],
        name(BOB): [(1, 5 * TAO)],
    }
    assert (d["registrations"], d["validator_permits"]) == ([1], [1])
    assert d["total_daily_return"] == 200 * 7200 // 360
    assert ask(chain, "DelegateInfoRuntimeApi.get_delegate", name(HOT[2])) is None
    assert len(ask(chain, "DelegateInfoRuntimeApi.get_delegates")) == 2
    backed = ask(chain, "DelegateInfoRuntimeApi.get_delegated", name(BOB))
    assert [(each["delegate_ss58"], where) for each, where in backed] == [
        (name(HOT[1]), (1, 5 * TAO))
    ]
    assert backed[0][0]["nominators"] == []


def test_I156_return_per_thousand_tao():
    take = 65_535 * 18 // 100
    daily = U64F64.from_int(1000 * TAO)
    got = U64F64.to_u64(compute_return_per_1000(take, 10_000 * TAO, daily))
    assert abs(got - 82 * TAO) < TAO // 1000
    assert compute_return_per_1000(take, 0, daily) == 0
    assert compute_daily(100, 0) == 0


def test_prices_and_trades(chain):
    api = "SwapRuntimeApi."
    assert ask(chain, api + "current_alpha_price", NET) == 4 * TAO
    assert ask(chain, api + "current_alpha_price_all") == [
        {"netuid": 0, "price": TAO},
        {"netuid": 1, "price": 4 * TAO},
    ]
    buy = ask(chain, api + "sim_swap_tao_for_alpha", NET, TAO)
    fee = TAO * 33 // 65_535
    # Constant product of 8 and 2: out = 2 * (1 - 8 / (8 + in)).
    ideal, net = TAO // 4, TAO - fee
    out = 2 * TAO * net // (8 * TAO + net)
    assert buy["tao_fee"] in (fee, fee + 1)
    assert abs(buy["alpha_amount"] - out) <= 2
    assert buy["alpha_slippage"] == ideal - buy["alpha_amount"]
    assert buy["alpha_fee"] == buy["tao_slippage"] == 0
    sell = ask(chain, api + "sim_swap_alpha_for_tao", NET, TAO)
    assert sell["tao_slippage"] == 4 * TAO - sell["tao_amount"]
    assert sell["alpha_fee"] > 0
    pool(chain, NET, 8 * TAO, 0)
    assert set(ask(chain, api + "sim_swap_tao_for_alpha", NET, TAO).values()) == {0}


def test_asking_changes_nothing(chain):
    put(chain, "BlockEmission", 7)
    before = chain.changes()
    ask(chain, "SubnetRegistrationRuntimeApi.get_network_registration_cost")
    ask(chain, "SubnetInfoRuntimeApi.get_all_metagraphs")
    assert chain.changes() == before


def test_answers_on_a_running_chain():
    s = lab()
    put(s, "NetworkMinLockCost", 10 * TAO)
    put(s, "NetworkLastLockCost", 10 * TAO)
    ok(s, OWNER, "register_network_with_identity", OWNER_HOT, IDENTITY)
    ok(s, OWNER, "start_call", NET)
    fund(s, compute_subnet_account(0), TAO)
    ok(s, ALICE, "burned_register", NET, HOT[0])
    ok(s, ALICE, "add_stake", HOT[0], NET, 20 * TAO)
    step(s, 30)
    m = ask(s, "SubnetInfoRuntimeApi.get_metagraph", NET)
    assert m["num_uids"] == 2
    assert m["last_step"] == get(s, "LastMechansimStepBlock", NET) > 0
    assert sum(m["emission"]) > 0
    assert ask(s, "StakeInfoRuntimeApi.get_stake_info_for_coldkey", name(ALICE))
