"""The node decoder takes exactly what a trie writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.trie.node import V1_INLINE_MAX, Branch, HashedValue, decode_node, encode_node
from chain.trie.trie import Memory
from chain.trie.update import Update
from ganglion.scale import DecodeError


def encodings(items):
    update = Update(Memory())
    update.apply(None, items)
    for record in update.born.values():
        for end in range(1, len(record) + 1):
            try:
                decode_node(record[:end])
            except DecodeError:
                continue
            yield record[:end]
            break


@given(st.dictionaries(st.binary(max_size=5), st.binary(max_size=40), max_size=30))
def test_decode_then_encode_is_identity(items):
    for encoding in encodings(items):
        assert encode_node(decode_node(encoding), V1_INLINE_MAX) == encoding


@given(st.binary(max_size=200))
def test_arbitrary_bytes_decode_or_raise_decode_error(data):
    try:
        node = decode_node(data)
    except DecodeError:
        return
    if isinstance(node.value, HashedValue) or node.value is None or len(node.value) <= 32:
        assert encode_node(node, V1_INLINE_MAX) == data


LEAF = "4101" + "0461"
HASH = "80" + "11" * 32


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "no bytes"),
        ("00", "not a node header"),
        ("01", "not a node header"),
        ("0f", "not a node header"),
        ("7f", "inside the header"),
        ("7fff", "inside the header"),
        ("7f" + "ff" * 257 + "00", "more than 65535 nibbles"),
        ("42", "inside the partial key"),
        ("4111", "padding"),
        ("4101", "compact integer"),
        ("41010861", "inside the value"),
        (LEAF + "00", "1 bytes too many"),
        ("2101" + "22" * 31, "inside the hash"),
        ("80", "bitmap"),
        ("800000", "without children"),
        ("800100" + HASH, "one child and no value"),
        ("800300" + HASH, "before a child"),
        ("800300" + HASH + HASH[:-2], "inside a child"),
        ("800300" + HASH + "84" + "11" * 33, "neither a hash nor a short node"),
        ("800300" + HASH + "00", "neither a hash nor a short node"),
        ("800300" + HASH + "81", "neither a hash nor a short node"),
        ("800300" + HASH * 2 + "00", "1 bytes too many"),
    ],
)
def test_malformed(data, reason):
    with pytest.raises(DecodeError, match=reason):
        decode_node(bytes.fromhex(data))


def test_well_formed_by_hand():
    leaf = decode_node(bytes.fromhex(LEAF))
    assert (leaf.partial, leaf.value) == (b"\x01", b"a")
    branch = decode_node(bytes.fromhex("c10f0180" + "0462" + HASH + "10" + LEAF))
    assert isinstance(branch, Branch)
    assert (branch.partial, branch.bitmap, branch.value) == (b"\x0f", 0x8001, b"b")
    edge = decode_node(bytes.fromhex("7f00" + "01" + "00" * 31 + "00"))
    assert len(edge.partial) == 63
