"""What a block's state holds, shown to somebody who trusts the block's hash and nothing else.

A proof is the header, and the nodes of the state trie on the way from its state root to a key, as
`state_getReadProof` gives them. Checking it takes this file, a header's hash and blake2-256: no
node, no metadata, nothing of the chain's own trie. Source: the node format of Substrate's state
trie, both layouts (polkadot specification 2.2.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganglion.client import Client
from ganglion.errors import GanglionError
from ganglion.hashing import blake2_256
from ganglion.header import Header
from ganglion.rpc_core import result_bytes
from ganglion.scale import DecodeError

LEAF, BRANCH, BRANCH_WITH, LEAF_HASHED, BRANCH_HASHED = range(5)
KINDS = ((0x40, 0xC0), (0x80, 0xC0), (0xC0, 0xC0), (0x20, 0xE0), (0x10, 0xF0))
"""The bits that name each kind in a node's first byte, and the mask over them."""
HASH_SIZE = 32


class BadProof(GanglionError, ValueError):
    """A proof that does not show what it says; the message says why."""


@dataclass(frozen=True, slots=True)
class StateProof:
    """The nodes that lead from a header's state root to a key."""

    header: Header
    key: bytes
    nodes: tuple[bytes, ...]

    def value(self, block_hash: str) -> bytes:
        """What is stored under the key in the block of this hash; BadProof if it is not shown."""
        if self.header.hash != block_hash:
            raise BadProof(f"the header is that of block {self.header.hash}, not of {block_hash}")
        root = bytes.fromhex(self.header.state_root.removeprefix("0x"))
        return value_at(root, self.key, self.nodes)

    def to_json(self) -> dict[str, Any]:
        """The form that travels; the header as nodes show it."""
        return {
            "header": {
                "parentHash": self.header.parent,
                "number": hex(self.header.number),
                "stateRoot": self.header.state_root,
                "extrinsicsRoot": self.header.extrinsics_root,
                "digest": {"logs": ["0x" + log.hex() for log in self.header.logs]},
            },
            "key": "0x" + self.key.hex(),
            "nodes": ["0x" + node.hex() for node in self.nodes],
        }

    @classmethod
    def from_json(cls, value: object) -> StateProof:
        """Parse what a stranger sent; BadProof for any other form."""
        if not isinstance(value, dict) or not isinstance(value.get("nodes"), list):
            raise BadProof("a proof is an object with header, key and nodes")
        try:
            header = Header.from_json(value.get("header"))
            nodes = tuple(_unhex(node) for node in value["nodes"])
            proof = cls(header, _unhex(value.get("key")), nodes)
            _ = header.hash
        except (DecodeError, ValueError, AttributeError, TypeError) as e:
            raise BadProof(f"the proof cannot be read: {e}") from e
        return proof


async def fetch(client: Client, key: bytes, block_hash: str) -> StateProof:
    """A proof of a key in a block, from a node; UnknownName or what a connection raises."""
    header = await client.header(block_hash)
    found = await client.rpc.call("state_getReadProof", [["0x" + key.hex()], block_hash])
    try:
        nodes = tuple(result_bytes(node) for node in found["proof"])
    except (TypeError, KeyError) as e:
        raise BadProof("the node sent a proof in an unknown form") from e
    return StateProof(header, key, nodes)


def value_at(root: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes:
    """The value under `key` in the state with this root; BadProof if the nodes do not show it."""
    known = {blake2_256(node): node for node in nodes}
    rest = [nibble for byte in key for nibble in (byte >> 4, byte & 15)]
    node = _by_hash(known, root)
    while True:
        kind, partial, at = _head(node)
        if rest[: len(partial)] != partial:
            raise BadProof("the state has no such key")
        rest = rest[len(partial) :]
        children = 0
        if kind not in (LEAF, LEAF_HASHED):
            children, at = int.from_bytes(_take(node, at, 2), "little"), at + 2
        value, at = _value(kind, node, at)
        if not rest:
            if value is None:
                raise BadProof("the state has no value under this key")
            return _by_hash(known, value) if kind in (LEAF_HASHED, BRANCH_HASHED) else value
        node = _child(known, node, at, children, rest.pop(0))


def _head(node: bytes) -> tuple[int, list[int], int]:
    """Kind, partial key in nibbles, and where the rest begins."""
    first = _take(node, 0, 1)[0]
    kind = next((k for k, (bits, mask) in enumerate(KINDS) if first & mask == bits), None)
    if kind is None:
        raise BadProof("a node is of no known kind")
    most = 0xFF & ~KINDS[kind][1]
    count, at = first & most, 1
    if count == most:
        more = 255
        while more == 255:
            more, at = _take(node, at, 1)[0], at + 1
            count += more
    size = (count + 1) // 2
    nibbles = [n for byte in _take(node, at, size) for n in (byte >> 4, byte & 15)]
    return kind, nibbles[count % 2 :], at + size


def _value(kind: int, node: bytes, at: int) -> tuple[bytes | None, int]:
    """A node's value, or the hash of it, and where its children begin."""
    if kind in (LEAF_HASHED, BRANCH_HASHED):
        return _take(node, at, HASH_SIZE), at + HASH_SIZE
    return _counted(node, at) if kind in (LEAF, BRANCH_WITH) else (None, at)


def _child(known: Mapping[bytes, bytes], node: bytes, at: int, bits: int, wanted: int) -> bytes:
    for nibble in range(16):
        if not bits >> nibble & 1:
            continue
        reference, at = _counted(node, at)
        if nibble == wanted:
            # what is shorter than a hash is the child itself
            return _by_hash(known, reference) if len(reference) == HASH_SIZE else reference
    raise BadProof("the state has no such key")


def _by_hash(known: Mapping[bytes, bytes], wanted: bytes) -> bytes:
    if wanted not in known:
        raise BadProof("a node on the way is missing, or was changed")
    return known[wanted]


def _counted(node: bytes, at: int) -> tuple[bytes, int]:
    """Bytes behind their compact length, and where they end."""
    mode = _take(node, at, 1)[0] & 3
    if mode == 3:
        raise BadProof("a node is longer than any may be")
    width = 1 << mode
    size = int.from_bytes(_take(node, at, width), "little") >> 2
    return _take(node, at + width, size), at + width + size


def _take(node: bytes, at: int, size: int) -> bytes:
    taken = node[at : at + size]
    if len(taken) != size:
        raise BadProof("a node ends before it should")
    return taken


def _unhex(text: object) -> bytes:
    if not isinstance(text, str) or not text.startswith("0x"):
        raise BadProof("keys and nodes are 0x hex text")
    return bytes.fromhex(text[2:])
