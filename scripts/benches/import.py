"""Importing blocks of signed transfers: everything a node does with somebody else's block.

Signature, nonce, fee, events, state root, extrinsics root, seal, one fsynced batch; one core. The
floor is what the signatures and hashes alone cost in the same process.
"""

from __future__ import annotations

import gc
import tempfile
import time
from pathlib import Path

import sr25519
from benchmark import Row, run

from chain.author import Turn, propose
from chain.blocks import Block
from chain.executive import Executive
from chain.extensions import implicit_bytes
from chain.extrinsics import signing_payload
from chain.genesis import Genesis, build_genesis
from chain.importer import Importer
from chain.pallets import aura
from chain.pool.pool import Pool
from chain.runtime.call import RuntimeCall
from chain.runtime.state import State
from chain.runtime.types import Id
from chain.runtime_spec import make_runtime
from chain.store.chain import ChainStore
from ganglion.keys import dev_key
from ganglion.scale import codec, compact_encode
from ganglion.units import Rao

SENDERS = 2_000
TRANSFERS = 5_000
SLOT_MS = 250
START_MS = 1_750_000_000_000


class Bench:
    """A chain of funded accounts, an author that makes blocks and an importer that takes them."""

    def __init__(self, folder: Path) -> None:
        self.runtime = make_runtime()
        self.pairs = [
            sr25519.pair_from_seed(i.to_bytes(32, "little")) for i in range(1, SENDERS + 1)
        ]
        self.alice = dev_key("Alice")
        balances = tuple((pair[0], Rao(10**15)) for pair in self.pairs)
        authority = (self.alice.account_id,)
        genesis = Genesis(balances, authority, authority, None, b"bench")
        raw = build_genesis(self.runtime, genesis)
        self.near = ChainStore.open(None, raw)
        self.far = ChainStore.open(folder, raw)
        self.author = Executive(self.runtime, self.near.genesis_hash)
        self.state = State(self.near.state_at(self.near.genesis_hash))
        self.nonces = [0] * SENDERS
        self.number = 0

    def transfer(self, i: int) -> bytes:
        """A signed transfer from sender i to the next one."""
        pair = self.pairs[i]
        dest = Id(self.pairs[(i + 7) % SENDERS][0])
        call = self.runtime.call("Balances", "transfer_keep_alive", dest, 1_000 + i)
        body = codec(RuntimeCall).encode(call)
        extra = b"\0" + compact_encode(self.nonces[i]) + b"\0\0"
        self.nonces[i] += 1
        genesis = self.near.genesis_hash
        implicit = implicit_bytes(self.runtime.version.spec_version, 1, genesis, genesis)
        signature = sr25519.sign(pair, signing_payload(body, extra, implicit))
        out = b"\x84\0" + pair[0] + b"\1" + signature + extra + body
        return compact_encode(len(out)) + out

    def block(self, count: int) -> Block:
        """A block of `count` transfers, authored and stored on the near side."""
        pool = Pool()
        for k in range(count):
            raw = self.transfer(k % SENDERS)
            pool.submit(raw, self._validate, self.number, 0.0)
        self.number += 1
        now = START_MS + self.number * SLOT_MS
        best = self.near.best()[0]
        parent = self.near.header(best)
        assert parent is not None
        made = propose(
            self.author,
            parent,
            self.state.child(),
            Turn(now // SLOT_MS, now, self.alice),
            pool.select(),
            lambda: False,
            lambda changes: self.near.prepare(best, changes),
        )
        Importer(self.near, self.author).import_own(made.block, made.prepared)
        self.state.absorb(made.state)
        inherents = len(made.block.extrinsics) - count
        assert inherents in (1, 2), f"{inherents} inherents"
        return made.block

    def _validate(self, raw: bytes) -> object:
        return self.author.validate_transaction(self.state, raw)


def floor_seconds(block: Block, bench: Bench) -> float:
    """Verifying the signatures of a block, and nothing else."""
    message, pair = b"m" * 120, bench.pairs[0]
    signature = sr25519.sign(pair, message)
    start = time.process_time()
    for _ in block.extrinsics[1:]:
        assert sr25519.verify(signature, message, pair[0])
    return time.process_time() - start


def rows(quick: bool) -> list[Row]:
    """Transfers per second by block size."""
    out = []
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name) / "db")
        executive = Executive(bench.runtime, bench.far.genesis_hash)
        importer = Importer(bench.far, executive)
        for count in (100, 1_000, TRANSFERS):
            times, wall, floor = [], [], 0.0
            for _ in range(2 if quick else 5):
                block = bench.block(count)
                gc.collect()
                start, wall_start = time.process_time(), time.perf_counter()
                importer.import_block(block)
                times.append(time.process_time() - start)
                wall.append(time.perf_counter() - wall_start)
                floor = floor_seconds(block, bench)
            best, fastest = sorted(times)[len(times) // 2], sorted(wall)[len(wall) // 2]
            out.append(
                {
                    "transfers in a block": count,
                    "per second of CPU": round(count / best),
                    "per second of wall": round(count / fastest),
                    "goal": 5000 if count == TRANSFERS else None,
                    "signatures alone, per second": round(count / floor),
                    "ratio to them": round(floor / best, 2),
                }
            )
        bench.far.close()
    return out


assert aura.SlotDuration.value == SLOT_MS
run("import", "Blocks of signed transfers imported, on one core; medians.", rows)
