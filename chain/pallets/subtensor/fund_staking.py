"""Buying shares of a fund with TAO: the fund buys more of what it has, and mints at its worth.

Upstream: pallets/subtensor/src/staking/claim_root.rs
"""

from __future__ import annotations

from chain.pallets.subtensor import beta_pricing
from chain.pallets.subtensor.accounts import add_staking_hotkey, ensure_hotkey
from chain.pallets.subtensor.author_fees import pay_author_in_tao
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_baskets import BasketStakedIn
from chain.pallets.subtensor.fund import (
    Fund,
    add_cash,
    add_holding,
    buy_in_chunks,
    ensure_funds,
    get_nav,
    get_valued,
)
from chain.pallets.subtensor.fund_deposits import flush
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.subtensor.pool_trades import record_protocol_flow
from chain.pallets.subtensor.stake_utils import MIN_STAKE
from chain.pallets.subtensor.staker_ring import add_to_ring
from chain.pallets.subtensor.storage_baskets import (
    BasketClaimed,
    BasketDepositedTao,
    BasketShares,
)
from chain.pallets.subtensor.tao import get_balance, pay_to_subnet
from chain.runtime.call import READ_WEIGHT, WRITE_WEIGHT, PostInfo
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State
from consensus.economics import basket
from ganglion.fixed import sat_add_u64, sat_sub
from ganglion.units import ROOT_NETUID, AccountId, NetUid, Rao

SLOT_WEIGHT = 25_000_000 + 6 * READ_WEIGHT + 5 * WRITE_WEIGHT
"""Of buying one holding."""
ROW_WEIGHT = 10_000_000 + 4 * READ_WEIGHT
"""Of valuing one holding."""
BASE_WEIGHT = 8 * READ_WEIGHT + 6 * WRITE_WEIGHT
MAX_ROWS = 128
"""Holdings that the declared weight pays for; there are no more subnets than that."""

Slot = tuple[NetUid, int]
"""A subnet, and its weight in the fund."""


def get_weight(slots: int, rows: int) -> int:
    """Weight of a purchase that bought in `slots` subnets and valued `rows` holdings."""
    return BASE_WEIGHT + SLOT_WEIGHT * max(slots, 1) + ROW_WEIGHT * max(rows, 1)


@call(147, weight=get_weight(MAX_ROWS, 8 * MAX_ROWS))
def stake_into_basket(s: State, coldkey: Signed, hotkey: AccountId, amount_staked: Rao) -> PostInfo:
    """Buy shares of a validator's fund: the TAO is spread over its holdings by their worth.

    A fund that has nothing keeps it as TAO. The buyer bears what the purchase costs.
    """
    ensure_funds(s)
    ensure_hotkey(s, hotkey)
    ensure(is_registered(s, ROOT_NETUID, hotkey), Error.HotKeyNotRegisteredInSubNet)
    work = flush(s, hotkey)
    ensure(amount_staked >= MIN_STAKE, Error.AmountTooLow)
    ensure(amount_staked <= get_balance(s, coldkey), Error.NotEnoughBalanceToStake)
    holdings = get_valued(s, hotkey)
    slots: list[Slot] = [(each.netuid, each.worth) for each in holdings if each.worth]
    slots = slots or [(ROOT_NETUID, 1)]
    nav, added = _deploy(s, hotkey, coldkey, slots, amount_staked)
    shares = _mint(s, hotkey, coldkey, nav, added)
    s.emit(BasketStakedIn(hotkey, coldkey, amount_staked, Rao(added), shares))
    rows = len(holdings) + len(slots) + beta_pricing.stamp_baseline(s, hotkey)
    return PostInfo(weight=get_weight(len(slots) + work.rows, 2 * rows + work.quotes))


def _deploy(
    s: State, fund: Fund, coldkey: AccountId, slots: list[Slot], tao: int
) -> tuple[int, int]:
    """Buy for a fund with a coldkey's TAO; its worth before, and how much more it is after."""
    before, whole, spent = get_nav(s, fund), sum(weight for _, weight in slots), 0
    for place, (netuid, weight) in enumerate(slots):
        is_last = place == len(slots) - 1  # takes what rounding left
        part = tao - spent if is_last else basket.mul_div(tao, weight, whole)
        spent += part
        if part:
            _buy(s, fund, coldkey, netuid, part)
    return before, sat_sub(get_nav(s, fund), before)


def _buy(s: State, fund: Fund, coldkey: AccountId, netuid: NetUid, tao: int) -> None:
    paid = pay_to_subnet(s, netuid, coldkey, tao)
    ensure(paid == tao, Error.InsufficientTaoBalance)
    if netuid == ROOT_NETUID:
        add_cash(s, fund, tao)
        return
    bought = buy_in_chunks(s, netuid, tao)
    ensure(bought.alpha > 0, Error.AmountTooLow)
    pay_author_in_tao(s, netuid, bought.fee)
    record_protocol_flow(s, netuid, bought.paid_in)
    add_holding(s, fund, netuid, bought.alpha)


def _mint(s: State, fund: Fund, coldkey: AccountId, nav: int, added: int) -> int:
    """Give a coldkey shares for what it added; they need no root stake to be redeemed."""
    outstanding = s[BasketShares, fund]
    shares = basket.shares_for(added, nav, outstanding)
    ensure(shares > 0, Error.AmountTooLow)
    if nav == 0 and outstanding:
        beta_pricing.retire(s, fund)
    s[BasketShares, fund] = sat_add_u64(outstanding, shares)
    claimed = s[BasketClaimed, fund, coldkey]
    s[BasketClaimed, fund, coldkey] = basket.clamp_i128(claimed - shares)
    s[BasketDepositedTao, fund] = Rao(sat_add_u64(s[BasketDepositedTao, fund], added))
    add_staking_hotkey(s, coldkey, fund)
    add_to_ring(s, coldkey)
    return shares
