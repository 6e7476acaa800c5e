"""Tasks of jobs and intents at a miner: kept on disk, computed, and given back to who paid.

What was promised on the chain has to be there after a restart: tasks and results are in one SQLite
file, a result before its hash goes to the chain.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from ganglion.errors import GanglionError
from ganglion.hashing import blake2_256
from ganglion.wire.fields import BadMessage
from ganglion.wire.receipts import BadReceipt
from ganglion.wire.tasks import Result, request_of
from ganglion.wire.text import TextAnswer
from neurons.miner.textgen import Overloaded, TextService

TABLE = (
    "CREATE TABLE IF NOT EXISTS tasks (name BLOB PRIMARY KEY, payer BLOB NOT NULL, "
    "task BLOB NOT NULL, terms BLOB NOT NULL, result BLOB, made REAL NOT NULL)"
)
KEEP_SECONDS = 7 * 86_400.0
"""How long results can be fetched."""
PRIORITY = 1e6
"""Jobs and intents have deadlines: they go before callers with less stake than that."""


class TaskFileProblem(GanglionError):
    """The file of tasks cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A task under its name; `terms` is the signed intent, empty for a job."""

    name: bytes
    payer: bytes
    task: bytes
    terms: bytes
    result: bytes | None

    @property
    def digest(self) -> bytes:
        """The hash of the result."""
        return blake2_256(self.result or b"")


class TaskFile:
    """The file. Use from one thread, and close it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, isolation_level=None)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute(TABLE)
        except (sqlite3.Error, OSError) as e:
            raise TaskFileProblem(f"the tasks in {path} cannot be opened: {e}") from e

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def _run(self, statement: str, *values: object) -> list[tuple[bytes, ...]]:
        try:
            return self._base.execute(statement, values).fetchall()
        except sqlite3.Error as e:
            raise TaskFileProblem(f"the tasks in {self._path} cannot be used: {e}") from e

    def put(self, name: bytes, payer: bytes, task: bytes, terms: bytes = b"") -> None:
        """Keep a task; one that is there already stays."""
        row = name, payer, task, terms, time.time()
        self._run("INSERT OR IGNORE INTO tasks VALUES (?, ?, ?, ?, NULL, ?)", *row)

    def put_result(self, name: bytes, result: bytes) -> None:
        """Keep a result; the first one stays."""
        self._run("UPDATE tasks SET result = ? WHERE name = ? AND result IS NULL", result, name)

    def get(self, name: bytes) -> Kept | None:
        """The task of this name."""
        found = self._run("SELECT name, payer, task, terms, result FROM tasks WHERE name=?", name)
        return Kept(*found[0]) if found else None

    def with_terms(self) -> list[Kept]:
        """The tasks of intents."""
        rows = self._run("SELECT name, payer, task, terms, result FROM tasks WHERE terms != ''")
        return [Kept(*row) for row in rows if row[3]]

    def drop(self, name: bytes) -> None:
        """Forget a task that came to nothing."""
        self._run("DELETE FROM tasks WHERE name = ?", name)

    def forget_old(self) -> None:
        """Forget what nobody has fetched for a week."""
        self._run("DELETE FROM tasks WHERE made < ?", time.time() - KEEP_SECONDS)


async def compute(service: TextService, name: bytes, payer: bytes, task: bytes) -> bytes:
    """The result of a task; BadMessage if it cannot be done here, Overloaded if not now."""
    body = request_of(task, service.card.name, name).to_bytes()
    answer = TextAnswer()
    async for event, data in service.answer(service.accept(body, payer, PRIORITY)):
        answer.take(event, data)
    try:
        return Result.of(answer).to_bytes()
    except BadReceipt as e:
        raise BadMessage(f"the engine gave no whole answer: {e}") from e


__all__ = ["Kept", "Overloaded", "TaskFile", "TaskFileProblem", "compute"]
