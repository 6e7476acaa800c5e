"""btauth/1: HTTP requests signed by a hotkey.

The signature covers, joined by newlines: the protocol, the scheme, the method in upper case, the
request target with its query, the SHA-256 of the raw body, a nonce (nanoseconds since 1970), the
sender's and the receiver's address ("-" if none). `verify` checks in this order: header shape,
receiver, freshness, signature, replay; only a request that passed all is remembered, so strangers
cannot fill the store in another's name.

Protocol: the one of bittensor 11's signed requests, so either side may be that SDK.
"""

from __future__ import annotations

import hashlib
import heapq
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ganglion import keys, ss58
from ganglion.errors import GanglionError, InvalidAddress
from ganglion.keys import SIGNATURE_SIZE, CryptoType, Keypair

PROTOCOL, VERSION = "btauth/1", "1"

HEADER_VERSION = "X-Bittensor-Version"
HEADER_HOTKEY = "X-Bittensor-Hotkey"
HEADER_NONCE = "X-Bittensor-Nonce"
HEADER_SIGNATURE = "X-Bittensor-Signature"
HEADER_CRYPTO = "X-Bittensor-Crypto"
HEADER_RECEIVER = "X-Bittensor-Receiver"

MAX_AGE_S = 10.0
MAX_SKEW_S = 2.0
_SECOND_NS = 1_000_000_000

_SCHEMES = {
    "sr25519": CryptoType.SR25519,
    "1": CryptoType.SR25519,
    "ed25519": CryptoType.ED25519,
    "0": CryptoType.ED25519,
}
_NAMES = {CryptoType.SR25519: "sr25519", CryptoType.ED25519: "ed25519"}
_DECIMAL = re.compile(r"[0-9]{1,20}", re.ASCII)
_ODD_CASE = HEADER_VERSION.swapcase()
"""Found only where headers are looked up in any spelling."""


class AuthError(GanglionError):
    """A signed request was refused; the message never repeats what the stranger sent."""


class MalformedAuth(AuthError):
    """A header is missing or cannot be read."""


class WrongReceiver(AuthError):
    """The request was signed for another receiver, or for none."""


class StaleRequest(AuthError):
    """The nonce is too old, or too far ahead of this clock."""


class BadSignature(AuthError):
    """The signature is not the sender's over this request."""


class ReplayedRequest(AuthError):
    """This sender and nonce were accepted before."""


class StoreFull(AuthError):
    """The replay store is full of fresh requests; the request must be sent again later."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a verified request: address, its public key, and what was signed with."""

    hotkey: str
    nonce: int
    crypto: CryptoType
    public_key: bytes


class ReplayStore(Protocol):
    """Remembers accepted requests for at least the freshness window."""

    retention_s: float

    def remember(self, hotkey: str, nonce: int, now_ns: int) -> bool:
        """True if the pair is new and now stored, False if it was there; may raise StoreFull."""
        ...


class MemoryReplayStore:
    """A ReplayStore in memory, bounded: when full of live entries it refuses new requests.

    A server of several processes needs a shared store instead.
    """

    def __init__(self, retention_s: float = 60.0, capacity: int = 1_000_000) -> None:
        self.retention_s = retention_s
        self._capacity = capacity
        self._seen: set[tuple[str, int]] = set()
        self._expiry: list[tuple[int, tuple[str, int]]] = []

    def __len__(self) -> int:
        return len(self._seen)

    def remember(self, hotkey: str, nonce: int, now_ns: int) -> bool:
        """See ReplayStore; entries older than `retention_s` are forgotten here."""
        while self._expiry and self._expiry[0][0] <= now_ns:
            self._seen.discard(heapq.heappop(self._expiry)[1])
        key = (hotkey, nonce)
        if key in self._seen:
            return False
        if len(self._seen) >= self._capacity:
            raise StoreFull("too many signed requests within the replay window: try again later")
        self._seen.add(key)
        heapq.heappush(self._expiry, (now_ns + int(self.retention_s * _SECOND_NS), key))
        return True


def build_payload(
    crypto: CryptoType,
    method: str,
    target: str,
    body: bytes,
    nonce: int,
    sender: str,
    receiver: str | None,
) -> bytes:
    """The exact bytes that are signed."""
    digest = hashlib.sha256(body).hexdigest()
    lines = (PROTOCOL, _NAMES[crypto], method.upper(), target, digest, str(nonce), sender)
    return "\n".join((*lines, receiver or "-")).encode()


def sign(
    hotkey: Keypair,
    method: str,
    target: str,
    body: bytes = b"",
    *,
    receiver: str | None = None,
    nonce: int | None = None,
) -> dict[str, str]:
    """The headers that authenticate one request; every retry needs new ones.

    `target` is the path with its query exactly as sent, `receiver` the other side's address.
    """
    nonce = time.time_ns() if nonce is None else nonce
    payload = build_payload(hotkey.crypto, method, target, body, nonce, hotkey.address, receiver)
    headers = {
        HEADER_VERSION: VERSION,
        HEADER_HOTKEY: hotkey.address,
        HEADER_NONCE: str(nonce),
        HEADER_SIGNATURE: "0x" + hotkey.sign(payload).hex(),
    }
    if hotkey.crypto is not CryptoType.SR25519:
        headers[HEADER_CRYPTO] = _NAMES[hotkey.crypto]
    if receiver is not None:
        headers[HEADER_RECEIVER] = receiver
    return headers


@dataclass(frozen=True, slots=True)
class Verifier:
    """Checks requests to one hotkey.

    `receiver` is the address this server answers as; `require_receiver=False` also admits
    requests bound to nobody. Raises ValueError when the store forgets sooner than the window.
    """

    receiver: str
    store: ReplayStore
    max_age_s: float = MAX_AGE_S
    max_skew_s: float = MAX_SKEW_S
    require_receiver: bool = True

    def __post_init__(self) -> None:
        if self.store.retention_s < self.max_age_s + self.max_skew_s:
            raise ValueError("the replay store's retention is shorter than the freshness window")

    def verify(
        self,
        headers: Mapping[str, str],
        method: str,
        target: str,
        body: bytes,
        now_ns: int | None = None,
    ) -> Caller:
        """The caller of a request, or an AuthError saying which check failed.

        `body` is the raw body as received; `now_ns` is this clock, nanoseconds since 1970.
        """
        now = time.time_ns() if now_ns is None else now_ns
        given = _Given.read(headers)
        self._check_receiver(given.receiver)
        self._check_freshness(given.caller.nonce, now)
        caller = given.caller
        payload = build_payload(
            caller.crypto, method, target, body, caller.nonce, caller.hotkey, given.receiver
        )
        # Anybody can sign for the all-zero key, which owns a neuron on many a test network.
        forged = not any(caller.public_key)
        if forged or not keys.verify(caller.public_key, payload, given.signature, caller.crypto):
            raise BadSignature("the signature is not the sender's over this request")
        if not self.store.remember(caller.hotkey, caller.nonce, now):
            raise ReplayedRequest("this request was accepted before: sign a new nonce")
        return caller

    def _check_receiver(self, receiver: str | None) -> None:
        if receiver is None:
            if self.require_receiver:
                raise WrongReceiver(f"{HEADER_RECEIVER} is missing: sign for this server's hotkey")
        elif receiver != self.receiver:
            raise WrongReceiver("the request was signed for another receiver")

    def _check_freshness(self, nonce: int, now: int) -> None:
        if now - nonce > self.max_age_s * _SECOND_NS:
            raise StaleRequest(f"the request is older than {self.max_age_s:g} seconds")
        if nonce - now > self.max_skew_s * _SECOND_NS:
            raise StaleRequest(f"the request is over {self.max_skew_s:g} seconds in the future")


class _Given(NamedTuple):
    """What the headers say, shape checked, nothing believed."""

    caller: Caller
    signature: bytes
    receiver: str | None

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> _Given:
        # servers' headers are found in any spelling; those of a plain dict are made so
        if _ODD_CASE not in headers:
            headers = _AnyCase({name.lower(): value for name, value in headers.items()})
        if headers.get(HEADER_VERSION) != VERSION:
            raise MalformedAuth(f"{HEADER_VERSION} must be {VERSION}")
        sender = _required(headers, HEADER_HOTKEY)
        nonce = _required(headers, HEADER_NONCE)
        if not _DECIMAL.fullmatch(nonce):
            raise MalformedAuth(f"{HEADER_NONCE} must be a decimal number of nanoseconds")
        crypto = _SCHEMES.get(headers.get(HEADER_CRYPTO, "sr25519").lower())
        if crypto is None:
            raise MalformedAuth(f"{HEADER_CRYPTO} must be sr25519 or ed25519")
        signature = _signature(_required(headers, HEADER_SIGNATURE))
        try:
            public_key = ss58.decode(sender, prefix=None)
        except InvalidAddress as e:
            raise MalformedAuth(f"{HEADER_HOTKEY} is not an address") from e
        return cls(
            caller=Caller(sender, int(nonce), crypto, public_key),
            signature=signature,
            receiver=headers.get(HEADER_RECEIVER),
        )


class _AnyCase(dict[str, str]):
    """Headers under lower-case names, found in any spelling."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def _signature(text: str) -> bytes:
    digits = text.removeprefix("0x")
    try:
        signature = bytes.fromhex(digits) if len(digits) == 2 * SIGNATURE_SIZE else b""
    except ValueError:
        signature = b""
    if len(signature) != SIGNATURE_SIZE:  # `fromhex` skips blanks
        raise MalformedAuth(f"{HEADER_SIGNATURE} must be {SIGNATURE_SIZE} bytes in hex")
    return signature


def _required(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise MalformedAuth(f"{name} is missing")
    return value
