"""The codec of the outer call and event enums: pallet, name and arguments.

Its variants are whole pallets, compiled as they are first met, and its values may hold values
of its own type.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from ganglion.errors import EncodeError
from ganglion.metadata_types import VariantDef
from ganglion.registry_composites import fields_codec, some_of
from ganglion.registry_leaves import shown
from ganglion.scale import Codec, DecodeError


class Types(Protocol):
    """What is asked of a registry."""

    def codec(self, type_id: int) -> Codec[Any]:
        """The codec of a type."""
        ...

    def variants(self, type_id: int) -> tuple[VariantDef, ...]:
        """The variants of an enum."""
        ...

    def deeper(self, error: type[Exception]) -> AbstractContextManager[None]:
        """Count one level of a type inside itself; raises `error` when there are too many."""
        ...


class _Outer:
    """One pallet's part of the outer call or event enum."""

    def __init__(self, types: Types, pallet: VariantDef) -> None:
        self.name, self.index = pallet.name, pallet.index
        self._types = types
        inner = pallet.fields[0].type if len(pallet.fields) == 1 else None
        variants = types.variants(inner) if inner is not None else ()
        self.by_index = {v.index: v for v in variants}
        self.by_name = {v.name: v for v in variants}
        self._codecs: dict[int, Codec[Any]] = {}

    def content(self, item: VariantDef) -> Codec[Any]:
        """Arguments: a dict when they have names, else always a tuple. Compiled at first use."""
        made = self._codecs.get(item.index)
        if made is None:
            parts = [self._types.codec(f.type) for f in item.fields]
            names = [f.name for f in item.fields if f.name is not None]
            made = fields_codec(names if len(names) == len(parts) else None, parts)
            self._codecs[item.index] = made
        return made


def outer_codec(types: Types, variants: tuple[VariantDef, ...]) -> Codec[Any]:
    """The outer call or event enum, as {"pallet", "name", "args"}.

    Calls hold calls; `types.deeper` ends their nesting.
    """
    pallets = [_Outer(types, v) for v in variants]
    by_index = {p.index: p for p in pallets}
    by_name = {p.name: p for p in pallets}

    def encode(value: Any) -> bytes:
        data = getattr(value, "data", value)
        if isinstance(data, bytes | bytearray):
            return bytes(data)
        if not isinstance(value, dict) or not {"pallet", "name"} <= set(value):
            raise EncodeError(f"{shown(value)} is no call: give pallet, name and args")
        pallet = by_name.get(value["pallet"])
        if pallet is None:
            raise EncodeError(f"no pallet {shown(value['pallet'])}: {some_of(by_name, 40)}")
        item = pallet.by_name.get(value["name"])
        if item is None:
            raise EncodeError(f"{pallet.name} has no {shown(value['name'])}")
        try:
            with types.deeper(EncodeError):
                args = pallet.content(item).encode(value.get("args", {}))
        except EncodeError as e:
            raise EncodeError(f"{pallet.name}.{item.name}: {e}") from e
        return bytes((pallet.index, item.index)) + args

    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        if at + 2 > len(data):
            raise DecodeError("call or event: the data ends before it")
        pallet = by_index.get(data[at])
        if pallet is None:
            raise DecodeError(f"call or event: no pallet {data[at]}")
        item = pallet.by_index.get(data[at + 1])
        if item is None:
            raise DecodeError(f"call or event: {pallet.name} has no item {data[at + 1]}")
        with types.deeper(DecodeError):
            args, at = pallet.content(item).read(data, at + 2)
        return {"pallet": pallet.name, "name": item.name, "args": args}, at

    return Codec("call or event", encode, read)
