"""Removing what storage holds about a subnet, so that its number can be used again.

Upstream: pallets/subtensor/src/coinbase/root.rs, staking/lock.rs
"""

from __future__ import annotations

from typing import Any

from chain.pallets.subtensor import storage_baskets as baskets
from chain.pallets.subtensor import storage_collateral as collateral
from chain.pallets.subtensor import storage_commits as commits
from chain.pallets.subtensor import storage_delegation as delegation
from chain.pallets.subtensor import storage_hyperparameters as hyper
from chain.pallets.subtensor import storage_keys as keys
from chain.pallets.subtensor import storage_locks as locks
from chain.pallets.subtensor import storage_network as network
from chain.pallets.subtensor import storage_neurons as neurons
from chain.pallets.subtensor import storage_pool as pool
from chain.pallets.subtensor import storage_registration as registration
from chain.pallets.subtensor import storage_stake as stake
from chain.pallets.subtensor.events_network import SubnetIdentityRemoved
from chain.pallets.subtensor.lease_dividends import forget_lease
from chain.pallets.subtensor.neurons import get_indices, storage_index
from chain.pallets.subtensor.vectors import packed_pairs, pairs
from chain.runtime.state import State, clear_prefix, iter_items, iter_keys
from ganglion.fixed import sat_sub
from ganglion.units import ROOT_NETUID, NetUid

PER_SUBNET: tuple[Any, ...] = (
    network.SubnetOwner,
    network.SubnetworkN,
    network.NetworksAdded,
    network.NetworkRegisteredAt,
    neurons.Active,
    neurons.Emission,
    neurons.Consensus,
    neurons.Dividends,
    neurons.ValidatorPermit,
    neurons.ValidatorTrust,
    network.Tempo,
    hyper.Kappa,
    registration.Difficulty,
    hyper.MaxAllowedUids,
    hyper.ImmunityPeriod,
    hyper.ActivityCutoff,
    hyper.ActivityCutoffFactorMilli,
    network.LastEpochBlock,
    network.PendingEpochAt,
    network.SubnetEpochIndex,
    network.SubnetEpochConsensus,
    network.LastYumaStepBlock,
    network.SavedYumaMaxAllowedValidators,
    hyper.MinAllowedWeights,
    registration.RegistrationsThisInterval,
    registration.POWRegistrationsThisInterval,
    registration.BurnRegistrationsThisInterval,
    pool.SubnetAlphaInEmission,
    pool.SubnetAlphaOutEmission,
    pool.SubnetTaoInEmission,
    pool.SubnetVolume,
    pool.SubnetMovingPrice,
    baskets.SubnetFastMovingPrice,
    pool.SubnetTaoFlow,
    pool.SubnetEmaTaoFlow,
    pool.SubnetProtocolFlow,
    pool.SubnetEmaProtocolFlow,
    pool.SubnetExcessTao,
    pool.SubnetRootSellTao,
    network.TokenSymbol,
    network.SubnetMechanism,
    network.SubnetOwnerHotkey,
    network.NetworkRegistrationAllowed,
    network.NetworkPowRegistrationAllowed,
    hyper.TransferToggle,
    network.SubnetLocked,
    network.LargestLocked,
    network.FirstEmissionBlockNumber,
    pool.PendingValidatorEmission,
    pool.PendingServerEmission,
    pool.PendingRootAlphaDivs,
    pool.PendingOwnerCut,
    neurons.MinerBurned,
    network.BlocksSinceLastStep,
    network.LastMechansimStepBlock,
    registration.LastAdjustmentBlock,
    hyper.ServingRateLimit,
    hyper.Rho,
    hyper.AlphaSigmoidSteepness,
    hyper.MaxAllowedValidators,
    hyper.BondsMovingAverage,
    hyper.BondsPenalty,
    hyper.BondsResetOn,
    hyper.WeightsSetRateLimit,
    hyper.ValidatorPruneLen,
    hyper.ScalingLawPower,
    registration.TargetRegistrationsPerInterval,
    hyper.CommitRevealWeightsEnabled,
    registration.BurnHalfLife,
    registration.BurnIncreaseMult,
    registration.Burn,
    registration.MinBurn,
    registration.MaxBurn,
    registration.MinDifficulty,
    registration.MaxDifficulty,
    registration.RegistrationsThisBlock,
    hyper.EMAPriceHalvingBlocks,
    registration.RAORecycledForRegistration,
    registration.MaxRegistrationsPerBlock,
    hyper.WeightsVersionKey,
    hyper.LiquidAlphaOn,
    hyper.LiquidAlphaConsensusMode,
    hyper.Yuma3On,
    hyper.AlphaValues,
    network.SubtokenEnabled,
    hyper.OwnerCutAutoLockEnabled,
    hyper.ImmuneOwnerUidsLimit,
    neurons.StakeWeight,
    neurons.LoadedEmission,
    hyper.RevealPeriodEpochs,
    network.MechanismEmissionSplit,
    collateral.CollateralLockShare,
    collateral.CollateralDrainRatio,
)
"""Maps with one entry a subnet."""

NETUID_FIRST: tuple[Any, ...] = (
    neurons.Uids,
    neurons.Keys,
    neurons.BlockAtRegistration,
    neurons.Axons,
    neurons.NeuronCertificates,
    neurons.Prometheus,
    pool.AlphaDividendsPerSubnet,
    delegation.PendingChildKeys,
    keys.LastHotkeySwapOnNetuid,
    keys.HotkeySuccessor,
    keys.AssociatedEvmAddress,
    keys.AssociatedUidsByEvmAddress,
    keys.HotkeyRoot,
    collateral.MinerCollateral,
    collateral.ColdkeyMinerCollateral,
    collateral.ColdkeyCollateralHotkeys,
)
"""Maps whose first key is the netuid."""

NETUID_SECOND: tuple[Any, ...] = (
    delegation.ChildkeyTake,
    delegation.ChildKeys,
    delegation.ParentKeys,
    pool.LastHotkeyEmissionOnNetuid,
    stake.TotalHotkeyAlphaLastEpoch,
    registration.TransactionKeyLastBlock,
)
"""Maps whose second key is the netuid: they are searched from end to end."""

PER_MECHANISM: tuple[Any, ...] = (
    neurons.LastUpdate,
    neurons.Incentive,
    neurons.ConsensusByMechanism,
)
MECHANISM_FIRST: tuple[Any, ...] = (
    commits.WeightCommits,
    commits.TimelockedWeightCommits,
    commits.CRV3WeightCommits,
    commits.CRV3WeightCommitsV2,
    neurons.Bonds,
    neurons.Weights,
)


def remove_network(s: State, netuid: NetUid) -> None:
    """Forget the subnet; its stake, pool and locks must be gone already."""
    hotkeys = [hotkey for _, hotkey in iter_items(s, neurons.Keys, netuid)]
    for hotkey in hotkeys:
        del s[neurons.IsNetworkMember, hotkey, netuid]
    s[network.TotalNetworks] = sat_sub(s[network.TotalNetworks], 1)
    _forget_root_weights(s, netuid)
    for index in get_indices(s, netuid):
        for item in PER_MECHANISM:
            del s[item, index]
        for item in MECHANISM_FIRST:
            clear_prefix(s, item, index)
    del s[network.MechanismCountCurrent, netuid]
    for item in PER_SUBNET:
        del s[item, netuid]
    for item in NETUID_FIRST:
        clear_prefix(s, item, netuid)
    for item in NETUID_SECOND:
        _clear_second(s, item, netuid)
    forget_lease(s, netuid)
    if (network.SubnetIdentitiesV3, netuid) in s:
        del s[network.SubnetIdentitiesV3, netuid]
        s.emit(SubnetIdentityRemoved(netuid))


def _clear_second(s: State, item: Any, netuid: NetUid) -> None:
    for rest in iter_keys(s, item):
        if rest[1] == netuid:
            del s[(item, *rest)]


def _forget_root_weights(s: State, netuid: NetUid) -> None:
    """Weights that root once gave this subnet become zero."""
    root = storage_index(ROOT_NETUID)
    for uid, row in iter_items(s, neurons.Weights, root):
        changed = [(to, 0 if to == netuid else weight) for to, weight in pairs(row)]
        s[neurons.Weights, root, uid] = packed_pairs(changed)


def remove_locks(s: State, netuid: NetUid) -> None:
    """Forget all locks on a subnet, and their sums."""
    for hotkey, coldkey in iter_keys(s, locks.LockingColdkeys, netuid):
        del s[locks.Lock, coldkey, netuid, hotkey]
    for item in (locks.LockingColdkeys, locks.HotkeyLock, locks.DecayingHotkeyLock):
        clear_prefix(s, item, netuid)
    del s[locks.OwnerLock, netuid]
    del s[locks.DecayingOwnerLock, netuid]
    _clear_second(s, locks.DecayingLock, netuid)
