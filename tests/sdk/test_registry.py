"""The registry on hand-made types: shapes, strictness, and hostile metadata."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_metadata import ODD, Types, build, field, small_metadata

from ganglion.errors import EncodeError, MetadataError, UnknownName
from ganglion.hashing import twox_128
from ganglion.keys import dev_key
from ganglion.metadata import decode_metadata
from ganglion.metadata_types import ArrayOf, Composite, Sequence, TupleOf
from ganglion.runtime import Event, Runtime
from ganglion.scale import DecodeError, compact_encode

ALICE = dev_key("Alice")
RUNTIME = Runtime(small_metadata(), spec_version=1)


def odd(name: str) -> Any:
    item = RUNTIME.storage("Odd", name)
    return RUNTIME.registry.codec(item.value_type)


@pytest.mark.parametrize(
    ("name", "value", "raw"),
    [
        ("bits", "1011", "100d"),
        ("bits", "", "00"),
        ("bits", "000000001", "240001"),
        ("bits16m", "1011", "1000b0"),
        ("maybe", None, "00"),
        ("maybe", 5, "0105"),
        ("maybe2", None, "00"),
        ("maybe2", {"Some": None}, "0100"),
        ("maybe2", {"Some": 5}, "010105"),
        ("compact16", 65_535, "feff0300"),
        ("compact_percent", 255, "fd03"),
        ("compact_empty", (), ""),
        ("map", {7: "a", 1: "b"}, "08" + "0700" + "0461" + "0100" + "0462"),
        ("numbers", [1, 2**64 - 1], "08" + "01" + "00" * 7 + "ff" * 8),
        ("row", [1, 2, 3], "010002000300"),
        ("u256_of", 2**256 - 1, "ff" * 32),
        ("tree", {"Node": ["Leaf", {"Node": []}]}, "0108000100"),
        ("char", "τ", "c4030000"),
        ("str", "τ", "08cf84"),
        ("bool", True, "01"),
        ("i8", -1, "ff"),
        ("i128", -2, "fe" + "ff" * 15),
        ("bytes", b"\0\xff", "0800ff"),
        ("hash", "0x" + "11" * 32, "11" * 32),
        ("account", ALICE.address, ALICE.public_key.hex()),
        ("pair", (3, "x"), "03000478"),
        ("percent", 9, "09"),
    ],
)
def test_shapes(name: str, value: Any, raw: str) -> None:
    made = odd(name)
    assert made.decode(bytes.fromhex(raw)) == value
    assert made.encode(value).hex() == raw


@pytest.mark.parametrize("given_", [ALICE, ALICE.public_key, "0x" + ALICE.public_key.hex()])
def test_accounts_in_other_spellings(given_: Any) -> None:
    assert odd("account").encode(given_) == ALICE.public_key


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("compact16", 65_536, "does not fit u16"),
        ("compact16", "1", "whole number"),
        ("compact16", True, "whole number"),
        ("i8", 128, "does not fit i8"),
        ("i8", 1.0, "whole number"),
        ("bool", 1, "true or false"),
        ("str", b"x", "not text"),
        ("char", "ab", "one character"),
        ("bytes", 5, "neither bytes nor text"),
        ("bytes", "0xzz", "hexadecimal"),
        ("hash", "0x11", "1 bytes, not 32"),
        ("account", "5Grw", "length"),
        ("account", 5, "not an account"),
        ("pair", (1,), "1 parts, not 2"),
        ("pair", 5, "not a list"),
        ("pair", (1, 2), "1: 2 is not text"),
        ("row", [1, 2], "2 items, not 3"),
        ("numbers", [-1], "not a list of u64"),
        ("numbers", ["a"], "not a list of u64"),
        ("tree", "Twig", "no Tree: Leaf, Node"),
        ("tree", {"Node": [{"Node": 5}]}, "Node: item 0: Node: 5 is not a list"),
        ("bits", "012", "0 and 1"),
        ("map", {1: 2}, "item 0: 1: 2 is not text"),
    ],
)
def test_wrong_values_are_named(name: str, value: Any, says: str) -> None:
    with pytest.raises(EncodeError, match=says):
        odd(name).encode(value)


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("bits", "1010", "beyond its end"),
        ("bits", "28", "ends inside"),
        ("maybe", "02", "neither 0 nor 1"),
        ("bool", "02", "neither 0 nor 1"),
        ("compact16", "02000400", "does not fit"),
        ("compact16", "0100", "longer than it need be"),
        ("map", "08" + "010000" * 2, "stands twice"),
        ("numbers", "feffffff" + "00", "announced"),
        ("empties", "feffffff", "announced"),
        ("bytes", "feffffff", "announced"),
        ("tree", "02", "no variant 2"),
        ("char", "00d80000", "no character"),
        ("char", "ffffffff", "no character"),
        ("str", "04ff", "UTF-8"),
        ("hash", "11", "ends inside"),
        ("percent", "0100", "too many"),
    ],
)
def test_malformed_data_is_refused(name: str, raw: str, says: str) -> None:
    with pytest.raises(DecodeError, match=says):
        odd(name).decode(bytes.fromhex(raw))


def test_nesting_ends() -> None:
    tree = odd("tree")
    assert tree.decode(b"\x01\x04" * 30 + b"\0")
    with pytest.raises(DecodeError, match="nest deeper"):
        tree.decode(b"\x01\x04" * 5_000 + b"\0")
    value: Any = "Leaf"
    for _ in range(5_000):
        value = {"Node": [value]}
    with pytest.raises(EncodeError, match="nest deeper"):
        tree.encode(value)
    with pytest.raises(DecodeError, match="nest deeper"):
        RUNTIME.decode_call(b"\x01\x00" * 5_000 + b"\x01\x07")
    with pytest.raises(DecodeError, match="nest deeper"):
        RUNTIME.decode_call(b"\x01\x01\x04" * 5_000 + b"\x01\x07")
    # The counter is back where it was.
    assert tree.decode(b"\x01\x04" * 30 + b"\0")


@settings(max_examples=300)
@given(st.sampled_from(ODD), st.binary(max_size=80))
def test_any_bytes_round_trip_or_are_refused(name: str, raw: bytes) -> None:
    made = odd(name)
    try:
        value = made.decode(raw)
    except DecodeError:
        return
    assert made.encode(value) == raw


@given(st.binary(max_size=60))
def test_any_bytes_as_a_call(raw: bytes) -> None:
    try:
        call = RUNTIME.decode_call(raw)
    except DecodeError:
        return
    assert RUNTIME.call(call.pallet, call.name, **call.args).data == raw


def test_calls_in_calls() -> None:
    remark = RUNTIME.call("System", "remark", remark="hi")
    assert remark.data.hex() == "00000868" + "69"
    order = RUNTIME.call("Boss", "orders", calls=[remark, remark.data])
    assert order.data == b"\x01\x01\x08" + remark.data * 2
    assert RUNTIME.decode_call(order.data).args["calls"][0] == {
        "pallet": "System",
        "name": "remark",
        "args": {"remark": b"hi"},
    }
    assert RUNTIME.call("Boss", "rest").data == b"\x01\x07"
    assert RUNTIME.call_args("System", "remark") == {"remark": "Vec<u8>"}
    assert RUNTIME.call_docs("System", "remark") == "About remark."


@pytest.mark.parametrize(
    ("pallet", "name", "args", "error", "says"),
    [
        ("Sistem", "remark", {}, UnknownName, "did you mean System"),
        ("System", "remarc", {}, UnknownName, "did you mean remark"),
        ("Odd", "any", {}, UnknownName, "no call"),
        ("System", "remark", {}, EncodeError, "System.remark: remark is missing"),
        ("System", "remark", {"remark": 1, "b": 2}, EncodeError, "b is unknown"),
        ("Boss", "order", {"call": "x"}, EncodeError, "Boss.order: call: 'x' is no call"),
        ("Boss", "order", {"call": {"pallet": "X", "name": "y"}}, EncodeError, "no pallet 'X'"),
        ("Boss", "order", {"call": {"pallet": "Boss", "name": "y"}}, EncodeError, "no 'y'|has no"),
    ],
)
def test_wrong_calls(
    pallet: str, name: str, args: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        RUNTIME.call(pallet, name, **args)


def test_events() -> None:
    raw = bytes.fromhex("0c" + "0002000000" + "0000" + "09000000" + "01" + "00")
    raw += bytes.fromhex("01" + "0001") + ALICE.public_key + b"\0"
    raw += bytes.fromhex("01" + "0002" + "00")
    assert RUNTIME.events(raw) == [
        Event("System", "Done", (9, True), 2, "ApplyExtrinsic"),
        Event("System", "Named", {"who": ALICE.address}, None, "Finalization"),
        Event("System", "Bare", {}, None, "Finalization"),
    ]
    assert RUNTIME.events(None) == []


def test_storage_keys_and_defaults() -> None:
    head = twox_128(b"System") + twox_128(b"Double")
    key = RUNTIME.storage_key("System", "Double", 3, "x")
    assert key[:32] == head
    assert key[32 + 8 :] == bytes.fromhex("03000478")
    assert RUNTIME.storage_key("System", "Double", 3) == key[:42]
    assert RUNTIME.storage_map_key("System", "Double", key) == (3, "x")
    assert RUNTIME.storage_map_key("System", "Double", key, skip=1) == "x"
    assert RUNTIME.storage_value("System", "Account", None) == 0
    assert RUNTIME.storage_value("System", "Double", None) is None
    with pytest.raises(DecodeError, match="cannot be read back"):
        RUNTIME.storage_map_key("System", "Hidden", RUNTIME.storage_key("System", "Hidden", 1))
    with pytest.raises(DecodeError, match="too many"):
        RUNTIME.storage_map_key("System", "Double", key + b"\0")
    with pytest.raises(EncodeError, match="takes 2 keys, not 3"):
        RUNTIME.storage_key("System", "Double", 1, "x", 2)
    with pytest.raises(EncodeError, match="key 0"):
        RUNTIME.storage_key("System", "Account", "nobody")
    with pytest.raises(UnknownName, match="did you mean Account"):
        RUNTIME.storage("System", "Acount")


def test_apis_constants_and_errors() -> None:
    raw = RUNTIME.encode_api("Core", "answer", ALICE, 5)
    assert raw == ALICE.public_key + b"\x05\x00"
    assert RUNTIME.decode_api("Core", "answer", b"\x01\x09") == 9
    assert RUNTIME.constant("System", "SS58Prefix") == 42
    assert RUNTIME.error(1, 3).name == "Tired"
    assert RUNTIME.extensions() == ("CheckSpecVersion", "CheckNonce", "Harmless")
    with pytest.raises(EncodeError, match="takes who, n; 1 values"):
        RUNTIME.encode_api("Core", "answer", ALICE)
    with pytest.raises(EncodeError, match="Core.answer, n"):
        RUNTIME.encode_api("Core", "answer", ALICE, -1)
    with pytest.raises(UnknownName, match="no method"):
        RUNTIME.api("Core", "nothing")
    with pytest.raises(UnknownName, match="did you mean Core"):
        RUNTIME.api("Coro", "answer")


def _broken(change: Any) -> Runtime:
    return Runtime(small_metadata(change))


def test_a_type_that_is_not_there() -> None:
    def change(t: Types, ids: dict[str, int]) -> None:
        ids["maybe"] = 60_000

    with pytest.raises(MetadataError, match="60000"):
        _broken(change).storage_value("Odd", "maybe", b"\0")


def test_a_struct_inside_itself_does_not_hang() -> None:
    def change(t: Types, ids: dict[str, int]) -> None:
        ids["maybe"] = len(t.all)
        t.add(Composite((field(len(t.all)), field(ids["u8"]))))

    runtime = _broken(change)
    with pytest.raises(DecodeError, match="nest deeper"):
        runtime.storage_value("Odd", "maybe", bytes(100_000))


def test_an_endless_chain_of_types() -> None:
    def change(t: Types, ids: dict[str, int]) -> None:
        for _ in range(5_000):
            t.add(Composite((field(len(t.all) + 1),)))
        t.add(TupleOf(()))
        ids["maybe"] = len(t.all) - 5_001

    with pytest.raises(MetadataError, match="nests more"):
        _broken(change).storage_value("Odd", "maybe", b"")


def test_many_items_of_no_size() -> None:
    def change(t: Types, ids: dict[str, int]) -> None:
        ids["maybe"] = t.add(ArrayOf(2**32 - 1, ids["empty"]))
        ids["row"] = t.add(Sequence(t.add(ArrayOf(2**32 - 1, ids["u32"]))))

    runtime = _broken(change)
    with pytest.raises(MetadataError, match="without any bytes"):
        runtime.storage_value("Odd", "maybe", b"")
    with pytest.raises(DecodeError, match="announced"):
        runtime.storage_value("Odd", "row", b"\x04" + bytes(64))


def test_an_extension_with_unknown_bytes() -> None:
    def change(t: Types, ids: dict[str, int]) -> None:
        ids["empty"] = ids["u8"]

    with pytest.raises(MetadataError, match="Harmless"):
        _broken(change).extensions()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "do not start like"),
        (b"meta", "do not start like"),
        (b"meta\x0d", "version 13"),
        (b"meta\x0f\xff", "malformed"),
        (b"meta\x0e" + compact_encode(2**30), "malformed"),
    ],
)
def test_bytes_that_are_no_metadata(raw: bytes, says: str) -> None:
    with pytest.raises(MetadataError, match=says):
        decode_metadata(raw)


@settings(max_examples=60, deadline=None)
@given(st.integers(5, 1_800), st.integers(0, 255))
def test_damaged_metadata_is_refused_or_used(at: int, byte: int) -> None:
    raw = bytearray(build())
    raw[at % len(raw)] = byte
    try:
        runtime = Runtime(decode_metadata(bytes(raw)))
        for pallet in runtime.metadata.pallets.values():
            for item in pallet.storage:
                runtime.storage_value(pallet.name, item, b"\0\0")
    except (MetadataError, DecodeError, UnknownName):
        return
