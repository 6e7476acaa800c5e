"""Blocks without a runtime: any changes, any parent. Enough to try a store."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from chain.blocks import Header, extrinsics_root
from chain.runtime.types import Digest, OtherDigest
from chain.store.chain import ChainStore
from ganglion.scale import compact_encode
from ganglion.units import Hash

GENESIS = {b"key%03d" % i: bytes([i]) * (i % 50) for i in range(60)}


def open_toy(path: Path | None = None, **options) -> ChainStore:
    return ChainStore.open(path, GENESIS, sync=False, **options)


def random_changes(rng: random.Random, count: int = 8) -> dict[bytes, bytes | None]:
    """Writes, rewrites and deletes over a small set of keys, some of them long."""
    changes: dict[bytes, bytes | None] = {}
    for _ in range(count):
        key = b"key%03d" % rng.randrange(90)
        if rng.random() < 0.2:
            key += b"/deeper" * rng.randrange(1, 4)
        changes[key] = None if rng.random() < 0.3 else rng.randbytes(rng.choice([0, 5, 32, 33, 90]))
    return changes


def grow(
    store: ChainStore,
    parent: Hash,
    changes: dict[bytes, bytes | None],
    *,
    best: bool = True,
    salt: bytes = b"",
    announce: Callable[[Hash], None] = lambda block: None,
    **more,
) -> Hash:
    """Put a block on another one; `announce` hears of it before the store does."""
    prepared = store.prepare(parent, changes)
    body = [compact_encode(len(salt)) + salt]
    header = Header(
        parent,
        store.header(parent).number + 1,
        prepared.root,
        extrinsics_root(body),
        Digest((OtherDigest(salt),)),
    )
    announce(header.hash)
    store.import_block(header, body, prepared, best=best, **more)
    return header.hash
