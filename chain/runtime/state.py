"""The state a pallet sees: a dict from `(declaration, *keys)` to decoded, frozen values.

A hit is a plain dict lookup. A miss asks the parent state, or decodes once from the backend.
Writes go into an undo journal, so that a dispatch that fails leaves nothing behind, and what the
journal names becomes raw changes once per block. Presence is tracked apart from values: a cached
default is not an entry, and upstream's state root depends on the difference.

States stack: `s.child()` reads through and keeps its writes to itself until `absorb`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, TypeVarTuple, overload

from chain.runtime.storage import ITEMS, Item, Map, Value
from ganglion.scale import DecodeError

Ks = TypeVarTuple("Ks")
V = TypeVar("V")
K = TypeVar("K")

MISSING: Any = object()
_ABSENT_KEPT = 1 << 15
"""References without an entry that a state remembers between blocks."""
_INDEX_LIMIT = 1 << 14
_FEW = 1_000
_COMPARED = frozenset((int, bool, bytes, tuple))
"""Types whose values are compared on writing: what is there already needs no write."""
Mark = tuple[int, int, int]
Line = tuple[Any, Any, bool]
"""What a write replaced: the reference, its value before, whether there was no entry."""
_get, _set = dict.get, dict.__setitem__
"""What every write needs, without looking it up on the type each time."""


class Backend(Protocol):
    """Committed raw state."""

    def get(self, key: bytes) -> bytes | None:
        """The value under a raw key, or None."""

    def keys(self, prefix: bytes, start: bytes | None = None) -> Iterable[bytes]:
        """Raw keys under a prefix, ascending, strictly after `start`."""


class DictBackend(dict[bytes, bytes]):
    """A backend in memory, for tests, genesis and simulations."""

    _sorted: list[bytes] | None = None

    def keys(self, prefix: bytes = b"", start: bytes | None = None) -> Any:
        """Raw keys under a prefix, ascending, strictly after `start`."""
        ordered = self._sorted
        if ordered is None:
            ordered = self._sorted = sorted(dict.keys(self))
        first = prefix if start is None else max(prefix, start + b"\0")
        end = bisect_right(ordered, prefix, key=lambda key: key[: len(prefix)])
        return ordered[bisect_left(ordered, first) : end]

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._sorted = None
        dict.__setitem__(self, key, value)

    def apply(self, changes: dict[bytes, bytes | None]) -> None:
        """Write a block's changes."""
        moved = [key for key, value in changes.items() if (key in self) != (value is not None)]
        for key, value in changes.items():
            if value is None:
                self.pop(key, None)
            else:
                dict.__setitem__(self, key, value)
        ordered = self._sorted
        if ordered is None or len(moved) > _FEW:
            self._sorted = None
            return
        for key in moved:
            place = bisect_left(ordered, key)
            if key in self:
                ordered.insert(place, key)
            else:
                del ordered[place]


class _State(dict[Any, Any]):
    __slots__ = (
        "absent",
        "block",
        "backend",
        "emit",
        "events",
        "first",
        "index",
        "journal",
        "logs",
        "moved",
        "parent",
        "raw",
        "void",
    )

    def __init__(self, backend: Backend, parent: _State | None = None) -> None:
        self.backend = backend
        self.parent = parent
        self.journal: list[Line] = []
        self.first: dict[Any, Line] = {}  # of each reference that was written, its first line
        self.absent: set[Any] = set()
        self.raw: dict[bytes, bytes | None] = {}
        self.events: list[Any] = []
        self.emit = self.events.append  # an event of the running block
        self.logs: list[Any] = []
        self.block: Any = None
        self.moved: dict[Item, set[Any]] = {}
        self.void: set[Item] = set()  # items known to have no entry below
        self.index: dict[Item, dict[tuple[Any, ...], tuple[Any, ...]]] = {}

    def __missing__(self, ref: Any) -> Any:
        parent = self.parent
        item = ref[0] if type(ref) is tuple else ref
        if parent is not None:
            value = parent[ref]
            if value is item.default and ref in parent.absent:  # what is absent reads as this
                self.absent.add(ref)
        else:
            raw = self.backend.get(item.key_of(ref))
            if raw is None:
                value = item.default
                self.absent.add(ref)
            else:
                value = item.codec.decode(raw)
        _set(self, ref, value)
        return value

    def __contains__(self, ref: Any) -> bool:
        self[ref]
        return ref not in self.absent

    def __setitem__(self, ref: Any, value: Any) -> None:
        absent = self.absent
        gone = ref in absent
        old = _get(self, ref, MISSING)
        kind = type(value)
        if kind in _COMPARED and not gone and type(old) is kind and old == value:
            return
        line = (ref, old, gone)
        self.journal.append(line)
        self.first.setdefault(ref, line)
        _set(self, ref, value)
        if value is None and (ref[0] if type(ref) is tuple else ref).optional:
            if not gone:
                absent.add(ref)
                self._move(ref)
        elif gone:
            absent.discard(ref)
            self._move(ref)
        elif old is MISSING:
            self._move(ref)

    def _move(self, ref: Any) -> None:
        """Note that the entry may have come or gone: iteration looks at these only."""
        item = ref[0] if type(ref) is tuple else ref
        moved = self.moved.get(item)
        if moved is None:
            self.moved[item] = {ref}
        else:
            moved.add(ref)

    def __delitem__(self, ref: Any) -> None:
        self[ref]
        item = ref[0] if type(ref) is tuple else ref
        line = (ref, _get(self, ref, MISSING), ref in self.absent)
        self.journal.append(line)
        self.first.setdefault(ref, line)
        _set(self, ref, item.default)
        self.absent.add(ref)
        self._move(ref)

    # -- raw keys ---------------------------------------------------------------------------

    def raw_get(self, key: bytes) -> bytes | None:
        """A raw key that belongs to no declared item."""
        state: _State | None = self
        while state is not None:
            if key in state.raw:
                return state.raw[key]
            state = state.parent
        return self.backend.get(key)

    def raw_set(self, key: bytes, value: bytes | None) -> None:
        """Write a raw key that belongs to no declared item; journalled like the rest."""
        self.journal.append((key, self.raw.get(key, MISSING), False))
        self.raw[key] = value

    def write_raw(self, key: bytes, value: bytes | None) -> None:
        """Write a raw key (None deletes) so that typed reads see it.

        Raises DecodeError when the key lies under a declared item but key or value is no
        encoding of its types.
        """
        item = ITEMS.get(key[:32])
        if item is None:
            self.raw_set(key, value)
            return
        ref = item.ref_of(key)
        if value is None:
            del self[ref]
            return
        decoded = item.codec.decode(value)
        if item.codec.encode(decoded) != value:
            raise DecodeError(f"{item!r}: the value is not in its shortest encoding")
        self[ref] = decoded

    def read_raw(self, key: bytes) -> bytes | None:
        """The encoded value under any raw key, with all writes of this state applied."""
        item = ITEMS.get(key[:32])
        if item is None:
            return self.raw_get(key)
        ref = item.ref_of(key)
        return item.codec.encode(self[ref]) if ref in self else None

    def raw_keys(self, prefix: bytes) -> list[bytes]:
        """All raw keys under a prefix, ascending, with all writes of this state applied."""
        found = set(self.backend.keys(prefix))
        layers = []
        state: _State | None = self
        while state is not None:
            layers.append(state)
            state = state.parent
        for layer in reversed(layers):
            for key, value in layer.changes().items():
                if key.startswith(prefix):
                    (found.discard if value is None else found.add)(key)
        return sorted(found)

    # -- iteration --------------------------------------------------------------------------

    def keys_of(self, item: Item, *first: Any) -> tuple[Any, ...]:
        """References of all entries under the first few keys, in the order of their raw keys."""
        parent = self.parent
        base = self._indexed(item, first) if parent is None else parent.keys_of(item, *first)
        moved = self.moved.get(item)
        if not moved:
            return base
        width = len(first) + 1
        touched = [r for r in moved if type(r) is tuple and r[1:width] == first]
        return self._merged(item, base, touched) if touched else base

    def is_empty(self, item: Item) -> bool:
        """Whether no entry of an item is there, nor was touched in this state."""
        if item in self.moved:
            return False
        if item in self.void:
            return True
        parent = self.parent
        if parent is None:
            return not self._indexed(item, ())
        is_void = parent.is_empty(item)
        if is_void:  # it stays so: the parent does not change below its child
            self.void.add(item)
        return is_void

    def _merged(self, item: Item, base: tuple[Any, ...], touched: list[Any]) -> tuple[Any, ...]:
        """Sorted references without those touched that are gone, with those that are new."""
        absent = self.absent
        gone = {r for r in touched if r in absent}
        known = set(base)
        added = [r for r in touched if r not in absent and r not in known]
        if gone.isdisjoint(known) and not added:
            return base
        merged = [r for r in base if r not in gone] + added
        if added:
            merged.sort(key=item.key_of)
        return tuple(merged)

    def _indexed(self, item: Item, first: tuple[Any, ...]) -> tuple[Any, ...]:
        indexed = self.index.get(item)
        if indexed is None:
            indexed = self.index[item] = {}
        cached = indexed.get(first)
        if cached is None:
            if len(indexed) >= _INDEX_LIMIT:
                indexed.clear()
            prefix = item.prefix_of(*first)
            cached = indexed[first] = tuple(item.ref_of(k) for k in self.backend.keys(prefix))
        return cached

    # -- layers -----------------------------------------------------------------------------

    def child(self) -> _State:
        """A state on top of this one; this one must not change while the child lives."""
        return _State(self.backend, self)

    def mark(self) -> Mark:
        """A point to roll back to."""
        return len(self.journal), len(self.events), len(self.logs)

    def rollback(self, mark: Mark) -> None:
        """Undo every write, event and digest log since `mark`."""
        journal, events, logs = mark
        absent = self.absent
        while len(self.journal) > journal:
            line = ref, old, gone = self.journal.pop()
            if type(ref) is bytes:
                if old is MISSING:
                    del self.raw[ref]
                else:
                    self.raw[ref] = old
                continue
            if self.first[ref] is line:
                del self.first[ref]
            if old is MISSING:
                dict.pop(self, ref, None)
                item = ref[0] if type(ref) is tuple else ref
                self.moved[item].discard(ref)
            else:
                dict.__setitem__(self, ref, old)
            (absent.add if gone else absent.discard)(ref)
        del self.events[events:]
        del self.logs[logs:]

    def changes(self) -> dict[bytes, bytes | None]:
        """Raw keys and values written since creation; None deletes.

        What a child writes as its parent has it is left out, as far as it is known to be so.
        """
        out: dict[bytes, bytes | None] = dict(self.raw)
        absent, on_top = self.absent, self.parent is not None
        for ref, old, gone in self.first.values():
            item = ref[0] if type(ref) is tuple else ref
            value = self[ref]
            if ref in absent:
                if not (gone and on_top):
                    out[item.key_of(ref)] = None
            elif gone or not on_top or old is MISSING or old != value:
                out[item.key_of(ref)] = item.codec.encode(value)
        return out

    def absorb(self, child: _State) -> None:
        """Take over the writes of a child whose changes have been committed to the backend."""
        absent = self.absent
        for ref in child.first:
            _set(self, ref, child[ref])
            (absent.add if ref in child.absent else absent.discard)(ref)
        for item, refs in child.moved.items():
            if item in self.index:
                self._reindex(item, refs)
        if len(absent) > _ABSENT_KEPT:
            self._forget_absent()
        if len(self) > 1 << 20:
            self.clear()
            self.absent.clear()

    def _forget_absent(self) -> None:
        """Let go of what was read or deleted and is not there: every block adds to it, and the
        backend knows as well."""
        kept = {ref for ref in self.absent if ref in self.first}
        for ref in self.absent - kept:
            self.pop(ref, None)
        self.absent = kept

    def _reindex(self, item: Item, moved: set[Any]) -> None:
        """Let the index follow entries that may have come or gone."""
        indexed = self.index[item]
        touched: dict[tuple[Any, ...], list[Any]] = {}
        for ref in moved:
            for width in range(1, len(ref) + 1 if type(ref) is tuple else 0):
                if ref[1:width] in indexed:
                    touched.setdefault(ref[1:width], []).append(ref)
        for first, refs in touched.items():
            indexed[first] = self._merged(item, indexed[first], refs)


if TYPE_CHECKING:

    class State:
        """See the module's docstring."""

        backend: Backend
        parent: State | None
        absent: set[Any]
        events: list[Any]
        logs: list[Any]
        block: Any
        journal: list[Any]

        def __init__(self, backend: Backend, parent: State | None = None) -> None: ...
        @overload
        def __getitem__(self, ref: Value[V]) -> V: ...
        @overload
        def __getitem__(self, ref: tuple[Map[*Ks, V], *Ks]) -> V: ...
        def __getitem__(self, ref: Any) -> Any: ...
        @overload
        def __setitem__(self, ref: Value[V], value: V) -> None: ...
        @overload
        def __setitem__(self, ref: tuple[Map[*Ks, V], *Ks], value: V) -> None: ...
        def __setitem__(self, ref: Any, value: Any) -> None: ...
        def __contains__(self, ref: object) -> bool: ...
        def __delitem__(self, ref: object) -> None: ...
        def emit(self, event: object) -> None: ...
        def mark(self) -> Mark: ...
        def rollback(self, mark: Mark) -> None: ...
        def changes(self) -> dict[bytes, bytes | None]: ...
        def child(self) -> State: ...
        def absorb(self, child: State) -> None: ...
        def raw_get(self, key: bytes) -> bytes | None: ...
        def write_raw(self, key: bytes, value: bytes | None) -> None: ...
        def read_raw(self, key: bytes) -> bytes | None: ...
        def raw_keys(self, prefix: bytes) -> list[bytes]: ...
        def raw_set(self, key: bytes, value: bytes | None) -> None: ...
        def is_empty(self, item: Item) -> bool: ...
        def keys_of(self, item: Item, *first: Any) -> tuple[Any, ...]: ...

else:
    State = _State


def iter_keys(s: State, item: Item, *first: Any) -> Iterator[Any]:
    """The remaining key (or tuple of keys) of every entry under the first few keys.

    The order is that of the raw keys, as upstream iterates. Writing while iterating is safe:
    the keys are taken at the start.
    """
    width = len(first) + 1
    for ref in s.keys_of(item, *first):
        rest = ref[width:]
        yield rest[0] if len(rest) == 1 else rest


def iter_items(s: State, item: Item, *first: Any) -> Iterator[tuple[Any, Any]]:
    """Like `iter_keys`, with the value of each entry."""
    width = len(first) + 1
    for ref in s.keys_of(item, *first):
        rest = ref[width:]
        yield (rest[0] if len(rest) == 1 else rest), s[ref]


def clear_prefix(s: State, item: Item, *first: Any, limit: int | None = None) -> int:
    """Delete entries under the first few keys, in raw key order; returns how many."""
    refs = s.keys_of(item, *first)[:limit]
    for ref in refs:
        del s[ref]
    return len(refs)


def take(s: State, ref: Any) -> Any:
    """Read and delete (upstream's `take`)."""
    value = s[ref]
    del s[ref]
    return value
