"""Runtime metadata in one shape, whatever version the node sent.

`decode_metadata` takes the bytes of `state_getMetadata` or of `Metadata_metadata_at_version`
(without their outer framing) and gives a `Metadata`; what an older version cannot say is empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ganglion import hashing
from ganglion import metadata_types as wire
from ganglion import metadata_types16 as wire16
from ganglion.errors import MetadataError
from ganglion.hashing import Hasher
from ganglion.metadata_types import MAGIC, Modifier, PortableType, TypeParam
from ganglion.scale import DecodeError, codec


@dataclass(frozen=True, slots=True)
class StorageItem:
    """A storage item: a map when it has hashers, else a single value."""

    pallet: str
    name: str
    prefix: bytes
    modifier: Modifier
    hashers: tuple[Hasher, ...]
    key_types: tuple[int, ...]
    value_type: int
    default: bytes
    docs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConstantItem:
    """A constant of a pallet, still encoded."""

    name: str
    type: int
    value: bytes
    docs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pallet:
    """A pallet: its storage and constants by name, its enums as type ids."""

    name: str
    index: int
    storage: dict[str, StorageItem]
    constants: dict[str, ConstantItem]
    calls: int | None
    events: int | None
    errors: int | None
    docs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApiMethod:
    """A runtime API method: parameter names and types, and the type it returns."""

    api: str
    name: str
    inputs: tuple[tuple[str, int], ...]
    output: int
    docs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Extension:
    """A transaction extension and the types of its explicit and implicit parts."""

    name: str
    type: int
    implicit: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """All that a client needs to speak with one version of a runtime."""

    version: int
    types: dict[int, PortableType]
    pallets: dict[str, Pallet]
    apis: dict[str, dict[str, ApiMethod]]
    extensions: tuple[Extension, ...]
    call_type: int | None
    event_type: int | None


def decode_metadata(raw: bytes) -> Metadata:
    """Metadata from its bytes, magic first; raises MetadataError for anything else."""
    if raw[:4] != MAGIC or len(raw) < 5:
        raise MetadataError("the node sent bytes that do not start like metadata")
    version = raw[4]
    reader = {14: _from_14, 15: _from_15, 16: _from_16}.get(version)
    if reader is None:
        raise MetadataError(f"metadata version {version} is not supported: 14, 15 and 16 are")
    try:
        return reader(raw[5:])
    except DecodeError as e:
        raise MetadataError(f"metadata version {version} is malformed: {e}") from e


def _from_14(body: bytes) -> Metadata:
    found: wire.Metadata14 = codec(wire.Metadata14).decode(body)
    types = _types(found.types)
    extrinsic = types.get(found.extrinsic.type)
    return Metadata(
        version=14,
        types=types,
        pallets=_pallets(found.pallets, types),
        apis={},
        extensions=_extensions(found.extrinsic.extensions),
        call_type=_param(extrinsic.params, "Call") if extrinsic else None,
        event_type=_event_type(types),
    )


def _from_15(body: bytes) -> Metadata:
    found: wire.Metadata15 = codec(wire.Metadata15).decode(body)
    types = _types(found.types)
    return Metadata(
        version=15,
        types=types,
        pallets=_pallets(found.pallets, types),
        apis=_apis(found.apis),
        extensions=_extensions(found.extrinsic.extensions),
        call_type=found.outer.call,
        event_type=found.outer.event,
    )


def _from_16(body: bytes) -> Metadata:
    found: wire16.Metadata16 = codec(wire16.Metadata16).decode(body)
    types = _types(found.types)
    # Extension version 0 is what signed extrinsics of version 4 carry.
    chosen = next((s.indices for s in found.extrinsic.sets if s.version == 0), ())
    known = found.extrinsic.extensions
    if any(i >= len(known) for i in chosen):
        raise MetadataError("metadata version 16 refers to an extension it does not list")
    return Metadata(
        version=16,
        types=types,
        pallets=_pallets(found.pallets, types),
        apis=_apis(found.apis),
        extensions=_extensions(known[i] for i in chosen),
        call_type=found.outer.call,
        event_type=found.outer.event,
    )


def _types(found: tuple[PortableType, ...]) -> dict[int, PortableType]:
    types = {t.id: t for t in found}
    if len(types) != len(found):
        raise MetadataError("the metadata's type registry uses an id twice")
    return types


def _param(params: tuple[TypeParam, ...], name: str) -> int | None:
    return next((p.type for p in params if p.name == name), None)


def _event_type(types: dict[int, PortableType]) -> int | None:
    """Version 14 names the event enum only as a parameter of frame_system's EventRecord."""
    for candidate in types.values():
        if candidate.path == ("frame_system", "EventRecord"):
            return _param(candidate.params, "E")
    return None


def _pallets(found: Iterable[Any], types: dict[int, PortableType]) -> dict[str, Pallet]:
    return {p.name: _pallet(p, types) for p in found}


def _pallet(found: Any, types: dict[int, PortableType]) -> Pallet:
    storage = found.storage
    items = () if storage is None else storage.entries
    return Pallet(
        name=found.name,
        index=found.index,
        storage={e.name: _storage_item(found.name, storage.prefix, e, types) for e in items},
        constants={c.name: ConstantItem(c.name, c.type, c.value, c.docs) for c in found.constants},
        calls=_enum_id(found.calls),
        events=_enum_id(found.events),
        errors=_enum_id(found.errors),
        docs=getattr(found, "docs", ()),  # version 14 has none
    )


def _enum_id(found: int | wire16.EnumType | None) -> int | None:
    return found.type if isinstance(found, wire16.EnumType) else found


def _storage_item(
    pallet: str, prefix: str, entry: Any, types: dict[int, PortableType]
) -> StorageItem:
    kind = entry.type
    hashers = tuple(hashing.HASHERS[h] for h in getattr(kind, "hashers", ()))
    return StorageItem(
        pallet=pallet,
        name=entry.name,
        prefix=hashing.twox_128(prefix.encode()) + hashing.twox_128(entry.name.encode()),
        modifier=entry.modifier,
        hashers=hashers,
        key_types=_key_types(f"{pallet}.{entry.name}", kind, types),
        value_type=kind.value,
        default=entry.default,
        docs=entry.docs,
    )


def _key_types(item: str, kind: Any, types: dict[int, PortableType]) -> tuple[int, ...]:
    if isinstance(kind, wire.Plain):
        return ()
    if len(kind.hashers) == 1:
        return (kind.key,)
    key = types.get(kind.key)
    parts = key.definition.types if key and isinstance(key.definition, wire.TupleOf) else ()
    if len(parts) != len(kind.hashers):
        raise MetadataError(f"{item}: the number of hashers is not the number of its keys")
    return parts


def _apis(found: Iterable[Any]) -> dict[str, dict[str, ApiMethod]]:
    return {
        api.name: {
            m.name: ApiMethod(
                api.name, m.name, tuple((i.name, i.type) for i in m.inputs), m.output, m.docs
            )
            for m in api.methods
        }
        for api in found
    }


def _extensions(found: Iterable[wire.ExtensionDef]) -> tuple[Extension, ...]:
    return tuple(Extension(e.identifier, e.type, e.additional) for e in found)
