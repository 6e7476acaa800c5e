"""Trying an extrinsic or a call on top of a block without making one: what would it do?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chain.author import apply_inherents
from chain.blocks import Header, slot_digest
from chain.executive import Executive
from chain.runtime.call import RuntimeCall
from chain.runtime.dispatch import DispatchResult, dispatch
from chain.runtime.errors import DispatchError
from chain.runtime.origin import Origin
from chain.runtime.state import State
from chain.runtime.validity import InvalidTransaction
from ganglion.scale import codec


@dataclass(frozen=True, slots=True)
class Slot:
    """Which slot and time the imagined block has."""

    slot: int
    now_ms: int


@dataclass(slots=True)
class Simulation:
    """How it ended, and what it wrote.

    `refused` is set when no block could hold the extrinsic. `diff` maps raw keys to the value
    before and after.
    """

    result: DispatchResult | None = None
    refused: InvalidTransaction | None = None
    events: list[Any] = field(default_factory=list)
    diff: dict[bytes, tuple[bytes | None, bytes | None]] = field(default_factory=dict)

    def encode(self) -> bytes:
        """`ApplyExtrinsicResult` in SCALE."""
        if self.refused is not None:
            return b"\1\0" + self.refused.encode()
        assert self.result is not None, "what was not refused has a result"
        error = self.result.error
        if error is None:
            return b"\0\0"
        value = error.value()
        encoded: bytes = codec(DispatchError).encode(value)
        return b"\0\1" + encoded


def begin_block(executive: Executive, parent: Header, state: State, slot: Slot) -> State:
    """A child of the parent's state in which a block has begun and its inherents have run."""
    pending = state.child()
    number = parent.number + 1
    executive.initialize_block(pending, number, parent.hash, [slot_digest(slot.slot)])
    apply_inherents(executive, pending, executive.inherents(pending, slot.now_ms))
    return pending


def simulate(pending: State, work: Callable[[State], DispatchResult]) -> Simulation:
    """Run `work` on a child of a begun block and note what it changes there."""
    top = pending.child()
    top.block = pending.block
    top.block.encoded_events = 0
    done = Simulation()
    try:
        done.result = work(top)
    except InvalidTransaction as error:
        done.refused = error
    done.events = list(top.events)
    for key, new in top.changes().items():
        old = pending.read_raw(key)
        if old != new:
            done.diff[key] = old, new
    return done


def apply_raw(executive: Executive, raw: bytes) -> Callable[[State], DispatchResult]:
    """Work for `simulate`: a signed extrinsic, checks and fee included."""
    return lambda state: executive.apply_extrinsic(state, raw)


def apply_call(call: RuntimeCall, origin: Origin) -> Callable[[State], DispatchResult]:
    """Work for `simulate`: a bare call from any origin, without fee."""
    return lambda state: dispatch(state, call, origin)
