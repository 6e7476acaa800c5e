"""Headers and blocks: bytes, hashes, JSON, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.blocks import (
    AURA,
    GRANDPA,
    BadDigest,
    Block,
    Header,
    consensus_logs,
    decode_body,
    encode_body,
    extrinsics_root,
    genesis_header,
    seal,
    slot_digest,
    slot_of,
    split_seal,
)
from chain.runtime.types import (
    Consensus,
    Digest,
    OtherDigest,
    PreRuntime,
    RuntimeEnvironmentUpdated,
    Seal,
)
from ganglion.scale import DecodeError, compact_encode

H256 = st.binary(min_size=32, max_size=32)
ENGINE = st.sampled_from([AURA, GRANDPA, b"BABE"])
LOG = st.one_of(
    st.builds(PreRuntime, ENGINE, st.binary(max_size=20)),
    st.builds(Consensus, ENGINE, st.binary(max_size=20)),
    st.builds(Seal, ENGINE, st.binary(max_size=64)),
    st.builds(OtherDigest, st.binary(max_size=20)),
    st.builds(RuntimeEnvironmentUpdated),
)
HEADER = st.builds(
    lambda parent, number, state, root, logs: Header(
        parent, number, state, root, Digest(tuple(logs))
    ),
    H256,
    st.integers(0, 2**32 - 1),
    H256,
    H256,
    st.lists(LOG, max_size=5),
)
EXTRINSIC = st.binary(max_size=100).map(lambda inner: compact_encode(len(inner)) + inner)


def test_genesis_hash_of_the_public_test_network():
    root = "c15439f31626cd90c778831721bb9d0166da302321918887d381829d8c13763f"
    expected = "8f9cf856bf558a14440e75569c9e58594757048d7b3a84b5d25f6bd978263105"
    assert genesis_header(bytes.fromhex(root)).hash.hex() == expected


def test_encoding_by_hand():
    header = Header(b"\x01" * 32, 100, b"\x02" * 32, b"\x03" * 32, Digest((slot_digest(7),)))
    header = seal(header, b"\x04" * 64)
    expected = (
        "01" * 32 + "9101" + "02" * 32 + "03" * 32 + "08"
        "06" + b"aura".hex() + "20" + "0700000000000000"
        "05" + b"aura".hex() + "0101" + "04" * 64
    )
    assert header.encode().hex() == expected
    assert header.json()["number"] == "0x64"
    assert header.json()["digest"]["logs"] == [
        "0x06" + b"aura".hex() + "200700000000000000",
        "0x05" + b"aura".hex() + "0101" + "04" * 64,
    ]


@given(HEADER, st.lists(EXTRINSIC, max_size=5))
def test_round_trip(header, extrinsics):
    assert Header.decode(header.encode()) == header
    block = Block(header, tuple(extrinsics))
    assert Block.decode(block.encode()) == block
    assert decode_body(encode_body(extrinsics)) == extrinsics


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_decode_error_only(data):
    for decode in (Header.decode, Block.decode, decode_body):
        try:
            decode(data)
        except DecodeError:
            continue


@given(HEADER, st.data())
def test_the_hash_covers_every_bit(header, data):
    raw = bytearray(header.encode())
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    try:
        other = Header.decode(bytes(raw))
    except DecodeError:
        return
    assert other.hash != header.hash


def test_body_with_lying_counts():
    with pytest.raises(DecodeError, match="announced"):
        decode_body(b"\xfe\xff\xff\xff")
    with pytest.raises(DecodeError, match="ends inside"):
        decode_body(b"\x04\x08\x00")
    with pytest.raises(DecodeError, match="too many"):
        decode_body(b"\x00\x00")


def test_extrinsics_root_of_nothing_is_the_empty_root():
    empty = "03170a2e7597b7b7e3d84c05391d139a62b157e78786d8c082f29dcf4c111314"
    assert extrinsics_root([]).hex() == empty


def sealed(*logs):
    return Header(bytes(32), 1, bytes(32), bytes(32), Digest(logs))


def test_slot_must_stand_exactly_once():
    assert slot_of(sealed(slot_digest(9))) == 9
    with pytest.raises(BadDigest, match="0 Aura"):
        slot_of(sealed(PreRuntime(b"BABE", bytes(8))))
    with pytest.raises(BadDigest, match="2 Aura"):
        slot_of(sealed(slot_digest(1), slot_digest(1)))
    with pytest.raises(BadDigest, match="no slot"):
        slot_of(sealed(PreRuntime(AURA, bytes(7))))


def test_seal_is_split_off_as_it_was_put_on():
    header = sealed(slot_digest(9))
    assert split_seal(seal(header, b"s" * 64)) == (header, b"s" * 64)
    with pytest.raises(BadDigest, match="no Aura seal"):
        split_seal(header)
    with pytest.raises(BadDigest, match="no Aura seal"):
        split_seal(sealed(Seal(b"BABE", b"")))
    with pytest.raises(BadDigest, match="more than once"):
        split_seal(seal(seal(header, b"a"), b"b"))


def test_consensus_logs_are_by_engine_and_in_order():
    logs = (Consensus(GRANDPA, b"1"), Consensus(AURA, b"2"), Consensus(GRANDPA, b"3"))
    assert consensus_logs(sealed(*logs), GRANDPA) == [b"1", b"3"]
