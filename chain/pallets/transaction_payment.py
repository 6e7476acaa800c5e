"""TransactionPayment (pallet 6): what an extrinsic costs, and who gets it.

fee = 1 rao per byte + ref_time * 0.0005 rao (of the call, plus the base extrinsic) + tip;
the multiplier is constant 1. The whole fee goes to the block's author. Upstream:
pallet_transaction_payment with subtensor's OnChargeTransaction.
"""

from __future__ import annotations

from enum import IntEnum

from chain.pallets.aura import author
from chain.pallets.balances_ops import PRESERVE, can_withdraw, deposit, rescind
from chain.pallets.balances_ops import withdraw as withdraw_balance
from chain.pallets.system_limits import BASE_EXTRINSIC
from chain.runtime.call import DispatchInfo, Pays
from chain.runtime.errors import CallError
from chain.runtime.pallet import Constant, Pallet, constant, event
from chain.runtime.state import State
from chain.runtime.storage import Value, storage
from ganglion.scale import scale_type, u8, u128
from ganglion.units import AccountId, Rao

BASE_EXTRINSIC_WEIGHT = BASE_EXTRINSIC
"""Reference time that every extrinsic of the Normal class pays beside its call's own."""

OperationalFeeMultiplier: Constant[u8] = constant(5)
"""A fee multiplier for `Operational` extrinsics' priority."""


@scale_type("pallet_transaction_payment::Releases")
class Releases(IntEnum):
    """Storage versions."""

    V1Ancient = 0
    V2 = 1


NextFeeMultiplier: Value[u128] = storage(default=10**18)
"""The fee multiplier, a FixedU128; constant 1."""

StorageVersion: Value[Releases] = storage(default=Releases.V1Ancient)
"""The version of this pallet's storage."""


@event(0)
class TransactionFeePaid:
    """A transaction fee `actual_fee`, of which `tip` was added, has been paid by `who`."""

    who: AccountId
    actual_fee: Rao
    tip: Rao


def weight_to_fee(ref_time: int) -> int:
    """0.0005 rao per picosecond, rounded as Perbill multiplies: to nearest, ties down."""
    return (ref_time * 500_000 + 499_999_999) // 1_000_000_000


BASE_FEE = weight_to_fee(BASE_EXTRINSIC_WEIGHT)


def compute_fee(length: int, info: DispatchInfo, weight: int, tip: int) -> int:
    """The fee in rao of an extrinsic of `length` bytes whose call uses `weight`."""
    if info.pays is Pays.No:
        return tip
    return BASE_FEE + length + weight_to_fee(weight) + tip


def can_pay(s: State, who: AccountId, fee: int) -> bool:
    """Whether the account can pay the fee in TAO and stay alive."""
    return fee == 0 or can_withdraw(s, who, fee, PRESERVE)


def charge(s: State, who: AccountId, fee: int) -> None:
    """Take the estimated fee; raises TokenError."""
    if fee:
        withdraw_balance(s, who, fee, PRESERVE)


def settle(s: State, who: AccountId, charged: int, actual: int, tip: int) -> None:
    """Give back what was charged too much, pay the author and record the fee."""
    if charged and not _try_deposit(s, who, charged - actual):  # a refund of 0 is told, too
        actual = charged
    if charged and actual:
        beneficiary = author(s)
        if beneficiary is None or not _try_deposit(s, beneficiary, actual):
            rescind(s, actual)
    s.emit(TransactionFeePaid(who, Rao(actual), Rao(tip)))


def _try_deposit(s: State, who: AccountId, amount: int) -> bool:
    try:
        deposit(s, who, amount)
    except CallError:
        return False
    return True


pallet = Pallet("TransactionPayment", __name__).seal()
