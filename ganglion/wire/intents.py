"""An intent: what somebody would pay for, up to which price and until when, signed off the chain.

Whoever has it may show it to miners. The chain takes quotes for it until its deadline, gives it to
the cheapest, and pays for the delivery alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, Keypair
from ganglion.scale import AtMost, Fixed, codec, u8, u16, u32, u64

DOMAIN = b"ganglion/intent/1"
MAX_MODEL = 96
Digest = Annotated[bytes, Fixed(32)]


@dataclass(frozen=True, slots=True)
class Intent:
    """What is wanted. `content` is the hash of what is to be done, `max_price` rao for all of it.

    Quotes are taken before the block `deadline`; the winner has `deliver` blocks from there on.
    `nonce` tells two intents of the same kind apart.
    """

    genesis: Digest
    payer: Digest
    netuid: u16
    model: Annotated[bytes, AtMost(MAX_MODEL)]
    content: Digest
    max_price: u64
    deadline: u32
    deliver: u32
    nonce: u64

    def id(self) -> bytes:
        """The 32 bytes that name the intent, and that its payer signs."""
        return blake2_256(DOMAIN + INTENT.encode(self))


INTENT = codec(Intent)
Signature = Annotated[bytes, Fixed(64)]


@dataclass(frozen=True, slots=True)
class SignedIntent:
    """An intent with its payer's signature; `crypto` is 0 for ed25519 and 1 for sr25519."""

    intent: Intent
    crypto: u8
    signature: Signature

    def is_by_payer(self) -> bool:
        """Whether the payer signed it."""
        if self.crypto not in (CryptoType.ED25519, CryptoType.SR25519):
            return False
        key = Keypair.from_public(self.intent.payer, CryptoType(self.crypto))
        return key.verify(self.intent.id(), self.signature)

    def to_hex(self) -> str:
        """The form that travels."""
        return "0x" + SIGNED.encode(self).hex()

    @classmethod
    def from_hex(cls, text: str) -> SignedIntent:
        """Parse what a stranger sent; ValueError (DecodeError is one) if it is none."""
        found: SignedIntent = SIGNED.decode(bytes.fromhex(text.strip().removeprefix("0x")))
        return found


SIGNED = codec(SignedIntent)


def sign(intent: Intent, payer: Keypair) -> SignedIntent:
    """The intent under its payer's key; ValueError for another's."""
    if payer.public_key != intent.payer:
        raise ValueError("an intent is signed by the account that it names as its payer")
    return SignedIntent(intent, int(payer.crypto), payer.sign(intent.id()))
