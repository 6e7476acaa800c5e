"""Balances: storage, constants, events and errors. Upstream: pallet_balances."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, TypeAlias

from chain.pallets.system_types import AccountData
from chain.runtime.errors import Errors, error
from chain.runtime.pallet import Constant, constant, event
from chain.runtime.storage import Blake2, Map, Value, storage
from ganglion.scale import AtMost, Fixed, scale_type, u32
from ganglion.units import AccountId, Rao

ED = Rao(500)

Name: TypeAlias = Annotated[bytes, Fixed(8)]

ExistentialDeposit: Constant[Rao] = constant(ED)
"""The minimum amount required to keep an account open."""

MaxLocks: Constant[u32] = constant(50)
"""The maximum number of locks that should exist on an account."""

MaxReserves: Constant[u32] = constant(50)
"""The maximum number of named reserves that can exist on an account."""

MaxFreezes: Constant[u32] = constant(50)
"""The maximum number of individual freeze locks that can exist on an account."""

TotalIssuance: Value[Rao] = storage(default=Rao(0))
"""The total units issued in the system."""

InactiveIssuance: Value[Rao] = storage(default=Rao(0))
"""The total units of outstanding deactivated balance."""


@scale_type("pallet_balances::types::Reasons")
class Reasons(IntEnum):
    """What a lock keeps balance from being spent on."""

    Fee = 0
    Misc = 1
    All = 2


@scale_type("pallet_balances::types::BalanceLock")
@dataclass(frozen=True, slots=True)
class BalanceLock:
    """A lock by its name."""

    id: Name
    amount: Rao
    reasons: Reasons


@scale_type("pallet_balances::types::ReserveData")
@dataclass(frozen=True, slots=True)
class ReserveData:
    """A reserve by its name."""

    id: Name
    amount: Rao


Account: Map[Blake2[AccountId], AccountData] = storage(default=AccountData())
"""Balances of accounts where they are not part of System.Account; empty, since here they are."""

Locks: Map[
    Blake2[AccountId], Annotated[tuple[BalanceLock, ...], AtMost(MaxLocks.value, weak=True)]
] = storage(default=())
"""Locks by name; empty: wallets look here, but no pallet of this runtime locks balance."""

Reserves: Map[Blake2[AccountId], Annotated[tuple[ReserveData, ...], AtMost(MaxReserves.value)]] = (
    storage(default=())
)
"""Reserves by name; empty: the reserves of this runtime's pallets have no names."""


@scale_type("frame_support::traits::tokens::misc::BalanceStatus")
class BalanceStatus(IntEnum):
    """Where repatriated balance goes."""

    Free = 0
    Reserved = 1


@event(0)
class Endowed:
    """An account was created with some free balance."""

    account: AccountId
    free_balance: Rao


@event(1)
class DustLost:
    """An account fell under the existential deposit and the rest of it was lost."""

    account: AccountId
    amount: Rao


@event(2)
class Transfer:
    """Transfer succeeded."""

    from_: AccountId
    to: AccountId
    amount: Rao


@event(3)
class BalanceSet:
    """A balance was set by root."""

    who: AccountId
    free: Rao


@event(4)
class Reserved:
    """Some balance was reserved."""

    who: AccountId
    amount: Rao


@event(5)
class Unreserved:
    """Some balance was unreserved."""

    who: AccountId
    amount: Rao


@event(6)
class ReserveRepatriated:
    """Reserved balance moved to another account."""

    from_: AccountId
    to: AccountId
    amount: Rao
    destination_status: BalanceStatus


@event(7)
class Deposit:
    """Some amount was deposited (e.g. for transaction fees)."""

    who: AccountId
    amount: Rao


@event(8)
class Withdraw:
    """Some amount was withdrawn from the account (e.g. for transaction fees)."""

    who: AccountId
    amount: Rao


@event(10)
class Minted:
    """Some amount was minted into an account."""

    who: AccountId
    amount: Rao


@event(11)
class Burned:
    """Some amount was burned from an account."""

    who: AccountId
    amount: Rao


@event(15)
class Issued:
    """Total issuance was increased by `amount`."""

    amount: Rao


@event(16)
class Rescinded:
    """Total issuance was decreased by `amount`."""

    amount: Rao


@event(21)
class TotalIssuanceForced:
    """The total issuance was forcefully changed."""

    old: Rao
    new: Rao


class Error(Errors):
    """Upstream's errors."""

    VestingBalance = error(0, "Vesting balance too high to send value.")
    LiquidityRestrictions = error(1, "Account liquidity restrictions prevent withdrawal.")
    InsufficientBalance = error(2, "Balance too low to send value.")
    ExistentialDeposit = error(3, "Value too low to create account due to existential deposit.")
    Expendability = error(4, "Transfer/payment would kill account.")
    ExistingVestingSchedule = error(5, "A vesting schedule already exists for this account.")
    DeadAccount = error(6, "Beneficiary account must pre-exist.")
    TooManyReserves = error(7, "Number of named reserves exceed `MaxReserves`.")
    TooManyHolds = error(8, "Number of holds exceed `VariantCountOf<T::RuntimeHoldReason>`.")
    TooManyFreezes = error(9, "Number of freezes exceed `MaxFreezes`.")
    IssuanceDeactivated = error(
        10, "The issuance cannot be modified since it is already deactivated."
    )
    DeltaZero = error(11, "The delta cannot be zero.")
