"""Neurons, one record each, as NeuronInfoRuntimeApi answers.

Upstream: pallets/subtensor/src/rpc_info/neuron_info.rs
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chain.pallets.subtensor.accounts import is_subnet
from chain.pallets.subtensor.neurons import get_last_update, storage_index
from chain.pallets.subtensor.share_pool import get_hotkey_stake
from chain.pallets.subtensor.storage_keys import Owner
from chain.pallets.subtensor.storage_network import SubnetworkN
from chain.pallets.subtensor.storage_neurons import (
    Active,
    Axons,
    Bonds,
    Consensus,
    Dividends,
    Emission,
    Incentive,
    Keys,
    Prometheus,
    ValidatorPermit,
    ValidatorTrust,
    Weights,
)
from chain.pallets.subtensor.types import NO_AXON, NO_PROMETHEUS, AxonInfo, PrometheusInfo
from chain.pallets.subtensor.vectors import FLAG, U16, U64, item, pairs
from chain.runtime.apis import Api
from chain.runtime.state import State
from ganglion.fixed import U16_MAX
from ganglion.scale import Compact, scale_type, u16, u64
from ganglion.units import AccountId, Alpha, NetUid, PerU16, Uid

Row = tuple[tuple[Compact[u16], Compact[u16]], ...]


@scale_type("pallet_subtensor::rpc_info::neuron_info::NeuronInfoLite")
@dataclass(frozen=True, slots=True)
class NeuronInfoLite:
    """A neuron without weights and bonds. Rank and trust are 0, the pruning score is 65535."""

    hotkey: AccountId
    coldkey: AccountId
    uid: Compact[u16]
    netuid: Compact[NetUid]
    active: bool
    axon_info: AxonInfo
    prometheus_info: PrometheusInfo
    stake: tuple[tuple[AccountId, Compact[Alpha]], ...]
    rank: Compact[u16]
    emission: Compact[Alpha]
    incentive: Compact[PerU16]
    consensus: Compact[PerU16]
    trust: Compact[PerU16]
    validator_trust: Compact[PerU16]
    dividends: Compact[PerU16]
    last_update: Compact[u64]
    validator_permit: bool
    pruning_score: Compact[u16]


@scale_type("pallet_subtensor::rpc_info::neuron_info::NeuronInfo")
@dataclass(frozen=True, slots=True)
class NeuronInfo:
    """A neuron with its weights and bonds of mechanism 0, zeros left out."""

    hotkey: AccountId
    coldkey: AccountId
    uid: Compact[u16]
    netuid: Compact[NetUid]
    active: bool
    axon_info: AxonInfo
    prometheus_info: PrometheusInfo
    stake: tuple[tuple[AccountId, Compact[Alpha]], ...]
    rank: Compact[u16]
    emission: Compact[Alpha]
    incentive: Compact[PerU16]
    consensus: Compact[PerU16]
    trust: Compact[PerU16]
    validator_trust: Compact[PerU16]
    dividends: Compact[PerU16]
    last_update: Compact[u64]
    validator_permit: bool
    weights: Row
    bonds: Row
    pruning_score: Compact[u16]


neuron_api = Api("NeuronInfoRuntimeApi", 1, "Neurons of subnets.")


def _columns(s: State, netuid: NetUid, uid: Uid) -> dict[str, Any] | None:
    """What both records show, in their order; None for an unknown uid."""
    if (Keys, netuid, uid) not in s:
        return None
    hotkey = s[Keys, netuid, uid]
    coldkey = s[Owner, hotkey]
    index = storage_index(netuid)
    return {
        "hotkey": hotkey,
        "coldkey": coldkey,
        "uid": uid,
        "netuid": netuid,
        "active": bool(item(s[Active, netuid], FLAG, uid)),
        "axon_info": s[Axons, netuid, hotkey] or NO_AXON,
        "prometheus_info": s[Prometheus, netuid, hotkey] or NO_PROMETHEUS,
        "stake": ((coldkey, get_hotkey_stake(s, hotkey, netuid)),),
        "rank": 0,
        "emission": item(s[Emission, netuid], U64, uid),
        "incentive": item(s[Incentive, index], U16, uid),
        "consensus": item(s[Consensus, netuid], U16, uid),
        "trust": 0,
        "validator_trust": item(s[ValidatorTrust, netuid], U16, uid),
        "dividends": item(s[Dividends, netuid], U16, uid),
        "last_update": item(get_last_update(s, index), U64, uid),
        "validator_permit": bool(item(s[ValidatorPermit, netuid], FLAG, uid)),
        "pruning_score": U16_MAX,
    }


def _row(packed: bytes) -> Row:
    return tuple((uid, value) for uid, value in pairs(packed) if value)


@neuron_api.method
def get_neurons(s: State, netuid: NetUid) -> tuple[NeuronInfo, ...]:
    """All neurons of a subnet with their weights and bonds."""
    return tuple(_each(s, netuid, get_neuron))


@neuron_api.method
def get_neuron(s: State, netuid: NetUid, uid: Uid) -> NeuronInfo | None:
    """One neuron with its weights and bonds."""
    columns = _columns(s, netuid, uid) if is_subnet(s, netuid) else None
    if columns is None:
        return None
    index = storage_index(netuid)
    return NeuronInfo(
        **columns, weights=_row(s[Weights, index, uid]), bonds=_row(s[Bonds, index, uid])
    )


@neuron_api.method
def get_neurons_lite(s: State, netuid: NetUid) -> tuple[NeuronInfoLite, ...]:
    """All neurons of a subnet."""
    return tuple(_each(s, netuid, get_neuron_lite))


@neuron_api.method
def get_neuron_lite(s: State, netuid: NetUid, uid: Uid) -> NeuronInfoLite | None:
    """One neuron."""
    columns = _columns(s, netuid, uid) if is_subnet(s, netuid) else None
    return None if columns is None else NeuronInfoLite(**columns)


def _each(s: State, netuid: NetUid, read: Any) -> list[Any]:
    """Records of uid 0, 1, ... up to the first that is missing."""
    out = []
    for uid in range(s[SubnetworkN, netuid]):
        record = read(s, netuid, Uid(uid))
        if record is None:
            break
        out.append(record)
    return out
