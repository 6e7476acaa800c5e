"""The RPC client against a server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_node import Refusal, ScriptedNode, Silence

from ganglion.errors import (
    GanglionError,
    NodeUnreachable,
    RequestTimeout,
    RpcError,
    SubscriptionLost,
    TransactionRejected,
)
from ganglion.rpc import HttpRpc, RpcOptions, WsRpc, open_rpc
from ganglion.rpc_core import Core, Subscription

FAST = RpcOptions(timeout_s=5, connect_timeout_s=5, reconnect_s=5)
HEADS = ("subscribe_heads", [], "unsubscribe_heads")


def echo(_: ScriptedNode, request: dict[str, Any]) -> Any:
    return request["params"]


def refuse(_: ScriptedNode, request: dict[str, Any]) -> Any:
    raise Refusal(1010, "Invalid Transaction", "Custom error: 8")


def mute(_: ScriptedNode, request: dict[str, Any]) -> Any:
    return Silence()


@pytest.fixture
async def node() -> AsyncIterator[ScriptedNode]:
    answers = {
        "echo": echo,
        "refuse": refuse,
        "author_submitExtrinsic": refuse,
        "mute": mute,
        "subscribe_heads": lambda n, r: f"sub{n.connections}",
        "unsubscribe_heads": lambda n, r: True,
    }
    async with ScriptedNode(answers) as found:
        yield found


@pytest.fixture
async def rpc(node: ScriptedNode) -> AsyncIterator[WsRpc]:
    async with WsRpc(node.url, FAST) as found:
        yield found


async def test_calls_in_parallel(rpc: WsRpc) -> None:
    found = await asyncio.gather(*(rpc.call("echo", [n]) for n in range(200)))
    assert found == [[n] for n in range(200)]


async def test_batches(rpc: WsRpc, node: ScriptedNode) -> None:
    assert await rpc.batch([("echo", [1]), ("echo", [2])]) == [[1], [2]]
    assert await rpc.batch([]) == []
    with pytest.raises(RpcError, match="Custom error: 8"):
        await rpc.batch([("echo", [1]), ("refuse", [])])


async def test_errors_keep_code_and_data(rpc: WsRpc) -> None:
    with pytest.raises(RpcError) as e:
        await rpc.call("refuse")
    assert (e.value.code, e.value.data) == (1010, "Custom error: 8")
    assert not isinstance(e.value, TransactionRejected)
    with pytest.raises(TransactionRejected):
        await rpc.call("author_submitExtrinsic", ["0x"])
    with pytest.raises(RpcError, match="Method not found"):
        await rpc.call("nonsense")


async def test_silence_times_out_and_the_next_call_works(rpc: WsRpc) -> None:
    with pytest.raises(RequestTimeout, match="mute within 0.05 seconds"):
        await rpc.call("mute", timeout_s=0.05)
    assert await rpc.call("echo", [1]) == [1]


async def test_too_many_unanswered_requests(node: ScriptedNode) -> None:
    async with WsRpc(node.url, replace(FAST, max_pending=3)) as rpc:
        waiting = [asyncio.create_task(rpc.call("mute")) for _ in range(3)]
        await asyncio.sleep(0.05)
        with pytest.raises(NodeUnreachable, match="stuck"):
            await rpc.call("echo", [1])
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert await rpc.call("echo", [1]) == [1]


async def test_subscription(rpc: WsRpc, node: ScriptedNode) -> None:
    heads = await rpc.subscribe(*HEADS)
    for n in range(3):
        await node.push(heads.id, n)
    assert [await heads.next() for _ in range(3)] == [0, 1, 2]
    await rpc.unsubscribe(heads)
    assert "unsubscribe_heads" in node.seen
    with pytest.raises(SubscriptionLost):
        await heads.next()
    await rpc.unsubscribe(heads)


async def test_updates_before_the_reply_are_kept(node: ScriptedNode, rpc: WsRpc) -> None:
    async def early(n: ScriptedNode, _: dict[str, Any]) -> str:
        await n.push("early", "first")
        await n.push("other", "not ours")
        await n.push("early", "second")
        return "early"

    node.answers["subscribe_heads"] = early
    heads = await rpc.subscribe(*HEADS)
    await node.push("early", "third")
    assert [await heads.next() for _ in range(3)] == ["first", "second", "third"]


async def test_a_slow_reader_loses_its_subscription(node: ScriptedNode) -> None:
    async with WsRpc(node.url, replace(FAST, queue_size=4)) as rpc:
        heads = await rpc.subscribe(*HEADS)
        for n in range(10):
            await node.push(heads.id, n)
        await rpc.call("echo")
        assert [await heads.next() for _ in range(3)] == [0, 1, 2]
        with pytest.raises(SubscriptionLost, match="unread"):
            await heads.next()


async def test_the_node_ends_a_subscription(rpc: WsRpc, node: ScriptedNode) -> None:
    heads = await rpc.subscribe(*HEADS)
    await node.send({"subscription": heads.id, "error": "no more"})
    with pytest.raises(SubscriptionLost, match="no more"):
        await heads.next()


async def test_a_refused_subscription(rpc: WsRpc, node: ScriptedNode) -> None:
    node.answers["subscribe_heads"] = refuse
    with pytest.raises(RpcError):
        await rpc.subscribe(*HEADS)
    node.answers["subscribe_heads"] = lambda n, r: None
    with pytest.raises(RpcError, match="no subscription id"):
        await rpc.subscribe(*HEADS)


async def test_reconnects_repeats_and_renews(rpc: WsRpc, node: ScriptedNode) -> None:
    heads = await rpc.subscribe(*HEADS)
    assert heads.id == "sub1"
    held = asyncio.create_task(rpc.call("mute"))
    await asyncio.sleep(0.05)
    node.answers["mute"] = echo
    await node.drop()
    assert await held == []
    assert await rpc.call("echo", [1]) == [1]
    assert node.connections == 2
    assert node.seen.count("subscribe_heads") == 2
    await node.push("sub2", "after")
    assert await heads.next() == "after"


async def test_a_renewal_the_node_refuses_ends_the_subscription(
    rpc: WsRpc, node: ScriptedNode
) -> None:
    heads = await rpc.subscribe(*HEADS)
    node.answers["subscribe_heads"] = refuse
    await node.drop()
    with pytest.raises(RpcError, match="Custom error"):
        await heads.next()


async def test_submissions_are_never_repeated(rpc: WsRpc, node: ScriptedNode) -> None:
    node.answers["author_submitExtrinsic"] = mute
    node.answers["author_submitAndWatchExtrinsic"] = lambda n, r: "watch"
    watch = await rpc.subscribe("author_submitAndWatchExtrinsic", ["0x"], "author_unwatchExtrinsic")
    held = asyncio.create_task(rpc.call("author_submitExtrinsic", ["0x"]))
    batch = asyncio.create_task(rpc.batch([("author_submitExtrinsic", ["0x"]), ("mute", [])]))
    await asyncio.sleep(0.05)
    await node.drop()
    with pytest.raises(NodeUnreachable, match="nonce"):
        await held
    with pytest.raises(NodeUnreachable, match="nonce"):
        await batch
    with pytest.raises(SubscriptionLost, match="nonce"):
        await watch.next()
    assert await rpc.call("echo", [1]) == [1]
    assert node.seen.count("author_submitExtrinsic") == 2
    assert node.seen.count("author_submitAndWatchExtrinsic") == 1


async def test_a_node_that_stays_away(node: ScriptedNode) -> None:
    async with WsRpc(node.url, replace(FAST, reconnect_s=0.1)) as rpc:
        heads = await rpc.subscribe(*HEADS)
        held = asyncio.create_task(rpc.call("mute"))
        await asyncio.sleep(0.05)
        await node.stop()
        for waiting in (held, heads.next()):
            with pytest.raises(NodeUnreachable, match="is the node running"):
                await waiting
        await node.start()
        assert await rpc.call("echo", [1]) == [1]


async def test_no_node() -> None:
    async with ScriptedNode() as gone:
        url = gone.url
    with pytest.raises(NodeUnreachable, match=f"cannot connect to {url}"):
        await WsRpc(url, FAST).connect()
    with pytest.raises(NodeUnreachable, match="cannot connect"):
        await HttpRpc(url.replace("ws", "http"), FAST).call("echo")


async def test_refusals_are_final(node: ScriptedNode) -> None:
    node.refuse_status = 429
    with pytest.raises(NodeUnreachable, match="HTTP 429"):
        await WsRpc(node.url, FAST).connect()
    node.refuse_status = 0
    async with WsRpc(node.url, FAST) as rpc:
        heads = await rpc.subscribe(*HEADS)
        await node.drop(code=1008)
        with pytest.raises(NodeUnreachable, match="turned this client away"):
            await heads.next()
        assert node.connections == 2


@pytest.mark.parametrize("text", ["not json", "5", '"x"', "[1]"])
async def test_a_server_that_is_no_node(rpc: WsRpc, node: ScriptedNode, text: str) -> None:
    held = asyncio.create_task(rpc.call("author_submitExtrinsicSlow"))
    node.answers["author_submitExtrinsicSlow"] = mute
    await asyncio.sleep(0.05)
    await node.raw(text)
    with pytest.raises(NodeUnreachable, match="JSON-RPC"):
        await held


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        '{"id": 99}',
        '{"id": "x", "result": 1}',
        '{"id": null, "error": {}}',
        '{"method": "x"}',
        '{"method": "x", "params": 5}',
        '{"method": "x", "params": {"subscription": {}, "result": 1}}',
        '{"method": "x", "params": {"subscription": "unknown", "result": 1}}',
    ],
)
async def test_stray_messages_are_ignored(rpc: WsRpc, node: ScriptedNode, text: str) -> None:
    await node.raw(text)
    assert await rpc.call("echo", [1]) == [1]
    assert node.connections == 1


async def test_a_node_without_batches(rpc: WsRpc, node: ScriptedNode) -> None:
    node.answers["mute"] = mute
    held = asyncio.create_task(rpc.batch([("mute", []), ("mute", [])]))
    await asyncio.sleep(0.05)
    await node.raw('{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "no"}}')
    with pytest.raises(RpcError, match="no"):
        await held


async def test_after_close_nothing_works(node: ScriptedNode) -> None:
    rpc = WsRpc(node.url, FAST)
    await rpc.connect()
    heads = await rpc.subscribe(*HEADS)
    await rpc.close()
    with pytest.raises(SubscriptionLost, match="closed"):
        await heads.next()
    with pytest.raises(NodeUnreachable, match="closed"):
        await rpc.call("echo")


async def test_http(node: ScriptedNode) -> None:
    async with open_rpc(node.url.replace("ws", "http"), FAST) as rpc:
        assert await rpc.call("echo", [1]) == [1]
        assert await rpc.batch([("echo", [1]), ("echo", [2])]) == [[1], [2]]
        with pytest.raises(RpcError, match="Custom error: 8"):
            await rpc.call("refuse")
        with pytest.raises(RpcError, match="Custom error: 8"):
            await rpc.batch([("echo", [1]), ("refuse", [])])
        with pytest.raises(NodeUnreachable, match="WebSocket"):
            await rpc.subscribe(*HEADS)
        with pytest.raises(NodeUnreachable, match="without an answer|JSON-RPC"):
            await rpc.call("mute")
        node.refuse_status = 429
        with pytest.raises(RpcError, match="refused"):
            await rpc.call("echo")


PIECES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "result", "error", "method", "params", "subscription", "code"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


async def test_any_answer_is_taken_or_refused_in_words() -> None:
    @given(st.lists(PIECES | st.text(max_size=20), max_size=5))
    def feed(messages: list[Any]) -> None:
        core = Core(queue_size=4)
        frames = [core.request("a", [])[0], core.batch([("b", []), ("c", [])])[0]]
        sub = Subscription(core, "s", [], "u")
        core.request("s", [], sub)
        for message in messages:
            try:
                core.receive(message if isinstance(message, str) else json.dumps(message))
            except NodeUnreachable:
                core.disconnected("it spoke nonsense")
        for frame in frames:
            core.abandon(frame)
        core.end(SubscriptionLost("over"))
        assert sub.is_over or len(core) == 0

    feed()
    with pytest.raises(NodeUnreachable, match="JSON-RPC"):
        Core().receive("[" * 100_000)


async def test_addresses() -> None:
    assert isinstance(open_rpc("wss://example.org"), WsRpc)
    assert isinstance(open_rpc("HTTP://127.0.0.1:1"), HttpRpc)
    for bad in ("localhost:9944", "", "ftp://x"):
        with pytest.raises(NodeUnreachable, match="no node address"):
            open_rpc(bad)
    for bad in ("ws://", "ws://127.0.0.1:99999", "ws://a b"):
        with pytest.raises(GanglionError, match="cannot connect"):
            await WsRpc(bad, FAST).connect()
