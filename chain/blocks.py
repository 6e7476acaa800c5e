"""Headers, bodies and blocks: their encodings, hashes and JSON forms.

A block's hash is that of its header *with* the seal, which is the digest's last entry. A body
is a list of opaque extrinsics, each with its own length prefix, as they travel and as they are
hashed. Upstream: sp_runtime::generic::{header, digest, block}.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

from chain.runtime.types import (
    Consensus,
    Digest,
    DigestItem,
    PreRuntime,
    Seal,
)
from chain.trie.ordered import ordered_root
from ganglion.hashing import blake2_256
from ganglion.scale import (
    Codec,
    Compact,
    DecodeError,
    Fixed,
    codec,
    compact_encode,
    compact_read,
    scale_type,
    u32,
)
from ganglion.units import Hash

AURA = b"aura"
GRANDPA = b"FRNK"
"""Consensus engine ids of digest entries and justifications."""

ZERO_HASH = Hash(bytes(32))


class BadDigest(ValueError):
    """A digest without what its engine must find there, or with it twice."""


@scale_type("sp_runtime::generic::header::Header")
@dataclass(frozen=True)
class Header:
    """A block header. `hash` is computed once and remembered."""

    parent_hash: Annotated[bytes, Fixed(32)]
    number: Compact[u32]
    state_root: Annotated[bytes, Fixed(32)]
    extrinsics_root: Annotated[bytes, Fixed(32)]
    digest: Digest = Digest()

    @cached_property
    def hash(self) -> Hash:
        """blake2b-256 of the encoding."""
        return Hash(blake2_256(self.encode()))

    def encode(self) -> bytes:
        """SCALE; the number is compact here, unlike in finality messages."""
        return _HEADER.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """The header of all of `data`; raises DecodeError."""
        return _HEADER.decode(data)

    @classmethod
    def read(cls, data: bytes, at: int) -> tuple[Header, int]:
        """The header at `at`, and where it ends; raises DecodeError."""
        return _HEADER.read(data, at)

    def with_logs(self, *logs: DigestItem) -> Header:
        """The same header with entries added to the end of its digest."""
        return replace(self, digest=Digest(self.digest.logs + logs))

    def json(self) -> dict[str, Any]:
        """The form of `chain_getHeader`."""
        return {
            "parentHash": "0x" + self.parent_hash.hex(),
            "number": hex(self.number),
            "stateRoot": "0x" + self.state_root.hex(),
            "extrinsicsRoot": "0x" + self.extrinsics_root.hex(),
            "digest": {"logs": ["0x" + _ITEM.encode(log).hex() for log in self.digest.logs]},
        }


_HEADER: Codec[Header] = codec(Header)
_ITEM = codec(DigestItem)


@dataclass(frozen=True, slots=True)
class Block:
    """A header and the extrinsics it commits to."""

    header: Header
    extrinsics: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """SCALE."""
        return self.header.encode() + encode_body(self.extrinsics)

    @classmethod
    def decode(cls, data: bytes) -> Block:
        """The block of all of `data`; raises DecodeError."""
        header, at = Header.read(data, 0)
        return cls(header, tuple(decode_body(data, at)))

    def json(self) -> dict[str, Any]:
        """The form of `block` in `chain_getBlock`."""
        return {
            "header": self.header.json(),
            "extrinsics": ["0x" + extrinsic.hex() for extrinsic in self.extrinsics],
        }


def encode_body(extrinsics: list[bytes] | tuple[bytes, ...]) -> bytes:
    """Vec of opaque extrinsics, each of which brings its own length prefix."""
    return compact_encode(len(extrinsics)) + b"".join(extrinsics)


def decode_body(data: bytes, at: int = 0) -> list[bytes]:
    """The extrinsics, with their length prefixes, of all of `data`; raises DecodeError."""
    count, at = compact_read(data, at)
    if count > len(data) - at:
        raise DecodeError(f"body: {count} extrinsics announced, {len(data) - at} bytes left")
    extrinsics = []
    for _ in range(count):
        size, start = compact_read(data, at)
        end = start + size
        if end > len(data):
            raise DecodeError("body: the data ends inside an extrinsic")
        extrinsics.append(data[at:end])
        at = end
    if at != len(data):
        raise DecodeError(f"body: {len(data) - at} bytes too many")
    return extrinsics


def extrinsics_root(extrinsics: list[bytes] | tuple[bytes, ...]) -> Hash:
    """The trie root over index -> extrinsic, in layout V0."""
    return Hash(ordered_root(extrinsics))


def genesis_header(state_root: bytes) -> Header:
    """Block 0 over a state: its hash names the chain."""
    return Header(ZERO_HASH, 0, state_root, extrinsics_root(()))


def slot_digest(slot: int) -> PreRuntime:
    """The entry by which an Aura author names the slot."""
    return PreRuntime(AURA, slot.to_bytes(8, "little"))


def slot_of(header: Header) -> int:
    """The Aura slot of a header; raises BadDigest unless there is exactly one."""
    slots = [log._1 for log in header.digest.logs if isinstance(log, PreRuntime) and log._0 == AURA]
    if len(slots) != 1:
        raise BadDigest(f"{len(slots)} Aura pre-runtime digests where there must be one")
    if len(slots[0]) != 8:
        raise BadDigest("the Aura pre-runtime digest is no slot number")
    return int.from_bytes(slots[0], "little")


def seal(header: Header, signature: bytes) -> Header:
    """The header with its author's signature."""
    return header.with_logs(Seal(AURA, signature))


def split_seal(header: Header) -> tuple[Header, bytes]:
    """The header as it was signed, and the signature; raises BadDigest."""
    logs = header.digest.logs
    last = logs[-1] if logs else None
    if not isinstance(last, Seal) or last._0 != AURA:
        raise BadDigest("the last entry of the digest is no Aura seal")
    if any(isinstance(log, Seal) for log in logs[:-1]):
        raise BadDigest("the header is sealed more than once")
    return replace(header, digest=Digest(logs[:-1])), last._1


def consensus_logs(header: Header, engine: bytes) -> list[bytes]:
    """What the runtime told a consensus engine in this block, in order."""
    return [log._1 for log in header.digest.logs if isinstance(log, Consensus) and log._0 == engine]
