"""chainHead_v1, archive_v1, transaction_v1, transactionWatch_v1 and chainSpec_v1."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import count

import aiohttp
import pytest

from chain.blocks import Header
from chain.dev.devnode import DevNode
from chain.pallets.system import Account, Number
from chain.rpc.chain_head import EVENTS_BEFORE_PAUSE, ITEMS_PER_EVENT
from chain.rpc.follow import MAX_OPERATIONS, MAX_PINNED
from ganglion.keys import dev_key

ALICE = dev_key("Alice")
ACCOUNT = "0x" + Account.key_of((Account, ALICE.account_id)).hex()


class Client:
    """A WebSocket that keeps replies and notifications apart."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws, self._ids, self._events = ws, count(1), asyncio.Queue()
        self._replies: dict[int, asyncio.Future] = {}
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.ws:
            data = message.json()
            if "id" in data:
                self._replies.pop(data["id"]).set_result(data)
            else:
                self._events.put_nowait(data["params"]["result"])

    async def ask(self, method: str, *params):
        """The whole reply."""
        key = next(self._ids)
        reply = self._replies[key] = asyncio.get_running_loop().create_future()
        await self.ws.send_json(
            {"jsonrpc": "2.0", "id": key, "method": method, "params": list(params)}
        )
        return await asyncio.wait_for(reply, 10)

    async def call(self, method: str, *params):
        """The result."""
        reply = await self.ask(method, *params)
        assert "result" in reply, reply
        return reply["result"]

    async def event(self):
        """The next notification."""
        return await asyncio.wait_for(self._events.get(), 10)

    async def until(self, name: str) -> list:
        """Notifications up to the first one of a kind, that one included."""
        seen = [await self.event()]
        while seen[-1]["event"] != name:
            seen.append(await self.event())
        return seen


@asynccontextmanager
async def connect(node: DevNode):
    async with aiohttp.ClientSession() as http, http.ws_connect(node.url, max_msg_size=0) as ws:
        yield Client(ws)


@asynccontextmanager
async def following(node: DevNode, runtime: bool = True):
    async with connect(node) as client:
        key = await client.call("chainHead_v1_follow", runtime)
        started = await client.until("bestBlockChanged")
        yield client, key, started


async def test_a_follower_hears_of_blocks_in_order(manual: DevNode):
    async with following(manual) as (client, _, started):
        first = started[0]
        assert first["event"] == "initialized"
        assert first["finalizedBlockHashes"][-1] == manual.rpc("chain_getFinalizedHead")
        runtime = first["finalizedBlockRuntime"]
        assert runtime["type"] == "valid"
        assert runtime["spec"]["apis"]["0xdf6acb689907609b"] >= 4
        block = await client.call("dev_newBlock")
        new, best, final = await client.until("finalized")
        assert new == {
            "event": "newBlock",
            "blockHash": block,
            "parentBlockHash": first["finalizedBlockHashes"][-1],
            "newRuntime": None,
        }
        assert best == {"event": "bestBlockChanged", "bestBlockHash": block}
        assert final["finalizedBlockHashes"] == [block]
        assert final["prunedBlockHashes"] == []


async def test_without_runtime_there_are_no_runtimes_and_no_calls(manual: DevNode):
    async with following(manual, runtime=False) as (client, key, started):
        assert "finalizedBlockRuntime" not in started[0]
        block = started[0]["finalizedBlockHashes"][-1]
        reply = await client.ask("chainHead_v1_call", key, block, "Core_version", "0x")
        assert reply["error"]["code"] == -32802


async def test_unfinalised_blocks_come_before_the_best(manual: DevNode):
    made = [manual.rpc("engine_createBlock", True, False, None)["hash"] for _ in range(3)]
    async with following(manual) as (_, _, started):
        assert [e["blockHash"] for e in started[1:-1]] == made
        assert started[-1]["bestBlockHash"] == made[-1]
    manual.rpc("engine_finalizeBlock", made[-1])


async def test_operations_on_a_pinned_block(manual: DevNode):
    async with following(manual) as (client, key, started):
        block = started[0]["finalizedBlockHashes"][-1]
        encoded = await client.call("chainHead_v1_header", key, block)
        assert "0x" + Header.decode(bytes.fromhex(encoded[2:])).hash.hex() == block

        operation = await client.call("chainHead_v1_body", key, block)
        done = await client.event()
        assert done["operationId"] == operation["operationId"]
        assert done["value"] == manual.rpc("chain_getBlock", block)["block"]["extrinsics"]

        work = (key, block, "AccountNonceApi_account_nonce", "0x" + ALICE.public_key.hex())
        assert (await client.call("chainHead_v1_call", *work))["result"] == "started"
        assert (await client.event())["output"].startswith("0x")
        await client.call("chainHead_v1_call", key, block, "No_such", "0x")
        assert "not found" in (await client.event())["error"]

        items = [{"key": ACCOUNT, "type": kind} for kind in ("value", "hash")]
        items += [{"key": "0x1234", "type": "value"}]
        items += [{"key": "0x", "type": "closestDescendantMerkleValue"}]
        started_ = await client.call("chainHead_v1_storage", key, block, items, None)
        assert started_["discardedItems"] == 0
        found = await client.event()
        assert found["items"][0]["value"] == manual.rpc("state_getStorage", ACCOUNT, block)
        assert found["items"][1]["hash"] == manual.rpc("state_getStorageHash", ACCOUNT, block)
        root = manual.rpc("chain_getHeader", block)["stateRoot"]
        assert found["items"][2]["closestDescendantMerkleValue"] == root
        assert len(found["items"]) == 3
        assert (await client.event())["event"] == "operationStorageDone"


async def test_a_long_walk_waits_to_be_continued(manual: DevNode):
    entries = ITEMS_PER_EVENT * EVENTS_BEFORE_PAUSE + 5
    pairs = [["0x77" + i.to_bytes(4, "big").hex(), "0x01"] for i in range(entries)]
    manual.rpc("dev_setStorage", pairs)
    async with following(manual) as (client, key, started):
        block = started[0]["finalizedBlockHashes"][-1]
        items = [{"key": "0x77", "type": "descendantsHashes"}]
        operation = (await client.call("chainHead_v1_storage", key, block, items))["operationId"]
        first = await client.until("operationWaitingForContinue")
        assert await client.call("chainHead_v1_continue", key, operation) is None
        rest = await client.until("operationStorageDone")
        found = [i["key"] for e in first + rest for i in e.get("items", [])]
        assert found == [k for k, _ in pairs]
        stopped = (await client.call("chainHead_v1_storage", key, block, items))["operationId"]
        await client.until("operationWaitingForContinue")
        assert await client.call("chainHead_v1_stopOperation", key, stopped) is None
        assert await client.call("chainHead_v1_continue", key, stopped) is None


async def test_limits_and_refusals(manual: DevNode):
    async with following(manual) as (client, key, started):
        block, strange = started[0]["finalizedBlockHashes"][-1], "0x" + "12" * 32
        reply = await client.ask("chainHead_v1_body", key, strange)
        assert reply["error"]["code"] == -32801
        assert (await client.call("chainHead_v1_body", "nope", block))["result"] == "limitReached"
        assert await client.call("chainHead_v1_header", "nope", block) is None
        assert await client.call("chainHead_v1_unpin", "nope", block) is None
        twice = await client.ask("chainHead_v1_unpin", key, [block, block])
        assert twice["error"]["code"] == -32804
        assert await client.call("chainHead_v1_unpin", key, [block]) is None
        assert (await client.ask("chainHead_v1_unpin", key, block))["error"]["code"] == -32801
        assert (await client.ask("chainHead_v1_header", key, block))["error"]["code"] == -32801
        many = [{"key": ACCOUNT, "type": "value"}] * (MAX_OPERATIONS + 3)
        block = (await client.call("dev_newBlock"),)[0]
        await client.until("finalized")
        started_ = await client.call("chainHead_v1_storage", key, block, many)
        assert started_["discardedItems"] == 3
        for _ in range(3):
            await client.call("chainHead_v1_follow", False)
        assert (await client.ask("chainHead_v1_follow", False))["error"]["code"] == -32800


async def emptied(pins) -> bool:
    """Whether all pins go: those of clients that have just left, too."""
    for _ in range(200):
        if not pins:
            return True
        await asyncio.sleep(0.02)
    return False


async def test_unfollowing_and_leaving_let_blocks_go(manual: DevNode):
    pins = manual.node.store._pins
    assert await emptied(pins)
    async with following(manual) as (client, key, _):
        assert pins
        assert await client.call("chainHead_v1_unfollow", key) is None
        await client.call("dev_newBlock")
        assert await emptied(pins)
        await client.call("chainHead_v1_follow", True)
        await client.until("bestBlockChanged")
        assert pins
    assert await emptied(pins)


async def test_a_step_back_stops_followers(manual: DevNode):
    manual.rpc("dev_newBlock")
    async with following(manual) as (client, key, _):
        await client.call("dev_setHead", -1)
        assert (await client.event()) == {"event": "stop"}
        assert await client.call("chainHead_v1_header", key, "0x" + "00" * 32) is None


async def test_a_follower_that_unpins_nothing_is_stopped(manual: DevNode):
    async with following(manual) as (client, _, _):
        await client.call("dev_newBlock", MAX_PINNED + 1)
        await client.until("stop")


async def test_archive(manual: DevNode):
    block = manual.rpc("dev_newBlock")
    number = int(manual.rpc("chain_getHeader")["number"], 16)
    assert manual.rpc("archive_v1_finalizedHeight") == number
    genesis = manual.rpc("archive_v1_genesisHash")
    assert genesis == manual.rpc("chain_getBlockHash", 0) == manual.rpc("chainSpec_v1_genesisHash")
    assert manual.rpc("archive_v1_hashByHeight", number) == [block]
    assert manual.rpc("archive_v1_hashByHeight", number + 9) == []
    encoded = bytes.fromhex(manual.rpc("archive_v1_header", block)[2:])
    assert "0x" + Header.decode(encoded).hash.hex() == block
    assert (
        manual.rpc("archive_v1_body", block)
        == (manual.rpc("chain_getBlock", block)["block"]["extrinsics"])
    )
    nowhere = "0x" + "34" * 32
    for method in ("header", "body"):
        assert manual.rpc(f"archive_v1_{method}", nowhere) is None
    assert manual.rpc("archive_v1_call", nowhere, "Core_version", "0x") is None
    done = manual.rpc("archive_v1_call", block, "Core_version", "0x")
    assert done["success"]
    assert done["value"].startswith("0x")
    assert not manual.rpc("archive_v1_call", block, "No_such", "0x")["success"]


async def test_archive_storage_and_its_differences(manual: DevNode):
    manual.rpc("dev_setStorage", [["0x88aa", "0x01"], ["0x88bb", "0x01"], ["0x88cc", "0x01"]])
    block = manual.rpc("dev_setStorage", [["0x88aa", None], ["0x88bb", "0x02"], ["0x88dd", "0x03"]])
    async with connect(manual) as client:
        items = [{"key": "0x88", "type": "descendantsValues", "paginationStartKey": "0x88bb"}]
        await client.call("archive_v1_storage", block, items)
        found = await client.until("storageDone")
        assert [(e["key"], e["value"]) for e in found[:-1]] == [
            ("0x88cc", "0x01"),
            ("0x88dd", "0x03"),
        ]
        only = [{"key": "0x88", "returnType": "value"}]
        await client.call("archive_v1_storageDiff", block, only)
        found = await client.until("storageDiffDone")
        assert [(e["key"], e["type"], e.get("value")) for e in found[:-1]] == [
            ("0x88aa", "deleted", None),
            ("0x88bb", "modified", "0x02"),
            ("0x88dd", "added", "0x03"),
        ]
        await client.call("archive_v1_storageDiff", block)
        changed = {e["key"] for e in (await client.until("storageDiffDone"))[:-1]}
        assert "0x" + Number.prefix.hex() in changed
        await client.call("archive_v1_storageDiff", "0x" + "56" * 32)
        assert (await client.event())["event"] == "storageDiffError"
        assert await client.call("archive_v1_stopStorage", "nope") is None


async def test_broadcasts_say_nothing_and_can_be_stopped(node: DevNode, pay):
    async with connect(node) as client:
        nonce = node.rpc("account_nextIndex", ALICE.address)
        key = await client.call("transaction_v1_broadcast", "0x" + pay(node).hex())
        for _ in range(100):
            if node.rpc("account_nextIndex", ALICE.address) == nonce + 1:
                break
            await asyncio.sleep(0.02)
        assert node.rpc("account_nextIndex", ALICE.address) == nonce + 1
        assert await client.call("transaction_v1_stop", key) is None
        assert (await client.ask("transaction_v1_stop", key))["error"]["code"] == -32602
        keys = [await client.call("transaction_v1_broadcast", "0x00") for _ in range(17)]
        assert keys[-1] is None
        assert None not in keys[:16]


async def test_a_watched_transaction(node: DevNode, pay):
    async with connect(node) as client:
        raw = "0x" + pay(node).hex()
        await client.call("transactionWatch_v1_submitAndWatch", raw)
        told = await client.until("finalized")
        assert [e["event"] for e in told] == ["validated", "bestChainBlockIncluded", "finalized"]
        block = told[-1]["block"]
        body = node.rpc("chain_getBlock", block["hash"])["block"]["extrinsics"]
        assert body[block["index"]] == raw
        await client.call("transactionWatch_v1_submitAndWatch", raw)
        last = await client.event()
        assert last["event"] == "invalid"
        assert "outdated" in last["error"]


@pytest.mark.parametrize("method", ["chainHead_v1_follow", "archive_v1_storage"])
def test_not_over_http(manual: DevNode, method: str):
    reply = manual.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": [True]})
    assert reply["error"]["code"] == -32601


def test_chain_spec(manual: DevNode):
    assert manual.rpc("chainSpec_v1_chainName") == "Development"
    assert manual.rpc("chainSpec_v1_properties") == manual.rpc("system_properties")
