"""Hypothesis strategies derived from SCALE types: whatever a type can encode may come out.

`values_of(u16)` gives integers, `values_of(SomeDataclass)` instances, `values_of(RuntimeCall)`
calls of the runtime. Hints replace the strategy of a type, to make accounts and subnets meet.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from enum import IntEnum
from typing import Annotated, Any, NewType, Union, get_args, get_origin

from hypothesis import strategies as st

from chain.runtime.call import RuntimeCall
from chain.runtime.runtime import Runtime
from ganglion.scale import (
    Array,
    AtMost,
    Codec,
    Enumeration,
    Fixed,
    OpaqueOf,
    PackedOf,
    Sint,
    Uint,
    _Compact,
    _Result,
    alias_target,
    codec,
    field_types,
)

Hints = Mapping[Any, st.SearchStrategy[Any]]

MOST_ITEMS = 4
MOST_BYTES = 40


def integers(bits: int, signed: bool = False) -> st.SearchStrategy[int]:
    """Integers of a width, with a liking for small ones and for the borders."""
    low = -(1 << (bits - 1)) if signed else 0
    high = (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1
    borders = [n for n in (low, 0, 1, 2, 7, high // 2, high - 1, high) if low <= n <= high]
    return st.sampled_from(borders) | st.integers(low, high) | st.integers(0, min(high, 10**4))


def values_of(tp: Any, hints: Hints, depth: int = 3) -> st.SearchStrategy[Any]:
    """Values of a type as the codecs take them; nested calls end at `depth`."""
    if isinstance(tp, NewType | type) and tp in hints:
        return hints[tp]
    origin, args = get_origin(tp), get_args(tp)
    if origin is Annotated:
        return _annotated(args, hints, depth)
    if origin in (Union, types.UnionType):
        inner = next(a for a in args if a is not type(None))
        return st.none() | values_of(inner, hints, depth)
    if origin is tuple:
        return _tuple(args, hints, depth)
    if isinstance(tp, NewType):
        target = alias_target(tp)
        return _of_codec(target) if isinstance(target, Codec) else values_of(target, hints, depth)
    return _of_class(tp, hints, depth)


def _tuple(args: tuple[Any, ...], hints: Hints, depth: int) -> st.SearchStrategy[Any]:
    if args == ((),) or not args:
        return st.just(())
    if args[-1] is Ellipsis:
        inner = values_of(args[0], hints, depth)
        return st.just(()) if inner.is_empty else st.lists(inner, max_size=MOST_ITEMS).map(tuple)
    return st.tuples(*(values_of(a, hints, depth) for a in args))


def _annotated(args: tuple[Any, ...], hints: Hints, depth: int) -> st.SearchStrategy[Any]:
    # Nested annotations arrive flattened, innermost mark first: the last one is about the rest.
    for k in range(len(args) - 1, 0, -1):
        inner = args[0] if k == 1 else Annotated[args[:k]]
        match args[k]:
            case Uint(bits):
                return integers(bits)
            case Sint(bits):
                return integers(bits, signed=True)
            case Fixed(size):
                return st.binary(min_size=size, max_size=size)
            case Array(size):
                item = values_of(get_args(inner)[0], hints, depth)
                return st.lists(item, min_size=size, max_size=size).map(tuple)
            case AtMost(size):
                return values_of(inner, hints, depth).map(lambda v, size=size: v[:size])
            case PackedOf(_, width):
                return st.binary(max_size=MOST_ITEMS * width).map(
                    lambda raw, width=width: raw[: len(raw) // width * width]
                )
            case OpaqueOf(of, _):
                return values_of(of, hints, depth).map(codec(of).encode)
            case _Compact():
                return values_of(inner, hints, depth)
            case _Result():
                return st.none() | values_of(_not_none(inner), hints, depth)
    return values_of(args[0], hints, depth)


def _not_none(tp: Any) -> Any:
    return next((a for a in get_args(tp) if a is not type(None)), tp)


def _of_codec(target: Codec[Any]) -> st.SearchStrategy[Any]:
    """A type whose codec is written by hand: what it makes of random bytes."""
    if target.size is not None:
        return st.binary(min_size=target.size, max_size=target.size).map(target.decode)

    def read(raw: bytes) -> Any:
        try:
            return (target.read(raw, 0)[0],)
        except ValueError:
            return None

    read_ones = st.binary(min_size=1, max_size=MOST_BYTES).map(read)
    return read_ones.filter(lambda found: found is not None).map(lambda found: found[0])


def _of_class(tp: Any, hints: Hints, depth: int) -> st.SearchStrategy[Any]:
    if tp in (None, type(None)):
        return st.none()
    if tp is bool:
        return st.booleans()
    if tp is bytes:
        return st.binary(max_size=MOST_BYTES)
    if tp is str:
        return st.text(max_size=12)
    if isinstance(tp, type) and issubclass(tp, IntEnum):
        return st.sampled_from(list(tp))
    if isinstance(tp, type) and issubclass(tp, Enumeration) and not hasattr(tp, "variant_index"):
        kinds = list(tp.VARIANTS.values())
        if not kinds:  # such a value cannot be
            return st.nothing()
        return st.sampled_from(kinds).flatmap(lambda kind: _record(kind, hints, depth))
    target = alias_target(tp)
    if target is not None:
        return _of_codec(target) if isinstance(target, Codec) else values_of(target, hints, depth)
    return _record(tp, hints, depth)


def _record(cls: type, hints: Hints, depth: int) -> st.SearchStrategy[Any]:
    fields = [values_of(tp, hints, depth) for _, tp in field_types(cls)]
    return st.tuples(*fields).map(lambda values: cls(*values))


def calls_of(runtime: Runtime, hints: Hints, depth: int = 3) -> st.SearchStrategy[RuntimeCall]:
    """Well-typed calls of any pallet, each call as often as any other.

    Calls within calls go `depth` deep; the innermost are remarks.
    """
    calls: st.SearchStrategy[RuntimeCall] = st.just(runtime.call("System", "remark", b""))
    for level in range(1, depth + 1):
        calls = _layer(runtime, dict(hints) | {RuntimeCall: calls}, level)
    return calls


def _layer(runtime: Runtime, hints: Hints, depth: int) -> st.SearchStrategy[RuntimeCall]:
    kinds = [
        (p.index, index, _arguments(entry.params, hints, depth))
        for p in runtime.pallets.values()
        for index, entry in p.calls.items()
    ]

    # A closure, because hypothesis would print all kinds as its argument.
    @st.composite
    def any_kind(draw: st.DrawFn) -> RuntimeCall:
        pallet, index, arguments = kinds[draw(st.integers(0, len(kinds) - 1))]
        return RuntimeCall(pallet, index, draw(arguments))

    return any_kind()


def _arguments(params: Any, hints: Hints, depth: int) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.deferred(lambda: st.tuples(*(values_of(tp, hints, depth) for _, tp in params)))
