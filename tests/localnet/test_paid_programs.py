"""neuron-miner --paid and neuron-gateway --pay as people run them, settled when the miner stops."""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlalchemy")

from chain.dev.devnode import DevNode  # noqa: E402 - an optional package decides first
from localnet.processes import Process  # noqa: E402

pytestmark = pytest.mark.localnet
PRICE = 5_000_000_000


@contextmanager
def program(folder: Path, module: str, ready: str, *options: str) -> Iterator[tuple[Process, str]]:
    """A program that runs until the block ends, and the line that says it is ready."""
    name = module.rpartition(".")[2]
    command = [sys.executable, "-m", module, *options]
    process = Process(name, command, folder / f"{name}.log")
    process.start()
    try:
        for _ in range(600):
            process.check()
            found = re.search(f"{ready}.*", process.tail(50))
            if found is not None:
                break
            time.sleep(0.1)
        else:
            raise AssertionError(process.tail())
        yield process, found[0]
    finally:
        process.stop(40)


def completed(url: str, prompt: str) -> dict[str, Any]:
    body = {"model": "default", "prompt": prompt, "max_tokens": 40}
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(f"{url}/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(asked, timeout=60) as reply:
        said: dict[str, Any] = json.load(reply)
    return said


def test_a_gateway_pays_a_miner_that_redeems_when_it_stops(tmp_path: Path) -> None:
    with DevNode() as node:
        (seat,) = node.rpc("dev_registerNeurons", 1, 1)
        common = ("--network", node.url, "--netuid", "1")
        node.rpc("dev_faucet", seat["hotkey"], 10**9)
        sold = (
            "--external-host",
            "0.0.0.0",
            "--port",
            "0",
            "--paid",
            "--price",
            str(PRICE),
            "--vouchers",
            str(tmp_path / "vouchers.db"),
        )
        mining = (*common, "--uri", seat["uri"], "--host", "127.0.0.1", *sold)
        paying = (*common, "--uri", "//Eve", "--port", "0", "--no-keys", "--pay")
        paying += ("--deposit", "0.5", "--database", f"sqlite:///{tmp_path}/gateway.db")
        with program(tmp_path, "neurons.miner", "neuron-miner is ready", *mining) as (miner, _):
            with program(tmp_path, "neurons.gateway", "neuron-gateway is ready", *paying) as (
                _,
                line,
            ):
                url = line.split()[-1]
                said = [completed(url, f"Explain {n}") for n in range(4)]
            assert miner.stop(40) == 0
            assert "redeemed 1 vouchers" in miner.tail()
        due = sum(PRICE // 10**6 * reply["usage"]["total_tokens"] for reply in said)
        assert f"redeemed 1 vouchers, {due} rao" in miner.tail()
        assert "Traceback" not in miner.tail(500)
