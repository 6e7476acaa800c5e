"""What every new subnet starts with.

Upstream: pallets/subtensor/src/subnets/subnet.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.constants import InitialTempo
from chain.pallets.subtensor.events_settings import (
    ImmunityPeriodSet,
    MaxAllowedUidsSet,
    MaxAllowedValidatorsSet,
    MinAllowedWeightSet,
    RegistrationAllowed,
)
from chain.pallets.subtensor.storage_hyperparameters import (
    ActivityCutoff,
    ImmunityPeriod,
    Kappa,
    MaxAllowedUids,
    MaxAllowedValidators,
    MinAllowedWeights,
    SubnetEmissionEnabled,
    Yuma3On,
)
from chain.pallets.subtensor.storage_network import (
    LastEpochBlock,
    NetworkRegistrationAllowed,
    NetworksAdded,
    SubnetworkN,
    Tempo,
    TotalNetworks,
)
from chain.pallets.subtensor.storage_registration import Burn, RegistrationsThisInterval
from chain.pallets.system import block_number
from chain.runtime.state import State
from ganglion.fixed import U16_MAX, sat_sub
from ganglion.units import NetUid, Rao

SEATS = 256
VALIDATORS = 64
MIN_WEIGHTS = 1
IMMUNITY = 5000
FIRST_BURN = Rao(1_000_000_000)


def init_new_network(s: State, netuid: NetUid) -> None:
    """Switch a subnet on, empty; what is not set here keeps its default or its old value."""
    tempo = InitialTempo.value
    s[SubnetworkN, netuid] = 0
    s[NetworksAdded, netuid] = True
    s[Tempo, netuid] = tempo
    # Subnets of one tempo run their epochs in different blocks.
    stagger = netuid % max(tempo, 1)
    s[LastEpochBlock, netuid] = sat_sub(block_number(s), stagger)
    s[TotalNetworks] = min(s[TotalNetworks] + 1, U16_MAX)

    s[NetworkRegistrationAllowed, netuid] = True
    s.emit(RegistrationAllowed(netuid, True))
    s[MaxAllowedUids, netuid] = SEATS
    s.emit(MaxAllowedUidsSet(netuid, SEATS))
    s[MaxAllowedValidators, netuid] = VALIDATORS
    s.emit(MaxAllowedValidatorsSet(netuid, VALIDATORS))
    s[MinAllowedWeights, netuid] = MIN_WEIGHTS
    s.emit(MinAllowedWeightSet(netuid, MIN_WEIGHTS))
    s[ImmunityPeriod, netuid] = IMMUNITY
    s.emit(ImmunityPeriodSet(netuid, IMMUNITY))
    s[Yuma3On, netuid] = True
    s[Burn, netuid] = FIRST_BURN
    s[SubnetEmissionEnabled, netuid] = True
    # These entries are written even at their defaults: they survive a change of the default.
    s[Kappa, netuid] = s[Kappa, netuid]
    s[ActivityCutoff, netuid] = s[ActivityCutoff, netuid]
    s[RegistrationsThisInterval, netuid] = s[RegistrationsThisInterval, netuid]
