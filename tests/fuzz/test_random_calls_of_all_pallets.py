"""Any well-typed call from any origin succeeds, or fails and changes nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from populated import HINTS, RUNTIME, calls, populated, some, steps
from strategies import values_of

from chain.pallets.balances_store import TotalIssuance
from chain.pallets.system import Account
from chain.runtime.call import CALLS, RuntimeCall
from chain.runtime.dispatch import dispatch
from chain.runtime.errors import CallError
from chain.runtime.origin import Origin
from chain.runtime.state import State, iter_items
from ganglion.scale import codec


def money(s: State) -> int:
    """Rao on all accounts."""
    return sum(info.data.free + info.data.reserved for _, info in iter_items(s, Account))


RAW = {
    ("System", "set_storage"),
    ("System", "kill_storage"),
    ("System", "kill_prefix"),
    ("Balances", "force_adjust_total_issuance"),
    ("Balances", "force_set_balance"),  # the issuance ends at 2^64 - 1, balances do not
}


def writes_raw(call: RuntimeCall) -> bool:
    """Whether root's scalpel is in the call or in a call within it: it may cut anything."""
    entry = CALLS.entry(call)
    if (entry.pallet, entry.name) in RAW:
        return True
    inner = [a for a in call.args for a in (a if isinstance(a, tuple) else (a,))]
    return any(writes_raw(a) for a in inner if isinstance(a, RuntimeCall))


def changed(s: State) -> dict[bytes, bytes | None]:
    """What differs from the populated chain; a rollback may leave writes of what was there."""
    base = populated()
    return {key: value for key, value in s.changes().items() if base.read_raw(key) != value}


def run(s: State, call: RuntimeCall, origin: Origin) -> CallError | None:
    """Dispatch; a failure may leave nothing behind, a success no odd money."""
    before, events = changed(s), len(s.events)
    error = dispatch(s, call, origin).error
    if error is not None:
        assert changed(s) == before
        assert len(s.events) == events
        assert error.value() is not None
    return error


@some
@given(steps)
def test_a_call_succeeds_or_changes_nothing(step: tuple[RuntimeCall, Origin]) -> None:
    s = populated().child()
    run(s, *step)
    for key, value in s.changes().items():
        assert isinstance(key, bytes)
        assert value is None or isinstance(value, bytes)


@some
@given(calls)
def test_a_call_survives_its_encoding(call: RuntimeCall) -> None:
    raw = CALLS.encode(call)
    decoded, end = CALLS.read(raw, 0)
    assert end == len(raw)
    assert CALLS.encode(decoded) == raw


@some
@given(st.lists(steps.filter(lambda step: not writes_raw(step[0])), min_size=5, max_size=15))
def test_no_sequence_makes_or_loses_money(sequence: list[tuple[RuntimeCall, Origin]]) -> None:
    s = populated().child()
    gap = money(s) - s[TotalIssuance]
    for call, origin in sequence:
        run(s, call, origin)
    assert money(s) - s[TotalIssuance] == gap


@some
@given(st.data())
def test_every_storage_value_and_key_survives_its_encoding(data: st.DataObject) -> None:
    items = [item for p in RUNTIME.pallets.values() for item in p.items.values()]
    item = data.draw(st.sampled_from(items))
    value = data.draw(values_of(item.value_type, HINTS))
    raw = item.codec.encode(value)
    assert item.codec.encode(item.codec.decode(raw)) == raw
    keys = tuple(data.draw(values_of(tp, HINTS)) for tp in item.key_types)
    assert codec(item.value_type) is item.codec
    if keys and all(h.reversible for h in item.hashers):
        assert item.key_of(item.ref_of(item.key_of((item, *keys)))) == item.key_of((item, *keys))
