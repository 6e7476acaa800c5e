"""Types of the Drand pallet. Upstream: pallets/drand/src/types.rs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ganglion.scale import AtMost, Enumeration, Fixed, scale_type, u32, u64, variant
from ganglion.units import BlockNumber

Bytes32 = Annotated[bytes, AtMost(32)]


@scale_type("sp_runtime::MultiSigner")
class MultiSigner(Enumeration):
    """A public key with its scheme."""


@variant(0, "Ed25519")
class Ed25519Signer(MultiSigner):
    """ed25519."""

    _0: Annotated[bytes, Fixed(32)]


@variant(1, "Sr25519")
class Sr25519Signer(MultiSigner):
    """sr25519."""

    _0: Annotated[bytes, Fixed(32)]


@variant(2, "Ecdsa")
class EcdsaSigner(MultiSigner):
    """secp256k1."""

    _0: Annotated[bytes, Fixed(33)]


@scale_type("pallet_drand::types::Metadata")
@dataclass(frozen=True, slots=True)
class Metadata:
    """The beacon's name."""

    beacon_id: Bytes32


@scale_type("pallet_drand::types::BeaconConfiguration")
@dataclass(frozen=True, slots=True)
class BeaconConfiguration:
    """Which beacon the chain listens to: key in G2, seconds a round, start of round 1."""

    public_key: Annotated[bytes, AtMost(96)]
    period: u32
    genesis_time: u32
    hash: Bytes32
    group_hash: Bytes32
    scheme_id: Bytes32
    metadata: Metadata


@scale_type("pallet_drand::types::Pulse")
@dataclass(frozen=True, slots=True)
class Pulse:
    """What the beacon said in a round; `randomness` is the sha256 of the signature."""

    round: u64
    randomness: Bytes32
    signature: Annotated[bytes, AtMost(144)]


@scale_type("pallet_drand::types::PulsesPayload")
@dataclass(frozen=True, slots=True)
class PulsesPayload:
    """Pulses, and who sends them at which block."""

    block_number: BlockNumber
    pulses: tuple[Pulse, ...]
    public: MultiSigner


@scale_type("pallet_drand::types::BeaconConfigurationPayload")
@dataclass(frozen=True, slots=True)
class BeaconConfigurationPayload:
    """A configuration, and who sends it at which block."""

    block_number: BlockNumber
    config: BeaconConfiguration
    public: MultiSigner


QUICKNET = BeaconConfiguration(
    public_key=bytes.fromhex(
        "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c"
        "8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb"
        "5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
    ),
    period=3,
    genesis_time=1_692_803_367,
    hash=bytes.fromhex("52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"),
    group_hash=bytes.fromhex("f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e"),
    scheme_id=b"bls-unchained-g1-rfc9380",
    metadata=Metadata(b"quicknet"),
)
"""The public beacon that every client of the public network uses."""
