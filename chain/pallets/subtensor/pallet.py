"""SubtensorModule, put together: every module that declares storage, calls, events or errors."""

from __future__ import annotations

from chain.pallets.subtensor import (
    commit_reveal,
    constants,
    errors,
    events_globals,
    events_network,
    events_reserved,
    events_settings,
    events_stake,
    events_weights,
    storage_collateral,
    storage_commits,
    storage_delegation,
    storage_hyperparameters,
    storage_keys,
    storage_locks,
    storage_network,
    storage_neurons,
    storage_pool,
    storage_registration,
    storage_root,
    storage_stake,
    weights,
)
from chain.runtime.pallet import Pallet

MODULES = (
    constants,
    errors,
    events_network,
    events_stake,
    events_weights,
    events_settings,
    events_globals,
    events_reserved,
    storage_network,
    storage_neurons,
    storage_hyperparameters,
    storage_registration,
    storage_stake,
    storage_pool,
    storage_keys,
    storage_delegation,
    storage_root,
    storage_commits,
    storage_locks,
    storage_collateral,
    weights,
    commit_reveal,
)

pallet = Pallet("SubtensorModule", *(m.__name__ for m in MODULES), crate="pallet_subtensor").seal()
