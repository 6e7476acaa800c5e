"""A subnet's hyperparameters in the three forms that clients ask for.

Upstream: pallets/subtensor/src/rpc_info/subnet_info.rs
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from chain.pallets.subtensor import storage_hyperparameters as hyper
from chain.pallets.subtensor import storage_network as network
from chain.pallets.subtensor import storage_registration as registration
from chain.pallets.subtensor.clock import get_activity_cutoff
from chain.pallets.subtensor.heritage import get_min_childkey_take
from chain.runtime.state import State
from ganglion.fixed import U16_MAX
from ganglion.scale import Compact, Enumeration, scale_type, u16, u32, u64, u128, variant
from ganglion.units import I32F32, U64F64, NetUid, Rao


@scale_type("pallet_subtensor::rpc_info::subnet_info::SubnetHyperparams")
@dataclass(frozen=True, slots=True)
class SubnetHyperparams:
    """The first form; `activity_cutoff` is in blocks."""

    rho: Compact[u16]
    kappa: Compact[u16]
    immunity_period: Compact[u16]
    min_allowed_weights: Compact[u16]
    max_weights_limit: Compact[u16]
    tempo: Compact[u16]
    min_difficulty: Compact[u64]
    max_difficulty: Compact[u64]
    weights_version: Compact[u64]
    weights_rate_limit: Compact[u64]
    adjustment_interval: Compact[u16]
    activity_cutoff: Compact[u64]
    registration_allowed: bool
    target_regs_per_interval: Compact[u16]
    min_burn: Compact[Rao]
    max_burn: Compact[Rao]
    bonds_moving_avg: Compact[u64]
    max_regs_per_block: Compact[u16]
    serving_rate_limit: Compact[u64]
    max_validators: Compact[u16]
    adjustment_alpha: Compact[u64]
    difficulty: Compact[u64]
    commit_reveal_period: Compact[u64]
    commit_reveal_weights_enabled: bool
    alpha_high: Compact[u16]
    alpha_low: Compact[u16]
    liquid_alpha_enabled: bool


@scale_type("pallet_subtensor::rpc_info::subnet_info::SubnetHyperparamsV2")
@dataclass(frozen=True, slots=True)
class SubnetHyperparamsV2(SubnetHyperparams):
    """The second form: six more."""

    alpha_sigmoid_steepness: I32F32
    yuma_version: Compact[u16]
    subnet_is_active: bool
    transfers_enabled: bool
    bonds_reset_enabled: bool
    user_liquidity_enabled: bool


@scale_type("pallet_subtensor::rpc_info::subnet_info::HyperparamValue")
class HyperparamValue(Enumeration):
    """A value with its type."""


@variant(0)
class Bool(HyperparamValue):
    """A switch."""

    _0: bool


@variant(1)
class U16(HyperparamValue):
    """A small number."""

    _0: Compact[u16]


@variant(2)
class U32(HyperparamValue):
    """A number."""

    _0: Compact[u32]


@variant(3)
class U64(HyperparamValue):
    """A large number."""

    _0: Compact[u64]


@variant(4)
class U128(HyperparamValue):
    """A huge number."""

    _0: Compact[u128]


@variant(5)
class TaoBalance(HyperparamValue):
    """Rao."""

    _0: Compact[Rao]


@variant(6, "I32F32")
class I32F32Value(HyperparamValue):
    """A signed fraction."""

    _0: I32F32


@variant(7, "U64F64")
class U64F64Value(HyperparamValue):
    """A factor."""

    _0: U64F64


@scale_type("pallet_subtensor::rpc_info::subnet_info::HyperparamEntry")
@dataclass(frozen=True, slots=True)
class HyperparamEntry:
    """A hyperparameter by name: the third form is a list of these."""

    name: bytes
    value: HyperparamValue


Reader = Callable[[State, NetUid], Any]


def _stored(what: Any) -> Reader:
    return lambda s, n: s[what, n]


_READ: dict[str, Reader] = {
    "rho": _stored(hyper.Rho),
    "kappa": _stored(hyper.Kappa),
    "immunity_period": _stored(hyper.ImmunityPeriod),
    "min_allowed_weights": _stored(hyper.MinAllowedWeights),
    "max_weights_limit": lambda s, n: U16_MAX,
    "tempo": _stored(network.Tempo),
    "min_difficulty": _stored(registration.MinDifficulty),
    "max_difficulty": _stored(registration.MaxDifficulty),
    "weights_version": _stored(hyper.WeightsVersionKey),
    "weights_rate_limit": _stored(hyper.WeightsSetRateLimit),
    "adjustment_interval": _stored(registration.AdjustmentInterval),
    "activity_cutoff": get_activity_cutoff,
    "activity_cutoff_factor": _stored(hyper.ActivityCutoffFactorMilli),
    "registration_allowed": _stored(network.NetworkRegistrationAllowed),
    "target_regs_per_interval": _stored(registration.TargetRegistrationsPerInterval),
    "min_burn": _stored(registration.MinBurn),
    "max_burn": _stored(registration.MaxBurn),
    "burn_half_life": _stored(registration.BurnHalfLife),
    "burn_increase_mult": _stored(registration.BurnIncreaseMult),
    "bonds_moving_avg": _stored(hyper.BondsMovingAverage),
    "max_regs_per_block": _stored(registration.MaxRegistrationsPerBlock),
    "serving_rate_limit": _stored(hyper.ServingRateLimit),
    "max_validators": _stored(hyper.MaxAllowedValidators),
    "adjustment_alpha": _stored(registration.AdjustmentAlpha),
    "difficulty": _stored(registration.Difficulty),
    "commit_reveal_period": _stored(hyper.RevealPeriodEpochs),
    "commit_reveal_weights_enabled": _stored(hyper.CommitRevealWeightsEnabled),
    "alpha_high": lambda s, n: s[hyper.AlphaValues, n][1],
    "alpha_low": lambda s, n: s[hyper.AlphaValues, n][0],
    "liquid_alpha_enabled": _stored(hyper.LiquidAlphaOn),
    "alpha_sigmoid_steepness": lambda s, n: s[hyper.AlphaSigmoidSteepness, n] << 32,
    "yuma_version": lambda s, n: 3 if s[hyper.Yuma3On, n] else 2,
    "subnet_is_active": _stored(network.SubtokenEnabled),
    "transfers_enabled": _stored(hyper.TransferToggle),
    "bonds_reset_enabled": _stored(hyper.BondsResetOn),
    "user_liquidity_enabled": lambda s, n: False,
    "owner_cut_enabled": _stored(hyper.OwnerCutEnabled),
    "owner_cut_auto_lock_enabled": _stored(hyper.OwnerCutAutoLockEnabled),
    "min_childkey_take": get_min_childkey_take,
}

_ENTRIES: dict[str, Callable[[Any], HyperparamValue]] = {
    "kappa": U16,
    "immunity_period": U16,
    "min_allowed_weights": U16,
    "max_weights_limit": U16,
    "tempo": U16,
    "weights_version": U64,
    "weights_rate_limit": U64,
    "activity_cutoff": U64,
    "activity_cutoff_factor": U32,
    "registration_allowed": Bool,
    "target_regs_per_interval": U16,
    "min_burn": TaoBalance,
    "max_burn": TaoBalance,
    "burn_half_life": U16,
    "burn_increase_mult": U64F64Value,
    "bonds_moving_avg": U64,
    "max_regs_per_block": U16,
    "serving_rate_limit": U64,
    "max_validators": U16,
    "commit_reveal_period": U64,
    "commit_reveal_weights_enabled": Bool,
    "alpha_high": U16,
    "alpha_low": U16,
    "liquid_alpha_enabled": Bool,
    "alpha_sigmoid_steepness": I32F32Value,
    "yuma_version": U16,
    "subnet_is_active": Bool,
    "transfers_enabled": Bool,
    "bonds_reset_enabled": Bool,
    "user_liquidity_enabled": Bool,
    "owner_cut_enabled": Bool,
    "owner_cut_auto_lock_enabled": Bool,
    "min_childkey_take": U16,
}
"""The third form, in upstream's order."""


def read_hyperparameters(s: State, netuid: NetUid, form: type[Any]) -> Any:
    """SubnetHyperparams or SubnetHyperparamsV2 of a subnet."""
    return form(*(_READ[field.name](s, netuid) for field in fields(form)))


def read_entries(s: State, netuid: NetUid) -> tuple[HyperparamEntry, ...]:
    """The third form."""
    return tuple(
        HyperparamEntry(name.encode(), wrap(_READ[name](s, netuid)))
        for name, wrap in _ENTRIES.items()
    )
