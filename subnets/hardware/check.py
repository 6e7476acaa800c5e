"""Freivalds' check of a whole chain: is this its end?

For random columns V, Z[k] . V is the end of the same chain from Z[0] . V, which costs a few
columns instead of thousands. A wrong end passes with a chance of at most 127**-8 (below 2**-55),
whatever its maker knew, because V is drawn when the end is already here and nobody is told.
"""

from __future__ import annotations

import numpy as np

from subnets.hardware.chain import HALF, Machine, Material, Matrix, Unfit, reduce

COLUMNS = 8


def read_end(body: bytes, size: int) -> Matrix:
    """The last matrix of a chain as a stranger sent it. Unfit if it is none."""
    if len(body) != size * size:
        raise Unfit(f"the matrix has {len(body)} bytes, and the class needs {size * size}")
    end = np.frombuffer(body, np.int8).reshape(size, size)
    if int(end.max()) > HALF or int(end.min()) < -HALF:
        raise Unfit(f"the matrix holds numbers that are no residues from -{HALF} to {HALF}")
    return end


def _times(matrix: Matrix, columns: Matrix) -> Matrix:
    """The product modulo PRIME, as residues."""
    product = matrix.astype(np.float32) @ columns.astype(np.float32)
    reduce(product, np.empty_like(product))
    return product.astype(np.int8)


def is_end(machine: Machine, material: Material, end: Matrix, rng: np.random.Generator) -> bool:
    """Whether `end` is where the chain leads; a wrong one passes once in 127**8."""
    columns = rng.integers(-HALF, HALF + 1, (len(end), COLUMNS), dtype=np.int8)
    walked = machine.walk(material, _times(material.start, columns))
    return bool(np.array_equal(walked, _times(end, columns)))
