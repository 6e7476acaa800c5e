"""A call as a value, and what a dispatch costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ganglion.scale import (
    MAX_DEPTH,
    Codec,
    Compact,
    DecodeError,
    alias_codec,
    scale_type,
    slotted,
    u64,
)

READ_WEIGHT = 25_000_000
"""Reference time of one storage read (RocksDbWeight), in picoseconds."""
WRITE_WEIGHT = 100_000_000
"""Reference time of one storage write."""


@scale_type("node_subtensor_runtime::RuntimeCall")
@slotted
class RuntimeCall:
    """A pallet's call and its decoded arguments, in the order of its parameters."""

    pallet: int
    index: int
    args: tuple[Any, ...] = ()


Guard = Callable[[Any, RuntimeCall, Any], None]
"""`guard(state, call, origin)` raises CallError when the call may not run."""


def no_filter(s: Any, call: RuntimeCall, origin: Any) -> None:
    """Admit every call."""


class CallTable:
    """Encodes and decodes calls of every pallet in the runtime that was placed last.

    A process runs one runtime. Pallets whose calls hold other calls compile their codecs
    before the runtime exists, so the table is bound late.
    """

    def __init__(self) -> None:
        self.calls: dict[tuple[int, int], Any] = {}
        self.depth = 0
        self.filter: Guard = no_filter
        self.guards: tuple[Guard, ...] = ()

    def bind(
        self,
        calls: dict[tuple[int, int], Any],
        call_filter: Guard = no_filter,
        guards: tuple[Guard, ...] = (),
    ) -> None:
        """Take calls by pallet and call index, and what looks at calls before they run."""
        self.filter, self.guards = call_filter, guards
        self.calls = calls

    def entry(self, call: RuntimeCall) -> Any:
        """The declaration behind a call; KeyError when the runtime has none."""
        return self.calls[call.pallet, call.index]

    def encode(self, call: RuntimeCall) -> bytes:
        """Pallet index, call index, arguments."""
        out = bytes((call.pallet, call.index))
        for part, value in zip(self.entry(call).codecs, call.args, strict=True):
            out += part.encode(value)
        return out

    def read(self, data: bytes, at: int) -> tuple[RuntimeCall, int]:
        """Decode one call; DecodeError for an unknown one or for calls nested too deep."""
        if at + 2 > len(data):
            raise DecodeError("call: the data ends before it")
        pallet, index = data[at], data[at + 1]
        entry = self.calls.get((pallet, index))
        if entry is None:
            raise DecodeError(f"call: pallet {pallet} has no call {index}")
        if self.depth >= MAX_DEPTH:
            raise DecodeError(f"call: nested deeper than {MAX_DEPTH}")
        self.depth += 1
        try:
            args, at = [], at + 2
            for part in entry.codecs:
                value, at = part.read(data, at)
                args.append(value)
        finally:
            self.depth -= 1
        return RuntimeCall(pallet, index, tuple(args)), at


CALLS = CallTable()
alias_codec(RuntimeCall, Codec("RuntimeCall", CALLS.encode, CALLS.read))


@scale_type("sp_weights::weight_v2::Weight")
@slotted
class Weight:
    """Reference time in picoseconds and proof size in bytes."""

    ref_time: Compact[u64]
    proof_size: Compact[u64]

    def __add__(self, other: Weight) -> Weight:
        return Weight(self.ref_time + other.ref_time, self.proof_size + other.proof_size)


@scale_type("frame_support::dispatch::DispatchClass")
class DispatchClass(IntEnum):
    """Which share of the block a call may use."""

    Normal = 0
    Operational = 1
    Mandatory = 2


NORMAL, OPERATIONAL, MANDATORY = DispatchClass
"""Named once: looking a member up at its class takes longer than what follows from it."""


@scale_type("frame_support::dispatch::Pays")
class Pays(IntEnum):
    """Whether the caller pays a fee."""

    Yes = 0
    No = 1


@slotted
class DispatchInfo:
    """What a call declares before it runs."""

    weight: int
    dispatch_class: DispatchClass = DispatchClass.Normal
    pays: Pays = Pays.Yes


@dataclass(frozen=True, slots=True)
class PostInfo:
    """What a call may return: the weight it really used, and whether the fee is waived."""

    weight: int | None = None
    pays: Pays | None = None
