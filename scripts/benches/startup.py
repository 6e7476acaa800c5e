"""How soon a fresh dev chain is usable, and how much memory it takes. Peer: Anvil, from npm.

"first answer" is from process start to the first JSON-RPC reply; "block 1" to the first block;
memory is the resident set after that.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anvil
from benchmark import Row, run

from localnet.node_process import NodeProcess, call, free_port


def until(check: Callable[[], bool], limit: float = 30.0) -> float:
    """Wait, polling every 2 ms, until `check` holds; the moment it did."""
    deadline = time.perf_counter() + limit
    while True:
        try:
            if check():
                return time.perf_counter()
        except OSError:
            pass
        if time.perf_counter() > deadline:
            raise TimeoutError("it did not come up")
        time.sleep(0.002)


def measure(command: list[str], port: int, alive: str, number: str) -> tuple[float, float, float]:
    """Seconds to the first answer and to block 1, and megabytes."""
    server = NodeProcess(port=port, command=command)
    try:
        server.start()  # a network stops its members on the way out
        first = until(lambda: call(port, alive) is not None)
        block = until(lambda: height(port, number) >= 1)
        return first - server.started, block - server.started, server.rss_mb()
    finally:
        server.__exit__()


def height(port: int, method: str) -> int:
    """The best block's number on either kind of node."""
    found = call(port, method)
    return int(str(found["number"] if isinstance(found, dict) else found), 16)


def ours() -> tuple[float, float, float]:
    """A dev node with 250 ms blocks."""
    port = free_port()
    command = [sys.executable, "-m", "chain", "--dev", "--tmp", "--rpc-port", str(port)]
    command += ["--sealing", "250"]
    return measure(command, port, "system_health", "chain_getHeader")


def localnet() -> tuple[float, float, float]:
    """A whole local network, from the command to its chain's first block."""
    port = free_port()
    command = [sys.executable, "-m", "ganglion.cli", "localnet", "up", "--rpc-port", str(port)]
    return measure(command, port, "system_health", "chain_getHeader")


def anvils(binary: Path) -> tuple[float, float, float]:
    """Anvil with one-second blocks, the shortest it offers."""
    port = free_port()
    command = [str(binary), "--port", str(port), "--block-time", "1"]
    return measure(command, port, "eth_chainId", "eth_blockNumber")


def rows(quick: bool) -> list[Row]:
    """Medians of several starts."""
    times = 3 if quick else 9
    out = [_row("dev node", [ours() for _ in range(times)], 1.0, 1.5, 150.0)]
    out.append(_row("localnet up", [localnet() for _ in range(times)], None, 3.0, None))
    binary = anvil.program()
    if binary is not None:
        out.append(_row("Anvil (peer)", [anvils(binary) for _ in range(times)], None, None, None))
    return out


def _row(
    name: str,
    found: list[tuple[float, float, float]],
    first: float | None,
    block: float | None,
    memory: float | None,
) -> Row:
    middle = [statistics.median(column) for column in zip(*found, strict=True)]
    return {
        "what": name,
        "first answer, s": round(middle[0], 3),
        "goal, s": first,
        "block 1, s": round(middle[1], 3),
        "goal for it, s": block,
        "memory, MB": round(middle[2], 1),
        "goal, MB": memory,
    }


run("startup", "A fresh dev chain from nothing; medians of several starts.", rows)
