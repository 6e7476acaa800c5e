"""Running a call: its own storage layer, all or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chain.runtime.call import Pays, PostInfo, RuntimeCall
from chain.runtime.errors import CallError
from chain.runtime.origin import Origin
from chain.runtime.runtime import CALLS
from chain.runtime.state import State
from ganglion.scale import slotted


@slotted
class DispatchResult:
    """How a dispatch ended: `error` is None or what the call raised; `weight` it used."""

    error: CallError | None
    weight: int
    pays: Pays


@contextmanager
def layer(s: State) -> Iterator[None]:
    """Undo everything inside when it raises CallError (which passes on)."""
    mark = s.mark()
    try:
        yield
    except CallError:
        s.rollback(mark)
        raise


def dispatch(
    s: State, call: RuntimeCall, origin: Origin, bypass_filter: bool = False
) -> DispatchResult:
    """Run a call in its own layer; a CallError undoes it and is returned, not raised.

    The runtime's call filter looks first, except for root or under `bypass_filter`; its guards
    always look.
    """
    entry = CALLS.entry(call)
    info = entry.info(call.args)
    mark = s.mark()
    try:
        if not (bypass_filter or origin.is_root):
            CALLS.filter(s, call, origin)
        for guard in CALLS.guards:
            guard(s, call, origin)
        post = entry.run(s, origin, call.args)
    except CallError as e:
        s.rollback(mark)
        return DispatchResult(e, info.weight, info.pays)
    if not isinstance(post, PostInfo):
        return DispatchResult(None, info.weight, info.pays)
    weight = info.weight if post.weight is None else min(post.weight, info.weight)
    return DispatchResult(None, weight, info.pays if post.pays is None else post.pays)
