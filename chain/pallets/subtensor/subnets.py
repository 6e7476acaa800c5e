"""Registering and starting subnets, and their symbols.

A subnet costs a lock that falls over time and doubles with each registration; the lock becomes
the TAO of its pool. When all numbers are taken, the cheapest subnet makes room.

Upstream: pallets/subtensor/src/subnets/{subnet,symbols}.rs
"""

from __future__ import annotations

from itertools import count

from chain.pallets.subtensor.accounts import (
    do_create_account,
    get_netuids,
    is_hotkey,
    is_owner,
    is_subnet,
    is_subnet_account,
)
from chain.pallets.subtensor.children import do_set_root_validators
from chain.pallets.subtensor.dissolve import do_dissolve_network
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_network import (
    FirstEmissionBlockNumberSet,
    NetworkAdded,
    SymbolUpdated,
)
from chain.pallets.subtensor.events_settings import SubnetOwnerHotkeySet
from chain.pallets.subtensor.identity import do_set_subnet_identity
from chain.pallets.subtensor.lock_cost import get_network_lock_cost, get_network_to_prune
from chain.pallets.subtensor.permissions import (
    ensure_subnet_owner,
    ensure_subnet_owner_or_root,
)
from chain.pallets.subtensor.pool_trades import add_total_stake
from chain.pallets.subtensor.price import get_median_price
from chain.pallets.subtensor.rate_limits import passes_rate_limit, set_last_block
from chain.pallets.subtensor.storage_hyperparameters import SubnetEmissionEnabled
from chain.pallets.subtensor.storage_network import (
    FirstEmissionBlockNumber,
    NetworkLastLockCost,
    NetworkMinLockCost,
    NetworkRegisteredAt,
    NetworkRegistrationStartBlock,
    NetworksAdded,
    RegisteredSubnetCounter,
    StartCallDelay,
    SubnetLimit,
    SubnetLocked,
    SubnetMechanism,
    SubnetOwner,
    SubnetOwnerHotkey,
    SubtokenEnabled,
    TokenSymbol,
)
from chain.pallets.subtensor.storage_pool import (
    SubnetAlphaIn,
    SubnetAlphaOut,
    SubnetTAO,
    SubnetVolume,
)
from chain.pallets.subtensor.storage_registration import RAORecycledForRegistration
from chain.pallets.subtensor.subnet_start import init_new_network
from chain.pallets.subtensor.symbols import SYMBOLS
from chain.pallets.subtensor.tao import get_balance, pay_to_subnet
from chain.pallets.subtensor.types import SubnetIdentityV3, TransactionType
from chain.pallets.subtensor.uids import do_append_neuron
from chain.pallets.system import block_number
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed, SignedOrRoot
from chain.runtime.pallet import call
from chain.runtime.state import State, iter_items
from ganglion.fixed import U64F64, sat_add_u64
from ganglion.units import ROOT_NETUID, AccountId, Alpha, NetUid, Rao

DYNAMIC = 1
"""The only mechanism that new subnets may have."""


def do_register_network(
    s: State, coldkey: AccountId, hotkey: AccountId, identity: SubnetIdentityV3 | None
) -> NetUid:
    """Register a subnet and make the hotkey its neuron 0.

    Raises, in this order: NonAssociatedColdKey, CannotUseSystemAccount,
    SubNetRegistrationDisabled, NetworkTxRateLimitExceeded, SubnetLimitReached,
    CannotAffordLockCost, what dissolving and paying raise, InvalidIdentity.
    """
    ensure(not is_hotkey(s, hotkey) or is_owner(s, coldkey, hotkey), Error.NonAssociatedColdKey)
    ensure(not is_subnet_account(hotkey), Error.CannotUseSystemAccount)
    now = block_number(s)
    ensure(now >= s[NetworkRegistrationStartBlock], Error.SubNetRegistrationDisabled)
    kind = TransactionType.RegisterNetwork
    is_in_time = passes_rate_limit(s, kind, coldkey, ROOT_NETUID)
    ensure(is_in_time, Error.NetworkTxRateLimitExceeded)
    pruned = _find_room(s)
    cost = get_network_lock_cost(s)
    ensure(cost <= get_balance(s, coldkey), Error.CannotAffordLockCost)

    if pruned is not None:
        do_dissolve_network(s, pruned)
    netuid = _next_netuid(s) if pruned is None else pruned
    price = get_median_price(s)
    init_new_network(s, netuid)
    locked = pay_to_subnet(s, netuid, coldkey, cost)
    s[NetworkLastLockCost] = locked
    set_last_block(s, kind, coldkey, ROOT_NETUID)
    do_create_account(s, coldkey, hotkey)
    do_append_neuron(s, netuid, hotkey)
    s[SubnetMechanism, netuid] = DYNAMIC
    s[NetworkRegisteredAt, netuid] = now
    s[RegisteredSubnetCounter, netuid] = sat_add_u64(s[RegisteredSubnetCounter, netuid], 1)
    s[TokenSymbol, netuid] = get_free_symbol(s, netuid)
    _fill_pool(s, netuid, locked, price)
    s[SubnetOwner, netuid] = coldkey
    do_set_owner_hotkey(s, netuid, hotkey)
    s[SubnetLocked, netuid] = locked
    if identity is not None:
        do_set_subnet_identity(s, netuid, identity)
    do_set_root_validators(s, netuid)
    s.emit(NetworkAdded(netuid, DYNAMIC))
    # Root switches emission on when it trusts the subnet.
    s[SubnetEmissionEnabled, netuid] = False
    return netuid


def _find_room(s: State) -> NetUid | None:
    """The subnet to dissolve when all numbers are taken; raises SubnetLimitReached."""
    taken = sum(1 for n, is_added in iter_items(s, NetworksAdded) if is_added and n != ROOT_NETUID)
    if taken < s[SubnetLimit]:
        return None
    pruned = get_network_to_prune(s)
    if pruned is None:
        raise Error.SubnetLimitReached
    return pruned


def _next_netuid(s: State) -> NetUid:
    """The lowest free number from 1 on."""
    taken = set(get_netuids(s))
    return next(NetUid(n) for n in count(1) if n not in taken)


def _fill_pool(s: State, netuid: NetUid, locked: int, price: int) -> None:
    """Put the lock into the pool, with as much alpha as it is worth at the median price."""
    tao = max(locked, s[NetworkMinLockCost])
    alpha = U64F64.to_u64(U64F64.safe_div(U64F64.from_int(tao), price))
    s[SubnetTAO, netuid] = Rao(tao)
    s[SubnetAlphaIn, netuid] = Alpha(alpha)
    s[SubnetAlphaOut, netuid] = Alpha(0)
    s[SubnetVolume, netuid] = 0
    s[RAORecycledForRegistration, netuid] = Rao(0)
    add_total_stake(s, tao)


def do_set_owner_hotkey(s: State, netuid: NetUid, hotkey: AccountId) -> None:
    """Name the hotkey that acts for the owner; raises CannotUseSystemAccount."""
    ensure(not is_subnet_account(hotkey), Error.CannotUseSystemAccount)
    s[SubnetOwnerHotkey, netuid] = hotkey
    s.emit(SubnetOwnerHotkeySet(netuid, hotkey))


def get_free_symbol(s: State, netuid: NetUid) -> bytes:
    """The symbol of the netuid, or the first free one if another subnet took it."""
    taken = {symbol for _, symbol in iter_items(s, TokenSymbol)}
    wanted = symbol_of(netuid)
    if wanted not in taken:
        return wanted
    return next((symbol for symbol in SYMBOLS[1:] if symbol not in taken), SYMBOLS[0])


def symbol_of(netuid: NetUid) -> bytes:
    """The symbol that belongs to a netuid; root's for those beyond the list."""
    return SYMBOLS[netuid] if netuid < len(SYMBOLS) else SYMBOLS[0]


@call(59, weight=277_125_000, reads=40, writes=48)
def register_network(s: State, coldkey: Signed, hotkey: AccountId) -> None:
    """Register a subnet; the hotkey becomes its first neuron."""
    do_register_network(s, coldkey, hotkey, None)


@call(79, weight=275_041_000, reads=39, writes=47)
def register_network_with_identity(
    s: State, coldkey: Signed, hotkey: AccountId, identity: SubnetIdentityV3 | None
) -> None:
    """Register a subnet and say what it is for."""
    do_register_network(s, coldkey, hotkey, identity)


@call(92, weight=39_454_000, reads=5, writes=2)
def start_call(s: State, coldkey: Signed, netuid: NetUid) -> None:
    """Start a subnet: its alpha can be traded, and emission begins with the next block."""
    ensure(is_subnet(s, netuid), Error.SubnetNotExists)
    ensure_subnet_owner(s, coldkey, netuid)
    is_new = s[FirstEmissionBlockNumber, netuid] is None
    ensure(is_new, Error.FirstEmissionBlockNumberAlreadySet)
    now = block_number(s)
    is_ripe = now >= s[NetworkRegisteredAt, netuid] + s[StartCallDelay]
    ensure(is_ripe, Error.NeedWaitingMoreBlocksToStarCall)
    s[FirstEmissionBlockNumber, netuid] = now + 1
    s[SubtokenEnabled, netuid] = True
    s.emit(FirstEmissionBlockNumberSet(netuid, now + 1))


@call(112, weight=28_313_000, reads=4, writes=1)
def update_symbol(s: State, who: SignedOrRoot, netuid: NetUid, symbol: bytes) -> None:
    """Choose a free symbol of the list for a subnet's alpha."""
    ensure_subnet_owner_or_root(s, who, netuid)
    ensure(symbol in SYMBOLS[1:], Error.SymbolDoesNotExist)
    is_taken = any(symbol == taken for _, taken in iter_items(s, TokenSymbol))
    ensure(not is_taken, Error.SymbolAlreadyInUse)
    s[TokenSymbol, netuid] = symbol
    s.emit(SymbolUpdated(netuid, symbol))
