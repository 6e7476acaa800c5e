"""Metadata V14 and V15, generated from the runtime table."""

from __future__ import annotations

from typing import Any

from chain.runtime.call import RuntimeCall
from chain.runtime.pallet import Pallet
from chain.runtime.runtime import Runtime
from chain.runtime.storage import Item
from chain.runtime.type_registry import Rows, TypeRegistry, docs, option, text, vec
from chain.runtime.types import (
    MultiAddress,
    MultiSignature,
    RuntimeEvent,
    UncheckedExtrinsic,
)
from ganglion.scale import compact_encode, field_types
from ganglion.units import AccountId

MAGIC = b"meta"
EXTRINSIC_VERSION = 4
EXTENSION_GROUPS = (7, 5)
"""Upstream nests its extensions in tuples of 7, 5 and the rest; the bytes do not show it."""


class _RuntimeError:
    """Stands for the runtime's error type."""


def metadata_bytes(runtime: Runtime, version: int) -> bytes:
    """The whole blob, with magic and version. `version` is 14 or 15."""
    writer = _Writer(runtime)
    pallets = vec([writer.pallet(p, version) for p in runtime.pallets.values()])
    extrinsic = writer.extrinsic_v14() if version == 14 else writer.extrinsic_v15()
    tail = writer.registry.ref(_Runtime)
    if version == 15:
        tail += writer.apis() + writer.outer_enums() + b"\0"
    return MAGIC + bytes((version,)) + writer.registry.encoded() + pallets + extrinsic + tail


class _Runtime:
    """Stands for the runtime type itself."""

    @staticmethod
    def __registry__(registry: TypeRegistry) -> int:
        return registry.add(_Runtime, "node_subtensor_runtime::Runtime", lambda: b"\0\0")


class _Writer:
    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.registry = TypeRegistry()
        # Substrate's first type, and so everybody's: clients of SDK 9 and 10 know it by number.
        self.registry.of(AccountId)
        outer = {
            RuntimeCall: ("node_subtensor_runtime::RuntimeCall", self._calls_type),
            RuntimeEvent: ("node_subtensor_runtime::RuntimeEvent", self._events_type),
            _RuntimeError: ("node_subtensor_runtime::RuntimeError", self._errors_type),
        }
        for marker, (path, inner) in outer.items():
            self.registry.add(marker, path, lambda inner=inner: self._outer(inner))  # type: ignore[misc]
        self._extrinsic_type()

    def _outer(self, inner: Any) -> bytes:
        rows = []
        for pallet in self.runtime.pallets.values():
            number = inner(pallet)
            if number is None:
                continue
            body = vec([b"\0" + compact_encode(number) + option(text(pallet.crate)) + b"\0"])
            rows.append(text(pallet.name) + body + bytes((pallet.index,)) + b"\0")
        return b"\1" + vec(rows)

    def _calls_type(self, pallet: Pallet) -> int | None:
        if not pallet.calls:
            return None
        rows: Rows = [(c.name, i, list(c.params), c.doc) for i, c in sorted(pallet.calls.items())]
        return self._variant(pallet, "Call", rows)

    def _events_type(self, pallet: Pallet) -> int | None:
        if not pallet.events:
            return None
        rows: Rows = [
            (e.__name__.rstrip("_"), i, field_types(e), e.__doc__ or "")
            for i, e in sorted(pallet.events.items())
        ]
        return self._variant(pallet, "Event", rows)

    def _errors_type(self, pallet: Pallet) -> int | None:
        if not pallet.errors:
            return None
        rows: Rows = [
            (e.__name__.rstrip("_"), i, [], e.__doc__ or "")
            for i, e in sorted(pallet.errors.items())
        ]
        return self._variant(pallet, "Error", rows)

    def _variant(self, pallet: Pallet, kind: str, rows: Rows) -> int:
        key, path = (pallet.name, kind), f"{pallet.crate}::pallet::{kind}"
        return self.registry.add(key, path, lambda: self.registry.variants(rows))

    def pallet(self, pallet: Pallet, version: int) -> bytes:
        """PalletMetadata of one pallet."""
        told = pallet.docs()
        entries = [self._entry(item, told) for item in pallet.items.values()]
        constants = [
            text(c.name)
            + self.registry.ref(c.type)
            + _bytes(c.codec.encode(c.value))
            + docs(told.get(c.name, ""))
            for c in pallet.constants.values()
        ]
        return (
            text(pallet.name)
            + option(text(pallet.name) + vec(entries) if entries else None)
            + self._type_option(self._calls_type(pallet))
            + self._type_option(self._events_type(pallet))
            + vec(constants)
            + self._type_option(self._errors_type(pallet))
            + bytes((pallet.index,))
            + (b"\0" if version == 15 else b"")
        )

    def _type_option(self, number: int | None) -> bytes:
        return option(None if number is None else compact_encode(number))

    def _entry(self, item: Item, told: dict[str, str]) -> bytes:
        ref = self.registry.ref
        if item.hashers:
            hashers = vec([bytes((h.index,)) for h in item.hashers])
            keys = item.key_types
            key = keys[0] if len(keys) == 1 else tuple[keys]  # type: ignore[valid-type]
            kind = b"\1" + hashers + ref(key) + ref(item.value_type)
        else:
            kind = b"\0" + ref(item.value_type)
        default = b"\0" if item.optional else item.codec.encode(item.default)
        modifier = b"\0" if item.optional else b"\1"
        return text(item.name) + modifier + kind + _bytes(default) + docs(told.get(item.name, ""))

    # -- extrinsic --------------------------------------------------------------------------

    def _extensions(self) -> bytes:
        return vec(
            [
                text(e.identifier)
                + compact_encode(self._extension_type(e))
                + self.registry.ref(type(None) if e.implicit is None else e.implicit)
                for e in self.runtime.extensions
            ]
        )

    def _extension_type(self, extension: Any) -> int:
        fields = [] if extension.explicit is None else [("_0", extension.explicit)]
        if extension.identifier == "CheckMetadataHash":
            fields = [("mode", extension.explicit)]
        return self.registry.add(
            ("extension", extension.identifier),
            f"node_subtensor_runtime::{extension.identifier}",
            lambda: self.registry.composite(fields),
        )

    def _extra_type(self) -> int:
        numbers = [self._extension_type(e) for e in self.runtime.extensions]
        groups, rest = [], numbers
        for size in EXTENSION_GROUPS:
            groups.append(self._tuple(rest[:size]))
            rest = rest[size:]
        return self._tuple(groups + rest)

    def _tuple(self, numbers: list[int]) -> int:
        return self.registry.add(
            ("tuple", tuple(numbers)), "", lambda: b"\4" + vec([compact_encode(n) for n in numbers])
        )

    def _parts(self) -> list[tuple[str, int]]:
        registry = self.registry
        return [
            ("Address", registry.of(MultiAddress)),
            ("Call", registry.ids[RuntimeCall]),
            ("Signature", registry.of(MultiSignature)),
            ("Extra", self._extra_type()),
        ]

    def _extrinsic_type(self) -> int:
        """The extrinsic type: its parameters tell clients address, call, signature, extra."""
        raw = self.registry.of(bytes)
        field = b"\0" + compact_encode(raw) + b"\0\0"
        return self.registry.add(
            UncheckedExtrinsic,
            UncheckedExtrinsic.scale_path,
            lambda: b"\0" + vec([field]),
            list(self._parts()),
        )

    def extrinsic_v14(self) -> bytes:
        """The extrinsic type, its version and extensions."""
        number = compact_encode(self._extrinsic_type())
        return number + bytes((EXTRINSIC_VERSION,)) + self._extensions()

    def extrinsic_v15(self) -> bytes:
        """Version, the four parameter types, extensions."""
        parts = b"".join(compact_encode(i) for _, i in self._parts())
        return bytes((EXTRINSIC_VERSION,)) + parts + self._extensions()

    # -- V15 only ---------------------------------------------------------------------------

    def apis(self) -> bytes:
        """RuntimeApiMetadata of every API."""
        ref = self.registry.ref
        return vec(
            [
                text(api.name)
                + vec(
                    [
                        text(m.name)
                        + vec([text(n) + ref(tp) for n, tp in m.params])
                        + ref(m.result_type)
                        + docs(m.doc)
                        for m in api.methods
                    ]
                )
                + docs(api.doc)
                for api in self.runtime.apis
            ]
        )

    def outer_enums(self) -> bytes:
        """Types of the outer call, event and error."""
        ids = self.registry.ids
        return b"".join(compact_encode(ids[k]) for k in (RuntimeCall, RuntimeEvent, _RuntimeError))


def _bytes(raw: bytes) -> bytes:
    return compact_encode(len(raw)) + raw
