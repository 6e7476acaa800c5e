"""Weights by trust: what the accounts that a validator knows say about the owners of miners.

The graph is read at the view's block. It is one map of the chain, so it is read anew only when
weights may be due.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ganglion import vouching
from neurons.chainlink import ChainLink, ChainProblem, View
from neurons.validator.schedule import Weights
from subnets.scoring import U16_MAX
from subnets.trust import ONE, trusted

log = logging.getLogger("validator")


class Trust:
    """The multipliers of miners; `shares`, 0 .. ONE by hotkey, is of the latest reading."""

    def __init__(self, chain: ChainLink, seeds: Sequence[str]) -> None:
        self._chain, self._seeds = chain, seeds
        self.shares: dict[str, int] = {}

    async def refresh(self, view: View) -> None:
        """Read the vouches. ChainProblem on a chain that keeps none."""
        at = self._chain.client.at(view.block_hash)
        if not await vouching.has_vouching(at):
            raise ChainProblem("this chain keeps no vouches: leave --trust out")
        shares = trusted(await vouching.vouches(at), self._seeds)
        self.shares = {n.hotkey: shares.get(n.coldkey, 0) for n in view.graph.neurons}

    def applied(self, weights: Weights, view: View) -> Weights:
        """Weights in proportion to weight times trust, the largest 65535 again."""
        hotkey = {n.uid: n.hotkey for n in view.graph.neurons}
        return scaled(weights, {uid: self.shares[hotkey[uid]] for uid, _ in weights})


def scaled(weights: Weights, shares: dict[int, int]) -> Weights:
    """Weights times shares of ONE, brought to 65535 at most; what vanishes is left out."""
    products = [(uid, weight * min(shares[uid], ONE)) for uid, weight in weights]
    largest = max((product for _, product in products), default=0)
    if not largest:
        return ()
    found = ((uid, (product * U16_MAX + largest // 2) // largest) for uid, product in products)
    return tuple((uid, weight) for uid, weight in found if weight)
