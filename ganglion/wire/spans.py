"""What the front of a sharded model and its span servers say to each other.

A front holds tokenizer, embedding and output layer; a span server holds blocks [first, last) and
answers hops: hidden rows in, hidden rows out. The server's cache of a session is addressed by
the front's own page numbers, so that prefix reuse and cancelling need no second allocator.

| request | body | answer |
|---|---|---|
| `GET /v1/span` | | an `Announcement`, signed |
| `POST /v1/hop` | a frame: `Hop`, rows | a frame: `Claim`, signed, rows |
| `POST /v1/leave` | 16 bytes: a session | empty |

A frame is a u32 (little-endian) length, so many bytes of SCALE, and the raw values of the rows
[n, hidden], little-endian. A claim binds chain, model, both keys, session, step, blocks and the
digests of the whole request and of the rows that answer it, so every hop has somebody to blame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, Keypair, verify
from ganglion.scale import DecodeError, Fixed, codec, u8, u16, u32, u64
from ganglion.wire.fields import MAX_BODY, BadMessage

SPAN_PATH, HOP_PATH, LEAVE_PATH = "/v1/span", "/v1/hop", "/v1/leave"
VERSION = 1
CLAIM_DOMAIN, SPAN_DOMAIN = b"ganglion/span-claim/1", b"ganglion/span/1"
SESSION_SIZE = 16
SLOTS = 16
"""Positions that share one page."""

MAX_ROWS, MAX_TOKENS, MAX_PAGES = 1024, 1 << 16, 1 << 20
MAX_NAMED = 1 << 16
"""Pages that the rows of one frame name in all, so that its header stays small beside its rows."""

MAX_ANNOUNCEMENT = 1024
LONGEST_LIFE_MS = 600_000
"""How long an announcement may be valid."""

SKEW_MS = 10_000
LARGEST = 1e15
"""No honest activation is larger; what is could only be meant to break arithmetic."""

Digest = Annotated[bytes, Fixed(32)]
Session = Annotated[bytes, Fixed(SESSION_SIZE)]
Values = npt.NDArray[Any]
"""Rows of hidden values [n, hidden] in the type of their `Kind`."""


class Kind(IntEnum):
    """How values travel. The exact class needs all of float64."""

    FLOAT64 = 0
    FLOAT32 = 1
    BFLOAT16 = 2

    @property
    def dtype(self) -> np.dtype[Any]:
        """As numpy knows it; bfloat16 as the patterns of its bits."""
        return np.dtype(("<f8", "<f4", "<u2")[self])


@dataclass(frozen=True, slots=True)
class HopRow:
    """`count` positions of one sequence from `start`, whose cache lies in `pages`; the results of
    the last `keep` are wanted."""

    start: u32
    count: u32
    keep: u32
    pages: tuple[u32, ...]


@dataclass(frozen=True, slots=True)
class Hop:
    """One request. `fresh`: the front thinks that this server holds nothing of the session, which
    has `room` pages; a server that was told otherwise and holds nothing must not begin anew."""

    version: u8
    weights: Digest
    session: Session
    step: u64
    fresh: bool
    room: u32
    first: u16
    last: u16
    kind: Kind
    rows: tuple[HopRow, ...]

    @property
    def tokens(self) -> int:
        """Positions that come in."""
        return sum(row.count for row in self.rows)

    @property
    def kept(self) -> int:
        """Positions that go out."""
        return sum(row.keep for row in self.rows)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a server signs of a hop: with these inputs, my blocks gave these outputs."""

    version: u8
    genesis: Digest
    weights: Digest
    server: Digest
    front: Digest
    session: Session
    step: u64
    first: u16
    last: u16
    kind: Kind
    input: Digest
    output: Digest

    def signing_hash(self) -> bytes:
        """The 32 bytes under the signature."""
        return blake2_256(CLAIM_DOMAIN + CLAIM.encode(self))


@dataclass(frozen=True, slots=True)
class SignedClaim:
    """A claim as it travels."""

    claim: Claim
    crypto: u8
    signature: Annotated[bytes, Fixed(64)]

    def holds(self) -> bool:
        """Whether the server that it names signed it."""
        return _signed(self.claim.server, self.claim.signing_hash(), self.signature, self.crypto)


@dataclass(frozen=True, slots=True)
class Announcement:
    """A span server of itself: what it holds and how fast it is.

    `rate` is blocks times tokens a second, decoding; `free` pages of the cache are unused. Times
    are milliseconds since 1970. Where it listens is not said here: the hotkey has that on the
    chain, or the front's operator knows it.
    """

    version: u8
    genesis: Digest
    netuid: u16
    weights: Digest
    kind: Kind
    hidden: u32
    layers: u16
    first: u16
    last: u16
    hotkey: Digest
    rate: u64
    free: u32
    at: u64
    expires: u64

    def signing_hash(self) -> bytes:
        """The 32 bytes under the signature."""
        return blake2_256(SPAN_DOMAIN + ANNOUNCEMENT.encode(self))


@dataclass(frozen=True, slots=True)
class SignedSpan:
    """An announcement as it travels."""

    span: Announcement
    crypto: u8
    signature: Annotated[bytes, Fixed(64)]

    def to_bytes(self) -> bytes:
        """The body of the answer to `GET /v1/span`."""
        return SIGNED_SPAN.encode(self)


HOP, CLAIM, SIGNED_CLAIM = codec(Hop), codec(Claim), codec(SignedClaim)
ANNOUNCEMENT, SIGNED_SPAN = codec(Announcement), codec(SignedSpan)


def pages_of(positions: int) -> int:
    """Pages that hold so many positions."""
    return -(-positions // SLOTS)


def tokens_a_frame(hidden: int, kind: Kind) -> int:
    """Positions that one frame can carry beside its header; at least one."""
    return max(1, min(MAX_TOKENS, (MAX_BODY - (MAX_BODY >> 3)) // (hidden * kind.dtype.itemsize)))


def pack_hop(hop: Hop, x: Values) -> bytes:
    """A request's body."""
    return _frame(HOP.encode(hop), x, hop.kind)


def unpack_hop(body: bytes, hidden: int) -> tuple[Hop, Values]:
    """A stranger's hop with its rows [tokens, hidden]; BadMessage says what is wrong with it."""
    header, payload = _parts(body)
    try:
        hop = HOP.decode(header)
    except DecodeError as e:
        raise BadMessage(f"the hop's header is malformed: {e}") from e
    if hop.version != VERSION:
        raise BadMessage(f"this server speaks version {VERSION} of hops, not {hop.version}")
    if not hop.first < hop.last:
        raise BadMessage(f"blocks {hop.first}:{hop.last} are none")
    if not 0 < len(hop.rows) <= MAX_ROWS or hop.tokens > MAX_TOKENS:
        raise BadMessage(f"a hop has 1 to {MAX_ROWS} rows of at most {MAX_TOKENS} positions")
    if not 0 < hop.room <= MAX_PAGES:
        raise BadMessage(f"a session has 1 to {MAX_PAGES} pages")
    if sum(len(row.pages) for row in hop.rows) > MAX_NAMED:
        raise BadMessage(f"the rows of a hop name at most {MAX_NAMED} pages")
    for row in hop.rows:
        if not row.keep <= row.count or not row.count:
            raise BadMessage("a row has one position or more, and keeps at most those")
        if len(row.pages) != pages_of(row.start + row.count):
            raise BadMessage("a row names the pages of all its positions, and no others")
        if any(page >= hop.room for page in row.pages):
            raise BadMessage("a row lies in a page that its session does not have")
    return hop, values_of(payload, hop.kind, hop.tokens, hidden)


def pack_answer(claim: SignedClaim, y: Values) -> bytes:
    """The answer to a hop."""
    return _frame(SIGNED_CLAIM.encode(claim), y, claim.claim.kind)


def unpack_answer(body: bytes, hop: Hop, hidden: int) -> tuple[SignedClaim, Values]:
    """The claim and rows [kept, hidden] that answer `hop`; BadMessage if they do not.

    Whom the claim names and whether it is signed is still to be checked.
    """
    header, payload = _parts(body)
    try:
        signed = SIGNED_CLAIM.decode(header)
    except DecodeError as e:
        raise BadMessage(f"the claim is malformed: {e}") from e
    claim = signed.claim
    said = (claim.version, claim.session, claim.step, claim.first, claim.last, claim.kind)
    if said != (VERSION, hop.session, hop.step, hop.first, hop.last, hop.kind):
        raise BadMessage("the claim is about another hop")
    if claim.output != blake2_256(bytes(payload)):
        raise BadMessage("the rows are not those of the claim")
    return signed, values_of(payload, hop.kind, hop.kept, hidden)


def values_of(payload: memoryview, kind: Kind, count: int, hidden: int) -> Values:
    """Rows [count, hidden] of finite values; BadMessage otherwise."""
    if len(payload) != count * hidden * kind.dtype.itemsize:
        raise BadMessage(
            f"{count} rows of {hidden} values of type {kind.name.lower()} have "
            f"{count * hidden * kind.dtype.itemsize} bytes, not {len(payload)}"
        )
    x = np.frombuffer(payload, kind.dtype).reshape(count, hidden).copy()
    if not are_sane(x):
        raise BadMessage("a value is infinite, not a number, or larger than any activation")
    return x


def are_sane(x: Values) -> bool:
    """Whether all values are finite and of a size that activations have."""
    if x.dtype == np.uint16:
        widened: Values = (x.astype(np.uint32) << 16).view(np.float32)
        x = widened
    return bool((np.abs(x) < LARGEST).all())  # false for NaN


def sign_claim(claim: Claim, hotkey: Keypair) -> SignedClaim:
    """The claim with its server's signature."""
    return SignedClaim(claim, u8(hotkey.crypto), hotkey.sign(claim.signing_hash()))


def sign_span(span: Announcement, hotkey: Keypair) -> SignedSpan:
    """The announcement with its server's signature."""
    return SignedSpan(span, u8(hotkey.crypto), hotkey.sign(span.signing_hash()))


def read_span(body: bytes, genesis: bytes, hotkey: bytes, now_ms: int) -> Announcement:
    """A stranger's announcement, if `hotkey` signed it for this chain and it is still valid."""
    try:
        signed = SIGNED_SPAN.decode(body)
    except DecodeError as e:
        raise BadMessage(f"the announcement is malformed: {e}") from e
    span: Announcement = signed.span
    if span.version != VERSION:
        raise BadMessage(f"the announcement has version {span.version}, not {VERSION}")
    if not span.first < span.last <= span.layers or not span.hidden:
        raise BadMessage(f"{span.first}:{span.last} is no span of {span.layers} blocks")
    if span.genesis != genesis or span.hotkey != hotkey:
        raise BadMessage("the announcement is of another chain or another server")
    if not span.at <= now_ms + SKEW_MS or not span.at < span.expires <= span.at + LONGEST_LIFE_MS:
        raise BadMessage("the announcement's times make no sense: do clocks differ?")
    if now_ms > span.expires:
        raise BadMessage("the announcement has expired")
    if not _signed(hotkey, span.signing_hash(), signed.signature, signed.crypto):
        raise BadMessage("the announcement is not signed by its server")
    return span


def spelt(blocks: Sequence[int]) -> str:
    """Block numbers as spans: `0:2, 5:6`."""
    spans: list[list[int]] = []
    for block in sorted(blocks):
        if spans and spans[-1][1] == block:
            spans[-1][1] = block + 1
        else:
            spans.append([block, block + 1])
    return ", ".join(f"{first}:{last}" for first, last in spans)


def _signed(key: bytes, message: bytes, signature: bytes, crypto: int) -> bool:
    known = {int(kind): kind for kind in CryptoType}
    # Anybody can sign for the all-zero key.
    return crypto in known and any(key) and verify(key, message, signature, known[crypto])


def _frame(header: bytes, x: Values, kind: Kind) -> bytes:
    raw = np.ascontiguousarray(x, kind.dtype).tobytes()
    return len(header).to_bytes(4, "little") + header + raw


def _parts(body: bytes) -> tuple[bytes, memoryview]:
    if len(body) > MAX_BODY:
        raise BadMessage(f"a frame has at most {MAX_BODY} bytes")
    size = int.from_bytes(body[:4], "little")
    if len(body) < 4 or size > len(body) - 4:
        raise BadMessage("the frame is cut short")
    return body[4 : 4 + size], memoryview(body)[4 + size :]
