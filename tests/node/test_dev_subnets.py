"""What subnet developers get: epochs now, ready-made neurons, no immunity, no rate limits."""

from __future__ import annotations

import pytest

from chain.beacon import local_config
from chain.dev.devnode import DevNode
from chain.pallets.drand import BeaconConfig, LastStoredRound, Pulses, verified
from chain.pallets.drand_types import QUICKNET, BeaconConfiguration
from chain.pallets.subtensor import share_pool
from chain.pallets.subtensor.neurons import get_hotkey, is_immune
from chain.pallets.subtensor.storage_keys import Owner
from chain.pallets.subtensor.storage_network import LastEpochBlock, SubnetEpochIndex, SubnetworkN
from chain.pallets.subtensor.storage_neurons import LastUpdate
from chain.pallets.subtensor.storage_registration import LastTxBlock
from chain.rpc.errors import RpcError
from chain.runtime.state import State
from ganglion.keys import Keypair, dev_key
from ganglion.scale import codec

NETUID = 1


@pytest.fixture(scope="module")
def running():
    with DevNode("manual") as node:
        yield node


@pytest.fixture
def node(running: DevNode):
    mark = running.rpc("dev_snapshot")
    yield running
    assert running.rpc("dev_revert", mark) is True


def state(node: DevNode) -> State:
    """A state of one's own: the engine's belongs to its thread."""
    store = node.node.store
    return State(store.state_at(store.best()[0]))


def test_an_epoch_runs_now(node: DevNode):
    before = state(node)[SubnetEpochIndex, NETUID]
    block = node.rpc("dev_runEpoch", NETUID)
    number = int(node.rpc("chain_getHeader", block)["number"], 16)
    after = state(node)
    assert after[SubnetEpochIndex, NETUID] == before + 1
    assert after[LastEpochBlock, NETUID] == number


def test_neurons_come_registered_and_staked(node: DevNode):
    seated = state(node)[SubnetworkN, NETUID]
    made = node.rpc("dev_registerNeurons", NETUID, 3, 5 * 10**9, dev_key("Bob").address)
    after = state(node)
    assert [n["uid"] for n in made] == [seated, seated + 1, seated + 2]
    for neuron in made:
        hotkey = Keypair.from_uri(neuron["uri"]).account_id
        assert get_hotkey(after, NETUID, neuron["uid"]) == hotkey
        assert after[Owner, hotkey] == dev_key("Bob").account_id
        assert share_pool.get_hotkey_stake(after, hotkey, NETUID) == 5 * 10**9
    more = node.rpc("dev_registerNeurons", NETUID, 1)
    assert more[0]["hotkey"] not in {n["hotkey"] for n in made}


def test_immunity_ends(node: DevNode):
    [neuron] = node.rpc("dev_registerNeurons", NETUID, 1)
    assert is_immune(state(node), NETUID, neuron["uid"])
    node.rpc("dev_skipImmunity", NETUID, [neuron["uid"]])
    node.rpc("dev_newBlock")
    assert not is_immune(state(node), NETUID, neuron["uid"])


def test_rate_limits_are_forgotten(node: DevNode):
    node.rpc("dev_registerNeurons", NETUID, 2)
    node.rpc(
        "dev_setStorage", {"SubtensorModule": {"LastTxBlock": [[[dev_key("Bob").address], 9]]}}
    )
    assert state(node)[LastTxBlock, dev_key("Bob").account_id] == 9
    node.rpc("dev_skipRateLimits", NETUID)
    after = state(node)
    assert after[LastTxBlock, dev_key("Bob").account_id] == 0
    assert not any(after[LastUpdate, NETUID])


def test_the_beacon_moves_by_hand(node: DevNode):
    def listen(config: BeaconConfiguration) -> None:
        raw = "0x" + codec(BeaconConfiguration).encode(config).hex()
        node.rpc("dev_setStorage", [["0x" + BeaconConfig.prefix.hex(), raw]])
        node.rpc("dev_newBlock")

    config = state(node)[BeaconConfig]
    assert config == local_config()
    listen(QUICKNET)
    with pytest.raises(RpcError, match="public beacon"):
        node.rpc("dev_advanceBeacon")
    listen(config)
    last = state(node)[LastStoredRound]
    assert last > 0
    assert node.rpc("dev_advanceBeacon", last + 40) == last + 40
    after = state(node)
    assert all((Pulses, number) in after for number in range(last + 1, last + 41))
    assert verified(config, after[Pulses, last + 40])
    with pytest.raises(RpcError, match="at most"):
        node.rpc("dev_advanceBeacon", last + 10**6)


def test_a_gate_from_another_chain_stops_no_blocks(node: DevNode):
    """As after --load-state: the state's block numbers lie ahead of the chain's."""
    node.rpc("dev_setStorage", {"Drand": {"NextUnsignedAt": 10**6}})
    start = int(node.rpc("chain_getHeader")["number"], 16)
    node.rpc("dev_newBlock", 3)
    assert int(node.rpc("chain_getHeader")["number"], 16) == start + 3


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("dev_runEpoch", [77], "no subnet 77"),
        ("dev_runEpoch", [70_000], "no subnet's number"),
        ("dev_registerNeurons", [77, 1], "no subnet 77"),
        ("dev_registerNeurons", [NETUID, 0], "register 1 to"),
        ("dev_registerNeurons", [0, 1], "root"),
        ("dev_skipImmunity", [NETUID, [999]], "no uid 999"),
        ("dev_skipRateLimits", [77], "no subnet 77"),
    ],
)
def test_refusals_name_the_reason(node: DevNode, method: str, params: list, words: str):
    start = node.rpc("chain_getBlockHash")
    with pytest.raises(RpcError) as refusal:
        node.rpc(method, *params)
    assert words in f"{refusal.value.message} {refusal.value.data}"
    assert node.rpc("chain_getBlockHash") == start
