"""Whether a signature, whose scheme it says itself, is by an account."""

from __future__ import annotations

from chain.runtime.types import Ed25519, MultiSignature, Sr25519
from ganglion.keys import CryptoType, verify


def verify_signature(signature: MultiSignature, payload: bytes, who: bytes) -> bool:
    """Whether a MultiSignature over `payload` is by `who`; ecdsa is not accepted."""
    match signature:
        case Sr25519(raw):
            return verify(who, payload, raw)
        case Ed25519(raw):
            return verify(who, payload, raw, CryptoType.ED25519)
        case _:
            return False
