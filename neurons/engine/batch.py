"""Continuous batching, sans-IO: which tokens go into the next pass, and what came of the last.

Every pass takes one token from each running sequence and fills the rest of its budget with
pieces of new prompts, so a long prompt never stalls the others and a short answer leaves at
once. Pages for a whole answer are reserved on entry: a running sequence is never evicted.
Tokens are drawn here, from the seed of each request, so they do not depend on the company a
request had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from ganglion.wire.receipts import Finish
from neurons.engine.base import PAGE, Draw, LanguageModel, Output, Patterns, Row
from neurons.engine.lookup import Lookup
from neurons.engine.pages import PagePool, needed
from subnets.proofs.sampling import Draws, Sampling, choose_each, draws_for

DRAWS_AHEAD = 1 << 14
"""Draws made at once for a sequence, whole positions: few calls for a small vocabulary, little
memory for a large one."""


class Overloaded(Exception):
    """The queue is full; the caller should go elsewhere or come back."""


@dataclass(frozen=True, slots=True)
class Job:
    """One order for tokens. `resume` are output tokens that exist already.

    `limit` counts output tokens from the first, resumed ones included. `ended(tokens)` tells,
    after each token, whether the answer (without the resumed part) is complete. Higher
    `priority` enters first. Jobs of one `owner` share what the cache holds of their prompts.
    """

    key: str
    prompt: tuple[int, ...]
    sampling: Sampling
    limit: int
    resume: tuple[int, ...] = ()
    stops: frozenset[int] = frozenset()
    ended: Callable[[Sequence[int]], bool] = lambda tokens: False
    priority: float = 0.0
    owner: bytes = b""


@dataclass(slots=True)
class Token:
    """A new token of a job, the state it was drawn from, and the finish if it is the last.

    `cached` tokens of the prompt and what was resumed had not to be read, but were in the cache.
    """

    key: str
    token: int
    state: Patterns
    finish: Finish | None
    cached: int = 0


@dataclass(slots=True)
class Running:
    """A job that holds pages. `fed` tokens are in the cache, `known` = prompt + outputs; `cached`
    were there before the job was."""

    job: Job
    known: list[int]
    pages: list[int]
    fed: int
    drawn_at: int = -1
    drawn: Draws | None = None
    outputs: list[int] = field(default_factory=list)
    lookup: Lookup = field(default_factory=Lookup)
    cached: int = 0

    def __post_init__(self) -> None:
        self.cached = self.fed

    @property
    def position(self) -> int:
        """The output position of the next token."""
        return len(self.job.resume) + len(self.outputs)

    @property
    def pending(self) -> int:
        """Known tokens that are not in the cache yet; one while decoding."""
        return len(self.known) - self.fed

    def draws(self, position: int, vocab: int) -> Draws | None:
        """The draws of an output position, made a block at a time."""
        size = max(1, DRAWS_AHEAD // vocab)
        block = position - position % size
        if block != self.drawn_at:
            self.drawn = draws_for(self.job.sampling, block, size, vocab)
            self.drawn_at = block
        return None if self.drawn is None else self.drawn[position - block]

    def take(self, token: int, context: int) -> Finish | None:
        """Add a drawn token; the finish if it is the last that a model of `context` may add."""
        job, position = self.job, self.position
        self.outputs.append(token)
        self.known.append(token)
        if token in job.stops or job.ended(self.outputs):
            return Finish.STOP
        if position + 1 >= min(job.limit, context - len(job.prompt)):
            return Finish.LENGTH
        return None


@dataclass(slots=True)
class Planned:
    """One row of a pass: `count` tokens that are known, then guesses at those that follow."""

    running: Running
    count: int
    guesses: Sequence[int] = ()


class Scheduler:
    """The batcher of one model. `budget` tokens go into a pass, `width` sequences run at once.

    With `draft`, decoding sequences guess ahead (see `lookup.py`). A guess counts only if it is
    the very token that the pass demands at its place, so answers are the same with and without.
    """

    def __init__(
        self,
        pool: PagePool,
        vocab: int,
        context: int,
        budget: int = 256,
        width: int = 32,
        queue: int = 256,
        draft: bool = False,
    ) -> None:
        self._draft = draft
        self.drafted, self.accepted = 0, 0
        self.pool, self.vocab, self.context = pool, vocab, context
        self.budget, self.width, self.queue = budget, width, queue
        self._waiting: list[Job] = []
        self._running: dict[str, Running] = {}
        self._planned: list[Planned] = []

    @property
    def load(self) -> tuple[int, int]:
        """How many jobs run and how many wait."""
        return len(self._running), len(self._waiting)

    def submit(self, job: Job) -> None:
        """Queue a job. ValueError if it can never run here, Overloaded if the queue is full."""
        check_job(job, self.vocab, self.context, self.pool.size)
        if len(self._waiting) >= self.queue:
            raise Overloaded(f"{len(self._waiting)} requests are waiting already")
        self._waiting.append(job)
        self._waiting.sort(key=lambda j: -j.priority)

    def cancel(self, key: str) -> None:
        """Forget a job, wherever it is; its pages are free for the next pass."""
        self._waiting = [job for job in self._waiting if job.key != key]
        if key in self._running:
            self._leave(self._running[key])

    def plan(self) -> list[Row]:
        """The rows of the next pass, none if there is nothing to do. Call `absorb` after it."""
        self._admit()
        rows, left = [], self.budget
        self._planned = []
        for sequence in sorted(self._running.values(), key=lambda s: s.pending > 1):
            count = min(sequence.pending, left)
            if count == 0:
                break
            last = count == sequence.pending
            guesses = self._guesses(sequence, left - 1) if self._draft and last else []
            left -= count + len(guesses)
            piece = sequence.known[sequence.fed : sequence.fed + count] + guesses
            draw = Draw(sequence.job.sampling, sequence.position) if last else None
            keep = len(guesses) + 1 if last else 0
            rows.append(Row(piece, sequence.fed, sequence.pages, keep, draw))
            self._planned.append(Planned(sequence, count, guesses))
        return rows

    def absorb(self, outputs: Sequence[Output]) -> list[Token]:
        """Take the results of the planned rows; the tokens they yield, in order."""
        drawing = []
        for row, output in zip(self._planned, outputs):
            row.running.fed += row.count
            gone = self._running.get(row.running.job.key) is not row.running
            if len(output.states) and not gone:
                drawing.append((row, output))
        self._planned = []
        made: list[Token] = []
        for (row, output), tokens in zip(drawing, self._drawn(drawing)):
            made += self._take(row, output, tokens)
        return made

    def _guesses(self, sequence: Running, left: int) -> list[int]:
        """Guesses that fit into the pass and into what is left of the answer."""
        if sequence.pending > 1:
            return []
        job = sequence.job
        most = min(job.limit, self.context - len(job.prompt)) - sequence.position - 1
        return sequence.lookup.guess(sequence.known, min(most, left)) if most > 0 < left else []

    def _drawn(self, drawing: Sequence[tuple[Planned, Output]]) -> list[list[int]]:
        """The demanded tokens of every row; a pass is drawn by its engine as a whole or not."""
        if not drawing:
            return []
        made = [list(output.tokens) for _, output in drawing if output.tokens is not None]
        if made:
            return made
        places = [(row.running, row.running.position + ahead)
                  for row, output in drawing for ahead in range(len(output.states))]  # fmt: skip
        flat = iter(
            choose_each(
                np.concatenate([output.logits for _, output in drawing]),
                [running.draws(position, self.vocab) for running, position in places],
                [running.job.sampling for running, _ in places],
            )
        )
        return [list(islice(flat, len(output.states))) for _, output in drawing]

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self.width:
            job = self._waiting[0]
            known = [*job.prompt, *job.resume]
            most = min(job.limit, self.context - len(job.prompt))
            shared = self.pool.take_prefix(known, job.owner)
            fresh = self.pool.take(needed(len(job.prompt), most) - len(shared))
            if fresh is None:
                self.pool.give_back(shared, ())
                return
            del self._waiting[0]
            fed = len(shared) * PAGE
            self._running[job.key] = Running(job, known, shared + fresh, fed)

    def _take(self, row: Planned, output: Output, tokens: Sequence[int]) -> list[Token]:
        """Add drawn tokens to a sequence as far as the guesses before them are right.

        The sequence leaves with its last token.
        """
        sequence, made = row.running, list[Token]()
        for index, token in enumerate(tokens):
            finish = sequence.take(token, self.context)
            state = output.states[index]
            made.append(Token(sequence.job.key, token, state, finish, sequence.cached))
            if finish is not None or index == len(row.guesses) or token != row.guesses[index]:
                break
        sequence.fed += len(made) - 1  # the guesses that were right are in the cache
        if row.guesses:
            self.drafted += len(row.guesses)
            self.accepted += len(made) - 1
            sequence.lookup.learn(len(sequence.known), len(row.guesses), len(made) - 1)
        if made[-1].finish is not None:
            self._leave(sequence)
        return made

    def _leave(self, sequence: Running) -> None:
        del self._running[sequence.job.key]
        self.pool.give_back(sequence.pages, sequence.known[: sequence.fed], sequence.job.owner)


def check_job(job: Job, vocab: int, context: int, pages: int) -> None:
    """ValueError if a model of this size with a cache of so many pages can never run the job."""
    total = len(job.prompt) + job.limit
    if not job.prompt or len(job.prompt) >= context:
        raise ValueError(f"a prompt has 1 to {context - 1} tokens, not {len(job.prompt)}")
    if any(not 0 <= t < vocab for t in (*job.prompt, *job.resume)):
        raise ValueError(f"a token id is outside the vocabulary of {vocab}")
    if needed(len(job.prompt), min(total, context) - len(job.prompt)) > pages:
        raise ValueError("the cache of this miner is too small for so long an answer")


def run_alone(
    model: LanguageModel, job: Job, draft: bool = False
) -> tuple[list[int], Patterns, Finish]:
    """Generate one answer from start to end: tokens, the states behind them, the finish."""
    card = model.card
    pages = needed(len(job.prompt), min(job.limit, card.context - len(job.prompt)))
    scheduler = Scheduler(PagePool(pages), card.vocab, card.context, card.context, draft=draft)
    cache = model.new_cache(pages)
    scheduler.submit(job)
    tokens: list[int] = []
    states = []
    while True:
        for made in scheduler.absorb(model.forward(cache, scheduler.plan())):
            tokens.append(made.token)
            states.append(made.state)
            if made.finish is not None:
                return tokens, np.stack(states), made.finish
