"""One answer out of as many miners as it takes.

The answer is one seeded stream, so any miner can continue what another began, to the bit. A miner
that breaks off is replaced at once; one that goes quiet gets a rival, and whoever brings the next
token first stays; before the first token the rival comes after the usual 95th percentile, and
sooner when a broken answer waits to be resumed. What was delivered is never taken back: an attempt
that contradicts it is dropped.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ganglion import ss58
from ganglion.attest.call import AttestedCaller
from ganglion.attest.statement import check_answer
from ganglion.hashing import blake2_256
from ganglion.wire import receipts
from ganglion.wire.call import Caller, CallFailed
from ganglion.wire.fields import BadMessage
from ganglion.wire.receipts import BadReceipt, Expected, SignedReceipt
from ganglion.wire.sealed import padded
from ganglion.wire.text import ID_SIZE, Reported, TextAnswer, TextRequest, most_prompt
from neurons.gateway.payer import CannotPay, Payer
from neurons.gateway.purse import Tab
from neurons.gateway.refusals import NoMiner, Refusals, refusal
from neurons.gateway.router import Counted, Miner, Router
from neurons.gateway.spoken import Spoken
from neurons.identity import Identity

STALL_GAPS = 50.0
STALL_BOUNDS = (0.1, 5.0)
UNRIVALLED_SECONDS = 2.0  # how long a first token is waited for when rivals are used up
RESUME_BOUNDS = (0.05, 1.0)  # how long a resuming miner is waited for before it gets a rival
MOST_ATTEMPTS = 8
MOST_RIVALS = 3  # miners at work on one answer at a time


class Contradiction(BadMessage):
    """A miner says other than what another said before it: one of them is wrong."""


@dataclass(frozen=True, slots=True)
class Delta:
    """New tokens of the answer and their text."""

    tokens: tuple[int, ...]
    text: str

    def __add__(self, more: Delta | None) -> Delta:
        """Both, one after the other."""
        return self if more is None else Delta(self.tokens + more.tokens, self.text + more.text)


@dataclass(slots=True)
class Attempt:
    """One miner working on the answer from output token `start` on.

    `before` counts the characters of the answer up to there, `checked` those up to which its
    text has been compared with what was delivered, `taken` and `heard` its tokens and pieces that
    were looked at.
    """

    miner: Miner
    request: TextRequest
    body: bytes
    start: int
    before: int
    began: float
    answer: TextAnswer = field(default_factory=TextAnswer)
    tab: Tab | None = None
    task: asyncio.Task[None] | None = None
    delivered: int = 0
    taken: int = 0
    heard: int = 0
    checked: int = 0
    own: Spoken = field(default_factory=Spoken)

    def __post_init__(self) -> None:
        self.checked = self.before

    @property
    def reach(self) -> int:
        """How many output tokens the answer has with this attempt's."""
        return self.start + len(self.answer.tokens)


@dataclass(frozen=True, slots=True)
class Part:
    """What one miner contributed; no receipt if it failed before signing one."""

    miner: Miner
    tokens: int
    signed: SignedReceipt | None
    body: bytes
    answer: TextAnswer


@dataclass(frozen=True, slots=True)
class _Said:
    """An attempt received an event, or failed, or ended."""

    attempt: Attempt
    event: tuple[str, bytes] | None
    failure: CallFailed | None = None


class _Inbox:
    """A queue of one reader with a time limit; cheaper than `wait_for` around a queue."""

    def __init__(self) -> None:
        self._said: deque[_Said] = deque()
        self._wake: asyncio.Future[None] | None = None

    def put(self, said: _Said) -> None:
        """Add a message."""
        self._said.append(said)
        self._rouse()

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def peek(self, attempt: Attempt) -> _Said | None:
        """Take the next message if it is there already and an event of this attempt."""
        if not self._said:
            return None
        said = self._said[0]
        return self._said.popleft() if said.attempt is attempt and said.event else None

    async def get(self, patience: float | None) -> _Said | None:
        """The next message; None if none came for so many seconds."""
        if not self._said:
            loop = asyncio.get_running_loop()
            self._wake = loop.create_future()
            alarm = None if patience is None else loop.call_later(patience, self._rouse)
            try:
                await self._wake
            finally:
                if alarm is not None:
                    alarm.cancel()
        return self._said.popleft() if self._said else None


class Relay:
    """One request on its way through the miners. Iterate `stream`, then read the results.

    With `seal` it goes to attested miners alone, sealed, and they must sign with attested keys.
    `prefix` names the beginning of the conversation, as `prefix_names` does.
    """

    def __init__(
        self,
        caller: Caller,
        identity: Identity,
        router: Router,
        ranked: Sequence[Miner],
        request: TextRequest,
        seal: AttestedCaller | None = None,
        payer: Payer | None = None,
        prefix: tuple[bytes, ...] = (),
    ) -> None:
        self._prefix = prefix
        self._caller, self._identity, self._router = caller, identity, router
        self._seal, self._payer = seal, payer
        self._waiting, self._request = list(ranked), request
        self._inbox = _Inbox()
        self._active: list[Attempt] = []
        self.spoken = Spoken()
        self.tokens: list[int] = []
        self.parts: list[Part] = []
        self.failures: list[str] = []
        self.final: TextAnswer | None = None
        self.attempts = 0
        self._speaker: Miner | None = None  # whose tokens were delivered last
        self._refusals = Refusals(most_prompt(request) + len(request.resume))
        self._most = request.max_tokens - len(request.resume)
        self._last = 0.0
        self._launched = 0.0

    @property
    def text(self) -> str:
        """All text delivered."""
        return self.spoken.whole()

    def said_by(self, index: int) -> Miner | None:
        """Who gave the token of this index, or the end behind the last one; None if nobody has."""
        if index < 0:
            return None
        for part in self.parts:
            index -= part.tokens
            if index < 0:
                return part.miner
        return self.working

    @property
    def working(self) -> Miner | None:
        """Who is answering now, or gave the end of the answer."""
        return self._active[0].miner if self._active else None

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt as the miner at work counts them; 0 before its first event."""
        return self._active[0].answer.prompt_tokens if self._active else 0

    @property
    def cached_tokens(self) -> int:
        """Those that it says to have had in its cache."""
        return self._active[0].answer.cached_tokens if self._active else 0

    async def stream(self) -> AsyncGenerator[Delta, None]:
        """The answer as it comes. NoMiner if it cannot be finished, BadRequest if it should not
        have been asked; always close the iterator."""
        try:
            self._last = time.monotonic()
            self._launch()
            while self.final is None:
                said = await self._inbox.get(self._patience())
                if said is None:
                    if not self.tokens:
                        self._router.on_rival()
                    self._launch()
                    continue
                delta = self._absorb(said)
                if delta is None:
                    continue
                try:  # what came at once leaves at once
                    while self.final is None and (more := self._inbox.peek(said.attempt)):
                        delta += self._absorb(more)
                except NoMiner:
                    yield delta
                    raise
                yield delta
        finally:
            if self.final is None:  # the caller left: what it got is still accounted for
                for attempt in self._active:
                    self._part(attempt, None)
            await self._cancel(self._active)

    def _patience(self) -> float | None:
        """Seconds until a rival should start; None if there can be none."""
        spent = self.attempts >= MOST_ATTEMPTS or len(self._active) >= MOST_RIVALS
        if not self._waiting or spent:
            return None
        newest = self._active[-1]
        miner, since = newest.miner, max(self._last, self._launched)
        if not self.tokens:
            patient = 0.0 if self._router.may_rival else UNRIVALLED_SECONDS
            limit = max(miner.p95, patient)
        elif newest.delivered:
            limit = _within(miner.gap * STALL_GAPS, STALL_BOUNDS)
        else:
            limit = _within(miner.first_token * 2, RESUME_BOUNDS)
        return max(0.0, since + limit - time.monotonic())

    def _launch(self) -> None:
        """Put the next miner to work. NoMiner when nobody is left or working."""
        if not self._waiting or self.attempts >= MOST_ATTEMPTS:
            if self._active:
                return
            raise NoMiner("no miner could answer: " + ("; ".join(self.failures) or "none serves"))
        # the last token may have been the end, so its successor makes it once more
        start = self.spoken.resumable
        miner, request = self._waiting.pop(0), self._request
        if self.attempts:
            request = replace(
                request,
                id=secrets.token_bytes(ID_SIZE),
                resume=(*request.resume, *self.tokens[:start]),
            )
        self.attempts += 1
        try:
            request, tab = self._on_credit(miner, request)
        except CannotPay as e:
            self.failures.append(str(e))
            self._launch()
            return
        now = time.monotonic()
        body = request.to_bytes() if self._seal is None else padded(request.to_bytes())
        attempt = Attempt(miner, request, body, start, self.spoken.ends[start], now, tab=tab)
        miner.open += 1
        attempt.task = asyncio.create_task(self._follow(attempt))
        self._active.append(attempt)
        self._launched = now

    def _on_credit(self, miner: Miner, request: TextRequest) -> tuple[TextRequest, Tab | None]:
        """The request with the terms on which a paid miner answers it, and its account."""
        if self._payer is None:
            return request, None
        tab = self._payer.tab(miner, request, known=1 if self.tokens else 0)
        return request if tab is None else replace(request, pay=tab.terms), tab

    async def _follow(self, attempt: Attempt) -> None:
        """Pass an attempt's events on to the inbox."""
        put, target = self._inbox.put, attempt.miner.target
        events = self._caller.events(target, attempt.body)
        if self._seal is not None:
            events = self._seal.events(target, attempt.request, attempt.body)
        try:
            async for event in events:
                put(_Said(attempt, event))
            put(_Said(attempt, None, CallFailed("unreachable", "the stream ended early")))
        except CallFailed as e:
            put(_Said(attempt, None, e))
        except BadMessage as e:  # a broken seal
            put(_Said(attempt, None, CallFailed("bad-format", str(e))))
        finally:
            attempt.miner.open -= 1

    def _absorb(self, said: _Said) -> Delta | None:
        """Take one message in: new text to deliver, the end, or a failure to make up for."""
        attempt = said.attempt
        if attempt not in self._active:
            return None
        try:
            if said.event is None:
                raise said.failure or CallFailed("unreachable", "the stream ended early")
            complete = attempt.answer.take(*said.event)
            if attempt.reach > self._most:
                raise BadMessage("it gives more tokens than were asked for")
            delta = self._advance(attempt)
            if attempt.tab is not None:
                answer = attempt.answer
                attempt.tab.arrived(answer.prompt_tokens, answer.tokens, answer.cached_tokens)
            if complete:
                self._finish(attempt)
        except (CallFailed, BadMessage, BadReceipt) as e:
            self._give_up(attempt, e)
            return None
        return delta

    def _advance(self, attempt: Attempt) -> Delta | None:
        """What this attempt adds to what was delivered. Contradiction if it differs from that."""
        self._compare(attempt)
        have = len(self.tokens)
        if attempt.reach <= have:
            return None
        said, heard = attempt.before + attempt.own.length, self.spoken.length
        if said < heard:
            raise Contradiction("its text differs from that delivered already")
        now, new = time.monotonic(), tuple(attempt.answer.tokens[have - attempt.start :])
        if not attempt.delivered and not attempt.start:
            self._router.on_first_token(attempt.miner, now - attempt.began)
        elif attempt.delivered:
            self._router.on_gap(attempt.miner, (now - self._last) / len(new))
        attempt.delivered += len(new)
        self._last, self._speaker = now, attempt.miner
        delta = Delta(new, attempt.own.cut(heard - attempt.before, said - attempt.before))
        self.tokens += new
        self.spoken.add(len(new), delta.text)
        attempt.checked = self.spoken.length
        rivals = [a for a in self._active if a is not attempt]
        self._active = [attempt]
        for rival in rivals:  # it lost a race, no more: it may be needed yet
            self._waiting.insert(0, rival.miner)
            self._part(rival, None)
            if rival.task is not None:
                rival.task.cancel()
        return delta

    def _compare(self, attempt: Attempt) -> None:
        """Contradiction if what came just now differs from what was delivered."""
        new = attempt.answer.tokens[attempt.taken :]
        at = attempt.start + attempt.taken
        known = new[: max(len(self.tokens) - at, 0)]
        if known != self.tokens[at : at + len(known)]:
            raise Contradiction("its tokens differ from those delivered already")
        attempt.taken += len(new)
        if new or len(attempt.answer.pieces) > attempt.heard:
            attempt.own.add(len(new), "".join(attempt.answer.pieces[attempt.heard :]))
            attempt.heard = len(attempt.answer.pieces)
        before, begin = attempt.before, attempt.checked
        end = min(before + attempt.own.length, self.spoken.length)
        if begin < end:
            if attempt.own.cut(begin - before, end - before) != self.spoken.cut(begin, end):
                raise Contradiction("its text differs from that delivered already")
            attempt.checked = end

    def _finish(self, attempt: Attempt) -> None:
        """The attempt says that the answer is complete. BadReceipt if it did not sign it."""
        signed, request = attempt.answer.signed, attempt.request
        if not attempt.answer.tokens:
            raise BadReceipt("it ends before it began")
        attempt.answer.check_bill()
        assert signed is not None
        if attempt.reach < len(self.tokens):
            raise BadReceipt("it ends before what was delivered already")
        receipts.check(
            signed,
            Expected(
                self._identity.genesis,
                self._identity.netuid,
                blake2_256(attempt.body),
                self._identity.hotkey.public_key,
                ss58.decode(attempt.miner.target.hotkey, prefix=None),
                signed.receipt.weights,
                request.sampling.seed,
                len(request.resume),
            ),
        )
        if self._seal is not None:
            live = self._seal.live(attempt.miner.target)
            check_answer(signed, attempt.answer.text, live.signer)
        self._router.on_success(attempt.miner)
        if not request.resume:
            counted = Counted(*attempt.answer.read, time.monotonic())
            self._router.on_cached(
                attempt.miner, self._prefix, request.spoken, attempt.began, counted
            )
        for miner in self._refusals.disproved_by(attempt.miner):
            self._router.on_failure(miner, time.monotonic())
        self._part(attempt, signed)
        self.final = attempt.answer

    def _give_up(self, attempt: Attempt, error: Exception) -> None:
        self.failures.append(f"uid {attempt.miner.uid}: {error}")
        if self._payer is not None and isinstance(error, CallFailed) and error.status == 402:
            self._payer.refused(attempt.miner)
        self._blame(attempt.miner, error)
        self._part(attempt, None)
        self._active.remove(attempt)
        if attempt.task is not None:
            attempt.task.cancel()
        if not self._active:
            self._turn_away()
            self._launch()

    def _turn_away(self) -> None:
        """BadRequest if enough miners say so; what was answered in part was no bad request."""
        if self.tokens:
            return
        self._refusals.sort(self._waiting)
        refused = len(self._refusals.said)
        resting = self._router.has_resting(self._request.model, time.monotonic())
        others = len(self.failures) > refused or (refused == 1 and resting)
        error = self._refusals.believed(self._waiting, others)
        if error is not None:
            raise error

    def _blame(self, miner: Miner, error: Exception) -> None:
        """Count a failure where it is the miner's: not if it is busy, nor, before another miner
        has shown better, if it says that the request cannot be answered."""
        now, refused = time.monotonic(), refusal(error)
        if isinstance(error, Contradiction) and self._speaker is not None:
            self._router.on_dispute(miner, self._speaker, now)
        elif refused is not None:
            self._refusals.take([(miner, refused)])
        elif not (isinstance(error, CallFailed) and error.reason == "busy"):
            wrong = isinstance(error, BadMessage | BadReceipt) and not isinstance(error, Reported)
            self._router.on_failure(miner, now, hard=wrong)

    def _part(self, attempt: Attempt, signed: SignedReceipt | None) -> None:
        if attempt.tab is not None:
            attempt.tab.close(signed)
        if attempt.delivered or signed is not None:
            self.parts.append(
                Part(attempt.miner, attempt.delivered, signed, attempt.body, attempt.answer)
            )

    async def _cancel(self, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            if attempt.tab is not None:
                attempt.tab.close(None)
            if attempt.task is not None:
                attempt.task.cancel()
                with suppress(asyncio.CancelledError):
                    await attempt.task


def _within(seconds: float, bounds: tuple[float, float]) -> float:
    return min(max(seconds, bounds[0]), bounds[1])
