"""What is the verifier's own fault is held against no miner; what a miner sends too much of is."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from running_miner import GENESIS, NETUID, Running

from ganglion.keys import Keypair
from ganglion.wire import sse
from ganglion.wire.call import Caller, CallFailed, Patience, Target
from ganglion.wire.receipts import Finish
from ganglion.wire.text import tokens_event
from neurons.engine.base import EngineError, Output, Row
from neurons.engine.exact_attention import Cache
from neurons.engine.llama import ExactLlama
from neurons.engine.load import Loaded
from neurons.engine.tinyembed import MeanEmbedder
from neurons.engine.worker import Worker
from neurons.identity import Identity
from neurons.validator.examiner import EmbedExaminer, TextExaminer
from neurons.validator.rounds import Miner, run_round
from neurons.validator.stall import StallMeter
from subnets.scoring import Policy, Record, apply_round
from subnets.textgen.judge import Failure, check_form
from subnets.textgen.probe import draw_probe
from subnets.verdict import Reason, Verdict

ALICE = Keypair.from_uri("//Alice")
IDENTITY = Identity(ALICE, GENESIS, NETUID)
NOWHERE = Target(Keypair.from_uri("//Dave").address, "127.0.0.1", 1)


class OutOfMemory(ExactLlama):
    """A verifier's model whose card has no room left."""

    def forward(self, cache: Cache, rows: Sequence[Row]) -> list[Output]:
        raise MemoryError("no room")


class Stood(StallMeter):
    """A process that stood still for five seconds."""

    async def __aenter__(self) -> StallMeter:
        self.worst = 5.0
        return self


@asynccontextmanager
async def examiner(loaded: Loaded, start: bool = True) -> AsyncIterator[TextExaminer]:
    worker = Worker(loaded.model, pages=1)
    if start:
        worker.start()
    async with Caller(ALICE, Patience(connect=1.0)) as caller:
        yield TextExaminer(caller, IDENTITY, loaded, worker, 16)
    worker.stop()


@asynccontextmanager
async def streaming(event: bytes) -> AsyncIterator[tuple[Target, list[int]]]:
    """A server that says the same event for ever, and the bytes that it has sent so far."""
    sent = [0]

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(event)
            sent[0] += len(event)

    runner = web.ServerRunner(web.Server(handler, handler_cancellation=True))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield Target(NOWHERE.hotkey, "127.0.0.1", port), sent
    await runner.cleanup()


async def test_an_engine_that_fails_is_the_verifiers_own_trouble(
    tiny: Loaded, miner: Running
) -> None:
    true = tiny.model
    assert isinstance(true, ExactLlama)
    broken = OutOfMemory.__new__(OutOfMemory)
    broken.__dict__ = dict(true.__dict__)
    async with examiner(replace(tiny, model=broken)) as one:
        verdicts = await run_round([Miner(0, miner.target, 1)], one, random.Random(1))
    [verdict] = verdicts.values()
    assert verdict.reason is Reason.OURS
    assert "no room" in verdict.detail
    records = {miner.target.hotkey: Record(average=1 << 30, checks=9)}
    apply_round(records, verdicts, Policy(), 1)
    assert (records[miner.target.hotkey].average, records[miner.target.hotkey].checks) == (
        1 << 30,
        9,
    )


async def test_an_engine_that_has_ended_is_not_waited_for(tiny: Loaded, miner: Running) -> None:
    async with examiner(tiny, start=False) as one, asyncio.timeout(20):
        assert (await one.examine(miner.target, random.Random(2))).reason is Reason.OURS


async def test_an_embedder_that_fails_is_the_verifiers_own_trouble(
    tiny: Loaded, miner: Running
) -> None:
    class Broken(MeanEmbedder):
        def embed(self, texts: Sequence[str]) -> object:  # type: ignore[override]
            raise EngineError("the card is gone")

    async with Caller(ALICE) as caller:
        one = EmbedExaminer(caller, IDENTITY, Broken(tiny.model, tiny.tokenizer))
        assert (await one.examine(miner.target, random.Random(3))).reason is Reason.OURS


async def test_nobody_is_absent_while_the_verifier_stands_still(
    tiny: Loaded, miner: Running
) -> None:
    miners = [Miner(0, miner.target, 1), Miner(1, NOWHERE, 1)]
    async with examiner(tiny) as one:
        awake = await run_round(miners, one, random.Random(4))
        stood = await run_round(miners, one, random.Random(4), Stood)
    assert [v.reason for v in awake.values()] == [Reason.OK, Reason.UNREACHABLE]
    assert [v.reason for v in stood.values()] == [Reason.OK, Reason.OURS]


@pytest.mark.parametrize("others", [Reason.REFUSED, Reason.TIMEOUT])
def test_a_verifier_that_everybody_turns_away_blames_itself(others: Reason) -> None:
    """Its clock may be wrong: all call its signatures stale."""
    records: dict[str, Record] = {}
    apply_round(records, {"a": Verdict(Reason.REFUSED, "stale"), "b": Verdict(others)}, Policy(), 1)
    assert [r.checks for r in records.values()] == [0, 0]
    apply_round(records, {"a": Verdict(Reason.REFUSED), "b": Verdict(Reason.OK)}, Policy(), 2)
    assert [r.checks for r in records.values()] == [1, 1]


@pytest.mark.parametrize(
    ("event", "said"),
    [(tokens_event([1] * 5, "x"), "more tokens"), (tokens_event([], "x" * 9999), "bytes")],
)
async def test_a_stream_without_end_is_left_early(event: tuple[str, bytes], said: str) -> None:
    async with streaming(sse.encode(*event)) as (target, sent), Caller(ALICE) as caller:
        request = draw_probe(random.Random(5), "ganglion/tiny", 16)
        with pytest.raises(CallFailed, match=said) as failed:
            await caller.text(target, request)
    assert failed.value.reason == "bad-format"
    assert sent[0] < 8 << 20  # what sockets hold included


async def test_an_answer_ends_by_its_length_or_a_stop(tiny: Loaded, miner: Running) -> None:
    async with examiner(tiny) as one, Caller(ALICE) as caller:
        request = draw_probe(random.Random(6), "ganglion/tiny", 16)
        timed = await caller.text(miner.target, request)
        facts = one.facts(miner.target, request, timed.body)
        check_form(facts, timed.answer)
        timed.answer.finish = Finish.CANCELLED
        with pytest.raises(Failure, match="not otherwise"):
            check_form(facts, timed.answer)
        timed.answer.tokens *= 1000
        with pytest.raises(Failure, match="were the most"):
            check_form(facts, timed.answer)
