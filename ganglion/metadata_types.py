"""The wire form of runtime metadata, versions 14 and 15, as SCALE dataclasses.

What version 16 has of its own is in `metadata_types16`.

Type ids refer to the portable registry at the head of each version. Fields stand in wire order.
Source: the crates frame-metadata 23 and scale-info 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from ganglion.scale import Compact, Enumeration, u8, u32, variant

TypeId = Compact[u32]
Docs = tuple[str, ...]

MAGIC = b"meta"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a composite or variant; without a name in a tuple struct."""

    name: str | None
    type: TypeId
    type_name: str | None
    docs: Docs


@dataclass(frozen=True, slots=True)
class VariantDef:
    """One variant of an enum, at `index` on the wire."""

    name: str
    fields: tuple[Field, ...]
    index: u8
    docs: Docs


class PrimitiveKind(IntEnum):
    """The primitive types in scale-info's order."""

    BOOL, CHAR, STR = 0, 1, 2
    U8, U16, U32, U64, U128, U256 = 3, 4, 5, 6, 7, 8
    I8, I16, I32, I64, I128, I256 = 9, 10, 11, 12, 13, 14


class TypeDef(Enumeration):
    """What a type is."""


@variant(0)
class Composite(TypeDef):
    """A struct."""

    fields: tuple[Field, ...]


@variant(1)
class Variant(TypeDef):
    """An enum."""

    variants: tuple[VariantDef, ...]


@variant(2)
class Sequence(TypeDef):
    """Vec<T>."""

    type: TypeId


@variant(3)
class ArrayOf(TypeDef):
    """[T; len]."""

    len: u32
    type: TypeId


@variant(4)
class TupleOf(TypeDef):
    """(A, B, ...)."""

    types: tuple[TypeId, ...]


@variant(5)
class Primitive(TypeDef):
    """A primitive."""

    kind: PrimitiveKind


@variant(6)
class CompactOf(TypeDef):
    """Compact<T>."""

    type: TypeId


@variant(7)
class BitSequence(TypeDef):
    """A bit vector: its store type and its bit order (a marker type Lsb0 or Msb0)."""

    store: TypeId
    order: TypeId


@dataclass(frozen=True, slots=True)
class TypeParam:
    """A generic parameter and the type it was given, if that type is part of the metadata."""

    name: str
    type: TypeId | None


@dataclass(frozen=True, slots=True)
class PortableType:
    """A type of the registry; `path` is its Rust path, empty for built-in types."""

    id: TypeId
    path: tuple[str, ...]
    params: tuple[TypeParam, ...]
    definition: TypeDef
    docs: Docs


class Modifier(IntEnum):
    """What a missing storage key means: nothing, the default, or (REQUIRED) an error."""

    OPTIONAL, DEFAULT, REQUIRED = 0, 1, 2


class HasherKind(IntEnum):
    """Storage hashers in metadata order."""

    BLAKE2_128, BLAKE2_256, BLAKE2_128_CONCAT = 0, 1, 2
    TWOX_128, TWOX_256, TWOX_64_CONCAT, IDENTITY = 3, 4, 5, 6


class StorageType(Enumeration):
    """A single value or a map."""


@variant(0)
class Plain(StorageType):
    """A single value."""

    value: TypeId


@variant(1)
class MapOf(StorageType):
    """A map; with several hashers the key type is a tuple with one item each."""

    hashers: tuple[HasherKind, ...]
    key: TypeId
    value: TypeId


@dataclass(frozen=True, slots=True)
class StorageEntry:
    """A storage item."""

    name: str
    modifier: Modifier
    type: StorageType
    default: bytes
    docs: Docs


@dataclass(frozen=True, slots=True)
class PalletStorage:
    """A pallet's storage; `prefix` is hashed into its keys."""

    prefix: str
    entries: tuple[StorageEntry, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant, already encoded."""

    name: str
    type: TypeId
    value: bytes
    docs: Docs


@dataclass(frozen=True, slots=True)
class Pallet14:
    """A pallet in version 14; calls, events and errors are variant types."""

    name: str
    storage: PalletStorage | None
    calls: TypeId | None
    events: TypeId | None
    constants: tuple[Constant, ...]
    errors: TypeId | None
    index: u8


@dataclass(frozen=True, slots=True)
class Pallet15:
    """A pallet in version 15: as in 14, with documentation."""

    name: str
    storage: PalletStorage | None
    calls: TypeId | None
    events: TypeId | None
    constants: tuple[Constant, ...]
    errors: TypeId | None
    index: u8
    docs: Docs


@dataclass(frozen=True, slots=True)
class ExtensionDef:
    """A transaction extension: what it adds to the extrinsic and to the signed payload."""

    identifier: str
    type: TypeId
    additional: TypeId


@dataclass(frozen=True, slots=True)
class Extrinsic14:
    """The extrinsic format in version 14; call and address hide in the type's parameters."""

    type: TypeId
    version: u8
    extensions: tuple[ExtensionDef, ...]


@dataclass(frozen=True, slots=True)
class Extrinsic15:
    """The extrinsic format in version 15."""

    version: u8
    address: TypeId
    call: TypeId
    signature: TypeId
    extra: TypeId
    extensions: tuple[ExtensionDef, ...]


@dataclass(frozen=True, slots=True)
class MethodInput:
    """A parameter of a runtime API method or view function."""

    name: str
    type: TypeId


@dataclass(frozen=True, slots=True)
class Method15:
    """A method of a runtime API."""

    name: str
    inputs: tuple[MethodInput, ...]
    output: TypeId
    docs: Docs


@dataclass(frozen=True, slots=True)
class Api15:
    """A runtime API; methods are called as `Api_method`."""

    name: str
    methods: tuple[Method15, ...]
    docs: Docs


@dataclass(frozen=True, slots=True)
class OuterEnums:
    """The three enums that gather all pallets."""

    call: TypeId
    event: TypeId
    error: TypeId


@dataclass(frozen=True, slots=True)
class CustomEntry:
    """A chain's own metadata value."""

    name: str
    type: TypeId
    value: bytes


@dataclass(frozen=True, slots=True)
class Metadata14:
    """Metadata version 14."""

    types: tuple[PortableType, ...]
    pallets: tuple[Pallet14, ...]
    extrinsic: Extrinsic14
    runtime: TypeId


@dataclass(frozen=True, slots=True)
class Metadata15:
    """Metadata version 15: adds runtime APIs and outer enums."""

    types: tuple[PortableType, ...]
    pallets: tuple[Pallet15, ...]
    extrinsic: Extrinsic15
    runtime: TypeId
    apis: tuple[Api15, ...]
    outer: OuterEnums
    custom: tuple[CustomEntry, ...]
