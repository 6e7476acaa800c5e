"""Trades against a subnet's pool, with the reserves and totals they move.

Nobody's stake or balance changes here: callers pay in and take out.

Upstream: pallets/subtensor/src/staking/stake_utils.rs, coinbase/subnet_emissions.rs
"""

from __future__ import annotations

from collections.abc import Callable

from chain.pallets import swap
from chain.pallets.subtensor.storage_pool import (
    SubnetAlphaIn,
    SubnetAlphaOut,
    SubnetProtocolFlow,
    SubnetTAO,
    SubnetTaoFlow,
    SubnetVolume,
)
from chain.pallets.subtensor.storage_stake import TotalStake
from chain.runtime.state import State
from consensus.economics.fixed import clamp_u128
from consensus.economics.trade import Side, Trade
from ganglion.fixed import I64_MAX, I64_MIN, clamp_u64, sat_add_u64, sat_sub
from ganglion.units import Alpha, NetUid, Rao


def _reserve_in(amount: int) -> int:
    """What a paid amount adds to a reserve: the reference passes it through i64."""
    return min(amount, I64_MAX)


def _reserve_out(amount: int) -> int:
    """What a received amount takes off a reserve: the negative of it must fit i64."""
    return min(amount, -I64_MIN)


Trader = Callable[[State, NetUid, Side, int, int, bool], Trade]
"""Works out what a trade moves: (state, netuid, side, amount, limit, drop_fees)."""


def on_pool(
    s: State, netuid: NetUid, side: Side, amount: int, limit: int, drop_fees: bool
) -> Trade:
    """Trade at the pool of a dynamic subnet, one for one on a stable one."""
    if swap.is_dynamic(s, netuid):
        return swap.do_swap(s, netuid, side, amount, limit, drop_fees)
    return Trade(amount, amount, 0, 0)


def buy_alpha(
    s: State, netuid: NetUid, tao: int, limit: int, *, drop_fees: bool, trader: Trader = on_pool
) -> Trade:
    """Trade TAO for alpha; raises what `swap.do_swap` raises.

    TotalStake and volume grow by the whole request, fee and unused rest included.
    """
    done = trader(s, netuid, Side.BUY, tao, limit, drop_fees)
    taken = _reserve_out(done.paid_out)
    if taken:
        s[SubnetAlphaIn, netuid] = Alpha(sat_sub(s[SubnetAlphaIn, netuid], taken))
    s[SubnetAlphaOut, netuid] = Alpha(sat_add_u64(s[SubnetAlphaOut, netuid], done.paid_out))
    s[SubnetTAO, netuid] = Rao(sat_add_u64(s[SubnetTAO, netuid], _reserve_in(done.paid_in)))
    add_total_stake(s, tao)
    s[SubnetVolume, netuid] = clamp_u128(s[SubnetVolume, netuid] + tao)
    return done


def sell_alpha(
    s: State, netuid: NetUid, alpha: int, limit: int, *, drop_fees: bool, trader: Trader = on_pool
) -> Trade:
    """Trade alpha for TAO; raises what `swap.do_swap` raises."""
    done = trader(s, netuid, Side.SELL, alpha, limit, drop_fees)
    brought = _reserve_in(done.paid_in)
    s[SubnetAlphaIn, netuid] = Alpha(sat_add_u64(s[SubnetAlphaIn, netuid], brought))
    s[SubnetAlphaOut, netuid] = Alpha(sat_sub(s[SubnetAlphaOut, netuid], brought))
    taken = _reserve_out(done.paid_out)
    if taken:
        s[SubnetTAO, netuid] = Rao(sat_sub(s[SubnetTAO, netuid], taken))
    add_total_stake(s, -done.paid_out)
    s[SubnetVolume, netuid] = clamp_u128(s[SubnetVolume, netuid] + done.paid_out)
    return done


def add_total_stake(s: State, tao: int) -> None:
    """Count TAO that entered a pool or root without a trade (negative: left)."""
    s[TotalStake] = Rao(clamp_u64(s[TotalStake] + tao))


def _flowed(flow: int, tao: int) -> int:
    return max(I64_MIN, min(flow + tao, I64_MAX))


def record_tao_flow(s: State, netuid: NetUid, tao: int) -> None:
    """Count TAO that stakers brought to a subnet (negative: took from it)."""
    s[SubnetTaoFlow, netuid] = _flowed(s[SubnetTaoFlow, netuid], tao)


def record_protocol_flow(s: State, netuid: NetUid, tao: int) -> None:
    """Count TAO that the protocol brought to a subnet (negative: took from it)."""
    s[SubnetProtocolFlow, netuid] = _flowed(s[SubnetProtocolFlow, netuid], tao)
