"""Reads: blocks, storage, metadata, versions, fees, in the forms that clients parse."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from chain.blocks import Header
from chain.dev.devnode import DevNode
from chain.pallets.system import Account, Number
from chain.rpc.errors import RpcError
from chain.trie.proof import open_proof
from ganglion.keys import dev_key
from ganglion.runtime import Runtime

ALICE = dev_key("Alice")


def test_block_hashes_by_every_spelling(manual: DevNode):
    best = manual.rpc("dev_newBlock", {"count": 2})
    assert manual.rpc("chain_getBlockHash") == best
    assert manual.rpc("chain_getHead") == best
    assert manual.rpc("chain_getBlockHash", None) == best
    number = int(manual.rpc("chain_getHeader")["number"], 16)
    assert manual.rpc("chain_getBlockHash", number) == best
    assert manual.rpc("chain_getBlockHash", hex(number)) == best
    genesis = manual.rpc("chain_getBlockHash", 0)
    assert manual.rpc("chain_getBlockHash", [0, number, 10**6]) == [genesis, best, None]
    assert manual.rpc("chain_getBlockHash", 10**6) is None
    assert manual.rpc("chain_getFinalisedHead") == best


def test_a_header_hashes_to_its_block(manual: DevNode):
    best = manual.rpc("dev_newBlock")
    found = manual.rpc("chain_getHeader", best)
    logs = [bytes.fromhex(log[2:]) for log in found["digest"]["logs"]]
    number = int(found["number"], 16)
    encoded = (
        bytes.fromhex(found["parentHash"][2:])
        + bytes((number << 2,))
        + bytes.fromhex(found["stateRoot"][2:])
        + bytes.fromhex(found["extrinsicsRoot"][2:])
        + bytes((len(logs) << 2,))
        + b"".join(logs)
    )
    assert "0x" + blake2b(encoded, digest_size=32).hexdigest() == best
    assert Header.decode(encoded).hash.hex() == best[2:]
    assert [log[0] for log in logs] == [6, 5]


def test_unknown_blocks(manual: DevNode):
    nowhere = "0x" + "77" * 32
    assert manual.rpc("chain_getHeader", nowhere) is None
    assert manual.rpc("chain_getBlock", nowhere) is None
    for method in ("state_getStorage", "state_getRuntimeVersion"):
        with pytest.raises(RpcError) as refusal:
            manual.rpc(method, *(["0x00"] if "Storage" in method else []), nowhere)
        assert refusal.value.code == 4003
        assert "UnknownBlock" in refusal.value.message


def test_storage_reads_agree(manual: DevNode):
    key = "0x" + Account.key_of((Account, ALICE.account_id)).hex()
    value = manual.rpc("state_getStorage", key)
    best = manual.rpc("chain_getBlockHash")
    assert manual.rpc("state_getStorageAt", key[2:], best) == value
    assert manual.rpc("state_getStorageSize", key) == len(value) // 2 - 1
    accounts = "0x" + Account.prefix.hex()
    every = sum(len(v) // 2 - 1 for _, v in manual.rpc("state_getPairs", accounts))
    assert manual.rpc("state_getStorageSize", accounts) == every
    assert manual.rpc("state_getStorageSize", "0x123456") is None
    digest = blake2b(bytes.fromhex(value[2:]), digest_size=32).hexdigest()
    assert manual.rpc("state_getStorageHash", key) == "0x" + digest
    [found] = manual.rpc("state_queryStorageAt", [key, "0x1234"])
    assert found == {"block": best, "changes": [[key, value], ["0x1234", None]]}
    assert manual.rpc("state_queryStorageAt", []) == [{"block": best, "changes": []}]
    assert manual.rpc("state_getStorage", "0x1234") is None
    assert manual.rpc("state_getStorageHash", "0x3a636f6465") is not None


def test_keys_by_pages_and_at_once(manual: DevNode):
    prefix = "0x" + Account.prefix.hex()
    everything = manual.rpc("state_getKeys", prefix)
    assert everything == sorted(everything)
    assert len(everything) == 9
    paged, start = [], prefix
    while page := manual.rpc("state_getKeysPaged", prefix, 4, start):
        paged += page
        start = page[-1]
    assert paged == everything
    assert manual.rpc("state_getKeysPaged", prefix, 1000, None) == everything
    assert manual.rpc("state_getKeysPaged", prefix, 0) == []
    with pytest.raises(RpcError) as refusal:
        manual.rpc("state_getKeysPaged", prefix, 1001)
    assert refusal.value.message == "count exceeds maximum value. value: 1001, max: 1000"
    pairs = manual.rpc("state_getPairs", prefix)
    assert [k for k, _ in pairs] == everything


def test_history_stays_readable(manual: DevNode):
    key = "0x" + Number.prefix.hex()
    first = manual.rpc("dev_newBlock")
    last = manual.rpc("dev_newBlock", {"count": 3})
    number = int(manual.rpc("chain_getHeader", first)["number"], 16)
    assert manual.rpc("state_getStorage", key, first) == "0x" + number.to_bytes(4, "little").hex()
    sets = manual.rpc("state_queryStorage", [key], first, last)
    assert [s["changes"][0][1] for s in sets] == [
        "0x" + (number + i).to_bytes(4, "little").hex() for i in range(4)
    ]


def test_metadata_in_both_versions(manual: DevNode):
    v14 = bytes.fromhex(manual.rpc("state_getMetadata")[2:])
    assert v14[:5] == b"meta\x0e"
    for data in ("0x0f000000", "0f000000"):
        v15 = bytes.fromhex(manual.rpc("state_call", "Metadata_metadata_at_version", data)[2:])
        assert v15[0] == 1
        assert b"meta\x0f" in v15[:10]
    assert manual.rpc("state_call", "Metadata_metadata_at_version", "0x63000000") == "0x00"
    assert Runtime.from_bytes(v14).call("System", "remark", remark="0x00") is not None


def test_state_call_refusals_in_upstream_words(manual: DevNode):
    with pytest.raises(RpcError) as refusal:
        manual.rpc("state_call", "No_such", "")
    assert refusal.value.message == (
        "Client error: Execution failed: Other: Exported method No_such is not found"
    )
    with pytest.raises(RpcError) as refusal:
        manual.rpc("state_call", "AccountNonceApi_account_nonce", "0x0102")
    assert refusal.value.code == 4003


def test_runtime_version_has_what_clients_require(manual: DevNode):
    version = manual.rpc("state_getRuntimeVersion")
    assert version == manual.rpc("chain_getRuntimeVersion", None)
    assert version["specName"] == "node-subtensor"
    assert {"transactionVersion", "specVersion", "implVersion", "apis", "stateVersion"} <= set(
        version
    )


def test_system(manual: DevNode):
    assert manual.rpc("system_properties") == {
        "ss58Format": 42,
        "tokenDecimals": 9,
        "tokenSymbol": "TAO",
    }
    assert manual.rpc("system_chainType") == "Development"
    assert manual.rpc("system_health") == {
        "peers": 0,
        "isSyncing": False,
        "shouldHavePeers": False,
    }
    assert manual.rpc("system_accountNextIndex", ALICE.address) == 0
    with pytest.raises(RpcError) as refusal:
        manual.rpc("account_nextIndex", "5Grw")
    assert refusal.value.code == -32602


def test_fees_match_what_is_charged(manual: DevNode, pay):
    raw = pay(manual)
    info = manual.rpc("payment_queryInfo", "0x" + raw.hex())
    assert info["class"] == "normal"
    assert info["weight"]["ref_time"] > 0
    parts = manual.rpc("payment_queryFeeDetails", "0x" + raw.hex())["inclusionFee"]
    assert sum(int(v, 16) for v in parts.values()) == int(info["partialFee"])
    with pytest.raises(RpcError):
        manual.rpc("payment_queryInfo", "0x00")


def test_a_dry_run_changes_nothing(manual: DevNode, pay):
    best = manual.rpc("chain_getBlockHash")
    assert manual.rpc("system_dryRun", "0x" + pay(manual).hex()) == "0x0000"
    late = pay(manual, nonce=5)
    assert manual.rpc("system_dryRun", "0x" + late.hex()) == "0x010002"
    assert manual.rpc("chain_getBlockHash") == best
    assert manual.rpc("author_pendingExtrinsics") == []


def test_read_proofs_hold(manual: DevNode):
    key = Account.key_of((Account, ALICE.account_id))
    best = manual.rpc("dev_newBlock")
    answer = manual.rpc("state_getReadProof", ["0x" + key.hex()], best)
    root = bytes.fromhex(manual.rpc("chain_getHeader", best)["stateRoot"][2:])
    trie = open_proof(root, [bytes.fromhex(p[2:]) for p in answer["proof"]])
    assert "0x" + (trie.get(key) or b"").hex() == manual.rpc("state_getStorage", "0x" + key.hex())
