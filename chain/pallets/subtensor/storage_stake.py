"""Stake: who holds which share of whose alpha, and the totals."""

from __future__ import annotations

from chain.runtime.storage import Blake2, Identity, Map, Twox, Value, storage
from consensus.economics.safe_float import SafeFloat
from ganglion.scale import u64
from ganglion.units import U64F64, AccountId, Alpha, NetUid, Rao

Alpha_: Map[Blake2[AccountId], Blake2[AccountId], Identity[NetUid], U64F64] = storage(default=0)
"""Shares in the old format; moved to AlphaV2 when written."""
AlphaV2: Map[Blake2[AccountId], Blake2[AccountId], Identity[NetUid], SafeFloat] = storage(
    default=SafeFloat(0, 0)
)
"""Shares of a coldkey in a hotkey's pool on a subnet."""
TotalHotkeyShares: Map[Blake2[AccountId], Identity[NetUid], U64F64] = storage(default=0)
"""All shares of a pool in the old format."""
TotalHotkeySharesV2: Map[Blake2[AccountId], Identity[NetUid], SafeFloat] = storage(
    default=SafeFloat(0, 0)
)
"""All shares of a hotkey's pool on a subnet."""
TotalHotkeyAlpha: Map[Blake2[AccountId], Identity[NetUid], Alpha] = storage(default=0)
"""Alpha behind a hotkey on a subnet: the value of the pool."""
TotalAlphaStaked: Map[Identity[NetUid], Alpha] = storage(default=0)
"""Alpha behind all hotkeys of a subnet."""
TotalHotkeyAlphaLastEpoch: Map[Blake2[AccountId], Identity[NetUid], Alpha] = storage(default=0)
"""The same at the latest epoch."""
TotalIssuance: Value[Rao] = storage(default=0)
"""TAO in existence, as this pallet counts it."""
TotalStake: Value[Rao] = storage(default=0)
"""TAO in all pools."""
StakingHotkeys: Map[Blake2[AccountId], tuple[AccountId, ...]] = storage(default=())
"""Hotkeys with which a coldkey has stake."""
LastColdkeyHotkeyStakeBlock: Map[Twox[AccountId], Twox[AccountId], u64 | None] = storage()
"""Block of the latest staking of a pair; not written any more."""
NominatorMinRequiredStake: Value[u64] = storage(default=0)
"""Factor, in millionths, of the least stake that a nominator may keep."""
NextStakeJobId: Value[u64] = storage(default=0)
"""Unused counter."""
AlphaMapLastKey: Value[bytes | None] = storage()
"""Cursor over the old share map."""
AlphaV2MapLastKey: Value[bytes | None] = storage()
"""Cursor over the share map."""
AutoStakeDestination: Map[Blake2[AccountId], Identity[NetUid], AccountId | None] = storage()
"""Where a coldkey's mining reward is staked."""
AutoStakeDestinationColdkeys: Map[Blake2[AccountId], Identity[NetUid], tuple[AccountId, ...]] = (
    storage(default=())
)
"""Coldkeys whose reward goes to a hotkey."""
StakingColdkeysByIndex: Map[Identity[u64], AccountId | None] = storage()
"""Coldkeys with root stake, numbered for automatic claims."""
StakingColdkeys: Map[Identity[AccountId], u64 | None] = storage()
"""The number of such a coldkey."""
NumStakingColdkeys: Value[u64] = storage(default=0)
"""How many there are."""
