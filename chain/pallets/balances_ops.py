"""What other pallets do with balances: transfer, withdraw, deposit, mint, burn, reserve.

Upstream: pallet_balances' fungible implementation. Amounts are rao. An account whose free and
reserved balance fall under the existential deposit is reaped; what is left of it is dust and
leaves the total issuance.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from chain.pallets.balances_store import (
    ED,
    BalanceStatus,
    Burned,
    Deposit,
    DustLost,
    Endowed,
    Error,
    Issued,
    Minted,
    Rescinded,
    Reserved,
    ReserveRepatriated,
    TotalIssuance,
    Transfer,
    Unreserved,
    Withdraw,
)
from chain.pallets.system import (
    Account,
    dec_consumers,
    dec_providers,
    inc_consumers,
    inc_providers,
)
from chain.pallets.system_types import AccountData, AccountInfo
from chain.runtime.errors import (
    ArithmeticErrorKind,
    ArithmeticFailure,
    TokenError,
    TokenErrorKind,
    ensure,
)
from chain.runtime.state import State
from ganglion.units import AccountId, Rao

MAX = (1 << 64) - 1


class Keep(Enum):
    """How far a withdrawal may go (upstream: Preservation)."""

    EXPENDABLE = 0
    PROTECT = 1
    PRESERVE = 2


EXPENDABLE, PROTECT, PRESERVE = Keep
"""Named once: looking a member up at its class takes longer than what follows from it."""


def free_balance(s: State, who: AccountId) -> Rao:
    """What is neither reserved nor gone."""
    return s[Account, who].data.free


def total_balance(s: State, who: AccountId) -> Rao:
    """Free and reserved."""
    data = s[Account, who].data
    return Rao(data.free + data.reserved)


def reducible_balance(s: State, who: AccountId, keep: Keep, polite: bool = True) -> Rao:
    """The most that can be withdrawn; `polite` respects freezes."""
    info = s[Account, who]
    data = info.data
    untouchable = data.frozen - data.reserved if polite and data.frozen else 0
    if untouchable < ED and (keep is PRESERVE or _is_only_provider(info)):
        untouchable = ED
    return Rao(max(data.free - max(untouchable, 0), 0))


def _is_only_provider(info: AccountInfo) -> bool:
    """Whether something relies on the account and nothing else keeps it alive."""
    return info.consumers > 0 and info.providers <= 1


def write_balances(s: State, who: AccountId, data: AccountData) -> None:
    """Store balances, with providers, consumers, endowment and dust as upstream.

    Raises ConsumerRemaining when the account would die under its users.
    """
    old = s[Account, who].data
    did_provide, does_provide = old.free >= ED, data.free >= ED
    did_consume = old.reserved > 0 or old.frozen > 0
    does_consume = data.reserved > 0 or data.frozen > 0
    is_new = old == AccountData()
    if not did_provide and does_provide:
        inc_providers(s, who)
    if did_consume and not does_consume:
        dec_consumers(s, who)
    if not did_consume and does_consume:
        inc_consumers(s, who)
    dust = 0
    if data.free < ED and data.reserved == 0:
        dust = data.free
        data = AccountData()
    if did_provide and not does_provide:
        dec_providers(s, who)
    if (Account, who) in s:
        s[Account, who] = s[Account, who].with_data(data)
    if is_new and does_provide:
        s.emit(Endowed(who, data.free))
    if dust:
        s[TotalIssuance] = Rao(max(s[TotalIssuance] - dust, 0))
        s.emit(DustLost(who, Rao(dust)))


def _increase(s: State, who: AccountId, amount: int) -> None:
    """Add to the free balance (a negative amount takes away)."""
    ref = Account, who
    info = s[ref]
    old = info.data
    free = Rao(old.free + amount)
    data = AccountData(free, old.reserved, old.frozen, old.flags)
    if old.free >= ED and free >= ED:  # nothing but the number changes
        s[ref] = AccountInfo(info.nonce, info.consumers, info.providers, info.sufficients, data)
    else:
        write_balances(s, who, data)


def ensure_can_withdraw(s: State, who: AccountId, amount: int, keep: Keep) -> None:
    """Raise TokenError unless `amount` may leave the account."""
    if amount == 0:
        return
    info = s[Account, who]
    left = info.data.free - amount
    if left < 0:
        raise TokenError(TokenErrorKind.FundsUnavailable)
    if info.data.frozen and left < info.data.frozen - info.data.reserved:
        raise TokenError(TokenErrorKind.Frozen)
    if left < ED:
        if _is_only_provider(info):
            raise TokenError(TokenErrorKind.OnlyProvider)
        if keep is not EXPENDABLE:
            raise TokenError(TokenErrorKind.NotExpendable)


def can_withdraw(s: State, who: AccountId, amount: int, keep: Keep = EXPENDABLE) -> bool:
    """Whether `amount` may leave the account."""
    try:
        ensure_can_withdraw(s, who, amount, keep)
    except TokenError:
        return False
    return True


def ensure_can_deposit(s: State, who: AccountId, amount: int) -> None:
    """Raise TokenError or ArithmeticFailure unless the account can take `amount`."""
    if amount == 0:
        return
    new = s[Account, who].data.free + amount
    if new > MAX:
        raise ArithmeticFailure(ArithmeticErrorKind.Overflow)
    if new < ED:
        raise TokenError(TokenErrorKind.BelowMinimum)


def transfer(
    s: State, source: AccountId, dest: AccountId, amount: int, keep: Keep = EXPENDABLE
) -> None:
    """Move free balance; raises TokenError or ArithmeticFailure before any write."""
    ensure_can_withdraw(s, source, amount, keep)
    ensure_can_deposit(s, dest, amount)
    if source == dest:
        return
    _increase(s, source, -amount)
    _increase(s, dest, amount)
    s.emit(Transfer(source, dest, Rao(amount)))


def withdraw(
    s: State, who: AccountId, amount: int, keep: Keep = EXPENDABLE, quiet: bool = False
) -> None:
    """Take balance out of an account into the caller's hands; issuance is unchanged.

    The caller must deposit the amount somewhere or `rescind` it.
    """
    ensure_can_withdraw(s, who, amount, keep)
    if amount:
        _increase(s, who, -amount)
    if not quiet:
        s.emit(Withdraw(who, Rao(amount)))


def deposit(s: State, who: AccountId, amount: int) -> None:
    """Put balance that the caller holds into an account; issuance is unchanged."""
    ensure_can_deposit(s, who, amount)
    if amount:
        _increase(s, who, amount)
    s.emit(Deposit(who, Rao(amount)))


def issue(s: State, amount: int) -> None:
    """Create balance in the caller's hands, without an event (as a credit imbalance)."""
    s[TotalIssuance] = Rao(min(s[TotalIssuance] + amount, MAX))


def rescind(s: State, amount: int) -> None:
    """Destroy balance in the caller's hands, without an event."""
    s[TotalIssuance] = Rao(max(s[TotalIssuance] - amount, 0))


def mint_into(s: State, who: AccountId, amount: int) -> None:
    """Create balance in an account."""
    ensure_can_deposit(s, who, amount)
    issue(s, amount)
    _increase(s, who, amount)
    s.emit(Minted(who, Rao(amount)))


def burn_from(s: State, who: AccountId, amount: int, keep: Keep = EXPENDABLE) -> None:
    """Destroy balance of an account."""
    ensure_can_withdraw(s, who, amount, keep)
    rescind(s, amount)
    _increase(s, who, -amount)
    s.emit(Burned(who, Rao(amount)))


def set_free(s: State, who: AccountId, new_free: int) -> None:
    """Set the free balance outright and adjust the issuance (genesis, force_set_balance)."""
    new_free = new_free if new_free >= ED else 0
    data = s[Account, who].data
    old_free = data.free
    write_balances(s, who, replace(data, free=Rao(new_free)))
    if new_free > old_free:
        issue(s, new_free - old_free)
        s.emit(Issued(Rao(new_free - old_free)))
    elif new_free < old_free:
        rescind(s, old_free - new_free)
        s.emit(Rescinded(Rao(old_free - new_free)))


def reserve(s: State, who: AccountId, amount: int) -> None:
    """Move free balance to reserved; raises InsufficientBalance or LiquidityRestrictions."""
    if amount == 0:
        return
    data = s[Account, who].data
    ensure(data.free >= amount, Error.InsufficientBalance)
    ensure(data.free - amount >= data.frozen, Error.LiquidityRestrictions)
    # The free balance must keep the account alive: reserved balance provides nothing.
    ensure(data.free - amount >= ED, Error.InsufficientBalance)
    write_balances(
        s, who, replace(data, free=Rao(data.free - amount), reserved=Rao(data.reserved + amount))
    )
    s.emit(Reserved(who, Rao(amount)))


def unreserve(s: State, who: AccountId, amount: int) -> Rao:
    """Move reserved balance back to free; returns what could not be moved."""
    data = s[Account, who].data
    actual = min(data.reserved, amount)
    if amount == 0 or data == AccountData():
        return Rao(amount)
    write_balances(
        s, who, replace(data, free=Rao(data.free + actual), reserved=Rao(data.reserved - actual))
    )
    s.emit(Unreserved(who, Rao(actual)))
    return Rao(amount - actual)


def slash_reserved(s: State, who: AccountId, amount: int) -> Rao:
    """Take reserved balance into the caller's hands; returns how much was taken."""
    data = s[Account, who].data
    actual = min(data.reserved, amount)
    if actual:
        write_balances(s, who, replace(data, reserved=Rao(data.reserved - actual)))
    return Rao(actual)


def repatriate_reserved(
    s: State, slashed: AccountId, beneficiary: AccountId, amount: int, status: BalanceStatus
) -> Rao:
    """Move reserved balance to another account's free or reserved; returns the rest."""
    actual = min(s[Account, slashed].data.reserved, amount)
    if slashed == beneficiary:
        return unreserve(s, slashed, amount) if status is BalanceStatus.Free else Rao(0)
    ensure(s[Account, beneficiary].data != AccountData(), Error.DeadAccount)
    slash_reserved(s, slashed, actual)
    data = s[Account, beneficiary].data
    if status is BalanceStatus.Free:
        data = replace(data, free=Rao(data.free + actual))
    else:
        data = replace(data, reserved=Rao(data.reserved + actual))
    write_balances(s, beneficiary, data)
    s.emit(ReserveRepatriated(slashed, beneficiary, Rao(actual), status))
    return Rao(amount - actual)
