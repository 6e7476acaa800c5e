"""A proof shows what is there and what is not, and nothing else passes for it."""

import contextlib
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.trie.proof import BadProof, Recorder, open_proof, prove, verify
from chain.trie.trie import Trie

KEY = st.one_of(st.binary(max_size=3), st.builds(lambda t: b"\x22" * 20 + t, st.binary(max_size=2)))
VALUE = st.binary(max_size=40)
ITEMS = st.dictionaries(KEY, VALUE, max_size=60)


@given(ITEMS, st.lists(KEY, max_size=5))
def test_proof_of_presence_and_absence(items, keys):
    trie = Trie.of(items)
    keys += list(items)[:3]
    assert verify(trie.root, prove(trie, keys), keys) == {key: items.get(key) for key in keys}


@given(ITEMS, st.lists(KEY, min_size=1, max_size=3), st.data())
def test_any_flipped_bit_fails(items, keys, data):
    trie = Trie.of(items)
    keys += list(items)[:2]
    proof = prove(trie, keys)
    which = data.draw(st.integers(0, len(proof) - 1))
    bit = data.draw(st.integers(0, 8 * len(proof[which]) - 1))
    bad = bytearray(proof[which])
    bad[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadProof):
        verify(trie.root, [*proof[:which], bytes(bad), *proof[which + 1 :]], keys)


@given(ITEMS, KEY, st.data())
def test_any_missing_entry_fails(items, key, data):
    trie = Trie.of(items)
    proof = prove(trie, [key])
    if trie.root_node is not None:
        proof.pop(data.draw(st.integers(0, len(proof) - 1)))
        with pytest.raises(BadProof, match="lacks"):
            verify(trie.root, proof, [key])


@given(ITEMS, KEY, st.one_of(st.none(), KEY), st.integers(0, 5))
def test_recorded_iteration_can_be_replayed(items, prefix, start, take):
    trie = Trie.of(items)
    recorder = Recorder(trie)
    seen = [key for key, _ in zip(recorder.keys(prefix, start), range(take))]
    if len(seen) < take:
        assert list(open_proof(trie.root, recorder.proof()).keys(prefix, start)) == seen
    else:
        replay = open_proof(trie.root, recorder.proof()).keys(prefix, start)
        assert [key for key, _ in zip(replay, range(take))] == seen


@given(ITEMS, st.lists(st.binary(max_size=40), max_size=4))
def test_hostile_entries_raise_bad_proof_only(items, entries):
    trie = Trie.of(items)
    with contextlib.suppress(BadProof):
        verify(trie.root, entries, [b"\x01"], spare=True)


def test_spare_entries_are_refused_unless_allowed():
    trie = Trie.of({bytes([i]): bytes(40) for i in range(20)})
    proof = [*prove(trie, [b"\x01"]), b"unasked"]
    with pytest.raises(BadProof, match="1 entries of the proof are not needed"):
        verify(trie.root, proof, [b"\x01"])
    assert verify(trie.root, proof, [b"\x01"], spare=True) == {b"\x01": bytes(40)}


def test_malformed_node_under_the_right_hash_is_named():
    entry = b"\x01bad"
    with pytest.raises(BadProof, match="malformed"):
        verify(blake2b(entry, digest_size=32).digest(), [entry], [b"k"])
