"""Fees of trades go to the block's author; without one they are burned.

Upstream: pallets/subtensor/src/staking/stake_utils.rs
"""

from __future__ import annotations

from chain.pallets.aura import author
from chain.pallets.subtensor.accounts import get_subnet_account
from chain.pallets.subtensor.alpha import burn_alpha
from chain.pallets.subtensor.pool_trades import sell_alpha
from chain.pallets.subtensor.tao import burn_tao, pay_from_subnet
from chain.runtime.errors import CallError
from chain.runtime.state import State
from consensus.economics.trade import MIN_PRICE
from ganglion.units import NetUid


def pay_author_in_tao(s: State, netuid: NetUid, fee: int) -> None:
    """Pay the block's author out of a subnet; without one the fee is burned."""
    who = author(s)
    if who is not None:
        pay_from_subnet(s, netuid, who, fee)
        return
    account = get_subnet_account(s, netuid)
    if account is not None:
        mark = s.mark()
        try:
            burn_tao(s, account, fee)
        except CallError:
            s.rollback(mark)


def pay_author_in_alpha(s: State, netuid: NetUid, fee: int) -> int:
    """Sell an alpha fee for the block's author, or burn it; the TAO that left the subnet."""
    who = author(s)
    if who is None:
        burn_alpha(s, netuid, fee)
        return 0
    sold = sell_alpha(s, netuid, fee, MIN_PRICE, drop_fees=True)
    pay_from_subnet(s, netuid, who, sold.paid_out)
    return sold.paid_out
