"""Who serves spans of a model: learnt from a list, or from the neurons of a subnet."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from ganglion import ss58
from ganglion.client import Client
from ganglion.errors import GanglionError
from ganglion.keys import Keypair
from ganglion.wire.call import CallFailed, Target
from ganglion.wire.fields import BadMessage
from ganglion.wire.spans import Kind
from neurons.chainlink import ChainLink
from neurons.engine.base import ModelCard
from neurons.shards.balance import Seat
from neurons.shards.calls import HopCaller
from neurons.shards.routing import Peer

log = logging.getLogger("shards")

Source = Callable[[], Awaitable[Sequence[Target]]]
"""Who might serve spans now. GanglionError if nobody can say."""

REFRESH_SECONDS = 12.0
ASK_SECONDS, URGENT_SECONDS = 3.0, 0.5
"""How long a server may take to announce itself; when an answer waits for it, not so long."""

OTHER_SECONDS = 60.0
"""How long a neuron that serves no spans of this model is left alone."""


def target(text: str) -> Target:
    """HOTKEY@HOST:PORT; ValueError says what is wrong with it."""
    hotkey, at, address = text.strip().partition("@")
    host, colon, port = address.rpartition(":")
    try:
        ss58.decode(hotkey, prefix=None)
    except GanglionError as e:
        raise ValueError(f"{hotkey[:60]!r} is no hotkey's address: {e}") from e
    if not at or not colon or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(f"{text[:80]!r} is no span server: give HOTKEY@HOST:PORT")
    return Target(hotkey, host.strip("[]"), int(port))


def listed(targets: Sequence[Target]) -> Source:
    """The servers of a list, always the same."""

    async def source() -> Sequence[Target]:
        return targets

    return source


class SubnetSource:
    """The neurons that publish an address on a subnet, less one's own."""

    def __init__(self, url: str, netuid: int, own: Keypair) -> None:
        self._url, self._netuid, self._own = url, netuid, own
        self._client: Client | None = None

    async def __call__(self) -> Sequence[Target]:
        if self._client is None:
            client = Client(self._url)
            await client.__aenter__()
            self._client = client
        view = await ChainLink(self._client, self._netuid, self._own).view()
        return [Target.of(n) for n in view.serving if n.hotkey != self._own.address]

    async def close(self) -> None:
        """Let go of the node."""
        if self._client is not None:
            await self._client.__aexit__(None, None, None)
            self._client = None


class Directory:
    """The span servers of one model, as they announced themselves."""

    def __init__(
        self, source: Source, caller: HopCaller, card: ModelCard, kind: Kind, layers: int,
        genesis: bytes,
    ) -> None:  # fmt: skip
        self.card, self.kind, self.layers, self.genesis = card, kind, layers, genesis
        self.peers: dict[str, Peer] = {}
        self._source, self._caller = source, caller
        self._targets: Sequence[Target] = ()
        self._others: dict[str, float] = {}  # until when who is left alone
        self._mute: dict[str, str] = {}

    async def refresh(self, urgent: bool = False) -> frozenset[str]:
        """Ask everybody; the keys of those that answered. When it is urgent only those that are
        known are asked, with little patience."""
        if not urgent or not self._targets:
            try:
                self._targets = await self._source()
            except GanglionError as e:
                log.warning("the list of span servers is as of the last block seen: %s", e)
        seconds, now = (URGENT_SECONDS if urgent else ASK_SECONDS), time.monotonic()
        asked = [t for t in self._targets if self._others.get(t.hotkey, 0.0) <= now]
        found = await asyncio.gather(*(self._ask(one, seconds) for one in asked))
        stamp = time.time() * 1000
        here = {t.hotkey for t in self._targets}
        for key in [k for k, p in self.peers.items() if p.span.expires < stamp or k not in here]:
            del self.peers[key]
        return frozenset(key for key in found if key is not None)

    async def keep_fresh(self) -> None:
        """Refresh for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_SECONDS if self.complete else 1.0)

    @property
    def complete(self) -> bool:
        """Whether every block has a server."""
        held = (range(p.span.first, p.span.last) for p in self.peers.values())
        return len({block for blocks in held for block in blocks}) == self.layers

    def seats(self) -> list[Seat]:
        """What everybody holds, for the rule of balance."""
        return [Seat(key, p.span.first, p.span.last, p.span.rate) for key, p in self.peers.items()]

    async def _ask(self, one: Target, seconds: float) -> str | None:
        """The key of a server that announced blocks of this model; it is among `peers` then."""
        started = time.monotonic()
        try:
            stamp = round(time.time() * 1000)
            span = await self._caller.announced(one, self.genesis, stamp, seconds)
            said = (span.weights, span.kind, span.layers, span.hidden)
            if said != (self.card.weights_hash, self.kind, self.layers, self.card.hidden):
                raise BadMessage(f"it serves another model or class than {self.card.name}")
        except (CallFailed, BadMessage) as e:
            self._without(one, e)
            return None
        took = time.monotonic() - started
        self._mute.pop(one.hotkey, None)
        known = self.peers.get(one.hotkey)
        if known is None or known.target != one:
            known = self.peers[one.hotkey] = Peer(one, span)
        known.heard(span, took)
        return one.hotkey

    def _without(self, one: Target, why: CallFailed | BadMessage) -> None:
        if not isinstance(why, CallFailed) or why.status == 404:
            self._others[one.hotkey] = time.monotonic() + OTHER_SECONDS
            self.peers.pop(one.hotkey, None)
        if self._mute.get(one.hotkey) != str(why):
            self._mute[one.hotkey] = str(why)
            log.info("%s serves no spans here: %s", one.hotkey, why)
