"""Registering a neuron: its price is spent on alpha, and the alpha is gone.

The price jumps with each registration and halves over BurnHalfLife blocks; no limit per block
or interval applies. `register` takes proof of work from old clients and ignores it.

Upstream: pallets/subtensor/src/subnets/registration.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.accounts import do_create_account, get_netuids, is_owner, is_subnet
from chain.pallets.subtensor.bonded_registration import get_requirement, pay_bonded
from chain.pallets.subtensor.clock import is_epoch_due
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_network import NeuronRegistered
from chain.pallets.subtensor.events_settings import RAORecycledForRegistrationSet
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.subtensor.pool_trades import buy_alpha, record_tao_flow
from chain.pallets.subtensor.storage_network import NetworkRegistrationAllowed
from chain.pallets.subtensor.storage_pool import SubnetAlphaOut
from chain.pallets.subtensor.storage_registration import (
    Burn,
    BurnHalfLife,
    BurnIncreaseMult,
    MaxBurn,
    MinBurn,
    RAORecycledForRegistration,
    RegistrationsThisBlock,
    RegistrationsThisInterval,
)
from chain.pallets.subtensor.tao import get_balance, pay_to_subnet
from chain.pallets.subtensor.uids import do_register_neuron, ensure_seat
from chain.pallets.system import block_number
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State
from consensus.economics import burn as price
from consensus.economics.trade import Side, default_limit
from ganglion.fixed import U16_MAX, sat_add_u64, sat_sub
from ganglion.scale import u64
from ganglion.units import ROOT_NETUID, AccountId, Alpha, NetUid, Rao


def do_register(s: State, coldkey: AccountId, netuid: NetUid, hotkey: AccountId) -> None:
    """Register a hotkey on a subnet at the price of the moment.

    Raises, in this order: RegistrationNotPermittedOnRootSubnet, SubnetNotExists,
    SubNetRegistrationDisabled, HotKeyAlreadyRegisteredInSubNet, NotEnoughBalanceToStake,
    CannotUseSystemAccount, NonAssociatedColdKey, NoNeuronIdAvailable, and what trading raises.
    """
    ensure(netuid != ROOT_NETUID, Error.RegistrationNotPermittedOnRootSubnet)
    ensure(is_subnet(s, netuid), Error.SubnetNotExists)
    ensure(s[NetworkRegistrationAllowed, netuid], Error.SubNetRegistrationDisabled)
    ensure(not is_registered(s, netuid, hotkey), Error.HotKeyAlreadyRegisteredInSubNet)
    cost = s[Burn, netuid]
    bond = get_requirement(s, netuid, cost)
    ensure(bond > 0 or cost <= get_balance(s, coldkey), Error.NotEnoughBalanceToStake)
    do_create_account(s, coldkey, hotkey)
    ensure(is_owner(s, coldkey, hotkey), Error.NonAssociatedColdKey)
    ensure_seat(s, netuid)

    if bond:
        burned = pay_bonded(s, netuid, hotkey, coldkey, cost, bond)
    else:
        burned = _burn(s, netuid, coldkey, cost)
    uid = do_register_neuron(s, netuid, hotkey)

    _raise_price(s, netuid)
    s[RegistrationsThisBlock, netuid] = min(s[RegistrationsThisBlock, netuid] + 1, U16_MAX)
    recycled = Rao(sat_add_u64(s[RAORecycledForRegistration, netuid], burned))
    s[RAORecycledForRegistration, netuid] = recycled
    s.emit(RAORecycledForRegistrationSet(netuid, recycled))
    s.emit(NeuronRegistered(netuid, uid, hotkey))


def _burn(s: State, netuid: NetUid, coldkey: AccountId, cost: Rao) -> Rao:
    """Spend the price on alpha that nobody gets; the price."""
    paid = pay_to_subnet(s, netuid, coldkey, cost)
    bought = buy_alpha(s, netuid, paid, default_limit(Side.BUY), drop_fees=False)
    s[SubnetAlphaOut, netuid] = Alpha(sat_sub(s[SubnetAlphaOut, netuid], bought.paid_out))
    record_tao_flow(s, netuid, paid)
    return cost


def _bounded(s: State, netuid: NetUid, burn: int) -> Rao:
    return Rao(price.clamped(burn, s[MinBurn, netuid], s[MaxBurn, netuid]))


def _raise_price(s: State, netuid: NetUid) -> None:
    raised = price.raised(s[Burn, netuid], s[BurnIncreaseMult, netuid])
    s[Burn, netuid] = _bounded(s, netuid, raised)


def update_registration_prices(s: State) -> None:
    """Start a block: every price falls a little, counters of the last block are reset.

    Root's interval counter is reset when its epoch is due, which never advances its clock.
    """
    now = block_number(s)
    for netuid in get_netuids(s):
        burn = s[Burn, netuid]
        fallen = _bounded(s, netuid, price.decayed(burn, s[BurnHalfLife, netuid], now))
        if fallen != burn:
            s[Burn, netuid] = fallen
        if s[RegistrationsThisBlock, netuid] or (RegistrationsThisBlock, netuid) not in s:
            s[RegistrationsThisBlock, netuid] = 0
        if netuid == ROOT_NETUID and is_epoch_due(s, netuid):
            s[RegistrationsThisInterval, netuid] = 0


@call(6, weight=349_872_000, reads=34, writes=29)
def register(
    s: State,
    who: Signed,
    netuid: NetUid,
    block_number: u64,
    nonce: u64,
    work: bytes,
    hotkey: AccountId,
    coldkey: AccountId,
) -> None:
    """Register a hotkey; the work is ignored and the signer pays, as in burned_register."""
    do_register(s, who, netuid, hotkey)


@call(7, weight=336_815_000, reads=34, writes=29)
def burned_register(s: State, coldkey: Signed, netuid: NetUid, hotkey: AccountId) -> None:
    """Register a hotkey on a subnet at the price of the moment."""
    do_register(s, coldkey, netuid, hotkey)


@call(134, weight=354_200_000, reads=47, writes=40)
def register_limit(
    s: State, coldkey: Signed, netuid: NetUid, hotkey: AccountId, limit_price: u64
) -> None:
    """Register a hotkey unless the price, in rao, is above a limit."""
    ensure(netuid != ROOT_NETUID, Error.RegistrationNotPermittedOnRootSubnet)
    ensure(is_subnet(s, netuid), Error.SubnetNotExists)
    ensure(s[Burn, netuid] <= limit_price, Error.RegistrationPriceLimitExceeded)
    do_register(s, coldkey, netuid, hotkey)
