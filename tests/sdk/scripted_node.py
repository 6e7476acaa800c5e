"""A JSON-RPC server on loopback whose behaviour a test writes out, for the client's hard cases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import WSMsgType, web

Answer = Callable[["ScriptedNode", dict[str, Any]], Any]


class Silence:
    """Answer nothing."""


class Refusal(Exception):
    """Answer with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.body = {"code": code, "message": message, "data": data}


class ScriptedNode:
    """Answers each method with `answers[method](node, request)`; unknown ones with -32601."""

    def __init__(self, answers: dict[str, Answer] | None = None) -> None:
        self.answers = answers or {}
        self.seen: list[str] = []
        self.sockets: set[web.WebSocketResponse] = set()
        self.connections = 0
        self.refuse_status = 0
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def __aenter__(self) -> ScriptedNode:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/", self._socket)
        app.router.add_post("/", self._post)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self.drop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def drop(self, code: int = 1011) -> None:
        """Break every connection."""
        for ws in list(self.sockets):
            await ws.close(code=code)

    async def push(self, subscription: Any, result: Any) -> None:
        """Send an update to every connection."""
        await self.send({"subscription": subscription, "result": result})

    async def send(self, params: dict[str, Any]) -> None:
        for ws in list(self.sockets):
            await ws.send_str(json.dumps({"jsonrpc": "2.0", "method": "update", "params": params}))

    async def raw(self, text: str) -> None:
        for ws in list(self.sockets):
            await ws.send_str(text)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        self.connections += 1
        if self.refuse_status:
            return web.Response(status=self.refuse_status)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        self.sockets.add(ws)
        try:
            async for message in ws:
                if message.type == WSMsgType.TEXT:
                    reply = await self._answer(json.loads(message.data))
                    if reply is not None and not ws.closed:
                        await ws.send_str(json.dumps(reply))
        finally:
            self.sockets.discard(ws)
        return ws

    async def _post(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_status:
            return web.Response(status=self.refuse_status)
        reply = await self._answer(json.loads(await request.read()))
        if isinstance(reply, str):
            return web.Response(text=reply)
        return web.json_response(reply)

    async def _answer(self, request: Any) -> Any:
        if isinstance(request, list):
            found = [await self._answer(one) for one in request]
            return [r for r in found if r is not None]
        self.seen.append(request["method"])
        answer = self.answers.get(request["method"])
        head = {"jsonrpc": "2.0", "id": request["id"]}
        if answer is None:
            return head | {"error": {"code": -32601, "message": "Method not found"}}
        try:
            result = answer(self, request)
            if asyncio.iscoroutine(result):
                result = await result
        except Refusal as e:
            return head | {"error": e.body}
        return None if isinstance(result, Silence) else head | {"result": result}
