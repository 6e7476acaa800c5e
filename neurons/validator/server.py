"""A validator's status page: a miner reads its own scores and the reason of every failure.

Signed like everything: callers see their own record; the totals are for everyone, and so is what
was measured of every miner, under the validator's signature.
"""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from ganglion import ss58
from ganglion.wire import observations, performance
from ganglion.wire.fields import BadMessage
from neurons.http import (
    Answer,
    Gate,
    Handler,
    Refusal,
    Reply,
    Signed,
    application,
    json_response,
)
from neurons.identity import Identity
from neurons.validator.book import Book
from neurons.validator.reporting import Reporter
from neurons.validator.trusting import Trust
from neurons.validator.weights import WeightWriter
from subnets.performance import summarise
from subnets.scoring import Record
from subnets.trust import ONE


class StatusApp:
    """GET /status and /performance for whoever signs. `block` is of the latest round."""

    def __init__(
        self,
        gate: Gate,
        book: Book,
        writer: WeightWriter,
        identity: Identity,
        trust: Trust | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        self._book, self._writer, self._identity, self._trust = book, writer, identity, trust
        self._reporter = reporter
        self._made: tuple[int, bytes] = (0, b"")
        self.block = 0
        routes: dict[tuple[str, str], Handler] = {
            ("GET", "/status"): self.status,
            ("GET", performance.PATH): self.performance,
        }
        if reporter is not None:
            routes["POST", observations.PATH] = self.observation
        self.app = application(gate, routes)

    async def status(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """The caller's own record, and how the validator itself is doing."""
        you = ss58.encode(signed.caller)
        record, hardware = self._book.records.get(you), self._book.hardware.get(you)
        report: dict[str, Any] = {
            "you": record.to_json() if record else None,
            "your_hardware": hardware.to_json() if hardware else None,
            "your_trust": self._trust.shares.get(you, 0) / ONE if self._trust else None,
            "miners": len(self._book.records),
            "weights_set": self._writer.written,
            "last_problem": self._writer.last_problem,
        }
        return json_response(report)

    async def performance(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """GET /performance: what was measured of every miner, made once a second at most."""
        now = int(time.time())
        if self._made[0] != now:
            self._made = (now, self._report(now))
        return Reply(self._made[1])

    async def observation(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """POST /observation: what this validator saw, signed for the round that is asked for."""
        assert self._reporter is not None
        try:
            return Reply(await self._reporter.answer(signed.body))
        except BadMessage as e:
            raise Refusal(400, "request", str(e)) from e

    def _report(self, now: int) -> bytes:
        book, who = self._book, self._identity
        miners = tuple(
            summarise(hotkey, book.records.get(hotkey, Record()), book.hardware_of(hotkey))
            for hotkey in sorted(book.records.keys() | book.hardware.keys())
        )
        report = performance.Report(
            who.genesis, who.netuid, who.hotkey.address, self.block, now, miners
        )
        return report.signed(who.hotkey)
