"""What a miner signs: which request it answered, with which model, and what came out.

The receipt binds everything a judge looks at. A fingerprint copied from another answer, a seed
of the miner's own choice, an answer relayed under another hotkey or on another chain: each
breaks a field, and any change breaks the signature.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any

from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, Keypair
from ganglion.scale import DecodeError, Fixed, codec, u8, u16, u32

VERSION = 1
DOMAIN = b"ganglion/receipt/1"
Digest = Annotated[bytes, Fixed(32)]


class BadReceipt(ValueError):
    """A receipt that is malformed, unsigned or about something else; the message says which."""


class Finish(IntEnum):
    """Why an answer ended."""

    LENGTH = 0
    STOP = 1
    CANCELLED = 2
    VECTORS = 3


@dataclass(frozen=True, slots=True)
class Receipt:
    """One answer. `first` counts output tokens that another miner made before this one.

    `request` is the hash of the body as sent, `evidence` the hash of the fingerprints (or of the
    vectors of an embedding), `weights` the hash that names the model, `exact` the class of the
    engine. `prompt_tokens` is what the caller is billed for beside `tokens`.
    """

    version: u8
    genesis: Digest
    netuid: u16
    request: Digest
    caller: Digest
    miner: Digest
    weights: Digest
    exact: bool
    seed: Digest
    prompt_tokens: u32
    first: u32
    tokens: tuple[u32, ...]
    finish: Finish
    evidence: Digest

    def signing_hash(self) -> bytes:
        """The 32 bytes under the signature."""
        return blake2_256(DOMAIN + RECEIPT.encode(self))


RECEIPT = codec(Receipt)


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """A receipt, the hotkey's signature over its hash, and the fingerprints it commits to.

    `attested` is a second signature, by a key that trusted hardware vouches for, over receipt and
    text; see `ganglion.attest.statement.check_answer`.
    """

    receipt: Receipt
    signature: bytes
    crypto: CryptoType
    proofs: tuple[bytes, ...] = ()
    attested: bytes | None = None

    def to_json(self) -> dict[str, Any]:
        """The form that travels: hex, and base64 for the fingerprints."""
        extra = {} if self.attested is None else {"attested": "0x" + self.attested.hex()}
        return {
            "receipt": "0x" + RECEIPT.encode(self.receipt).hex(),
            "signature": "0x" + self.signature.hex(),
            "crypto": self.crypto.name.lower(),
            "proofs": [base64.b64encode(p).decode() for p in self.proofs],
            **extra,
        }

    @classmethod
    def from_json(cls, value: object) -> SignedReceipt:
        """Parse what a stranger sent; BadReceipt unless every part has the right form."""
        if not isinstance(value, dict) or not isinstance(value.get("proofs"), list):
            raise BadReceipt("a receipt is an object with receipt, signature, crypto and proofs")
        try:
            crypto = CryptoType[str(value.get("crypto")).upper()]
            receipt = RECEIPT.decode(_unhex(value.get("receipt")))
            proofs = tuple(base64.b64decode(p, validate=True) for p in value["proofs"])
            attested = None if "attested" not in value else _unhex(value["attested"])
            return cls(receipt, _unhex(value.get("signature")), crypto, proofs, attested)
        except (KeyError, TypeError, binascii.Error, ValueError, DecodeError) as e:
            raise BadReceipt(f"the receipt cannot be read: {e}") from e


def _unhex(text: object) -> bytes:
    if not isinstance(text, str) or not text.startswith("0x"):
        raise BadReceipt("binary fields of a receipt are 0x hex text")
    return bytes.fromhex(text[2:])


def evidence_of(parts: Sequence[bytes]) -> bytes:
    """The hash a receipt carries for its fingerprints or vectors, in order."""
    return blake2_256(b"".join(blake2_256(part) for part in parts))


def sign(receipt: Receipt, key: Keypair, proofs: Sequence[bytes] = ()) -> SignedReceipt:
    """The receipt under the miner's hotkey."""
    return SignedReceipt(receipt, key.sign(receipt.signing_hash()), key.crypto, tuple(proofs))


def is_signed(signed: SignedReceipt) -> bool:
    """Whether the signature is that of the miner the receipt names."""
    signer = Keypair.from_public(signed.receipt.miner, signed.crypto)
    return signer.verify(signed.receipt.signing_hash(), signed.signature)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the caller knows about the answer before it arrives."""

    genesis: bytes
    netuid: int
    request: bytes
    caller: bytes
    miner: bytes
    weights: bytes
    seed: bytes
    first: int = 0


def check(signed: SignedReceipt, expected: Expected) -> None:
    """Raise BadReceipt unless the miner signed exactly this request's answer."""
    receipt = signed.receipt
    if receipt.version != VERSION:
        raise BadReceipt(f"receipt version {receipt.version} is unknown, {VERSION} was expected")
    for name in ("genesis", "netuid", "request", "caller", "miner", "weights", "seed", "first"):
        if getattr(receipt, name) != getattr(expected, name):
            raise BadReceipt(f"the receipt is about another {name} than was asked for")
    if not is_signed(signed):
        raise BadReceipt("the signature on the receipt is not the miner's")
