"""`ganglion dispute` against a node of developers, with a miner that defends a lie in vain."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from disputants import answered, faulty, tiny

from chain.dev.devnode import DevNode
from ganglion.cli.main import main
from ganglion.client import Client
from ganglion.exact.steps import Kind, Step
from ganglion.hashing import blake2_256
from ganglion.keys import dev_key
from ganglion.wire import receipts
from ganglion.wire.receipts import Finish, Receipt
from ganglion.wire.text import Sampling, TextRequest
from neurons.disputes.party import Party

CHARLIE = dev_key("Charlie")
ASKED = TextRequest(b"i" * 16, "default", Sampling(b"\5" * 32), 9, prompt="x = ")
LIE = Step(8, Kind.DOWN, 3, 0)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevNode]:
    with DevNode() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        done(running, "tx", "register", "1", "//Charlie", "-s", "//Bob")
        yield running


def ganglion(node: DevNode | None, *argv: str) -> tuple[int, str, str]:
    """Exit code and both outputs of a command."""
    out, err, before = io.StringIO(), io.StringIO(), (sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        code = main([*argv, *(("--url", node.url) if node else ())])
    finally:
        sys.stdout, sys.stderr = before
    return code, out.getvalue(), err.getvalue()


def done(node: DevNode | None, *argv: str):
    """What a command that must succeed says in JSON, in its last line."""
    code, out, err = ganglion(node, *argv, "--json")
    assert code == 0, err
    return json.loads(out.splitlines()[-1])


def refused(node: DevNode | None, *argv: str) -> str:
    """The one sentence of a command that must fail."""
    code, _, err = ganglion(node, *argv)
    assert code == 1
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


def files(node: DevNode, folder: Path, name: str, tokens: tuple[int, ...]) -> list[str]:
    """A receipt for these tokens and the request, as files."""
    book, body = tiny()[1], ASKED.to_bytes()
    prompt = book.program.prompt_of(ASKED)
    genesis = bytes.fromhex(node.rpc("chain_getBlockHash", 0)[2:])
    made = Receipt(
        receipts.VERSION, genesis, 1, blake2_256(body), bytes(32), CHARLIE.public_key,
        book.program.weights, True, ASKED.sampling.seed, len(prompt), 0, tokens, Finish.LENGTH,
        bytes(32),
    )  # fmt: skip
    paths = folder / f"{name}.json", folder / f"{name}.request"
    paths[0].write_bytes(orjson.dumps(receipts.sign(made, CHARLIE).to_json()))
    paths[1].write_bytes(body)
    return [str(path) for path in paths]


def in_vain(node: DevNode, liar, stop: threading.Event) -> None:
    """A miner that defends itself with a broken step."""

    async def go() -> None:
        async with Client(node.url) as client:
            party = Party(client, CHARLIE, liar, CHARLIE.address)
            while not stop.is_set():
                await party.moves()
                await asyncio.sleep(0.02)

    asyncio.run(go())


def test_a_wrong_answer_is_checked_disputed_and_slashed(
    node: DevNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neurons.disputes.cli.LOOK_SECONDS", 0.02)
    book = tiny()[1]
    prompt = book.program.prompt_of(ASKED)
    fault = book.machine(answered(book, prompt, 9)).steps.index(LIE)
    liar = faulty(book, fault)
    right, wrong = (answered(b, prompt, 9, ASKED.sampling).tokens[len(prompt) :]
                    for b in (book, liar))  # fmt: skip
    good, bad = files(node, tmp_path, "good", right), files(node, tmp_path, "bad", wrong)
    assert done(None, "dispute", "check", *good)["right"] is True
    assert done(None, "dispute", "check", *good)["rightly_counted"] is True
    found = done(None, "dispute", "check", *bad)
    assert (found["right"], found["signed"]) == (False, True)
    assert found["says"] == wrong[found["first_wrong"]]
    assert found["demanded"] == right[found["first_wrong"]]
    assert "another request" in refused(None, "dispute", "check", good[0], good[0])
    assert "is right" in refused(node, "dispute", "open", *good, "-s", "//Alice")
    stand = ("dispute", "stand", "1", "//Charlie", "-s", "//Bob")
    assert "Bonds.NoBond" in refused(node, *stand) or "NoBond" in refused(node, *stand)
    done(node, "bond", "add", "1", "//Charlie", "10", "-s", "//Bob")
    assert "NotAccepted" in refused(node, "dispute", "open", *bad, "-s", "//Alice")
    behind = ("dispute", "behind", "1", "//Charlie")
    assert done(node, *behind)["stands_behind"] == "no program"
    name = "0x" + book.program.name().hex()
    assert done(node, *stand) == {"program": name, "was_new": True}
    assert done(node, *behind)["stands_behind"] == "this model"
    assert done(None, "dispute", "program")["name"] == name
    (one,) = done(node, "dispute", "programs")
    assert (one["name"], one["miners"]) == (name, 1)
    stop = threading.Event()
    defending = threading.Thread(target=in_vain, args=(node, liar, stop))
    defending.start()
    try:
        over = done(node, "dispute", "open", *bad, "-s", "//Alice")
    finally:
        stop.set()
        defending.join()
    assert over == {"number": 0, "miner_was_slashed": True}
    assert done(node, "dispute", "list") == []
    assert done(node, *behind)["bond"].startswith("8")
    assert "AlreadyPunished" in refused(node, "dispute", "open", *bad, "-s", "//Alice")
    assert "UnknownDispute" in refused(node, "dispute", "resolve", "0", "-s", "//Alice")
    report = ("dispute", "report-usage", *good, "-s", "//Eve")
    assert "AlreadyPunished" in refused(node, *report)  # the same request
    assert "StillBonded" in refused(node, "dispute", "release", "1", "//Charlie", "-s", "//Bob")
