"""Finding the span server that lies: sampled hops are computed again, and the claim says whose.

A case is one sequence at one leg: all rows that entered it so far, and those that came out, each
with the claim that its server signed. Another server of the same blocks computes it again; where
the two differ, or nobody else holds the blocks, the front does, block by block from its own files,
and who differs from that has lied. So a false accusation needs a false disk at home, and two
servers that lie alike are found by the audits that ask nobody else.

Sans-IO but for `Auditor`, which runs beside the passes and never delays one.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganglion.wire.spans import SESSION_SIZE, Kind, SignedClaim, Values
from neurons.engine.base import EngineError, Row, pages_for
from neurons.engine.parts import Parts, run_once
from neurons.shards.pipeline import Pipeline
from neurons.shards.routing import Leg, MissingBlocks
from neurons.shards.session import Session

log = logging.getLogger("shards")

MOST_POSITIONS = 16_384
"""Longer sequences are not audited: their inputs have to be copied."""

ALONE = 0.25
"""The share of audits in which no other server is asked."""

TOLERANCE = {Kind.FLOAT64: 0.0, Kind.FLOAT32: 1e-3, Kind.BFLOAT16: 0.05}
"""How far a row may lie from the true one, as a share of its length; in the exact class nowhere."""


@dataclass(frozen=True, slots=True)
class Case:
    """What went through blocks [first, last) of one sequence: `x` [n, hidden] in, `y` out where
    `known`, and the claims under the outputs."""

    first: int
    last: int
    kind: Kind
    x: Values
    y: Values
    known: npt.NDArray[np.bool_]
    claims: tuple[SignedClaim | None, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A server signed a row that its blocks do not make of what it was sent."""

    first: int
    last: int
    position: int
    claim: SignedClaim

    def sentence(self) -> str:
        """For the log: who, where, and the signed digests."""
        said = self.claim.claim
        return (
            f"0x{said.server.hex()} signed a false row: blocks {self.first}:{self.last}, position "
            f"{self.position}, session 0x{said.session.hex()} step {said.step}, input "
            f"0x{said.input.hex()}, output 0x{said.output.hex()}, signature "
            f"0x{self.claim.signature.hex()}"
        )


def case_of(session: Session, leg: Leg, index: int) -> Case | None:
    """A case of one of the pass's sequences; None if too little of it is at hand."""
    track = session.tracks[index]
    if track.end > MOST_POSITIONS or not session.seen(leg.first, track.slots).all():
        return None
    known = session.seen(leg.last, track.slots)
    if not known.any():
        return None
    steps = session.makers(leg.last, track.slots)
    claims = tuple(
        session.claims.get(int(step)) if here else None for step, here in zip(steps, known)
    )
    x = np.array(session.inputs(leg.first, track.slots))
    y = np.array(session.inputs(leg.last, track.slots))
    return Case(leg.first, leg.last, session.kind, x, y, known, claims)


def differing(kind: Kind, true: Values, said: Values) -> npt.NDArray[np.int64]:
    """The positions whose rows are not, or not nearly, the true ones."""
    if not TOLERANCE[kind]:
        wrong = (true.view(np.uint64) != said.view(np.uint64)).any(1)
    else:
        a, b = _plain(true), _plain(said)
        wrong = np.linalg.norm(a - b, axis=1) > TOLERANCE[kind] * np.linalg.norm(a, axis=1)
    return np.flatnonzero(wrong)


def _plain(rows: Values) -> npt.NDArray[np.float64]:
    if rows.dtype == np.uint16:
        return (rows.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return rows.astype(np.float64)


def judged(case: Case, true: Values) -> list[Finding]:
    """Who lied in a case, by the true rows: each server once, at its first false row."""
    found: dict[bytes, Finding] = {}
    for position in differing(case.kind, true, case.y).tolist():
        claim = case.claims[position] if case.known[position] else None
        if claim is not None:
            finding = Finding(case.first, case.last, position, claim)
            found.setdefault(claim.claim.server, finding)
    return list(found.values())


def truth(parts: Parts, case: Case) -> Values:
    """What the blocks make of a case's inputs, by this machine's own files, a block at a time."""
    x = case.x
    for block in range(case.first, case.last):
        x = run_once(parts.load_blocks(range(block, block + 1)), x)
    return x


class Auditor:
    """Takes a `share` of all passes and audits one sequence at one leg of each, one at a time."""

    def __init__(
        self, parts: Parts, pipeline: Pipeline, share: float,
        found: Callable[[Finding | None], None], rng: random.Random | None = None,
    ) -> None:  # fmt: skip
        self.share, self.done, self.skipped = share, 0, 0
        self._parts, self._pipeline, self._found = parts, pipeline, found
        self._rng = rng or random.SystemRandom()
        self._running: asyncio.Task[None] | None = None

    def consider(self, session: Session, way: Sequence[Leg]) -> None:
        """Perhaps begin an audit of the pass that just went this way."""
        if self._rng.random() >= self.share:
            return
        if self._running is not None and not self._running.done():
            self.skipped += 1
            return
        leg = self._rng.choice(way)
        case = case_of(session, leg, self._rng.randrange(len(session.tracks)))
        if case is not None:
            self._running = asyncio.get_running_loop().create_task(self._run(case))

    def stop(self) -> None:
        """End the audit that runs."""
        if self._running is not None:
            self._running.cancel()

    async def _run(self, case: Case) -> None:
        try:
            for finding in await self.audit(case):
                self._found(finding)
        except (EngineError, OSError, MemoryError) as e:
            log.warning("an audit of blocks %d:%d came to nothing: %s", case.first, case.last, e)
        self.done += 1

    async def audit(self, case: Case) -> Sequence[Finding | None]:
        """Who lied in a case, or in what was said about it; mostly nobody. None stands for
        somebody whose claim is not kept any more."""
        second = None if self._rng.random() < ALONE else await self._ask(case)
        if (
            second is not None
            and not differing(case.kind, second.y[case.known], case.y[case.known]).size
        ):
            return []
        true = await asyncio.to_thread(truth, self._parts, case)
        found: list[Finding | None] = [*judged(case, true)]
        if not found and differing(case.kind, true[case.known], case.y[case.known]).size:
            found.append(None)
        return found + ([] if second is None else [*judged(second, true)])

    async def _ask(self, case: Case) -> Case | None:
        """The same case by other servers; None if nobody else holds these blocks."""
        count, hidden = case.x.shape
        suspects = frozenset(
            self._pipeline.key_of(claim.claim.server) for claim in case.claims if claim is not None
        )
        blocks = range(case.first, case.last)
        session = Session(
            secrets.token_bytes(SESSION_SIZE), pages_for(count), blocks, hidden, case.kind
        )
        session.begin([Row(range(count), 0, range(pages_for(count)), count)])
        session.given(case.x)
        try:
            way = await self._pipeline.carry(session, without=suspects, quick=True)
        except MissingBlocks:
            return None
        finally:
            await self._pipeline.leave(session.ident, sorted(session.servers))
        if len(way) > 1:  # two servers between them: whose row it is cannot be told by `case_of`
            return None
        return case_of(session, way[0], 0)


__all__ = ["Auditor", "Case", "Finding", "case_of", "judged", "truth"]
