"""Fees in alpha: who has no TAO to pay the fee of an unstaking call pays with the stake it names.

As much alpha as the fee is worth is sold, without a swap fee, for the block's author.

Upstream: pallets/transaction-fee
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.pallets import swap
from chain.pallets.aura import author
from chain.pallets.subtensor.accounts import get_netuids
from chain.pallets.subtensor.collateral import get_collateral
from chain.pallets.subtensor.share_pool import get_stake
from chain.pallets.subtensor.stake_utils import unstake_from_subnet
from chain.pallets.subtensor.storage_network import SubtokenEnabled
from chain.runtime.call import RuntimeCall
from chain.runtime.dispatch import layer
from chain.runtime.state import State
from ganglion.fixed import sat_sub
from ganglion.units import ROOT_NETUID, AccountId, Alpha, NetUid, Rao

PALLET = 7
"""SubtensorModule's place in the runtime."""

HOTKEY_AND_NETUID = {3: (0, 1), 89: (0, 1), 103: (0, 1), 101: (0, 2), 102: (0, 2)} | {
    85: (0, 2),
    86: (1, 2),
    87: (0, 1),
    90: (0, 1),
}
"""Where a call that names one position has its hotkey and its netuid."""

ALL_OF_A_HOTKEY = (83, 84)
"""Calls that name every position behind a hotkey."""


@dataclass(frozen=True, slots=True)
class AlphaFee:
    """A fee that was paid: the alpha sold, the TAO it brought, and where."""

    alpha: Alpha
    tao: Rao
    netuid: NetUid


NOTHING = AlphaFee(Alpha(0), Rao(0), ROOT_NETUID)


def get_fee_position(
    s: State, who: AccountId, call: RuntimeCall
) -> tuple[AccountId, NetUid] | None:
    """The one position, (hotkey, netuid), that can pay for a call; None for none or several."""
    if call.pallet != PALLET:
        return None
    if call.index in HOTKEY_AND_NETUID:
        hotkey, netuid = HOTKEY_AND_NETUID[call.index]
        return call.args[hotkey], call.args[netuid]
    if call.index not in ALL_OF_A_HOTKEY:
        return None
    hotkey = call.args[0]
    held = [
        netuid
        for netuid in get_netuids(s)
        if s[SubtokenEnabled, netuid] and get_stake(s, hotkey, who, netuid)
    ]
    return (hotkey, held[0]) if len(held) == 1 else None


def get_free_stake(s: State, hotkey: AccountId, who: AccountId, netuid: NetUid) -> int:
    """Alpha of a position that is not collateral."""
    return sat_sub(get_stake(s, hotkey, who, netuid), get_collateral(s, netuid, hotkey, who))


def can_pay_in_alpha(s: State, who: AccountId, call: RuntimeCall, fee: int) -> bool:
    """Whether the stake that a call names is worth its fee."""
    position = get_fee_position(s, who, call)
    if position is None:
        return False
    hotkey, netuid = position
    return get_free_stake(s, hotkey, who, netuid) >= swap.get_alpha_worth(s, netuid, fee)


def do_pay_in_alpha(s: State, who: AccountId, call: RuntimeCall, fee: int) -> AlphaFee:
    """Sell alpha worth the fee for the block's author; without an author nothing is due.

    Raises what the sale raises, leaving nothing behind.
    """
    position, beneficiary = get_fee_position(s, who, call), author(s)
    if position is None or beneficiary is None:
        return NOTHING
    hotkey, netuid = position
    held = get_free_stake(s, hotkey, who, netuid)
    alpha = min(swap.get_alpha_worth(s, netuid, fee) or held, held)
    with layer(s):
        tao = unstake_from_subnet(
            s, hotkey, who, netuid, alpha, 0, drop_fees=True, beneficiary=beneficiary
        )
    return AlphaFee(Alpha(alpha), tao, netuid)
