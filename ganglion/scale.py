"""SCALE codecs compiled from Python types.

`codec(tp)` builds, once per type, a pair of plain functions: `encode(value) -> bytes` and
`read(buffer, offset) -> (value, offset)`. Decoding is strict: a short buffer, an unknown
variant, a boolean other than 0 or 1 and trailing bytes raise `DecodeError`, and a length
prefix is compared with the bytes at hand before anything is allocated.

| Python type | SCALE |
|---|---|
| `u8` .. `u256`, `i8` .. `i128`, `bool` | fixed width, little-endian |
| `Compact[u64]` | compact integer |
| `bytes`, `str` | length prefix and bytes |
| `Annotated[bytes, Fixed(32)]` | exactly 32 bytes |
| `T | None` | Option |
| `tuple[T, ...]`, `tuple[A, B]` | Vec, tuple |
| `Annotated[tuple[T, ...], Array(4)]` | array of a fixed length |
| `Annotated[bytes, AtMost(512)]` | BoundedVec |
| frozen dataclass | composite |
| `IntEnum` subclass | variant without fields |
| subclasses of `Enumeration` under `@variant(i)` | variant with fields |
| `Outcome[E]` | Result<(), E>, with None for Ok |
| `Packed16`, `PackedPairs`, ... | Vec of fixed-size items kept as their raw bytes |
| `Opaque[T]` | any T kept as its encoded bytes |
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum
from functools import cache
from typing import (
    Annotated,
    Any,
    ClassVar,
    NewType,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from ganglion.scale_base import MAX_DEPTH as MAX_DEPTH
from ganglion.scale_base import Codec as Codec
from ganglion.scale_base import DecodeError as DecodeError
from ganglion.scale_base import compact_encode as compact_encode
from ganglion.scale_base import compact_read as compact_read
from ganglion.scale_base import record as record
from ganglion.scale_base import slotted as slotted
from ganglion.scale_composite import (
    array_codec,
    enumeration_codec,
    struct_codec,
    tuple_codec,
    vec_codec,
)

T = TypeVar("T")
C = TypeVar("C", bound=type)


@dataclass(frozen=True)
class Uint:
    """Marks an unsigned integer of `bits` bits."""

    bits: int


@dataclass(frozen=True)
class Sint:
    """Marks a signed integer of `bits` bits."""

    bits: int


@dataclass(frozen=True)
class Fixed:
    """Marks bytes of exactly `size`."""

    size: int


@dataclass(frozen=True)
class Array:
    """Marks a tuple of exactly `size` items."""

    size: int


@dataclass(frozen=True)
class AtMost:
    """Marks bytes or a Vec of at most `size` items; a longer one does not decode.

    `weak` is upstream's WeakBoundedVec: a longer one decodes all the same.
    """

    size: int
    weak: bool = False


@dataclass(frozen=True)
class PackedOf:
    """Marks bytes that hold the items of a Vec back to back; `item` is their SCALE type."""

    item: Any
    width: int


@dataclass(frozen=True)
class OpaqueOf:
    """Marks bytes that are already the encoding of some type.

    With `whole`, decoding takes all that is left without looking: for a storage value only.
    """

    of: Any
    whole: bool = False


class _Compact:
    """Marks an integer that is encoded compactly."""


class _Result:
    """Marks an optional error that is encoded as Result<(), E>."""


class _SortedMap:
    """Marks a Vec of pairs that is a BTreeMap, sorted by key; the encoding is the same."""


class _SortedSet:
    """Marks a Vec that is a BTreeSet, sorted; the encoding is the same."""


COMPACT = _Compact()
RESULT = _Result()
SORTED_MAP = _SortedMap()
SORTED_SET = _SortedSet()

Compact = Annotated[T, COMPACT]
Outcome = Annotated[Union[T, None], RESULT]  # noqa: UP007 - a generic alias needs Union

u8 = Annotated[int, Uint(8)]
u16 = Annotated[int, Uint(16)]
u32 = Annotated[int, Uint(32)]
u64 = Annotated[int, Uint(64)]
u128 = Annotated[int, Uint(128)]
u256 = Annotated[int, Uint(256)]
i8 = Annotated[int, Sint(8)]
i16 = Annotated[int, Sint(16)]
i32 = Annotated[int, Sint(32)]
i64 = Annotated[int, Sint(64)]
i128 = Annotated[int, Sint(128)]
H256 = Annotated[bytes, Fixed(32)]

PackedBool = Annotated[bytes, PackedOf(bool, 1)]
Packed16 = Annotated[bytes, PackedOf(u16, 2)]
Packed64 = Annotated[bytes, PackedOf(u64, 8)]
PackedPairs = Annotated[bytes, PackedOf(tuple[u16, u16], 4)]
"""A weight or bond row: u16 index and u16 value, four bytes a pair, no length prefix."""


_FORWARD: dict[Any, Any] = {}
"""NewTypes and late-bound types with what they stand for; filled while modules load."""


def alias_codec(name: Any, target: Any) -> None:
    """Give a NewType (or a class of a later layer) the encoding of `target`, a type or a Codec."""
    _FORWARD[name] = target


def alias_target(name: Any) -> Any:
    """What `alias_codec` recorded for a type, or None."""
    try:
        return _FORWARD.get(name)
    except TypeError:
        return None


class Enumeration:
    """Base of a variant type: subclass it once for the type, then once per `@variant(i)`."""

    __slots__ = ()
    VARIANTS: ClassVar[dict[int, type]]
    variant_index: ClassVar[int]


@dataclass_transform(frozen_default=True)
def variant(index: int, name: str | None = None) -> Callable[[C], C]:
    """Make a class one variant (a frozen dataclass) of the `Enumeration` it derives from.

    Fields named `_0`, `_1`, ... are positional in metadata. `name` is the on-chain spelling
    when Python cannot use it (`None`, for one).
    """

    def mark(cls: C) -> C:
        made: Any = record(cls)
        parent: Any = cls.__mro__[1]
        table = parent.__dict__.get("VARIANTS")
        if table is None:
            table = {}
            parent.VARIANTS = table
        if index in table:
            raise ValueError(f"{parent.__name__}: variant {index} is declared twice")
        made.variant_index = index
        made.variant_name = name or cls.__name__
        table[index] = made
        return made  # type: ignore[no-any-return]

    return mark


def scale_type(path: str) -> Callable[[C], C]:
    """Record the type path under which metadata shows a class, e.g. `frame_system::Phase`."""

    def mark(cls: C) -> C:
        target: Any = cls
        target.scale_path = path
        return cls

    return mark


def _integer(bits: int, signed: bool) -> Codec[int]:
    width, name = bits // 8, f"{'i' if signed else 'u'}{bits}"
    # Generated so that neither width nor sign is looked up per value.
    namespace: dict[str, Any] = {"E": DecodeError}
    sign = (
        ", signed=True" if signed else ""
    )  # a keyword that is not needed costs as much as the rest
    exec(
        f"def encode(v): return v.to_bytes({width}, 'little'{sign})\n"
        f"def read(b, i):\n"
        f"    j = i + {width}\n"
        f"    if j > len(b): raise E('{name}: the data ends inside it')\n"
        f"    return int.from_bytes(b[i:j], 'little'{sign}), j\n",
        namespace,
    )
    return Codec(name, namespace["encode"], namespace["read"], width)


def _fixed(size: int) -> Codec[bytes]:
    def encode(value: bytes) -> bytes:
        if len(value) != size:
            raise ValueError(f"expected {size} bytes, got {len(value)}")
        return bytes(value)

    def read(data: bytes, at: int) -> tuple[bytes, int]:
        end = at + size
        if end > len(data):
            raise DecodeError(f"[u8; {size}]: the data ends inside it")
        return data[at:end], end

    return Codec(f"[u8; {size}]", encode, read, size)


def _read_bool(data: bytes, at: int) -> tuple[bool, int]:
    if at >= len(data):
        raise DecodeError("bool: the data ends before it")
    if data[at] > 1:
        raise DecodeError(f"bool: {data[at]} is neither 0 nor 1")
    return data[at] == 1, at + 1


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = compact_read(data, at)
    if at + size > len(data):
        raise DecodeError(f"bytes: {size} announced, {len(data) - at} left")
    return data[at : at + size], at + size


def _read_str(data: bytes, at: int) -> tuple[str, int]:
    raw, at = _read_bytes(data, at)
    try:
        return raw.decode(), at
    except UnicodeDecodeError as e:
        raise DecodeError("str: not UTF-8") from e


def _encode_bytes(value: bytes) -> bytes:
    return compact_encode(len(value)) + value


def _optional(inner: Codec[Any]) -> Codec[Any]:
    encode_inner, read_inner = inner.encode, inner.read

    def encode(value: Any) -> bytes:
        return b"\0" if value is None else b"\1" + encode_inner(value)

    def read(data: bytes, at: int) -> tuple[Any, int]:
        some, at = _read_bool(data, at)
        return read_inner(data, at) if some else (None, at)

    return Codec(f"Option<{inner.name}>", encode, read)


def _result(inner: Codec[Any]) -> Codec[Any]:
    option = _optional(inner)
    return Codec(f"Result<(), {inner.name}>", option.encode, option.read)


def _packed(mark: PackedOf) -> Codec[bytes]:
    width, name = mark.width, f"Vec<{codec(mark.item).name}>"

    def encode(value: bytes) -> bytes:
        count, rest = divmod(len(value), width)
        if rest:
            raise ValueError(f"{name}: {len(value)} bytes are no multiple of {width}")
        return compact_encode(count) + value

    def read(data: bytes, at: int) -> tuple[bytes, int]:
        count, at = compact_read(data, at)
        end = at + count * width
        if end > len(data):
            raise DecodeError(f"{name}: {count} items announced, too few bytes left")
        return data[at:end], end

    return Codec(name, encode, read)


def _at_most(inner: Codec[Any], limit: int) -> Codec[Any]:
    read_inner, name = inner.read, inner.name

    def read(data: bytes, at: int) -> tuple[Any, int]:
        value, end = read_inner(data, at)
        if len(value) > limit:
            raise DecodeError(f"{name}: {len(value)} items, the limit is {limit}")
        return value, end

    return Codec(name, inner.encode, read)


def _read_rest(data: bytes, at: int) -> tuple[bytes, int]:
    return data[at:], len(data)


def _opaque(tp: Any) -> Codec[bytes]:
    inner: Codec[Any] | None = None

    def read(data: bytes, at: int) -> tuple[bytes, int]:
        nonlocal inner
        inner = inner or codec(tp)
        end = inner.read(data, at)[1]
        return data[at:end], end

    return Codec("opaque", bytes, read)


@cache
def codec(tp: Any) -> Codec[Any]:
    """The codec of a type; raises TypeError for a type that SCALE cannot carry."""
    target = alias_target(tp)
    if target is not None:
        return target if isinstance(target, Codec) else codec(target)
    origin, args = get_origin(tp), get_args(tp)
    if origin is Annotated:
        return _annotated(args)
    if origin in (Union, types.UnionType):
        return _optional(codec(_not_none(args)))
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return vec_codec(codec(args[0]))
        return tuple_codec([codec(a) for a in args if a != ()])
    simple = _SIMPLE.get(tp)
    if simple is not None:
        return simple
    if isinstance(tp, type):
        return _class_codec(tp)
    if isinstance(tp, NewType):
        return codec(tp.__supertype__)
    raise TypeError(f"no SCALE codec for {tp!r}")


def _not_none(args: tuple[Any, ...]) -> Any:
    rest = [a for a in args if a is not type(None)]
    if len(rest) != 1 or len(args) != 2:
        raise TypeError(f"only `T | None` has a SCALE codec, not a union of {args}")
    return rest[0]


def _annotated(args: tuple[Any, ...]) -> Codec[Any]:
    # Nested annotations arrive flattened, innermost mark first: the last one is about the rest.
    for k in range(len(args) - 1, 0, -1):
        inner = args[0] if k == 1 else Annotated[args[:k]]
        match args[k]:
            case Uint(bits):
                return _integer(bits, signed=False)
            case Sint(bits):
                return _integer(bits, signed=True)
            case Fixed(size):
                return _fixed(size)
            case Array(size):
                return array_codec(codec(get_args(inner)[0]), size)
            case AtMost(limit, weak):
                return codec(inner) if weak else _at_most(codec(inner), limit)
            case PackedOf() as mark:
                return _packed(mark)
            case OpaqueOf(of, whole):
                return Codec("opaque", bytes, _read_rest) if whole else _opaque(of)
            case _Compact():
                return _compact_of(inner)
            case _Result():
                return _result(codec(_not_none(get_args(inner))))
    return codec(args[0])


def _compact_of(tp: Any) -> Codec[Any]:
    if tp is type(None):  # Compact<()> takes no bytes
        return _SIMPLE[tp]
    width = codec(tp).size
    if width is None:
        raise TypeError(f"Compact wants an integer type, not {tp!r}")
    limit = 1 << 8 * width

    def read(data: bytes, at: int) -> tuple[int, int]:
        value, at = compact_read(data, at)
        if value >= limit:
            raise DecodeError(f"compact integer: {value} does not fit {8 * width} bits")
        return value, at

    return Codec(f"Compact<u{8 * width}>", compact_encode, read)


def _class_codec(tp: type) -> Codec[Any]:
    if issubclass(tp, Enumeration):
        if "variant_index" in tp.__dict__:
            return codec(tp.__mro__[1])
        return enumeration_codec(tp, lambda made: _parts(made))
    if issubclass(tp, IntEnum):
        return _plain_enum(tp)
    if is_dataclass(tp):
        return struct_codec(tp, _parts(tp))
    raise TypeError(f"no SCALE codec for {tp!r}")


def _plain_enum(tp: type[IntEnum]) -> Codec[Any]:
    members = {int(m): m for m in tp}

    def encode(value: IntEnum) -> bytes:
        return bytes((value,))

    def read(data: bytes, at: int) -> tuple[Any, int]:
        if at >= len(data):
            raise DecodeError(f"{tp.__name__}: the data ends before it")
        member = members.get(data[at])
        if member is None:
            raise DecodeError(f"{tp.__name__}: no variant {data[at]}")
        return member, at + 1

    return Codec(tp.__name__, encode, read, 1)


def field_types(cls: type) -> list[tuple[str, Any]]:
    """Names and annotated types of a dataclass, in encoding order."""
    hints = get_type_hints(cls, include_extras=True)
    return [(f.name, hints[f.name]) for f in fields(cls)]


def _parts(cls: type) -> list[tuple[str, Codec[Any]]]:
    return [(name, codec(tp)) for name, tp in field_types(cls)]


def Opaque(tp: Any) -> Any:  # noqa: N802 - used as a type
    """Annotation for bytes that already are the encoding of `tp`."""
    return Annotated[bytes, OpaqueOf(tp)]


_SIMPLE: dict[Any, Codec[Any]] = {
    bool: Codec("bool", lambda v: b"\1" if v else b"\0", _read_bool, 1),
    bytes: Codec("Vec<u8>", _encode_bytes, _read_bytes),
    str: Codec("str", lambda v: _encode_bytes(v.encode()), _read_str),
    type(None): Codec("()", lambda v: b"", lambda b, i: (None, i), 0),
}
