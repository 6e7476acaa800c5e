"""StakeInfoRuntimeApi: who holds what, what is free to go, and what is locked.

Upstream: pallets/subtensor/src/rpc_info/stake_info.rs
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.pallets import swap
from chain.pallets.subtensor import kingship
from chain.pallets.subtensor.accounts import get_netuids, is_subnet
from chain.pallets.subtensor.locks import get_lock, get_locked
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.subtensor.share_pool import get_coldkey_stake, get_stake
from chain.pallets.subtensor.storage_collateral import ColdkeyMinerCollateral
from chain.pallets.subtensor.storage_pool import AlphaDividendsPerSubnet
from chain.pallets.subtensor.storage_stake import StakingHotkeys
from chain.pallets.subtensor.types import LockState
from chain.runtime.apis import Api
from chain.runtime.state import State
from ganglion.fixed import sat_sub
from ganglion.scale import SORTED_MAP, Compact, scale_type, u64
from ganglion.units import U64F64, AccountId, Alpha, NetUid, Rao

stake_api = Api("StakeInfoRuntimeApi", 1, "Stake.")

Position = tuple[AccountId, NetUid]
"""Hotkey and subnet."""


@scale_type("pallet_subtensor::rpc_info::stake_info::StakeInfo")
@dataclass(frozen=True, slots=True)
class StakeInfo:
    """A coldkey's stake behind a hotkey; `locked`, `tao_emission` and `drain` are retired."""

    hotkey: AccountId
    coldkey: AccountId
    netuid: Compact[NetUid]
    stake: Compact[Alpha]
    locked: Compact[u64]
    emission: Compact[Alpha]
    tao_emission: Compact[Rao]
    drain: Compact[u64]
    is_registered: bool


@scale_type("pallet_subtensor::rpc_info::stake_info::StakeAvailability")
@dataclass(frozen=True, slots=True)
class StakeAvailability:
    """A coldkey's alpha on a subnet: all, what is locked, and the rest."""

    total: Compact[Alpha]
    locked: Compact[Alpha]
    available: Compact[Alpha]


Availabilities = Annotated[
    tuple[
        tuple[AccountId, Annotated[tuple[tuple[NetUid, StakeAvailability], ...], SORTED_MAP]], ...
    ],
    SORTED_MAP,
]
"""By coldkey, then by subnet."""


@stake_api.method
def get_stake_info_for_coldkey(s: State, coldkey_account: AccountId) -> tuple[StakeInfo, ...]:
    """All stake of a coldkey, by subnet in storage order and then by hotkey as first staked."""
    return tuple(
        _info(s, hotkey, coldkey_account, netuid, alpha)
        for netuid in get_netuids(s)
        for hotkey in s[StakingHotkeys, coldkey_account]
        if (alpha := get_stake(s, hotkey, coldkey_account, netuid))
    )


def _info(
    s: State, hotkey: AccountId, coldkey: AccountId, netuid: NetUid, alpha: Alpha
) -> StakeInfo:
    emission = s[AlphaDividendsPerSubnet, netuid, hotkey]
    has_uid = is_registered(s, netuid, hotkey)
    return StakeInfo(hotkey, coldkey, netuid, alpha, 0, emission, Rao(0), 0, has_uid)


@stake_api.method
def get_stake_info_for_coldkeys(
    s: State, coldkey_accounts: tuple[AccountId, ...]
) -> tuple[tuple[AccountId, tuple[StakeInfo, ...]], ...]:
    """All stake of several coldkeys."""
    return tuple((who, get_stake_info_for_coldkey(s, who)) for who in coldkey_accounts)


@stake_api.method
def get_stake_info_for_hotkey_coldkey_netuid(
    s: State, hotkey_account: AccountId, coldkey_account: AccountId, netuid: NetUid
) -> StakeInfo | None:
    """One position, be it empty."""
    alpha = get_stake(s, hotkey_account, coldkey_account, netuid)
    return _info(s, hotkey_account, coldkey_account, netuid, alpha)


@stake_api.method
def get_stake_availability_for_coldkeys(
    s: State, coldkey_accounts: tuple[AccountId, ...], netuids: tuple[NetUid, ...] | None
) -> Availabilities:
    """What each coldkey can unstake, by subnet; subnets without stake and lock are left out.

    A list of subnets that is empty, or longer than there are subnets, finds nothing.
    """
    existing = get_netuids(s)
    wanted = sorted(set(existing if netuids is None else netuids))
    if netuids is not None:
        fits = 0 < len(wanted) <= len(existing)
        wanted = [netuid for netuid in wanted if fits and is_subnet(s, netuid)]
    return tuple(
        (
            who,
            tuple(
                (netuid, found)
                for netuid in wanted
                if (found := _availability(s, who, netuid)).total or found.locked
            ),
        )
        for who in sorted(set(coldkey_accounts))
    )


def _availability(s: State, coldkey: AccountId, netuid: NetUid) -> StakeAvailability:
    total, locked = get_coldkey_stake(s, coldkey, netuid), get_locked(s, coldkey, netuid)
    bonded = s[ColdkeyMinerCollateral, netuid, coldkey]
    return StakeAvailability(total, locked, Alpha(sat_sub(total, locked + bonded)))


@stake_api.method
def get_stake_fee(
    s: State,
    origin: Position | None,
    origin_coldkey_account: AccountId,
    destination: Position | None,
    destination_coldkey_account: AccountId,
    amount: u64,
) -> u64:
    """The fee of a trade of this amount; none when nothing changes the subnet or the hotkey."""
    if origin == destination:
        return 0
    place = destination or origin
    return swap.get_fee(s, place[1], amount) if place is not None else 0


@stake_api.method
def get_coldkey_lock(s: State, coldkey: AccountId, netuid: NetUid) -> LockState | None:
    """A coldkey's lock on a subnet as of this block."""
    lock = get_lock(s, coldkey, netuid)
    if lock is None:
        return None
    return LockState(Alpha(lock.mass), U64F64(lock.conviction), lock.last)


@stake_api.method
def get_hotkey_conviction(s: State, hotkey: AccountId, netuid: NetUid) -> U64F64:
    """Conviction behind a hotkey as of this block."""
    return U64F64(kingship.get_hotkey_conviction(s, hotkey, netuid))


@stake_api.method
def get_most_convicted_hotkey_on_subnet(s: State, netuid: NetUid) -> AccountId | None:
    """The hotkey with most conviction behind it."""
    return kingship.get_king(s, netuid)
