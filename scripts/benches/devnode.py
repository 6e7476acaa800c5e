"""A developers' node beside Anvil: transactions seen one after the other, snapshots, start."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import anvil
from benchmark import Row, run
from raw_socket import RawSocket

from chain.dev.signing import signed_call, transfer
from chain.executive import Executive
from chain.runtime_spec import make_runtime
from ganglion.keys import dev_key
from localnet.node_process import NodeProcess, free_port

LAPS = 4


class Client:
    """JSON-RPC over one WebSocket, one request at a time."""

    def __init__(self, port: int) -> None:
        self._socket = RawSocket(port)
        self._number = 0

    def call(self, method: str, *params: Any) -> Any:
        """The result of one request; notifications on the way are dropped."""
        self._number += 1
        request = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        self._socket.send(json.dumps(request).encode())
        while True:
            answer = json.loads(self._socket.receive())
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def notification(self) -> Any:
        """The next notification's value."""
        while True:
            message = json.loads(self._socket.receive())
            if "method" in message:
                return message["params"]["result"]


def best_rate(count: int, once: Callable[[int], None]) -> float:
    """The best of several runs of `count` transactions, a second: other tenants come and go."""
    took = []
    for lap in range(LAPS):
        start = time.perf_counter()
        for number in range(lap * count, (lap + 1) * count):
            once(number)
        took.append(time.perf_counter() - start)
    return count / min(took)


def our_transfers(node: NodeProcess, count: int) -> float:
    """Signed transfers a second: sign, submit and watch, wait until it is in a block."""
    client = Client(node.port)
    genesis = bytes.fromhex(client.call("chain_getBlockHash", 0)[2:])
    executive = Executive(make_runtime(), genesis)
    alice, bob = dev_key("Alice"), dev_key("Bob").account_id

    def once(nonce: int) -> None:
        raw = signed_call(executive, alice, transfer(executive, bob, 10**6), nonce)
        client.call("author_submitAndWatchExtrinsic", "0x" + raw.hex())
        while "inBlock" not in client.notification():
            pass

    return best_rate(count, once)


def snapshot_ms(call: Any, take: str, back: str, change: tuple[Any, ...]) -> float:
    """Milliseconds of a snapshot and the way back over one block."""

    def once() -> float:
        start = time.perf_counter()
        mark = call(take)
        taken = time.perf_counter() - start
        call(*change)
        start = time.perf_counter()
        call(back, mark)
        return (taken + time.perf_counter() - start) * 1e3

    once()
    return statistics.median(once() for _ in range(50))


def first_block_s() -> float:
    """Seconds from starting the process to "Imported #1"."""
    command = ["--dev", "--tmp", "--sealing", "20"]
    start = time.perf_counter()
    with NodeProcess(*command) as node:
        while int(node.rpc("chain_getHeader")["number"], 16) < 1:
            time.sleep(0.002)
        return time.perf_counter() - start


def ours(count: int) -> Row:
    with NodeProcess("--dev", "--tmp", "--sealing", "instant") as node:
        answered = time.perf_counter() - node.started
        memory = node.rss_mb()
        rate = our_transfers(node, count)
        client = Client(node.port)
        both = snapshot_ms(client.call, "dev_snapshot", "dev_revert", ("dev_newBlock",))
    return {
        "node": "ganglion",
        "transactions a second, one after the other": round(rate),
        "snapshot + revert, ms": both,
        "process start to first answer, s": answered,
        "to block 1, s": first_block_s(),
        "memory at start, MB": round(memory),
    }


def anvils(count: int) -> Row | None:
    program = anvil.program()
    if program is None:
        return None
    port = free_port()
    command = [str(program), "--silent", "--port", str(port)]
    with NodeProcess(port=port, command=command) as node:
        answered = time.perf_counter() - node.started
        client = Client(port)
        memory = node.rss_mb()
        one, two = client.call("eth_accounts")[:2]

        def once(_: int) -> None:
            sent = client.call("eth_sendTransaction", {"from": one, "to": two, "value": "0x1"})
            while client.call("eth_getTransactionReceipt", sent) is None:
                pass

        rate = best_rate(count, once)
        both = snapshot_ms(client.call, "evm_snapshot", "evm_revert", ("evm_mine",))
    return {
        "node": "Anvil (its own signature)",
        "transactions a second, one after the other": round(rate),
        "snapshot + revert, ms": both,
        "process start to first answer, s": answered,
        "to block 1, s": None,
        "memory at start, MB": round(memory),
    }


def rows(quick: bool) -> list[Row]:
    count = 200 if quick else 1_000
    peer = anvils(count)
    return [ours(count), *([peer] if peer else [])]


run(
    "devnode",
    "A developers' node with instant sealing: our client signs each transfer (sr25519), submits "
    "it and waits until it is in a block before it makes the next. The best of four runs of each.",
    rows,
)
