"""A miner's statement: these keys are mine, this is their evidence, made after that block.

`GET /v1/attestation?nonce=0xHASH` answers with it, signed by the hotkey.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

import orjson

from ganglion.attest.evidence import MAX_EVIDENCE, BadEvidence, report_data
from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, Keypair
from ganglion.scale import DecodeError, Fixed, codec
from ganglion.wire import fields
from ganglion.wire.receipts import SignedReceipt
from ganglion.wire.sealed import VERSION, SealKey

PATH = "/v1/attestation"
DOMAIN = b"ganglion/attest/1"
Digest = Annotated[bytes, Fixed(32)]


@dataclass(frozen=True, slots=True)
class Statement:
    """A sealing key with its miner, chain and subnet; the Ed25519 key that signs answers; the
    block hash that evidence was made for; and the hash of the evidence."""

    seal: SealKey
    signer: Digest
    nonce: Digest
    evidence: Digest

    def signing_hash(self) -> bytes:
        """The 32 bytes under the hotkey's signature."""
        return blake2_256(DOMAIN + STATEMENT.encode(self))

    def report_data(self) -> bytes:
        """What the evidence must carry."""
        seal = self.seal
        return report_data(seal.genesis, seal.miner, seal.key, self.nonce, self.signer)


STATEMENT = codec(Statement)


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement, its evidence (JSON), and the hotkey's signature."""

    statement: Statement
    evidence: bytes
    signature: bytes
    crypto: CryptoType

    @classmethod
    def make(
        cls, seal: SealKey, signer: bytes, nonce: bytes, evidence: bytes, hotkey: Keypair
    ) -> SignedStatement:
        """The statement signed by its miner."""
        said = Statement(seal, signer, nonce, blake2_256(evidence))
        return cls(said, evidence, hotkey.sign(said.signing_hash()), hotkey.crypto)

    def to_bytes(self) -> bytes:
        """As it travels."""
        return orjson.dumps(
            {
                "statement": "0x" + STATEMENT.encode(self.statement).hex(),
                "evidence": self.evidence.decode(),
                "signature": "0x" + self.signature.hex(),
                "crypto": self.crypto.name.lower(),
            }
        )

    @classmethod
    def from_bytes(cls, body: bytes) -> SignedStatement:
        """Parse what a stranger sent; BadMessage unless every part has the right form."""
        given = fields.load_object(body)
        evidence = fields.text(given, "evidence", MAX_EVIDENCE)
        try:
            raw = bytes.fromhex(str(given.get("statement")).removeprefix("0x"))
            statement, crypto = STATEMENT.decode(raw), CryptoType[str(given.get("crypto")).upper()]
            text = evidence.encode()
        except (KeyError, ValueError, DecodeError) as e:
            raise BadEvidence(f"the statement cannot be read: {e}") from e
        return cls(statement, text, fields.hexadecimal(given, "signature", 64), crypto)

    def check(self, genesis: bytes, netuid: int, miner: bytes, now: float) -> None:
        """BadEvidence unless `miner` signed this for this subnet, with a key that is still good."""
        seal = self.statement.seal
        if (seal.version, seal.genesis, seal.netuid, seal.miner) != (
            VERSION,
            genesis,
            netuid,
            miner,
        ):
            raise BadEvidence("the statement is another miner's, or for another subnet or chain")
        if seal.until <= now:
            raise BadEvidence("the attested key has expired")
        if blake2_256(self.evidence) != self.statement.evidence:
            raise BadEvidence("the evidence is not the one that the miner signed")
        signer = Keypair.from_public(miner, self.crypto)
        if not signer.verify(self.statement.signing_hash(), self.signature):
            raise BadEvidence("the statement is not signed by the miner's hotkey")


def answer_digest(receipt_hash: bytes, text: str) -> bytes:
    """What the attested key signs of an answer: its receipt, which names the request, and text."""
    return blake2_256(DOMAIN + receipt_hash + hashlib.sha256(text.encode()).digest())


def check_answer(signed: SignedReceipt, text: str, signer: bytes) -> None:
    """BadEvidence unless the attested key `signer` vouches for this receipt and this text."""
    if signed.attested is None:
        raise BadEvidence("the answer is not signed by the attested key")
    key = Keypair.from_public(signer, CryptoType.ED25519)
    if not key.verify(answer_digest(signed.receipt.signing_hash(), text), signed.attested):
        raise BadEvidence("the answer is not signed by the attested key")
