"""Timelock encryption: what nobody can read before a drand round, and the pulses that open it.

A round's BLS signature over its number (G1; public key in G2) is the key of an identity-based
scheme (Boneh-Franklin FullIdent): U = rP, V = sigma xor H2(e(Q, pk)^r), W = key xor H4(sigma),
with r = H3(sigma, key). The message itself is under AES-256-GCM with that key. Encodings are
those of arkworks: compressed points, u64 little-endian lengths. Clients (bittensor-drand) make
such ciphertexts for weights and commitments.

Needs the optional extra `bls`. A chain with pulses cannot be followed without it: every node
must come to the same plaintexts.
"""

from __future__ import annotations

from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_BLS: Any = import_module("py_arkworks_bls12381") if find_spec("py_arkworks_bls12381") else None

DOMAIN = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
SUITE = b"AES_GCM_"
_U, _HASH = 96, 32


class BlsMissing(RuntimeError):
    """The extra is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "drand pulses and timelocks need BLS12-381: pip install 'ganglion[bls]' and start again"
        )


class TimelockError(ValueError):
    """A ciphertext or a signature cannot be used; the subclasses say which."""


class BadSignature(TimelockError):
    """The signature is no point of G1."""


class BadCiphertext(TimelockError):
    """The ciphertext is not laid out as it must be."""


class NotOpened(TimelockError):
    """The signature does not open the ciphertext."""


def available() -> bool:
    """Whether the extra `bls` is installed."""
    return _BLS is not None


def _bls() -> Any:
    if _BLS is None:
        raise BlsMissing
    return _BLS


def round_message(number: int) -> bytes:
    """What the beacon signs for a round (unchained drand)."""
    return sha256(number.to_bytes(8, "big")).digest()


def sign_round(secret: int, number: int) -> bytes:
    """The signature of a round under a secret key: for beacons of one's own."""
    bls = _bls()
    point = bls.G1Point.hash_to_curve(round_message(number), DOMAIN)
    return bytes((point * bls.Scalar(secret)).to_compressed_bytes())


def public_key(secret: int) -> bytes:
    """The 96-byte public key of a secret key."""
    bls = _bls()
    return bytes((bls.G2Point() * bls.Scalar(secret)).to_compressed_bytes())


def verify_round(key: bytes, number: int, signature: bytes) -> bool:
    """Whether `signature` is the beacon's for a round.

    Raises TimelockError when key or signature is no point of its group.
    """
    bls = _bls()
    try:
        pk, sig = (
            bls.G2Point.from_compressed_bytes(key),
            bls.G1Point.from_compressed_bytes(signature),
        )
    except ValueError as e:
        raise BadSignature("the key or the signature is no point of its curve") from e
    message = bls.G1Point.hash_to_curve(round_message(number), DOMAIN)
    return bool(bls.GT.pairing_check([-sig, message], [bls.G2Point(), pk]))


def encrypt(key: bytes, number: int, message: bytes, entropy: bytes) -> bytes:
    """Seal a message until a round of the beacon with public key `key`.

    `entropy`: 76 fresh random bytes (AES key, sigma, nonce).
    """
    if len(entropy) != 76:
        raise ValueError(f"{len(entropy)} bytes of entropy instead of 76")
    bls = _bls()
    secret, sigma, nonce = entropy[:32], entropy[32:64], entropy[64:76]
    r = _h3(sigma, secret)
    identity = bls.G1Point.hash_to_curve(round_message(number), DOMAIN)
    u = (bls.G2Point() * r).to_compressed_bytes()
    shared = bls.GT.pairing(identity, bls.G2Point.from_compressed_bytes(key) * r)
    v = _xor(sigma, _h2(shared))
    w = _xor(secret, sha256(sigma).digest())
    sealed = AESGCM(secret).encrypt(nonce, message, None)
    body = _vec(_vec(sealed) + _vec(nonce))
    return bytes(u) + _vec(v) + _vec(w) + body + _vec(SUITE)


def decrypt(ciphertext: bytes, signature: bytes) -> bytes:
    """Open a ciphertext with the signature of its round.

    Raises BadSignature, BadCiphertext or NotOpened. A signature written as text with a leading
    0x is taken as the bytes after it, as upstream does.
    """
    bls = _bls()
    try:
        sig = bls.G1Point.from_compressed_bytes(signature.removeprefix(b"0x"))
    except ValueError as e:
        raise BadSignature("the signature is no point of G1") from e
    u, v, w, body = _parse(ciphertext)
    sigma = _xor(v, _h2(bls.GT.pairing(sig, u)))
    secret = _xor(w, sha256(sigma).digest())
    if bls.G2Point() * _h3(sigma, secret) != u:
        raise NotOpened("the signature is of another round or beacon")
    sealed, at = _read_vec(body, 0)
    nonce, at = _read_vec(body, at)
    if len(nonce) != 12:
        raise NotOpened(f"a nonce of {len(nonce)} bytes, not 12")
    try:
        return AESGCM(secret).decrypt(nonce, sealed, None)
    except InvalidTag as e:
        raise NotOpened("the message was tampered with") from e


def _parse(data: bytes) -> tuple[Any, bytes, bytes, bytes]:
    """U, V, W and the body. Bytes after the body's cipher suite are ignored, as upstream does."""
    try:
        u = _bls().G2Point.from_compressed_bytes(data[:_U])
    except ValueError as e:
        raise BadCiphertext("U is no point of G2") from e
    v, at = _read_vec(data, _U)
    w, at = _read_vec(data, at)
    body, at = _read_vec(data, at)
    _read_vec(data, at)
    if len(v) != _HASH or len(w) != _HASH:
        raise BadCiphertext("V and W must be of 32 bytes")
    return u, v, w, body


def _read_vec(data: bytes, at: int) -> tuple[bytes, int]:
    start = at + 8
    end = start + int.from_bytes(data[at:start], "little")
    if start > len(data) or end > len(data):
        raise BadCiphertext("the ciphertext ends too early")
    return data[start:end], end


def _vec(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + data


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def _h2(shared: Any) -> bytes:
    """sha256 of a pairing's compressed encoding, which the binding prints as hex."""
    return sha256(bytes.fromhex(str(shared))).digest()


def _h3(sigma: bytes, secret: bytes) -> Any:
    return _bls().Scalar.from_be_bytes_mod_order(sha256(sigma + secret).digest())
