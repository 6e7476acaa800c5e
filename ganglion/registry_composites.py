"""Codecs of structs, enums, lists, maps and options of a portable registry.

Readers of structs are generated with `exec`, one assignment a field, because metagraphs are
tens of thousands of fields; writers are plain loops that can say which field was wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ganglion import registry_leaves as leaf
from ganglion.errors import EncodeError, MetadataError
from ganglion.registry_leaves import shown
from ganglion.scale import Codec, DecodeError, compact_encode, compact_read

MAX_EMPTY_ITEMS = 256
"""How many items without any bytes an array may have: they cost nothing to send."""


def fields_codec(names: list[str] | None, parts: list[Codec[Any]]) -> Codec[Any]:
    """Fields one after the other: a dict when they have names, else a tuple."""
    sizes = [p.size for p in parts]
    size = None if None in sizes else sum(s or 0 for s in sizes)
    label = "struct" if names is not None else "(" + ", ".join(p.name for p in parts) + ")"
    return Codec(label, _fields_writer(names, parts), _fields_reader(names, parts), size)


def _fields_reader(names: list[str] | None, parts: list[Codec[Any]]) -> Any:
    namespace: dict[str, Any] = {}
    lines = ["def read(b, i):"]
    for n, part in enumerate(parts):
        namespace[f"r{n}"] = part.read
        lines.append(f"    v{n}, i = r{n}(b, i)")
    values = [f"v{n}" for n in range(len(parts))]
    if names is None:
        made = "(" + ", ".join(values) + ",)"
    else:
        made = "{" + ", ".join(f"{k!r}: {v}" for k, v in zip(names, values, strict=True)) + "}"
    exec("\n".join([*lines, f"    return {made}, i"]), namespace)
    return namespace["read"]


def _fields_writer(names: list[str] | None, parts: list[Codec[Any]]) -> Any:
    labels = [str(n) for n in range(len(parts))] if names is None else names

    def encode(value: Any) -> bytes:
        if names is not None and isinstance(value, dict):
            values: Any = _ordered(names, value)
        else:
            values = leaf.as_items(value)
            if len(values) != len(parts):
                raise EncodeError(f"{shown(value)} has {len(values)} parts, not {len(parts)}")
        out = []
        for label, part, item in zip(labels, parts, values, strict=True):
            try:
                out.append(part.encode(item))
            except EncodeError as e:
                raise EncodeError(f"{label}: {e}") from e
        return b"".join(out)

    return encode


def _ordered(names: list[str], given: dict[str, Any]) -> list[Any]:
    missing = [n for n in names if n not in given]
    extra = [str(n) for n in given if n not in names]
    if missing or extra:
        wrong = f"{', '.join(missing)} is missing" if missing else f"{', '.join(extra)} is unknown"
        raise EncodeError(f"{wrong}; the fields are {', '.join(names)}")
    return [given[n] for n in names]


def list_codec(inner: Codec[Any], size: int | None) -> Codec[Any]:
    """A Vec (`size=None`) or an array, as a list."""
    letters = leaf.LETTERS.get(inner.name)
    if letters is not None and size is None:
        return leaf.bulk_list(letters, inner.name)
    if size is not None and not inner.size and inner.size is not None and size > MAX_EMPTY_ITEMS:
        raise MetadataError(f"an array of {size} items without any bytes is not supported")
    name = f"Vec<{inner.name}>" if size is None else f"[{inner.name}; {size}]"
    smallest = inner.size or 1
    read_item = inner.read

    def encode(value: Any) -> bytes:
        items = leaf.as_items(value)
        if size is not None and len(items) != size:
            raise EncodeError(f"{shown(value)} has {len(items)} items, not {size}")
        out = [] if size is not None else [compact_encode(len(items))]
        for n, item in enumerate(items):
            try:
                out.append(inner.encode(item))
            except EncodeError as e:
                raise EncodeError(f"item {n}: {e}") from e
        return b"".join(out)

    def read(data: bytes, at: int) -> tuple[list[Any], int]:
        if size is None:
            count, at = compact_read(data, at)
        else:
            count = size
        if (size is None or inner.size != 0) and count * smallest > len(data) - at:
            raise DecodeError(f"{name}: {count} items announced, {len(data) - at} bytes left")
        out = []
        for _ in range(count):
            value, at = read_item(data, at)
            out.append(value)
        return out, at

    fixed = None if size is None or inner.size is None else size * inner.size
    return Codec(name, encode, read, fixed)


def map_codec(key: Codec[Any], value: Codec[Any]) -> Codec[Any]:
    """BTreeMap as a dict; a key twice is refused.

    The order of the wire is kept both ways: chains write maps sorted and accept any order.
    """
    pairs = list_codec(fields_codec(None, [key, value]), None)

    def encode(given: Any) -> bytes:
        return pairs.encode(list(given.items()) if isinstance(given, dict) else given)

    def read(data: bytes, at: int) -> tuple[dict[Any, Any], int]:
        items, at = pairs.read(data, at)
        try:
            out = dict(items)
        except TypeError as e:
            raise DecodeError("map: its keys are structs, which no dict can hold") from e
        if len(out) != len(items):
            raise DecodeError("map: a key stands twice")
        return out, at

    return Codec(f"BTreeMap<{key.name}, {value.name}>", encode, read)


def option_codec(inner: Codec[Any]) -> Codec[Any]:
    """Option: None or the content; content that may itself be None is wrapped in {"Some": ...}."""
    wrap = inner.name.startswith("Option<")
    read_inner = inner.read

    def encode(value: Any) -> bytes:
        if value is None:
            return b"\0"
        if wrap and isinstance(value, dict) and list(value) == ["Some"]:
            value = value["Some"]
        return b"\1" + inner.encode(value)

    def read(data: bytes, at: int) -> tuple[Any, int]:
        if at >= len(data):
            raise DecodeError("Option: the data ends before it")
        tag = data[at]
        if tag == 0:
            return None, at + 1
        if tag != 1:
            raise DecodeError(f"Option: {tag} is neither 0 nor 1")
        value, at = read_inner(data, at + 1)
        return ({"Some": value} if wrap else value), at

    return Codec(f"Option<{inner.name}>", encode, read)


Table = dict[int, tuple[str, Codec[Any] | None]]


def variant_codec(name: str, table: Table) -> Codec[Any]:
    """An enum: the variant's name, or {name: content} when it has fields."""
    by_name = {label: (index, content) for index, (label, content) in table.items()}

    def encode(value: Any) -> bytes:
        if isinstance(value, dict) and len(value) == 1:
            [(label, inner)] = value.items()
        else:
            label, inner = value, None
        found = by_name.get(label) if isinstance(label, str) else None
        if found is None:
            raise EncodeError(f"{shown(label)} is no {name}: {some_of(by_name)}")
        index, content = found
        if content is None:
            return bytes((index,))
        try:
            return bytes((index,)) + content.encode(inner)
        except EncodeError as e:
            raise EncodeError(f"{label}: {e}") from e

    def read(data: bytes, at: int) -> tuple[Any, int]:
        if at >= len(data):
            raise DecodeError(f"{name}: the data ends before it")
        found = table.get(data[at])
        if found is None:
            raise DecodeError(f"{name}: no variant {data[at]}")
        label, content = found
        if content is None:
            return label, at + 1
        value, at = content.read(data, at + 1)
        return {label: value}, at

    size = 1 if all(content is None for _, content in table.values()) else None
    return Codec(name, encode, read, size)


def some_of(names: Iterable[str], most: int = 12) -> str:
    """The first of some names, for an error."""
    known = list(names)
    return ", ".join(known[:most]) + (", ..." if len(known) > most else "")
