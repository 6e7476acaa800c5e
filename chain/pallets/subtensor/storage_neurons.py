"""Neurons: uids, what each epoch left behind, and where they listen.

Per-neuron vectors are packed: raw little-endian numbers without a length, in uid order."""

from __future__ import annotations

from chain.pallets.subtensor.types import NOBODY, AxonInfo, NeuronCertificate, PrometheusInfo
from chain.runtime.storage import Blake2, Identity, Map, storage
from ganglion.scale import Packed16, Packed64, PackedBool, PackedPairs, u64
from ganglion.units import U96F32, AccountId, NetUid, NetUidStorageIndex, Uid

Uids: Map[Identity[NetUid], Blake2[AccountId], Uid | None] = storage()
"""The uid of a hotkey on a subnet."""
Keys: Map[Identity[NetUid], Identity[Uid], AccountId] = storage(default=NOBODY)
"""The hotkey behind a uid."""
IsNetworkMember: Map[Blake2[AccountId], Identity[NetUid], bool] = storage(default=False)
"""Whether a hotkey has a uid on the subnet."""
BlockAtRegistration: Map[Identity[NetUid], Identity[Uid], u64] = storage(default=0)
"""Block in which the uid got its present hotkey."""
Active: Map[Identity[NetUid], PackedBool] = storage(default=b"")
"""Who was active in the latest epoch."""
Consensus: Map[Identity[NetUid], Packed16] = storage(default=b"")
"""Stake-weighted median weight of each uid, of mechanism 0."""
ConsensusByMechanism: Map[Identity[NetUidStorageIndex], Packed16] = storage(default=b"")
"""The same of each mechanism."""
Incentive: Map[Identity[NetUidStorageIndex], Packed16] = storage(default=b"")
"""Share of the miners' reward, per mechanism."""
Dividends: Map[Identity[NetUid], Packed16] = storage(default=b"")
"""Share of the validators' reward."""
Emission: Map[Identity[NetUid], Packed64] = storage(default=b"")
"""Alpha given to each uid in the latest epoch."""
LastUpdate: Map[Identity[NetUidStorageIndex], Packed64] = storage(default=b"")
"""Block in which the uid last set weights, per mechanism."""
ValidatorTrust: Map[Identity[NetUid], Packed16] = storage(default=b"")
"""How much of a validator's weight stayed within consensus."""
ValidatorPermit: Map[Identity[NetUid], PackedBool] = storage(default=b"")
"""Who may set weights for others."""
StakeWeight: Map[Identity[NetUid], Packed16] = storage(default=b"")
"""What each uid's stake counted for in the latest epoch."""
Weights: Map[Identity[NetUidStorageIndex], Identity[Uid], PackedPairs] = storage(default=b"")
"""The latest weights of a uid, as (uid, weight) pairs, per mechanism."""
Bonds: Map[Identity[NetUidStorageIndex], Identity[Uid], PackedPairs] = storage(default=b"")
"""A validator's bonds, as (uid, bond) pairs, per mechanism."""
LoadedEmission: Map[Identity[NetUid], tuple[tuple[AccountId, u64, u64], ...] | None] = storage()
"""Emission not yet paid out, in the old layout; never written."""
Axons: Map[Identity[NetUid], Blake2[AccountId], AxonInfo | None] = storage()
"""Where a miner listens."""
Prometheus: Map[Identity[NetUid], Blake2[AccountId], PrometheusInfo | None] = storage()
"""Where a neuron's metrics are."""
NeuronCertificates: Map[Identity[NetUid], Blake2[AccountId], NeuronCertificate | None] = storage()
"""TLS key of a neuron."""
MinerBurned: Map[Identity[NetUid], U96F32] = storage(default=0)
"""Share of the latest miner emission that was burned or recycled."""
