"""Tokens that wait for each other: the first never, the rest in order, none is lost."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from neurons.engine import worker as engine
from neurons.engine.base import EngineError
from neurons.engine.batch import Job, Token, run_alone
from neurons.engine.folder import TINY
from neurons.engine.llama import ExactLlama
from neurons.engine.worker import Worker
from subnets.proofs.sampling import Sampling

MODEL = ExactLlama.load(TINY, "tiny")
LIMIT = 400


def job(key: str, limit: int = LIMIT, prompt: bytes = b"def f(") -> Job:
    return Job(key, (256, *prompt), Sampling(key.encode().ljust(32, b".")), limit)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """A worker whose tokens wait for a minute, which no test takes."""
    monkeypatch.setattr(engine, "HOLD_SECONDS", 60.0)
    worker = Worker(MODEL, pages=128)
    worker.start()
    yield worker
    worker.stop()


async def until_made(worker: Worker, tokens: int) -> None:
    while worker.tokens_made < tokens:
        await asyncio.sleep(0.001)


def waiting(tokens: AsyncIterator[Token]) -> asyncio.Future[Token]:
    return asyncio.ensure_future(anext(tokens))  # type: ignore[arg-type]


def test_the_first_token_comes_at_once_and_the_rest_with_the_last(patient: Worker) -> None:
    async def main() -> list[int]:
        tokens = patient.generate(job("a"))
        first = await anext(tokens)
        second = waiting(tokens)
        await until_made(patient, 20)
        assert not second.done()
        rest = [await second, *[token async for token in tokens]]
        return [first.token, *(token.token for token in rest)]

    assert asyncio.run(main()) == run_alone(MODEL, job("a"))[0]


def test_nothing_waits_for_a_long_prompt(patient: Worker) -> None:
    async def main() -> None:
        tokens = patient.generate(job("a"))
        await anext(tokens)
        second = waiting(tokens)
        await until_made(patient, 5)
        assert not second.done()
        prompt = b"x" * engine.LONG_PASS
        await anext(patient.generate(job("b", 1, prompt)))
        assert patient.tokens_made < LIMIT  # so it is the prompt that let the token go
        await second

    asyncio.run(main())


def test_a_dying_engine_hands_over_what_it_holds(patient: Worker) -> None:
    async def main() -> None:
        tokens = patient.generate(job("a"))
        made = [await anext(tokens)]
        await until_made(patient, 5)
        patient.stop()
        with pytest.raises(EngineError):
            async for token in tokens:
                made.append(token)  # noqa: PERF401 - what came before the error counts
        assert 5 <= len(made) == patient.tokens_made

    asyncio.run(main())
