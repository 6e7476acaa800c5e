"""JSON-RPC framing: what comes back for good, odd and broken frames."""

from __future__ import annotations

import json
import socket

import aiohttp
import pytest

from chain.dev.devnode import DevNode


def call(method, params=None, key=1):
    body = {"jsonrpc": "2.0", "id": key, "method": method}
    return body if params is None else body | {"params": params}


def code(reply) -> int:
    return reply["error"]["code"]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (b"{", -32700),
        (b"", -32700),
        (b"\xff\xfe", -32700),
        (b"[" * 5000, -32700),
        (b"[]", -32600),
        (b"3", -32600),
        (b"null", -32600),
        (b'{"id":1,"method":"system_name"}', -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"system_name"}', -32600),
        (b'{"jsonrpc":"2.0","id":[1],"method":"system_name"}', -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"system_name"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600),
        (b'{"jsonrpc":"2.0","id":1}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"no_such"}', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"system_name","params":7}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"system_name","params":[1]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"chain_getHeader","params":["0x12"]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"chain_getHeader","params":{"no":1}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"state_getStorage","params":[]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"state_getStorage","params":["0xzz"]}', -32602),
    ],
)
def test_errors_by_frame(node: DevNode, frame: bytes, expected: int):
    assert code(node.post(frame)) == expected


def test_ids_come_back_as_they_went(node: DevNode):
    for key in (0, 7, 2**53, -3, "a", "", 'q"uote', None):
        assert node.post(call("system_name", key=key))["id"] == key


def test_a_notification_has_no_reply(node: DevNode):
    assert node.post({"jsonrpc": "2.0", "method": "system_name"}) is None


def test_a_batch_answers_in_order_and_mixes_errors(node: DevNode):
    replies = node.post(
        [
            call("system_chain", key=1),
            call("state_getMetadata", [], key=2),
            {"jsonrpc": "2.0", "method": "system_name"},
            call("nope", key=3),
            5,
        ]
    )
    assert [r["id"] for r in replies] == [1, 2, 3, None]
    assert [code(r) for r in replies[2:]] == [-32601, -32600]


def test_a_batch_beyond_the_limit_is_refused(node: DevNode):
    assert code(node.post([call("system_name")] * 4097)) == -32010


def test_a_response_beyond_the_limit_is_refused(node: DevNode):
    size = len(node.rpc("state_getMetadata"))
    replies = node.post([call("state_getMetadata", [])] * (15 * 2**20 // size + 1))
    assert (code(replies), replies["error"]["message"]) == (-32008, "Response is too big")


def test_params_may_be_named(node: DevNode):
    best = node.rpc("chain_getBlockHash")
    header = node.post(call("chain_getHeader", {"hash": best}))["result"]
    assert header == node.rpc("chain_getHeader", best)


def test_rpc_methods_lists_exactly_what_is_there(node: DevNode):
    listed = node.rpc("rpc_methods")["methods"]
    assert len(listed) == len(set(listed))
    wanted = {
        "state_call",
        "state_getStorageAt",
        "account_nextIndex",
        "state_getKeysPaged",
        "state_getKeys",
        "chain_getHead",
        "chain_getBlockHash",
        "chain_subscribeFinalizedHeads",
        "author_submitAndWatchExtrinsic",
        "state_subscribeRuntimeVersion",
        "payment_queryInfo",
    }
    assert wanted <= set(listed)
    assert not [m for m in listed if m.startswith(("eth_", "system_local", "grandpa_"))]
    for method in listed:
        reply = node.post(call(method, ["no such", "parameters", "anywhere", 1, 2, 3, 4, 5]))
        assert reply.get("error", {}).get("code") != -32601 or "WebSocket" in str(reply)


async def test_http_refuses_what_is_no_json_post(node: DevNode):
    url = f"http://127.0.0.1:{node.port}/"
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as reply:
            assert reply.status == 200
            said = await reply.text()
            assert f"ws://127.0.0.1:{node.port}" in said
            assert f"https://polkadot.js.org/apps/?rpc=ws://127.0.0.1:{node.port}\n" in said
            assert said.count("\n") == 2
        async with http.get(url + "elsewhere") as reply:
            assert reply.status == 405
        async with http.post(url, data=b"{}", headers={"Content-Type": "text/plain"}) as reply:
            assert reply.status == 415
        async with http.options(url, headers={"Origin": "http://localhost:3000"}) as reply:
            assert reply.status == 204
            assert reply.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


async def test_a_request_beyond_the_limit_is_413(node: DevNode):
    url = f"http://127.0.0.1:{node.port}/"
    big = b'{"jsonrpc":"2.0","id":1,"method":"x","params":["' + b"a" * (16 << 20) + b'"]}'
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession() as http, http.post(url, data=big, headers=headers) as reply:
        assert reply.status == 413
        assert code(json.loads(await reply.read())) == -32007


async def test_websocket_answers_and_survives_nonsense(node: DevNode):
    async with aiohttp.ClientSession() as http, http.ws_connect(node.url) as ws:
        await ws.send_str("nonsense")
        assert code(await ws.receive_json()) == -32700
        await ws.send_bytes(json.dumps(call("system_chain")).encode())
        assert (await ws.receive_json())["result"] == "Development"
        await ws.send_json([call("system_chain", key=1), call("chain_getHeader", key=2)])
        assert [r["id"] for r in await ws.receive_json()] == [1, 2]


async def test_slow_and_quick_requests_share_a_connection(node: DevNode):
    async with aiohttp.ClientSession() as http, http.ws_connect(node.url) as ws:
        for key in range(40):
            method = "state_getMetadata" if key % 2 else "system_chain"
            await ws.send_json(call(method, [], key=key))
        replies = [await ws.receive_json() for _ in range(40)]
    assert sorted(r["id"] for r in replies) == list(range(40))
    assert all("result" in r for r in replies)


def test_a_client_that_hangs_up_midway_harms_nobody(node: DevNode):
    for part in (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        b"GET / HT",
        b"\x00",
    ):
        with socket.create_connection(("127.0.0.1", node.port)) as raw:
            raw.sendall(part)
    assert node.rpc("system_chain") == "Development"
