"""What one validator has seen of a subnet's miners, signed, for a report that many make together.

`GET /observation` at a validator's status port answers
`{"observation": "0x..", "signature": "0x..", "crypto": "sr25519"}`; whoever has enough of them
brings them to the chain in one transaction (pallet Reports), which keeps the medians.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import orjson

from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, Keypair
from ganglion.scale import AtMost, DecodeError, Fixed, codec, u16, u32, u64
from ganglion.wire import fields
from ganglion.wire.fields import BadMessage

PATH = "/observation"
DOMAIN = b"ganglion/observation/1"
MAX_MINERS = 256
WHOLE = 10_000
MAX_BYTES = 1 << 15
"""Of an observation as it travels; 256 miners take 10,600."""

Digest = Annotated[bytes, Fixed(32)]


@dataclass(frozen=True, slots=True)
class Quality:
    """One miner. `answered` counts ten-thousandths of the checks, `first_token_ms` milliseconds,
    `speed` thousandths of a token a second, `price` rao for a million output tokens."""

    uid: u16
    answered: u16
    first_token_ms: u32
    speed: u32
    price: u64


@dataclass(frozen=True, slots=True)
class Observation:
    """One validator's view of a subnet's miners in a round, which is named by its first block."""

    genesis: Digest
    netuid: u16
    validator: Digest
    round: u32
    miners: Annotated[tuple[Quality, ...], AtMost(MAX_MINERS)]

    def signing_hash(self) -> bytes:
        """The 32 bytes under the signature."""
        return blake2_256(DOMAIN + OBSERVATION.encode(self))

    def is_orderly(self) -> bool:
        """Whether uids rise, so that nobody is judged twice, and shares are shares."""
        rising = all(one.uid < other.uid for one, other in pairwise(self.miners))
        return rising and all(miner.answered <= WHOLE for miner in self.miners)


OBSERVATION = codec(Observation)


@dataclass(frozen=True, slots=True)
class SignedObservation:
    """An observation with its validator's signature."""

    observation: Observation
    signature: bytes
    crypto: CryptoType

    def to_bytes(self) -> bytes:
        """As it travels."""
        body = {
            "observation": "0x" + OBSERVATION.encode(self.observation).hex(),
            "signature": "0x" + self.signature.hex(),
            "crypto": self.crypto.name.lower(),
        }
        return orjson.dumps(body)


def sign(observation: Observation, hotkey: Keypair) -> SignedObservation:
    """The observation under the validator's hotkey."""
    return SignedObservation(observation, hotkey.sign(observation.signing_hash()), hotkey.crypto)


def read(body: bytes) -> SignedObservation:
    """A stranger's observation whose signature holds; BadMessage says what is wrong with it."""
    given = fields.load_object(body)
    fields.only(given, frozenset({"observation", "signature", "crypto"}))
    raw = fields.text(given, "observation", 2 + 2 * MAX_BYTES)
    try:
        made = OBSERVATION.decode(bytes.fromhex(raw.removeprefix("0x")))
    except (ValueError, DecodeError) as e:
        raise BadMessage(f"the observation cannot be read: {e}") from e
    if not made.is_orderly():
        raise BadMessage("an observation lists rising uids and shares of 10,000 at most")
    crypto = given.get("crypto")
    if crypto not in ("sr25519", "ed25519"):
        raise BadMessage("crypto must be sr25519 or ed25519")
    signature = fields.hexadecimal(given, "signature", 64)
    signed = SignedObservation(made, signature, CryptoType[crypto.upper()])
    if not Keypair.from_public(made.validator, signed.crypto).verify(
        made.signing_hash(), signature
    ):
        raise BadMessage("the observation is not signed by the validator it names")
    return signed
