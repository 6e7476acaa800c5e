"""The client for programs without asyncio.

    with SyncClient("ws://127.0.0.1:9944") as client:
        print(client.balance(address))
        for head in client.blocks():
            ...

Every method of `Client` is here under its name: the work is done by the asynchronous client in a
thread of its own, so there is one implementation.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from types import TracebackType
from typing import Any, Self, TypeVar

from ganglion.client import Client
from ganglion.metadata_cache import MetadataCache
from ganglion.rpc import DEFAULT_URL, RpcOptions
from ganglion.view import Reads

T = TypeVar("T")


class BackgroundLoop:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="ganglion-client", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for its result; interrupting the wait cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def call(self, work: Callable[[], None]) -> None:
        """Run something there soon, without waiting for it. RuntimeError if the loop has ended."""
        self._loop.call_soon_threadsafe(work)

    def iterate(self, source: AsyncIterator[T]) -> Iterator[T]:
        """Iterate over an asynchronous iterator, closing it in the end."""
        try:
            while (item := self.wait(_next(source))) is not _DONE:
                yield item
        finally:
            close = getattr(source, "aclose", None)
            if close is not None:
                self.wait(close())

    def stop(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


_DONE: Any = object()


async def _next(source: AsyncIterator[T]) -> T:
    found: T = await anext(source, _DONE)
    return found


class _Facade:
    """Wraps the methods of one asynchronous object."""

    def __init__(self, loop: BackgroundLoop, target: Any) -> None:
        self._loop, self._target = loop, target

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        return self._wrapped(found) if callable(found) else found

    def _wrapped(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            found = method(*args, **kwargs)
            if inspect.iscoroutine(found):
                found = self._loop.wait(found)
            elif isinstance(found, AsyncIterator):
                return self._loop.iterate(found)
            return _Facade(self._loop, found) if isinstance(found, Reads) else found

        return call


class SyncClient(_Facade):
    """`Client`, blocking. Its methods may be called from any thread."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        options: RpcOptions | None = None,
        cache: MetadataCache | None = None,
    ) -> None:
        loop = BackgroundLoop()
        super().__init__(loop, Client(url, options=options, cache=cache))

    def close(self) -> None:
        """Close the connection and end the thread."""
        self._loop.wait(self._target.close())
        self._loop.stop()

    def __enter__(self) -> Self:
        connected = False
        try:
            self._loop.wait(self._target.connect())
            connected = True
        finally:
            if not connected:
                self.close()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
