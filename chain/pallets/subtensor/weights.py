"""Setting weights: what a validator thinks each miner is worth.

Values are scaled so that the largest becomes 65535; the epoch reads them as shares of their sum.
With commit-reveal on, only a reveal sets weights, and the commit was the update.

Upstream: pallets/subtensor/src/subnets/weights.rs
"""

from __future__ import annotations

from collections.abc import Sequence

from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_weights import (
    BatchCompletedWithErrors,
    BatchWeightItemFailed,
    BatchWeightsCompleted,
    WeightsSet,
)
from chain.pallets.subtensor.heritage import get_stake_weight
from chain.pallets.subtensor.mechanism import ensure_mechanism
from chain.pallets.subtensor.neurons import (
    get_owner_uid,
    get_uid,
    is_null,
    set_last_update,
    split_index,
    storage_index,
)
from chain.pallets.subtensor.storage_hyperparameters import (
    CommitRevealWeightsEnabled,
    MaxWeightsLimit,
    MinAllowedWeights,
    StakeThreshold,
    WeightsSetRateLimit,
    WeightsVersionKey,
)
from chain.pallets.subtensor.storage_network import MechanismCountCurrent, SubnetworkN
from chain.pallets.subtensor.storage_neurons import (
    Keys,
    LastUpdate,
    Uids,
    ValidatorPermit,
    Weights,
)
from chain.pallets.subtensor.vectors import FLAG, U64, item, packed_pairs
from chain.pallets.system import block_number
from chain.runtime.call import Pays
from chain.runtime.dispatch import layer
from chain.runtime.errors import CallError, ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State
from consensus.yuma.scalar import max_upscale, normalise
from ganglion.fixed import U16_MAX, sat_sub, u16_proportion
from ganglion.scale import Compact, u16, u64
from ganglion.units import (
    ROOT_NETUID,
    AccountId,
    MechId,
    NetUid,
    NetUidStorageIndex,
    Uid,
)

MAIN = MechId(0)
"""The mechanism of calls that name none."""


def is_self_weight(uid: int, uids: Sequence[int]) -> bool:
    """Whether a validator says nothing but something of itself."""
    return len(uids) == 1 and uids[0] == uid


def has_min_stake(s: State, hotkey: AccountId, netuid: NetUid) -> bool:
    """Whether the hotkey has StakeThreshold of stake weight, or is the subnet's owner."""
    owner = get_owner_uid(s, netuid)
    if owner is not None and s[Uids, netuid, hotkey] == owner:
        return True
    return get_stake_weight(s, hotkey, netuid) >= s[StakeThreshold] << 64


def passes_weights_rate_limit(s: State, index: NetUidStorageIndex, uid: Uid) -> bool:
    """Whether the uid's latest update is long enough ago; no mechanism or neuron: it is not."""
    netuid, mecid = split_index(index)
    if mecid >= s[MechanismCountCurrent, netuid] or (Keys, netuid, uid) not in s:
        return False
    last = item(s[LastUpdate, index], U64, uid)
    return last == 0 or sat_sub(block_number(s), last) >= s[WeightsSetRateLimit, netuid]


def may_weigh_others(s: State, netuid: NetUid, uid: Uid) -> bool:
    """Whether the uid has a validator permit, or is the owner's where many validators agree."""
    if item(s[ValidatorPermit, netuid], FLAG, uid):
        return True
    return uid == get_owner_uid(s, netuid) and not is_null(s, netuid)


def ensure_heard(s: State, netuid: NetUid, uid: Uid | None) -> None:
    """Raise NeuronNoValidatorPermit where one validator alone decides and this is another."""
    if is_null(s, netuid):
        may = uid is not None and may_weigh_others(s, netuid, uid)
        ensure(may, Error.NeuronNoValidatorPermit)


def is_within_max_weight(s: State, netuid: NetUid, values: Sequence[int]) -> bool:
    """Whether no value's share of the sum exceeds MaxWeightsLimit."""
    limit = s[MaxWeightsLimit, netuid]
    if limit == U16_MAX:
        return True
    shares = normalise([v << 32 for v in values])
    return max(shares, default=0) <= u16_proportion(limit)


def do_set_weights(
    s: State,
    hotkey: AccountId,
    netuid: NetUid,
    mecid: MechId,
    uids: tuple[int, ...],
    values: tuple[int, ...],
    version_key: int,
) -> None:
    """Check and store weights; the way of set_weights and of every reveal."""
    index = storage_index(netuid, mecid)
    ensure(netuid != ROOT_NETUID, Error.CanNotSetRootNetworkWeights)
    ensure(len(uids) == len(values), Error.WeightVecNotEqualSize)
    ensure_mechanism(s, netuid, mecid)
    ensure(len(uids) <= s[SubnetworkN, netuid], Error.UidsLengthExceedUidsInSubNet)
    uid = get_uid(s, netuid, hotkey)
    ensure(has_min_stake(s, hotkey, netuid), Error.NotEnoughStakeToSetWeights)
    ensure(version_key >= s[WeightsVersionKey, netuid], Error.IncorrectWeightVersionKey)
    commit_reveal = s[CommitRevealWeightsEnabled, netuid]
    if not commit_reveal:
        ensure(passes_weights_rate_limit(s, index, uid), Error.SettingWeightsTooFast)
    ensure_sound(s, netuid, uid, uids)
    scaled = tuple(values) if is_null(s, netuid) else max_upscale(values)
    within = is_self_weight(uid, uids) or is_within_max_weight(s, netuid, scaled)
    ensure(within, Error.MaxWeightExceeded)

    s[Weights, index, uid] = packed_pairs(list(zip(uids, scaled)))
    if not commit_reveal:
        set_last_update(s, index, uid, block_number(s))
    s.emit(WeightsSet(index, uid))


def ensure_sound(s: State, netuid: NetUid, uid: Uid, uids: Sequence[int]) -> None:
    """Raise unless these uids may be weighed by `uid`: permit, no repeats, all there, enough."""
    alone = is_self_weight(uid, uids)
    exempt = alone and not is_null(s, netuid)
    ensure(exempt or may_weigh_others(s, netuid, uid), Error.NeuronNoValidatorPermit)
    ensure(len(set(uids)) == len(uids), Error.DuplicateUids)
    exist = all((Keys, netuid, Uid(u)) in s for u in uids)
    ensure(exist, Error.UidVecContainInvalidOne)
    least = min(s[SubnetworkN, netuid], s[MinAllowedWeights, netuid])
    ensure(alone or len(uids) >= least, Error.WeightVecLengthIsLow)


def ensure_direct(s: State, netuid: NetUid) -> None:
    """Raise CommitRevealEnabled where weights must be committed first."""
    ensure(not s[CommitRevealWeightsEnabled, netuid], Error.CommitRevealEnabled)


@call(0, weight=15_513_610_000, reads=4112, writes=2, pays=Pays.No)
def set_weights(
    s: State,
    hotkey: Signed,
    netuid: NetUid,
    dests: tuple[u16, ...],
    weights: tuple[u16, ...],
    version_key: u64,
) -> None:
    """Say what each of the named neurons is worth."""
    ensure_direct(s, netuid)
    do_set_weights(s, hotkey, netuid, MAIN, dests, weights, version_key)


@call(119, weight=15_540_000_000, reads=4111, writes=2, pays=Pays.No)
def set_mechanism_weights(
    s: State,
    hotkey: Signed,
    netuid: NetUid,
    mecid: MechId,
    dests: tuple[u16, ...],
    weights: tuple[u16, ...],
    version_key: u64,
) -> None:
    """Say what each of the named neurons is worth in one mechanism of the subnet."""
    ensure_direct(s, netuid)
    do_set_weights(s, hotkey, netuid, mecid, dests, weights, version_key)


@call(80, weight=103_092_000, reads=16, writes=2, pays=Pays.No)
def batch_set_weights(
    s: State,
    hotkey: Signed,
    netuids: tuple[Compact[NetUid], ...],
    weights: tuple[tuple[tuple[Compact[u16], Compact[u16]], ...], ...],
    version_keys: tuple[Compact[u64], ...],
) -> None:
    """Set weights on several subnets; each succeeds or fails on its own."""
    ensure(len(netuids) == len(weights) == len(version_keys), Error.InputLengthsUnequal)
    failures = []
    for netuid, row, version_key in zip(netuids, weights, version_keys):
        try:
            with layer(s):
                ensure_direct(s, netuid)
                uids, values = tuple(u for u, _ in row), tuple(v for _, v in row)
                do_set_weights(s, hotkey, netuid, MAIN, uids, values, version_key)
        except CallError as failure:
            failures.append((netuid, failure))
    conclude_batch(s, hotkey, netuids, failures)


def conclude_batch(
    s: State, who: AccountId, netuids: tuple[NetUid, ...], failures: list[tuple[NetUid, CallError]]
) -> None:
    """Emit how a batch of weights or commits ended."""
    if failures:
        s.emit(BatchCompletedWithErrors())
    for netuid, failure in failures:
        s.emit(BatchWeightItemFailed(netuid, failure.value()))
    s.emit(BatchWeightsCompleted(netuids, who))
