"""Reports: the medians of what most of the stake saw, whatever a third of it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from town import NET
from world import ALICE, EVE, at_block, fails, names, ok, world

from chain.pallets.reports import (
    Deviation,
    Error,
    Heartbeat,
    MaxAge,
    MaxObservers,
    MinGap,
    Reports,
    StaleAfter,
    standing,
)
from chain.pallets.subtensor.epoch import packed_u16
from chain.pallets.subtensor.storage_network import NetworksAdded
from chain.pallets.subtensor.storage_neurons import (
    BlockAtRegistration,
    StakeWeight,
    Uids,
    ValidatorPermit,
)
from chain.pallets.system import BlockHash
from chain.runtime.types import Ed25519, Sr25519
from ganglion.keys import CryptoType, Keypair
from ganglion.units import AccountId, BlockNumber, Hash, Uid
from ganglion.wire.fields import BadMessage
from ganglion.wire.observations import Observation, Quality, SignedObservation, read, sign

GENESIS = b"g" * 32
VALIDATORS = [Keypair.from_uri(f"//V{i}") for i in range(4)]
NOW = 1_000
GOOD = Quality(5, 9_900, 40, 30_000, 2_000)


def subnet(stakes=(100, 100, 100, 100)):
    s = world(block=NOW)
    s[NetworksAdded, NET] = True
    s[BlockHash, BlockNumber(0)] = Hash(GENESIS)
    for uid, key in enumerate(VALIDATORS):
        s[Uids, NET, AccountId(key.public_key)] = Uid(uid)
    s[StakeWeight, NET] = packed_u16([*stakes, 0, 0, 0])
    s[ValidatorPermit, NET] = bytes([1, 1, 1, 1, 0, 0, 0])
    return s


def saw(index, *miners, round_=NOW, key=None, **change):
    made = Observation(GENESIS, NET, VALIDATORS[index].public_key, round_, miners or (GOOD,))
    return signed(replace(made, **change), key or VALIDATORS[index])


def signed(made, key):
    kind = Ed25519 if key.crypto is CryptoType.ED25519 else Sr25519
    return made, kind(key.sign(made.signing_hash()))


def three(**change):
    return [saw(i, **change) for i in range(3)]


def test_one_extrinsic_keeps_the_medians_of_a_round():
    s = subnet()
    miners = [replace(GOOD, first_token_ms=ms) for ms in (38, 40, 44, 300)]
    ok(s, EVE, "Reports.report", NET, [saw(i, m) for i, m in enumerate(miners)])
    assert names(s) == ["Reports.Reported"]
    found = standing(s, NET)
    assert found.report.miners == (replace(GOOD, first_token_ms=44),)
    assert (found.report.round, found.report.at, found.report.observers) == (NOW, NOW, 4)
    assert not found.stale
    at_block(s, NOW + StaleAfter.value)
    assert not standing(s, NET).stale
    at_block(s, NOW + StaleAfter.value + 1)
    assert standing(s, NET).stale


@given(
    st.lists(st.integers(1, 2**16 - 1), min_size=4, max_size=4),
    st.lists(st.integers(0, 2**32 - 1), min_size=4, max_size=4),
    st.data(),
)
def test_while_less_than_a_third_of_the_stake_lies_medians_are_of_the_honest(stakes, said, data):
    """f of 3f + 1, in stake: whoever lies, and whoever of the honest is heard."""
    order = data.draw(st.permutations(range(4)))
    liars: set[int] = set()
    for i in order:
        if sum(stakes[j] for j in liars | {i}) * 3 < sum(stakes):
            liars.add(i)
    heard = [i for i in range(4) if i in liars or data.draw(st.booleans())]
    s = subnet(stakes)
    observations = [saw(i, replace(GOOD, speed=said[i])) for i in heard]
    if sum(stakes[i] for i in heard) * 3 <= sum(stakes) * 2:
        fails(s, Error.NoQuorum if heard else Error.NoObservations, EVE, "Reports.report", NET,
              observations)  # fmt: skip
        return
    ok(s, EVE, "Reports.report", NET, observations)
    honest = [said[i] for i in heard if i not in liars]
    (miner,) = s[Reports, NET].miners
    assert min(honest) <= miner.speed <= max(honest)


def test_a_miner_that_too_few_have_seen_or_that_came_in_the_round_is_left_out():
    s = subnet()
    s[BlockAtRegistration, NET, Uid(6)] = NOW + 1
    other, late = replace(GOOD, uid=4), replace(GOOD, uid=6)
    ok(s, EVE, "Reports.report", NET,
       [saw(0, other, GOOD, late), saw(1, GOOD, late), saw(2, GOOD, late)])  # fmt: skip
    assert [m.uid for m in s[Reports, NET].miners] == [5]
    s[BlockAtRegistration, NET, Uid(5)] = NOW + 3  # another miner has the uid now
    assert standing(s, NET).report.miners == ()


@pytest.mark.parametrize(
    ("observations", "error"),
    [
        ([], Error.NoObservations),
        ([saw(0)] * (MaxObservers.value + 1), Error.NoObservations),
        (three()[:2], Error.NoQuorum),
        ([saw(0), saw(1), saw(1)], Error.SeenTwice),
        ([*three()[:2], saw(2, key=VALIDATORS[3])], Error.BadSignature),
        ([*three()[:2], saw(2, genesis=b"h" * 32)], Error.OtherSubject),
        ([*three()[:2], saw(2, netuid=2)], Error.OtherSubject),
        ([*three()[:2], saw(2, round_=NOW - 1)], Error.OtherSubject),
        ([*three()[:2], saw(2, GOOD, GOOD)], Error.Disorderly),
        ([*three()[:2], saw(2, GOOD, replace(GOOD, uid=4))], Error.Disorderly),
        ([*three()[:2], saw(2, replace(GOOD, answered=10_001))], Error.Disorderly),
        (three(round_=NOW + 1), Error.WrongRound),
        (three(round_=NOW - MaxAge.value - 1), Error.WrongRound),
    ],
)
def test_what_is_no_report_changes_nothing(observations, error):
    fails(subnet(), error, EVE, "Reports.report", NET, observations)


def test_only_permits_are_heard():
    s = subnet()
    s[ValidatorPermit, NET] = bytes([1, 1, 0, 1, 0, 0, 0])
    fails(s, Error.NoPermit, EVE, "Reports.report", NET, three())
    ok(s, EVE, "Reports.report", NET, [saw(0), saw(1), saw(3)])
    s = subnet(stakes=(0, 0, 0, 0))
    fails(s, Error.NoPermit, EVE, "Reports.report", NET, three())
    s = subnet()
    fails(s, Error.UnknownSubnet, ALICE, "Reports.report", 77, three())


def test_news_before_the_heartbeat_must_be_news():
    s = subnet()
    ok(s, EVE, "Reports.report", NET, three())
    at_block(s, NOW + MinGap.value - 1)
    fails(s, Error.TooSoon, EVE, "Reports.report", NET, three(round_=NOW + 1))
    at_block(s, NOW + MinGap.value)
    again = three(round_=NOW + MinGap.value)
    fails(s, Error.WrongRound, EVE, "Reports.report", NET, three())
    fails(s, Error.NothingNew, EVE, "Reports.report", NET, again)
    step = GOOD.speed * Deviation.value // 1000
    near, far = (replace(GOOD, speed=GOOD.speed - step - more) for more in (0, 1))
    at = NOW + MinGap.value
    fails(s, Error.NothingNew, EVE, "Reports.report", NET,
          [saw(i, near, round_=at) for i in range(3)])  # fmt: skip
    ok(s, EVE, "Reports.report", NET, [saw(i, far, round_=at) for i in range(3)])
    later = at + Heartbeat.value
    at_block(s, later)
    ok(s, EVE, "Reports.report", NET, [saw(i, far, round_=later) for i in range(3)])


@given(st.binary(max_size=300))
def test_a_strangers_bytes_are_an_observation_or_a_sentence(body):
    with pytest.raises(BadMessage):
        read(body)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_no_byte_of_a_signed_observation_can_be_changed(at, flip):
    made = sign(saw(0, GOOD, replace(GOOD, uid=7))[0], VALIDATORS[0])
    body = bytearray(made.to_bytes())
    assert read(bytes(body)) == made
    body[at % len(body)] ^= flip
    try:
        found = read(bytes(body))
    except BadMessage:
        return
    assert found == made  # another spelling of the same
    assert isinstance(found, SignedObservation)
