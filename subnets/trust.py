"""How far each account is trusted, from who vouches for whom, starting at accounts one knows.

In each of about 2 log2(n) steps half of what an account holds stays, and the rest leaves over its
mutual vouches in equal parts (half stays because trust would swing in a graph of two sides). So
many steps are enough to spread through a group in which everybody is a few vouches from
everybody, and too few to fill a group that hangs on it by a few (SybilRank: Cao, Sirivianos,
Yang, Pregueiro, 2012). However many identities somebody makes, and however they vouch for each
other, what they get in sum is bounded by the vouches that others gave them.

In integers, so that two validators with the same seeds agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

ONE = 1 << 16
"""Full trust."""

SUPPLY = 1 << 50
"""What the seeds start with together; a share of it is never rounded to nothing."""

QUARTER = 4

Ints = npt.NDArray[np.int64]


def mutual(vouches: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Both directions of every pair that vouches for each other; nobody vouches for himself."""
    given = {(one, other) for one, other in vouches if one != other}
    return {(one, other) for one, other in given if (other, one) in given}


def flow(edges: set[tuple[str, str]], seeds: Iterable[str]) -> dict[str, tuple[int, int]]:
    """(trust, vouches) of every account that has a mutual vouch; no seed among them, no trust."""
    accounts = sorted({one for one, _ in edges})
    number = {account: i for i, account in enumerate(accounts)}
    known = sorted({number[seed] for seed in seeds if seed in number})
    trust = np.zeros(len(accounts), np.int64)
    if not known:
        return dict.fromkeys(accounts, (0, 0))
    ends = np.array([(number[one], number[other]) for one, other in sorted(edges)], np.int64)
    degree: Ints = np.bincount(ends[:, 0], minlength=len(accounts))
    trust[known] = SUPPLY // len(known)
    for _ in range(2 * (len(accounts) - 1).bit_length()):
        passed = trust // (2 * degree)
        trust -= passed * degree
        np.add.at(trust, ends[:, 1], passed[ends[:, 0]])
    return {a: (int(t), int(d)) for a, t, d in zip(accounts, trust, degree)}


def shares(found: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """What to multiply an account's score by, 0 .. ONE, from what `flow` found.

    Accounts compare by trust a vouch, which is even where trust has spread. Full trust has
    whoever is no lower than the quarter of all trust that lies lowest: an attacker cannot move
    that mark by accounts that hold little trust, however many.
    """
    level = {account: trust // max(degree, 1) for account, (trust, degree) in found.items()}
    whole, below = sum(trust for trust, _ in found.values()), 0
    mark = 0
    for account in sorted(level, key=lambda a: (level[a], a)):
        below += found[account][0]
        mark = level[account]
        if below * QUARTER >= whole:
            break
    if not mark:
        return dict.fromkeys(level, 0)
    return {account: min(ONE, own * ONE // mark) for account, own in level.items()}


def trusted(vouches: Iterable[tuple[str, str]], seeds: Iterable[str]) -> dict[str, int]:
    """The multiplier of every account, 0 .. ONE; a seed has full trust, strangers are left out."""
    seeds = list(seeds)
    return shares(flow(mutual(vouches), seeds)) | dict.fromkeys(seeds, ONE)
