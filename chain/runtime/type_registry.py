"""The portable type registry (scale-info): Python types to the type table of metadata.

Types are interned, numbered in the order they are first met. Clients resolve types by path,
so classes carry upstream's (`@scale_type`); one-field newtypes appear as their primitives.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import is_dataclass
from enum import IntEnum
from typing import Annotated, Any, NewType, Union, get_args, get_origin

from ganglion.scale import (
    COMPACT,
    RESULT,
    SORTED_MAP,
    SORTED_SET,
    Array,
    AtMost,
    Codec,
    Enumeration,
    Fixed,
    OpaqueOf,
    PackedOf,
    Sint,
    Uint,
    alias_target,
    codec,
    compact_encode,
    field_types,
)
from ganglion.units import I32F32, I64F64, I96F32, U64F64, U96F32, AccountId, Hash

PRIMITIVE = {"bool": 0, "char": 1, "str": 2, "u8": 3, "u16": 4, "u32": 5, "u64": 6, "u128": 7}
PRIMITIVE |= {"u256": 8, "i8": 9, "i16": 10, "i32": 11, "i64": 12, "i128": 13, "i256": 14}

PATHS: dict[Any, str] = {
    AccountId: "sp_core::crypto::AccountId32",
    Hash: "primitive_types::H256",
}

FIXED_POINT: dict[Any, str] = {
    U64F64: "substrate_fixed::FixedU128",
    U96F32: "substrate_fixed::FixedU128",
    I64F64: "substrate_fixed::FixedI128",
    I96F32: "substrate_fixed::FixedI128",
    I32F32: "substrate_fixed::FixedI64",
}
"""Fixed-point numbers keep upstream's struct: clients read their `bits`."""

Rows = list[tuple[str, int, list[tuple[str, Any]], str]]


def text(value: str) -> bytes:
    """SCALE of a string."""
    raw = value.encode()
    return compact_encode(len(raw)) + raw


def vec(items: list[bytes]) -> bytes:
    """SCALE of a vector of encoded items."""
    return compact_encode(len(items)) + b"".join(items)


def option(value: bytes | None) -> bytes:
    """SCALE of an Option of something encoded."""
    return b"\0" if value is None else b"\1" + value


def docs(doc: str) -> bytes:
    """Documentation lines."""
    return vec([text(line) for line in doc.splitlines()])


class TypeRegistry:
    """Interned types; `encoded()` is the `types` part of metadata."""

    def __init__(self) -> None:
        self.ids: dict[Any, int] = {}
        self.types: list[bytes] = []

    def encoded(self) -> bytes:
        """Vec<PortableType>."""
        return vec([compact_encode(i) + body for i, body in enumerate(self.types)])

    def ref(self, tp: Any) -> bytes:
        """Compact id of a type."""
        return compact_encode(self.of(tp))

    def add(
        self,
        key: Any,
        path: str,
        body: Callable[[], bytes],
        params: list[tuple[str, Any]] | None = None,
    ) -> int:
        """Intern a type under `key`; `body` is built after the id exists, so it may recur.

        `params` are the type's generic parameters: a name with a Python type, an id,
        or None for one that has no encoding.
        """
        known = self.ids.get(key)
        if known is not None:
            return known
        number = self.ids[key] = len(self.types)
        self.types.append(b"")
        head = vec([text(p) for p in path.split("::")]) if path else b"\0"
        generics = vec(
            [text(n) + (b"\0" if tp is None else b"\1" + self._id(tp)) for n, tp in params or []]
        )
        self.types[number] = head + generics + body() + b"\0"
        return number

    def _id(self, tp: Any) -> bytes:
        return compact_encode(tp) if isinstance(tp, int) else self.ref(tp)

    def of(self, tp: Any) -> int:
        """The id of a Python type; TypeError when SCALE cannot carry it."""
        special = getattr(tp, "__registry__", None)
        if special is not None:
            return int(special(self))
        if tp in PATHS if isinstance(tp, NewType) else False:
            return self.add(
                tp, PATHS[tp], lambda: b"\0" + vec([self.field(None, alias_target(tp))])
            )
        if tp in FIXED_POINT if isinstance(tp, NewType) else False:
            bits = alias_target(tp)
            return self.add(tp, FIXED_POINT[tp], lambda: self.composite([("bits", bits)]))
        if isinstance(tp, NewType):
            return self.of(alias_target(tp) or tp.__supertype__)
        origin, args = get_origin(tp), get_args(tp)
        if origin is Annotated:
            return self._annotated(tp, args)
        if origin in (Union, types.UnionType):
            inner = next(a for a in args if a is not type(None))
            return self._option(inner)
        if origin is tuple:
            return self._tuple(args)
        if tp in (bool, str):
            return self._primitive("bool" if tp is bool else "str")
        if tp is bytes:
            return self._sequence(Annotated[int, Uint(8)])
        if tp is type(None):
            return self._tuple(())
        return self._class(tp)

    def _primitive(self, name: str) -> int:
        return self.add(("primitive", name), "", lambda: b"\5" + bytes((PRIMITIVE[name],)))

    def _sequence(self, item: Any) -> int:
        inner = self.of(item)
        return self.add(("seq", inner), "", lambda: b"\2" + compact_encode(inner))

    def _array(self, item: Any, size: int) -> int:
        inner = self.of(item)
        return self.add(
            ("array", inner, size),
            "",
            lambda: b"\3" + size.to_bytes(4, "little") + compact_encode(inner),
        )

    def _tuple(self, args: tuple[Any, ...]) -> int:
        if len(args) == 2 and args[1] is Ellipsis:
            return self._sequence(args[0])
        inner = tuple(self.of(a) for a in args if a != ())
        return self.add(
            ("tuple", inner), "", lambda: b"\4" + vec([compact_encode(i) for i in inner])
        )

    def _option(self, item: Any) -> int:
        rows: Rows = [("None", 0, [], ""), ("Some", 1, [("_0", item)], "")]
        key = ("option", self.of(item))
        return self.add(key, "Option", lambda: self.variants(rows), [("T", item)])

    def _result(self, item: Any) -> int:
        rows: Rows = [("Ok", 0, [("_0", type(None))], ""), ("Err", 1, [("_0", item)], "")]
        generics = [("T", type(None)), ("E", item)]
        key = ("result", self.of(item))
        return self.add(key, "Result", lambda: self.variants(rows), generics)

    def _compact(self, item: Any) -> int:
        inner = self.of(item)
        return self.add(("compact", inner), "", lambda: b"\6" + compact_encode(inner))

    def _sorted_map(self, pairs: Any) -> int:
        key, value = get_args(get_args(pairs)[0])
        made = ("map", self.of(key), self.of(value))
        return self.add(
            made,
            "BTreeMap",
            lambda: b"\0" + vec([self.field(None, pairs)]),
            [("K", key), ("V", value)],
        )

    def _sorted_set(self, items: Any) -> int:
        """BTreeSet: like BoundedVec, clients wrap its value once more."""
        return self.add(
            ("set", self.of(items)),
            "BTreeSet",
            lambda: self.composite([("_0", items)]),
            [("T", get_args(items)[0])],
        )

    def _bounded(self, items: Any, weak: bool) -> int:
        """BoundedVec: clients tell it from a Vec by its path (and wrap its value once more)."""
        inner = self.of(items)
        item = Annotated[int, Uint(8)] if items is bytes else get_args(items)[0]
        path = "weak_bounded_vec::WeakBoundedVec" if weak else "bounded_vec::BoundedVec"
        return self.add(
            (path, inner),
            f"bounded_collections::{path}",
            lambda: self.composite([("_0", items)]),
            [("T", item), ("S", None)],
        )

    def _annotated(self, tp: Any, args: tuple[Any, ...]) -> int:
        byte = Annotated[int, Uint(8)]
        # Nested annotations arrive flattened, innermost mark first: the last one is about the rest.
        for k in range(len(args) - 1, 0, -1):
            mark, inner = args[k], args[0] if k == 1 else Annotated[args[:k]]
            match mark:
                case Uint(bits):
                    return self._primitive(f"u{bits}")
                case Sint(bits):
                    return self._primitive(f"i{bits}")
                case Fixed(size):
                    return self._array(byte, size)
                case Array(size):
                    return self._array(get_args(inner)[0], size)
                case AtMost(_, weak):
                    return self._bounded(inner, weak)
                case PackedOf(item):
                    return self._sequence(item)
                case OpaqueOf(of):
                    return self.of(of)
            if mark is COMPACT:
                return self._compact(inner)
            if mark is SORTED_MAP:
                return self._sorted_map(inner)
            if mark is SORTED_SET:
                return self._sorted_set(inner)
            if mark is RESULT:
                return self._result(next(a for a in get_args(inner) if a is not type(None)))
        return self.of(args[0])

    def _class(self, tp: Any) -> int:
        if tp in self.ids:  # the outer call, event and error types are interned first
            return self.ids[tp]
        path = getattr(tp, "scale_path", tp.__name__)
        if isinstance(tp, type) and issubclass(tp, Enumeration):
            rows: Rows = [
                (made.variant_name.rstrip("_"), i, field_types(made), "")  # type: ignore[attr-defined]
                for i, made in sorted(tp.VARIANTS.items())
            ]
            return self.add(
                tp, path, lambda: self.variants(rows), getattr(tp, "scale_params", None)
            )
        if isinstance(tp, type) and issubclass(tp, IntEnum):
            plain: Rows = [(m.name.rstrip("_"), int(m), [], "") for m in sorted(tp)]
            return self.add(tp, path, lambda: self.variants(plain))
        if is_dataclass(tp) and isinstance(tp, type):
            generics = getattr(tp, "scale_params", None)
            return self.add(tp, path, lambda: self.composite(field_types(tp)), generics)
        target = alias_target(tp)
        if target is not None and not isinstance(target, Codec):
            return self.of(target)
        raise TypeError(f"no metadata type for {tp!r}")

    def composite(self, fields: list[tuple[str, Any]]) -> bytes:
        """TypeDef of a struct."""
        return b"\0" + vec([self.field(name, tp) for name, tp in fields])

    def variants(self, rows: Rows) -> bytes:
        """TypeDef of a variant type: name, index, fields, doc."""
        return b"\1" + vec(
            [
                text(name)
                + vec([self.field(n, tp) for n, tp in fields])
                + bytes((index,))
                + docs(doc)
                for name, index, fields, doc in rows
            ]
        )

    def field(self, name: str | None, tp: Any) -> bytes:
        """A field; positional when its name is `_0`, `_1`, ..."""
        shown = None if name is None or name.lstrip("_").isdigit() else name.rstrip("_")
        named = option(text(shown) if shown else None)
        return named + self.ref(tp) + option(text(type_name(tp))) + b"\0"


def type_name(tp: Any) -> str:
    """How a field's type is spelled for people (and for polkadot.js's formatting)."""
    if isinstance(tp, NewType):
        return {"Rao": "TaoBalance", "Alpha": "AlphaBalance"}.get(tp.__name__, tp.__name__)
    if get_origin(tp) is Annotated and get_args(tp)[-1] is COMPACT:
        rest = get_args(tp)[:-1]
        return type_name(rest[0] if len(rest) == 1 else Annotated[rest])
    if isinstance(tp, type):
        return tp.__name__
    for mark in get_args(tp)[1:] if get_origin(tp) is Annotated else ():
        if isinstance(mark, OpaqueOf):
            return type_name(mark.of)
    return codec(tp).name
