"""One version of a chain's runtime as a client sees it: names in, bytes out, and back.

Built from metadata alone; knows no socket. Names are the chain's own (`Balances`,
`transfer_keep_alive`, `SubtensorModule`, `Tempo`); unknown ones raise UnknownName with the
nearest that exist.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ganglion import ss58
from ganglion.errors import EncodeError, MetadataError, UnknownName
from ganglion.extrinsic import KNOWN_EXTENSIONS
from ganglion.metadata import ApiMethod, Metadata, Pallet, StorageItem, decode_metadata
from ganglion.metadata_types import Modifier
from ganglion.registry import Call, Registry
from ganglion.scale import Codec, DecodeError


@dataclass(frozen=True, slots=True)
class Event:
    """Something the chain reports about a block.

    `extrinsic` is the position of the extrinsic that caused it, None outside extrinsics.
    `args` is a dict, or a tuple when the event's fields have no names.
    """

    pallet: str
    name: str
    args: Any = field(hash=False)
    extrinsic: int | None
    phase: str

    def __str__(self) -> str:
        return f"{self.pallet}.{self.name}"


@dataclass(frozen=True, slots=True)
class ModuleError:
    """A pallet's error: its names and what the chain says about it."""

    pallet: str
    name: str
    doc: str


class Runtime:
    """Names and codecs of one runtime version."""

    def __init__(
        self,
        metadata: Metadata,
        spec_version: int = 0,
        transaction_version: int = 0,
        ss58_prefix: int = ss58.DEFAULT_PREFIX,
    ) -> None:
        self.metadata = metadata
        self.spec_version = spec_version
        self.transaction_version = transaction_version
        self.registry = Registry(metadata, ss58_prefix)
        self._pallet_at = {p.index: p for p in metadata.pallets.values()}

    @classmethod
    def from_bytes(cls, raw: bytes, spec_version: int = 0, transaction_version: int = 0) -> Runtime:
        """A runtime from metadata bytes, magic first; raises MetadataError."""
        metadata = decode_metadata(raw)
        prefix = _ss58_prefix(metadata)
        return cls(metadata, spec_version, transaction_version, prefix)

    # --- storage ---

    def storage(self, pallet: str, item: str) -> StorageItem:
        """The declaration of a storage item; raises UnknownName."""
        storage = self._pallet(pallet).storage
        found = storage.get(item)
        if found is None:
            raise _unknown(f"{pallet} has no storage item", item, storage)
        return found

    def storage_key(self, pallet: str, item: str, *keys: Any) -> bytes:
        """The key of a storage value, or with fewer keys than the map has, a prefix of keys.

        Raises UnknownName, or EncodeError when a key has the wrong type.
        """
        found = self.storage(pallet, item)
        if len(keys) > len(found.hashers):
            raise EncodeError(f"{pallet}.{item} takes {len(found.hashers)} keys, not {len(keys)}")
        out = [found.prefix]
        for n, (key, hasher, tp) in enumerate(zip(keys, found.hashers, found.key_types)):
            try:
                out.append(hasher.hash(self.registry.codec(tp).encode(key)))
            except EncodeError as e:
                raise EncodeError(f"{pallet}.{item}, key {n}: {e}") from e
        return b"".join(out)

    def storage_value(self, pallet: str, item: str, raw: bytes | None) -> Any:
        """The value of a storage item; a missing one is its default, or None if optional."""
        found = self.storage(pallet, item)
        if raw is None:
            if found.modifier is not Modifier.DEFAULT:
                return None
            raw = found.default
        return self._decode(f"{pallet}.{item}", found.value_type, raw)

    def storage_map_key(self, pallet: str, item: str, key: bytes, skip: int = 0) -> Any:
        """The keys of a map entry from its full storage key, the first `skip` left out.

        One key alone, several as a tuple. Raises DecodeError for hashers that hide their key.
        """
        found = self.storage(pallet, item)
        at, out = len(found.prefix), []
        for hasher, tp in zip(found.hashers, found.key_types):
            if not hasher.reversible:
                raise DecodeError(f"{pallet}.{item}: its keys are hashed and cannot be read back")
            value, at = self.registry.codec(tp).read(key, at + hasher.prefix)
            out.append(value)
        if at != len(key):
            raise DecodeError(f"{pallet}.{item}: {len(key) - at} bytes too many in a key")
        kept = tuple(out[skip:])
        return kept[0] if len(kept) == 1 else kept

    # --- calls ---

    def call(self, pallet: str, name: str, **args: Any) -> Call:
        """Compose a call; raises UnknownName, or EncodeError naming the wrong argument."""
        known = self._names(self._pallet(pallet).calls)
        if name not in known:
            raise _unknown(f"{pallet} has no call", name, known)
        data = self._call_codec().encode({"pallet": pallet, "name": name, "args": args})
        return Call(pallet, name, args, data)

    def decode_call(self, data: bytes) -> Call:
        """A call from its bytes; raises DecodeError."""
        found = self._call_codec().decode(data)
        return Call(found["pallet"], found["name"], found["args"], data)

    def call_args(self, pallet: str, name: str) -> dict[str, str]:
        """The argument names of a call with their types; raises UnknownName."""
        type_id = self._pallet(pallet).calls
        for v in () if type_id is None else self.registry.variants(type_id):
            if v.name == name:
                return {f.name or str(n): self._type_name(f) for n, f in enumerate(v.fields)}
        raise _unknown(f"{pallet} has no call", name, self._names(type_id))

    def call_docs(self, pallet: str, name: str) -> str:
        """What the chain says about a call; raises UnknownName."""
        type_id = self._pallet(pallet).calls
        for v in () if type_id is None else self.registry.variants(type_id):
            if v.name == name:
                return "\n".join(v.docs)
        raise _unknown(f"{pallet} has no call", name, self._names(type_id))

    # --- events and errors ---

    def events(self, raw: bytes | None) -> list[Event]:
        """The events of a block from the value of System.Events; raises DecodeError."""
        records = self.storage_value("System", "Events", raw)
        return [_event(record) for record in records or []]

    def error(self, pallet_index: int, error: int | bytes | str) -> ModuleError:
        """A pallet's error by pallet index and error (index, or the 4 bytes of a ModuleError).

        An error this metadata does not know comes back with its numbers as names.
        """
        if isinstance(error, str):
            error = bytes.fromhex(error.removeprefix("0x"))
        index = error if isinstance(error, int) else (error[0] if error else 0)
        pallet = self._pallet_at.get(pallet_index)
        if pallet is not None and pallet.errors is not None:
            for v in self.registry.variants(pallet.errors):
                if v.index == index:
                    return ModuleError(pallet.name, v.name, " ".join(" ".join(v.docs).split()))
        name = pallet.name if pallet else f"pallet {pallet_index}"
        return ModuleError(name, f"error {index}", "")

    def errors(self, pallet: str) -> list[ModuleError]:
        """All errors of a pallet; raises UnknownName."""
        found = self._pallet(pallet)
        if found.errors is None:
            return []
        return [self.error(found.index, v.index) for v in self.registry.variants(found.errors)]

    def dispatch_error(self, value: Any) -> ModuleError:
        """A decoded DispatchError: a pallet's error by name, or one outside pallets."""
        if isinstance(value, dict) and "Module" in value:
            module = value["Module"]
            return self.error(module["index"], module["error"])
        if isinstance(value, dict) and len(value) == 1:
            [(kind, inner)] = value.items()
            return ModuleError("", f"{kind}.{inner}" if isinstance(inner, str) else str(kind), "")
        return ModuleError("", str(value), "")

    # --- constants and runtime APIs ---

    def constant(self, pallet: str, name: str) -> Any:
        """The value of a constant; raises UnknownName."""
        constants = self._pallet(pallet).constants
        found = constants.get(name)
        if found is None:
            raise _unknown(f"{pallet} has no constant", name, constants)
        return self._decode(f"{pallet}.{name}", found.type, found.value)

    def api(self, api: str, method: str) -> ApiMethod:
        """The declaration of a runtime API method; raises UnknownName."""
        apis = self.metadata.apis
        if not apis:
            raise UnknownName("this node sends metadata version 14, which has no runtime APIs")
        if api not in apis:
            raise _unknown("the chain has no runtime API", api, apis)
        found = apis[api].get(method)
        if found is None:
            raise _unknown(f"{api} has no method", method, apis[api])
        return found

    def encode_api(self, api: str, method: str, *args: Any) -> bytes:
        """The parameter bytes of a runtime API call; raises UnknownName or EncodeError."""
        found = self.api(api, method)
        if len(args) != len(found.inputs):
            names = ", ".join(name for name, _ in found.inputs) or "nothing"
            raise EncodeError(f"{api}.{method} takes {names}; {len(args)} values were given")
        out = []
        for (name, tp), value in zip(found.inputs, args):
            try:
                out.append(self.registry.codec(tp).encode(value))
            except EncodeError as e:
                raise EncodeError(f"{api}.{method}, {name}: {e}") from e
        return b"".join(out)

    def decode_api(self, api: str, method: str, raw: bytes) -> Any:
        """The result of a runtime API call; raises UnknownName or DecodeError."""
        return self._decode(f"{api}.{method}", self.api(api, method).output, raw)

    # --- extensions ---

    def extensions(self) -> tuple[str, ...]:
        """The transaction extensions in order; raises MetadataError for one with unknown bytes."""
        for e in self.metadata.extensions:
            sizes = (self.registry.codec(e.type).size, self.registry.codec(e.implicit).size)
            if e.name not in KNOWN_EXTENSIONS and sizes != (0, 0):
                raise MetadataError(
                    f"the chain's transaction extension {e.name} is unknown here: update ganglion"
                )
        return tuple(e.name for e in self.metadata.extensions)

    # --- helpers ---

    def _pallet(self, name: str) -> Pallet:
        found = self.metadata.pallets.get(name)
        if found is None:
            raise _unknown("the chain has no pallet", name, self.metadata.pallets)
        return found

    def _names(self, type_id: int | None) -> list[str]:
        return [] if type_id is None else [v.name for v in self.registry.variants(type_id)]

    def _type_name(self, field: Any) -> str:
        return field.type_name or self.registry.name(field.type)

    def _call_codec(self) -> Codec[Any]:
        if self.metadata.call_type is None:
            raise MetadataError("the metadata does not say which type calls have")
        return self.registry.codec(self.metadata.call_type)

    def _decode(self, what: str, type_id: int, raw: bytes) -> Any:
        try:
            return self.registry.codec(type_id).decode(raw)
        except DecodeError as e:
            raise DecodeError(f"{what}: {e}") from e
        except RecursionError as e:  # only metadata made for it nests types that deep
            raise DecodeError(f"{what}: its type nests too deep") from e


def _ss58_prefix(metadata: Metadata) -> int:
    system = metadata.pallets.get("System")
    found = system.constants.get("SS58Prefix") if system else None
    return int.from_bytes(found.value, "little") if found else ss58.DEFAULT_PREFIX


def _event(record: dict[str, Any]) -> Event:
    phase, event = record["phase"], record["event"]
    if isinstance(phase, dict):
        [(phase, index)] = phase.items()
    else:
        index = None
    return Event(event["pallet"], event["name"], event["args"], index, phase)


def _unknown(what: str, name: str, known: Iterable[str]) -> UnknownName:
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else ""
    if not near and known and len(known) <= 40:
        hint = f"it has {', '.join(known)}"
    return UnknownName(f"{what} {name!r}" + (f": {hint}" if hint else ""))
