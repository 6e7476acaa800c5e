"""Key files in bittensor's format: JSON, plain or encrypted.

| starts with | encryption | written | read |
|---|---|---|---|
| `{` | none | yes | yes |
| `$NACL` | argon2i (fixed salt, 8 passes, 512 MiB) and XSalsa20-Poly1305 | yes | yes |
| `$ANSIBLE_VAULT` | PBKDF2 (10,000) and AES-256-CTR with HMAC-SHA256 | no | yes |
| `gAAAAA` | PBKDF2 (10,000,000, fixed salt) and Fernet | no | yes |

The fixed salts are those of the format: two files with one password share a key.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from hashlib import pbkdf2_hmac, sha256
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2i
from nacl.secret import SecretBox

from ganglion import ss58
from ganglion.errors import InvalidAddress, InvalidKey, KeyfileError, WrongPassword
from ganglion.keys import CryptoType, Keypair

NACL_TAG = b"$NACL"
ANSIBLE_TAG = b"$ANSIBLE_VAULT"
FERNET_TAG = b"gAAAAA"

_NACL_SALT = bytes.fromhex("137183dff15a09bc9c90b5518739e9b1")
_FERNET_SALT = b"Iguesscyborgslikemyselfhaveatendencytobeparanoidaboutourorigins"
_ANSIBLE_ROUNDS, _FERNET_ROUNDS = 10_000, 10_000_000
MAX_SIZE = 1 << 16
"""A key file has a few hundred bytes; anything above this is not one."""


def to_json(pair: Keypair) -> bytes:
    """The plain form of a key file; a public-only pair gives the form of `coldkeypub.txt`."""
    public = "0x" + pair.public_key.hex()
    out: dict[str, Any] = {"accountId": public, "publicKey": public}
    if pair.secret is not None:
        out["privateKey"] = "0x" + pair.secret.hex()
    if pair.phrase is not None:
        out["secretPhrase"] = pair.phrase
    if pair.seed is not None:
        out["secretSeed"] = "0x" + pair.seed.hex()
    out |= {"ss58Address": pair.address, "cryptoType": int(pair.crypto)}
    return json.dumps(out).encode()


def from_json(data: bytes) -> Keypair:
    """The key pair of a plain key file; raises KeyfileError.

    The secret comes from the private key, the seed or the phrase, whichever is there first, and
    must belong to the public key that the file names.
    """
    try:
        found = json.loads(data)
    except ValueError as e:  # both bad JSON and bad UTF-8
        raise KeyfileError("the key file is neither JSON nor a known encrypted form") from e
    if not isinstance(found, dict):
        raise KeyfileError("the key file holds JSON but no key")
    try:
        crypto = CryptoType(found.get("cryptoType", CryptoType.SR25519))
    except ValueError as e:
        raise KeyfileError(f"crypto type {found['cryptoType']!r} is not 0 or 1") from e
    try:
        pair = _secret_pair(found, crypto)
        public = _public_key(found)
    except (InvalidKey, InvalidAddress) as e:
        raise KeyfileError(f"the key file holds no usable key: {e}") from e
    if pair is None and public is None:
        raise KeyfileError("the key file holds neither a secret nor a public key")
    if pair is None:
        return Keypair.from_public(public or b"", crypto)
    if public is not None and pair.public_key != public:
        raise KeyfileError("the secret in the key file is not that of its public key")
    return pair


def _secret_pair(found: dict[str, Any], crypto: CryptoType) -> Keypair | None:
    phrase = found.get("secretPhrase") or None
    seed = _hex(found, "secretSeed")
    secret = _hex(found, "privateKey")
    if phrase is not None and not isinstance(phrase, str):
        raise InvalidKey("secretPhrase is not text")
    if secret is not None:
        pair = Keypair.from_secret(secret, crypto)
        return Keypair(pair.public_key, crypto, pair.secret, seed or pair.seed, phrase)
    if seed is not None:
        pair = Keypair.from_seed(seed, crypto)
        return Keypair(pair.public_key, crypto, pair.secret, seed, phrase)
    return None if phrase is None else Keypair.from_mnemonic(phrase, crypto=crypto)


def _public_key(found: dict[str, Any]) -> bytes | None:
    key = _hex(found, "publicKey") or _hex(found, "accountId")
    address = found.get("ss58Address")
    if key is None and isinstance(address, str) and address:
        return ss58.decode(address, prefix=None)
    if key is not None and len(key) != 32:
        raise InvalidKey(f"a public key has 32 bytes, not {len(key)}")
    return key


def _hex(found: dict[str, Any], name: str) -> bytes | None:
    text = found.get(name)
    if not text:
        return None
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except (ValueError, AttributeError) as e:
        raise InvalidKey(f"{name} is not hexadecimal") from e


def is_encrypted(data: bytes) -> bool:
    """True if the file needs a password."""
    return data.startswith((NACL_TAG, ANSIBLE_TAG, FERNET_TAG))


def encrypt(plain: bytes, password: str) -> bytes:
    """The `$NACL` form; takes a second and 512 MiB on purpose. An empty password is refused."""
    if not password:
        raise WrongPassword("the password is empty: choose one, or store the key unencrypted")
    return NACL_TAG + bytes(SecretBox(_nacl_key(password)).encrypt(plain))


def decrypt(data: bytes, password: str) -> bytes:
    """The plain form of an encrypted key file.

    Raises WrongPassword when the password does not open it (or it was damaged, which no
    authenticated cipher can tell apart) and KeyfileError for an unknown form.
    """
    if data.startswith(NACL_TAG):
        return _open_nacl(data[len(NACL_TAG) :], password)
    if data.startswith(ANSIBLE_TAG):
        return _open_ansible(data, password)
    if data.startswith(FERNET_TAG):
        return _open_fernet(data, password)
    raise KeyfileError("the key file is not encrypted in a known form")


def load(data: bytes, password: str | None = None) -> Keypair:
    """The key pair of a key file in any form; raises KeyfileError or WrongPassword."""
    if len(data) > MAX_SIZE:
        raise KeyfileError(f"the file has {len(data)} bytes: that is no key file")
    if not is_encrypted(data):
        return from_json(data)
    if password is None:
        raise WrongPassword("the key file is encrypted: a password is needed")
    return from_json(decrypt(data, password))


def _nacl_key(password: str) -> bytes:
    return bytes(
        argon2i.kdf(
            SecretBox.KEY_SIZE,
            password.encode(),
            _NACL_SALT,
            opslimit=argon2i.OPSLIMIT_SENSITIVE,
            memlimit=argon2i.MEMLIMIT_SENSITIVE,
        )
    )


def _wrong() -> WrongPassword:
    return WrongPassword("the password does not open this key file (or the file is damaged)")


def _open_nacl(box: bytes, password: str) -> bytes:
    if len(box) <= SecretBox.NONCE_SIZE + SecretBox.MACBYTES:
        raise KeyfileError("the encrypted key file is cut short")
    try:
        return bytes(SecretBox(_nacl_key(password)).decrypt(box))
    except CryptoError as e:
        raise _wrong() from e


def _open_ansible(data: bytes, password: str) -> bytes:
    _, _, body = data.partition(b"\n")
    try:
        salt, mac, cipher = (
            binascii.unhexlify(part) for part in binascii.unhexlify(b"".join(body.split())).split()
        )
    except ValueError as e:  # binascii.Error is one, and so is a wrong number of parts
        raise KeyfileError("the vault in the key file is malformed") from e
    keys = pbkdf2_hmac("sha256", password.encode(), salt, _ANSIBLE_ROUNDS, 80)
    if not hmac.compare_digest(hmac.digest(keys[32:64], cipher, sha256), mac):
        raise _wrong()
    opener = Cipher(AES(keys[:32]), CTR(keys[64:80])).decryptor()
    padded = opener.update(cipher) + opener.finalize()
    return padded[: -padded[-1]] if padded else b""


def _open_fernet(data: bytes, password: str) -> bytes:
    key = pbkdf2_hmac("sha256", password.encode(), _FERNET_SALT, _FERNET_ROUNDS)
    try:
        return Fernet(base64.urlsafe_b64encode(key)).decrypt(data.strip())
    except InvalidToken as e:
        raise _wrong() from e
