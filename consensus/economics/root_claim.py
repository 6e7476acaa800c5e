"""Root dividends: a rate per unit of root stake, and what each staker has already had of it.

owed = rate * root stake - claimed, so a stake that joins late starts with `claimed` raised to
what it did not earn.

Upstream: pallets/subtensor/src/staking/claim_root.rs
"""

from __future__ import annotations

from consensus.economics.fixed import Fx32
from ganglion.fixed import I96F32, U64_MAX


def rate_increment(amount: int, root_stake: int) -> Fx32:
    """How much a dividend of `amount` adds to the rate (I96F32); 0 without root stake."""
    return I96F32.safe_div(I96F32.from_int(amount), I96F32.from_int(root_stake))


def claimable(rate: Fx32, root_stake: int) -> Fx32:
    """All that a root stake ever earned at a rate, as I96F32 bits."""
    return I96F32.mul(rate, I96F32.from_int(root_stake))


def owed(rate: Fx32, root_stake: int, claimed: int) -> Fx32:
    """What is left to claim, as I96F32 bits; negative when more was claimed than earned."""
    return I96F32.sub(claimable(rate, root_stake), I96F32.from_int(claimed))


def is_worth_claiming(amount: Fx32, threshold: Fx32) -> bool:
    """Whether a claim happens: at or over the threshold and at least one whole unit."""
    return amount >= threshold and I96F32.to_u64(amount) > 0


def watermark(rate: Fx32, root_stake: int) -> int:
    """Whole units of a rate on `root_stake`: by so much a change of stake moves `claimed`."""
    return I96F32.to_u64(claimable(rate, root_stake))


def indices(block_hash: bytes, count: int, ring: int) -> list[int]:
    """Which places of the staker ring claim by themselves in a block: up to `count`, sorted.

    The walk starts at the first eight bytes of the hash and steps by its four words in turn. An
    empty ring gives place 0.
    """
    word = int.from_bytes(block_hash[:8], "big")
    places: set[int] = set()
    for i in range(count):
        at = i * 8 % 32
        word = min(word + int.from_bytes(block_hash[at : at + 8], "big"), U64_MAX)
        word = word % ring if ring else 0
        places.add(word)
    return sorted(places)
