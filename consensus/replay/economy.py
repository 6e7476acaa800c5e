"""Checkers of the economy families: the pool of a subnet, shares of stake, curves over time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from consensus.economics import balancer, burn, conviction, moving_price, safe_float, share_pool
from consensus.economics.balancer import HALF, Pool
from consensus.economics.fixed import Fx64
from consensus.economics.issuance import block_emission
from consensus.economics.lock_cost import lock_cost, reduction_interval
from consensus.economics.power import power
from consensus.economics.safe_float import ZERO, SafeFloat
from consensus.economics.share_pool import Membership
from consensus.economics.shares import moving_price_of
from consensus.economics.trade import fee_for
from consensus.replay.difference import Case, Difference, Engine, compare
from ganglion.fixed import U64F64, U96F32, u16_proportion, u64_proportion

Check = Callable[[Case, Engine], Iterable[Difference]]


def pure(compute: Callable[[Case], Any]) -> Check:
    """A checker that computes `out` from the other fields."""

    def check(case: Case, _: Engine) -> Iterator[Difference]:
        yield from compare(case["out"], compute(case), "out")

    return check


# --- the pool's curve --------------------------------------------------------------------------


def _weights(case: Case) -> dict[str, Any]:
    pool = Pool(case["tao"], case["alpha"], case["q"])
    new = balancer.weight_after_injection(pool, case["dtao"], case["dalpha"])
    return {"ok": new is not None, "q": case["q"] if new is None else new}


def _init_price(case: Case) -> dict[str, Any]:
    if case["init"] or case["price"] is None:
        return {"q": HALF}
    weight = balancer.weight_for_price(case["tao"], case["ain"], case["price"])
    return {"err": "ReservesOutOfBalance"} if weight is None else {"q": weight}


POOL: dict[str, Callable[[Case], Any]] = {
    "pow": lambda c: power(c["num"], c["den"], c["en"], c["ed"], c["prec"], c["scale"]),
    "exp": lambda c: balancer.scaled_reserve(
        c["q"], c["x"], c["dx"], base_to_quote=c["base_quote"]
    ),
    "price": lambda c: Pool(c["y"], c["x"], c["q"]).price(),
    "quote_delta_in": lambda c: balancer.tao_to_reach(c["q"], c["cur"], c["target"], c["reserve"]),
    "base_delta_in": lambda c: balancer.alpha_to_reach(c["q"], c["cur"], c["target"], c["reserve"]),
    "base_for_quote": lambda c: balancer.alpha_to_get_tao(
        Pool(c["tao"], c["alpha"], c["q"]), c["dtao"]
    ),
    "mul_round": lambda c: balancer.weighted(c["p"], c["value"]),
    "perq": lambda c: balancer.ratio_to_weight(c["p"], c["qq"]),
    "weights": _weights,
    "init_price": _init_price,
    "fee": lambda c: 0 if c["drop"] else fee_for(c["rate"], c["amount"]),
}


# --- shares of stake ---------------------------------------------------------------------------


def _sf(pair: list[int]) -> SafeFloat:
    return SafeFloat(*pair)


def _pair(value: SafeFloat | None) -> list[int] | None:
    return None if value is None else [value.mantissa, value.exponent]


SHARES: dict[str, Callable[[Case], Any]] = {
    "sf_new": lambda c: _pair(safe_float.new(c["m"], c["e"])),
    "sf_add": lambda c: _pair(safe_float.add(_sf(c["a"]), _sf(c["b"]))),
    "sf_sub": lambda c: _pair(safe_float.sub(_sf(c["a"]), _sf(c["b"]))),
    "sf_div": lambda c: _pair(safe_float.div(_sf(c["a"]), _sf(c["b"]))),
    "sf_muldiv": lambda c: _pair(safe_float.mul_div(_sf(c["a"]), _sf(c["b"]), _sf(c["c"]))),
    "sf_gt": lambda c: safe_float.greater(_sf(c["a"]), _sf(c["b"])),
    "sf_u64": lambda c: safe_float.to_u64(_sf(c["a"])),
    "sf_from_u64": lambda c: _pair(safe_float.of(c["v"])),
    "sf_from_u64f64": lambda c: _pair(safe_float.from_u64f64(c["bits"])),
}


def _share_seq(case: Case, _: Engine) -> Iterator[Difference]:
    total = case.get("total", 0)
    shares = {key: safe_float.from_u64f64(bits) or ZERO for key, bits in case.get("v1", [])}
    shares |= {key: _sf(pair) for key, pair in case.get("v2", [])}
    denominator = ZERO
    if "denom_v2" in case:
        denominator = _sf(case["denom_v2"])
    elif "denom_v1" in case:
        denominator = safe_float.from_u64f64(case["denom_v1"]) or ZERO

    def seen(key: int) -> Membership:
        return Membership(total, denominator, shares.get(key, ZERO))

    def state() -> dict[str, Any]:
        members = [[k, _pair(seen(k).share), seen(k).value()] for k in case["keys"]]
        return {"total": total, "denom": _pair(denominator), "sh": members}

    yield from compare(case["s0"], state(), "s0")
    for number, op in enumerate(case["ops"]):
        member = op.get("c")
        before = seen(member)
        match op["k"]:
            case "add":
                after = share_pool.changed(before, op["amt"])
            case "remove":
                held = member in shares and before.value() >= op["amt"]
                after = share_pool.changed(before, -op["amt"]) if held else before
            case "raw":
                after = share_pool.changed(before, op["upd"])
            case "reward":
                after = share_pool.grown(before, op["amt"])
            case "slash":
                after = share_pool.grown(before, -op["amt"])
            case _:
                possible = share_pool.is_deposit_possible(before, op["amt"])
                yield from compare(op["r"], possible, f"ops[{number}].r")
                after = before
        total, denominator = after.total, after.denominator
        actual: dict[str, Any] = {"total": total, "denom": _pair(denominator)}
        if member is not None:
            shares[member] = after.share
            if not after.share:
                del shares[member]
            actual |= {"share": _pair(after.share), "value": after.value()}
        recorded = {key: op[key] for key in ("total", "denom", "share", "value") if key in op}
        yield from compare(recorded, actual, f"ops[{number}]")
    if "final" in case:
        yield from compare(case["final"], state(), "final")


# --- curves over time --------------------------------------------------------------------------


def _lock_cost(case: Case) -> dict[str, int]:
    interval = reduction_interval(case["interval"], block_emission(case["issuance"]))
    cost = lock_cost(
        case["last_lock"], case["min_lock"], case["last_block"], case["block"], interval
    )
    return {"cost": cost, "interval": interval}


def _price_of(pool: Case) -> Fx64:
    return Pool(pool["tao"], pool["ain"], pool["q"]).price() if pool["mech"] == 1 else U64F64.one


def _lock(fields: Case) -> conviction.Lock:
    return conviction.Lock(fields["mass"], fields["conv"], fields["last"])


def _fields(lock: conviction.Lock) -> dict[str, int]:
    return {"mass": lock.mass, "conv": lock.conviction, "last": lock.last}


def _roll(case: Case) -> dict[str, Any]:
    before = _lock(case["lock"])
    after = conviction.rolled(
        before,
        case["now"],
        conviction.Rates(case["unlock"], case["maturity"]),
        is_owner=case["owner"],
        is_perpetual=case["perpetual"],
    )
    return {
        "dconv": max(before.conviction - after.conviction, 0),
        "dmass": max(before.mass - after.mass, 0),
        "lock": _fields(after),
    }


def _force_reduce(case: Case) -> dict[str, Any]:
    before = _lock(case["lock"])
    after = conviction.reduced(before, case["amount"], case["now"])
    return {
        "lock": _fields(after),
        "agg": _fields(conviction.without(_lock(case["agg"]), before, after)),
    }


CURVES: dict[str, Callable[[Case], Any]] = {
    "decay_factor": lambda c: burn.decay_factor(c["half_life"]),
    "mul_q32": lambda c: burn.q32_mul(c["value"], c["factor"]),
    "pow_q32": lambda c: burn.q32_pow(c["base"], c["exp"]),
    "lock_cost": _lock_cost,
    "emission": lambda c: block_emission(c["issuance"]),
    "u16_ratio": lambda c: u16_proportion(c["v"]),
    "take": lambda c: U96F32.to_u64(
        U96F32.mul(u16_proportion(c["take"]), U96F32.from_int(c["amount"]))
    ),
    "exp_decay": lambda c: conviction.decay(c["dt"], c["tau"]),
    "force_reduce": _force_reduce,
    "median": lambda c: moving_price.median(_price_of(p) for p in c["pools"] if p["added"]),
    "ck_burn": lambda c: u64_proportion(c["w"]),
    "tao_weight": lambda c: u64_proportion(c["w"]),
    "roll": _roll,
}


def _burn_seq(case: Case, _: Engine) -> Iterator[Difference]:
    start = case["init"]
    price, block, bounds = start["burn"], start["block"], (start["min"], start["max"])
    for number, op in enumerate(case["ops"]):
        if op["k"] == "bump":
            price = burn.clamped(burn.raised(price, start["mult"]), *bounds)
        for _step in range(op.get("n", 0)):
            block += 1
            price = burn.clamped(burn.decayed(price, start["half_life"], block), *bounds)
        yield from compare(op["burn"], price, f"ops[{number}].burn")


def _ema_seq(case: Case, _: Engine) -> Iterator[Difference]:
    start = case["init"]
    moving = start["moving"]
    for number, op in enumerate(case["ops"]):
        price = _price_of(op | {"mech": start["mech"]})
        old = moving_price_of(start["mech"] == 1, moving)
        weight = moving_price.smoothing(
            start["alpha"], op["block"], start["first_emission"] or 0, start["halving"]
        )
        moving = moving_price.moved(old, price, weight)
        actual = {"price": price, "moving": moving}
        recorded = {key: op[key] for key in actual}
        yield from compare(recorded, actual, f"ops[{number}]")


KINDS: dict[str, Check] = {
    f"economy/{kind}": pure(compute) for kind, compute in (POOL | SHARES | CURVES).items()
} | {
    "economy/share_seq": _share_seq,
    "economy/burn_seq": _burn_seq,
    "economy/ema_seq": _ema_seq,
}
