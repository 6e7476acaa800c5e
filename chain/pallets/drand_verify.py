"""Checking the signature on an unsigned extrinsic's payload."""

from __future__ import annotations

from chain.pallets.drand_types import Ed25519Signer, MultiSigner, Sr25519Signer
from chain.runtime.types import Ed25519, MultiSignature, Sr25519
from ganglion.keys import CryptoType, verify


def payload_signed(raw: bytes, public: MultiSigner, signature: MultiSignature) -> bool:
    """Whether `signature` over `raw` is by `public`, both of one scheme; not ecdsa."""
    match public, signature:
        case Sr25519Signer(key), Sr25519(sig):
            return verify(key, raw, sig)
        case Ed25519Signer(key), Ed25519(sig):
            return verify(key, raw, sig, CryptoType.ED25519)
        case _:
            return False
