"""Key pairs: sr25519 and ed25519, from seeds, mnemonics and secret URIs.

A secret URI is `PHRASE/soft//hard///password`; the phrase may be a mnemonic or a 0x seed and,
left out, is the public development phrase, so `//Alice` is the Alice everybody has. A mnemonic
becomes a seed the Substrate way: PBKDF2 over the *entropy*, not over the words.

Rules: Substrate's `sp_core::crypto` (URI and junctions), `substrate-bip39` (seed).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache, lru_cache
from hashlib import pbkdf2_hmac
from secrets import token_bytes

import sr25519
from mnemonic import Mnemonic
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from ganglion import ss58
from ganglion.derivation import Junction, SecretUri, parse_uri
from ganglion.errors import CannotSign, InvalidKey
from ganglion.hashing import blake2_256
from ganglion.units import AccountId

DEV_PHRASE = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"
"""The phrase of every development account. The whole world knows it: never fund it."""

WORD_COUNTS = (12, 15, 18, 21, 24)
SIGNATURE_SIZE = 64


class CryptoType(IntEnum):
    """Signature schemes, numbered as in MultiSignature and in key files."""

    ED25519 = 0
    SR25519 = 1


@dataclass(frozen=True, slots=True)
class Keypair:
    """A public key and, unless public only, its secret.

    `secret` is the expanded 64-byte schnorrkel key (sr25519) or the 32-byte seed (ed25519).
    `seed` and `phrase` are known only for keys made from them without derivation.
    Secrets never show in `repr`.
    """

    public_key: bytes
    crypto: CryptoType = CryptoType.SR25519
    secret: bytes | None = field(default=None, repr=False)
    seed: bytes | None = field(default=None, repr=False)
    phrase: str | None = field(default=None, repr=False)

    @classmethod
    def generate(cls, crypto: CryptoType = CryptoType.SR25519, words: int = 12) -> Keypair:
        """A fresh random key pair with a mnemonic of `words` words."""
        return cls.from_mnemonic(generate_mnemonic(words), crypto=crypto)

    @classmethod
    def from_mnemonic(
        cls, phrase: str, password: str = "", crypto: CryptoType = CryptoType.SR25519
    ) -> Keypair:
        """The key pair of a BIP39 phrase; raises InvalidKey naming the word that is wrong."""
        words = " ".join(phrase.split())
        pair = cls.from_seed(seed_of_mnemonic(words, password), crypto)
        return cls(pair.public_key, crypto, pair.secret, pair.seed, words)

    @classmethod
    def from_seed(cls, seed: bytes, crypto: CryptoType = CryptoType.SR25519) -> Keypair:
        """The key pair of a 32-byte mini secret."""
        if len(seed) != 32:
            raise InvalidKey(f"a seed has 32 bytes, not {len(seed)}")
        if crypto is CryptoType.ED25519:
            return cls(bytes(SigningKey(seed).verify_key), crypto, seed, seed)
        public, secret = sr25519.pair_from_seed(seed)
        return cls(bytes(public), crypto, bytes(secret), seed)

    @classmethod
    def from_secret(cls, secret: bytes, crypto: CryptoType = CryptoType.SR25519) -> Keypair:
        """The key pair of a stored secret: 64 bytes for sr25519, 32 (or 64) for ed25519."""
        if crypto is CryptoType.ED25519:
            if len(secret) not in (32, 64):
                raise InvalidKey(f"an ed25519 secret has 32 or 64 bytes, not {len(secret)}")
            return cls.from_seed(secret[:32], crypto)
        if len(secret) != 64:
            raise InvalidKey(f"an sr25519 secret has 64 bytes, not {len(secret)}")
        try:
            public = sr25519.public_from_secret_key(secret)
        except ValueError as e:
            raise InvalidKey("these 64 bytes are no sr25519 secret key") from e
        return cls(bytes(public), crypto, secret)

    @classmethod
    def from_uri(cls, uri: str, crypto: CryptoType = CryptoType.SR25519) -> Keypair:
        """The key pair of a secret URI such as `//Alice`, `WORDS//0///pw` or `0xSEED/soft`.

        Raises InvalidKey, also for soft junctions with ed25519, which has none.
        """
        parsed = parse_uri(uri)
        pair = _root(parsed, crypto)
        for junction in parsed.junctions:
            pair = pair._derive(junction)
        return pair

    @classmethod
    def from_public(cls, key: bytes | str, crypto: CryptoType = CryptoType.SR25519) -> Keypair:
        """A pair without its secret, from 32 bytes or an address of any network."""
        raw = ss58.decode(key, prefix=None) if isinstance(key, str) else bytes(key)
        if len(raw) != 32:
            raise InvalidKey(f"a public key has 32 bytes, not {len(raw)}")
        return cls(raw, crypto)

    @property
    def account_id(self) -> AccountId:
        """The account of this key: the public key itself."""
        return AccountId(self.public_key)

    @property
    def address(self) -> str:
        """SS58 address on the default network (42)."""
        return _address_of(self.public_key)

    def public(self) -> Keypair:
        """The same key without its secret."""
        return Keypair(self.public_key, self.crypto)

    def sign(self, message: bytes) -> bytes:
        """A 64-byte signature; raises CannotSign for a public-only pair."""
        if self.secret is None:
            raise CannotSign(f"only the public half of {self.address} is at hand")
        if self.crypto is CryptoType.ED25519:
            return bytes(SigningKey(self.secret).sign(message).signature)
        return bytes(sr25519.sign((self.public_key, self.secret), message))

    def verify(self, message: bytes, signature: bytes) -> bool:
        """True if `signature` over `message` was made with this key."""
        return verify(self.public_key, message, signature, self.crypto)

    def _derive(self, junction: Junction) -> Keypair:
        if self.crypto is CryptoType.ED25519:
            if not junction.hard:
                raise InvalidKey(f"ed25519 has no soft derivation: write //{junction.text}")
            assert self.secret is not None
            return Keypair.from_seed(
                blake2_256(_ED25519_HDKD + self.secret + junction.chain_code), self.crypto
            )
        step = sr25519.hard_derive_keypair if junction.hard else sr25519.derive_keypair
        _, public, secret = step((junction.chain_code, self.public_key, self.secret), b"")
        return Keypair(bytes(public), self.crypto, bytes(secret))


@lru_cache(maxsize=4096)
def _address_of(public_key: bytes) -> str:
    """Whoever signs requests asks for its own address again and again, and base58 is slow."""
    return ss58.encode(public_key)


_ED25519_HDKD = b"\x2cEd25519HDKD"  # the SCALE form of the text


def verify(
    public_key: bytes, message: bytes, signature: bytes, crypto: CryptoType = CryptoType.SR25519
) -> bool:
    """True if the signature is valid; malformed keys and signatures are simply not.

    The all-zero sr25519 key (the default account) accepts signatures that anybody can make, as
    in Substrate: who asks for an identity must refuse that key himself.
    """
    if len(public_key) != 32 or len(signature) != SIGNATURE_SIZE:
        return False
    if crypto is CryptoType.ED25519:
        try:
            VerifyKey(public_key).verify(message, signature)
        except (BadSignatureError, ValueError):
            return False
        return True
    try:
        return bool(sr25519.verify(signature, message, public_key))
    except ValueError:
        return False


@cache
def _wordlist() -> Mnemonic:
    return Mnemonic("english")


def generate_mnemonic(words: int = 12) -> str:
    """A random English BIP39 phrase of 12, 15, 18, 21 or 24 words."""
    if words not in WORD_COUNTS:
        raise InvalidKey(f"a mnemonic has 12, 15, 18, 21 or 24 words, not {words}")
    return str(_wordlist().to_mnemonic(token_bytes(words * 4 // 3)))


def seed_of_mnemonic(phrase: str, password: str = "") -> bytes:
    """The 32-byte seed of a phrase; raises InvalidKey saying what is wrong with it."""
    words = phrase.split()
    if len(words) not in WORD_COUNTS:
        hint = "; development keys are written //Alice" if len(words) == 1 else ""
        raise InvalidKey(
            f"a mnemonic has 12, 15, 18, 21 or 24 words; this one has {len(words)}{hint}"
        )
    known = _wordlist()
    for number, word in enumerate(words, 1):
        if word not in known.wordlist:
            raise InvalidKey(f"word {number} of the mnemonic is not in the English BIP39 list")
    try:
        entropy = bytes(known.to_entropy(words))
    except ValueError as e:
        raise InvalidKey("the mnemonic's checksum is wrong: words are swapped or misread") from e
    salt = ("mnemonic" + password).encode()
    return pbkdf2_hmac("sha512", entropy, salt, 2048, 64)[:32]


def dev_key(name: str, crypto: CryptoType = CryptoType.SR25519) -> Keypair:
    """The development key `//name`, for example `dev_key("Alice")`."""
    return Keypair.from_uri(f"//{name}", crypto)


def _root(parsed: SecretUri, crypto: CryptoType) -> Keypair:
    if parsed.seed is not None:
        return Keypair.from_seed(parsed.seed, crypto)
    return Keypair.from_mnemonic(parsed.phrase or DEV_PHRASE, parsed.password, crypto)
