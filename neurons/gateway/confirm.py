"""An answer that several miners must give alike, token by token, before the caller sees it.

In the exact class honest miners give the same bits, so agreement needs no engine here: `copies`
miners work on the same seeded request at once, and a token is delivered when all of them have
said it. Where they differ, one more is asked from there on, and who is left alone with a token is
turned away. The price is that of the copies; nothing is waited for but the slowest of them.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Protocol

from ganglion.wire.text import ID_SIZE, TextAnswer, TextRequest, most_prompt
from neurons.gateway.refusals import BadRequest, NoMiner, Refusals
from neurons.gateway.relay import Delta, Part, Relay
from neurons.gateway.router import Miner, Router
from neurons.gateway.spoken import Spoken

MOST_COPIES = 4
SILENCE_SECONDS = 5.0
"""How long the others' next token is waited for before one more miner is asked instead."""
Make = Callable[[Sequence[Miner], TextRequest], Relay]
Said = tuple[int, str]


class Answering(Protocol):
    """What a request on its way looks like to who delivers and bills it."""

    tokens: list[int]
    final: TextAnswer | None

    @property
    def parts(self) -> Sequence[Part]: ...

    @property
    def prompt_tokens(self) -> int: ...

    @property
    def cached_tokens(self) -> int: ...

    def stream(self) -> AsyncGenerator[Delta, None]: ...


@dataclass(slots=True, eq=False)
class Voice:
    """One relay of the answer from output token `start` on."""

    relay: Relay
    start: int
    task: asyncio.Task[None] | None = None
    failure: NoMiner | None = None

    def at(self, position: int) -> int | None:
        """Its token at a position of the answer; below 0 if it ends there (-1 less the finish),
        None if it has not come so far."""
        index = position - self.start
        if index < len(self.relay.tokens):
            return self.relay.tokens[index]
        final = self.relay.final
        return None if final is None or final.finish is None else -1 - final.finish

    def contradicts(self, tokens: Sequence[int]) -> int | None:
        """The first position at which it says other than what was delivered; None if nowhere."""
        mine = self.relay.tokens[: len(tokens) - self.start]
        known = tokens[self.start : self.start + len(mine)]
        if mine == known:
            return None
        return self.start + next(i for i, (a, b) in enumerate(zip(mine, known)) if a != b)


class Confirmed:
    """One request that `copies` miners must answer alike. Iterate `stream`, then read the rest."""

    def __init__(
        self, make: Make, router: Router, ranked: Sequence[Miner], request: TextRequest, copies: int
    ) -> None:
        self._make, self._router = make, router
        self._request, self._copies = request, copies
        # each copy has stand-ins of its own; the last group is asked where the others differ
        groups = [list(ranked[i :: copies + 1]) for i in range(copies + 1)]
        self._groups, self._spare = groups[:copies], groups[copies]
        self._voices: list[Voice] = []
        self._gone: list[Voice] = []
        self._refusals, self._failed = Refusals(most_prompt(request)), 0
        self._news = asyncio.Event()
        self._spoke_at: float | None = None  # since when some have said the next token
        self._spoken = Spoken()
        self._level = 0, 0  # the last two positions up to which all said as much text
        self.tokens: list[int] = []
        self.final: TextAnswer | None = None

    @property
    def parts(self) -> list[Part]:
        """What every miner contributed, those that were turned away included."""
        return [part for voice in (*self._gone, *self._voices) for part in voice.relay.parts]

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt, as most of the miners at work count them; the fewer of a tie."""
        counts = Counter(v.relay.prompt_tokens for v in self._voices if v.relay.prompt_tokens)
        return min(counts, key=lambda count: (-counts[count], count), default=0)

    @property
    def cached_tokens(self) -> int:
        """Tokens of it that all of them say to have had in their caches."""
        return min((v.relay.cached_tokens for v in self._voices), default=0)

    async def stream(self) -> AsyncGenerator[Delta, None]:
        """The answer as it is confirmed. NoMiner if it cannot be; always close the iterator."""
        try:
            for group in self._groups:
                if not group:
                    raise NoMiner(f"{self._copies} miners must agree, and there are not so many")
                self._raise(group, self._request, 0)
            while self.final is None:
                self._news.clear()
                self._replace_failed()
                delta = self._agree()
                if delta is not None:
                    yield delta
                elif self.final is None and not self._settle():
                    await self._wait()
        finally:
            for voice in (*self._gone, *self._voices):
                await self._hush(voice)

    async def _wait(self) -> None:
        """For news. Who stays silent for long while others have spoken is replaced, if there is
        somebody: it may hold back what it has."""
        said = self._said()
        silent = [voice for voice, one in said if one is None][: len(self._spare)]
        patience = None
        if silent and any(one is not None for _, one in said):
            self._spoke_at = self._spoke_at or time.monotonic()
            patience = max(self._spoke_at + SILENCE_SECONDS - time.monotonic(), 0)
        try:
            async with asyncio.timeout(patience):
                await self._news.wait()
        except TimeoutError:
            self._spoke_at = None
            for voice in silent:
                if voice.relay.working is not None:
                    self._router.on_failure(voice.relay.working, time.monotonic())
                self._let_go(voice)
                self._call_spare("too few of the miners answer")

    def _let_go(self, voice: Voice) -> None:
        self._voices.remove(voice)
        self._gone.append(voice)
        if voice.task is not None:
            voice.task.cancel()

    def _raise(self, miners: Sequence[Miner], request: TextRequest, start: int) -> None:
        """One more voice."""
        if self._voices or self._gone:
            request = replace(request, id=secrets.token_bytes(ID_SIZE))
        voice = Voice(self._make(miners, request), start)
        voice.task = asyncio.create_task(self._follow(voice))
        self._voices.append(voice)

    async def _follow(self, voice: Voice) -> None:
        try:
            async with aclosing(voice.relay.stream()) as stream:
                async for _ in stream:
                    self._news.set()
        except NoMiner as e:
            voice.failure = e
        self._news.set()

    def _call_spare(self, why: str) -> None:
        """Ask one more miner from here on; NoMiner when there is none."""
        if not self._spare:
            raise NoMiner(why)
        # the last token may have been the end, so it is made once more; and where its text begins
        # must be sure, or who holds text back would shift the text of those that come after it
        start = max((level for level in self._level if level < len(self.tokens)), default=0)
        request = replace(self._request, resume=tuple(self.tokens[:start]))
        self._raise([self._spare.pop(0)], request, start)

    def _replace_failed(self) -> None:
        for voice in [v for v in self._voices if v.failure is not None]:
            self._voices.remove(voice)
            self._gone.append(voice)
            if not self.tokens and isinstance(voice.failure, BadRequest):
                self._refuse(voice.failure)
            self._failed += not isinstance(voice.failure, BadRequest)
            self._call_spare(str(voice.failure))

    def _refuse(self, error: BadRequest) -> None:
        """Miners refuse the request: BadRequest if they are enough, nobody having answered."""
        self._refusals.take(error.said)
        self._refusals.sort(self._spare)
        bad = self._refusals.believed(self._spare, bool(self._failed or self._voices))
        if bad is not None:
            raise bad

    def _said(self) -> list[tuple[Voice, Said | None]]:
        """What every voice gives next: a token and its text, or its end; None for not yet.

        A miner may send several tokens with their text at once, so of texts under way only what
        all have is compared.
        """
        position, have = len(self.tokens), self._spoken.length
        given = [(voice, voice.at(position)) for voice in self._voices]
        ends = [self._end_of(v, position) for v, token in given if token is not None]
        over = any(token is not None and token < 0 for _, token in given)
        common, reached = None if over else min(ends, default=0), iter(ends)
        said: list[tuple[Voice, Said | None]] = []
        for voice, token in given:
            one = None
            if token is not None:
                own, before = next(reached), self._spoken.ends[voice.start]
                end = own if common is None else common
                one = token, voice.relay.spoken.cut(have - before, end - before)
            said.append((voice, one))
        return said

    def _end_of(self, voice: Voice, position: int) -> int:
        """Characters of the answer after a voice's token at a position, or after its last."""
        ends = voice.relay.spoken.ends
        return self._spoken.ends[voice.start] + ends[min(position + 1 - voice.start, len(ends) - 1)]

    def _agree(self) -> Delta | None:
        """What all voices have said by now and was not delivered yet; sets `final` at the end."""
        have, heard = len(self.tokens), self._spoken.length
        while len(said := {one for _, one in self._said()}) == 1:
            one = said.pop()
            if one is None:
                break
            if one[0] < 0:
                if len(self.tokens) == have:
                    self._end()
                break
            self._take(*one)
        if len(self.tokens) == have:
            return None
        return Delta(tuple(self.tokens[have:]), self._spoken.cut(heard, self._spoken.length))

    def _end(self) -> None:
        """All agree on the end, so who refused the request was wrong."""
        self.final = self._voices[0].relay.final
        working = [v.relay.working for v in self._voices if v.relay.working is not None]
        if working:
            least = min(working, key=lambda miner: miner.context)
            for liar in self._refusals.disproved_by(least):
                self._router.on_failure(liar, time.monotonic())

    def _take(self, token: int, text: str) -> None:
        """A token that all have said, with the text that all have said by then."""
        position, self._spoke_at = len(self.tokens), None
        self.tokens.append(token)
        self._spoken.add(1, text)
        if all(self._end_of(voice, position) == self._spoken.length for voice in self._voices):
            self._level = self._level[1], position + 1

    def _settle(self) -> bool:
        """Deal with voices that differ; whether anything was done."""
        wrong = [(voice, voice.contradicts(self.tokens)) for voice in self._voices]
        right = [voice for voice, position in wrong if position is None]
        for voice, position in wrong:
            if position is not None:
                self._turn_away(voice, position, right)
        self._fill()
        said = self._said()
        votes = Counter(one for _, one in said)
        if len(votes) < 2 or votes[None]:
            return False  # they agree, or the vote that decides may be on its way
        (first, most), (_, next_most) = votes.most_common(2)
        if most == next_most:
            self._call_spare("the miners' answers differ, and nobody is left to ask")
            return True
        right = [voice for voice, one in said if one == first]
        for voice, one in said:
            if one != first:
                self._turn_away(voice, len(self.tokens), right)
        self._fill()
        return True

    def _fill(self) -> None:
        while len(self._voices) < self._copies:
            self._call_spare("too few of the miners' answers agree")

    def _turn_away(self, voice: Voice, position: int, others: Sequence[Voice]) -> None:
        """It is alone with what it says at a position; the others agree, and go on."""
        miner = voice.relay.said_by(position - voice.start)
        for other in others:
            theirs = other.relay.said_by(position - other.start)
            if miner is not None and theirs is not None:
                self._router.on_dispute(miner, theirs, time.monotonic())
        self._let_go(voice)

    async def _hush(self, voice: Voice) -> None:
        if voice.task is not None:
            voice.task.cancel()
            with suppress(asyncio.CancelledError):
                await voice.task
