"""Bonded miners of the exact class: honest ones repeat themselves, cheats contradict themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from running_miner import serving

from chain.dev.devnode import DevNode
from ganglion.cli.main import main
from ganglion.client import Client
from ganglion.keys import Keypair
from ganglion.wire.equivocation import Same, conflict
from ganglion.wire.receipts import Receipt
from ganglion.wire.text import Sampling, TextAnswer, TextRequest
from localnet import faults
from neurons.chainlink import ChainLink
from neurons.engine.load import Loaded
from neurons.engine.worker import Worker
from neurons.identity import Identity
from neurons.miner.textgen import Event, Order, TextService

CALLER = Keypair.from_uri("//Alice").public_key
MINER = Identity(Keypair.from_uri("//Bob"), b"\7" * 32, 2)


def bodies(count: int, limit: int = 40) -> Iterator[bytes]:
    for n in range(count):
        seed, name = Sampling(bytes([n]) * 32, temperature=1.0), bytes([n]) * 16
        yield TextRequest(name, "ganglion/tiny", seed, limit, prompt=f"Count {n}").to_bytes()


@asynccontextmanager
async def service(loaded: Loaded, **how: object) -> AsyncIterator[TextService]:
    worker = Worker(loaded.model, pages=256, **how)  # type: ignore[arg-type]
    worker.start()
    try:
        yield TextService(worker, loaded.tokenizer, MINER)
    finally:
        worker.stop()


async def answered(miner: TextService, body: bytes) -> Receipt:
    answer = TextAnswer()
    async for event in miner.answer(miner.accept(body, CALLER)):
        answer.take(*event)
    assert answer.signed is not None
    return answer.signed.receipt


async def test_repeated_requests_are_answered_alike_alone_in_company_and_with_guesses(
    tiny: Loaded,
) -> None:
    asked = [*bodies(4)]
    found: list[Receipt] = []
    async with service(tiny, width=1) as alone, service(tiny, width=8) as busy:
        found += [await answered(alone, body) for body in asked]
        for _ in range(2):
            found += await asyncio.gather(*(answered(busy, body) for body in asked))
    async with service(tiny, width=3, draft=True) as guessing:
        found += await asyncio.gather(*(answered(guessing, body) for body in reversed(asked)))
    verdicts = {conflict(one, other) for one, other in product(found, repeat=2)}
    assert verdicts == {Same.AGREE, Same.OTHER_SUBJECT}
    assert len({receipt.request for receipt in found}) == 4


@pytest.mark.parametrize("kind", ["int4", "layer-skip", "temperature"])
async def test_who_cheats_on_a_repeated_request_has_signed_the_proof(
    tiny: Loaded, kind: str
) -> None:
    cheat = faults.faulty_service(kind, tiny, MINER)
    cheat.worker.start()
    try:
        async with service(tiny) as honest:
            for body in bodies(4, limit=100):
                pair = await answered(honest, body), await answered(cheat, body)
                if conflict(*pair) is Same.CONFLICT:
                    break
            else:
                pytest.fail("no contradiction in 400 tokens")
    finally:
        cheat.worker.stop()
    assert conflict(*pair) is Same.CONFLICT
    assert conflict(*(replace(r, exact=False) for r in pair)) is Same.INEXACT


class Moody(TextService):
    """Gives every second answer with weights of four bits."""

    cheat: TextService
    asked = 0

    async def answer(self, order: Order) -> AsyncIterator[Event]:
        self.asked += 1
        service = self.cheat if self.asked % 2 == 0 else super()
        async for event in service.answer(order):
            yield event


async def test_a_miner_is_checked_and_reported_from_the_command_line(
    tiny: Loaded, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with DevNode() as node:
        async with Client(node.url) as client, serving(tiny, "//Charlie") as miner:
            link = ChainLink(client, 1, Keypair.from_uri("//Charlie"))
            uid = await link.register(lambda: Keypair.from_uri("//Bob"))
            await link.publish("0.0.0.0", miner.target.port)
            identity = Identity(link.hotkey, link.genesis, 1)
            honest = TextService(miner.worker, tiny.tokenizer, identity)
            moody = Moody(miner.worker, tiny.tokenizer, identity)
            moody.cheat = faults.faulty_service("int4", tiny, identity)

            async def ganglion(*argv: str) -> dict[str, Any]:
                code = await asyncio.to_thread(main, [*argv, "--url", node.url, "--json"])
                said = capsys.readouterr()
                assert code == 0, said.err
                return json.loads(said.out)  # type: ignore[no-any-return]

            check = ("bond", "check", "1", str(uid), "-s", "//Alice", "--out", str(tmp_path))
            miner.app.text = honest
            assert (await ganglion(*check))["found"] == "the same answer twice"
            await ganglion("bond", "add", "1", "//Charlie", "5", "-s", "//Bob")
            miner.app.text = moody
            moody.cheat.worker.start()
            try:
                for _ in range(20):  # a short answer may come out the same from rounded weights
                    said = await ganglion(*check, "--tokens", "200")
                    if "two different" in said["found"]:
                        break
            finally:
                moody.cheat.worker.stop()
            assert said["found"] == "two different answers to one request"
            report = said["report"].split()[1:]
            sent = await ganglion(*report, "-s", "//Alice")
            assert any("Bonds.Slashed" in event for event in sent["events"])
