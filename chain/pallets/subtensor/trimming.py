"""Shrinking a subnet: the lowest earners lose their uids, the others move together.

Upstream: pallets/subtensor/src/subnets/uids.rs
"""

from __future__ import annotations

from typing import Any

from chain.pallets.subtensor.accounts import is_subnet
from chain.pallets.subtensor.constants import MaxImmuneUidsPercentage
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.evm_keys import forget_evm_key, renumber_evm_key
from chain.pallets.subtensor.neurons import get_indices, is_immune
from chain.pallets.subtensor.storage_hyperparameters import MaxAllowedUids, MinAllowedUids
from chain.pallets.subtensor.storage_network import SubnetworkN
from chain.pallets.subtensor.storage_neurons import (
    Active,
    Axons,
    BlockAtRegistration,
    Bonds,
    Consensus,
    Dividends,
    Emission,
    Incentive,
    IsNetworkMember,
    Keys,
    LastUpdate,
    NeuronCertificates,
    Prometheus,
    StakeWeight,
    Uids,
    ValidatorPermit,
    ValidatorTrust,
    Weights,
)
from chain.pallets.subtensor.storage_pool import (
    AlphaDividendsPerSubnet,
    LastHotkeyEmissionOnNetuid,
)
from chain.pallets.subtensor.uids import get_immune_owner_hotkeys
from chain.pallets.subtensor.vectors import (
    FLAG,
    U16,
    U64,
    packed_pairs,
    pairs,
    picked,
    values,
)
from chain.runtime.errors import ensure
from chain.runtime.state import State, clear_prefix
from ganglion.units import NetUid, Uid

_VECTORS: tuple[tuple[Any, int], ...] = (
    (Emission, U64),
    (Active, FLAG),
    (Consensus, U16),
    (Dividends, U16),
    (ValidatorTrust, U16),
    (ValidatorPermit, FLAG),
    (StakeWeight, U16),
)


def do_trim_uids(s: State, netuid: NetUid, limit: int) -> None:
    """Set MaxAllowedUids and drop the lowest earners beyond it, immune ones never.

    Raises SubnetNotExists, InvalidValue outside [MinAllowedUids, MaxAllowedUids], and
    TrimmingWouldExceedMaxImmunePercentage when 80 % or more of the seats were immune.
    """
    ensure(is_subnet(s, netuid), Error.SubnetNotExists)
    ensure(limit >= s[MinAllowedUids, netuid], Error.InvalidValue)
    ensure(limit <= s[MaxAllowedUids, netuid], Error.InvalidValue)
    count = s[SubnetworkN, netuid]
    if count <= limit:
        s[MaxAllowedUids, netuid] = limit
        return
    owners = {uid for uid, _ in get_immune_owner_hotkeys(s, netuid)}
    immune = {u for u in range(count) if u in owners or is_immune(s, netuid, Uid(u))}
    ensure(
        100 * len(immune) // max(limit, 1) < MaxImmuneUidsPercentage.value,
        Error.TrimmingWouldExceedMaxImmunePercentage,
    )
    s[MaxAllowedUids, netuid] = limit
    kept = _kept(values(s[Emission, netuid], U64), immune, count - limit)
    for uid in sorted(set(range(count)) - set(kept)):
        _remove(s, netuid, Uid(uid))
    _compact_vectors(s, netuid, kept)
    _move_neurons(s, netuid, kept)
    s[SubnetworkN, netuid] = limit


def _kept(emission: list[int], immune: set[int], surplus: int) -> list[int]:
    """Uids that stay, ascending: the lowest earners go, the highest uid among equals first."""
    by_emission = sorted(range(len(emission)), key=lambda u: -emission[u])
    going = [u for u in reversed(by_emission) if u not in immune][:surplus]
    return sorted(set(by_emission) - set(going))


def _remove(s: State, netuid: NetUid, uid: Uid) -> None:
    if (Keys, netuid, uid) in s:
        hotkey = s[Keys, netuid, uid]
        for item in (Uids, AlphaDividendsPerSubnet, Axons, NeuronCertificates, Prometheus):
            del s[item, netuid, hotkey]
        del s[IsNetworkMember, hotkey, netuid]
        del s[LastHotkeyEmissionOnNetuid, hotkey, netuid]
    forget_evm_key(s, netuid, uid)
    del s[Keys, netuid, uid]
    del s[BlockAtRegistration, netuid, uid]
    for index in get_indices(s, netuid):
        del s[Weights, index, uid]
        del s[Bonds, index, uid]


def _compact_vectors(s: State, netuid: NetUid, kept: list[int]) -> None:
    for vector, width in _VECTORS:
        s[vector, netuid] = picked(s[vector, netuid], width, kept)
    for index in get_indices(s, netuid):
        s[Incentive, index] = picked(s[Incentive, index], U16, kept)
        s[LastUpdate, index] = picked(s[LastUpdate, index], U64, kept)


def _move_neurons(s: State, netuid: NetUid, kept: list[int]) -> None:
    """Give the remaining neurons their new uids, in their own entries and in all rows."""
    moved = {old: new for new, old in enumerate(kept)}
    for old, new in moved.items():
        _move(s, Keys, netuid, old, new)
        _move(s, BlockAtRegistration, netuid, old, new)
        renumber_evm_key(s, netuid, Uid(old), Uid(new))
        for index in get_indices(s, netuid):
            rows: Any
            for rows in (Weights, Bonds):
                _move(s, rows, index, old, new)
                row = [(moved[u], v) for u, v in pairs(s[rows, index, new]) if u in moved]
                s[rows, index, new] = packed_pairs(row)
    clear_prefix(s, Uids, netuid)
    for new in range(len(kept)):
        s[Uids, netuid, s[Keys, netuid, Uid(new)]] = Uid(new)


def _move(s: State, item: Any, first: int, old: int, new: int) -> None:
    """Upstream swaps the two places; the lower one is free by then."""
    if old == new:
        return
    if (item, first, old) in s:
        s[item, first, new] = s[item, first, old]
        del s[item, first, old]
    else:
        del s[item, first, new]
