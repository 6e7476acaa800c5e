"""The chain store on disk: what a block costs, what a read costs, how long opening takes."""

from __future__ import annotations

import gc
import random
import resource
import tempfile
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from benchmark import Row, median_ms, run

from chain.blocks import Header, extrinsics_root
from chain.store.chain import ChainStore
from chain.store.kv import Column
from chain.trie.ordered import ordered_root
from chain.trie.proof import verify
from chain.trie.trie import Trie
from ganglion.scale import compact_encode

PREFIX = bytes.fromhex("26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9")
CHANGED = 2_000


def accounts(count: int, rng: random.Random) -> dict[bytes, bytes]:
    """Entries of System.Account: 80-byte keys, 56-byte values."""
    made = {}
    for _ in range(count):
        who = rng.randbytes(32)
        made[PREFIX + blake2b(who, digest_size=16).digest() + who] = rng.randbytes(56)
    return made


class Bench:
    """A store of many accounts in a folder, and blocks on top of it."""

    def __init__(self, folder: Path, count: int) -> None:
        self.rng = random.Random(1)
        self.path = folder / "chain"
        self.state = accounts(count, self.rng)
        self.keys = list(self.state)
        start = time.perf_counter()
        self.store = ChainStore.open(self.path, self.state)
        self.genesis_s = time.perf_counter() - start

    def changes(self) -> dict[bytes, bytes | None]:
        return {k: self.rng.randbytes(56) for k in self.rng.sample(self.keys, CHANGED)}

    def block(self) -> tuple[float, float]:
        """Seconds to prepare and to import one block of changes."""
        best, number = self.store.best()
        changes = self.changes()
        start = time.perf_counter()
        prepared = self.store.prepare(best, changes)
        middle = time.perf_counter()
        header = Header(best, number + 1, prepared.root, extrinsics_root([]))
        self.store.import_block(header, [], prepared, best=True)
        return middle - start, time.perf_counter() - middle

    def reopen(self) -> float:
        """Seconds to close and open."""
        self.store.close()
        start = time.perf_counter()
        self.store = ChainStore.open(self.path)
        return time.perf_counter() - start


def micros(work: Callable[[bytes], object], keys: list[bytes]) -> float:
    """Median microseconds of `work` on one key."""
    return median_ms(lambda: [work(key) for key in keys], least=3, seconds=0.3) * 1e3 / len(keys)


def row(what: str, value: float, unit: str, floor: float | None = None, means: str = "-") -> Row:
    return {"what": what, "ours": value, "unit": unit, "floor": floor, "floor is": means}


def blocks(bench: Bench) -> list[Row]:
    """Writing: first with the trie on disk, then with it in memory."""
    cold = min(bench.block()[0] for _ in range(3)) / CHANGED * 1e6
    trie = bench.store.state_at(bench.store.best()[0]).trie()
    for key in bench.keys:
        trie.get(key)
    times = [bench.block() for _ in range(9)]
    warm = sorted(t[0] for t in times)[4] / CHANGED * 1e6
    write = sorted(t[1] for t in times)[4] / CHANGED * 1e6
    nodes = [bytes(size) for size in (100, 500) for _ in range(CHANGED)]
    hashing = median_ms(lambda: [blake2b(n, digest_size=32).digest() for n in nodes]) * 1e3
    kv = bench.store.database
    values: dict[bytes, bytes | None] = dict.fromkeys(bench.rng.sample(bench.keys, CHANGED), b"")

    def raw_write() -> None:
        batch = kv.batch()
        batch.put_all(Column.AUX, values)
        kv.write(batch, sync=True)

    raw = median_ms(raw_write) * 1e3 / CHANGED
    floor, title = hashing / CHANGED, f"{CHANGED} of {len(bench.keys)} accounts changed"
    return [
        row(f"trie update and root, {title}", warm, "us/key", floor, "blake2b alone"),
        row("the same with the trie on disk", cold, "us/key", floor, "blake2b alone"),
        row("one batch with fsync, same block", write, "us/key", raw, "RocksDB, keys only"),
    ]


def reads(bench: Bench) -> list[Row]:
    """Reading at the best block and at an old one."""
    store = bench.store
    keys = bench.rng.sample(bench.keys, 5_000)
    best = store.state_at(store.best()[0])
    old_block = store.hash_of(1)
    assert old_block is not None
    old = store.state_at(old_block)
    get = store.database.get
    raw = micros(lambda key: get(Column.FLAT, key), keys)
    start = time.perf_counter()
    for key in keys:
        old.get(key)
    cold = (time.perf_counter() - start) / len(keys) * 1e6
    page = median_ms(lambda: [key for key, _ in zip(best.keys(PREFIX), range(1000))])
    old_page = median_ms(lambda: [key for key, _ in zip(old.keys(PREFIX), range(1000))])

    def prove(key: bytes) -> None:
        verify(best.root, best.read_proof([key]), [key])

    return [
        row("get at the best block", micros(best.get, keys), "us", raw, "RocksDB get"),
        row("get at an old block, first time", cold, "us", raw, "RocksDB get"),
        row("get at an old block, again", micros(old.get, keys), "us", raw, "RocksDB get"),
        row("keys in pages of 1000 at the best block", page, "us/key"),
        row("keys in pages of 1000 at an old block", old_page, "us/key"),
        row("proof of a key, made and verified", micros(prove, keys[:500]), "us"),
    ]


def rows(quick: bool) -> list[Row]:
    """All measurements on one store."""
    gc.set_threshold(200_000, 20, 100)  # as the node sets it
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), 20_000 if quick else 100_000)
        found = blocks(bench) + reads(bench)
        opening = sorted(bench.reopen() for _ in range(5))[2]
        body = [compact_encode(140) + bytes(140) for _ in range(5_000)]
        memory = Trie.of(bench.state)
        found += [
            row(
                "extrinsics root of 5000", median_ms(lambda: ordered_root(body)) / 5, "us/extrinsic"
            ),
            row("get from a trie in memory", micros(memory.get, bench.keys[:5_000]), "us"),
            row(f"genesis of {len(bench.keys)} keys, stored", bench.genesis_s * 1e3, "ms"),
            row("opening that store", opening * 1e3, "ms"),
            row("peak memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB"),
        ]
        bench.store.close()
    return found


run(
    "store",
    "The chain store on disk: blocks that change accounts, reads, proofs, opening; medians on one "
    "core. The floor is what the same machine does without a trie around it.",
    rows,
)
