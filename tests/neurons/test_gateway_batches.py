# ruff: noqa: E402 - an optional package decides first whether this file runs
"""Pieces of database work that share a transaction, and what becomes of one that fails."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import IntegrityError, OperationalError

from neurons.gateway.batches import Batches, Refused


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = create_engine(f"sqlite:///{tmp_path}/b.db")
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER PRIMARY KEY)"))
    yield made
    made.dispose()


def put(x: int, wrong: Exception | None = None):
    def work(connection: Connection) -> int:
        connection.execute(text("INSERT INTO t VALUES (:x)"), {"x": x})
        if wrong is not None:
            raise wrong
        return x

    return work


def kept(engine: Engine) -> list[int]:
    with engine.begin() as connection:
        return [row.x for row in connection.execute(text("SELECT x FROM t ORDER BY x"))]


async def test_what_waits_together_is_committed_together(engine: Engine) -> None:
    commits = []
    event.listen(engine, "commit", lambda _: commits.append(1))
    batches = Batches(engine)
    assert await asyncio.gather(*(batches.run(put(x)) for x in range(50))) == list(range(50))
    batches.close()
    assert len(commits) == 2  # the first piece went alone, the others while it was at work
    assert kept(engine) == list(range(50))


async def test_a_failure_stays_with_its_piece(engine: Engine) -> None:
    batches = Batches(engine)
    pieces = [put(1), put(2), put(2), put(3, Refused("no")), put(4)]
    found = await asyncio.gather(*map(batches.run, [put(0), *pieces]), return_exceptions=True)
    batches.close()
    assert [type(one) for one in found] == [int, int, int, IntegrityError, Refused, int]
    assert kept(engine) == [0, 1, 2, 4]


async def test_pieces_about_a_row_come_in_the_order_of_rows(engine: Engine) -> None:
    batches, order = Batches(engine), []

    def note(name: str):
        return lambda connection: order.append(name)

    names = ["-", "b", "c", "a", "b"]
    await asyncio.gather(*(batches.run(note(name), name) for name in names))
    batches.close()
    assert order == ["-", "a", "b", "b", "c"]


async def test_a_mistake_in_a_piece_is_told_and_the_next_still_run(engine: Engine) -> None:
    batches = Batches(engine)
    with pytest.raises(ZeroDivisionError):
        await batches.run(lambda connection: 1 // 0)
    assert await batches.run(put(7)) == 7
    batches.close()


async def test_a_mistake_in_a_piece_stays_with_it(engine: Engine) -> None:
    batches = Batches(engine)
    wrong = UnicodeEncodeError("utf-8", "\udcff", 0, 1, "no text")
    pieces = [put(0), put(1), put(2, wrong), put(3)]
    found = await asyncio.gather(*map(batches.run, pieces), return_exceptions=True)
    batches.close()
    assert found == [0, 1, wrong, 3]
    assert kept(engine) == [0, 1, 3]


async def test_without_a_database_everybody_is_told(tmp_path: Path) -> None:
    batches = Batches(create_engine(f"sqlite:///{tmp_path}/no/such/folder/b.db"))
    found = await asyncio.gather(*(batches.run(put(x)) for x in range(3)), return_exceptions=True)
    batches.close()
    assert [type(one) for one in found] == [OperationalError] * 3


async def test_who_leaves_is_forgotten(engine: Engine) -> None:
    batches = Batches(engine)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await batches.run(put(1))
    assert await batches.run(put(2)) == 2
    batches.close()
    assert 2 in kept(engine)


def test_a_loop_that_ends_leaves_the_thread_to_the_next(engine: Engine) -> None:
    batches, go = Batches(engine), threading.Event()

    async def leave() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(batches.run(lambda connection: go.wait(10)), 0.01)

    async def come() -> int:
        return await asyncio.wait_for(batches.run(put(1)), 10)

    asyncio.run(leave())
    go.set()
    assert asyncio.run(come()) == 1
    batches.close()
