"""Prices over time: the moving price of a subnet, the median of all, and the share of root.

Upstream: pallets/subtensor/src/staking/stake_utils.rs, coinbase/block_step.rs
"""

from __future__ import annotations

from chain.pallets import swap
from chain.pallets.subtensor.alpha import get_alpha_issuance
from chain.pallets.subtensor.storage_baskets import SEEDED, SubnetFastMovingPrice
from chain.pallets.subtensor.storage_hyperparameters import EMAPriceHalvingBlocks
from chain.pallets.subtensor.storage_network import (
    FirstEmissionBlockNumber,
    HasMigrationRun,
    NetworksAdded,
    SubnetMechanism,
)
from chain.pallets.subtensor.storage_pool import (
    CKBurn,
    RootProp,
    SubnetMovingAlpha,
    SubnetMovingPrice,
    SubnetTAO,
    TaoWeight,
)
from chain.pallets.system import block_number
from chain.runtime.state import State, iter_items
from consensus.economics import basket, moving_price
from consensus.economics.fixed import Fx32, Fx64
from consensus.economics.shares import moving_price_of
from consensus.economics.terms import root_proportion
from ganglion.fixed import u64_proportion
from ganglion.units import I96F32, ROOT_NETUID, U64F64, U96F32, NetUid


def get_tao_weight(s: State) -> Fx32:
    """Weight of root TAO beside alpha."""
    return u64_proportion(s[TaoWeight])


def get_childkey_burn(s: State) -> Fx32:
    """Part of a parent's dividends that is recycled."""
    return u64_proportion(s[CKBurn])


def get_moving_price(s: State, netuid: NetUid) -> Fx64:
    """Moving price of a subnet; one for root and stable subnets."""
    is_moving = netuid != ROOT_NETUID and s[SubnetMechanism, netuid] != 0
    return moving_price_of(is_moving, s[SubnetMovingPrice, netuid])


def update_moving_price(s: State, netuid: NetUid) -> None:
    """Move the average toward the price that the block's emission left."""
    weight = moving_price.smoothing(
        s[SubnetMovingAlpha],
        block_number(s),
        s[FirstEmissionBlockNumber, netuid] or 0,
        s[EMAPriceHalvingBlocks, netuid],
    )
    spot = swap.get_price(s, netuid)
    moved = moving_price.moved(get_moving_price(s, netuid), spot, weight)
    s[SubnetMovingPrice, netuid] = I96F32(moved)
    if s[HasMigrationRun, SEEDED]:
        before = s[SubnetFastMovingPrice, netuid]
        s[SubnetFastMovingPrice, netuid] = U64F64(basket.fast_price(before, spot))


def get_median_price(s: State) -> Fx64:
    """Median price of the subnets beside root; one when there is none."""
    return moving_price.median(
        swap.get_price(s, netuid)
        for netuid, is_added in iter_items(s, NetworksAdded)
        if is_added and netuid != ROOT_NETUID
    )


def get_root_proportion(s: State, netuid: NetUid) -> Fx32:
    """Root's part of a subnet: its weighted TAO against the subnet's alpha."""
    return root_proportion(
        s[SubnetTAO, ROOT_NETUID], get_tao_weight(s), get_alpha_issuance(s, netuid)
    )


def update_root_proportion(s: State, netuid: NetUid) -> None:
    """Store root's part for readers."""
    s[RootProp, netuid] = U96F32(get_root_proportion(s, netuid))
