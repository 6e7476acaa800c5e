"""The head record: which block is best, which final, and what the database holds around them.

It is written in the same batch as every block, under a checksum. Beside the database lies a
*beacon*, a small file with the last finalised block, written after the database has it: if the
database ever comes up behind its beacon, it has lost finalised blocks and is not to be used.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from chain.store.errors import StoreCorrupt, StoreError
from ganglion.scale import Codec, DecodeError, codec, u32
from ganglion.units import Hash

T = TypeVar("T")

CHECKSUM = 8


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain stands.

    `sequence` is the next number to give to a block's trie nodes; `first_state` the lowest
    number on the best chain whose state is kept.
    """

    best: Hash
    best_number: u32
    finalized: Hash
    finalized_number: u32
    sequence: u32
    first_state: u32 = 0

    def encode(self) -> bytes:
        """The record with its checksum."""
        return _sealed(_HEAD.encode(self))

    @classmethod
    def decode(cls, data: bytes) -> Head:
        """The head of a record; raises StoreCorrupt."""
        return _opened(data, _HEAD, "head record")


@dataclass(frozen=True, slots=True)
class Beacon:
    """The last finalised block, as the file beside the database has it."""

    number: u32
    hash: Hash


_HEAD: Codec[Head] = codec(Head)
_BEACON: Codec[Beacon] = codec(Beacon)


def _sealed(data: bytes) -> bytes:
    return data + blake2b(data, digest_size=CHECKSUM).digest()


def _opened(data: bytes, form: Codec[T], what: str) -> T:
    body, checksum = data[:-CHECKSUM], data[-CHECKSUM:]
    if blake2b(body, digest_size=CHECKSUM).digest() != checksum:
        raise StoreCorrupt(f"the checksum of the {what} is wrong: restore a copy or sync again")
    try:
        return form.decode(body)
    except DecodeError as error:
        raise StoreCorrupt(f"the {what} is malformed ({error}): sync again") from error


class BeaconFile:
    """The file beside the database. Written in place: a torn write fails its checksum."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Beacon | None:
        """The beacon; None if there is none or it is torn, which loses nothing but the check."""
        if not self._path.exists():
            return None
        try:
            return _opened(self._path.read_bytes(), _BEACON, "beacon")
        except StoreCorrupt:
            return None

    def write(self, beacon: Beacon) -> None:
        """Replace the beacon; raises StoreError when the disk refuses."""
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.pwrite(handle, _sealed(_BEACON.encode(beacon)), 0)
            finally:
                os.close(handle)
        except OSError as error:
            raise StoreError(
                f"{self._path} cannot be written ({error.strerror}): free some disk space or "
                "check the disk, then start again; what was stored before is intact"
            ) from error
