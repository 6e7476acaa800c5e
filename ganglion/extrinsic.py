"""Extrinsics: build, sign and take apart.

Signed, version 4:  0x84 ++ MultiAddress ++ MultiSignature ++ explicit ++ call
Bare:               0x04 or 0x05 ++ call          (inherents; version 5 in recent blocks)
The whole is preceded by its length as a compact integer.

What is signed is call ++ explicit ++ implicit, or its blake2b-256 when longer than 256 bytes.
`explicit` travels with the extrinsic (era, nonce, tip, metadata-hash mode); `implicit` is known
to both sides (spec and transaction version, genesis hash, hash of the era's birth block).
Rule: Substrate's `sp_runtime::generic::{UncheckedExtrinsic, SignedPayload}`, subtensor's
extension order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ganglion.era import IMMORTAL, Era
from ganglion.errors import EncodeError
from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, Keypair, verify
from ganglion.scale import DecodeError, compact_encode, compact_read
from ganglion.units import AccountId

SIGNED_V4, BARE_V4, BARE_V5 = 0x84, 0x04, 0x05
ECDSA = 2
"""Number of ECDSA in MultiSignature; such extrinsics are read but their signature never counts."""

MAX_PLAIN_PAYLOAD = 256
MAX_TIP = 2**64 - 1
MAX_NONCE = 2**32 - 1

SUBTENSOR_EXTENSIONS = (
    "CheckNonZeroSender",
    "CheckSpecVersion",
    "CheckTxVersion",
    "CheckGenesis",
    "CheckMortality",
    "CheckNonce",
    "CheckWeight",
    "ChargeTransactionPayment",
    "SudoTransactionExtension",
    "CheckShieldedTxValidity",
    "SubtensorTransactionExtension",
    "DrandPriority",
    "CheckMetadataHash",
)
"""The transaction extensions of spec 461 in order; those without bytes are listed for the order."""


@dataclass(frozen=True, slots=True)
class SigningContext:
    """All that a signature covers besides the call.

    `birth_hash` is the hash of the block where the era begins, the genesis hash if left out.
    `metadata_hash` is 32 bytes for a wallet that signs the metadata digest too.
    """

    genesis_hash: bytes
    spec_version: int
    transaction_version: int
    nonce: int
    era: Era = IMMORTAL
    birth_hash: bytes | None = None
    tip: int = 0
    metadata_hash: bytes | None = None
    extensions: tuple[str, ...] = SUBTENSOR_EXTENSIONS

    def explicit(self) -> bytes:
        """The bytes that travel between the signature and the call."""
        if not 0 <= self.nonce <= MAX_NONCE or not 0 <= self.tip <= MAX_TIP:
            raise EncodeError(f"nonce {self.nonce} or tip {self.tip} is out of range")
        return b"".join(_EXPLICIT[name](self) for name in self.extensions if name in _EXPLICIT)

    def implicit(self) -> bytes:
        """The bytes that are signed but not sent."""
        return b"".join(_IMPLICIT[name](self) for name in self.extensions if name in _IMPLICIT)


def _mode(context: SigningContext) -> bytes:
    return b"\0" if context.metadata_hash is None else b"\1"


def _metadata_hash(context: SigningContext) -> bytes:
    digest = context.metadata_hash
    return b"\0" if digest is None else b"\1" + digest


_Part = Callable[[SigningContext], bytes]

_EXPLICIT: dict[str, _Part] = {
    "CheckMortality": lambda c: c.era.encode(),
    "CheckEra": lambda c: c.era.encode(),
    "CheckNonce": lambda c: compact_encode(c.nonce),
    "ChargeTransactionPayment": lambda c: compact_encode(c.tip),
    "ChargeTransactionPaymentWrapper": lambda c: compact_encode(c.tip),
    "CheckMetadataHash": _mode,
}
_IMPLICIT: dict[str, _Part] = {
    "CheckSpecVersion": lambda c: c.spec_version.to_bytes(4, "little"),
    "CheckTxVersion": lambda c: c.transaction_version.to_bytes(4, "little"),
    "CheckGenesis": lambda c: c.genesis_hash,
    "CheckMortality": lambda c: c.birth_hash or c.genesis_hash,
    "CheckEra": lambda c: c.birth_hash or c.genesis_hash,
    "CheckMetadataHash": _metadata_hash,
}
KNOWN_EXTENSIONS = frozenset(_EXPLICIT) | frozenset(_IMPLICIT)
"""Extensions that carry bytes; a chain that adds another such cannot be signed for."""


def signing_payload(call: bytes, context: SigningContext) -> bytes:
    """The bytes to sign for a call: the concatenation, or its hash when longer than 256 bytes."""
    payload = call + context.explicit() + context.implicit()
    return blake2_256(payload) if len(payload) > MAX_PLAIN_PAYLOAD else payload


def sign_extrinsic(call: bytes, context: SigningContext, signer: Keypair) -> bytes:
    """A signed extrinsic, length prefix included; raises CannotSign for a public-only key."""
    signature = signer.sign(signing_payload(call, context))
    return assemble(call, context, signer.account_id, signer.crypto, signature)


def assemble(
    call: bytes, context: SigningContext, account: bytes, crypto: CryptoType, signature: bytes
) -> bytes:
    """A signed extrinsic from a signature made elsewhere (or a placeholder, to ask for its fee)."""
    if len(account) != 32 or len(signature) != 64:
        raise EncodeError("an extrinsic needs a 32-byte account and a 64-byte signature")
    body = b"\x84\0" + account + bytes([crypto]) + signature + context.explicit() + call
    return compact_encode(len(body)) + body


def bare_extrinsic(call: bytes, version: int = BARE_V5) -> bytes:
    """An unsigned extrinsic, length prefix included."""
    if version not in (BARE_V4, BARE_V5):
        raise EncodeError(f"bare extrinsics have version 4 or 5, not {version}")
    body = bytes([version]) + call
    return compact_encode(len(body)) + body


def extrinsic_hash(raw: bytes) -> bytes:
    """The hash under which nodes and explorers know an extrinsic: of all its bytes."""
    return blake2_256(raw)


@dataclass(frozen=True, slots=True)
class Extrinsic:
    """An extrinsic taken apart; `call` is still encoded. Without a signer it is bare.

    `crypto` is the number in MultiSignature (0 ed25519, 1 sr25519, 2 ecdsa).
    """

    version: int
    call: bytes
    signer: AccountId | None = None
    crypto: int = 0
    signature: bytes = b""
    era: Era = IMMORTAL
    nonce: int = 0
    tip: int = 0
    mode: int = 0

    @property
    def is_signed(self) -> bool:
        return self.signer is not None

    def has_valid_signature(
        self, genesis_hash: bytes, spec_version: int, transaction_version: int, birth_hash: bytes
    ) -> bool:
        """True if the signer signed exactly this for a chain with these facts.

        False for bare extrinsics, ECDSA signatures, and those that commit to a metadata hash
        (mode 1), which only a chain that knows its metadata hash can check.
        """
        if self.signer is None or self.crypto == ECDSA or self.mode != 0:
            return False
        context = SigningContext(
            genesis_hash=genesis_hash,
            spec_version=spec_version,
            transaction_version=transaction_version,
            nonce=self.nonce,
            era=self.era,
            birth_hash=birth_hash,
            tip=self.tip,
        )
        payload = signing_payload(self.call, context)
        return verify(self.signer, payload, self.signature, CryptoType(self.crypto))


def parse_extrinsic(raw: bytes) -> Extrinsic:
    """Take an extrinsic apart, length prefix included; raises DecodeError if malformed."""
    size, i = compact_read(raw, 0)
    if size != len(raw) - i:
        raise DecodeError(f"extrinsic: announces {size} bytes and has {len(raw) - i}")
    return parse_body(raw[i:])


def parse_body(body: bytes) -> Extrinsic:
    """Take apart an extrinsic without its length prefix; raises DecodeError if malformed."""
    if not body:
        raise DecodeError("extrinsic: empty")
    if body[0] in (BARE_V4, BARE_V5):
        return Extrinsic(version=body[0], call=body[1:])
    if body[0] != SIGNED_V4:
        raise DecodeError(f"extrinsic: format 0x{body[0]:02x} is not 0x84, 0x04 or 0x05")
    if len(body) < 35 or body[1] != 0:
        raise DecodeError("extrinsic: the signer is not a plain account (MultiAddress::Id)")
    crypto = body[34]
    if crypto > ECDSA:
        raise DecodeError(f"extrinsic: signature scheme {crypto} is not 0, 1 or 2")
    i = 35 + (65 if crypto == ECDSA else 64)
    if i > len(body):
        raise DecodeError("extrinsic: the signature is cut short")
    signature = body[35:i]
    era, i = Era.read(body, i)
    nonce, i = _bounded(body, i, MAX_NONCE, "nonce")
    tip, i = _bounded(body, i, MAX_TIP, "tip")
    if i >= len(body) or body[i] > 1:
        raise DecodeError("extrinsic: the metadata-hash mode is neither 0 nor 1")
    return Extrinsic(
        version=4,
        call=body[i + 1 :],
        signer=AccountId(body[2:34]),
        crypto=crypto,
        signature=signature,
        era=era,
        nonce=nonce,
        tip=tip,
        mode=body[i],
    )


def _bounded(body: bytes, i: int, limit: int, what: str) -> tuple[int, int]:
    value, i = compact_read(body, i)
    if value > limit:
        raise DecodeError(f"extrinsic: {what} {value} is too large")
    return value, i
