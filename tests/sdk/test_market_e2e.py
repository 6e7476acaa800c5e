"""Asks, leases and bonds through the SDK and the command line, against a node of developers."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain.dev.devnode import DevNode
from ganglion import market
from ganglion.cli.main import main
from ganglion.client import Client
from ganglion.keys import dev_key
from ganglion.wire import receipts
from ganglion.wire.receipts import Finish, Receipt, SignedReceipt

ALICE, CHARLIE = dev_key("Alice"), dev_key("Charlie")
MODEL = "ganglion/tiny"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevNode]:
    with DevNode() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        said = ganglion(running, "tx", "register", "1", "//Charlie", "-s", "//Bob")
        assert said[0] == 0, said
        yield running


def ganglion(node: DevNode, *argv: str) -> tuple[int, str, str]:
    """Exit code and both outputs of `ganglion ARGV --url NODE`."""
    out, err, before = io.StringIO(), io.StringIO(), (sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        code = main([*argv, "--url", node.url])
    finally:
        sys.stdout, sys.stderr = before
    return code, out.getvalue(), err.getvalue()


def done(node: DevNode, *argv: str) -> dict[str, object]:
    """What a command that must succeed says in JSON."""
    code, out, err = ganglion(node, *argv, "--json")
    assert code == 0, err
    found: dict[str, object] = json.loads(out)
    return found


def refused(node: DevNode, *argv: str) -> str:
    """The one sentence of a command that must fail."""
    code, _, err = ganglion(node, *argv)
    assert code == 1
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


def test_a_lease_from_ask_to_close(node: DevNode) -> None:
    ask = ("market", "ask", "1", MODEL, "//Charlie", "--capacity", "500", "-s", "//Charlie")
    assert "`ganglion market fee`" in refused(node, *ask, "--completion", "999")
    done(node, *ask, "--completion", "2000", "--prompt", "700")
    (one,) = done(node, "market", "asks", "1")
    assert (one["completion"], one["prompt"], one["capacity"]) == (2000, 700, 500)
    assert done(node, "market", "fee", "1") == [
        {"model": MODEL, "base_fee": 1000, "asked": 500, "used": 0}
    ]
    order = ("lease", "order", "1", MODEL, "400", "0.001", "0.02", "-s", "//Alice")
    assert "too few blocks" in refused(node, *order[:6], "0.001", *order[7:])
    done(node, *order, "--lessee", "//Dave")
    assert "NoBid" in refused(node, "lease", "accept", "0", "-s", "//Alice")
    done(node, "lease", "bid", "0", "//Charlie", "0.0005", "-s", "//Bob")
    done(node, "lease", "accept", "0", "-s", "//Alice")
    (lease,) = done(node, "lease", "list", "1", "--account", "//Charlie")
    assert (lease["state"], lease["rate"], lease["hotkey"]) == ("open", 500_000, CHARLIE.address)
    done(node, "lease", "top-up", "0", "0.01", "-s", "//Alice")
    done(node, "lease", "withdraw", "0", "-s", "//Charlie")
    code, table, _ = ganglion(node, "lease", "list")
    assert code == 0
    assert MODEL in table
    assert done(node, "market", "fee", "1")[0]["used"] == 400
    done(node, "lease", "close", "0", "-s", "//Bob")
    assert done(node, "lease", "list") == []
    done(node, "market", "remove", "1", MODEL, "//Charlie", "-s", "//Charlie")
    assert done(node, "market", "asks", "1") == []


def test_earnings_between_settlements_are_worked_out(node: DevNode) -> None:
    found = market.OrderFacts(0, "open", 1, "m", 1, 9, "p", "l", 100, 10, 0, "h", 7, 30)
    assert [found.earned(block) for block in (10, 12, 24, 25, 99)] == [0, 14, 98, 98, 98]
    assert replace(found, state="overdrawn").earned(12) == 0
    assert replace(found, balance=1000).earned(99) == 20 * 7


async def genesis_of(url: str) -> bytes:
    async with Client(url) as client:
        assert await market.has_market(client)
        return bytes.fromhex(client.genesis_hash[2:])


def answer(node: DevNode, *tokens: int, exact: bool = True) -> SignedReceipt:
    about = asyncio.run(genesis_of(node.url)), 1, b"r" * 32, b"c" * 32, CHARLIE.public_key
    made = Receipt(1, *about, b"w" * 32, exact, b"s" * 32, 3, 0, tokens, Finish.STOP, b"e" * 32)
    return receipts.sign(made, CHARLIE, (b"proof",))


def test_two_answers_are_reported_from_their_files(node: DevNode, tmp_path: Path) -> None:
    done(node, "bond", "add", "1", "//Charlie", "5", "-s", "//Bob")
    paths = {name: str(tmp_path / f"{name}.json") for name in ("a", "b", "fast", "forged", "bad")}
    one, other = answer(node, 1, 2), answer(node, 1, 3)
    for name, value in (
        ("a", one.to_json()),
        ("b", {"finish": "stop", "receipt": other.to_json()}),
        ("fast", answer(node, 1, 3, exact=False).to_json()),
        ("forged", replace(other, signature=one.signature).to_json()),
        ("bad", [1]),
    ):
        Path(paths[name]).write_text(json.dumps(value))
    report = ("bond", "report", paths["a"])
    by = ("-s", "//Eve")
    assert "agree as far" in refused(node, *report, paths["a"], *by)
    assert "fast class" in refused(node, *report, paths["fast"], *by)
    assert "its signature" in refused(node, *report, paths["forged"], *by)
    assert "no receipt" in refused(node, *report, paths["bad"], *by)
    said = done(node, *report, paths["b"], *by)
    assert any("Bonds.Slashed" in event for event in said["events"])
    (bond,) = done(node, "bond", "show", "1")
    assert (bond["amount"], bond["hotkey"]) == (4 * 10**9, CHARLIE.address)
    assert "AlreadyPunished" in refused(node, *report, paths["b"], *by)
    done(node, "bond", "unbond", "1", "//Charlie", "4", "-s", "//Bob")
    assert "TooEarly" in refused(node, "bond", "withdraw", "1", "//Charlie", "-s", "//Bob")


def test_a_job_from_its_market_to_its_result(node: DevNode, tmp_path: Path) -> None:
    task = tmp_path / "task"
    task.write_text("sum it up")
    done(node, "job", "open", "1", MODEL, "0.001", "--timeout", "20", "-s", "//Eve")
    (one,) = done(node, "job", "markets")
    assert (one["queue_type"], one["terms"]["job_price"]) == ("Empty", 10**6)
    done(node, "job", "post", "0", str(task), "-s", "//Alice")
    assert done(node, "job", "markets")[0]["waiting"] == 1
    done(node, "job", "work", "0", "//Charlie", "-s", "//Charlie")
    (job,) = done(node, "job", "list", "0")
    assert job["node"]["hotkey"] == CHARLIE.address
    assert MODEL in ganglion(node, "job", "markets")[1]
    assert CHARLIE.address in ganglion(node, "job", "list")[1]
    done(node, "job", "quit", "0", "-s", "//Charlie")
    assert "no node runs" in refused(node, "job", "finish", "0", str(task), "-s", "//Bob").lower()
    done(node, "job", "work", "0", "//Charlie", "-s", "//Charlie")
    said = done(node, "job", "finish", "0", str(task), "-s", "//Charlie")
    assert any("Jobs.JobFinished" in event for event in said["events"])
    done(node, "job", "work", "0", "//Charlie", "-s", "//Charlie")
    done(node, "job", "stop", "0", "//Charlie", "-s", "//Charlie")
    done(node, "job", "post", "0", str(task), "-s", "//Alice")
    done(node, "job", "delist", "1", "-s", "//Alice")
    done(node, "job", "close", "0", "-s", "//Eve")
    assert done(node, "job", "markets") == done(node, "job", "list") == []


def test_a_result_is_rejected_and_another_approved(node: DevNode, tmp_path: Path) -> None:
    task = tmp_path / "task"
    task.write_text("sum it up")
    done(node, "job", "open", "1", MODEL, "0.001", "--review", "20", "-s", "//Eve")
    done(node, "tx", "register", "1", "//Ferdie", "-s", "//Bob")
    done(node, "job", "post", "1", str(task), "--priority", "-s", "//Alice")
    for miner, verdict in (("//Charlie", "reject"), ("//Ferdie", "approve")):
        done(node, "job", "work", "1", miner, "-s", miner)
        done(node, "job", "finish", "2", str(task), "-s", miner)
        assert "delivered by" in ganglion(node, "job", "list")[1]
        done(node, "job", verdict, "2", "-s", "//Alice")
    assert done(node, "job", "list") == []


def test_an_intent_is_signed_quoted_and_delivered(node: DevNode, tmp_path: Path) -> None:
    task, file, bad = (tmp_path / name for name in ("task", "intent", "bad"))
    task.write_text("sum it up")
    code, said, _ = ganglion(
        *(node, "intent", "sign", "1", MODEL, str(task), "0.5", "--blocks", "4", "-s", "//Alice")
    )
    assert code == 0
    file.write_text(said)
    bad.write_text(said.strip()[:-2] + "00")
    miner = ("//Charlie", "0.2", "-s", "//Charlie")
    assert "the signature is not that of" in refused(node, "intent", "quote", str(bad), *miner)
    done(node, "intent", "quote", str(file), *miner)
    assert "HasQuote" in refused(node, "intent", "withdraw", str(file), "-s", "//Alice")
    (one,) = done(node, "intent", "list")
    assert one["best"]["price"] == 200_000_000
    deliver = ("intent", "deliver", str(one["name"]), str(task), "-s", "//Charlie")
    assert "NotAwarded" in refused(node, *deliver)
    for _ in range(3):
        done(node, "tx", "transfer", "//Bob", "0.1", "-s", "//Alice")
    assert "due by" in ganglion(node, "intent", "list")[1]
    assert any("Intents.Filled" in event for event in done(node, *deliver)["events"])
    assert done(node, "intent", "list") == []
    bad.write_text("0x1234")
    assert "holds no intent" in refused(node, "intent", "withdraw", str(bad), "-s", "//Alice")


@pytest.mark.parametrize("command", [("market", "asks"), ("market", "fee"), ("bond", "show")])
def test_an_unknown_subnet_is_said(node: DevNode, command: tuple[str, str]) -> None:
    assert "there is no subnet 77" in refused(node, *command, "77")
