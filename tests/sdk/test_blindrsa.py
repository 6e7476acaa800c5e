"""Blind signatures: ordinary ones in the end, and nothing the issuer could recognise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from ganglion.blindrsa import (
    EXPONENT,
    BlindError,
    ask,
    encode,
    finish,
    issue,
    modulus_of,
    public_key,
    verify,
)

KEY = rsa.generate_private_key(EXPONENT, 2048)
N = modulus_of(KEY.public_key())
MODULUS = int.from_bytes(N, "big")


@given(st.binary(max_size=200))
def test_what_comes_out_is_a_signature_that_the_library_accepts(message: bytes) -> None:
    asked = ask(N, message)
    signature = finish(N, message, asked, issue(KEY, asked.blinded))
    assert verify(N, message, signature)
    assert not verify(N, message + b"!", signature)
    assert not verify(N, message, signature[::-1])


@pytest.mark.parametrize("bits", [2048, 2049, 3072])
def test_keys_of_every_size_work(bits: int) -> None:
    key = rsa.generate_private_key(EXPONENT, bits)
    n = modulus_of(key.public_key())
    asked = ask(n, b"m")
    assert verify(n, b"m", finish(n, b"m", asked, issue(key, asked.blinded)))


def test_every_signature_fits_every_request() -> None:
    """The issuer keeps what it saw and signed, and sees all signatures later: whichever pair it
    tries, there is a hiding factor under which they belong together, so it learns nothing."""
    messages = [bytes([i]) * 8 for i in range(3)]
    asked = [ask(N, message) for message in messages]
    answers = [issue(KEY, a.blinded) for a in asked]
    signatures = [finish(N, m, a, b) for m, a, b in zip(messages, asked, answers)]
    for answer, one in zip(answers, asked):
        for message, signature in zip(messages, signatures):
            factor = int.from_bytes(answer, "big") * pow(
                int.from_bytes(signature, "big"), -1, MODULUS
            )
            number = int.from_bytes(encode(message, MODULUS.bit_length() - 1), "big")
            hidden = number * pow(factor, EXPONENT, MODULUS) % MODULUS
            assert hidden == int.from_bytes(one.blinded, "big")
    assert ask(N, messages[0]).blinded != asked[0].blinded


def test_wrong_answers_are_noticed() -> None:
    asked = ask(N, b"m")
    answer = issue(KEY, asked.blinded)
    with pytest.raises(BlindError, match="not a signature of what was asked"):
        finish(N, b"other", asked, answer)
    with pytest.raises(BlindError, match="not a signature of what was asked"):
        finish(N, b"m", replace(asked, inverse=asked.inverse + 1), answer)
    with pytest.raises(BlindError, match="another length"):
        finish(N, b"m", asked, answer[1:])


@pytest.mark.parametrize("blinded", [b"", bytes(256), b"\xff" * 256, b"\x01" * 255, b"\x01" * 257])
def test_an_issuer_signs_numbers_of_its_key_only(blinded: bytes) -> None:
    with pytest.raises(BlindError, match="not for the issuer's key"):
        issue(KEY, blinded)


@given(st.binary(max_size=600))
def test_a_strangers_modulus_is_a_key_or_a_sentence(modulus: bytes) -> None:
    try:
        public_key(modulus)
    except BlindError:
        assert not verify(modulus, b"m", bytes(256))
