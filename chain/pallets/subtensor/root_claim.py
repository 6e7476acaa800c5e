"""Root dividends: alpha that root stakers earn on every subnet, and how they get it.

On a chain with funds (`fund.py`) dividends enter the validator's fund. On older chains they wait:

A hotkey's rate on a subnet says how much alpha one unit of its root stake has ever earned there;
RootClaimed says how much of that a staker has had, or never earned because it came later.

Upstream: pallets/subtensor/src/staking/claim_root.rs
"""

from __future__ import annotations

import logging
from typing import Annotated

from chain.pallets.subtensor.accounts import compute_subnet_account
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_stake import RootClaimed as RootClaimedEvent
from chain.pallets.subtensor.fund import has_funds, on_root_stake_changed
from chain.pallets.subtensor.fund_claims import (
    CLAIM_WEIGHT,
    MAX_WORK,
    do_claim,
    get_claimable_funds,
)
from chain.pallets.subtensor.fund_deposits import enqueue
from chain.pallets.subtensor.pool_trades import (
    Trader,
    add_total_stake,
    on_pool,
    record_protocol_flow,
    sell_alpha,
)
from chain.pallets.subtensor.share_pool import add_stake, get_hotkey_stake, get_stake
from chain.pallets.subtensor.staker_ring import add_to_ring
from chain.pallets.subtensor.storage_keys import Owner
from chain.pallets.subtensor.storage_network import SubnetOwner
from chain.pallets.subtensor.storage_pool import SubnetAlphaOut, SubnetRootSellTao, SubnetTAO
from chain.pallets.subtensor.storage_root import (
    NumRootClaim,
    RootClaimable,
    RootClaimableThreshold,
    RootClaimed,
    RootClaimType,
)
from chain.pallets.subtensor.storage_stake import (
    NumStakingColdkeys,
    StakingColdkeysByIndex,
    StakingHotkeys,
)
from chain.pallets.subtensor.tao import pay_from_subnet
from chain.pallets.subtensor.types import Keep, KeepSubnets, RootClaimTypeEnum
from chain.runtime.call import READ_WEIGHT, WRITE_WEIGHT, PostInfo
from chain.runtime.dispatch import layer
from chain.runtime.errors import BadOrigin, CallError, ensure
from chain.runtime.origin import Root, Signed, SignedOrRoot
from chain.runtime.pallet import call, event
from chain.runtime.state import State, clear_prefix, iter_keys
from consensus.economics import root_claim as rules
from consensus.economics.fixed import Fx32, clamp_u128
from consensus.economics.trade import MIN_PRICE
from ganglion.fixed import I96F32 as FORMAT
from ganglion.fixed import sat_add_u64
from ganglion.scale import SORTED_SET, u64
from ganglion.units import I96F32, ROOT_NETUID, AccountId, Alpha, Hash, NetUid, Rao

log = logging.getLogger(__name__)

MAX_SUBNETS_PER_CLAIM = 5
MAX_AUTOMATIC_CLAIMS = 50
MAX_THRESHOLD = 10_000_000
OLD_CLAIM_WEIGHT = 138_999_000 + 16 * READ_WEIGHT + 4 * WRITE_WEIGHT
"""Of a claim on a chain without funds."""


@event(200)
class RootClaimTypeSet:
    """A coldkey chose what becomes of its root claims."""

    coldkey: AccountId
    root_claim_type: RootClaimTypeEnum


# --- earning -----------------------------------------------------------------------------------


def add_root_dividend(s: State, hotkey: AccountId, netuid: NetUid, amount: int) -> None:
    """Give alpha to the root stakers of a hotkey: to its fund, or by raising its rate.

    More alpha than root stake would make the rate meaningless: then the hotkey's owner gets it
    as stake.
    """
    if has_funds(s):
        enqueue(s, hotkey, netuid, amount)
        return
    root_stake = get_hotkey_stake(s, hotkey, ROOT_NETUID)
    if amount > root_stake:
        add_stake(s, hotkey, s[Owner, hotkey], netuid, amount)
        return
    rates = get_rates(s, hotkey)
    added = rules.rate_increment(amount, root_stake)
    if not added and netuid in rates:
        return
    rates[netuid] = I96F32(FORMAT.add(rates.get(netuid, 0), added))
    s[RootClaimable, hotkey] = tuple(sorted(rates.items()))


def get_rates(s: State, hotkey: AccountId) -> dict[NetUid, I96F32]:
    """Alpha ever earned by one unit of root stake behind a hotkey, by subnet."""
    rates = s[RootClaimable, hotkey]
    return dict(rates)


def get_owed(s: State, hotkey: AccountId, coldkey: AccountId, netuid: NetUid) -> Fx32:
    """What a staker can still claim on a subnet, as I96F32 bits; may be negative."""
    stake = get_stake(s, hotkey, coldkey, ROOT_NETUID)
    claimed = s[RootClaimed, netuid, hotkey, coldkey]
    return rules.owed(get_rates(s, hotkey).get(netuid, I96F32(0)), stake, claimed)


def on_root_stake_added(s: State, hotkey: AccountId, coldkey: AccountId, amount: int) -> None:
    """New root stake has not earned the past: count it as claimed."""
    on_root_stake_changed(s, hotkey, coldkey, amount)
    for netuid, rate in s[RootClaimable, hotkey]:
        _set_claimed(s, netuid, hotkey, coldkey, rules.watermark(rate, amount))


def on_root_stake_removed(s: State, hotkey: AccountId, coldkey: AccountId, amount: int) -> None:
    """Root stake that leaves takes its share of what was claimed with it."""
    on_root_stake_changed(s, hotkey, coldkey, -amount)
    for netuid, rate in s[RootClaimable, hotkey]:
        if netuid != ROOT_NETUID:
            _set_claimed(s, netuid, hotkey, coldkey, -rules.watermark(rate, amount))


def _set_claimed(
    s: State, netuid: NetUid, hotkey: AccountId, coldkey: AccountId, change: int
) -> None:
    claimed = s[RootClaimed, netuid, hotkey, coldkey]
    s[RootClaimed, netuid, hotkey, coldkey] = clamp_u128(claimed + change)


# --- claiming ----------------------------------------------------------------------------------


def claim_on_subnet(
    s: State,
    hotkey: AccountId,
    coldkey: AccountId,
    netuid: NetUid,
    choice: RootClaimTypeEnum,
    trader: Trader = on_pool,
) -> Rao:
    """Pay what a staker has earned on a subnet, if it is worth it; the TAO it was sold for.

    Raises what the sale raises; nothing has changed then.
    """
    owed = get_owed(s, hotkey, coldkey, netuid)
    if not rules.is_worth_claiming(owed, s[RootClaimableThreshold, netuid]):
        return Rao(0)
    tao, amount = Rao(0), FORMAT.to_u64(owed)
    is_kept = isinstance(choice, Keep) or (
        isinstance(choice, KeepSubnets) and netuid in choice.subnets
    )
    if is_kept:
        add_stake(s, hotkey, coldkey, netuid, amount)
    else:
        with layer(s):
            tao = _sell_and_stake_on_root(s, hotkey, coldkey, netuid, amount, trader)
    _set_claimed(s, netuid, hotkey, coldkey, amount)
    return tao


def _sell_and_stake_on_root(
    s: State,
    hotkey: AccountId,
    coldkey: AccountId,
    netuid: NetUid,
    amount: int,
    trader: Trader,
) -> Rao:
    tao = sell_alpha(s, netuid, amount, MIN_PRICE, drop_fees=True, trader=trader).paid_out
    pay_from_subnet(s, netuid, compute_subnet_account(ROOT_NETUID), tao)
    s[SubnetRootSellTao, netuid] = Rao(sat_add_u64(s[SubnetRootSellTao, netuid], tao))
    record_protocol_flow(s, netuid, -tao)
    add_stake(s, hotkey, coldkey, ROOT_NETUID, tao)
    s[SubnetTAO, ROOT_NETUID] = Rao(sat_add_u64(s[SubnetTAO, ROOT_NETUID], tao))
    s[SubnetAlphaOut, ROOT_NETUID] = Alpha(sat_add_u64(s[SubnetAlphaOut, ROOT_NETUID], tao))
    add_total_stake(s, tao)
    on_root_stake_added(s, hotkey, coldkey, tao)
    return Rao(tao)


def do_root_claim(s: State, coldkey: AccountId, subnets: tuple[NetUid, ...] | None) -> None:
    """Claim on the named subnets, or on all, with every hotkey of a coldkey: all or nothing."""
    with layer(s):
        choice, tao = s[RootClaimType, coldkey], 0
        for hotkey in s[StakingHotkeys, coldkey]:
            for netuid, _ in s[RootClaimable, hotkey]:
                if subnets is None or netuid in subnets:
                    tao += claim_on_subnet(s, hotkey, coldkey, netuid, choice)
        s.emit(RootClaimedEvent(coldkey, Rao(tao)))


# --- claims that run by themselves ---------------------------------------------------------------


def run_automatic_claims(s: State, parent_hash: Hash) -> None:
    """Claim for the few root stakers that the parent block's hash picks; funds never do that."""
    if has_funds(s):
        return
    for place in rules.indices(parent_hash, s[NumRootClaim], s[NumStakingColdkeys]):
        coldkey = s[StakingColdkeysByIndex, place]
        if coldkey is None:
            continue
        try:
            do_root_claim(s, coldkey, None)
        except CallError as failure:
            log.debug("automatic root claim failed: coldkey=%s %s", coldkey.hex(), failure)


def forget_root_dividends(s: State, netuid: NetUid) -> None:
    """Drop what root stakers could still claim on a dissolved subnet."""
    for hotkey in iter_keys(s, RootClaimable):
        rates = s[RootClaimable, hotkey]
        s[RootClaimable, hotkey] = tuple(entry for entry in rates if entry[0] != netuid)
    clear_prefix(s, RootClaimed, netuid)


# --- calls -------------------------------------------------------------------------------------


@call(121, weight=CLAIM_WEIGHT)
def claim_root(
    s: State, coldkey: Signed, subnets: Annotated[tuple[NetUid, ...], SORTED_SET]
) -> PostInfo:
    """Redeem what all validators' funds owe a coldkey, and stake it on root.

    Subnets are only looked at on chains without funds: there, claims are made on one to five.
    """
    if has_funds(s):
        looked_at = len(s[StakingHotkeys, coldkey])
        ensure(looked_at <= MAX_WORK, Error.RootClaimTooHeavy)
        return do_claim(s, coldkey, get_claimable_funds(s, coldkey), looked_at)
    ensure(0 < len(set(subnets)) <= MAX_SUBNETS_PER_CLAIM, Error.InvalidSubnetNumber)
    add_to_ring(s, coldkey)
    do_root_claim(s, coldkey, subnets)
    return PostInfo(weight=OLD_CLAIM_WEIGHT)


@call(122, weight=18_283_000, reads=2, writes=4)
def set_root_claim_type(s: State, coldkey: Signed, new_root_claim_type: RootClaimTypeEnum) -> None:
    """Choose whether root claims are sold for TAO or kept as alpha."""
    if isinstance(new_root_claim_type, KeepSubnets):
        subnets = tuple(sorted(set(new_root_claim_type.subnets)))
        ensure(bool(subnets), Error.InvalidSubnetNumber)
        new_root_claim_type = KeepSubnets(subnets)
    add_to_ring(s, coldkey)
    s[RootClaimType, coldkey] = new_root_claim_type
    s.emit(RootClaimTypeSet(coldkey, new_root_claim_type))


@call(123, weight=2_735_000, writes=1)
def sudo_set_num_root_claims(s: State, origin: Root, new_value: u64) -> None:
    """Set how many root stakers claim by themselves in a block."""
    ensure(new_value <= MAX_AUTOMATIC_CLAIMS, Error.InvalidNumRootClaim)
    s[NumRootClaim] = new_value


@call(124, weight=5_681_000, writes=1)
def sudo_set_root_claim_threshold(
    s: State, who: SignedOrRoot, netuid: NetUid, new_value: u64
) -> None:
    """Set the smallest root claim that is paid on a subnet; the owner's call, or root's."""
    if who is not None and s[SubnetOwner, netuid] != who:
        raise BadOrigin("only root or the owner of the subnet sets its claim threshold")
    ensure(new_value <= MAX_THRESHOLD, Error.InvalidRootClaimThreshold)
    s[RootClaimableThreshold, netuid] = I96F32(FORMAT.from_int(new_value))
