"""scripts/localnet-sh keeps the contract that upstream's test-suites expect of their script."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_ports() -> list[int]:
    with socket.socket() as a, socket.socket() as b:
        for s in (a, b):
            s.bind(("127.0.0.1", 0))
        return [a.getsockname()[1], b.getsockname()[1]]


def ask(port: int, method: str, *params: Any) -> Any:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)["result"]


def run(ports: list[int], *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(ROOT / "scripts/localnet-sh"), *args],
        env=os.environ | {"GANGLION_LOCALNET_PORTS": " ".join(map(str, ports))},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.localnet
@pytest.mark.parametrize(("flavour", "slot_ms"), [("True", 250), ("False", 12_000)])
def test_fresh_chain_on_two_ports_until_sigterm(flavour: str, slot_ms: int) -> None:
    genesis = set()
    for _ in range(2):
        ports = free_ports()
        process = run(ports, flavour)
        assert process.stdout is not None
        try:
            assert "Imported #1 " in process.stdout.readline()
            genesis |= {ask(port, "chain_getBlockHash", 0) for port in ports}
            duration = ask(ports[1], "state_call", "AuraApi_slot_duration", "0x")
            assert int.from_bytes(bytes.fromhex(duration[2:]), "little") == slot_ms
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            assert process.wait(20) == 0
        if flavour == "False":
            return  # another slow chain would cost a whole slot
    assert len(genesis) == 2


def test_a_wrong_argument_is_told() -> None:
    done = subprocess.run(
        [str(ROOT / "scripts/localnet-sh"), "maybe"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")
