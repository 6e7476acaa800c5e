"""Hidden states that every machine draws alike, to compare proofs with the `toploc` package's."""

from __future__ import annotations

import json
from functools import reduce
from pathlib import Path

import numpy as np

from subnets.proofs.toploc import Patterns

RECORDED = Path(__file__).parents[1] / "vectors/toploc-proofs.jsonl"
SEEDS = range(60)


def states(seed: int) -> Patterns:
    """Bell-shaped values as bfloat16 patterns [32, hidden]: sums of twelve uniform ones, whose
    bits do not depend on a library's logarithm. The stream of RandomState is frozen."""
    hidden = (128, 768, 4096)[seed % 3]
    uniform = np.random.RandomState(seed).random_sample((12, 32, hidden))  # noqa: NPY002
    values = (reduce(np.add, uniform) - 6).astype(np.float32)
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def recorded() -> dict[int, bytes]:
    """The package's proof of each seed's states."""
    rows = map(json.loads, RECORDED.read_text().splitlines())
    return {row["seed"]: bytes.fromhex(row["proof"]) for row in rows}
