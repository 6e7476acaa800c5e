"""Challenges of the proof of hardware, as they travel.

`GET /v1/hardware` answers the class that a miner claims. `POST /v1/hardware` names a nonce, a
block and that class; the miner walks the chain that follows from them and from both hotkeys, and
answers its signed commitment to the end. `POST /v1/hardware/open` gets the end itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import orjson

from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, Keypair
from ganglion.scale import Fixed, codec, u16, u64
from ganglion.wire import fields
from ganglion.wire.fields import BadMessage

PATH, OPEN_PATH = "/v1/hardware", "/v1/hardware/open"
DOMAIN = b"ganglion/hardware/1"
MAX_RATE = (1 << 63) - 1
Bytes32 = Annotated[bytes, Fixed(32)]


@dataclass(frozen=True, slots=True)
class Bound:
    """What a challenge is bound to: a chain, a subnet, both sides, a moment, a class."""

    genesis: Bytes32
    netuid: u16
    validator: Bytes32
    miner: Bytes32
    nonce: Bytes32
    block_hash: Bytes32
    rate: u64

    def seed(self) -> bytes:
        """The 32 bytes from which the matrices are drawn."""
        return blake2_256(DOMAIN + _BOUND.encode(self))


_BOUND = codec(Bound)


@dataclass(frozen=True, slots=True)
class ChallengeRequest:
    """One challenge. `rate` is the class that the miner claims, in multiply-adds a second."""

    nonce: bytes
    block_hash: bytes
    rate: int

    def to_bytes(self) -> bytes:
        """The body to sign and send."""
        named = {"nonce": "0x" + self.nonce.hex(), "block_hash": "0x" + self.block_hash.hex()}
        return orjson.dumps(named | {"rate": self.rate})

    @classmethod
    def from_bytes(cls, body: bytes) -> ChallengeRequest:
        """Parse a stranger's challenge; BadMessage names the first field that is wrong."""
        given = fields.load_object(body)
        fields.only(given, frozenset({"nonce", "block_hash", "rate"}))
        return cls(
            fields.hexadecimal(given, "nonce", 32),
            fields.hexadecimal(given, "block_hash", 32),
            fields.integer(given, "rate", 1, MAX_RATE, None),
        )


@dataclass(frozen=True, slots=True)
class Commitment:
    """The hash of a chain's end, signed by the miner's hotkey together with the chain's seed."""

    end_hash: bytes
    signature: bytes
    crypto: CryptoType

    @classmethod
    def make(cls, seed: bytes, end_hash: bytes, hotkey: Keypair) -> Commitment:
        """Commit to an end."""
        signature = hotkey.sign(blake2_256(DOMAIN + seed + end_hash))
        return cls(end_hash, signature, hotkey.crypto)

    def to_bytes(self) -> bytes:
        """As it travels."""
        return orjson.dumps(
            {
                "commitment": "0x" + self.end_hash.hex(),
                "signature": "0x" + self.signature.hex(),
                "crypto": self.crypto.name.lower(),
            }
        )

    @classmethod
    def from_bytes(cls, body: bytes, seed: bytes, miner: bytes) -> Commitment:
        """Parse and verify what a miner answered to the challenge with this seed; BadMessage."""
        given = fields.load_object(body)
        fields.only(given, frozenset({"commitment", "signature", "crypto"}))
        end_hash = fields.hexadecimal(given, "commitment", 32)
        signature = fields.hexadecimal(given, "signature", 64)
        crypto = given.get("crypto")
        if crypto not in ("sr25519", "ed25519"):
            raise BadMessage("crypto must be sr25519 or ed25519")
        kind = CryptoType[crypto.upper()]
        signer = Keypair.from_public(miner, kind)
        if not signer.verify(blake2_256(DOMAIN + seed + end_hash), signature):
            raise BadMessage(
                "the commitment is not signed by the miner's hotkey for this challenge"
            )
        return cls(end_hash, signature, kind)


def open_request(nonce: bytes) -> bytes:
    """The body that asks for the end of the challenge with this nonce."""
    return orjson.dumps({"nonce": "0x" + nonce.hex()})


def read_open_request(body: bytes) -> bytes:
    """The nonce of a stranger's request for an end; BadMessage."""
    given = fields.load_object(body)
    fields.only(given, frozenset({"nonce"}))
    return fields.hexadecimal(given, "nonce", 32)


def class_body(rate: int) -> bytes:
    """What a miner answers about its class; 0 while it claims none."""
    return orjson.dumps({"rate": rate})


def read_class(body: bytes) -> int:
    """The class that a miner claims, 0 for none; BadMessage."""
    given = fields.load_object(body)
    fields.only(given, frozenset({"rate"}))
    return fields.integer(given, "rate", 0, MAX_RATE, None)
