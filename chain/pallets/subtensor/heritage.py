"""Stake that counts in consensus: own, lent to children, borrowed from parents.

Upstream: pallets/subtensor/src/staking/stake_utils.rs
"""

from __future__ import annotations

from chain.pallets import swap
from chain.pallets.subtensor.accounts import is_subnet
from chain.pallets.subtensor.price import get_tao_weight
from chain.pallets.subtensor.storage_delegation import (
    ChildKeys,
    ChildkeyTake,
    MinChildkeyTake,
    MinChildkeyTakePerSubnet,
    ParentKeys,
)
from chain.pallets.subtensor.storage_stake import TotalHotkeyAlpha
from chain.runtime.state import State, iter_items
from consensus.economics import children
from consensus.economics.children import Stake
from ganglion.fixed import U64F64
from ganglion.units import ROOT_NETUID, AccountId, Alpha, NetUid, Rao


def get_total_stake_for_hotkey(s: State, hotkey: AccountId) -> Rao:
    """All stake behind a hotkey in TAO, at the prices of the moment."""
    total = 0
    for netuid, alpha in iter_items(s, TotalHotkeyAlpha, hotkey):
        if is_subnet(s, netuid):
            worth = U64F64.mul(U64F64.from_int(alpha), swap.get_price(s, netuid))
            total = U64F64.add(total, worth)
    return Rao(U64F64.to_u64(total))


def get_stake_pair(s: State, hotkey: AccountId, netuid: NetUid) -> Stake:
    """A hotkey's alpha on a subnet and its TAO on root."""
    return Stake(s[TotalHotkeyAlpha, hotkey, netuid], s[TotalHotkeyAlpha, hotkey, ROOT_NETUID])


def _inherited(s: State, hotkey: AccountId, netuid: NetUid, stake_netuid: NetUid) -> int:
    own = s[TotalHotkeyAlpha, hotkey, stake_netuid]
    if not (s[ChildKeys, hotkey, netuid] or s[ParentKeys, hotkey, netuid]):
        return own
    return children.inherited(
        own,
        (proportion for proportion, _ in s[ChildKeys, hotkey, netuid]),
        (
            (proportion, s[TotalHotkeyAlpha, parent, stake_netuid])
            for proportion, parent in s[ParentKeys, hotkey, netuid]
        ),
    )


def get_inherited_alpha(s: State, hotkey: AccountId, netuid: NetUid) -> Alpha:
    """Alpha of a hotkey after lending and borrowing on the subnet."""
    if netuid == ROOT_NETUID:
        return s[TotalHotkeyAlpha, hotkey, ROOT_NETUID]
    return Alpha(_inherited(s, hotkey, netuid, netuid))


def get_inherited_tao(s: State, hotkey: AccountId, netuid: NetUid) -> Rao:
    """Root TAO of a hotkey after lending and borrowing on the subnet."""
    return Rao(_inherited(s, hotkey, netuid, ROOT_NETUID))


def get_stake_weight(s: State, hotkey: AccountId, netuid: NetUid) -> int:
    """What counts in consensus, as I64F64 bits: inherited alpha and weighted inherited TAO."""
    return children.stake_weight(
        get_inherited_alpha(s, hotkey, netuid),
        get_inherited_tao(s, hotkey, netuid),
        get_tao_weight(s),
    )


def get_self_contribution(s: State, hotkey: AccountId, netuid: NetUid) -> int:
    """What a hotkey brings to its own dividends, in whole units: the part not lent."""
    kept = children.remaining_proportion(
        proportion for proportion, _ in s[ChildKeys, hotkey, netuid]
    )
    return children.whole(
        children.contribution(get_stake_pair(s, hotkey, netuid), kept, get_tao_weight(s))
    )


def get_min_childkey_take(s: State, netuid: NetUid) -> int:
    """The floor of childkey takes on a subnet."""
    return max(s[MinChildkeyTake], s[MinChildkeyTakePerSubnet, netuid])


def get_childkey_take(s: State, hotkey: AccountId, netuid: NetUid) -> int:
    """A child's take from its parents, not under the floor."""
    return max(s[ChildkeyTake, hotkey, netuid], get_min_childkey_take(s, netuid))
