"""A validator's status page: a miner reads its own scores and the reason of every failure.

Signed like everything: callers see their own record; the totals are for everyone.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ganglion import ss58
from neurons.http import Answer, Gate, Handler, Signed, application, json_response
from neurons.validator.book import Book
from neurons.validator.weights import WeightWriter


class StatusApp:
    """GET /status for whoever signs."""

    def __init__(self, gate: Gate, book: Book, writer: WeightWriter) -> None:
        self._book, self._writer = book, writer
        routes: dict[tuple[str, str], Handler] = {("GET", "/status"): self.status}
        self.app = application(gate, routes)

    async def status(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """The caller's own record, and how the validator itself is doing."""
        record = self._book.records.get(ss58.encode(signed.caller))
        report: dict[str, Any] = {
            "you": record.to_json() if record else None,
            "miners": len(self._book.records),
            "weights_set": self._writer.written,
            "last_problem": self._writer.last_problem,
        }
        return json_response(report)
