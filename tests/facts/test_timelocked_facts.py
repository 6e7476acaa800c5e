"""Facts about timelocked commits (D62 to D66), each under its number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from subnet_bench import (
    NET,
    at,
    bench,
    events,
    fails,
    hotkey,
    next_epoch,
    ok,
    permit,
    updated,
    weights_of,
)

from chain import timelock
from chain.beacon import SECRET, local_pulse
from chain.pallets.drand import Pulses
from chain.pallets.drand_types import Pulse
from chain.pallets.subtensor.clock import is_epoch_due
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.events_weights import (
    TimelockedWeightsCommitted,
    TimelockedWeightsRevealed,
    WeightsSet,
)
from chain.pallets.subtensor.neurons import storage_index
from chain.pallets.subtensor.storage_commits import TimelockedWeightCommits
from chain.pallets.subtensor.storage_hyperparameters import (
    CommitRevealWeightsEnabled,
    CommitRevealWeightsVersion,
    RevealPeriodEpochs,
    WeightsSetRateLimit,
)
from chain.pallets.subtensor.storage_network import SubnetEpochIndex
from chain.pallets.subtensor.timelocked import (
    Ciphertext,
    LegacyPayload,
    Payload,
    open_commit,
    reveal_timelocked,
)
from chain.pallets.system import Number
from chain.runtime.state import State
from ganglion.hashing import blake2_256
from ganglion.scale import DecodeError, codec
from ganglion.units import AccountId, Hash, MechId, Uid

KEY = timelock.public_key(SECRET)
ROUND = 77
QUICKNET = bytes.fromhex(
    "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c"
    "8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb"
    "5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
)
PULSE_1000 = bytes.fromhex(
    "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125"
    "e342b73a8dd2bacbe47e4b6b63ed5e39"
)


def hidden(neurons: int = 4, period: int = 1, mechanisms: int = 1) -> State:
    s = bench(neurons, mechanisms=mechanisms)
    permit(s, 0)
    s[CommitRevealWeightsEnabled, NET] = True
    s[RevealPeriodEpochs, NET] = period
    return s


def sealed(payload: object, number: int = ROUND, key: bytes = KEY) -> bytes:
    return timelock.encrypt(key, number, codec(type(payload)).encode(payload), bytes(76))


def own(row: tuple[int, int], number: int = ROUND) -> bytes:
    """Uid 0's own weight for one uid, sealed until a round."""
    return sealed(Payload(hotkey(0), (row[0],), (row[1],), 0), number)


def commit(s: State, ciphertext: bytes, number: int = ROUND, uid: int = 0) -> None:
    ok(s, uid, "commit_timelocked_weights", NET, ciphertext, number, 4)


def pulse(s: State, number: int = ROUND) -> None:
    s[Pulses, number] = local_pulse(number)


def waiting(s: State, mecid: int = 0) -> int:
    index = storage_index(NET, mecid)
    return sum(len(s[TimelockedWeightCommits, index, e]) for e in range(10))


def test_D62_the_chain_reveals_in_the_reveal_epoch() -> None:
    s = hidden(neurons=11, period=3)
    ciphertext = own((10, 20))
    commit(s, ciphertext)
    index = storage_index(NET)
    told = TimelockedWeightsCommitted(hotkey(0), index, Hash(blake2_256(ciphertext)), ROUND)
    assert events(s) == [told]
    assert s[TimelockedWeightCommits, index, 0] == ((hotkey(0), 100, ciphertext, ROUND),)
    assert updated(s, 0) == 100
    pulse(s)
    for _ in range(3):
        assert weights_of(s, 0) == {}
        next_epoch(s)
        reveal_timelocked(s, [NET])
    assert weights_of(s, 0) == {10: 65_535}
    assert events(s) == [WeightsSet(index, Uid(0)), TimelockedWeightsRevealed(index, hotkey(0))]
    assert waiting(s) == 0
    assert updated(s, 0) == 100


def test_D62_an_epoch_that_is_due_reveals_before_it_runs() -> None:
    s = hidden()
    commit(s, own((1, 5)))
    pulse(s)
    at(s, 1_100)
    assert is_epoch_due(s, NET)
    reveal_timelocked(s, [NET])
    assert weights_of(s, 0) == {1: 65_535}


@pytest.mark.parametrize("prefix", [b"", b"0x"])
def test_D63_a_real_pulse_opens_what_was_sealed_for_it(prefix: bytes) -> None:
    payload = Payload(hotkey(0), (1, 2), (3, 4), 5)
    ciphertext = sealed(payload, 1_000, QUICKNET)
    assert open_commit(hotkey(0), ciphertext, prefix + PULSE_1000) == payload
    assert open_commit(hotkey(0), sealed(payload, 1_001, QUICKNET), PULSE_1000) is None


def test_D64_without_its_pulse_a_commit_waits_and_then_goes() -> None:
    s = hidden()
    commit(s, own((1, 5)))
    commit(s, own((2, 5), ROUND + 1), ROUND + 1)
    next_epoch(s)
    reveal_timelocked(s, [NET])
    assert waiting(s) == 2
    pulse(s, ROUND + 1)
    at(s, s[Number] + 1)
    reveal_timelocked(s, [NET])
    assert waiting(s) == 1
    pulse(s)
    late = s.child()
    next_epoch(late)
    reveal_timelocked(late, [NET])
    assert waiting(late) == 0
    assert weights_of(late, 0) == {2: 65_535}
    reveal_timelocked(s, [NET])
    assert weights_of(s, 0) == {1: 65_535}


def test_D65_only_ones_own_weights_are_revealed() -> None:
    s = hidden()
    permit(s, 0, 1)
    ciphertext = own((2, 5))
    commit(s, ciphertext)
    commit(s, ciphertext, uid=1)  # a copy of somebody else's commit
    next_epoch(s)
    pulse(s)
    reveal_timelocked(s, [NET])
    assert weights_of(s, 0) == {2: 65_535}
    assert weights_of(s, 1) == {}
    assert waiting(s) == 0


def test_D65_the_old_payload_names_nobody() -> None:
    s = hidden()
    commit(s, sealed(LegacyPayload((3,), (5,), 0)))
    next_epoch(s)
    pulse(s)
    reveal_timelocked(s, [NET])
    assert weights_of(s, 0) == {3: 65_535}


@pytest.mark.parametrize(
    "ciphertext",
    [b"", b"nonsense", own((9, 5)), sealed(Payload(b"", (), (), 0))[:-40]],
)
def test_D65_what_cannot_be_opened_or_set_is_dropped(ciphertext: bytes) -> None:
    s = hidden()
    commit(s, ciphertext)
    commit(s, own((1, 5)))
    next_epoch(s)
    pulse(s)
    reveal_timelocked(s, [NET])
    assert weights_of(s, 0) == {1: 65_535}
    assert waiting(s) == 0


def test_D65_a_broken_pulse_drops_the_commit() -> None:
    s = hidden()
    commit(s, own((1, 5)))
    next_epoch(s)
    s[Pulses, ROUND] = Pulse(ROUND, bytes(32), b"\1" * 48)
    reveal_timelocked(s, [NET])
    assert (waiting(s), weights_of(s, 0)) == (0, {})


@given(st.binary(max_size=200))
def test_D65_no_plaintext_breaks_the_chain(plain: bytes) -> None:
    ciphertext = timelock.encrypt(KEY, ROUND, plain, bytes(76))
    opened = open_commit(hotkey(0), ciphertext, local_pulse(ROUND).signature)
    assert opened is None or isinstance(opened, LegacyPayload | Payload)


def test_D66_the_version_must_be_the_stored_one() -> None:
    s = hidden()
    args = (NET, own((1, 5)), ROUND)
    wrong = Error.IncorrectCommitRevealVersion
    fails(s, wrong, 0, "commit_timelocked_weights", *args, 3)
    s[CommitRevealWeightsVersion] = 5
    fails(s, wrong, 0, "commit_crv3_mechanism_weights", NET, MechId(0), *args[1:])
    ok(s, 0, "commit_timelocked_weights", *args, 5)


def test_checks_of_a_timelocked_commit_come_in_order() -> None:
    s = hidden()
    name, tail = "commit_timelocked_mechanism_weights", (b"x", ROUND, 3)
    fails(s, Error.MechanismDoesNotExist, 9, name, NET, MechId(1), *tail)
    s[CommitRevealWeightsEnabled, NET] = False
    fails(s, Error.CommitRevealDisabled, 9, name, NET, MechId(0), *tail)
    s[CommitRevealWeightsEnabled, NET] = True
    fails(s, Error.IncorrectCommitRevealVersion, 9, name, NET, MechId(0), *tail)
    tail = (b"x", ROUND, 4)
    fails(s, Error.HotKeyNotRegisteredInSubNet, 9, name, NET, MechId(0), *tail)
    s[WeightsSetRateLimit, NET] = 10
    commit(s, b"x")
    fails(s, Error.CommittingWeightsTooFast, 0, name, NET, MechId(0), *tail)


def test_ten_timelocked_commits_wait_in_an_epoch() -> None:
    s = hidden()
    for _ in range(10):
        commit(s, b"x")
    args = (NET, b"x", ROUND, 4)
    fails(s, Error.TooManyUnrevealedCommits, 0, "commit_timelocked_weights", *args)
    ok(s, 1, "commit_timelocked_weights", *args)
    next_epoch(s)
    ok(s, 0, "commit_timelocked_weights", *args)


def test_each_mechanism_reveals_its_own() -> None:
    s = hidden(mechanisms=2)
    ok(s, 0, "commit_crv3_mechanism_weights", NET, MechId(1), own((2, 5)), ROUND)
    assert (waiting(s), waiting(s, 1)) == (0, 1)
    next_epoch(s)
    pulse(s)
    reveal_timelocked(s, [NET])
    assert (weights_of(s, 0), weights_of(s, 0, 1)) == ({}, {2: 65_535})
    assert s[SubnetEpochIndex, NET] == 1


def test_ciphertexts_are_for_their_committer_and_bounded() -> None:
    assert open_commit(AccountId(bytes(32)), own((1, 5)), local_pulse(ROUND).signature) is None
    shape = codec(Ciphertext)
    assert shape.decode(shape.encode(bytes(5_000))) == bytes(5_000)
    with pytest.raises(DecodeError):
        shape.decode(shape.encode(bytes(5_001)))
