"""Asking only miners that are attested: a secret leaves for a key whose verdict lives, or stays.

This is the only place where an order's key is made for a miner under a policy: without a live
verdict there is no key, so nothing that could open the order is ever sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ganglion.attest.attestor import Attestor
from ganglion.attest.book import Live, VerdictBook
from ganglion.attest.evidence import MAX_EVIDENCE
from ganglion.attest.policy import AttestPolicy
from ganglion.attest.roots import Roots
from ganglion.attest.statement import PATH
from ganglion.errors import GanglionError
from ganglion.wire.call import CallFailed, Patience, Target
from ganglion.wire.fields import BadMessage
from ganglion.wire.sealed import SealKey
from ganglion.wire.sealed_call import SealedCaller, Way

RETRY_SECONDS = 30.0
"""How long a miner without good evidence is not asked again."""

AT_ONCE = 32
PATIENCE = Patience(idle=90.0)
"""Hardware may take its time: a quote takes moments, the tokens of many GPUs half a minute."""

MAX_STATEMENT = 4 * MAX_EVIDENCE
"""Bytes of the longest statement: JSON inside JSON."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What an app or a gateway trusts: a policy, and an attestor with the makers' keys."""

    policy: AttestPolicy
    attestor: Attestor

    @classmethod
    def load(cls, policy: Path | str, roots: Path | str | None = None) -> Self:
        """From a policy's TOML file and a folder of roots; BadPolicy or AttestUnavailable."""
        return cls.of(AttestPolicy.load(Path(policy)), roots)

    @classmethod
    def of(cls, policy: AttestPolicy, roots: Path | str | None = None) -> Self:
        """A policy with a folder of roots; AttestUnavailable if that holds none."""
        return cls(policy, Attestor(None if roots is None else Roots.load(Path(roots))))

    def book(self, genesis: bytes, netuid: int) -> VerdictBook:
        """A book of verdicts for one subnet."""
        return VerdictBook(self.attestor, self.policy, genesis, netuid)


class NotAttested(CallFailed):
    """A miner that may not have the request: no evidence, or none that the policy accepts."""

    def __init__(self, message: str) -> None:
        super().__init__("not-attested", message)


class AttestedCaller(SealedCaller):
    """Sealed requests to miners with a live verdict; fetches and renews the verdicts."""

    def __init__(self, caller: Way, book: VerdictBook) -> None:
        super().__init__(caller, book.genesis, book.netuid)
        self.book = book
        self._refused: dict[str, tuple[float, str]] = {}
        self._asking: dict[str, asyncio.Event] = {}  # until a miner has been asked
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def refresh(self, targets: Sequence[Target]) -> dict[str, str]:
        """Renew the verdicts that are due; why the others of these miners have none, by hotkey."""
        hotkeys = {target.hotkey for target in targets}
        self._refused = {h: kept for h, kept in self._refused.items() if h in hotkeys}
        await asyncio.gather(*(self._refresh(target) for target in targets))
        live = self.book.everyone(time.time())
        return {h: why for h, (_, why) in self._refused.items() if h not in live}

    async def _refresh(self, target: Target) -> None:
        hotkey = target.hotkey
        again, _ = self._refused.get(hotkey, (0.0, ""))
        due = again <= time.monotonic() and self.book.due(hotkey, time.time())
        if due and hotkey in self._asking:
            await self._asking[hotkey].wait()
            return
        if not due:
            return
        self._asking[hotkey] = done = asyncio.Event()
        try:
            async with self._slots:
                await self.renew(target)
        except CallFailed as e:
            self._refused[hotkey] = time.monotonic() + RETRY_SECONDS, str(e)
        else:
            self._refused.pop(hotkey, None)
        finally:
            del self._asking[hotkey]
            done.set()

    async def renew(self, target: Target) -> Live:
        """Ask a miner for evidence about the newest block, and judge it. NotAttested if it has
        none that holds; CallFailed if it cannot be reached."""
        nonce = self.book.nonce
        if not nonce:
            raise NotAttested("no block of the chain has been read yet")
        try:
            path = f"{PATH}?nonce=0x{nonce.hex()}"
            body = await self._caller.fetch(target, "GET", path, b"", PATIENCE, MAX_STATEMENT)
            return self.book.admit(target.hotkey, nonce, body, time.time())
        except CallFailed as e:
            if e.status != 404:
                raise
            raise NotAttested("it shows no evidence of trusted hardware") from e
        except (BadMessage, GanglionError) as e:
            raise NotAttested(str(e)) from e

    async def key(self, target: Target) -> SealKey:
        """The attested key, while its verdict lives; NotAttested otherwise."""
        if self.book.live(target.hotkey, time.time()) is None:
            await self.renew(target)
        found = self.book.live(target.hotkey, time.time())
        if found is None:  # the chain has not been read for long: nobody knows the newest block
            raise NotAttested("its verdict ended before anything was sent")
        return found.key

    def forget(self, target: Target) -> None:
        """The miner no longer has the key: its verdict is about nothing."""
        self.book.drop(target.hotkey)

    def live(self, target: Target) -> Live:
        """What is known of a miner that answered; NotAttested if its verdict is over by now."""
        found = self.book.live(target.hotkey, time.time())
        if found is None:
            raise NotAttested("its verdict ended while it answered")
        return found
