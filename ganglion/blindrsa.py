"""Blind RSA signatures: an issuer signs what it cannot see (RFC 9474, RSABSSA-SHA384-PSSZERO).

The asker hides a message by a random factor, the issuer signs the result, and the asker takes the
factor away. What is left is an ordinary RSA-PSS signature over the message, with SHA-384 and no
salt, that the issuer cannot connect with anything it has seen: for every signature and every
request there is a factor that fits. The messages here hold a fresh public key each, so the
deterministic variant is safe to use.

The private operation is Python's `pow`, which takes longer for some numbers than for others: an
issuer should answer people, not machines that ask it thousands of times a second and time it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import sha384
from math import gcd

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ganglion.errors import GanglionError

EXPONENT = 65_537
LEAST_BITS, MOST_BITS = 2048, 4096
DIGEST = 48


class BlindError(GanglionError):
    """A key, a request or an answer that does not fit; the message says which."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A blinded message for the issuer, and the inverse of what hides it, for oneself alone."""

    blinded: bytes
    inverse: int


def public_key(modulus: bytes) -> rsa.RSAPublicKey:
    """The key of a big-endian modulus; BlindError unless it has 2048 to 4096 bits and is odd."""
    n = int.from_bytes(modulus, "big")
    if not LEAST_BITS <= n.bit_length() <= MOST_BITS or not n & 1:
        raise BlindError("the issuer's key must be an RSA key of 2048 to 4096 bits")
    if len(modulus) != size_of(n):
        raise BlindError("the issuer's modulus is written with zeros in front")
    return rsa.RSAPublicNumbers(EXPONENT, n).public_key()


def modulus_of(key: rsa.RSAPublicKey) -> bytes:
    """The big-endian modulus; BlindError for another exponent than 65537."""
    numbers = key.public_numbers()
    if numbers.e != EXPONENT:
        raise BlindError("the issuer's key must have the exponent 65537")
    return numbers.n.to_bytes(size_of(numbers.n), "big")


def size_of(n: int) -> int:
    """Bytes of a number modulo n."""
    return (n.bit_length() + 7) // 8


def encode(message: bytes, bits: int) -> bytes:
    """EMSA-PSS of RFC 8017 with SHA-384 and an empty salt, for `bits` bits."""
    size = (bits + 7) // 8
    digest = sha384(bytes(8) + sha384(message).digest()).digest()
    block = bytes(size - DIGEST - 2) + b"\x01"
    mask = b"".join(sha384(digest + i.to_bytes(4, "big")).digest() for i in range(-(-size // 48)))
    hidden = bytearray(a ^ b for a, b in zip(block, mask))
    hidden[0] &= 0xFF >> (8 * size - bits)
    return bytes(hidden) + digest + b"\xbc"


def ask(modulus: bytes, message: bytes) -> Asked:
    """Hide a message from the issuer of this key."""
    public_key(modulus)
    n = int.from_bytes(modulus, "big")
    number = int.from_bytes(encode(message, n.bit_length() - 1), "big")
    if gcd(number, n) != 1:
        raise BlindError("this message cannot be hidden: make another")
    while True:
        factor = secrets.randbelow(n - 2) + 2
        if gcd(factor, n) == 1:
            break
    blinded = number * pow(factor, EXPONENT, n) % n
    return Asked(blinded.to_bytes(len(modulus), "big"), pow(factor, -1, n))


def issue(key: rsa.RSAPrivateKey, blinded: bytes) -> bytes:
    """The issuer's part: sign what is hidden. BlindError for a number that is none of this key."""
    numbers = key.private_numbers()
    n = numbers.public_numbers.n
    value = int.from_bytes(blinded, "big")
    if len(blinded) != size_of(n) or not 0 < value < n:
        raise BlindError("this request is not for the issuer's key")
    signed = pow(value, numbers.d, n)
    if pow(signed, EXPONENT, n) != value:  # a faulty processor would give the key away
        raise BlindError("signing went wrong: nothing is given out")
    return signed.to_bytes(len(blinded), "big")


def finish(modulus: bytes, message: bytes, asked: Asked, answer: bytes) -> bytes:
    """The signature; BlindError when the issuer's answer is none for this message."""
    n = int.from_bytes(modulus, "big")
    if len(answer) != len(modulus):
        raise BlindError("the issuer's answer has another length than its key")
    signature = int.from_bytes(answer, "big") * asked.inverse % n
    found = signature.to_bytes(len(modulus), "big")
    if not verify(modulus, message, found):
        raise BlindError("the issuer's answer is not a signature of what was asked")
    return found


def verify(modulus: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature is the issuer's, by the library's ordinary RSA-PSS."""
    pss = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=0)
    try:
        public_key(modulus).verify(signature, message, pss, hashes.SHA384())
    except (InvalidSignature, BlindError, ValueError):
        return False
    return True
