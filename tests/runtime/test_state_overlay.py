"""State: presence, rollback, layers, iteration, raw keys; against a plain dict as the model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.runtime.dispatch import layer
from chain.runtime.errors import CallError, Other, PlainError
from chain.runtime.pallet import Pallet
from chain.runtime.state import DictBackend, State, clear_prefix, iter_items, iter_keys, take
from chain.runtime.storage import Blake2, Identity, Map, Value, storage
from ganglion.hashing import blake2_128_concat, twox_128
from ganglion.scale import DecodeError, u16, u32
from ganglion.units import NetUid

Count: Value[u32] = storage(default=7)
"""A plain value."""

Maybe: Value[u32 | None] = storage()
"""An optional value."""

Pairs: Map[Identity[NetUid], Blake2[u32], u16] = storage(default=1)
"""A double map."""

Flags: Map[Identity[NetUid], u16 | None] = storage()
"""An optional map."""

pallet = Pallet("StateTest", __name__).seal()


def fresh(backend: DictBackend | None = None) -> State:
    return State(backend if backend is not None else DictBackend())


def test_raw_keys_are_those_of_substrate() -> None:
    prefix = twox_128(b"StateTest") + twox_128(b"Pairs")
    key = Pairs.key_of((Pairs, 3, 9))  # type: ignore[attr-defined]
    assert key == prefix + b"\3\0" + blake2_128_concat(b"\x09\0\0\0")
    assert Pairs.ref_of(key) == (Pairs, 3, 9)  # type: ignore[attr-defined]


def test_a_default_that_was_read_is_no_entry_but_a_written_one_is() -> None:
    s = fresh()
    assert s[Count] == 7
    assert Count not in s
    assert s.changes() == {}
    s[Count] = 7
    assert Count in s
    assert list(s.changes().values()) == [b"\7\0\0\0"]
    del s[Count]
    assert Count not in s
    assert s[Count] == 7


def test_none_removes_an_optional_value() -> None:
    s = fresh()
    s[Maybe] = 4
    s[Maybe] = None
    assert Maybe not in s
    assert list(s.changes().values()) == [None]


def test_a_layer_that_fails_leaves_nothing() -> None:
    s = fresh()
    s[Count] = 1
    before, events = s.changes(), list(s.events)
    with pytest.raises(CallError), layer(s):
        s[Count] = 2
        s[Pairs, NetUid(1), 2] = 3
        del s[Count]
        s.emit("event")
        s.raw_set(b"raw", b"1")
        raise PlainError(Other())
    assert s.changes() == before
    assert s.events == events
    assert s.raw_get(b"raw") is None


def test_iteration_merges_backend_and_overlay_in_raw_key_order() -> None:
    backend = DictBackend()
    s = fresh(backend)
    for n in range(6):
        s[Pairs, NetUid(1), n] = n + 10
    backend.apply(s.changes())
    s = fresh(backend)
    del s[Pairs, NetUid(1), 2]
    s[Pairs, NetUid(1), 77] = 5
    s[Pairs, NetUid(2), 1] = 5
    keys = list(iter_keys(s, Pairs, NetUid(1)))
    assert set(keys) == {0, 1, 3, 4, 5, 77}
    assert keys == sorted(keys, key=lambda k: blake2_128_concat(k.to_bytes(4, "little")))
    assert dict(iter_items(s, Pairs, NetUid(1)))[77] == 5
    assert clear_prefix(s, Pairs, NetUid(1)) == 6
    assert list(iter_keys(s, Pairs)) == [(2, 1)]


def test_an_entry_that_goes_without_being_read_leaves_the_iteration() -> None:
    backend = DictBackend()
    s = fresh(backend)
    for n in (1, 2, 3):
        s[Flags, NetUid(n)] = n
    backend.apply(s.changes())
    root = fresh(backend)
    assert list(iter_keys(root, Flags)) == [1, 2, 3]
    child = root.child()
    child[Flags, NetUid(2)] = None
    child[Flags, NetUid(4)] = 4
    assert list(iter_keys(child, Flags)) == [1, 3, 4]
    backend.apply(child.changes())
    root.absorb(child)
    assert list(iter_keys(root, Flags)) == [1, 3, 4]


def test_an_item_is_empty_until_something_is_written_above_or_below() -> None:
    base = fresh()
    child = base.child()
    assert child.is_empty(Flags)
    assert child.is_empty(Flags)
    with pytest.raises(CallError), layer(child):
        child[Flags, NetUid(1)] = 5
        assert not child.is_empty(Flags)
        raise PlainError(Other())
    assert (Flags, NetUid(1)) not in child
    child[Flags, NetUid(2)] = 6
    assert not child.is_empty(Flags)
    base.backend.apply(child.changes())  # type: ignore[attr-defined]
    base.absorb(child)
    assert not base.child().is_empty(Flags)
    assert base.child().is_empty(Pairs)


def test_raw_writes_reach_typed_reads_and_are_checked() -> None:
    s = fresh()
    key = Pairs.key_of((Pairs, 1, 2))  # type: ignore[attr-defined]
    assert s[Pairs, NetUid(1), 2] == 1
    s.write_raw(key, b"\x05\0")
    assert s[Pairs, NetUid(1), 2] == 5
    assert s.read_raw(key) == b"\x05\0"
    with pytest.raises(DecodeError):
        s.write_raw(key, b"\x05")
    with pytest.raises(DecodeError):
        s.write_raw(key[:-1] + b"\xff", b"\x05\0")
    s.write_raw(key, None)
    assert (Pairs, 1, 2) not in s


Step = tuple[str, int, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["set", "del", "take", "fail", "child", "absorb"]),
        st.integers(0, 2),
        st.integers(0, 3),
        st.integers(0, 9),
    ),
    max_size=40,
)


@given(STEPS)
def test_it_behaves_like_a_dict(steps: list[Step]) -> None:
    backend, model = DictBackend(), {}
    root = fresh(backend)
    child, pending = root.child(), dict(model)
    for kind, a, b, value in steps:
        ref = (Pairs, NetUid(a), b)
        if kind == "set":
            child[ref] = value
            pending[a, b] = value
        elif kind == "del":
            del child[ref]
            pending.pop((a, b), None)
        elif kind == "take":
            assert take(child, ref) == pending.pop((a, b), 1)
        elif kind == "fail":
            mark = child.mark()
            child[ref] = value
            clear_prefix(child, Pairs, NetUid(a))
            child.rollback(mark)
        elif kind == "child":
            child, pending = root.child(), dict(model)
        else:
            backend.apply(child.changes())
            root.absorb(child)
            model = dict(pending)
            child, pending = root.child(), dict(model)
        check(child, pending)
    backend.apply(child.changes())
    check(fresh(backend), pending)


def check(s: State, model: dict[Any, int]) -> None:
    assert dict(iter_items(s, Pairs)) == model
    for a in range(3):
        assert {(a, k) for k in iter_keys(s, Pairs, NetUid(a))} == {k for k in model if k[0] == a}
        for b in range(4):
            assert s[Pairs, NetUid(a), b] == model.get((a, b), 1)
            assert ((Pairs, a, b) in s) == ((a, b) in model)


def test_what_is_not_there_is_forgotten_between_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chain.runtime.state._ABSENT_KEPT", 20)
    backend = DictBackend()
    best = fresh(backend)
    for number in range(200):  # each block reads a miss of its own and deletes what another wrote
        block = best.child()
        assert block[Flags, number] is None
        block[Pairs, 0, number] = 5
        if number >= 10:
            del block[Pairs, 0, number - 10]
        backend.apply(block.changes())
        best.absorb(block)
    assert len(best.absent) <= 22
    assert len(best) <= 10 + 22
    assert list(iter_keys(best, Pairs)) == list(iter_keys(fresh(backend), Pairs))
    assert (Pairs, 0, 5) not in best
    assert best[Pairs, 0, 195] == 5
