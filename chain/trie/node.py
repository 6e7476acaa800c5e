"""Trie nodes and their encoding: the base-16 Merkle-Patricia tree of Substrate chains.

A node in memory is a `Leaf` or a `Branch`. Once a node is part of a trie it never changes, with
one exception that nobody can observe: `Branch.kids` remembers children that have been loaded.
Updates copy the nodes along the changed paths, so any number of tries share what they have in
common, and a fork of the chain is just another root.

Vocabulary. The *reference* of a child is what stands in its parent's encoding: a length byte and
either the child itself, when its encoding is shorter than 32 bytes, or its hash. The *link* of a
child is where a store keeps it; the trie only carries it along.

Rules: node kinds, length bits and the 33-byte limit of layout V1 are in the state chapter of the
Polkadot specification.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Protocol

from chain.trie.nibbles import pack, unpack
from ganglion.scale import DecodeError, compact_encode, compact_read

V0_INLINE_MAX = 1 << 62
"""Layout V0 keeps every value in its node."""
V1_INLINE_MAX = 32
"""Layout V1 replaces longer values by their hash."""
EMPTY_ROOT = blake2b(b"\x00", digest_size=32).digest()
HASHED = 0x80
"""First byte of the reference of a child that is not inline: the compact length 32."""
REF_SIZE = 33
"""Bytes of the reference of a child that is not inline."""
LINK_SIZE = 8
NO_LINK = bytes(LINK_SIZE)
"""The link of a child that is inline, or of any node of a trie that is not stored."""
MAX_PARTIAL = 0xFFFF
"""Most nibbles in one node, as upstream."""

_LEAF, _BRANCH, _BRANCH_VALUE = (0x40, 0x3F), (0x80, 0x3F), (0xC0, 0x3F)
_LEAF_HASHED, _BRANCH_HASHED = (0x20, 0x1F), (0x10, 0x0F)


class HashedValue:
    """Stands for a value of which only the hash is at hand: nodes read from a proof."""

    __slots__ = ("digest",)

    def __init__(self, digest: bytes) -> None:
        self.digest = digest

    def __len__(self) -> int:
        """Longer than what layout V1 keeps inline; how much longer is not known."""
        return V1_INLINE_MAX + 1


Value = bytes | HashedValue


class Leaf:
    """The end of a path: the packed rest of the key and the value."""

    __slots__ = ("odd", "suffix", "value")

    def __init__(self, suffix: bytes, odd: int, value: Value) -> None:
        self.suffix = suffix
        self.odd = odd
        self.value = value

    @property
    def partial(self) -> bytes:
        """The rest of the key as nibbles."""
        return unpack(self.suffix, self.odd)


class Branch:
    """A fork in the path, with up to 16 children and perhaps a value.

    `refs` holds the references of the children one after the other, as in the encoding, `links`
    their links; `kids[i]` is the child behind nibble i if it is in memory. Whole byte strings
    rather than lists of them: copying a branch then touches few objects.
    """

    __slots__ = ("bitmap", "kids", "links", "partial", "refs", "value")

    def __init__(self, partial: bytes, value: Value | None) -> None:
        self.partial = partial
        self.value = value
        self.bitmap = 0
        self.refs = b""
        self.links = b""
        self.kids: list[Leaf | Branch | None] = [None] * 16

    def copy(self, partial: bytes | None = None) -> Branch:
        """A branch that may be changed, with another partial key if one is given."""
        new = Branch.__new__(Branch)
        new.partial = self.partial if partial is None else partial
        new.value = self.value
        new.bitmap = self.bitmap
        new.refs = self.refs
        new.links = self.links
        new.kids = self.kids[:]
        return new

    def span(self, i: int) -> tuple[int, int]:
        """Where the reference of child `i` stands in `refs`; an empty span if there is none."""
        bitmap = self.bitmap
        rank = (bitmap & ((1 << i) - 1)).bit_count()
        refs = self.refs
        if len(refs) == bitmap.bit_count() * REF_SIZE:  # no child is inline
            at = rank * REF_SIZE
            return at, at + REF_SIZE * (bitmap >> i & 1)
        at = 0
        for _ in range(rank):
            at += 1 + (refs[at] >> 2)
        return at, at + 1 + (refs[at] >> 2) if bitmap >> i & 1 else at

    def link(self, i: int) -> bytes:
        """The link of child `i`: NO_LINK where there is none."""
        if not self.bitmap >> i & 1:
            return NO_LINK
        at = LINK_SIZE * (self.bitmap & ((1 << i) - 1)).bit_count()
        return self.links[at : at + LINK_SIZE]

    def put(self, i: int, kid: Leaf | Branch | None, ref: bytes, link: bytes) -> bytes:
        """Set child `i` and return its old link; no kid, with empty bytes, removes the child."""
        bit, bitmap, refs, links = 1 << i, self.bitmap, self.refs, self.links
        rank = (bitmap & (bit - 1)).bit_count()
        had = bitmap & bit != 0
        if len(refs) == REF_SIZE * bitmap.bit_count():  # no child is inline
            start = REF_SIZE * rank
            end = start + REF_SIZE if had else start
        else:
            start, end = self.span(i)
        self.refs = refs[:start] + ref + refs[end:]
        at = LINK_SIZE * rank
        after = at + LINK_SIZE if had else at
        self.links = links[:at] + link + links[after:]
        self.kids[i] = kid
        self.bitmap = bitmap & ~bit if kid is None else bitmap | bit
        return links[at:after] if had else NO_LINK


Node = Leaf | Branch


class Source(Protocol):
    """Where nodes and values that are not in memory come from."""

    def load(self, digest: bytes, link: bytes) -> Node:
        """The node with this hash, kept at `link`; raises when it is missing or damaged."""
        ...

    def value(self, digest: bytes) -> bytes:
        """The value with this hash; only asked for a `HashedValue`."""
        ...


def child(source: Source, branch: Branch, i: int) -> Node | None:
    """The child behind nibble `i`, fetched and remembered if need be."""
    kid = branch.kids[i]
    if kid is None:
        kid = branch.kids[i] = peek(source, branch, i)
    return kid


def peek(source: Source, branch: Branch, i: int) -> Node | None:
    """As `child`, but not remembered: for walks over more than memory should hold."""
    kid = branch.kids[i]
    if kid is not None:
        return kid
    start, end = branch.span(i)
    if start == end:
        return None
    ref = branch.refs[start:end]
    return source.load(ref[1:], branch.link(i)) if ref[0] == HASHED else decode_node(ref[1:])


@lru_cache(maxsize=4096)
def _head(kind: tuple[int, int], count: int) -> bytes:
    """Header byte and length bytes of a node with `count` nibbles."""
    prefix, most = kind
    if count < most:
        return bytes((prefix | count,))
    rest = count - most
    return bytes((prefix | most,)) + b"\xff" * (rest // 255) + bytes((rest % 255,))


@lru_cache(maxsize=4096)
def _branch_head(kind: tuple[int, int], partial: bytes) -> bytes:
    return _head(kind, len(partial)) + pack(partial)


def leaf_head(count: int) -> bytes:
    """Header of a leaf of `count` nibbles whose value is inline."""
    return _head(_LEAF, count)


def branch_head(partial: bytes, has_value: bool) -> bytes:
    """Header and partial key of a branch whose value, if any, is inline."""
    return _branch_head(_BRANCH_VALUE if has_value else _BRANCH, partial)


def _digest_of(value: Value) -> bytes:
    if isinstance(value, HashedValue):
        return value.digest
    return blake2b(value, digest_size=32).digest()


def encode_leaf(leaf: Leaf, inline_max: int) -> bytes:
    """The encoding of a leaf."""
    value = leaf.value
    suffix = leaf.suffix
    size = len(value)
    count = 2 * len(suffix) - leaf.odd
    if size > inline_max:
        return _head(_LEAF_HASHED, count) + suffix + _digest_of(value)
    length = bytes((size << 2,)) if size < 64 else compact_encode(size)
    return _head(_LEAF, count) + suffix + length + value  # type: ignore[operator]


def encode_branch(branch: Branch, inline_max: int) -> bytes:
    """The encoding of a branch, from the references of its children."""
    value = branch.value
    if value is None:
        head, tail = _branch_head(_BRANCH, branch.partial), b""
    elif len(value) > inline_max:
        head, tail = _branch_head(_BRANCH_HASHED, branch.partial), _digest_of(value)
    else:
        head = _branch_head(_BRANCH_VALUE, branch.partial)
        tail = compact_encode(len(value)) + value  # type: ignore[operator]
    return head + branch.bitmap.to_bytes(2, "little") + tail + branch.refs


def encode_node(node: Node, inline_max: int) -> bytes:
    """The encoding of any node."""
    if isinstance(node, Leaf):
        return encode_leaf(node, inline_max)
    return encode_branch(node, inline_max)


def decode_node(data: bytes) -> Node:
    """The node of all of `data`; raises DecodeError, also for forms no trie would write."""
    node, end = read_node(data)
    if end != len(data):
        raise DecodeError(f"trie node: {len(data) - end} bytes too many")
    return node


def read_node(data: bytes) -> tuple[Node, int]:
    """The node at the start of `data`, and where it ends."""
    if not data:
        raise DecodeError("trie node: no bytes")
    first = data[0]
    top = first >> 6
    if top:
        is_branch, has_value, hashed, most = top > 1, top != 2, False, 0x3F
    elif first & 0x20:
        is_branch, has_value, hashed, most = False, True, True, 0x1F
    elif first & 0x10:
        is_branch, has_value, hashed, most = True, True, True, 0x0F
    else:
        raise DecodeError(f"trie node: 0x{first:02x} is not a node header")
    count, at = _read_count(data, first & most, most)
    odd = count & 1
    end = at + (count + 1) // 2
    packed = data[at:end]
    if len(packed) != end - at:
        raise DecodeError("trie node: the data ends inside the partial key")
    if odd and packed[0] > 15:
        raise DecodeError("trie node: the padding of an odd partial key is not zero")
    if is_branch:
        return _read_branch(data, end, unpack(packed, odd), has_value, hashed)
    value, end = _read_value(data, end, hashed)
    return Leaf(packed, odd, value), end


def _read_count(data: bytes, count: int, most: int) -> tuple[int, int]:
    at = 1
    if count < most:
        return count, at
    while True:
        if at >= len(data):
            raise DecodeError("trie node: the data ends inside the header")
        more = data[at]
        at += 1
        count += more
        if count > MAX_PARTIAL:
            raise DecodeError(f"trie node: a partial key of more than {MAX_PARTIAL} nibbles")
        if more < 255:
            return count, at


def _read_value(data: bytes, at: int, hashed: bool) -> tuple[Value, int]:
    if hashed:
        end = at + 32
        if end > len(data):
            raise DecodeError("trie node: the data ends inside the hash of the value")
        return HashedValue(data[at:end]), end
    size, at = compact_read(data, at)
    end = at + size
    if end > len(data):
        raise DecodeError("trie node: the data ends inside the value")
    return data[at:end], end


def _read_branch(
    data: bytes, at: int, partial: bytes, has_value: bool, hashed: bool
) -> tuple[Branch, int]:
    if at + 2 > len(data):
        raise DecodeError("trie node: the data ends inside the child bitmap")
    branch = Branch(partial, None)
    bitmap = branch.bitmap = data[at] | data[at + 1] << 8
    at += 2
    if not bitmap:
        raise DecodeError("trie node: a branch without children")
    if has_value:
        branch.value, at = _read_value(data, at, hashed)
    elif not bitmap & (bitmap - 1):
        raise DecodeError("trie node: a branch with one child and no value")
    start = at
    for _ in range(bitmap.bit_count()):
        if at >= len(data):
            raise DecodeError("trie node: the data ends before a child")
        mark = data[at]
        if mark & 3 or mark > HASHED or not mark:
            raise DecodeError("trie node: a child is neither a hash nor a short node")
        at += 1 + (mark >> 2)
    if at > len(data):
        raise DecodeError("trie node: the data ends inside a child")
    branch.refs = data[start:at]
    branch.links = NO_LINK * bitmap.bit_count()
    return branch, at
