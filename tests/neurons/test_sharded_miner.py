"""A miner in front of span servers, as callers and validators see it."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

import pytest
from running_miner import serving
from running_spans import swarm

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, CallFailed
from ganglion.wire.text import Sampling, TextRequest
from neurons.engine.load import Loaded
from neurons.engine.worker import Worker
from neurons.validator.examiner import TextExaminer

ALICE = Keypair.from_uri("//Alice")


def request(limit: int = 40) -> TextRequest:
    sampling = Sampling(secrets.token_bytes(32))
    return TextRequest(secrets.token_bytes(16), "default", sampling, limit, prompt="Explain ☃")


async def test_a_validator_with_the_whole_model_accepts_the_fronts_answers(tiny: Loaded) -> None:
    with swarm() as servers:
        front = servers.front()
        verifier = Worker(tiny.model, pages=256)
        verifier.start()
        try:
            async with serving(replace(tiny, model=front)) as miner, Caller(ALICE) as caller:
                judge = TextExaminer(caller, replace(miner.identity, hotkey=ALICE), tiny, verifier)
                for _ in range(2):
                    asked = request()
                    found = await caller.text(miner.target, asked)
                    verdict = await judge.judge(miner.target, asked, found.body, found.answer)
                    assert verdict.verified, verdict
                    servers.spans["B"].kill()
                status = await caller.fetch(miner.target, "GET", "/status")
                assert b'"spans":{"servers":[{"hotkey":' in status
        finally:
            verifier.stop()


async def test_missing_blocks_are_a_503_with_their_names(tiny: Loaded) -> None:
    with swarm() as servers:
        front = servers.front()
        servers.spans["A"].kill()
        async with serving(replace(tiny, model=front)) as miner, Caller(ALICE) as caller:
            with pytest.raises(CallFailed, match="blocks 0:1 of ganglion/tiny have no") as e:
                await caller.text(miner.target, request())
            assert (e.value.status, e.value.reason) == (503, "busy")
            servers.spans["A"].start()
            while True:
                try:
                    found = await caller.text(miner.target, request(8))
                except CallFailed:  # this machine is busy: a front waits for half a second
                    await asyncio.sleep(0.2)
                else:
                    break
            assert len(found.answer.tokens) == 8
