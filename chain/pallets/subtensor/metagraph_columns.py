"""Where each column of the metagraph comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chain.pallets import commitments_store
from chain.pallets.subtensor import storage_hyperparameters as hyper
from chain.pallets.subtensor import storage_network as network
from chain.pallets.subtensor import storage_neurons as neurons
from chain.pallets.subtensor import storage_pool as pool
from chain.pallets.subtensor import storage_registration as registration
from chain.pallets.subtensor.clock import get_activity_cutoff
from chain.pallets.subtensor.metagraph import (
    COLUMNS,
    SELECTABLE,
    Metagraph,
    SelectiveMetagraph,
)
from chain.pallets.subtensor.storage_collateral import MinerCollateral
from chain.pallets.subtensor.storage_keys import IdentitiesV2
from chain.pallets.subtensor.types import NO_AXON, SubnetIdentityV3
from chain.pallets.subtensor.vectors import FLAG, U16, U64, item, values
from chain.pallets.subtensor.view import SubnetView, get_name, get_pending_alpha
from chain.runtime.state import iter_items
from ganglion.fixed import U16_MAX
from ganglion.scale import codec
from ganglion.units import NetUid

Column = Callable[[SubnetView], Any]

_IDENTITY = codec(SubnetIdentityV3 | None)


def _stored(what: Any) -> Column:
    return lambda v: v.s[what, v.netuid]


def _vector(what: Any, width: int) -> Column:
    return lambda v: tuple(values(v.s[what, v.netuid], width))


def _of_mechanism(what: Any, width: int) -> Column:
    return lambda v: tuple(values(v.s[what, v.index], width))


def _constant(value: Any) -> Column:
    return lambda v: value


def _collateral(part: str) -> Column:
    def read(v: SubnetView) -> tuple[int, ...]:
        pairs = zip(v.hotkeys, v.coldkeys, strict=True)
        states = (v.s[MinerCollateral, v.netuid, hotkey, coldkey] for hotkey, coldkey in pairs)
        return tuple(0 if state is None else getattr(state, part) for state in states)

    return read


_SETTINGS: dict[str, Column] = {
    "name": lambda v: tuple(get_name(v.s, v.netuid)),
    "symbol": lambda v: tuple(bytes(v.s[network.TokenSymbol, v.netuid])),
    "identity": _stored(network.SubnetIdentitiesV3),
    "network_registered_at": _stored(network.NetworkRegisteredAt),
    "owner_hotkey": _stored(network.SubnetOwnerHotkey),
    "owner_coldkey": _stored(network.SubnetOwner),
    "block": lambda v: v.block,
    "tempo": _stored(network.Tempo),
    "last_step": _stored(network.LastMechansimStepBlock),
    "blocks_since_last_step": lambda v: v.blocks_since_last_step,
    "subnet_emission": _constant(0),
    "alpha_in": _stored(pool.SubnetAlphaIn),
    "alpha_out": _stored(pool.SubnetAlphaOut),
    "tao_in": _stored(pool.SubnetTAO),
    "alpha_out_emission": _stored(pool.SubnetAlphaOutEmission),
    "alpha_in_emission": _stored(pool.SubnetAlphaInEmission),
    "tao_in_emission": _stored(pool.SubnetTaoInEmission),
    "pending_alpha_emission": lambda v: get_pending_alpha(v.s, v.netuid),
    "pending_root_emission": _constant(0),
    "subnet_volume": _stored(pool.SubnetVolume),
    "moving_price": _stored(pool.SubnetMovingPrice),
    "rho": _stored(hyper.Rho),
    "kappa": _stored(hyper.Kappa),
    "min_allowed_weights": _stored(hyper.MinAllowedWeights),
    "max_weights_limit": _constant(U16_MAX),
    "weights_version": _stored(hyper.WeightsVersionKey),
    "weights_rate_limit": _stored(hyper.WeightsSetRateLimit),
    "activity_cutoff": lambda v: get_activity_cutoff(v.s, v.netuid),
    "max_validators": _stored(hyper.MaxAllowedValidators),
    "num_uids": lambda v: v.count,
    "max_uids": _stored(hyper.MaxAllowedUids),
    "burn": _stored(registration.Burn),
    "difficulty": _stored(registration.Difficulty),
    "registration_allowed": _stored(network.NetworkRegistrationAllowed),
    "pow_registration_allowed": _stored(network.NetworkPowRegistrationAllowed),
    "immunity_period": _stored(hyper.ImmunityPeriod),
    "min_difficulty": _stored(registration.MinDifficulty),
    "max_difficulty": _stored(registration.MaxDifficulty),
    "min_burn": _stored(registration.MinBurn),
    "max_burn": _stored(registration.MaxBurn),
    "adjustment_alpha": _stored(registration.AdjustmentAlpha),
    "adjustment_interval": _stored(registration.AdjustmentInterval),
    "target_regs_per_interval": _stored(registration.TargetRegistrationsPerInterval),
    "max_regs_per_block": _stored(registration.MaxRegistrationsPerBlock),
    "serving_rate_limit": _stored(hyper.ServingRateLimit),
    "commit_reveal_weights_enabled": _stored(hyper.CommitRevealWeightsEnabled),
    "commit_reveal_period": _stored(hyper.RevealPeriodEpochs),
    "liquid_alpha_enabled": _stored(hyper.LiquidAlphaOn),
    "alpha_high": lambda v: v.s[hyper.AlphaValues, v.netuid][1],
    "alpha_low": lambda v: v.s[hyper.AlphaValues, v.netuid][0],
    "bonds_moving_avg": _stored(hyper.BondsMovingAverage),
}

_NEURONS: dict[str, Column] = {
    "hotkeys": lambda v: v.hotkeys,
    "coldkeys": lambda v: v.coldkeys,
    "identities": lambda v: tuple(v.s[IdentitiesV2, coldkey] for coldkey in v.coldkeys),
    "axons": lambda v: tuple(v.s[neurons.Axons, v.netuid, h] or NO_AXON for h in v.hotkeys),
    "active": _stored(neurons.Active),
    "validator_permit": _stored(neurons.ValidatorPermit),
    "pruning_score": _constant(()),
    "last_update": _of_mechanism(neurons.LastUpdate, U64),
    "emission": _vector(neurons.Emission, U64),
    "dividends": _vector(neurons.Dividends, U16),
    "incentives": _of_mechanism(neurons.Incentive, U16),
    "consensus": _vector(neurons.Consensus, U16),
    "trust": _constant(()),
    "rank": _constant(()),
    "block_at_registration": lambda v: v.registered_at,
    "alpha_stake": lambda v: v.alpha_stake,
    "tao_stake": lambda v: v.tao_stake,
    "total_stake": lambda v: v.total_stake,
    "tao_dividends_per_hotkey": lambda v: tuple((hotkey, 0) for hotkey in v.hotkeys),
    "alpha_dividends_per_hotkey": lambda v: tuple(
        (hotkey, v.s[pool.AlphaDividendsPerSubnet, v.netuid, hotkey]) for hotkey in v.hotkeys
    ),
    "collateral_locked": _collateral("locked"),
    "collateral_min": _collateral("min_locked"),
    "collateral_earned": _collateral("earned"),
}


def _validators(v: SubnetView) -> tuple[int, ...]:
    """Uids with a permit and more stake than the threshold, by rising stake."""
    permits, threshold = v.s[neurons.ValidatorPermit, v.netuid], v.s[hyper.StakeThreshold] << 64
    permitted = [
        uid for uid, _ in iter_items(v.s, neurons.Keys, v.netuid) if item(permits, FLAG, uid)
    ]
    stake = v.weighted_stake
    return tuple(u for u in sorted(permitted, key=lambda u: stake[u]) if stake[u] > threshold)


def _commitments(v: SubnetView) -> tuple[tuple[bytes, tuple[int, ...]], ...]:
    """What each neuron committed to, as its stored bytes."""
    encode = commitments_store.CommitmentOf.codec.encode
    found = iter_items(v.s, commitments_store.CommitmentOf, v.netuid)
    return tuple((who, tuple(encode(commitment))) for who, commitment in found)


_COLUMNS: dict[str, Column] = _SETTINGS | _NEURONS
_ON_REQUEST: dict[str, Column] = _COLUMNS | {
    "identity": lambda v: _IDENTITY.encode(v.s[network.SubnetIdentitiesV3, v.netuid]),
    "validators": _validators,
    "commitments": _commitments,
}


def read_metagraph(v: SubnetView, netuid: NetUid | None = None) -> Metagraph:
    """All columns, under another netuid if one is given."""
    shown = v.netuid if netuid is None else netuid
    return Metagraph(shown, *(_COLUMNS[name](v) for name in COLUMNS[1:]))


def read_selected(v: SubnetView, indexes: tuple[int, ...], netuid: int) -> Any:
    """A SelectiveMetagraph with the columns at `indexes`; unknown ones are left out."""
    wanted = {SELECTABLE[i] for i in indexes if 0 < i < len(SELECTABLE)}
    found = (_ON_REQUEST[name](v) if name in wanted else None for name in SELECTABLE[1:])
    return SelectiveMetagraph(netuid, *found)
