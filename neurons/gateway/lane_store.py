"""Channels, lanes and paid answers in the gateways' database.

Whatever is promised is written here before it is signed and sent, so no gateway ever signs less
than it did before. A lane belongs to one gateway at a time; one that is not heard of for a minute
loses it to the next that needs a lane.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from ganglion.wire.lanes import PayerLane
from ganglion.wire.paid import PAID_ANSWER, PaidAnswer
from ganglion.wire.receipt_tree import Frontier
from neurons.gateway.store import Store
from neurons.gateway.tables import channels, lanes, paid_answers

STALE_SECONDS = 60.0
TRIES = 100


class LaneStore:
    """One gateway's view of them, on one chain. `owner` names the gateway."""

    def __init__(self, store: Store, genesis: bytes, owner: str) -> None:
        self._store, self.genesis, self._owner = store, genesis, owner

    # --- channels ---

    async def channel_of(self, miner: str) -> int | None:
        """The channel that pays a miner, as far as any gateway knows."""

        def work(connection: Connection) -> int | None:
            mine = select(channels.c.channel).where(*self._of_miner(miner))
            found: int | None = connection.execute(mine).scalar()
            return found

        return await self._store.transact(work)

    async def begin(self, miner: str) -> bool:
        """Claim the right to open or change a miner's channel; False while another has it."""
        now = time.time()

        def claim(connection: Connection) -> bool:
            idle = channels.c.busy < now - STALE_SECONDS
            done = connection.execute(
                update(channels).where(*self._of_miner(miner), idle).values(busy=now)
            )
            if done.rowcount:
                return True
            known = select(channels.c.miner).where(*self._of_miner(miner))
            if connection.execute(known).first() is not None:
                return False
            row = {"genesis": self.genesis, "miner": miner, "channel": None, "busy": now}
            connection.execute(insert(channels).values(row))
            return True

        try:
            return await self._store.transact(claim)
        except IntegrityError:  # another gateway was quicker
            return False

    async def end(self, miner: str, channel: int | None) -> None:
        """Give the right back, and say which channel it is now."""

        def work(connection: Connection) -> None:
            connection.execute(
                update(channels).where(*self._of_miner(miner)).values(channel=channel, busy=0.0)
            )

        await self._store.transact(work)

    async def others(self, miner: str) -> frozenset[int]:
        """The channels that pay other miners."""

        def work(connection: Connection) -> frozenset[int]:
            rows = connection.execute(
                select(channels.c.channel).where(
                    channels.c.genesis == self.genesis, channels.c.miner != miner
                )
            )
            return frozenset(row.channel for row in rows if row.channel is not None)

        return await self._store.transact(work)

    def _of_miner(self, miner: str) -> tuple[ColumnElement[bool], ...]:
        return channels.c.genesis == self.genesis, channels.c.miner == miner

    # --- lanes ---

    async def take(self, channel: int, limit: int) -> PayerLane | None:
        """A lane for this gateway alone: one that is free, or a new one; None if all are taken."""
        for _ in range(TRIES):
            try:
                return await self._store.transact(lambda c: self._take(c, channel, limit))
            except IntegrityError:  # another gateway was quicker
                continue
        return None

    def _take(self, connection: Connection, channel: int, limit: int) -> PayerLane | None:
        now = time.time()
        all_lanes = and_(lanes.c.genesis == self.genesis, lanes.c.channel == channel)
        free = or_(lanes.c.owner.is_(None), lanes.c.beat < now - STALE_SECONDS)
        for row in connection.execute(select(lanes).where(all_lanes, free).order_by(lanes.c.lane)):
            taken = connection.execute(
                update(lanes)
                .where(all_lanes, free, lanes.c.lane == row.lane, lanes.c.nonce == row.nonce)
                .values(owner=self._owner, beat=now)
            )
            if taken.rowcount:
                return _lane(row)
        number = connection.execute(select(func.count()).where(all_lanes)).scalar() or 0
        if number >= limit:
            return None
        fresh = {"genesis": self.genesis, "channel": channel, "lane": number, "beat": now}
        empty = {"nonce": 0, "cumulative": 0, "answers": 0, "peaks": b""}
        connection.execute(insert(lanes).values(**fresh, **empty, owner=self._owner))
        return PayerLane(channel, number)

    async def promise(self, lane: PayerLane, answers: Sequence[PaidAnswer]) -> int | None:
        """Keep what a lane now promises, and the answers it is for.

        The rao that all lanes of the channel promise; None if the lane is another's by now.
        """
        first = lane.answers.count - len(answers)

        def work(connection: Connection) -> int | None:
            all_lanes = (lanes.c.genesis == self.genesis, lanes.c.channel == lane.channel)
            done = connection.execute(
                update(lanes)
                .where(
                    *all_lanes,
                    lanes.c.lane == lane.lane,
                    lanes.c.owner == self._owner,
                    lanes.c.nonce == lane.nonce - 1,
                )
                .values(
                    nonce=lane.nonce,
                    cumulative=lane.cumulative,
                    answers=lane.answers.count,
                    peaks=b"".join(lane.answers.peaks),
                    beat=time.time(),
                )
            )
            if not done.rowcount:
                return None
            if answers:
                rows = [self._leaf(lane, first + n, one) for n, one in enumerate(answers)]
                connection.execute(insert(paid_answers), rows)
            total = connection.execute(select(func.sum(lanes.c.cumulative)).where(*all_lanes))
            return int(total.scalar() or 0)

        return await self._store.transact(work)

    def _leaf(self, lane: PayerLane, number: int, answer: PaidAnswer) -> dict[str, Any]:
        return {
            "genesis": self.genesis,
            "channel": lane.channel,
            "lane": lane.lane,
            "number": number,
            "answer": PAID_ANSWER.encode(answer),
        }

    async def promised(self, channel: int) -> int:
        """The rao that all lanes of a channel promise."""

        def work(connection: Connection) -> int:
            mine = (lanes.c.genesis == self.genesis, lanes.c.channel == channel)
            return int(
                connection.execute(select(func.sum(lanes.c.cumulative)).where(*mine)).scalar() or 0
            )

        return await self._store.transact(work)

    async def beat(self) -> None:
        """Keep this gateway's lanes."""
        await self._store.transact(
            lambda c: c.execute(
                update(lanes).where(lanes.c.owner == self._owner).values(beat=time.time())
            )
        )

    async def release(self) -> None:
        """Leave this gateway's lanes to others."""
        await self._store.transact(
            lambda c: c.execute(
                update(lanes).where(lanes.c.owner == self._owner).values(owner=None)
            )
        )

    async def answers(self, channel: int, lane: int) -> list[PaidAnswer]:
        """All that a lane paid for, in the order of the tree."""

        def work(connection: Connection) -> list[PaidAnswer]:
            rows = connection.execute(
                select(paid_answers.c.answer)
                .where(
                    paid_answers.c.genesis == self.genesis,
                    paid_answers.c.channel == channel,
                    paid_answers.c.lane == lane,
                )
                .order_by(paid_answers.c.number)
            )
            return [PAID_ANSWER.decode(row.answer) for row in rows]

        return await self._store.transact(work)


def _lane(row: Any) -> PayerLane:
    peaks = tuple(row.peaks[at : at + 32] for at in range(0, len(row.peaks), 32))
    return PayerLane(row.channel, row.lane, row.nonce, row.cumulative, Frontier(row.answers, peaks))
