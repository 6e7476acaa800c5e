"""One hop over the network: a signed request out, signed rows back, every claim checked."""

from __future__ import annotations

from typing import NamedTuple

from ganglion import ss58
from ganglion.hashing import blake2_256
from ganglion.keys import Keypair
from ganglion.wire import spans
from ganglion.wire.call import Caller, CallFailed, Patience, Target
from ganglion.wire.fields import MAX_BODY, BadMessage
from ganglion.wire.spans import Announcement, Hop, SignedClaim, Values
from neurons.shards.routing import Peer

CONNECT_SECONDS, SLACK_SECONDS, SLOWER = 0.3, 5.0, 8.0
"""A hop may take what its server's own rate says, so many times, and some seconds."""


class Answered(NamedTuple):
    """What came back of a hop."""

    signed: SignedClaim
    rows: Values


class HopCaller(Caller):
    """A caller whose bodies are frames."""

    def _headers(self, target: Target, method: str, path: str, body: bytes) -> dict[str, str]:
        headers = super()._headers(target, method, path, body)
        if body:
            headers["Content-Type"] = "application/octet-stream"
        return headers

    async def announced(
        self, target: Target, genesis: bytes, now_ms: int, seconds: float
    ) -> Announcement:
        """What a span server says of itself; CallFailed or BadMessage if it is none."""
        body = await self.fetch(
            target, "GET", spans.SPAN_PATH, patience=Patience(seconds, seconds, seconds),
            most=spans.MAX_ANNOUNCEMENT,
        )  # fmt: skip
        return spans.read_span(body, genesis, ss58.decode(target.hotkey, prefix=None), now_ms)

    async def hop(self, peer: Peer, hop: Hop, x: Values, genesis: bytes) -> Answered:
        """The answer to a hop. CallFailed; BadMessage if it is not the server's to this hop."""
        body = spans.pack_hop(hop, x)
        reply = await self.fetch(
            peer.target, "POST", spans.HOP_PATH, body, patience_for(peer, hop), most=MAX_BODY
        )
        signed, y = spans.unpack_answer(reply, hop, x.shape[1])
        check_claim(signed, hop, body, peer, self.hotkey, genesis)
        return Answered(signed, y)

    async def leave(self, target: Target, session: bytes) -> None:
        """Free a session's cache there. CallFailed."""
        await self.fetch(target, "POST", spans.LEAVE_PATH, session, Patience(1.0, 2.0, 2.0))


def patience_for(peer: Peer, hop: Hop) -> Patience:
    """How long a hop may take, by what its server says of its speed."""
    work = hop.tokens * (hop.last - hop.first) / max(peer.span.rate, 1)
    seconds = SLACK_SECONDS + SLOWER * work + 2 * peer.rtt
    return Patience(CONNECT_SECONDS + 4 * peer.rtt, seconds, seconds)


def check_claim(
    signed: SignedClaim, hop: Hop, body: bytes, peer: Peer, front: Keypair, genesis: bytes
) -> None:
    """BadMessage unless the peer signed, for this front and chain, what answers this body."""
    claim = signed.claim
    said = (claim.genesis, claim.weights, claim.front)
    if said != (genesis, hop.weights, front.public_key):
        raise BadMessage("the claim is about another chain, model or front")
    if claim.server != ss58.decode(peer.target.hotkey, prefix=None):
        raise BadMessage("the claim is another server's")
    if claim.input != blake2_256(body):
        raise BadMessage("the claim is about other inputs")
    if not signed.holds():
        raise BadMessage("the claim is not signed by its server")


__all__ = ["Answered", "CallFailed", "HopCaller", "check_claim", "patience_for"]
