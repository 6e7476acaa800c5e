"""AdminUtils: settings of the whole chain, for root."""

from __future__ import annotations

from typing import Annotated

from chain.pallets import aura, grandpa
from chain.pallets.admin_utils_common import Error
from chain.pallets.evm_chain_id import ChainId
from chain.pallets.subtensor import events_globals as events
from chain.pallets.subtensor import storage_delegation as delegation
from chain.pallets.subtensor import storage_hyperparameters as hyper
from chain.pallets.subtensor import storage_keys as keys
from chain.pallets.subtensor import storage_network as network
from chain.pallets.subtensor import storage_pool as pool
from chain.pallets.subtensor import storage_registration as registration
from chain.pallets.subtensor.mechanism import do_set_max_mechanism_count
from chain.pallets.subtensor.stake_utils import clear_small_nominations, get_nominator_minimum
from chain.pallets.subtensor.storage_stake import NominatorMinRequiredStake
from chain.pallets.system import block_number
from chain.runtime.errors import ensure
from chain.runtime.origin import AnyOrigin, Root
from chain.runtime.pallet import call
from chain.runtime.state import State
from ganglion.scale import AtMost, u8, u16, u64
from ganglion.units import I64F64, I96F32, U64F64, BlockNumber, MechId, PerU16, Rao

ONE = 1 << 64


@call(0, weight=lambda new_authorities: 104_442_146 + 29_392 * len(new_authorities))
def swap_authorities(
    s: State,
    origin: Root,
    new_authorities: Annotated[tuple[aura.AuraId, ...], AtMost(32)],
) -> None:
    """Set the block authors, from the next block on."""
    aura.change_authorities(s, new_authorities)


@call(1, weight=5_400_000, writes=1)
def sudo_set_default_take(s: State, origin: Root, default_take: PerU16) -> None:
    """Set the ceiling of delegate takes, with which delegates begin."""
    s[delegation.MaxDelegateTake] = default_take
    s.emit(events.MaxDelegateTakeSet(default_take))


@call(2, weight=5_440_000, writes=1)
def sudo_set_tx_rate_limit(s: State, origin: Root, tx_rate_limit: u64) -> None:
    """Set how many blocks lie between two hotkey swaps of a coldkey."""
    s[registration.TxRateLimit] = tx_rate_limit
    s.emit(events.TxRateLimitSet(tx_rate_limit))


@call(28, weight=14_000_000, writes=1)
def sudo_set_subnet_owner_cut(s: State, origin: Root, subnet_owner_cut: u16) -> None:
    """Set the owners' cut of the emission in units of 1/65535."""
    s[pool.SubnetOwnerCut] = subnet_owner_cut
    s.emit(events.SubnetOwnerCutSet(subnet_owner_cut))


@call(29, weight=14_000_000, writes=1)
def sudo_set_network_rate_limit(s: State, origin: Root, rate_limit: u64) -> None:
    """Set how many blocks lie between two subnet registrations."""
    s[network.NetworkRateLimit] = rate_limit
    s.emit(events.NetworkRateLimitSet(rate_limit))


@call(33, weight=5_931_000)
def sudo_set_total_issuance(s: State, origin: AnyOrigin, total_issuance: Rao) -> None:
    """Retired: always fails."""
    raise Error.Deprecated


@call(35, weight=14_000_000, writes=1)
def sudo_set_network_immunity_period(s: State, origin: Root, immunity_period: u64) -> None:
    """Set for how many blocks a new subnet cannot be replaced."""
    s[network.NetworkImmunityPeriod] = immunity_period
    s.emit(events.NetworkImmunityPeriodSet(immunity_period))


@call(36, weight=14_000_000, writes=1)
def sudo_set_network_min_lock_cost(s: State, origin: Root, lock_cost: Rao) -> None:
    """Set the floor of the price of a subnet."""
    s[network.NetworkMinLockCost] = lock_cost
    s.emit(events.NetworkMinLockCostSet(lock_cost))


@call(37, weight=14_000_000, writes=1)
def sudo_set_subnet_limit(s: State, origin: Root, max_subnets: u16) -> None:
    """Set how many subnets there may be."""
    s[network.SubnetLimit] = max_subnets
    s.emit(events.SubnetLimitSet(max_subnets))


@call(38, weight=14_000_000, writes=1)
def sudo_set_lock_reduction_interval(s: State, origin: Root, interval: u64) -> None:
    """Set over how many blocks the price of a subnet falls."""
    s[network.NetworkLockReductionInterval] = interval
    s.emit(events.NetworkLockCostReductionIntervalSet(interval))


@call(42, weight=5_500_000, writes=1)
def sudo_set_stake_threshold(s: State, origin: Root, min_stake: u64) -> None:
    """Set the stake that setting weights takes."""
    s[hyper.StakeThreshold] = min_stake
    s.emit(events.StakeThresholdSet(min_stake))


@call(43, weight=30_697_000, reads=5, writes=1)
def sudo_set_nominator_min_required_stake(s: State, origin: Root, min_stake: u64) -> None:
    """Set the least nomination in millionths of the least stake; smaller ones are sold."""
    before = get_nominator_minimum(s)
    s[NominatorMinRequiredStake] = min_stake
    if min_stake > before:
        clear_small_nominations(s)


@call(45, weight=5_420_000, writes=1)
def sudo_set_tx_delegate_take_rate_limit(s: State, origin: Root, tx_rate_limit: u64) -> None:
    """Set how many blocks lie between two raises of a take."""
    s[registration.TxDelegateTakeRateLimit] = tx_rate_limit
    s.emit(events.TxDelegateTakeRateLimitSet(tx_rate_limit))


@call(46, weight=5_490_000, writes=1)
def sudo_set_min_delegate_take(s: State, origin: Root, take: PerU16) -> None:
    """Set the floor of delegate takes."""
    s[delegation.MinDelegateTake] = take
    s.emit(events.MinDelegateTakeSet(take))


@call(55, weight=5_591_000, writes=1)
def sudo_set_dissolve_network_schedule_duration(
    s: State, origin: Root, duration: BlockNumber
) -> None:
    """Set the delay of scheduled dissolutions."""
    s[network.DissolveNetworkScheduleDuration] = duration
    s.emit(events.DissolveNetworkScheduleDurationSet(duration))


@call(58, weight=27_199_000, reads=1, writes=1)
def sudo_set_evm_chain_id(s: State, origin: Root, chain_id: u64) -> None:
    """Set the number that signed orders must name."""
    s[ChainId] = chain_id


@call(59, weight=lambda a, b, c: 132_972_506 + 15_444 * len(a))
def schedule_grandpa_change(
    s: State,
    origin: Root,
    next_authorities: grandpa.AuthorityList,
    in_blocks: BlockNumber,
    forced: BlockNumber | None,
) -> None:
    """Change the finality voters at the end of this block; `in_blocks` must be 0."""
    ensure(in_blocks == 0, Error.GrandpaChangeDelayMustBeZero)
    grandpa.schedule_change(s, block_number(s), next_authorities, in_blocks)


@call(63, weight=2_955_000, writes=1)
def sudo_set_subnet_moving_alpha(s: State, origin: Root, alpha: I96F32) -> None:
    """Set the weight of today's price in the average price."""
    s[pool.SubnetMovingAlpha] = alpha


@call(71, weight=6_052_000, writes=1)
def sudo_set_commit_reveal_version(s: State, origin: Root, version: u16) -> None:
    """Set the version that timelocked commits must name."""
    s[hyper.CommitRevealWeightsVersion] = version
    s.emit(events.CommitRevealVersionSet(version))


@call(73, weight=15_650_000, reads=1, writes=1)
def sudo_set_ck_burn(s: State, origin: Root, burn: u64) -> None:
    """Set the share of inherited stake that does not count."""
    s[pool.CKBurn] = burn


@call(74, weight=5_450_000, writes=1)
def sudo_set_admin_freeze_window(s: State, origin: Root, window: u16) -> None:
    """Set for how many blocks before an epoch settings are frozen."""
    s[registration.AdminFreezeWindow] = window
    s.emit(events.AdminFreezeWindowSet(window))


@call(75, weight=5_471_000, writes=1)
def sudo_set_owner_hparam_rate_limit(s: State, origin: Root, epochs: u16) -> None:
    """Set how many tempos lie between two changes of a setting by an owner."""
    s[registration.OwnerHyperparamRateLimit] = epochs
    s.emit(events.OwnerHyperparamRateLimitSet(epochs))


@call(81, weight=7_343_000, writes=1)
def sudo_set_tao_flow_cutoff(s: State, origin: Root, flow_cutoff: I64F64) -> None:
    """Set the flow below which a subnet has no share by flow."""
    s[pool.TaoFlowCutoff] = flow_cutoff


@call(82, weight=7_343_000, writes=1)
def sudo_set_tao_flow_normalization_exponent(s: State, origin: Root, exponent: U64F64) -> None:
    """Set the exponent of shares by flow, from 1 to 2."""
    ensure(ONE <= exponent <= 2 * ONE, Error.InvalidValue)
    s[pool.FlowNormExponent] = exponent


@call(83, weight=7_343_000, writes=1)
def sudo_set_tao_flow_smoothing_factor(s: State, origin: Root, smoothing_factor: u64) -> None:
    """Set how slowly the average flow follows."""
    s[pool.FlowEmaSmoothingFactor] = smoothing_factor


@call(91, weight=7_343_000, writes=1)
def sudo_set_net_tao_flow_enabled(s: State, origin: Root, enabled: bool) -> None:
    """Switch whether the protocol's own flow is deducted."""
    s[pool.NetTaoFlowEnabled] = enabled


@call(85, weight=14_000_000, writes=1)
def sudo_set_start_call_delay(s: State, origin: Root, delay: u64) -> None:
    """Set after how many blocks a new subnet may be started."""
    s[network.StartCallDelay] = delay
    s.emit(events.StartCallDelaySet(delay))


@call(86, weight=5_370_000, writes=1)
def sudo_set_coldkey_swap_announcement_delay(s: State, origin: Root, duration: BlockNumber) -> None:
    """Set how many blocks after its announcement a coldkey swap may be made."""
    s[keys.ColdkeySwapAnnouncementDelay] = duration
    s.emit(events.ColdkeySwapAnnouncementDelaySet(duration))


@call(87, weight=5_360_000, writes=1)
def sudo_set_coldkey_swap_reannouncement_delay(
    s: State, origin: Root, duration: BlockNumber
) -> None:
    """Set how many blocks later a swap may be announced anew."""
    s[keys.ColdkeySwapReannouncementDelay] = duration
    s.emit(events.ColdkeySwapReannouncementDelaySet(duration))


@call(88, weight=15_000_000, reads=1, writes=1)
def sudo_set_max_mechanism_count(s: State, origin: Root, max_mechanism_count: MechId) -> None:
    """Set how many mechanisms a subnet may have."""
    do_set_max_mechanism_count(s, max_mechanism_count)


@call(96, weight=5_530_000, writes=1)
def sudo_set_max_epochs_per_block(s: State, origin: Root, max_epochs_per_block: u8) -> None:
    """Set how many subnets may run their epoch in one block."""
    ensure(max_epochs_per_block >= 1, Error.ValueNotInBounds)
    s[network.MaxEpochsPerBlock] = max_epochs_per_block
    s.emit(events.MaxEpochsPerBlockSet(max_epochs_per_block))
