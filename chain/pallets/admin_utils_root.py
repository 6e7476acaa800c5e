"""AdminUtils: what only root may set for one subnet."""

from __future__ import annotations

from chain.pallets.admin_utils_common import (
    Error,
    SubnetEmissionEnabledSet,
    ensure_subnet,
    ensure_user_subnet,
)
from chain.pallets.subtensor import storage_hyperparameters as hyper
from chain.pallets.subtensor import storage_registration as registration
from chain.pallets.subtensor.events_settings import (
    AdjustmentIntervalSet,
    DifficultySet,
    KappaSet,
    MaxAllowedValidatorsSet,
    MaxRegistrationsPerBlockSet,
    MinAllowedUidsSet,
    MinDifficultySet,
    MinNonImmuneUidsSet,
    RAORecycledForRegistrationSet,
    RegistrationAllowed,
    RegistrationPerIntervalSet,
    WeightsSetRateLimitSet,
)
from chain.pallets.subtensor.neurons import is_null
from chain.pallets.subtensor.permissions import ensure_not_frozen
from chain.pallets.subtensor.storage_network import (
    NetworkRegistrationAllowed,
    SubnetworkN,
    SubtokenEnabled,
)
from chain.runtime.errors import ensure
from chain.runtime.origin import AnyOrigin, Root
from chain.runtime.pallet import call
from chain.runtime.state import State
from ganglion.scale import u16, u64
from ganglion.units import NetUid, Rao


@call(4, weight=34_554_000, reads=5, writes=1)
def sudo_set_min_difficulty(s: State, origin: Root, netuid: NetUid, min_difficulty: u64) -> None:
    """Set the floor of the proof-of-work difficulty."""
    ensure_not_frozen(s, netuid)
    ensure_subnet(s, netuid)
    s[registration.MinDifficulty, netuid] = min_difficulty
    s.emit(MinDifficultySet(netuid, min_difficulty))


@call(7, weight=16_420_000, reads=1, writes=1)
def sudo_set_weights_set_rate_limit(
    s: State, origin: Root, netuid: NetUid, weights_set_rate_limit: u64
) -> None:
    """Set how many blocks lie between two weight settings of a neuron."""
    ensure_subnet(s, netuid)
    s[hyper.WeightsSetRateLimit, netuid] = weights_set_rate_limit
    s.emit(WeightsSetRateLimitSet(netuid, weights_set_rate_limit))


@call(8, weight=16_320_000, reads=1, writes=1)
def sudo_set_adjustment_interval(
    s: State, origin: Root, netuid: NetUid, adjustment_interval: u16
) -> None:
    """Set the adjustment interval."""
    ensure_subnet(s, netuid)
    s[registration.AdjustmentInterval, netuid] = adjustment_interval
    s.emit(AdjustmentIntervalSet(netuid, adjustment_interval))


@call(16, weight=16_301_000, reads=1, writes=1)
def sudo_set_kappa(s: State, origin: Root, netuid: NetUid, kappa: u16) -> None:
    """Set the consensus majority in units of 1/65535."""
    ensure_subnet(s, netuid)
    s[hyper.Kappa, netuid] = kappa
    s.emit(KappaSet(netuid, kappa))


@call(19, weight=7_113_000, writes=1)
def sudo_set_network_registration_allowed(
    s: State, origin: Root, netuid: NetUid, registration_allowed: bool
) -> None:
    """Open or close registration."""
    s[NetworkRegistrationAllowed, netuid] = registration_allowed
    s.emit(RegistrationAllowed(netuid, registration_allowed))


@call(20, weight=14_000_000, writes=1)
def sudo_set_network_pow_registration_allowed(
    s: State, origin: AnyOrigin, netuid: NetUid, registration_allowed: bool
) -> None:
    """Retired together with proof-of-work registration: always fails."""
    raise Error.POWRegistrationDisabled


@call(21, weight=34_103_000, reads=5, writes=1)
def sudo_set_target_registrations_per_interval(
    s: State, origin: Root, netuid: NetUid, target_registrations_per_interval: u16
) -> None:
    """Set the number of registrations that an interval should see."""
    ensure_not_frozen(s, netuid)
    ensure_subnet(s, netuid)
    s[registration.TargetRegistrationsPerInterval, netuid] = target_registrations_per_interval
    s.emit(RegistrationPerIntervalSet(netuid, target_registrations_per_interval))


@call(24, weight=34_434_000, reads=5, writes=1)
def sudo_set_difficulty(s: State, origin: Root, netuid: NetUid, difficulty: u64) -> None:
    """Set the proof-of-work difficulty."""
    ensure_not_frozen(s, netuid)
    ensure_subnet(s, netuid)
    s[registration.Difficulty, netuid] = difficulty
    s.emit(DifficultySet(netuid, difficulty))


@call(25, weight=35_896_000, reads=6, writes=1)
def sudo_set_max_allowed_validators(
    s: State, origin: Root, netuid: NetUid, max_allowed_validators: u16
) -> None:
    """Set the number of validator permits."""
    ensure_not_frozen(s, netuid)
    ensure_subnet(s, netuid)
    ensure(max_allowed_validators == 1 or not is_null(s, netuid), Error.InvalidValue)
    seats = s[hyper.MaxAllowedUids, netuid]
    ensure(max_allowed_validators <= seats, Error.MaxValidatorsLargerThanMaxUIds)
    s[hyper.MaxAllowedValidators, netuid] = max_allowed_validators
    s.emit(MaxAllowedValidatorsSet(netuid, max_allowed_validators))


@call(27, weight=34_604_000, reads=5, writes=1)
def sudo_set_max_registrations_per_block(
    s: State, origin: Root, netuid: NetUid, max_registrations_per_block: u16
) -> None:
    """Set how many neurons may register in one block."""
    ensure_not_frozen(s, netuid)
    ensure_subnet(s, netuid)
    s[registration.MaxRegistrationsPerBlock, netuid] = max_registrations_per_block
    s.emit(MaxRegistrationsPerBlockSet(netuid, max_registrations_per_block))


@call(39, weight=16_541_000, reads=1, writes=1)
def sudo_set_rao_recycled(s: State, origin: Root, netuid: NetUid, rao_recycled: Rao) -> None:
    """Set the sum that registrations have recycled."""
    ensure_subnet(s, netuid)
    s[registration.RAORecycledForRegistration, netuid] = rao_recycled
    s.emit(RAORecycledForRegistrationSet(netuid, rao_recycled))


@call(65, weight=4_198_000, writes=1)
def sudo_set_ema_price_halving_period(
    s: State, origin: Root, netuid: NetUid, ema_halving: u64
) -> None:
    """Set in how many blocks the weight of the past in the average price halves."""
    s[hyper.EMAPriceHalvingBlocks, netuid] = ema_halving


@call(66, weight=25_467_000, reads=4, writes=1)
def sudo_set_subtoken_enabled(
    s: State, origin: Root, netuid: NetUid, subtoken_enabled: bool
) -> None:
    """Switch whether a subnet's alpha is traded."""
    ensure_not_frozen(s, netuid)
    s[SubtokenEnabled, netuid] = subtoken_enabled


@call(79, weight=37_890_000, reads=7, writes=1)
def sudo_set_min_allowed_uids(
    s: State, origin: Root, netuid: NetUid, min_allowed_uids: u16
) -> None:
    """Set the floor of a subnet's number of seats."""
    ensure_not_frozen(s, netuid)
    ensure_subnet(s, netuid)
    seats, taken = s[hyper.MaxAllowedUids, netuid], s[SubnetworkN, netuid]
    ensure(min_allowed_uids < seats, Error.MinAllowedUidsGreaterThanMaxAllowedUids)
    ensure(min_allowed_uids < taken, Error.MinAllowedUidsGreaterThanCurrentUids)
    s[hyper.MinAllowedUids, netuid] = min_allowed_uids
    s.emit(MinAllowedUidsSet(netuid, min_allowed_uids))


@call(84, weight=6_783_000, writes=1)
def sudo_set_min_non_immune_uids(s: State, origin: Root, netuid: NetUid, min: u16) -> None:
    """Set how many neurons must stay replaceable."""
    s[hyper.MinNonImmuneUids, netuid] = min
    s.emit(MinNonImmuneUidsSet(netuid, min))


@call(94, weight=16_351_000, reads=1, writes=1)
def sudo_set_subnet_emission_enabled(s: State, origin: Root, netuid: NetUid, enabled: bool) -> None:
    """Switch a subnet's part in emission."""
    ensure_user_subnet(s, netuid)
    s[hyper.SubnetEmissionEnabled, netuid] = enabled
    s.emit(SubnetEmissionEnabledSet(netuid, enabled))
