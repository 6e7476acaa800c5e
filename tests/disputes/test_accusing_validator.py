"""A validator that disputes: its probe finds a liar out, and the chain slashes it."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from disputants import answered, faulty, tiny

from chain.dev.devnode import DevNode
from ganglion import disputes
from ganglion.client import Client
from ganglion.exact.steps import Kind, Step
from ganglion.keys import dev_key
from ganglion.wire import receipts
from ganglion.wire.call import Target, TimedAnswer
from ganglion.wire.receipts import Finish
from ganglion.wire.text import TextAnswer, TextRequest
from neurons.disputes.accuser import Accuser
from neurons.disputes.party import Party, begin
from neurons.engine.load import load
from neurons.engine.worker import Worker
from neurons.identity import Identity
from neurons.validator.examiner import TextExaminer
from subnets.textgen.spelling import spell
from subnets.verdict import Reason

BOB, CHARLIE, DAVE = (dev_key(name) for name in ("Bob", "Charlie", "Dave"))
NETUID, TAO = 1, 10**9


class Liar:
    """What a validator calls: a miner with a broken step, which miscounts later."""

    extra = 0

    def __init__(self, genesis: bytes) -> None:
        book = tiny()[1]
        self.book, self.genesis = book, genesis
        fault = book.machine(answered(book, (1, 2, 3, 4), 1)).steps.index(Step(3, Kind.DOWN, 3))
        self.liar = faulty(book, fault)

    async def text(self, target: Target, request: TextRequest) -> TimedAnswer:
        prompt, body = self.book.program.prompt_of(request), request.to_bytes()
        tokens = list(answered(self.liar, prompt, request.max_tokens, request.sampling).tokens)
        tokens = tokens[len(prompt) :]
        receipt = receipts.Receipt(
            receipts.VERSION, self.genesis, NETUID, receipts.blake2_256(body), DAVE.public_key,
            CHARLIE.public_key, self.book.program.weights, True, request.sampling.seed,
            len(prompt) + self.extra, 0, tuple(tokens), Finish.LENGTH, receipts.evidence_of(()),
        )  # fmt: skip
        answer = TextAnswer(
            tokens, [spell(decode, tokens, ())], Finish.LENGTH, len(prompt), len(tokens),
            signed=receipts.sign(receipt, CHARLIE),
        )  # fmt: skip
        return TimedAnswer(answer, body, (0.1, 0.2))


def decode(tokens):
    return load("exact", "tiny").tokenizer.decode(tokens)


class Probing(TextExaminer):
    """Asks for a few tokens, openly."""

    def _draw(self, rng):
        request = super()._draw(rng)
        return replace(request, max_tokens=6, stop=(), resume=(), messages=(), prompt="ab ")

    async def _takes_seals(self, target):
        return False


async def send(client: Client, key, pallet: str, name: str, **args) -> None:
    (await client.submit(await client.compose(pallet, name, **args), key)).check()


def test_a_probe_ends_in_a_slash() -> None:
    loaded, program = load("exact", "tiny"), tiny()[1].program

    async def go(url: str) -> None:
        async with Client(url) as client:
            genesis, charlie = bytes.fromhex(client.genesis_hash[2:]), CHARLIE.address
            await send(
                client, BOB, "SubtensorModule", "burned_register", netuid=NETUID, hotkey=charlie
            )
            liar = Liar(genesis)
            worker = Worker(loaded.model, pages=1)
            worker.start()
            examiner = Probing(
                liar,
                Identity(DAVE, genesis, NETUID),
                loaded,
                worker,  # type: ignore[arg-type]
            )
            accuser = Accuser(client, DAVE, tiny()[1])
            examiner.accuse = accuser.note
            target, rng = Target(charlie, "127.0.0.1", 1), random.Random(1)
            try:
                verdict = await examiner.examine(target, rng)
                assert verdict.reason is Reason.SAMPLING, verdict.detail
                assert await accuser.step() == 0  # no bond stands behind it
                await send(
                    client, BOB, "Bonds", "bond", netuid=NETUID, hotkey=charlie, amount=10 * TAO
                )
                await disputes.stand_by(client, BOB, NETUID, charlie, program)
                await examiner.examine(target, rng)
            finally:
                worker.stop()
            miner = Party(client, CHARLIE, liar.liar, charlie)
            began = await client.block_number()
            while await accuser.step() + await miner.moves():
                pass
            assert await client.block_number() - began <= 30
            bond = await client.query("Bonds", "Bonds", NETUID, charlie)
            assert bond["amount"] == 8 * TAO
            assert await disputes.disputes(client) == []
            liar.extra = 1
            verdict = await examiner.examine(target, rng)
            assert verdict.reason is Reason.USAGE, verdict.detail
            assert await accuser.step() == 1
            bond = await client.query("Bonds", "Bonds", NETUID, charlie)
            assert bond["amount"] == 64 * TAO // 10

    with DevNode() as node:
        asyncio.run(go(node.url))


async def test_a_player_that_gives_up_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks() -> None:
        raise RuntimeError("the processor is on fire")

    async with AsyncExitStack() as stack:
        begin(breaks(), stack)
        begin(asyncio.sleep(60), stack)
        await asyncio.sleep(0.01)
    assert [r.getMessage() for r in caplog.records if r.name == "disputes"] == [
        "disputes are played no more: RuntimeError('the processor is on fire'); start again"
    ]
