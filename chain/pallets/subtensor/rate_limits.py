"""Rate limits: what may be done again only after some blocks.

A limit passes when nothing was recorded yet, or when at least `limit` blocks have passed. The
family around TxRateLimit is stricter: more than `limit` blocks, and 0 switches it off.

Upstream: pallets/subtensor/src/utils/rate_limiting.rs
"""

from __future__ import annotations

from chain.pallets.subtensor.constants import MinTempo
from chain.pallets.subtensor.storage_network import NetworkRateLimit, Tempo
from chain.pallets.subtensor.storage_registration import (
    LastRateLimitedBlock,
    OwnerHyperparamRateLimit,
    TransactionKeyLastBlock,
    TxChildkeyTakeRateLimit,
    TxRateLimit,
    WeightsVersionKeyRateLimit,
)
from chain.pallets.subtensor.types import (
    Hyperparameter,
    LastTxBlockOf,
    NetworkLastRegistered,
    OwnerHyperparamUpdate,
    RateLimitKey,
    SetSNOwnerHotkey,
    TransactionType,
)
from chain.pallets.system import block_number
from chain.runtime.flavour import public_or_local, slow_or_fast
from chain.runtime.state import State
from ganglion.fixed import sat_sub
from ganglion.units import AccountId, NetUid

SET_CHILDREN_LIMIT = public_or_local(150, 15)
"""Between two changes of a hotkey's children."""
SET_OWNER_HOTKEY_LIMIT = 50_400
MECHANISM_LIMIT = slow_or_fast(7_200, 1)
"""Between two changes of mechanism count or split."""
TRIM_LIMIT = slow_or_fast(216_000, 1)
"""Between two uid trimmings."""


def passes(limit: int, now: int, last: int) -> bool:
    """Whether a limited thing may be done in block `now`, `last` done in block `last`."""
    return last == 0 or sat_sub(now, last) >= limit


def get_limit(s: State, kind: TransactionType, netuid: NetUid) -> int:
    """Blocks between two uses."""
    match kind:
        case TransactionType.SetChildren:
            return SET_CHILDREN_LIMIT
        case TransactionType.SetChildkeyTake:
            return s[TxChildkeyTakeRateLimit]
        case TransactionType.RegisterNetwork:
            return s[NetworkRateLimit]
        case TransactionType.SetWeightsVersionKey:
            return s[Tempo, netuid] * s[WeightsVersionKeyRateLimit]
        case TransactionType.SetSNOwnerHotkey:
            return SET_OWNER_HOTKEY_LIMIT
        case TransactionType.OwnerHyperparamUpdate:
            return s[Tempo, netuid] * s[OwnerHyperparamRateLimit]
        case TransactionType.MechanismCountUpdate | TransactionType.MechanismEmission:
            return MECHANISM_LIMIT
        case TransactionType.MaxUidsTrimming:
            return TRIM_LIMIT
        case TransactionType.AddStakeBurn:
            return s[Tempo, netuid]
        case TransactionType.TempoUpdate:
            return MinTempo.value
        case _:
            return 0


def _key(kind: TransactionType, netuid: NetUid, what: Hyperparameter) -> RateLimitKey | None:
    """The key of kinds that are not counted per account."""
    match kind:
        case TransactionType.RegisterNetwork:
            return NetworkLastRegistered()
        case TransactionType.SetSNOwnerHotkey:
            return SetSNOwnerHotkey(netuid)
        case TransactionType.OwnerHyperparamUpdate:
            return OwnerHyperparamUpdate(netuid, what)
        case _:
            return None


def get_last_block(
    s: State,
    kind: TransactionType,
    who: AccountId,
    netuid: NetUid,
    what: Hyperparameter = Hyperparameter.Unknown,
) -> int:
    """The block of the latest use, 0 for none."""
    key = _key(kind, netuid, what)
    if key is not None:
        return s[LastRateLimitedBlock, key]
    return s[TransactionKeyLastBlock, who, netuid, int(kind)]


def set_last_block(
    s: State,
    kind: TransactionType,
    who: AccountId,
    netuid: NetUid,
    what: Hyperparameter = Hyperparameter.Unknown,
) -> None:
    """Record a use in this block."""
    key, now = _key(kind, netuid, what), block_number(s)
    if key is not None:
        s[LastRateLimitedBlock, key] = now
    else:
        s[TransactionKeyLastBlock, who, netuid, int(kind)] = now


def passes_rate_limit(
    s: State,
    kind: TransactionType,
    who: AccountId,
    netuid: NetUid,
    what: Hyperparameter = Hyperparameter.Unknown,
) -> bool:
    """Whether the limit allows a use in this block."""
    last = get_last_block(s, kind, who, netuid, what)
    return passes(get_limit(s, kind, netuid), block_number(s), last)


def exceeds_tx_limit(limit: int, last: int, now: int) -> bool:
    """The stricter rule of hotkey swaps and take raises."""
    return limit != 0 and last != 0 and sat_sub(now, last) <= limit


def exceeds_swap_limit(s: State, coldkey: AccountId) -> bool:
    """Whether a coldkey swapped a hotkey too recently."""
    last = s[LastRateLimitedBlock, LastTxBlockOf(coldkey)]
    return exceeds_tx_limit(s[TxRateLimit], last, block_number(s))
