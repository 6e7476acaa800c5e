"""The metagraph: everything about a subnet and its neurons in one answer.

Upstream: pallets/subtensor/src/rpc_info/metagraph.rs
"""

from __future__ import annotations

from dataclasses import dataclass, fields, make_dataclass
from typing import Any, get_type_hints

from chain.pallets.subtensor.types import AxonInfo, ChainIdentityV2, SubnetIdentityV3
from ganglion.scale import Compact, Opaque, PackedBool, scale_type, u8, u16, u64, u128
from ganglion.units import I96F32, AccountId, Alpha, NetUid, PerU16, Rao


@scale_type("pallet_subtensor::rpc_info::metagraph::Metagraph")
@dataclass(frozen=True, slots=True)
class Metagraph:
    """A subnet: settings, then one vector a column, by uid. What upstream retired is 0 or empty."""

    netuid: Compact[NetUid]
    name: tuple[Compact[u8], ...]
    symbol: tuple[Compact[u8], ...]
    identity: SubnetIdentityV3 | None
    network_registered_at: Compact[u64]
    owner_hotkey: AccountId
    owner_coldkey: AccountId
    block: Compact[u64]
    tempo: Compact[u16]
    last_step: Compact[u64]
    blocks_since_last_step: Compact[u64]
    subnet_emission: Compact[u64]
    alpha_in: Compact[Alpha]
    alpha_out: Compact[Alpha]
    tao_in: Compact[Rao]
    alpha_out_emission: Compact[Alpha]
    alpha_in_emission: Compact[Alpha]
    tao_in_emission: Compact[Rao]
    pending_alpha_emission: Compact[Alpha]
    pending_root_emission: Compact[Rao]
    subnet_volume: Compact[u128]
    moving_price: I96F32
    rho: Compact[u16]
    kappa: Compact[u16]
    min_allowed_weights: Compact[u16]
    max_weights_limit: Compact[u16]
    weights_version: Compact[u64]
    weights_rate_limit: Compact[u64]
    activity_cutoff: Compact[u64]
    max_validators: Compact[u16]
    num_uids: Compact[u16]
    max_uids: Compact[u16]
    burn: Compact[Rao]
    difficulty: Compact[u64]
    registration_allowed: bool
    pow_registration_allowed: bool
    immunity_period: Compact[u16]
    min_difficulty: Compact[u64]
    max_difficulty: Compact[u64]
    min_burn: Compact[Rao]
    max_burn: Compact[Rao]
    adjustment_alpha: Compact[u64]
    adjustment_interval: Compact[u16]
    target_regs_per_interval: Compact[u16]
    max_regs_per_block: Compact[u16]
    serving_rate_limit: Compact[u64]
    commit_reveal_weights_enabled: bool
    commit_reveal_period: Compact[u64]
    liquid_alpha_enabled: bool
    alpha_high: Compact[u16]
    alpha_low: Compact[u16]
    bonds_moving_avg: Compact[u64]
    hotkeys: tuple[AccountId, ...]
    coldkeys: tuple[AccountId, ...]
    identities: tuple[ChainIdentityV2 | None, ...]
    axons: tuple[AxonInfo, ...]
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
    tao_dividends_per_hotkey: tuple[tuple[AccountId, Compact[Rao]], ...]
    alpha_dividends_per_hotkey: tuple[tuple[AccountId, Compact[Alpha]], ...]
    collateral_locked: tuple[Compact[Alpha], ...]
    collateral_min: tuple[Compact[Alpha], ...]
    collateral_earned: tuple[Compact[Alpha], ...]


COLUMNS = tuple(field.name for field in fields(Metagraph))

_LAST_ON_REQUEST = ("collateral_locked", "collateral_min", "collateral_earned")
_ONLY_ON_REQUEST: dict[str, Any] = {
    "validators": tuple[Compact[u16], ...],
    "commitments": tuple[tuple[AccountId, tuple[Compact[u8], ...]], ...],
}


def _selective_fields() -> list[tuple[str, Any]]:
    """Every column as an Option; two more stand before the columns that came last."""
    hints = get_type_hints(Metagraph, include_extras=True)
    # An option of an option: Some(None) must stay apart from None, so the inner one is bytes.
    hints["identity"] = Opaque(SubnetIdentityV3 | None)
    names = [name for name in COLUMNS[1:] if name not in _LAST_ON_REQUEST]
    ordered = {name: hints[name] for name in names} | _ONLY_ON_REQUEST
    ordered |= {name: hints[name] for name in _LAST_ON_REQUEST}
    return [(name, tp | None) for name, tp in ordered.items()]


SelectiveMetagraph: Any = scale_type("pallet_subtensor::rpc_info::metagraph::SelectiveMetagraph")(
    make_dataclass(
        "SelectiveMetagraph",
        [("netuid", Compact[NetUid]), *_selective_fields()],
        frozen=True,
        slots=True,
    )
)
"""The columns that were asked for, by their place in this class; the rest is None."""

SELECTABLE = tuple(field.name for field in fields(SelectiveMetagraph))
"""Column by index; index 0 is the netuid."""
