"""A subnet as runtime APIs show it: what many answers share, each worked out at most once."""

from __future__ import annotations

from functools import cached_property

from chain.pallets.subtensor.heritage import get_inherited_alpha, get_inherited_tao
from chain.pallets.subtensor.neurons import storage_index
from chain.pallets.subtensor.price import get_tao_weight
from chain.pallets.subtensor.storage_keys import Owner
from chain.pallets.subtensor.storage_network import (
    LastMechansimStepBlock,
    SubnetIdentitiesV3,
    SubnetworkN,
)
from chain.pallets.subtensor.storage_neurons import BlockAtRegistration, Keys
from chain.pallets.subtensor.storage_pool import PendingServerEmission, PendingValidatorEmission
from chain.pallets.subtensor.symbols import NAMES
from chain.pallets.system import block_number
from chain.runtime.state import State
from consensus.economics import children
from ganglion.fixed import sat_add_u64, sat_sub
from ganglion.units import AccountId, Alpha, NetUid, Rao, Uid


def get_name(s: State, netuid: NetUid) -> bytes:
    """What the owner calls the subnet, or the name that belongs to its number."""
    identity = s[SubnetIdentitiesV3, netuid]
    if identity is not None and identity.subnet_name:
        return identity.subnet_name
    return (NAMES[netuid] if netuid < len(NAMES) else "unknown").encode()


def get_pending_alpha(s: State, netuid: NetUid) -> Alpha:
    """Alpha that waits for miners and validators."""
    waiting = sat_add_u64(s[PendingValidatorEmission, netuid], s[PendingServerEmission, netuid])
    return Alpha(waiting)


class SubnetView:
    """One subnet, and one of its mechanisms, in one state."""

    def __init__(self, s: State, netuid: NetUid, mecid: int = 0) -> None:
        self.s, self.netuid = s, netuid
        self.index = storage_index(netuid, mecid)

    @cached_property
    def count(self) -> int:
        """Neurons on the subnet."""
        return self.s[SubnetworkN, self.netuid]

    @cached_property
    def block(self) -> int:
        """The block of the state."""
        return block_number(self.s)

    @cached_property
    def blocks_since_last_step(self) -> int:
        """Blocks since the latest epoch that paid."""
        return sat_sub(self.block, self.s[LastMechansimStepBlock, self.netuid])

    @cached_property
    def hotkeys(self) -> tuple[AccountId, ...]:
        """By uid."""
        s, netuid = self.s, self.netuid
        return tuple(s[Keys, netuid, Uid(uid)] for uid in range(self.count))

    @cached_property
    def coldkeys(self) -> tuple[AccountId, ...]:
        """Owners of the hotkeys, by uid."""
        s = self.s
        return tuple(s[Owner, hotkey] for hotkey in self.hotkeys)

    @cached_property
    def registered_at(self) -> tuple[int, ...]:
        """Blocks of registration, by uid."""
        s, netuid = self.s, self.netuid
        return tuple(s[BlockAtRegistration, netuid, Uid(uid)] for uid in range(self.count))

    @cached_property
    def alpha_stake(self) -> tuple[Alpha, ...]:
        """Alpha after lending and borrowing, by uid."""
        return tuple(get_inherited_alpha(self.s, h, self.netuid) for h in self.hotkeys)

    @cached_property
    def tao_stake(self) -> tuple[Rao, ...]:
        """Root TAO after lending and borrowing, by uid."""
        return tuple(get_inherited_tao(self.s, h, self.netuid) for h in self.hotkeys)

    @cached_property
    def weighted_stake(self) -> tuple[int, ...]:
        """Alpha and weighted TAO as I64F64 bits, by uid."""
        weight, pairs = get_tao_weight(self.s), zip(self.alpha_stake, self.tao_stake, strict=True)
        return tuple(children.stake_weight(alpha, tao, weight) for alpha, tao in pairs)

    @cached_property
    def total_stake(self) -> tuple[Rao, ...]:
        """Whole units of the weighted stake, by uid."""
        return tuple(Rao(max(weighted >> 64, 0)) for weighted in self.weighted_stake)
