"""System (pallet 0): accounts, blocks, events. Upstream: frame_system.

Accounts live while something provides for them: `inc_providers` and `dec_providers` create
and reap. Balances holds one provider reference for every account with a balance of at least
the existential deposit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from chain.pallets.system_limits import BLOCK_WEIGHTS
from chain.pallets.system_types import (
    AccountInfo,
    BlockLength,
    BlockWeight,
    BlockWeights,
    ClassLengths,
    LastRuntimeUpgradeInfo,
    RuntimeDbWeight,
    RuntimeVersionType,
)
from chain.runtime.call import READ_WEIGHT, WRITE_WEIGHT, DispatchClass
from chain.runtime.errors import (
    ConsumerRemaining,
    Corruption,
    DispatchError,
    Errors,
    NoProviders,
    PlainError,
    TooManyConsumers,
    error,
)
from chain.runtime.origin import Root, SignedOrRoot
from chain.runtime.pallet import Constant, Pallet, call, constant, event
from chain.runtime.state import State
from chain.runtime.storage import ITEMS, Blake2, Map, Twox, Value, storage
from chain.runtime.types import Digest, DispatchEventInfo, EventRecord, Phase
from ganglion.hashing import blake2_256
from ganglion.scale import DecodeError, OpaqueOf, u16, u32
from ganglion.units import AccountId, BlockNumber, Hash

BlockHashCount: Constant[BlockNumber] = constant(BlockNumber(2400))
"""Block hashes kept on chain; also the longest mortal era that can be checked."""

SS58Prefix: Constant[u16] = constant(42)
"""The address format."""

DbWeight: Constant[RuntimeDbWeight] = constant(RuntimeDbWeight(READ_WEIGHT, WRITE_WEIGHT))
"""Weight of database operations."""

BlockWeights_: Constant[BlockWeights] = constant(BLOCK_WEIGHTS)
"""Block & extrinsics weights: base values and limits."""

BlockLength_: Constant[BlockLength] = constant(
    BlockLength(ClassLengths(7_864_320, 10_485_760, 10_485_760))
)
"""The maximum length of a block (in bytes)."""

Version: Constant[RuntimeVersionType] = constant(
    RuntimeVersionType("", "", 0, 0, 0, (), 0, 0)  # the runtime table puts its own here
)
"""Get the chain's in-code version."""

MAX_CONSUMERS = 16

Account: Map[Blake2[AccountId], AccountInfo] = storage(default=AccountInfo())
"""Nonce, reference counts and balances of every account."""

ExtrinsicCount: Value[u32 | None] = storage()
"""Extrinsics applied so far in this block."""

InherentsApplied: Value[bool] = storage(default=False)
"""Whether all inherents have been applied."""

BlockWeight_: Value[BlockWeight] = storage(default=BlockWeight())
"""Weight used by this block."""

AllExtrinsicsLen: Value[u32 | None] = storage()
"""Bytes of extrinsics in this block."""

BlockHash: Map[Twox[BlockNumber], Hash] = storage(default=Hash(bytes(32)))
"""Hashes of the last blocks by number."""

Number: Value[BlockNumber] = storage(default=BlockNumber(0))
"""The block being executed, or the last one."""

ParentHash: Value[Hash] = storage(default=Hash(bytes(32)))
"""Hash of the block before."""

Digest_: Value[Digest] = storage(default=Digest())
"""The digest of this block, without its seal."""

Events: Value[Annotated[bytes, OpaqueOf(tuple[EventRecord, ...], whole=True)]] = storage(
    default=b"\0"
)
"""The events of this block."""

EventCount: Value[u32] = storage(default=0)
"""How many events this block has."""

EventTopics: Map[Blake2[Hash], tuple[tuple[BlockNumber, u32], ...]] = storage(default=())
"""Where events with a topic are; empty: no event has one, here or upstream."""

LastRuntimeUpgrade: Value[LastRuntimeUpgradeInfo | None] = storage()
"""The runtime that ran last."""

UpgradedToU32RefCount: Value[bool] = storage(default=False)
"""Reference counts are u32."""

UpgradedToTripleRefCount: Value[bool] = storage(default=False)
"""There are three reference counts."""

ExecutionPhase: Value[Phase | None] = storage()
"""What the block is doing; absent between blocks."""


@event(0)
class ExtrinsicSuccess:
    """An extrinsic completed."""

    dispatch_info: DispatchEventInfo


@event(1)
class ExtrinsicFailed:
    """An extrinsic failed; its fee and nonce stay spent."""

    dispatch_error: DispatchError
    dispatch_info: DispatchEventInfo


@event(3)
class NewAccount:
    """An account came to be."""

    account: AccountId


@event(4)
class KilledAccount:
    """An account was reaped."""

    account: AccountId


@event(5)
class Remarked:
    """A remark was made on chain."""

    sender: AccountId
    hash: Hash


class Error(Errors):
    """Upstream's errors that our calls can raise."""

    CallFiltered = error(5, "The origin filter prevent the call to be dispatched.")


@call(0, weight=lambda remark: 1_973_000 + 387 * len(remark))
def remark(s: State, origin: SignedOrRoot, remark: bytes) -> None:
    """Make some on-chain remark. Can be executed by every origin."""


@call(
    4,
    weight=lambda items: 2_000_000 + 100_000_000 * len(items),
    dispatch_class=DispatchClass.Operational,
)
def set_storage(s: State, origin: Root, items: tuple[tuple[bytes, bytes], ...]) -> None:
    """Set some items of storage, by raw key."""
    for key, value in items:
        _write_raw(s, key, value)


@call(
    5,
    weight=lambda keys: 2_000_000 + 100_000_000 * len(keys),
    dispatch_class=DispatchClass.Operational,
)
def kill_storage(s: State, origin: Root, keys: tuple[bytes, ...]) -> None:
    """Kill some items from storage, by raw key."""
    for key in keys:
        _write_raw(s, key, None)


@call(
    6,
    weight=lambda prefix, subkeys: 2_000_000 + 100_000_000 * (subkeys + 1),
    dispatch_class=DispatchClass.Operational,
)
def kill_prefix(s: State, origin: Root, prefix: bytes, subkeys: u32) -> None:
    """Kill all storage items with a key that starts with the given prefix.

    `subkeys` bounds how many are removed.
    """
    for key in s.raw_keys(prefix)[:subkeys]:
        _write_raw(s, key, None)


@call(7, weight=lambda remark: 5_000_000 + 1_400 * len(remark))
def remark_with_event(s: State, who: SignedOrRoot, remark: bytes) -> None:
    """Make some on-chain remark and emit event."""
    s.emit(Remarked(who or AccountId(bytes(32)), Hash(blake2_256(remark))))


def _write_raw(s: State, key: bytes, value: bytes | None) -> None:
    """Upstream stores any bytes; we refuse those that no reader could decode.

    Upstream's readers look at the beginning of a value: what is left over is not kept.
    """
    item = ITEMS.get(key[:32])
    try:
        if item is not None and value is not None:
            value = value[: item.codec.read(value, 0)[1]]
        s.write_raw(key, value)
    except DecodeError as e:
        raise PlainError(Corruption()) from e


def inc_providers(s: State, who: AccountId) -> None:
    """Add a reason for the account to live; the first one creates it."""
    info = s[Account, who]
    if info.providers == 0 and info.sufficients == 0:
        s.emit(NewAccount(who))
    s[Account, who] = replace(info, providers=info.providers + 1)


def dec_providers(s: State, who: AccountId) -> None:
    """Drop a reason to live; the last one reaps the account.

    Raises ConsumerRemaining when something still relies on it.
    """
    info = s[Account, who]
    if info.providers == 1 and info.sufficients == 0:
        if info.consumers:
            raise PlainError(ConsumerRemaining())
        del s[Account, who]
        s.emit(KilledAccount(who))
        return
    s[Account, who] = replace(info, providers=max(info.providers - 1, 0))


def inc_consumers(s: State, who: AccountId) -> None:
    """Rely on an account; raises NoProviders or TooManyConsumers."""
    info = s[Account, who]
    if info.providers + info.sufficients == 0:
        raise PlainError(NoProviders())
    if info.consumers >= MAX_CONSUMERS:
        raise PlainError(TooManyConsumers())
    s[Account, who] = replace(info, consumers=info.consumers + 1)


def dec_consumers(s: State, who: AccountId) -> None:
    """Stop relying on an account."""
    info = s[Account, who]
    s[Account, who] = replace(info, consumers=max(info.consumers - 1, 0))


def inc_nonce(s: State, who: AccountId) -> None:
    """Count one extrinsic of the account."""
    info = s[Account, who]
    s[Account, who] = info.with_nonce(info.nonce + 1)


def block_number(s: State) -> BlockNumber:
    """The block being executed."""
    return s[Number]


pallet = Pallet("System", __name__, crate="frame_system").seal()
