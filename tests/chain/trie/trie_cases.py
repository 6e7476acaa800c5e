"""Random tries that a seed names, for comparison with other implementations."""

from __future__ import annotations

import random


def case(seed: int) -> dict[bytes, bytes]:
    """Keys that share prefixes, end inside one another or are long; values around 32 bytes."""
    rng = random.Random(seed)
    stems = [b"", rng.randbytes(2), rng.randbytes(16), rng.randbytes(31), rng.randbytes(159)]
    sizes = [0, 1, 8, 30, 31, 32, 33, 34, 63, 64, 100, 5000]
    items = {}
    for _ in range(rng.choice([1, 2, 3, 10, 60, 300])):
        key = rng.choice(stems) + rng.randbytes(rng.choice([0, 1, 1, 2, 3, 32]))
        items[key] = rng.randbytes(rng.choice(sizes))
    return items
