"""A call as a value, and what a dispatch costs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ganglion.scale import Compact, scale_type, u64

READ_WEIGHT = 25_000_000
"""Reference time of one storage read (RocksDbWeight), in picoseconds."""
WRITE_WEIGHT = 100_000_000
"""Reference time of one storage write."""


@scale_type("node_subtensor_runtime::RuntimeCall")
@dataclass(frozen=True, slots=True)
class RuntimeCall:
    """A pallet's call and its decoded arguments, in the order of its parameters."""

    pallet: int
    index: int
    args: tuple[Any, ...] = ()


@scale_type("sp_weights::weight_v2::Weight")
@dataclass(frozen=True, slots=True)
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


@scale_type("frame_support::dispatch::Pays")
class Pays(IntEnum):
    """Whether the caller pays a fee."""

    Yes = 0
    No = 1


@dataclass(frozen=True, slots=True)
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
