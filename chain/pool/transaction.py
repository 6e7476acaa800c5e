"""A transaction in the pool and the news about it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

Status = Literal[
    "future",
    "ready",
    "broadcast",
    "inBlock",
    "retracted",
    "finalityTimeout",
    "finalized",
    "usurped",
    "dropped",
    "invalid",
]
FINAL: frozenset[Status] = frozenset(
    ("finalityTimeout", "finalized", "usurped", "dropped", "invalid")
)
"""After one of these nothing more is said about a transaction."""


def transaction_hash(raw: bytes) -> bytes:
    """The id of an extrinsic: blake2b-256 of its bytes, length prefix included."""
    return blake2b(raw, digest_size=32).digest()


@dataclass(frozen=True, slots=True)
class TxEvent:
    """Something happened to a transaction; `value` is a block hash, its successor's hash,
    or for "broadcast" the peers."""

    tx: bytes
    status: Status
    value: bytes | tuple[str, ...] | None = None


@dataclass(slots=True, eq=False)
class Transaction:
    """`order` counts insertions; `valid_till` is the last block number it may enter."""

    hash: bytes
    raw: bytes
    priority: int
    requires: tuple[bytes, ...]
    provides: tuple[bytes, ...]
    valid_till: int
    propagate: bool
    order: int
    checked_at: int

    @property
    def rank(self) -> tuple[int, int, int]:
        """Lower comes first: high priority, then short-lived, then old."""
        return -self.priority, self.valid_till, self.order
