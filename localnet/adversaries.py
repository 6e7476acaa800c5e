"""Every way of cheating a text subnet that is known here, tried against the real judge.

Each trial runs a faulty miner's service and the validator's examiner in one process, without a
network between them, until the judge objects or the tokens run out. The same trial runs in two
service classes: `exact`, where nothing is tolerated, and `fast`, under the model's calibrated
thresholds.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, CallFailed, Target, timed
from ganglion.wire.text import ID_SIZE, TextRequest
from localnet import faults
from neurons.engine.base import LanguageModel
from neurons.engine.load import Loaded, load
from neurons.engine.worker import Worker
from neurons.identity import Identity
from neurons.miner.textgen import TextService
from neurons.validator.examiner import TextExaminer, failed_call
from subnets.textgen.probe import draw_messages, draw_probe, draw_sampling
from subnets.verdict import Reason, Verdict

VALIDATOR, MINER = Keypair.from_uri("//validator"), Keypair.from_uri("//miner")
GENESIS, NETUID = b"\1" * 32, 1
LATE = ("cached", "replayed-receipt")
NOWHERE = Target(MINER.address, "127.0.0.1", 1)


def draw_question(rng: random.Random, model: str, most: int) -> TextRequest:
    """A probe with a short prompt, as cheats are measured with: one byte of a long prompt changes
    less, and a cheat with the temperature shows only where the temperature matters."""
    identity, limit = rng.randbytes(ID_SIZE), rng.randint(max(1, most // 4), most)
    messages = draw_messages(rng, 0)
    sampling = replace(draw_sampling(rng), temperature=1.0)
    return TextRequest(identity, model, sampling, limit, messages)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one kind fared in one class: caught by which reason after how many tokens, or not."""

    kind: str
    exact: bool
    reason: Reason
    tokens: int

    @property
    def caught(self) -> bool:
        """The judge objected."""
        return self.reason is not Reason.OK


class Bench:
    """A validator without network: its examiner judges what a service in this process answers."""

    def __init__(self, loaded: Loaded, verifier: Worker) -> None:
        identity = Identity(VALIDATOR, GENESIS, NETUID)
        self.loaded = loaded
        self._examiner = TextExaminer(Caller(VALIDATOR), identity, loaded, verifier)

    async def check(self, service: TextService, request: TextRequest) -> Verdict:
        """Send one request to the service and judge what comes back."""
        body = request.to_bytes()
        order = service.accept(body, VALIDATOR.public_key)
        try:
            made = await timed(service.answer(order), request, body)
        except CallFailed as e:
            if e.reason == "refused":
                raise  # a trial that breaks down shows nothing about the judge
            return failed_call(e)
        return await self._examiner.judge(NOWHERE, request, body, made.answer)

    async def until_caught(self, kind: str, exact: bool, tokens: int, seed: int = 0) -> Outcome:
        """Probe a faulty miner until it is caught or has answered `tokens` tokens."""
        identity = Identity(MINER, GENESIS, NETUID)
        service = faults.faulty_service(kind, self.loaded, identity)
        if not exact:
            service.card = replace(service.card, exact=False)
        service.worker.start()
        rng, spent, verdict = random.Random(f"{kind} {exact} {seed}"), 0, Verdict(Reason.OK)
        if kind in LATE:  # its first answer is an honest one
            first = draw_question(rng, self.loaded.entry.name, 32)
            await self.check(service, first)
        try:
            while verdict.verified and spent < tokens:
                request = draw_question(rng, self.loaded.entry.name, min(128, tokens - spent))
                verdict = await self.check(service, request)
                spent += verdict.tokens
        finally:
            service.worker.stop()
        return Outcome(kind, exact, verdict.reason, spent)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """A bench over the shipped model."""
    loaded = load("exact", "tiny")
    verifier = Worker(loaded.model, pages=1)
    verifier.start()
    try:
        yield Bench(loaded, verifier)
    finally:
        verifier.stop()


@dataclass(frozen=True, slots=True)
class Honest:
    """An honest miner: its engine, how many it serves at once, whether it guesses ahead.

    `fast` serves under the fast class's thresholds whatever the engine.
    """

    name: str
    model: LanguageModel
    width: int
    draft: bool = False
    fast: bool = False


async def false_rejects(
    judge: Bench, miner: Honest, requests: int, seed: int = 0
) -> tuple[int, int, int]:
    """Chunks, answers refused and right guesses of a miner on `requests` full-length requests."""
    width = miner.width
    worker = Worker(miner.model, pages=512, width=width, draft=miner.draft)
    worker.start()
    service = TextService(worker, judge.loaded.tokenizer, Identity(MINER, GENESIS, NETUID))
    if miner.fast:
        service.card = replace(service.card, exact=False)
    rng, refused, chunks = random.Random(f"honest {seed}"), 0, 0
    try:
        for _ in range(-(-requests // width)):
            group = [draw_probe(rng, judge.loaded.entry.name, 128) for _ in range(width)]
            verdicts = await asyncio.gather(*(judge.check(service, r) for r in group))
            refused += sum(not v.verified for v in verdicts)
            chunks += sum(-(-v.tokens // 32) for v in verdicts)
    finally:
        worker.stop()
    return chunks, refused, worker.drafts[1]
