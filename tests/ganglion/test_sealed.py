"""The seal: only the miner reads an order, only the asker its answer; nothing can be altered."""

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.keys import CryptoType, Keypair
from ganglion.wire.fields import BadMessage
from ganglion.wire.sealed import (
    EVENT,
    KEY_SECONDS,
    BadSeal,
    KeyRing,
    Opener,
    SignedKey,
    UnknownKey,
    padded,
)

GENESIS, NETUID = b"\7" * 32, 2
BOB = Keypair.from_uri("//Bob")
SECRET = b'{"prompt":"my diagnosis"}'


class Clock:
    """A clock that stands until it is moved."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def ring(clock: Clock | None = None, hotkey: Keypair = BOB) -> KeyRing:
    return KeyRing(hotkey, GENESIS, NETUID, clock or Clock())


def opener(keys: KeyRing, body: bytes = SECRET) -> Opener:
    return Opener(keys.announced().key, "ganglion/tiny", 64, body)


def altered(envelope: bytes, **changes: object) -> bytes:
    return orjson.dumps(orjson.loads(envelope) | changes)


def test_order_and_answer_travel_both_ways() -> None:
    keys = ring()
    asker = opener(keys)
    inside = keys.open(asker.envelope)
    assert inside.body == SECRET
    assert (inside.header.model, inside.header.max_tokens) == ("ganglion/tiny", 64)
    for name, content in (("tokens", b'{"tokens":[1]}'), ("error", b"{}")):
        event, data = inside.seal(name, content)
        assert asker.open(event, data) == (
            name,
            padded(name.encode() + b"\n" + content, 128)[len(name) + 1 :],
        )


def test_relays_read_the_header_and_nothing_else() -> None:
    keys = ring()
    asker = opener(keys)
    assert b"diagnosis" not in base64.b64decode(orjson.loads(asker.envelope)["box"])
    assert orjson.loads(asker.envelope).keys() == {
        "miner",
        "key",
        "sender",
        "model",
        "max_tokens",
        "box",
    }
    inside = keys.open(asker.envelope)
    _, data = inside.seal("done", b'{"usage":{"prompt_tokens":3},"secret":1}')
    assert orjson.loads(data).keys() == {"box", "usage"}


def test_lengths_show_only_roughly() -> None:
    keys = ring()
    sizes = {
        len(opener(keys, padded(b'{"prompt":"%b"}' % (b"x" * n))).envelope) for n in range(200)
    }
    assert len(sizes) == 1
    inside = keys.open(opener(keys).envelope)
    assert len({len(inside.seal("tokens", b"x" * n)[1]) for n in range(100)}) == 1


@pytest.mark.parametrize(
    "change",
    [{"model": "other"}, {"max_tokens": 65}, {"sender": "0x" + "11" * 32}, {"box": "AAAA"}],
)
def test_an_altered_envelope_is_refused(change: dict[str, object]) -> None:
    keys = ring()
    with pytest.raises(BadSeal):
        keys.open(altered(opener(keys).envelope, **change))


def test_events_cannot_be_dropped_repeated_or_forged() -> None:
    keys = ring()
    asker = opener(keys)
    inside = keys.open(asker.envelope)
    first, second = inside.seal("tokens", b"{}"), inside.seal("tokens", b"{}")
    with pytest.raises(BadSeal):
        asker.open(*second)
    asker.open(*first)
    with pytest.raises(BadSeal):
        asker.open(*first)
    with pytest.raises(BadSeal):
        asker.open(EVENT, orjson.dumps({"box": base64.b64encode(bytes(60)).decode()}))
    with pytest.raises(BadSeal, match="not sealed"):
        asker.open("tokens", b"{}")


def test_another_miner_cannot_open_it() -> None:
    keys, other = ring(), ring(hotkey=Keypair.from_uri("//Charlie"))
    with pytest.raises(BadSeal, match="another miner"):
        other.open(opener(keys).envelope)
    with pytest.raises(UnknownKey):
        ring().open(opener(keys).envelope)


def test_keys_change_and_are_forgotten() -> None:
    clock = Clock()
    keys = ring(clock)
    early = opener(keys)
    first = keys.announced()
    clock.now += KEY_SECONDS * 0.6
    assert keys.announced().key.key != first.key.key
    assert keys.open(early.envelope).body == SECRET
    clock.now += KEY_SECONDS * 0.5
    with pytest.raises(UnknownKey):
        keys.open(early.envelope)


@pytest.mark.parametrize("crypto", [CryptoType.SR25519, CryptoType.ED25519])
def test_a_key_counts_only_with_its_miner_signature(crypto: CryptoType) -> None:
    hotkey = Keypair.from_uri("//Bob", crypto)
    clock = Clock()
    signed = SignedKey.from_bytes(ring(clock, hotkey).announced().to_bytes())
    signed.check(GENESIS, NETUID, hotkey.public_key, clock.now)
    for args in (
        (bytes(32), NETUID, hotkey.public_key, clock.now),
        (GENESIS, 3, hotkey.public_key, clock.now),
        (GENESIS, NETUID, bytes(32), clock.now),
        (GENESIS, NETUID, hotkey.public_key, clock.now + KEY_SECONDS),
    ):
        with pytest.raises(BadSeal):
            signed.check(*args)
    forged = SignedKey(signed.key, bytes(64), crypto)
    with pytest.raises(BadSeal, match="not signed"):
        forged.check(GENESIS, NETUID, hotkey.public_key, clock.now)


@pytest.mark.parametrize("low", [bytes(32), b"\1" + bytes(31)])
def test_weak_keys_are_refused(low: bytes) -> None:
    keys = ring()
    with pytest.raises(BadSeal, match="X25519"):
        keys.open(altered(opener(keys).envelope, sender="0x" + low.hex()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.binary(max_size=200) | JSON.map(lambda v: orjson.dumps(v, default=str)))
def test_anything_else_is_one_sentence(noise: bytes) -> None:
    keys = ring()
    asker = opener(keys)
    for read in (keys.open, SignedKey.from_bytes, lambda b: asker.open(EVENT, b)):
        with pytest.raises(BadMessage):
            read(noise)


@given(st.sampled_from(["miner", "key", "sender", "model", "max_tokens", "box"]), JSON)
def test_any_field_may_be_anything(field: str, value: object) -> None:
    keys = ring()
    envelope = opener(keys).envelope
    if orjson.loads(envelope)[field] != value:
        with pytest.raises(BadMessage):
            keys.open(altered(envelope, **{field: value}))
