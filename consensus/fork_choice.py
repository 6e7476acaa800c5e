"""Fork choice: the longest chain that contains the last finalised block; first seen wins ties."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tip:
    """A block without children. `seen` orders tips by arrival."""

    hash: bytes
    number: int
    seen: int


def choose_best(tips: Iterable[Tip]) -> Tip:
    """The best of the tips that descend from the last finalised block; raises on none."""
    return max(tips, key=lambda tip: (tip.number, -tip.seen))


def is_better(number: int, best_number: int) -> bool:
    """Whether a block that has just arrived beats the current best."""
    return number > best_number


@dataclass(frozen=True, slots=True)
class Route:
    """The way from one block to another: up to their common ancestor and down again.

    `retracted` runs from the old block up, `enacted` from below the common block to the new one.
    """

    retracted: tuple[bytes, ...]
    common: bytes
    enacted: tuple[bytes, ...]


def find_route(
    old: bytes,
    new: bytes,
    number_of: Callable[[bytes], int],
    parent_of: Callable[[bytes], bytes],
) -> Route:
    """The route between two blocks of one tree."""
    retracted: list[bytes] = []
    enacted: list[bytes] = []
    old_number, new_number = number_of(old), number_of(new)
    while old != new:
        if old_number >= new_number:
            retracted.append(old)
            old, old_number = parent_of(old), old_number - 1
        else:
            enacted.append(new)
            new, new_number = parent_of(new), new_number - 1
    return Route(tuple(retracted), old, tuple(reversed(enacted)))
