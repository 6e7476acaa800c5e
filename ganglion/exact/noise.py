"""Gumbel noise that anyone can recompute from a seed: the draw behind every sampled token.

Token i at position p of a request gets the noise g(seed, p, i); the sampled token is the argmax
of logit + temperature * noise. The integers come from Philox 4x32-10 under a key hashed from the
seed; they become Gumbel variates by single float64 operations (products, sums, quotients), which
are the same on every machine and device.

Source of the generator: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
1, 2, 3" (2011).
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from ganglion.exact.ieee import Floats, log
from ganglion.wire.text import SEED_SIZE

Words = npt.NDArray[np.uint64]

DOMAIN = b"ganglion/noise/1"
ROUNDS = 10
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
COARSE = np.uint64(20)
"""Bits of a draw that a bound of its noise leaves out: the table stays in the nearest cache."""
SLACK = 1e-6
"""More than the last places in which the computed logarithm may leave its order."""


def philox(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> list[Words]:
    """Philox 4x32-10: four counter words and two key words to four random words.

    The counter words may have any shapes that broadcast together: the first rounds then cost
    next to nothing.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for _ in range(ROUNDS):
        first, second = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1 = _mixed(second, k0, c1), second
        c2, c3 = _mixed(first, k1, c3), first
        k0, k1 = (k0 + WEYL[0]) & LOW, (k1 + WEYL[1]) & LOW
    return [c0, c1, c2, c3]


def _mixed(product: Words, key: np.uint64, other: Words) -> Words:
    """The upper half of a product, which keeps its lower, with key and another word."""
    high = product >> HALF
    product &= LOW
    high ^= key
    if high.shape == other.shape:
        high ^= other
        return high
    return high ^ other


def stream_words(seed: bytes) -> tuple[int, int, int, int]:
    """Key and upper counter words of a request's stream; ValueError unless 32 bytes."""
    if len(seed) != SEED_SIZE:
        raise ValueError(f"a sampling seed has {SEED_SIZE} bytes, not {len(seed)}")
    digest = blake2b(DOMAIN + seed, digest_size=16).digest()
    words = np.frombuffer(digest, "<u4")
    return int(words[0]), int(words[1]), int(words[2]), int(words[3])


def integers(seed: bytes, start: int, count: int, vocab: int) -> Words:
    """The 32-bit draws [count, vocab] of positions start .. start + count - 1."""
    k0, k1, c2, c3 = stream_words(seed)
    blocks = np.arange(-(-vocab // 4), dtype=np.uint64)[None]
    positions = np.arange(start, start + count, dtype=np.uint64)[:, None]
    third, fourth = np.array([[[c2]], [[c3]]], np.uint64)
    lanes = philox((blocks, positions, third, fourth), (k0, k1))
    return np.stack(lanes, -1).reshape(count, -1)[:, :vocab]


def gumbel(draws: Words) -> Floats:
    """Standard Gumbel variates of 32-bit draws: -ln(-ln((2 draw + 1) / 2**33))."""
    uniform = (draws.astype(np.float64) * 2.0 + 1.0) * 2.0**-33
    return -log(-log(uniform))


def noise(seed: bytes, start: int, count: int, vocab: int) -> Floats:
    """Noise [count, vocab] for output positions start .. start + count - 1 of one request."""
    return gumbel(integers(seed, start, count, vocab))


@cache
def _bounds() -> tuple[Floats, Floats]:
    """The smallest and the largest noise of all draws that share their upper bits."""
    first = np.arange((LOW >> COARSE) + np.uint64(1), dtype=np.uint64) << COARSE
    last = first | (np.uint64(1) << COARSE) - np.uint64(1)
    return gumbel(first) - SLACK, gumbel(last) + SLACK


def ceiling(draws: Words) -> Floats:
    """Bounds that the noise of these draws does not exceed, at a tenth of its price."""
    return _bounds()[1].take((draws >> COARSE).view(np.int64))


def floor(draws: Words) -> Floats:
    """Bounds that the noise of these draws reaches."""
    return _bounds()[0].take((draws >> COARSE).view(np.int64))
