"""Things that fall due in a block: found by the block's number, so that a quiet block costs one
read, and so many a block at most, so that a busy one stays cheap.

Whoever enters something where the block is full gets an earlier one. When that comes, it may insist
on the right one; so a block has at most what was entered there and in the few blocks before it.
Things are never late.
"""

from __future__ import annotations

from typing import Any, TypeVar

from chain.pallets.system import block_number
from chain.runtime.state import State, take
from chain.runtime.storage import Map
from ganglion.units import BlockNumber

T = TypeVar("T")
Table = Map[BlockNumber, tuple[T, ...]]

MOST = 64
"""Things that are entered at one block."""
SEARCH = 32
"""How many blocks earlier a thing may be entered than it is due."""
LIMIT = MOST * (SEARCH + 1)
"""Things that fall due in one block, if all from the blocks before insist on it."""


def enter(s: State, table: Table[T], thing: T, at: int) -> BlockNumber | None:
    """Enter a thing at a block, or the nearest one before it that has room; None if none has.

    What is due now or was before is entered at the next block.
    """
    soonest = block_number(s) + 1
    at = max(at, soonest)
    for number in range(at, max(soonest, at - SEARCH) - 1, -1):
        block = BlockNumber(number)
        if len(s[table, block]) < MOST:
            s[table, block] = (*s[table, block], thing)
            return block
    return None


def insist(s: State, table: Table[T], thing: T, at: BlockNumber) -> None:
    """Enter a thing at its block, full or not: only for what came early and could not be later."""
    s[table, at] = (*s[table, at], thing)


def leave(s: State, table: Table[T], thing: T, block: BlockNumber) -> None:
    """Take a thing out again."""
    left = tuple(t for t in s[table, block] if t != thing)
    if left:
        s[table, block] = left
    else:
        del s[table, block]


def arrive(s: State, table: Table[Any], now: int) -> tuple[Any, ...]:
    """What is due in this block, taken out; where nothing is planned at all, nothing is read."""
    if s.is_empty(table):
        return ()
    ref = (table, BlockNumber(now))
    found: tuple[Any, ...] = take(s, ref) if s[ref] else ()
    return found


__all__ = ["LIMIT", "MOST", "SEARCH", "arrive", "enter", "insist", "leave"]
