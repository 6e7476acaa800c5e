"""SafeMode (pallet 20): most calls refused for a while. Upstream: pallet_safe_mode.

Only root enters and extends: entering by deposit is switched off, as on the public network.
"""

from __future__ import annotations

from enum import IntEnum

from chain.pallets.balances_ops import rescind, slash_reserved, unreserve
from chain.pallets.system import block_number
from chain.runtime.call import DispatchClass
from chain.runtime.errors import Errors, ensure, error
from chain.runtime.origin import Root, Signed
from chain.runtime.pallet import Constant, Pallet, call, constant, event, on_initialize
from chain.runtime.state import State
from chain.runtime.storage import Map, Twox, Value, storage
from ganglion.scale import scale_type
from ganglion.units import AccountId, BlockNumber, Rao

ROOT_ENTER_DURATION = 7_200
ROOT_EXTEND_DURATION = 3_600

EnterDuration: Constant[BlockNumber] = constant(BlockNumber(0))
"""For how many blocks the safe-mode will be entered by a deposit."""

ExtendDuration: Constant[BlockNumber] = constant(BlockNumber(0))
"""For how many blocks the safe-mode can be extended by a deposit."""

EnterDepositAmount: Constant[Rao | None] = constant(None)
"""What entering costs; None: not for sale."""

ExtendDepositAmount: Constant[Rao | None] = constant(None)
"""What extending costs; None: not for sale."""

ReleaseDelay: Constant[BlockNumber | None] = constant(None)
"""After how many blocks a deposit can be released without root; None: never."""


@scale_type("pallet_safe_mode::pallet::ExitReason")
class ExitReason(IntEnum):
    """Why safe mode ended."""

    Timeout = 0
    Force = 1


EnteredUntil: Value[BlockNumber | None] = storage()
"""The last block number that the safe-mode will remain entered in."""

Deposits: Map[Twox[AccountId], Twox[BlockNumber], Rao | None] = storage()
"""The reserve that was taken from an account at a specific block number."""


@event(0)
class Entered:
    """The safe-mode was entered until inclusively this block."""

    until: BlockNumber


@event(1)
class Extended:
    """The safe-mode was extended until inclusively this block."""

    until: BlockNumber


@event(2)
class Exited:
    """Exited the safe-mode for a specific reason."""

    reason: ExitReason


@event(4)
class DepositReleased:
    """An account had a reserve released that was reserved."""

    account: AccountId
    amount: Rao


@event(5)
class DepositSlashed:
    """An account had reserve slashed that was reserved."""

    account: AccountId
    amount: Rao


class Error(Errors):
    """Upstream's errors."""

    Entered = error(0, "The safe-mode is (already or still) entered.")
    Exited = error(1, "The safe-mode is (already or still) exited.")
    NotConfigured = error(2, "This functionality of the pallet is disabled by the configuration.")
    NoDeposit = error(3, "There is no balance reserved.")
    AlreadyDeposited = error(
        4,
        "The account already has a deposit reserved and can therefore not enter or extend again.",
    )
    CannotReleaseYet = error(5, "This deposit cannot be released yet.")
    CurrencyError = error(6, "An error from the underlying `Currency`.")


@call(0, weight=12_000_000, reads=1, writes=1)
def enter(s: State, who: Signed) -> None:
    """Enter safe-mode permissionlessly: not configured on this network."""
    ensure(s[EnteredUntil] is None, Error.Entered)
    raise Error.NotConfigured


@call(1, weight=12_000_000, reads=1, writes=1, dispatch_class=DispatchClass.Operational)
def force_enter(s: State, origin: Root) -> None:
    """Enter safe-mode by force for a day of blocks."""
    ensure(s[EnteredUntil] is None, Error.Entered)
    until = BlockNumber(block_number(s) + ROOT_ENTER_DURATION)
    s[EnteredUntil] = until
    s.emit(Entered(until))


@call(2, weight=12_000_000, reads=1, writes=1)
def extend(s: State, who: Signed) -> None:
    """Extend the safe-mode permissionlessly: not configured on this network."""
    ensure(s[EnteredUntil] is not None, Error.Exited)
    raise Error.NotConfigured


@call(3, weight=12_000_000, reads=1, writes=1, dispatch_class=DispatchClass.Operational)
def force_extend(s: State, origin: Root) -> None:
    """Extend the safe-mode by force for half a day of blocks."""
    now = s[EnteredUntil]
    if now is None:
        raise Error.Exited
    until = BlockNumber(now + ROOT_EXTEND_DURATION)
    s[EnteredUntil] = until
    s.emit(Extended(until))


@call(4, weight=12_000_000, reads=1, writes=1, dispatch_class=DispatchClass.Operational)
def force_exit(s: State, origin: Root) -> None:
    """Exit safe-mode by force."""
    leave(s, ExitReason.Force)


@call(5, weight=45_000_000, reads=2, writes=2, dispatch_class=DispatchClass.Operational)
def force_slash_deposit(s: State, origin: Root, account: AccountId, block: BlockNumber) -> None:
    """Slash a deposit for an account that entered or extended safe-mode at a given block."""
    amount = take_deposit(s, account, block)
    rescind(s, slash_reserved(s, account, amount))
    s.emit(DepositSlashed(account, amount))


@call(6, weight=45_000_000, reads=2, writes=2)
def release_deposit(s: State, who: Signed, account: AccountId, block: BlockNumber) -> None:
    """Permissionlessly release a deposit: not configured on this network."""
    take_deposit(s, account, block)
    ensure(s[EnteredUntil] is None, Error.Entered)
    raise Error.NotConfigured


@call(7, weight=45_000_000, reads=2, writes=2, dispatch_class=DispatchClass.Operational)
def force_release_deposit(s: State, origin: Root, account: AccountId, block: BlockNumber) -> None:
    """Force to release a deposit for an account that entered safe-mode at a given block."""
    amount = take_deposit(s, account, block)
    unreserve(s, account, amount)
    s.emit(DepositReleased(account, amount))


@on_initialize
def leave_in_time(s: State, now: int) -> None:
    """Exit after the last block of safe mode."""
    until = s[EnteredUntil]
    if until is not None and now > until:
        leave(s, ExitReason.Timeout)


def leave(s: State, reason: ExitReason) -> None:
    """End safe mode; raises Exited when it is not on."""
    ensure(s[EnteredUntil] is not None, Error.Exited)
    del s[EnteredUntil]
    s.emit(Exited(reason))


def take_deposit(s: State, account: AccountId, block: BlockNumber) -> Rao:
    """Remove the record of a deposit; raises NoDeposit."""
    amount = s[Deposits, account, block]
    if amount is None:
        raise Error.NoDeposit
    del s[Deposits, account, block]
    return amount


pallet = Pallet("SafeMode", __name__).seal()
