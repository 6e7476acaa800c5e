"""Vouchers on disk: the best one of each lane, kept before anything is given for it.

One SQLite file. Every `put` is on the disk when it returns, so that a voucher survives the
process and a power cut as well.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from ganglion.errors import GanglionError
from ganglion.wire.fields import BadMessage
from ganglion.wire.vouchers import SignedVoucher

TABLE = (
    "CREATE TABLE IF NOT EXISTS vouchers (channel TEXT NOT NULL, lane INTEGER NOT NULL, "
    "signed TEXT NOT NULL, PRIMARY KEY (channel, lane)) WITHOUT ROWID"
)


class VoucherFileProblem(GanglionError):
    """The file of vouchers cannot be used; the message says why."""


class VoucherFile:
    """The file. Use from one thread at a time, and close it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=FULL")
            self._base.execute(TABLE)
        except (sqlite3.Error, OSError) as e:
            raise VoucherFileProblem(f"the vouchers in {path} cannot be opened: {e}") from e

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def load(self) -> list[SignedVoucher]:
        """All vouchers. VoucherFileProblem if one of them cannot be read."""
        try:
            rows = self._base.execute("SELECT signed FROM vouchers").fetchall()
            return [SignedVoucher.from_json(json.loads(row[0])) for row in rows]
        except (sqlite3.Error, ValueError, BadMessage) as e:
            raise VoucherFileProblem(f"the vouchers in {self._path} cannot be read: {e}") from e

    def put(self, vouchers: Iterable[SignedVoucher]) -> None:
        """Keep these instead of the ones their lanes had, all or none."""
        rows = [
            (str(signed.voucher.channel), signed.voucher.lane, json.dumps(signed.to_json()))
            for signed in vouchers
        ]
        try:
            self._base.execute("BEGIN")
            self._base.executemany("INSERT OR REPLACE INTO vouchers VALUES (?, ?, ?)", rows)
            self._base.execute("COMMIT")
        except sqlite3.Error as e:
            raise VoucherFileProblem(f"vouchers cannot be kept in {self._path}: {e}") from e

    def drop(self, channel: int) -> None:
        """Forget a channel that is closed."""
        try:
            self._base.execute("DELETE FROM vouchers WHERE channel = ?", (str(channel),))
        except sqlite3.Error as e:
            raise VoucherFileProblem(f"vouchers in {self._path} cannot be removed: {e}") from e
