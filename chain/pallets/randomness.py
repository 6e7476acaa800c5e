"""RandomnessCollectiveFlip (pallet 1): recent parent hashes, a weak source of randomness."""

from __future__ import annotations

from typing import Annotated

from chain.pallets.system import ParentHash
from chain.runtime.pallet import Pallet, on_initialize
from chain.runtime.state import State
from chain.runtime.storage import Value, storage
from ganglion.scale import AtMost
from ganglion.units import BlockNumber, Hash

LENGTH = 81

RandomMaterial: Value[Annotated[tuple[Hash, ...], AtMost(LENGTH)]] = storage(default=())
"""Series of block headers from the last 81 blocks that acts as random seed material."""


@on_initialize
def remember(s: State, now: BlockNumber) -> None:
    """Put the parent's hash into its slot of the ring."""
    material, parent = s[RandomMaterial], s[ParentHash]
    if len(material) < LENGTH:
        s[RandomMaterial] = (*material, parent)
        return
    at = (now - 1) % LENGTH
    s[RandomMaterial] = (*material[:at], parent, *material[at + 1 :])


pallet = Pallet(
    "RandomnessCollectiveFlip", __name__, crate="pallet_insecure_randomness_collective_flip"
).seal()
