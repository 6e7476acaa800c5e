"""One check of one miner: draw a probe, ask, and judge the answer with an engine of our own."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ganglion import ss58
from ganglion.hashing import blake2_256
from ganglion.wire import vectors as wire_vectors
from ganglion.wire.call import Caller, CallFailed, Target, TimedAnswer
from ganglion.wire.fields import BadMessage
from ganglion.wire.receipts import Expected, SignedReceipt
from ganglion.wire.sealed_call import SealedCaller
from ganglion.wire.text import CACHE_SIZE, TextAnswer, TextRequest
from ganglion.wire.vectors import EmbedAnswer
from neurons.chain_answers import service_of
from neurons.engine.base import Claim, Embedder, EngineError, missed
from neurons.engine.load import Loaded
from neurons.engine.worker import Worker
from neurons.identity import Identity
from neurons.miner.textgen import TextService, prompt_tokens
from subnets.embedding import judge as embed_judge
from subnets.embedding import probe as embed_probe
from subnets.textgen import judge as text_judge
from subnets.textgen import probe as text_probe
from subnets.textgen.judge import Failure
from subnets.verdict import Reason, Verdict

log = logging.getLogger("validator")

NO_SEED = bytes(32)
SEALED_SHARE = 0.25
"""Probes that come under a seal, so that miners cannot treat sealed orders worse than others."""
SHORT = 64
"""Tokens of an answer, at most, where many are asked for at once."""
CALLERS = 64
"""Callers that probes pretend to come from."""
CONTINUED_SHARE = 0.1
"""Probes that ask to go on with an answer that was begun elsewhere."""
DISPUTED = (Reason.SAMPLING, Reason.USAGE)
"""What a receipt may be disputed for."""

_REASONS = {
    "unreachable": Reason.UNREACHABLE,
    "timeout": Reason.TIMEOUT,
    "busy": Reason.BUSY,
    "refused": Reason.REFUSED,
    "bad-format": Reason.FORMAT,
}


class Examiner(Protocol):
    """Checks one miner at a time; many checks may run at once."""

    async def examine(self, target: Target, rng: random.Random) -> Verdict: ...


def failed_call(error: CallFailed) -> Verdict:
    """The verdict on a call that brought no answer."""
    return Verdict(_REASONS[error.reason], str(error))


def engine_outage(error: Exception) -> Verdict:
    """What an answer is called that could not be checked: our own engine is to blame."""
    log.error("the engine of this validator failed, so an answer goes unjudged: %s", error)
    return Verdict(Reason.OURS, f"the validator's own engine failed: {error}")


@dataclass(frozen=True, slots=True)
class Carried:
    """What came of many probes at once, and the milliseconds until the last was answered."""

    target: Target
    results: tuple[tuple[TextRequest, TimedAnswer | CallFailed], ...]
    spent_ms: int


def short(request: TextRequest) -> TextRequest:
    """The request for an answer that does not take long, unless it goes on with another."""
    most = request.max_tokens if request.resume else min(request.max_tokens, SHORT)
    return replace(request, max_tokens=most)


class TextExaminer:
    """Checks text miners against one model. `worker` runs the verifier's prefills."""

    def __init__(
        self, caller: Caller, identity: Identity, loaded: Loaded, worker: Worker, tokens: int = 256
    ) -> None:
        self._caller, self._identity, self._loaded = caller, identity, loaded
        self._worker, self._tokens = worker, tokens
        self.accuse: Callable[[SignedReceipt, bytes], None] | None = None
        self.entry = loaded.entry
        # gateways name a cache for every caller, and some callers come again
        self._callers = [secrets.token_bytes(CACHE_SIZE) for _ in range(CALLERS)]
        self._earlier: tuple[TextRequest, tuple[int, ...]] | None = None
        self._sealed = SealedCaller(caller, identity.genesis, identity.netuid)

    @property
    def loaded(self) -> Loaded:
        """The model that answers are held against."""
        return self._loaded

    def service(self, genesis: bytes) -> TextService:
        """A service on the same engine that signs as nobody: for making answers again."""
        return service_of(self._worker, self._loaded, genesis)

    async def examine(self, target: Target, rng: random.Random) -> Verdict:
        """Ask the miner one probe and judge what comes back."""
        request = self._draw(rng)
        try:
            timed = await self._ask(target, request, rng)
        except CallFailed as e:
            return failed_call(e)
        verdict = await self.judge(target, request, timed.body, timed.answer)
        signed = timed.answer.signed
        if self.accuse is not None and verdict.reason in DISPUTED and signed is not None:
            self.accuse(signed, timed.body)  # a probe of ours: nobody's secret
        if verdict.verified and not request.resume and len(timed.answer.tokens) > 1:
            self._earlier = request, tuple(timed.answer.tokens)
        return replace(verdict, first_token_ms=timed.first_token_ms, total_ms=timed.total_ms)

    async def carry(self, target: Target, rng: random.Random, count: int) -> Carried:
        """Ask `count` probes at once, and time the last answer; nothing is judged yet."""
        requests = [short(self._draw(rng)) for _ in range(count)]
        started = time.monotonic()
        answers = [self._answer_or_failure(target, request, rng) for request in requests]
        results = await asyncio.gather(*answers)
        spent = max(1, round((time.monotonic() - started) * 1000))
        return Carried(target, tuple(zip(requests, results)), spent)

    async def judge_load(self, carried: Carried, rng: random.Random) -> tuple[int, Verdict]:
        """What a miner carried, in thousandths of a token per second, and a verdict on one of the
        answers, drawn now that all are there. All must have the form of an answer; who answers a
        part, to be done soon, is counted for that part of its speed alone."""
        target = carried.target
        came = [(request, r) for request, r in carried.results if isinstance(r, TimedAnswer)]
        failed = [failed_call(r) for _, r in carried.results if isinstance(r, CallFailed)]
        failed.sort(key=lambda verdict: not verdict.hard)
        if failed and (failed[0].hard or not came):
            return 0, failed[0]
        for request, timed in came:
            await asyncio.sleep(0)  # there are many, and others wait
            try:
                text_judge.check_form(self.facts(target, request, timed.body), timed.answer)
            except Failure as e:
                return 0, Verdict(e.reason, e.detail, len(timed.answer.tokens))
        request, timed = rng.choice(came)
        verdict = await self.judge(target, request, timed.body, timed.answer)
        made = sum(len(timed.answer.tokens) for _, timed in came)
        whole = len(carried.results) * carried.spent_ms
        return made * len(came) * 1_000_000 // whole, verdict

    async def _answer_or_failure(
        self, target: Target, request: TextRequest, rng: random.Random
    ) -> TimedAnswer | CallFailed:
        try:
            return await self._ask(target, request, rng)
        except CallFailed as e:
            return e

    async def _ask(self, target: Target, request: TextRequest, rng: random.Random) -> TimedAnswer:
        """The answer to a probe, which comes under a seal now and then."""
        if rng.random() < SEALED_SHARE and await self._takes_seals(target):
            return await self._sealed.text(target, request)
        return await self._caller.text(target, request)

    def _draw(self, rng: random.Random) -> TextRequest:
        """A new probe that fits the model, or what is left of an answer that another miner gave:
        callers come with such when a miner dies."""
        if self._earlier is not None and rng.random() < CONTINUED_SHARE:
            return text_probe.continued(rng, *self._earlier)
        card = self._loaded.model.card
        while True:
            request = text_probe.draw_probe(rng, self.entry.name, self._tokens, card.context)
            try:
                prompt = prompt_tokens(request, self._loaded.tokenizer)
            except BadMessage:
                continue  # a model without chats, or without a system's turn
            if len(prompt) + request.max_tokens <= card.context:
                return replace(request, cache=rng.choice(self._callers))

    async def _takes_seals(self, target: Target) -> bool:
        """Whether the miner announces a good sealing key; it need not."""
        try:
            await self._sealed.key(target)
        except CallFailed as e:
            if e.reason in ("refused", "bad-format"):
                return False
            raise
        return True

    def facts(self, target: Target, request: TextRequest, body: bytes) -> text_judge.Facts:
        """What the judge may hold an answer against."""
        card, tokenizer = self._loaded.model.card, self._loaded.tokenizer
        expected = Expected(
            self._identity.genesis,
            self._identity.netuid,
            blake2_256(body),
            self._identity.hotkey.public_key,
            ss58.decode(target.hotkey, prefix=None),
            card.weights_hash,
            request.sampling.seed,
            len(request.resume),
        )
        prompt = prompt_tokens(request, tokenizer)
        return text_judge.Facts(
            request, expected, prompt, card.vocab, card.context, card.stops, tokenizer.decode
        )

    async def judge(
        self, target: Target, request: TextRequest, body: bytes, answer: TextAnswer
    ) -> Verdict:
        """Judge an answer to any request of ours, probe or organic."""
        facts = self.facts(target, request, body)
        try:
            text_judge.check_form(facts, answer)
        except Failure as e:
            return Verdict(e.reason, e.detail, len(answer.tokens))
        assert answer.signed is not None
        limits = self.entry.thresholds(answer.signed.receipt.exact)
        if limits is None:
            detail = "the model is not calibrated for the fast class, so only exact miners count"
            return Verdict(Reason.RECEIPT, detail, len(answer.tokens))
        claim = Claim(request.sampling, len(request.resume), answer.tokens)
        known = facts.checked_tokens(answer)
        try:
            output = await self._worker.prefill(known, len(answer.tokens), claim)
        except EngineError as e:
            return engine_outage(e)
        gaps = missed(output, claim)
        return text_judge.judge_computation(answer, limits, gaps, output.states)


class EmbedExaminer:
    """Checks embedding miners against one embedder."""

    def __init__(self, caller: Caller, identity: Identity, embedder: Embedder) -> None:
        self._caller, self._identity, self._embedder = caller, identity, embedder
        self._thread = ThreadPoolExecutor(1, "embedder")

    async def examine(self, target: Target, rng: random.Random) -> Verdict:
        """Ask the miner for a few vectors and compare them with our own."""
        card, loop = self._embedder.card, asyncio.get_running_loop()
        request = embed_probe.draw_probe(rng, card.name)
        body, started = request.to_bytes(), loop.time()
        try:
            reply = await self._caller.fetch(target, "POST", wire_vectors.PATH, body)
        except CallFailed as e:
            return failed_call(e)
        elapsed = max(1, round((loop.time() - started) * 1000))
        try:
            own = await loop.run_in_executor(self._thread, self._embedder.embed, request.texts)
        except (EngineError, ArithmeticError, MemoryError, RuntimeError) as e:
            return engine_outage(e)
        try:
            answer = EmbedAnswer.from_bytes(reply, len(request.texts), own.shape[1])
        except BadMessage as e:
            return Verdict(Reason.FORMAT, str(e))
        expected = Expected(
            self._identity.genesis,
            self._identity.netuid,
            blake2_256(body),
            self._identity.hotkey.public_key,
            ss58.decode(target.hotkey, prefix=None),
            card.weights_hash,
            NO_SEED,
        )
        tokens = sum(self._embedder.count(text) for text in request.texts)
        facts = embed_judge.EmbedFacts(expected, own.astype(np.float32), tokens, card.exact)
        return replace(embed_judge.judge(facts, answer), total_ms=elapsed, first_token_ms=elapsed)
