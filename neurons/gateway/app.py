"""The HTTP routes of a gateway, as OpenAI's clients expect them."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

import orjson
from aiohttp import web

from ganglion.wire.fields import MAX_BODY
from neurons.gateway import openai_api as api
from neurons.gateway.embeddings import EmbedGateway
from neurons.gateway.metrics import TYPE, gauges, render
from neurons.gateway.openai_api import ApiError, Reply, StopTrimmer, TextCall
from neurons.gateway.passing import Passing
from neurons.gateway.service import Running, TextGateway, denied, settle_shielded
from neurons.gateway.store import Denied, Store, StoreProblem
from neurons.gateway.wishes import refuse_unmet, wish_of

log = logging.getLogger("gateway")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
DONE = b"data: [DONE]\n\n"
WELCOME = """A Ganglion gateway: give http://{host}/v1 to any OpenAI client as its base URL.

POST /v1/chat/completions, /v1/completions, /v1/embeddings
GET  /v1/models, /v1/receipts/ID, /health, /metrics
"""


class GatewayApp:
    """The routes. `open_key` serves callers without a key of their own."""

    def __init__(
        self,
        store: Store,
        text: TextGateway | None,
        embed: EmbedGateway | None,
        open_key: str | None = None,
    ) -> None:
        self._store, self._text, self._embed, self._open_key = store, text, embed, open_key
        self._passing = None if text is None else Passing(text)
        self._started = int(time.time())
        self.app = web.Application(client_max_size=MAX_BODY)
        add = self.app.router.add_route
        add("POST", "/v1/chat/completions", self._guard(self._chat))
        add("POST", "/v1/completions", self._guard(self._complete))
        add("POST", "/v1/embeddings", self._guard(self._embeddings))
        add("GET", "/v1/sealed", self._guard(self._sealed))
        add("POST", "/v1/sealed", self._guard(self._sealed))
        add("GET", "/v1/sealed/{hotkey}/{what:seal|attestation}", self._guard(self._sealed))
        add("GET", "/v1/models", self._guard(self._models))
        add("GET", "/v1/models/{model:.+}", self._guard(self._models))
        add("GET", "/v1/receipts/{id}", self._guard(self._receipts))
        add("GET", "/metrics", self._guard(self._metrics))
        add("GET", "/health", self._health)
        add("GET", "/", self._welcome)
        add("GET", "/v1", self._welcome)
        add("*", "/{path:.*}", self._guard(self._nothing))

    def _guard(self, handler: Handler) -> Handler:
        """Errors in OpenAI's shape."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except ApiError as e:
                error = e
            except Denied as e:
                error = denied(e)
            except StoreProblem as e:
                log.error("%s", e)
                error = ApiError(503, "server_error", "the gateway's database is not available")
            except web.HTTPRequestEntityTooLarge:
                error = ApiError(413, "invalid_request_error", f"at most {MAX_BODY} bytes")
            return web.Response(
                body=error.to_bytes(), status=error.status, content_type="application/json"
            )

        return guarded

    async def _health(self, request: web.Request) -> web.StreamResponse:
        miners = len(self._text.router.miners) if self._text else 0
        return web.json_response({"ok": True, "text_miners": miners})

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        """How much each model is used, for Prometheus; with an API key, as all else."""
        await self._store.authenticate(wish_of(request, self._open_key).key)
        now, found = time.monotonic(), [g.directory for g in (self._text, self._embed) if g]
        states = [gauges(d.router, d.asks.values(), now) for d in found]
        body = render(self._store.totals, states)
        return web.Response(body=body.encode(), headers={"Content-Type": TYPE})

    async def _welcome(self, request: web.Request) -> web.StreamResponse:
        """For who opens the address in a browser."""
        return web.Response(text=WELCOME.format(host=request.host))

    async def _nothing(self, request: web.Request) -> web.StreamResponse:
        raise ApiError(
            404,
            "invalid_request_error",
            f"there is no {request.method} {request.path[:100]} here",
            "unknown_url",
        )

    # --- text ---

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, chat=True)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, chat=False)

    async def _answer(self, request: web.Request, chat: bool) -> web.StreamResponse:
        wish, body = wish_of(request, self._open_key), await request.read()
        if self._text is None:
            raise ApiError(404, "invalid_request_error", "this gateway serves no text models")
        call = api.parse_text(api.load(body), chat)
        running = await self._text.admit(call, wish, body)
        reply = Reply(running.order.id, int(time.time()), call)
        if wish.idempotency is not None:
            replay = (await running.admitted()).replay
            if replay is not None:
                return await replayed(request, call, replay)
        response: bytes | None = None
        out = Stream(request, reply)
        try:
            text = self._trimmed(running)
            async with aclosing(text) as pieces:
                if not call.stream:
                    whole = "".join([piece async for piece in pieces])
                    response = reply.whole(whole, running.finish, usage(running))
                    return json_bytes(response, running)
                async with aclosing(out):
                    said = await out.send(pieces, running)
                    response = reply.whole(said, running.finish, usage(running))
                    return out.response
        except ApiError:
            running.was_in_vain = not out.response.prepared
            raise
        finally:
            await settle_shielded(self._text, running, response)

    async def _sealed(self, request: web.Request) -> web.StreamResponse:
        """Orders that only a miner can read; see `Passing`."""
        wish = wish_of(request, self._open_key)
        passing = self._passing
        if passing is None:
            raise ApiError(404, "invalid_request_error", "this gateway serves no text models")
        refuse_unmet(wish, "a sealed order", wish.idempotency is not None)
        if request.method == "POST":
            return await passing.order(request, wish, await request.read())
        if "hotkey" in request.match_info:
            return await passing.fetched(request, wish)
        return await passing.listed(request, wish)

    async def _trimmed(self, running: Running) -> AsyncGenerator[str, None]:
        """The text of an answer up to its first stop string."""
        assert self._text is not None
        trimmer = StopTrimmer(running.call.stop)
        async with aclosing(self._text.run(running)) as deltas:
            async for delta in deltas:
                piece = trimmer.push(delta.text)
                if piece:
                    yield piece
        rest = trimmer.finish()
        if rest:
            yield rest

    # --- the rest ---

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        wish, body = wish_of(request, self._open_key), await request.read()
        if self._embed is None:
            raise ApiError(404, "invalid_request_error", "this gateway serves no embeddings")
        refuse_unmet(wish, "embeddings")
        model, texts, packed = api.parse_embeddings(api.load(body))
        return await self._embed.answer(model, texts, packed, wish, body)

    async def _models(self, request: web.Request) -> web.StreamResponse:
        await self._store.authenticate(wish_of(request, self._open_key).key)
        routers = [g.router for g in (self._text, self._embed) if g is not None]
        served = sorted({model for router in routers for model in router.models()})
        shown = [
            {"id": m, "object": "model", "created": self._started, "owned_by": "subnet"}
            | self._badge(m)
            for m in served
        ]
        wanted = request.match_info.get("model")
        if wanted is None:
            return web.json_response({"object": "list", "data": shown})
        one = next((m for m in shown if m["id"] == wanted), None)
        if one is None:
            raise ApiError(
                404,
                "invalid_request_error",
                f"the model {wanted[:100]} is not served",
                "model_not_found",
                "model",
            )
        return web.json_response(one)

    def _badge(self, model: str) -> dict[str, Any]:
        """`confidential` with kind and end of a verdict, if a miner of the model has one."""
        if self._text is None or self._text.confidential is None:
            return {}
        badge = self._text.confidential.badge_of_model(model)
        return {} if badge is None else {"confidential": badge}

    async def _receipts(self, request: web.Request) -> web.StreamResponse:
        key = wish_of(request, self._open_key).key
        wanted = request.match_info["id"]
        known = wanted.isascii() and wanted.isprintable()  # nothing else is an id of ours
        parts = await self._store.receipts_of(key, wanted) if known else None
        if parts is None:
            raise ApiError(404, "invalid_request_error", "you made no request with this id")
        return web.json_response({"object": "list", "data": parts})


def usage(running: Running) -> dict[str, Any]:
    """The usage of a request."""
    counts = running.prompt_tokens, running.completion_tokens, running.cached_tokens
    return api.usage_of(*counts)


def json_bytes(body: bytes, running: Running) -> web.Response:
    """A finished JSON response with the miners that made it."""
    parts = running.relay.parts if running.relay is not None else []
    miners = ",".join(str(p.miner.uid) for p in parts)
    headers = {"X-Ganglion-Miner": miners, "X-Request-Id": running.order.id}
    return web.Response(body=body, content_type="application/json", headers=headers)


def event(data: bytes) -> bytes:
    """One server-sent event."""
    return b"data: " + data + b"\n\n"


class Stream:
    """An answer as server-sent events. The status is sent with the first piece, so that a request
    that fails before it gets a proper error."""

    def __init__(self, request: web.Request, reply: Reply) -> None:
        self._request, self._reply = request, reply
        self.response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Request-Id": reply.id,
            }
        )

    async def aclose(self) -> None:
        """End the stream if it began and somebody still listens."""
        if self.response.prepared:
            with suppress(ConnectionResetError):
                await self.response.write_eof()

    async def _write(self, data: bytes) -> None:
        if not self.response.prepared:
            await self.response.prepare(self._request)
        await self.response.write(event(data))

    async def _finish(self, rest: list[bytes]) -> None:
        """The last events and the end of the response, in one piece."""
        if not self.response.prepared:
            await self.response.prepare(self._request)
        await self.response.write_eof(b"".join(map(event, rest)) + DONE)

    async def send(self, pieces: AsyncGenerator[str, None], running: Running) -> str:
        """Send everything; the text that was sent. An error after the first piece is an event."""
        reply = self._reply
        said: list[str] = []
        try:
            async for piece in pieces:
                await self._write(reply.chunk(piece, first=not said))
                said.append(piece)
        except ApiError as e:
            if not said:
                raise
            await self._write(e.to_bytes())
            raise
        last = reply.chunk(None, running.finish, first=not said)
        rest = [last, reply.usage_only(usage(running))] if reply.call.usage_chunk else [last]
        await self._finish(rest)
        return "".join(said)


async def replayed(request: web.Request, call: TextCall, stored: bytes) -> web.StreamResponse:
    """A stored response again, streamed if asked so; nothing is charged."""
    value: dict[str, Any] = orjson.loads(stored)
    if not call.stream:
        return web.Response(body=stored, content_type="application/json")
    reply = Reply(value["id"], value["created"], call)
    stream, choice = Stream(request, reply), value["choices"][0]
    text = choice["message"]["content"] if call.chat else choice["text"]
    rest = [reply.chunk(text, first=True), reply.chunk(None, choice["finish_reason"])]
    if call.usage_chunk:
        rest.append(reply.usage_only(value["usage"]))
    await stream._finish(rest)
    return stream.response
