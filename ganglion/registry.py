"""The portable type registry compiled to codecs at run time.

`Registry.codec(type_id)` turns a scale-info type into the pair of functions of `ganglion.scale`,
once per type. Shapes (the leaves are in `registry_leaves`):

| on chain | decoded |
|---|---|
| struct with names | dict |
| struct of one unnamed field | that field |
| struct of several unnamed fields, tuple | tuple |
| enum | name, or {name: content} |
| Option | None or the content; an Option in an Option as {"Some": ...} |
| Vec, array, set | list |
| BTreeMap | dict |
| outer call or event | {"pallet", "name", "args"} |

Encoding takes the same shapes; a call may also be given as its bytes or a `Call`.
Decoding is strict: unknown variants, missing bytes, endless nesting and counts beyond the data
raise DecodeError before anything large is built.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from ganglion import registry_leaves as leaf
from ganglion import ss58
from ganglion.errors import EncodeError, MetadataError
from ganglion.metadata import Metadata
from ganglion.metadata_types import (
    ArrayOf,
    BitSequence,
    CompactOf,
    Composite,
    Field,
    PortableType,
    Primitive,
    PrimitiveKind,
    Sequence,
    TupleOf,
    Variant,
    VariantDef,
)
from ganglion.registry_composites import (
    fields_codec,
    list_codec,
    map_codec,
    option_codec,
    variant_codec,
)
from ganglion.registry_outer import outer_codec
from ganglion.scale import MAX_DEPTH, Codec, DecodeError

MAX_TYPE_DEPTH = 64
"""The longest chain of types within types that is compiled; a real one has about ten."""

_ACCOUNT = ("sp_core", "crypto", "AccountId32")
_MULTI_ADDRESS = ("sp_runtime", "multiaddress", "MultiAddress")
_U256 = ("primitive_types", "U256")


@dataclass(frozen=True, slots=True)
class Call:
    """A composed call: its names and arguments, and the bytes that stand for them."""

    pallet: str
    name: str
    args: dict[str, Any] = field(hash=False)
    data: bytes

    def __str__(self) -> str:
        return f"{self.pallet}.{self.name}"


class Registry:
    """Codecs for the types of one metadata.

    `wide_compacts` accepts compact integers beyond the width of their type, as bittensor's own
    codec does; a Substrate node refuses them, and so does this one unless asked.
    """

    def __init__(
        self,
        metadata: Metadata,
        ss58_prefix: int = ss58.DEFAULT_PREFIX,
        *,
        wide_compacts: bool = False,
    ) -> None:
        self._wide_compacts = wide_compacts
        self._types = metadata.types
        self._outer = {metadata.call_type, metadata.event_type}
        self._account = leaf.account(ss58_prefix)
        self._done: dict[int, Codec[Any]] = {}
        self._open: list[int] = []
        self._nesting = _Nesting()

    def definition(self, type_id: int) -> PortableType:
        """A type of the registry; raises MetadataError for an id it does not have."""
        found = self._types.get(type_id)
        if found is None:
            raise MetadataError(f"the metadata refers to type {type_id} and does not define it")
        return found

    def codec(self, type_id: int) -> Codec[Any]:
        """The codec of a type; raises MetadataError when the registry is broken."""
        done = self._done.get(type_id)
        if done is not None:
            return done
        if type_id in self._open:
            return self._later(type_id)
        if len(self._open) >= MAX_TYPE_DEPTH:
            raise MetadataError(f"the metadata nests more than {MAX_TYPE_DEPTH} types")
        self._open.append(type_id)
        try:
            made = self._compile(type_id, self.definition(type_id))
        finally:
            self._open.pop()
        self._done[type_id] = made
        return made

    def variants(self, type_id: int) -> tuple[VariantDef, ...]:
        """The variants of an enum; raises MetadataError for any other type."""
        definition = self.definition(type_id).definition
        if not isinstance(definition, Variant):
            raise MetadataError(f"type {type_id} is not an enum")
        return definition.variants

    def fields(self, fields: tuple[Field, ...]) -> Codec[Any]:
        """The codec of a list of fields: dict, tuple, or the value of one unnamed field."""
        if not fields:
            return leaf.EMPTY
        names = [f.name for f in fields if f.name is not None]
        parts = [self.codec(f.type) for f in fields]
        if len(names) == len(fields):
            return fields_codec(names, parts)
        return parts[0] if len(parts) == 1 else fields_codec(None, parts)

    def name(self, type_id: int, depth: int = 4) -> str:
        """A short readable name of a type, as in `Vec<(AccountId32, u64)>`."""
        found = self.definition(type_id)
        if depth == 0:
            return found.path[-1] if found.path else "..."
        match found.definition:
            case Primitive(kind):
                return kind.name.lower()
            case Sequence(inner):
                return f"Vec<{self.name(inner, depth - 1)}>"
            case ArrayOf(size, inner):
                return f"[{self.name(inner, depth - 1)}; {size}]"
            case TupleOf(parts):
                return "(" + ", ".join(self.name(p, depth - 1) for p in parts) + ")"
            case CompactOf(inner):
                return f"Compact<{self.name(inner, depth - 1)}>"
            case BitSequence():
                return "BitVec"
        params = [self.name(p.type, depth - 1) for p in found.params if p.type is not None]
        own = found.path[-1] if found.path else "struct"
        return f"{own}<{', '.join(params)}>" if own in ("Option", "Result", "BTreeMap") else own

    def deeper(self, error: type[Exception]) -> AbstractContextManager[None]:
        """Count one level of a type inside itself; raises `error` when there are too many."""
        if self._nesting.depth >= MAX_DEPTH:
            raise error(f"values nest deeper than {MAX_DEPTH} levels")
        return self._nesting

    def _later(self, type_id: int) -> Codec[Any]:
        """A type inside itself: looked up when used, and counted so that nesting ends."""

        def encode(value: Any) -> bytes:
            with self.deeper(EncodeError):
                return self.codec(type_id).encode(value)

        def read(data: bytes, at: int) -> tuple[Any, int]:
            with self.deeper(DecodeError):
                return self.codec(type_id).read(data, at)

        return Codec(f"type {type_id}", encode, read)

    def _compile(self, type_id: int, found: PortableType) -> Codec[Any]:
        if found.path == _ACCOUNT:
            return self._account
        if found.path == _U256:
            return leaf.integer(256)
        match found.definition:
            case Composite(fields):
                return self._composite(found, fields)
            case Variant(variants):
                return self._variant(type_id, found, variants)
            case Sequence(inner):
                return leaf.BYTES if self._is_u8(inner) else list_codec(self.codec(inner), None)
            case ArrayOf(size, inner):
                if self._is_u8(inner):
                    return leaf.fixed_bytes(size)
                return list_codec(self.codec(inner), size)
            case TupleOf(parts):
                return fields_codec(None, [self.codec(p) for p in parts]) if parts else leaf.EMPTY
            case Primitive(kind):
                return leaf.primitive(kind)
            case CompactOf(inner):
                return self._compact(inner)
            case BitSequence(store, order):
                msb0 = self.definition(order).path[-1:] == ("Msb0",)
                return leaf.bits_of(self.codec(store), msb0)
        raise MetadataError(f"type {type_id} has an unknown definition")

    def _composite(self, found: PortableType, fields: tuple[Field, ...]) -> Codec[Any]:
        if found.path == ("BTreeMap",) and len(fields) == 1:
            pairs = self.definition(fields[0].type).definition
            pair = self.definition(pairs.type).definition if isinstance(pairs, Sequence) else None
            if isinstance(pair, TupleOf) and len(pair.types) == 2:
                return map_codec(self.codec(pair.types[0]), self.codec(pair.types[1]))
        return self.fields(fields)

    def _variant(
        self, type_id: int, found: PortableType, variants: tuple[VariantDef, ...]
    ) -> Codec[Any]:
        if found.path == ("Option",) and len(variants) == 2 and len(variants[1].fields) == 1:
            return option_codec(self.codec(variants[1].fields[0].type))
        if type_id in self._outer:
            return outer_codec(self, variants)
        name = found.path[-1] if found.path else f"enum {type_id}"
        table = {v.index: (v.name, self._lazy_fields(v.fields)) for v in variants}
        generic = variant_codec(name, table)
        if found.path == _MULTI_ADDRESS:
            return leaf.multi_address(generic, self._account)
        return generic

    def _lazy_fields(self, fields: tuple[Field, ...]) -> Codec[Any] | None:
        return self.fields(fields) if fields else None

    def _compact(self, inner: int) -> Codec[Any]:
        if self._wide_compacts:
            return leaf.compact(536)
        definition = self.definition(inner).definition
        for _ in range(MAX_TYPE_DEPTH):
            if not isinstance(definition, Composite) or len(definition.fields) != 1:
                break
            definition = self.definition(definition.fields[0].type).definition
        if isinstance(definition, TupleOf) and not definition.types:
            return leaf.EMPTY
        if isinstance(definition, Primitive):
            made = leaf.primitive(definition.kind)
            if made.name.startswith("u"):
                return leaf.compact(8 * (made.size or 0))
        raise MetadataError(f"type {inner} cannot be compact: it is no unsigned integer")

    def _is_u8(self, type_id: int) -> bool:
        definition = self.definition(type_id).definition
        return isinstance(definition, Primitive) and definition.kind is PrimitiveKind.U8


class _Nesting(threading.local):
    """How deep the current thread is inside types that contain themselves."""

    depth = 0

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
