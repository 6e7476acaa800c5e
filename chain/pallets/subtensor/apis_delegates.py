"""DelegateInfoRuntimeApi: hotkeys that take stake of others, and what they return.

Upstream: pallets/subtensor/src/rpc_info/delegate_info.rs
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.pallets.subtensor.neurons import get_memberships
from chain.pallets.subtensor.share_pool import get_hotkey_stake, get_positions, get_stake
from chain.pallets.subtensor.storage_delegation import Delegates
from chain.pallets.subtensor.storage_keys import Owner
from chain.pallets.subtensor.storage_network import Tempo
from chain.pallets.subtensor.storage_neurons import Emission, Uids, ValidatorPermit
from chain.pallets.subtensor.vectors import FLAG, U64, item
from chain.runtime.apis import Api
from chain.runtime.state import State, iter_keys
from consensus.economics.fixed import Fx64
from ganglion.fixed import U16_MAX, U64F64
from ganglion.scale import Compact, scale_type, u64
from ganglion.units import ROOT_NETUID, AccountId, Alpha, NetUid, PerU16

delegate_api = Api("DelegateInfoRuntimeApi", 1, "Delegates.")

BLOCKS_PER_DAY = 7200
THOUSAND_TAO = 1000 * 10**9

Stakes = tuple[tuple[Compact[NetUid], Compact[u64]], ...]


@scale_type("pallet_subtensor::rpc_info::delegate_info::DelegateInfo")
@dataclass(frozen=True, slots=True)
class DelegateInfo:
    """A delegate; returns are in rao a day."""

    delegate_ss58: AccountId
    take: Compact[PerU16]
    nominators: tuple[tuple[AccountId, Stakes], ...]
    owner_ss58: AccountId
    registrations: tuple[Compact[NetUid], ...]
    validator_permits: tuple[Compact[NetUid], ...]
    return_per_1000: Compact[u64]
    total_daily_return: Compact[u64]


@delegate_api.method
def get_delegates(s: State) -> tuple[DelegateInfo, ...]:
    """All delegates, in storage order."""
    return tuple(_info(s, hotkey, _nominators(s, hotkey)) for hotkey in iter_keys(s, Delegates))


@delegate_api.method
def get_delegate(s: State, delegate_account: AccountId) -> DelegateInfo | None:
    """One delegate; None for a hotkey that never became one."""
    if (Delegates, delegate_account) not in s:
        return None
    return _info(s, delegate_account, _nominators(s, delegate_account))


@delegate_api.method
def get_delegated(
    s: State, delegatee_account: AccountId
) -> tuple[tuple[DelegateInfo, tuple[Compact[NetUid], Compact[Alpha]]], ...]:
    """Every stake of a coldkey with the delegate behind it, whose other nominators are left out."""
    found = []
    for hotkey in iter_keys(s, Delegates):
        for _, netuid, share in get_positions(s, hotkey, delegatee_account):
            if share:
                stake = get_stake(s, hotkey, delegatee_account, netuid)
                found.append((_info(s, hotkey, ()), (netuid, stake)))
    return tuple(found)


def _nominators(s: State, hotkey: AccountId) -> tuple[tuple[AccountId, Stakes], ...]:
    """Everyone with a share behind the hotkey, and the worth of it by subnet, ascending."""
    table: dict[AccountId, list[tuple[NetUid, int]]] = {}
    for coldkey, netuid, share in get_positions(s, hotkey):
        if share:
            stake = get_stake(s, hotkey, coldkey, netuid)
            table.setdefault(coldkey, []).append((netuid, stake))
    return tuple((coldkey, tuple(stakes)) for coldkey, stakes in table.items())


def _info(
    s: State, hotkey: AccountId, nominators: tuple[tuple[AccountId, Stakes], ...]
) -> DelegateInfo:
    registrations = get_memberships(s, hotkey)
    permits, daily = [], 0
    for netuid in registrations:
        uid = s[Uids, netuid, hotkey]
        if uid is None:
            continue
        if item(s[ValidatorPermit, netuid], FLAG, uid):
            permits.append(netuid)
        emission = item(s[Emission, netuid], U64, uid)
        daily = U64F64.add(daily, compute_daily(emission, s[Tempo, netuid]))
    take, stake = s[Delegates, hotkey], get_hotkey_stake(s, hotkey, ROOT_NETUID)
    return DelegateInfo(
        hotkey,
        take,
        nominators,
        s[Owner, hotkey],
        tuple(registrations),
        tuple(permits),
        U64F64.to_u64(compute_return_per_1000(take, stake, daily)),
        U64F64.to_u64(daily),
    )


def compute_daily(emission: int, tempo: int) -> Fx64:
    """Emission a day of what is emitted once a tempo; 0 without tempo."""
    epochs = U64F64.safe_div(U64F64.from_int(BLOCKS_PER_DAY), U64F64.from_int(tempo))
    return U64F64.mul(U64F64.from_int(emission), epochs)


def compute_return_per_1000(take: int, stake: int, daily: Fx64) -> Fx64:
    """What 1000 TAO earn a day behind a delegate with this take and stake, in rao."""
    share = U64F64.safe_div(U64F64.from_int(take), U64F64.from_int(U16_MAX))
    rest = U64F64.mul(daily, U64F64.sub(U64F64.one, share))
    return U64F64.safe_div(
        rest, U64F64.safe_div(U64F64.from_int(stake), U64F64.from_int(THOUSAND_TAO))
    )
