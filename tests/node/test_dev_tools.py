"""The developers' tools over real RPC."""

from __future__ import annotations

import pytest

from chain.dev.devnode import DevNode
from chain.dev.signing import signed_call, transfer
from chain.pallets import timestamp
from chain.pallets.system import Account
from chain.rpc.errors import RpcError
from ganglion.keys import Keypair, dev_key

ALICE, BOB = dev_key("Alice"), dev_key("Bob")


@pytest.fixture(scope="module")
def running():
    with DevNode("manual") as node:
        yield node


@pytest.fixture
def node(running: DevNode):
    """The module's node as it was: every test goes back to a snapshot."""
    mark = running.rpc("dev_snapshot")
    yield running
    assert running.rpc("dev_revert", mark) is True


def number(node: DevNode) -> int:
    return int(node.rpc("chain_getHeader")["number"], 16)


def free(node: DevNode, who: Keypair) -> int:
    raw = node.rpc("state_getStorage", "0x" + Account.key_of((Account, who.account_id)).hex())
    return 0 if raw is None else Account.codec.decode(bytes.fromhex(raw[2:])).data.free


def now(node: DevNode) -> int:
    raw = node.rpc("state_getStorage", "0x" + timestamp.Now.prefix.hex())
    return int.from_bytes(bytes.fromhex(raw[2:]), "little")


def refusal(node: DevNode, method: str, *params) -> str:
    with pytest.raises(RpcError) as caught:
        node.rpc(method, *params)
    return f"{caught.value.message} {caught.value.data}"


def test_blocks_on_demand(node: DevNode):
    start = number(node)
    assert node.rpc("dev_newBlock") == node.rpc("chain_getBlockHash")
    node.rpc("dev_newBlock", 2)
    node.rpc("dev_newBlock", {"count": 3})
    node.rpc("dev_newBlock", {"to": start + 10})
    assert number(node) == start + 10
    assert "above the best" in refusal(node, "dev_newBlock", {"to": start})
    assert "1 to" in refusal(node, "dev_newBlock", {"count": 0})
    assert "object" in refusal(node, "dev_newBlock", {"blocks": 1})


def test_a_block_of_given_transactions(node: DevNode):
    executive = node.node.engine.executive
    nonce = node.rpc("account_nextIndex", ALICE.address)
    raw = signed_call(executive, ALICE, transfer(executive, BOB.account_id, 7), nonce)
    block = node.rpc("dev_newBlock", {"transactions": ["0x" + raw.hex()]})
    assert "0x" + raw.hex() in node.rpc("chain_getBlock", block)["block"]["extrinsics"]


def test_manual_sealing_as_upstream_has_it(node: DevNode):
    made = node.rpc("engine_createBlock", True, False, None)
    assert node.rpc("chain_getBlockHash") == made["hash"]
    assert node.rpc("chain_getFinalizedHead") != made["hash"]
    assert node.rpc("engine_finalizeBlock", made["hash"]) is True
    assert node.rpc("chain_getFinalizedHead") == made["hash"]
    assert "nothing for a block" in refusal(node, "engine_createBlock", False, True, None)


def test_time_travel_moves_the_slot_too(node: DevNode):
    future = 4_000_000_000_000
    assert node.rpc("dev_timeTravel", future) == future
    node.rpc("dev_newBlock")
    assert future <= now(node) < future + 5_000
    node.rpc("dev_timeTravel", "2200-01-01T00:00:00")
    node.rpc("dev_newBlock")
    assert now(node) // 1000 == 7_258_118_400
    assert "not after the best block" in refusal(node, "dev_timeTravel", 1000)
    assert "ISO" in refusal(node, "dev_timeTravel", "soon")


def test_storage_by_name_and_raw(node: DevNode):
    before = free(node, BOB)
    node.rpc(
        "dev_setStorage",
        {"System": {"Account": [[[ALICE.address], {"data": {"free": "123000000000"}}]]}},
    )
    assert free(node, ALICE) == 123_000_000_000
    assert free(node, BOB) == before
    node.rpc("dev_setStorage", [["0x616263", "0x01"]])
    assert node.rpc("state_getStorage", "0x616263") == "0x01"
    node.rpc("dev_setStorage", [["0x616263", None]])
    assert node.rpc("state_getStorage", "0x616263") is None
    node.rpc("dev_setStorage", {"System": {"Account": [[[BOB.address], None]]}})
    assert free(node, BOB) == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"Nope": {}}, "no pallet 'Nope'"),
        ({"System": {"Nope": 1}}, "no storage item System.Nope"),
        ({"System": {"Account": 1}}, "is a map"),
        ({"System": {"Account": [[["5Grw"], {}]]}}, "address"),
        ({"System": {"Account": [[[], {}]]}}, "takes 1 keys"),
        ({"System": {"Account": [[[ALICE.address], {"data": {"free": -1}}]]}}, "does not fit"),
        ({"System": {"Account": [[[ALICE.address], {"fee": 1}]]}}, "has no field 'fee'"),
        ({"Timestamp": {"Now": "soon"}}, "expected a number"),
        ([["0x00"]], "a raw pair is"),
        (7, "expected an object"),
    ],
)
def test_bad_storage_makes_no_block(node: DevNode, values, words: str):
    start = number(node)
    assert words in refusal(node, "dev_setStorage", values)
    assert number(node) == start


def test_the_faucet(node: DevNode):
    fresh = Keypair.from_uri("//Fresh")
    node.rpc("dev_faucet", fresh.address)
    node.rpc("dev_faucet", fresh.address, 5)
    assert free(node, fresh) == 10**12 + 5
    assert "cannot give" in refusal(node, "dev_faucet", Keypair.from_uri("//New").address, 1)
    assert "address" in refusal(node, "dev_faucet", "Bob")


def test_snapshot_and_revert(node: DevNode):
    start, balance = number(node), free(node, ALICE)
    first = node.rpc("dev_snapshot")
    node.rpc("dev_faucet", ALICE.address)
    second = node.rpc("dev_snapshot")
    node.rpc("dev_newBlock", 3)
    assert node.rpc("dev_revert", first) is True
    assert (number(node), free(node, ALICE)) == (start, balance)
    assert node.rpc("dev_revert", second) is False
    assert node.rpc("dev_revert", "0x7777") is False
    assert number(node) == start


def test_going_to_any_block(node: DevNode):
    start = number(node)
    hashes = [node.rpc("dev_newBlock") for _ in range(5)]
    assert node.rpc("dev_setHead", -1) == hashes[3]
    assert node.rpc("dev_setHead", start + 2) == hashes[1]
    assert node.rpc("dev_setHead", hashes[0]) == hashes[0]
    assert number(node) == start + 1
    assert "UnknownBlock" in refusal(node, "dev_setHead", hashes[4])
    assert "no block" in refusal(node, "dev_setHead", 10**6)
    assert node.rpc("dev_newBlock") != hashes[1]


def test_impersonation_takes_any_signature(node: DevNode):
    executive = node.node.engine.executive
    nonce = node.rpc("account_nextIndex", BOB.address)
    raw = bytearray(signed_call(executive, BOB, transfer(executive, ALICE.account_id, 7), nonce))
    at = bytes(raw).index(BOB.public_key) + 33
    raw[at : at + 64] = bytes(64)
    assert "bad signature" in refusal(node, "author_submitExtrinsic", "0x" + raw.hex())
    assert node.rpc("dev_impersonate", BOB.address) is True
    raw[at : at + 64] = b"\xcd" * 64
    node.rpc("author_submitExtrinsic", "0x" + raw.hex())
    before = free(node, ALICE)
    node.rpc("dev_newBlock")
    # The block's author, Alice, also takes the fee.
    assert free(node, ALICE) > before
    assert node.rpc("dev_impersonate", BOB.address, False) is False
    raw[at : at + 64] = b"\xce" * 64
    refused = refusal(node, "author_submitExtrinsic", "0x" + raw.hex())
    assert "bad signature" in refused or "outdated" in refused


def test_a_dry_run_shows_every_change(node: DevNode):
    start = number(node)
    call = {
        "pallet": "Balances",
        "name": "transfer_keep_alive",
        "args": {"dest": BOB.address, "value": 1000},
    }
    done = node.rpc("dev_dryRun", {"call": call, "origin": ALICE.address})
    assert (done["outcome"], done["error"]) == ("0x0000", None)
    changed = {tuple(d["keys"]): d for d in done["storageDiff"] if d.get("item")}
    entry = changed["0x" + BOB.public_key.hex(),]
    assert entry["newDecoded"]["data"]["free"] == entry["oldDecoded"]["data"]["free"] + 1000
    assert [e["event"].split(".")[-1] for e in done["events"]] == ["Transfer"]
    too_much = call | {"args": {"dest": BOB.address, "value": 10**17}}
    failed = node.rpc("dev_dryRun", {"call": too_much, "origin": ALICE.address})
    assert failed["error"]
    assert failed["storageDiff"] == []
    assert number(node) == start


def test_a_dry_run_of_a_signed_extrinsic_includes_its_fee(node: DevNode):
    executive = node.node.engine.executive
    nonce = node.rpc("account_nextIndex", BOB.address)
    raw = signed_call(executive, BOB, transfer(executive, ALICE.account_id, 7), nonce)
    done = node.rpc("dev_dryRun", "0x" + raw.hex())
    assert "TransactionFeePaid" in str(done["events"])
    late = signed_call(executive, BOB, transfer(executive, ALICE.account_id, 7), nonce + 3)
    assert "refused" in node.rpc("dev_dryRun", "0x" + late.hex())["error"]


def test_dumped_state_loads_again(node: DevNode):
    node.rpc("dev_faucet", BOB.address, 77)
    balance = free(node, BOB)
    dump = node.rpc("dev_dumpState")
    node.rpc("dev_faucet", BOB.address, 10**12)
    node.rpc("dev_loadState", dump)
    assert free(node, BOB) == balance
    node.rpc("dev_newBlock")
    assert "genesis.raw.top" in refusal(node, "dev_loadState", {})


def test_sealing_can_change(node: DevNode):
    executive = node.node.engine.executive
    assert node.rpc("dev_setSealing", "instant") == "instant"
    nonce = node.rpc("account_nextIndex", ALICE.address)
    raw = signed_call(executive, ALICE, transfer(executive, BOB.account_id, 7), nonce)
    start = number(node)
    node.rpc("author_submitExtrinsic", "0x" + raw.hex())
    while number(node) == start:
        pass
    assert node.rpc("dev_setSealing", "manual") == "manual"
    assert "expected instant" in refusal(node, "dev_setSealing", "sometimes")
