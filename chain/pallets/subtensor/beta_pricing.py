"""Display prices of funds: baselines, the indices, and what root stakers earned. Moves nothing.

What is kept for good is worked out from what sales would bring, never from the price of the
moment, which anybody can push for a block.

Upstream: pallets/subtensor/src/staking/beta_pricing.rs
"""

from __future__ import annotations

from bisect import bisect_right

from chain.pallets.subtensor.events_baskets import BetaBaselineStamped
from chain.pallets.subtensor.fund import Fund, get_holdings, get_shown_nav, has_funds
from chain.pallets.subtensor.storage_baskets import (
    BasketRate,
    BasketShares,
    BasketTwr,
    BetaBaseline,
    BetaBaselineOf,
    BetaIndexFundSample,
    BetaIndexFundSampleOf,
    BetaIndexSnapshot,
    BetaIndexSnapshotOf,
    BetaIndexSweep,
    BetaIndexSweepOf,
)
from chain.pallets.system import block_number
from chain.runtime.state import State, take
from consensus.economics import beta
from consensus.economics.fixed import Fx64, clamp_u128
from ganglion.units import U64F64, AccountId

ONE = U64F64(beta.ONE)


def get_levels(s: State) -> tuple[U64F64, U64F64]:
    """The indices of bags and of stakes as last published; one each before that."""
    snapshot = s[BetaIndexSnapshot]
    return (ONE, ONE) if snapshot is None else (snapshot.bag_level, snapshot.stake_level)


def get_marks(s: State, fund: Fund, raw: Fx64) -> tuple[beta.Marks, BetaBaselineOf | None]:
    """A fund's prices at a raw price, and its baseline; without one it is pinned to the indices."""
    base = s[BetaBaseline, fund]
    if base is None:
        return beta.provisional(raw, *get_levels(s)), None
    return _marks(s, fund, base, raw), base


def _marks(s: State, fund: Fund, base: BetaBaselineOf, raw: Fx64) -> beta.Marks:
    start = beta.Baseline(base.price_divisor, base.rate0, base.tr_splice)
    return beta.marks(start, raw, s[BasketRate, fund], s[BasketTwr, fund])


# --- a fund's life -----------------------------------------------------------------------------


def accrue_twr(s: State, fund: Fund, value: int, root_stake: int) -> None:
    """Compound the return of a fund's root stakers by a dividend."""
    s[BasketTwr, fund] = U64F64(beta.compounded(s[BasketTwr, fund], value, root_stake))


def stamp_baseline(s: State, fund: Fund) -> int:
    """Take a fund's baseline once it has shares and an index is published; rows looked at."""
    snapshot, shares = s[BetaIndexSnapshot], s[BasketShares, fund]
    if snapshot is None or shares == 0 or s[BetaBaseline, fund] is not None:
        return 0
    rows = len(get_holdings(s, fund))
    raw = beta.raw_price(get_shown_nav(s, fund), shares)
    if raw == 0:
        return rows
    s[BetaBaseline, fund] = BetaBaselineOf(
        U64F64(beta.first_divisor(raw, snapshot.bag_level)),
        s[BasketRate, fund],
        snapshot.stake_level,
        block_number(s),
    )
    s.emit(BetaBaselineStamped(fund))
    return rows


def retire(s: State, fund: Fund) -> None:
    """Forget the prices of a fund whose last share is gone, or that starts anew."""
    for item in (BetaBaseline, BasketTwr, BetaIndexFundSample):
        del s[item, fund]


def move_prices(s: State, old: Fund, new: Fund) -> None:
    """Let a fund's prices follow it to a new hotkey, which has no fund of its own."""
    for item in (BetaBaseline, BasketTwr, BetaIndexFundSample):
        if (item, old) in s:
            s[item, new] = take(s, (item, old))


# --- the indices -------------------------------------------------------------------------------


def advance_index(s: State) -> int:
    """Go on with the pass over all funds, or begin one when it is time; rows looked at."""
    if not has_funds(s):
        return 0
    now, state = block_number(s), s[BetaIndexSweep]
    if state is None:
        published = s[BetaIndexSnapshot]
        if published is not None and now - published.block < beta.REFRESH_BLOCKS:
            return 0
        state = BetaIndexSweepOf(b"", 0, U64F64(0), U64F64(0))
    sums = beta.Sums(state.weight_sum, state.rel_bag_sum, state.rel_stake_sum)
    refs, rows = s.keys_of(BetaBaseline), 0
    first = bisect_right(refs, state.cursor, key=BetaBaseline.key_of) if state.cursor else 0
    for _, fund in refs[first:]:
        sums, seen = _sample_fund(s, fund, sums)
        rows += 1 + seen
        if rows >= beta.ROWS_PER_BLOCK:
            cursor = BetaBaseline.key_of((BetaBaseline, fund))
            s[BetaIndexSweep] = BetaIndexSweepOf(
                cursor, clamp_u128(sums.weight), U64F64(sums.bag), U64F64(sums.stake)
            )
            return rows
    bag, stake = beta.levels(get_levels(s), sums)
    s[BetaIndexSnapshot] = BetaIndexSnapshotOf(U64F64(bag), U64F64(stake), now)
    del s[BetaIndexSweep]
    return rows


def _sample_fund(s: State, fund: AccountId, sums: beta.Sums) -> tuple[beta.Sums, int]:
    """Add what a fund gained since the last pass; what has no price is forgotten."""
    base, shares = s[BetaBaseline, fund], s[BasketShares, fund]
    nav = get_shown_nav(s, fund) if shares else 0
    raw = beta.raw_price(nav, shares)
    rows = len(get_holdings(s, fund)) if shares else 0
    marks = None if base is None or raw == 0 else _marks(s, fund, base, raw)
    if marks is None or not marks.display or not marks.stake:
        del s[BetaIndexFundSample, fund]
        return sums, rows
    before = s[BetaIndexFundSample, fund]
    if before is not None:
        earlier = beta.Sample(before.nav, before.display, before.stake)
        sums = beta.chained(sums, earlier, beta.Sample(nav, marks.display, marks.stake))
    sample = BetaIndexFundSampleOf(nav, U64F64(marks.display), U64F64(marks.stake))
    s[BetaIndexFundSample, fund] = sample
    return sums, rows
