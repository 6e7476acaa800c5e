"""SS58 addresses: base58(prefix ++ 32-byte account ++ checksum).

The checksum is the first two bytes of blake2b-512("SS58PRE" ++ prefix ++ account); networks
below 64 take one prefix byte, those up to 16383 two. Subtensor's network number is 42.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

from ganglion.errors import InvalidAddress
from ganglion.units import AccountId

DEFAULT_PREFIX = 42
MAX_PREFIX = 16_383

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGIT = {c: i for i, c in enumerate(_ALPHABET)}
_MAX_LENGTH = 50  # 2 + 32 + 2 bytes never need more than 50 base58 digits


def encode(account: bytes, prefix: int = DEFAULT_PREFIX) -> str:
    """The address of a 32-byte account on network `prefix`.

    Raises InvalidAddress if the account is not 32 bytes or the network number is out of range.
    """
    if len(account) != 32:
        raise InvalidAddress(f"an account id has 32 bytes, not {len(account)}")
    body = _prefix_bytes(prefix) + account
    return _base58(body + _checksum(body))


def decode(address: str, prefix: int | None = DEFAULT_PREFIX) -> AccountId:
    """The 32-byte account of an address; `prefix=None` accepts any network.

    Raises InvalidAddress with the reason: a character outside base58, a wrong length, a wrong
    checksum (usually a typing mistake) or an address of another network.
    """
    network, account = split(address)
    if prefix is not None and network != prefix:
        raise InvalidAddress(
            f"{_shown(address)} is an address of network {network}; this chain uses {prefix}"
        )
    return account


@lru_cache(maxsize=4096)
def split(address: str) -> tuple[int, AccountId]:
    """The network number and account of an address of any network; raises InvalidAddress.

    Those that talk to each other name each other again and again, and base58 is slow.
    """
    raw = _unbase58(address)
    width = 2 if raw and raw[0] & 0x40 else 1
    if len(raw) != width + 34 or raw[0] & 0x80:
        raise InvalidAddress(f"{_shown(address)} does not have the length of an SS58 address")
    body, checksum = raw[:-2], raw[-2:]
    if _checksum(body) != checksum:
        raise InvalidAddress(f"{_shown(address)} has a wrong checksum: look for a typing mistake")
    network = _prefix_number(body[:width])
    if width == 2 and network < 64:
        raise InvalidAddress(f"{_shown(address)} spells its network number in a non-standard way")
    return network, AccountId(body[width:])


def is_address(text: str, prefix: int | None = DEFAULT_PREFIX) -> bool:
    """True if `decode` would accept the text."""
    try:
        decode(text, prefix)
    except InvalidAddress:
        return False
    return True


def _checksum(body: bytes) -> bytes:
    return blake2b(b"SS58PRE" + body).digest()[:2]


def _prefix_bytes(prefix: int) -> bytes:
    if not 0 <= prefix <= MAX_PREFIX:
        raise InvalidAddress(f"network numbers run from 0 to {MAX_PREFIX}, not {prefix}")
    if prefix < 64:
        return bytes([prefix])
    # The low 6 bits of the first byte hold bits 2..7, the second byte holds bits 8..13 and 0..1.
    return bytes([(prefix & 0xFC) >> 2 | 0x40, prefix >> 8 | (prefix & 0x03) << 6])


def _prefix_number(raw: bytes) -> int:
    if len(raw) == 1:
        return raw[0]
    return (raw[0] & 0x3F) << 2 | raw[1] >> 6 | (raw[1] & 0x3F) << 8


def _base58(raw: bytes) -> str:
    number = int.from_bytes(raw, "big")
    digits: list[str] = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_ALPHABET[digit])
    zeros = len(raw) - len(raw.lstrip(b"\0"))
    return _ALPHABET[0] * zeros + "".join(reversed(digits))


def _unbase58(text: str) -> bytes:
    if not isinstance(text, str) or not text:
        raise InvalidAddress("an address is a non-empty text such as 5Grw...")
    if len(text) > _MAX_LENGTH:
        raise InvalidAddress(f"{_shown(text)} is too long for an SS58 address")
    number = 0
    for char in text:
        digit = _DIGIT.get(char)
        if digit is None:
            raise InvalidAddress(f"{_shown(text)} holds {char!r}, which no SS58 address does")
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip(_ALPHABET[0]))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
