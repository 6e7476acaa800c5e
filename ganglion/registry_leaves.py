"""Codecs of the types that a portable registry builds on, with values people can read and write.

| on chain | decoded | also accepted when encoding |
|---|---|---|
| integers, Compact, U256 | int | |
| bool, str, char | bool, str, str | |
| Vec<u8> | bytes | 0x hex, other text as UTF-8 |
| [u8; N], H256, ... | 0x hex | bytes |
| AccountId32 | SS58 address | 0x hex, 32 bytes, Keypair |
| MultiAddress::Id | SS58 address | as AccountId32 |
| bit vector | text of 0 and 1 | |

Decoding raises DecodeError, encoding EncodeError.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from ganglion import ss58
from ganglion.errors import EncodeError, InvalidAddress
from ganglion.keys import Keypair
from ganglion.metadata_types import PrimitiveKind
from ganglion.scale import Codec, DecodeError, codec, compact_encode, compact_read

LETTERS = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i8": "b", "i16": "h", "i32": "i"}
LETTERS["i64"] = "q"

_KIND_BITS = {
    PrimitiveKind.U8: 8,
    PrimitiveKind.U16: 16,
    PrimitiveKind.U32: 32,
    PrimitiveKind.U64: 64,
    PrimitiveKind.U128: 128,
    PrimitiveKind.U256: 256,
    PrimitiveKind.I8: -8,
    PrimitiveKind.I16: -16,
    PrimitiveKind.I32: -32,
    PrimitiveKind.I64: -64,
    PrimitiveKind.I128: -128,
    PrimitiveKind.I256: -256,
}


def shown(value: Any) -> str:
    """A value for an error message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def primitive(kind: PrimitiveKind) -> Codec[Any]:
    """The codec of a primitive type."""
    bits = _KIND_BITS.get(kind)
    if bits is not None:
        return integer(abs(bits), signed=bits < 0)
    if kind is PrimitiveKind.BOOL:
        return BOOL
    return CHAR if kind is PrimitiveKind.CHAR else STR


def integer(bits: int, signed: bool = False) -> Codec[int]:
    """A little-endian integer of fixed width."""
    name, width = f"{'i' if signed else 'u'}{bits}", bits // 8

    def encode(value: int) -> bytes:
        if type(value) is not int:
            raise EncodeError(f"{shown(value)} is not a whole number")
        try:
            return value.to_bytes(width, "little", signed=signed)
        except OverflowError as e:
            raise EncodeError(f"{shown(value)} does not fit {name}") from e

    # Generated, so that neither width nor sign is looked up per value.
    namespace: dict[str, Any] = {"E": DecodeError}
    exec(
        "def read(b, i):\n"
        f"    j = i + {width}\n"
        f"    if j > len(b): raise E('{name}: the data ends inside it')\n"
        f"    return int.from_bytes(b[i:j], 'little', signed={signed}), j\n",
        namespace,
    )
    return Codec(name, encode, namespace["read"], width)


def compact(bits: int) -> Codec[int]:
    """A compact integer that must fit `bits` bits."""
    limit, name = 1 << bits, f"Compact<u{bits}>"

    def encode(value: int) -> bytes:
        if type(value) is not int:
            raise EncodeError(f"{shown(value)} is not a whole number")
        if not 0 <= value < limit:
            raise EncodeError(f"{shown(value)} does not fit u{bits}")
        return compact_encode(value)

    def read(data: bytes, at: int) -> tuple[int, int]:
        value, at = compact_read(data, at)
        if value >= limit:
            raise DecodeError(f"{name}: {value} does not fit")
        return value, at

    return Codec(name, encode, read)


def raw_bytes(value: Any) -> bytes:
    """Bytes of bytes, of 0x hex, or of other text as UTF-8; raises EncodeError."""
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, str):
        return from_hex(value) if value.startswith("0x") else value.encode()
    if isinstance(value, list | tuple) and all(type(x) is int and 0 <= x < 256 for x in value):
        return bytes(value)
    raise EncodeError(f"{shown(value)} is neither bytes nor text")


def from_hex(text: str) -> bytes:
    """Bytes of 0x hex; raises EncodeError."""
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError as e:
        raise EncodeError(f"{shown(text)} is not hexadecimal") from e


def fixed_bytes(size: int) -> Codec[str]:
    """[u8; size] as 0x hex."""
    name = f"[u8; {size}]"

    def encode(value: Any) -> bytes:
        raw = raw_bytes(value)
        if len(raw) != size:
            raise EncodeError(f"{shown(value)} has {len(raw)} bytes, not {size}")
        return raw

    def read(data: bytes, at: int) -> tuple[str, int]:
        end = at + size
        if end > len(data):
            raise DecodeError(f"{name}: the data ends inside it")
        return "0x" + data[at:end].hex(), end

    return Codec(name, encode, read, size)


def account(prefix: int) -> Codec[str]:
    """AccountId32 as an address of network `prefix`."""

    def read(data: bytes, at: int) -> tuple[str, int]:
        end = at + 32
        if end > len(data):
            raise DecodeError("AccountId32: the data ends inside it")
        return ss58.encode(data[at:end], prefix), end

    return Codec("AccountId32", account_bytes, read, 32)


def account_bytes(value: Any) -> bytes:
    """The 32 bytes of an address, 0x hex, bytes or a Keypair; raises EncodeError."""
    if isinstance(value, Keypair):
        return value.public_key
    if isinstance(value, bytes | bytearray) and len(value) == 32:
        return bytes(value)
    if isinstance(value, str):
        if value.startswith("0x"):
            raw = from_hex(value)
            if len(raw) == 32:
                return raw
        else:
            try:
                return ss58.decode(value, prefix=None)
            except InvalidAddress as e:
                raise EncodeError(str(e)) from e
    raise EncodeError(f"{shown(value)} is not an account")


def multi_address(generic: Codec[Any], accounts: Codec[str]) -> Codec[Any]:
    """MultiAddress: a plain address for `Id`, {variant: content} for the others."""

    def encode(value: Any) -> bytes:
        if isinstance(value, dict):
            return generic.encode(value)
        return b"\0" + accounts.encode(value)

    def read(data: bytes, at: int) -> tuple[Any, int]:
        if data[at : at + 1] == b"\0":
            return accounts.read(data, at + 1)
        return generic.read(data, at)

    return Codec("MultiAddress", encode, read)


def bits_of(store: Codec[Any], msb0: bool) -> Codec[str]:
    """A bit vector as text of 0 and 1, first bit first."""
    width = store.size or 1

    def encode(value: Any) -> bytes:
        if not isinstance(value, str) or value.strip("01"):
            raise EncodeError(f"{shown(value)} is not a text of 0 and 1")
        body = b""
        for start in range(0, len(value), 8 * width):
            chunk = value[start : start + 8 * width].ljust(8 * width, "0")
            body += int(chunk if msb0 else chunk[::-1], 2).to_bytes(width, "little")
        return compact_encode(len(value)) + body

    def read(data: bytes, at: int) -> tuple[str, int]:
        count, at = compact_read(data, at)
        end = at + (count + 8 * width - 1) // (8 * width) * width
        if end > len(data):
            raise DecodeError("bit vector: the data ends inside it")
        text = ""
        for start in range(at, end, width):
            chunk = format(int.from_bytes(data[start : start + width], "little"), f"0{8 * width}b")
            text += chunk if msb0 else chunk[::-1]
        if "1" in text[count:]:
            raise DecodeError("bit vector: bits are set beyond its end")
        return text[:count], end

    return Codec("BitVec", encode, read)


def bulk_list(letters: str, name: str) -> Codec[Any]:
    """Vec of fixed-width integers, unpacked in one step."""
    width = struct.calcsize("<" + letters)

    def encode(value: Any) -> bytes:
        items = as_items(value)
        try:
            return compact_encode(len(items)) + struct.pack(f"<{len(items)}{letters}", *items)
        except struct.error as e:
            raise EncodeError(f"{shown(value)} is not a list of {name}") from e

    def read(data: bytes, at: int) -> tuple[Any, int]:
        count, at = compact_read(data, at)
        end = at + count * width
        if end > len(data):
            raise DecodeError(f"Vec<{name}>: {count} items announced, {len(data) - at} bytes left")
        return list(struct.unpack_from(f"<{count}{letters}", data, at)), end

    return Codec(f"Vec<{name}>", encode, read)


def as_items(value: Any) -> list[Any] | tuple[Any, ...]:
    """A list or tuple as it is; raises EncodeError for anything else."""
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise EncodeError(f"{shown(value)} is not a list")


def _typed(kind: type, what: str, inner: Codec[Any]) -> Callable[[Any], bytes]:
    def encode(value: Any) -> bytes:
        if type(value) is not kind:
            raise EncodeError(f"{shown(value)} is not {what}")
        return inner.encode(value)

    return encode


def _read_char(data: bytes, at: int) -> tuple[str, int]:
    code, at = codec_u32.read(data, at)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise DecodeError(f"char: {code:#x} is no character")
    return chr(code), at


def _encode_char(value: Any) -> bytes:
    if not isinstance(value, str) or len(value) != 1:
        raise EncodeError(f"{shown(value)} is not one character")
    return ord(value).to_bytes(4, "little")


codec_u32 = integer(32)
BOOL: Codec[bool] = Codec("bool", _typed(bool, "true or false", codec(bool)), codec(bool).read, 1)
STR: Codec[str] = Codec("str", _typed(str, "text", codec(str)), codec(str).read)
CHAR: Codec[str] = Codec("char", _encode_char, _read_char, 4)
BYTES: Codec[bytes] = Codec(
    "Vec<u8>", lambda v: codec(bytes).encode(raw_bytes(v)), codec(bytes).read
)
EMPTY: Codec[Any] = Codec("()", lambda v: b"", lambda b, i: ((), i), 0)
