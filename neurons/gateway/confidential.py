"""Which miners of a subnet are attested now; renewed as the chain goes on.

The gateway itself reads what its callers send: it seals a request only from here on, so that
neither the wire nor a machine that is not attested reads it. Who trusts no gateway asks through
the SDK, which seals from end to end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from ganglion.attest.call import AttestedCaller
from neurons.chainlink import View
from neurons.gateway.router import Router

log = logging.getLogger("gateway")

LOOK_SECONDS = 1.0


class Confidential:
    """The live verdicts on a router's miners under the operator's policy."""

    def __init__(self, caller: AttestedCaller, router: Router) -> None:
        self.caller, self._router = caller, router
        self._said: dict[str, str] = {}
        self._blocks = asyncio.Event()

    def on_view(self, view: View) -> None:
        """The chain went on: verdicts end by its blocks."""
        block_hash = bytes.fromhex(view.block_hash.removeprefix("0x"))
        self.caller.book.on_block(view.block, block_hash, time.time(), view.graph.tempo)
        self._blocks.set()

    async def refresh(self) -> None:
        """Ask the miners whose verdicts are due; tell once why one is not trusted."""
        miners = {m.target.hotkey: m for m in self._router.miners.values()}
        refused = await self.caller.refresh([m.target for m in miners.values()])
        for hotkey, why in refused.items():
            if self._said.get(hotkey) != why and hotkey in miners:
                log.info("uid %d gets no confidential requests: %s", miners[hotkey].uid, why)
        self._said = refused

    async def keep_fresh(self) -> None:
        """Refresh for ever, after every look at the chain. A miner that is slow to answer keeps
        nobody else's verdict from being renewed meanwhile."""
        async with asyncio.TaskGroup() as running:
            while True:
                await self._blocks.wait()
                self._blocks.clear()
                running.create_task(self.refresh())
                await asyncio.sleep(LOOK_SECONDS)

    def trusted(self) -> frozenset[str]:
        """The hotkeys that may have a confidential request now."""
        return self.caller.book.everyone(time.time())

    def badge(self, hotkey: str) -> dict[str, Any] | None:
        """What may be said of a miner: kind and end of its verdict; None if it has none."""
        return self.caller.book.badge(hotkey, time.time())

    def badge_of_model(self, model: str) -> dict[str, Any] | None:
        """The badge that lasts longest among the miners of a model."""
        serving = self._router.models().get(model, [])
        badges = [b for b in (self.badge(m.target.hotkey) for m in serving) if b is not None]
        return max(badges, key=lambda badge: int(badge["expires"]), default=None)
