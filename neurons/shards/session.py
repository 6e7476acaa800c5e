"""What a front remembers of one cache: the inputs of every span, and who holds what. Sans-IO.

The cache is addressed by slots: page * SLOTS + place, as the scheduler gives them out. For every
boundary between spans the session keeps the hidden rows that crossed it, for every server and
block the slots whose keys and values that server holds. What has to be sent is never planned as
a special case: a pass sends each server what it lacks of the pass's sequences, which is the new
tokens if nothing happened, and the whole history of the missing blocks after a failure, an
eviction or a better way. So a replaced server starts at the position that it really has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ganglion.wire.spans import (
    MAX_NAMED,
    MAX_ROWS,
    VERSION,
    Hop,
    HopRow,
    Kind,
    SignedClaim,
    Values,
    pages_of,
)
from neurons.engine.base import PAGE, Row
from neurons.shards.routing import Leg

Slots = npt.NDArray[np.int64]
Embed = Callable[[Sequence[int]], Values]


@dataclass(slots=True)
class Track:
    """One row of a pass: the slots of all its positions, of which those from `start` are new."""

    pages: Sequence[int]
    slots: Slots
    start: int
    keep: int

    @property
    def end(self) -> int:
        """Positions in all."""
        return len(self.slots)


@dataclass(slots=True)
class Piece:
    """Positions [begin, end) of a sequence that go into one frame; the last `keep` come back."""

    of: Track
    begin: int
    end: int
    keep: int


@dataclass(slots=True)
class Frame:
    """One request of a leg, before it is filled with values."""

    leg: Leg
    pieces: list[Piece]

    @property
    def sent(self) -> Slots:
        """The slots whose inputs go out, in order."""
        return np.concatenate([p.of.slots[p.begin : p.end] for p in self.pieces])

    @property
    def kept(self) -> Slots:
        """The slots whose outputs come back, in order."""
        return np.concatenate([p.of.slots[p.end - p.keep : p.end] for p in self.pieces])

    @property
    def replayed(self) -> int:
        """Positions that some server had before."""
        return sum(max(0, min(p.end, p.of.start) - p.begin) for p in self.pieces)


@dataclass(slots=True)
class Store:
    """The rows that cross one boundary: values, which of them are known, and whose they are."""

    values: Values
    known: npt.NDArray[np.bool_]
    step: npt.NDArray[np.int64]


@dataclass(slots=True)
class Replays:
    """What was sent again, by blocks: positions and bytes of hidden rows."""

    positions: dict[tuple[int, int], int] = field(default_factory=dict)
    size: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, leg: Leg, positions: int, size: int) -> None:
        """Count one frame's."""
        if positions:
            at = (leg.first, leg.last)
            self.positions[at] = self.positions.get(at, 0) + positions
            self.size[at] = self.size.get(at, 0) + size


class Session:
    """One cache of `pages` pages over blocks [first, last) of a model whose rows have `hidden`
    values. `embed` makes the rows that enter block 0; for a session that begins later,
    `given` puts them in."""

    def __init__(
        self, ident: bytes, pages: int, blocks: range, hidden: int, kind: Kind,
        embed: Embed | None = None, claims: int = 1 << 14,
    ) -> None:  # fmt: skip
        self.ident, self.pages, self.blocks, self.kind = ident, pages, blocks, kind
        self.hidden, self._embed, self._size = hidden, embed, pages * PAGE
        self._tokens = np.zeros(self._size, np.int64)
        self._stores: dict[int, Store] = {}
        self._filled: dict[str, Any] = {}
        self.tracks: list[Track] = []
        self.replays = Replays()
        self.servers: set[str] = set()
        self.claims: dict[int, SignedClaim] = {}
        self._most_claims = claims
        self.step = 0

    # What happens

    def begin(self, rows: Sequence[Row]) -> None:
        """Take in the rows of a pass: their new positions are known to nobody yet."""
        self.tracks = []
        for row in rows:
            end = row.start + len(row.tokens)
            pages = list(row.pages[: pages_of(end)])
            slots = (np.asarray(pages, np.int64)[:, None] * PAGE + np.arange(PAGE)).ravel()[:end]
            self.tracks.append(Track(pages, slots, row.start, row.keep))
            new = slots[row.start :]
            self._tokens[new] = row.tokens
            for store in self._stores.values():
                store.known[new] = False
            for filled in self._filled.values():
                filled[:, new] = False

    def given(self, x: Values) -> None:
        """The rows that enter the first block, for the only sequence of this session."""
        store = self._store(self.blocks.start)
        slots = self.tracks[0].slots
        store.values[slots], store.known[slots] = x, True

    def absorb(self, frame: Frame, y: Values, signed: SignedClaim | None = None) -> None:
        """The answer to a frame. Rows that are known stay as they are: others build on them."""
        leg, kept = frame.leg, frame.kept
        if len(kept):
            store = self._store(leg.last)
            fresh = ~store.known[kept]
            store.values[kept[fresh]] = y[fresh]
            store.known[kept] = True
            store.step[kept[fresh]] = self.step
        self.servers.add(leg.peer.key)
        self._held(leg.peer.key)[leg.first : leg.last, frame.sent] = True
        self.replays.add(
            leg, frame.replayed, frame.replayed * self.hidden * self.kind.dtype.itemsize
        )
        if signed is not None:
            self.claims[self.step] = signed
            if len(self.claims) > self._most_claims:
                del self.claims[next(iter(self.claims))]

    def gone(self, server: str) -> None:
        """A server lost, or was told to drop, all that it held of this session."""
        self._filled.pop(server, None)

    def doubt(self) -> None:
        """Forget all that servers ever said: one of them lied. Tokens and pages stay."""
        self._stores.clear()
        self._filled.clear()
        self.claims.clear()

    # What is to be done

    @property
    def holders(self) -> frozenset[str]:
        """Servers that hold a cache of this session."""
        return frozenset(self._filled)

    def work(self, way: Sequence[Leg], most: int) -> list[list[Frame]]:
        """The frames of every leg of a way, each of at most `most` positions.

        A leg sends a sequence from the first position that its server lacks, or whose output the
        next leg (or, at the end, the caller) needs and nobody knows, to its end.
        """
        needs = [
            self._unknown(way[-1].last, track, track.end - track.keep) for track in self.tracks
        ]
        frames = []
        for leg in way[::-1]:
            pieces, before = [], []
            for track, need in zip(self.tracks, needs):
                begin = min(self._lacking(leg, track), need)
                pieces.append(Piece(track, begin, track.end, track.end - need))
                before.append(self._unknown(leg.first, track, begin))
            frames.append(list(_cut(leg, pieces, most)))
            needs = before
        return frames[::-1]

    def request(self, frame: Frame, weights: bytes) -> tuple[Hop, Values]:
        """A frame as it is sent; its inputs must be known by now. Counts one step."""
        leg = frame.leg
        self.step += 1
        rows = tuple(
            HopRow(p.begin, p.end - p.begin, p.keep, tuple(p.of.pages[: pages_of(p.end)]))
            for p in frame.pieces
        )
        fresh = leg.peer.key not in self._filled
        hop = Hop(VERSION, weights, self.ident, self.step, fresh, self.pages,
                  leg.first, leg.last, self.kind, rows)  # fmt: skip
        return hop, self.inputs(leg.first, frame.sent)

    def inputs(self, boundary: int, slots: Slots) -> Values:
        """The rows that cross a boundary at some slots."""
        if boundary == 0 and self._embed is not None:
            return self._embed(self._tokens[slots].tolist())
        return self._stores[boundary].values[slots]

    def result(self) -> Values:
        """The rows that leave the last block, those that the pass keeps, in order."""
        slots = [s.slots[s.end - s.keep :] for s in self.tracks]
        return self._store(self.blocks.stop).values[np.concatenate(slots)]

    def seen(self, boundary: int, slots: Slots) -> npt.NDArray[np.bool_]:
        """Which slots' rows at a boundary are known."""
        if boundary == 0 and self._embed is not None:
            return np.ones(len(slots), np.bool_)
        store = self._stores.get(boundary)
        return np.zeros(len(slots), np.bool_) if store is None else store.known[slots]

    def makers(self, boundary: int, slots: Slots) -> npt.NDArray[np.int64]:
        """The steps in which the rows at a boundary came."""
        return self._stores[boundary].step[slots]

    # How

    def _store(self, boundary: int) -> Store:
        store = self._stores.get(boundary)
        if store is None:
            shape = (self._size, self.hidden)
            store = self._stores[boundary] = Store(
                np.zeros(shape, self.kind.dtype), np.zeros(self._size, np.bool_),
                np.zeros(self._size, np.int64),
            )  # fmt: skip
        return store

    def _held(self, server: str) -> Any:
        """Which slots a server holds, for every block [blocks, slots]."""
        if server not in self._filled:
            self._filled[server] = np.zeros((self.blocks.stop, self._size), np.bool_)
        return self._filled[server]

    def _unknown(self, boundary: int, track: Track, begin: int) -> int:
        """The first position from `begin` whose row at a boundary is not known, else the end."""
        known = self.seen(boundary, track.slots[begin:])
        return track.end if known.all() else begin + int(known.argmin())

    def _lacking(self, leg: Leg, track: Track) -> int:
        """The first position that a leg's server lacks, else the end."""
        filled = self._filled.get(leg.peer.key)
        if filled is None:
            return 0
        held = filled[leg.first : leg.last, track.slots].all(0)
        return track.end if held.all() else int(held.argmin())


def _cut(leg: Leg, pieces: Sequence[Piece], most: int) -> Iterator[Frame]:
    """Frames of at most `most` positions, in order, none with too long a header."""
    frame, room, named = Frame(leg, []), most, 0
    for piece in pieces:
        at = piece.begin
        while at < piece.end:
            end = min(piece.end, at + room)
            if frame.pieces and (
                not room or len(frame.pieces) == MAX_ROWS or named + pages_of(end) > MAX_NAMED
            ):
                yield frame
                frame, room, named = Frame(leg, []), most, 0
                continue
            keep = max(0, min(end - at, end - (piece.end - piece.keep)))
            frame.pieces.append(Piece(piece.of, at, end, keep))
            room -= end - at
            named += pages_of(end)
            at = end
    if frame.pieces:
        yield frame
