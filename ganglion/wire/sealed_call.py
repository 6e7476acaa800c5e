"""Asking a neuron under a seal: fetch its signed key, seal the order, open the answer's events."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Protocol

from ganglion import ss58
from ganglion.wire import sealed
from ganglion.wire.call import CallFailed, Patience, Target, TimedAnswer, timed
from ganglion.wire.fields import MAX_BODY, BadMessage
from ganglion.wire.sealed import Opener, SealKey, SignedKey
from ganglion.wire.text import TextRequest

MOST_KEYS = 10_000
MAX_KEY = 4096
"""Bytes of the longest announcement of a sealing key."""

CONFLICT = 409
"""The status of a miner that no longer has the key: it restarted, say."""


class Way(Protocol):
    """How sealed requests travel: a `Caller`, or a `GatewayCaller`."""

    async def fetch(
        self,
        target: Target,
        method: str,
        path: str,
        body: bytes = b"",
        patience: Patience | None = None,
        most: int = MAX_BODY,
    ) -> bytes:
        """The whole reply of a short call, of at most so many bytes."""

    def events(
        self, target: Target, body: bytes, path: str = sealed.PATH
    ) -> AsyncIterator[tuple[str, bytes]]:
        """The events of an answer."""


class SealedCaller:
    """Sealed requests to the miners of one subnet; remembers the keys that miners announce."""

    def __init__(self, caller: Way, genesis: bytes, netuid: int) -> None:
        self._caller, self._genesis, self._netuid = caller, genesis, netuid
        self._known: dict[str, tuple[SealKey, float]] = {}

    async def key(self, target: Target) -> SealKey:
        """The key to seal to now. CallFailed if the miner has none that is signed and good."""
        now = time.time()
        found, until = self._known.get(target.hotkey, (None, 0.0))
        if found is not None and until > now:
            return found
        reply = await self._caller.fetch(target, "GET", sealed.KEY_PATH, most=MAX_KEY)
        try:
            signed = SignedKey.from_bytes(reply)
            miner = ss58.decode(target.hotkey, prefix=None)
            signed.check(self._genesis, self._netuid, miner, now)
        except BadMessage as e:
            raise CallFailed("bad-format", str(e)) from e
        if len(self._known) >= MOST_KEYS:
            self._known.clear()
        good = min(now + sealed.KEY_SECONDS / 4, signed.key.until)
        self._known[target.hotkey] = signed.key, good
        return signed.key

    def forget(self, target: Target) -> None:
        """The miner no longer has the key that was fetched."""
        self._known.pop(target.hotkey, None)

    async def events(
        self, target: Target, request: TextRequest, body: bytes
    ) -> AsyncIterator[tuple[str, bytes]]:
        """The unsealed events of an answer to `body`, which is the request padded.

        Raises CallFailed, or BadSeal for an event that was altered, dropped or repeated.
        """
        try:
            opener = await self._opener(target, request, body)
            async for event in self._caller.events(target, opener.envelope, sealed.PATH):
                yield opener.open(*event)
            return
        except CallFailed as e:
            if e.status != CONFLICT:
                raise
        self.forget(target)
        opener = await self._opener(target, request, body)
        async for event in self._caller.events(target, opener.envelope, sealed.PATH):
            yield opener.open(*event)

    async def _opener(self, target: Target, request: TextRequest, body: bytes) -> Opener:
        return Opener(await self.key(target), request.model, request.max_tokens, body)

    async def text(self, target: Target, request: TextRequest) -> TimedAnswer:
        """A whole answer with the times the caller saw; `body` of it is what the miner unsealed."""
        await self.key(target)  # fetched before the clock starts
        body = sealed.padded(request.to_bytes())
        return await timed(self.events(target, request, body), request, body)
