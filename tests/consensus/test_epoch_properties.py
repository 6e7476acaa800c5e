"""What holds of every epoch: nobody is paid from nowhere, and a uid is only a name."""

from dataclasses import replace
from random import Random

import pytest
import yuma_cases

from consensus.economics.children import Stake
from consensus.economics.dividends import after_take, distribution
from consensus.yuma import engine
from consensus.yuma.rows import decode_row, encode_row
from consensus.yuma.types import SubnetEpoch
from ganglion.fixed import U64_MAX

CASES = 1_500
NUMBERS_BY_UID = (
    "stake",
    "active_stake",
    "consensus",
    "validator_trust",
    "incentive",
    "dividends",
    "stake_weight_u16",
    "consensus_u16",
    "validator_trust_u16",
    "incentive_u16",
    "dividends_u16",
    "active",
    "new_permits",
    "server_emission",
    "validator_emission",
    "combined_emission",
    "stake_raw",
)


@pytest.mark.parametrize("part", range(4))
def test_an_epoch_pays_no_more_than_was_pending(part):
    paid = 0
    for i in range(CASES // 4):
        subnet = yuma_cases.subnet(Random(f"pending/{part}/{i}"))
        outcome = engine.epoch(subnet)
        by_kind = sum(outcome.server_emission) + sum(outcome.validator_emission)
        assert by_kind <= subnet.rao_emission, f"pending/{part}/{i}"
        assert sum(outcome.combined_emission) <= subnet.rao_emission, f"pending/{part}/{i}"
        paid += by_kind > 0
    assert paid > CASES // 8


def test_shares_of_validators_and_root_are_no_more_than_was_pending():
    for i in range(CASES):
        r = Random(f"shares/{i}")
        keys = range(r.randrange(1, 9))
        limit = 10 ** r.randrange(1, 19)
        dividends = {k: r.choice((0, r.randrange(limit))) << 32 for k in keys}
        stakes = {k: Stake(r.randrange(limit), r.choice((0, r.randrange(limit)))) for k in keys}
        pending = r.choice((0, 1, r.randrange(limit), U64_MAX)), r.randrange(limit)
        parts = distribution(
            dividends,
            stakes,
            validator_alpha=pending[0],
            root_alpha=pending[1],
            tao_weight=r.randrange(1 << 32),
        )
        take = r.randrange((1 << 32) + 1)
        for each, available in zip(parts, pending):
            assert sum(sum(after_take(take, amount)) for amount in each.values()) <= available


def ordinary(r: Random) -> SubnetEpoch:
    """A subnet of the usual kind, whose rows ascend and whose stakes differ."""
    subnet = yuma_cases.subnet(r, n=r.randrange(2, 9))
    n = subnet.n
    return replace(
        subnet,
        alpha_stake=[1_000 * stake for stake in r.sample(range(1, 10**6), n)],
        tao_stake=[0] * n,
        last_update=[r.randrange(8_700, 10_000) for _ in range(n)],
        weights=whole(subnet.weights, n),
        bonds=whole(subnet.bonds, n),
        liquid_consensus=subnet.liquid_consensus and [*subnet.liquid_consensus, *[0] * n][:n],
    )


def whole(rows, n):
    """A row for every uid, ascending, of no other uids."""
    sound = [encode_row(sorted(p for p in decode_row(row) if p[0] < n)) for row in rows]
    return [*sound, *[b""] * n][:n]


def renamed(subnet: SubnetEpoch, new_uid: list[int]) -> SubnetEpoch:
    """The same subnet in which uid i is called new_uid[i]."""
    return replace(
        subnet,
        owner_uid=None
        if subnet.owner_uid is None
        else [*new_uid, subnet.owner_uid][min(subnet.owner_uid, subnet.n)],
        weights=rows_renamed(subnet.weights, new_uid),
        bonds=rows_renamed(subnet.bonds, new_uid),
        commit_blocks=subnet.commit_blocks and moved(subnet.commit_blocks, new_uid),
        liquid_consensus=subnet.liquid_consensus and moved(subnet.liquid_consensus, new_uid),
        **{
            name: moved(getattr(subnet, name), new_uid)
            for name in (
                "last_update",
                "block_at_registration",
                "alpha_stake",
                "tao_stake",
                "validator_permits",
            )
        },
    )


def moved(values, new_uid):
    placed = [None] * len(new_uid)
    for old, new in enumerate(new_uid):
        placed[new] = values[old]
    return placed


def rows_renamed(rows, new_uid):
    named = [encode_row(sorted((new_uid[j], value) for j, value in decode_row(r))) for r in rows]
    return moved(named, new_uid)


@pytest.mark.parametrize("part", range(4))
def test_the_order_of_neurons_does_not_matter(part):
    incentives = 0
    for i in range(CASES // 4):
        r = Random(f"order/{part}/{i}")
        subnet = ordinary(r)
        new_uid = r.sample(range(subnet.n), subnet.n)
        before, after = engine.epoch(subnet), engine.epoch(renamed(subnet, new_uid))
        for name in NUMBERS_BY_UID:
            wanted = tuple(moved(getattr(before, name), new_uid))
            assert getattr(after, name) == wanted, f"order/{part}/{i}: {name}"
        assert list(after.bonds) == rows_renamed(before.bonds, new_uid), f"order/{part}/{i}"
        incentives += any(before.incentive)
    assert incentives > CASES // 16
