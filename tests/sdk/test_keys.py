"""Key pairs against addresses that every Substrate wallet derives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganglion.errors import CannotSign, InvalidKey
from ganglion.keys import (
    DEV_PHRASE,
    CryptoType,
    Keypair,
    dev_key,
    generate_mnemonic,
    seed_of_mnemonic,
    verify,
)

ED, SR = CryptoType.ED25519, CryptoType.SR25519
ALICE_SEED = "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a"
LONG = "/123456789012345678901234567890//averyveryveryverylongjunctionnamewhichismorethan32bytes"

# Addresses made by another implementation (sp_core by way of bittensor_core 0.1.5).
URIS = [
    ("//Alice", SR, "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"),
    ("//Alice", ED, "5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu"),
    ("/Alice", SR, "5GvKEoc787uDV8etY1AM8vF385edu2iyqD1WfCjDugzLUiAL"),
    ("//Alice/soft//hard", SR, "5E2B3eUBkvnGakUuHBXHpfRURYWgCXaUPdxrVtXMMHLYNV3b"),
    (f"{DEV_PHRASE}//x///pw", SR, "5ECCZ1VJsgCJJscUGa2o1DuNnwdCbN89SzbGVdjHdca4HiNe"),
    (f"{DEV_PHRASE}//x///pw", ED, "5DXErEDR9p1xEiQAc37A6B9ZLAnfe93JxtWd38yxnHtX2vRE"),
    (ALICE_SEED, SR, "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"),
    (ALICE_SEED, ED, "5DFNv4Txc4b88qHqQ6GG4D646QcT4fN3jjS2G3r1PyZkfDut"),
    ("//1", SR, "5GBNeWRhZc2jXu7D55rBimKYDk8PGk8itRYFTPfC8RJLKG5o"),
    ("//0001", SR, "5GBNeWRhZc2jXu7D55rBimKYDk8PGk8itRYFTPfC8RJLKG5o"),
    ("//+5", ED, "5GYGJyuY2Si3XUEUBdNAzDzoxyTWRkpt7PCkTbEQ9hHU3boy"),
    (LONG, SR, "5HnF4USW1EbgQr2n9CpjXKXkgK7zAVkszZemixUw2i1ZazLv"),
    (DEV_PHRASE, SR, "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"),
    (f"{DEV_PHRASE}///secret", SR, "5HK6uyFmwszxvvpJrcKAz7sGijnCGQdn3XxGnWQMHu4ZAi2y"),
    ("//Alice//stash", ED, "5DdJ9KX9gm9UvZpcpY6av29Q4uzbjuHdp5zEmV6FCh2FXiBc"),
]


@pytest.mark.parametrize(("uri", "crypto", "address"), URIS)
def test_uri_gives_the_address_of_every_wallet(uri: str, crypto: CryptoType, address: str) -> None:
    assert Keypair.from_uri(uri, crypto).address == address


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("", "//Alice"),
        ("//", "//Alice"),
        ("foo bar", "words"),
        (DEV_PHRASE + " walk", "words"),
        (DEV_PHRASE.replace("walk", "fit"), "checksum"),
        (DEV_PHRASE.replace("walk", "zzzz"), "word 12"),
        ("0x12", "64 hex"),
        ("0xzz", "hexadecimal"),
    ],
)
def test_a_bad_uri_says_what_is_wrong(uri: str, says: str) -> None:
    with pytest.raises(InvalidKey, match=says):
        Keypair.from_uri(uri)


def test_ed25519_has_no_soft_junctions() -> None:
    with pytest.raises(InvalidKey, match="//soft"):
        Keypair.from_uri("//Alice/soft", ED)


def test_seed_of_the_development_phrase() -> None:
    # Published with Substrate as the secret seed of the development phrase.
    seed = "fac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e"
    assert seed_of_mnemonic(DEV_PHRASE).hex() == seed


@pytest.mark.parametrize("words", [12, 15, 18, 21, 24])
def test_generated_mnemonics_are_valid_and_distinct(words: int) -> None:
    first, second = generate_mnemonic(words), generate_mnemonic(words)
    assert len(first.split()) == words
    assert first != second
    assert len(seed_of_mnemonic(first)) == 32


def test_generate_refuses_odd_lengths() -> None:
    with pytest.raises(InvalidKey, match="12, 15"):
        generate_mnemonic(13)


@pytest.mark.parametrize("crypto", [ED, SR])
def test_signatures(crypto: CryptoType) -> None:
    alice, bob = dev_key("Alice", crypto), dev_key("Bob", crypto)
    signature = alice.sign(b"message")
    assert alice.public().verify(b"message", signature)
    assert not alice.verify(b"messagf", signature)
    assert not bob.verify(b"message", signature)
    assert not alice.verify(b"message", signature[:63])
    assert not alice.verify(b"message", bytes(64))
    with pytest.raises(CannotSign, match=alice.address):
        alice.public().sign(b"message")


@pytest.mark.parametrize("crypto", [ED, SR])
def test_a_stored_secret_gives_the_same_key(crypto: CryptoType) -> None:
    pair = dev_key("Alice", crypto)
    assert pair.secret is not None
    assert Keypair.from_secret(pair.secret, crypto).public_key == pair.public_key


def test_secrets_do_not_show() -> None:
    pair = Keypair.generate()
    assert pair.secret is not None
    assert pair.phrase is not None
    assert pair.seed is not None
    shown = repr(pair)
    for secret in (pair.phrase, repr(pair.secret), repr(pair.seed)):
        assert secret not in shown


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=70), st.binary(max_size=70), st.sampled_from([ED, SR]))
def test_verify_never_raises(key: bytes, signature: bytes, crypto: CryptoType) -> None:
    assert not verify(key, b"x", signature, crypto)


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64), st.booleans())
def test_verify_never_raises_on_the_right_lengths(
    key: bytes, signature: bytes, known: bool
) -> None:
    key = dev_key("Alice").public_key if known or not any(key) else key
    for crypto in CryptoType:
        assert not verify(key, b"x", signature, crypto)
        assert not verify(key, b"x", signature[:63] + b"\x80", crypto)


def test_anybody_can_sign_for_the_zero_key() -> None:
    """As in Substrate, whose CheckNonZeroSender exists for this; signed requests refuse it too."""
    assert verify(bytes(32), b"anything", bytes(63) + b"\x80")


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_key_or_a_clear_refusal(uri: str) -> None:
    try:
        pair = Keypair.from_uri(uri)
    except InvalidKey:
        return
    assert pair.verify(b"x", pair.sign(b"x"))
