"""What miners should still have in their caches, by what this gateway had them read. Sans-IO.

A miner says itself how much of a prompt was in its cache, and is paid less for that. It cannot be
shown to have had more: caches are small, and honest ones forget. But who was sent a beginning a
moment ago and again and again says to have none of it is no better than one without a cache, and
is not preferred for conversations that it knows.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

FRESH_SECONDS = 120.0
"""How long an honest miner of usual load keeps what it has read."""
KEPT = 1 << 15
LEAST_TOKENS = 64
"""Expectations below that are not worth a judgement: pages and templates blur them."""
ENOUGH = 0.5
"""The share of what is expected that satisfies: tokens are not spread evenly over a text."""
STEP = 0.2


class Caches:
    """Which beginnings each miner has read, and when. Names are those of `prefix_names`."""

    def __init__(self) -> None:
        self._read: OrderedDict[tuple[str, bytes], float] = OrderedDict()

    def on_read(self, hotkey: str, prefix: Sequence[bytes], now: float) -> None:
        """A miner has read a prompt with this beginning."""
        for name in prefix:
            self._read[hotkey, name] = now
            self._read.move_to_end((hotkey, name))
        while len(self._read) > KEPT:
            self._read.popitem(last=False)

    def pieces(self, hotkey: str, prefix: Sequence[bytes], began: float) -> int:
        """How many pieces of a beginning a miner had read shortly before a request began."""
        count = 0
        for name in prefix:
            at = self._read.get((hotkey, name))
            if at is None or not began - FRESH_SECONDS < at < began:
                break
            count += 1
        return count


def honoured(before: float, expected: float, stated: int) -> float:
    """How far a miner is taken to tell what it has in its cache, 0 to 1, after one more answer."""
    if expected < LEAST_TOKENS:
        return before
    return before + STEP * ((1.0 if stated >= ENOUGH * expected else 0.0) - before)
