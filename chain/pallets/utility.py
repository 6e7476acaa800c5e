"""Utility (pallet 11): several calls in one, calls of derived accounts, calls with a fallback.

Every inner call runs in a layer of its own. A batch inside a batch is refused by the runtime's
call filter, not by the pool. Upstream: subtensor's fork of pallet_utility.
"""

from __future__ import annotations

from chain.pallets.nested import (
    OriginCaller,
    ensure_some_origin,
    name_of,
    pays_of,
    rocks,
    succeed,
    to_origin,
    weight_of,
)
from chain.runtime.call import PostInfo, RuntimeCall, Weight
from chain.runtime.dispatch import dispatch
from chain.runtime.errors import DispatchError, Errors, ensure, error
from chain.runtime.origin import ROOT, AnyOrigin, Origin, Root
from chain.runtime.pallet import Constant, Pallet, call, constant, event
from chain.runtime.state import State
from ganglion.hashing import blake2_256
from ganglion.scale import Outcome, u16, u32
from ganglion.units import AccountId

Calls = tuple[RuntimeCall, ...]

batched_calls_limit: Constant[u32] = constant(10_922)
"""The limit on the number of batched calls."""


@event(0)
class BatchInterrupted:
    """A batch stopped at its first failing call, whose number and error are given."""

    index: u32
    error: DispatchError


@event(1)
class BatchCompleted:
    """A batch completed with no error."""


@event(2)
class BatchCompletedWithErrors:
    """A batch completed, with some calls failed."""


@event(3)
class ItemCompleted:
    """One call of a batch completed."""


@event(4)
class ItemFailed:
    """One call of a batch failed."""

    error: DispatchError


@event(5)
class DispatchedAs:
    """A call was dispatched under another origin."""

    result: Outcome[DispatchError]


@event(6)
class IfElseMainSuccess:
    """The main call succeeded."""


@event(7)
class IfElseFallbackCalled:
    """The main call failed and the fallback succeeded."""

    main_error: DispatchError


class Error(Errors):
    """Upstream's errors."""

    TooManyCalls = error(0, "Too many calls batched.")
    InvalidDerivedAccount = error(1, "Bad input data for derived account ID")


def batch_base(count: int) -> int:
    """Weight of `batch` itself."""
    return rocks(19_446_696 + 5_450_264 * count, reads=2)


def batch_all_base(count: int) -> int:
    """Weight of `batch_all` itself."""
    return rocks(13_428_230 + 5_663_250 * count, reads=2)


def force_batch_base(count: int) -> int:
    """Weight of `force_batch` itself."""
    return rocks(12_134_867 + 5_477_293 * count, reads=2)


AS_DERIVATIVE = rocks(15_378_000, reads=3, writes=1)
IF_ELSE = rocks(21_831_000, reads=2)


def total(calls: Calls) -> int:
    """Declared weight of all the calls."""
    return sum(map(weight_of, calls))


@call(0, weight=lambda calls: total(calls) + batch_base(len(calls)), pays=lambda c: pays_of(*c))
def batch(s: State, origin: AnyOrigin, calls: Calls) -> PostInfo:
    """Send a batch of dispatch calls.

    Stops at the first that fails, and succeeds all the same: the events tell.
    """
    check_batch(origin, calls)
    used = 0
    for index, inner in enumerate(calls):
        result = dispatch(s, inner, origin)
        used += result.weight
        if result.error is not None:
            s.emit(BatchInterrupted(index, result.error.value()))
            return PostInfo(batch_base(index + 1) + used)
        s.emit(ItemCompleted())
    s.emit(BatchCompleted())
    return PostInfo(batch_base(len(calls)) + used)


@call(1, weight=lambda index, call: AS_DERIVATIVE + weight_of(call))
def as_derivative(s: State, origin: AnyOrigin, index: u16, call: RuntimeCall) -> PostInfo:
    """Send a call through an indexed pseudonym of the sender.

    Filters of the sender's origin stay in force.
    """
    who = origin.ensure_signed()
    pseudonym = origin.as_account(derivative_account_id(who, index))
    return PostInfo(AS_DERIVATIVE + succeed(dispatch(s, call, pseudonym)))


@call(2, weight=lambda calls: total(calls) + batch_all_base(len(calls)), pays=lambda c: pays_of(*c))
def batch_all(s: State, origin: AnyOrigin, calls: Calls) -> PostInfo:
    """Send a batch of dispatch calls and atomically execute them.

    The whole transaction rolls back and fails if any of the calls failed.
    """
    check_batch(origin, calls)
    inside = origin if origin.is_root else origin.filtered(is_no_batch_all)
    used = 0
    for inner in calls:
        used += succeed(dispatch(s, inner, inside))
        s.emit(ItemCompleted())
    s.emit(BatchCompleted())
    return PostInfo(batch_all_base(len(calls)) + used)


@call(3, weight=lambda as_origin, call: 6_893_000 + weight_of(call))
def dispatch_as(s: State, origin: Root, as_origin: OriginCaller, call: RuntimeCall) -> None:
    """Dispatches a function call with a provided origin; its failure is in the event only."""
    result = dispatch(s, call, to_origin(as_origin), bypass_filter=True)
    s.emit(DispatchedAs(None if result.error is None else result.error.value()))


@call(
    4, weight=lambda calls: total(calls) + force_batch_base(len(calls)), pays=lambda c: pays_of(*c)
)
def force_batch(s: State, origin: AnyOrigin, calls: Calls) -> PostInfo:
    """Send a batch of dispatch calls; unlike `batch`, goes on after errors."""
    check_batch(origin, calls)
    used, failed = 0, False
    for inner in calls:
        result = dispatch(s, inner, origin)
        used += result.weight
        if result.error is None:
            s.emit(ItemCompleted())
        else:
            failed = True
            s.emit(ItemFailed(result.error.value()))
    s.emit(BatchCompletedWithErrors() if failed else BatchCompleted())
    return PostInfo(force_batch_base(len(calls)) + used)


@call(5, weight=lambda call, weight: weight.ref_time)
def with_weight(s: State, origin: Root, call: RuntimeCall, weight: Weight) -> None:
    """Dispatch a function call with a specified weight, which is not checked."""
    succeed(dispatch(s, call, ROOT))


@call(6, weight=lambda main, fallback: IF_ELSE + weight_of(main) + weight_of(fallback))
def if_else(s: State, origin: AnyOrigin, main: RuntimeCall, fallback: RuntimeCall) -> PostInfo:
    """Dispatch a fallback call in the event the main call fails to execute."""
    ensure_some_origin(origin)
    first = dispatch(s, main, origin)
    if first.error is None:
        s.emit(IfElseMainSuccess())
        return PostInfo(IF_ELSE + first.weight)
    used = succeed(dispatch(s, fallback, origin))
    s.emit(IfElseFallbackCalled(first.error.value()))
    return PostInfo(IF_ELSE + first.weight + used)


@call(7, weight=lambda as_origin, call: 7_113_000 + weight_of(call))
def dispatch_as_fallible(
    s: State, origin: Root, as_origin: OriginCaller, call: RuntimeCall
) -> None:
    """Dispatches a function call with a provided origin and fails as it fails."""
    succeed(dispatch(s, call, to_origin(as_origin), bypass_filter=True))
    s.emit(DispatchedAs(None))


def check_batch(origin: Origin, calls: Calls) -> None:
    """Refuse unsigned origins and batches that are too long."""
    ensure_some_origin(origin)
    ensure(len(calls) <= batched_calls_limit.value, Error.TooManyCalls)


def is_no_batch_all(call: RuntimeCall) -> bool:
    """Whether a call may run inside batch_all."""
    return name_of(call) != ("Utility", "batch_all")


def derivative_account_id(who: AccountId, index: int) -> AccountId:
    """The sub-account `index` of an account."""
    return AccountId(blake2_256(b"modlpy/utilisuba" + who + index.to_bytes(2, "little")))


pallet = Pallet("Utility", __name__, crate="pallet_subtensor_utility").seal()
