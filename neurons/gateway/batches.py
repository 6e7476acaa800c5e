"""Short pieces of database work on a thread; those that wait together share one transaction.

Beginning and committing cost more than what is done between them, so under load many requests
are settled by one commit. When a piece fails, nothing of its batch has happened: each piece is
then run again in a transaction of its own, so that a failure stays with who caused it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")
MOST = 128
"""Pieces of one transaction."""


class Refused(Exception):
    """What a piece may raise, beside the database's own errors, to undo what it has done."""


@dataclass(slots=True)
class _Piece:
    """Work that somebody waits for. `about` names the row it is going to change."""

    work: Callable[[Connection], Any]
    about: str
    waiting: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Tell who waits, unless it has left."""
        if self.waiting.cancelled():
            return
        if self.error is not None:
            self.waiting.set_exception(self.error)
        else:
            self.waiting.set_result(self.result)


class Batches:
    """The transactions of one engine, for one event loop at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, "store")
        self._waiting: deque[_Piece] = deque()
        self._busy: asyncio.AbstractEventLoop | None = None  # where the thread's end is told

    def close(self) -> None:
        """Finish what has begun."""
        self._thread.shutdown(wait=True)

    async def run(self, work: Callable[[Connection], T], about: str = "") -> T:
        """What `work` returns or raises, once its transaction is committed."""
        loop = asyncio.get_running_loop()
        piece = _Piece(work, about, loop.create_future())
        self._waiting.append(piece)
        if self._busy is None or self._busy.is_closed():  # it ended before it was told
            self._begin(loop)
        result: T = await piece.waiting
        return result

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand what waits to the thread."""
        count = min(len(self._waiting), MOST)
        # rows in one order for everybody: gateways on one database then never wait in a circle
        pieces = sorted((self._waiting.popleft() for _ in range(count)), key=lambda p: p.about)
        self._busy = loop

        def settle(done: asyncio.Future[None]) -> None:
            self._busy = None
            if self._waiting:
                self._begin(loop)
            for piece in pieces:
                piece.error = piece.error or done.exception()
                piece.settle()

        loop.run_in_executor(self._thread, self._transact, pieces).add_done_callback(settle)

    def _transact(self, pieces: Sequence[_Piece]) -> None:
        """On the thread: all in one transaction, or else each in its own."""
        with self._engine.connect() as connection:
            if not self._together(connection, pieces):
                for piece in pieces:
                    self._together(connection, [piece])

    def _together(self, connection: Connection, pieces: Sequence[_Piece]) -> bool:
        """Whether that was all: done, or failed with a piece that is told why."""
        try:
            with connection.begin():
                for piece in pieces:
                    piece.result = piece.work(connection)
        except Exception as e:  # noqa: BLE001 - whatever it is, who caused it is told, nobody else
            lost = isinstance(e, DBAPIError) and e.connection_invalidated
            if len(pieces) > 1 and not lost:
                return False
            for piece in pieces:
                piece.error = e
        return True
