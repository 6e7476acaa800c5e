"""Answers of an inference server, checked and fingerprinted by a side engine before they leave.

A server such as vLLM neither knows our seeded noise nor shows hidden states. So it only drafts:
its greedy guesses and their log-probabilities, under the request's own noise, say which tokens
probably come next. The side engine, which holds the same weights, reads the draft in one pass
over its own cache. That pass yields the demanded token of every position and the states for the
fingerprints; drafted tokens count as far as they are the demanded ones, and the first one that is
not is replaced. Every answer is therefore the side engine's own, whatever the server says, and
the server's part is speed: one pass of the side engine makes several tokens instead of one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from neurons.engine.base import Claim, EngineError, LanguageModel, Output, Row, prefill
from neurons.engine.batch import Job, Running, Token, check_job
from neurons.engine.drafts import Drafter, DraftFailed, Payoff, Step
from neurons.engine.pages import PagePool
from neurons.engine.places import Places
from subnets.proofs.sampling import Draws, choose, draws_for

log = logging.getLogger(__name__)

FIRST_DRAFT, LONGEST_DRAFT = 4, 32
PIECE = 512  # prompt tokens of one request in one pass
BUDGET = 1024  # tokens of all requests in one pass
REST_SECONDS = 5.0  # a server that failed is left alone for so long
SLOW_SECONDS = 30.0  # and one whose drafts take longer than they save
UNLIKELY = 10.0  # tokens that the server does not name are taken as this much less likely

_Pass = tuple[Row, asyncio.Future[Output]]


class RemoteWorker:
    """What `Worker` is, with a server that drafts. `side` holds the same weights.

    With `payoff`, a server whose drafts cost more time than they save is left alone for a while.
    """

    def __init__(
        self,
        side: LanguageModel,
        drafter: Drafter,
        pages: int = 1024,
        width: int = 32,
        queue_limit: int = 256,
        payoff: bool = True,
    ) -> None:
        self.model, self.card, self.pool = side, side.card, PagePool(pages)
        self._drafter = drafter
        self.places = width
        self._places = Places(self.pool, self.card.context, width, queue_limit)
        self._cache = side.new_cache(pages)
        self._thread = ThreadPoolExecutor(1, "side-engine")
        self._passes: list[_Pass] = []
        self._busy: dict[str, asyncio.Future[Output]] = {}
        self._passing: asyncio.Task[None] | None = None
        self._rest_until = 0.0
        self._payoff = Payoff() if payoff else None
        self._closed = False
        self.tokens_made, self.drafted, self.accepted, self.side_passes = 0, 0, 0, 0

    @property
    def load(self) -> tuple[int, int]:
        """Jobs running and waiting."""
        return self._places.load

    @property
    def drafts(self) -> tuple[int, int]:
        """Tokens guessed so far, and how many of them were right."""
        return self.drafted, self.accepted

    def start(self) -> None:
        """Nothing to start: work begins with the first job."""

    def stop(self) -> None:
        """End after the pass in progress; open jobs end with EngineError."""
        self._closed = True
        self._places.close("this miner is shutting down")
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def close(self) -> None:
        """Stop, and let go of the server."""
        self.stop()
        await self._drafter.close()

    async def generate(self, job: Job) -> AsyncIterator[Token]:
        """As `Worker.generate`; tokens come in groups, as far as a draft was right."""
        if self._closed:
            raise EngineError("this miner is shutting down")
        check_job(job, self.card.vocab, self.card.context, self.pool.size)
        running, size = await self._places.enter(job), FIRST_DRAFT
        try:
            while True:
                made = await self._round(running, size)
                for token in made:
                    yield token
                if made[-1].finish is not None:
                    return
                size = min(LONGEST_DRAFT, 2 * len(made))
        finally:
            self._release(running)

    async def prefill(self, tokens: Sequence[int], keep: int, claim: Claim | None = None) -> Output:
        """One pass outside the cache, on the same thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, prefill, self.model, tokens, keep, claim)

    async def _round(self, running: Running, size: int) -> list[Token]:
        """Draft, check, and take what is right: at least one token."""
        job, vocab = running.job, self.card.vocab
        most = min(job.limit, self.card.context - len(job.prompt))
        room = min(size, most - running.position - 1)
        clock, decoding = asyncio.get_running_loop().time, running.pending == 1
        asked_at = clock()
        steps = await self._draft(running, room) if room > 0 else []
        drafted_at = clock()
        draws = draws_for(job.sampling, running.position, len(steps) + 1, vocab)
        guesses = self._guesses(running, steps, draws)
        output = await self._check(running, guesses)
        checked_at = clock()
        count = len(guesses) + 1
        demanded = choose(output.logits, None if draws is None else draws[:count], job.sampling)
        made: list[Token] = []
        for index, token in enumerate(demanded.tolist()):
            finish = running.take(token, self.card.context)
            state = output.states[index]
            made.append(Token(job.key, token, state, finish, running.cached))
            if finish is not None or index == len(guesses) or token != guesses[index]:
                break
        running.fed = len(running.known) - 1  # all but the newest token are in the cache now
        self.drafted += len(guesses)
        self.accepted += len(made) - 1
        self.tokens_made += len(made)
        if steps and decoding and self._payoff is not None:
            times = drafted_at - asked_at, checked_at - drafted_at
            if self._payoff.is_loss(*times, len(made) - 1):
                log.info("drafts take longer than they save: the side engine goes on alone a while")
                self._rest_until = clock() + SLOW_SECONDS
        return made

    async def _draft(self, running: Running, size: int) -> list[Step]:
        """What the server proposes; nothing while it is out of order."""
        now = asyncio.get_running_loop().time()
        if now < self._rest_until:
            return []
        try:
            return (await self._drafter.draft(running.known, size))[:size]
        except DraftFailed as e:
            log.warning("the side engine goes on alone for a while: %s", e)
            self._rest_until = asyncio.get_running_loop().time() + REST_SECONDS
            return []

    def _guesses(self, running: Running, steps: Sequence[Step], draws: Draws | None) -> list[int]:
        """The tokens that the draft and the request's draws suggest, as far as they go together."""
        guesses: list[int] = []
        for ahead, step in enumerate(steps):
            likely = {t: v for t, v in step.likely.items() if t < self.card.vocab}
            if not likely:
                break
            logits = np.full((1, self.card.vocab), min(likely.values()) - UNLIKELY)
            logits[0, list(likely)] = list(likely.values())
            one = None if draws is None else draws[ahead][None]
            guess = int(choose(logits, one, running.job.sampling)[0])
            guesses.append(guess)
            if guess != step.token or guess in running.job.stops:
                break
        return guesses

    async def _check(self, running: Running, guesses: Sequence[int]) -> Output:
        """One pass over what is not cached yet and the guesses; a row for each and one more."""
        while running.pending > PIECE:
            piece = running.known[running.fed : running.fed + PIECE]
            await self._pass(running, Row(piece, running.fed, running.pages, 0))
            running.fed += PIECE
        tokens = [*running.known[running.fed :], *guesses]
        row = Row(tokens, running.fed, running.pages, len(guesses) + 1)
        return await self._pass(running, row)

    async def _pass(self, running: Running, row: Row) -> Output:
        """The output of a row, computed together with those of other requests."""
        done: asyncio.Future[Output] = asyncio.get_running_loop().create_future()
        self._passes.append((row, done))
        self._busy[running.job.key] = done
        if self._passing is None:
            self._passing = asyncio.create_task(self._run_passes())
        return await asyncio.shield(done)

    async def _run_passes(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._passes:
                batch, self._passes = self._next_batch()
                rows = [row for row, _ in batch]
                try:
                    outputs = await loop.run_in_executor(
                        self._thread, self.model.forward, self._cache, rows
                    )
                except (ArithmeticError, MemoryError, RuntimeError, ValueError, LookupError) as e:
                    said = "this miner is shutting down" if self._closed else type(e).__name__
                    for _, done in batch:
                        done.set_exception(EngineError(f"the side engine failed: {said}"))
                        done.exception()  # whoever asked may have left
                    continue
                self.side_passes += 1
                for (_, done), output in zip(batch, outputs):
                    done.set_result(output)
        finally:
            self._passing = None

    def _next_batch(self) -> tuple[list[_Pass], list[_Pass]]:
        """What goes into the next pass, in order of arrival, and what is left for later."""
        size = 0
        for index, (row, _) in enumerate(self._passes):
            size += len(row.tokens)
            if size > BUDGET and index:
                return self._passes[:index], self._passes[index:]
        return self._passes, []

    def _release(self, running: Running) -> None:
        """Give back a job's pages, but not while a pass may still write to them."""
        done = self._busy.pop(running.job.key, None)
        if done is None or done.done():
            self._places.leave(running)
        else:
            done.add_done_callback(lambda _: self._places.leave(running))
