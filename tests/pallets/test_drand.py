"""The beacon: verification, unsigned extrinsics, the local beacon, timelocks."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import ALICE, NONE, ROOT, at_block, contents, fails, last, make, names, ok, world

from chain import beacon, timelock
from chain.pallets import drand
from chain.pallets.drand import (
    BeaconConfig,
    Error,
    LastStoredRound,
    NextUnsignedAt,
    OldestStoredRound,
    Pulses,
)
from chain.pallets.drand_types import (
    QUICKNET,
    BeaconConfigurationPayload,
    Pulse,
    PulsesPayload,
    Sr25519Signer,
)
from chain.runtime.call import CALLS
from chain.runtime.errors import BadOrigin
from chain.runtime.extension import Context
from chain.runtime.types import Sr25519
from chain.runtime.validity import Invalid, InvalidTransaction
from ganglion.scale import codec

pytestmark = pytest.mark.skipif(not timelock.available(), reason="needs the extra `bls`")

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "timelock.json").read_text())
SIGNATURES = {int(k): bytes.fromhex(v) for k, v in VECTORS["signatures"].items()}


def quicknet_pulse(number: int, signature: bytes | None = None) -> Pulse:
    signature = SIGNATURES[number] if signature is None else signature
    return Pulse(number, sha256(signature).digest(), signature)


def arguments(s, *pulses):
    return beacon.signed_payload(s_number(s), pulses)


def s_number(s) -> int:
    from chain.pallets.system import Number

    return s[Number]


def write(s, *pulses):
    ok(s, NONE, "Drand.write_pulse", *arguments(s, *pulses))


def local_world():
    s = world()
    s[BeaconConfig] = beacon.local_config(1_000, period=3)
    return s


@pytest.mark.parametrize("number", sorted(SIGNATURES))
def test_quicknet_signatures_verify(number):
    assert timelock.verify_round(QUICKNET.public_key, number, SIGNATURES[number])
    assert not timelock.verify_round(QUICKNET.public_key, number + 1, SIGNATURES[number])


def test_our_own_beacon_is_judged_as_any_other():
    config, mine, other = beacon.local_config(1_000), beacon.local_pulse(7), beacon.local_pulse(8)
    assert timelock.verify_round(config.public_key, 7, mine.signature)
    assert drand.verified(config, mine)
    assert not drand.verified(config, replace(mine, signature=other.signature))
    assert not drand.verified(replace(config, public_key=QUICKNET.public_key), mine)
    with pytest.raises(drand.Error.PulseVerificationError):
        drand.verified(config, replace(mine, signature=bytes(48)))


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda c: f"{c['round']}-{len(c['plain'])}")
def test_client_ciphertexts_open_at_their_round(case):
    sealed = bytes.fromhex(case["sealed"])
    signature = SIGNATURES[case["round"]]
    assert timelock.decrypt(sealed, signature).hex() == case["plain"]
    assert timelock.decrypt(sealed, b"0x" + signature).hex() == case["plain"]
    other = SIGNATURES[3000 - case["round"]]
    with pytest.raises(timelock.NotOpened):
        timelock.decrypt(sealed, other)


@given(st.binary(max_size=300), st.binary(min_size=76, max_size=76))
def test_own_ciphertexts_open(message, entropy):
    config = beacon.local_config(0)
    sealed = timelock.encrypt(config.public_key, 5, message, entropy)
    assert timelock.decrypt(sealed, beacon.local_pulse(5).signature) == message


@given(st.data())
def test_hostile_ciphertexts_raise_one_kind_of_error(data):
    good = bytes.fromhex(VECTORS["cases"][2]["sealed"])
    bad = data.draw(
        st.one_of(
            st.binary(max_size=300),
            st.integers(0, len(good) - 1).map(lambda n: good[:n]),
            st.tuples(st.integers(0, len(good) - 1), st.integers(1, 255)).map(
                lambda t: good[: t[0]] + bytes((good[t[0]] ^ t[1],)) + good[t[0] + 1 :]
            ),
        )
    )
    signature = data.draw(st.sampled_from([SIGNATURES[1000], b"", b"0x", bytes(48), b"\xff" * 48]))
    try:
        opened = timelock.decrypt(bad, signature)
    except timelock.TimelockError:
        return
    assert opened == bytes.fromhex(VECTORS["cases"][2]["plain"])


def test_pulses_are_stored_and_the_first_marks_the_oldest():
    s = world()
    write(s, quicknet_pulse(1000))
    assert s[LastStoredRound] == s[OldestStoredRound] == 1000
    assert last(s, drand.NewPulse).rounds == (1000,)
    write(s, quicknet_pulse(2000))
    assert (s[OldestStoredRound], s[LastStoredRound]) == (1000, 2000)
    assert s[Pulses, 1000].signature == SIGNATURES[1000]


def test_rounds_only_go_up():
    s = world()
    write(s, quicknet_pulse(2000))
    args = arguments(s, quicknet_pulse(1000))
    fails(s, Error.InvalidRoundNumber, NONE, "Drand.write_pulse", *args)
    fails(s, BadOrigin, ALICE, "Drand.write_pulse", *args)


def test_a_wrong_pulse_is_passed_over_and_nonsense_fails():
    s = world()
    write(s, quicknet_pulse(1001, SIGNATURES[1000]))
    assert s[LastStoredRound] == 0
    assert "Drand.NewPulse" not in names(s)
    args = arguments(s, quicknet_pulse(1001, b"no point"))
    fails(s, Error.PulseVerificationError, NONE, "Drand.write_pulse", *args)


def test_a_week_of_pulses_is_kept():
    s = world()
    write(s, quicknet_pulse(1000))
    for number in range(1000, 1200):
        s[Pulses, number] = quicknet_pulse(1000)
    drand.prune_old_pulses(s, 1000 + 216_000 - 1)
    assert s[OldestStoredRound] == 1000
    drand.prune_old_pulses(s, 1000 + 216_000 + 49)
    assert s[OldestStoredRound] == 1050
    assert (Pulses, 1049) not in s
    assert (Pulses, 1050) in s
    drand.prune_old_pulses(s, 10**6)
    assert s[OldestStoredRound] == 1150


def validity(s, *args, path="Drand.write_pulse"):
    return drand.validate(s, make(path, *args), False)


def test_the_pool_takes_one_new_signed_pulse():
    s = world()
    good = validity(s, *arguments(s, quicknet_pulse(1000)))
    assert good.provides == (drand.tagged(good.provides[0][-32:]),)
    assert good.longevity == 3
    assert not good.propagate
    write(s, quicknet_pulse(1000))
    for args, kind in (
        (arguments(s, quicknet_pulse(1000)), Invalid.Stale),
        (arguments(s), Invalid.Call),
        (arguments(s, quicknet_pulse(2000), quicknet_pulse(2000)), Invalid.Call),
        (beacon.signed_payload(99, (quicknet_pulse(2000),)), Invalid.Future),
        ((arguments(s, quicknet_pulse(2000))[0], None), Invalid.BadSigner),
        ((arguments(s, quicknet_pulse(2000))[0], Sr25519(bytes(64))), Invalid.BadProof),
    ):
        with pytest.raises(InvalidTransaction) as caught:
            validity(s, *args)
        assert caught.value.kind is kind
    assert drand.validate(s, make("System.remark", b""), False) is None


def test_root_names_another_beacon():
    s = world()
    payload = BeaconConfigurationPayload(1, beacon.local_config(5), Sr25519Signer(bytes(32)))
    fails(s, BadOrigin, ALICE, "Drand.set_beacon_config", payload, None)
    ok(s, ROOT, "Drand.set_beacon_config", payload, None)
    assert s[BeaconConfig].hash == beacon.LOCAL_HASH
    assert s[NextUnsignedAt] == 2
    ok(s, ROOT, "Drand.set_oldest_stored_round", 77)
    assert s[OldestStoredRound] == 77


def test_the_default_beacon_is_quicknet_byte_for_byte():
    raw = codec(type(QUICKNET)).encode(QUICKNET)
    assert len(raw) == 206
    assert raw[:3].hex() == "810183"


def test_authors_add_local_pulses_round_by_round():
    s = local_world()
    assert drand.local_pulse_inherent(s, 999_000, None) is None
    first = drand.local_pulse_inherent(s, 1_000_000, None)
    assert drand.validate(s, first, True) is not None
    ok(s, NONE, "Drand.write_pulse", *first.args)
    assert s[LastStoredRound] == 1
    assert drand.local_pulse_inherent(s, 1_002_999, None) is None
    for number in (2, 3, 4):
        call = drand.local_pulse_inherent(s, 1_009_000, None)
        ok(s, NONE, "Drand.write_pulse", *call.args)
        assert s[LastStoredRound] == number
    assert drand.local_pulse_inherent(s, 1_009_000, None) is None
    assert drand.local_pulse_inherent(world(), 2 * 10**12, None) is None


def test_local_pulses_are_the_same_on_every_node():
    assert beacon.local_pulse(7) == beacon.local_pulse(7)
    config = beacon.local_config(100, period=12)
    assert [beacon.round_at(config, t) for t in (99, 100, 111, 112)] == [0, 1, 1, 2]


def test_pulses_go_before_other_extrinsics():
    s = world()
    call = make("Drand.write_pulse", *arguments(s, quicknet_pulse(1000)))
    ctx = Context(None, call, CALLS.entry(call).info(call.args), 100)
    drand.DrandPriority().validate(s, ctx)
    assert ctx.validity.priority == 10_000


def test_payload_codecs_are_bounded():
    payload = PulsesPayload(
        1, (replace(quicknet_pulse(1000), randomness=bytes(33)),), Sr25519Signer(bytes(32))
    )
    from ganglion.scale import DecodeError

    with pytest.raises(DecodeError):
        codec(PulsesPayload).decode(codec(PulsesPayload).encode(payload))
    at_block(world(), 2)
    assert contents(world())


def test_the_local_public_key_is_that_of_its_secret():
    assert timelock.public_key(beacon.SECRET) == beacon.PUBLIC_KEY
