"""The fingerprint codec: honest proofs match, malformed ones are refused, ties are canonical."""

import random
from collections import Counter
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toploc_cases import SEEDS, recorded, states

from subnets.proofs import field, toploc
from subnets.proofs.toploc import BadProof


def patterns(seed: int, tokens: int = 32, hidden: int = 128) -> toploc.Patterns:
    values = np.random.default_rng(seed).normal(size=(tokens, hidden)).astype(np.float32)
    return (values.view(np.uint32) >> 16).astype(np.uint16)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 70))
def test_own_states_are_at_distance_zero(seed: int, tokens: int) -> None:
    states = patterns(seed, tokens)
    proofs = toploc.build(states)
    full, rest = divmod(tokens, 32)
    assert [len(p) for p in proofs] == [258] * full + [2 + 8 * rest] * (rest > 0)
    for distance in toploc.compare(proofs, states):
        assert (distance.exponents, distance.mantissa_mean, distance.mantissa_median) == (0, 0, 0)


def test_large_indices_wrap_around_the_modulus() -> None:
    states = patterns(3, 32, 4096)  # 131,072 values, twice the modulus
    assert toploc.compare(toploc.build(states), states)[0].exponents == 0


def test_other_states_are_far_away() -> None:
    distance = toploc.compare(toploc.build(patterns(1)), patterns(2))[0]
    assert distance.exponents > 100


def test_a_flipped_sign_and_a_nudged_mantissa_are_counted() -> None:
    states = patterns(4)
    changed = states.copy().reshape(-1)
    order = toploc.top_indices(changed, 128)
    changed[order[0]] ^= 0x8000
    changed[order[1]] ^= 0x0001
    distance = toploc.compare(toploc.build(states), changed.reshape(states.shape))[0]
    assert distance.exponents == 1
    assert distance.mantissa_mean == 1000 // 127


def test_ties_are_ordered_by_index() -> None:
    flat = np.full(300, 0x3F80, np.uint16)
    flat[200] = 0x4000
    assert toploc.top_indices(flat, 128).tolist() == [200, *range(127)]


def test_short_chunks_take_four_values_a_token() -> None:
    states = patterns(5, 3, 64)
    assert len(toploc.build(states)[0]) == 2 + 2 * 12
    assert toploc.compare(toploc.build(states), states)[0].points == 12


def test_broken_states_are_never_signed() -> None:
    states = patterns(6)
    states[0, 0] = 0x7F80
    with pytest.raises(BadProof, match="infinity or NaN"):
        toploc.build(states)


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        (b"", "has 258 bytes"),
        (b"\0" * 258, "modulus 0"),
        ((1 << 15).to_bytes(2, "big") + b"\0" * 256, "modulus 32768"),
        (b"\xff\xff" + b"\0" * 256, "modulus 65535"),
        ((65_497).to_bytes(2, "big") + b"\xff\xff" * 128, "no residue"),
        (b"\0" * 260, "has 258 bytes"),
    ],
)
def test_the_killers_of_other_codecs_are_refused(proof: bytes, reason: str) -> None:
    with pytest.raises(BadProof, match=reason):
        toploc.compare((proof,), patterns(7))


def test_the_count_is_checked_before_any_arithmetic() -> None:
    for proofs in ((), (b"",) * 2, (b"\0" * 258,) * 100):
        with pytest.raises(BadProof, match="carry 1 fingerprints"):
            toploc.compare(proofs, patterns(8))


@pytest.mark.parametrize("seed", SEEDS)
def test_proofs_equal_the_toploc_packages(seed: int) -> None:
    assert toploc.build(states(seed)) == (recorded()[seed],)


def test_a_hundred_thousand_malformed_proofs_are_refused_or_far() -> None:
    """Noise, and honest proofs cut, lengthened or with words overwritten: most of them of the
    right form, so that the arithmetic is reached. Nothing but BadProof may escape."""
    rng = random.Random(20)
    honest, own = [toploc.build(patterns(seed))[0] for seed in range(50)], patterns(99)
    counts: Counter[str] = Counter()
    for _ in range(1000):
        batch = [malformed(rng, honest) for _ in range(100)]
        counts.update(judged(batch, np.tile(own, (100, 1))))
    assert counts.total() == 100_000
    assert counts["accepted"] == 0
    assert min(counts["refused"], counts["far"]) > 20_000, counts


def malformed(rng: random.Random, honest: list[bytes]) -> bytes:
    words = bytearray(rng.choice(honest))
    match rng.randrange(5):
        case 0:
            return rng.randbytes(rng.choice((0, 1, 2, 257, 258, 259, 516)))
        case 1:
            return bytes(words[: rng.randrange(len(words))])
        case 2:
            return bytes(words) + rng.randbytes(rng.randrange(1, 9))
        case 3:
            words[:2] = rng.randbytes(2)
        case 4:
            for _ in range(rng.randrange(1, 40)):
                at = 2 * rng.randrange(1, 129)
                words[at : at + 2] = rng.choice((b"\0\0", b"\xff\xd8", rng.randbytes(2)))
    return bytes(words)


def judged(batch: list[bytes], states: toploc.Patterns) -> Counter[str]:
    """Outcomes of many chunks: those of the right form go through the arithmetic together."""
    formed, refused = [], 0
    for proof in batch:
        try:
            toploc.parse_chunk(proof, 128)
            formed.append(proof)
        except BadProof:
            refused += 1
    found = toploc.compare(formed, states[: 32 * len(formed)]) if formed else ()
    far = sum(one.exponents > 64 for one in found)
    return Counter(refused=refused, far=far, accepted=len(found) - far)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.binary(min_size=258, max_size=258)))
def test_malformed_proofs_are_refused_or_far(proof: bytes) -> None:
    with suppress(BadProof):
        assert toploc.compare((proof,), patterns(9))[0].exponents > 64


@given(st.lists(st.integers(0, field.PRIME - 1), min_size=1, max_size=40, unique=True), st.data())
def test_interpolation_goes_through_its_points(x: list[int], data: st.DataObject) -> None:
    values = st.lists(st.integers(0, field.PRIME - 1), min_size=len(x), max_size=len(x))
    y = np.array(data.draw(values))
    coefficients = field.interpolate(np.array(x), y)
    assert np.array_equal(field.evaluate(coefficients, np.array(x)), y)
