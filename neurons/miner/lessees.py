"""Who leases this miner: their requests come first and need no vouchers, as far as the lease goes.

A lease of so many tokens a block earns that many in every block, and saves up to `SAVED` blocks of
them; answers use them up. With none left, or while the lease is paused, its lessee is a caller
like any other. Every new block is looked at, so a lease counts as soon as its block is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass

from ganglion import market, ss58
from ganglion.errors import GanglionError
from ganglion.market import OrderFacts
from neurons.chainlink import ChainLink
from neurons.miner.textgen import Event

log = logging.getLogger("miner")

SAVED = 25
"""Blocks of tokens that a lease saves up, and begins with."""
BEFORE_ALL = 1e15
"""The standing of a lessee, in TAO: more than there is, so that stake never outranks a lease."""
AGAIN_SECONDS = 3.0


@dataclass(slots=True)
class Use:
    """An open lease, the block it was last looked at, and the tokens it has left."""

    number: int
    capacity: int
    block: int
    tokens: int

    def until(self, block: int) -> None:
        """Add what the blocks since have earned."""
        earned = max(block - self.block, 0) * self.capacity
        self.tokens = min(self.tokens + earned, SAVED * self.capacity)
        self.block = block


class Lessees:
    """The open leases of one miner and model, by lessee."""

    def __init__(self, chain: ChainLink, model: str) -> None:
        self._chain, self._model = chain, model
        self._open: dict[bytes, dict[int, Use]] = {}
        self._states: dict[int, str] = {}

    def serves(self, caller: bytes) -> bool:
        """Whether a caller has a lease with tokens left."""
        return any(use.tokens > 0 for use in self._open.get(caller, {}).values())

    def over(self, standing: Callable[[bytes], float]) -> Callable[[bytes], float]:
        """The same standings, with lessees above all."""
        return lambda caller: BEFORE_ALL if self.serves(caller) else standing(caller)

    async def metered(self, caller: bytes, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
        """An answer's events; each of its tokens comes off the caller's lease."""
        async with aclosing(events) as stream:  # type: ignore[type-var]
            async for event in stream:
                if event[0] == "tokens":
                    self._charge(caller)
                yield event

    def _charge(self, caller: bytes) -> None:
        uses = self._open.get(caller, {}).values()
        use = max(uses, key=lambda u: u.tokens, default=None)
        if use is not None:
            use.tokens -= 1

    def update(self, block: int, found: list[OrderFacts]) -> None:
        """Take over the leases as of a block."""
        before = {n: use for uses in self._open.values() for n, use in uses.items()}
        self._open = {}
        mine = [o for o in found if (o.netuid, o.model) == (self._chain.netuid, self._model)]
        for lease in mine:
            if self._states.get(lease.number) != lease.state:
                log.info("lease %d of %s is %s", lease.number, lease.lessee, lease.state)
            if lease.state != "open":
                continue
            use = before.get(lease.number)
            if use is None:
                use = Use(lease.number, lease.capacity, block, SAVED * lease.capacity)
            use.until(block)
            lessee = ss58.decode(lease.lessee, prefix=None)
            self._open.setdefault(lessee, {})[lease.number] = use
        self._states = {lease.number: lease.state for lease in mine}

    async def refresh(self) -> None:
        """Read the leases of this miner's hotkey at the head."""
        head = await self._chain.client.at_head()
        block = int(await head.query("System", "Number"))
        self.update(block, await market.leases_of(head, self._chain.hotkey.address))

    async def keep_fresh(self) -> None:
        """Look at every block; the leases last known hold while the chain is away."""
        while True:
            try:
                async for _ in self._chain.client.blocks():
                    await self.refresh()
            except GanglionError as e:
                log.warning("leases are as of the last block seen: %s", e)
            await asyncio.sleep(AGAIN_SECONDS)


async def watch_leases(chain: ChainLink, model: str, stack: AsyncExitStack) -> Lessees:
    """The lessees of this miner, kept fresh until the stack unwinds; nobody on a chain without
    leases."""
    lessees = Lessees(chain, model)
    if await market.has_market(chain.client):
        await lessees.refresh()
        watching = asyncio.create_task(lessees.keep_fresh())
        stack.callback(watching.cancel)
    return lessees
