"""The routes of a span server: hops for fronts that it knows, its announcement for everybody.

Only fronts that `allowed` names may use it. Hops are computed one after the other on a thread of
their own; what waits is bounded, and more is refused at once, so that a front goes elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from aiohttp import web

from ganglion.hashing import blake2_256
from ganglion.wire import spans
from ganglion.wire.fields import BadMessage
from ganglion.wire.spans import Announcement, Claim, Hop, Values, sign_claim, sign_span
from neurons.engine.base import PAGE, ModelCard, Row
from neurons.engine.parts import Blocks, Parts
from neurons.http import Answer, Gate, Refusal, Reply, Signed, application, json_response
from neurons.identity import Identity
from neurons.shards.rooms import IDLE_SECONDS, Gone, NoRoom, Room, Rooms

log = logging.getLogger(__name__)

Allowed = Callable[[bytes], bool]
"""Whether the front with this public key may use the server."""

QUEUE, FRONT_QUEUE = 64, 4
LIFE_MS = 60_000
"""How long an announcement is valid; fronts ask more often."""

assert PAGE == spans.SLOTS, "pages on the wire are pages of the engine"


class SpanApp:
    """What a span server serves: the blocks of one model, to some fronts."""

    def __init__(
        self, gate: Gate, identity: Identity, parts: Parts, blocks: Blocks, allowed: Allowed,
        pages: int, idle: float = IDLE_SECONDS, most: int | None = None,
    ) -> None:  # fmt: skip
        self.identity, self.parts, self.blocks, self.allowed = identity, parts, blocks, allowed
        self.rooms = Rooms(pages, idle, most)
        self.rate = measured(blocks, parts.card, parts.kind)
        self.hops, self.tokens = 0, 0
        self.refused: Counter[str] = Counter()
        self._open: Counter[bytes] = Counter()
        self._thread = ThreadPoolExecutor(1, "span")
        routes = {
            ("GET", spans.SPAN_PATH): self.span,
            ("POST", spans.HOP_PATH): self.hop,
            ("POST", spans.LEAVE_PATH): self.leave,
            ("GET", "/status"): self.status,
        }
        self.app = application(gate, routes)

    def close(self) -> None:
        """End the thread after what runs."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def move(self, blocks: Blocks) -> None:
        """Hold other blocks from now on; sessions have to begin anew."""
        rate = await asyncio.get_running_loop().run_in_executor(
            self._thread, measured, blocks, self.parts.card, self.parts.kind
        )
        self.blocks, self.rate = blocks, rate
        self.rooms.clear()

    def announcement(self) -> Announcement:
        """What this server says of itself now."""
        now, held, card = round(time.time() * 1000), self.blocks.blocks, self.parts.card
        return Announcement(
            spans.VERSION, self.identity.genesis, self.identity.netuid, card.weights_hash,
            self.parts.kind, card.hidden, self.parts.layers, held.start, held.stop,
            self.identity.hotkey.public_key, max(1, round(self.rate)), self.rooms.free,
            now, now + LIFE_MS,
        )  # fmt: skip

    async def span(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """GET /v1/span: the announcement, signed."""
        self.rooms.expire(time.monotonic())
        said = sign_span(self.announcement(), self.identity.hotkey)
        return web.Response(body=said.to_bytes(), content_type="application/octet-stream")

    async def status(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """GET /status: what is held and how busy it is, for people."""
        held = self.blocks.blocks
        return json_response({
            "span": {
                "model": self.parts.card.name, "blocks": f"{held.start}:{held.stop}",
                "sessions": len(self.rooms), "free_pages": self.rooms.free,
                "hops": self.hops, "tokens": self.tokens, "rate": round(self.rate),
            },
            "refused": dict(self.refused),
        })  # fmt: skip

    async def leave(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """POST /v1/leave: free the cache of one of the caller's sessions."""
        if len(signed.body) != spans.SESSION_SIZE:
            raise self._refusal(400, "session", f"a session is {spans.SESSION_SIZE} bytes")
        self.rooms.leave(signed.caller, signed.body)
        return Reply(b"{}")

    async def hop(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """POST /v1/hop: rows in, rows out."""
        if not self.allowed(signed.caller):
            raise self._refusal(
                403, "stranger", "this server works for fronts that are registered on its "
                "subnet, or that its operator lists: register, or ask the operator",
            )  # fmt: skip
        hop, x = self._read(signed.body)
        if self._open.total() >= QUEUE or self._open[signed.caller] >= FRONT_QUEUE:
            raise self._refusal(503, "busy", "too many hops are waiting here", 1)
        self._open[signed.caller] += 1
        try:
            room = self._room(signed.caller, hop)
            y = await self._computed(room, hop, x)
        finally:
            self._open[signed.caller] -= 1
            if not self._open[signed.caller]:
                del self._open[signed.caller]
        self.hops, self.tokens = self.hops + 1, self.tokens + hop.tokens
        return web.Response(
            body=self._answered(hop, signed, y), content_type="application/octet-stream"
        )

    def _read(self, body: bytes) -> tuple[Hop, Values]:
        """A stranger's hop, if it is one for this server."""
        card, held = self.parts.card, self.blocks.blocks
        try:
            hop, x = spans.unpack_hop(body, card.hidden)
        except BadMessage as e:
            raise self._refusal(400, "hop", str(e)) from e
        if hop.weights != card.weights_hash or hop.kind != self.parts.kind:
            raise self._refusal(409, "model", f"this server holds {card.name}, in another class")
        if not held.start <= hop.first < hop.last <= held.stop:
            raise self._refusal(409, "blocks", f"this server holds {held.start}:{held.stop}")
        if any(row.start + row.count > card.context for row in hop.rows):
            raise self._refusal(400, "hop", f"the model reads {card.context} positions")
        return hop, x

    def _room(self, front: bytes, hop: Hop) -> Room:
        make, now = self.blocks.new_cache, time.monotonic()
        try:
            return self.rooms.enter(front, hop.session, hop.room, hop.fresh, now, make)
        except Gone as e:
            raise self._refusal(410, "session", str(e)) from e
        except (NoRoom, MemoryError) as e:
            raise self._refusal(503, "room", f"no room: {e}", 5) from e

    async def _computed(self, room: Room, hop: Hop, x: Values) -> Values:
        """The rows that leave the blocks, worked out on the thread, in turn."""
        blocks = self.blocks
        rows = [Row(range(r.count), r.start, r.pages, r.keep) for r in hop.rows]

        def run() -> Values:
            with np.errstate(all="ignore"):  # a front may send nonsense to its own session
                return blocks.run(room.cache, rows, x, hop.first, hop.last)

        try:
            y = await asyncio.get_running_loop().run_in_executor(self._thread, run)
        except (ArithmeticError, MemoryError, RuntimeError, ValueError, LookupError) as e:
            log.exception("a hop over %d positions failed", hop.tokens)
            raise self._refusal(500, "engine", f"the engine failed: {type(e).__name__}") from e
        if not spans.are_sane(y):
            raise self._refusal(422, "values", "these inputs overflow the model's arithmetic")
        return y

    def _answered(self, hop: Hop, signed: Signed, y: Values) -> bytes:
        """The rows with this server's signature over what went in and what came out."""
        y = np.ascontiguousarray(y, hop.kind.dtype)
        claim = Claim(
            spans.VERSION, self.identity.genesis, hop.weights, self.identity.hotkey.public_key,
            signed.caller, hop.session, hop.step, hop.first, hop.last, hop.kind,
            blake2_256(signed.body), blake2_256(y.tobytes()),
        )  # fmt: skip
        return spans.pack_answer(sign_claim(claim, self.identity.hotkey), y)

    def _refusal(self, status: int, reason: str, message: str, wait: int = 0) -> Refusal:
        self.refused[reason] += 1
        return Refusal(status, reason, message, wait)


def measured(blocks: Blocks, card: ModelCard, kind: spans.Kind) -> float:
    """Blocks times tokens a second that these blocks decode, one stream, the best of a few."""
    held, best = blocks.blocks, 0.0
    cache = blocks.new_cache(1)
    for position in range(6):
        x = np.zeros((1, card.hidden), kind.dtype)
        started = time.perf_counter()
        blocks.run(cache, [Row((0,), position, (0,))], x, held.start, held.stop)
        best = max(best, len(held) / max(time.perf_counter() - started, 1e-9))
    return best
