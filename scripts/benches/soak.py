"""Ten minutes of many kinds of clients at once: is every answer there, and does memory stay flat?

The node makes a block every 250 ms and keeps its store on disk. Each client of the mix is a
coroutine that counts its answers and fails loudly when one is missing, wrong or out of order.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import orjson
from benchmark import Row, run

from chain.dev.signing import signed_call, transfer
from chain.executive import Executive
from chain.pallets.system import Account
from chain.runtime_spec import make_runtime
from ganglion.keys import dev_key
from localnet.node_process import NodeProcess

ALICE = "0x" + Account.key_of((Account, dev_key("Alice").account_id)).hex()
PERIOD_MS = 250
SAMPLE_S = 2.0
WARM_UP = 0.5
"""Share of the time after which caches are full and memory has to stay where it is."""


class Tally:
    """Answers, and notifications that came or were missed, over all clients."""

    def __init__(self) -> None:
        self.answers = self.heads = self.missed = self.transfers = self.connections = 0


class Client:
    """JSON-RPC over one WebSocket: answers by id, notifications by subscription."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, tally: Tally) -> None:
        self._socket, self._tally = socket, tally
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.pushed: asyncio.Queue[Any] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read())

    async def call(self, method: str, *params: Any) -> Any:
        """The result of one request; raises RuntimeError for an error."""
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        await self._socket.send_bytes(orjson.dumps(request))
        answer = await asyncio.wait_for(future, 30)
        self._tally.answers += 1
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    async def _read(self) -> None:
        async for message in self._socket:
            answer = orjson.loads(message.data)
            if "id" in answer:
                future = self._waiting.pop(answer["id"])
                if not future.cancelled():  # its asker was stopped because the time is over
                    future.set_result(answer)
            else:
                self.pushed.put_nowait(answer["params"]["result"])

    async def close(self) -> None:
        """Leave."""
        await self._socket.close()
        await self._reader


async def follow_heads(client: Client, tally: Tally) -> None:
    """Every head once, in order."""
    await client.call("chain_subscribeNewHeads")
    last = None
    while True:
        number = int((await client.pushed.get())["number"], 16)
        tally.heads += 1
        tally.missed += 0 if last is None else number - last - 1
        last = number


async def follow_chain(client: Client, tally: Tally) -> None:
    """chainHead_v1: every new block by name, unpinned when it is old."""
    follow = await client.call("chainHead_v1_follow", False)
    held: list[str] = []
    while True:
        event = await client.pushed.get()
        if event["event"] == "stop":
            raise RuntimeError("the node stopped a chainHead subscription")
        if event["event"] == "newBlock":
            tally.heads += 1
            held.append(event["blockHash"])
        if len(held) > 10:
            await client.call("chainHead_v1_unpin", follow, held.pop(0))


async def watch_storage(client: Client, tally: Tally) -> None:
    """One account's value whenever it changes, beginning anew now and then."""
    while True:
        key = await client.call("state_subscribeStorage", [ALICE])
        for _ in range(5):
            await asyncio.wait_for(client.pushed.get(), 60)
        await client.call("state_unsubscribeStorage", key)
        while not client.pushed.empty():
            client.pushed.get_nowait()


async def read(client: Client, _tally: Tally) -> None:
    """What wallets and explorers ask, over and over, at new and old blocks."""
    while True:
        head = await client.call("chain_getBlockHash")
        await asyncio.gather(*(client.call("state_getStorage", ALICE) for _ in range(8)))
        await client.call("state_getStorage", ALICE, head)
        await client.call("chain_getBlock", head)
        await client.call("state_getKeysPaged", "0x", 100)
        await client.call("state_getReadProof", [ALICE], head)
        await client.call("state_queryStorageAt", [ALICE], head)
        await client.call("system_health")
        await asyncio.sleep(0.05)


async def query(client: Client, _tally: Tally) -> None:
    """Runtime calls that take long, as the SDK makes them."""
    while True:
        await client.call("state_call", "NeuronInfoRuntimeApi_get_neurons_lite", "0x0100")
        await client.call("state_call", "SubnetInfoRuntimeApi_get_metagraph", "0x0100")
        await client.call("state_getMetadata")
        await asyncio.sleep(0.2)


async def transact(client: Client, tally: Tally) -> None:
    """Signed transfers, each followed to finality."""
    genesis = bytes.fromhex((await client.call("chain_getBlockHash", 0))[2:])
    executive = Executive(make_runtime(), genesis)
    alice, bob = dev_key("Alice"), dev_key("Bob").account_id
    for nonce in itertools.count():
        raw = signed_call(executive, alice, transfer(executive, bob, 10**6), nonce)
        await client.call("author_submitAndWatchExtrinsic", "0x" + raw.hex())
        while "finalized" not in await asyncio.wait_for(client.pushed.get(), 30):
            pass
        tally.transfers += 1


async def come_and_go(session: aiohttp.ClientSession, url: str, tally: Tally, until: float) -> None:
    """Clients that connect, ask a little, leave subscriptions behind and go."""
    while time.monotonic() < until:
        client = Client(await session.ws_connect(url), tally)
        tally.connections += 1
        await client.call("chain_subscribeNewHeads")
        await client.call("state_subscribeStorage", [ALICE])
        await client.call("chainHead_v1_follow", True)
        await client.call("system_chain")
        await client.close()
        body = {"jsonrpc": "2.0", "id": 1, "method": "chain_getHeader", "params": []}
        async with session.post(url, json=body) as reply:
            assert (await reply.json())["result"]["number"]
        tally.answers += 1
        tally.connections += 1
        await asyncio.sleep(0.1)


MIX: tuple[tuple[int, Callable[[Client, Tally], Awaitable[None]]], ...] = (
    (40, follow_heads),
    (4, follow_chain),
    (4, watch_storage),
    (4, read),
    (2, query),
    (1, transact),
)


async def load(port: int, seconds: float, node: NodeProcess) -> tuple[Tally, list[float]]:
    """The mix for so long; what it counted, and the node's memory in MB over time."""
    tally, memory = Tally(), []
    url = f"http://127.0.0.1:{port}"
    until = time.monotonic() + seconds
    async with aiohttp.ClientSession() as session:
        clients = []
        tasks = [asyncio.ensure_future(come_and_go(session, url, tally, until))]
        for count, work in MIX:
            for _ in range(count):
                clients.append(Client(await session.ws_connect(url), tally))
                tally.connections += 1
                tasks.append(asyncio.ensure_future(work(clients[-1], tally)))
        while time.monotonic() < until:
            await asyncio.sleep(SAMPLE_S)
            memory.append(node.rss_mb())
            for task in tasks:
                if task.done() and task.exception() is not None:
                    raise RuntimeError("a client failed") from task.exception()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in clients:
            await client.close()
    return tally, memory


def rows(quick: bool) -> list[Row]:
    """One run; memory is compared between the end of the warm-up and the end, by medians."""
    seconds = 20.0 if quick else 600.0
    with NodeProcess("--dev", "--tmp", "--sealing", str(PERIOD_MS)) as node:
        tally, memory = asyncio.run(load(node.port, seconds, node))
        used = node.cpu_s() / seconds
    warm = memory[int(len(memory) * WARM_UP) :]
    span = max(len(warm) // 8, 1)
    start, end = statistics.median(warm[:span]), statistics.median(warm[-span:])
    return [
        {
            "seconds": seconds,
            "connections": tally.connections,
            "answers": tally.answers,
            "transfers": tally.transfers,
            "heads heard": tally.heads,
            "heads missed": tally.missed,
            "memory warm, MB": start,
            "memory at the end, MB": end,
            "growth, % (goal 5)": 100 * (end / start - 1),
            "share of a core, %": 100 * used,
        }
    ]


run(
    "soak",
    f"A node with {PERIOD_MS} ms blocks under a mix of clients: 40 follow heads, 4 chainHead, "
    "4 storage, 4 read without pause, 2 make runtime calls, 1 sends transfers, others come and go; "
    "memory from the middle of the time, when caches are full, to its end.",
    rows,
)
