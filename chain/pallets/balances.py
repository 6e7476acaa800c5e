"""Balances (pallet 5): the calls. Operations for other pallets are in `balances_ops`."""

from __future__ import annotations

from enum import IntEnum

import chain.pallets.balances_holds as _holds
import chain.pallets.balances_store as _store
from chain.pallets.balances_ops import (
    Keep,
    burn_from,
    reducible_balance,
    set_free,
    transfer,
    unreserve,
)
from chain.pallets.balances_store import (
    BalanceSet,
    Error,
    InactiveIssuance,
    TotalIssuance,
    TotalIssuanceForced,
)
from chain.pallets.system import Account
from chain.runtime.errors import ensure
from chain.runtime.origin import Root, Signed
from chain.runtime.pallet import Pallet, call
from chain.runtime.state import State
from chain.runtime.types import MultiAddress, lookup
from ganglion.scale import Compact, scale_type
from ganglion.units import AccountId, Rao


@scale_type("pallet_balances::types::AdjustmentDirection")
class AdjustmentDirection(IntEnum):
    """Up or down."""

    Increase = 0
    Decrease = 1


@call(0, weight=69_227_000, reads=1, writes=1)
def transfer_allow_death(s: State, source: Signed, dest: MultiAddress, value: Compact[Rao]) -> None:
    """Transfer some liquid free balance to another account.

    The sender is reaped when less than the existential deposit stays with it.
    """
    transfer(s, source, lookup(dest), value, Keep.EXPENDABLE)


@call(2, weight=71_000_000, reads=2, writes=2)
def force_transfer(
    s: State, origin: Root, source: MultiAddress, dest: MultiAddress, value: Compact[Rao]
) -> None:
    """Exactly as `transfer_allow_death`, except the origin must be root."""
    transfer(s, lookup(source), lookup(dest), value, Keep.EXPENDABLE)


@call(3, weight=99_051_000, reads=1, writes=1)
def transfer_keep_alive(s: State, source: Signed, dest: MultiAddress, value: Compact[Rao]) -> None:
    """Same as `transfer_allow_death`, but the sender must stay alive."""
    transfer(s, source, lookup(dest), value, Keep.PRESERVE)


@call(4, weight=69_000_000, reads=1, writes=1)
def transfer_all(s: State, source: Signed, dest: MultiAddress, keep_alive: bool) -> None:
    """Transfer the entire transferable balance from the caller account."""
    keep = Keep.PRESERVE if keep_alive else Keep.EXPENDABLE
    transfer(s, source, lookup(dest), reducible_balance(s, source, keep), keep)


@call(5, weight=26_000_000, reads=1, writes=1)
def force_unreserve(s: State, origin: Root, who: MultiAddress, amount: Rao) -> None:
    """Unreserve some balance from a user by force."""
    unreserve(s, lookup(who), amount)


@call(6, weight=lambda who: 20_000_000 + len(who) * 140_000_000)
def upgrade_accounts(s: State, caller: Signed, who: tuple[AccountId, ...]) -> None:
    """Upgrade accounts to today's logic; every account of this chain is upgraded already."""


@call(8, weight=26_000_000, reads=1, writes=1)
def force_set_balance(s: State, origin: Root, who: MultiAddress, new_free: Compact[Rao]) -> None:
    """Set the regular balance of a given account."""
    account = lookup(who)
    set_free(s, account, new_free)
    s.emit(BalanceSet(account, s[Account, account].data.free))


@call(9, weight=7_000_000, reads=1, writes=1)
def force_adjust_total_issuance(
    s: State, origin: Root, direction: AdjustmentDirection, delta: Compact[Rao]
) -> None:
    """Adjust the total issuance in a saturating way."""
    ensure(delta > 0, Error.DeltaZero)
    old = s[TotalIssuance]
    new = old + delta if direction is AdjustmentDirection.Increase else old - delta
    new = Rao(min(max(new, 0), (1 << 64) - 1))
    ensure(s[InactiveIssuance] <= new, Error.IssuanceDeactivated)
    s[TotalIssuance] = new
    s.emit(TotalIssuanceForced(old, new))


@call(10, weight=51_000_000, reads=1, writes=1)
def burn(s: State, source: Signed, value: Compact[Rao], keep_alive: bool) -> None:
    """Burn the specified liquid free balance from the origin account."""
    burn_from(s, source, value, Keep.PRESERVE if keep_alive else Keep.EXPENDABLE)


pallet = Pallet("Balances", _store.__name__, _holds.__name__, __name__).seal()
