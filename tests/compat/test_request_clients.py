"""A client that never heard of requests sees them come, be answered and called back."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from chain.dev.devnode import DevNode
from ganglion.client import Client
from ganglion.keys import Keypair, dev_key
from neurons.chainlink import ChainLink
from neurons.engine.load import load
from neurons.engine.worker import Worker
from neurons.identity import Identity
from neurons.miner.requests import RequestWatcher, Terms
from neurons.miner.textgen import TextService

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).parent / "clients/requests_polkadot_js.mjs"
FOLDER = ROOT / ".cache/clients/polkadot-js"
BOB, CHARLIE = dev_key("Bob"), dev_key("Charlie")


async def run(node: DevNode, miner: Keypair) -> tuple[str, str]:
    """What the client says while a miner answers."""
    async with Client(node.url) as client:
        link = ChainLink(client, 1, miner)
        await link.register(lambda: BOB)
        loaded = load("exact", "tiny")
        worker = Worker(loaded.model, pages=64)
        worker.start()
        service = TextService(worker, loaded.tokenizer, Identity(miner, link.genesis, 1))
        watching = asyncio.create_task(RequestWatcher(link, service, Terms(1, 1, 60, None)).keep())
        try:
            async with asyncio.timeout(120):
                asked = await asyncio.create_subprocess_exec(
                    *("node", FOLDER / SCRIPT.name, node.url),
                    cwd=FOLDER,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                )
                out, err = await asked.communicate()
        finally:
            watching.cancel()
            worker.stop()
    return out.decode(), err.decode()


@pytest.mark.localnet
def test_polkadot_js_sees_a_request_its_answer_and_the_callback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if shutil.which("node") is None:
        pytest.skip("polkadot.js needs node, which is not installed")
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "lib"))
    import compat

    try:
        compat.prepare(next(c for c in compat.CLIENTS if c.name == "polkadot-js"))
    except compat.Unprepared as e:
        pytest.skip(str(e))
    shutil.copy(SCRIPT, FOLDER / SCRIPT.name)  # node looks for packages beside the script
    with DevNode() as node:
        out, err = asyncio.run(run(node, CHARLIE))
    assert out.splitlines()[-1:] == ["all well"], out + err
    seen = out.splitlines()[0].split()
    assert [name for name in seen if name in ("Requested", "Fulfilled", "CalledBack")] == [
        "Requested",
        "Fulfilled",
        "CalledBack",
    ]
