"""Checkers of the coinbase families that touch storage: they run the pallets themselves.

What a vector takes as given is given: results of trades (the pool has vectors of its own) and,
where no epoch runs, what the neurons earned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from chain.pallets import swap
from chain.pallets.alpha_assets import AlphaBurned, AlphaRecycled
from chain.pallets.subtensor import storage_neurons as neurons
from chain.pallets.subtensor import storage_pool as pool
from chain.pallets.subtensor.clock import get_clock
from chain.pallets.subtensor.coinbase import (
    drain_due_epochs,
    get_deferred_epochs,
    run_coinbase,
    update_prices,
)
from chain.pallets.subtensor.distribution import (
    do_distribute,
    do_split,
    get_payout,
    get_validator_alpha,
)
from chain.pallets.subtensor.emission import Pending, mint_block_emission
from chain.pallets.subtensor.epoch import HotkeyEmission, Yuma, do_run_epoch
from chain.pallets.subtensor.heritage import (
    get_inherited_alpha,
    get_inherited_tao,
    get_self_contribution,
    get_stake_pair,
    get_stake_weight,
)
from chain.pallets.subtensor.neurons import storage_index
from chain.pallets.subtensor.pool_trades import Trader, on_pool
from chain.pallets.subtensor.root_claim import (
    add_root_dividend,
    claim_on_subnet,
    get_owed,
    get_rates,
    on_root_stake_added,
    on_root_stake_removed,
)
from chain.pallets.subtensor.share_pool import add_stake, get_stake, take_stake
from chain.pallets.subtensor.storage_network import PendingEpochAt
from chain.pallets.subtensor.storage_root import RootClaimableThreshold, RootClaimed
from chain.pallets.subtensor.storage_stake import TotalStake
from chain.pallets.subtensor.types import Keep, KeepSubnets, RootClaimTypeEnum, Swap
from chain.pallets.subtensor.vectors import FLAG, U16, U64, values
from chain.replay.world import (
    account,
    bonds_of,
    build,
    events_of,
    globals_of,
    number_of,
    payouts_of,
    pool_totals,
    set_block,
    short_state,
    stakes_of,
    subnet_of,
)
from chain.runtime.errors import CallError
from chain.runtime.state import State
from consensus.economics.root_claim import claimable
from consensus.economics.trade import Side, Trade
from consensus.replay.difference import Case, Difference, Engine, compare
from consensus.yuma import engine as fast
from consensus.yuma import reference
from ganglion.fixed import I96F32
from ganglion.units import ROOT_NETUID, Alpha, NetUid

Check = Callable[[Case, Engine], Iterable[Difference]]
Row = dict[str, Any]

SUBNET = NetUid(1)
"""The subnet of the families that have one."""

YUMA: dict[Engine, Yuma] = {"numpy": fast.epoch, "reference": reference.epoch}
"""What runs the epochs inside the pallets."""


def pure(compute: Callable[[Row], Row]) -> Check:
    """A checker that computes `out` from `in`."""

    def check(case: Case, _: Engine) -> Iterator[Difference]:
        yield from compare(case["out"], compute(case["in"]), "out")

    return check


def with_epochs(compute: Callable[[Row, Yuma], Row]) -> Check:
    """A checker of what runs epochs, on the engine that was asked for."""

    def check(case: Case, engine: Engine) -> Iterator[Difference]:
        yield from compare(case["out"], compute(case["in"], YUMA[engine]), "out")

    return check


def recorded_trades(paid_out: dict[int, int | None]) -> Trader:
    """Pools that pay out what was recorded by subnet; none recorded means that they fail."""

    def trade(
        s: State, netuid: NetUid, side: Side, amount: int, limit: int, drop_fees: bool
    ) -> Trade:
        if not swap.is_dynamic(s, netuid):
            return on_pool(s, netuid, side, amount, limit, drop_fees)
        out = paid_out.get(netuid)
        if out is None:
            raise swap.Error.InsufficientLiquidity
        return Trade(amount, out, 0, 0)

    return trade


def _buys(given: Row) -> Trader:
    return recorded_trades({n["netuid"]: n.get("buy_alpha_out") for n in given["subnets"]})


def _netuids(given: Row) -> list[NetUid]:
    """The subnets of a case beside root, in storage order."""
    netuids = (NetUid(n["netuid"]) for n in given["subnets"] if n["netuid"] != ROOT_NETUID)
    return sorted(netuids, key=lambda netuid: netuid.to_bytes(2, "little"))


# --- blocks ------------------------------------------------------------------------------------


def _subnets(s: State, given: Row) -> list[Row]:
    rows = {subnet["netuid"]: subnet for subnet in given["subnets"]}
    return [subnet_of(s, netuid, rows[netuid]) for netuid in _netuids(given)]


def _mint(given: Row) -> Row:
    s = build(given)
    return {"credit": mint_block_emission(s), "globals": globals_of(s)}


def _emit(given: Row, yuma: Yuma) -> Row:
    s = build(given)
    credit = mint_block_emission(s)
    run_coinbase(s, credit, _buys(given), yuma)
    out = {
        "block_emission": credit,
        "subnets": _subnets(s, given),
        "globals": globals_of(s),
        "events": events_of(s),
    }
    update_prices(s)
    out["post_moving_price_i96f32_root_prop_u96f32"] = [
        [netuid, s[pool.SubnetMovingPrice, netuid], s[pool.RootProp, netuid]]
        for netuid in _netuids(given)
    ]
    return out


def _sim(given: Row, yuma: Yuma) -> Row:
    s, trader = build(given), _buys(given)
    netuids = _netuids(given)
    blocks = []
    for number in range(given["block"], given["block"] + given["blocks"]):
        set_block(s, number)
        run_coinbase(s, mint_block_emission(s), trader, yuma)
        update_prices(s)
        blocks.append(
            {
                "block": number,
                "globals": globals_of(s),
                "events": events_of(s),
                "s": short_state(s, netuids),
                "p": pool_totals(s),
            }
        )
    blocks[-1] |= {
        "state": payouts_of(s),
        "subnets": _subnets(s, given),
        "emission": [[netuid, values(s[neurons.Emission, netuid], U64)] for netuid in netuids],
        "bonds": [[netuid, bonds_of(s, netuid)] for netuid in netuids],
    }
    return {"blocks": blocks}


def _schedule(given: Row) -> Row:
    s = build(given)
    order = _netuids(given)
    blocks = []
    for number in range(given["block"], given["block"] + given["blocks"]):
        set_block(s, number)
        for block, netuid, value in given.get("triggers", []):
            if block == number:
                s[PendingEpochAt, netuid] = value
        for netuid, added in given["per_block_pending"]:
            waiting = s[pool.PendingServerEmission, netuid] + added
            s[pool.PendingServerEmission, netuid] = Alpha(waiting)
        clocks = {netuid: get_clock(s, netuid) for netuid in order}
        row = {
            "block": number,
            "due_before": [n for n, clock in clocks.items() if clock.is_due(number)],
            "next_start_and_blocks_until": [
                [n, clock.next_start(), clock.blocks_until_automatic(number)]
                for n, clock in clocks.items()
            ],
            "deferred_predicted": sorted(get_deferred_epochs(s)),
        }
        due = sorted(drain_due_epochs(s), key=lambda each: each.netuid)
        row["drained"] = [
            [
                each.netuid,
                each.pending.server,
                each.pending.validator,
                each.pending.root,
                each.pending.owner_cut,
            ]
            for each in due
        ]
        row["events"] = events_of(s)
        row["state"] = [
            [netuid, clock.last_epoch, clock.pending_at, clock.since_last_step, clock.index]
            for netuid, clock in ((n, get_clock(s, n)) for n in order)
        ]
        blocks.append(row)
    return {"order": order, "blocks": blocks}


# --- epochs and payouts --------------------------------------------------------------------------


def _mechanisms(given: Row, yuma: Yuma) -> Row:
    s = build(given)
    result = do_run_epoch(s, SUBNET, given["amount"], yuma)
    indices = [storage_index(SUBNET, mecid) for mecid in range(given["subnets"][1]["mech_count"])]

    def u16s(packed: bytes) -> list[int]:
        return values(packed, U16)

    return {
        "hotkey_emission": [
            [number_of(each.hotkey), each.server, each.validator] for each in result.emission
        ],
        "consensus": u16s(s[neurons.Consensus, SUBNET]),
        "dividends": u16s(s[neurons.Dividends, SUBNET]),
        "validator_trust": u16s(s[neurons.ValidatorTrust, SUBNET]),
        "stake_weight": u16s(s[neurons.StakeWeight, SUBNET]),
        "emission": values(s[neurons.Emission, SUBNET], U64),
        "active": values(s[neurons.Active, SUBNET], FLAG),
        "permits": values(s[neurons.ValidatorPermit, SUBNET], FLAG),
        "incentive_per_mech": [u16s(s[neurons.Incentive, index]) for index in indices],
        "bonds_per_mech": [bonds_of(s, SUBNET, mecid) for mecid in range(len(indices))],
    }


def _parent_child(given: Row) -> Row:
    s = build(given)
    hotkeys = []
    for key in given["hotkeys"]:
        hotkey = account(key["id"])
        pair = get_stake_pair(s, hotkey, SUBNET)
        hotkeys.append(
            {
                "hotkey": key["id"],
                "alpha_total": pair.alpha,
                "root_total": pair.root,
                "self_contribution": get_self_contribution(s, hotkey, SUBNET),
                "inherited_alpha": get_inherited_alpha(s, hotkey, SUBNET),
                "inherited_tao": get_inherited_tao(s, hotkey, SUBNET),
                "stake_weight_i64f64": get_stake_weight(s, hotkey, SUBNET),
            }
        )
    rows = []
    for number, dividends in given["dividends"]:
        before = s[AlphaRecycled, SUBNET]
        split = do_split(s, account(number), SUBNET, dividends)
        rows.append(
            {
                "hotkey": number,
                "tuples": [[number_of(who), amount] for who, amount in split.rows],
                "recycled": s[AlphaRecycled, SUBNET] - before,
            }
        )
    return {
        "hotkeys": hotkeys,
        "distribution": rows,
        "alpha_out_after": s[pool.SubnetAlphaOut, SUBNET],
    }


def _rows(table: dict[Any, int]) -> list[list[int]]:
    return [[number_of(hotkey), table[hotkey]] for hotkey in sorted(table)]


def _distribute(given: Row) -> Row:
    s = build(given)
    initial = stakes_of(s)
    pending = Pending(
        given["drained_server"],
        given["drained_validator"],
        given["drained_root"],
        given["drained_owner_cut"],
    )
    earned = [
        HotkeyEmission(account(hotkey), server, validator)
        for hotkey, server, validator in given["hotkey_emission"]
    ]
    payout = get_payout(s.child(), SUBNET, pending, earned)
    do_distribute(s, SUBNET, pending, earned)
    return {
        "initial": initial,
        "mid": {
            "validator_alpha": get_validator_alpha(pending, earned),
            "incentives": _rows(payout.incentives),
            "alpha_dividends_u96f32": _rows(payout.to_alpha),
            "root_dividends_u96f32": _rows(payout.to_root),
        },
        "state": payouts_of(s),
        "miner_burned_u96f32": s[neurons.MinerBurned, SUBNET],
        "alpha_out": s[pool.SubnetAlphaOut, SUBNET],
        "burned": s[AlphaBurned, SUBNET],
        "recycled": s[AlphaRecycled, SUBNET],
        "owed": [_owed(s, hotkey, coldkey) for hotkey, coldkey in given["query_owed"]],
        "events": events_of(s),
    }


def _owed(s: State, hotkey: int, coldkey: int) -> list[int]:
    who = account(hotkey), account(coldkey)
    rate = get_rates(s, who[0]).get(SUBNET, 0)
    owed = get_owed(s, *who, SUBNET)
    earned = claimable(rate, get_stake(s, *who, ROOT_NETUID))
    return [hotkey, coldkey, earned, owed, I96F32.to_u64(owed)]


# --- root claims -------------------------------------------------------------------------------


def _choice(name: str, subnets: list[int]) -> RootClaimTypeEnum:
    match name:
        case "swap":
            return Swap()
        case "keep":
            return Keep()
        case _:
            return KeepSubnets(tuple(map(NetUid, subnets)))


def _operate(s: State, op: list[Any], trader: Trader) -> str | None:
    match op:
        case ["claim", hotkey, coldkey, netuid, name, subnets]:
            who, choice = (account(hotkey), account(coldkey)), _choice(name, subnets)
            try:
                claim_on_subnet(s, *who, NetUid(netuid), choice, trader)
            except CallError:
                return "swap"
        case ["add", hotkey, coldkey, amount]:
            add_stake(s, account(hotkey), account(coldkey), ROOT_NETUID, amount)
            on_root_stake_added(s, account(hotkey), account(coldkey), amount)
        case ["remove", hotkey, coldkey, amount]:
            take_stake(s, account(hotkey), account(coldkey), ROOT_NETUID, amount)
            on_root_stake_removed(s, account(hotkey), account(coldkey), amount)
        case ["divs", hotkey, _, netuid, amount]:
            add_root_dividend(s, account(hotkey), NetUid(netuid), amount)
    return None


def _root_claim(given: Row) -> Row:
    s = build(given)
    for netuid, threshold in given["thresholds_i96f32"]:
        s[RootClaimableThreshold, netuid] = threshold
    trader = recorded_trades(dict(given.get("sell_tao_out", [])))
    netuids = _netuids(given)
    steps = []
    for op in given["ops"]:
        failure = _operate(s, op, trader)
        watched = [
            [
                netuid,
                hotkey,
                coldkey,
                get_owed(s, account(hotkey), account(coldkey), netuid),
                s[RootClaimed, netuid, account(hotkey), account(coldkey)],
            ]
            for netuid in netuids
            for hotkey, coldkey in given["watch"]
        ]
        steps.append({"err": failure, "owed_i96f32_claimed": watched})
    sold = [[netuid, s[pool.SubnetRootSellTao, netuid]] for netuid in netuids]
    return {
        "steps": steps,
        "state": payouts_of(s),
        "root_tao": s[pool.SubnetTAO, ROOT_NETUID],
        "root_alpha_out": s[pool.SubnetAlphaOut, ROOT_NETUID],
        "total_stake": s[TotalStake],
        "root_sell_tao": [row for row in sold if row[1]],
    }


KINDS: dict[str, Check] = {
    f"coinbase/{kind}": pure(compute)
    for kind, compute in {
        "mint": _mint,
        "schedule": _schedule,
        "parent_child": _parent_child,
        "distribute": _distribute,
        "root_claim": _root_claim,
    }.items()
} | {
    "coinbase/emit": with_epochs(_emit),
    "coinbase/sim": with_epochs(_sim),
    "coinbase/mechanisms": with_epochs(_mechanisms),
}
