"""The hash functions of a Substrate chain and the six storage hashers built on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from xxhash import xxh64_intdigest


def blake2_256(data: bytes) -> bytes:
    """32-byte blake2b."""
    return blake2b(data, digest_size=32).digest()


def blake2_128(data: bytes) -> bytes:
    """16-byte blake2b."""
    return blake2b(data, digest_size=16).digest()


def twox_64(data: bytes) -> bytes:
    """8-byte xxHash64, little-endian."""
    return xxh64_intdigest(data, 0).to_bytes(8, "little")


def twox_128(data: bytes) -> bytes:
    """16 bytes: xxHash64 with seeds 0 and 1."""
    return xxh64_intdigest(data, 0).to_bytes(8, "little") + xxh64_intdigest(data, 1).to_bytes(
        8, "little"
    )


def twox_256(data: bytes) -> bytes:
    """32 bytes: xxHash64 with seeds 0 to 3."""
    return b"".join(xxh64_intdigest(data, seed).to_bytes(8, "little") for seed in range(4))


def identity(data: bytes) -> bytes:
    """The key itself: only for keys that no stranger chooses."""
    return data


def twox_64_concat(data: bytes) -> bytes:
    """twox_64 of the key, then the key."""
    return xxh64_intdigest(data, 0).to_bytes(8, "little") + data


def blake2_128_concat(data: bytes) -> bytes:
    """blake2_128 of the key, then the key."""
    return blake2b(data, digest_size=16).digest() + data


@dataclass(frozen=True, slots=True)
class Hasher:
    """A storage hasher: its metadata name and index, its hash length before the key.

    `reversible` says whether the key can be read back from the end of the hashed form.
    """

    name: str
    index: int
    hash: Callable[[bytes], bytes]
    prefix: int
    reversible: bool


BLAKE2_128 = Hasher("Blake2_128", 0, blake2_128, 16, False)
BLAKE2_256 = Hasher("Blake2_256", 1, blake2_256, 32, False)
BLAKE2_128_CONCAT = Hasher("Blake2_128Concat", 2, blake2_128_concat, 16, True)
TWOX_128 = Hasher("Twox128", 3, twox_128, 16, False)
TWOX_256 = Hasher("Twox256", 4, twox_256, 32, False)
TWOX_64_CONCAT = Hasher("Twox64Concat", 5, twox_64_concat, 8, True)
IDENTITY = Hasher("Identity", 6, identity, 0, True)

HASHERS = (
    BLAKE2_128,
    BLAKE2_256,
    BLAKE2_128_CONCAT,
    TWOX_128,
    TWOX_256,
    TWOX_64_CONCAT,
    IDENTITY,
)
