"""From a JSON-RPC frame to its reply. No sockets here.

`Dispatcher.handle` answers at once when it can (bytes, or None for a notification) and returns
a coroutine when the request needs the reader thread or is a batch. Frames that are not JSON,
not requests, or ask for too much get the error that JSON-RPC and upstream's server give them.
Nesting is bounded by the JSON parser (1,024 levels).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import Any

import orjson

from chain.rpc.errors import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    OVERSIZED_REQUEST,
    OVERSIZED_RESPONSE,
    PARSE_ERROR,
    TOO_BIG_BATCH,
    RpcError,
    error_reply,
)
from chain.rpc.methods import Method, Opened
from chain.rpc.session import Session
from chain.store.errors import StoreError

MAX_BATCH = 4096

log = logging.getLogger("rpc")

Reply = bytes | None
Answer = Reply | Coroutine[Any, Any, Reply]


class Dispatcher:
    """Answers frames by a table of methods over one context (the node)."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        context: Any,
        reader: Executor,
        max_response: int,
        observe: Callable[[str], None] | None = None,
    ) -> None:
        self._methods, self._context = methods, context
        self._reader, self._max_response = reader, max_response
        self._observe = observe

    def handle(self, frame: bytes, session: Session | None) -> Answer:
        """The reply to one frame, at once or as a coroutine; None if nothing is to be sent."""
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError:
            return error_reply(b"null", RpcError(PARSE_ERROR, "Parse error"))
        if type(request) is dict:
            return self._one(request, session)
        if type(request) is list and request:
            return self._batch(request, session)
        return _invalid_request()

    def _one(self, request: dict[str, Any], session: Session | None) -> Answer:
        name, key = request.get("method"), request.get("id")
        if (
            type(name) is not str
            or request.get("jsonrpc") != "2.0"
            or not (type(key) is int or type(key) is str or key is None)
        ):
            return _invalid_request()
        if "id" not in request:
            return None  # a notification: the protocol forbids a reply, upstream ignores it
        request_id = b"%d" % key if type(key) is int else orjson.dumps(key)
        method = self._methods.get(name)
        if method is None:
            return error_reply(request_id, RpcError(METHOD_NOT_FOUND, "Method not found"))
        if self._observe is not None:
            self._observe(name)
        params = request.get("params")
        if method.blocking or method.coroutine is not None:
            return self._later(method, request_id, params, session)
        try:
            result = method.call(self._context, session, params)
        except RpcError as error:
            return error_reply(request_id, error)
        except StoreError as error:
            return error_reply(request_id, _store_failed(error))
        return self._reply(request_id, result)

    def _reply(self, request_id: bytes, result: bytes) -> bytes:
        if len(result) > self._max_response:
            return error_reply(request_id, self._oversized())
        return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (request_id, result)

    def _oversized(self) -> RpcError:
        return RpcError(
            OVERSIZED_RESPONSE,
            "Response is too big",
            f"Exceeded max limit of {self._max_response}",
        )

    async def _later(
        self, method: Method, request_id: bytes, params: Any, session: Session | None
    ) -> bytes:
        """Run a slow method; a bug in it is logged and answered, and costs nobody else."""
        work: Awaitable[bytes]
        if method.coroutine is not None:
            work = method.coroutine(self._context, session, params)
        else:
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(self._reader, method.call, self._context, session, params)
        future = asyncio.ensure_future(work)
        await asyncio.wait((future,))
        error = future.exception()
        if error is None:
            result = future.result()
            if isinstance(result, Opened):
                result.subscription.release()
            return self._reply(request_id, result)
        if isinstance(error, StoreError):
            error = _store_failed(error)
        if not isinstance(error, RpcError):
            log.error("rpc method failed name=%s", method.name, exc_info=error)
            error = RpcError(INTERNAL_ERROR, "Internal error", f"{method.name} failed; see log")
        return error_reply(request_id, error)

    async def _batch(self, requests: list[Any], session: Session | None) -> bytes | None:
        if len(requests) > MAX_BATCH:
            return error_reply(
                b"null",
                RpcError(
                    TOO_BIG_BATCH,
                    "The batch request was too large",
                    f"Exceeded max limit of {MAX_BATCH}",
                ),
            )
        replies: list[bytes] = []
        total = 0
        for request in requests:
            answer = self._one(request, session) if type(request) is dict else _invalid_request()
            reply = answer if answer is None or isinstance(answer, bytes) else await answer
            if reply is None:
                continue
            total += len(reply)
            if total > self._max_response:
                return error_reply(b"null", self._oversized())
            replies.append(reply)
        return b"[%b]" % b",".join(replies) if replies else None


def _store_failed(error: StoreError) -> RpcError:
    log.error("%s", error)
    return RpcError(INTERNAL_ERROR, "Internal error", str(error))


def _invalid_request() -> bytes:
    return error_reply(b"null", RpcError(INVALID_REQUEST, "Invalid request"))


def oversized_request(limit: int) -> bytes:
    """The reply to a frame beyond the size limit."""
    return error_reply(
        b"null",
        RpcError(OVERSIZED_REQUEST, "Request is too big", f"Exceeded max limit of {limit}"),
    )
