"""A beacon of one's own, for networks that cannot reach drand.

Its secret is a fixed number that everybody knows, so timelocks on such a network keep no
secrets: they only open when they should. A chain whose `BeaconConfig` carries `LOCAL_HASH`
gets its pulses from the authors, one a block (`chain.pallets.drand`).
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from chain import timelock
from chain.pallets.drand_types import (
    QUICKNET,
    BeaconConfiguration,
    Metadata,
    Pulse,
    PulsesPayload,
    Sr25519Signer,
)
from chain.runtime.types import Sr25519
from ganglion.keys import Keypair
from ganglion.scale import codec
from ganglion.units import BlockNumber

LOCAL_HASH = sha256(b"ganglion local beacon").digest()
"""The chain hash of the local beacon: marks a configuration as ours."""

SECRET = int.from_bytes(LOCAL_HASH, "big") >> 2
"""Below the group order; public on purpose."""

PUBLIC_KEY = bytes.fromhex(
    "b6f8e4b8786c357dd7dbae44291342d8d706429ebdb3e267ecf91255c0253d8e"
    "8f40fec676446069a4d7ef0542b030e11931248749169d644f5edc32900c35a8"
    "dc7130204cf7a1447a531b1e2708fde19bbe9a691db6c925ad1f6e1668ec1535"
)
"""Of that secret; written out, because nodes without the extra `bls` start chains, too."""

_SIGNER = Keypair.from_seed(LOCAL_HASH)


def local_config(genesis_time: int = QUICKNET.genesis_time, period: int = 3) -> BeaconConfiguration:
    """The configuration of a local beacon whose round 1 is at `genesis_time` (seconds).

    By default rounds have the numbers of drand's Quicknet. `period` should not be shorter than a
    block: authors add one pulse a block.
    """
    return BeaconConfiguration(
        public_key=PUBLIC_KEY,
        period=period,
        genesis_time=genesis_time,
        hash=LOCAL_HASH,
        group_hash=LOCAL_HASH,
        scheme_id=b"bls-unchained-g1-rfc9380",
        metadata=Metadata(b"ganglion-local"),
    )


def round_at(config: BeaconConfiguration, seconds: int) -> int:
    """The newest round at a time; 0 before the first."""
    return max((seconds - config.genesis_time) // config.period + 1, 0)


@lru_cache(maxsize=64)
def local_pulse(number: int) -> Pulse:
    """The local beacon's pulse of a round: the only one there is, as BLS signatures are unique."""
    signature = timelock.sign_round(SECRET, number)
    return Pulse(number, sha256(signature).digest(), signature)


def signed_payload(block: int, pulses: tuple[Pulse, ...]) -> tuple[PulsesPayload, Sr25519]:
    """The arguments of `write_pulse`, signed by a key that everybody has."""
    payload = PulsesPayload(BlockNumber(block), pulses, Sr25519Signer(_SIGNER.account_id))
    return payload, Sr25519(_SIGNER.sign(codec(PulsesPayload).encode(payload)))
