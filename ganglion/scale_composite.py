"""Codecs of composite SCALE types: structs, tuples, vectors, arrays and variants.

Structs are compiled with `exec` into one expression per direction; a struct of fixed-width
unsigned integers uses a single `struct.Struct`, and vectors of such integers are packed and
unpacked in bulk.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import chain
from typing import Any

from ganglion.scale_base import MAX_DEPTH, Codec, DecodeError, compact_encode, compact_read

Parts = list[tuple[str, Codec[Any]]]

_LETTER = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q"}
_INTEGERS = frozenset(f"{sign}{8 << width}" for sign in "ui" for width in range(6))


def vec_codec(inner: Codec[Any]) -> Codec[Any]:
    """Vec<T> as a tuple."""
    name = f"Vec<{inner.name}>"
    letters = _letters(inner.name)
    if letters:
        return _bulk_vec(name, letters)
    encode_item, read_item = inner.encode, inner.read
    # Items of no size at all are refused in numbers that cost nothing to send.
    smallest = inner.size if inner.size is not None else 1

    def encode(value: Any) -> bytes:
        return compact_encode(len(value)) + b"".join(map(encode_item, value))

    def read(data: bytes, at: int) -> tuple[Any, int]:
        count, at = compact_read(data, at)
        if count * (smallest or 1) > len(data) - at:
            raise DecodeError(f"{name}: {count} items announced, {len(data) - at} bytes left")
        out = []
        for _ in range(count):
            value, at = read_item(data, at)
            out.append(value)
        return tuple(out), at

    return Codec(name, encode, read)


def _letters(name: str) -> str:
    """struct letters of an unsigned integer or of a tuple of them; empty when it is neither."""
    if name in _LETTER:
        return _LETTER[name]
    if name.startswith("(") and name.endswith(")"):
        parts = name[1:-1].split(",")
        if len(parts) > 1 and all(p in _LETTER for p in parts):
            return "".join(_LETTER[p] for p in parts)
    return ""


def _bulk_vec(name: str, letters: str) -> Codec[Any]:
    row = struct.Struct("<" + letters)
    width, single = row.size, len(letters) == 1
    pack, unpack_from, iter_unpack = struct.pack, struct.unpack_from, row.iter_unpack

    def encode(value: Any) -> bytes:
        flat = value if single else tuple(chain.from_iterable(value))
        try:
            body = pack(
                f"<{letters * len(value) if not single else f'{len(value)}{letters}'}", *flat
            )
        except struct.error as e:
            raise OverflowError(f"{name}: {e}") from e
        return compact_encode(len(value)) + body

    def read(data: bytes, at: int) -> tuple[Any, int]:
        count, at = compact_read(data, at)
        end = at + count * width
        if end > len(data):
            raise DecodeError(f"{name}: {count} items announced, {len(data) - at} bytes left")
        if single:
            return unpack_from(f"<{count}{letters}", data, at), end
        return tuple(iter_unpack(data[at:end])), end

    return Codec(name, encode, read)


def array_codec(inner: Codec[Any], size: int) -> Codec[Any]:
    """[T; size] as a tuple of `size` items."""
    name = f"[{inner.name}; {size}]"

    def encode(value: Any) -> bytes:
        if len(value) != size:
            raise ValueError(f"{name}: {len(value)} items")
        return b"".join(map(inner.encode, value))

    def read(data: bytes, at: int) -> tuple[Any, int]:
        out = []
        for _ in range(size):
            value, at = inner.read(data, at)
            out.append(value)
        return tuple(out), at

    return Codec(name, encode, read, None if inner.size is None else inner.size * size)


def tuple_codec(inner: list[Codec[Any]]) -> Codec[Any]:
    """(A, B, ...) as a tuple."""
    encoders = [c.encode for c in inner]
    readers = [c.read for c in inner]

    def encode(value: Any) -> bytes:
        if len(value) != len(encoders):
            raise ValueError(f"expected {len(encoders)} items, got {len(value)}")
        return b"".join(e(v) for e, v in zip(encoders, value, strict=True))

    def read(data: bytes, at: int) -> tuple[Any, int]:
        out = []
        for reader in readers:
            value, at = reader(data, at)
            out.append(value)
        return tuple(out), at

    return Codec("(" + ",".join(c.name for c in inner) + ")", encode, read, _sum_sizes(inner))


def _sum_sizes(parts: list[Codec[Any]]) -> int | None:
    total = 0
    for part in parts:
        if part.size is None:
            return None
        total += part.size
    return total


def struct_codec(cls: type, parts: Parts) -> Codec[Any]:
    """A frozen dataclass, field after field."""
    if len(parts) > 1 and all(c.name in _LETTER for _, c in parts):
        return _packed_struct(cls, parts)
    size = _sum_sizes([c for _, c in parts])
    encode, read = _compile_fields(cls, parts)
    return Codec(cls.__name__, encode, read, size)


def _packed_struct(cls: type, parts: Parts) -> Codec[Any]:
    row = struct.Struct("<" + "".join(_LETTER[c.name] for _, c in parts))
    values = ", ".join(f"v.{name}" for name, _ in parts)
    namespace: dict[str, Any] = {
        "pack": row.pack,
        "unpack": row.unpack_from,
        "cls": cls,
        "E": DecodeError,
        "W": struct.error,
        "O": OverflowError,
    }
    exec(
        "def encode(v):\n"
        f"    try: return pack({values})\n"
        f"    except W as e: raise O('{cls.__name__}: ' + str(e)) from e\n"
        "def read(b, i):\n"
        f"    j = i + {row.size}\n"
        f"    if j > len(b): raise E('{cls.__name__}: the data ends inside it')\n"
        "    return cls(*unpack(b, i)), j\n",
        namespace,
    )
    return Codec(cls.__name__, namespace["encode"], namespace["read"], row.size)


def _compile_fields(cls: type, parts: Parts) -> tuple[Any, Any]:
    namespace: dict[str, Any] = {"cls": cls}
    encode = " + ".join(_encoding(i, *part) for i, part in enumerate(parts)) or "b''"
    lines = [f"def encode(v): return {encode}", "def read(b, i):"]
    for i, (_, part) in enumerate(parts):
        namespace[f"e{i}"], namespace[f"r{i}"] = part.encode, part.read
        lines.append(f"    v{i}, i = r{i}(b, i)")
    lines.append(f"    return cls({', '.join(f'v{i}' for i in range(len(parts)))}), i")
    exec("\n".join(lines), namespace)
    return namespace["encode"], namespace["read"]


def _encoding(place: int, name: str, part: Codec[Any]) -> str:
    """The expression that encodes one field; integers and accounts need no call of their own."""
    if part.name in _INTEGERS:
        sign = ", signed=True" if part.name[0] == "i" else ""
        return f"v.{name}.to_bytes({part.size}, 'little'{sign})"
    if part.name == "[u8; 32]":
        return f"(v.{name} if len(v.{name}) == 32 else e{place}(v.{name}))"
    return f"e{place}(v.{name})"


def enumeration_codec(base: Any, parts_of: Callable[[type], Parts]) -> Codec[Any]:
    """A variant type: one index byte, then the fields of that variant.

    `base.VARIANTS` maps index to dataclass. Each variant is compiled at its first use,
    because a variant may contain its own type.
    """
    table: dict[int, Any] = {}
    depth = 0

    def compiled(index: int) -> Any:
        made = base.VARIANTS.get(index)
        if made is None:
            raise DecodeError(f"{base.__name__}: no variant {index}")
        parts = parts_of(made)
        is_flat = all(part.size is not None for _, part in parts)  # then nothing nests in it
        table[index] = (*_compile_fields(made, parts), is_flat)
        return table[index]

    def encode(value: Any) -> bytes:
        index = value.variant_index
        pair = table.get(index) or compiled(index)
        out: bytes = pair[0](value)
        return bytes((index,)) + out

    def read(data: bytes, at: int) -> tuple[Any, int]:
        nonlocal depth
        if at >= len(data):
            raise DecodeError(f"{base.__name__}: the data ends before it")
        _, read_fields, is_flat = table.get(data[at]) or compiled(data[at])
        if is_flat:
            return read_fields(data, at + 1)  # type: ignore[no-any-return]
        if depth >= MAX_DEPTH:
            raise DecodeError(f"{base.__name__}: nested deeper than {MAX_DEPTH}")
        depth += 1
        try:
            result: tuple[Any, int] = read_fields(data, at + 1)
        finally:
            depth -= 1
        return result

    return Codec(base.__name__, encode, read)
