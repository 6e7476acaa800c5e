"""What decides in sharded serving, without a network: ways, bans, replay, balance, rooms."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.wire.call import Target
from ganglion.wire.spans import MAX_NAMED, MAX_ROWS, Announcement, Kind
from neurons.engine.base import PAGE, Row, pages_for
from neurons.shards.balance import Seat, mover, neediest, throughputs
from neurons.shards.rooms import SESSIONS_A_FRONT, Gone, NoRoom, Rooms
from neurons.shards.routing import (
    BAN_SECONDS,
    NO_ROOM_SECONDS,
    OVERHEAD_SECONDS,
    Bans,
    Leg,
    MissingBlocks,
    Peer,
    cost,
    route,
)
from neurons.shards.session import Session


def announced(first: int, last: int, rate: int = 1000, free: int = 100) -> Announcement:
    return Announcement(1, b"g" * 32, 1, b"w" * 32, Kind.FLOAT64, 2, 8, first, last, b"k" * 32,
                        rate, free, 0, 1)  # fmt: skip


def peer(
    name: str, first: int, last: int, rtt: float = 0.01, rate: int = 1000, free: int = 100
) -> Peer:
    return Peer(Target(name, "127.0.0.1", 1), announced(first, last, rate, free), rtt)


def way(*peers: Peer, first: int = 0, last: int = 8, **more: object) -> list[tuple[str, int, int]]:
    legs = route("m", peers, first, last, **more)  # type: ignore[arg-type]
    return [(leg.peer.key, leg.first, leg.last) for leg in legs]


def test_the_quickest_way_wins() -> None:
    slow, quick = peer("slow", 0, 8, rtt=1.0), (peer("a", 0, 5), peer("b", 3, 8))
    assert way(slow, *quick) == [("a", 0, 3), ("b", 3, 8)]
    assert way(slow) == [("slow", 0, 8)]
    crawling = peer("crawling", 0, 8, rate=1)  # near, but 8 s of blocks
    assert way(crawling, slow) == [("slow", 0, 8)]


def test_a_hop_costs_both_ways_the_overhead_and_its_blocks() -> None:
    assert cost(peer("a", 0, 8, rtt=0.1), 4, 0) == 0.1 + OVERHEAD_SECONDS + 0.004
    assert cost(peer("a", 0, 8, rtt=0.1, free=3), 4, 4) > NO_ROOM_SECONDS
    full, far = peer("full", 0, 8, free=3), peer("far", 0, 8, rtt=2.0)
    assert way(full, far, room=4) == [("far", 0, 8)]
    assert way(full, far, room=4, holders=frozenset({"full"})) == [("full", 0, 8)]


def test_missing_blocks_are_listed() -> None:
    with pytest.raises(MissingBlocks, match="blocks 2:3, 6:8 of m") as e:
        route("m", [peer("a", 0, 2), peer("b", 3, 6)], 0, 8)
    assert e.value.blocks == (2, 6, 7)


spans_ = st.tuples(st.integers(0, 7), st.integers(1, 8)).map(
    lambda s: (min(s[0], s[1] - 1), max(s[1], s[0] + 1))
)


@given(st.lists(st.tuples(spans_, st.floats(0.001, 2)), max_size=6))
def test_a_way_is_whole_and_no_dearer_than_any_other(
    given_: list[tuple[tuple[int, int], float]],
) -> None:
    peers = [peer(f"p{i}", *span, rtt=rtt) for i, (span, rtt) in enumerate(given_)]
    covered = {b for p in peers for b in range(p.span.first, p.span.last)}
    if len(covered) < 8:
        with pytest.raises(MissingBlocks) as e:
            route("m", peers, 0, 8)
        assert set(e.value.blocks) == set(range(8)) - covered
        return
    legs = route("m", peers, 0, 8)
    assert [legs[0].first, legs[-1].last] == [0, 8]
    assert all(a.last == b.first for a, b in pairwise(legs))
    assert all(p.peer.span.first <= p.first < p.last <= p.peer.span.last for p in legs)
    best = [0.0] + [float("inf")] * 8  # block by block, for comparison
    for at in range(8):
        for p in peers:
            if p.span.first <= at < p.span.last:
                for to in range(at + 1, p.span.last + 1):
                    best[to] = min(best[to], best[at] + cost(p, to - at, 0))
    assert sum(cost(p.peer, p.last - p.first, 0) for p in legs) == pytest.approx(best[8])


def test_bans_double_and_success_forgives_all_but_lies() -> None:
    bans = Bans()
    assert [bans.failed("a", 100.0) for _ in range(3)] == [15.0, 30.0, 60.0]
    assert not bans.allows("a", 159.9)
    assert bans.allows("a", 160.0)
    bans.succeeded("a")
    assert bans.failed("a", 0.0) == BAN_SECONDS
    bans.lied("b")
    bans.succeeded("b")
    assert not bans.allows("b", 1e9)


def test_hearing_of_one_server_forgets_no_other_distance() -> None:
    """Petals overwrote the round trips of the first servers with those of the middle ones."""
    first, middle = peer("first", 0, 4), peer("middle", 4, 8)
    first.heard(announced(0, 4), 0.2)
    middle.heard(announced(4, 8), 0.4)
    middle.heard(announced(4, 8), 0.2)
    assert first.rtt == 0.2
    assert middle.rtt == pytest.approx(0.34)


def test_a_server_that_is_slower_than_it_says_is_left() -> None:
    boasting, honest = peer("boasting", 0, 8, rate=10**9), peer("honest", 0, 8, rtt=0.05)
    assert way(boasting, honest) == [("boasting", 0, 8)]
    for _ in range(3):
        boasting.worked(8, 1, 4.9)
        honest.worked(8, 1, 0.06)
    assert boasting.lag > 3
    assert honest.lag == 0
    assert way(boasting, honest) == [("honest", 0, 8)]


# Replay: a model of arithmetic that needs the whole history of a block, and servers that forget.

LAYERS, HIDDEN = 4, 2


class Server:
    """Blocks whose output depends on every input before: it fails if one is not in its cache."""

    def __init__(self) -> None:
        self.cache: dict[tuple[int, int], float] = {}
        self.positions = 0

    def run(self, frame: object, x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        leg, out, at = frame.leg, [], 0  # type: ignore[attr-defined]
        for piece in frame.pieces:  # type: ignore[attr-defined]
            count = piece.end - piece.begin
            rows = x[at : at + count].copy()
            at += count
            slots = piece.of.slots
            for block in range(leg.first, leg.last):
                for i, row in enumerate(rows):
                    position = piece.begin + i
                    self.cache[block, slots[position]] = row[0]
                    history = [self.cache[block, s] for s in slots[: position + 1]]
                    rows[i] = [np.tanh(np.sum(history) + block), row[1] + 1]
            out.append(rows[count - piece.keep :])
            self.positions += count
        return np.concatenate(out)


def embed(tokens: object) -> np.ndarray:  # type: ignore[type-arg]
    values = np.asarray(tokens, float)
    return np.stack([values / 7, np.zeros(len(values))], 1)


def whole(tokens: list[int]) -> np.ndarray:  # type: ignore[type-arg]
    """The model on one machine: what leaves the last block at every position."""
    rows = embed(tokens)
    for block in range(LAYERS):
        sums = np.cumsum(rows[:, 0])
        rows = np.stack([np.tanh(sums + block), rows[:, 1] + 1], 1)
    return rows


def legs_of(choice: int) -> list[Leg]:
    match choice:
        case 0:
            return [Leg(peer("a", 0, 2), 0, 2), Leg(peer("b", 2, 4), 2, 4)]
        case 1:
            return [Leg(peer("a", 0, 2), 0, 2), Leg(peer("c", 1, 4), 2, 4)]
        case 2:
            return [Leg(peer("d", 0, 4), 0, 4)]
        case _:
            return [Leg(peer("f", 0, 1), 0, 1), Leg(peer("c", 1, 4), 1, 4)]


Event = tuple[int, int, int, str]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),  # which sequence goes on
            st.integers(1, 9),  # by how many tokens
            st.integers(0, 3),  # which way
            st.sampled_from(["", "", "a", "b", "c", "d", "doubt", "rewind"]),  # who forgets
        ),
        min_size=1,
        max_size=10,
    ),
    st.integers(2, 40),
)
def test_whatever_servers_forget_the_pass_is_right(events: list[Event], most: int) -> None:
    session = Session(b"s" * 16, 18, range(LAYERS), HIDDEN, Kind.FLOAT64, embed)
    servers: dict[str, Server] = {}
    known: list[list[int]] = [[], [], []]
    tables = [[3, 0, 1, 2, 4], [9, 5, 6, 7, 8], [15, 10, 11, 12, 13]]
    for number, (which, count, choice, forgets) in enumerate(events):
        if forgets == "doubt":
            session.doubt()
        elif forgets == "rewind":  # wrong guesses are written over
            known[which] = known[which][: max(0, len(known[which]) - 3)]
        elif forgets:
            servers.pop(forgets, None)
            session.gone(forgets)
        start = len(known[which])
        tokens = [(7 * number + i) % 11 for i in range(count)]
        known[which] += tokens
        rows = [Row(tokens, start, tables[which], min(count, 2))]
        session.begin(rows)
        for frames in session.work(legs_of(choice), most):
            for frame in frames:
                hop, x = session.request(frame, b"w" * 32)
                assert hop.tokens <= most
                held = servers.setdefault(frame.leg.peer.key, Server())
                assert hop.fresh == (frame.leg.peer.key not in session.holders)
                session.absorb(frame, held.run(frame, x))
        np.testing.assert_array_equal(session.result(), whole(known[which])[-rows[0].keep :])


def test_a_replaced_server_begins_where_its_history_does() -> None:
    """Petals left the new session's position at 0 while its history was longer, and stopped."""
    session = Session(b"s" * 16, 4, range(LAYERS), HIDDEN, Kind.FLOAT64, embed)
    servers = {name: Server() for name in "abc"}
    tokens = list(range(20))
    for start, end in [(0, 12), *((p, p + 1) for p in range(12, 20))]:
        if start == 17:
            session.gone("b")
        session.begin([Row(tokens[start:end], start, (2, 0), 1)])
        sent = 0
        for frames in session.work(legs_of(1 if start >= 17 else 0), 64):
            for frame in frames:
                _, x = session.request(frame, b"w" * 32)
                sent += len(x)
                session.absorb(frame, servers[frame.leg.peer.key].run(frame, x))
        # every step goes to every server: no step is told to another way than the first
        assert sent == (24 if start == 0 else 1 + 18 if start == 17 else 2)
    assert session.replays.positions == {(2, 4): 17}
    assert session.replays.size == {(2, 4): 17 * HIDDEN * 8}
    assert servers["c"].positions == 20


def test_prefixes_that_sequences_share_are_replayed_for_each_and_right() -> None:
    session = Session(b"s" * 16, 8, range(LAYERS), HIDDEN, Kind.FLOAT64, embed)
    servers: dict[str, Server] = {}
    prefix = list(range(PAGE))

    def carry(rows: list[Row]) -> None:
        session.begin(rows)
        for frames in session.work(legs_of(0), 100):
            for frame in frames:
                _, x = session.request(frame, b"w" * 32)
                held = servers.setdefault(frame.leg.peer.key, Server())
                session.absorb(frame, held.run(frame, x))

    carry([Row([*prefix, 50], 0, (1, 2), 1)])
    servers.clear()
    session.doubt()
    carry([Row([60, 61], PAGE, (1, 5), 1), Row([51], PAGE + 1, (1, 2), 1)])
    want = [whole([*prefix, 60, 61])[-1], whole([*prefix, 50, 51])[-1]]
    np.testing.assert_array_equal(session.result(), want)


# Balance


def after(seats: list[Seat], moved: tuple[Seat, int]) -> list[Seat]:
    seat, first = moved
    new = Seat(seat.key, first, first + seat.size, seat.rate)
    return [new if s.key == seat.key else s for s in seats]


def settled(layers: int, seats: list[Seat]) -> list[Seat]:
    """Move while somebody should; no block that had a server may ever lose its last."""
    bare = throughputs(layers, seats).count(0)
    for _ in range(100):
        moved = mover(layers, seats)
        if moved is None:
            return seats
        had = [block for block, rate in enumerate(throughputs(layers, seats)) if rate]
        seats = after(seats, moved)
        total = throughputs(layers, seats)
        assert all(total[block] for block in had)
        assert total.count(0) <= bare
        bare = total.count(0)
    pytest.fail("servers move for ever")


@pytest.mark.parametrize("rates", [(10, 10, 10), (1, 10, 100), (100, 3, 3)])
def test_three_servers_of_two_blocks_cover_four(rates: tuple[int, ...]) -> None:
    """From every beginning, and after every departure and return."""
    for starts in product(range(3), repeat=3):
        seats = [Seat(str(i), s, s + 2, r) for i, (s, r) in enumerate(zip(starts, rates))]
        seats = settled(4, seats)
        assert all(throughputs(4, seats))
        for gone in seats:
            left = settled(4, [s for s in seats if s is not gone])
            first = neediest(4, 2, left)
            assert all(throughputs(4, settled(4, [*left, Seat("new", first, first + 2, 5)])))


@given(
    st.integers(2, 10),
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4), st.integers(1, 50)), max_size=7),
)
def test_balancing_ends_and_uncovers_nothing(
    layers: int, given_: list[tuple[int, int, int]]
) -> None:
    seats = []
    for number, (start, size, rate) in enumerate(given_):
        size = min(size, layers)
        first = min(start, layers - size)
        seats.append(Seat(f"s{number}", first, first + size, rate))
    settled(layers, seats)


def test_a_new_server_goes_where_the_smallest_throughputs_are() -> None:
    seats = [Seat("a", 0, 3, 5), Seat("b", 2, 4, 9)]
    assert throughputs(6, seats) == [5, 5, 14, 9, 0, 0]
    assert neediest(6, 2, seats) == 4
    assert neediest(6, 3, seats) == 3
    assert neediest(6, 2, []) == 0


# Rooms


def test_rooms_are_bounded_and_expire() -> None:
    rooms, size = Rooms(10, idle=60), pages_for(1)
    first = rooms.enter(b"f", b"s", 6, True, 0.0, range)
    assert rooms.enter(b"f", b"s", 6, False, 1.0, range) is first
    with pytest.raises(NoRoom, match="6 pages are asked for, 4 of 10 are free"):
        rooms.enter(b"g", b"s", 6, True, 2.0, range)
    with pytest.raises(Gone, match="send its history"):
        rooms.enter(b"g", b"s", size, False, 3.0, range)
    assert rooms.enter(b"f", b"s", 6, True, 4.0, range) is not first
    rooms.leave(b"g", b"s")  # somebody else's
    assert rooms.free == 4
    assert rooms.enter(b"g", b"s", 6, True, 64.0, range)
    assert len(rooms) == 1
    rooms.leave(b"g", b"s")
    assert rooms.free == 10


def test_idle_sessions_yield_and_a_front_has_a_share() -> None:
    rooms = Rooms(10, most=6)
    rooms.enter(b"f", b"s", 6, True, 0.0, range)
    with pytest.raises(NoRoom, match="at most 6 pages here"):
        rooms.enter(b"f", b"t", 1, True, 0.0, range)
    with pytest.raises(NoRoom, match="5 pages are asked for"):
        rooms.enter(b"g", b"s", 5, True, 59.0, range)
    assert rooms.enter(b"g", b"s", 5, True, 60.0, range)
    with pytest.raises(Gone):
        rooms.enter(b"f", b"s", 6, False, 61.0, range)


def test_one_front_cannot_take_all_sessions() -> None:
    rooms = Rooms(1000)
    for number in range(SESSIONS_A_FRONT):
        rooms.enter(b"f", bytes([number]), 1, True, 0.0, lambda pages: pages)
    with pytest.raises(NoRoom, match="at most 64 sessions"):
        rooms.enter(b"f", b"more", 1, True, 0.0, lambda pages: pages)
    assert rooms.enter(b"g", b"more", 1, True, 0.0, lambda pages: pages)


@pytest.mark.parametrize(("sequences", "each"), [(1500, 1), (40, 2000 * PAGE)])
def test_no_frame_has_more_rows_or_pages_than_servers_read(sequences: int, each: int) -> None:
    pages = range(pages_for(each))  # the same for all: what lies there does not matter here
    session = Session(b"s" * 16, len(pages), range(2), HIDDEN, Kind.FLOAT64, embed)
    session.begin([Row(range(1), each - 1, pages, 1) for _ in range(sequences)])
    (leg,) = [Leg(peer("a", 0, 2), 0, 2)]
    session._held("a")[:] = True
    session._held("a")[:, session.tracks[0].slots[-1:]] = False
    (frames,) = session.work([leg], 1 << 16)
    assert len(frames) > 1
    for frame in frames:
        assert len(frame.pieces) <= MAX_ROWS
        assert sum(pages_for(p.end) for p in frame.pieces) <= MAX_NAMED
    assert sum(len(frame.pieces) for frame in frames) == sequences
