"""Keeping the router's facts fresh: who serves, what, at which price; from chain and miners."""

from __future__ import annotations

import asyncio
import logging
import time

import orjson

from ganglion.errors import GanglionError
from ganglion.subnet_views import Neuron
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.fields import BadMessage
from neurons.chainlink import ChainLink, target_of
from neurons.gateway.router import Miner, Router

log = logging.getLogger("gateway")

REFRESH_SECONDS = 12.0
STATUS_SECONDS = 10.0
"""A report older than this is asked for anew: every refresh does. It also keeps a connection to
every miner open, so that taking over a broken answer needs no handshake."""


class Directory:
    """The miners of one subnet for one router. `service` is `text` or `embedding`."""

    def __init__(self, chain: ChainLink, caller: Caller, router: Router, service: str) -> None:
        self.chain, self.router = chain, router
        self._caller, self._service = caller, service
        self._known: dict[str, tuple[float, Miner]] = {}
        self.block_hash = bytes(32)

    async def refresh(self) -> None:
        """Read the subnet, then ask every miner that is new or not heard of lately."""
        view = await self.chain.view()
        self.block_hash = bytes.fromhex(view.block_hash.removeprefix("0x"))
        serving = [n for n in view.serving if n.hotkey != self.chain.hotkey.address]
        found = await asyncio.gather(*(self._describe(neuron) for neuron in serving))
        self.router.update([miner for miner in found if miner is not None])

    async def keep_fresh(self) -> None:
        """Refresh for ever; the last known facts serve while the chain is away."""
        while True:
            try:
                await self.refresh()
            except GanglionError as e:
                log.warning("the list of miners is as of the last block seen: %s", e)
            await asyncio.sleep(REFRESH_SECONDS if self.router.miners else 1.0)

    async def _describe(self, neuron: Neuron) -> Miner | None:
        """A miner with what it says it serves; None if it does not answer."""
        target, now = target_of(neuron), time.monotonic()
        asked_at, known = self._known.get(neuron.hotkey, (-STATUS_SECONDS, None))
        if known is None or known.target != target or now - asked_at > STATUS_SECONDS:
            try:
                said = orjson.loads(await self._caller.fetch(target, "GET", "/status"))
                known = described(neuron.uid, target, said[self._service])
            except (
                CallFailed,
                BadMessage,
                orjson.JSONDecodeError,
                LookupError,
                TypeError,
                ValueError,
            ) as e:
                log.info("uid %d does not tell what it serves: %s", neuron.uid, e)
                return None
            self._known[neuron.hotkey] = (now, known)
        known.uid, known.incentive = neuron.uid, neuron.incentive
        return known


def described(uid: int, target: Target, said: dict[str, object]) -> Miner:
    """A miner out of its own status report. LookupError or ValueError if that is malformed."""
    price, context = said.get("price", 1), said["context"]
    if not isinstance(price, int | float) or not isinstance(context, int) or not price >= 0:
        raise ValueError("price and context must be numbers")
    model = str(said["model"])[:200]
    return Miner(uid, target, model, said.get("class") == "exact", context, price=float(price))
