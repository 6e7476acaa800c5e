"""Running a subnet's epoch: storage into the engine, its outcome into storage.

The mathematics is `consensus.yuma`; here is which item holds which of its inputs and outputs.
Upstream: pallets/subtensor/src/epoch/run_epoch.rs, subnets/mechanism.rs
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import pack

from chain.pallets.subtensor.commit_reveal import get_current_epoch
from chain.pallets.subtensor.events_weights import IncentiveAlphaEmittedToMiners
from chain.pallets.subtensor.heritage import get_inherited_alpha, get_inherited_tao
from chain.pallets.subtensor.mechanism import get_emission_parts
from chain.pallets.subtensor.neurons import (
    get_indices,
    get_last_update,
    get_owner_uid,
)
from chain.pallets.subtensor.storage_commits import TimelockedWeightCommits, WeightCommits
from chain.pallets.subtensor.storage_hyperparameters import (
    ActivityCutoffFactorMilli,
    AlphaSigmoidSteepness,
    AlphaValues,
    BondsMovingAverage,
    BondsPenalty,
    BondsResetOn,
    CommitRevealWeightsEnabled,
    Kappa,
    LiquidAlphaConsensusMode,
    LiquidAlphaOn,
    MaxAllowedValidators,
    RevealPeriodEpochs,
    StakeThreshold,
    Yuma3On,
)
from chain.pallets.subtensor.storage_network import (
    LastMechansimStepBlock,
    LastYumaStepBlock,
    SubnetworkN,
    Tempo,
)
from chain.pallets.subtensor.storage_neurons import (
    Active,
    BlockAtRegistration,
    Bonds,
    Consensus,
    ConsensusByMechanism,
    Dividends,
    Emission,
    Incentive,
    Keys,
    StakeWeight,
    Uids,
    ValidatorPermit,
    ValidatorTrust,
    Weights,
)
from chain.pallets.subtensor.storage_pool import TaoWeight
from chain.pallets.subtensor.types import ConsensusMode
from chain.pallets.subtensor.vectors import FLAG, U16, U64, values
from chain.pallets.system import block_number
from chain.runtime.state import State, iter_items
from consensus.yuma import engine
from consensus.yuma.mechanisms import SubnetOutcome, merge
from consensus.yuma.rows import without_uid
from consensus.yuma.standing import earliest_commits
from consensus.yuma.types import EpochOutcome, SubnetEpoch
from ganglion.fixed import U16_MAX
from ganglion.units import AccountId, Alpha, NetUid, NetUidStorageIndex, Uid

Yuma = Callable[[SubnetEpoch], EpochOutcome]
"""The mathematics of one epoch: the fast engine on a node, or the reference in a replay."""


@dataclass(frozen=True, slots=True)
class HotkeyEmission:
    """What one neuron's hotkey earned in an epoch, before takes and nominators."""

    hotkey: AccountId
    server: Alpha
    validator: Alpha


@dataclass(frozen=True, slots=True)
class EpochResult:
    """A subnet's finished epoch."""

    emission: tuple[HotkeyEmission, ...]
    """Every neuron, by hotkey bytes ascending."""
    outcome: SubnetOutcome
    """The same and more by uid, mechanisms merged."""


def get_hotkeys(s: State, netuid: NetUid) -> list[AccountId | None]:
    """The hotkey of every uid; None where the chain has a gap."""
    held = dict(iter_items(s, Keys, netuid))
    return [held.get(uid) for uid in range(s[SubnetworkN, netuid])]


def get_commit_blocks(s: State, netuid: NetUid, index: NetUidStorageIndex) -> list[int] | None:
    """Block of each uid's earliest unrevealed commit; None without commit-reveal."""
    if not s[CommitRevealWeightsEnabled, netuid]:
        return None

    def uid_of(who: AccountId) -> int:
        uid = s[Uids, netuid, who]
        return 1 << 16 if uid is None else uid

    return earliest_commits(
        s[SubnetworkN, netuid],
        get_current_epoch(s, netuid),
        s[RevealPeriodEpochs, netuid],
        (
            (uid_of(who), [commit[1:3] for commit in queue])
            for who, queue in iter_items(s, WeightCommits, index)
        ),
        (
            (epoch, [(uid_of(commit[0]), commit[1]) for commit in commits])
            for epoch, commits in iter_items(s, TimelockedWeightCommits, index)
        ),
    )


def read_epoch(s: State, netuid: NetUid, index: NetUidStorageIndex, emission: int) -> SubnetEpoch:
    """What the engine needs for one mechanism that has `emission` to give."""
    n = s[SubnetworkN, netuid]
    hotkeys = get_hotkeys(s, netuid)
    low, high = s[AlphaValues, netuid]
    return SubnetEpoch(
        n=n,
        current_block=block_number(s),
        last_update=values(get_last_update(s, index), U64),
        block_at_registration=[
            0 if hotkey is None else s[BlockAtRegistration, netuid, Uid(uid)]
            for uid, hotkey in enumerate(hotkeys)
        ],
        alpha_stake=[0 if h is None else get_inherited_alpha(s, h, netuid) for h in hotkeys],
        tao_stake=[0 if h is None else get_inherited_tao(s, h, netuid) for h in hotkeys],
        validator_permits=list(map(bool, values(s[ValidatorPermit, netuid], FLAG))),
        weights=[s[Weights, index, Uid(uid)] for uid in range(n)],
        bonds=[s[Bonds, index, Uid(uid)] for uid in range(n)],
        tempo=s[Tempo, netuid],
        activity_cutoff_factor_milli=s[ActivityCutoffFactorMilli, netuid],
        last_mechanism_step_block=get_last_yuma_step(s, netuid),
        tao_weight=s[TaoWeight],
        stake_threshold=s[StakeThreshold],
        owner_uid=get_owner_uid(s, netuid),
        max_allowed_validators=s[MaxAllowedValidators, netuid],
        kappa=s[Kappa, netuid],
        bonds_penalty=s[BondsPenalty, netuid],
        bonds_moving_average=s[BondsMovingAverage, netuid],
        yuma3_on=s[Yuma3On, netuid],
        liquid_alpha_on=s[LiquidAlphaOn, netuid],
        alpha_low=low,
        alpha_high=high,
        alpha_sigmoid_steepness=s[AlphaSigmoidSteepness, netuid],
        liquid_consensus=get_liquid_consensus(s, netuid, index),
        commit_blocks=get_commit_blocks(s, netuid, index),
        rao_emission=emission,
    )


def get_liquid_consensus(
    s: State, netuid: NetUid, index: NetUidStorageIndex
) -> tuple[int, ...] | None:
    """The mechanism's last consensus where liquid alpha is to read that; None for the next one.

    A mechanism that has had no epoch yet has none to look back on.
    """
    mode = s[LiquidAlphaConsensusMode, netuid]
    if mode is ConsensusMode.Auto:
        is_clipped = s[BondsPenalty, netuid] == U16_MAX
        mode = ConsensusMode.Previous if is_clipped else ConsensusMode.Current
    if mode is ConsensusMode.Current or (ConsensusByMechanism, index) not in s:
        return None
    return tuple(values(s[ConsensusByMechanism, index], U16))


def do_run_epoch(s: State, netuid: NetUid, emission: int, yuma: Yuma = engine.epoch) -> EpochResult:
    """Run the epoch of every mechanism, store what they decided, and say who earned what.

    Nothing is paid here: that is for whoever distributes the emission.
    """
    parts = get_emission_parts(s, netuid, emission)
    # Each mechanism reads the permits from before the epoch: those are stored at the end.
    outcomes = [
        run_mechanism(s, netuid, index, part, yuma)
        for index, part in zip(get_indices(s, netuid), parts)
    ]
    return conclude(s, netuid, merge(outcomes, parts, emission))


def get_last_yuma_step(s: State, netuid: NetUid) -> int:
    """Block of the latest epoch that moved bonds, 0 for never."""
    last = s[LastYumaStepBlock, netuid]
    return s[LastMechansimStepBlock, netuid] if last is None else last


def conclude(s: State, netuid: NetUid, merged: SubnetOutcome) -> EpochResult:
    """Store what a subnet's mechanisms decided together, and say who earned what."""
    store_subnet(s, netuid, merged)
    earned = (
        HotkeyEmission(
            hotkey, Alpha(merged.server_emission[uid]), Alpha(merged.validator_emission[uid])
        )
        for uid, hotkey in enumerate(get_hotkeys(s, netuid))
        if hotkey is not None
    )
    return EpochResult(tuple(sorted(earned, key=lambda e: e.hotkey)), merged)


def run_mechanism(
    s: State, netuid: NetUid, index: NetUidStorageIndex, emission: int, yuma: Yuma
) -> EpochOutcome:
    """Run one mechanism's epoch and store what is kept per mechanism."""
    outcome = yuma(read_epoch(s, netuid, index, emission))
    store_mechanism(s, index, outcome)
    for uid, row in enumerate(outcome.bonds):
        s[Bonds, index, Uid(uid)] = row
    return outcome


def store_mechanism(s: State, index: NetUidStorageIndex, outcome: EpochOutcome) -> None:
    """Store what is kept per mechanism beside its bonds."""
    s[Incentive, index] = packed_u16(outcome.incentive_u16)
    s[ConsensusByMechanism, index] = packed_u16(outcome.consensus_u16)
    s.emit(IncentiveAlphaEmittedToMiners(index, tuple(map(Alpha, outcome.server_emission))))


def store_subnet(s: State, netuid: NetUid, outcome: SubnetOutcome) -> None:
    """Store what is kept per subnet."""
    s[Active, netuid] = bytes(outcome.active)
    s[Emission, netuid] = pack(f"<{len(outcome.active)}Q", *outcome.combined_emission)
    s[Consensus, netuid] = packed_u16(outcome.consensus_u16)
    s[Dividends, netuid] = packed_u16(outcome.dividends_u16)
    s[ValidatorTrust, netuid] = packed_u16(outcome.validator_trust_u16)
    s[ValidatorPermit, netuid] = bytes(outcome.new_permits)
    s[StakeWeight, netuid] = packed_u16(outcome.stake_weight_u16)


def packed_u16(numbers: tuple[int, ...]) -> bytes:
    """A per-neuron vector as storage keeps it."""
    return pack(f"<{len(numbers)}H", *numbers)


def do_reset_bonds(s: State, netuid: NetUid, hotkey: AccountId) -> None:
    """Forget every bond to a hotkey in all mechanisms, where the subnet allows it."""
    uid = s[Uids, netuid, hotkey]
    if not s[BondsResetOn, netuid] or uid is None:
        return
    for index in get_indices(s, netuid):
        for holder, row in iter_items(s, Bonds, index):
            s[Bonds, index, holder] = without_uid(row, uid)
