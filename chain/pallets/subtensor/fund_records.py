"""What is kept of funds when keys are swapped or a subnet goes.

Upstream: pallets/subtensor/src/staking/claim_root.rs
"""

from __future__ import annotations

from chain.pallets.subtensor import beta_pricing
from chain.pallets.subtensor.accounts import add_staking_hotkey
from chain.pallets.subtensor.fund import Fund, add_holding, get_holdings, take_holding
from chain.pallets.subtensor.fund_deposits import drop, enqueue
from chain.pallets.subtensor.storage_baskets import (
    BasketClaimed,
    BasketDepositedTao,
    BasketRate,
    BasketRedeemedTao,
    BasketShares,
    BasketTradeBucket,
    BasketTradingFrozen,
    PendingBasketDeposits,
)
from chain.pallets.subtensor.storage_stake import StakingHotkeys
from chain.runtime.state import State, iter_items, iter_keys, take
from consensus.economics.basket import clamp_i128
from ganglion.units import AccountId, NetUid

OF_FUND = (
    BasketShares,
    BasketRate,
    BasketDepositedTao,
    BasketRedeemedTao,
    BasketTradeBucket,
    BasketTradingFrozen,
)
"""What belongs to a fund alone; the hotkey that it moves to has none of it."""


def has_fund(s: State, hotkey: AccountId) -> bool:
    """Whether a hotkey has a fund, or has had one whose traces would mix with another's."""
    has_watermarks = next(iter_keys(s, BasketClaimed, hotkey), None) is not None
    return bool(s[BasketShares, hotkey] or s[BasketRate, hotkey] or has_watermarks)


def move_claimed(s: State, fund: Fund, old: AccountId, new: AccountId) -> None:
    """Add what one coldkey has had of a fund to what another has."""
    claimed = take(s, (BasketClaimed, fund, old))
    if claimed:
        s[BasketClaimed, fund, new] = clamp_i128(s[BasketClaimed, fund, new] + claimed)


def move_fund(s: State, old: Fund, new: Fund) -> None:
    """Let a fund follow its validator to a new hotkey, with all its holdings and owners."""
    for item in OF_FUND:
        if (item, old) in s:
            s[item, new] = take(s, (item, old))
    beta_pricing.move_prices(s, old, new)
    for coldkey in iter_keys(s, BasketClaimed, old):
        s[BasketClaimed, new, coldkey] = take(s, (BasketClaimed, old, coldkey))
        if old in s[StakingHotkeys, coldkey]:  # claims look for funds there
            add_staking_hotkey(s, coldkey, new)
    for netuid, alpha in iter_items(s, PendingBasketDeposits, old):
        del s[PendingBasketDeposits, old, netuid]
        enqueue(s, new, netuid, alpha)
    for netuid, alpha in get_holdings(s, old):
        take_holding(s, old, netuid, alpha)
        add_holding(s, new, netuid, alpha)


def drop_waiting(s: State, netuid: NetUid) -> None:
    """Recycle all dividends of a subnet that wait to enter funds."""
    for fund, origin in iter_keys(s, PendingBasketDeposits):
        if origin == netuid:
            drop(s, fund, netuid)
