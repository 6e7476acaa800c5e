"""Paying out an epoch: owner, miners, validators, their parents and nominators, root stakers.

Upstream: pallets/subtensor/src/coinbase/run_coinbase.rs
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chain.pallets.subtensor.alpha import burn_alpha, recycle_alpha
from chain.pallets.subtensor.collateral import settle
from chain.pallets.subtensor.delegation import get_take
from chain.pallets.subtensor.emission import Pending
from chain.pallets.subtensor.epoch import HotkeyEmission
from chain.pallets.subtensor.events_stake import AutoStakeAdded
from chain.pallets.subtensor.heritage import (
    get_childkey_take,
    get_self_contribution,
    get_stake_pair,
)
from chain.pallets.subtensor.lease_dividends import share_owner_cut
from chain.pallets.subtensor.locks import auto_lock_owner_cut
from chain.pallets.subtensor.neurons import is_null, is_registered
from chain.pallets.subtensor.price import get_childkey_burn, get_tao_weight
from chain.pallets.subtensor.root_claim import add_root_dividend
from chain.pallets.subtensor.share_pool import add_stake, grow_pool
from chain.pallets.subtensor.storage_delegation import ParentKeys
from chain.pallets.subtensor.storage_hyperparameters import RecycleOrBurn
from chain.pallets.subtensor.storage_keys import OwnedHotkeys, Owner
from chain.pallets.subtensor.storage_network import SubnetOwner, SubnetOwnerHotkey
from chain.pallets.subtensor.storage_neurons import MinerBurned
from chain.pallets.subtensor.storage_pool import (
    AlphaDividendsPerSubnet,
    RootAlphaDividendsPerSubnet,
)
from chain.pallets.subtensor.storage_stake import (
    AutoStakeDestination,
    TotalHotkeyAlpha,
    TotalHotkeyAlphaLastEpoch,
)
from chain.pallets.subtensor.types import RecycleOrBurnEnum
from chain.runtime.state import State, iter_keys
from chain.runtime.storage import Map
from consensus.economics.children import Parent, Split, split_dividends
from consensus.economics.dividends import after_take, distribution, withheld_part
from consensus.economics.fixed import Fx32
from ganglion.fixed import U96F32, sat_add_u64, u16_proportion, u64_proportion
from ganglion.units import U96F32 as Fraction
from ganglion.units import AccountId, Alpha, NetUid

ByHotkey = dict[AccountId, Fx32]
"""Amounts in U96F32 bits; always walked in ascending order of hotkeys."""


@dataclass(frozen=True, slots=True)
class Payout:
    """What an epoch pays, and to whom."""

    incentives: dict[AccountId, int]
    """Whole alpha of miners."""
    to_alpha: ByHotkey
    """Alpha for those who hold alpha behind a hotkey, its owner's take included."""
    to_root: ByHotkey
    """Alpha for those who hold TAO behind a hotkey on root, its owner's take included."""


def do_distribute(
    s: State, netuid: NetUid, pending: Pending, earned: Sequence[HotkeyEmission]
) -> Payout:
    """Pay a subnet's pending alpha by what its neurons earned in the epoch."""
    payout = get_payout(s, netuid, pending, earned)
    pay_owner(s, netuid, pending.owner_cut)
    pay_miners(s, netuid, payout.incentives)
    pay_validators(s, netuid, payout.to_alpha)
    pay_root(s, netuid, payout.to_root)
    return payout


def get_validator_alpha(pending: Pending, earned: Iterable[HotkeyEmission]) -> int:
    """Alpha for validators: their half, and the miners' too if no miner earned anything."""
    if any(each.server for each in earned):
        return pending.validator
    return sat_add_u64(pending.validator, pending.server)


def get_payout(
    s: State, netuid: NetUid, pending: Pending, earned: Sequence[HotkeyEmission]
) -> Payout:
    """Who gets what; recycles the part of parents' dividends that is burned for being lent."""
    dividends = _get_dividends(s, netuid, earned)
    to_alpha, to_root = distribution(
        dividends,
        {hotkey: get_stake_pair(s, hotkey, netuid) for hotkey in dividends},
        validator_alpha=get_validator_alpha(pending, earned),
        root_alpha=pending.root,
        tao_weight=get_tao_weight(s),
    )
    return Payout(_sum_incentives(earned), to_alpha, to_root)


def _sum_incentives(earned: Iterable[HotkeyEmission]) -> dict[AccountId, int]:
    incentives: dict[AccountId, int] = {}
    for each in earned:
        incentives[each.hotkey] = sat_add_u64(incentives.get(each.hotkey, 0), each.server)
    return incentives


def _get_dividends(s: State, netuid: NetUid, earned: Iterable[HotkeyEmission]) -> ByHotkey:
    """What validators earned, shared with the parents they borrowed stake from."""
    dividends: ByHotkey = {}
    for each in earned:
        if not each.validator and is_null(s, netuid):
            continue  # most of a Null subnet's many neurons
        split = do_split(s, each.hotkey, netuid, each.validator)
        for hotkey, amount in split.rows:
            added = U96F32.from_int(amount)
            dividends[hotkey] = U96F32.add(dividends.get(hotkey, 0), added)
    return dict(sorted(dividends.items()))


def do_split(s: State, hotkey: AccountId, netuid: NetUid, dividends: int) -> Split[AccountId]:
    """Divide a hotkey's dividends among its parents and itself; recycle what is burned of them."""
    if not s[ParentKeys, hotkey, netuid]:
        return Split([(hotkey, dividends)], [])
    owner = s[Owner, hotkey]
    parents = [
        Parent(
            parent,
            u64_proportion(proportion),
            get_stake_pair(s, parent, netuid),
            s[Owner, parent] == owner,
        )
        for proportion, parent in s[ParentKeys, hotkey, netuid]
    ]
    split = split_dividends(
        hotkey,
        dividends,
        get_self_contribution(s, hotkey, netuid),
        parents,
        tao_weight=get_tao_weight(s),
        child_take=u16_proportion(get_childkey_take(s, hotkey, netuid)),
        burn_take=get_childkey_burn(s),
    )
    for burned in split.burns:
        recycle_alpha(s, netuid, burned)
    return split


def pay_owner(s: State, netuid: NetUid, cut: int) -> None:
    """Stake the owner's cut; without an owner on record it is nobody's."""
    if (SubnetOwner, netuid) not in s or (SubnetOwnerHotkey, netuid) not in s:
        return
    add_stake(s, s[SubnetOwnerHotkey, netuid], s[SubnetOwner, netuid], netuid, cut)
    share_owner_cut(s, netuid, cut)
    auto_lock_owner_cut(s, netuid, cut)


def get_owner_hotkeys(s: State, netuid: NetUid) -> set[AccountId]:
    """Hotkeys with a uid here that are the owner's: they get no miner reward."""
    hotkeys = s[OwnedHotkeys, s[SubnetOwner, netuid]]
    owned = set(hotkeys)
    if (SubnetOwnerHotkey, netuid) in s:
        owned.add(s[SubnetOwnerHotkey, netuid])
    return {hotkey for hotkey in owned if is_registered(s, netuid, hotkey)}


def pay_miners(s: State, netuid: NetUid, incentives: Mapping[AccountId, int]) -> None:
    """Stake every miner's reward where its owner wants it; withhold that of owner hotkeys."""
    owner_hotkeys = get_owner_hotkeys(s, netuid)
    total = withheld = 0
    for hotkey in sorted(incentives):
        amount = incentives[hotkey]
        total = sat_add_u64(total, amount)
        if hotkey in owner_hotkeys:
            withheld = sat_add_u64(withheld, amount)
            is_recycled = s[RecycleOrBurn, netuid] is RecycleOrBurnEnum.Recycle
            (recycle_alpha if is_recycled else burn_alpha)(s, netuid, amount)
        else:
            _stake_reward(s, netuid, hotkey, amount)
    s[MinerBurned, netuid] = Fraction(withheld_part(withheld, total))


def _stake_reward(s: State, netuid: NetUid, hotkey: AccountId, amount: int) -> None:
    owner = s[Owner, hotkey]
    captured = settle(s, netuid, hotkey, owner, amount, amount)
    if captured and captured == amount:
        return
    amount -= captured
    destination = s[AutoStakeDestination, owner, netuid]
    if destination is not None:
        s.emit(AutoStakeAdded(netuid, destination, hotkey, owner, Alpha(amount)))
    add_stake(s, destination or hotkey, owner, netuid, amount)


def pay_validators(s: State, netuid: NetUid, dividends: ByHotkey) -> None:
    """Stake validators' takes, then let the rest raise their pools, take included."""
    _forget_others(s, AlphaDividendsPerSubnet, netuid, dividends)
    for hotkey, amount in dividends.items():
        take, rest = after_take(get_take(s, hotkey), amount)
        _stake_take(s, netuid, hotkey, amount, take)
        grow_pool(s, hotkey, netuid, rest)
        s[AlphaDividendsPerSubnet, netuid, hotkey] = Alpha(rest)
        s[TotalHotkeyAlphaLastEpoch, hotkey, netuid] = s[TotalHotkeyAlpha, hotkey, netuid]


def _forget_others(
    s: State,
    item: Map[NetUid, AccountId, Alpha],
    netuid: NetUid,
    dividends: ByHotkey,
) -> None:
    """Delete the last epoch's entries of those who have none in this one."""
    for hotkey in iter_keys(s, item, netuid):
        if hotkey not in dividends:
            del s[item, netuid, hotkey]


def _stake_take(s: State, netuid: NetUid, hotkey: AccountId, dividends: int, take: int) -> None:
    """Stake what a validator keeps of its dividends (U96F32 bits), its collateral first."""
    owner = s[Owner, hotkey]
    captured = settle(s, netuid, hotkey, owner, U96F32.to_u64(dividends), take)
    add_stake(s, hotkey, owner, netuid, take - captured)


def pay_root(s: State, netuid: NetUid, dividends: ByHotkey) -> None:
    """Stake validators' takes of root dividends, and let root stakers claim the rest."""
    _forget_others(s, RootAlphaDividendsPerSubnet, netuid, dividends)
    for hotkey, amount in dividends.items():
        take, rest = after_take(get_take(s, hotkey), amount)
        _stake_take(s, netuid, hotkey, amount, take)
        add_root_dividend(s, hotkey, netuid, rest)
        s[RootAlphaDividendsPerSubnet, netuid, hotkey] = Alpha(rest)
