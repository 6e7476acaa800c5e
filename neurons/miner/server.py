"""The routes of a miner: text or vectors by what it offers, and its status.

Callers are served by stake when there is more work than room; strangers without stake have the
lowest priority and a small share of the queue.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from aiohttp import web

from ganglion.attest import statement as attestation
from ganglion.errors import GanglionError
from ganglion.wire import fields, sealed, sse
from ganglion.wire import text as textgen
from ganglion.wire import vectors as embedding
from ganglion.wire.fields import BadMessage
from ganglion.wire.paid import VOUCHER_PATH
from ganglion.wire.sealed import KeyRing, UnknownKey
from neurons.engine.base import Unavailable
from neurons.engine.batch import Overloaded
from neurons.http import Answer, Gate, Handler, Refusal, Reply, Signed, application, json_response
from neurons.miner.attest import AttestService
from neurons.miner.embedding import EmbedService
from neurons.miner.hardware import HardwareService
from neurons.miner.lessees import Lessees
from neurons.miner.textgen import Event, Order, TextService
from neurons.miner.till import Till
from neurons.shards.front import ShardedModel

log = logging.getLogger(__name__)

Standing = Callable[[bytes], float]
"""The stake of a hotkey in TAO; 0 for a stranger."""

Wrap = Callable[[str, bytes], Event]
"""What is done to an event before it is sent."""

STRANGER_LIMIT = 4
CALLER_LIMIT = 256


class MinerApp:
    """What a miner serves. `standing` ranks callers; hand in either service or both.

    `price` is what it asks, in rao per million tokens; gateways route by it.
    """

    def __init__(
        self,
        gate: Gate,
        standing: Standing,
        text: TextService | None = None,
        embed: EmbedService | None = None,
        seals: KeyRing | None = None,
        attest: AttestService | None = None,
        till: Till | None = None,
    ) -> None:
        self.standing, self.text, self.embed, self.seals = standing, text, embed, seals
        self.attest, self.till = attest, till
        self.price = 1
        self.lessees: Lessees | None = None
        self.open: Counter[bytes] = Counter()
        self.refused: Counter[str] = Counter()
        self.started = time.monotonic()
        routes: dict[tuple[str, str], Handler] = {("GET", "/status"): self.status}
        if text is not None:
            routes["POST", textgen.PATH] = self.generate
            if seals is not None:
                routes["GET", sealed.KEY_PATH] = self.seal_key
                routes["POST", sealed.PATH] = self.generate_sealed
            if attest is not None:
                text.sign_answer = attest.sign_answer
                routes["GET", attestation.PATH] = self.attestation
            if till is not None:
                routes["POST", VOUCHER_PATH] = self.voucher
        if embed is not None:
            routes["POST", embedding.PATH] = self.vectors
        self.hardware: HardwareService | None = None
        self._routes = routes
        self.app = application(gate, routes)

    def take_challenges(self, hardware: HardwareService) -> None:
        """Serve the proof of hardware too."""
        self.hardware = hardware
        self._routes.update(hardware.routes())

    def add_routes(self, routes: dict[tuple[str, str], Handler]) -> None:
        """Serve these too, as long as this miner does."""
        self._routes.update(routes)

    @contextmanager
    def _slot(self, caller: bytes) -> Any:
        """A place among the caller's open requests; Refusal when it has too many."""
        most = CALLER_LIMIT if self.standing(caller) > 0 else STRANGER_LIMIT
        if self.till is not None:  # who has paid so often may have so many more open
            most = min(most + self.till.paid_by(caller), CALLER_LIMIT)
        if self.open[caller] >= most:
            self.refused["busy"] += 1
            raise Refusal(429, "busy", f"you have {most} open requests here already", 1)
        self.open[caller] += 1
        try:
            yield
        finally:
            self.open[caller] -= 1
            if not self.open[caller]:
                del self.open[caller]

    async def generate(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """POST /v1/generate: a stream of events."""
        assert self.text is not None
        try:
            order = self.text.accept(signed.body, signed.caller, self.standing(signed.caller))
        except BadMessage as e:
            self.refused["request"] += 1
            raise Refusal(400, "request", str(e)) from e
        with self._slot(signed.caller):
            return await self._answer(request, order)

    async def seal_key(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """GET /v1/seal: the key that orders are sealed to, signed by the hotkey."""
        assert self.seals is not None
        return Reply(self.seals.announced().to_bytes())

    async def attestation(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """GET /v1/attestation?nonce=0xHASH: what hardware says of this program and its keys."""
        assert self.attest is not None
        try:
            nonce = fields.hexadecimal(request.query, "nonce", 32)
            with self._slot(signed.caller):
                return Reply(await self.attest.statement(nonce, signed.caller))
        except BadMessage as e:
            raise Refusal(400, "nonce", f"give the hash of the newest block: {e}") from e
        except GanglionError as e:
            log.warning("no evidence could be made: %s", e)
            self.refused["evidence"] += 1
            raise Refusal(503, "evidence", "this miner's evidence cannot be made now", 30) from e

    async def generate_sealed(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """POST /v1/sealed: the same as /v1/generate, but only the asker can read it."""
        assert self.seals is not None
        assert self.text is not None
        try:
            inside = self.seals.open(signed.body)
        except UnknownKey as e:
            raise Refusal(409, "seal-key", str(e)) from e
        except BadMessage as e:
            self.refused["seal"] += 1
            raise Refusal(400, "seal", str(e)) from e
        try:
            standing = self.standing(signed.caller)
            order = self.text.accept(inside.body, signed.caller, standing, sealed=True)
        except BadMessage as e:  # what is wrong inside the seal is for the asker alone
            self.refused["request"] += 1
            return await self._stream(request, textgen.error_event("request", str(e)), inside.seal)
        asked = order.request
        if (asked.model, asked.max_tokens) != (inside.header.model, inside.header.max_tokens):
            self.refused["seal"] += 1
            raise Refusal(400, "seal", "the routing header names another model or limit")
        with self._slot(signed.caller):
            return await self._answer(request, order, inside.seal)

    async def _answer(
        self, request: web.BaseRequest, order: Order, wrap: Wrap = lambda *event: event
    ) -> Answer:
        assert self.text is not None
        events = self.text.answer(order)
        if self.till is not None:
            events = await self.till.metered(order, events)
        if self.lessees is not None and order.request.pay is None:
            events = self.lessees.metered(order.caller, events)
        try:
            first = await anext(events)
        except Overloaded as e:
            self.refused["busy"] += 1
            raise Refusal(503, "busy", str(e), 1) from e
        except Unavailable as e:
            self.refused["unavailable"] += 1
            raise Refusal(503, "unavailable", str(e), 5) from e
        return await self._stream(request, first, wrap, events)

    async def _stream(
        self,
        request: web.BaseRequest,
        first: Event,
        wrap: Wrap,
        rest: AsyncIterator[Event] | None = None,
    ) -> Answer:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        try:
            await response.prepare(request)
            await response.write(sse.encode(*wrap(*first)))
            if rest is not None:
                async for event in rest:
                    await response.write(sse.encode(*wrap(*event)))
        except ConnectionResetError:
            log.info("a caller left in the middle of its answer")
        return response

    async def voucher(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """POST /v1/voucher: what pays answers under way."""
        assert self.till is not None
        return await self.till.voucher(signed)

    async def vectors(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """POST /v1/embed: one JSON answer."""
        assert self.embed is not None
        try:
            with self._slot(signed.caller):
                return json_response(await self.embed.answer(signed.body, signed.caller))
        except BadMessage as e:
            self.refused["request"] += 1
            raise Refusal(400, "request", str(e)) from e

    async def status(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """GET /status: what is served and how busy it is."""
        report: dict[str, Any] = {
            "up_seconds": round(time.monotonic() - self.started),
            "refused": dict(self.refused),
        }
        offer = {"price": self.price}
        if self.text is not None:
            running, waiting = self.text.worker.load
            drafted, accepted = self.text.worker.drafts
            report["text"] = {
                **describe(self.text.card),
                **offer,
                "running": running,
                "places": self.text.worker.places,
                "waiting": waiting,
                "answers": self.text.answers,
                "tokens": self.text.worker.tokens_made,
                "prefix_tokens_reused": self.text.worker.pool.reused,
                "drafted": drafted,
                "drafts_accepted": accepted,
                **(
                    {"spans": self.text.worker.model.report()}
                    if isinstance(self.text.worker.model, ShardedModel)
                    else {}
                ),
                **({} if self.attest is None else {"attestation": self.attest.kind}),
                **({} if self.till is None else {"pay": self.till.offer.to_json()}),
            }
        if self.embed is not None:
            card = describe(self.embed.card)
            report["embedding"] = {**card, **offer, "answers": self.embed.answers}
        if self.hardware is not None:
            report["hardware"] = self.hardware.report()
        return json_response(report)


@lru_cache(maxsize=16)
def describe(card: Any) -> dict[str, Any]:
    """A model card as JSON; read it only."""
    return {
        "model": card.name,
        "weights": "0x" + card.weights_hash.hex(),
        "context": card.context,
        "class": "exact" if card.exact else "fast",
    }
