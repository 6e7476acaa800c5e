"""Aura (pallet 3): who may author in which slot. Upstream: pallet_aura."""

from __future__ import annotations

from typing import Annotated

from chain.runtime.errors import CallError, ensure
from chain.runtime.flavour import slow_or_fast
from chain.runtime.pallet import Constant, Pallet, constant, on_initialize
from chain.runtime.state import State
from chain.runtime.storage import Value, storage
from chain.runtime.types import Consensus, PreRuntime
from ganglion.scale import AtMost, Fixed, codec, u64
from ganglion.units import AccountId, BlockNumber

AuraId = Annotated[bytes, Fixed(32)]

AURA = b"aura"

SlotDuration: Constant[u64] = constant(slow_or_fast(12_000, 250))
"""The slot duration in milliseconds. 250 marks a fast chain to every client."""

Authorities: Value[Annotated[tuple[AuraId, ...], AtMost(32)]] = storage(default=())
"""The current authority set."""

CurrentSlot: Value[u64] = storage(default=0)
"""The slot of the current block."""


class BadSlot(CallError):
    """The block's slot breaks a rule that an honest author keeps: the block is invalid."""


@on_initialize
def take_slot(s: State, now: BlockNumber) -> None:
    """Read the slot from the block's digest."""
    slot = slot_of(tuple(s.logs))
    if slot is None:
        return
    ensure(s[CurrentSlot] < slot, BadSlot("Slot must increase"))
    s[CurrentSlot] = slot


def slot_of(logs: tuple[object, ...]) -> int | None:
    """The slot that a header's digest names, or None."""
    for log in logs:
        if isinstance(log, PreRuntime) and log._0 == AURA and len(log._1) == 8:
            return int.from_bytes(log._1, "little")
    return None


def on_timestamp_set(s: State, now: int) -> None:
    """The time must lie in the block's slot."""
    ensure(
        now // SlotDuration.value == s[CurrentSlot],
        BadSlot("Timestamp slot must match `CurrentSlot`"),
    )


def change_authorities(s: State, new: tuple[bytes, ...]) -> None:
    """Replace the authors, from the next block on; an empty list changes nothing."""
    if not new:
        return
    s[Authorities] = new
    s.logs.append(Consensus(AURA, b"\1" + codec(tuple[AuraId, ...]).encode(new)))


def author(s: State) -> AccountId | None:
    """The account of the block's author: the authority whose turn the slot is."""
    authorities = s[Authorities]
    if not authorities:
        return None
    return AccountId(authorities[s[CurrentSlot] % len(authorities)])


pallet = Pallet("Aura", __name__).seal()
