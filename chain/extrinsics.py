"""Extrinsics as the chain reads them: signed v4, and bare v4 or v5 for inherents.

An extrinsic travels as `Compact(length) ++ bytes`; that whole form is what blocks hold, what
RPC submits and what the extrinsic's hash is taken over.
"""

from __future__ import annotations

from collections import OrderedDict

from chain.runtime.call import RuntimeCall
from chain.runtime.types import MultiAddress, MultiSignature
from ganglion.hashing import blake2_256
from ganglion.scale import Codec, DecodeError, codec, compact_encode, compact_read, slotted

SIGNED_V4 = 0x84
BARE = (0x04, 0x05)

_ADDRESS: Codec[MultiAddress] = codec(MultiAddress)
_SIGNATURE: Codec[MultiSignature] = codec(MultiSignature)
_CALL: Codec[RuntimeCall] = codec(RuntimeCall)


@slotted
class Signature:
    """The signed part: who, how, and the extensions' explicit bytes (`extra`)."""

    address: MultiAddress
    signature: MultiSignature
    era: bytes
    nonce: int
    tip: int
    mode: int
    extra: bytes


@slotted
class Extrinsic:
    """A decoded extrinsic. `signature` is None for a bare one; `length` counts every byte."""

    call: RuntimeCall
    call_bytes: bytes
    signature: Signature | None
    length: int


def decode_extrinsic(raw: bytes) -> Extrinsic:
    """Decode `Compact(length) ++ bytes`; raises DecodeError."""
    size, at = compact_read(raw, 0)
    if size != len(raw) - at:
        raise DecodeError(f"extrinsic: {size} bytes announced, {len(raw) - at} there")
    if size == 0:
        raise DecodeError("extrinsic: empty")
    version = raw[at]
    if version in BARE:
        signature, at = None, at + 1
    elif version == SIGNED_V4:
        signature, at = _read_signature(raw, at + 1)
    else:
        raise DecodeError(f"extrinsic: version byte 0x{version:02x} is not 0x84, 0x04 or 0x05")
    call, end = _CALL.read(raw, at)
    if end != len(raw):
        raise DecodeError(f"extrinsic: {len(raw) - end} bytes too many after the call")
    return Extrinsic(call, raw[at:], signature, len(raw))


class DecodedOnce:
    """Decodes extrinsics, and remembers the small ones: pool and block ask for the same bytes.

    As many are kept as make up `limit` bytes; the oldest go first.
    """

    LARGEST = 4_096

    def __init__(self, limit: int = 1 << 22) -> None:
        self.limit = limit
        self._size = 0
        # Of a plain dict the oldest entry is found behind the gaps of all that went before it.
        self._known: OrderedDict[bytes, Extrinsic] = OrderedDict()

    def decode(self, raw: bytes) -> Extrinsic:
        """What `decode_extrinsic` makes of it; raises DecodeError."""
        known = self._known.get(raw)
        if known is None:
            known = decode_extrinsic(raw)
            if len(raw) <= self.LARGEST:
                self._known[raw] = known
                self._size += len(raw)
                while self._size > self.limit:
                    self._size -= len(self._known.popitem(last=False)[0])
        return known


def _read_signature(raw: bytes, at: int) -> tuple[Signature, int]:
    address, at = _ADDRESS.read(raw, at)
    signature, at = _SIGNATURE.read(raw, at)
    start = at
    if at >= len(raw):
        raise DecodeError("extrinsic: the data ends before the era")
    at += 1 if raw[at] == 0 else 2
    era = raw[start:at]
    nonce, at = compact_read(raw, at)
    tip, at = compact_read(raw, at)
    if at >= len(raw):
        raise DecodeError("extrinsic: the data ends before the metadata hash mode")
    mode = raw[at]
    if mode > 1:
        raise DecodeError(f"extrinsic: metadata hash mode {mode} is neither 0 nor 1")
    at += 1
    if nonce >= 1 << 32 or tip >= 1 << 64:
        raise DecodeError("extrinsic: nonce or tip out of range")
    return Signature(address, signature, era, nonce, tip, mode, raw[start:at]), at


def bare(call: RuntimeCall) -> bytes:
    """An inherent: v5, no signature."""
    body = b"\x05" + _CALL.encode(call)
    return compact_encode(len(body)) + body


def signing_payload(call_bytes: bytes, extra: bytes, implicit: bytes) -> bytes:
    """What is signed; hashed when it is longer than 256 bytes."""
    payload = call_bytes + extra + implicit
    return blake2_256(payload) if len(payload) > 256 else payload


def birth_block(era: bytes, current: int) -> tuple[int, int]:
    """First block of a mortal era's validity and the block it dies at.

    An immortal era (one zero byte) is born at 0 and never dies. Raises DecodeError when the
    phase is not below the period.
    """
    if era == b"\0":
        return 0, (1 << 64) - 1
    bits = int.from_bytes(era, "little")
    period = 2 << (bits & 15)
    quantize = max(period >> 12, 1)
    phase = (bits >> 4) * quantize
    if period < 4 or phase >= period:
        raise DecodeError("era: the phase is not below the period")
    birth = (max(current, phase) - phase) // period * period + phase
    return birth, birth + period
