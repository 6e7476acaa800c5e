"""A runtime on an in-memory state, and ways to call it as a test reads it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from chain.pallets.balances_ops import set_free
from chain.pallets.system import Number
from chain.runtime.call import RuntimeCall
from chain.runtime.dispatch import DispatchResult, dispatch
from chain.runtime.origin import NONE, ROOT, Origin, signed
from chain.runtime.runtime import Runtime
from chain.runtime.state import DictBackend, State
from chain.runtime.types import Id
from chain.runtime_spec import make_runtime
from ganglion.keys import dev_key
from ganglion.units import AccountId, BlockNumber

RUNTIME: Runtime = make_runtime()
TAO = 1_000_000_000
ALICE, BOB, CHARLIE, DAVE, EVE = (
    dev_key(name).account_id for name in ("Alice", "Bob", "Charlie", "Dave", "Eve")
)


def world(block: int = 1, tao: int = 1000) -> State:
    """A state at `block` in which the five of us have `tao` TAO each."""
    s = State(DictBackend())
    at_block(s, block)
    for who in (ALICE, BOB, CHARLIE, DAVE, EVE):
        set_free(s, who, tao * TAO)
    s.events.clear()
    return s


def at_block(s: State, block: int, extrinsic: int = 0) -> None:
    """Move to a block and an extrinsic in it, without running hooks."""
    s[Number] = BlockNumber(block)
    s.block = SimpleNamespace(count=extrinsic)


def next_block(s: State, block: int) -> None:
    """Move to a block and run the hooks of its start."""
    at_block(s, block)
    s.events.clear()
    for hook in RUNTIME.hooks("on_initialize"):
        if hook.__module__ not in SLOW:
            hook(s, block)


SLOW = ("chain.pallets.aura",)


def make(path: str, *args: Any) -> RuntimeCall:
    """`make("Balances.burn", 5, True)`."""
    return RUNTIME.call(*path.split("."), *args)


def address(who: AccountId) -> Id:
    """An account as calls name it."""
    return Id(who)


def origin_of(who: AccountId | Origin) -> Origin:
    """The origin of an account, or the origin itself."""
    return who if isinstance(who, Origin) else signed(who)


def run(s: State, who: AccountId | Origin, path: str, *args: Any) -> DispatchResult:
    """Dispatch a call; when it fails, nothing may have changed."""
    before, events = contents(s), list(s.events)
    result = dispatch(s, make(path, *args), origin_of(who))
    if result.error is not None:
        assert contents(s) == before
        assert s.events == events
    return result


def contents(s: State) -> dict[bytes, bytes]:
    """All raw entries of the state."""
    out = DictBackend(s.backend)  # type: ignore[arg-type]
    out.apply(s.changes())
    return dict(out)


def ok(s: State, who: AccountId | Origin, path: str, *args: Any) -> DispatchResult:
    """Dispatch a call that must succeed."""
    result = run(s, who, path, *args)
    assert result.error is None, result.error
    return result


def fails(s: State, failure: Any, who: AccountId | Origin, path: str, *args: Any) -> None:
    """Dispatch a call that must fail in one way."""
    error = run(s, who, path, *args).error
    if isinstance(failure, type):
        assert isinstance(error, failure), f"{error!r} instead of {failure.__name__}"
    else:
        assert error is not None
        assert error.value() == failure.value()


def names(s: State) -> list[str]:
    """The events since the last clear, as Pallet.Event."""
    return [f"{e.__pallet__}.{type(e).__name__.rstrip('_')}" for e in s.events]


def last(s: State, kind: type) -> Any:
    """The last event of a kind."""
    return next(e for e in reversed(s.events) if isinstance(e, kind))


__all__ = [
    "ALICE",
    "BOB",
    "CHARLIE",
    "DAVE",
    "EVE",
    "NONE",
    "ROOT",
    "RUNTIME",
    "TAO",
    "address",
    "at_block",
    "fails",
    "last",
    "make",
    "names",
    "next_block",
    "ok",
    "run",
    "world",
]
