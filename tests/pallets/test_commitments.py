"""Commitments: permission, space, timelocked fields."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import ALICE, BOB, ROOT, RUNTIME, at_block, fails, last, names, ok, world

from chain import beacon, timelock
from chain.pallets import commitments_store
from chain.pallets.commitments_store import (
    CommitmentOf,
    Error,
    LastBondsReset,
    LastCommitment,
    RevealedCommitments,
    TimelockedIndex,
    UsedSpaceOf,
    purge_netuid,
    purge_neuron,
)
from chain.pallets.commitments_types import (
    BigRaw,
    CommitmentInfo,
    Data,
    ResetBondsFlag,
    RevealFailure,
    Sha256,
    TimelockEncrypted,
    TimelockRevealFailed,
    raw,
    space,
)
from chain.pallets.drand import OldestStoredRound, Pulses
from chain.pallets.subtensor.storage_network import SubnetEpochIndex
from chain.pallets.subtensor.storage_neurons import Uids
from chain.runtime.errors import BadOrigin
from ganglion.scale import DecodeError, codec

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "timelock.json").read_text())
NETUID = 3


def registered(*who):
    s = world()
    for uid, hotkey in enumerate(who):
        s[Uids, NETUID, hotkey] = uid
    return s


def info(*fields) -> CommitmentInfo:
    return CommitmentInfo(fields)


def commit(s, who, *fields):
    ok(s, who, "Commitments.set_commitment", NETUID, info(*fields))


def reveal(s, block):
    at_block(s, block)
    for hook in RUNTIME.by_name["Commitments"].hooks["on_initialize"]:
        hook(s, block)


def sealed(plain: bytes, number: int) -> TimelockEncrypted:
    key = beacon.local_config(0).public_key
    return TimelockEncrypted(timelock.encrypt(key, number, plain, bytes(range(76))), number)


@pytest.mark.parametrize(
    ("field", "encoded"),
    [
        (raw(b""), "01"),
        (raw(b"abc"), "04616263"),
        (raw(bytes(128)), "81" + "00" * 128),
        (Sha256(bytes(32)), "83" + "00" * 32),
        (ResetBondsFlag(), "87"),
        (BigRaw(b"xy"), "88087879"),
        (TimelockEncrypted(b"z", 7), "86047a0700000000000000"),
    ],
)
def test_fields_encode_as_upstream(field, encoded):
    assert codec(Data).encode(field).hex() == encoded
    assert codec(Data).decode(bytes.fromhex(encoded)) == field


@given(st.binary(max_size=128))
def test_raw_data_round_trips(data):
    field = raw(data)
    assert codec(Data).decode(codec(Data).encode(field)) == field
    assert space(field) == len(data)


@given(st.binary(max_size=64))
def test_hostile_fields_raise_decode_errors(data):
    try:
        codec(CommitmentInfo).decode(data)
    except DecodeError:
        return


def test_too_long_fields_do_not_decode():
    for field in (BigRaw(bytes(513)), TimelockEncrypted(bytes(1025), 1)):
        with pytest.raises(DecodeError):
            codec(Data).decode(codec(Data).encode(field))


def test_I157_only_registered_hotkeys_commit():
    s = registered(ALICE)
    path = "Commitments.set_commitment"
    fails(s, Error.AccountNotAllowedCommit, BOB, path, NETUID, info(raw(b"hi")))
    fails(s, Error.AccountNotAllowedCommit, ALICE, path, 4, info(raw(b"hi")))
    commit(s, ALICE, raw(b"hi"))
    found = s[CommitmentOf, NETUID, ALICE]
    assert found.info.fields == (raw(b"hi"),)
    assert found.block == s[LastCommitment, NETUID, ALICE] == 1
    assert names(s) == ["Commitments.Commitment"]


def test_I157_at_most_three_fields():
    s = registered(ALICE)
    many = info(*[raw(b"x")] * 4)
    path = "Commitments.set_commitment"
    fails(s, Error.TooManyFieldsInCommitmentInfo, ALICE, path, NETUID, many)
    fails(
        s,
        Error.TimelockRevealFailedNotAllowed,
        ALICE,
        path,
        NETUID,
        info(TimelockRevealFailed(b"", 1)),
    )


def test_I157_space_is_a_budget_of_the_epoch():
    s = registered(ALICE)
    for _ in range(31):
        commit(s, ALICE, raw(b"small"))
    assert s[UsedSpaceOf, NETUID, ALICE].used_space == 3100
    path = "Commitments.set_commitment"
    fails(s, Error.SpaceLimitExceeded, ALICE, path, NETUID, info(raw(b"x")))
    s[SubnetEpochIndex, NETUID] = 1
    commit(s, ALICE, BigRaw(bytes(512)), BigRaw(bytes(300)))
    assert s[UsedSpaceOf, NETUID, ALICE].used_space == 812
    fails(s, BadOrigin, ALICE, "Commitments.set_max_space", 900)
    ok(s, ROOT, "Commitments.set_max_space", 900)
    fails(s, Error.SpaceLimitExceeded, ALICE, path, NETUID, info(raw(b"x")))


def test_the_bonds_flag_is_remembered():
    s = registered(ALICE)
    commit(s, ALICE, ResetBondsFlag())
    assert s[LastBondsReset, NETUID, ALICE] == 1


needs_bls = pytest.mark.skipif(not timelock.available(), reason="needs the extra `bls`")


@needs_bls
def test_I157_a_clients_ciphertext_opens_when_quicknets_pulse_arrives():
    case = next(c for c in VECTORS["cases"] if c["plain"] and c["round"] == 1000)
    s = registered(ALICE)
    commit(s, ALICE, TimelockEncrypted(bytes.fromhex(case["sealed"]), 1000), raw(b"plain"))
    assert s[TimelockedIndex] == ((NETUID, ALICE),)
    assert last(s, commitments_store.TimelockCommitment).reveal_round == 1000
    reveal(s, 2)
    assert (RevealedCommitments, NETUID, ALICE) not in s
    signature = bytes.fromhex(VECTORS["signatures"]["1000"])
    from chain.pallets.drand_types import Pulse

    s[Pulses, 1000] = Pulse(1000, sha256(signature).digest(), signature)
    reveal(s, 3)
    assert s[RevealedCommitments, NETUID, ALICE] == ((bytes.fromhex(case["plain"]), 3),)
    assert s[CommitmentOf, NETUID, ALICE].info.fields == (raw(b"plain"),)
    assert s[TimelockedIndex] == ()
    assert names(s)[-1] == "Commitments.CommitmentRevealed"


@needs_bls
def test_a_commitment_of_timelocked_fields_alone_goes_when_opened():
    s = registered(ALICE)
    commit(s, ALICE, sealed(b"one", 5), sealed(b"two", 6))
    s[Pulses, 5] = beacon.local_pulse(5)
    reveal(s, 2)
    assert len(s[CommitmentOf, NETUID, ALICE].info.fields) == 1
    assert s[TimelockedIndex] == ((NETUID, ALICE),)
    s[Pulses, 6] = beacon.local_pulse(6)
    reveal(s, 3)
    assert (CommitmentOf, NETUID, ALICE) not in s
    assert [p for p, _ in s[RevealedCommitments, NETUID, ALICE]] == [b"one", b"two"]


@needs_bls
def test_I157_ten_revealed_fields_are_kept():
    s = registered(ALICE)
    s[Pulses, 5] = beacon.local_pulse(5)
    for n in range(12):
        s[SubnetEpochIndex, NETUID] = n
        commit(s, ALICE, sealed(bytes([n + 1]), 5))
        reveal(s, n + 2)
    kept = s[RevealedCommitments, NETUID, ALICE]
    assert [p for p, _ in kept] == [bytes([n + 1]) for n in range(2, 12)]


@needs_bls
@pytest.mark.parametrize(
    ("field", "failure"),
    [
        (TimelockEncrypted(b"junk", 5), RevealFailure.CiphertextDeserialize),
        (TimelockEncrypted(sealed(b"x", 6).encrypted, 5), RevealFailure.Decrypt),
        (sealed(b"", 5), RevealFailure.EmptyPlaintext),
        (sealed(b"x", 4), RevealFailure.PulseExpired),
    ],
    ids=lambda v: v.name if isinstance(v, RevealFailure) else "",
)
def test_fields_that_never_open_are_marked(field, failure):
    s = registered(ALICE)
    commit(s, ALICE, field)
    s[Pulses, 5] = beacon.local_pulse(5)
    s[OldestStoredRound] = 5
    reveal(s, 2)
    event = last(s, commitments_store.CommitmentRevealFailed)
    assert event.error is failure
    marked = TimelockRevealFailed(field.encrypted, field.reveal_round)
    assert s[CommitmentOf, NETUID, ALICE].info.fields == (marked,)
    assert s[TimelockedIndex] == ()
    assert (RevealedCommitments, NETUID, ALICE) not in s


def test_leaving_neurons_and_subnets_take_their_commitments_along():
    s = registered(ALICE, BOB)
    for who in (ALICE, BOB):
        commit(s, who, TimelockEncrypted(b"later", 9))
    purge_neuron(s, NETUID, ALICE)
    assert (CommitmentOf, NETUID, ALICE) not in s
    assert s[TimelockedIndex] == ((NETUID, BOB),)
    purge_netuid(s, NETUID)
    assert (UsedSpaceOf, NETUID, BOB) not in s
    assert s[TimelockedIndex] == ()
