"""The trie against a second, naive implementation, and against numbers other nodes publish."""

import json
import os
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trie_cases import case

from chain.trie.nibbles import join_key, nibbles, pack, packed_tail, unpack
from chain.trie.node import EMPTY_ROOT, V0_INLINE_MAX, V1_INLINE_MAX
from chain.trie.ordered import ordered_root
from chain.trie.trie import Memory, MissingNode, Trie
from ganglion.scale import compact_encode

VECTORS = Path(__file__).parents[2] / "vectors" / "trie-roots.jsonl"
KEY = st.one_of(
    st.binary(max_size=4),
    st.builds(lambda tail: b"\x11" * 31 + tail, st.binary(max_size=3)),
    st.binary(min_size=30, max_size=40),
)
VALUE = st.one_of(st.binary(max_size=5), st.binary(min_size=30, max_size=40))
ITEMS = st.dictionaries(KEY, VALUE, max_size=40)
CHANGES = st.dictionaries(KEY, st.one_of(st.none(), VALUE), max_size=40)


def digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=32).digest()


def naive_header(prefix: int, bits: int, count: int) -> bytes:
    most = (1 << bits) - 1
    if count < most:
        return bytes([prefix + count])
    out, count = [prefix + most], count - most
    while count >= 255:
        out.append(255)
        count -= 255
    return bytes([*out, count])


def naive_node(items: list[tuple[list[int], bytes]], inline_max: int) -> bytes:
    """The encoding of a node, straight from the table of node kinds."""
    shared = 0
    while all(len(k) > shared and k[shared] == items[0][0][shared] for k, _ in items):
        shared += 1
    part = items[0][0][:shared]
    odd = part[: len(part) % 2]
    packed = bytes(odd) + bytes(part[i] * 16 + part[i + 1] for i in range(len(odd), len(part), 2))
    value = next((v for k, v in items if len(k) == shared), None)
    below = [(k, v) for k, v in items if len(k) > shared]
    hashed = value is not None and len(value) > inline_max
    stored = b""
    if value is not None:
        stored = digest(value) if hashed else compact_encode(len(value)) + value
    if not below:
        return naive_header(*((0x20, 5) if hashed else (0x40, 6)), shared) + packed + stored
    kind = (0x80, 6) if value is None else (0x10, 4) if hashed else (0xC0, 6)
    bitmap, children = 0, b""
    for i in range(16):
        group = [(k[shared + 1 :], v) for k, v in below if k[shared] == i]
        if group:
            bitmap |= 1 << i
            inner = naive_node(group, inline_max)
            merkle = inner if len(inner) < 32 else digest(inner)
            children += compact_encode(len(merkle)) + merkle
    return naive_header(*kind, shared) + packed + bitmap.to_bytes(2, "little") + stored + children


def naive_root(items: dict[bytes, bytes], inline_max: int = V1_INLINE_MAX) -> bytes:
    if not items:
        return digest(b"\x00")
    return digest(naive_node([(list(nibbles(k)), v) for k, v in items.items()], inline_max))


def test_empty_root():
    expected = "03170a2e7597b7b7e3d84c05391d139a62b157e78786d8c082f29dcf4c111314"
    assert EMPTY_ROOT.hex() == expected
    assert Trie.of({}).root == ordered_root([]) == EMPTY_ROOT


@given(ITEMS, st.sampled_from([V0_INLINE_MAX, V1_INLINE_MAX]))
def test_root_is_that_of_the_naive_trie(items, inline_max):
    assert Trie.of(items, inline_max).root == naive_root(items, inline_max)


@pytest.mark.parametrize("count", [1, 2, 14, 15, 16, 30, 31, 32, 62, 63, 64, 317, 318, 319, 600])
@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 63, 64, 100, 16384])
def test_lengths_at_the_edges_of_the_header(count, size):
    key = bytes(count // 2 + 1)
    items = {key: b"v" * size, key + b"\x01": b"w", key[:-1] + b"\x10": b"x" * size}
    for part in (items, {key: b"v" * size}):
        assert Trie.of(part).root == naive_root(part)


@given(ITEMS, CHANGES)
def test_update_is_the_same_as_building_anew(items, changes):
    trie = Trie.of(items)
    after = {k: v for k, v in {**items, **changes}.items() if v is not None}
    updated = trie.updated(changes)
    assert updated.root == naive_root(after)
    assert dict(updated.items()) == after
    assert dict(trie.items()) == items, "the old trie must not change"
    assert updated.updated({k: items.get(k) for k in changes}).root == trie.root


@given(ITEMS, st.randoms(use_true_random=False))
def test_root_does_not_depend_on_order(items, rng):
    one_by_one = Trie.of({})
    order = list(items)
    rng.shuffle(order)
    for key in order:
        one_by_one = one_by_one.updated({key: items[key]})
    assert one_by_one.root == Trie.of(items).root
    for key in order:
        one_by_one = one_by_one.updated({key: None})
    assert one_by_one.root == EMPTY_ROOT


@given(ITEMS, KEY)
def test_get(items, other):
    trie = Trie.of(items)
    assert {key: trie.get(key) for key in items} == items
    assert trie.get(other) == items.get(other)


@given(ITEMS, KEY, st.one_of(st.none(), KEY))
def test_iteration_is_sorted_and_starts_strictly_after(items, prefix, start):
    expected = sorted(k for k in items if k.startswith(prefix) and (start is None or k > start))
    assert list(Trie.of(items).keys(prefix, start)) == expected


@given(st.binary(min_size=1, max_size=20), st.data())
def test_nibbles_split_and_join(key, data):
    depth = data.draw(st.integers(0, 2 * len(key) - 1))
    path, tail = nibbles(key)[:depth], packed_tail(key, depth)
    assert unpack(tail, depth & 1) == nibbles(key)[depth:]
    assert pack(nibbles(key)[depth:]) == tail
    assert join_key(path, tail, depth & 1) == key


def test_keys_that_share_a_very_long_path():
    key = bytes(range(256))
    items = {key[:i]: bytes([i]) * 40 for i in range(100)}
    assert Trie.of(items).root == naive_root(items)


def test_ordered_root_counts_in_compact_integers():
    values = [bytes([i % 251]) * (i % 70) for i in range(300)]
    items = {compact_encode(i): v for i, v in enumerate(values)}
    assert ordered_root(values) == naive_root(items, V0_INLINE_MAX)


def vectors():
    """Roots by @acala-network/chopsticks-executor 1.5.1 of the tries of `trie_cases`."""
    with VECTORS.open() as lines:
        return [json.loads(line) for line in lines]


def test_roots_of_another_implementation():
    for vector in vectors():
        items = case(vector["seed"])
        assert Trie.of(items, V0_INLINE_MAX).root.hex() == vector["v0"]
        assert Trie.of(items, V1_INLINE_MAX).root.hex() == vector["v1"]


def test_genesis_of_the_public_test_network():
    """The path of subtensor's raw_spec_testfinney.json; its Wasm keeps it out of this tree."""
    path = os.environ.get("GANGLION_TESTFINNEY_SPEC")
    if path is None:
        pytest.skip("GANGLION_TESTFINNEY_SPEC does not name the raw chain spec")
    top = json.loads(Path(path).read_text())["genesis"]["raw"]["top"]
    items = {bytes.fromhex(k[2:]): bytes.fromhex(v[2:]) for k, v in top.items()}
    root = "c15439f31626cd90c778831721bb9d0166da302321918887d381829d8c13763f"
    assert Trie.of(items).root.hex() == root


def test_a_trie_in_memory_has_nothing_to_load():
    with pytest.raises(MissingNode, match="not in memory"):
        Memory().load(bytes(32), bytes(8))
    with pytest.raises(MissingNode, match="not in memory"):
        Memory().value(bytes(32))
