"""What can go wrong in the store; every message is one sentence with cause and way out."""

from __future__ import annotations


class StoreError(Exception):
    """Base of all errors of the store."""


class StoreLocked(StoreError):
    """Another process has the data folder open."""


class WrongChain(StoreError):
    """The data folder belongs to another chain, or there is no chain where one is expected."""


class StoreCorrupt(StoreError):
    """What is on disk cannot be what was written."""


class UnknownBlock(StoreError):
    """No block with this hash, or its state is gone."""

    @classmethod
    def missing(cls, block: bytes) -> UnknownBlock:
        """The block itself is not there; upstream's words."""
        return cls(f"Header was not found in the database: 0x{block.hex()}")


class StateDiscarded(UnknownBlock):
    """The block is known but its state has been pruned."""

    def __init__(self, block: bytes) -> None:
        super().__init__(f"State already discarded for 0x{block.hex()}")


class NotPossible(StoreError):
    """The store refuses what was asked because it would break a promise: the message says which."""
