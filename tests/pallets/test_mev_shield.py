"""Encrypted extrinsics: the ciphertext, the rotation of keys, stored calls, the extension."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import (
    ALICE,
    BOB,
    NONE,
    ROOT,
    TAO,
    address,
    at_block,
    fails,
    make,
    names,
    next_block,
    ok,
    run,
    world,
)

from chain import beacon, mev, timelock
from chain.pallets import aura, mev_shield
from chain.pallets.balances_ops import free_balance
from chain.pallets.drand import BeaconConfig, OldestStoredRound, Pulses
from chain.pallets.mev_shield import CheckShieldedTxValidity, Envelope, is_for_this_block
from chain.pallets.mev_shield_store import (
    AuthorKeys,
    CounterForPendingExtrinsics,
    CurrentKey,
    Error,
    ExtrinsicLifetime,
    MaxExtrinsicWeight,
    MaxPendingExtrinsicsLimit,
    NextKey,
    NextKeyExpiresAt,
    OnInitializeWeight,
    PendingExtrinsics,
    PendingKey,
    PendingKeyExpiresAt,
)
from chain.pallets.nested import rocks, weight_of
from chain.runtime.call import CALLS, RuntimeCall
from chain.runtime.errors import BadOrigin
from chain.runtime.extension import Context
from chain.runtime.validity import Invalid, InvalidTransaction
from ganglion.hashing import twox_128
from ganglion.scale import codec

pytestmark = pytest.mark.skipif(not mev.available(), reason="OpenSSL without ML-KEM")
needs_bls = pytest.mark.skipif(not timelock.available(), reason="needs the extra `bls`")

GOLDEN = json.loads((Path(__file__).parent.parent / "vectors" / "mlkem.json").read_text())["rows"]
KEYS = mev.ShieldKeys()
PUBLIC = KEYS.announce()


@pytest.mark.parametrize("row", GOLDEN)
def test_what_the_clients_library_sealed_is_opened(row):
    keys = mev.ShieldKeys()
    public = keys.announce(bytes.fromhex(row["seed"]))
    ciphertext = bytes.fromhex(row["ciphertext"])
    shielded = mev.parse(ciphertext)
    assert shielded is not None
    assert shielded.key_hash == twox_128(public)
    assert keys.open(ciphertext) == bytes.fromhex(row["plaintext"])


@given(st.binary(max_size=4000))
def test_what_we_seal_is_opened(plaintext):
    assert KEYS.open(mev.seal(PUBLIC, plaintext)) == plaintext


@given(st.data())
def test_a_changed_ciphertext_is_not_opened(data):
    sealed = bytearray(mev.seal(PUBLIC, b"transfer all"))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    assert KEYS.open(bytes(sealed)) is None
    assert KEYS.open(bytes(sealed[:at])) is None


@given(st.binary(max_size=1300))
def test_noise_is_not_opened(noise):
    assert KEYS.open(noise) is None


def test_a_bad_public_key_is_refused():
    with pytest.raises(ValueError):
        mev.seal(bytes(10), b"")


def test_old_private_keys_are_forgotten():
    keys = mev.ShieldKeys()
    first, second = keys.announce(), keys.announce()
    for _ in range(mev.KEPT_KEYS - 1):
        keys.announce()
    assert keys.open(mev.seal(first, b"x")) is None
    assert keys.open(mev.seal(second, b"x")) == b"x"


# -- rotation -------------------------------------------------------------------------------


def slot(s, number, authorities=(ALICE, BOB)):
    """Be in a slot, and in the block of the same number."""
    at_block(s, number)
    s[aura.Authorities] = tuple(authorities)
    s[aura.CurrentSlot] = number


def key(number):
    return number.to_bytes(2, "little") * 592


def test_a_key_is_for_its_announcers_block_after_the_next():
    s = world()
    for number in range(1, 12):
        slot(s, number)
        announced_before = s[AuthorKeys, (ALICE, BOB)[number % 2]]
        seen_in_next = s[NextKey]
        seen_in_pending = s[PendingKey]
        ok(s, NONE, "MevShield.announce_next_key", key(number))
        assert s[CurrentKey] == seen_in_pending
        assert s[PendingKey] == seen_in_next
        assert s[AuthorKeys, (ALICE, BOB)[number % 2]] == key(number)
        if number > 2:
            assert s[NextKey] == announced_before == key(number - 2)
            assert s[NextKeyExpiresAt] == number + 3
        if number > 4:
            # The current key was announced by this block's author.
            assert s[CurrentKey] == key(number - 4)
            assert s[PendingKeyExpiresAt] == number + 2


def test_a_withdrawn_key_leaves_gaps():
    s = world()
    for number in range(1, 6):
        slot(s, number, [ALICE])
        ok(s, NONE, "MevShield.announce_next_key", key(number))
    assert s[NextKey] == key(4)
    slot(s, 6, [ALICE])
    ok(s, NONE, "MevShield.announce_next_key", None)
    assert s[NextKey] == key(5)
    assert s[AuthorKeys, ALICE] is None
    slot(s, 7, [ALICE])
    ok(s, NONE, "MevShield.announce_next_key", key(7))
    assert s[NextKey] is None
    assert s[NextKeyExpiresAt] is None


def test_I160_announcements_are_checked():
    s = world()
    fails(s, Error.Unreachable, NONE, "MevShield.announce_next_key", key(1))
    slot(s, 1)
    for bad in (b"", bytes(1183), bytes(1185)):
        fails(s, Error.BadEncKeyLen, NONE, "MevShield.announce_next_key", bad)
    fails(s, BadOrigin, ALICE, "MevShield.announce_next_key", key(1))
    fails(s, BadOrigin, ROOT, "MevShield.announce_next_key", key(1))


def test_the_inherent_announces_only_for_those_with_keys():
    s = world()
    slot(s, 1)
    assert mev_shield.announce_inherent(s, 0, None) is None
    announced = mev_shield.announce_inherent(s, 0, mev.ShieldKeys())
    assert isinstance(announced, RuntimeCall)
    assert len(announced.args[0]) == mev.KEY_LENGTH


def test_I160_a_ciphertext_names_its_block():
    s = world()
    sealed = mev.seal(PUBLIC, b"")
    assert not is_for_this_block(s, sealed)
    s[CurrentKey] = PUBLIC
    assert is_for_this_block(s, sealed)
    s[CurrentKey] = key(1)
    assert not is_for_this_block(s, sealed)


def test_carriers_are_told_apart():
    s = world()
    sealed = mev.seal(PUBLIC, b"")
    ok(s, ALICE, "MevShield.submit_encrypted", sealed)
    ok(s, BOB, "MevShield.submit_encrypted", sealed)
    one, two = s.events
    assert (one.who, two.who) == (ALICE, BOB)
    assert one.id != two.id


# -- the extension ---------------------------------------------------------------------------


def check(who, ciphertext, era):
    call = make("MevShield.submit_encrypted", ciphertext)
    ctx = Context(who, call, CALLS.entry(call).info(call.args), 1500)
    ctx.era = era
    CheckShieldedTxValidity().validate(world(), ctx)


def test_only_short_lived_carriers_pass():
    sealed = mev.seal(PUBLIC, b"")
    for bits in (1, 2):
        check(ALICE, sealed, bytes([bits, 0]))
    for era in (b"\0", bytes([3, 0]), bytes([15, 0])):
        with pytest.raises(InvalidTransaction) as refused:
            check(ALICE, sealed, era)
        assert refused.value.kind is Invalid.Stale


@pytest.mark.parametrize("ciphertext", [b"", bytes(17), bytes(1130), PUBLIC])
def test_only_well_formed_carriers_pass(ciphertext):
    with pytest.raises(InvalidTransaction) as refused:
        check(ALICE, ciphertext, b"\1\0")
    assert (refused.value.kind, refused.value.custom) == (Invalid.Custom, 23)


# -- stored calls ----------------------------------------------------------------------------

PERIOD = 1


def shown(s):
    """This pallet's events since the last clear."""
    return [n.partition(".")[2] for n in names(s) if n.startswith("MevShield.")]


def beacon_world():
    s = world()
    s[BeaconConfig] = beacon.local_config(0, PERIOD)
    return s


def sealed_call(path, *args, round_=5):
    plaintext = codec(RuntimeCall).encode(make(path, *args))
    sealed = timelock.encrypt(timelock.public_key(beacon.SECRET), round_, plaintext, bytes(76))
    return codec(Envelope).encode(Envelope(sealed, round_))


def store_call(s, path, *args, round_=5, who=ALICE):
    ok(s, who, "MevShield.store_encrypted", sealed_call(path, *args, round_=round_))


@needs_bls
def test_a_stored_call_runs_when_its_round_is_there():
    s = beacon_world()
    store_call(s, "Balances.transfer_keep_alive", address(BOB), TAO)
    assert s[CounterForPendingExtrinsics] == 1
    next_block(s, 2)
    assert s[CounterForPendingExtrinsics] == 1
    s[Pulses, 5] = beacon.local_pulse(5)
    next_block(s, 3)
    assert shown(s) == ["ExtrinsicDispatched"]
    assert free_balance(s, BOB) == 1001 * TAO
    assert s[CounterForPendingExtrinsics] == 0
    assert s[PendingExtrinsics, 0] is None


@needs_bls
def test_a_stored_call_may_fail_and_is_gone():
    s = beacon_world()
    store_call(s, "Balances.transfer_keep_alive", address(BOB), 10**6 * TAO)
    s[Pulses, 5] = beacon.local_pulse(5)
    next_block(s, 2)
    assert shown(s) == ["ExtrinsicDispatchFailed"]
    assert free_balance(s, ALICE) == 1000 * TAO
    assert s[CounterForPendingExtrinsics] == 0


@needs_bls
def test_stored_calls_run_in_their_order_within_the_weight():
    s = beacon_world()
    for amount in (1, 2, 3):
        store_call(s, "Balances.transfer_keep_alive", address(BOB), amount * TAO)
    s[Pulses, 5] = beacon.local_pulse(5)
    weight = weight_of(make("Balances.transfer_keep_alive", address(BOB), TAO))
    s[OnInitializeWeight] = 2 * rocks(weight, 1, 2)
    next_block(s, 2)
    assert shown(s) == ["ExtrinsicDispatched"] * 2 + ["ExtrinsicPostponed"]
    assert free_balance(s, BOB) == 1003 * TAO
    next_block(s, 3)
    assert free_balance(s, BOB) == 1006 * TAO
    assert s[CounterForPendingExtrinsics] == 0


@needs_bls
def test_a_call_too_heavy_for_its_limit_is_dropped():
    s = beacon_world()
    store_call(s, "Balances.transfer_keep_alive", address(BOB), TAO)
    s[MaxExtrinsicWeight] = 1
    s[Pulses, 5] = beacon.local_pulse(5)
    next_block(s, 2)
    assert shown(s) == ["ExtrinsicWeightExceeded"]
    assert s[CounterForPendingExtrinsics] == 0


def test_I160_a_stored_call_grows_old():
    s = world()
    ok(s, ALICE, "MevShield.store_encrypted", sealed_plain(99))
    assert s[ExtrinsicLifetime] == 10
    s[ExtrinsicLifetime] = 3
    for block in (2, 3, 4):
        next_block(s, block)
        assert s[CounterForPendingExtrinsics] == 1
    next_block(s, 5)
    assert shown(s) == ["ExtrinsicExpired"]
    assert s[CounterForPendingExtrinsics] == 0


def sealed_plain(round_):
    return codec(Envelope).encode(Envelope(b"nothing", round_))


@pytest.mark.parametrize("envelope", [b"", b"\x04a", sealed_plain(5)])
def test_what_never_opens_is_dropped(envelope):
    s = world()
    ok(s, ALICE, "MevShield.store_encrypted", envelope)
    s[OldestStoredRound] = 6
    next_block(s, 2)
    assert shown(s) == ["ExtrinsicDecodeFailed"]
    assert s[CounterForPendingExtrinsics] == 0


def test_only_so_many_are_stored():
    s = world()
    s[MaxPendingExtrinsicsLimit] = 2
    for _ in range(2):
        ok(s, ALICE, "MevShield.store_encrypted", b"\0")
    fails(s, Error.TooManyPendingExtrinsics, BOB, "MevShield.store_encrypted", b"\0")


@pytest.mark.parametrize(
    ("path", "value", "limit"),
    [
        ("set_max_pending_extrinsics_number", 7, None),
        ("set_on_initialize_weight", 7, 2 * 10**12),
        ("set_stored_extrinsic_lifetime", 7, None),
        ("set_max_extrinsic_weight", 7, 2 * 10**12),
    ],
)
def test_root_sets_the_limits(path, value, limit):
    s = world()
    fails(s, BadOrigin, ALICE, f"MevShield.{path}", value)
    ok(s, ROOT, f"MevShield.{path}", value)
    assert [e.value for e in s.events] == [value]
    if limit is not None:
        ok(s, ROOT, f"MevShield.{path}", limit)
        fails(s, Error.WeightExceedsAbsoluteMax, ROOT, f"MevShield.{path}", limit + 1)


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([b"\0", sealed_plain(3)]))))
def test_whatever_is_stored_the_count_is_right(envelopes):
    s = world()
    s[MaxPendingExtrinsicsLimit] = 5
    for block, envelope in enumerate(envelopes, 2):
        run(s, ALICE, "MevShield.store_encrypted", envelope)
        next_block(s, block)
        stored = [i for i in range(block) if s[PendingExtrinsics, i] is not None]
        assert len(stored) == s[CounterForPendingExtrinsics] <= 5
