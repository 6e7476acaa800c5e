"""A block's emission: TAO minted, shared among subnets, put into their pools; alpha for all.

Upstream: pallets/subtensor/src/coinbase/{block_emission,subnet_emissions,run_coinbase}.rs
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from chain.pallets import swap
from chain.pallets.subtensor.accounts import compute_subnet_account, get_netuids
from chain.pallets.subtensor.alpha import (
    get_alpha_issuance,
    mint_into_pool,
    mint_outside,
    recycle_alpha,
)
from chain.pallets.subtensor.pool_trades import (
    Trader,
    add_total_stake,
    buy_alpha,
    record_protocol_flow,
)
from chain.pallets.subtensor.price import get_moving_price, get_root_proportion
from chain.pallets.subtensor.storage_hyperparameters import OwnerCutEnabled, SubnetEmissionEnabled
from chain.pallets.subtensor.storage_network import (
    FirstEmissionBlockNumber,
    NetworkRegistrationAllowed,
    SubtokenEnabled,
)
from chain.pallets.subtensor.storage_neurons import MinerBurned
from chain.pallets.subtensor.storage_pool import (
    BlockEmission,
    PendingOwnerCut,
    PendingRootAlphaDivs,
    PendingServerEmission,
    PendingValidatorEmission,
    SubnetAlphaInEmission,
    SubnetAlphaOutEmission,
    SubnetExcessTao,
    SubnetOwnerCut,
    SubnetProtocolAlpha,
    SubnetTAO,
    SubnetTaoInEmission,
)
from chain.pallets.subtensor.storage_stake import TotalIssuance
from chain.pallets.subtensor.tao import mint_tao, recycle_credit, spend_credit
from chain.runtime.errors import CallError
from chain.runtime.state import State
from chain.runtime.storage import Map
from consensus.economics.issuance import TOTAL_SUPPLY, block_emission
from consensus.economics.shares import Candidate, is_root_selling, subnet_emissions
from consensus.economics.terms import Terms, accrue, subnet_terms
from consensus.economics.trade import MAX_PRICE
from ganglion.fixed import U96F32, sat_add_u64, u16_proportion
from ganglion.units import ROOT_NETUID, Alpha, NetUid, Rao

log = logging.getLogger(__name__)


def get_block_emission(s: State, issuance: int) -> int:
    """Emission of a block at an issuance of TAO or of some alpha.

    BlockEmission keeps what was worked out last, be it for alpha: readers know it so.
    """
    emission = block_emission(issuance)
    if issuance < TOTAL_SUPPLY and s[BlockEmission] != emission:
        s[BlockEmission] = emission
    return emission


def mint_block_emission(s: State) -> Rao:
    """Mint the TAO of this block as a credit."""
    emission = get_block_emission(s, s[TotalIssuance])
    return mint_tao(s, emission) if emission else Rao(0)


def get_emitting(s: State) -> list[NetUid]:
    """Subnets that take part in emission, in storage order."""
    return [
        netuid
        for netuid in get_netuids(s)
        if netuid != ROOT_NETUID
        and s[FirstEmissionBlockNumber, netuid] is not None
        and s[SubtokenEnabled, netuid]
        and s[NetworkRegistrationAllowed, netuid]
    ]


def get_candidates(s: State) -> list[Candidate]:
    """What decides the shares of the emitting subnets, in storage order."""
    return [
        Candidate(
            netuid,
            get_moving_price(s, netuid),
            s[MinerBurned, netuid],
            s[SubnetEmissionEnabled, netuid],
        )
        for netuid in get_emitting(s)
    ]


def do_emit(s: State, credit: Rao, trader: Trader) -> None:
    """Spend the block's TAO on the subnets and let their alpha accrue.

    What cannot be spent leaves the issuance.
    """
    candidates = get_candidates(s)
    emissions = subnet_emissions(candidates, credit)
    # All terms come from the reserves before any of them moves.
    terms = {
        netuid: _get_terms(s, NetUid(netuid), emissions[netuid]) for netuid in sorted(emissions)
    }
    for candidate in candidates:
        credit = inject(s, NetUid(candidate.netuid), terms[candidate.netuid], credit, trader)
    recycle_credit(s, credit)
    is_selling = is_root_selling(candidates)
    for candidate in candidates:
        _accrue(s, NetUid(candidate.netuid), terms[candidate.netuid], is_selling)


def _get_terms(s: State, netuid: NetUid, tao_emission: int) -> Terms:
    alpha_emission = get_block_emission(s, get_alpha_issuance(s, netuid))
    root_share = get_root_proportion(s, netuid)
    return subnet_terms(tao_emission, swap.get_price(s, netuid), alpha_emission, root_share)


# --- TAO into the pool ---------------------------------------------------------------------------


def inject(s: State, netuid: NetUid, terms: Terms, credit: Rao, trader: Trader) -> Rao:
    """Put TAO and alpha into a subnet's pool; what is left of the credit.

    The pool takes its new weights first, then the excess buys, then the reserves grow.
    """
    tao, alpha = swap.adjust_protocol_liquidity(
        s, netuid, U96F32.to_u64(terms.tao_in), U96F32.to_u64(terms.alpha_in)
    )
    s[SubnetExcessTao, netuid] = Rao(0)
    s[SubnetTaoInEmission, netuid] = Rao(0)
    excess = U96F32.to_u64(terms.excess_tao)
    if excess:
        credit = _spend_excess(s, netuid, excess, credit, trader)
    s[SubnetAlphaInEmission, netuid] = alpha
    mint_into_pool(s, netuid, alpha)
    if not tao:
        return credit
    rest = spend_credit(s, compute_subnet_account(netuid), credit, tao)
    if rest is None:
        log.error("emission not injected: netuid=%d tao=%d credit=%d", netuid, tao, credit)
        return credit
    s[SubnetTaoInEmission, netuid] = tao
    s[SubnetTAO, netuid] = Rao(sat_add_u64(s[SubnetTAO, netuid], tao))
    add_total_stake(s, tao)
    record_protocol_flow(s, netuid, tao)
    return rest


def _spend_excess(s: State, netuid: NetUid, excess: int, credit: Rao, trader: Trader) -> Rao:
    """Buy alpha for the protocol; TAO that buys nothing stays on the subnet's account."""
    rest = spend_credit(s, compute_subnet_account(netuid), credit, excess)
    if rest is None:
        log.error("excess not spent: netuid=%d tao=%d credit=%d", netuid, excess, credit)
        return credit
    try:
        done = buy_alpha(s, netuid, excess, MAX_PRICE, drop_fees=True, trader=trader)
    except CallError:
        return rest
    bought = sat_add_u64(s[SubnetProtocolAlpha, netuid], done.paid_out)
    s[SubnetProtocolAlpha, netuid] = Alpha(bought)
    s[SubnetExcessTao, netuid] = Rao(done.paid_in)
    record_protocol_flow(s, netuid, done.paid_in)
    return rest


# --- alpha for participants ----------------------------------------------------------------------


def _accrue(s: State, netuid: NetUid, terms: Terms, is_root_selling: bool) -> None:
    """Create a block's alpha and note whose it will be at the next epoch."""
    created = U96F32.to_u64(terms.alpha_out)
    s[SubnetAlphaOutEmission, netuid] = Alpha(created)
    mint_outside(s, netuid, created)
    cut = u16_proportion(s[SubnetOwnerCut]) if s[OwnerCutEnabled, netuid] else 0
    parts = accrue(terms.alpha_out, cut, get_root_proportion(s, netuid))
    if s[OwnerCutEnabled, netuid]:
        _add(s, PendingOwnerCut, netuid, parts.owner_cut)
    _add(s, PendingServerEmission, netuid, parts.server)
    _add(s, PendingValidatorEmission, netuid, parts.validator)
    if is_root_selling:
        _add(s, PendingRootAlphaDivs, netuid, parts.root)
    else:
        recycle_alpha(s, netuid, parts.root)


def _add(s: State, item: Map[NetUid, Alpha], netuid: NetUid, amount: int) -> None:
    s[item, netuid] = Alpha(sat_add_u64(s[item, netuid], amount))


# --- what waits for an epoch ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pending:
    """Alpha that waited for an epoch."""

    server: Alpha
    validator: Alpha
    root: Alpha
    owner_cut: Alpha

    @property
    def epoch_emission(self) -> int:
        """What the epoch itself shares out: all but the owner's cut."""
        return sat_add_u64(sat_add_u64(self.server, self.validator), self.root)


def take_pending(s: State, netuid: NetUid) -> Pending:
    """Take what waits for a subnet's epoch."""
    pending = Pending(
        s[PendingServerEmission, netuid],
        s[PendingValidatorEmission, netuid],
        s[PendingRootAlphaDivs, netuid],
        s[PendingOwnerCut, netuid],
    )
    for item in (
        PendingServerEmission,
        PendingValidatorEmission,
        PendingRootAlphaDivs,
        PendingOwnerCut,
    ):
        s[item, netuid] = Alpha(0)
    return pending
