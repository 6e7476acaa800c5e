"""Records of SubnetInfoRuntimeApi other than the metagraph.

Upstream: pallets/subtensor/src/rpc_info/{subnet_info,dynamic_info,show_subnet}.rs
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.pallets.subtensor.types import SubnetIdentityV3
from ganglion.scale import Array, Compact, PackedBool, scale_type, u8, u16, u64, u128
from ganglion.units import I96F32, AccountId, Alpha, NetUid, PerU16, Rao

Connections = tuple[Annotated[tuple[u16, ...], Array(2)], ...]


@scale_type("pallet_subtensor::rpc_info::subnet_info::SubnetInfo")
@dataclass(frozen=True, slots=True)
class SubnetInfo:
    """A subnet's settings; modality, connections and emission are retired."""

    netuid: Compact[NetUid]
    rho: Compact[u16]
    kappa: Compact[u16]
    difficulty: Compact[u64]
    immunity_period: Compact[u16]
    max_allowed_validators: Compact[u16]
    min_allowed_weights: Compact[u16]
    max_weights_limit: Compact[u16]
    scaling_law_power: Compact[u16]
    subnetwork_n: Compact[u16]
    max_allowed_uids: Compact[u16]
    blocks_since_last_step: Compact[u64]
    tempo: Compact[u16]
    network_modality: Compact[u16]
    network_connect: Connections
    emission_values: Compact[u64]
    burn: Compact[Rao]
    owner: AccountId


@scale_type("pallet_subtensor::rpc_info::subnet_info::SubnetInfov2")
@dataclass(frozen=True, slots=True)
class SubnetInfov2:
    """The same and the subnet's identity."""

    netuid: Compact[NetUid]
    rho: Compact[u16]
    kappa: Compact[u16]
    difficulty: Compact[u64]
    immunity_period: Compact[u16]
    max_allowed_validators: Compact[u16]
    min_allowed_weights: Compact[u16]
    max_weights_limit: Compact[u16]
    scaling_law_power: Compact[u16]
    subnetwork_n: Compact[u16]
    max_allowed_uids: Compact[u16]
    blocks_since_last_step: Compact[u64]
    tempo: Compact[u16]
    network_modality: Compact[u16]
    network_connect: Connections
    emission_value: Compact[u64]
    burn: Compact[Rao]
    owner: AccountId
    identity: SubnetIdentityV3 | None


@scale_type("pallet_subtensor::rpc_info::dynamic_info::DynamicInfo")
@dataclass(frozen=True, slots=True)
class DynamicInfo:
    """A subnet's pool and clock; `emission` and `pending_root_emission` are retired."""

    netuid: Compact[NetUid]
    owner_hotkey: AccountId
    owner_coldkey: AccountId
    subnet_name: tuple[Compact[u8], ...]
    token_symbol: tuple[Compact[u8], ...]
    tempo: Compact[u16]
    last_step: Compact[u64]
    blocks_since_last_step: Compact[u64]
    emission: Compact[u64]
    alpha_in: Compact[Alpha]
    alpha_out: Compact[Alpha]
    tao_in: Compact[Rao]
    alpha_out_emission: Compact[Alpha]
    alpha_in_emission: Compact[Alpha]
    tao_in_emission: Compact[Rao]
    pending_alpha_emission: Compact[Alpha]
    pending_root_emission: Compact[Rao]
    subnet_volume: Compact[u128]
    network_registered_at: Compact[u64]
    subnet_identity: SubnetIdentityV3 | None
    moving_price: I96F32


@scale_type("pallet_subtensor::rpc_info::show_subnet::SubnetState")
@dataclass(frozen=True, slots=True)
class SubnetState:
    """A subnet's neurons by column; `emission_history` has one vector for each subnet."""

    netuid: Compact[NetUid]
    hotkeys: tuple[AccountId, ...]
    coldkeys: tuple[AccountId, ...]
    active: PackedBool
    validator_permit: PackedBool
    pruning_score: tuple[Compact[u16], ...]
    last_update: tuple[Compact[u64], ...]
    emission: tuple[Compact[Alpha], ...]
    dividends: tuple[Compact[PerU16], ...]
    incentives: tuple[Compact[PerU16], ...]
    consensus: tuple[Compact[PerU16], ...]
    trust: tuple[Compact[PerU16], ...]
    rank: tuple[Compact[u16], ...]
    block_at_registration: tuple[Compact[u64], ...]
    alpha_stake: tuple[Compact[Alpha], ...]
    tao_stake: tuple[Compact[Rao], ...]
    total_stake: tuple[Compact[Rao], ...]
    emission_history: tuple[tuple[Compact[Alpha], ...], ...]
