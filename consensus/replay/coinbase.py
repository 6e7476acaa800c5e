"""Checkers of the coinbase families that are plain arithmetic: no storage, no accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from consensus.economics import moving_price, safe_float, share_pool
from consensus.economics.balancer import HALF, Pool, weight_after_injection
from consensus.economics.children import Stake
from consensus.economics.dividends import distribution
from consensus.economics.fixed import Fx64
from consensus.economics.issuance import block_emission
from consensus.economics.root_claim import indices
from consensus.economics.safe_float import ZERO, SafeFloat
from consensus.economics.share_pool import Membership
from consensus.economics.shares import (
    Candidate,
    emission_shares,
    is_root_selling,
    moving_price_of,
    price_shares,
    subnet_emissions,
)
from consensus.economics.terms import root_proportion, subnet_terms
from consensus.replay.difference import Case, Difference, Engine, compare
from consensus.yuma.mechanisms import split_emission
from ganglion.fixed import U64F64, clamp_u64, u64_proportion

DEFAULT_TAO_WEIGHT = 971_718_665_099_567_868

Check = Callable[[Case, Engine], Iterable[Difference]]
Rows = list[list[int]]


def pure(compute: Callable[[Case], Any]) -> Check:
    """A checker that computes `out` from `in`."""

    def check(case: Case, _: Engine) -> Iterator[Difference]:
        yield from compare(case["out"], compute(case["in"]), "out")

    return check


def in_storage_order(subnets: Iterable[Case]) -> list[Case]:
    """Subnets as their map iterates: by the little-endian bytes of their number."""
    return sorted(subnets, key=lambda subnet: int(subnet["netuid"]).to_bytes(2, "little"))


def _rows(table: dict[int, int]) -> Rows:
    return [[key, table[key]] for key in sorted(table)]


def _candidates(subnets: Iterable[Case]) -> list[Candidate]:
    return [
        Candidate(
            subnet["netuid"],
            moving_price_of(subnet.get("mechanism", 0) == 1, subnet["moving_price_i96f32"]),
            subnet.get("miner_burned_u96f32", 0),
            subnet.get("emission_enabled", True),
        )
        for subnet in subnets
        if subnet["netuid"] != 0
        and subnet["first_emission_block"] is not None
        and subnet.get("subtoken", True)
        and subnet.get("reg_allowed", True)
    ]


def _shares(given: Case) -> dict[str, Any]:
    ordered = in_storage_order(given["subnets"])
    candidates = _candidates(ordered)
    by_netuid = [candidate.netuid for candidate in candidates]
    return {
        "order": [subnet["netuid"] for subnet in ordered],
        "emit_to": by_netuid,
        "price_shares_u64f64": _rows(dict(zip(by_netuid, price_shares(candidates)))),
        "shares_u64f64": _rows(dict(zip(by_netuid, emission_shares(candidates)))),
        "emissions_u96f32": _rows(subnet_emissions(candidates, given["block_emission"])),
        "root_sell_flag": is_root_selling(candidates),
    }


def _pool(subnet: Case) -> Pool:
    return Pool(subnet.get("tao", 0), subnet.get("alpha_in", 0), subnet.get("quote_weight", HALF))


def _price(subnet: Case) -> Fx64:
    return _pool(subnet).price() if subnet.get("mechanism", 0) == 1 else U64F64.one


def _terms(given: Case) -> dict[str, Any]:
    subnets = {subnet["netuid"]: subnet for subnet in given["subnets"]}
    tao_weight = u64_proportion(given.get("tao_weight", DEFAULT_TAO_WEIGHT))
    columns: dict[str, Rows] = {
        "price_u64f64": [],
        "root_prop_u96f32": [],
        "tao_in_u96f32": [],
        "alpha_in_u96f32": [],
        "alpha_out_u96f32": [],
        "excess_u96f32": [],
    }
    stored = 10**9
    for netuid, tao_emission in given["emissions_u96f32"]:
        subnet = subnets[netuid]
        issuance = clamp_u64(subnet.get("alpha_in", 0) + subnet.get("alpha_out", 0))
        emission = block_emission(issuance)
        stored = stored if issuance >= 21 * 10**15 else emission
        root_share = root_proportion(subnets[0]["tao"], tao_weight, issuance)
        price = _price(subnet)
        terms = subnet_terms(tao_emission, price, emission, root_share)
        row = (price, root_share, terms.tao_in, terms.alpha_in, terms.alpha_out, terms.excess_tao)
        for column, value in zip(columns.values(), row):
            column.append([netuid, value])
    return {**columns, "block_emission_storage": stored, "tao_weight_u96f32": tao_weight}


def _moving_price(given: Case) -> dict[str, Any]:
    (subnet,) = given["subnets"]
    price = _price(subnet)
    weight = moving_price.smoothing(
        given.get("moving_alpha_i96f32", 12_885),
        given["block"],
        subnet["first_emission_block"] or 0,
        subnet["halving_blocks"],
    )
    old = moving_price_of(subnet["mechanism"] == 1, subnet["moving_price_i96f32"])
    return {
        "price_u64f64": price,
        "new_moving_i96f32": moving_price.moved(old, price, weight),
    }


def _weights_update(given: Case) -> dict[str, Any]:
    before = Pool(given["tao"], given["alpha"], given["quote_weight"])
    weight = weight_after_injection(before, given["tao_delta"], given["alpha_delta"])
    new = before.quote_weight if weight is None else weight
    after = Pool(given["tao"] + given["tao_delta"], given["alpha"] + given["alpha_delta"], new)
    return {
        "ok": weight is not None,
        "new_quote_weight": new,
        "price_before_u64f64": before.price(),
        "price_after_u64f64": after.price(),
    }


def _dividend_distribution(given: Case) -> dict[str, Any]:
    tao_weight = u64_proportion(given["tao_weight"])
    alpha, root = distribution(
        dict(given["dividends_u96f32"]),
        {key: Stake(alpha, root) for key, alpha, root in given["stake_map"]},
        validator_alpha=given["pending_alpha"],
        root_alpha=given["pending_root_alpha"],
        tao_weight=tao_weight,
    )
    return {
        "alpha_u96f32": _rows(alpha),
        "root_u96f32": _rows(root),
        "tao_weight_u96f32": tao_weight,
    }


def _split(given: Case) -> dict[str, Any]:
    (subnet,) = given["subnets"]
    parts = split_emission(given["amount"], subnet["mech_count"], subnet.get("mech_split"))
    return {"parts": parts}


def _pair(value: SafeFloat | None) -> list[int] | None:
    return None if value is None else [value.mantissa, value.exponent]


def _safe_float(given: Case) -> dict[str, Any]:
    a, b, c = (SafeFloat(*given.get(name, (0, 0))) for name in "abc")
    match given["op"]:
        case "new":
            result: Any = _pair(safe_float.new(given["m"], given["e"]))
        case "from_u64f64":
            result = _pair(safe_float.from_u64f64(given["bits"]))
        case "gt":
            result = safe_float.greater(a, b)
        case "to_u64":
            result = safe_float.to_u64(a)
        case "mul_div":
            result = _pair(safe_float.mul_div(a, b, c))
        case op:
            result = _pair(getattr(safe_float, op)(a, b))
    return {"r": result}


def _share_pool(given: Case) -> dict[str, Any]:
    total, denominator = 0, ZERO
    shares: dict[int, SafeFloat] = {}
    steps = []
    for op, who, amount in given["ops"]:
        seen = Membership(total, denominator, shares.get(who, ZERO))
        match op:
            case "one":
                after = share_pool.changed(seen, amount)
            case "all":
                after = share_pool.grown(seen, amount)
            case "dec_all_of":
                after = share_pool.changed(seen, -seen.value()) if who in shares else seen
            case _:
                allowed = who in shares and seen.value() >= amount
                after = share_pool.changed(seen, -amount) if allowed else seen
        total, denominator = after.total, after.denominator
        shares[who] = after.share
        shares = {key: share for key, share in shares.items() if share}
        steps.append(
            {
                "total": total,
                "denominator": _pair(denominator),
                "shares": [
                    [key, *(_pair(share) or ()), Membership(total, denominator, share).value()]
                    for key, share in sorted(shares.items())
                ],
            }
        )
    return {"steps": steps}


KINDS: dict[str, Check] = {
    f"coinbase/{kind}": pure(compute)
    for kind, compute in {
        "block_emission": lambda given: {"emission": block_emission(given["issuance"])},
        "shares": _shares,
        "terms": _terms,
        "moving_price": _moving_price,
        "weights_update": _weights_update,
        "dividend_distribution": _dividend_distribution,
        "split": _split,
        "safe_float": _safe_float,
        "share_pool": _share_pool,
        "hash_indices": lambda given: {
            "indices": indices(bytes.fromhex(str(given["hash"]).zfill(64)), given["k"], given["n"])
        },
    }.items()
}
