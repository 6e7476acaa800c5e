"""Storage values as JSON: what developers type and read in place of SCALE.

Numbers may be given as decimal or hex strings, accounts as addresses, enums by name, structs by
field; a struct may leave fields out, which then keep what they are. Every value may also be
given as the hex of its SCALE encoding in `{"raw": "0x.."}`.
"""

from __future__ import annotations

import types
from binascii import unhexlify
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from enum import IntEnum
from typing import Annotated, Any, NewType, Union, get_args, get_origin

from chain.runtime.types import Id, MultiAddress
from ganglion import ss58
from ganglion.errors import InvalidAddress
from ganglion.scale import (
    DecodeError,
    Enumeration,
    OpaqueOf,
    PackedOf,
    alias_target,
    codec,
    field_types,
)
from ganglion.units import AccountId


class BadValue(ValueError):
    """A JSON value does not fit the storage item's type; the text says where and why."""


def to_json(value: Any) -> Any:
    """A decoded storage value as JSON; bytes become hex."""
    if isinstance(value, IntEnum):
        return value.name
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if -(2**53) < value < 2**53 else str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return "0x" + bytes(value).hex()
    if isinstance(value, tuple | list):
        return [to_json(v) for v in value]
    if is_dataclass(value):
        return _dataclass_json(value)
    return repr(value)


def _dataclass_json(value: Any) -> Any:
    names = [f.name for f in fields(value)]
    values = [to_json(getattr(value, name)) for name in names]
    inner: Any = {name.rstrip("_"): v for name, v in zip(names, values, strict=True)}
    if names and names == _positional(len(names)):
        inner = values[0] if len(values) == 1 else values
    if not isinstance(value, Enumeration):
        return inner
    name = getattr(type(value), "variant_name", type(value).__name__)
    return {name: inner} if names else name


def _positional(count: int) -> list[str]:
    """Names of fields that have none on chain."""
    return [f"_{i}" for i in range(count)]


def from_json(tp: Any, value: Any, old: Any = None) -> Any:
    """`value` as the Python form of type `tp`; `old` fills fields a struct leaves out."""
    if isinstance(value, dict) and list(value) == ["raw"]:
        return _raw(tp, value["raw"])
    if tp is AccountId:
        return _account(value)
    if isinstance(tp, NewType):
        target = alias_target(tp)
        return from_json(tp.__supertype__ if target is None else target, value, old)
    origin, args = get_origin(tp), get_args(tp)
    if origin is Annotated:
        return _annotated(args[0], args[1:], tp, value)
    if origin in (Union, types.UnionType):
        inner = next(a for a in args if a is not type(None))
        return None if value is None else from_json(inner, value, old)
    if origin is tuple:
        return _tuple(args, value)
    if isinstance(tp, type):
        return _by_class(tp, value, old)
    return _raw(tp, value)


def _raw(tp: Any, value: Any) -> Any:
    try:
        return codec(tp).decode(_hex(value))
    except DecodeError as error:
        raise BadValue(f"not the encoding of this type: {error}") from None


def _hex(value: Any) -> bytes:
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return unhexlify(value[2:])
        except ValueError:
            pass
    raise BadValue(f"expected hex digits after 0x, got {_shown(value)}")


def _account(value: Any) -> AccountId:
    if isinstance(value, str) and not value.startswith("0x"):
        try:
            return ss58.decode(value)
        except InvalidAddress as error:
            raise BadValue(str(error)) from None
    raw = _hex(value)
    if len(raw) != 32:
        raise BadValue(f"an account has 32 bytes, not {len(raw)}")
    return AccountId(raw)


def _annotated(inner: Any, marks: tuple[Any, ...], tp: Any, value: Any) -> Any:
    for mark in marks:
        if isinstance(mark, PackedOf) and isinstance(value, list):
            item = codec(mark.item)
            return b"".join(item.encode(from_json(mark.item, v)) for v in value)
        if isinstance(mark, OpaqueOf):
            return _hex(value)
    made = from_json(inner, value)
    try:
        codec(tp).encode(made)
    except (OverflowError, ValueError) as error:
        raise BadValue(f"{_shown(value)} does not fit: {error}") from None
    return made


def _tuple(args: tuple[Any, ...], value: Any) -> Any:
    if not isinstance(value, list):
        raise BadValue(f"expected an array, got {_shown(value)}")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(from_json(args[0], v) for v in value)
    if len(value) != len(args):
        raise BadValue(f"expected {len(args)} entries, got {len(value)}")
    return tuple(from_json(a, v) for a, v in zip(args, value, strict=True))


def _by_class(tp: type, value: Any, old: Any) -> Any:
    if issubclass(tp, Enumeration):
        return _enumeration(tp, value)
    if issubclass(tp, IntEnum):
        return _named(tp, value)
    if is_dataclass(tp):
        return _struct(tp, value, old)
    plain = _PLAIN.get(tp)
    return _raw(tp, value) if plain is None else plain(value)


def _enumeration(tp: Any, value: Any) -> Any:
    if tp is MultiAddress and isinstance(value, str):
        return Id(_account(value))
    name, inner = (value, {}) if isinstance(value, str) else _single(value)
    for made in tp.VARIANTS.values():
        if made.variant_name == name:
            return _struct(made, inner, None)
    raise BadValue(f"no variant {_shown(name)}; there are {_names(tp.VARIANTS.values())}")


def _single(value: Any) -> tuple[str, Any]:
    if isinstance(value, dict) and len(value) == 1:
        name, inner = next(iter(value.items()))
        return str(name), inner
    raise BadValue(f"expected a variant's name or {{name: fields}}, got {_shown(value)}")


def _names(variants: Any) -> str:
    return ", ".join(v.variant_name for v in variants)


def _named(tp: Any, value: Any) -> Any:
    for member in tp:
        if value in (member.name, int(member)):
            return member
    raise BadValue(f"no variant {_shown(value)}; there are {', '.join(m.name for m in tp)}")


def _struct(tp: Any, value: Any, old: Any) -> Any:
    names = [f.name for f in fields(tp)]
    if names == ["_0"]:
        value = {"_0": value}
    elif isinstance(value, list) and len(value) == len(names):
        value = dict(zip(names, value, strict=True))
    if not isinstance(value, dict):
        raise BadValue(f"expected an object of {tp.__name__}'s fields, got {_shown(value)}")
    known = {name.rstrip("_"): (name, hint) for name, hint in field_types(tp)}
    unknown = [k for k in value if k not in known]
    if unknown:
        raise BadValue(f"{tp.__name__} has no field {unknown[0]!r}, only {', '.join(known)}")
    changed = {}
    for key, entry in value.items():
        name, hint = known[key]
        changed[name] = from_json(hint, entry, getattr(old, name, None))
    if old is not None:
        return replace(old, **changed)
    missing = [k for k, (name, _) in known.items() if name not in changed]
    if missing:
        raise BadValue(f"{tp.__name__} needs the field {missing[0]!r}")
    return tp(**changed)


def _int(value: Any) -> int:
    if type(value) is int:
        return value
    if isinstance(value, str):
        try:
            return int(value, 0)
        except ValueError:
            pass
    raise BadValue(f"expected a number, got {_shown(value)}")


def _bool(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise BadValue(f"expected true or false, got {_shown(value)}")


def _str(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise BadValue(f"expected a string, got {_shown(value)}")


def _bytes(value: Any) -> bytes:
    if isinstance(value, str) and not value.startswith("0x"):
        return value.encode()
    return _hex(value)


_PLAIN: dict[type, Callable[[Any], Any]] = {int: _int, bool: _bool, str: _str, bytes: _bytes}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "..."
