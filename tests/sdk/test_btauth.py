"""btauth/1 against its published vectors, check by check."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganglion import btauth, ss58
from ganglion.btauth import (
    AuthError,
    BadSignature,
    Caller,
    MalformedAuth,
    MemoryReplayStore,
    ReplayedRequest,
    StaleRequest,
    StoreFull,
    Verifier,
    WrongReceiver,
)
from ganglion.errors import GanglionError
from ganglion.keys import CryptoType, Keypair, dev_key

NONCE = 1_752_076_800_000_000_000
BODY = b'{"prompt": "hello"}'
TARGET = "/generate?stream=false"
ALICE, BOB = dev_key("Alice"), dev_key("Bob")
ALICE_ED = dev_key("Alice", CryptoType.ED25519)

# The protocol's own conformance vectors.
PAYLOAD = b"""btauth/1
sr25519
POST
/generate?stream=false
341c57448e531310fbbe83f44cea2a5e838bd9e8a6b82b269f01d0dbbc23c3cc
1752076800000000000
5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY
5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"""
ED25519_SIGNATURE = (
    "0x1a6b631988bf1f7ea093ab9d5acf61f05c316d0b0e428b24b487b75a5f6ee0e1"
    "a56a26918fdf871b6cf09437e6588023a4ce423cf622621b2a7feee17612f704"
)


def signed(sender: Keypair = ALICE, receiver: str | None = BOB.address) -> dict[str, str]:
    return btauth.sign(sender, "post", TARGET, BODY, receiver=receiver, nonce=NONCE)


def check(
    headers: dict[str, str],
    *,
    method: str = "POST",
    target: str = TARGET,
    body: bytes = BODY,
    after_s: float = 0.001,
    verifier: Verifier | None = None,
) -> Caller:
    verifier = verifier or Verifier(BOB.address, MemoryReplayStore())
    return verifier.verify(headers, method, target, body, NONCE + int(after_s * 1e9))


def test_payload_bytes() -> None:
    assert (
        btauth.build_payload(
            CryptoType.SR25519, "post", TARGET, BODY, NONCE, ALICE.address, BOB.address
        )
        == PAYLOAD
    )


def test_ed25519_signature() -> None:
    headers = signed(ALICE_ED)
    assert headers[btauth.HEADER_SIGNATURE] == ED25519_SIGNATURE
    assert headers[btauth.HEADER_CRYPTO] == "ed25519"


@pytest.mark.parametrize("sender", [ALICE, ALICE_ED])
def test_round_trip(sender: Keypair) -> None:
    assert check(signed(sender)) == Caller(sender.address, NONCE, sender.crypto, sender.public_key)


def test_live_clock_and_empty_body() -> None:
    headers = btauth.sign(ALICE, "GET", "/health", receiver=BOB.address)
    verifier = Verifier(BOB.address, MemoryReplayStore())
    assert verifier.verify(headers, "GET", "/health", b"").hotkey == ALICE.address


def test_sr25519_is_not_spelled_out() -> None:
    assert btauth.HEADER_CRYPTO not in signed()


def test_header_names_may_change_case() -> None:
    assert check({k.lower(): v for k, v in signed().items()})


@pytest.mark.parametrize("spelling", ["SR25519", "1"])
def test_other_spellings_of_the_scheme(spelling: str) -> None:
    assert check(signed() | {btauth.HEADER_CRYPTO: spelling})


@pytest.mark.parametrize("after_s", [10.1, -2.1])
def test_stale_and_future(after_s: float) -> None:
    with pytest.raises(StaleRequest):
        check(signed(), after_s=after_s)


@pytest.mark.parametrize("after_s", [9.9, -1.9])
def test_within_the_window(after_s: float) -> None:
    assert check(signed(), after_s=after_s)


def test_replay() -> None:
    verifier = Verifier(BOB.address, MemoryReplayStore())
    check(signed(), verifier=verifier)
    with pytest.raises(ReplayedRequest):
        check(signed(), verifier=verifier)


def test_a_refused_request_is_not_remembered() -> None:
    verifier = Verifier(BOB.address, MemoryReplayStore())
    with pytest.raises(BadSignature):
        check(signed(), body=b"other", verifier=verifier)
    assert check(signed(), verifier=verifier)


def test_the_store_must_outlive_the_window() -> None:
    with pytest.raises(ValueError, match="retention"):
        Verifier(BOB.address, MemoryReplayStore(), max_age_s=120.0)
    Verifier(BOB.address, MemoryReplayStore(retention_s=300.0), max_age_s=120.0)


def test_the_store_forgets_and_is_bounded() -> None:
    store = MemoryReplayStore(retention_s=1.0, capacity=2)
    assert store.remember("a", 1, now_ns=0)
    assert store.remember("a", 2, now_ns=0)
    assert not store.remember("a", 1, now_ns=1)
    with pytest.raises(StoreFull):
        store.remember("b", 1, now_ns=1)
    assert store.remember("b", 1, now_ns=1_000_000_001)
    assert len(store) == 1


@pytest.mark.parametrize(
    "change",
    [{"body": b"tampered"}, {"method": "DELETE"}, {"target": "/admin"}],
    ids=["body", "method", "target"],
)
def test_tampering(change: dict[str, str]) -> None:
    with pytest.raises(BadSignature):
        check(signed(), **change)  # type: ignore[arg-type]


def test_tampered_nonce() -> None:
    with pytest.raises(BadSignature):
        check(signed() | {btauth.HEADER_NONCE: str(NONCE + 1)})


def test_no_other_scheme_is_tried() -> None:
    headers = signed(ALICE_ED)
    del headers[btauth.HEADER_CRYPTO]
    with pytest.raises(BadSignature):
        check(headers)


def test_the_zero_key_is_nobody() -> None:
    """schnorrkel verifies this signature: everyone knows the secret of the zero key."""
    headers = signed() | {
        btauth.HEADER_HOTKEY: ss58.encode(bytes(32)),
        btauth.HEADER_SIGNATURE: "00" * 63 + "80",
    }
    with pytest.raises(BadSignature):
        check(headers)


def test_wrong_receiver() -> None:
    with pytest.raises(WrongReceiver):
        check(signed(), verifier=Verifier(ALICE.address, MemoryReplayStore()))


def test_unbound_requests_need_leave() -> None:
    headers = signed(receiver=None)
    with pytest.raises(WrongReceiver):
        check(headers)
    lenient = Verifier(BOB.address, MemoryReplayStore(), require_receiver=False)
    assert check(headers, verifier=lenient)


@pytest.mark.parametrize(
    "name",
    [
        btauth.HEADER_VERSION,
        btauth.HEADER_HOTKEY,
        btauth.HEADER_NONCE,
        btauth.HEADER_SIGNATURE,
    ],
)
def test_a_missing_header(name: str) -> None:
    headers = signed()
    del headers[name]
    with pytest.raises(MalformedAuth, match=name):
        check(headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (btauth.HEADER_NONCE, "not-a-number"),
        (btauth.HEADER_NONCE, "1_0"),
        (btauth.HEADER_NONCE, "٣"),
        (btauth.HEADER_NONCE, "9" * 5000),
        (btauth.HEADER_CRYPTO, "ecdsa"),
        (btauth.HEADER_SIGNATURE, "0xnothex"),
        (btauth.HEADER_SIGNATURE, "0x00"),
        (btauth.HEADER_SIGNATURE, "0x" + "00 " * 64),
        (btauth.HEADER_VERSION, "2"),
        (btauth.HEADER_HOTKEY, "5Grw"),
    ],
)
def test_unreadable_headers(name: str, value: str) -> None:
    with pytest.raises(MalformedAuth, match=name):
        check(signed() | {name: value})


def test_the_order_of_the_checks() -> None:
    """Each fault is reported in the protocol's order when all of them are present."""
    verifier = Verifier(ALICE.address, MemoryReplayStore())
    broken = signed() | {btauth.HEADER_VERSION: "2"}
    with pytest.raises(MalformedAuth):
        check(broken, body=b"x", after_s=99, verifier=verifier)
    with pytest.raises(WrongReceiver):
        check(signed(), body=b"x", after_s=99, verifier=verifier)
    with pytest.raises(StaleRequest):
        check(signed(), body=b"x", after_s=99)


def test_all_errors_are_ours() -> None:
    assert issubclass(AuthError, GanglionError)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(signed())), st.text(max_size=140), min_size=1, max_size=3
    )
)
def test_strangers_cannot_crash_it(changes: dict[str, str]) -> None:
    headers = signed() | changes
    if headers == signed():
        return
    with pytest.raises(AuthError):
        check(headers)
