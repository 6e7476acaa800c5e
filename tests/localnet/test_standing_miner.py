"""neuron-miner --stand-by-answers as people run it: accused falsely, it wins all by itself."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from pathlib import Path

import pytest

from chain.dev.devnode import DevNode
from ganglion import disputes
from ganglion.client import Client
from ganglion.exact.case import case_of
from ganglion.exact.steps import Kind, Step
from ganglion.keys import Keypair, dev_key
from ganglion.wire.call import Caller, Target
from ganglion.wire.text import Sampling, TextRequest
from localnet.processes import Process
from neurons.disputes.party import Party
from tests.disputes.disputants import faulty, tiny

pytestmark = pytest.mark.localnet
ALICE = dev_key("Alice")
TAO = 10**9


def started(folder: Path, *options: str) -> Process:
    """A miner that is ready."""
    process = Process(
        "miner", [sys.executable, "-m", "neurons.miner", *options], folder / "miner.log"
    )
    process.start()
    for _ in range(600):
        process.check()
        if "neuron-miner is ready" in process.tail(50):
            return process
        time.sleep(0.1)
    process.stop(10)
    raise AssertionError(process.tail())


async def bond(client: Client, key: Keypair) -> None:
    """Ten TAO behind a hotkey, by itself."""
    call = await client.compose("Bonds", "bond", netuid=1, hotkey=key.address, amount=10 * TAO)
    (await client.submit(call, key)).check()


async def accused(url: str, hotkey: str, port: int) -> tuple[bool, int]:
    """Ask the miner, accuse it falsely of what it signed, play; whether it was found guilty, and
    the blocks that took."""
    book = tiny()[1]
    request = TextRequest(b"i" * 16, "default", Sampling(b"\3" * 32), 24, prompt="import ")
    async with Client(url) as client, Caller(ALICE) as caller:
        timed = await caller.text(Target(hotkey, "127.0.0.1", port), request)
        assert timed.answer.signed is not None
        case = case_of(book.program, timed.answer.signed.receipt, timed.body)
        fault = book.machine(case).steps.index(Step(12, Kind.OUT, 1))
        began = await client.block_number()
        number = await disputes.open_dispute(client, ALICE, timed.answer.signed, timed.body)
        party = Party(client, ALICE, faulty(book, fault))
        async with asyncio.timeout(60):
            while await disputes.read(client, number) is not None:
                await party.moves()
                await asyncio.sleep(0.1)
        last = await client.block_number()
        for block in range(began, last + 1):
            events = await client.at(await client.block_hash(block)).events()
            for event in events:
                if event.name == "DisputeResolved":
                    assert event.args["step"] == fault
                    return event.args["guilty"], last - began
    raise AssertionError("the dispute ended without a word")


def test_a_miner_that_stands_by_its_answers_defends_them(tmp_path: Path) -> None:
    with DevNode() as node:
        (seat,) = node.rpc("dev_registerNeurons", 1, 1)
        node.rpc("dev_faucet", seat["hotkey"], 20 * TAO)
        options = (
            "--network", node.url, "--netuid", "1", "--uri", seat["uri"], "--host", "127.0.0.1",
            "--external-host", "0.0.0.0", "--port", "0", "--stand-by-answers",
        )  # fmt: skip
        with pytest.raises(Exception, match=r"needs a bond: `ganglion bond add"):
            started(tmp_path, *options)

        async def prepare() -> None:
            async with Client(node.url) as client:
                await bond(client, Keypair.from_uri(seat["uri"]))

        asyncio.run(prepare())
        miner = started(tmp_path, *options)
        try:
            found = re.search(r"neuron-miner is ready.*port=(\d+)", miner.tail(50))
            assert found is not None
            guilty, blocks = asyncio.run(accused(node.url, seat["hotkey"], int(found[1])))
            assert not guilty
            assert blocks <= 30
        finally:
            assert miner.stop(40) == 0
        assert "Traceback" not in miner.tail(500)
