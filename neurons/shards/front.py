"""The front of a sharded model: a `LanguageModel` like any other, whose blocks are elsewhere.

Tokenizer, embedding, final norm and output layer are here, and what is drawn is drawn here, so to
schedulers, proofs, receipts and validators nothing changes. A pass of many sequences is one frame
a span. The network lives in a thread of its own; `forward` waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
import time
import weakref
from collections.abc import Coroutine, Sequence
from typing import Any

from ganglion.sync import BackgroundLoop
from ganglion.wire.spans import SESSION_SIZE
from neurons.engine.base import ModelCard, Output, Row, Unavailable
from neurons.engine.parts import Parts
from neurons.identity import Identity
from neurons.shards.audit import Auditor, Finding
from neurons.shards.calls import HopCaller
from neurons.shards.directory import Directory, Source, SubnetSource
from neurons.shards.pipeline import Pipeline
from neurons.shards.session import Session

log = logging.getLogger("shards")

AUDIT_SHARE = 0.02
"""The share of passes of which one leg is computed again. An audit covers a sequence from its
start, so a server that lies about one row is found by any later audit of that sequence."""


class Distrusted(Unavailable):
    """A span server lied, so what it touched is dropped."""


class ShardedModel:
    """One model served through span servers. Use `start` and `close`; not for concurrent calls."""

    def __init__(
        self, parts: Parts, identity: Identity, source: Source, audit: float = AUDIT_SHARE
    ) -> None:
        self.parts, self.ends = parts, parts.load_ends()
        self.caller = HopCaller(identity.hotkey)
        self._source = source
        self.directory = Directory(
            source, self.caller, parts.card, parts.kind, parts.layers, identity.genesis
        )
        self.pipeline = Pipeline(self.directory, self.caller)
        self.auditor = Auditor(parts, self.pipeline, audit, self._lied)
        self.findings: list[Finding] = []
        self._doubted: weakref.WeakSet[Session] = weakref.WeakSet()
        self._lock = threading.Lock()  # over both sets: audits end in another thread
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()
        self._tasks: set[asyncio.Future[Any]] = set()
        self._loop: BackgroundLoop | None = None

    @property
    def card(self) -> ModelCard:
        """Names, hashes and sizes of the whole model."""
        return self.parts.card

    def start(self) -> None:
        """Start the thread and ask once who is there."""
        self._loop = BackgroundLoop()
        self._loop.wait(self._open())

    def close(self) -> None:
        """End the thread."""
        if self._loop is not None:
            self._loop.wait(self._shut())
            self._loop.stop()
            self._loop = None

    def new_cache(self, pages: int) -> Session:
        """A session, of which servers hear when its first pass comes by."""
        made = Session(
            secrets.token_bytes(SESSION_SIZE), pages, range(self.parts.layers), self.card.hidden,
            self.parts.kind, self.ends.embed,
        )  # fmt: skip
        with self._lock:
            self._sessions.add(made)
        weakref.finalize(made, self._over, made.ident, made.servers)
        return made

    def forward(self, cache: Session, rows: Sequence[Row]) -> list[Output]:
        """See `LanguageModel.forward`. MissingBlocks, Distrusted."""
        with self._lock:
            doubted = cache in self._doubted
            self._doubted.discard(cache)
        if doubted:
            cache.doubt()
            raise Distrusted(
                "a span server of this miner gave a false result and is asked no more; answers "
                "that it had a part in are dropped: try again"
            )
        if self._loop is None:
            raise Unavailable("this sharded model has not been started")
        cache.begin(rows)
        self._loop.wait(self._carry(cache))
        return self.ends.outputs(cache.result(), [row.keep for row in rows])

    def report(self) -> dict[str, Any]:
        """What the miner's status tells of its span servers."""
        now, bans = time.monotonic(), self.pipeline.bans
        peers = sorted(self.directory.peers.copy().values(), key=lambda p: (p.span.first, p.key))
        return {
            "servers": [
                {
                    "hotkey": peer.key,
                    "blocks": f"{peer.span.first}:{peer.span.last}",
                    "round_trip_ms": round(peer.rtt * 1000, 1),
                    "lag_ms": round(peer.lag * 1000, 1),
                    "left_out": not bans.allows(peer.key, now),
                }
                for peer in peers
            ],
            "audits": self.auditor.done,
            "liars": sorted(bans.liars),
        }

    async def _carry(self, session: Session) -> None:
        way = await self.pipeline.carry(session)
        self.auditor.consider(session, way)

    def _lied(self, finding: Finding | None) -> None:
        """Ask this server never again, if it is known which; drop what it may have touched."""
        if finding is None:
            log.error("a row is false, and the claim about it is so old that it is gone")
        else:
            log.error("%s", finding.sentence())
            self.findings.append(finding)
            self.pipeline.bans.lied(self.pipeline.key_of(finding.claim.claim.server))
        with self._lock:
            self._doubted |= self._sessions

    async def _open(self) -> None:
        await self.caller.__aenter__()
        await self.directory.refresh()
        if not self.directory.peers:
            log.warning("no span server of %s is there yet", self.card.name)
        self._spawn(self.directory.keep_fresh())

    async def _shut(self) -> None:
        self.auditor.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            await self.pipeline.leave(session.ident, sorted(session.servers))
        if isinstance(self._source, SubnetSource):
            await self._source.close()
        await self.caller.__aexit__(None, None, None)

    def _over(self, session: bytes, servers: set[str]) -> None:
        """A session is of no use any more: let its servers free their memory at once."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the program is ending
                self._loop.call(lambda: self._spawn(self.pipeline.leave(session, list(servers))))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
