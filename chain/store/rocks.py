"""The database on disk: RocksDB, one column family a column.

A batch is one record of the write-ahead log, with a checksum: after a crash RocksDB replays the
log up to the last whole record, so a batch is there altogether or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from chain.store.errors import StoreCorrupt, StoreError, StoreLocked
from chain.store.kv import Batch, Column

MIB = 1 << 20
LARGE = frozenset({Column.NODES, Column.FLAT, Column.BODIES})
"""Columns that hold most of the bytes; the others get a small write buffer."""


class RocksBatch:
    """A batch of RocksDB."""

    def __init__(self, handles: dict[Column, Any]) -> None:
        self.inner = WriteBatch(raw_mode=True)
        self._handles = handles

    def put(self, column: Column, key: bytes, value: bytes) -> None:
        """Set a key."""
        self.inner.put(key, value, self._handles[column])

    def put_all(self, column: Column, items: Mapping[bytes, bytes | None]) -> None:
        """Set many keys; None deletes."""
        put, delete, handle = self.inner.put, self.inner.delete, self._handles[column]
        for key, value in items.items():
            if value is None:
                delete(key, handle)
            else:
                put(key, value, handle)

    def delete(self, column: Column, key: bytes) -> None:
        """Delete a key."""
        self.inner.delete(key, self._handles[column])

    def delete_range(self, column: Column, start: bytes, end: bytes) -> None:
        """Delete a range of keys."""
        self.inner.delete_range(start, end, self._handles[column])


class _Explained:
    """Turns what the binding raises, always a bare Exception, into an error with a way out."""

    def __init__(self, explain: Callable[[str], StoreError]) -> None:
        self._explain = explain

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if type(error) is Exception:
            raise self._explain(str(error)) from error


class RocksKeyValues:
    """A RocksDB database in a folder, which is made if it is missing.

    Without a `log` what was written is lost unless the database is closed: for folders that are
    thrown away. Raises StoreLocked when another process has it open, StoreCorrupt when it cannot
    be read.
    """

    def __init__(self, path: Path, cache_mib: int = 32, log: bool = True) -> None:
        self.path = path
        self._db = _open(path, cache_mib)
        self._families = {column: self._db.get_column_family(column) for column in Column}
        self._handles = {column: self._db.get_column_family_handle(column) for column in Column}
        self._gets = {column: family.get for column, family in self._families.items()}
        self._options = {True: WriteOptions(), False: WriteOptions()}
        self._options[True].sync = log
        for options in self._options.values():
            options.disable_wal = not log
        self._reading = _Explained(self._damaged)
        self._writing = _Explained(self._full)

    def get(self, column: Column, key: bytes) -> bytes | None:
        """The value of a key; raises StoreCorrupt when it cannot be read."""
        with self._reading:
            value: bytes | None = self._gets[column](key)
        return value

    def items(self, column: Column, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Keys and values, ascending from `start` on; raises StoreCorrupt."""
        if not self._families:
            self._closed()
        with self._reading:
            cursor = self._families[column].iter()
            cursor.seek(start)
        return self._rest(cursor)

    def _rest(self, cursor: Any) -> Iterator[tuple[bytes, bytes]]:
        with self._reading:
            while cursor.valid():
                yield cursor.key(), cursor.value()
                cursor.next()
            cursor.status()  # a cursor that meets damage looks like one that is at its end

    def batch(self) -> RocksBatch:
        """An empty batch."""
        return RocksBatch(self._handles)

    def write(self, batch: Batch, sync: bool) -> None:
        """Apply a batch; raises StoreError when the disk refuses."""
        assert isinstance(batch, RocksBatch)
        with self._writing:
            self._db.write(batch.inner, self._options[sync])

    def close(self) -> None:
        """Let go of the folder; the binding does so once every handle is closed."""
        self._gets = dict.fromkeys(Column, self._closed)
        self._handles.clear()
        families = [*self._families.values()]
        self._families.clear()
        with self._writing:  # closing writes out what is still in memory
            for family in families:
                family.close()
            self._db.close()

    def _closed(self, key: bytes = b"") -> NoReturn:
        raise StoreError(f"the database in {self.path} has been closed")

    def _damaged(self, reason: str) -> StoreError:
        return StoreCorrupt(
            f"the database in {self.path} cannot be read ({reason}): restore a copy, or remove the "
            "folder with purge-chain and sync again"
        )

    def _full(self, reason: str) -> StoreError:
        return StoreError(
            f"the database in {self.path} cannot be written ({reason}): free some disk space or "
            "check the disk, then start again; what was stored before is intact"
        )


def make_folder(path: Path) -> None:
    """Make a data folder and those above it; raises StoreError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the data folder {path} cannot be made ({error.strerror}): choose another with "
            "--base-path"
        ) from error


def _open(path: Path, cache_mib: int) -> Any:
    make_folder(path)
    cache = Cache(cache_mib * MIB)
    families = {str(column): _options(column in LARGE, cache) for column in Column}

    def explain(reason: str) -> StoreError:
        if "lock" in reason.lower():
            return StoreLocked(
                f"the data folder {path} is in use by another process: stop it, or choose "
                "another folder with --base-path"
            )
        return StoreCorrupt(
            f"the database in {path} cannot be opened ({reason}): restore a copy, or remove the "
            "folder with purge-chain and sync again"
        )

    with _Explained(explain):
        return Rdict(str(path), _options(False, cache), column_families=families)


def _options(large: bool, cache: Any) -> Any:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_write_buffer_size((4 if large else 2) * MIB)
    options.set_max_total_wal_size(64 * MIB)
    options.set_max_open_files(256)
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    options.set_stats_dump_period_sec(0)
    options.set_compression_type(DBCompressionType.lz4())
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    return options
