"""Weights that were committed and not yet revealed."""

from __future__ import annotations

from typing import Annotated

from chain.runtime.storage import Map, Twox, storage
from ganglion.scale import AtMost, u64
from ganglion.units import AccountId, Hash, NetUidStorageIndex

MAX_COMMIT_BYTES = 5_000
Ciphertext = Annotated[bytes, AtMost(MAX_COMMIT_BYTES)]

WeightCommits: Map[
    Twox[NetUidStorageIndex], Twox[AccountId], tuple[tuple[Hash, u64, u64, u64], ...] | None
] = storage()
"""Hashes of committed weights: (hash, epoch, block, unused)."""
TimelockedWeightCommits: Map[
    Twox[NetUidStorageIndex], Twox[u64], tuple[tuple[AccountId, u64, Ciphertext, u64], ...]
] = storage(default=())
"""Ciphertexts by epoch: (hotkey, block, ciphertext, drand round)."""
CRV3WeightCommits: Map[
    Twox[NetUidStorageIndex], Twox[u64], tuple[tuple[AccountId, Ciphertext, u64], ...]
] = storage(default=())
"""The same in the layout of version 3; never written."""
CRV3WeightCommitsV2: Map[
    Twox[NetUidStorageIndex], Twox[u64], tuple[tuple[AccountId, u64, Ciphertext, u64], ...]
] = storage(default=())
"""The same in the layout of version 3; never written."""
