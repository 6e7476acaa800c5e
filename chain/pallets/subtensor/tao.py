"""TAO on accounts: what subnets receive and pay, and what is minted, burned and recycled.

TotalIssuance of this pallet mirrors the currency's. Burned TAO lies on an account without a key;
recycled TAO leaves the issuance, so that it can be emitted again.

Upstream: pallets/subtensor/src/coinbase/tao.rs
"""

from __future__ import annotations

from chain.pallets import balances_store
from chain.pallets.balances_ops import (
    EXPENDABLE,
    PRESERVE,
    deposit,
    issue,
    reducible_balance,
    rescind,
    transfer,
    withdraw,
)
from chain.pallets.subtensor.accounts import BURN_ACCOUNT, get_subnet_account
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.storage_stake import TotalIssuance
from chain.runtime.errors import CallError, ensure
from chain.runtime.state import State
from consensus.economics.issuance import minted
from ganglion.fixed import sat_add_u64, sat_sub
from ganglion.units import AccountId, NetUid, Rao


def get_balance(s: State, who: AccountId) -> Rao:
    """What an account can spend if it may disappear."""
    return reducible_balance(s, who, EXPENDABLE)


def get_keep_alive_balance(s: State, who: AccountId) -> Rao:
    """What an account can spend and live on."""
    return reducible_balance(s, who, PRESERVE)


def transfer_tao(s: State, source: AccountId, destination: AccountId, amount: int) -> None:
    """Move TAO; the source may be reaped, and its dust then leaves both issuances.

    Raises InsufficientTaoBalance, or what the currency raises.
    """
    ensure(amount <= get_balance(s, source), Error.InsufficientTaoBalance)
    before = s[balances_store.TotalIssuance]
    transfer(s, source, destination, amount, EXPENDABLE)
    dust = sat_sub(before, s[balances_store.TotalIssuance])
    if dust:
        s[TotalIssuance] = Rao(sat_sub(s[TotalIssuance], dust))


def pay_to_subnet(s: State, netuid: NetUid, coldkey: AccountId, amount: int) -> Rao:
    """Move TAO into a subnet's account, as much as leaves the payer alive; what was moved.

    Raises SubnetNotExists, or InsufficientTaoBalance when nothing can be moved.
    """
    if amount == 0:
        return Rao(0)
    account = _account(s, netuid)
    payable = min(amount, get_keep_alive_balance(s, coldkey))
    ensure(payable > 0, Error.InsufficientTaoBalance)
    transfer(s, coldkey, account, payable, PRESERVE)
    return Rao(payable)


def pay_from_subnet(s: State, netuid: NetUid, who: AccountId, amount: int) -> None:
    """Move TAO out of a subnet's account; raises SubnetNotExists or InsufficientTaoBalance."""
    transfer_tao(s, _account(s, netuid), who, amount)


def _account(s: State, netuid: NetUid) -> AccountId:
    account = get_subnet_account(s, netuid)
    if account is None:
        raise Error.SubnetNotExists
    return account


def burn_tao(s: State, who: AccountId, amount: int) -> None:
    """Put TAO out of reach; it stays in the issuance."""
    transfer_tao(s, who, BURN_ACCOUNT, amount)


def recycle_tao(s: State, who: AccountId, amount: int) -> None:
    """Take TAO out of an account and out of the issuance; raises InsufficientTaoBalance."""
    ensure(amount <= get_keep_alive_balance(s, who), Error.InsufficientTaoBalance)
    s[TotalIssuance] = Rao(sat_sub(s[TotalIssuance], amount))
    withdraw(s, who, amount, EXPENDABLE)
    rescind(s, amount)


def mint_tao(s: State, emission: int) -> Rao:
    """Create TAO as a credit in the caller's hands, never past the supply; what was created."""
    credit = minted(emission, s[balances_store.TotalIssuance])
    s[TotalIssuance] = Rao(sat_add_u64(s[TotalIssuance], credit))
    issue(s, credit)
    s.emit(balances_store.Issued(Rao(credit)))
    return Rao(credit)


def spend_credit(s: State, who: AccountId, credit: int, part: int) -> Rao | None:
    """Pay part of a credit into an account; the rest of the credit, or None if it cannot be."""
    if credit < part:
        return None
    try:
        deposit(s, who, part)
    except CallError:
        return None
    return Rao(credit - part)


def recycle_credit(s: State, credit: int) -> None:
    """Destroy what is left of a credit."""
    if credit:
        s[TotalIssuance] = Rao(sat_sub(s[TotalIssuance], credit))
        rescind(s, credit)
