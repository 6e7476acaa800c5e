"""A checker of state proofs that shares nothing with the node: the trie's format, read once more.

It is what another chain would run: a block's header and hash, some nodes, a key; no trie is built.
Source: the node format of Substrate's state trie, both layouts (polkadot specification 2.2.2).
"""

from __future__ import annotations

from hashlib import blake2b

KINDS = ((0x40, 0xC0), (0x80, 0xC0), (0xC0, 0xC0), (0x20, 0xE0), (0x10, 0xF0))
LEAF, BRANCH, BRANCH_WITH, LEAF_HASHED, BRANCH_HASHED = range(5)


class BadProof(Exception):
    """The nodes do not show what they should."""


def digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=32).digest()


def state_root(header: dict, block_hash: bytes) -> bytes:
    """The state root of a header as JSON, if it is the header of this block."""
    number = compact(int(header["number"], 16))
    logs = [bytes.fromhex(log[2:]) for log in header["digest"]["logs"]]
    parts = [bytes.fromhex(header["parentHash"][2:]), number]
    parts += [bytes.fromhex(header[name][2:]) for name in ("stateRoot", "extrinsicsRoot")]
    if digest(b"".join([*parts, compact(len(logs)), *logs])) != block_hash:
        raise BadProof("this is not the header of the block")
    return bytes.fromhex(header["stateRoot"][2:])


def compact(n: int) -> bytes:
    if n < 1 << 6:
        return bytes([n << 2])
    if n < 1 << 14:
        return (n << 2 | 1).to_bytes(2, "little")
    return (n << 2 | 2).to_bytes(4, "little")


def value_at(root: bytes, key: bytes, proof: list[bytes]) -> bytes:
    """The value under `key` in the state with this root; BadProof if the nodes do not show it."""
    nodes = {digest(node): node for node in proof}
    rest = [nibble for byte in key for nibble in (byte >> 4, byte & 15)]
    node = by_hash(nodes, root)
    while True:
        kind, partial, at = head_of(node)
        if rest[: len(partial)] != partial:
            raise BadProof("the trie has no such key")
        rest = rest[len(partial) :]
        bitmap = 0
        if kind not in (LEAF, LEAF_HASHED):
            bitmap, at = int.from_bytes(node[at : at + 2], "little"), at + 2
        value = None
        if kind in (LEAF_HASHED, BRANCH_HASHED):
            value, at = node[at : at + 32], at + 32
        elif kind in (LEAF, BRANCH_WITH):
            value, at = counted(node, at)
        if not rest:
            if value is None:
                raise BadProof("the trie has no value there")
            return by_hash(nodes, value) if kind in (LEAF_HASHED, BRANCH_HASHED) else value
        node = child(nodes, node, at, bitmap, rest.pop(0))


def by_hash(nodes: dict[bytes, bytes], wanted: bytes) -> bytes:
    if wanted not in nodes:
        raise BadProof("a node of the path is missing or was changed")
    return nodes[wanted]


def head_of(node: bytes) -> tuple[int, list[int], int]:
    """Kind, partial key in nibbles, and where the rest begins."""
    first = node[0]
    kind = next(k for k, (bits, mask) in enumerate(KINDS) if first & mask == bits)
    most = 0xFF & ~KINDS[kind][1]
    count, at = first & most, 1
    if count == most:
        while True:
            count, at = count + node[at], at + 1
            if node[at - 1] < 255:
                break
    size = (count + 1) // 2
    nibbles = [n for byte in node[at : at + size] for n in (byte >> 4, byte & 15)]
    return kind, nibbles[count % 2 :], at + size


def counted(node: bytes, at: int) -> tuple[bytes, int]:
    """Bytes behind their compact length."""
    mode = node[at] & 3
    if mode == 3:
        raise BadProof("a node is longer than any may be")
    width = (1, 2, 4)[mode]
    size = int.from_bytes(node[at : at + width], "little") >> 2
    return node[at + width : at + width + size], at + width + size


def child(nodes: dict[bytes, bytes], node: bytes, at: int, bitmap: int, wanted: int) -> bytes:
    for nibble in range(16):
        if not bitmap >> nibble & 1:
            continue
        reference, at = counted(node, at)
        if nibble == wanted:
            return by_hash(nodes, reference) if len(reference) == 32 else reference
    raise BadProof("the trie has no such key")
