"""Answers per second of the RPC server, by wall clock and by its own processor time."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from pathlib import Path

import compat
from benchmark import Row, run
from raw_socket import RawSocket

from chain.pallets.system import Account
from ganglion.keys import dev_key
from localnet.node_process import NodeProcess

LIB = Path(__file__).resolve().parents[1] / "lib"
KEY = "0x" + Account.key_of((Account, dev_key("Alice").account_id)).hex()
READ = {"jsonrpc": "2.0", "id": 1_000_000, "method": "state_getStorage", "params": [KEY]}


def body(request: object) -> bytes:
    return json.dumps(request, separators=(",", ":")).encode()


class Load:
    """One node under one kind of load."""

    def __init__(self, node: NodeProcess, count: int) -> None:
        self.node, self.count = node, count

    def measured(self, name: str, answers: int, work: object) -> Row:
        """Run `work`, which gets `answers` answers in all."""
        assert callable(work)
        cpu, start = self.node.cpu_s(), time.perf_counter()
        work()
        wall, used = time.perf_counter() - start, self.node.cpu_s() - cpu
        return {
            "load": name,
            "answers": answers,
            "per second": round(answers / wall),
            "per server CPU second": round(answers / used) if used else None,
        }

    def pipelined(self, depth: int) -> Row:
        """`depth` requests on their way at once on one WebSocket."""
        client = RawSocket(self.node.port)
        client.send(body(READ))
        size = len(RawSocket.frame(client.receive())) - 4
        frames = RawSocket.frame(body(READ)) * depth
        rounds = self.count // depth

        def work() -> None:
            for _ in range(rounds):
                client.socket.sendall(frames)
                client.skip(size * depth)

        return self.measured(f"WebSocket, {depth} in flight", rounds * depth, work)

    def batched(self, size: int) -> Row:
        """JSON-RPC batches of `size`."""
        client = RawSocket(self.node.port)
        batch = body([READ] * size)
        rounds = self.count // size

        def work() -> None:
            for _ in range(rounds):
                client.send(batch)
                client.receive()

        return self.measured(f"WebSocket, batches of {size}", rounds * size, work)

    def posted(self) -> Row:
        """HTTP POST, a new connection each time, as curl does."""
        rounds = self.count // 50
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.node.port}", body(READ), {"Content-Type": "application/json"}
        )

        def work() -> None:
            for _ in range(rounds):
                with urllib.request.urlopen(request) as reply:
                    reply.read()

        return self.measured("HTTP, one connection each", rounds, work)


def idle_heads(clients: int, seconds: float) -> Row:
    """Clients that only follow heads, while a block comes every 250 ms."""
    with NodeProcess("--dev", "--sealing", "250") as node:
        alone = _share(node, seconds)
        follow = body({"jsonrpc": "2.0", "id": 1, "method": "chain_subscribeNewHeads"})
        held = [RawSocket(node.port) for _ in range(clients)]
        for client in held:
            client.send(follow)
        total = _share(node, seconds)
        for client in held:
            client.socket.close()
    return {
        "load": f"{clients} idle WebSockets following heads, 250 ms blocks",
        "answers": None,
        "per second": None,
        "per server CPU second": f"{100 * (total - alone):.1f} % of a core more",
    }


def metagraphs(sizes: tuple[int, ...]) -> list[Row]:
    """Server time of a metagraph that bittensor 11.3 reads; goals: 60 and 400 ms."""
    client = compat.prepare(next(c for c in compat.CLIENTS if c.name == "bittensor-11"))
    result = []
    with NodeProcess("--dev", "--tmp", "--sealing", "manual") as node:
        node.rpc("dev_setStorage", {"SubtensorModule": {"MaxAllowedUids": [[[1], max(sizes)]]}})
        made = 1
        for size in sizes:
            while made < size:
                made += len(node.rpc("dev_registerNeurons", 1, min(256, size - made), 10**9))
            times = 10_000 // size
            read = [client, str(LIB / "metagraph_client.py"), node.url, "1"]
            used = []
            for count in (1, times + 1):
                before = node.cpu_s()
                subprocess.run([*read, str(count)], check=True, stdout=subprocess.DEVNULL)
                used.append(node.cpu_s() - before)
            each = max(used[1] - used[0], 0.0) / times / 2
            result.append(
                {
                    "load": f"metagraph or neurons of {size}, bittensor 11.3",
                    "answers": 2 * times,
                    "per second": None,
                    "per server CPU second": f"{1e3 * each:.0f} ms each",
                }
            )
    return result


def _share(node: NodeProcess, seconds: float) -> float:
    time.sleep(1)
    start = node.cpu_s()
    time.sleep(seconds)
    return (node.cpu_s() - start) / seconds


def rows(quick: bool) -> list[Row]:
    count = 20_000 if quick else 200_000
    result = []
    with NodeProcess("--dev", "--sealing", "manual") as node:
        load = Load(node, count)
        result += [load.pipelined(depth) for depth in (1, 8, 64)]
        result += [load.batched(64), load.posted()]
    result.append(idle_heads(50 if quick else 500, 3 if quick else 10))
    result += metagraphs((256,) if quick else (256, 4096))
    return result


run("rpc", "state_getStorage of one account (56 bytes) on a node with its store on disk.", rows)
