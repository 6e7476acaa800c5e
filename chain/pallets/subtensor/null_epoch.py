"""Subnets without consensus: switching there and back, and running their epochs.

In a Null subnet the largest staker holds the one validator permit. It alone may set weights, they
are stored as they are said, and they pay the miners; stake alone earns dividends. Bonds stand
still until the subnet returns to Yuma.

Missing beside upstream: more seats than a Yuma subnet has, and so larger ciphertexts, removing
seats in batches, and letting the elected validator push others' commits out of a full queue.

Upstream: `SubnetEpochConsensus`, pallets/subtensor/src/epoch, subnets/mechanism.rs.
"""

from __future__ import annotations

from dataclasses import replace

from chain.pallets.subtensor.alpha import recycle_alpha
from chain.pallets.subtensor.emission import Pending
from chain.pallets.subtensor.epoch import (
    EpochResult,
    conclude,
    get_last_yuma_step,
    read_epoch,
    store_mechanism,
)
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_settings import EpochConsensusSet
from chain.pallets.subtensor.mechanism import get_emission_parts
from chain.pallets.subtensor.neurons import get_indices, storage_index
from chain.pallets.subtensor.storage_commits import TimelockedWeightCommits
from chain.pallets.subtensor.storage_hyperparameters import MaxAllowedUids, MaxAllowedValidators
from chain.pallets.subtensor.storage_network import (
    LastYumaStepBlock,
    SavedYumaMaxAllowedValidators,
    SubnetEpochConsensus,
)
from chain.pallets.subtensor.storage_neurons import ValidatorPermit
from chain.pallets.subtensor.types import EpochConsensus
from chain.runtime.errors import ensure
from chain.runtime.state import State, iter_keys
from consensus.yuma import null
from consensus.yuma.mechanisms import SubnetOutcome, merge
from consensus.yuma.standing import standing
from consensus.yuma.types import EpochOutcome
from ganglion.fixed import sat_add_u64
from ganglion.units import ROOT_NETUID, Alpha, NetUid

NONE_LEFT = Alpha(0)


def do_set_epoch_consensus(s: State, netuid: NetUid, mode: EpochConsensus) -> None:
    """Let a subnet's epochs decide in another way, from the next one on.

    Raises InvalidValue for root, and while timelocked commits wait: they were made under the
    rules of before.
    """
    ensure(netuid != ROOT_NETUID, Error.InvalidValue)
    if s[SubnetEpochConsensus, netuid] is mode:
        return
    for index in get_indices(s, netuid):
        waiting = next(iter_keys(s, TimelockedWeightCommits, index), None)
        ensure(waiting is None, Error.InvalidValue)
    s[SubnetEpochConsensus, netuid] = mode
    if mode is EpochConsensus.Null:
        _leave_yuma(s, netuid)
    else:
        saved = s[SavedYumaMaxAllowedValidators, netuid]
        if saved is not None:
            s[MaxAllowedValidators, netuid] = min(saved, s[MaxAllowedUids, netuid])
            s[SavedYumaMaxAllowedValidators, netuid] = None
    s.emit(EpochConsensusSet(netuid, mode))


def _leave_yuma(s: State, netuid: NetUid) -> None:
    """Remember where Yuma stood, and give the one permit to the largest staker."""
    s[LastYumaStepBlock, netuid] = get_last_yuma_step(s, netuid)
    s[SavedYumaMaxAllowedValidators, netuid] = s[MaxAllowedValidators, netuid]
    s[MaxAllowedValidators, netuid] = 1
    subnet = read_epoch(s, netuid, storage_index(netuid), 0)
    best = null.winner(standing(subnet).filtered)
    s[ValidatorPermit, netuid] = bytes(uid == best for uid in range(subnet.n))


def do_run_null_epoch(s: State, netuid: NetUid, pending: Pending) -> tuple[EpochResult, Pending]:
    """Run the epoch of every mechanism; who earned what, and what is left to be paid.

    Where nobody has stake the miners get the validators' part, and root's is recycled.
    """
    has_stake = any(standing(read_epoch(s, netuid, storage_index(netuid), 0)).filtered)
    if has_stake:
        dividends = sat_add_u64(pending.validator, pending.root)
    else:
        recycle_alpha(s, netuid, pending.root)
        dividends = 0
        everything = Alpha(sat_add_u64(pending.server, pending.validator))
        pending = Pending(everything, NONE_LEFT, NONE_LEFT, pending.owner_cut)
    return _run_mechanisms(s, netuid, pending.server, dividends), pending


def _run_mechanisms(s: State, netuid: NetUid, miners: int, validators: int) -> EpochResult:
    parts = list(
        zip(get_emission_parts(s, netuid, miners), get_emission_parts(s, netuid, validators))
    )
    outcomes = []
    for index, (server, dividends) in zip(get_indices(s, netuid), parts):
        subnet = read_epoch(s, netuid, index, server + dividends)
        outcomes.append(null.epoch(subnet, server, dividends))
        store_mechanism(s, index, outcomes[-1])
    return conclude(s, netuid, _merged(outcomes, [a + b for a, b in parts], miners + validators))


def _merged(outcomes: list[EpochOutcome], parts: list[int], amount: int) -> SubnetOutcome:
    """As Yuma merges them, but emission as it was paid, to the last rao."""
    merged = merge(outcomes, parts, amount)
    both = zip(merged.server_emission, merged.validator_emission)
    return replace(merged, combined_emission=tuple(sat_add_u64(a, b) for a, b in both))
