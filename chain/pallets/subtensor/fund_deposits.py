"""Root dividends enter funds: epochs leave them in a queue, and each flush mints shares once.

A flush comes before whatever changes who is entitled (claims, root stake, purchases of shares,
swaps of keys); a block flushes one hotkey of its own accord. Dividends stay the alpha they are:
nothing is traded for a fund but by its validator.

Upstream: pallets/subtensor/src/staking/basket_flush.rs
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from typing import NamedTuple

from chain.pallets import alpha_assets, swap
from chain.pallets.subtensor import beta_pricing
from chain.pallets.subtensor.accounts import is_subnet
from chain.pallets.subtensor.alpha import recycle_alpha
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_baskets import BasketDeposited
from chain.pallets.subtensor.fund import (
    ESCROW,
    Fund,
    add_holding,
    get_holding,
    get_holdings,
    get_nav,
    get_worth,
    has_funds,
)
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.subtensor.share_pool import get_hotkey_stake, take_stake
from chain.pallets.subtensor.storage_baskets import (
    BasketDepositedTao,
    BasketRate,
    BasketShares,
    PendingBasketDeposits,
    PendingBasketFlushCursor,
)
from chain.pallets.subtensor.storage_pool import SubnetAlphaOut
from chain.pallets.subtensor.storage_root import RootClaimableThreshold
from chain.runtime.dispatch import layer
from chain.runtime.errors import CallError, ensure
from chain.runtime.state import State, iter_items
from consensus.economics import basket
from ganglion.fixed import I96F32 as FORMAT
from ganglion.fixed import U64F64, sat_add_u64, sat_sub
from ganglion.units import I96F32, ROOT_NETUID, Alpha, NetUid, Rao

log = logging.getLogger(__name__)

Credit = tuple[NetUid, Alpha]
"""A dividend: the subnet it was earned on, and how much."""


class Work(NamedTuple):
    """What a flush did: quotes asked, rows written; for its weight."""

    quotes: int = 0
    rows: int = 0


def enqueue(s: State, fund: Fund, netuid: NetUid, alpha: int) -> None:
    """Let a dividend wait for the fund's next flush."""
    if alpha:
        waiting = s[PendingBasketDeposits, fund, netuid]
        s[PendingBasketDeposits, fund, netuid] = Alpha(sat_add_u64(waiting, alpha))


def get_threshold(s: State) -> Rao:
    """TAO under which dividends wait, claims are not paid, and holdings count as dust."""
    return Rao(FORMAT.to_u64(s[RootClaimableThreshold, ROOT_NETUID]))


def flush(s: State, fund: Fund) -> Work:
    """Deposit what waits for a fund, except what is worth too little yet.

    What waits for a hotkey without a seat on root, or comes from a subnet that is gone, is
    recycled.
    """
    if s.is_empty(PendingBasketDeposits) or not has_funds(s):
        return Work()
    waiting = list(iter_items(s, PendingBasketDeposits, fund))
    if not waiting:
        return Work()
    is_seated, threshold = is_registered(s, ROOT_NETUID, fund), get_threshold(s)
    batch: list[Credit] = []
    for netuid, alpha in waiting:
        if not is_seated or not is_subnet(s, netuid):
            drop(s, fund, netuid)
            continue
        spot = U64F64.mul(swap.get_price(s, netuid), U64F64.from_int(alpha))
        if U64F64.to_u64(spot) >= threshold:
            batch.append((netuid, alpha))
            del s[PendingBasketDeposits, fund, netuid]
    quotes, rows = _deposit(s, fund, batch) if batch else Work()
    return Work(quotes + len(waiting), rows)


def flush_next(s: State) -> None:
    """A block's own flush: of the hotkey behind the cursor; at the end it starts over."""
    if s.is_empty(PendingBasketDeposits) and s[PendingBasketFlushCursor] is None:
        return
    cursor, refs = s[PendingBasketFlushCursor], s.keys_of(PendingBasketDeposits)
    key_of = PendingBasketDeposits.key_of
    first = 0 if cursor is None else bisect_right(refs, cursor, key=key_of)
    if first >= len(refs):
        del s[PendingBasketFlushCursor]
        return
    fund = refs[first][1]
    last = [ref for ref in refs[first:] if ref[1] == fund][-1]
    flush(s, fund)
    s[PendingBasketFlushCursor] = key_of(last)


def drop(s: State, fund: Fund, netuid: NetUid) -> None:
    """Recycle what waits for a fund on a subnet."""
    alpha = s[PendingBasketDeposits, fund, netuid]
    del s[PendingBasketDeposits, fund, netuid]
    if (SubnetAlphaOut, netuid) in s:
        recycle_alpha(s, netuid, alpha)
    elif alpha:
        alpha_assets.recycle(s, netuid, alpha)


# --- one deposit -------------------------------------------------------------------------------


def _deposit(s: State, fund: Fund, batch: list[Credit]) -> Work:
    """Let dividends enter a fund; what fails goes one by one, and back to the queue at last."""
    own = get_holding(s, fund, ROOT_NETUID)
    stakers = sat_sub(get_hotkey_stake(s, fund, ROOT_NETUID), own)
    if stakers == 0:
        for netuid, alpha in batch:
            recycle_alpha(s, netuid, alpha)
        return Work()
    work = Work(len(get_holdings(s, fund)) + 2 * len(batch), len(batch))
    try:
        with layer(s):
            _accumulate(s, fund, batch, stakers, own)
    except CallError as failure:
        log.debug("dividends wait on: fund=%s %s", fund.hex(), failure)
        if len(batch) == 1:
            enqueue(s, fund, *batch[0])
            return work
        parts = [work, *(_deposit(s, fund, [credit]) for credit in batch)]
        return Work(sum(w.quotes for w in parts), sum(w.rows for w in parts))
    return work._replace(quotes=work.quotes + beta_pricing.stamp_baseline(s, fund))


def _accumulate(s: State, fund: Fund, batch: list[Credit], stakers: int, own: int) -> None:
    nav = get_nav(s, fund)
    added = [_accumulate_one(s, fund, netuid, alpha) for netuid, alpha in batch]
    values = [value for value in added if value is not None]
    if values:
        mint_dividend_shares(s, fund, nav, sum(values), stakers, own)


def _accumulate_one(s: State, fund: Fund, netuid: NetUid, alpha: int) -> int | None:
    """Credit alpha to a holding; how much more that is worth now.

    Alpha that can never be sold is recycled instead, and so is what would make the holding that.
    """
    before = get_holding(s, fund, netuid)
    worth = get_worth(s, netuid, before)
    if worth is None:
        recycle_alpha(s, netuid, alpha)
        return None
    add_holding(s, fund, netuid, alpha)
    after = get_holding(s, fund, netuid)
    now = get_worth(s, netuid, after)
    if now is None:
        take_stake(s, fund, ESCROW, netuid, sat_sub(after, before))
        recycle_alpha(s, netuid, alpha)
        return None
    return sat_sub(now, worth)


def mint_dividend_shares(
    s: State, fund: Fund, nav: int, added: int, stakers: int, own: int
) -> None:
    """Mint shares for the root stakers' part of what was added to a fund worth `nav`.

    The part of the fund's own TAO on root mints none: it makes all shares worth more. Raises
    AmountTooLow when what was added is too little for any share.
    """
    outstanding = s[BasketShares, fund]
    value = basket.mul_div(added, stakers, stakers + own)
    shares = basket.shares_for(value, nav, outstanding)
    increment = basket.rate_increment(shares, stakers)
    ensure(shares > 0 and increment != 0, Error.AmountTooLow)
    if nav == 0 and outstanding:
        beta_pricing.retire(s, fund)
    s[BasketShares, fund] = sat_add_u64(outstanding, shares)
    s[BasketRate, fund] = I96F32(FORMAT.add(s[BasketRate, fund], increment))
    beta_pricing.accrue_twr(s, fund, value, stakers)
    s[BasketDepositedTao, fund] = Rao(sat_add_u64(s[BasketDepositedTao, fund], added))
    s.emit(BasketDeposited(fund, Rao(added), shares))
