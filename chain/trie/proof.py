"""Proofs of storage: the encoded nodes between a root and some keys.

A proof is a list of node encodings and, for values that layout V1 keeps by hash, of values; the
order carries no meaning and inlined children travel inside their parent. It proves presence and
absence alike: absence is the path to where the key would have left it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from chain.trie.nibbles import nibbles, packed_tail
from chain.trie.node import (
    EMPTY_ROOT,
    HASHED,
    NO_LINK,
    V1_INLINE_MAX,
    Branch,
    HashedValue,
    Node,
    child,
    decode_node,
    encode_node,
)
from chain.trie.trie import Trie
from ganglion.scale import DecodeError


class BadProof(ValueError):
    """The proof does not show what it should; the message says why."""


class Recorder:
    """A view of a trie that notes what a proof of everything read through it must hold.

    It reads like the trie itself, so a runtime call run against it yields its own proof.
    """

    def __init__(self, trie: Trie) -> None:
        self._trie = trie
        self._seen: set[Node] = set()
        self._entries: dict[bytes, None] = {}
        if trie.root_node is None:
            self._entries[b"\x00"] = None
        else:
            self._note(trie.root_node, True)

    @property
    def root(self) -> bytes:
        """The root that the proof belongs to."""
        return self._trie.root

    def proof(self) -> list[bytes]:
        """The entries so far, each once."""
        return list(self._entries)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, noted with the path to it."""
        node = self._note_path(key)
        if node is None:
            return None
        value = node.value
        if isinstance(value, HashedValue):
            value = self._trie.source.value(value.digest)
        if value is not None and len(value) > V1_INLINE_MAX:
            self._entries[value] = None
        return value

    def keys(self, prefix: bytes = b"", start: bytes | None = None) -> Iterator[bytes]:
        """The keys of the trie, noted with what shows that none lies between them."""
        self.get(prefix if start is None or start < prefix else start)
        for key in self._trie.keys(prefix, start):
            self._note_path(key)
            yield key

    def _note_path(self, key: bytes) -> Node | None:
        """Note the nodes on the way to a key; the node at its end, if the key is there."""
        node, path, depth = self._trie.root_node, nibbles(key), 0
        while isinstance(node, Branch):
            if not path.startswith(node.partial, depth):
                return None
            depth += len(node.partial)
            if depth == len(path):
                return node
            kid = child(self._trie.source, node, path[depth])
            if kid is None:
                return None
            self._note(kid, node.refs[node.span(path[depth])[0]] == HASHED)
            node = kid
            depth += 1
        if node is None or node.suffix != packed_tail(key, depth):
            return None
        return node

    def _note(self, node: Node, hashed: bool) -> None:
        if hashed and node not in self._seen:
            self._seen.add(node)
            self._entries[encode_node(node, V1_INLINE_MAX)] = None


def prove(trie: Trie, keys: Iterable[bytes]) -> list[bytes]:
    """The entries that prove the value, or the absence, of each key."""
    recorder = Recorder(trie)
    for key in keys:
        recorder.get(key)
    return recorder.proof()


class _Entries:
    """A source over the entries of a proof; remembers which were needed."""

    def __init__(self, proof: Iterable[bytes]) -> None:
        self.entries = {blake2b(entry, digest_size=32).digest(): entry for entry in proof}
        self.used: set[bytes] = set()

    def value(self, digest: bytes) -> bytes:
        entry = self.entries.get(digest)
        if entry is None:
            raise BadProof(f"the proof lacks the entry with hash 0x{digest.hex()}")
        self.used.add(digest)
        return entry

    def load(self, digest: bytes, link: bytes) -> Node:
        entry = self.value(digest)
        try:
            return decode_node(entry)
        except DecodeError as error:
            raise BadProof(f"the entry with hash 0x{digest.hex()} is malformed: {error}") from error


def open_proof(root: bytes, proof: Iterable[bytes]) -> Trie:
    """A partial trie that answers what the proof covers and raises BadProof for the rest."""
    source = _Entries(proof)
    node = None if root == EMPTY_ROOT else source.load(root, NO_LINK)
    return Trie(source, node, root)


def verify(
    root: bytes, proof: list[bytes], keys: Iterable[bytes], *, spare: bool = False
) -> dict[bytes, bytes | None]:
    """What a proof says of some keys; raises BadProof.

    Entries that are not needed, or come twice, are refused unless `spare`: answers of the network
    may carry more than was asked for.
    """
    trie = open_proof(root, proof)
    try:
        answers = {key: trie.get(key) for key in keys}
    except DecodeError as error:
        raise BadProof(f"an inlined node is malformed: {error}") from error
    source = trie.source
    assert isinstance(source, _Entries)
    needed = 1 if root == EMPTY_ROOT and proof == [b"\x00"] else len(source.used)
    if not spare and needed != len(proof):
        raise BadProof(f"{len(proof) - needed} entries of the proof are not needed")
    return answers
