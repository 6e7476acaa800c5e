"""Who is let in, how many, and how large answers travel."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import aiohttp
import pytest

from chain.rpc.jsonrpc import Dispatcher
from chain.rpc.methods import MethodTable
from chain.rpc.server import RpcConfig, RpcServer

methods = MethodTable()


@methods.rpc("echo")
def echo(_context: object, size: int) -> str:
    """`size` letters."""
    return "a" * size


@methods.rpc("faulty")
def faulty(_context: object) -> str:
    """Fails in a way that nobody foresaw, on the event loop."""
    raise ZeroDivisionError


@methods.rpc("slow", blocking=True)
def slow(_context: object) -> str:
    """Fails in a way that nobody foresaw."""
    raise ZeroDivisionError


@asynccontextmanager
async def server(**options):
    config = RpcConfig(ports=(0,), **options)
    worker = ThreadPoolExecutor(1)
    running = RpcServer(Dispatcher(methods.methods, None, worker, config.max_response), config)
    await running.start()
    async with aiohttp.ClientSession() as http:
        yield running, http, f"http://127.0.0.1:{running.ports[0]}/"
    await running.stop()
    worker.shutdown()


def request(method: str, *params):
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://localhost:3000", 200),
        ("https://polkadot.js.org", 200),
        ("https://polkadot.js.org.evil.example", 403),
        ("http://localhost.evil.example:3000", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://[bad", 403),
    ],
)
async def test_pages_of_other_origins_are_refused(origin: str | None, status: int):
    allowed = ("http://localhost:*", "https://polkadot.js.org")
    headers = {} if origin is None else {"Origin": origin}
    async with server(cors=allowed) as (_, http, url):
        async with http.post(url, json=request("echo", 1), headers=headers) as reply:
            assert reply.status == status
        if status == 403:
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await http.ws_connect(url, headers=headers)
        else:
            async with http.ws_connect(url, headers=headers) as ws:
                await ws.send_json(request("echo", 1))
                assert (await ws.receive_json())["result"] == "a"


async def test_beyond_the_limit_connections_are_turned_away():
    async with server(max_connections=2) as (running, http, url):
        async with http.ws_connect(url), http.ws_connect(url):
            assert running.connections == 2
            async with http.post(url, json=request("echo", 1)) as reply:
                assert reply.status == 429
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await http.ws_connect(url)
        for _ in range(50):
            if running.connections == 0:
                break
            await asyncio.sleep(0.02)
        async with http.post(url, json=request("echo", 1)) as reply:
            assert reply.status == 200


async def test_a_bug_in_a_method_costs_one_answer_only(caplog):
    async with server() as (_, http, url), http.ws_connect(url) as ws:
        await ws.send_json(request("slow"))
        assert (await ws.receive_json())["error"]["code"] == -32603
        await ws.send_json(request("echo", 3))
        assert (await ws.receive_json())["result"] == "aaa"
    assert "ZeroDivisionError" in caplog.text


async def test_large_answers_are_compressed_for_proxied_clients():
    """Only there: on one machine it costs time and saves nothing."""
    async with server() as (_, http, url):
        for headers, expected in (({"X-Forwarded-For": "10.0.0.1"}, True), ({}, False)):
            async with http.ws_connect(url, compress=15, headers=headers) as ws:
                assert bool(ws.compress) is expected
                for size in (10, 1_000_000):
                    await ws.send_json(request("echo", size))
                    assert (await ws.receive_json())["result"] == "a" * size


async def test_an_oversized_frame_ends_the_connection():
    async with server(max_request=1000) as (_, http, url), http.ws_connect(url) as ws:
        await ws.send_str("a" * 2000)
        message = await ws.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert message.data == 1009


async def test_stopping_closes_clients():
    async with server() as (running, http, url):
        ws = await http.ws_connect(url)
        await running.stop()
        message = await asyncio.wait_for(ws.receive(), 5)
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert message.data == 1001


async def test_who_stays_silent_is_dropped_and_who_answers_pings_stays():
    async with server(heartbeat=0.05) as (_, http, url):
        mute = await http.ws_connect(url, autoping=False)
        alive = await http.ws_connect(url)
        listening = asyncio.create_task(alive.receive())
        while (message := await asyncio.wait_for(mute.receive(), 5)).type is aiohttp.WSMsgType.PING:
            pass
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert not listening.done()
        await alive.send_json(request("echo", 3))
        assert (await asyncio.wait_for(listening, 5)).json()["result"] == "aaa"


async def test_quick_answers_keep_the_order_of_their_questions():
    async with server() as (_, http, url), http.ws_connect(url) as ws:
        sizes = [1, 100_000, 2, 20_000, 3] * 20
        for i, size in enumerate(sizes):
            await ws.send_json({**request("echo", size), "id": i})
        answers = [(await ws.receive()).json() for _ in sizes]
        assert {a["id"]: len(a["result"]) for a in answers} == dict(enumerate(sizes))
        short = [a["id"] for a in answers if len(a["result"]) < 10]
        assert short == sorted(short)


async def test_a_fault_in_a_quick_method_ends_the_connection():
    async with server() as (_, http, url), http.ws_connect(url) as ws:
        await ws.send_json(request("faulty"))
        message = await asyncio.wait_for(ws.receive(), 5)
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
