"""Checkers of a pool's life on the real pallets: trades, injections and dry runs in sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from chain.pallets import swap
from chain.pallets.subtensor.emission import inject
from chain.pallets.subtensor.pool_trades import buy_alpha, on_pool, sell_alpha
from chain.pallets.subtensor.stake_checks import get_max_move
from chain.pallets.subtensor.storage_pool import (
    SubnetAlphaIn,
    SubnetAlphaOut,
    SubnetExcessTao,
    SubnetProtocolAlpha,
    SubnetTAO,
    SubnetVolume,
)
from chain.pallets.subtensor.storage_stake import TotalStake
from chain.replay.world import build
from chain.runtime.errors import CallError
from chain.runtime.state import State
from consensus.economics.balancer import HALF
from consensus.economics.terms import Terms
from consensus.economics.trade import Side, Trade
from consensus.replay.difference import Case, Difference, Engine, compare
from ganglion.fixed import U64_MAX, U96F32, clamp_u64
from ganglion.units import Alpha, NetUid, Rao

Check = Callable[[Case, Engine], Iterable[Difference]]

SUBNET, OTHER = NetUid(1), NetUid(2)


def _market(*pools: Case) -> State:
    """Subnets 1, 2, .. with these pools."""
    subnets = [
        {
            "netuid": number,
            "mechanism": each["mech"],
            "tao": each["tao"],
            "alpha_in": each["ain"],
            "alpha_out": each.get("aout", 0),
            "quote_weight": each.get("q") or HALF,
        }
        for number, each in enumerate(pools, 1)
    ]
    s = build({"subnets": subnets})
    for number, each in enumerate(pools, 1):
        s[swap.PalSwapInitialized, NetUid(number)] = each["init"]
        s[swap.FeeRate, NetUid(number)] = each.get("fee", 33)
    return s


def _guarded(compute: Callable[[], Any]) -> Any:
    """The result, or the recorded form of the error."""
    try:
        return compute()
    except CallError as failure:
        return {"err": type(failure).__name__}


def _fields(done: Trade) -> dict[str, int]:
    return {
        "in": done.paid_in,
        "out": done.paid_out,
        "fee": done.fee,
        "author": done.fee_to_author,
    }


def _operate(s: State, op: Case) -> Any:
    match op["k"]:
        case "buy" | "sell" as name:
            trade = buy_alpha if name == "buy" else sell_alpha
            return _fields(trade(s, SUBNET, op["amt"], op["limit"], drop_fees=op["drop"]))
        case "sim_buy" | "sim_sell" as name:
            return _fields(swap.sim_swap(s, SUBNET, Side(name[4:]), op["amt"]))
        case "max_add" | "max_remove" as name:
            side = Side.BUY if name == "max_add" else Side.SELL
            return swap.get_largest_input(s, SUBNET, side, op["limit"])
        case "alpha_for_tao":
            return swap.get_alpha_worth(s, SUBNET, op["amt"])
        case "inject":
            tao, alpha = swap.adjust_protocol_liquidity(s, SUBNET, op["tao"], op["alpha"])
            s[SubnetTAO, SUBNET] = Rao(clamp_u64(s[SubnetTAO, SUBNET] + tao))
            s[SubnetAlphaIn, SUBNET] = Alpha(clamp_u64(s[SubnetAlphaIn, SUBNET] + alpha))
            return {"tao": tao, "alpha": alpha}
        case _:
            return _inject_and_buy(s, op)


def _inject_and_buy(s: State, op: Case) -> dict[str, Any]:
    """What the coinbase does to one subnet, with a credit that is never the limit."""
    before = s[SubnetTAO, SUBNET], s[SubnetAlphaIn, SUBNET], s[SubnetProtocolAlpha, SUBNET]
    terms = Terms(*(U96F32.from_int(n) for n in (op["tao"], op["alpha"], 0, op["excess"])))
    inject(s, SUBNET, terms, Rao(U64_MAX), on_pool)
    bought = s[SubnetProtocolAlpha, SUBNET] - before[2]
    spent = s[SubnetExcessTao, SUBNET]
    return {
        "tao": s[SubnetTAO, SUBNET] - before[0] - spent,
        "alpha": s[SubnetAlphaIn, SUBNET] - before[1] + bought,
        "swap": {"in": spent, "out": bought} if spent else None,
    }


def _pool_state(s: State) -> list[Any]:
    return [
        s[SubnetTAO, SUBNET],
        s[SubnetAlphaIn, SUBNET],
        s[SubnetAlphaOut, SUBNET],
        s[swap.SwapBalancer, SUBNET].quote._0,
        s[swap.PalSwapInitialized, SUBNET],
        swap.get_pool(s, SUBNET).price(),
        s[SubnetVolume, SUBNET],
        s[TotalStake],
    ]


def _pool_seq(case: Case, _: Engine) -> Iterator[Difference]:
    s = _market(case["init"])
    for number, op in enumerate(case["ops"]):
        result = _guarded(lambda: _operate(s, op))  # noqa: B023 - called at once
        yield from compare(op["r"], result, f"ops[{number}].r")
        yield from compare(op["s"], _pool_state(s), f"ops[{number}].s")


def _move(case: Case, _: Engine) -> Iterable[Difference]:
    s = _market(case["a"], case["b"])
    result = _guarded(lambda: get_max_move(s, SUBNET, OTHER, case["limit"]))
    return compare(case["out"], result, "out")


KINDS: dict[str, Check] = {"economy/pool_seq": _pool_seq, "economy/move": _move}
