"""What differs between two tries, at a cost that follows the difference and not their size."""

from __future__ import annotations

from collections.abc import Iterator

from chain.trie.nibbles import pack, shared_length
from chain.trie.node import Branch, HashedValue, Leaf, Node, Value, peek
from chain.trie.trie import Trie

Change = tuple[bytes, bytes | None]


def diff(old: Trie, new: Trie) -> dict[bytes, bytes | None]:
    """The changes (None deletes) that turn `old` into `new`."""
    if old.root == new.root:
        return {}
    return dict(_Diff(old, new).run(old.root_node, new.root_node, b""))


class _Diff:
    def __init__(self, old: Trie, new: Trie) -> None:
        self._old = old.source
        self._new = new.source

    def run(self, a: Node | None, b: Node | None, path: bytes) -> Iterator[Change]:
        """The differences between two subtrees that stand at the same path."""
        if a is None and b is None:
            return
        if a is None or b is None:
            yield from self._only(a, b, path)
            return
        one, two = _as_branch(a), _as_branch(b)
        shared = shared_length(one.partial, two.partial)
        path += one.partial[:shared]
        if shared == len(one.partial) == len(two.partial):
            yield from self._branches(one, two, path)
        elif shared == len(one.partial):
            yield from self._branches(one, _lowered(two, shared), path)
        elif shared == len(two.partial):
            yield from self._branches(_lowered(one, shared), two, path)
        else:
            yield from self._branches(_lowered(one, shared), _lowered(two, shared), path)

    def _branches(self, one: Branch, two: Branch, path: bytes) -> Iterator[Change]:
        if one.value != two.value:
            yield self._change(two.value, path)
        for i in range(16):
            a, b = _slot(one, i), _slot(two, i)
            if a and a == b:
                continue
            kid_a, kid_b = peek(self._old, one, i), peek(self._new, two, i)
            yield from self.run(kid_a, kid_b, path + bytes((i,)))

    def _only(self, a: Node | None, b: Node | None, path: bytes) -> Iterator[Change]:
        node = _as_branch(a or b)
        path += node.partial
        if node.value is not None:
            yield self._change(None if b is None else node.value, path)
        source = self._old if b is None else self._new
        for i in range(16):
            kid = peek(source, node, i)
            if kid is not None:
                below = path + bytes((i,))
                yield from (
                    self._only(kid, None, below) if b is None else self._only(None, kid, below)
                )

    def _change(self, value: Value | None, path: bytes) -> Change:
        if isinstance(value, HashedValue):
            value = self._new.value(value.digest)
        return pack(path), value


def _slot(branch: Branch, i: int) -> bytes:
    start, end = branch.span(i)
    return branch.refs[start:end]


def _as_branch(node: Node | None) -> Branch:
    """A leaf seen as a branch without children."""
    assert node is not None
    return Branch(node.partial, node.value) if isinstance(node, Leaf) else node


def _lowered(node: Branch, shared: int) -> Branch:
    """A node seen as the only child of a branch at the first `shared` nibbles of its partial."""
    upper = Branch(node.partial[:shared], None)
    upper.kids[node.partial[shared]] = node.copy(node.partial[shared + 1 :])
    return upper
