"""The state that a coinbase vector describes, as the real pallets' storage, and back.

Accounts are small numbers in the vectors; their order is the order of account bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from chain.pallets import balances, balances_store, system
from chain.pallets.alpha_assets import AlphaBurned, AlphaRecycled, TotalAlphaIssuance
from chain.pallets.subtensor import pallet as subtensor
from chain.pallets.subtensor import storage_delegation as delegation
from chain.pallets.subtensor import storage_hyperparameters as hyper
from chain.pallets.subtensor import storage_network as network
from chain.pallets.subtensor import storage_neurons as neurons
from chain.pallets.subtensor import storage_pool as pool
from chain.pallets.subtensor import storage_stake as stake
from chain.pallets.subtensor.accounts import compute_subnet_account
from chain.pallets.subtensor.events_stake import AutoStakeAdded
from chain.pallets.subtensor.events_weights import EpochDeferred, EpochSkipped
from chain.pallets.subtensor.neurons import storage_index
from chain.pallets.subtensor.root_claim import get_rates
from chain.pallets.subtensor.share_pool import add_stake, get_stake, grow_pool
from chain.pallets.subtensor.storage_keys import OwnedHotkeys, Owner
from chain.pallets.subtensor.storage_root import RootClaimable, RootClaimed
from chain.pallets.subtensor.types import ConsensusMode, RecycleOrBurnEnum
from chain.pallets.subtensor.vectors import packed_pairs, pairs
from chain.pallets.swap import Balancer, PalSwapInitialized, Perquintill, SwapBalancer
from chain.runtime.state import DictBackend, State, iter_items
from consensus.economics.balancer import HALF
from ganglion.units import AccountId, BlockNumber, NetUid, PerU16, Rao, Uid

Row = dict[str, Any]

SEALED = (balances.pallet, subtensor.pallet)
"""Storage has its keys once these are imported."""

DEEP_POCKETS = Rao(10**18)
"""On every subnet's account, so that payments never fail: vectors leave balances out."""

DEFAULT_TAKE = 11_796
DEFAULT_TAO_WEIGHT = 971_718_665_099_567_868

_PLAIN: tuple[tuple[str, Any, Any], ...] = (
    ("first_emission_block", network.FirstEmissionBlockNumber, None),
    ("subtoken", network.SubtokenEnabled, True),
    ("reg_allowed", network.NetworkRegistrationAllowed, True),
    ("emission_enabled", hyper.SubnetEmissionEnabled, True),
    ("owner_cut_enabled", hyper.OwnerCutEnabled, True),
    ("mechanism", network.SubnetMechanism, 1),
    ("moving_price_i96f32", pool.SubnetMovingPrice, 0),
    ("miner_burned_u96f32", neurons.MinerBurned, 0),
    ("tao", pool.SubnetTAO, 0),
    ("alpha_in", pool.SubnetAlphaIn, 0),
    ("alpha_out", pool.SubnetAlphaOut, 0),
    ("pending_server", pool.PendingServerEmission, 0),
    ("pending_validator", pool.PendingValidatorEmission, 0),
    ("pending_root", pool.PendingRootAlphaDivs, 0),
    ("pending_owner_cut", pool.PendingOwnerCut, 0),
    ("tempo", network.Tempo, 360),
    ("last_epoch_block", network.LastEpochBlock, 0),
    ("pending_epoch_at", network.PendingEpochAt, 0),
    ("blocks_since_last_step", network.BlocksSinceLastStep, 0),
    ("epoch_index", network.SubnetEpochIndex, 0),
    ("last_step_block", network.LastMechansimStepBlock, 0),
    ("halving_blocks", hyper.EMAPriceHalvingBlocks, 201_600),
    ("mech_count", network.MechanismCountCurrent, 1),
)
"""Field of a subnet, the item it is stored in, its default."""


def account(number: int) -> AccountId:
    """The account of a number; 0 is the zero account."""
    return AccountId(number.to_bytes(32, "big"))


def number_of(who: AccountId) -> int:
    """The number of an account."""
    return int.from_bytes(who, "big")


# --- building ----------------------------------------------------------------------------------


def build(given: Row) -> State:
    """The described state."""
    s = State(DictBackend())
    _set_globals(s, given)
    for subnet in given.get("subnets", []):
        _set_subnet(s, subnet)
    _set_keys(s, given)
    _set_stake(s, given)
    for epoch in given.get("epoch", []):
        _set_epoch(s, epoch)
    return s


def set_block(s: State, number: int) -> None:
    """Make it the start of a block."""
    s[system.Number] = BlockNumber(number)
    s.events.clear()


def _set_globals(s: State, given: Row) -> None:
    s[system.Number] = BlockNumber(given.get("block", 0))
    s[pool.TaoWeight] = given.get("tao_weight", DEFAULT_TAO_WEIGHT)
    s[pool.CKBurn] = given.get("ck_burn", 0)
    s[stake.TotalIssuance] = given.get("total_issuance", 0)
    issued: Any = given.get("total_issuance", 0)
    s[balances_store.TotalIssuance] = Rao(given.get("balances_issuance", issued))
    s[stake.TotalStake] = given.get("total_stake", 0)
    s[network.MaxEpochsPerBlock] = int(given.get("max_epochs_per_block", 2))
    s[pool.SubnetOwnerCut] = given.get("owner_cut", 11_796)
    s[delegation.MinChildkeyTake] = given.get("min_childkey_take", 0)
    s[pool.SubnetMovingAlpha] = given.get("moving_alpha_i96f32", 12_885)
    s[pool.BlockEmission] = given.get("block_emission", 10**9)


def _set_subnet(s: State, subnet: Row) -> None:
    netuid = NetUid(subnet["netuid"])
    s[network.NetworksAdded, netuid] = True
    _write(s, _PLAIN, subnet, netuid)
    weight = subnet.get("quote_weight", HALF)
    s[SwapBalancer, netuid] = Balancer(Perquintill(weight))
    s[PalSwapInitialized, netuid] = True
    floor = PerU16(subnet.get("min_childkey_take") or 0)
    s[delegation.MinChildkeyTakePerSubnet, netuid] = floor
    if subnet.get("mech_split") is not None:
        s[network.MechanismEmissionSplit, netuid] = tuple(subnet["mech_split"])
    if subnet.get("recycle_or_burn") is not None:
        choice = RecycleOrBurnEnum[subnet["recycle_or_burn"].title()]
        s[hyper.RecycleOrBurn, netuid] = choice
    if subnet.get("owner_hotkey") is not None:
        s[network.SubnetOwnerHotkey, netuid] = account(subnet["owner_hotkey"])
    if subnet.get("owner_coldkey") is not None:
        s[network.SubnetOwner, netuid] = account(subnet["owner_coldkey"])
    if subnet.get("duplicate_keys"):
        for uid in (0, 1):
            s[neurons.Keys, netuid, Uid(uid)] = account(1)
    who = compute_subnet_account(netuid)
    info = s[system.Account, who]
    data = replace(info.data, free=DEEP_POCKETS)
    s[system.Account, who] = replace(info, providers=1, data=data)


def _write(s: State, fields: Iterable[Any], given: Row, netuid: NetUid) -> None:
    for name, item, default in fields:
        ref: Any = (item, netuid)
        s[ref] = given.get(name, default)


def _edges(rows: Iterable[list[int]]) -> tuple[tuple[int, AccountId], ...]:
    return tuple((proportion, account(other)) for proportion, other in rows)


def _set_keys(s: State, given: Row) -> None:
    for key in given.get("hotkeys", []):
        hotkey = account(key["id"])
        if key.get("owner") is not None:
            owner = account(key["owner"])
            s[Owner, hotkey] = owner
            s[OwnedHotkeys, owner] = (*s[OwnedHotkeys, owner], hotkey)
        s[delegation.Delegates, hotkey] = key.get("take", DEFAULT_TAKE)
    for hotkey, netuid, take in given.get("childkey_takes", []):
        s[delegation.ChildkeyTake, account(hotkey), netuid] = take
    for hotkey, netuid, edges in given.get("children", []):
        s[delegation.ChildKeys, account(hotkey), netuid] = _edges(edges)
    for hotkey, netuid, edges in given.get("parents", []):
        s[delegation.ParentKeys, account(hotkey), netuid] = _edges(edges)
    for netuid, uid, hotkey, registered in given.get("uids", []):
        s[neurons.Keys, netuid, uid] = account(hotkey)
        s[neurons.Uids, netuid, account(hotkey)] = uid
        s[neurons.BlockAtRegistration, netuid, uid] = registered
        s[network.SubnetworkN, netuid] = max(s[network.SubnetworkN, netuid], uid + 1)
    for coldkey, netuid, hotkey in given.get("autostake", []):
        s[stake.AutoStakeDestination, account(coldkey), netuid] = account(hotkey)


def _set_stake(s: State, given: Row) -> None:
    for hotkey, netuid, coldkey, amount in given.get("stakes", []):
        add_stake(s, account(hotkey), account(coldkey), netuid, amount)
    for hotkey, netuid, amount in given.get("pool_growth", []):
        grow_pool(s, account(hotkey), netuid, amount)
    for hotkey, netuid, coldkey, amount in given.get("stakes2", []):
        add_stake(s, account(hotkey), account(coldkey), netuid, amount)
    for hotkey, netuid, rate in given.get("root_claimable", []):
        rates = get_rates(s, account(hotkey)) | {netuid: rate}
        s[RootClaimable, account(hotkey)] = tuple(sorted(rates.items()))
    for netuid, hotkey, coldkey, claimed in given.get("root_claimed", []):
        s[RootClaimed, netuid, account(hotkey), account(coldkey)] = claimed


def _set_epoch(s: State, epoch: Row) -> None:
    netuid = NetUid(epoch["netuid"])
    s[hyper.Yuma3On, netuid] = epoch.get("yuma3_on", False)
    s[hyper.LiquidAlphaOn, netuid] = epoch.get("liquid_alpha_on", False)
    # Recorded when liquid alpha knew this epoch's consensus only.
    s[hyper.LiquidAlphaConsensusMode, netuid] = ConsensusMode.Current
    s[hyper.CommitRevealWeightsEnabled, netuid] = False
    s[hyper.MaxAllowedValidators, netuid] = epoch.get("max_allowed_validators", 128)
    s[neurons.ValidatorPermit, netuid] = bytes(map(int, epoch["validator_permits"]))
    for mecid, mechanism in enumerate(epoch["mechanisms"]):
        index = storage_index(netuid, mecid)
        s[neurons.LastUpdate, index] = b"".join(
            block.to_bytes(8, "little") for block in mechanism["last_update"]
        )
        for uid, row in enumerate(mechanism["weights"]):
            s[neurons.Weights, index, Uid(uid)] = packed_pairs([tuple(pair) for pair in row])


# --- reading -----------------------------------------------------------------------------------


def globals_of(s: State) -> Row:
    """The three chain-wide figures."""
    return {
        "block_emission_storage": s[pool.BlockEmission],
        "total_issuance": s[stake.TotalIssuance],
        "total_stake": s[stake.TotalStake],
    }


def events_of(s: State) -> list[str]:
    """The three kinds of events that vectors record."""
    lines = []
    for event in s.events:
        match event:
            case EpochDeferred(netuid, _, block):
                lines.append(f"deferred {netuid} {block}")
            case EpochSkipped(netuid, _):
                lines.append(f"skipped {netuid}")
            case AutoStakeAdded(_, destination, hotkey, _, amount):
                lines.append(f"autostake {number_of(hotkey)} {number_of(destination)} {amount}")
    return lines


def subnet_of(s: State, netuid: NetUid, given: Row) -> Row:
    """All recorded fields of a subnet; `given` is what it started from."""
    paid = s[system.Account, compute_subnet_account(netuid)].data.free - DEEP_POCKETS
    return {
        "netuid": netuid,
        "tao": s[pool.SubnetTAO, netuid],
        "alpha_in": s[pool.SubnetAlphaIn, netuid],
        "alpha_out": s[pool.SubnetAlphaOut, netuid],
        "quote_weight": s[SwapBalancer, netuid].quote._0,
        "protocol_alpha": s[pool.SubnetProtocolAlpha, netuid],
        "volume": s[pool.SubnetVolume, netuid],
        "excess_tao": s[pool.SubnetExcessTao, netuid],
        "tao_in_emission": s[pool.SubnetTaoInEmission, netuid],
        "alpha_in_emission": s[pool.SubnetAlphaInEmission, netuid],
        "alpha_out_emission": s[pool.SubnetAlphaOutEmission, netuid],
        "pending_server": s[pool.PendingServerEmission, netuid],
        "pending_validator": s[pool.PendingValidatorEmission, netuid],
        "pending_root": s[pool.PendingRootAlphaDivs, netuid],
        "pending_owner_cut": s[pool.PendingOwnerCut, netuid],
        "last_epoch_block": s[network.LastEpochBlock, netuid],
        "pending_epoch_at": s[network.PendingEpochAt, netuid],
        "blocks_since_last_step": s[network.BlocksSinceLastStep, netuid],
        "epoch_index": s[network.SubnetEpochIndex, netuid],
        "last_step_block": s[network.LastMechansimStepBlock, netuid],
        "moving_price_i96f32": s[pool.SubnetMovingPrice, netuid],
        "miner_burned_u96f32": s[neurons.MinerBurned, netuid],
        "root_prop_u96f32": s[pool.RootProp, netuid],
        "account_balance_delta": paid,
        "assets_issuance_delta": s[TotalAlphaIssuance, netuid] - given.get("alpha_issued", 0),
        "assets_recycled": s[AlphaRecycled, netuid],
        "assets_burned": s[AlphaBurned, netuid],
        "protocol_flow": s[pool.SubnetProtocolFlow, netuid],
    }


def short_state(s: State, netuids: Iterable[NetUid]) -> list[list[int]]:
    """The columns that every simulated block records."""
    return [
        [
            netuid,
            s[pool.SubnetTAO, netuid],
            s[pool.SubnetAlphaIn, netuid],
            s[pool.SubnetAlphaOut, netuid],
            s[pool.PendingServerEmission, netuid],
            s[pool.PendingValidatorEmission, netuid],
            s[pool.PendingRootAlphaDivs, netuid],
            s[pool.PendingOwnerCut, netuid],
            s[pool.SubnetMovingPrice, netuid],
            s[neurons.MinerBurned, netuid],
        ]
        for netuid in netuids
    ]


def pool_totals(s: State) -> list[list[int]]:
    """[hotkey, netuid, value] of every pool."""
    return sorted(
        [number_of(hotkey), netuid, value]
        for (hotkey, netuid), value in iter_items(s, stake.TotalHotkeyAlpha)
    )


def stakes_of(s: State) -> Row:
    """Pools and the shares of their members."""
    pools = []
    for hotkey, netuid, value in pool_totals(s):
        denominator = s[stake.TotalHotkeySharesV2, account(hotkey), NetUid(netuid)]
        pools.append([hotkey, netuid, value, denominator.mantissa, denominator.exponent])
    shares = [
        [
            number_of(hotkey),
            netuid,
            number_of(coldkey),
            share.mantissa,
            share.exponent,
            get_stake(s, hotkey, coldkey, netuid),
        ]
        for (hotkey, coldkey, netuid), share in sorted(
            iter_items(s, stake.AlphaV2), key=lambda item: item[0]
        )
    ]
    return {"pools": pools, "shares": shares}


def payouts_of(s: State) -> Row:
    """Pools, shares, rates and dividends."""
    return stakes_of(s) | {
        "root_claimable_i96f32": sorted(
            [number_of(hotkey), netuid, rate]
            for hotkey, rates in iter_items(s, RootClaimable)
            for netuid, rate in rates
        ),
        "alpha_dividends": _by_subnet(s, pool.AlphaDividendsPerSubnet),
        "root_alpha_dividends": _by_subnet(s, pool.RootAlphaDividendsPerSubnet),
        "total_hotkey_alpha_last_epoch": sorted(
            [number_of(hotkey), netuid, value]
            for (hotkey, netuid), value in iter_items(s, stake.TotalHotkeyAlphaLastEpoch)
        ),
    }


def _by_subnet(s: State, item: Any) -> list[list[int]]:
    return sorted(
        [netuid, number_of(hotkey), value] for (netuid, hotkey), value in iter_items(s, item)
    )


def bonds_of(s: State, netuid: NetUid, mecid: int = 0) -> list[list[Any]]:
    """[uid, [[uid, bond], ..]] of every row."""
    rows = iter_items(s, neurons.Bonds, storage_index(netuid, mecid))
    return sorted([uid, [list(pair) for pair in pairs(row)]] for uid, row in rows)
