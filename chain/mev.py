"""Extrinsics that nobody can read before their block: ML-KEM-768 and XChaCha20-Poly1305.

A ciphertext is: twox_128 of the public key (16 bytes), u16 length of the encapsulated secret
(1088), that secret, a 24-byte nonce, and the sealed bytes of a whole signed extrinsic. Each
author announces a fresh public key in every block (`chain.pallets.mev_shield`) and keeps the
private ones in memory, long enough for the blocks in which they are used.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated

import nacl.exceptions
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)

from ganglion.hashing import twox_128
from ganglion.scale import Fixed, scale_type

SEED_LENGTH = 64
KEY_LENGTH = 1184
KEM_LENGTH = 1088
NONCE_LENGTH = 24
KEPT_KEYS = 64
"""Private keys an author remembers. A key is used two to three of its author's blocks after
its announcement; blocks that were made and lost to a fork use keys up, too."""


@scale_type("stp_shield::ShieldedTransaction")
@dataclass(frozen=True, slots=True)
class ShieldedTransaction:
    """The parts of a ciphertext."""

    key_hash: Annotated[bytes, Fixed(16)]
    kem_ct: bytes
    aead_ct: bytes
    nonce: Annotated[bytes, Fixed(NONCE_LENGTH)]


def parse(ciphertext: bytes) -> ShieldedTransaction | None:
    """Take a ciphertext apart; None when it is not laid out as it must be."""
    start = 18 + int.from_bytes(ciphertext[16:18], "little")
    end = start + NONCE_LENGTH
    if len(ciphertext) < 18 or start - 18 != KEM_LENGTH or len(ciphertext) < end:
        return None
    return ShieldedTransaction(
        ciphertext[:16], ciphertext[18:start], ciphertext[end:], ciphertext[start:end]
    )


def seal(public_key: bytes, plaintext: bytes) -> bytes:
    """Encrypt for the author whose announced key this is; ValueError for a bad key."""
    shared, kem = MLKEM768PublicKey.from_public_bytes(public_key).encapsulate()
    nonce = secrets.token_bytes(NONCE_LENGTH)
    sealed: bytes = crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, b"", nonce, shared)
    return twox_128(public_key) + len(kem).to_bytes(2, "little") + kem + nonce + sealed


def open_with_seed(seed: bytes, shielded: ShieldedTransaction) -> bytes | None:
    """The plaintext, or None; `seed` is the private key's 64 bytes."""
    return _open(MLKEM768PrivateKey.from_seed_bytes(seed), shielded)


def _open(private: MLKEM768PrivateKey, shielded: ShieldedTransaction) -> bytes | None:
    try:
        shared = private.decapsulate(shielded.kem_ct)
        plaintext: bytes = crypto_aead_xchacha20poly1305_ietf_decrypt(
            shielded.aead_ct, b"", shielded.nonce, shared
        )
    except (ValueError, nacl.exceptions.CryptoError):
        return None
    return plaintext


class ShieldKeys:
    """An author's private keys by the hash of their public keys."""

    def __init__(self) -> None:
        self._keys: OrderedDict[bytes, MLKEM768PrivateKey] = OrderedDict()
        self._spare: MLKEM768PrivateKey | None = None

    def prepare(self) -> None:
        """Make the next key pair now, while nobody waits for a block."""
        if self._spare is None:
            self._spare = MLKEM768PrivateKey.from_seed_bytes(secrets.token_bytes(SEED_LENGTH))

    def announce(self, seed: bytes | None = None) -> bytes:
        """The public key (1184 bytes) of a new pair, made of 64 bytes of randomness."""
        if seed is None:
            self.prepare()
            private, self._spare = self._spare, None
            assert private is not None
        else:
            private = MLKEM768PrivateKey.from_seed_bytes(seed)
        public = private.public_key().public_bytes_raw()
        self._keys[twox_128(public)] = private
        while len(self._keys) > KEPT_KEYS:
            self._keys.popitem(last=False)
        return public

    def open(self, ciphertext: bytes) -> bytes | None:
        """The plaintext, or None: another author's key, an old one, or tampered with."""
        shielded = parse(ciphertext)
        private = None if shielded is None else self._keys.get(shielded.key_hash)
        return None if shielded is None or private is None else _open(private, shielded)


def available() -> bool:
    """Whether this build of `cryptography` has ML-KEM."""
    try:
        MLKEM768PrivateKey.generate()
    except UnsupportedAlgorithm:
        return False
    return True
