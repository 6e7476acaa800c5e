"""`ganglion subnet status`: a neuron's own report, asked for with a signature."""

from __future__ import annotations

import asyncio
import json

import pytest
from running_miner import Running, serving

from chain.dev.devnode import DevNode
from ganglion.cli.main import main
from neurons.engine.load import Loaded


async def test_a_miner_tells_what_it_serves(
    tiny: Loaded, capsys: pytest.CaptureFixture[str]
) -> None:
    with DevNode("instant") as node:
        (seat,) = node.rpc("dev_registerNeurons", 1, 1)
        async with serving(tiny, seat["uri"]) as miner:
            code, said = await ask(node, miner, str(seat["uid"]), capsys)
            assert code == 0
            assert json.loads(said.out)["text"]["model"] == tiny.model.card.name
            code, said = await ask(node, miner, "99", capsys)
            assert (code, said.err) == (1, "error: subnet 1 has no uid 99\n")
            code, said = await ask(node, miner, "0", capsys)  # another's hotkey: not meant for it
            assert code == 1
            assert said.err.count("\n") == 1


async def ask(
    node: DevNode, miner: Running, uid: str, capsys: pytest.CaptureFixture[str]
) -> tuple[int, pytest.CaptureResult[str]]:
    where = ["--address", f"127.0.0.1:{miner.target.port}", "--url", node.url]
    argv = ["subnet", "status", "1", uid, "-s", "//Alice", "--json", *where]
    code = await asyncio.to_thread(main, argv)
    return code, capsys.readouterr()
