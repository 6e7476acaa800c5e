"""Hashes that are not looked at again for a while."""

from __future__ import annotations


class Bans:
    """Bounded: past the capacity the oldest ban ends early. Times are in seconds."""

    def __init__(self, seconds: int, capacity: int) -> None:
        self.seconds, self._capacity = seconds, capacity
        self._until: dict[bytes, float] = {}

    def add(self, tx_hash: bytes, now: float) -> None:
        """Ban from now on."""
        if self.seconds <= 0:
            return
        self._until.pop(tx_hash, None)
        self._until[tx_hash] = now + self.seconds
        while len(self._until) > self._capacity:
            del self._until[next(iter(self._until))]

    def left(self, tx_hash: bytes, now: float) -> float:
        """Seconds that remain of a ban; 0 if there is none."""
        until = self._until.get(tx_hash)
        if until is None:
            return 0
        if until <= now:
            del self._until[tx_hash]
            return 0
        return until - now

    def clear(self) -> None:
        """Lift every ban."""
        self._until.clear()
