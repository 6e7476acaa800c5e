"""Applying a batch of changes to a trie: one pass that copies, hashes and names each new node.

Invariant: `born` and `dead` together turn the stored nodes of the old trie into those of the new
one. Every node that is new is in `born` under a link of its own; the link of every stored node
of the old trie that the new one lacks is in `dead`, once.

Changes are sorted, so each touched node is visited, encoded and hashed once however many keys
below it change.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from chain.trie.nibbles import nibbles, pack, packed_tail, shared_length
from chain.trie.node import (
    EMPTY_ROOT,
    NO_LINK,
    V1_INLINE_MAX,
    Branch,
    Leaf,
    Node,
    Source,
    Value,
    child,
    encode_branch,
    encode_leaf,
    encode_node,
)


class Update:
    """One batch of changes; `apply` may be called once.

    `born` maps link to record: the node's encoding, the links of its children, and its value
    where the encoding only has the hash. A link is `prefix` (4 bytes) and a running number.
    """

    def __init__(
        self, source: Source, prefix: bytes = bytes(4), inline_max: int = V1_INLINE_MAX
    ) -> None:
        self.born: dict[bytes, bytes] = {}
        self.dead: list[bytes] = []
        self.root = EMPTY_ROOT
        self.root_link = NO_LINK
        self._source = source
        self._prefix = prefix
        self._inline_max = inline_max
        self._serial = 0
        self._raw: list[bytes] = []
        self._keys: list[bytes] = []
        self._values: list[bytes | None] = []

    def apply(
        self, root: Node | None, changes: Mapping[bytes, bytes | None], root_link: bytes = NO_LINK
    ) -> Node | None:
        """The root node after `changes` (None deletes a key); sets `root` and `root_link`."""
        self._raw = sorted(changes)
        self._keys = [nibbles(key) for key in self._raw]
        self._values = [changes[key] for key in self._raw]
        if not self._raw:
            new = root
        elif root is None:
            new = self._build(0, len(self._raw), 0)
        else:
            new = self._update(root, 0, len(self._raw), 0)
        if new is root and root_link != NO_LINK:
            self.root, self.root_link = self._hash_of(root), root_link
            return root
        if root_link != NO_LINK:
            self.dead.append(root_link)
        if new is not None:
            encoding = encode_node(new, self._inline_max)
            self.root = blake2b(encoding, digest_size=32).digest()
            links = new.links if isinstance(new, Branch) else b""
            self.root_link = self._store(encoding + links, new.value)
        return new

    def _hash_of(self, node: Node | None) -> bytes:
        if node is None:
            return EMPTY_ROOT
        return blake2b(encode_node(node, self._inline_max), digest_size=32).digest()

    def _update(self, node: Node, lo: int, hi: int, depth: int) -> Node | None:
        """What stands in place of `node` after the changes `lo` to `hi`, all below `depth`."""
        if isinstance(node, Branch):
            return self._update_branch(node, lo, hi, depth, own=False)
        if hi - lo == 1:
            suffix = packed_tail(self._raw[lo], depth)
            value = self._values[lo]
            if suffix == node.suffix:
                if value == node.value:
                    return node
                return None if value is None else Leaf(suffix, depth & 1, value)
            if value is None:
                return node
        return self._update_branch(Branch(node.partial, node.value), lo, hi, depth, own=True)

    def _build(self, lo: int, hi: int, depth: int) -> Node | None:
        """A fresh subtree of the changes `lo` to `hi`."""
        if hi - lo == 1:
            value = self._values[lo]
            if value is None:
                return None
            return Leaf(packed_tail(self._raw[lo], depth), depth & 1, value)
        first, last = self._keys[lo], self._keys[hi - 1]
        shared = shared_length(first[depth:], last[depth:])
        bare = Branch(first[depth : depth + shared], None)
        return self._update_branch(bare, lo, hi, depth, own=True)

    def _update_branch(self, node: Branch, lo: int, hi: int, depth: int, own: bool) -> Node | None:
        """Like `_update`; a branch that is not this update's `own` is copied before it changes."""
        keys = self._keys
        first = keys[lo]
        partial = node.partial
        if partial:
            # The keys are sorted: what the outer two share with the partial, all do.
            end = depth + len(partial)
            if first[depth:end] != partial or keys[hi - 1][depth:end] != partial:
                shared = min(
                    shared_length(first[depth:end], partial),
                    shared_length(keys[hi - 1][depth:end], partial),
                )
                node, own = self._split(node, shared), True
            depth += len(node.partial)
        if len(first) == depth:
            value = self._values[lo]
            if value != node.value:
                if not own:
                    node, own = node.copy(), True
                node.value = value
            lo += 1
        while lo < hi:
            nibble = keys[lo][depth]
            end = lo + 1
            while end < hi and keys[end][depth] == nibble:
                end += 1
            old = node.kids[nibble]
            if old is None and node.bitmap >> nibble & 1:
                old = child(self._source, node, nibble)
            if old is None:
                new = self._build(lo, end, depth + 1)
            else:
                new = self._update(old, lo, end, depth + 1)
            if new is not old:
                if not own:
                    node, own = node.copy(), True
                self._place(node, nibble, new)
            lo = end
        return self._normal(node) if own else node

    def _place(self, node: Branch, nibble: int, new: Node | None) -> None:
        """Put a new child, or none, behind a nibble."""
        if new is None:
            old = node.put(nibble, None, b"", b"")
        else:
            ref, link = self._seal(new)
            old = node.put(nibble, new, ref, link)
        if old != NO_LINK and self.born.pop(old, None) is None:
            self.dead.append(old)

    def _seal(self, node: Node) -> tuple[bytes, bytes]:
        """The reference and the link of a finished node; its record goes to `born`."""
        inline_max, value = self._inline_max, node.value
        if isinstance(node, Leaf):
            encoding = record = encode_leaf(node, inline_max)
        else:
            encoding = encode_branch(node, inline_max)
            record = encoding + node.links
        if len(encoding) < 32:
            return bytes((len(encoding) << 2,)) + encoding, NO_LINK
        return b"\x80" + blake2b(encoding, digest_size=32).digest(), self._store(record, value)

    def _split(self, node: Branch, shared: int) -> Branch:
        """A branch at the first `shared` nibbles of a node's partial, with that node below it."""
        partial = node.partial
        upper = Branch(partial[:shared], None)
        below = node.copy(partial[shared + 1 :])
        lower: Node = below
        if not below.bitmap and below.value is not None:
            lower = _leaf(below.partial, below.value)
        self._place(upper, partial[shared], lower)
        return upper

    def _normal(self, node: Branch) -> Node | None:
        """The only form a trie may have: no childless branch, no bare branch of one child."""
        bitmap = node.bitmap
        if not bitmap:
            return None if node.value is None else _leaf(node.partial, node.value)
        if node.value is not None or bitmap & (bitmap - 1):
            return node
        nibble = bitmap.bit_length() - 1
        kid = child(self._source, node, nibble)
        assert kid is not None
        link = node.link(nibble)
        if link != NO_LINK and self.born.pop(link, None) is None:
            self.dead.append(link)
        partial = node.partial + bytes((nibble,)) + kid.partial
        return _leaf(partial, kid.value) if isinstance(kid, Leaf) else kid.copy(partial)

    def _store(self, record: bytes, value: Value | None) -> bytes:
        """Keep a record, with its value if the encoding has only the hash; its link."""
        if value is not None and len(value) > self._inline_max:
            record += value  # type: ignore[operator]
        self._serial = serial = self._serial + 1
        link = self._prefix + serial.to_bytes(4, "big")
        self.born[link] = record
        return link


def _leaf(partial: bytes, value: Value) -> Leaf:
    return Leaf(pack(partial), len(partial) & 1, value)
