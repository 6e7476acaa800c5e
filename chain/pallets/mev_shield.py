"""MevShield (pallet 30): extrinsics and calls that stay unread until they run.

`submit_encrypted` carries a whole extrinsic, encrypted for the author of the block after the
next, who unpacks it into the same block (`chain.mev`). `store_encrypted` keeps a call under a
timelock envelope (SCALE of ciphertext and drand round, as clients' timelock.encrypt makes it)
and runs it when the round's pulse is there. Upstream: pallets/shield, whose runtime has no
decryptor for stored calls; the envelope is this chain's own choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import chain.pallets.mev_shield_store as _store
from chain import timelock
from chain.mev import KEY_LENGTH, ShieldKeys, parse
from chain.pallets import aura
from chain.pallets.drand import OldestStoredRound, Pulses
from chain.pallets.mev_shield_store import (
    AuthorKeys,
    Ciphertext,
    CounterForPendingExtrinsics,
    CurrentKey,
    EncKey,
    EncryptedSubmitted,
    Error,
    ExtrinsicDecodeFailed,
    ExtrinsicDispatched,
    ExtrinsicDispatchFailed,
    ExtrinsicExpired,
    ExtrinsicLifetime,
    ExtrinsicLifetimeSet,
    ExtrinsicPostponed,
    ExtrinsicStored,
    ExtrinsicWeightExceeded,
    MaxExtrinsicWeight,
    MaxExtrinsicWeightSet,
    MaxPendingExtrinsicsLimit,
    MaxPendingExtrinsicsNumberSet,
    NextKey,
    NextKeyExpiresAt,
    NextPendingExtrinsicIndex,
    OnInitializeWeight,
    OnInitializeWeightSet,
    PendingExtrinsic,
    PendingExtrinsics,
    PendingKey,
    PendingKeyExpiresAt,
)
from chain.pallets.nested import name_of, rocks, weight_of
from chain.pallets.system import block_number
from chain.runtime.call import DispatchClass, RuntimeCall
from chain.runtime.dispatch import dispatch
from chain.runtime.errors import ensure
from chain.runtime.extension import Context, Extension
from chain.runtime.origin import Root, Signed, Unsigned, signed
from chain.runtime.pallet import Pallet, call, inherent, on_initialize
from chain.runtime.state import State, iter_keys
from chain.runtime.storage import Value
from chain.runtime.validity import Invalid, InvalidTransaction
from ganglion.hashing import blake2_256, twox_128
from ganglion.scale import DecodeError, codec, u32, u64
from ganglion.units import BlockNumber, Hash

ABSOLUTE_MAX_WEIGHT = 2_000_000_000_000
T = TypeVar("T")
MAX_ERA_PERIOD = 8
FAILED_PARSING = 23
"""CustomTransactionError::FailedShieldedTxParsing."""


@call(0, weight=33_661_000, reads=4, writes=6, dispatch_class=DispatchClass.Mandatory)
def announce_next_key(s: State, origin: Unsigned, enc_key: EncKey | None) -> None:
    """Announce the author's next key and move all keys one block on."""
    author, now = aura.author(s), block_number(s)
    if author is None:
        raise Error.Unreachable
    ensure(enc_key is None or len(enc_key) == KEY_LENGTH, Error.BadEncKeyLen)
    put(s, CurrentKey, s[PendingKey])
    put(s, PendingKey, s[NextKey])
    put(s, NextKey, s[AuthorKeys, author_in(s, 2)])
    s[AuthorKeys, author] = enc_key
    put(s, PendingKeyExpiresAt, None if s[PendingKey] is None else BlockNumber(now + 2))
    put(s, NextKeyExpiresAt, None if s[NextKey] is None else BlockNumber(now + 3))


@call(1, weight=207_223_000)
def submit_encrypted(s: State, who: Signed, ciphertext: Ciphertext) -> None:
    """Carry an encrypted extrinsic into a block, whose author puts it right behind."""
    body = who + codec(Ciphertext).encode(ciphertext)
    s.emit(EncryptedSubmitted(Hash(blake2_256(body)), who))


@call(2, weight=20_000_000_000)
def store_encrypted(s: State, who: Signed, encrypted_call: Ciphertext) -> None:
    """Store a call under a timelock envelope, to run when its round is reached."""
    limit = s[MaxPendingExtrinsicsLimit]
    ensure(s[CounterForPendingExtrinsics] < limit, Error.TooManyPendingExtrinsics)
    index = s[NextPendingExtrinsicIndex]
    s[PendingExtrinsics, index] = PendingExtrinsic(who, encrypted_call, block_number(s))
    s[CounterForPendingExtrinsics] = s[CounterForPendingExtrinsics] + 1
    s[NextPendingExtrinsicIndex] = min(index + 1, 0xFFFFFFFF)
    s.emit(ExtrinsicStored(index, who))


@call(3, weight=4_206_000, writes=1)
def set_max_pending_extrinsics_number(s: State, origin: Root, value: u32) -> None:
    """Limit how many calls may be stored."""
    s[MaxPendingExtrinsicsLimit] = value
    s.emit(MaxPendingExtrinsicsNumberSet(value))


@call(4, weight=4_327_000, writes=1)
def set_on_initialize_weight(s: State, origin: Root, value: u64) -> None:
    """Set the weight that stored calls may use in a block."""
    ensure(value <= ABSOLUTE_MAX_WEIGHT, Error.WeightExceedsAbsoluteMax)
    s[OnInitializeWeight] = value
    s.emit(OnInitializeWeightSet(value))


@call(5, weight=4_116_000, writes=1)
def set_stored_extrinsic_lifetime(s: State, origin: Root, value: u32) -> None:
    """Set for how many blocks a stored call is kept."""
    s[ExtrinsicLifetime] = value
    s.emit(ExtrinsicLifetimeSet(value))


@call(6, weight=4_227_000, writes=1)
def set_max_extrinsic_weight(s: State, origin: Root, value: u64) -> None:
    """Limit the weight of one stored call."""
    ensure(value <= ABSOLUTE_MAX_WEIGHT, Error.WeightExceedsAbsoluteMax)
    s[MaxExtrinsicWeight] = value
    s.emit(MaxExtrinsicWeightSet(value))


def put(s: State, item: Value[T | None], value: T | None) -> None:
    """Write a value, or delete the entry for None."""
    if value is None:
        del s[item]
    else:
        s[item] = value


def author_in(s: State, slots: int) -> bytes:
    """The author of a slot to come."""
    authorities = s[aura.Authorities]
    return authorities[(s[aura.CurrentSlot] + slots) % len(authorities)]


@inherent
def announce_inherent(s: State, now_ms: int, data: object) -> RuntimeCall | None:
    """The author's announcement; only by nodes that keep keys (`data`)."""
    if not isinstance(data, ShieldKeys):
        return None
    return RuntimeCall(pallet.index, 0, (data.announce(),))


@dataclass(frozen=True, slots=True)
class Envelope:
    """A timelocked call."""

    encrypted: bytes
    reveal_round: u64


@on_initialize
def process_pending_extrinsics(s: State, now: int) -> None:
    """Run the stored calls whose time has come, in the order they were stored."""
    budget = s[OnInitializeWeight]
    for index in sorted(iter_keys(s, PendingExtrinsics)):
        pending = s[PendingExtrinsics, index]
        assert pending is not None
        if now - pending.submitted_at > s[ExtrinsicLifetime]:
            remove(s, index)
            s.emit(ExtrinsicExpired(index))
            continue
        opened = open_call(s, pending.encrypted_call)
        if opened is None:
            continue
        if not isinstance(opened, RuntimeCall):
            remove(s, index)
            s.emit(ExtrinsicDecodeFailed(index))
            continue
        spent = run_stored(s, index, pending, opened, budget)
        if spent is None:
            break
        budget -= spent


def run_stored(
    s: State, index: int, pending: PendingExtrinsic, inner: RuntimeCall, budget: int
) -> int | None:
    """Run an opened call; returns the weight used, or None when the budget is too small."""
    weight = weight_of(inner)
    if weight > s[MaxExtrinsicWeight]:
        remove(s, index)
        s.emit(ExtrinsicWeightExceeded(index))
        return rocks(0, 1, 2)
    if rocks(weight, 0, 2) > budget:
        s.emit(ExtrinsicPostponed(index))
        return None
    remove(s, index)
    result = dispatch(s, inner, signed(pending.who))
    if result.error is None:
        s.emit(ExtrinsicDispatched(index))
    else:
        s.emit(ExtrinsicDispatchFailed(index, result.error.value()))
    return rocks(result.weight, 1, 2)


def remove(s: State, index: int) -> None:
    """Forget a stored call."""
    del s[PendingExtrinsics, index]
    s[CounterForPendingExtrinsics] = max(s[CounterForPendingExtrinsics] - 1, 0)


def open_call(s: State, envelope: bytes) -> RuntimeCall | bool | None:
    """The call, False when there will never be one, None while its round is to come."""
    try:
        found: Envelope = codec(Envelope).decode(envelope)
    except DecodeError:
        return False
    pulse = s[Pulses, found.reveal_round]
    if pulse is None:
        return False if found.reveal_round < s[OldestStoredRound] else None
    try:
        inner: RuntimeCall = codec(RuntimeCall).decode(
            timelock.decrypt(found.encrypted, pulse.signature)
        )
    except (timelock.TimelockError, DecodeError):
        return False
    return inner


class CheckShieldedTxValidity(Extension):
    """Refuses carriers that cannot be parsed or that live longer than their key."""

    identifier = "CheckShieldedTxValidity"

    def validate(self, s: State, ctx: Context) -> None:
        """Raise Stale for too long an era, Custom(23) for a malformed ciphertext."""
        if ctx.who is None or name_of(ctx.call) != ("MevShield", "submit_encrypted"):
            return
        if ctx.era == b"\0" or 2 << (ctx.era[0] & 0xF) > MAX_ERA_PERIOD:
            raise InvalidTransaction(Invalid.Stale)
        if parse(ctx.call.args[0]) is None:
            raise InvalidTransaction(Invalid.Custom, FAILED_PARSING)


def is_for_this_block(s: State, ciphertext: bytes) -> bool:
    """Whether a ciphertext is for the author of the block on top of `s`.

    Once the block's announcement has run its key is `CurrentKey`.
    """
    key = s[CurrentKey]
    return key is not None and ciphertext[:16] == twox_128(key)


pallet = Pallet("MevShield", _store.__name__, __name__, crate="pallet_shield").seal()
