"""Who may change a subnet: its owner or root, and not shortly before an epoch.

Upstream: pallets/subtensor/src/utils/misc.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.clock import get_clock
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.rate_limits import passes_rate_limit, set_last_block
from chain.pallets.subtensor.storage_network import SubnetOwner
from chain.pallets.subtensor.storage_registration import AdminFreezeWindow
from chain.pallets.subtensor.types import Hyperparameter, TransactionType
from chain.pallets.system import block_number
from chain.runtime.errors import BadOrigin, ensure
from chain.runtime.state import State
from ganglion.units import AccountId, NetUid


def ensure_subnet_owner(s: State, who: AccountId, netuid: NetUid) -> None:
    """Raise BadOrigin unless `who` owns the subnet."""
    ensure(s[SubnetOwner, netuid] == who, BadOrigin("only the subnet's owner may do this"))


def ensure_subnet_owner_or_root(s: State, who: AccountId | None, netuid: NetUid) -> None:
    """Raise BadOrigin unless `who` owns the subnet or is None (root)."""
    if who is not None:
        ensure_subnet_owner(s, who, netuid)


def is_frozen(s: State, netuid: NetUid) -> bool:
    """Whether settings are frozen: an epoch is requested, or due within the window."""
    clock, now = get_clock(s, netuid), block_number(s)
    if clock.tempo == 0:
        return False
    return clock.pending_at > now or clock.blocks_until_automatic(now) < s[AdminFreezeWindow]


def ensure_not_frozen(s: State, netuid: NetUid) -> None:
    """Raise AdminActionProhibitedDuringWeightsWindow while settings are frozen."""
    ensure(not is_frozen(s, netuid), Error.AdminActionProhibitedDuringWeightsWindow)


def ensure_hyperparameter_limit(
    s: State, who: AccountId | None, netuid: NetUid, what: Hyperparameter
) -> None:
    """Raise TxRateLimitExceeded when an owner changed this setting too recently; root may."""
    kind = TransactionType.OwnerHyperparamUpdate
    if who is not None:
        ensure(passes_rate_limit(s, kind, who, netuid, what), Error.TxRateLimitExceeded)


def record_hyperparameter_change(
    s: State, who: AccountId | None, netuid: NetUid, what: Hyperparameter
) -> None:
    """Remember that an owner changed this setting now."""
    if who is not None:
        set_last_block(s, TransactionType.OwnerHyperparamUpdate, who, netuid, what)
