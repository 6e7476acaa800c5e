"""Mechanisms: how many incentive games a subnet plays, and how it splits its emission over them.

Each has its own weights, bonds, incentive, last updates and commits, kept under
`storage_index(netuid, mecid)`; uids, stake and permits are shared.

Upstream: pallets/subtensor/src/subnets/mechanism.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.accounts import is_subnet
from chain.pallets.subtensor.constants import InitialMaxAllowedUids
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.neurons import storage_index
from chain.pallets.subtensor.storage_commits import TimelockedWeightCommits, WeightCommits
from chain.pallets.subtensor.storage_hyperparameters import MaxAllowedUids
from chain.pallets.subtensor.storage_network import (
    MaxMechanismCount,
    MechanismCountCurrent,
    MechanismEmissionSplit,
)
from chain.pallets.subtensor.storage_neurons import (
    Bonds,
    ConsensusByMechanism,
    Incentive,
    LastUpdate,
    Weights,
)
from chain.runtime.errors import ensure
from chain.runtime.state import State, clear_prefix
from consensus.yuma.mechanisms import split_emission
from ganglion.fixed import U16_MAX
from ganglion.units import MechId, NetUid

MECHANISM_LIMIT = 16
"""More would run out of storage indices."""


def ensure_mechanism(s: State, netuid: NetUid, mecid: int) -> None:
    """Raise MechanismDoesNotExist unless the subnet exists and has the mechanism."""
    has_it = is_subnet(s, netuid) and mecid < s[MechanismCountCurrent, netuid]
    ensure(has_it, Error.MechanismDoesNotExist)


def ensure_uids_fit(max_uids: int, mechanisms: int) -> None:
    """Raise TooManyUIDsPerMechanism when uids times mechanisms exceed 256."""
    fits = max_uids * mechanisms <= InitialMaxAllowedUids.value
    ensure(fits, Error.TooManyUIDsPerMechanism)


def do_set_mechanism_count(s: State, netuid: NetUid, count: MechId) -> None:
    """Change how many mechanisms a subnet has; what a dropped one stored is deleted.

    A change also resets the emission split to equal parts.
    """
    ensure(is_subnet(s, netuid), Error.MechanismDoesNotExist)
    ensure(0 < count <= s[MaxMechanismCount], Error.InvalidValue)
    ensure_uids_fit(s[MaxAllowedUids, netuid], count)
    ensure(count <= MECHANISM_LIMIT, Error.InvalidValue)
    before = s[MechanismCountCurrent, netuid]
    if count == before:
        return
    for mecid in range(count, before):
        _clear_mechanism(s, netuid, mecid)
    s[MechanismCountCurrent, netuid] = count
    del s[MechanismEmissionSplit, netuid]


def _clear_mechanism(s: State, netuid: NetUid, mecid: int) -> None:
    index = storage_index(netuid, mecid)
    for rows in (Weights, Bonds, WeightCommits, TimelockedWeightCommits):
        clear_prefix(s, rows, index)
    for vector in (Incentive, LastUpdate, ConsensusByMechanism):
        del s[vector, index]


def do_set_max_mechanism_count(s: State, count: MechId) -> None:
    """Change how many mechanisms any subnet may have; existing ones stay."""
    ensure(0 < count <= MECHANISM_LIMIT, Error.InvalidValue)
    s[MaxMechanismCount] = count


def do_set_emission_split(s: State, netuid: NetUid, split: tuple[int, ...] | None) -> None:
    """Set the mechanisms' parts of the emission (u16, together 65535); None: equal parts."""
    ensure(is_subnet(s, netuid), Error.MechanismDoesNotExist)
    if split is None:
        del s[MechanismEmissionSplit, netuid]
        return
    ensure(0 < len(split) <= s[MechanismCountCurrent, netuid], Error.InvalidValue)
    ensure(sum(split) == U16_MAX, Error.InvalidValue)
    s[MechanismEmissionSplit, netuid] = split


def get_emission_parts(s: State, netuid: NetUid, amount: int) -> list[int]:
    """An amount split over the subnet's mechanisms; the first takes what rounding leaves."""
    return split_emission(
        amount, s[MechanismCountCurrent, netuid], s[MechanismEmissionSplit, netuid]
    )
