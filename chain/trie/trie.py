"""An immutable trie: reading, ordered iteration and the next trie after some changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b

from chain.trie.nibbles import join_key, nibbles, packed_tail
from chain.trie.node import (
    NO_LINK,
    V1_INLINE_MAX,
    Branch,
    HashedValue,
    Leaf,
    Node,
    Source,
    child,
    encode_node,
    peek,
)
from chain.trie.update import Update


class MissingNode(LookupError):
    """A trie that lives in memory only was asked for a node it does not have."""


class Memory:
    """The source of a trie that is wholly in memory: there is nothing to load."""

    def load(self, digest: bytes, link: bytes) -> Node:
        """Always raises MissingNode."""
        raise MissingNode(f"trie node 0x{digest.hex()} is not in memory")

    def value(self, digest: bytes) -> bytes:
        """Always raises MissingNode."""
        raise MissingNode(f"trie value 0x{digest.hex()} is not in memory")


class Trie:
    """A set of keys and values with a root hash. `root_node` is None for the empty trie."""

    __slots__ = ("link", "root", "root_node", "source")

    def __init__(
        self, source: Source, root_node: Node | None, root: bytes, link: bytes = NO_LINK
    ) -> None:
        self.source = source
        self.root_node = root_node
        self.root = root
        self.link = link

    @classmethod
    def of(
        cls, items: Mapping[bytes, bytes], inline_max: int = V1_INLINE_MAX, prefix: bytes = bytes(4)
    ) -> Trie:
        """A trie in memory."""
        update = Update(Memory(), prefix, inline_max)
        node = update.apply(None, items)
        return cls(Memory(), node, update.root, update.root_link)

    def updated(self, changes: Mapping[bytes, bytes | None], prefix: bytes = bytes(4)) -> Trie:
        """The trie after some changes (None deletes), in layout V1."""
        update = Update(self.source, prefix)
        node = update.apply(self.root_node, changes)
        return Trie(self.source, node, update.root, update.root_link)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        node = self.root_node
        if node is None:
            return None
        path = nibbles(key)
        depth = 0
        while node.__class__ is Branch:
            partial = node.partial
            if partial:
                if not path.startswith(partial, depth):
                    return None
                depth += len(partial)
            if depth == len(path):
                return self._resolve(node.value)
            kid = node.kids[path[depth]]  # type: ignore[union-attr]
            if kid is None:
                kid = child(self.source, node, path[depth])  # type: ignore[arg-type]
                if kid is None:
                    return None
            node = kid
            depth += 1
        if node.suffix != packed_tail(key, depth):  # type: ignore[union-attr]
            return None
        return self._resolve(node.value)

    def _resolve(self, value: bytes | HashedValue | None) -> bytes | None:
        return self.source.value(value.digest) if isinstance(value, HashedValue) else value

    def closest_merkle_value(self, key: bytes) -> bytes | None:
        """The Merkle value of the highest node at or below a key: its encoding, or, from 32
        bytes up and for the root, the hash of that. None if no key begins with `key`."""
        node, _ = self._top_of(nibbles(key))
        if node is None or node is self.root_node:
            return None if node is None else self.root
        encoding = encode_node(node, V1_INLINE_MAX)
        return encoding if len(encoding) < 32 else blake2b(encoding, digest_size=32).digest()

    def keys(self, prefix: bytes = b"", start: bytes | None = None) -> Iterator[bytes]:
        """The keys that begin with `prefix`, ascending, strictly after `start`."""
        return (key for key, _ in self._walk(prefix, start))

    def items(
        self, prefix: bytes = b"", start: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """As `keys`, with the values."""
        for key, value in self._walk(prefix, start):
            resolved = self._resolve(value)
            assert resolved is not None
            yield key, resolved

    def _walk(
        self, prefix: bytes, start: bytes | None
    ) -> Iterator[tuple[bytes, bytes | HashedValue]]:
        low = None
        if start is not None and start >= prefix:
            if not start.startswith(prefix):
                return  # all that begins with the prefix comes before it
            low = nibbles(start)
        node, path = self._top_of(nibbles(prefix))
        stack: list[tuple[Branch, int, bytes]] = []
        while True:
            if node is not None:
                full = path + node.partial
                if isinstance(node, Leaf):
                    if low is None or full > low:
                        yield join_key(path, node.suffix, node.odd), node.value
                else:
                    if node.value is not None and (low is None or full > low):
                        yield join_key(full, b"", 0), node.value
                    stack.append((node, _first_child(full, low), full))
            if not stack:
                return
            parent, i, path = stack.pop()
            while i < 16 and not parent.bitmap >> i & 1:
                i += 1
            if i == 16:
                node = None
                continue
            stack.append((parent, i + 1, path))
            path += bytes((i,))
            node = peek(self.source, parent, i)

    def _top_of(self, want: bytes) -> tuple[Node | None, bytes]:
        """The highest node all of whose keys begin with `want`, and the path above it."""
        node, path = self.root_node, b""
        while node is not None:
            full = path + node.partial
            if full.startswith(want):
                return node, path
            if isinstance(node, Leaf) or not want.startswith(full):
                return None, path
            nibble = want[len(full)]
            path = full + bytes((nibble,))
            node = peek(self.source, node, nibble)
        return None, path


def _first_child(full: bytes, low: bytes | None) -> int:
    """The first child of a branch at `full` that can hold a key after `low`; 16 for none."""
    if low is None or full >= low:
        return 0
    if low.startswith(full):
        return low[len(full)]
    return 16
