"""The table of RPC methods and how a Python function becomes one.

    methods = MethodTable()

    @methods.rpc("state_getStorage", "state_getStorageAt")
    def get_storage(node: Node, key: HexBytes, at: Hash | None = None) -> str | None: ...

The first name is the method's own, the others are aliases. A returned `Json` is sent as it is;
anything else is encoded. `blocking` methods run on the reader thread, all others on the event
loop. `rpc_methods` lists exactly what the node's merged table holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from chain.rpc.errors import METHOD_NOT_FOUND, RpcError
from chain.rpc.params import Parameter, binder, parameters
from chain.rpc.session import Session, Subscription


class Json(bytes):
    """A result that is JSON already."""


class Opened(bytes):
    """The reply to a subscription that was held back until now."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Method:
    """One entry: `call(context, session, params)` answers JSON or raises RpcError."""

    name: str
    call: Callable[[Any, Session | None, Any], bytes]
    doc: str
    blocking: bool = False
    unsafe: bool = False
    coroutine: Callable[[Any, Session | None, Any], Any] | None = None
    declared: Callable[..., Any] | None = None
    """The function whose parameters after the first `skip` are the caller's."""
    skip: int = 1

    def parameters(self) -> list[Parameter]:
        """What the caller gives, in order."""
        return [] if self.declared is None else parameters(self.declared, self.skip)


def encode(result: Any) -> bytes:
    return result if type(result) is Json else orjson.dumps(result)


class MethodTable:
    """Methods by name, in the order of their declaration."""

    def __init__(self, tables: Iterable[MethodTable] = ()) -> None:
        self.methods: dict[str, Method] = {}
        for table in tables:
            for method in table.methods.values():
                self.add(method)

    def add(self, method: Method) -> None:
        """Add one entry; a name may be taken once."""
        if method.name in self.methods:
            raise ValueError(f"two RPC methods are called {method.name}")
        self.methods[method.name] = method

    def rpc(
        self, *names: str, blocking: bool = False, unsafe: bool = False
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a method: its first parameter is the context, the others are the caller's."""

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            bind = binder(function, skip=1)

            def call(context: Any, _session: Session | None, params: Any) -> bytes:
                return encode(function(context, *bind(params)))

            doc = function.__doc__ or ""
            method = Method(names[0], call, doc, blocking, unsafe, declared=function)
            for name in names:
                self.add(replace(method, name=name))
            return function

        return declare

    def rpc_session(self, *names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a method whose second parameter is the caller's session, None over HTTP."""

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            bind = binder(function, skip=2)

            def call(context: Any, session: Session | None, params: Any) -> bytes:
                return encode(function(context, session, *bind(params)))

            for name in names:
                self.add(Method(name, call, function.__doc__ or "", declared=function, skip=2))
            return function

        return declare

    def rpc_async(
        self, *names: str, unsafe: bool = False
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a coroutine method, for work that the node's own thread does."""

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            bind = binder(function, skip=1)

            async def coroutine(context: Any, _session: Session | None, params: Any) -> bytes:
                return encode(await function(context, *bind(params)))

            made = Method(
                names[0], _never, function.__doc__ or "", False, unsafe, coroutine, function
            )
            for name in names:
                self.add(replace(made, name=name))
            return function

        return declare

    def subscription_async(
        self, *names: str, push: str, unsubscribe: tuple[str, ...]
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Like `subscription`, for a coroutine; its pushes wait until the reply is built."""

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            bind = binder(function, skip=2)

            async def coroutine(context: Any, session: Session | None, params: Any) -> bytes:
                if session is None:
                    raise _needs_websocket(names[0])
                arguments = bind(params)
                subscription = session.open(push)
                subscription.hold()
                try:
                    await function(context, subscription, *arguments)
                except RpcError:
                    subscription.end()
                    raise
                reply = Opened(orjson.dumps(subscription.id))
                reply.subscription = subscription
                return reply

            doc = function.__doc__ or ""
            for name in names:
                self.add(Method(name, _never, doc, coroutine=coroutine, declared=function, skip=2))
            self._add_ends(unsubscribe, _unsubscribe, names[0])
            return function

        return declare

    def subscription(
        self, *names: str, push: str, unsubscribe: tuple[str, ...], quiet: bool = False
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a subscription: `function(context, subscription, ...)` feeds it.

        Ending it answers whether it was there, or null if `quiet`.
        """

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            bind = binder(function, skip=2)

            def call(context: Any, session: Session | None, params: Any) -> bytes:
                if session is None:
                    raise _needs_websocket(names[0])
                arguments = bind(params)
                subscription = session.open(push)
                try:
                    function(context, subscription, *arguments)
                except RpcError:
                    subscription.end()
                    raise
                return orjson.dumps(subscription.id)

            for name in names:
                self.add(Method(name, call, function.__doc__ or "", declared=function, skip=2))
            self._add_ends(unsubscribe, _unsubscribe_quietly if quiet else _unsubscribe, names[0])
            return function

        return declare

    def _add_ends(
        self, names: Iterable[str], call: Callable[[Any, Session | None, Any], bytes], of: str
    ) -> None:
        for name in names:
            self.add(Method(name, call, f"End what {of} began.", declared=_takes_id))


def _takes_id(_context: Any, subscription: str) -> None:
    """What every method takes that ends a subscription."""


def _unsubscribe(_context: Any, session: Session | None, params: Any) -> bytes:
    key = params[0] if type(params) is list and len(params) == 1 else None
    if session is None or type(key) is not str:
        return b"false"
    subscription = session.subscriptions.get(key)
    if subscription is None:
        return b"false"
    subscription.end()
    return b"true"


def _unsubscribe_quietly(context: Any, session: Session | None, params: Any) -> bytes:
    _unsubscribe(context, session, params)
    return b"null"


def _never(_context: Any, _session: Session | None, _params: Any) -> bytes:
    raise AssertionError("a coroutine method was called as a function")


def _needs_websocket(name: str) -> RpcError:
    return RpcError(
        METHOD_NOT_FOUND,
        "Method not found",
        f"{name} is a subscription: open a WebSocket connection to use it.",
    )
