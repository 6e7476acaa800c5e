"""A server drafts, the side engine decides: the answers are its own, whatever the server says."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from drafting_server import Drafting, drafting
from hypothesis import given
from hypothesis import strategies as st
from running_miner import GENESIS, NETUID

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, Target
from localnet.faults import WEIGHT_FAULTS
from neurons.engine.base import EngineError
from neurons.engine.batch import Job, Overloaded, Token, run_alone
from neurons.engine.drafts import (
    Backend,
    DraftFailed,
    Payoff,
    ServerDrafter,
    read_openai,
    read_sglang,
)
from neurons.engine.load import Loaded
from neurons.engine.remote import RemoteWorker
from neurons.http import Gate, Server
from neurons.identity import Identity
from neurons.miner.server import MinerApp
from neurons.miner.textgen import TextService
from neurons.validator.examiner import TextExaminer
from subnets.proofs.sampling import Sampling
from subnets.verdict import Reason

PROMPT = (256, *b"def foo(x, y): ")


def job(key: str = "a", limit: int = 40, temperature: float = 0.0, **more: object) -> Job:
    sampling = Sampling(key.encode().ljust(32, b"."), temperature)
    return Job(key, PROMPT, sampling, limit, **more)  # type: ignore[arg-type]


@asynccontextmanager
async def worker_on(
    loaded: Loaded, server: Drafting | None, timeout: float = 60.0, **options: int
) -> AsyncIterator[RemoteWorker]:
    url, shape = (server.url, server.shape) if server else ("http://127.0.0.1:1/v1", "vllm")
    dialect = "sglang" if shape == "sglang" else "openai"
    drafter = ServerDrafter(Backend(url, "tiny", dialect, timeout=timeout))
    worker = RemoteWorker(loaded.model, drafter, **{"payoff": False} | options)  # type: ignore[arg-type]
    try:
        yield worker
    finally:
        await worker.close()


async def answer(worker: RemoteWorker, order: Job) -> list[Token]:
    return [token async for token in worker.generate(order)]


def same(made: list[Token], loaded: Loaded, order: Job) -> bool:
    tokens, states, finish = run_alone(loaded.model, order)
    return (
        [t.token for t in made] == tokens
        and np.array_equal(np.stack([t.state for t in made]), states)
        and made[-1].finish is finish
    )


@pytest.mark.parametrize("shape", ["vllm", "llama.cpp", "sglang"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_answers_are_the_side_engines_bit_for_bit(
    tiny: Loaded, shape: str, temperature: float
) -> None:
    order = job(temperature=temperature, stops=tiny.model.card.stops)
    async with drafting(tiny.model, shape) as server, worker_on(tiny, server) as worker:
        made = await answer(worker, order)
    assert same(made, tiny, order)
    assert worker.pool.available == worker.pool.size
    # drafts save passes: far fewer than tokens when greedy, fewer even under noise
    assert worker.side_passes <= len(made) * (0.4 if temperature == 0 else 0.9)
    assert worker.accepted > 0


async def test_resumed_and_filtered_answers_too(tiny: Loaded) -> None:
    whole, *_ = run_alone(tiny.model, job("r", temperature=0.8))
    orders = [
        job("r", temperature=0.8, resume=tuple(whole[:7])),
        Job("f", PROMPT, Sampling(b"9" * 32, 1.0, 40, 0.9), 30),
        job("s", ended=lambda tokens: len(tokens) == 11),
        Job("long", (256, *b"ab " * 180), Sampling(b"7" * 32, 1.0), 6),
        job("one", limit=1),
    ]
    async with drafting(tiny.model) as server, worker_on(tiny, server) as worker:
        for order in orders:
            assert same(await answer(worker, order), tiny, order), order.key


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (500, b"boom"),
        (200, b"no json"),
        (200, b"{}"),
        (200, b'{"choices":[{"logprobs":null}]}'),
        (200, b'{"choices":[{"logprobs":{"tokens":["a"],"top_logprobs":[{"a":-1}]}}]}'),
        (200, b'{"choices":[{"logprobs":{"content":[]}}]}'),
        (
            200,
            b'{"choices":[{"logprobs":{"tokens":["token_id:7"],"top_logprobs":[{"token_id:7":-1,"token_id:99999":0}]}}]}',
        ),
    ],
)
async def test_a_server_that_talks_nonsense_costs_only_time(
    tiny: Loaded, status: int, raw: bytes
) -> None:
    order = job(limit=12, temperature=1.0)
    async with drafting(tiny.model) as server, worker_on(tiny, server) as worker:
        server.status, server.raw = status, raw
        assert same(await answer(worker, order), tiny, order)


async def test_a_server_that_is_away_or_stalls_is_left_alone(tiny: Loaded) -> None:
    order = job(limit=12)
    async with worker_on(tiny, None) as worker:
        assert same(await answer(worker, order), tiny, order)
    async with drafting(tiny.model) as server, worker_on(tiny, server, 0.2) as worker:
        server.stall = 3.0
        assert same(await answer(worker, order), tiny, order)
    assert len(server.requests) == 1


async def test_many_at_once_share_passes(tiny: Loaded) -> None:
    orders = [job(f"j{i}", limit=20, temperature=i % 2) for i in range(8)]
    async with drafting(tiny.model) as server, worker_on(tiny, server, width=4) as worker:
        made = await asyncio.gather(*(answer(worker, order) for order in orders))
    assert all(same(m, tiny, o) for m, o in zip(made, orders))
    assert worker.pool.available == worker.pool.size
    assert worker.load == (0, 0)


async def test_leaving_early_frees_the_pages(tiny: Loaded) -> None:
    async with drafting(tiny.model) as server, worker_on(tiny, server, width=1) as worker:
        tokens = worker.generate(job("early", limit=500))
        await anext(tokens)
        queued = asyncio.create_task(answer(worker, job("queued", limit=5)))
        cancelled = asyncio.create_task(answer(worker, job("cancelled", limit=5)))
        await asyncio.sleep(0.01)
        assert worker.load == (1, 2)
        cancelled.cancel()
        await tokens.aclose()
        assert len(await queued) == 5
        busy = asyncio.create_task(answer(worker, job("busy", limit=500)))
        await asyncio.sleep(0.05)
        busy.cancel()
        for _ in range(200):
            if worker.load == (0, 0):
                break
            await asyncio.sleep(0.01)
    assert worker.load == (0, 0)
    assert worker.pool.available == worker.pool.size


async def test_refusals_and_the_end(tiny: Loaded) -> None:
    async with worker_on(tiny, None, width=1, queue_limit=0) as worker:
        first = worker.generate(job("x", limit=300))
        await anext(first)
        with pytest.raises(Overloaded):
            await answer(worker, job("y"))
        with pytest.raises(ValueError, match="running already"):
            await answer(worker, job("x"))
        with pytest.raises(ValueError, match="vocabulary"):
            await answer(worker, Job("z", (99_999,), Sampling(b"1" * 32), 4))
        worker.stop()
        with pytest.raises(EngineError, match="shutting down"):
            await answer(worker, job("late"))
        with pytest.raises(EngineError):
            async for _ in first:
                pass


async def test_a_validator_accepts_such_a_miner(tiny: Loaded) -> None:
    bob, alice = Keypair.from_uri("//Bob"), Keypair.from_uri("//Alice")
    async with drafting(tiny.model) as backend, worker_on(tiny, backend) as worker:
        service = TextService(worker, tiny.tokenizer, Identity(bob, GENESIS, NETUID))
        server = Server(MinerApp(Gate(bob.address), lambda who: 1.0, service).app, "127.0.0.1", 0)
        await server.start()
        try:
            async with Caller(alice) as caller:
                judge = TextExaminer(
                    caller,
                    Identity(alice, GENESIS, NETUID),
                    tiny,
                    worker,
                    48,  # type: ignore[arg-type]
                )
                target = Target(bob.address, "127.0.0.1", server.port)
                for seed in range(6):
                    verdict = await judge.examine(target, random.Random(seed))
                    assert verdict.reason is Reason.OK, verdict.detail
        finally:
            await server.stop()
    assert worker.accepted > 0


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "logprobs",
                    "content",
                    "tokens",
                    "top_logprobs",
                    "id",
                    "logprob",
                    "meta_info",
                    "output_token_logprobs",
                    "output_top_logprobs",
                    "token_id:3",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(ANYTHING, ANYTHING)
def test_readers_refuse_everything_else_in_the_expected_ways(value: object, inner: object) -> None:
    for read, given_value in (
        (read_openai, value),
        (read_sglang, value),
        (read_openai, {"choices": [{"logprobs": inner}]}),
        (read_sglang, {"meta_info": inner}),
    ):
        try:
            steps = read(given_value)
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
            continue
        assert all(0 <= step.token < 1 << 31 for step in steps)


async def test_the_drafter_says_what_is_wrong(tiny: Loaded) -> None:
    async with drafting(tiny.model) as server:
        drafter = ServerDrafter(Backend(server.url, "tiny", key="secret"))
        assert len(await drafter.draft(PROMPT, 3)) == 3
        server.raw = os.urandom(50)
        with pytest.raises(DraftFailed, match="no JSON"):
            await drafter.draft(PROMPT, 3)
        server.status = 404
        with pytest.raises(DraftFailed, match="status 404"):
            await drafter.draft(PROMPT, 3)
        await drafter.close()
    with pytest.raises(DraftFailed, match="cannot be reached"):
        await drafter.draft(PROMPT, 3)
    await drafter.close()


async def test_a_server_with_another_model_costs_only_time(tiny: Loaded) -> None:
    order, other = job(limit=24, temperature=0.7), WEIGHT_FAULTS["wrong-model"](tiny.model)  # type: ignore[arg-type]
    async with drafting(other) as server, worker_on(tiny, server) as worker:
        assert same(await answer(worker, order), tiny, order)
    assert worker.drafted > worker.accepted


async def test_a_slow_server_is_left_alone(tiny: Loaded) -> None:
    order = job(limit=60)
    async with drafting(tiny.model) as server, worker_on(tiny, server, payoff=True) as worker:
        server.stall = 0.3
        assert same(await answer(worker, order), tiny, order)
    assert len(server.requests) < 10


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9), st.integers(0, 32)), max_size=40))
def test_drafts_are_a_loss_only_if_they_cost_more_than_they_save(
    rounds: list[tuple[float, float, int]],
) -> None:
    payoff, free, useless = Payoff(), Payoff(), Payoff()
    for number, (drafting_s, checking, gained) in enumerate(rounds, 1):
        payoff.is_loss(drafting_s, checking, gained)
        assert not free.is_loss(0.0, checking, gained)
        assert useless.is_loss(1e-3 + drafting_s, checking, 0) == (number % Payoff.TRIALS == 0)
