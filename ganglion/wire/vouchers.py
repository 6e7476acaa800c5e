"""Vouchers: what a payer signs, off the chain, to say how much a lane of a channel has earned.

A voucher is cumulative: the newest one of a lane stands for all before it, so the payee keeps
one a lane and brings that to the chain (pallet Channels) when it likes. The genesis hash and a
domain of their own keep vouchers of another chain, and any other signed text, from passing for
one. `receipts_root` commits to what was paid for; see `ganglion.wire.paid`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ganglion.keys import CryptoType, Keypair
from ganglion.scale import DecodeError, codec, u16, u64, u128
from ganglion.units import Hash
from ganglion.wire import fields
from ganglion.wire.fields import BadMessage

DOMAIN = b"ganglion/voucher/1"
NO_RECEIPTS = Hash(bytes(32))
"""The root before the first answer of a lane is complete."""
SIGNATURE_SIZE = 64


@dataclass(frozen=True, slots=True)
class Voucher:
    """So much, in rao, has the payee earned on this lane since the channel was opened."""

    genesis: Hash
    channel: u64
    lane: u16
    nonce: u64
    cumulative: u128
    receipts_root: Hash

    def signing_bytes(self) -> bytes:
        """What the signature is over: the domain, then SCALE of the fields in order."""
        return DOMAIN + VOUCHER.encode(self)


VOUCHER = codec(Voucher)
VOUCHER_SIZE = len(VOUCHER.encode(Voucher(NO_RECEIPTS, 0, 0, 0, 0, NO_RECEIPTS)))


@dataclass(frozen=True, slots=True)
class SignedVoucher:
    """A voucher and the signature of the key that the channel names."""

    voucher: Voucher
    signature: bytes
    crypto: CryptoType

    def is_by(self, signer: bytes) -> bool:
        """Whether the key with these 32 public bytes signed it."""
        key = Keypair.from_public(signer, self.crypto)
        return key.verify(self.voucher.signing_bytes(), self.signature)

    def to_json(self) -> dict[str, str]:
        """The form that travels."""
        return {
            "voucher": "0x" + VOUCHER.encode(self.voucher).hex(),
            "signature": "0x" + self.signature.hex(),
            "crypto": self.crypto.name.lower(),
        }

    @classmethod
    def from_json(cls, value: object) -> SignedVoucher:
        """Read what a stranger sent; BadMessage says which part is malformed."""
        if not isinstance(value, dict):
            raise BadMessage("a voucher is an object with voucher, signature and crypto")
        raw = fields.hexadecimal(value, "voucher", VOUCHER_SIZE)
        signature = fields.hexadecimal(value, "signature", SIGNATURE_SIZE)
        name = value.get("crypto")
        if name not in ("sr25519", "ed25519"):
            raise BadMessage("crypto must be sr25519 or ed25519")
        try:
            return cls(VOUCHER.decode(raw), signature, CryptoType[name.upper()])
        except DecodeError as e:
            raise BadMessage(f"the voucher cannot be read: {e}") from e

    def call_args(self) -> dict[str, Any]:
        """As an element of the argument of the call Channels.redeem."""
        voucher = self.voucher
        return {
            "voucher": {
                "genesis": voucher.genesis,
                "channel": voucher.channel,
                "lane": voucher.lane,
                "nonce": voucher.nonce,
                "cumulative": voucher.cumulative,
                "receipts_root": voucher.receipts_root,
            },
            "signature": {self.crypto.name.capitalize(): self.signature},
        }


def sign(voucher: Voucher, key: Keypair) -> SignedVoucher:
    """The voucher under the payer's key, or the key that it named when it opened the channel."""
    return SignedVoucher(voucher, key.sign(voucher.signing_bytes()), key.crypto)
