"""Subscriptions: heads, storage, transactions, versions; limits and slow clients."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest

from chain.dev.devnode import DevNode
from chain.pallets.system import Account, Number
from chain.rpc.errors import TOO_MANY_SUBSCRIPTIONS, RpcError
from chain.rpc.session import MAX_QUEUED, Session
from ganglion.errors import TransactionRejected
from ganglion.keys import dev_key
from ganglion.rpc import open_rpc

ALICE = dev_key("Alice")


@asynccontextmanager
async def watching(node: DevNode, method: str, params=(), unsubscribe: str = ""):
    async with open_rpc(node.url) as rpc:
        yield rpc, await rpc.subscribe(method, params, unsubscribe or method.replace("_s", "_uns"))


async def soon(waiting):
    return await asyncio.wait_for(waiting, 10)


@pytest.mark.parametrize(
    "method",
    ["chain_subscribeNewHeads", "chain_subscribeNewHead", "chain_subscribeAllHeads"],
)
async def test_heads_begin_with_the_current_one(manual: DevNode, method: str):
    async with watching(manual, method) as (rpc, heads):
        first = await soon(heads.next())
        assert first == await rpc.call("chain_getHeader")
        best = await rpc.call("dev_newBlock")
        second = await soon(heads.next())
        assert second == await rpc.call("chain_getHeader", [best])


async def test_finalized_heads_come_one_by_one(manual: DevNode):
    async with watching(manual, "chain_subscribeFinalizedHeads") as (rpc, heads):
        start = int((await soon(heads.next()))["number"], 16)
        await rpc.call("dev_newBlock", [{"count": 3}])
        numbers = [int((await soon(heads.next()))["number"], 16) for _ in range(3)]
        assert numbers == [start + 1, start + 2, start + 3]


async def test_the_runtime_version_comes_at_once(manual: DevNode):
    async with watching(manual, "state_subscribeRuntimeVersion") as (rpc, versions):
        assert await soon(versions.next()) == await rpc.call("state_getRuntimeVersion")


async def test_storage_reports_all_then_changes(manual: DevNode):
    number, account = Number.prefix, Account.key_of((Account, ALICE.account_id))
    keys = ["0x" + number.hex(), "0x" + account.hex()]
    async with watching(manual, "state_subscribeStorage", [keys]) as (rpc, changes):
        first = await soon(changes.next())
        assert [k for k, _ in first["changes"]] == keys
        await rpc.call("dev_newBlock")
        second = await soon(changes.next())
        assert [k for k, _ in second["changes"]] == [keys[0]]
        await rpc.call("dev_faucet", [ALICE.address, 5])
        third = await soon(changes.next())
        assert sorted(k for k, _ in third["changes"]) == sorted(keys)


async def test_a_transaction_is_followed_to_finality(node: DevNode, pay):
    raw = "0x" + pay(node).hex()
    method, end = "author_submitAndWatchExtrinsic", "author_unwatchExtrinsic"
    async with watching(node, method, [raw], end) as (rpc, status):
        assert await soon(status.next()) == "ready"
        in_block = await soon(status.next())
        final = await soon(status.next())
        assert in_block["inBlock"] == final["finalized"]
        block = await rpc.call("chain_getBlock", [final["finalized"]])
        assert raw in block["block"]["extrinsics"]


async def test_a_refused_transaction_opens_no_subscription(node: DevNode, pay):
    raw = "0x" + pay(node, signer="Nobody", nonce=0).hex()
    async with open_rpc(node.url) as rpc:
        with pytest.raises(TransactionRejected, match="Inability to pay"):
            await rpc.subscribe("author_submitAndWatchExtrinsic", [raw], "author_unwatchExtrinsic")


async def test_waiting_transactions_come_in_nonce_order(node: DevNode, pay):
    start = node.rpc("account_nextIndex", ALICE.address)
    third, second, first = (pay(node, start + i) for i in (2, 1, 0))
    method, end = "author_submitAndWatchExtrinsic", "author_unwatchExtrinsic"
    async with watching(node, method, ["0x" + third.hex()], end) as (rpc, status):
        assert await soon(status.next()) == "future"
        await rpc.call("author_submitExtrinsic", ["0x" + second.hex()])
        await rpc.call("author_submitExtrinsic", ["0x" + first.hex()])
        assert await soon(status.next()) == "ready"
        assert "inBlock" in await soon(status.next())
        assert await rpc.call("account_nextIndex", [ALICE.address]) == start + 3


async def test_the_next_index_counts_the_pool(manual: DevNode, pay):
    start = manual.rpc("account_nextIndex", ALICE.address)
    raw = "0x" + pay(manual, start).hex()
    tx = manual.rpc("author_submitExtrinsic", raw)
    assert manual.rpc("account_nextIndex", ALICE.address) == start + 1
    assert manual.rpc("author_pendingExtrinsics") == [raw]
    with pytest.raises(RpcError) as refusal:
        manual.rpc("author_submitExtrinsic", raw)
    assert refusal.value.code == 1013
    assert manual.rpc("author_removeExtrinsic", [{"hash": tx}]) == [tx]
    assert manual.rpc("author_pendingExtrinsics") == []


def test_pool_errors_keep_upstream_words(manual: DevNode, pay):
    good = pay(manual)
    cases = [
        (b"\x00", 1001, "Extrinsic has invalid format"),
        (good[:-1] + bytes((good[-1] ^ 1,)), 1010, "Transaction has a bad signature"),
        (pay(manual, signer="Nobody"), 1010, "Inability to pay some fees"),
    ]
    for raw, code, text in cases:
        with pytest.raises(RpcError) as refusal:
            manual.rpc("author_submitExtrinsic", "0x" + raw.hex())
        assert refusal.value.code == code
        assert text in f"{refusal.value.message} {refusal.value.data}"
        if code == 1010:
            with pytest.raises(RpcError) as again:
                manual.rpc("author_submitExtrinsic", "0x" + raw.hex())
            assert again.value.code == 1012


def test_the_second_with_one_nonce_is_1014(manual: DevNode, pay):
    nonce = manual.rpc("account_nextIndex", ALICE.address)
    first = manual.rpc("author_submitExtrinsic", "0x" + pay(manual, nonce, 1).hex())
    with pytest.raises(RpcError) as refusal:
        manual.rpc("author_submitExtrinsic", "0x" + pay(manual, nonce, 2).hex())
    assert refusal.value.message == "Priority is too low: (1 vs 1)"
    manual.rpc("author_removeExtrinsic", [{"hash": first}])


async def test_unsubscribing_ends_the_stream(manual: DevNode):
    async with aiohttp.ClientSession() as http, http.ws_connect(manual.url) as ws:

        async def ask(method, *params):
            await ws.send_json(
                {"jsonrpc": "2.0", "id": 9, "method": method, "params": list(params)}
            )
            while "id" not in (reply := await soon(ws.receive_json())):
                pass
            return reply["result"]

        key = await ask("chain_subscribeNewHeads")
        assert await ask("chain_unsubscribeNewHeads", key) is True
        assert await ask("chain_unsubscribeNewHeads", key) is False
        assert await ask("chain_unsubscribeNewHeads") is False
        await ask("dev_newBlock")
        assert await ask("system_chain") == "Development"


async def test_subscriptions_need_a_websocket_and_are_limited(manual: DevNode):
    with pytest.raises(RpcError) as refusal:
        manual.rpc("chain_subscribeNewHeads")
    assert "WebSocket" in refusal.value.data
    session = Session(2)
    session.open("a")
    session.open("a")
    with pytest.raises(RpcError) as refusal:
        session.open("a")
    assert refusal.value.code == TOO_MANY_SUBSCRIPTIONS


async def test_the_outbox_is_bounded():
    session, dropped = Session(1), []
    session.on_overflow = lambda: dropped.append(1)
    subscription = session.open("chain_newHead")
    for _ in range(MAX_QUEUED + 5):
        subscription.push(b"1")
    assert dropped == [1]
    assert not session.outbox


async def test_a_client_that_does_not_read_is_dropped():
    """Its outbox overflows while its socket is full; others go on undisturbed."""
    with DevNode("manual") as node:
        async with aiohttp.ClientSession() as http:
            ws = await http.ws_connect(node.url, max_msg_size=0)
            await ws.send_json({"jsonrpc": "2.0", "id": 1, "method": "chain_getHeader"})
            await ws.receive_json()
            # Every change of this entry is one large notification.
            key = "0x" + b":big".hex()
            await ws.send_json(
                {"jsonrpc": "2.0", "id": 2, "method": "state_subscribeStorage", "params": [[key]]}
            )
            await ws.receive_json()
            ws._response.connection.transport.pause_reading()
            hub = node.node.hub
            for i in range(40):
                value = "0x" + bytes((i,)).hex() * (1 << 20)
                await asyncio.to_thread(node.rpc, "dev_setStorage", [[key, value]])
                if not len(hub.storage):
                    break
            for _ in range(100):
                if not len(hub.storage):
                    break
                await asyncio.sleep(0.1)
            assert not len(hub.storage)
            assert await asyncio.to_thread(node.rpc, "system_chain") == "Development"
            ws._response.connection.transport.resume_reading()
            await ws.close()
