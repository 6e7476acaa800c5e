"""All runtime APIs of the subtensor and swap pallets."""

from __future__ import annotations

from chain.pallets.subtensor.apis_baskets import basket_api
from chain.pallets.subtensor.apis_delegates import delegate_api
from chain.pallets.subtensor.apis_stake import stake_api
from chain.pallets.subtensor.apis_subnets import registration_api, subnet_api
from chain.pallets.subtensor.apis_swap import swap_api
from chain.pallets.subtensor.neuron_info import neuron_api
from chain.runtime.apis import Api

SUBTENSOR_APIS: tuple[Api, ...] = (
    delegate_api,
    neuron_api,
    subnet_api,
    stake_api,
    registration_api,
    swap_api,
    basket_api,
)
