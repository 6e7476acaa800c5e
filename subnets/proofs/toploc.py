"""Activation fingerprints in TOPLOC's format: 258 bytes for 32 tokens.

A chunk is the flattened final hidden states of up to 32 tokens as bfloat16 patterns. Its proof
is the polynomial through (index mod m, pattern) of the values of largest magnitude, 128 for a
full chunk, where m is the largest modulus up to 65,497 that keeps their indices apart: m, then
the coefficients, as big-endian u16. A verifier with its own states evaluates the polynomial at
its own top indices and compares exponents and mantissas.

Rules of this codec beyond the format: equal magnitudes are ordered by index; a chunk of fewer
tokens takes four values a token, so that it does not reach down to small, noisy values; a proof
of any other length, modulus or residue than one this codec can produce is refused before
arithmetic; the sign of a value counts (it is compared with the exponent).

Source: TOPLOC (arXiv 2501.16007) and its published format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from subnets.proofs.field import PRIME, Ints, evaluate, interpolate

CHUNK = 32
TOP = 128
MIN_MODULUS = 1 << 15

Patterns = npt.NDArray[np.uint16]


class BadProof(ValueError):
    """A fingerprint that no honest prover can have made; the message says why."""


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a proof lies from the verifier's own states, for one chunk.

    `exponents` counts values whose sign or exponent differs; the mantissa errors, in thousandths
    of the last place, are over the values whose exponents agree.
    """

    exponents: int
    mantissa_mean: int
    mantissa_median: int
    points: int


def chunks_for(tokens: int) -> int:
    """Proofs that `tokens` generated tokens carry."""
    return -(-tokens // CHUNK)


def points_for(states: Patterns) -> int:
    """Values that the proof of a chunk of states [tokens, hidden] is made of."""
    return min(TOP * len(states) // CHUNK, states.size)


def top_indices(flat: Patterns, count: int) -> Ints:
    """Indices of the `count` largest magnitudes, largest first, ties by index."""
    magnitude = flat & 0x7FFF
    least = np.partition(magnitude, -count)[-count]
    candidates = np.flatnonzero(magnitude >= least)
    order = np.argsort(-magnitude[candidates].astype(np.int64), kind="stable")
    return candidates[order[:count]].astype(np.int64)


def find_modulus(indices: Ints) -> int:
    """The largest m <= PRIME modulo which the indices differ; BadProof if there is none."""
    for modulus in range(PRIME, MIN_MODULUS, -1):
        if len(np.unique(indices % modulus)) == len(indices):
            return modulus
    raise BadProof("no modulus keeps the indices of this chunk apart: report the states' shape")


def chosen(states: Patterns) -> tuple[int, Ints, Ints]:
    """Modulus, reduced indices and patterns that the proof of states [tokens, hidden] is made of.

    BadProof if a value is not finite.
    """
    flat = states.reshape(-1)
    if ((flat & 0x7F80) == 0x7F80).any():
        raise BadProof("the hidden states hold an infinity or NaN: the engine is broken")
    indices = top_indices(flat, points_for(states))
    modulus = find_modulus(indices)
    return modulus, indices % modulus, flat[indices].astype(np.int64)


def build(states: Patterns) -> tuple[bytes, ...]:
    """Proofs of the states [tokens, hidden] from which `tokens` tokens were drawn.

    BadProof if a value is not finite. Chunks of one size are interpolated together.
    """
    made = [chosen(states[at : at + CHUNK]) for at in range(0, len(states), CHUNK)]
    proofs: list[bytes] = []
    for _, alike in groupby(made, key=lambda chunk: len(chunk[1])):
        moduli, x, y = (np.array(column) for column in zip(*alike))
        words = np.concatenate([moduli[:, None], interpolate(x, y)], 1).astype(">u2")
        proofs += [line.tobytes() for line in words]
    return tuple(proofs)


def parse_chunk(proof: bytes, points: int) -> tuple[int, Ints]:
    """Modulus and coefficients of a proof over `points` values; BadProof for anything odd."""
    if len(proof) != 2 + 2 * points:
        raise BadProof(f"a fingerprint of {points} values has {2 + 2 * points} bytes, "
                       f"not {len(proof)}")  # fmt: skip
    words = np.frombuffer(proof, ">u2").astype(np.int64)
    modulus, coefficients = int(words[0]), words[1:]
    if not MIN_MODULUS < modulus <= PRIME:
        raise BadProof(f"the modulus {modulus} is outside {MIN_MODULUS + 1}..{PRIME}")
    if coefficients.max() >= PRIME:
        raise BadProof(f"the coefficient {coefficients.max()} is no residue modulo {PRIME}")
    return modulus, coefficients


def distances(claimed: Ints, own: Ints) -> list[Distance]:
    """Distances of the values [chunks, points] that proofs claim from the verifier's own."""
    points = own.shape[1]
    agree = (claimed >> 7) == (own >> 7)
    errors = np.where(agree, np.abs((claimed & 0x7F) - (own & 0x7F)), 0)
    sums, counts = errors.sum(1).tolist(), agree.sum(1).tolist()
    errors[~agree] = 1 << 8  # behind all that count
    errors.sort(1)
    found = []
    for total, count, line in zip(sums, counts, errors):
        if count:
            mean, median = total * 1000 // count, int(line[(count - 1) // 2]) * 1000
        else:
            mean = median = 128_000
        found.append(Distance(points - count, mean, median, points))
    return found


def compare(proofs: Sequence[bytes], states: Patterns) -> tuple[Distance, ...]:
    """Distances of all chunks; BadProof unless the count is exactly that of the tokens.

    Chunks of one size are evaluated together.
    """
    if len(proofs) != chunks_for(len(states)):
        raise BadProof(f"{len(states)} tokens carry {chunks_for(len(states))} fingerprints, "
                       f"not {len(proofs)}")  # fmt: skip
    read = []
    for proof, at in zip(proofs, range(0, len(states), CHUNK)):
        flat = states[at : at + CHUNK].reshape(-1)
        indices = top_indices(flat, points_for(states[at : at + CHUNK]))
        modulus, coefficients = parse_chunk(proof, len(indices))
        read.append((coefficients, indices % modulus, flat[indices].astype(np.int64)))
    found: list[Distance] = []
    for _, alike in groupby(read, key=lambda chunk: len(chunk[1])):
        polynomials, x, own = (np.array(column) for column in zip(*alike))
        found += distances(evaluate(polynomials, x), own)
    return tuple(found)
