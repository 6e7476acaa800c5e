"""SCALE types that several pallets and the executive share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from chain.runtime.call import DispatchClass, Pays, Weight
from chain.runtime.errors import BadOrigin as BadOrigin
from chain.runtime.errors import CannotLookup, PlainError
from ganglion.scale import (
    Codec,
    Compact,
    DecodeError,
    Enumeration,
    Fixed,
    alias_codec,
    compact_read,
    scale_type,
    slotted,
    u32,
    variant,
)
from ganglion.units import AccountId, Hash

Signature64 = Annotated[bytes, Fixed(64)]


@scale_type("sp_runtime::multiaddress::MultiAddress")
class MultiAddress(Enumeration):
    """How an extrinsic names an account."""

    # substrate-interface learns what an AccountId is from these.
    scale_params: ClassVar[list[tuple[str, Any]]] = [
        ("AccountId", AccountId),
        ("AccountIndex", None.__class__),
    ]


@variant(0)
class Id(MultiAddress):
    """The account itself: the only form that stands for an account here."""

    _0: AccountId


@variant(1)
class Index(MultiAddress):
    """An account index; this chain has none."""

    _0: Compact[None]


@variant(2)
class Raw(MultiAddress):
    """Raw bytes; never an account."""

    _0: bytes


@variant(3)
class Address32(MultiAddress):
    """32 bytes; never an account here."""

    _0: Annotated[bytes, Fixed(32)]


@variant(4)
class Address20(MultiAddress):
    """20 bytes; never an account here."""

    _0: Annotated[bytes, Fixed(20)]


def lookup(address: MultiAddress) -> AccountId:
    """The account an address stands for; raises CannotLookup."""
    if isinstance(address, Id):
        return address._0
    raise PlainError(CannotLookup())


@scale_type("sp_runtime::MultiSignature")
class MultiSignature(Enumeration):
    """A signature with its scheme."""


@variant(0)
class Ed25519(MultiSignature):
    """ed25519."""

    _0: Signature64


@variant(1)
class Sr25519(MultiSignature):
    """sr25519 (schnorrkel), the default of every client."""

    _0: Signature64


@variant(2)
class Ecdsa(MultiSignature):
    """secp256k1 with recovery."""

    _0: Annotated[bytes, Fixed(65)]


@scale_type("frame_system::DispatchEventInfo")
@slotted
class DispatchEventInfo:
    """Weight, class and fee rule, as ExtrinsicSuccess and ExtrinsicFailed carry them."""

    weight: Weight
    class_: DispatchClass
    pays_fee: Pays


@scale_type("frame_system::Phase")
class Phase(Enumeration):
    """When in the block an event happened."""


@variant(0)
class ApplyExtrinsic(Phase):
    """While extrinsic number `_0` ran."""

    _0: u32


@variant(1)
class Finalization(Phase):
    """After the last extrinsic."""


@variant(2)
class Initialization(Phase):
    """Before the first extrinsic."""


@scale_type("sp_runtime::generic::digest::DigestItem")
class DigestItem(Enumeration):
    """One entry of a header's digest."""


EngineId = Annotated[bytes, Fixed(4)]


@variant(6)
class PreRuntime(DigestItem):
    """From the author to the runtime: the slot, under Aura."""

    _0: EngineId
    _1: bytes


@variant(4)
class Consensus(DigestItem):
    """From the runtime to the consensus engine."""

    _0: EngineId
    _1: bytes


@variant(5)
class Seal(DigestItem):
    """The author's signature; never seen by the runtime."""

    _0: EngineId
    _1: bytes


@variant(0, "Other")
class OtherDigest(DigestItem):
    """Anything else."""

    _0: bytes


@variant(8)
class RuntimeEnvironmentUpdated(DigestItem):
    """The runtime code changed."""


@scale_type("sp_runtime::generic::digest::Digest")
@dataclass(frozen=True, slots=True)
class Digest:
    """The header's digest."""

    logs: tuple[DigestItem, ...] = ()


class RuntimeEvent:
    """Stands for the runtime's event type in annotations; the runtime table binds it."""

    scale_path = "node_subtensor_runtime::RuntimeEvent"


@scale_type("frame_system::EventRecord")
@dataclass(frozen=True)
class EventRecord:
    """An event as System.Events stores it."""

    # polkadot.js learns what an event is from these.
    scale_params: ClassVar[list[tuple[str, Any]]] = [("E", RuntimeEvent), ("T", Hash)]

    phase: Phase
    event: RuntimeEvent
    topics: tuple[Hash, ...] = ()


class UncheckedExtrinsic:
    """An extrinsic argument of a runtime API: kept as its bytes, decoded when it is used."""

    scale_path = "sp_runtime::generic::unchecked_extrinsic::UncheckedExtrinsic"


def _read_extrinsic(data: bytes, at: int) -> tuple[bytes, int]:
    size, start = compact_read(data, at)
    if start + size > len(data):
        raise DecodeError("extrinsic: the data ends inside it")
    return data[at : start + size], start + size


alias_codec(UncheckedExtrinsic, Codec("UncheckedExtrinsic", bytes, _read_extrinsic))
