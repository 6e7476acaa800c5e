"""What a credential of personhood says, and what its holder signs.

The holder makes a fresh ed25519 key for every subnet and has the subnet's issuer sign it blindly:
the issuer knows who asked, and not for which key; everybody sees the key, and not who asked. With
that key the holder says which hot key is its own there.
"""

from __future__ import annotations

from ganglion.hashing import blake2_256
from ganglion.scale import u16

DOMAIN = b"ganglion/person/1"
HOLDER = b"ganglion/person-holds/1"


def credential_message(genesis: bytes, netuid: u16, person: bytes) -> bytes:
    """What the issuer signs without seeing it; `person` is the fresh public key."""
    return DOMAIN + genesis + netuid.to_bytes(2, "little") + person


def holding_hash(genesis: bytes, netuid: u16, hotkey: bytes) -> bytes:
    """What the fresh key signs: that this hot key is its holder's on the subnet."""
    return blake2_256(HOLDER + genesis + netuid.to_bytes(2, "little") + hotkey)
