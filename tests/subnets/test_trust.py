"""Trust flows from known accounts along mutual vouches, and hardly into made-up groups."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnets.trust import ONE, SUPPLY, flow, mutual, trusted

Vouch = tuple[str, str]


def both(pairs: list[Vouch]) -> list[Vouch]:
    return pairs + [(b, a) for a, b in pairs]


def crowd(rng: random.Random, name: str, people: int, friends: int) -> list[Vouch]:
    """A ring, so that it hangs together, with random vouches across."""
    who = [f"{name}{i}" for i in range(people)]
    ring = list(pairwise([*who, who[0]]))
    across = [(rng.choice(who), rng.choice(who)) for _ in range(people * (friends - 2) // 2)]
    return ring + across


@pytest.mark.parametrize("seed", range(10))
def test_two_hundred_sybils_on_five_vouches_get_less_than_a_twentieth(seed: int) -> None:
    rng = random.Random(seed)
    honest, sybil = crowd(rng, "h", 200, 10), crowd(rng, "s", 200, 10)
    attack = [(f"h{rng.randrange(200)}", f"s{rng.randrange(200)}") for _ in range(5)]
    seeds = [f"h{i}" for i in range(0, 200, 40)]
    vouches = both(honest + sybil + attack)
    found = flow(mutual(vouches), seeds)
    theirs = sum(trust for account, (trust, _) in found.items() if account[0] == "s")
    assert 0 < theirs < SUPPLY // 20
    share = trusted(vouches, seeds)
    of = {kind: sum(m for a, m in share.items() if a[0] == kind) for kind in "hs"}
    assert of["s"] * 8 < of["h"]
    assert sum(share[f"h{i}"] > ONE // 2 for i in range(200)) > 180


def test_making_the_group_larger_or_thicker_gains_little() -> None:
    """What counts is the five vouches that others gave, not what the made-up say of each other."""
    rng = random.Random(1)
    honest = crowd(rng, "h", 200, 10)
    attack = [(f"h{i}", f"s{i}") for i in range(0, 200, 40)]
    seeds = [f"h{i}" for i in range(5, 200, 40)]
    for people, friends in ((200, 10), (2_000, 10), (200, 60)):
        found = flow(mutual(both(honest + attack + crowd(rng, "s", people, friends))), seeds)
        theirs = sum(trust for account, (trust, _) in found.items() if account[0] == "s")
        assert theirs < SUPPLY // 20


def test_who_vouches_alone_gives_and_gets_nothing() -> None:
    assert mutual([("a", "b"), ("b", "a"), ("c", "a"), ("a", "d"), ("e", "e")]) == {
        ("a", "b"),
        ("b", "a"),
    }
    share = trusted([*both([("a", "b")]), ("c", "a"), ("a", "d")], ["a"])
    assert share == {"a": ONE, "b": ONE}


def test_the_friends_of_one_seed_are_trusted_alike() -> None:
    share = trusted(both([("hub", f"f{i}") for i in range(10)]), ["hub"])
    assert min(share.values()) > ONE // 2


def test_without_a_seed_in_the_graph_nobody_but_the_seed_is_trusted() -> None:
    assert trusted(both([("a", "b")]), ["z"]) == {"a": 0, "b": 0, "z": ONE}
    assert trusted([], ["z"]) == {"z": ONE}


NAMES = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(NAMES, NAMES)), st.lists(NAMES, min_size=1))
def test_trust_is_neither_made_nor_lost(vouches: list[Vouch], seeds: list[str]) -> None:
    found = flow(mutual(vouches), seeds)
    whole = sum(trust for trust, _ in found.values())
    known = {seed for seed in seeds if seed in found}
    assert whole == (SUPPLY // len(known) * len(known) if known else 0)
    share = trusted(vouches, seeds)
    assert all(0 <= m <= ONE for m in share.values())
    assert share == trusted(reversed(vouches), reversed(seeds))
