"""Preimage (pallet 14): bytes by their hash, held as long as someone asks for them.

Pallets store long calls here (`bound`) and read them back (`peek`). Whoever notes bytes that
nobody has asked for pays by a hold. Upstream: pallet_preimage.
"""

from __future__ import annotations

from typing import Annotated

from chain.pallets.balances_holds import ForPreimage, PreimageHold, hold, release
from chain.pallets.balances_ops import unreserve
from chain.pallets.nested import rocks
from chain.runtime.call import CALLS, DispatchClass, Pays, PostInfo, RuntimeCall
from chain.runtime.errors import CallError, Errors, ensure, error
from chain.runtime.origin import Root, Signed, SignedOrRoot
from chain.runtime.pallet import Pallet, call, event
from chain.runtime.state import State
from chain.runtime.storage import Identity, Map, storage
from ganglion.hashing import blake2_256
from ganglion.scale import AtMost, DecodeError, Enumeration, codec, scale_type, u32, variant
from ganglion.units import AccountId, Hash, Rao

MAX_SIZE = 4 * 1024 * 1024
MAX_HASHES = 1024
"""Records that one call brings up to date."""
MAX_INLINE = 128
"""Calls up to this many bytes stay where they are used."""
REASON = ForPreimage(PreimageHold.Preimage)

Ticket = tuple[AccountId, Rao]


@scale_type("pallet_preimage::RequestStatus")
class RequestStatus(Enumeration):
    """What is known about a hash."""


@variant(0)
class Unrequested(RequestStatus):
    """Noted by an account that pays for it."""

    ticket: Ticket
    len: u32


@variant(1)
class Requested(RequestStatus):
    """Asked for `count` times, noted or not."""

    maybe_ticket: Ticket | None
    count: u32
    maybe_len: u32 | None


@scale_type("pallet_preimage::OldRequestStatus")
class OldRequestStatus(Enumeration):
    """What was known about a hash, with a reserved deposit."""


@variant(0, "Unrequested")
class OldUnrequested(OldRequestStatus):
    """Noted by an account that reserved a deposit."""

    deposit: Ticket
    len: u32


@variant(1, "Requested")
class OldRequested(OldRequestStatus):
    """Asked for `count` times, noted or not."""

    deposit: Ticket | None
    count: u32
    len: u32 | None


@scale_type("frame_support::traits::preimages::Bounded")
class Bounded(Enumeration):
    """A call inline, or the hash under which its bytes are noted."""


@variant(0)
class Legacy(Bounded):
    """A hash without length; never written here."""

    hash: Hash


@variant(1)
class Inline(Bounded):
    """The call's bytes."""

    _0: Annotated[bytes, AtMost(MAX_INLINE)]


@variant(2)
class Lookup(Bounded):
    """Hash and length."""

    hash: Hash
    len: u32


StatusFor: Map[Identity[Hash], OldRequestStatus | None] = storage()
"""As RequestStatusFor, with reserved deposits: from chains older than this one."""

RequestStatusFor: Map[Identity[Hash], RequestStatus | None] = storage()
"""The request status of a given hash."""

PreimageFor: Map[Identity[tuple[Hash, u32]], Annotated[bytes, AtMost(MAX_SIZE)] | None] = storage()
"""The bytes of a hash and length."""


@event(0)
class Noted:
    """A preimage has been noted."""

    hash: Hash


@event(1)
class Requested_:
    """A preimage has been requested."""

    hash: Hash


@event(2)
class Cleared:
    """A preimage has ben cleared."""

    hash: Hash


class Error(Errors):
    """Upstream's errors."""

    TooBig = error(0, "Preimage is too large to store on-chain.")
    AlreadyNoted = error(1, "Preimage has already been noted on-chain.")
    NotAuthorized = error(2, "The user is not authorized to perform this action.")
    NotNoted = error(3, "The preimage cannot be removed since it has not yet been noted.")
    Requested = error(4, "A preimage may not be removed when there are outstanding requests.")
    NotRequested = error(
        5, "The preimage request cannot be removed since no outstanding requests exist."
    )
    TooMany = error(
        6,
        "More than `MAX_HASH_UPGRADE_BULK_COUNT` hashes were requested to be upgraded at once.",
    )
    TooFew = error(7, "Too few hashes were requested to be upgraded (i.e. zero).")


@call(
    0,
    weight=lambda bytes: 51_000_000 + 1_900 * len(bytes) + 275_000_000,
    dispatch_class=DispatchClass.Operational,
)
def note_preimage(s: State, who: SignedOrRoot, bytes: bytes) -> PostInfo:
    """Register a preimage on-chain; free when it was requested or comes from root."""
    requested = note_bytes(s, bytes, who)[0]
    return PostInfo(pays=Pays.No if requested or who is None else Pays.Yes)


@call(1, weight=65_000_000, reads=2, writes=3)
def unnote_preimage(s: State, who: SignedOrRoot, hash: Hash) -> None:
    """Clear an unrequested preimage; its own noter or root only."""
    match s[RequestStatusFor, hash]:
        case None:
            raise Error.NotNoted
        case Requested(ticket, count, size) if ticket is not None:
            ensure(who is None or who == ticket[0], Error.NotAuthorized)
            release(s, *ticket_hold(ticket))
            s[RequestStatusFor, hash] = Requested(None, count, size)
        case Requested():
            ensure(who is None, Error.NotAuthorized)
            unrequest(s, hash)
        case Unrequested(ticket, size):
            ensure(who is None or who == ticket[0], Error.NotAuthorized)
            release(s, *ticket_hold(ticket))
            clear(s, hash, size)


@call(2, weight=20_000_000, reads=2, writes=1)
def request_preimage(s: State, origin: Root, hash: Hash) -> None:
    """Request a preimage be uploaded to the chain without paying any fees or deposits."""
    request(s, hash)


@call(3, weight=33_000_000, reads=2, writes=2)
def unrequest_preimage(s: State, origin: Root, hash: Hash) -> None:
    """Clear a previously made request for a preimage."""
    unrequest(s, hash)


@call(
    4,
    weight=lambda hashes: len(hashes) * rocks(50_000_000, 1, 1),
)
def ensure_updated(s: State, who: Signed, hashes: tuple[Hash, ...]) -> PostInfo:
    """Bring records up to date; free when nine in ten of them needed it."""
    ensure(len(hashes) > 0, Error.TooFew)
    ensure(len(hashes) <= MAX_HASHES, Error.TooMany)
    updated = sum(update(s, key) for key in hashes)
    return PostInfo(pays=Pays.Yes if updated * 10 < len(hashes) * 9 else Pays.No)


def price(size: int) -> int:
    """The hold for `size` bytes: two items of 64 bytes, and the bytes."""
    return 104_000_000 + 1_000_000 * size


def ticket_hold(ticket: Ticket) -> tuple[AccountId, ForPreimage, Rao]:
    """What a ticket holds, as `release` takes it."""
    return ticket[0], REASON, ticket[1]


def note_bytes(s: State, data: bytes, depositor: AccountId | None) -> tuple[bool, Hash]:
    """Store bytes; whether they had been asked for, and their hash.

    Without a depositor the runtime itself asks for them. Raises TooBig, AlreadyNoted, or for
    lack of funds.
    """
    ensure(len(data) <= MAX_SIZE, Error.TooBig)
    key, size = Hash(blake2_256(data)), len(data)
    found = s[RequestStatusFor, key]
    status: RequestStatus
    match found:
        case Requested(ticket, count, _):
            status = Requested(ticket, count, size)
        case Unrequested(ticket, _):
            ensure(depositor is None, Error.AlreadyNoted)
            status = Requested(ticket, 1, size)
        case _ if depositor is None:
            status = Requested(None, 1, size)
        case _:
            amount = Rao(price(size))
            hold(s, depositor, REASON, amount)
            status = Unrequested((depositor, amount), size)
    s[RequestStatusFor, key] = status
    s[PreimageFor, (key, size)] = data
    s.emit(Noted(key))
    return isinstance(status, Requested), key


def request(s: State, key: Hash) -> None:
    """Ask for bytes once more."""
    status = s[RequestStatusFor, key]
    match status:
        case Requested(ticket, count, size):
            status = Requested(ticket, count + 1, size)
        case Unrequested(ticket, size):
            status = Requested(ticket, 1, size)
        case _:
            status = Requested(None, 1, None)
    s[RequestStatusFor, key] = status
    if isinstance(status, Requested) and status.count == 1:
        s.emit(Requested_(key))


def unrequest(s: State, key: Hash) -> None:
    """Take one request back; the last one frees what nobody pays for. Raises NotRequested."""
    match s[RequestStatusFor, key]:
        case Requested(ticket, count, size) if count > 1:
            s[RequestStatusFor, key] = Requested(ticket, count - 1, size)
        case Requested(_, _, None):
            del s[RequestStatusFor, key]
        case Requested(None, _, size) if size is not None:
            clear(s, key, size)
        case Requested(ticket, _, size) if ticket is not None and size is not None:
            s[RequestStatusFor, key] = Unrequested(ticket, size)
        case _:
            raise Error.NotRequested


def clear(s: State, key: Hash, size: int) -> None:
    """Forget bytes and what is known of their hash."""
    del s[RequestStatusFor, key]
    del s[PreimageFor, (key, size)]
    s.emit(Cleared(key))


def update(s: State, key: Hash) -> bool:
    """Bring one record up to date; whether it was old."""
    old = s[StatusFor, key]
    if old is None:
        return False
    del s[StatusFor, key]
    if isinstance(old, OldUnrequested):
        ticket = ticket_for(s, old.deposit, old.len)
        if ticket is not None:
            s[RequestStatusFor, key] = Unrequested(ticket, old.len)
    elif isinstance(old, OldRequested):
        ticket = None
        if old.deposit is not None:
            ticket = ticket_for(s, old.deposit, old.len)
            if ticket is None and old.len is not None:
                return True
        s[RequestStatusFor, key] = Requested(ticket, old.count, old.len)
    return True


def ticket_for(s: State, deposit: Ticket, size: int | None) -> Ticket | None:
    """A hold in place of a reserved deposit; None without bytes to pay for, or without funds.

    As upstream: after the latter the record is gone, and whoever needs the bytes notes them anew.
    """
    who, reserved = deposit
    unreserve(s, who, reserved)
    if size is None:
        return None
    amount = Rao(price(size))
    try:
        hold(s, who, REASON, amount)
    except CallError:
        return None
    return who, amount


def bound(s: State, inner: RuntimeCall) -> Bounded:
    """A call as a bounded value; long ones are noted and must be `drop`ped once."""
    data = CALLS.encode(inner)
    if len(data) <= MAX_INLINE:
        return Inline(data)
    return Lookup(note_bytes(s, data, None)[1], len(data))


def peek(s: State, bounded: Bounded) -> RuntimeCall | None:
    """The call behind a bounded value; None when its bytes are missing or no call."""
    data: bytes | None = None
    match bounded:
        case Inline(raw):
            data = raw
        case Lookup(key, size):
            data = s[PreimageFor, (key, size)]
    if data is None:
        return None
    try:
        decoded: RuntimeCall = codec(RuntimeCall).decode(data)
    except DecodeError:
        return None
    return decoded


def lookup_hash(bounded: Bounded) -> Hash | None:
    """The hash to look up, if any."""
    match bounded:
        case Legacy(key) | Lookup(key, _):
            return key
        case _:
            return None


def drop(s: State, bounded: Bounded) -> None:
    """Say that a bounded value is no longer needed."""
    key = lookup_hash(bounded)
    if key is not None and isinstance(s[RequestStatusFor, key], Requested):
        unrequest(s, key)


pallet = Pallet("Preimage", __name__).seal()
