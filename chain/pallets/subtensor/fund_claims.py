"""Redeeming shares of funds: the holder's part of every holding is sold and staked on root.

A sale of a part of a holding brings more than that part of its worth, since it moves the price
less; what is more stays in the fund as TAO, so that no order of claims is better than another.

Upstream: pallets/subtensor/src/staking/claim_root.rs
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from chain.pallets.subtensor import beta_pricing
from chain.pallets.subtensor.alpha import burn_alpha
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_baskets import (
    BasketAlphaWrittenOff,
    BasketClaimed,
    BasketHoldingConverted,
)
from chain.pallets.subtensor.events_stake import RootClaimed
from chain.pallets.subtensor.fund import (
    Fund,
    Holding,
    add_cash,
    add_root_reserves,
    count_rows,
    ensure_funds,
    get_holding,
    get_holdings,
    get_owed,
    get_valued,
    get_worth,
    is_terminal,
    nav_of,
    on_root_stake_changed,
    sell_for_root,
    take_holding,
)
from chain.pallets.subtensor.fund_deposits import Work, flush, get_threshold
from chain.pallets.subtensor.share_pool import add_stake, can_add_stake, get_stake
from chain.pallets.subtensor.staker_ring import add_to_ring
from chain.pallets.subtensor.storage_baskets import (
    BasketClaimed as Claimed,
)
from chain.pallets.subtensor.storage_baskets import (
    BasketRedeemedTao,
    BasketShares,
    PendingBasketDeposits,
)
from chain.pallets.subtensor.storage_pool import SubnetRootSellTao
from chain.pallets.subtensor.storage_stake import StakingHotkeys
from chain.runtime.call import PostInfo
from chain.runtime.dispatch import layer
from chain.runtime.errors import CallError, ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State, iter_keys
from consensus.economics import basket
from ganglion.fixed import sat_add_u64, sat_sub
from ganglion.units import ROOT_NETUID, AccountId, Alpha, NetUid, Rao

log = logging.getLogger(__name__)

MAX_WORK = 256
"""Hotkeys and holdings that one claim may look at."""
CLAIM_WEIGHT = 249_856_000_000
"""What a claim of MAX_WORK declares; less work is paid back."""
UNIT_WEIGHT = CLAIM_WEIGHT // (MAX_WORK + 1)


class Outcome(NamedTuple):
    """What a claim paid, and the holdings it looked at, sold and swept."""

    tao: Rao = Rao(0)
    rows: int = 0
    sold: int = 0


def get_claimable_funds(s: State, coldkey: AccountId) -> list[Fund]:
    """Hotkeys behind which a coldkey has root stake, or shares without it."""
    return [
        fund
        for fund in s[StakingHotkeys, coldkey]
        if get_stake(s, fund, coldkey, ROOT_NETUID) or s[Claimed, fund, coldkey] < 0
    ]


def do_claim(s: State, coldkey: AccountId, funds: list[Fund], looked_at: int) -> PostInfo:
    """Redeem what a coldkey is owed by these funds; all or nothing.

    Raises RootClaimTooHeavy when there is too much to look at.
    """
    rows = len(funds) + sum(count_rows(s, fund) for fund in funds)
    waiting = sum(len(s.keys_of(PendingBasketDeposits, fund)) for fund in funds)
    ensure(rows <= MAX_WORK and waiting <= 2 * MAX_WORK, Error.RootClaimTooHeavy)
    outcomes = [redeem(s, fund, coldkey) for fund in funds]
    s.emit(RootClaimed(coldkey, Rao(sum(each.tao for each in outcomes))))
    add_to_ring(s, coldkey)
    units = max(len(funds), looked_at, sum(each.sold for each in outcomes), 1)
    rows = sum(each.rows for each in outcomes)
    return PostInfo(weight=UNIT_WEIGHT * (units + 1) + UNIT_WEIGHT * rows // 2)


def redeem(s: State, fund: Fund, coldkey: AccountId) -> Outcome:
    """Pay what a fund owes a coldkey, if it is worth it; raises what prevents a valuation."""
    work = flush(s, fund)
    owed, shares = get_owed(s, fund, coldkey), s[BasketShares, fund]
    owed = min(owed, shares)
    if owed == 0:
        return Outcome(rows=_rows(work))
    swept = sweep_dust(s, fund)
    holdings = get_valued(s, fund)
    looked = Outcome(rows=_rows(work) + len(holdings), sold=swept)
    is_dead = any(each.worth is None for each in holdings)
    worth = basket.payout(owed, nav_of(holdings), shares)
    if not is_dead and (worth < get_threshold(s) or worth == 0):
        return looked
    mark = s.mark()
    paid, sold = _redeem(s, fund, coldkey, owed, holdings)
    if paid is None:
        s.rollback(mark)
        paid = Rao(0)
    return Outcome(paid, looked.rows, looked.sold + sold)


def _rows(work: Work) -> int:
    return work.quotes + work.rows


def _redeem(
    s: State, fund: Fund, coldkey: AccountId, owed: int, holdings: list[Holding]
) -> tuple[Rao | None, int]:
    """Sell, stake, and burn the shares; None for a claim that brought and wrote off nothing."""
    shares = s[BasketShares, fund]
    cash = earned = kept = sold = written_off = 0
    for holding in holdings:
        due = basket.payout(owed, holding.worth or 0, shares)
        part = _part(holding, owed, shares, due)
        if part == 0:
            continue
        sold += 1
        take_holding(s, fund, holding.netuid, part)
        if holding.netuid == ROOT_NETUID:
            cash += part
            continue
        tao = _sell_part(s, fund, holding, part)
        if tao is None:
            written_off += 1
            continue
        paid = tao if owed == shares else min(tao, due)
        earned, kept = earned + paid, kept + tao - paid
    total = Rao(cash + earned)
    if total == 0 and not written_off:
        return None, sold
    if kept:
        add_cash(s, fund, kept)
    if total:
        ensure(can_add_stake(s, fund, ROOT_NETUID, total), Error.InsufficientLiquidity)
        add_stake(s, fund, coldkey, ROOT_NETUID, total)
        add_root_reserves(s, earned)
        on_root_stake_changed(s, fund, coldkey, total)
    _burn_shares(s, fund, coldkey, owed)
    s[BasketRedeemedTao, fund] = Rao(sat_add_u64(s[BasketRedeemedTao, fund], total))
    s.emit(BasketClaimed(fund, coldkey, total))
    return total, sold


def _part(holding: Holding, owed: int, shares: int, due: int) -> int:
    """Alpha of a holding that a claim takes; one unit at least where anything is due for it."""
    part = basket.mul_div(holding.alpha, owed, shares)
    is_sold = holding.netuid != ROOT_NETUID and holding.worth is not None
    return 1 if part == 0 and due > 0 and is_sold else part


def _sell_part(s: State, fund: Fund, holding: Holding, part: int) -> Rao | None:
    """Sell a part of a holding, or write it off where nothing can be sold (None)."""
    netuid = holding.netuid
    try:
        if holding.worth is not None:
            tao = sell_for_root(s, netuid, part)
            s[SubnetRootSellTao, netuid] = Rao(sat_add_u64(s[SubnetRootSellTao, netuid], tao))
            return tao
    except CallError as failure:
        if not is_terminal(failure):
            raise
    _write_off(s, fund, netuid, part)
    return None


def _write_off(s: State, fund: Fund, netuid: NetUid, alpha: int) -> None:
    burn_alpha(s, netuid, alpha)
    s.emit(BasketAlphaWrittenOff(fund, netuid, Alpha(alpha)))


def _burn_shares(s: State, fund: Fund, coldkey: AccountId, owed: int) -> None:
    left = sat_sub(s[BasketShares, fund], owed)
    s[BasketShares, fund] = left
    if left == 0:
        beta_pricing.retire(s, fund)
    s[Claimed, fund, coldkey] = basket.clamp_i128(s[Claimed, fund, coldkey] + owed)


# --- holdings that end -------------------------------------------------------------------------


def sweep_dust(s: State, fund: Fund) -> int:
    """Turn holdings under the threshold into TAO, so that they do not stay for ever; how many."""
    threshold, swept = get_threshold(s), 0
    if threshold == 0:
        return 0
    for netuid, alpha in get_holdings(s, fund):
        if netuid == ROOT_NETUID:
            continue
        try:
            worth = get_worth(s, netuid, alpha)
        except CallError as failure:
            log.warning("a holding has no worth: fund=%s %d %s", fund.hex(), netuid, failure)
            continue
        if worth is None or worth < threshold:
            swept += convert_to_cash(s, fund, netuid)
    return swept


def convert_to_cash(s: State, fund: Fund, netuid: NetUid) -> bool:
    """Sell a whole holding for TAO of the fund, or write it off; False if neither can be."""
    alpha = get_holding(s, fund, netuid)
    if alpha == 0:
        return False
    try:
        with layer(s):
            is_dead = get_worth(s, netuid, alpha) is None
            take_holding(s, fund, netuid, alpha)
            if is_dead:
                _write_off(s, fund, netuid, alpha)
                return True
            try:
                tao = sell_for_root(s, netuid, alpha)
            except CallError as failure:
                if not is_terminal(failure):
                    raise
                _write_off(s, fund, netuid, alpha)
                return True
            add_cash(s, fund, tao)
            s.emit(BasketHoldingConverted(fund, netuid, tao))
    except CallError as failure:
        log.warning("a holding cannot be sold: fund=%s %d %s", fund.hex(), netuid, failure)
        return False
    return True


def leave_subnet(s: State, netuid: NetUid) -> None:
    """Before a subnet is dissolved: every fund sells what it has there."""
    for fund in iter_keys(s, BasketShares):
        convert_to_cash(s, fund, netuid)


@call(148, weight=CLAIM_WEIGHT)
def claim_root_with_hotkey(s: State, coldkey: Signed, hotkey: AccountId) -> PostInfo:
    """Redeem what one validator's fund owes a coldkey, and stake it on root."""
    ensure_funds(s)
    return do_claim(s, coldkey, [hotkey], 1)
