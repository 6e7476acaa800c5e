"""Moving records of root claims when keys are swapped.

Upstream: pallets/subtensor/src/staking/claim_root.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.storage_root import RootClaimable, RootClaimed
from chain.runtime.state import State, iter_keys, take
from consensus.economics.fixed import clamp_u128
from ganglion.units import I96F32, ROOT_NETUID, AccountId, NetUid

I96F32_MAX = (1 << 127) - 1

Position = tuple[AccountId, AccountId]
"""Hotkey and coldkey."""


def is_clean_for_root(s: State, hotkey: AccountId) -> bool:
    """Whether a hotkey has neither rates nor watermarks, which a swap would mix up."""
    has_watermarks = next(iter_keys(s, RootClaimed, ROOT_NETUID, hotkey), None) is not None
    return not s[RootClaimable, hotkey] and not has_watermarks


def move_root_claimed(s: State, netuid: NetUid, old: Position, new: Position) -> None:
    """Add what one position has claimed to what another has."""
    claimed = take(s, (RootClaimed, netuid, *old))
    total = s[RootClaimed, netuid, *new] + claimed
    s[RootClaimed, netuid, *new] = clamp_u128(total)


def move_root_claimable(s: State, old: AccountId, new: AccountId) -> None:
    """Add the rates of one hotkey to those of another."""
    own = s[RootClaimable, new]
    rates = dict(own)
    for netuid, rate in take(s, (RootClaimable, old)):
        rates[netuid] = I96F32(min(rates.get(netuid, 0) + rate, I96F32_MAX))
    s[RootClaimable, new] = tuple(sorted(rates.items()))


def move_root_positions(s: State, old: AccountId, new: AccountId) -> None:
    """Move a hotkey's rates, and what each coldkey has claimed by them."""
    move_root_claimable(s, old, new)
    for netuid, _ in s[RootClaimable, new]:
        for coldkey in iter_keys(s, RootClaimed, netuid, old):
            move_root_claimed(s, netuid, (old, coldkey), (new, coldkey))
