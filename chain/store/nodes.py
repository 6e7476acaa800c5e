"""Trie nodes on disk.

A node's link is the sequence number of the block that wrote it (4 bytes) and a running number
within the block (4 bytes), both big-endian. So a node is written once, by one block, and no
other node ever has its link: what a discarded fork wrote is one range of links, and what a new
state replaces can be deleted by its link without asking who else might use it.

A record is the node's encoding, the links of its children, and the value if the encoding has
only its hash. Every read checks both hashes.
"""

from __future__ import annotations

from hashlib import blake2b

from chain.store.errors import StoreCorrupt
from chain.store.kv import Column, KeyValues
from chain.trie.node import LINK_SIZE, Branch, HashedValue, Node, read_node
from ganglion.scale import DecodeError


class StoredNodes:
    """The source of tries whose nodes are in a database; counts what it has loaded."""

    def __init__(self, kv: KeyValues) -> None:
        self._kv = kv
        self.loaded = 0

    def load(self, digest: bytes, link: bytes) -> Node:
        """The node at a link; raises StoreCorrupt unless it has the expected hash."""
        record = self._kv.get(Column.NODES, link)
        if record is None:
            raise _corrupt(digest, link, "is missing")
        self.loaded += 1
        try:
            return read_record(record, digest)
        except DecodeError as error:
            raise _corrupt(digest, link, f"is damaged ({error})") from error

    def value(self, digest: bytes) -> bytes:
        """Never needed: a record has its value."""
        raise StoreCorrupt(f"state value 0x{digest.hex()} stands in no record")


def _corrupt(digest: bytes, link: bytes, what: str) -> StoreCorrupt:
    return StoreCorrupt(
        f"state node 0x{digest.hex()} at {link.hex()} {what}: run `ganglion node fsck`, then "
        "restore a copy of the database or sync again"
    )


def read_record(record: bytes, digest: bytes) -> Node:
    """The node of a record; raises DecodeError unless its hashes are right."""
    node, end = read_node(record)
    if blake2b(record[:end], digest_size=32).digest() != digest:
        raise DecodeError("its bytes have another hash")
    if isinstance(node, Branch):
        start = end
        end += LINK_SIZE * node.bitmap.bit_count()
        node.links = record[start:end]
        if end > len(record):
            raise DecodeError("its links are cut off")
    rest = record[end:]
    if isinstance(node.value, HashedValue):
        if blake2b(rest, digest_size=32).digest() != node.value.digest:
            raise DecodeError("its value has another hash")
        node.value = rest
    elif rest:
        raise DecodeError(f"{len(rest)} bytes too many")
    return node


def link_prefix(sequence: int) -> bytes:
    """How the links of a block's nodes begin."""
    return sequence.to_bytes(4, "big")
