"""The runtime: pallets at their indices, and the call and event types they add up to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from typing import Any

from chain.runtime.apis import Api
from chain.runtime.call import CALLS as CALLS
from chain.runtime.call import Guard, RuntimeCall, no_filter
from chain.runtime.extension import Extension
from chain.runtime.pallet import Pallet
from chain.runtime.storage import Item
from chain.runtime.types import RuntimeEvent
from ganglion.scale import Codec, DecodeError, alias_codec, codec


@dataclass(frozen=True)
class RuntimeVersion:
    """What state_getRuntimeVersion answers. Every change of metadata raises `spec_version`."""

    spec_version: int
    spec_name: str = "node-subtensor"
    impl_name: str = "node-subtensor"
    authoring_version: int = 1
    impl_version: int = 1
    transaction_version: int = 1
    system_version: int = 1
    apis: tuple[tuple[bytes, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON-RPC form."""
        return {
            "specName": self.spec_name,
            "implName": self.impl_name,
            "authoringVersion": self.authoring_version,
            "specVersion": self.spec_version,
            "implVersion": self.impl_version,
            "apis": [["0x" + name.hex(), version] for name, version in self.apis],
            "transactionVersion": self.transaction_version,
            "systemVersion": self.system_version,
            "stateVersion": self.system_version,
        }


def encode_event(event: Any) -> bytes:
    """Pallet index, event index, fields."""
    made: Any = type(event)
    head, encode_fields = event_encoder(made)
    return head + encode_fields(event)


@cache
def event_encoder(made: Any) -> tuple[bytes, Callable[[Any], bytes]]:
    """For a class of events: its pallet and event index, and what encodes the fields."""
    return bytes((made.__pallet_index__, made.__scale_event__)), codec(made).encode


def _no_event(data: bytes, at: int) -> tuple[Any, int]:
    raise DecodeError("events are written by the runtime and never read back by it")


alias_codec(RuntimeEvent, Codec("RuntimeEvent", encode_event, _no_event))


def api_id(name: str) -> bytes:
    """The 8-byte id of a runtime API."""
    return blake2b(name.encode(), digest_size=8).digest()


@dataclass
class Runtime:
    """One table: what the chain is made of."""

    version: RuntimeVersion
    pallets: dict[int, Pallet]
    extensions: tuple[Extension, ...] = ()
    apis: tuple[Api, ...] = ()
    call_filter: Guard = no_filter
    guards: tuple[Guard, ...] = ()
    by_prefix: dict[bytes, Item] = field(default_factory=dict)
    by_name: dict[str, Pallet] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pallets = dict(sorted(self.pallets.items()))
        for index, pallet in self.pallets.items():
            pallet.place(index)
            self.by_name[pallet.name] = pallet
            for item in pallet.items.values():
                self.by_prefix[item.prefix] = item
        calls = {(i, c.index): c for i, p in self.pallets.items() for c in p.calls.values()}
        CALLS.bind(calls, self.call_filter, self.guards)
        event_encoder.cache_clear()
        self.methods = {m.full_name: m for api in self.apis for m in api.methods}
        listed = tuple((api_id(a.name), a.version) for a in self.apis)
        self.version = RuntimeVersion(**{**vars(self.version), "apis": listed})

    def hooks(self, name: str) -> list[Callable[..., Any]]:
        """Hooks of all pallets, in the order of their indices."""
        return [fn for p in self.pallets.values() for fn in p.hooks[name]]

    def call(self, pallet: str, name: str, *args: Any) -> RuntimeCall:
        """Build a call by names; KeyError when the runtime has none."""
        found = self.by_name[pallet]
        entry = found.call_named(name)
        if len(args) != len(entry.params):
            names = ", ".join(n for n, _ in entry.params)
            raise TypeError(f"{pallet}.{name} takes ({names})")
        return RuntimeCall(found.index, entry.index, args)
