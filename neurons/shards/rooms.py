"""Whose caches a span server holds, and for how long. Sans-IO: times are seconds of any clock."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SESSIONS_A_FRONT = 64
IDLE_SECONDS = 600.0
"""How long a session may rest before its cache is freed; its front then sends its history again."""

SPARE_SECONDS = 60.0
"""After so long without use a session yields its room to another that needs it."""


class NoRoom(Exception):
    """The cache has not so many pages left."""


class Gone(Exception):
    """This server does not hold the session, though the front thinks so."""


@dataclass(slots=True)
class Room:
    """The cache of one session of one front."""

    cache: Any
    pages: int
    used: float


class Rooms:
    """At most `pages` pages, given out to sessions as fronts ask for them; one front has at most
    `most` of them."""

    def __init__(self, pages: int, idle: float = IDLE_SECONDS, most: int | None = None) -> None:
        self.pages, self.idle, self.most = pages, idle, pages if most is None else most
        self._rooms: OrderedDict[tuple[bytes, bytes], Room] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rooms)

    @property
    def free(self) -> int:
        """Pages that nobody holds."""
        return self.pages - sum(room.pages for room in self._rooms.values())

    def enter(
        self, front: bytes, session: bytes, pages: int, fresh: bool, now: float,
        make: Callable[[int], Any],
    ) -> Room:  # fmt: skip
        """The room of a session, made by `make(pages)` if it is new. NoRoom or Gone."""
        self.expire(now)
        at = (front, session)
        room = self._rooms.get(at)
        if room is not None and (fresh or room.pages != pages):
            del self._rooms[at]
            room = None
            if not fresh:
                raise Gone("the session had another size here")
        if room is None:
            room = self._open(at, pages, fresh, now, make)
        room.used = now
        self._rooms.move_to_end(at)
        return room

    def leave(self, front: bytes, session: bytes) -> None:
        """Free a session's room, if it has one."""
        self._rooms.pop((front, session), None)

    def clear(self) -> None:
        """Free all: the blocks have changed."""
        self._rooms.clear()

    def expire(self, now: float) -> None:
        """Free the rooms that nobody has used for long."""
        while self._rooms and now - self._oldest.used >= self.idle:
            self._rooms.popitem(last=False)

    @property
    def _oldest(self) -> Room:
        """The room that was not used for the longest time."""
        return next(iter(self._rooms.values()))

    def _open(
        self, at: tuple[bytes, bytes], pages: int, fresh: bool, now: float,
        make: Callable[[int], Any],
    ) -> Room:  # fmt: skip
        if not fresh:
            raise Gone("this server does not hold the session (any more): send its history")
        own = [room.pages for (front, _), room in self._rooms.items() if front == at[0]]
        if len(own) >= SESSIONS_A_FRONT:
            raise NoRoom(f"a front has at most {SESSIONS_A_FRONT} sessions here")
        if sum(own) + pages > self.most:
            raise NoRoom(f"a front has at most {self.most} pages here, and these were {pages} more")
        while self._rooms and pages > self.free and now - self._oldest.used >= SPARE_SECONDS:
            self._rooms.popitem(last=False)
        if pages > self.free:
            raise NoRoom(f"{pages} pages are asked for, {self.free} of {self.pages} are free")
        room = self._rooms[at] = Room(make(pages), pages, now)
        return room
