"""InferenceRequests: the calls that an answer may be handed to, and how.

A callback is signed by an account of this pallet's own, which holds nothing: whoever is called
knows that the answer came from here, and an answer can move nobody's money, whatever it says. None
of these calls leads back into a request, and they run last, when all is paid and written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chain.pallets.nested import weight_of
from chain.pallets.requests_store import (
    MAX_KEY,
    Callback,
    CalledBack,
    Data,
    Error,
    MaxCallbackWeight,
    PalletAccount,
)
from chain.pallets.sudo import outcome
from chain.runtime.call import CALLS, RuntimeCall
from chain.runtime.dispatch import dispatch
from chain.runtime.errors import ensure
from chain.runtime.origin import signed
from chain.runtime.state import State
from ganglion.scale import codec, u64
from ganglion.units import AccountId
from ganglion.wire.requests import MAX_OUTPUT, Output


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a callback is told: whose request, the data that came with it, and the answer."""

    id: int
    requester: AccountId
    data: bytes
    output: bytes


REMARK = codec(tuple[u64, Data, Output])


def remark_args(told: Outcome) -> tuple[Any, ...]:
    """A remark of SCALE (id, data, output)."""
    return (REMARK.encode((told.id, told.data, told.output)),)


def put_args(told: Outcome) -> tuple[Any, ...]:
    """The data is the key in the requester's inbox."""
    ensure(0 < len(told.data) <= MAX_KEY, Error.BadCallback)
    return told.requester, told.data, told.id, told.output


ALLOWED: dict[tuple[str, str], Callable[[Outcome], tuple[Any, ...]]] = {
    ("System", "remark_with_event"): remark_args,
    ("InferenceRequests", "put"): put_args,
}
"""How each call that may be called back gets its arguments."""


def make_call(callback: Callback, told: Outcome) -> RuntimeCall:
    """The call that hands an answer over; raises NoCallback or BadCallback."""
    entry = CALLS.calls.get((callback.pallet, callback.call))
    make = None if entry is None else ALLOWED.get(entry.path)
    if make is None:
        raise Error.NoCallback
    return RuntimeCall(callback.pallet, callback.call, make(told))


def ensure_callable(requester: AccountId, callback: Callback | None) -> None:
    """Raise NoCallback or BadCallback unless any answer could be handed over."""
    if callback is not None:
        longest = Outcome((1 << 64) - 1, requester, callback.data, bytes(MAX_OUTPUT))
        weight = weight_of(make_call(callback, longest))
        ensure(weight <= MaxCallbackWeight.value, Error.BadCallback)


def call_back(s: State, callback: Callback | None, told: Outcome) -> int:
    """Hand an answer over, once; the weight. A failure is an event and undoes nothing else."""
    if callback is None:
        return 0
    result = dispatch(s, make_call(callback, told), signed(PalletAccount.value))
    s.emit(CalledBack(told.id, outcome(result)))
    return result.weight
