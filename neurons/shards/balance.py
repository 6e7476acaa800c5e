"""Which blocks a span server should hold. Sans-IO; the rule is that of Petals, made safe.

A new server takes the span whose blocks, by their throughputs in ascending order, are
lexicographically smallest. A server moves when that makes the whole model's ascending throughputs
lexicographically larger by a margin. Two things are added, so that no block is ever left without
a server: nobody leaves a block that nobody else holds, and of all who would gain by moving only
one moves, whom all agree on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

QUALITY = 0.75
"""A move must raise the first throughput that it changes to more than 1 / QUALITY of itself."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A server as the rule sees it: its key, its blocks [first, last), its rate on each."""

    key: str
    first: int
    last: int
    rate: int

    @property
    def size(self) -> int:
        """How many blocks it holds."""
        return self.last - self.first


def throughputs(layers: int, seats: Sequence[Seat]) -> list[int]:
    """The rate that every block has in all."""
    total = [0] * layers
    for seat in seats:
        for block in range(max(seat.first, 0), min(seat.last, layers)):
            total[block] += max(seat.rate, 1)
    return total


def neediest(layers: int, size: int, seats: Sequence[Seat]) -> int:
    """Where a span of `size` blocks is needed most: its first block; the lowest of equals."""
    total = throughputs(layers, seats)
    return min(range(layers - size + 1), key=lambda first: sorted(total[first : first + size]))


def better_place(layers: int, seat: Seat, seats: Sequence[Seat]) -> int | None:
    """Where a server should move to, None if it should stay; `seats` are all, with its own."""
    others = [other for other in seats if other.key != seat.key]
    left, now = throughputs(layers, others), throughputs(layers, seats)
    if any(not left[block] for block in range(seat.first, min(seat.last, layers))):
        return None
    first = neediest(layers, seat.size, others)
    moved = replace(seat, first=first, last=first + seat.size)
    then = throughputs(layers, [*others, moved])
    for before, after in zip(sorted(now), sorted(then)):
        if before != after:
            return first if before < QUALITY * after else None
    return None


def mover(layers: int, seats: Sequence[Seat]) -> tuple[Seat, int] | None:
    """The one server that moves next, and where to; None if all is well.

    Of all that would gain, the slowest moves, then the one with the smallest key: whoever sees
    the same announcements names the same server.
    """
    for seat in sorted(seats, key=lambda s: (s.rate, s.key)):
        first = better_place(layers, seat, seats)
        if first is not None:
            return seat, first
    return None
