"""Sealed orders on their way through a gateway: routed, counted and billed, never read.

What passes is the routing header (miner, model, the most tokens), boxes, and the usage: the
prompt's with the first of them, so that it is billed to who leaves early too. The asker chooses
the miner, because it seals to one; it may ask here for the miner's sealing key and evidence,
which are signed, so that no gateway can put its own in their place.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress

import orjson
from aiohttp import web

from ganglion import ss58
from ganglion.attest import statement
from ganglion.attest.call import MAX_STATEMENT, PATIENCE
from ganglion.hashing import blake2_256
from ganglion.wire import fields, sealed, sse
from ganglion.wire.call import Caller, CallFailed
from ganglion.wire.fields import BadMessage
from ganglion.wire.text import MOST_COUNTED, cached_of
from neurons.gateway import openai_api as api
from neurons.gateway.openai_api import ApiError
from neurons.gateway.router import Miner, Router
from neurons.gateway.service import TextGateway, Wish, nobody_fits
from neurons.gateway.store import Order, Outcome, PartRow

CHUNK_TOKENS = 1
"""What an event counts for until the miner says the usage: it holds a token at least."""


EVIDENCE_A_MINUTE = 6
"""Blocks of which a miner is asked for evidence on behalf of callers: half of what it grants this
gateway, so that callers cannot use up what the gateway itself needs."""


class Passing:
    """The routes below /v1/sealed of a text gateway."""

    def __init__(self, text: TextGateway) -> None:
        self._text = text
        self._evidence: dict[str, deque[tuple[float, bytes]]] = {}

    @property
    def _router(self) -> Router:
        return self._text.router

    @property
    def _caller(self) -> Caller:
        return self._text.caller

    def _miner(self, hotkey: str) -> Miner:
        found = self._router.miners.get(hotkey)
        if found is None:
            problem = f"no miner {hotkey[:60]!r} serves here: GET /v1/sealed lists those that do"
            raise ApiError(404, "invalid_request_error", problem, "unknown_miner")
        return found

    async def listed(self, request: web.Request, wish: Wish) -> web.StreamResponse:
        """GET /v1/sealed: who the gateway is, and the miners that it passes orders to."""
        await self._text.store.authenticate(wish.key)
        miners = [
            {"hotkey": m.target.hotkey, "uid": m.uid, "model": m.model}
            for m in self._router.miners.values()
        ]
        identity = self._text.identity
        said = {"hotkey": identity.hotkey.address, "netuid": identity.netuid, "miners": miners}
        return web.Response(body=orjson.dumps(said), content_type="application/json")

    async def fetched(self, request: web.Request, wish: Wish) -> web.StreamResponse:
        """GET /v1/sealed/HOTKEY/seal or /attestation: the miner's own signed words."""
        await self._text.store.authenticate(wish.key)
        path, nonce = "/v1/" + request.match_info["what"], b""
        if path == statement.PATH:
            try:
                nonce = fields.hexadecimal(request.query, "nonce", 32)
            except BadMessage as e:
                raise api.invalid(str(e), "nonce") from e
            path += f"?nonce=0x{nonce.hex()}"
        miner = self._miner(request.match_info["hotkey"])
        if path != sealed.KEY_PATH:
            self._count_evidence(miner.target.hotkey, nonce)
        try:
            body = await self._caller.fetch(miner.target, "GET", path, b"", PATIENCE, MAX_STATEMENT)
        except CallFailed as e:
            raise passed_on(e) from e
        return web.Response(body=body, content_type="application/json")

    def _count_evidence(self, hotkey: str, nonce: bytes) -> None:
        """ApiError if evidence about too many blocks was asked for lately."""
        now, serving = time.monotonic(), self._router.miners
        self._evidence = {h: kept for h, kept in self._evidence.items() if h in serving}
        asked = self._evidence.setdefault(hotkey, deque())
        while asked and now - asked[0][0] > 60:
            asked.popleft()
        if all(nonce != before for _, before in asked):
            if len(asked) >= EVIDENCE_A_MINUTE:
                problem = "this miner's evidence was asked for often enough this minute"
                raise ApiError(429, "rate_limit_error", problem, "busy")
            asked.append((now, nonce))

    async def order(self, request: web.Request, wish: Wish, body: bytes) -> web.StreamResponse:
        """POST /v1/sealed: pass the envelope on, and the sealed events back."""
        try:
            given = fields.load_object(body)
            fields.only(given, sealed.KNOWN)
            hotkey = fields.hexadecimal(given, "miner", 32)
            model = fields.text(given, "model", 200)
            most = fields.integer(given, "max_tokens", 1, (1 << 32) - 1, None)
        except BadMessage as e:
            raise api.invalid(str(e)) from e
        miner = self._miner(ss58.encode(hotkey))
        if model not in (miner.model, "default"):
            problem = f"this miner serves {miner.model}, not {model}"
            raise ApiError(404, "invalid_request_error", problem, "model_not_found", "model")
        limit = wish.price_limit(await self._text.store.price_limit(wish.key))
        if limit is not None and miner.price > limit:
            raise nobody_fits()
        # a token is a byte at least, and what is in the box is shorter than its base64
        reserve = self._text.prices.cost(len(body), most)
        order = Order("sealed-" + secrets.token_hex(12), miner.model, blake2_256(body), reserve)
        key_id = (await self._text.store.open(wish.key, order)).key_id
        usage = [0, 0, 0]
        try:
            return await self._stream(request, miner, body, usage)
        except CallFailed as e:
            raise passed_on(e) from e
        finally:
            bill = self._bill(order, key_id, miner, usage, most)
            await asyncio.shield(asyncio.ensure_future(bill))  # also when the asker leaves

    async def _bill(
        self, order: Order, key_id: str, miner: Miner, usage: list[int], most: int
    ) -> None:
        prompt, completion = usage[0], min(usage[1], most)
        cached = min(usage[2], prompt)
        if not completion:
            await self._text.store.fail_request(order, key_id)
            return
        netuid = self._text.identity.netuid
        part = PartRow(netuid, miner.uid, miner.target.hotkey, completion, None)
        cost = min(self._text.prices.cost(prompt, completion, cached), order.reserve)
        outcome = Outcome(prompt, completion, cost, [part], None, cached)
        await self._text.store.close_request(order, key_id, outcome)

    async def _stream(
        self, request: web.Request, miner: Miner, body: bytes, usage: list[int]
    ) -> web.StreamResponse:
        """The events as they come; `usage` is kept as [prompt, completion, cached] tokens."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        began, events = time.monotonic(), self._caller.events(miner.target, body, sealed.PATH)
        miner.open += 1
        try:
            async with aclosing(_checked(events)) as checked:
                async for name, data, counted in checked:
                    if not response.prepared:
                        self._router.on_first_token(miner, time.monotonic() - began)
                        await response.prepare(request)
                    usage[:] = counted or (usage[0], usage[1] + CHUNK_TOKENS, usage[2])
                    await response.write(sse.encode(name, data))
        except CallFailed as e:
            # who reads slowly lets time run out too: in mid-answer that says nothing of the miner
            late = e.reason == "timeout" and response.prepared
            if e.reason not in ("busy", "refused") and not late:
                self._router.on_failure(miner, time.monotonic())
            if not response.prepared:
                raise
        except ConnectionResetError:
            return response  # the asker left: what it got is billed
        finally:
            miner.open -= 1
        with suppress(ConnectionResetError):
            await response.write_eof()
        return response


async def _checked(
    events: AsyncIterator[tuple[str, bytes]],
) -> AsyncGenerator[tuple[str, bytes, tuple[int, int, int] | None], None]:
    """Sealed events, the last with the usage that the miner bills; CallFailed for any other."""
    async for name, data in events:
        try:
            given = fields.load_object(data)
            fields.only(given, frozenset({"box", "usage"}))
            usage = given.get("usage")
            if name != sealed.EVENT or not isinstance(usage, dict | None):
                raise BadMessage("an event of a sealed answer is not sealed")
            counted = None
            if usage is not None:
                names = ("prompt_tokens", "completion_tokens")
                prompt, completion = (
                    fields.integer(usage, n, 0, MOST_COUNTED, None) for n in names
                )
                counted = prompt, completion, cached_of(usage)
        except BadMessage as e:
            raise CallFailed("bad-format", str(e)) from e
        yield name, data, counted


def passed_on(e: CallFailed) -> ApiError:
    """A miner's refusal, or its silence, in OpenAI's shape; 404 and 409 mean what they meant."""
    status = e.status if e.status in (400, 404, 409, 429) else 503
    kind = {503: "server_error", 429: "rate_limit_error"}.get(status, "invalid_request_error")
    return ApiError(status, kind, f"the miner says: {e}", e.reason)
