"""Signed requests per second of a miner's server, against bittensor's axon and dendrite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import compat
from benchmark import Row, run

from localnet.node_process import NodeProcess, free_port

LIB = Path(__file__).resolve().parents[1] / "lib"
CONNECTIONS = 50
GENERATED = 8


@dataclass(frozen=True)
class Load:
    """One kind of load: what the row says, the client's command, and on which server."""

    name: str
    client: list[str]
    server: NodeProcess
    seconds: float

    def row(self) -> Row:
        """Run the client and measure the server's processor time beside it."""
        before = self.server.cpu_s()
        arguments = [*self.client, str(CONNECTIONS), str(self.seconds)]
        done = subprocess.run(arguments, capture_output=True, text=True, env=ENVIRONMENT)
        if done.returncode:
            raise SystemExit(f"{self.name}: the client failed:\n{done.stderr[-2000:]}")
        used = self.server.cpu_s() - before
        found = json.loads(done.stdout.splitlines()[-1])
        times = sorted(found["latencies"])
        return {
            "server and client": self.name,
            "requests": found["requests"],
            "failed": found["failed"],
            "per second": round(found["requests"] / found["seconds"]),
            "p50, ms": times[len(times) // 2] * 1e3,
            "p99, ms": times[len(times) * 99 // 100] * 1e3,
            "server CPU, us": round(used / found["requests"] * 1e6),
        }


ENVIRONMENT = os.environ | {"BT_LOGGING_INFO": "0", "HOME": "/tmp"}


def listener(*command: str) -> NodeProcess:
    """A server that takes its port as its last argument."""
    port = free_port()
    return NodeProcess(port=port, command=[*command, str(port)])


def rows(quick: bool) -> list[Row]:
    seconds, rounds = (1.0, 1) if quick else (4.0, 3)
    peer = compat.prepare(next(c for c in compat.CLIENTS if c.name == "bittensor-10"))
    server = listener(sys.executable, str(LIB / "miner_server.py"))
    axon = listener(peer, str(LIB / "axon_peer.py"), "serve")
    ours = [sys.executable, str(LIB / "http_load.py"), str(server.port)]
    theirs = [peer, str(LIB / "axon_peer.py"), "load", str(axon.port)]
    with server, axon:
        loads = [
            Load("ours, /status, requests signed ahead", [*ours, "status"], server, seconds),
            Load("ours, /status, the SDK's caller", [*ours, "sdk"], server, seconds),
            Load(
                f"ours, {GENERATED} tokens made, streamed, proven, signed",
                [*ours, f"generate:{GENERATED}"],
                server,
                seconds,
            ),
            Load("bittensor 10.5.0, axon and dendrite", theirs, axon, 3 * seconds),
        ]
        tries = [[load.row() for load in loads] for _ in range(rounds)]
    best = [max(found, key=lambda row: row["per second"]) for found in zip(*tries)]
    rate = best[-1]["per second"]
    return [{**row, "times the peer": row["per second"] / rate} for row in best]


run(
    "neuron",
    f"Signed requests at {CONNECTIONS} connections, server and client on the same cores, the best "
    "of three runs of each in turn. The axon answers a synapse of three fields.",
    rows,
)
