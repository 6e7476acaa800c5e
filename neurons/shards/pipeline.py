"""Carrying a pass through span servers, around those that fail: the driver of `Session`.

Every failure ends in one of four ways: a server that forgot the session is sent its history, a
busy one is given a moment, any other is banned and the rest of the way is found anew, and when no
way is left `MissingBlocks` says for which blocks. What was computed before stays computed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from ganglion import ss58
from ganglion.wire.fields import BadMessage
from ganglion.wire.spans import tokens_a_frame
from neurons.shards.calls import CallFailed, HopCaller
from neurons.shards.directory import Directory
from neurons.shards.routing import Bans, Leg, MissingBlocks, Peer, cost, route
from neurons.shards.session import Frame, Session

log = logging.getLogger("shards")

BUSY_WAITS = (0.05, 0.1, 0.2, 0.4)
TOKENS_AHEAD = 16
"""For so many tokens a better way is thought to be of use."""

FORGETFUL = 3
"""How often in one pass a server may forget a session."""


class Broken(Exception):
    """A leg of the way failed; another way is to be found."""


class Pipeline:
    """The span servers of one model for one front. Runs in one event loop."""

    def __init__(self, directory: Directory, caller: HopCaller) -> None:
        self.directory, self.caller = directory, caller
        self.bans = Bans()
        self._ways: dict[bytes, tuple[Leg, ...]] = {}
        self._most = tokens_a_frame(directory.card.hidden, directory.kind)

    async def carry(
        self, session: Session, without: frozenset[str] = frozenset(), quick: bool = False
    ) -> tuple[Leg, ...]:
        """Bring the session's pass to its end; the way it went. MissingBlocks if there is none.

        Servers in `without` are not asked. If it is `quick`, banned ones are no last resort.
        """
        tried: dict[str, int] = {}
        while True:
            way = self._ways[session.ident] = await self._way(session, without, tried, quick)
            try:
                for frames in session.work(way, self._most):
                    for frame in frames:
                        await self._send(session, frame, tried)
            except Broken:
                continue
            return way

    def key_of(self, public: bytes) -> str:
        """The address under which a public key is known here."""
        for key in self.directory.peers:
            if ss58.decode(key, prefix=None) == public:
                return key
        return ss58.encode(public)

    async def leave(self, session: bytes, servers: Sequence[str]) -> None:
        """Tell servers that a session is over; those that do not listen will find out."""
        self._ways.pop(session, None)
        for key in servers:
            peer = self.directory.peers.get(key)
            if peer is not None:
                try:
                    await self.caller.leave(peer.target, session)
                except CallFailed as e:
                    log.debug("%s was not told that a session is over: %s", key, e)

    async def _way(
        self, session: Session, without: frozenset[str], tried: dict[str, int], quick: bool
    ) -> tuple[Leg, ...]:
        """The way to go: the one before while it works, unless a better one pays for the replay.
        Of one that broke, only the broken legs are replaced, so that only their blocks are."""
        now = time.monotonic()
        shut = {key for key, count in tried.items() if count > FORGETFUL} | without
        peers = [
            p for key, p in self.directory.peers.items()
            if self.bans.allows(key, now) and key not in shut
        ]  # fmt: skip
        before = self._ways.get(session.ident)
        try:
            if before is not None and not _stand(before, peers):
                return self._mended(session, before, peers)
            best = self._routed(session, peers, session.blocks)
        except MissingBlocks:
            if quick:
                raise
            answered = await self.directory.refresh(urgent=True)
            last = answered - shut - self.bans.liars
            peers = [self.directory.peers[key] for key in sorted(last)]
            return self._mended(session, before or (), peers)
        if before is None or best == before:
            return best
        saved = sum(cost(leg.peer, leg.last - leg.first, 0) for leg in before)
        saved -= sum(cost(leg.peer, leg.last - leg.first, 0) for leg in best)
        return best if saved * TOKENS_AHEAD >= self._replay(session, best) else before

    def _replay(self, session: Session, way: Sequence[Leg]) -> float:
        """Seconds that it takes to bring a way to where the session is, beside the new tokens."""
        again = [f for frames in session.work(way, self._most) for f in frames if f.replayed]
        return sum(cost(f.leg.peer, (f.leg.last - f.leg.first) * f.replayed, 0) for f in again)

    def _routed(self, session: Session, peers: Sequence[Peer], blocks: range) -> tuple[Leg, ...]:
        name, span = self.directory.card.name, (blocks.start, blocks.stop)
        return route(name, peers, *span, session.pages, session.holders)

    def _mended(
        self, session: Session, before: Sequence[Leg], peers: Sequence[Peer]
    ) -> tuple[Leg, ...]:
        """A way whose broken legs are replaced, or another altogether if they cannot be."""
        try:
            legs = list[Leg]()
            for leg in before:
                span = range(leg.first, leg.last)
                legs += [leg] if _stand([leg], peers) else self._routed(session, peers, span)
            if legs:
                return joined(legs)
        except MissingBlocks:
            log.debug("the rest of the way cannot be mended by itself")
        return self._routed(session, peers, session.blocks)

    async def _send(self, session: Session, frame: Frame, tried: dict[str, int]) -> None:
        """One frame to its server; Broken if it brought no answer."""
        peer = frame.leg.peer
        for wait in (*BUSY_WAITS, None):
            hop, x = session.request(frame, self.directory.card.weights_hash)
            started = time.monotonic()
            try:
                answer = await self.caller.hop(peer, hop, x, self.directory.genesis)
            except (CallFailed, BadMessage) as e:
                reason = e.reason if isinstance(e, CallFailed) else "bad-format"
                if reason == "busy" and wait is not None:
                    await asyncio.sleep(wait)
                    continue
                self._failed(session, peer, e, tried)
                raise Broken from e
            peer.worked(hop.last - hop.first, hop.tokens, time.monotonic() - started)
            self.bans.succeeded(peer.key)
            session.absorb(frame, answer.rows, answer.signed)
            return

    def _failed(
        self, session: Session, peer: Peer, why: CallFailed | BadMessage, tried: dict[str, int]
    ) -> None:
        session.gone(peer.key)
        tried[peer.key] = tried.get(peer.key, 0) + 1
        if isinstance(why, CallFailed) and why.status == 410 and tried[peer.key] <= FORGETFUL:
            log.info("%s forgot a session: it is sent its history", peer.key)
            return
        tried[peer.key] = FORGETFUL + 1
        seconds = self.bans.failed(peer.key, time.monotonic())
        held = f"{peer.span.first}:{peer.span.last}"
        log.warning("%s (blocks %s) is left out for %g s: %s", peer.key, held, seconds, why)
        if isinstance(why, CallFailed) and why.status == 409:  # it holds other blocks by now
            self.directory.peers.pop(peer.key, None)


def _stand(way: Sequence[Leg], peers: Sequence[Peer]) -> bool:
    """Whether every leg's server may still be asked for its blocks."""
    held = {peer.key: peer.span for peer in peers}
    return all(
        leg.peer.key in held
        and held[leg.peer.key].first <= leg.first
        and leg.last <= held[leg.peer.key].last
        for leg in way
    )


def joined(legs: Sequence[Leg]) -> tuple[Leg, ...]:
    """Legs of which no two neighbours are at one server."""
    made = list[Leg]()
    for leg in legs:
        if made and made[-1].peer is leg.peer:
            made[-1] = Leg(leg.peer, made[-1].first, leg.last)
        else:
            made.append(leg)
    return tuple(made)
