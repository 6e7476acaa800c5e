"""Blocks on disk: headers, bodies, justifications and the numbers of the best chain."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from chain.blocks import Header, decode_body, encode_body
from chain.store.errors import StoreCorrupt, UnknownBlock
from chain.store.kv import Batch, Column, KeyValues
from chain.trie.node import LINK_SIZE
from ganglion.scale import Codec, DecodeError, codec
from ganglion.units import Hash

CACHED = 4096
"""How many block records are kept in memory."""

Justifications = tuple[tuple[bytes, bytes], ...]
"""Engine id and justification, at most one an engine."""

_JUSTIFICATIONS: Codec[Justifications] = codec(tuple[tuple[bytes, bytes], ...])


@dataclass(frozen=True, slots=True)
class Record:
    """A block's header, the sequence number of its trie nodes, and the link of its root node."""

    header: Header
    sequence: int
    root_link: bytes

    def encode(self) -> bytes:
        """The form in the database."""
        return self.sequence.to_bytes(4, "big") + self.root_link + self.header.encode()

    @classmethod
    def decode(cls, block: Hash, data: bytes) -> Record:
        """The record of a block; raises StoreCorrupt unless the header has the block's hash."""
        start = 4 + LINK_SIZE
        try:
            header = Header.decode(data[start:])
        except DecodeError as error:
            raise StoreCorrupt(
                f"the header of block 0x{block.hex()} is damaged: {error}"
            ) from error
        if header.hash != block:
            raise StoreCorrupt(f"the header of block 0x{block.hex()} is damaged: another hash")
        return cls(header, int.from_bytes(data[:4], "big"), data[4:start])


class BlockTable:
    """Reading and writing blocks; writing goes to a batch that the caller applies."""

    def __init__(self, kv: KeyValues) -> None:
        self._kv = kv
        self._cache: OrderedDict[Hash, Record] = OrderedDict()

    def find(self, block: Hash) -> Record | None:
        """The record of a block, or None."""
        record = self._cache.get(block)
        if record is None:
            data = self._kv.get(Column.BLOCKS, block)
            if data is None:
                return None
            record = self.remember(block, Record.decode(block, data))
        return record

    def record(self, block: Hash) -> Record:
        """The record of a block; raises UnknownBlock."""
        record = self.find(block)
        if record is None:
            raise UnknownBlock.missing(block)
        return record

    def remember(self, block: Hash, record: Record) -> Record:
        """Keep a record at hand."""
        self._cache[block] = record
        if len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return record

    def body(self, block: Hash) -> list[bytes] | None:
        """The extrinsics of a block, or None when they have been pruned."""
        data = self._kv.get(Column.BODIES, block)
        if data is None:
            return None
        try:
            return decode_body(data)
        except DecodeError as error:
            raise StoreCorrupt(f"the body of block 0x{block.hex()} is damaged: {error}") from error

    def justifications(self, block: Hash) -> Justifications:
        """The justifications of a block; often none."""
        data = self._kv.get(Column.JUSTIFICATIONS, block)
        if data is None:
            return ()
        try:
            return _JUSTIFICATIONS.decode(data)
        except DecodeError as error:
            raise StoreCorrupt(
                f"the justifications of block 0x{block.hex()} are damaged: {error}"
            ) from error

    def hash_of(self, number: int) -> Hash | None:
        """The block with a number on the best chain, or None."""
        if not 0 <= number < 1 << 32:
            return None
        found = self._kv.get(Column.NUMBERS, number.to_bytes(4, "big"))
        return None if found is None else Hash(found)

    def put(self, batch: Batch, record: Record, body: Iterable[bytes]) -> None:
        """Write a block."""
        block = record.header.hash
        batch.put(Column.BLOCKS, block, record.encode())
        batch.put(Column.BODIES, block, encode_body(list(body)))

    def put_justification(self, batch: Batch, block: Hash, engine: bytes, proof: bytes) -> None:
        """Write a justification, in place of one by the same engine."""
        others = [entry for entry in self.justifications(block) if entry[0] != engine]
        encoded = _JUSTIFICATIONS.encode((*others, (engine, proof)))
        batch.put(Column.JUSTIFICATIONS, block, encoded)

    def put_number(self, batch: Batch, number: int, block: Hash | None) -> None:
        """Write which block has a number on the best chain; None for no block."""
        key = number.to_bytes(4, "big")
        if block is None:
            batch.delete(Column.NUMBERS, key)
        else:
            batch.put(Column.NUMBERS, key, block)

    def delete(self, batch: Batch, block: Hash) -> None:
        """Delete a block."""
        for column in (Column.BLOCKS, Column.BODIES, Column.JUSTIFICATIONS):
            batch.delete(column, block)

    def forget(self, blocks: Iterable[Hash]) -> None:
        """Drop deleted blocks from memory."""
        for block in blocks:
            self._cache.pop(block, None)
