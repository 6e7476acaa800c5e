"""MevShield: storage, events and errors. Upstream: pallets/shield."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from chain.pallets.aura import AuraId
from chain.runtime.errors import DispatchError, Errors, error
from chain.runtime.pallet import event
from chain.runtime.storage import Identity, Map, Twox, Value, storage
from ganglion.scale import AtMost, scale_type, u32, u64
from ganglion.units import AccountId, BlockNumber, Hash

EncKey = Annotated[bytes, AtMost(2048)]
Ciphertext = Annotated[bytes, AtMost(8192)]


@scale_type("pallet_shield::pallet::PendingExtrinsic")
@dataclass(frozen=True, slots=True)
class PendingExtrinsic:
    """A stored call that opens later."""

    who: AccountId
    encrypted_call: Ciphertext
    submitted_at: BlockNumber


CurrentKey: Value[EncKey | None] = storage()
"""The key of this block's author, used in this block."""

PendingKey: Value[EncKey | None] = storage()
"""The key of the next block's author."""

NextKey: Value[EncKey | None] = storage()
"""The key of the author of the block after the next: what users encrypt for."""

AuthorKeys: Map[Twox[AuraId], EncKey | None] = storage()
"""The latest key that each author announced."""

PendingKeyExpiresAt: Value[BlockNumber | None] = storage()
"""From this block on the pending key is of no use."""

NextKeyExpiresAt: Value[BlockNumber | None] = storage()
"""From this block on the next key is of no use."""

HasMigrationRun: Map[Identity[Annotated[bytes, AtMost(128)]], bool] = storage(default=False)
"""Migrations that have run; none ever on this chain."""

MaxPendingExtrinsicsLimit: Value[u32] = storage(default=100)
"""How many calls may be stored."""

ExtrinsicLifetime: Value[u32] = storage(default=10)
"""For how many blocks a stored call is kept."""

OnInitializeWeight: Value[u64] = storage(default=500_000_000_000)
"""Weight that stored calls may use in a block."""

MaxExtrinsicWeight: Value[u64] = storage(default=50_000_000_000)
"""Weight that one stored call may use."""

PendingExtrinsics: Map[Identity[u32], PendingExtrinsic | None] = storage()
"""Stored calls by index."""

CounterForPendingExtrinsics: Value[u32] = storage(default=0)
"""How many calls are stored."""

NextPendingExtrinsicIndex: Value[u32] = storage(default=0)
"""The index of the next stored call."""


@event(0)
class EncryptedSubmitted:
    """An encrypted extrinsic was carried into a block."""

    id: Hash
    who: AccountId


@event(1)
class ExtrinsicStored:
    """An encrypted call was stored."""

    index: u32
    who: AccountId


@event(2)
class ExtrinsicDecodeFailed:
    """A stored call could not be opened."""

    index: u32


@event(3)
class ExtrinsicDispatchFailed:
    """A stored call ran and failed."""

    index: u32
    error: DispatchError


@event(4)
class ExtrinsicDispatched:
    """A stored call ran."""

    index: u32


@event(5)
class ExtrinsicExpired:
    """A stored call grew too old."""

    index: u32


@event(6)
class ExtrinsicPostponed:
    """A stored call waits for the next block: this one has no weight left for it."""

    index: u32


@event(7)
class MaxPendingExtrinsicsNumberSet:
    """The number of stored calls was limited."""

    value: u32


@event(8)
class OnInitializeWeightSet:
    """The weight for stored calls was set."""

    value: u64


@event(9)
class ExtrinsicLifetimeSet:
    """The lifetime of stored calls was set."""

    value: u32


@event(10)
class MaxExtrinsicWeightSet:
    """The weight of one stored call was limited."""

    value: u64


@event(11)
class ExtrinsicWeightExceeded:
    """A stored call is too heavy ever to run."""

    index: u32


class Error(Errors):
    """Upstream's errors."""

    BadEncKeyLen = error(0, "The announced ML\u2011KEM encapsulation key length is invalid.")
    Unreachable = error(1, "Unreachable.")
    TooManyPendingExtrinsics = error(2, "Too many pending extrinsics in storage.")
    WeightExceedsAbsoluteMax = error(
        3, "Weight exceeds the absolute maximum (half of total block weight)."
    )
