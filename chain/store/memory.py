"""A database in memory, for tests and throw-away nodes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping

from chain.store.kv import Batch, Column


class MemoryBatch:
    """A list of changes."""

    def __init__(self) -> None:
        self.changes: list[tuple[Column, bytes, bytes | None]] = []
        self.ranges: list[tuple[Column, bytes, bytes]] = []

    def put(self, column: Column, key: bytes, value: bytes) -> None:
        """Set a key."""
        self.changes.append((column, key, value))

    def put_all(self, column: Column, items: Mapping[bytes, bytes | None]) -> None:
        """Set many keys; None deletes."""
        self.changes.extend((column, key, value) for key, value in items.items())

    def delete(self, column: Column, key: bytes) -> None:
        """Delete a key."""
        self.changes.append((column, key, None))

    def delete_range(self, column: Column, start: bytes, end: bytes) -> None:
        """Delete a range of keys; in a batch ranges go first."""
        self.ranges.append((column, start, end))


class MemoryKeyValues:
    """A dict for each column, and its sorted keys once someone asks for order."""

    def __init__(self) -> None:
        self._columns: dict[Column, dict[bytes, bytes]] = {column: {} for column in Column}
        self._sorted: dict[Column, list[bytes]] = {}

    def get(self, column: Column, key: bytes) -> bytes | None:
        """The value of a key."""
        return self._columns[column].get(key)

    def items(self, column: Column, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Keys and values, ascending from `start` on."""
        keys = self._keys(column)
        values = self._columns[column]
        snapshot = [(key, values[key]) for key in keys[bisect_left(keys, start) :]]
        return iter(snapshot)

    def batch(self) -> MemoryBatch:
        """An empty batch."""
        return MemoryBatch()

    def write(self, batch: Batch, sync: bool) -> None:
        """Apply a batch."""
        assert isinstance(batch, MemoryBatch)
        for column, start, end in batch.ranges:
            keys = self._keys(column)
            for key in keys[bisect_left(keys, start) : bisect_left(keys, end)]:
                del self._columns[column][key]
            self._sorted.pop(column, None)
        for column, key, value in batch.changes:
            values = self._columns[column]
            if (key in values) != (value is not None):
                self._sorted.pop(column, None)
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value

    def close(self) -> None:
        """Nothing to let go of."""

    def _keys(self, column: Column) -> list[bytes]:
        keys = self._sorted.get(column)
        if keys is None:
            keys = self._sorted[column] = sorted(self._columns[column])
        return keys
