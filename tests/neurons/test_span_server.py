"""A span server among strangers: who may use it, how much, and for how long."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import aiohttp
import numpy as np
import pytest
from running_spans import FRONT, swarm

from ganglion.hashing import blake2_256
from ganglion.keys import Keypair
from ganglion.wire import spans
from ganglion.wire.call import CallFailed, Target
from ganglion.wire.fields import BadMessage
from ganglion.wire.spans import Hop, HopRow, Kind, Values
from neurons.engine.base import Row
from neurons.engine.load import Loaded
from neurons.engine.parts import Blocks, ExactParts, open_parts, run_once
from neurons.http import Gate, Server
from neurons.identity import Identity
from neurons.shards import server as serving
from neurons.shards.calls import HopCaller, check_claim
from neurons.shards.directory import Directory, listed
from neurons.shards.program import Balancer
from neurons.shards.routing import Peer
from neurons.shards.server import SpanApp

HIDDEN = 128
FRONT_PLACE = (FRONT.genesis, FRONT.netuid)
SERVER = Identity(Keypair.from_uri("//Span"), FRONT.genesis, FRONT.netuid)


@pytest.fixture(scope="module")
def parts() -> ExactParts:
    made = open_parts("exact", "tiny")[0]
    assert isinstance(made, ExactParts)
    return made


class Held:
    """Blocks that wait for a word before they compute."""

    def __init__(self, true: Blocks) -> None:
        self._true, self.blocks = true, true.blocks
        self.go = threading.Event()
        self.go.set()

    def new_cache(self, pages: int) -> Any:
        return self._true.new_cache(pages)

    def run(self, cache: Any, rows: Sequence[Row], x: Values, first: int, last: int) -> Values:
        assert self.go.wait(20)
        return self._true.run(cache, rows, x, first, last)


@asynccontextmanager
async def span(
    parts: ExactParts, identity: Identity = SERVER, blocks: range = range(1, 3), pages: int = 8,
    **options: float,
) -> AsyncIterator[tuple[SpanApp, Peer, Held]]:  # fmt: skip
    held = Held(parts.load_blocks(blocks))
    gate, fronts = Gate(identity.hotkey.address), {FRONT.hotkey.public_key}
    app = SpanApp(gate, identity, parts, held, fronts.__contains__, pages, **options)
    server = Server(app.app, "127.0.0.1", 0)
    await server.start()
    try:
        target = Target(identity.hotkey.address, "127.0.0.1", server.port)
        yield app, Peer(target, app.announcement()), held
    finally:
        held.go.set()
        await server.stop()
        app.close()


def a_hop(parts: ExactParts, count: int = 3, **changes: object) -> tuple[Hop, Values]:
    made = Hop(spans.VERSION, parts.card.weights_hash, b"s" * 16, 1, True, 2, 1, 3, Kind.FLOAT64,
               (HopRow(0, count, count, (0,)),))  # fmt: skip
    return replace(made, **changes), np.linspace(-1, 1, count * HIDDEN).reshape(count, HIDDEN)


async def test_a_hop_is_what_the_blocks_make_and_signed(parts: ExactParts) -> None:
    async with span(parts) as (app, peer, _), HopCaller(FRONT.hotkey) as caller:
        assert isinstance(caller, HopCaller)
        hop, x = a_hop(parts)
        found = await caller.hop(peer, hop, x, FRONT.genesis)
        want = run_once(parts.load_blocks(range(1, 3)), x)
        assert (found.rows.view(np.uint64) == want.view(np.uint64)).all()
        claim = found.signed.claim
        assert claim.input == blake2_256(spans.pack_hop(hop, x))
        assert claim.output == blake2_256(want.tobytes())
        assert (claim.server, claim.front) == (SERVER.hotkey.public_key, FRONT.hotkey.public_key)
        body = spans.pack_hop(hop, x)
        for other in (
            (hop, b"", peer, FRONT.hotkey, FRONT.genesis),
            (hop, body, peer, SERVER.hotkey, FRONT.genesis),
            (hop, body, peer, FRONT.hotkey, b"x" * 32),
        ):
            with pytest.raises(BadMessage):
                check_claim(found.signed, *other)
        assert app.hops == 1
        status = await caller.fetch(peer.target, "GET", "/status")
        assert b'"blocks":"1:3"' in status


async def test_the_unsigned_and_strangers_are_refused(parts: ExactParts) -> None:
    async with span(parts) as (app, peer, _):
        hop, x = a_hop(parts)
        body = spans.pack_hop(hop, x)
        async with aiohttp.ClientSession() as session:
            url = peer.target.url + spans.HOP_PATH
            async with session.post(url, data=body) as reply:
                assert reply.status == 401
            async with session.get(peer.target.url + spans.SPAN_PATH) as reply:
                assert reply.status == 401
        async with HopCaller(Keypair.from_uri("//Stranger")) as stranger:
            assert isinstance(stranger, HopCaller)
            with pytest.raises(CallFailed, match="registered on its subnet") as e:
                await stranger.hop(peer, hop, x, FRONT.genesis)
            assert e.value.status == 403
            said = await stranger.announced(peer.target, FRONT.genesis, app.announcement().at, 3.0)
            assert (said.first, said.last) == (1, 3)
        assert app.hops == 0


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"first": 0}, 409, "this server holds 1:3"),
        ({"last": 4}, 409, "this server holds 1:3"),
        ({"weights": bytes(32)}, 409, "in another class"),
        ({"fresh": False}, 410, "send its history"),
        ({"room": 9}, 503, "no room: a front has at most 8 pages here"),
        ({"rows": (HopRow(1022, 3, 1, tuple([0] * 65)),)}, 400, "reads 1024 positions"),
        ({"version": 3}, 400, "version 1"),
    ],
)
async def test_hops_for_others_are_refused(
    parts: ExactParts, changes: dict[str, object], status: int, said: str
) -> None:
    async with span(parts) as (_, peer, _held), HopCaller(FRONT.hotkey) as caller:
        hop, x = a_hop(parts, **changes)
        with pytest.raises(CallFailed, match=said) as e:
            await caller.hop(peer, hop, x, FRONT.genesis)
        assert e.value.status == status


async def test_too_many_hops_are_refused_at_once(parts: ExactParts) -> None:
    async with span(parts) as (_, peer, held), HopCaller(FRONT.hotkey) as caller:
        held.go.clear()
        calls = []
        for number in range(serving.FRONT_QUEUE + 1):
            hop, x = a_hop(parts, session=bytes([number]) * 16, room=1)
            calls.append(asyncio.create_task(caller.hop(peer, hop, x, FRONT.genesis)))
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(CallFailed, match="too many hops"):
            done.pop().result()
        held.go.set()
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(one, CallFailed) for one in found) == 1


async def test_sessions_expire_leave_and_belong_to_their_front(parts: ExactParts) -> None:
    async with span(parts, idle=0.0) as (app, peer, _), HopCaller(FRONT.hotkey) as caller:
        assert isinstance(caller, HopCaller)
        hop, x = a_hop(parts)
        await caller.hop(peer, hop, x, FRONT.genesis)
        await caller.announced(peer.target, FRONT.genesis, app.announcement().at, 3.0)
        assert app.rooms.free == 8
        app.rooms.idle = 60.0
        await caller.hop(peer, hop, x, FRONT.genesis)
        assert app.rooms.free == 6
        async with HopCaller(Keypair.from_uri("//Stranger")) as stranger:
            assert isinstance(stranger, HopCaller)
            await stranger.leave(peer.target, hop.session)
        assert app.rooms.free == 6
        await caller.leave(peer.target, hop.session)
        assert app.rooms.free == 8


async def test_strange_bodies_are_refused_with_a_sentence(parts: ExactParts) -> None:
    async with span(parts) as (app, peer, _), HopCaller(FRONT.hotkey) as caller:
        hop, x = a_hop(parts)
        true = spans.pack_hop(hop, x)
        for _ in range(60):
            body = bytearray(true)
            for _ in range(3):
                body[secrets.randbelow(120)] ^= 1 << secrets.randbelow(8)
            with suppress(CallFailed):
                await caller.fetch(peer.target, "POST", spans.HOP_PATH, bytes(body))
        assert not app.refused["engine"]
        app.rooms.clear()  # some of them opened sessions
        assert (await caller.hop(peer, hop, x, FRONT.genesis)).rows.shape == (3, HIDDEN)


def test_a_forgotten_session_is_sent_its_history_without_a_ban(tiny: Loaded) -> None:
    with swarm() as servers:
        front = servers.front()
        tokens = tiny.tokenizer.encode("A server that restarts has forgotten everything.")
        cache, page = front.new_cache(4), range(4)
        front.forward(cache, [Row(tokens, 0, page)])
        for made in servers.spans.values():
            made.app.rooms.clear()
        ours = front.forward(cache, [Row(tokens[:1], len(tokens), page)])
        theirs = tiny.model.new_cache(4)
        want = tiny.model.forward(theirs, [Row([*tokens, tokens[0]], 0, page)])
        assert (ours[0].logits == want[0].logits).all()
        assert not front.pipeline.bans.until
        assert sum(cache.replays.positions.values()) == 2 * len(tokens)


def test_a_session_that_is_over_frees_its_pages(tiny: Loaded) -> None:
    with swarm() as servers:
        front = servers.front()
        cache = front.new_cache(4)
        front.forward(cache, [Row([1, 2, 3], 0, range(4))])
        held = [made.app for made in servers.spans.values()]
        assert sum(len(app.rooms) for app in held) == 2
        del cache
        for _ in range(200):
            if not sum(len(app.rooms) for app in held):
                break
            threading.Event().wait(0.02)
        assert not sum(len(app.rooms) for app in held)


def test_a_front_that_stops_frees_its_pages(tiny: Loaded) -> None:
    with swarm() as servers:
        front = servers.front()
        cache = front.new_cache(4)
        front.forward(cache, [Row([1, 2, 3], 0, range(4))])
        held = [made.app for made in servers.spans.values()]
        assert sum(len(app.rooms) for app in held) == 2
        front.close()
        assert not sum(len(app.rooms) for app in held)


def test_long_passes_go_in_several_frames(tiny: Loaded) -> None:
    with swarm() as servers:
        front = servers.front()
        front.pipeline._most = 7
        tokens = tiny.tokenizer.encode("Frames are bounded, so long prompts take several of them.")
        rows = [Row(tokens, 0, range(4)), Row(tokens[5:30], 0, range(4, 6), 3)]
        ours = front.forward(front.new_cache(6), rows)
        theirs = tiny.model.forward(tiny.model.new_cache(6), rows)
        assert all((a.logits == b.logits).all() for a, b in zip(ours, theirs))


async def test_servers_of_auto_leave_no_block_uncovered(parts: ExactParts) -> None:
    """Three real servers of two blocks all begin at 0:2; then one of them goes away."""
    names = [Identity(Keypair.from_uri(f"//Auto{i}"), *FRONT_PLACE) for i in range(3)]
    async with HopCaller(FRONT.hotkey) as caller:
        assert isinstance(caller, HopCaller)
        apps, stack = [], []
        for identity in names:
            context = span(parts, identity, range(2))
            apps.append(await context.__aenter__())
            stack.append(context)
        try:
            await settle(parts, caller, apps)
            assert sorted(app.blocks.blocks.start for app, _, _ in apps) in ([0, 0, 2], [0, 2, 2])
            lone = next(i for i, (app, _, _) in enumerate(apps) if shares_nothing(app, apps))
            await stack.pop(lone).__aexit__(None, None, None)
            del apps[lone]
            await settle(parts, caller, apps)
            assert sorted(app.blocks.blocks.start for app, _, _ in apps) == [0, 2]
        finally:
            for context in stack:
                await context.__aexit__(None, None, None)


Apps = list[tuple[SpanApp, Peer, Held]]


def shares_nothing(app: SpanApp, apps: Apps) -> bool:
    others = [other.blocks.blocks for other, _, _ in apps if other is not app]
    return app.blocks.blocks not in others


async def settle(parts: ExactParts, caller: HopCaller, apps: Apps) -> None:
    """Let every server balance itself in turn until none moves."""
    for _ in range(6):
        moved = False
        for app, peer, _ in apps:
            source = listed([p.target for _, p, _ in apps if p is not peer])
            directory = Directory(
                source, caller, parts.card, parts.kind, parts.layers, FRONT.genesis
            )
            balancer = Balancer(directory, parts, peer.key, 2)
            moved |= await balancer.balance(app, 0.0)
        if not moved:
            break
    held = {block for app, _, _ in apps for block in app.blocks.blocks}
    assert held == set(range(parts.layers))
