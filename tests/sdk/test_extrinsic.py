"""Extrinsics byte by byte, without metadata."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.era import Era
from ganglion.errors import CannotSign, EncodeError
from ganglion.extrinsic import (
    SigningContext,
    assemble,
    bare_extrinsic,
    extrinsic_hash,
    parse_extrinsic,
    sign_extrinsic,
    signing_payload,
)
from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, dev_key
from ganglion.scale import DecodeError, compact_encode

GENESIS = bytes(range(32))
BIRTH = bytes(range(32, 64))
CONTEXT = SigningContext(GENESIS, spec_version=461, transaction_version=1, nonce=7)
CALL = bytes.fromhex("0503008eaf04151687736326c9fea17e25fc5287613693c912909cb226aa4794f26a48e5c0")
ALICE = dev_key("Alice")


def test_payload_of_an_immortal_transfer() -> None:
    expected = CALL.hex() + "001c0000" + "cd010000" + "01000000" + (GENESIS * 2).hex() + "00"
    assert signing_payload(CALL, CONTEXT).hex() == expected


def test_payload_of_a_mortal_transfer_with_a_tip() -> None:
    context = replace(CONTEXT, nonce=3, era=Era.mortal(64, 66), birth_hash=BIRTH, tip=1)
    head = CALL.hex() + "2500" + "0c" + "04" + "00"
    tail = "cd010000" + "01000000" + GENESIS.hex() + BIRTH.hex() + "00"
    assert signing_payload(CALL, context).hex() == head + tail


def test_a_metadata_hash_is_signed_but_not_sent() -> None:
    context = replace(CONTEXT, metadata_hash=BIRTH)
    assert context.explicit().hex() == "001c0001"
    assert context.implicit().endswith(b"\1" + BIRTH)


def test_a_long_payload_is_hashed() -> None:
    long_call = CALL + bytes(300)
    plain = long_call + CONTEXT.explicit() + CONTEXT.implicit()
    assert signing_payload(long_call, CONTEXT) == blake2_256(plain)
    edge = bytes(256 - len(CONTEXT.explicit() + CONTEXT.implicit()))
    assert len(signing_payload(edge, CONTEXT)) == 256
    assert len(signing_payload(edge + b"\0", CONTEXT)) == 32


def test_the_fixed_form_of_a_signed_extrinsic() -> None:
    signature = bytes(range(1, 65))
    context = replace(CONTEXT, nonce=0)
    raw = assemble(CALL, context, ALICE.public_key, CryptoType.SR25519, signature)
    expected = "31028400" + ALICE.public_key.hex() + "01" + signature.hex() + "00000000"
    assert raw.hex() == expected + CALL.hex()
    assert (
        extrinsic_hash(raw).hex()
        == "2da12d35e770dbfe53a2c66c76d5c6d21f64f99fcbda35a757c021cc41ace46b"
    )


@pytest.mark.parametrize("crypto", list(CryptoType))
def test_sign_parse_verify(crypto: CryptoType) -> None:
    signer = dev_key("Alice", crypto)
    context = replace(CONTEXT, era=Era.mortal(64, 100), birth_hash=BIRTH, tip=5)
    found = parse_extrinsic(sign_extrinsic(CALL, context, signer))
    assert (found.signer, found.nonce, found.tip, found.call) == (signer.public_key, 7, 5, CALL)
    assert found.era == context.era
    assert found.is_signed
    assert found.has_valid_signature(GENESIS, 461, 1, BIRTH)
    assert not found.has_valid_signature(GENESIS, 462, 1, BIRTH)
    assert not found.has_valid_signature(BIRTH, 461, 1, BIRTH)
    assert not replace(found, nonce=8).has_valid_signature(GENESIS, 461, 1, BIRTH)
    assert not replace(found, call=CALL + b"\0").has_valid_signature(GENESIS, 461, 1, BIRTH)
    assert not replace(found, mode=1).has_valid_signature(GENESIS, 461, 1, BIRTH)


@pytest.mark.parametrize("version", [4, 5])
def test_bare(version: int) -> None:
    found = parse_extrinsic(bare_extrinsic(b"\x02\x00\x0b", version))
    assert (found.version, found.call, found.is_signed) == (version, b"\x02\x00\x0b", False)
    assert not found.has_valid_signature(GENESIS, 461, 1, GENESIS)


def test_what_cannot_be_built() -> None:
    with pytest.raises(CannotSign):
        sign_extrinsic(CALL, CONTEXT, ALICE.public())
    with pytest.raises(EncodeError, match="version"):
        bare_extrinsic(b"", 6)
    with pytest.raises(EncodeError, match="nonce"):
        replace(CONTEXT, nonce=2**32).explicit()
    with pytest.raises(EncodeError, match="64-byte"):
        assemble(CALL, CONTEXT, ALICE.public_key, CryptoType.SR25519, b"")


def _framed(body: str) -> bytes:
    raw = bytes.fromhex(body)
    return compact_encode(len(raw)) + raw


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "compact"),
        (b"\0", "empty"),
        (b"\x08\x04", "announces 2"),
        (b"\x04\x04\x04", "announces 1"),
        (_framed("45"), "0x45"),
        (_framed("8401" + "00" * 100), "plain account"),
        (_framed("8400" + "00" * 32 + "03" + "00" * 100), "scheme 3"),
        (_framed("8400" + "00" * 32 + "01" + "00" * 10), "cut short"),
        (_framed("8400" + "00" * 32 + "01" + "00" * 64), "era"),
        (_framed("8400" + "00" * 32 + "01" + "00" * 64 + "00" + "0300000001" + "00"), "compact"),
        (_framed("8400" + "00" * 32 + "01" + "00" * 64 + "00" + "070000000001" + "00"), "nonce"),
        (_framed("8400" + "00" * 32 + "01" + "00" * 64 + "00" + "00" + "00"), "mode"),
        (_framed("8400" + "00" * 32 + "01" + "00" * 64 + "00" + "00" + "00" + "02"), "mode"),
    ],
)
def test_malformed_extrinsics_are_refused(raw: bytes, says: str) -> None:
    with pytest.raises(DecodeError, match=says):
        parse_extrinsic(raw)


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(raw: bytes) -> None:
    try:
        found = parse_extrinsic(raw)
    except DecodeError:
        return
    assert found.call in raw


@given(st.integers(0, 140), st.integers(0, 255))
def test_a_changed_byte_never_keeps_the_signature(at: int, byte: int) -> None:
    raw = bytearray(SIGNED)
    if raw[at] == byte:
        return
    raw[at] = byte
    try:
        found = parse_extrinsic(bytes(raw))
    except DecodeError:
        return
    assert not found.has_valid_signature(GENESIS, 461, 1, GENESIS)


SIGNED = sign_extrinsic(CALL, CONTEXT, ALICE)
