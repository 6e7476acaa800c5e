"""What pallets need that carry calls inside their calls: weights, fee rules, origins as values."""

from __future__ import annotations

from chain.runtime.call import (
    CALLS,
    READ_WEIGHT,
    WRITE_WEIGHT,
    DispatchClass,
    DispatchInfo,
    Pays,
    RuntimeCall,
)
from chain.runtime.dispatch import DispatchResult
from chain.runtime.errors import BadOrigin, ensure
from chain.runtime.origin import NONE, ROOT, Origin, signed
from chain.runtime.state import State
from ganglion.hashing import blake2_256
from ganglion.scale import Enumeration, scale_type, variant
from ganglion.units import AccountId, Hash


def rocks(ref_time: int, reads: int = 0, writes: int = 0) -> int:
    """Reference time of a benchmark with its storage accesses."""
    return ref_time + reads * READ_WEIGHT + writes * WRITE_WEIGHT


def info_of(call: RuntimeCall) -> DispatchInfo:
    """What a call declares before it runs."""
    info: DispatchInfo = CALLS.entry(call).info(call.args)
    return info


def weight_of(call: RuntimeCall) -> int:
    """The declared reference time of a call."""
    return info_of(call).weight


def class_of(call: RuntimeCall) -> DispatchClass:
    """The declared class of a call."""
    return info_of(call).dispatch_class


def pays_of(*calls: RuntimeCall) -> Pays:
    """No fee only when none of the calls costs one."""
    return Pays.No if all(info_of(c).pays is Pays.No for c in calls) else Pays.Yes


def name_of(call: RuntimeCall) -> tuple[str, str]:
    """Pallet and call name."""
    path: tuple[str, str] = CALLS.calls[call.pallet, call.index].path
    return path


def hash_of(call: RuntimeCall) -> Hash:
    """blake2_256 of the encoded call: how announcements and multisigs name it."""
    return Hash(blake2_256(CALLS.encode(call)))


def succeed(result: DispatchResult) -> int:
    """The weight of a dispatch; raises what it raised."""
    if result.error is not None:
        raise result.error
    return result.weight


def ensure_some_origin(origin: Origin) -> None:
    """Refuse the origin of unsigned extrinsics."""
    ensure(origin.kind != "none", BadOrigin("calls of others need a signed or root origin"))


@scale_type("frame_support::dispatch::RawOrigin")
class RawOrigin(Enumeration):
    """An origin as call arguments and the scheduler's agenda carry it."""


@variant(0)
class Root(RawOrigin):
    """Root."""


@variant(1)
class Signed(RawOrigin):
    """An account."""

    _0: AccountId


@variant(2, "None")
class Nobody(RawOrigin):
    """That of unsigned extrinsics."""


@scale_type("node_subtensor_runtime::OriginCaller")
class OriginCaller(Enumeration):
    """Origins by the pallet that defines them: System alone here."""


@variant(0, "system")
class SystemOrigin(OriginCaller):
    """A frame_system origin."""

    _0: RawOrigin


def to_origin(caller: OriginCaller) -> Origin:
    """The origin that a value stands for, without filters of its own."""
    match caller:
        case SystemOrigin(Root()):
            return ROOT
        case SystemOrigin(Signed(who)):
            return signed(who)
        case _:
            return NONE


def extrinsic_index(s: State) -> int:
    """The number of the extrinsic that runs; 0 outside of extrinsics."""
    return 0 if s.block is None else int(s.block.count)
