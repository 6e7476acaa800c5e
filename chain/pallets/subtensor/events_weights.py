"""Events of weights and epochs."""

from __future__ import annotations

from chain.runtime.errors import DispatchError
from chain.runtime.pallet import event
from ganglion.scale import Compact, u64
from ganglion.units import AccountId, Alpha, Hash, NetUid, NetUidStorageIndex, Uid


@event(5)
class WeightsSet:
    """A neuron set weights: mechanism index, uid."""

    _0: NetUidStorageIndex
    _1: Uid


@event(6)
class RootWeightsSet:
    """Root weights were set: uid."""

    _0: Uid


@event(85)
class CRV3WeightsCommitted:
    """Timelocked weights were committed, in the old form."""

    _0: AccountId
    _1: NetUidStorageIndex
    _2: Hash


@event(86)
class WeightsCommitted:
    """Weights were committed: who, mechanism index, hash."""

    _0: AccountId
    _1: NetUidStorageIndex
    _2: Hash


@event(87)
class WeightsRevealed:
    """Weights were revealed: who, mechanism index, hash."""

    _0: AccountId
    _1: NetUidStorageIndex
    _2: Hash


@event(88)
class WeightsBatchRevealed:
    """Several commits were revealed: who, netuid, hashes."""

    _0: AccountId
    _1: NetUid
    _2: tuple[Hash, ...]


@event(89)
class BatchWeightsCompleted:
    """A batch of weights ran: netuids, who."""

    _0: tuple[Compact[NetUid], ...]
    _1: AccountId


@event(90)
class BatchCompletedWithErrors:
    """Something in the batch failed."""


@event(91)
class BatchWeightItemFailed:
    """One item of a batch failed: netuid, why."""

    _0: NetUid
    _1: DispatchError


@event(100)
class CRV3WeightsRevealed:
    """Timelocked weights were revealed, in the old form."""

    _0: NetUid
    _1: AccountId


@event(108)
class TimelockedWeightsCommitted:
    """Timelocked weights were committed: who, mechanism index, hash, round."""

    _0: AccountId
    _1: NetUidStorageIndex
    _2: Hash
    _3: u64


@event(109)
class TimelockedWeightsRevealed:
    """Timelocked weights were revealed: mechanism index, who."""

    _0: NetUidStorageIndex
    _1: AccountId


@event(111)
class IncentiveAlphaEmittedToMiners:
    """What each miner of a mechanism got."""

    netuid: NetUidStorageIndex
    emissions: tuple[Alpha, ...]


@event(136)
class EpochTriggered:
    """An owner asked for an epoch."""

    netuid: NetUid
    by: AccountId
    fires_at: u64


@event(137)
class EpochDeferred:
    """An epoch waits for a later block."""

    netuid: NetUid
    from_block: u64
    to_block: u64


@event(138)
class EpochSkipped:
    """An epoch did not run."""

    netuid: NetUid
    block: u64
