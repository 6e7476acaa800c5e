"""Commit-reveal by hash: a validator commits to weights and shows them a fixed epoch later.

A commit made in epoch e can be revealed in epoch e + RevealPeriodEpochs only: before it is too
early, after it has expired. Commits queue up per hotkey and mechanism; revealing one drops those
before it.

Upstream: pallets/subtensor/src/subnets/weights.rs
"""

from __future__ import annotations

from collections.abc import Sequence

from chain.pallets.subtensor.clock import is_epoch_due
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_settings import CommitRevealPeriodsSet
from chain.pallets.subtensor.events_weights import (
    WeightsBatchRevealed,
    WeightsCommitted,
    WeightsRevealed,
)
from chain.pallets.subtensor.mechanism import ensure_mechanism
from chain.pallets.subtensor.neurons import get_uid, set_last_update, storage_index
from chain.pallets.subtensor.storage_commits import WeightCommits
from chain.pallets.subtensor.storage_hyperparameters import (
    CommitRevealWeightsEnabled,
    RevealPeriodEpochs,
)
from chain.pallets.subtensor.storage_network import SubnetEpochIndex
from chain.pallets.subtensor.storage_neurons import Uids
from chain.pallets.subtensor.weights import (
    MAIN,
    conclude_batch,
    do_set_weights,
    ensure_heard,
    passes_weights_rate_limit,
)
from chain.pallets.system import block_number
from chain.runtime.call import Pays
from chain.runtime.dispatch import layer
from chain.runtime.errors import CallError, ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State
from ganglion.fixed import sat_add_u64
from ganglion.hashing import blake2_256
from ganglion.scale import Compact, codec, u16, u64
from ganglion.units import AccountId, Hash, MechId, NetUid, NetUidStorageIndex, Uid

MAX_COMMITS = 10
"""Unrevealed commits of one hotkey in one mechanism."""
MIN_REVEAL_PERIOD, MAX_REVEAL_PERIOD = 1, 100

Commit = tuple[Hash, int, int, int]
"""Hash, epoch and block of the commit, and a number that stayed for the layout."""
Commits = tuple[Commit, ...]

_U16S = tuple[u16, ...]
_PREIMAGE = codec(tuple[AccountId, NetUidStorageIndex, _U16S, _U16S, _U16S, u64])


def compute_commit_hash(
    who: AccountId,
    index: NetUidStorageIndex,
    uids: tuple[int, ...],
    values: tuple[int, ...],
    salt: tuple[int, ...],
    version_key: int,
) -> Hash:
    """What a validator commits to: the weights, its account and a salt nobody can guess."""
    preimage = _PREIMAGE.encode((who, index, uids, values, salt, version_key))
    return Hash(blake2_256(preimage))


def get_current_epoch(s: State, netuid: NetUid) -> int:
    """The subnet's epoch number; one more already when an epoch is due in this block."""
    return sat_add_u64(s[SubnetEpochIndex, netuid], int(is_epoch_due(s, netuid)))


def get_reveal_epoch(s: State, netuid: NetUid, commit_epoch: int) -> int:
    """The one epoch in which a commit may be revealed."""
    return sat_add_u64(commit_epoch, s[RevealPeriodEpochs, netuid])


def is_expired(s: State, netuid: NetUid, commit_epoch: int) -> bool:
    """Whether a commit's reveal epoch has passed."""
    return get_current_epoch(s, netuid) > get_reveal_epoch(s, netuid, commit_epoch)


def is_revealable(s: State, netuid: NetUid, commit_epoch: int) -> bool:
    """Whether this is a commit's reveal epoch."""
    return get_current_epoch(s, netuid) == get_reveal_epoch(s, netuid, commit_epoch)


def do_set_reveal_period(s: State, netuid: NetUid, epochs: int) -> None:
    """Change how many epochs after its commit a weight is revealed."""
    ensure(epochs <= MAX_REVEAL_PERIOD, Error.RevealPeriodTooLarge)
    ensure(epochs >= MIN_REVEAL_PERIOD, Error.RevealPeriodTooSmall)
    s[RevealPeriodEpochs, netuid] = epochs
    s.emit(CommitRevealPeriodsSet(netuid, epochs))


def split_expired(s: State, netuid: NetUid, commits: Commits) -> tuple[Commits, Commits]:
    """A queue's expired head and the rest."""
    live = next(
        (i for i, commit in enumerate(commits) if not is_expired(s, netuid, commit[1])),
        len(commits),
    )
    return commits[:live], commits[live:]


def ensure_commit_reveal(s: State, netuid: NetUid) -> None:
    """Raise CommitRevealDisabled where weights are set directly."""
    ensure(s[CommitRevealWeightsEnabled, netuid], Error.CommitRevealDisabled)


def ensure_may_commit(s: State, who: AccountId, netuid: NetUid, index: NetUidStorageIndex) -> Uid:
    """The committer's uid; raises HotKeyNotRegisteredInSubNet, CommittingWeightsTooFast.

    NeuronNoValidatorPermit where one validator alone decides and this is another.
    """
    uid = get_uid(s, netuid, who)
    ensure_heard(s, netuid, uid)
    ensure(passes_weights_rate_limit(s, index, uid), Error.CommittingWeightsTooFast)
    return uid


def put_commits(
    s: State, who: AccountId, index: NetUidStorageIndex, commits: Commits | None
) -> None:
    """Store a queue; None leaves no entry."""
    s[WeightCommits, index, who] = commits


def do_commit_weights(
    s: State, who: AccountId, netuid: NetUid, mecid: MechId, commit_hash: Hash
) -> None:
    """Queue a commit; it counts as an update of the weights."""
    ensure_mechanism(s, netuid, mecid)
    index = storage_index(netuid, mecid)
    ensure_commit_reveal(s, netuid)
    uid = ensure_may_commit(s, who, netuid, index)
    queue = s[WeightCommits, index, who]
    _, live = split_expired(s, netuid, queue or ())
    ensure(len(live) < MAX_COMMITS, Error.TooManyUnrevealedCommits)
    now = block_number(s)
    commit = (commit_hash, get_current_epoch(s, netuid), now, 0)
    put_commits(s, who, index, (*live, commit))
    s.emit(WeightsCommitted(who, index, commit_hash))
    set_last_update(s, index, uid, now)


def get_commits(
    s: State, who: AccountId, netuid: NetUid, index: NetUidStorageIndex
) -> tuple[set[Hash], Commits]:
    """Hashes of a hotkey's expired commits, and its live ones; raises NoWeightsCommitFound."""
    commits = s[WeightCommits, index, who]
    if commits is None:
        raise Error.NoWeightsCommitFound
    expired, live = split_expired(s, netuid, commits)
    return {commit[0] for commit in expired}, live


def find_commit(hashes: Sequence[Hash], wanted: Hash, expired: set[Hash]) -> int:
    """Where a hash stands in the queue; raises why it is not there."""
    if wanted in hashes:
        return hashes.index(wanted)
    raise Error.ExpiredWeightCommit if wanted in expired else Error.InvalidRevealCommitHashNotMatch


def do_reveal_weights(
    s: State,
    who: AccountId,
    netuid: NetUid,
    mecid: MechId,
    uids: tuple[int, ...],
    values: tuple[int, ...],
    salt: tuple[int, ...],
    version_key: int,
) -> None:
    """Set the weights of a commit, and forget it and all before it."""
    index = storage_index(netuid, mecid)
    ensure_commit_reveal(s, netuid)
    ensure_heard(s, netuid, s[Uids, netuid, who])
    expired, live = get_commits(s, who, netuid, index)
    revealed = compute_commit_hash(who, index, uids, values, salt, version_key)
    if not live:
        raise Error.ExpiredWeightCommit if revealed in expired else Error.NoWeightsCommitFound
    place = find_commit([commit[0] for commit in live], revealed, expired)
    ensure(is_revealable(s, netuid, live[place][1]), Error.RevealTooEarly)
    put_commits(s, who, index, live[place + 1 :] or None)
    do_set_weights(s, who, netuid, mecid, uids, values, version_key)
    s.emit(WeightsRevealed(who, index, revealed))


@call(96, weight=69_049_000, reads=13, writes=2, pays=Pays.No)
def commit_weights(s: State, hotkey: Signed, netuid: NetUid, commit_hash: Hash) -> None:
    """Commit to weights that will be revealed in a later epoch."""
    do_commit_weights(s, hotkey, netuid, MAIN, commit_hash)


@call(115, weight=55_130_000, reads=7, writes=2, pays=Pays.No)
def commit_mechanism_weights(
    s: State, hotkey: Signed, netuid: NetUid, mecid: MechId, commit_hash: Hash
) -> None:
    """Commit to weights of one mechanism."""
    do_commit_weights(s, hotkey, netuid, mecid, commit_hash)


@call(100, weight=147_224_000, reads=15, writes=2, pays=Pays.No)
def batch_commit_weights(
    s: State,
    hotkey: Signed,
    netuids: tuple[Compact[NetUid], ...],
    commit_hashes: tuple[Hash, ...],
) -> None:
    """Commit on several subnets; each succeeds or fails on its own."""
    ensure(len(netuids) == len(commit_hashes), Error.InputLengthsUnequal)
    failures = []
    for netuid, commit_hash in zip(netuids, commit_hashes):
        try:
            with layer(s):
                do_commit_weights(s, hotkey, netuid, MAIN, commit_hash)
        except CallError as failure:
            failures.append((netuid, failure))
    conclude_batch(s, hotkey, netuids, failures)


@call(97, weight=111_227_000, reads=19, writes=2, pays=Pays.No)
def reveal_weights(
    s: State,
    hotkey: Signed,
    netuid: NetUid,
    uids: tuple[u16, ...],
    values: tuple[u16, ...],
    salt: tuple[u16, ...],
    version_key: u64,
) -> None:
    """Show the weights of a commit, in its reveal epoch."""
    do_reveal_weights(s, hotkey, netuid, MAIN, uids, values, salt, version_key)


@call(116, weight=122_000_000, reads=16, writes=2, pays=Pays.No)
def reveal_mechanism_weights(
    s: State,
    hotkey: Signed,
    netuid: NetUid,
    mecid: MechId,
    uids: tuple[u16, ...],
    values: tuple[u16, ...],
    salt: tuple[u16, ...],
    version_key: u64,
) -> None:
    """Show the weights of a commit to one mechanism."""
    do_reveal_weights(s, hotkey, netuid, mecid, uids, values, salt, version_key)


@call(98, weight=421_363_000, reads=19, writes=2, pays=Pays.No)
def batch_reveal_weights(
    s: State,
    hotkey: Signed,
    netuid: NetUid,
    uids_list: tuple[tuple[u16, ...], ...],
    values_list: tuple[tuple[u16, ...], ...],
    salts_list: tuple[tuple[u16, ...], ...],
    version_keys: tuple[u64, ...],
) -> None:
    """Show several commits at once, in any order; all succeed or none."""
    count = len(uids_list)
    equal = count == len(values_list) == len(salts_list) == len(version_keys)
    ensure(equal, Error.InputLengthsUnequal)
    ensure_commit_reveal(s, netuid)
    index = storage_index(netuid)
    expired, live = get_commits(s, hotkey, netuid, index)
    reveals = list(zip(uids_list, values_list, salts_list, version_keys))
    revealed = tuple(compute_commit_hash(hotkey, index, *reveal) for reveal in reveals)
    for commit_hash in revealed:
        place = find_commit([commit[0] for commit in live], commit_hash, expired)
        ensure(is_revealable(s, netuid, live[place][1]), Error.RevealTooEarly)
    for commit_hash, (uids, values, _, version_key) in zip(revealed, reveals):
        place = find_commit([commit[0] for commit in live], commit_hash, expired)
        live = (*live[:place], *live[place + 1 :])
        do_set_weights(s, hotkey, netuid, MAIN, uids, values, version_key)
    put_commits(s, hotkey, index, live or None)
    s.emit(WeightsBatchRevealed(hotkey, netuid, revealed))
