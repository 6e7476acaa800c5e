"""Sudo (pallet 12): one key that may do everything. Upstream: pallet_sudo.

A dispatch as root never fails the sudo call itself: the result is in the event. All calls
are free of fees once they succeed.
"""

from __future__ import annotations

from typing import Any

from chain.pallets.nested import class_of, rocks, weight_of
from chain.runtime.call import CALLS, DispatchClass, Pays, PostInfo, RuntimeCall, Weight
from chain.runtime.dispatch import DispatchResult, dispatch
from chain.runtime.errors import DispatchError, Errors, ensure, error
from chain.runtime.extension import Context, Extension
from chain.runtime.origin import ROOT, SignedOrRoot, signed
from chain.runtime.pallet import Pallet, call, event, genesis
from chain.runtime.state import State
from chain.runtime.storage import Value, storage
from chain.runtime.types import MultiAddress, lookup
from chain.runtime.validity import Invalid, InvalidTransaction
from ganglion.scale import Outcome
from ganglion.units import AccountId

FREE = PostInfo(pays=Pays.No)

Key: Value[AccountId | None] = storage()
"""The account of the sudo key."""


@event(0)
class Sudid:
    """A sudo call just took place."""

    sudo_result: Outcome[DispatchError]


@event(1)
class KeyChanged:
    """The sudo key has been updated."""

    old: AccountId | None
    new: AccountId


@event(2)
class KeyRemoved:
    """The key was permanently removed."""


@event(3)
class SudoAsDone:
    """A `sudo_as` call just took place."""

    sudo_result: Outcome[DispatchError]


class Error(Errors):
    """Upstream's error."""

    RequireSudo = error(0, "Sender must be the Sudo account.")


def outcome(result: DispatchResult) -> DispatchError | None:
    """How an event tells the end of a dispatch."""
    return None if result.error is None else result.error.value()


def ensure_sudo(s: State, who: AccountId | None) -> None:
    """Root itself, or the account of the key."""
    ensure(who is None or who == s[Key], Error.RequireSudo)


@call(0, weight=lambda call: rocks(11_000_000, reads=1) + weight_of(call), dispatch_class=class_of)
def sudo(s: State, who: SignedOrRoot, call: RuntimeCall) -> PostInfo:
    """Authenticates the sudo key and dispatches a function call with `Root` origin."""
    ensure_sudo(s, who)
    s.emit(Sudid(outcome(dispatch(s, call, ROOT, bypass_filter=True))))
    return FREE


def _class_of_first(call: RuntimeCall, weight: Weight) -> DispatchClass:
    return class_of(call)


@call(1, weight=lambda call, weight: weight.ref_time, dispatch_class=_class_of_first)
def sudo_unchecked_weight(
    s: State, who: SignedOrRoot, call: RuntimeCall, weight: Weight
) -> PostInfo:
    """Like `sudo`, with the weight that the caller states instead of the call's own."""
    ensure_sudo(s, who)
    s.emit(Sudid(outcome(dispatch(s, call, ROOT, bypass_filter=True))))
    return FREE


@call(2, weight=11_000_000, reads=1, writes=1)
def set_key(s: State, who: SignedOrRoot, new: MultiAddress) -> PostInfo:
    """Authenticates the current sudo key and sets the given account as the new sudo key."""
    ensure_sudo(s, who)
    account = lookup(new)
    s.emit(KeyChanged(s[Key], account))
    s[Key] = account
    return FREE


@call(
    3,
    weight=lambda who, call: rocks(11_000_000, reads=1) + weight_of(call),
    dispatch_class=lambda who, call: class_of(call),
)
def sudo_as(s: State, caller: SignedOrRoot, who: MultiAddress, call: RuntimeCall) -> PostInfo:
    """Dispatches a function call with the `Signed` origin of a given account."""
    ensure_sudo(s, caller)
    result = dispatch(s, call, signed(lookup(who)), bypass_filter=True)
    s.emit(SudoAsDone(outcome(result)))
    return FREE


@call(4, weight=9_000_000, reads=1, writes=1)
def remove_key(s: State, who: SignedOrRoot) -> PostInfo:
    """Permanently removes the sudo key. This cannot be un-done."""
    ensure_sudo(s, who)
    s.emit(KeyRemoved())
    del s[Key]
    return FREE


class SudoTransactionExtension(Extension):
    """Keeps sudo calls of other accounts out of the pool."""

    identifier = "SudoTransactionExtension"

    def validate(self, s: State, ctx: Context) -> None:
        """Raise BadSigner unless the signer holds the key."""
        if ctx.who is None or CALLS.entry(ctx.call).pallet != "Sudo":
            return
        if s[Key] is None or ctx.who != s[Key]:
            raise InvalidTransaction(Invalid.BadSigner)


@genesis
def build(s: State, preset: Any) -> None:
    """The sudo key of the chain's preset."""
    if preset.sudo is not None:
        s[Key] = preset.sudo


pallet = Pallet("Sudo", __name__).seal()
