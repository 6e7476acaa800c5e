"""Who a neuron is: its hotkey, on which chain, in which subnet."""

from __future__ import annotations

from dataclasses import dataclass

from ganglion.keys import Keypair


@dataclass(frozen=True, slots=True)
class Identity:
    """A hotkey on the chain with this genesis hash, in one subnet."""

    hotkey: Keypair
    genesis: bytes
    netuid: int
