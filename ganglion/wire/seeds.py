"""The sampling seed of an answer: fixed only when it is known who answers, and by a block."""

from __future__ import annotations

from ganglion.hashing import blake2_256

DOMAIN = b"ganglion/seed/1"


def draw_seed(nonce: bytes, caller: bytes, miner: bytes, block_hash: bytes) -> bytes:
    """A sampling seed fixed only after the miner was chosen, and bound to it and to a block."""
    return blake2_256(DOMAIN + nonce + caller + miner + block_hash)
