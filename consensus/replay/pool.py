"""Checker of a pool's life: trades, injections and dry runs one after another on one subnet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from consensus.economics.balancer import HALF, Pool, weight_after_injection
from consensus.economics.trade import (
    MAX_PRICE,
    Refusal,
    Side,
    Trade,
    alpha_worth,
    default_limit,
    inverted_limit,
    largest_input,
    largest_move,
    limit_price,
    trade,
)
from consensus.replay.difference import Case, Difference, Engine, compare
from ganglion.fixed import I64_MAX, U64_MAX, U128_MAX, clamp_u64


@dataclass
class Subnet:
    """The storage a pool touches."""

    tao: int
    ain: int
    aout: int
    q: int
    init: bool
    fee: int
    stake: int = 0
    volume: int = 0

    def pool(self) -> Pool:
        """The pool as it stands."""
        return Pool(self.tao, self.ain, self.q)

    def opened(self) -> Pool:
        """The pool as a trade finds it: even weights on the first one."""
        return Pool(self.tao, self.ain, self.q if self.init else HALF)

    def trade(self, side: Side, amount: int, limit: int, *, drop_fees: bool) -> Trade | Refusal:
        """A trade on the pool, nothing moved yet."""
        rate = 0 if drop_fees else self.fee
        return trade(self.opened(), side, amount, limit_price(limit), rate)

    def settle(self, side: Side, done: Trade, requested: int) -> None:
        """Move what a trade moves."""
        self.q, self.init = self.opened().quote_weight, True
        paid_in, paid_out = min(done.paid_in, I64_MAX), min(done.paid_out, I64_MAX + 1)
        if side is Side.BUY:
            self.tao = clamp_u64(self.tao + paid_in)
            self.ain = clamp_u64(self.ain - paid_out)
            self.aout = clamp_u64(self.aout + paid_out)
            self.stake = clamp_u64(self.stake + requested)
            self.volume = min(self.volume + requested, U128_MAX)
        else:
            self.ain = clamp_u64(self.ain + paid_in)
            self.aout = clamp_u64(self.aout - paid_in)
            self.tao = clamp_u64(self.tao - paid_out)
            self.stake = clamp_u64(self.stake - paid_out)
            self.volume = min(self.volume + paid_out, U128_MAX)

    def swap(self, side: Side, amount: int, limit: int, *, drop_fees: bool) -> dict[str, Any]:
        """Trade and settle."""
        done = self.trade(side, amount, limit, drop_fees=drop_fees)
        if isinstance(done, Trade):
            self.settle(side, done, amount)
        return _result(done)

    def reweigh(self, tao: int, alpha: int) -> tuple[int, int]:
        """Adopt the weights of an injection; zeros when it is refused."""
        weight = weight_after_injection(self.pool(), tao, alpha)
        if weight is None:
            return 0, 0
        self.q = weight
        return tao, alpha

    def state(self) -> list[Any]:
        """The recorded columns."""
        price = self.pool().price()
        return [
            self.tao,
            self.ain,
            self.aout,
            self.q,
            self.init,
            price,
            self.volume,
            self.stake,
        ]


def _result(done: Trade | Refusal) -> dict[str, Any]:
    if isinstance(done, Refusal):
        return {"err": done.value}
    return {
        "in": done.paid_in,
        "out": done.paid_out,
        "fee": done.fee,
        "author": done.fee_to_author,
    }


def _number(result: int | Refusal) -> Any:
    return {"err": result.value} if isinstance(result, Refusal) else result


def _operate(subnet: Subnet, op: Case) -> Any:
    match op["k"]:
        case "buy" | "sell" as side:
            return subnet.swap(Side(side), op["amt"], op["limit"], drop_fees=op["drop"])
        case "sim_buy" | "sim_sell" as name:
            side = Side(name[4:])
            return _result(subnet.trade(side, op["amt"], default_limit(side), drop_fees=False))
        case "max_add" | "max_remove" as name:
            side = Side.BUY if name == "max_add" else Side.SELL
            return _number(largest_input(subnet.opened(), side, op["limit"], subnet.fee))
        case "alpha_for_tao":
            return alpha_worth(subnet.pool().price(), op["amt"])
        case _:
            tao, alpha = subnet.reweigh(op["tao"], op["alpha"])
            swap = None
            if op.get("excess"):
                swap = subnet.swap(Side.BUY, op["excess"], MAX_PRICE, drop_fees=True)
            subnet.ain = clamp_u64(subnet.ain + alpha)
            subnet.tao = clamp_u64(subnet.tao + tao)
            if op["k"] == "inject_swap":
                subnet.stake = clamp_u64(subnet.stake + tao)
            return {"tao": tao, "alpha": alpha, "swap": swap}


def _pool_seq(case: Case, _: Engine) -> Iterator[Difference]:
    start = case["init"]
    subnet = Subnet(
        start["tao"],
        start["ain"],
        start["aout"],
        start.get("q") or HALF,
        start["init"],
        start["fee"],
    )
    for number, op in enumerate(case["ops"]):
        result = _operate(subnet, op)
        yield from compare(op["r"], result, f"ops[{number}].r")
        yield from compare(op["s"], subnet.state(), f"ops[{number}].s")


def _move(case: Case, _: Engine) -> Iterable[Difference]:
    a, b, limit = case["a"], case["b"], case["limit"]
    origin, destination = (Pool(p["tao"], p["ain"], p["q"] if p["init"] else HALF) for p in (a, b))
    rate = 33
    match a["mech"], b["mech"]:
        case 1, 1:
            result: int | Refusal = largest_move(origin, destination, limit)
        case 1, _:
            result = largest_input(origin, Side.SELL, limit, rate)
        case _, 1:
            result = U64_MAX
            if limit:
                result = largest_input(destination, Side.BUY, inverted_limit(limit), rate)
        case _:
            result = U64_MAX if limit <= 10**9 else 0
    return compare(case["out"], _number(result), "out")


KINDS = {"economy/pool_seq": _pool_seq, "economy/move": _move}
