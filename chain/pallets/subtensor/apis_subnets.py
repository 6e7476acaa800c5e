"""SubnetInfoRuntimeApi and SubnetRegistrationRuntimeApi: what clients ask about subnets.

Upstream: pallets/subtensor/runtime-api/src/lib.rs
"""

from __future__ import annotations

from chain.pallets.subtensor import storage_hyperparameters as hyper
from chain.pallets.subtensor import storage_network as network
from chain.pallets.subtensor import storage_neurons as neurons
from chain.pallets.subtensor import storage_pool as pool
from chain.pallets.subtensor.accounts import get_netuids, get_subnet_account, is_subnet
from chain.pallets.subtensor.clock import get_clock
from chain.pallets.subtensor.hyperparameter_info import (
    HyperparamEntry,
    SubnetHyperparams,
    SubnetHyperparamsV2,
    read_entries,
    read_hyperparameters,
)
from chain.pallets.subtensor.lock_cost import get_network_lock_cost, get_network_to_prune
from chain.pallets.subtensor.metagraph import Metagraph, SelectiveMetagraph
from chain.pallets.subtensor.metagraph_columns import read_metagraph, read_selected
from chain.pallets.subtensor.storage_registration import Burn, Difficulty
from chain.pallets.subtensor.storage_stake import AutoStakeDestination, TotalIssuance
from chain.pallets.subtensor.subnet_info import (
    DynamicInfo,
    SubnetInfo,
    SubnetInfov2,
    SubnetState,
)
from chain.pallets.subtensor.vectors import U16, U64, values
from chain.pallets.subtensor.view import SubnetView, get_name, get_pending_alpha
from chain.runtime.apis import Api
from chain.runtime.state import State
from consensus.economics.issuance import block_emission
from ganglion.fixed import U16_MAX
from ganglion.scale import u16, u64
from ganglion.units import AccountId, Alpha, MechId, NetUid, PerU16, Rao

subnet_api = Api("SubnetInfoRuntimeApi", 2, "Subnets.")
registration_api = Api("SubnetRegistrationRuntimeApi", 1, "The price of a subnet.")


def _sorted_netuids(s: State) -> list[NetUid]:
    return sorted(n for n in get_netuids(s) if is_subnet(s, n))


@subnet_api.method
def get_subnet_info(s: State, netuid: NetUid) -> SubnetInfo | None:
    """A subnet's settings."""
    full = get_subnet_info_v2(s, netuid)
    if full is None:
        return None
    shared = [getattr(full, name) for name in SubnetInfov2.__slots__[:-1]]
    return SubnetInfo(*shared)


@subnet_api.method
def get_subnets_info(s: State) -> tuple[SubnetInfo | None, ...]:
    """Settings of all subnets, by number."""
    return tuple(get_subnet_info(s, netuid) for netuid in _sorted_netuids(s))


@subnet_api.method
def get_subnet_info_v2(s: State, netuid: NetUid) -> SubnetInfov2 | None:
    """A subnet's settings and identity."""
    if not is_subnet(s, netuid):
        return None
    return SubnetInfov2(
        netuid,
        s[hyper.Rho, netuid],
        s[hyper.Kappa, netuid],
        s[Difficulty, netuid],
        s[hyper.ImmunityPeriod, netuid],
        s[hyper.MaxAllowedValidators, netuid],
        s[hyper.MinAllowedWeights, netuid],
        U16_MAX,
        s[hyper.ScalingLawPower, netuid],
        s[network.SubnetworkN, netuid],
        s[hyper.MaxAllowedUids, netuid],
        s[network.BlocksSinceLastStep, netuid],
        s[network.Tempo, netuid],
        0,
        (),
        0,
        s[Burn, netuid],
        s[network.SubnetOwner, netuid],
        s[network.SubnetIdentitiesV3, netuid],
    )


@subnet_api.method
def get_subnets_info_v2(s: State) -> tuple[SubnetInfov2 | None, ...]:
    """Settings and identities of all subnets, by number."""
    return tuple(get_subnet_info_v2(s, netuid) for netuid in _sorted_netuids(s))


@subnet_api.method
def get_subnet_hyperparams(s: State, netuid: NetUid) -> SubnetHyperparams | None:
    """Hyperparameters in the first form."""
    known = is_subnet(s, netuid)
    return read_hyperparameters(s, netuid, SubnetHyperparams) if known else None


@subnet_api.method
def get_subnet_hyperparams_v2(s: State, netuid: NetUid) -> SubnetHyperparamsV2 | None:
    """Hyperparameters in the second form."""
    known = is_subnet(s, netuid)
    return read_hyperparameters(s, netuid, SubnetHyperparamsV2) if known else None


@subnet_api.method
def get_all_dynamic_info(s: State) -> tuple[DynamicInfo | None, ...]:
    """Pools and clocks of all subnets, in storage order."""
    return tuple(get_dynamic_info(s, netuid) for netuid in get_netuids(s))


@subnet_api.method
def get_all_metagraphs(s: State) -> tuple[Metagraph | None, ...]:
    """Metagraphs of all subnets, in storage order."""
    return tuple(get_metagraph(s, netuid) for netuid in get_netuids(s))


@subnet_api.method
def get_metagraph(s: State, netuid: NetUid) -> Metagraph | None:
    """A subnet's metagraph."""
    return read_metagraph(SubnetView(s, netuid)) if is_subnet(s, netuid) else None


@subnet_api.method
def get_all_mechagraphs(s: State) -> tuple[Metagraph | None, ...]:
    """Metagraphs of all mechanisms of all subnets, in storage order."""
    return tuple(
        get_mechagraph(s, netuid, MechId(mecid))
        for netuid in get_netuids(s)
        for mecid in range(s[network.MechanismCountCurrent, netuid])
    )


@subnet_api.method
def get_mechagraph(s: State, netuid: NetUid, mecid: MechId) -> Metagraph | None:
    """The metagraph of a mechanism; its netuid is the mechanism's storage index."""
    if not is_subnet(s, netuid) or mecid >= s[network.MechanismCountCurrent, netuid]:
        return None
    view = SubnetView(s, netuid, mecid)
    return read_metagraph(view, NetUid(view.index))


@subnet_api.method
def get_dynamic_info(s: State, netuid: NetUid) -> DynamicInfo | None:
    """A subnet's pool and clock."""
    if not is_subnet(s, netuid):
        return None
    return DynamicInfo(
        netuid,
        s[network.SubnetOwnerHotkey, netuid],
        s[network.SubnetOwner, netuid],
        tuple(get_name(s, netuid)),
        tuple(bytes(s[network.TokenSymbol, netuid])),
        s[network.Tempo, netuid],
        s[network.LastMechansimStepBlock, netuid],
        SubnetView(s, netuid).blocks_since_last_step,
        0,
        s[pool.SubnetAlphaIn, netuid],
        s[pool.SubnetAlphaOut, netuid],
        s[pool.SubnetTAO, netuid],
        s[pool.SubnetAlphaOutEmission, netuid],
        s[pool.SubnetAlphaInEmission, netuid],
        s[pool.SubnetTaoInEmission, netuid],
        get_pending_alpha(s, netuid),
        Rao(0),
        s[pool.SubnetVolume, netuid],
        s[network.NetworkRegisteredAt, netuid],
        s[network.SubnetIdentitiesV3, netuid],
        s[pool.SubnetMovingPrice, netuid],
    )


@subnet_api.method
def get_subnet_state(s: State, netuid: NetUid) -> SubnetState | None:
    """A subnet's neurons by column, and what each hotkey last earned on every subnet."""
    if not is_subnet(s, netuid):
        return None
    v = SubnetView(s, netuid)
    history = tuple(
        tuple(Alpha(s[pool.LastHotkeyEmissionOnNetuid, hotkey, n]) for hotkey in v.hotkeys)
        for n in get_netuids(s)
    )
    return SubnetState(
        netuid,
        v.hotkeys,
        v.coldkeys,
        s[neurons.Active, netuid],
        s[neurons.ValidatorPermit, netuid],
        (),
        tuple(values(s[neurons.LastUpdate, v.index], U64)),
        tuple(Alpha(n) for n in values(s[neurons.Emission, netuid], U64)),
        _shares(s[neurons.Dividends, netuid]),
        _shares(s[neurons.Incentive, v.index]),
        _shares(s[neurons.Consensus, netuid]),
        (),
        (),
        v.registered_at,
        v.alpha_stake,
        v.tao_stake,
        v.total_stake,
        history,
    )


def _shares(packed: bytes) -> tuple[PerU16, ...]:
    return tuple(PerU16(share) for share in values(packed, U16))


@subnet_api.method
def get_selective_metagraph(
    s: State, netuid: NetUid, metagraph_indexes: tuple[u16, ...]
) -> SelectiveMetagraph | None:
    """Some columns of a metagraph; its netuid is 0 unless column 0 is asked for."""
    if not is_subnet(s, netuid):
        return None
    shown = netuid if 0 in metagraph_indexes else NetUid(0)
    return read_selected(SubnetView(s, netuid), metagraph_indexes, shown)


@subnet_api.method
def get_coldkey_auto_stake_hotkey(s: State, coldkey: AccountId, netuid: NetUid) -> AccountId | None:
    """Where a coldkey's mining reward is staked."""
    return s[AutoStakeDestination, coldkey, netuid]


@subnet_api.method
def get_selective_mechagraph(
    s: State, netuid: NetUid, subid: MechId, metagraph_indexes: tuple[u16, ...]
) -> SelectiveMetagraph | None:
    """Some columns of a mechanism's metagraph."""
    if not is_subnet(s, netuid):
        return None
    return read_selected(SubnetView(s, netuid, subid), metagraph_indexes, netuid)


@subnet_api.method
def get_subnet_to_prune(s: State) -> NetUid | None:
    """The subnet that would make room for a new one."""
    return get_network_to_prune(s)


@subnet_api.method
def get_subnet_account_id(s: State, netuid: NetUid) -> AccountId | None:
    """The account that holds a subnet's TAO."""
    return get_subnet_account(s, netuid)


@subnet_api.method
def get_next_epoch_start_block(s: State, netuid: NetUid) -> u64 | None:
    """The block of a subnet's next epoch."""
    return get_clock(s, netuid).next_start()


@subnet_api.method
def get_block_emission(s: State) -> Rao:
    """TAO minted by the next block."""
    return Rao(block_emission(s[TotalIssuance]))


@subnet_api.method
def get_subnet_hyperparams_v3(s: State, netuid: NetUid) -> tuple[HyperparamEntry, ...] | None:
    """Hyperparameters as a list of names and values."""
    return read_entries(s, netuid) if is_subnet(s, netuid) else None


@registration_api.method
def get_network_registration_cost(s: State) -> Rao:
    """What the next subnet costs."""
    return get_network_lock_cost(s)
