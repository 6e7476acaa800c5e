"""The thread that runs a model: jobs in from an event loop, tokens out to it.

The scheduler decides, the model computes, this file only moves things between threads.
"""

from __future__ import annotations

import asyncio
import logging
import math
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from neurons.engine.base import Claim, EngineError, LanguageModel, Output, Unavailable, prefill
from neurons.engine.batch import Job, Overloaded, Scheduler, Token
from neurons.engine.pages import PagePool

log = logging.getLogger(__name__)

Command = Callable[[], None]
_STOP = None

HOLD_SECONDS = 0.008
"""How long a token may wait for those that follow it, half of what a screen takes for a picture:
what leaves together costs miner, gateway and caller one turn. An answer's first token and its last
do not wait."""

LONG_PASS = 64
"""Tokens of a pass that may take so long that nothing waits for its end."""


class TextEngine(Protocol):
    """What a text service needs of whoever makes its tokens; a worker of whatever kind."""

    model: LanguageModel
    pool: PagePool
    places: int
    tokens_made: int

    @property
    def load(self) -> tuple[int, int]:
        """Jobs running and waiting."""
        ...

    @property
    def drafts(self) -> tuple[int, int]:
        """Tokens guessed so far, and how many of them were right."""
        ...

    def start(self) -> None:
        """Be ready for jobs."""
        ...

    def stop(self) -> None:
        """Take no more jobs; open ones end with EngineError."""
        ...

    def generate(self, job: Job) -> AsyncIterator[Token]:
        """The tokens of a job as they come."""
        ...


@dataclass(slots=True)
class _Listener:
    """Where the tokens of one job go; `held` are those made since the last were `sent`."""

    loop: asyncio.AbstractEventLoop
    inbox: asyncio.Queue[Sequence[Token] | Exception]
    held: list[Token] = field(default_factory=list)
    sent: float = -math.inf

    def put(self, item: Exception) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.inbox.put_nowait, item)


def _put_all(pairs: Sequence[tuple[_Listener, Sequence[Token]]]) -> None:
    for listener, tokens in pairs:
        listener.inbox.put_nowait(tokens)


class Worker:
    """One model, one thread, one cache of `pages` pages. Use `start` and `stop`."""

    def __init__(
        self, model: LanguageModel, pages: int = 1024, width: int = 32, queue_limit: int = 256,
        draft: bool = False,
    ) -> None:  # fmt: skip
        self.model, card = model, model.card
        self.pool, self.places = PagePool(pages), width
        self._cache = model.new_cache(pages)
        self._scheduler = Scheduler(
            self.pool, card.vocab, card.context, width=width, queue=queue_limit, draft=draft
        )
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._listeners: dict[str, _Listener] = {}
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self.tokens_made = 0

    @property
    def load(self) -> tuple[int, int]:
        """Jobs running and waiting."""
        return self._scheduler.load

    @property
    def drafts(self) -> tuple[int, int]:
        """Tokens guessed so far, and how many of them were right."""
        return self._scheduler.drafted, self._scheduler.accepted

    def start(self) -> None:
        """Start the thread; call once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the pass in progress; open jobs end with EngineError."""
        self._commands.put(_STOP)
        if self._thread.is_alive():
            self._thread.join()

    async def generate(self, job: Job) -> AsyncIterator[Token]:
        """The tokens of a job as they come. ValueError, Overloaded or EngineError if it fails.

        Leaving the loop early cancels the job.
        """
        listener = _Listener(asyncio.get_running_loop(), asyncio.Queue())
        self._commands.put(lambda: self._submit(job, listener))
        try:
            while True:
                tokens = await listener.inbox.get()
                if isinstance(tokens, Exception):
                    raise tokens
                for token in tokens:
                    yield token
                if tokens[-1].finish is not None:
                    return
        finally:
            self._commands.put(lambda: self._cancel(job.key))

    async def prefill(self, tokens: Sequence[int], keep: int, claim: Claim | None = None) -> Output:
        """One forward pass outside the batch, on the same thread. EngineError if it fails."""
        if not self._thread.is_alive():
            raise EngineError("the engine's thread does not run")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Output] = loop.create_future()

        def settle(output: Output | None, error: Exception | None) -> None:
            if not done.done():
                if error is not None:
                    done.set_exception(error)
                elif output is not None:
                    done.set_result(output)

        def compute() -> None:
            try:
                output = prefill(self.model, tokens, keep, claim)
            except Unavailable as e:
                loop.call_soon_threadsafe(settle, None, e)
            except (ArithmeticError, MemoryError, RuntimeError, ValueError, LookupError) as e:
                loop.call_soon_threadsafe(settle, None, EngineError(f"the prefill failed: {e}"))
            else:
                loop.call_soon_threadsafe(settle, output, None)

        self._commands.put(compute)
        return await done

    def _submit(self, job: Job, listener: _Listener) -> None:
        try:
            if job.key in self._listeners:
                raise ValueError("a request with this id is running already")
            self._scheduler.submit(job)
        except (ValueError, Overloaded) as e:
            listener.put(e)
        else:
            self._listeners[job.key] = listener

    def _cancel(self, key: str) -> None:
        if self._listeners.pop(key, None) is not None:
            self._scheduler.cancel(key)

    def _run(self) -> None:
        idle = True
        while True:
            try:
                command = self._commands.get(block=idle)
            except queue.Empty:
                idle = not self._pass()
                continue
            if command is _STOP:
                break
            command()
            idle = False
        self._fail(EngineError("this miner is shutting down"))

    def _pass(self) -> bool:
        """One forward pass; False if there was nothing to do."""
        rows = self._scheduler.plan()
        if not rows:
            return False
        if sum(len(row.tokens) for row in rows) >= LONG_PASS:
            self._send(self._listeners.values())
        try:
            tokens = self._scheduler.absorb(self.model.forward(self._cache, rows))
        except Unavailable as e:  # a later pass may fare better
            log.warning("a pass of %d requests is dropped: %s", len(rows), e)
            self._fail(e)
            return True
        except (ArithmeticError, MemoryError, RuntimeError, ValueError, LookupError) as e:
            log.exception("a forward pass failed; its %d requests are dropped", len(rows))
            self._fail(EngineError(f"the engine failed: {type(e).__name__}"))
            return True
        self._deliver(tokens)
        return True

    def _deliver(self, tokens: Sequence[Token]) -> None:
        """Hand on a pass's tokens, with those held before, unless they are to wait."""
        due, late = list[_Listener](), time.monotonic() - HOLD_SECONDS
        for token in tokens:
            self.tokens_made += 1
            listener = self._listeners.get(token.key)
            if listener is None:
                continue
            listener.held.append(token)
            if token.finish is not None:
                del self._listeners[token.key]
            if token.finish is not None or listener.sent <= late:
                due.append(listener)
        self._send(due)

    def _send(self, listeners: Iterable[_Listener]) -> None:
        """Hand on what is held for these; waking a loop once a token would cost more than the
        tokens."""
        ready: dict[asyncio.AbstractEventLoop, list[tuple[_Listener, Sequence[Token]]]] = {}
        now = time.monotonic()
        for listener in listeners:
            if listener.held:
                ready.setdefault(listener.loop, []).append((listener, listener.held))
                listener.held, listener.sent = [], now
        for loop, pairs in ready.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_put_all, pairs)

    def _fail(self, error: EngineError) -> None:
        self._send(self._listeners.values())
        for key, listener in list(self._listeners.items()):
            self._scheduler.cancel(key)
            listener.put(error)
        self._listeners.clear()
