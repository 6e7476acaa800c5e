"""A chain of products of matrices modulo 127 that takes a machine of a class half a second.

Z[i+1] = A . Z[i] with its rows in an order of their own, all drawn from a seed that names both
sides. Every product needs the one before it, and no two orders are alike, so nothing can be left
out, prepared or shared. Residues are so small that a sum of 4,096 products stays within 2**24:
float32, TF32, float16 with float32 sums, and int8 with int32 sums all give the same bits.

A class is a rate in multiply-adds a second. It fixes the size of the matrices and the number of
products, so that every class takes about the same time: the *class time*.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

import numpy as np
import numpy.typing as npt

PRIME = 127
HALF = PRIME // 2
CLASS_SECONDS = 0.5
SIZES = (256, 512, 1024, 2048, 4096)
LEAST_STEPS = 16
"""Products of a chain at least, where the class allows it: larger matrices are cheaper to check."""
SLOWEST, FASTEST = 100_000_000, 512_000_000_000_000
"""Rates of the slowest and the fastest class; the latter takes 3,725 products of size 4,096."""
DOMAIN = b"ganglion/hardware/1"

Matrix = npt.NDArray[np.int8]
"""Residues from -63 to 63; drawn ones may be 64, which is the same as -63."""


class Unfit(ValueError):
    """A matrix or a rate from a stranger that cannot be; the text says why."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a chain is: `steps` products of `size` x `size` matrices."""

    size: int
    steps: int

    @property
    def work(self) -> int:
        """Multiply-adds of the whole chain."""
        return self.steps * self.size**3


def shape_of(rate: int) -> Shape:
    """The chain of a class. Unfit unless SLOWEST <= rate <= FASTEST."""
    if not SLOWEST <= rate <= FASTEST:
        raise Unfit(f"a class is a rate from {SLOWEST} to {FASTEST} multiply-adds a second")
    work = int(rate * CLASS_SECONDS)
    large = [size for size in SIZES if work >= LEAST_STEPS * size**3]
    size = large[-1] if large else SIZES[0]
    return Shape(size, max(1, work // size**3))


def class_seconds(rate: int) -> float:
    """What a machine of exactly this rate takes for its chain: about CLASS_SECONDS."""
    return shape_of(rate).work / rate


@dataclass(frozen=True)
class Material:
    """What a seed draws for a shape: A and Z[0], [size, size], and words [steps, size] whose
    ranks are the orders of the rows."""

    matrix: Matrix
    start: Matrix
    words: npt.NDArray[np.uint32]


def draw(seed: bytes, shape: Shape) -> Material:
    """The chain that a seed names, from Philox 4x64-10 under a hash of the seed."""
    n, steps = shape.size, shape.steps
    key = int.from_bytes(blake2b(DOMAIN + seed, digest_size=16).digest(), "little")
    source = np.random.Philox(key=key)
    residues = source.random_raw(2 * n * n // 8).astype("<u8", copy=False).view(np.int8)
    residues &= PRIME
    residues -= HALF
    words = source.random_raw(steps * n // 2).astype("<u8", copy=False).view("<u4")
    first, second = residues.reshape(2, n, n)
    return Material(first, second, words.reshape(steps, n))


def order_of(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
    """The order that a line of words stands for: by size, equal ones by place."""
    return np.argsort(words, kind="stable")


class Machine(Protocol):
    """What can walk a chain."""

    name: str

    def walk(self, material: Material, start: Matrix) -> Matrix:
        """The end of the chain from `start`, [size, any], as residues from -63 to 63.

        EngineTrouble if the machine cannot do it now.
        """
        ...


class EngineTrouble(RuntimeError):
    """A machine could not walk a chain, for want of memory, say."""


def reduce(values: npt.NDArray[np.float32], scratch: npt.NDArray[np.float32]) -> None:
    """Integers up to 2**24 in place to their residues from -63 to 63.

    The first quotient may be rounded to a neighbour, so a second one mends what it left.
    """
    for _ in range(2):
        np.multiply(values, np.float32(1 / PRIME), out=scratch)
        np.rint(scratch, out=scratch)
        np.multiply(scratch, np.float32(PRIME), out=scratch)
        np.subtract(values, scratch, out=values)


class NumpyMachine:
    """Walks chains in float32, with numpy's BLAS."""

    name = "numpy"

    def walk(self, material: Material, start: Matrix) -> Matrix:
        """The end of the chain; see `Machine`."""
        a, z = material.matrix.astype(np.float32), start.astype(np.float32)
        turned, scratch = np.empty_like(z), np.empty_like(z)
        for words in material.words:
            np.take(z, order_of(words), axis=0, out=turned, mode="clip")
            np.matmul(a, turned, out=z)
            reduce(z, scratch)
        return z.astype(np.int8)


def commitment(end: Matrix) -> bytes:
    """What a miner commits to: the hash of the chain's last matrix, row by row."""
    return blake2b(np.ascontiguousarray(end).tobytes(), digest_size=32).digest()
