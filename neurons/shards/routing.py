"""The way of a pass through span servers: the quickest by Dijkstra, around those that failed.

Sans-IO: times come in as seconds of any clock. A hop costs both ways to its server, a fixed
overhead and its blocks at the server's rate, and much more where the cache has no room. Unlike
in Petals, whose servers push to each other, every hop returns to the front, so both ways count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from ganglion.wire.call import Target
from ganglion.wire.spans import Announcement, spelt
from neurons.engine.base import Unavailable

OVERHEAD_SECONDS = 0.018
NO_ROOM_SECONDS = 10.0
BAN_SECONDS = 15.0
MOST_DOUBLINGS = 8
SMOOTH = 0.3
"""The weight of the newest round trip in their moving average."""

UNKNOWN_SECONDS = 0.1
"""A round trip that nobody has measured yet."""


class MissingBlocks(Unavailable):
    """No server is left for some blocks; `blocks` lists them."""

    def __init__(self, model: str, blocks: Sequence[int]) -> None:
        super().__init__(
            f"blocks {spelt(blocks)} of {model} have no server now: try again in a few seconds"
        )
        self.blocks = tuple(blocks)


@dataclass(slots=True)
class Peer:
    """A span server: where it is, what it announced last, its round trip in seconds, and by how
    many seconds its hops took longer than that and its rate explain."""

    target: Target
    span: Announcement
    rtt: float = UNKNOWN_SECONDS
    measured: int = 0
    lag: float = 0.0

    @property
    def key(self) -> str:
        """The address of its hotkey."""
        return self.target.hotkey

    def heard(self, span: Announcement, rtt: float) -> None:
        """Take in a newer announcement. What was measured before is kept and averaged: one
        refresh must not make the distances of the others unknown."""
        self.span = span
        self.rtt = rtt if not self.measured else (1 - SMOOTH) * self.rtt + SMOOTH * rtt
        self.measured += 1

    def worked(self, blocks: int, tokens: int, seconds: float) -> None:
        """Take in how long a hop took: what a server says of its speed is its own word."""
        said = self.rtt + OVERHEAD_SECONDS + blocks * tokens / max(self.span.rate, 1)
        self.lag = (1 - SMOOTH) * self.lag + SMOOTH * max(0.0, seconds - said)


@dataclass(frozen=True, slots=True)
class Leg:
    """Blocks [first, last) at one server."""

    peer: Peer
    first: int
    last: int


@dataclass(slots=True)
class Bans:
    """Who is not asked, and until when: 15 s after the first failure, twice as long after each
    further one; for good after a false result. A success forgives failures, nothing forgives
    falsehood."""

    failures: dict[str, int] = field(default_factory=dict)
    until: dict[str, float] = field(default_factory=dict)
    liars: set[str] = field(default_factory=set)

    def failed(self, key: str, now: float) -> float:
        """Ban for a failure; for how many seconds."""
        count = self.failures.get(key, 0)
        self.failures[key] = count + 1
        length: float = BAN_SECONDS * 2 ** min(count, MOST_DOUBLINGS)
        self.until[key] = now + length
        return length

    def succeeded(self, key: str) -> None:
        """Forgive: it answers again."""
        self.failures.pop(key, None)
        self.until.pop(key, None)

    def lied(self, key: str) -> None:
        """Never ask it again."""
        self.liars.add(key)

    def allows(self, key: str, now: float) -> bool:
        """Whether this server may be asked."""
        return key not in self.liars and now >= self.until.get(key, 0.0)


def cost(peer: Peer, blocks: int, room: int) -> float:
    """Seconds that a token, or `blocks` times more, spends at a server; `room` pages must be free
    there."""
    seconds = 2 * (peer.rtt / 2) + OVERHEAD_SECONDS + blocks / max(peer.span.rate, 1) + peer.lag
    return seconds if peer.span.free >= room else seconds + NO_ROOM_SECONDS


def route(
    model: str, peers: Iterable[Peer], first: int, last: int, room: int = 0,
    holders: frozenset[str] = frozenset(),
) -> tuple[Leg, ...]:  # fmt: skip
    """The cheapest way through blocks [first, last); MissingBlocks if there is none.

    A server may be entered and left at any block it holds. `holders` have the session's cache
    already, so they need no room.
    """
    usable = [p for p in peers if p.span.first < last and first < p.span.last]
    marks = {first, last}
    for peer in usable:
        marks |= {max(peer.span.first, first), min(peer.span.last, last)}
    best: dict[int, float] = {first: 0.0}
    came: dict[int, Leg] = {}
    queue: list[tuple[float, int]] = [(0.0, first)]
    while queue:
        spent, at = heappop(queue)
        if at == last:
            break
        if spent > best[at]:
            continue
        for peer in sorted(usable, key=lambda p: p.key):
            if not peer.span.first <= at < peer.span.last:
                continue
            need = 0 if peer.key in holders else room
            for to in sorted(m for m in marks if at < m <= peer.span.last):
                total = spent + cost(peer, to - at, need)
                if total < best.get(to, float("inf")):
                    best[to], came[to] = total, Leg(peer, at, to)
                    heappush(queue, (total, to))
    if last not in came:
        held = {b for p in usable for b in range(p.span.first, p.span.last)}
        raise MissingBlocks(model, [b for b in range(first, last) if b not in held])
    way, at = list[Leg](), last
    while at != first:
        way.append(came[at])
        at = came[at].first
    return tuple(way[::-1])
