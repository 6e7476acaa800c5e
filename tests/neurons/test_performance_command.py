"""`ganglion subnet performance`: a validator's signed measurements as a table."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest

from chain.dev.devnode import DevNode
from ganglion.cli.main import main
from ganglion.keys import Keypair
from neurons.http import Gate, Server
from neurons.identity import Identity
from neurons.validator.book import Book
from neurons.validator.server import StatusApp
from subnets.hardware.judge import Capability, Outcome, Result
from subnets.scoring import Policy, apply_round
from subnets.verdict import Reason, Verdict


async def test_what_a_validator_has_measured_is_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with DevNode("instant") as node:
        seats = node.rpc("dev_registerNeurons", 1, 2)
        validator, miner = (Keypair.from_uri(seat["uri"]) for seat in seats)
        book = Book(None)
        right = Verdict(Reason.OK, tokens=20, total_ms=100, first_token_ms=12)
        apply_round(book.records, {miner.address: right}, Policy(), 3)
        record = book.hardware.setdefault(miner.address, Capability())
        record.enter(Result(Outcome.OK, "", 57_000_000_000, 47_500_000_000), 3, 3)
        genesis = bytes.fromhex(str(node.rpc("chain_getBlockHash", 0))[2:])
        identity = Identity(validator, genesis, 1)
        status = StatusApp(Gate(validator.address), book, SimpleNamespace(), identity)  # type: ignore[arg-type]
        server = Server(status.app, "127.0.0.1", 0)
        await server.start()
        asked = ["subnet", "performance", "1", str(seats[0]["uid"]), "-s", "//Alice"]
        asked += ["--address", f"127.0.0.1:{server.port}", "--url", node.url]
        assert await asyncio.to_thread(main, asked) == 0
        table = capsys.readouterr().out
        for part in ("1 of 1", "200.0", "12 ms", "57.0 G/s", "47.5 G/s", "hardware ok 1"):
            assert part in table
        assert await asyncio.to_thread(main, [*asked, "--json"]) == 0
        (line,) = json.loads(capsys.readouterr().out)["miners"]
        assert line["hotkey"] == miner.address
        identity = Identity(validator, genesis, 2)  # a validator of another subnet
        status._identity, status._made = identity, (0, b"")
        assert await asyncio.to_thread(main, asked) == 1
        said = capsys.readouterr().err
        assert "another subnet or chain" in said
        assert said.count("\n") == 1
        await server.stop()
