"""The key-value interface that the store needs from a database: columns and atomic batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Protocol


class Column(StrEnum):
    """Separate key spaces of one database."""

    META = "meta"
    """Head record, genesis, format: what describes the database itself."""
    BLOCKS = "blocks"
    """Block hash -> header and where its state's trie begins."""
    BODIES = "bodies"
    """Block hash -> extrinsics."""
    JUSTIFICATIONS = "justifications"
    """Block hash -> engine id and justification, several."""
    NUMBERS = "numbers"
    """Number -> hash, along the best chain."""
    NODES = "nodes"
    """Link -> trie node."""
    JOURNAL = "journal"
    """Block hash -> links of the nodes that its parent's state has and its own has not."""
    FLAT = "flat"
    """Storage key -> value, at the best block."""
    AUX = "aux"
    """Whatever others want to keep."""


class Batch(Protocol):
    """Changes that take effect together or not at all."""

    def put(self, column: Column, key: bytes, value: bytes) -> None:
        """Set a key."""

    def put_all(self, column: Column, items: Mapping[bytes, bytes | None]) -> None:
        """Set many keys; None deletes."""

    def delete(self, column: Column, key: bytes) -> None:
        """Delete a key, which need not exist."""

    def delete_range(self, column: Column, start: bytes, end: bytes) -> None:
        """Delete all keys from `start` up to, not including, `end`."""


class KeyValues(Protocol):
    """A database. Reads may come from any thread, writes from one at a time."""

    def get(self, column: Column, key: bytes) -> bytes | None:
        """The value of a key."""

    def items(self, column: Column, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Keys and values, ascending from `start` on, as they are at the time of the call."""

    def batch(self) -> Batch:
        """An empty batch."""

    def write(self, batch: Batch, sync: bool) -> None:
        """Apply a batch; with `sync` it is on the disk when this returns. Raises StoreError."""

    def close(self) -> None:
        """Let go of the database; nothing may be read or written afterwards."""
