"""The price of a subnet, and which subnet would make room for a new one.

Upstream: pallets/subtensor/src/coinbase/root.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.emission import get_block_emission
from chain.pallets.subtensor.price import get_moving_price
from chain.pallets.subtensor.storage_network import (
    NetworkImmunityPeriod,
    NetworkLastLockCost,
    NetworkLockReductionInterval,
    NetworkMinLockCost,
    NetworkRegisteredAt,
    NetworksAdded,
)
from chain.pallets.subtensor.storage_registration import LastRateLimitedBlock
from chain.pallets.subtensor.storage_stake import TotalIssuance
from chain.pallets.subtensor.types import NetworkLastRegistered
from chain.pallets.system import block_number
from chain.runtime.state import State, iter_items
from consensus.economics import lock_cost as rules
from ganglion.units import ROOT_NETUID, NetUid, Rao


def get_network_lock_cost(s: State) -> Rao:
    """What the next subnet costs; BlockEmission is worked out again on the way."""
    emission = get_block_emission(s, s[TotalIssuance])
    cost = rules.lock_cost(
        s[NetworkLastLockCost],
        s[NetworkMinLockCost],
        s[LastRateLimitedBlock, NetworkLastRegistered()],
        block_number(s),
        rules.reduction_interval(s[NetworkLockReductionInterval], emission),
    )
    return Rao(cost)


def get_network_to_prune(s: State) -> NetUid | None:
    """The subnet with the lowest moving price, the oldest among equals; none that is immune."""
    now, immunity = block_number(s), s[NetworkImmunityPeriod]
    candidates = [
        (get_moving_price(s, netuid), s[NetworkRegisteredAt, netuid], place, netuid)
        for place, (netuid, is_added) in enumerate(iter_items(s, NetworksAdded))
        if is_added and netuid != ROOT_NETUID and now >= s[NetworkRegisteredAt, netuid] + immunity
    ]
    return min(candidates)[3] if candidates else None
