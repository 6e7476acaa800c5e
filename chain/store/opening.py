"""Opening a data folder: making a new chain, or making sure that an old one is whole and ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from chain.blocks import genesis_header
from chain.store.blocks import BlockTable
from chain.store.errors import StoreCorrupt, WrongChain
from chain.store.head import BeaconFile, Head
from chain.store.kv import Column, KeyValues
from chain.store.memory import MemoryKeyValues
from chain.store.rocks import RocksKeyValues
from chain.store.states import States
from ganglion.scale import Codec, DecodeError, codec, u32
from ganglion.units import Hash

HEAD = b"head"
GENESIS = b"genesis"
FINGERPRINT = b"fingerprint"
PRUNING = b"pruning"
FORMAT = b"format"
CURRENT_FORMAT = b"1"

Storage = Mapping[bytes, bytes]

_PRUNING: Codec[int | None] = codec(u32 | None)


@dataclass(frozen=True, slots=True)
class Opened:
    """A database that holds a chain."""

    kv: KeyValues
    head: Head
    genesis: Hash
    beacon: BeaconFile | None
    pruning: int | None


Pruning = int | Literal["kept"] | None
"""How many finalised states to keep: None for all, "kept" for as many as the folder says."""


def open_database(
    path: Path | None,
    genesis: Storage | None,
    pruning: Pruning,
    cache_mib: int,
    throwaway: bool = False,
) -> Opened:
    """The database in a folder (None: in memory), begun from a genesis state if it is new.

    With `throwaway` it need not survive a crash: no log, and no beacon to miss it by.

    Raises StoreLocked, WrongChain or StoreCorrupt.
    """
    if path is None:
        return _check(MemoryKeyValues(), "memory", genesis, pruning, None)
    if genesis is None and not (path / "db").exists():
        raise WrongChain(f"there is no chain in {path}: check --base-path and --chain")
    kv = RocksKeyValues(path / "db", cache_mib, log=not throwaway)
    beacon = None if throwaway else BeaconFile(path / "finalized")
    try:
        return _check(kv, str(path), genesis, pruning, beacon)
    except (StoreCorrupt, WrongChain):
        kv.close()
        raise


def _check(
    kv: KeyValues, where: str, genesis: Storage | None, pruning: Pruning, beacon: BeaconFile | None
) -> Opened:
    made = kv.get(Column.META, GENESIS)
    if made is None:
        if next(kv.items(Column.META), None) is not None:
            raise StoreCorrupt(f"the database in {where} has lost its genesis: sync again")
        if genesis is None:
            raise WrongChain(f"there is no chain in {where}: check --base-path and --chain")
        _create(kv, genesis, None if pruning == "kept" else pruning)
        made = kv.get(Column.META, GENESIS)
        assert made is not None
    if kv.get(Column.META, FORMAT) != CURRENT_FORMAT:
        raise WrongChain(
            f"the database in {where} was written by another version of this program: remove it "
            "with purge-chain and sync again"
        )
    if genesis is not None and kv.get(Column.META, FINGERPRINT) != fingerprint(genesis):
        raise WrongChain(
            f"the database in {where} belongs to another chain, with genesis 0x{made.hex()}: "
            "choose another --base-path, or remove it with purge-chain"
        )
    pruning = _check_pruning(kv, where, pruning)
    record = kv.get(Column.META, HEAD)
    if record is None:
        raise StoreCorrupt(f"the database in {where} has lost its head record: sync again")
    opened = Opened(kv, Head.decode(record), Hash(made), beacon, pruning)
    _check_beacon(opened, where)
    return opened


def _check_beacon(opened: Opened, where: str) -> None:
    beacon = opened.beacon.read() if opened.beacon is not None else None
    if beacon is None:
        return
    head = opened.head
    if head.finalized_number < beacon.number:
        raise StoreCorrupt(
            f"the database in {where} has lost finalised blocks: it ends at block "
            f"{head.finalized_number}, but block {beacon.number} has been finalised; restore a "
            f"copy or sync again (or remove {where}/finalized to accept the loss)"
        )


def _check_pruning(kv: KeyValues, where: str, pruning: Pruning) -> int | None:
    """How many states to keep; the number may change from run to run, but not to or from all."""
    try:
        kept = _PRUNING.decode(kv.get(Column.META, PRUNING) or b"")
    except DecodeError as error:
        raise StoreCorrupt(f"the pruning mode in {where} is damaged: sync again") from error
    if pruning == "kept":
        return kept
    if (kept is None) != (pruning is None):
        mode = "archive" if kept is None else str(kept)
        raise WrongChain(
            f"the database in {where} was made with --state-pruning {mode}: start with the same, "
            "or remove it with purge-chain"
        )
    if pruning != kept:
        batch = kv.batch()
        batch.put(Column.META, PRUNING, _PRUNING.encode(pruning))
        kv.write(batch, sync=False)
    return pruning


def _create(kv: KeyValues, genesis: Storage, pruning: int | None) -> None:
    """Write block 0 and everything that describes the chain, in one batch."""
    states = States(kv, 0, 0)
    prepared = states.prepare(None, genesis)
    header = genesis_header(prepared.root)
    batch = kv.batch()
    record = states.put(batch, header, prepared, journal=pruning is not None)
    blocks = BlockTable(kv)
    blocks.put(batch, record, [])
    blocks.put_number(batch, 0, header.hash)
    batch.put_all(Column.FLAT, dict(genesis))
    head = Head(header.hash, 0, header.hash, 0, states.sequence)
    batch.put(Column.META, HEAD, head.encode())
    batch.put(Column.META, GENESIS, header.hash)
    batch.put(Column.META, FINGERPRINT, fingerprint(genesis))
    batch.put(Column.META, PRUNING, _PRUNING.encode(pruning))
    batch.put(Column.META, FORMAT, CURRENT_FORMAT)
    kv.write(batch, sync=True)


def fingerprint(genesis: Storage) -> bytes:
    """A hash of a genesis state that is quicker to have than its trie root."""
    digest = blake2b(digest_size=32)
    for key in sorted(genesis):
        value = genesis[key]
        digest.update(b"%d %d " % (len(key), len(value)) + key + value)
    return digest.digest()
