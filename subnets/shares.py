"""Experimental: one linear layer on a vector that neither of two parties sees.

A secret is the sum, modulo 2**64, of two shares; each alone is uniformly random. Products with
public weights are made by each party on its own share. Where the weights are shared too, the
parties spend one of a dealer's triples (Beaver, 1991) and tell each other two masked matrices.

This is a demonstration and nothing serves requests with it. A model needs more than linear
layers (norms, softmax, the gate), each of which costs the parties rounds of talk; two parties
that talk to each other behind the asker's back see everything; and a party that answers wrongly
is not noticed. Miners of one operator are one party.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.uint64]
"""Integers modulo 2**64; numpy's sums and products of them wrap around by themselves."""

FRACTION = 20
"""Bits behind the binary point of a number in the ring."""


@dataclass(frozen=True, slots=True)
class Triple:
    """One party's shares of random a [n, k], b [k, m] and of their product c [n, m]."""

    a: Ring
    b: Ring
    c: Ring


def to_ring(values: npt.NDArray[np.float64]) -> Ring:
    """Reals as fixed point, rounded to FRACTION bits; ValueError beyond +-2**22.

    The limit leaves a product of two such numbers its 63 bits.
    """
    if not np.all(np.abs(values) <= 2.0**22):  # catches nan
        raise ValueError("a value is not a number or exceeds 2**22: scale the layer down")
    return np.rint(values * 2.0**FRACTION).astype(np.int64).view(np.uint64)


def to_reals(values: Ring, products: int = 0) -> npt.NDArray[np.float64]:
    """Fixed point as reals, after so many `products`, each of which adds FRACTION bits."""
    reals: npt.NDArray[np.float64] = values.view(np.int64) / 2.0 ** (FRACTION * (1 + products))
    return reals


def random_ring(shape: tuple[int, ...]) -> Ring:
    """Uniform residues from the system's generator: shares hide only what is unpredictable."""
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(secrets.token_bytes(8 * count), np.uint64).reshape(shape)


def share(secret: Ring) -> tuple[Ring, Ring]:
    """Two shares whose sum is the secret."""
    first = random_ring(secret.shape)
    return first, secret - first


def opened(first: Ring, second: Ring) -> Ring:
    """The secret of two shares."""
    return first + second


def linear(weights: Ring, inputs: Ring) -> Ring:
    """One party's share of x @ weights.T, from its share of x [n, in]; weights [out, in] public."""
    return inputs @ weights.T


def deal(rows: int, inner: int, columns: int) -> tuple[Triple, Triple]:
    """Triples for one product [rows, inner] @ [inner, columns], from a dealer who sees no secret.

    A triple serves once: two products with the same masks give away the difference of the secrets.
    """
    a, b = random_ring((rows, inner)), random_ring((inner, columns))
    (a1, a2), (b1, b2), (c1, c2) = share(a), share(b), share(a @ b)
    return Triple(a1, b1, c1), Triple(a2, b2, c2)


def masked(triple: Triple, left: Ring, right: Ring) -> tuple[Ring, Ring]:
    """What a party tells the other: its shares of both factors, less its masks."""
    return left - triple.a, right - triple.b


def product(triple: Triple, own: tuple[Ring, Ring], other: tuple[Ring, Ring], first: bool) -> Ring:
    """One party's share of left @ right, from what both told; one of the two is the `first`.

    With d = left - a and e = right - b in the open, left @ right = c + d @ b + a @ e + d @ e.
    """
    d, e = own[0] + other[0], own[1] + other[1]
    result = triple.c + d @ triple.b + triple.a @ e
    return result + d @ e if first else result
