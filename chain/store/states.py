"""States: a trie for every block, and a flat copy of the best block's.

The trie is the truth; every state that is kept can be read, iterated and proven through it. The
flat copy serves the best block alone, at one lookup a key. It moves in the batch that moves the
best block, by the block's own changes or, in a reorganisation, by what differs between tries.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock

from chain.blocks import Header
from chain.store.blocks import Record
from chain.store.kv import Batch, Column, KeyValues
from chain.store.nodes import StoredNodes, link_prefix
from chain.trie.diff import diff
from chain.trie.node import EMPTY_ROOT, LINK_SIZE
from chain.trie.proof import Recorder
from chain.trie.trie import Trie
from chain.trie.update import Update
from ganglion.units import Hash

TRIES = 64
"""How many tries stay open; recent ones share almost all of their nodes."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The state after a block, ready to be written: `root` goes into the header.

    Nothing is stored yet; dropping it costs nothing.
    """

    parent: Hash
    root: Hash
    changes: Mapping[bytes, bytes | None]
    sequence: int
    trie: Trie
    born: dict[bytes, bytes]
    dead: list[bytes]


class StateView:
    """The state after one block: what a runtime reads from. Cheap to make and to keep."""

    __slots__ = ("_states", "block", "header", "root_link")

    def __init__(self, states: States, block: Hash, record: Record) -> None:
        self._states = states
        self.block = block
        self.header = record.header
        self.root_link = record.root_link

    @property
    def root(self) -> Hash:
        """The state root."""
        return Hash(self.header.state_root)

    @property
    def number(self) -> int:
        """The block's number."""
        return self.header.number

    def get(self, key: bytes) -> bytes | None:
        """The value under a raw key, or None."""
        states = self._states
        if states.flat_at == self.block:
            value = states.flat_get(key)
            # Had the flat copy moved on meanwhile, the value might be of another block.
            if states.flat_at == self.block:
                return value
        return self.trie().get(key)

    def keys(self, prefix: bytes = b"", start: bytes | None = None) -> Iterator[bytes]:
        """Raw keys under a prefix, ascending, strictly after `start`."""
        return (key for key, _ in self.items(prefix, start))

    def items(
        self, prefix: bytes = b"", start: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """As `keys`, with the values."""
        states = self._states
        if states.flat_at == self.block:
            found = states.flat_items(prefix, start)
            if states.flat_at == self.block:
                return found
        return self.trie().items(prefix, start)

    def trie(self) -> Trie:
        """The state's trie."""
        return self._states.trie(self.block, self.root, self.root_link)

    def read_proof(self, keys: Iterable[bytes]) -> list[bytes]:
        """The trie nodes that prove the value or absence of each key."""
        recorder = self.recorder()
        for key in keys:
            recorder.get(key)
        return recorder.proof()

    def recorder(self) -> Recorder:
        """This state as one that notes what is read: for proofs of runtime calls."""
        return Recorder(self.trie())


class States:
    """All states of a store. `flat_at` is the block whose state the flat copy holds."""

    def __init__(self, kv: KeyValues, sequence: int, keep_nodes: int) -> None:
        self._kv = kv
        self._nodes = StoredNodes(kv)
        self._tries: OrderedDict[Hash, Trie] = OrderedDict()
        self._lock = Lock()
        self._keep_nodes = keep_nodes
        self._in_memory = 0
        self.sequence = sequence
        self.flat_at: Hash | None = None

    # -- reading ----------------------------------------------------------------------------

    def trie(self, block: Hash, root: bytes, link: bytes) -> Trie:
        """The trie of a block's state."""
        if self._in_memory + self._nodes.loaded > self._keep_nodes:
            self.drop_tries()
        trie = self._tries.get(block)
        if trie is not None:
            return trie
        node = None if root == EMPTY_ROOT else self._nodes.load(root, link)
        return self._open(block, Trie(self._nodes, node, root, link))

    def drop_tries(self) -> None:
        """Let go of all nodes in memory; they are read again as they are needed."""
        with self._lock:
            self._tries.clear()
            self._in_memory = self._nodes.loaded = 0

    def _open(self, block: Hash, trie: Trie) -> Trie:
        with self._lock:
            self._tries[block] = trie
            if len(self._tries) > TRIES:
                self._tries.popitem(last=False)
        return trie

    def flat_get(self, key: bytes) -> bytes | None:
        """A value of the flat copy."""
        return self._kv.get(Column.FLAT, key)

    def flat_items(self, prefix: bytes, start: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values of the flat copy under a prefix, strictly after `start`."""
        after = start is not None and start >= prefix
        first = start + b"\0" if after and start is not None else prefix
        return _under(prefix, self._kv.items(Column.FLAT, first))

    # -- writing ----------------------------------------------------------------------------

    def prepare(self, parent: StateView | None, changes: Mapping[bytes, bytes | None]) -> Prepared:
        """The state after some changes to a block's state (None: to nothing)."""
        sequence, self.sequence = self.sequence, self.sequence + 1
        old = Trie(self._nodes, None, EMPTY_ROOT) if parent is None else parent.trie()
        if changes:
            update = Update(old.source, link_prefix(sequence))
            node = update.apply(old.root_node, changes, old.link)
            trie = Trie(self._nodes, node, update.root, update.root_link)
            born, dead = update.born, update.dead
        else:
            trie, born, dead = old, {}, []
        block = Hash(bytes(32)) if parent is None else parent.block
        return Prepared(block, Hash(trie.root), changes, sequence, trie, born, dead)

    def put(self, batch: Batch, header: Header, prepared: Prepared, journal: bool) -> Record:
        """Write the nodes of a new state; with `journal`, also which ones it makes superfluous."""
        batch.put_all(Column.NODES, prepared.born)
        if journal:
            batch.put(Column.JOURNAL, header.hash, b"".join(prepared.dead))
        return Record(header, prepared.sequence, prepared.trie.link)

    def published(self, block: Hash, prepared: Prepared) -> None:
        """A new state has been written: keep its trie open."""
        self._in_memory += len(prepared.born) - len(prepared.dead)
        self._open(block, prepared.trie)

    def move_flat(self, batch: Batch, old: StateView, new: Trie) -> None:
        """Turn the flat copy of one state into that of another."""
        batch.put_all(Column.FLAT, diff(old.trie(), new))

    def discard_new(self, batch: Batch, block: Hash, record: Record) -> None:
        """Delete what a discarded block wrote. Nobody else links to it."""
        start, end = link_prefix(record.sequence), link_prefix(record.sequence + 1)
        batch.delete_range(Column.NODES, start, end)
        batch.delete(Column.JOURNAL, block)
        self._tries.pop(block, None)

    def discard_old(self, batch: Batch, block: Hash, child: Hash) -> None:
        """Delete the nodes of a block's state that the state of its final child lacks."""
        dead = self._kv.get(Column.JOURNAL, child) or b""
        for at in range(0, len(dead), LINK_SIZE):
            batch.delete(Column.NODES, dead[at : at + LINK_SIZE])
        batch.delete(Column.JOURNAL, child)
        self._tries.pop(block, None)


def _under(prefix: bytes, items: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    for item in items:
        if not item[0].startswith(prefix):
            return
        yield item
