"""What validators have measured of the miners, for routing: a request may ask for a capability.

The operator names validators that it trusts, by hotkey and address; each answers a signed report.
A miner counts with the lower median of what they vouch for, so one of three that lies moves
nothing. A validator that is away counts with its last report while that is fresh.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median_low
from urllib.parse import urlsplit

from ganglion import ss58
from ganglion.errors import GanglionError
from ganglion.wire import performance as wire
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.fields import BadMessage
from neurons.gateway.router import Router

log = logging.getLogger("gateway")

REFRESH_SECONDS = 60.0


def source(text: str) -> Target:
    """A --performance: http://HOTKEY@HOST:PORT."""
    parts = urlsplit(text)
    try:
        port, hotkey = parts.port, parts.username or ""
        address = ss58.encode(ss58.decode(hotkey, prefix=None))
    except (GanglionError, ValueError):
        port, address = None, ""
    if parts.scheme != "http" or not parts.hostname or not port or not address:
        raise argparse.ArgumentTypeError(
            f"{text!r} names no validator: write http://HOTKEY@HOST:PORT, with the address of its "
            "hotkey and its --status-port"
        )
    return Target(address, parts.hostname, port)


def combined(reports: Iterable[wire.Report]) -> dict[str, int]:
    """The proven rate of every miner: the lower median over all reports; one that does not name a
    miner vouches for nothing."""
    told = [{miner.hotkey: miner.hardware_proven for miner in r.miners} for r in reports]
    return {
        hotkey: median_low(rates.get(hotkey, 0) for rates in told)
        for hotkey in {hotkey for rates in told for hotkey in rates}
    }


class Performance:
    """Reports of some validators, kept fresh, and the capability that routers know by them.

    `routers` are by subnet; a validator's report says which it is about.
    """

    def __init__(
        self,
        caller: Caller,
        genesis: bytes,
        routers: Mapping[int, Router],
        sources: Sequence[Target],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._caller, self._genesis, self._routers = caller, genesis, routers
        self._sources, self._now = tuple(sources), now
        self._reports: dict[Target, wire.Report] = {}
        self._mute: dict[Target, str] = {}

    async def refresh(self) -> None:
        """Ask every validator once."""
        await asyncio.gather(*(self._ask(target) for target in self._sources))
        limit = self._now() - wire.FRESH_SECONDS
        self._reports = {who: r for who, r in self._reports.items() if r.at >= limit}
        for netuid, router in self._routers.items():
            router.capability = combined(r for r in self._reports.values() if r.netuid == netuid)

    async def _ask(self, target: Target) -> None:
        try:
            report = wire.read(await self._caller.fetch(target, "GET", wire.PATH))
            netuid = report.netuid if report.netuid in self._routers else min(self._routers)
            report.check(self._genesis, netuid, target.hotkey, self._now())
        except (CallFailed, BadMessage) as e:
            if self._mute.get(target) != str(e):
                self._mute[target] = str(e)
                log.warning("no measured performance from %s: %s", target.url, e)
            return
        self._reports[target] = report
        self._mute.pop(target, None)

    async def keep_fresh(self) -> None:
        """Ask again and again."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await self.refresh()
