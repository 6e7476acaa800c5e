"""Random small subnets that visit every path of the epoch, and the corners between them."""

from __future__ import annotations

from random import Random

from consensus.yuma.rows import EMPTY, encode_row
from consensus.yuma.types import NO_COMMIT, SubnetEpoch

NOW = 10_000
TEMPO = 100
U64_MAX = (1 << 64) - 1


def weight(r: Random) -> int:
    kind = r.random()
    if kind < 0.15:
        return 0
    if kind < 0.3:
        return r.choice((1, 2, 65_535, 65_534))
    return r.randrange(65_536)


def rows(r: Random, n: int, *, unsorted: bool, beyond: bool, agree: list[int]) -> list[bytes]:
    """One row per uid; `agree` holds weights most validators nearly share."""
    result = []
    density = r.choice((0.3, 0.8, 1.0))
    for _ in range(n):
        if r.random() < 0.15:
            result.append(EMPTY)
            continue
        uids = [j for j in range(n + 3 if beyond else n) if r.random() < density]
        if unsorted and r.random() < 0.6:
            r.shuffle(uids)
        like = r.random() < 0.6
        result.append(
            encode_row(
                (j, min(65_535, agree[j] + r.randrange(3)) if like and j < n else weight(r))
                for j in uids
            )
        )
    return result[: r.randrange(n + 1)] if r.random() < 0.03 else result


def stakes(r: Random, n: int) -> list[int]:
    kind = r.random()
    if kind < 0.05:
        return [0] * n
    if kind < 0.15:
        return [10**9] * n
    if kind < 0.2:
        return [r.choice((0, 1, 2)) for _ in range(n)]
    if kind < 0.23:
        return [r.choice((0, 1, U64_MAX, 1 << 63, (1 << 63) - 1)) for _ in range(n)]
    return [0 if r.random() < 0.3 else r.randrange(1, 10 ** r.randrange(1, 16)) for _ in range(n)]


def blocks(r: Random, n: int, oldest: int, rare: float) -> list[int]:
    edge = (NOW, NOW - TEMPO, NOW - TEMPO + 1, NOW - TEMPO - 1, NOW - 1389, NOW - 1388, NOW + 5, 0)
    return [r.choice(edge) if r.random() < rare else r.randrange(oldest, NOW) for _ in range(n)]


def subnet(r: Random, n: int | None = None) -> SubnetEpoch:
    """A subnet with a random handful of unusual circumstances."""
    n = r.choice((1, 2, 3, 4, 5, 6, 8)) if n is None else n
    rare = r.choice((0.0, 0.0, 0.1, 0.5))
    agree = [weight(r) for _ in range(n)]
    permits = r.choice((0.3, 0.8, 1.0))

    def maybe(chance: float, yes: object, no: object) -> object:
        return yes if r.random() < chance else no

    commit = None
    if r.random() < 0.25:
        commit = [r.choice((NO_COMMIT, *blocks(r, 3, 8000, 0.3))) for _ in range(n)]
    low, high = sorted((r.randrange(65_536), r.randrange(65_536)))
    seen = n + r.randrange(-2, 3) if r.random() < 0.05 else n
    steepness = (1000, 1000, 0, -1000, 32_767, -32_768, r.randrange(-999, 999))
    fields = {
        "n": n,
        "current_block": maybe(0.05, r.choice((0, 50)), NOW),
        "last_update": blocks(r, max(0, seen), 8700, rare),
        "block_at_registration": blocks(r, n, 100 if rare else 8000, rare),
        "alpha_stake": stakes(r, n),
        "tao_stake": stakes(r, n) if r.random() < 0.3 else [0] * n,
        "validator_permits": [r.random() < permits for _ in range(n)],
        "weights": rows(r, n, unsorted=r.random() < 0.3, beyond=r.random() < 0.1, agree=agree),
        "bonds": rows(r, n, unsorted=r.random() < 0.2, beyond=r.random() < 0.1, agree=agree),
        "tempo": maybe(0.05, r.choice((0, 1, 65_535)), TEMPO),
        "last_mechanism_step_block": maybe(0.5, NOW - TEMPO, r.choice((0, 0, 1, NOW))),
        "tao_weight": r.choice((0, 971718665099567868, U64_MAX)),
        "stake_threshold": maybe(0.2, r.choice((1, 10**6, 10**12)), 0),
        "owner_uid": r.randrange(n + 1) if n and r.random() < 0.4 else None,
        "max_allowed_validators": r.choice((0, 1, 2, n, n + 5, 128, 128)),
        "kappa": r.choice((32_767, 32_767, 0, 1, 65_535, r.randrange(65_536))),
        "bonds_penalty": r.choice((65_535, 65_535, 0, r.randrange(65_536), 1, 65_534)),
        "bonds_moving_average": r.choice((900_000, 0, 1, 1_000_000, r.randrange(1_000_001))),
        "yuma3_on": r.random() < 0.6,
        "liquid_alpha_on": r.random() < 0.6,
        "alpha_low": maybe(0.5, 45_875, low),
        "alpha_high": maybe(0.5, 58_982, high),
        "alpha_sigmoid_steepness": r.choice(steepness),
        "liquid_consensus": maybe(0.3, [weight(r) for _ in range(seen)], None),
        "commit_blocks": commit,
        "rao_emission": r.choice((10**9, 0, 1, 2, U64_MAX, 41_000_000_000_123)),
    }
    return SubnetEpoch(**fields)  # type: ignore[arg-type]
