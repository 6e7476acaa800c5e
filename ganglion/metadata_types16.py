"""What version 16 of runtime metadata has of its own: deprecations, view functions, extension sets.

As in `metadata_types`, which has what it shares with versions 14 and 15.
Source: the crate frame-metadata 23.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ganglion.metadata_types import (
    CustomEntry,
    Docs,
    ExtensionDef,
    MethodInput,
    Modifier,
    OuterEnums,
    PortableType,
    StorageType,
    TypeId,
)
from ganglion.scale import Compact, Enumeration, Fixed, u8, u32, variant


class Deprecation(Enumeration):
    """Whether an item is deprecated."""


@variant(0)
class NotDeprecated(Deprecation):
    """In good standing."""


@variant(1)
class DeprecatedWithoutNote(Deprecation):
    """Deprecated, no reason given."""


@variant(2)
class Deprecated(Deprecation):
    """Deprecated, with the reason and since when."""

    note: str
    since: str | None


@dataclass(frozen=True, slots=True)
class VariantDeprecation:
    """A deprecated variant of an enum."""

    index: u8
    info: Deprecation


@dataclass(frozen=True, slots=True)
class EnumType:
    """Calls, events or errors of a pallet in version 16."""

    type: TypeId
    deprecations: tuple[VariantDeprecation, ...]


@dataclass(frozen=True, slots=True)
class StorageEntry16:
    """A storage item in version 16."""

    name: str
    modifier: Modifier
    type: StorageType
    default: bytes
    docs: Docs
    deprecation: Deprecation


@dataclass(frozen=True, slots=True)
class PalletStorage16:
    """A pallet's storage in version 16."""

    prefix: str
    entries: tuple[StorageEntry16, ...]


@dataclass(frozen=True, slots=True)
class Constant16:
    """A constant in version 16."""

    name: str
    type: TypeId
    value: bytes
    docs: Docs
    deprecation: Deprecation


@dataclass(frozen=True, slots=True)
class AssociatedType:
    """A type of the pallet's configuration."""

    name: str
    type: TypeId
    docs: Docs


@dataclass(frozen=True, slots=True)
class ViewFunction:
    """A read-only function of a pallet."""

    id: Annotated[bytes, Fixed(32)]
    name: str
    inputs: tuple[MethodInput, ...]
    output: TypeId
    docs: Docs
    deprecation: Deprecation


@dataclass(frozen=True, slots=True)
class Pallet16:
    """A pallet in version 16."""

    name: str
    storage: PalletStorage16 | None
    calls: EnumType | None
    events: EnumType | None
    constants: tuple[Constant16, ...]
    errors: EnumType | None
    associated_types: tuple[AssociatedType, ...]
    view_functions: tuple[ViewFunction, ...]
    index: u8
    docs: Docs
    deprecation: Deprecation


@dataclass(frozen=True, slots=True)
class ExtensionSet:
    """Which extensions, by position, an extension version uses."""

    version: u8
    indices: tuple[TypeId, ...]


@dataclass(frozen=True, slots=True)
class Extrinsic16:
    """The extrinsic format in version 16; `versions` are the accepted ones, a byte each."""

    versions: bytes
    address: TypeId
    call: TypeId
    signature: TypeId
    sets: tuple[ExtensionSet, ...]
    extensions: tuple[ExtensionDef, ...]


@dataclass(frozen=True, slots=True)
class Method16:
    """A method of a runtime API in version 16."""

    name: str
    inputs: tuple[MethodInput, ...]
    output: TypeId
    docs: Docs
    deprecation: Deprecation


@dataclass(frozen=True, slots=True)
class Api16:
    """A runtime API in version 16."""

    name: str
    methods: tuple[Method16, ...]
    docs: Docs
    version: Compact[u32]
    deprecation: Deprecation


@dataclass(frozen=True, slots=True)
class Metadata16:
    """Metadata version 16."""

    types: tuple[PortableType, ...]
    pallets: tuple[Pallet16, ...]
    extrinsic: Extrinsic16
    apis: tuple[Api16, ...]
    outer: OuterEnums
    custom: tuple[CustomEntry, ...]
