"""Dissolving a subnet: its TAO goes to the holders of its alpha, then every trace is removed.

The pot is shared by the value of alpha, whole rao by largest remainder. What the protocol holds
counts as a holder, and its part is recycled with whatever else is left on the subnet's account.

Upstream: pallets/subtensor/src/staking/remove_stake.rs, coinbase/root.rs
"""

from __future__ import annotations

from chain.pallets import commitments_store, swap
from chain.pallets.subtensor.accounts import compute_subnet_account, is_subnet
from chain.pallets.subtensor.alpha import get_alpha_issuance
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_network import NetworkRemoved
from chain.pallets.subtensor.fund_claims import leave_subnet
from chain.pallets.subtensor.fund_records import drop_waiting
from chain.pallets.subtensor.network_removal import remove_locks, remove_network
from chain.pallets.subtensor.root_claim import forget_root_dividends
from chain.pallets.subtensor.share_pool import get_positions, get_stake
from chain.pallets.subtensor.storage_network import (
    NetworkRegisteredAt,
    NetworkRegistrationStartBlock,
    SubnetLocked,
    SubnetOwner,
)
from chain.pallets.subtensor.storage_pool import (
    SubnetAlphaIn,
    SubnetAlphaOut,
    SubnetOwnerCut,
    SubnetProtocolAlpha,
    SubnetTAO,
    TaoInRefundDeploymentBlock,
)
from chain.pallets.subtensor.storage_registration import RAORecycledForRegistration
from chain.pallets.subtensor.storage_stake import (
    Alpha_,
    AlphaV2,
    TotalAlphaStaked,
    TotalHotkeyAlpha,
    TotalHotkeyShares,
    TotalHotkeySharesV2,
    TotalStake,
)
from chain.pallets.subtensor.tao import (
    get_balance,
    get_keep_alive_balance,
    recycle_tao,
    transfer_tao,
)
from chain.runtime.dispatch import layer
from chain.runtime.errors import CallError, ensure
from chain.runtime.origin import Root
from chain.runtime.pallet import call
from chain.runtime.state import State, iter_keys
from consensus.economics import safe_float
from consensus.economics.fixed import narrow
from ganglion.fixed import U96F32, sat_add_u64, sat_sub
from ganglion.units import ROOT_NETUID, AccountId, NetUid, Rao

Holder = tuple[AccountId, AccountId, int]
"""Hotkey, coldkey, value in alpha."""


def do_dissolve_network(s: State, netuid: NetUid) -> None:
    """Pay out and remove a subnet; raises SubnetNotExists, also for root."""
    ensure(is_subnet(s, netuid) and netuid != ROOT_NETUID, Error.SubnetNotExists)
    forget_root_dividends(s, netuid)
    leave_subnet(s, netuid)
    drop_waiting(s, netuid)
    _pay_out(s, netuid)
    swap.clear_protocol_liquidity(s, netuid)
    commitments_store.purge_netuid(s, netuid)
    remove_network(s, netuid)
    s.emit(NetworkRemoved(netuid))


def apportion(pot: int, weights: list[int], total: int) -> list[tuple[int, int]]:
    """(index, rao) of each weight's part of the pot; `total` is at least the sum of weights.

    Parts are floored; what is left goes, one rao each, to the largest remainders, which then
    also come first in the result.
    """
    parts = [(pot * w % total, i, pot * w // total) for i, w in enumerate(weights)]
    left = pot - sum(part for _, _, part in parts)
    if left == 0:
        return [(i, part) for _, i, part in parts]
    parts.sort(key=lambda entry: -entry[0])
    return [(i, part + (place < left)) for place, (_, i, part) in enumerate(parts)]


def _pay_out(s: State, netuid: NetUid) -> None:
    """Share the pot among holders, refund an old lock, recycle the rest, destroy all alpha."""
    owner, account = s[SubnetOwner, netuid], compute_subnet_account(netuid)
    refund = _refund(s, netuid)
    hotkeys = [hot for hot, n in iter_keys(s, TotalHotkeyAlpha) if n == netuid]
    positions = _positions(s, netuid, hotkeys)
    holders = [holder for holder in positions if holder[2]]
    protocol = _protocol_alpha(s, netuid)

    pot = s[SubnetTAO, netuid]
    if pot:
        del s[SubnetTAO, netuid]
        s[TotalStake] = Rao(sat_sub(s[TotalStake], pot))
    protocol_tao = _distribute(s, account, pot, holders, protocol)
    for hot, cold, _ in positions:
        del s[Alpha_, hot, cold, netuid]
        del s[AlphaV2, hot, cold, netuid]
    for hot in hotkeys:
        for total in (TotalHotkeyAlpha, TotalHotkeyShares, TotalHotkeySharesV2):
            del s[total, hot, netuid]
    for reserve in (SubnetAlphaIn, SubnetAlphaOut, SubnetProtocolAlpha, TotalAlphaStaked):
        del s[reserve, netuid]
    s[SubnetLocked, netuid] = Rao(0)

    if refund:
        free = sat_sub(get_balance(s, account), protocol_tao)
        _try_transfer(s, account, owner, min(refund, free))
    _recycle_rest(s, netuid, account)
    remove_locks(s, netuid)


def _positions(s: State, netuid: NetUid, hotkeys: list[AccountId]) -> list[Holder]:
    """Everyone with a share, and its value; the bare share where the pool has no value yet."""
    return [
        (hot, cold, get_stake(s, hot, cold, netuid) or safe_float.to_u64(share))
        for hot in hotkeys
        for cold, n, share in get_positions(s, hot)
        if n == netuid
    ]


def _protocol_alpha(s: State, netuid: NetUid) -> int:
    """What counts as the protocol's: bought alpha, and for newer subnets the pool's own."""
    bought = s[SubnetProtocolAlpha, netuid]
    if s[NetworkRegisteredAt, netuid] > s[TaoInRefundDeploymentBlock]:
        return sat_add_u64(s[SubnetAlphaIn, netuid], bought)
    return bought


def _distribute(
    s: State, account: AccountId, pot: int, holders: list[Holder], protocol: int
) -> int:
    """Pay each holder its part; returns the protocol's, which stays on the account."""
    weights = [value for _, _, value in holders]
    if protocol:
        weights.append(protocol)
    total = sum(weights)
    if pot == 0 or total == 0:
        return 0
    kept = 0
    for place, part in apportion(pot, weights, total):
        if place == len(holders):
            kept = part
        elif part:
            _try_transfer(s, account, holders[place][1], part)
    return kept


def _refund(s: State, netuid: NetUid) -> int:
    """Of an old subnet's lock, what its owner has not earned yet; nothing for newer subnets."""
    locked = s[SubnetLocked, netuid]
    if s[NetworkRegisteredAt, netuid] >= s[NetworkRegistrationStartBlock]:
        return 0
    cut = U96F32.safe_div(U96F32.from_int(s[SubnetOwnerCut]), U96F32.from_int(65535))
    issued = U96F32.from_int(get_alpha_issuance(s, netuid))
    alpha = U96F32.to_u64(U96F32.mul(issued, cut))
    price = narrow(swap.get_price(s, netuid))
    earned = U96F32.to_u64(U96F32.mul(U96F32.from_int(alpha), price))
    return sat_sub(locked, earned)


def _try_transfer(s: State, source: AccountId, to: AccountId, amount: int) -> None:
    """A payment that fails (to an account that it could not keep alive) is left out."""
    try:
        with layer(s):
            transfer_tao(s, source, to, amount)
    except CallError:
        return


def _recycle_rest(s: State, netuid: NetUid, account: AccountId) -> None:
    rest = get_keep_alive_balance(s, account)
    recycle_tao(s, account, rest)
    s[RAORecycledForRegistration, netuid] = rest


@call(61, weight=119_000_000, reads=6, writes=31)
def dissolve_network(s: State, origin: Root, coldkey: AccountId, netuid: NetUid) -> None:
    """Dissolve a subnet; the coldkey is ignored, only root may."""
    do_dissolve_network(s, netuid)


@call(120, weight=119_000_000, reads=6, writes=31)
def root_dissolve_network(s: State, origin: Root, netuid: NetUid) -> None:
    """Dissolve a subnet."""
    do_dissolve_network(s, netuid)
