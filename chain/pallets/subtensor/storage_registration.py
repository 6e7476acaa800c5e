"""Registration: its price, its counters, and the rate limits of calls."""

from __future__ import annotations

from chain.pallets.subtensor.constants import InitialTxChildKeyTakeRateLimit
from chain.pallets.subtensor.types import RateLimitKey
from chain.runtime.storage import Blake2, Identity, Map, Value, storage
from ganglion.scale import u16, u64
from ganglion.units import U64F64, AccountId, NetUid, Rao

Burn: Map[Identity[NetUid], Rao] = storage(default=100000000)
"""Price of a registration now."""
MinBurn: Map[Identity[NetUid], Rao] = storage(default=500000)
"""Floor of the price."""
MaxBurn: Map[Identity[NetUid], Rao] = storage(default=100000000000)
"""Ceiling of the price."""
BurnHalfLife: Map[Identity[NetUid], u16] = storage(default=360)
"""Blocks in which the price halves."""
BurnIncreaseMult: Map[Identity[NetUid], U64F64] = storage(default=23242897532874035200)
"""Factor by which a registration raises the price."""
Difficulty: Map[Identity[NetUid], u64] = storage(default=10000000)
"""Proof-of-work difficulty; shown only."""
MinDifficulty: Map[Identity[NetUid], u64] = storage(default=10000000)
"""Floor of the difficulty."""
MaxDifficulty: Map[Identity[NetUid], u64] = storage(default=4611686018427387903)
"""Ceiling of the difficulty."""
RAORecycledForRegistration: Map[Identity[NetUid], Rao] = storage(default=0)
"""All that registrations on the subnet have cost."""
RegistrationsThisBlock: Map[Identity[NetUid], u16] = storage(default=0)
"""Registrations in this block."""
RegistrationsThisInterval: Map[Identity[NetUid], u16] = storage(default=0)
"""Registrations in this interval."""
POWRegistrationsThisInterval: Map[Identity[NetUid], u16] = storage(default=0)
"""Of those, by proof of work."""
BurnRegistrationsThisInterval: Map[Identity[NetUid], u16] = storage(default=0)
"""Of those, by burn."""
MaxRegistrationsPerBlock: Map[Identity[NetUid], u16] = storage(default=1)
"""Ceiling per block; only root registration obeys it."""
TargetRegistrationsPerInterval: Map[Identity[NetUid], u16] = storage(default=2)
"""Registrations aimed at; root refuses three times as many."""
AdjustmentInterval: Map[Identity[NetUid], u16] = storage(default=100)
"""Blocks between two adjustments of the old price rule."""
AdjustmentAlpha: Map[Identity[NetUid], u64] = storage(default=0)
"""Inertia of the old price rule."""
LastAdjustmentBlock: Map[Identity[NetUid], u64] = storage(default=0)
"""Block of the latest interval reset."""
UsedWork: Map[Identity[bytes], u64] = storage(default=0)
"""Proofs of work that were used, and when."""
TxRateLimit: Value[u64] = storage(default=1000)
"""Blocks between two hotkey swaps of a coldkey."""
TxDelegateTakeRateLimit: Value[u64] = storage(default=216000)
"""Blocks between two raises of a delegate's take."""
TxChildkeyTakeRateLimit: Value[u64] = storage(default=InitialTxChildKeyTakeRateLimit.value)
"""Blocks between two raises of a childkey take."""
WeightsVersionKeyRateLimit: Value[u64] = storage(default=5)
"""Tempos between two changes of the version key by an owner."""
OwnerHyperparamRateLimit: Value[u16] = storage(default=2)
"""Tempos between two changes of one hyperparameter by an owner."""
AdminFreezeWindow: Value[u16] = storage(default=10)
"""Blocks before an epoch in which hyperparameters cannot be changed."""
LastRateLimitedBlock: Map[Identity[RateLimitKey], u64] = storage(default=0)
"""Block of the latest use of something rate limited."""
TransactionKeyLastBlock: Map[Blake2[AccountId], Identity[NetUid], Identity[u16], u64] = storage(
    default=0
)
"""Block of the latest call of a kind by a hotkey on a subnet."""
LastTxBlock: Map[Identity[AccountId], u64] = storage(default=0)
"""The same in the old layout."""
LastTxBlockChildKeyTake: Map[Identity[AccountId], u64] = storage(default=0)
"""The same in the old layout."""
LastTxBlockDelegateTake: Map[Identity[AccountId], u64] = storage(default=0)
"""The same in the old layout."""
