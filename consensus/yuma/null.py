"""The Null epoch: no consensus. The largest staker's weights pay the miners, stake pays dividends.

Activity and permits do not count: only who has most stake. Where its row holds nothing that may
count, all neurons share alike. Both amounts are handed out to the last rao. Bonds stand still.

Upstream: `SubnetEpochConsensus`, pallets/subtensor/src/epoch. Who gets the rao that rounding
leaves is not known from there; here the largest remainders do, of equal ones the lower uid.
"""

from __future__ import annotations

from collections.abc import Sequence

from consensus.yuma.rows import EMPTY, decode_row
from consensus.yuma.scalar import ONE, to_u16
from consensus.yuma.standing import padded, standing
from consensus.yuma.types import EpochOutcome, SubnetEpoch


def winner(stake: Sequence[int]) -> int | None:
    """The uid with most stake, the lowest of equals; None in an empty subnet."""
    return max(range(len(stake)), key=lambda uid: (stake[uid], -uid), default=None)


def apportion(shares: Sequence[int], amount: int) -> tuple[int, ...]:
    """Every share's part of `amount`, floored or one more, together all of it.

    Shares of nothing get nothing; if all are, so does everybody.
    """
    total = sum(shares)
    if not total:
        return (0,) * len(shares)
    parts = [divmod(amount * share, total) for share in shares]
    left = amount - sum(whole for whole, _ in parts)
    first = sorted(range(len(parts)), key=lambda uid: (-parts[uid][1], uid))[:left]
    raised = set(first)
    return tuple(whole + (uid in raised) for uid, (whole, _) in enumerate(parts))


def opinion(subnet: SubnetEpoch, uid: int) -> list[int]:
    """What a validator's row says of every uid, over any sum; one of each if it says nothing.

    Left out are itself (not the subnet's owner), neurons younger than the row and, with
    commit-reveal, neurons younger than its commit.
    """
    registered = padded(subnet.block_at_registration, subnet.n, 0)
    since = padded(subnet.last_update, subnet.n, 0)[uid] - 1
    if subnet.commit_blocks is not None:
        since = min(since, subnet.commit_blocks[uid])
    shares = [0] * subnet.n
    for other, weight in decode_row(padded(subnet.weights, subnet.n, EMPTY)[uid]):
        itself = other == uid != subnet.owner_uid
        if other < subnet.n and not itself and registered[other] <= since:
            shares[other] += weight
    return shares if any(shares) else [1] * subnet.n


def epoch(subnet: SubnetEpoch, miners: int, validators: int) -> EpochOutcome:
    """The outcome of one epoch that has so much for miners and so much for stake (rao).

    Without any stake nothing is paid for it: the caller gives miners what it means to be paid.
    The outcome's bonds are empty and not to be stored.
    """
    who, n = standing(subnet), subnet.n
    best = winner(who.filtered)
    shares = [] if best is None else opinion(subnet, best)
    total = sum(shares)
    incentive = tuple((share << 32) // total for share in shares)
    trust = tuple(ONE if uid == best else 0 for uid in range(n))
    server, validator = apportion(shares, miners), apportion(who.filtered, validators)
    u16s = tuple(map(to_u16, incentive))
    dividends = tuple(map(to_u16, who.stake))
    return EpochOutcome(
        stake=tuple(who.stake),
        active_stake=tuple(who.active_stake),
        consensus=incentive,
        validator_trust=trust,
        incentive=incentive,
        dividends=tuple(who.stake),
        stake_weight_u16=dividends,
        consensus_u16=u16s,
        validator_trust_u16=tuple(map(to_u16, trust)),
        incentive_u16=u16s,
        dividends_u16=dividends,
        active=tuple(not idle for idle in who.inactive[:n]),
        new_permits=tuple(uid == best for uid in range(n)),
        server_emission=server,
        validator_emission=validator,
        combined_emission=tuple(a + b for a, b in zip(server, validator)),
        stake_raw=tuple(s >> 64 for s in who.total),
        bonds=(EMPTY,) * n,
    )
