"""Keeping the router's facts fresh: who serves, what, at which price; from chain and miners."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import orjson

from ganglion.errors import GanglionError
from ganglion.market import AskFacts
from ganglion.subnet_views import Neuron
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.fields import BadMessage
from ganglion.wire.paid import Offer
from neurons.chainlink import ChainLink, View
from neurons.gateway.router import Miner, Router

log = logging.getLogger("gateway")

REFRESH_SECONDS = 12.0
STATUS_SECONDS = 10.0
"""A report older than this is asked for anew: every refresh does. It also keeps a connection to
every miner open, so that taking over a broken answer needs no handshake."""


MOST_PLACES = 1 << 20
MAX_STATUS = 1 << 16
"""Bytes of the longest report that is read."""


class Directory:
    """The miners of one subnet for one router. `service` is `text` or `embedding`."""

    def __init__(self, chain: ChainLink, caller: Caller, router: Router, service: str) -> None:
        self.chain, self.router = chain, router
        self._caller, self._service = caller, service
        self._known: dict[str, tuple[float, Miner]] = {}
        self._said: dict[str, float] = {}  # prices of their own reports
        self._mute: dict[str, str] = {}  # what was last said of who cannot be used
        self.asks: dict[tuple[str, str], AskFacts] = {}
        self.block_hash = bytes(32)
        self.view: View | None = None
        self.on_view: Callable[[View], None] | None = None

    async def refresh(self) -> None:
        """Read the subnet, then ask every miner that is new or not heard of lately."""
        self.view = view = await self.chain.view()
        self.block_hash = bytes.fromhex(view.block_hash.removeprefix("0x"))
        self.asks = await self.chain.asks(view)
        serving = [n for n in view.serving if n.hotkey != self.chain.hotkey.address]
        found = await asyncio.gather(*(self._describe(neuron) for neuron in serving))
        self.router.update([miner for miner in found if miner is not None])
        if self.on_view is not None:
            self.on_view(view)

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
        target, now = Target.of(neuron), time.monotonic()
        asked_at, known = self._known.get(neuron.hotkey, (-STATUS_SECONDS, None))
        if known is None or known.target != target or now - asked_at > STATUS_SECONDS:
            try:
                body = await self._caller.fetch(target, "GET", "/status", most=MAX_STATUS)
                said = orjson.loads(body)
                known = described(neuron.uid, target, offered(said, self._service))
            except (CallFailed, BadMessage, ValueError) as e:
                self._complain(neuron, str(e))
                return None
            self._known[neuron.hotkey] = (now, known)
            self._said[neuron.hotkey] = known.price
            self._mute.pop(neuron.hotkey, None)
        known.uid, known.incentive = neuron.uid, neuron.incentive
        ask = self.asks.get((neuron.hotkey, known.model))
        known.price = priced(known, self._said[neuron.hotkey], ask)
        return known

    def _complain(self, neuron: Neuron, why: str) -> None:
        """Once about each reason: refreshes are many."""
        if self._mute.get(neuron.hotkey) != why:
            self._mute[neuron.hotkey] = why
            log.info("uid %d gets no requests: %s", neuron.uid, why)


def offered(said: object, service: str) -> dict[str, object]:
    """The part of a status report about one service; ValueError if the miner has it not."""
    if not isinstance(said, dict):
        raise ValueError("its status is no JSON object")
    part = said.get(service)
    if not isinstance(part, dict):
        others = [name for name in ("text", "embedding") if name in said]
        raise ValueError(f"it serves {' and '.join(others) or 'nothing'}, not {service}")
    return part


def described(uid: int, target: Target, said: dict[str, object]) -> Miner:
    """A miner out of its own status report. ValueError if that is malformed."""
    price, context, model = said.get("price", 1), said.get("context"), said.get("model")
    if not isinstance(price, int | float) or not isinstance(context, int) or not price >= 0:
        raise ValueError("its status is malformed: price and context are not numbers")
    if not isinstance(model, str):
        raise ValueError("its status is malformed: model is no name")
    pay = Offer.from_json(said["pay"]) if "pay" in said else None
    if pay is not None:  # what it is paid counts, not what it says beside that
        price = max(price, pay.prices.highest)
    is_exact = said.get("class") == "exact"
    made = Miner(uid, target, model[:200], is_exact, context, price=float(price), pay=pay)
    made.running, made.places = counted(said.get("running")), counted(said.get("places"))
    return made


def counted(said: object) -> int:
    """A miner's count; 0 for what is none."""
    return said if type(said) is int and 0 <= said <= MOST_PLACES else 0


def priced(miner: Miner, said: float, ask: AskFacts | None) -> float:
    """A miner's price: what it asks on the chain, if it does, and not what it says of itself;
    but never less than what its channel takes."""
    if ask is None:
        return said
    least = 0 if miner.pay is None else miner.pay.prices.highest
    return float(max(ask.prompt, ask.completion, least))
