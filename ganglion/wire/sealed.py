"""Sealed requests: only the miner can read the order, only the asker the answer. Without IO.

A miner announces short-lived X25519 keys, each signed by its hotkey. An asker makes a key pair
for one request, and both sides derive two keys from the shared secret and the routing header:
one for the order, one for the events of the answer (XChaCha20-Poly1305). Whoever relays reads
the header alone: which miner, which model, how many tokens at most; and the billed usage.
Contents are padded, so their lengths are seen only roughly. `docs/privacy.md` says what this does
not protect from.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from nacl.exceptions import CryptoError
from nacl.public import Box, PrivateKey, PublicKey
from nacl.secret import Aead

from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, Keypair
from ganglion.scale import DecodeError, Fixed, codec, u8, u16, u32, u64
from ganglion.wire import fields
from ganglion.wire.fields import BadMessage
from ganglion.wire.text import usage_of

VERSION = 1
DOMAIN = b"ganglion/seal/1"
PATH = "/v1/sealed"
KEY_PATH = "/v1/seal"
EVENT = "sealed"
KEY_SECONDS = 3600
REQUEST_BLOCK, EVENT_BLOCK = 256, 128
KNOWN = frozenset({"miner", "key", "sender", "model", "max_tokens", "box"})
Key32 = Annotated[bytes, Fixed(32)]


class BadSeal(BadMessage):
    """A sealed message or a sealing key that is forged, expired or for somebody else."""


class UnknownKey(BadSeal):
    """Sealed to a key that the miner no longer has: fetch its key again."""


@dataclass(frozen=True, slots=True)
class SealKey:
    """A miner's X25519 key on one chain and subnet, good until a time in seconds since 1970."""

    version: u8
    genesis: Key32
    netuid: u16
    miner: Key32
    key: Key32
    until: u64

    def signing_hash(self) -> bytes:
        """The 32 bytes under the hotkey's signature."""
        return blake2_256(DOMAIN + SEAL_KEY.encode(self))


SEAL_KEY = codec(SealKey)


@dataclass(frozen=True, slots=True)
class SignedKey:
    """A sealing key with the hotkey's signature: what `GET /v1/seal` answers."""

    key: SealKey
    signature: bytes
    crypto: CryptoType

    @classmethod
    def make(cls, key: SealKey, hotkey: Keypair) -> SignedKey:
        """The key signed by its miner."""
        return cls(key, hotkey.sign(key.signing_hash()), hotkey.crypto)

    def to_bytes(self) -> bytes:
        """As it travels."""
        return orjson.dumps(
            {
                "key": "0x" + SEAL_KEY.encode(self.key).hex(),
                "signature": "0x" + self.signature.hex(),
                "crypto": self.crypto.name.lower(),
            }
        )

    @classmethod
    def from_bytes(cls, body: bytes) -> SignedKey:
        """Parse what a stranger sent; BadSeal unless every part has the right form."""
        given = fields.load_object(body)
        try:
            key = SEAL_KEY.decode(bytes.fromhex(str(given.get("key")).removeprefix("0x")))
            crypto = CryptoType[str(given.get("crypto")).upper()]
        except (KeyError, ValueError, DecodeError) as e:
            raise BadSeal(f"the sealing key cannot be read: {e}") from e
        return cls(key, fields.hexadecimal(given, "signature", 64), crypto)

    def check(self, genesis: bytes, netuid: int, miner: bytes, now: float) -> None:
        """Raise BadSeal unless `miner` signed this key for this subnet and it is still good."""
        key = self.key
        if (key.version, key.genesis, key.netuid, key.miner) != (VERSION, genesis, netuid, miner):
            raise BadSeal("the sealing key is another miner's, or for another subnet or chain")
        if key.until <= now:
            raise BadSeal("the sealing key has expired: fetch the miner's key again")
        signer = Keypair.from_public(miner, self.crypto)
        if not signer.verify(key.signing_hash(), self.signature):
            raise BadSeal("the sealing key is not signed by the miner's hotkey")


@dataclass(frozen=True, slots=True)
class Header:
    """What relays can read: the miner, its sealing key, the asker's key, the model, the most."""

    miner: Key32
    key: Key32
    sender: Key32
    model: str
    max_tokens: u32


HEADER = codec(Header)


def padded(body: bytes, block: int = REQUEST_BLOCK) -> bytes:
    """JSON with spaces behind it, to a multiple of `block` bytes."""
    return body + b" " * (-len(body) % block)


def _keys(mine: PrivateKey, theirs: bytes, header: Header) -> tuple[Aead, Aead]:
    """The ciphers of the order and of the answer; BadSeal for a key that is no point."""
    try:
        shared = Box(mine, PublicKey(theirs)).shared_key()
    except (CryptoError, RuntimeError) as e:
        raise BadSeal("the sender's key is no usable X25519 key") from e
    secret, label = hashlib.blake2b(shared, digest_size=32), DOMAIN + HEADER.encode(header)
    secret.update(label)

    def derived(use: bytes) -> Aead:
        return Aead(hashlib.blake2b(secret.digest() + use, digest_size=32).digest())

    return derived(b"order"), derived(b"answer")


def _unboxed(given: dict[str, Any]) -> bytes:
    value = given.get("box")
    if not isinstance(value, str):
        raise BadSeal("box must be base64 text")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as e:
        raise BadSeal(f"box is no base64: {e}") from e


def _decrypt(cipher: Aead, box: bytes, label: bytes) -> bytes:
    try:
        return bytes(cipher.decrypt(box, label))
    except (CryptoError, ValueError, TypeError) as e:
        raise BadSeal("the seal is broken: altered on its way, or not for this key") from e


def outer_usage(name: str, content: bytes, is_first: bool) -> object:
    """The usage that relays read beside a sealed event: the prompt's with the first one, all with
    the last. KeyError, TypeError or ValueError for a malformed event."""
    if name == "done":
        return orjson.loads(content)["usage"]
    if is_first and name == "tokens" and b'"prompt_tokens"' in content:
        given = orjson.loads(content)
        counts = given["prompt_tokens"], len(given["tokens"]), given.get("cached_tokens", 0)
        return usage_of(*counts)
    return None


class Opener:
    """The asker's side of one request: what to send, and how to read the answer's events."""

    def __init__(self, to: SealKey, model: str, max_tokens: int, body: bytes) -> None:
        """Seal `body` (JSON, padded by the caller if its hash matters) to a checked key."""
        own = PrivateKey.generate()
        header = Header(to.miner, to.key, bytes(own.public_key), model, max_tokens)
        order, self._answer = _keys(own, to.key, header)
        box = base64.b64encode(order.encrypt(body, b"order")).decode()
        hexes = {n: "0x" + getattr(header, n).hex() for n in ("miner", "key", "sender")}
        self.envelope = orjson.dumps(
            {**hexes, "model": model, "max_tokens": max_tokens, "box": box}
        )
        self._next = 0

    def open(self, name: str, data: bytes) -> tuple[str, bytes]:
        """The (event, data) inside the next sealed event; BadSeal if it is not the next one."""
        if name != EVENT:
            raise BadSeal("the answer to a sealed request holds an event that is not sealed")
        given = fields.load_object(data)
        inner = _decrypt(self._answer, _unboxed(given), self._next.to_bytes(4, "little"))
        self._next += 1
        inside, _, content = inner.partition(b"\n")
        name = inside.decode("utf-8", "replace")
        if given.get("usage") != self._billed(name, content):
            raise BadSeal("the miner bills other counts outside of the seal than inside")
        return name, content

    def _billed(self, name: str, content: bytes) -> object:
        """What relays may be told beside this event; see `outer_usage`."""
        try:
            return outer_usage(name, content, self._next == 1)
        except (KeyError, TypeError, ValueError) as e:
            raise BadSeal("an event inside the seal is malformed") from e


class Answerer:
    """The miner's side of one request: what was asked, and how to seal the events."""

    def __init__(self, header: Header, body: bytes, cipher: Aead) -> None:
        self.header, self.body, self._cipher, self._next = header, body, cipher, 0

    def seal(self, name: str, content: bytes) -> tuple[str, bytes]:
        """An event as it travels. The usage stays readable, for bills: the prompt's at the
        beginning, since the asker may leave, and all of it at the end."""
        inner = padded(name.encode() + b"\n" + content, EVENT_BLOCK)
        box = self._cipher.encrypt(inner, self._next.to_bytes(4, "little"))
        self._next += 1
        outer: dict[str, Any] = {"box": base64.b64encode(box).decode()}
        usage = outer_usage(name, content, self._next == 1)
        if usage is not None:
            outer["usage"] = usage
        return EVENT, orjson.dumps(outer)


class KeyRing:
    """A miner's sealing keys: made here, announced with a signature, forgotten when expired.

    Keys live in memory only. A key is replaced when half its time is over and kept until its end,
    so that what was sealed in good time can be read, and what was recorded cannot be for long.
    """

    def __init__(
        self, hotkey: Keypair, genesis: bytes, netuid: int, clock: Callable[[], float]
    ) -> None:
        self._hotkey, self._genesis, self._netuid, self._clock = hotkey, genesis, netuid, clock
        self._secrets: dict[bytes, tuple[PrivateKey, float]] = {}
        self._newest: SignedKey | None = None

    def announced(self) -> SignedKey:
        """The key to seal to now."""
        now, newest = self._clock(), self._newest
        self._forget(now)
        if newest is None or newest.key.until - now < KEY_SECONDS / 2:
            own = PrivateKey.generate()
            public, until = bytes(own.public_key), int(now) + KEY_SECONDS
            self._secrets[public] = own, until
            key = SealKey(
                VERSION, self._genesis, self._netuid, self._hotkey.public_key, public, until
            )
            self._newest = newest = SignedKey.make(key, self._hotkey)
        return newest

    def open(self, envelope: bytes) -> Answerer:
        """Unseal a stranger's request; BadSeal or BadMessage if it cannot be read."""
        self._forget(self._clock())
        given = fields.load_object(envelope)
        fields.only(given, KNOWN)
        header = Header(
            miner=fields.hexadecimal(given, "miner", 32),
            key=fields.hexadecimal(given, "key", 32),
            sender=fields.hexadecimal(given, "sender", 32),
            model=fields.text(given, "model", 200),
            max_tokens=fields.integer(given, "max_tokens", 1, (1 << 32) - 1, None),
        )
        if header.miner != self._hotkey.public_key:
            raise BadSeal("this request is sealed for another miner")
        if header.key not in self._secrets:
            raise UnknownKey(f"the key it is sealed to is not in use: GET {KEY_PATH} and try again")
        order, answer = _keys(self._secrets[header.key][0], header.sender, header)
        return Answerer(header, _decrypt(order, _unboxed(given), b"order"), answer)

    def _forget(self, now: float) -> None:
        self._secrets = {k: v for k, v in self._secrets.items() if v[1] > now}
