"""Timelocked commits: weights sealed until a drand round, revealed by the chain itself.

A commit made in epoch e carries a ciphertext that a later pulse of the beacon opens. In every
block of epoch e + RevealPeriodEpochs the chain tries the commits of epoch e: without the pulse
one waits for the next block, and what cannot be opened or set is dropped without a word.

Upstream: pallets/subtensor/src/subnets/weights.rs, coinbase/reveal_commits.rs
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chain import timelock
from chain.pallets.drand import Pulses
from chain.pallets.subtensor.commit_reveal import (
    MAX_COMMITS,
    ensure_commit_reveal,
    ensure_may_commit,
    get_current_epoch,
)
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_weights import (
    TimelockedWeightsCommitted,
    TimelockedWeightsRevealed,
)
from chain.pallets.subtensor.mechanism import ensure_mechanism
from chain.pallets.subtensor.neurons import set_last_update, storage_index
from chain.pallets.subtensor.storage_commits import Ciphertext, TimelockedWeightCommits
from chain.pallets.subtensor.storage_hyperparameters import (
    CommitRevealWeightsVersion,
    RevealPeriodEpochs,
)
from chain.pallets.subtensor.storage_network import MechanismCountCurrent
from chain.pallets.subtensor.weights import MAIN, do_set_weights
from chain.pallets.system import block_number
from chain.runtime.call import Pays
from chain.runtime.dispatch import layer
from chain.runtime.errors import CallError, ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State, iter_keys
from ganglion.hashing import blake2_256
from ganglion.scale import DecodeError, codec, u16, u64
from ganglion.units import AccountId, Hash, MechId, NetUid, NetUidStorageIndex

CRV3_VERSION = 4
"""The version that the call without one stands for."""

TimelockedCommit = tuple[AccountId, int, bytes, int]
"""Hotkey, block of the commit, ciphertext, drand round."""


@dataclass(frozen=True, slots=True)
class LegacyPayload:
    """What was once sealed: weights that anybody could commit again as their own."""

    uids: tuple[u16, ...]
    values: tuple[u16, ...]
    version_key: u64


@dataclass(frozen=True, slots=True)
class Payload:
    """What is sealed: the committer's own account, and its weights."""

    hotkey: bytes
    uids: tuple[u16, ...]
    values: tuple[u16, ...]
    version_key: u64


_PAYLOAD, _LEGACY = codec(Payload), codec(LegacyPayload)


def do_commit_timelocked(
    s: State,
    who: AccountId,
    netuid: NetUid,
    mecid: MechId,
    commit: bytes,
    reveal_round: int,
    version: int,
) -> None:
    """Keep a ciphertext under the current epoch; it counts as an update of the weights."""
    ensure_mechanism(s, netuid, mecid)
    index = storage_index(netuid, mecid)
    ensure_commit_reveal(s, netuid)
    ensure(version == s[CommitRevealWeightsVersion], Error.IncorrectCommitRevealVersion)
    uid = ensure_may_commit(s, who, netuid, index)
    epoch, now = get_current_epoch(s, netuid), block_number(s)
    commits = s[TimelockedWeightCommits, index, epoch]
    waiting = sum(commit_[0] == who for commit_ in commits)
    ensure(waiting < MAX_COMMITS, Error.TooManyUnrevealedCommits)
    s[TimelockedWeightCommits, index, epoch] = (*commits, (who, now, commit, reveal_round))
    s.emit(TimelockedWeightsCommitted(who, index, Hash(blake2_256(commit)), reveal_round))
    set_last_update(s, index, uid, now)


@call(113, weight=86_951_000, reads=14, writes=2, pays=Pays.No)
def commit_timelocked_weights(
    s: State,
    hotkey: Signed,
    netuid: NetUid,
    commit: Ciphertext,
    reveal_round: u64,
    commit_reveal_version: u16,
) -> None:
    """Commit to weights that the chain reveals itself, once a drand round has come."""
    do_commit_timelocked(s, hotkey, netuid, MAIN, commit, reveal_round, commit_reveal_version)


@call(117, weight=77_750_000, reads=7, writes=2, pays=Pays.No)
def commit_crv3_mechanism_weights(
    s: State,
    hotkey: Signed,
    netuid: NetUid,
    mecid: MechId,
    commit: Ciphertext,
    reveal_round: u64,
) -> None:
    """Commit timelocked weights of one mechanism, in version 4."""
    do_commit_timelocked(s, hotkey, netuid, mecid, commit, reveal_round, CRV3_VERSION)


@call(118, weight=84_020_000, reads=9, writes=2, pays=Pays.No)
def commit_timelocked_mechanism_weights(
    s: State,
    hotkey: Signed,
    netuid: NetUid,
    mecid: MechId,
    commit: Ciphertext,
    reveal_round: u64,
    commit_reveal_version: u16,
) -> None:
    """Commit timelocked weights of one mechanism."""
    do_commit_timelocked(s, hotkey, netuid, mecid, commit, reveal_round, commit_reveal_version)


def reveal_timelocked(s: State, netuids: Iterable[NetUid]) -> None:
    """Try the commits whose epoch has come, on each of these subnets; for every block."""
    for netuid in netuids:
        epoch, period = get_current_epoch(s, netuid), s[RevealPeriodEpochs, netuid]
        for mecid in range(s[MechanismCountCurrent, netuid]):
            index = storage_index(netuid, mecid)
            forget_expired(s, index, max(epoch - period, 0))
            if epoch < period:
                break
            reveal_mechanism(s, netuid, MechId(mecid), epoch - period)


def forget_expired(s: State, index: NetUidStorageIndex, before: int) -> None:
    """Drop commits of epochs before this one: their time to be revealed is over."""
    for epoch in iter_keys(s, TimelockedWeightCommits, index):
        if epoch < before:
            del s[TimelockedWeightCommits, index, epoch]


def reveal_mechanism(s: State, netuid: NetUid, mecid: MechId, epoch: int) -> None:
    """Set the weights of an epoch's commits, in their order; those without a pulse stay."""
    index = storage_index(netuid, mecid)
    commits = s[TimelockedWeightCommits, index, epoch]
    if not commits:
        return
    waiting: list[TimelockedCommit] = []
    for commit in commits:
        who, _, ciphertext, reveal_round = commit
        pulse = s[Pulses, reveal_round]
        if pulse is None:
            waiting.append(commit)
            continue
        payload = open_commit(who, ciphertext, pulse.signature)
        if payload is not None and set_revealed(s, who, netuid, mecid, payload):
            s.emit(TimelockedWeightsRevealed(index, who))
    if waiting:
        s[TimelockedWeightCommits, index, epoch] = tuple(waiting)
    else:
        del s[TimelockedWeightCommits, index, epoch]


def set_revealed(
    s: State, who: AccountId, netuid: NetUid, mecid: MechId, payload: LegacyPayload | Payload
) -> bool:
    """Set opened weights as if `who` had revealed them; False when they are refused."""
    uids, values = payload.uids, payload.values
    try:
        with layer(s):
            do_set_weights(s, who, netuid, mecid, uids, values, payload.version_key)
    except CallError:
        return False
    return True


def open_commit(
    who: AccountId, ciphertext: bytes, signature: bytes
) -> LegacyPayload | Payload | None:
    """The weights in a ciphertext; None when it cannot be opened, read, or is not `who`'s own."""
    try:
        opened = timelock.decrypt(ciphertext, signature)
    except timelock.TimelockError:
        return None
    try:
        payload, _ = _PAYLOAD.read(opened, 0)
    except DecodeError:
        return _legacy(opened)
    assert isinstance(payload, Payload)
    if len(payload.hotkey) < len(who):
        return _legacy(opened)
    return payload if payload.hotkey[: len(who)] == who else None


def _legacy(opened: bytes) -> LegacyPayload | None:
    try:
        payload, _ = _LEGACY.read(opened, 0)
    except DecodeError:
        return None
    assert isinstance(payload, LegacyPayload)
    return payload
