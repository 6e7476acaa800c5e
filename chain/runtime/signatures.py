"""Whether a signature, whose scheme it says itself, is by an account."""

from __future__ import annotations

from chain.runtime.types import Ecdsa, Ed25519, MultiSignature, Sr25519
from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, verify
from ganglion.secp256k1 import compressed, recover

ETHEREUM_OFFSET = 27
"""Some wallets count the possible keys of a signature from here."""


def verify_signature(signature: MultiSignature, payload: bytes, who: bytes) -> bool:
    """Whether a MultiSignature over `payload` is by `who`.

    Sr25519 and ed25519 accounts are the public key. An ecdsa account is the blake2_256 of the
    compressed key, which the signature gives away. Upstream: sp_runtime's MultiSignature.
    """
    match signature:
        case Sr25519(raw):
            return verify(who, payload, raw)
        case Ed25519(raw):
            return verify(who, payload, raw, CryptoType.ED25519)
        case Ecdsa(raw):
            return _is_by_ecdsa_account(raw, payload, who)
        case _:
            return False


def _is_by_ecdsa_account(raw: bytes, payload: bytes, who: bytes) -> bool:
    number = raw[64] - ETHEREUM_OFFSET if raw[64] >= ETHEREUM_OFFSET else raw[64]
    public = recover(blake2_256(payload), raw[:64] + bytes((number,)))
    return public is not None and blake2_256(compressed(public)) == who
