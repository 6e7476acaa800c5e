"""What a hotkey takes from the dividends of its nominators.

Upstream: pallets/subtensor/src/staking/{increase,decrease}_take.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.accounts import ensure_hotkey, is_owner
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_stake import (
    AutoParentDelegationEnabledSet,
    TakeDecreased,
    TakeIncreased,
)
from chain.pallets.subtensor.neurons import is_registered
from chain.pallets.subtensor.rate_limits import exceeds_tx_limit
from chain.pallets.subtensor.storage_delegation import (
    AutoParentDelegationEnabled,
    Delegates,
    MaxDelegateTake,
    MinDelegateTake,
)
from chain.pallets.subtensor.storage_registration import (
    LastRateLimitedBlock,
    TxDelegateTakeRateLimit,
)
from chain.pallets.subtensor.types import LastTxBlockDelegateTakeOf
from chain.pallets.system import block_number
from chain.runtime.call import Pays
from chain.runtime.errors import ensure
from chain.runtime.origin import Signed
from chain.runtime.pallet import call
from chain.runtime.state import State
from consensus.economics.fixed import Fx32
from ganglion.fixed import u16_proportion
from ganglion.units import ROOT_NETUID, AccountId, PerU16


def maybe_become_delegate(s: State, hotkey: AccountId) -> None:
    """Write the hotkey's take down, the default one if it never chose."""
    if (Delegates, hotkey) not in s:
        s[Delegates, hotkey] = s[Delegates, hotkey]


def get_take(s: State, hotkey: AccountId) -> Fx32:
    """The part of dividends that the hotkey's owner keeps."""
    return u16_proportion(s[Delegates, hotkey])


def _ensure_own_hotkey(s: State, coldkey: AccountId, hotkey: AccountId) -> None:
    ensure_hotkey(s, hotkey)
    ensure(is_owner(s, coldkey, hotkey), Error.NonAssociatedColdKey)


@call(65, weight=29_895_000, reads=3, writes=2, pays=Pays.No)
def decrease_take(s: State, coldkey: Signed, hotkey: AccountId, take: PerU16) -> None:
    """Lower the take of an own hotkey; possible at any time."""
    _ensure_own_hotkey(s, coldkey, hotkey)
    if (Delegates, hotkey) in s:
        ensure(take < s[Delegates, hotkey], Error.DelegateTakeTooLow)
    ensure(take >= s[MinDelegateTake], Error.DelegateTakeTooLow)
    s[Delegates, hotkey] = take
    s[LastRateLimitedBlock, LastTxBlockDelegateTakeOf(hotkey)] = block_number(s)
    s.emit(TakeDecreased(coldkey, hotkey, take))


@call(66, weight=37_710_000, reads=5, writes=2, pays=Pays.No)
def increase_take(s: State, coldkey: Signed, hotkey: AccountId, take: PerU16) -> None:
    """Raise the take of an own hotkey, not too soon after the last change."""
    _ensure_own_hotkey(s, coldkey, hotkey)
    if (Delegates, hotkey) in s:
        ensure(take > s[Delegates, hotkey], Error.DelegateTakeTooLow)
    ensure(take <= s[MaxDelegateTake], Error.DelegateTakeTooHigh)
    key, now = LastTxBlockDelegateTakeOf(hotkey), block_number(s)
    last = s[LastRateLimitedBlock, key]
    is_too_soon = exceeds_tx_limit(s[TxDelegateTakeRateLimit], last, now)
    ensure(not is_too_soon, Error.DelegateTxRateLimitExceeded)
    s[LastRateLimitedBlock, key] = now
    s[Delegates, hotkey] = take
    s.emit(TakeIncreased(coldkey, hotkey, take))


@call(135, weight=28_023_000, reads=2, writes=1)
def set_auto_parent_delegation_enabled(
    s: State, coldkey: Signed, hotkey: AccountId, enabled: bool
) -> None:
    """Let a root validator back the owner hotkeys of new subnets, or not."""
    ensure(is_owner(s, coldkey, hotkey), Error.NonAssociatedColdKey)
    ensure(is_registered(s, ROOT_NETUID, hotkey), Error.HotKeyNotRegisteredInSubNet)
    s[AutoParentDelegationEnabled, hotkey] = enabled
    s.emit(AutoParentDelegationEnabledSet(hotkey, enabled))
